"""The ladder: a rung for each packet, the sender's state when it left, the receiver's when it had arrived.

    number seconds  client       ── what it is ──────────▶  server        step  proof

80 columns wide, whatever the language. A state is bright where it has just changed. The proof is ✓ where both kernels
said the same as the table, ≈ where a known and numbered deviation explains the difference, ≠ where nothing does, and
nothing where none was asked.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text as Styled

from lab import protocols
from lab.dissect.fields import innermost
from lab.engine.layers import layers_of
from lab.model import Above, Rung, Segment, States, StepReport
from lab.protocols.notes import note, notes
from lab.protocols.tcp import report
from lab.protocols.tcp.conversations import Conversation
from lab.render import trace
from lab.render.words import EXPLAINED, LABELS, address, brief, clip, numbers, pad, wrap
from lab.report.agreement import Agreement, agreement
from lab.text import PROTOCOL_NAMES, ROLES, Lang, Text, safe

WIDTH = 80
_STATE, _STEP, _INDENT = 12, 9, 12  # columns
_RIGHT = WIDTH - (_STATE + 1 + _STEP + 2)  # where the server's states begin
_ARROW = WIDTH - (3 + 1 + 6 + 2 + _STATE + 1 + 1 + _STATE + 1 + _STEP + 2)
_STYLES = {"SYN": "green", "SYN-ACK": "green", "FIN": "magenta", "RST": "bold red", "data": "cyan"}
_LISTED = 30  # columns for the packets of a step
_PREVIEW = 48  # bytes of payload shown
_NONE_GONE: Mapping[str, int] = {}
_MOST_SUMMARIES = 3  # conversations summed up one by one


class Ladder:
    """Draws on a console, a rung at a time, in the order of the packets."""

    def __init__(self, console: Console, lang: Lang) -> None:
        self._console = console
        self._lang: Lang = lang
        self._began: int | None = None
        self._last: int | None = None  # the conversation drawn last
        self._told: frozenset[str] = frozenset()  # labels that have been explained
        self._titles: set[tuple[int, str]] = set()  # of the steps above TCP: said once a conversation
        self._spelled: list[str] = []  # how the notes spell what has just changed
        self._shown: dict[int, tuple[str | None, str | None]] = {}
        self._told_above: dict[tuple[int, str], States] = {}

    def rung(self, rung: Rung) -> None:
        """Draws one packet; it should be settled, or its receiver's state is left open."""
        if rung.time is not None and self._began is None:
            self._began = rung.time
        which = rung.conversation
        if which is None or rung.segment is None or rung.held is None:
            self._other(rung)
            return
        if which.id != self._last:
            self._head(which, rung)
        self._print(self._line(rung, which, rung.segment))
        for text, style in self._below(rung, rung.segment):
            for line in wrap(text, WIDTH - _INDENT):
                self._print(Styled(" " * _INDENT + line, style))

    def _head(self, which: Conversation, rung: Rung) -> None:
        self._last = which.id
        client, server = which.client, which.server
        names = [ROLES[end.role].pick(self._lang) for end in which.ends]
        left, right = address(client.host, client.port), address(server.host, server.port)
        self._print(Styled(""))
        if which.id or (which.id not in self._shown and rung.number > 1):
            self._print(Styled(_spread(Text("conversation", "连接").pick(self._lang) + f" {which.id}", ""), "dim"))
        self._print(Styled(_spread(*names), "bold"))
        if _INDENT + cell_len(left) >= min(_RIGHT, WIDTH - cell_len(right)):  # too long to stand side by side
            self._print(Styled(_spread(left, ""), "dim"))
            left = ""
        self._print(Styled(_spread(left, right), "dim"))
        if which.id not in self._shown and which.client.isn is not None and rung.held:
            self._shown[which.id] = ("CLOSED", rung.held.server)
            self._print(Styled(_spread("CLOSED", rung.held.server or ""), "dim"))
        self._shown.setdefault(which.id, (None, None))

    def _line(self, rung: Rung, which: Conversation, segment: Segment) -> Styled:
        assert rung.end
        assert rung.held
        forward = rung.end.role == "client"
        arrived = rung.delivered
        client, server = (
            (rung.held.client, arrived and arrived.server)
            if forward
            else (arrived and arrived.client, rung.held.server)
        )
        shown = self._shown.get(which.id, (None, None))
        line = Styled()
        line.append(self._lead(rung), "dim")
        line.append(pad(client or ("?" if arrived or forward else ""), _STATE), "bold" if client != shown[0] else "dim")
        line.append(" ")
        line.append(_arrow(rung, segment, forward), next((_STYLES[x] for x in rung.labels if x in _STYLES), "dim"))
        line.append(" ")
        line.append(
            pad(server or ("?" if arrived or not forward else ""), _STATE), "bold" if server != shown[1] else "dim"
        )
        self._shown[which.id] = (client or shown[0], server or shown[1])
        self._spell(rung, client if client != shown[0] else None, server if server != shown[1] else None)
        line.append(" ")
        line.append(pad(self._steps(rung), _STEP), "yellow")
        line.append(" ")
        proof = _proof(rung)
        line.append(proof, {"✓": "green", "≈": "yellow"}.get(proof, "bold red"))
        line.rstrip()
        return line

    def _steps(self, rung: Rung) -> str:
        names = [note(step).name.pick(self._lang) for step in rung.steps]
        if len(names) > 1 and len({name.rsplit(" ", 1)[0] for name in names}) == 1:
            numbers_ = [name.rsplit(" ", 1)[1] for name in names]
            joined = "+".join(numbers_) if len(names) == 2 else f"{numbers_[0]}–{numbers_[-1]}"
            return f"{names[0].rsplit(' ', 1)[0]} {joined}"
        if cell_len(" ".join(names)) > _STEP:  # what is carried says more
            top = rung.steps[-1].rpartition(".")[0]
            names = [name for name, step in zip(names, rung.steps, strict=True) if step.rpartition(".")[0] == top]
        return clip(" ".join(names), _STEP)

    def _worth_telling(self, above: Above, rung: Rung) -> bool:
        """Whether a protocol above TCP says something in this packet, or its states are others than were last told."""
        key = (rung.conversation.id if rung.conversation else 0, above.protocol)
        before = self._told_above.get(key)
        self._told_above[key] = above.delivered or above.held
        spoke = any(message.protocol == above.protocol for message in rung.messages)
        return spoke or before != above.held or above.delivered not in (None, above.held)

    def _below(self, rung: Rung, segment: Segment) -> list[tuple[str, str]]:
        """Returns what is to be said of a packet beside the arrow, each with its style: steps, words, payload."""
        lang = self._lang
        said = []
        for step in rung.steps:
            title = trace.told(rung, step).title.pick(lang)
            if step.startswith("tcp.") or (rung.conversation and (rung.conversation.id, title) not in self._titles):
                said.append(title)
            if rung.conversation is not None:
                self._titles.add((rung.conversation.id, title))
        if said and self._spelled:
            written = " → ".join(self._spelled)
            spelling = Text(f"  [notes: {written}]", f"　[讲义：{written}]").pick(lang)
            if cell_len(said[-1] + spelling) <= WIDTH - _INDENT:
                said[-1] += spelling
            else:
                said.append(spelling.strip())
        said += self._messages(rung)
        said += [_above(above, rung).pick(lang) for above in rung.above if self._worth_telling(above, rung)]
        words = [self._once(label).pick(lang) for label in rung.labels if label in LABELS]
        if rung.journal and len(rung.journal.delivered) > 1:
            words.append(Text("delivered twice", "送达了两次").pick(lang))
        if rung.settled and not rung.got:
            words.append(Text("never arrived", "没有送达").pick(lang))
        for surprise in rung.surprises:
            words.append(
                Text(
                    f"surprise: the {surprise.role} {surprise.on} in {surprise.state}",
                    f"意外：{ROLES[surprise.role].zh}在 {surprise.state} 状态 {surprise.on}",
                ).pick(lang)
            )
        below = [(line, "dim") for line in said]
        words = [word for word in words if word]
        if words:
            below.append((Text("; ", "；").pick(lang).join(words), "yellow"))
        preview = _preview(rung, segment)
        return [*below, (preview, "dim cyan")] if preview else below

    def _messages(self, rung: Rung) -> list[str]:
        """Returns what a protocol above TCP says in a packet, a line a message."""
        layers = {layer.name: layer for layer in layers_of(rung.conversation)} if rung.conversation else {}
        lines = []
        for message in rung.messages:
            layer = layers.get(message.protocol)
            if layer and message.said.event == layer.carries and rung.messages[-1].protocol != layer.name:
                continue  # what it carries is told below
            words = protocols.upper(layer.name).words(layer, message.said).pick(self._lang) if layer else ""
            line = f"{PROTOCOL_NAMES[message.protocol]} {message.name}"
            lines.append(line + Text(": ", "：").pick(self._lang) + brief(words) if words else line)
        return lines

    def _once(self, label: str) -> Text:
        """Returns what is said of a label; what needs explaining, and is on every other packet, only the first time."""
        if label not in EXPLAINED:
            return LABELS[label]
        told, self._told = label in self._told, self._told | {label}
        return Text("", "") if told else EXPLAINED[label]

    def _spell(self, rung: Rung, *changed: str | None) -> None:
        """Keeps how the notes spell the states that have just changed, in the order in which they did."""
        if rung.end and rung.end.role == "server":
            changed = changed[::-1]
        spellings = [notes("tcp").states[state].notes for state in changed if state in notes("tcp").states]
        self._spelled = [spelling for spelling in spellings if spelling]

    def _other(self, rung: Rung) -> None:
        labels = [label for label in rung.labels if label != "not-tcp"]
        named = innermost(rung.frame) if rung.frame and not labels else ""
        if not named:
            labels.insert(0, "not-tcp")
        words = ", ".join([named] * bool(named) + [LABELS[label].pick(self._lang) for label in labels])
        size = Text(f"{rung.frame.length} bytes", f"{rung.frame.length} 字节").pick(self._lang) if rung.frame else ""
        self._print(Styled(clip(f"{self._lead(rung)}({words}; {size})", WIDTH), "dim"))

    def _lead(self, rung: Rung) -> str:
        """Returns the packet's number and seconds in the columns before the states, as exactly as there is room for."""
        room = _INDENT - 1
        forms = [""]
        if rung.time is not None and self._began is not None:
            seconds = (rung.time - self._began) / 1e9
            forms = [*(f"{seconds:.{digits}f}" for digits in (3, 1, 0)), f"{seconds:.0e}", ""]
        for form in forms:
            lead = f"{rung.number:>3} {form:>6}"
            if len(lead) > room:
                lead = f"{rung.number} {form}"
            if len(lead) <= room:
                break
        return pad(clip(lead.rstrip() if len(lead) > room else lead, room), _INDENT)

    def _print(self, text: Styled) -> None:
        text.rstrip()
        if self._console.color_system is None:  # just text, over which rich would take ten times as long
            self._console.file.write(text.plain + "\n")
        else:
            self._console.print(text, soft_wrap=True)

    def summary(
        self, conversations: list[Conversation], agreement: Agreement, gone: Mapping[str, int] = _NONE_GONE
    ) -> None:
        """Draws what became of the notes' steps, and whether the kernels agreed.

        `gone` counts the conversations that are no longer among these, by their conn_state.
        """
        lang = self._lang
        for which in conversations[:_MOST_SUMMARIES]:
            self._print(Styled(""))
            title = Text("The notes' steps", "讲义的步骤").pick(lang)
            if len(conversations) > 1:
                title += Text(f" in conversation {which.id}", f"（连接 {which.id}）").pick(lang)
            self._print(Styled(title, "bold"))
            told: set[Text] = set()
            for same in _grouped(trace.steps(which)):
                self._step(same, told)
        if len(conversations) > _MOST_SUMMARIES:
            self._count(conversations, gone)
        if agreement.compared:
            self._agreement(agreement)

    def _step(self, same: list[StepReport], told: set[Text]) -> None:
        """Draws steps that share their packets and what is to be said of them; what was `told` is not said again."""
        lang = self._lang
        names = [note(step.id).name.pick(lang) for step in same]
        name = names[0] + ("–" + names[-1].rsplit(" ", 1)[1] if len(names) > 1 else "")
        line = Styled(f"  {pad(name, _STEP + 1)}")
        packets, differs = same[0].packets, same[0].differs
        line.append("✓ " if packets else "– ", "green" if packets else "yellow")
        if packets:
            listed = clip(numbers(packets, lang), _LISTED)
            plural = "s" if len(packets) > 1 else ""
            line.append(Text(f"packet{plural} {listed}", f"第 {listed} 号包").pick(lang) + "  ", "dim")
        used = cell_len(line.plain)
        said = ""
        if differs:
            said = (Text("as above", "同上") if differs.text in told else differs.text).pick(lang)
            told.add(differs.text)
        for at, text in enumerate(wrap(said, WIDTH - used)):
            line.append(("\n" + " " * used if at else "") + text)
        self._print(line)

    def _count(self, conversations: list[Conversation], gone: Mapping[str, int]) -> None:
        counted = dict(gone)
        for which in conversations:
            state = report.conn_state(which)
            counted[state] = counted.get(state, 0) + 1
        listed = ", ".join(f"{state} {number}" for state, number in sorted(counted.items(), key=lambda each: -each[1]))
        self._print(Styled(""))
        count = len(conversations) + sum(gone.values())
        said = Text(
            f"{count} conversations in all, by Zeek's conn_state: {listed}",
            f"共 {count} 个连接，按 Zeek 的 conn_state：{listed}",
        )
        for line in wrap(said.pick(self._lang), WIDTH):
            self._print(Styled(line))

    def _agreement(self, agreement: Agreement) -> None:
        lang = self._lang
        differing = len(agreement.disagreements)
        said = Text(
            f"Both kernels were asked at every packet: {agreement.compared - differing} of {agreement.compared} "
            "states are as told here",
            f"每个包都问过两端内核：{agreement.compared} 个状态中 {agreement.compared - differing} 个与此处所述一致",
        ).pick(lang)
        if agreement.deviations:
            listed = numbers(tuple(agreement.deviations), lang)
            rest = Text(f"; the rest is no. {listed} of DEVIATIONS.md", f"；其余见 DEVIATIONS.md 第 {listed} 条")
            said += rest.pick(lang)
        self._print(Styled(""))
        for line in wrap(said + Text(".", "。").pick(lang), WIDTH):
            self._print(Styled(line, "green"))
        for each in agreement.unexplained:
            kernel, role = safe(str(each.kernel)), ROLES[each.role]
            told = Text(
                f"packet {each.number}, {each.instant}: the {role.en}'s kernel says {kernel}, not {each.ours}",
                f"第 {each.number} 号包，{each.instant}：{role.zh}内核说 {kernel}，不是 {each.ours}",
            )
            self._print(Styled("≠ " + told.pick(lang), "bold red"))


def _grouped(steps: list[StepReport]) -> list[list[StepReport]]:
    """Puts neighbouring steps of a phase together that say the same."""
    groups: list[list[StepReport]] = []
    for step in steps:
        last = groups[-1][-1] if groups else None
        alike = last and step.differs and (last.packets, last.differs) == (step.packets, step.differs)
        if last and alike and last.id.rpartition(".")[0] == step.id.rpartition(".")[0]:
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _arrow(rung: Rung, segment: Segment, forward: bool) -> str:
    """Returns the arrow with as much text on it as there is room for; one that never arrived ends in a cross."""
    kind = "+".join(label for label in rung.labels if label in _KINDS) or rung.labels[0]
    if rung.messages:
        top = rung.messages[-1].protocol  # what is carried says more than what carries it
        names = [message.name for message in rung.messages if message.protocol == top]
        several = f"{PROTOCOL_NAMES[top]} ×{len(names)}"
        kind = "+".join(names) if cell_len("+".join(names)) <= _ARROW - 10 else names[0] if len(names) == 1 else several
    size = f" {segment.payload}B" if segment.payload else ""
    ack = f" ack={rung.ack}" if rung.ack is not None else ""
    lost = rung.settled and not rung.got
    room = _ARROW - (9 if lost else 5)
    for text in (
        f"{kind}{size} seq={rung.seq}{ack}",
        f"{kind}{size} seq={rung.seq}",
        f"{kind}{size}",
        clip(kind, room),
    ):
        if cell_len(text) <= room:
            break
    line = "─" * (_ARROW - 4 - cell_len(text) - (4 if lost else 0))
    if forward:
        return f"─ {text} {line}" + ("✗    " if lost else "▶")
    return ("    ✗" if lost else "◀") + f"{line} {text} ─"


_KINDS = ("SYN", "SYN-ACK", "ACK", "data", "FIN", "RST", "no-flags")


def _proof(rung: Rung) -> str:
    asked = agreement([rung])
    if not asked.compared:
        return ""
    return "≠" if asked.unexplained else "≈" if asked.disagreements else "✓"


def _above(above: Above, rung: Rung) -> Text:
    """Returns the states above TCP, as the rung shows TCP's: the sender's when held, the receiver's when delivered."""
    forward = rung.end is not None and rung.end.role == "client"
    sender, receiver = (0, 1) if forward else (1, 0)
    left = above.held[sender] or "?"
    arrived = (above.delivered[receiver] or "?") if above.delivered else "…"
    shown = f"{left} ▶ {arrived}" if forward else f"{arrived} ◀ {left}"
    name = PROTOCOL_NAMES[above.protocol]
    return Text(f"{name} states: {shown}", f"{name} 状态：{shown}")


def _preview(rung: Rung, segment: Segment) -> str:
    """Returns the beginning of the payload where it is text, and nothing else says what it is."""
    frame = rung.whole or rung.frame
    if frame is None or not segment.payload or rung.messages:
        return ""
    data = frame.data[segment.start : segment.start + min(segment.payload, _PREVIEW)]
    text = data.decode("utf-8", "replace")
    if sum(char == "\ufffd" or not (char.isprintable() or char in "\r\n\t") for char in text) > len(text) // 8:
        return ""
    return f'"{safe(text)}{"…" if segment.payload > _PREVIEW else ""}"'


def _spread(left: str, right: str) -> str:
    """Puts two texts over the two columns of states."""
    return pad(" " * _INDENT + left, min(_RIGHT, WIDTH - cell_len(right))) + right
