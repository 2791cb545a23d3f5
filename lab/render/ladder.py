"""The ladder: a packet for each packet, the sender's state when it left, the receiver's when it had arrived.

    number seconds  client       ── what it is ──────────▶  server        step  proof

As wide as the terminal, between 60 and 140 columns, and 80 where there is none; in less than 80 a step's name stands
below its arrow. A state is bright where it has just changed. The proof is ✓ where both kernels
said the same as the table, ≈ where a known and numbered deviation explains the difference, ≠ where nothing does, and
nothing where none was asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text as Styled

from lab.dissect.fields import innermost
from lab.model import Above, ConversationReport, Ends, Packet, Role, States, StepReport
from lab.protocols.notes import note, notes
from lab.protocols.registry import TRANSPORT, UNREAD
from lab.protocols.transport import FIELDS
from lab.render.words import (
    EXPLAINED,
    LABELS,
    TITLES,
    USUAL,
    address,
    brief,
    clip,
    columns,
    event,
    numbers,
    pad,
    refusal,
    wrap,
)
from lab.report import fate
from lab.report import steps as steps_
from lab.report.agreement import Agreement
from lab.text import ROLES, Lang, Text, safe

NARROWEST, WIDEST = 60, 140
_STATE, _STEP = 12, 9  # columns
_ROOMY = 30  # columns of an arrow
_LEAST_SAID = 24  # columns that a sentence needs beside something
_STYLES = {"SYN": "green", "SYN-ACK": "green", "FIN": "magenta", "RST": "bold red", "data": "cyan"}
_LISTED = 30  # columns for the packets of a step
_PREVIEW = 48  # bytes of payload shown
_NONE_GONE: Mapping[str, int] = {}
_MOST_SUMMARIES = 3  # conversations summed up one by one


class _Layout(NamedTuple):
    """Columns: all there are, in front of the client's states, of an arrow, of a step (0: it stands below), of an
    indent."""

    width: int
    lead: int
    arrow: int
    step: int
    indent: int

    @property
    def right(self) -> int:
        """Where the server's states begin."""
        return self.lead + _STATE + 1 + self.arrow + 1

    def spread(self, left: str, right: str) -> str:
        """Puts two texts over the two columns of states."""
        return pad(" " * self.lead + left, min(self.right, self.width - cell_len(right))) + right


def _layout(width: int) -> _Layout:
    lead, step, indent = (12, _STEP + 1, 12) if width >= USUAL else (9, 0, 4)
    return _Layout(width, lead, width - lead - 2 * _STATE - step - 4, step, indent)


class Ladder:
    """Draws on a console, a packet at a time, in the order of the packets."""

    def __init__(self, console: Console, lang: Lang) -> None:
        self._console = console
        self._layout = _layout(columns(console, NARROWEST, WIDEST))
        self._lang: Lang = lang
        self._began: int | None = None
        self._last: int | None = None  # the conversation drawn last
        self._told: frozenset[str] = frozenset()  # labels that have been explained
        self._titles: set[tuple[int, str]] = set()  # of the steps above TCP: said once a conversation
        self._spelled: list[str] = []  # how the notes spell what has just changed
        self._shown: dict[int, tuple[str | None, str | None]] = {}
        self._told_isns: dict[int, list[int | None]] = {}
        self._told_above: dict[tuple[int, str], States] = {}
        self._asked = Agreement()  # of the packets drawn so far

    def rung(self, packet: Packet) -> None:
        """Draws one packet; it should be settled, or its receiver's state is left open."""
        if packet.time is not None and self._began is None:
            self._began = packet.time
        which, ends = packet.conversation, packet.ends
        if which is None or ends is None or packet.held is None:
            self._other(packet)
            return
        if which != self._last:
            self._head(which, ends, packet)
        self._print(self._line(packet, which))
        for isn in filter(None, self._isns(which, ends, (int(packet.sender == "server"),))):
            self._print(Styled(" " * self._layout.indent + isn))
        for text, style in self._below(packet):
            for line in wrap(text, self._layout.width - self._layout.indent):
                self._print(Styled(" " * self._layout.indent + line, style))

    def _head(self, which: int, ends: Ends, packet: Packet) -> None:
        self._last = which
        names = [ROLES[role].pick(self._lang) for role in ("client", "server")]
        left, right = address(*ends.client), address(*ends.server)
        layout, spread = self._layout, self._layout.spread
        self._print(Styled(""))
        if which or (which not in self._shown and packet.number > 1):
            self._print(Styled(spread(Text("conversation", "连接").pick(self._lang) + f" {which}", "")))
        self._print(Styled(spread(*names), "bold"))
        if layout.lead + cell_len(left) >= min(layout.right, layout.width - cell_len(right)):  # too long side by side
            self._print(Styled(spread(left, "")))
            left = ""
        self._print(Styled(spread(left, right)))
        if ends.alone is not None and which not in self._shown:
            for line in wrap(_alone(ends.alone).pick(self._lang), layout.width):
                self._print(Styled(line, "yellow"))
        isns = self._isns(which, ends)
        if any(isns):
            self._print(Styled(spread(*isns)))
        if which not in self._shown and ends.from_start and packet.held:
            start = TRANSPORT.tables["client"].starts["client"]
            other = packet.held.server if packet.sender == "client" else TRANSPORT.tables["server"].starts["server"]
            self._shown[which] = (start, other)
            self._print(Styled(spread(start, other or "")))
        self._shown.setdefault(which, (None, None))

    def _isns(self, which: int, ends: Ends, roles: tuple[int, ...] = (0, 1)) -> list[str]:
        """Returns the raw numbers that are relative 0, of the ends in question, each once in a conversation."""
        told, fresh = self._told_isns.setdefault(which, [None, None]), ["", ""]
        for at in roles:
            if ends.isns[at] not in (None, told[at]):
                told[at], fresh[at] = ends.isns[at], f"ISN {ends.isns[at]}"
        return fresh

    def _line(self, packet: Packet, which: int) -> Styled:
        assert packet.held
        forward = packet.sender == "client"
        arrived = packet.delivered
        client, server = (
            (packet.held.client, arrived and arrived.server)
            if forward
            else (arrived and arrived.client, packet.held.server)
        )
        shown = self._shown.get(which, (None, None))
        line = Styled()
        line.append(self._lead(packet), "dim")
        line.append(pad(client or ("?" if arrived or forward else ""), _STATE), "bold" if client != shown[0] else "")
        line.append(" ")
        line.append(
            _arrow(packet, forward, self._layout.arrow), next((_STYLES[x] for x in packet.labels if x in _STYLES), "")
        )
        line.append(" ")
        line.append(
            pad(server or ("?" if arrived or not forward else ""), _STATE), "bold" if server != shown[1] else ""
        )
        self._shown[which] = (client or shown[0], server or shown[1])
        self._spell(packet, client if client != shown[0] else None, server if server != shown[1] else None)
        line.append(" ")
        if self._layout.step:
            line.append(pad(self._steps(packet), self._layout.step), "yellow")
        proof = self._proof(packet)
        line.append(proof, {"✓": "green", "≈": "yellow"}.get(proof, "bold red"))
        line.rstrip()
        return line

    def _proof(self, packet: Packet) -> str:
        asked, before = self._asked, (self._asked.compared, len(self._asked.disagreements))
        asked.add(packet)
        if asked.compared == before[0]:
            return ""
        differing = asked.disagreements[before[1] :]
        return "≠" if any(each.deviation is None for each in differing) else "≈" if differing else "✓"

    def _steps(self, packet: Packet) -> str:
        names = [note(step).name.pick(self._lang) for step in packet.steps]
        if len(names) > 1 and len({name.rsplit(" ", 1)[0] for name in names}) == 1:
            numbers_ = [name.rsplit(" ", 1)[1] for name in names]
            joined = "+".join(numbers_) if len(names) == 2 else f"{numbers_[0]}–{numbers_[-1]}"
            return f"{names[0].rsplit(' ', 1)[0]} {joined}"
        if cell_len(" ".join(names)) > _STEP:  # what is carried says more
            top = packet.steps[-1].rpartition(".")[0]
            names = [name for name, step in zip(names, packet.steps, strict=True) if step.rpartition(".")[0] == top]
        return clip(" ".join(names), _STEP)

    def _worth_telling(self, above: Above, packet: Packet) -> bool:
        """Whether a protocol above TCP says something in this packet, or its states are others than were last told."""
        key = (packet.conversation or 0, above.protocol)
        before = self._told_above.get(key)
        self._told_above[key] = above.delivered or above.held
        spoke = any(message.protocol == above.protocol for message in packet.messages)
        return spoke or before != above.held or above.delivered not in (None, above.held)

    def _below(self, packet: Packet) -> list[tuple[str, str]]:
        """Returns what is to be said of a packet beside the arrow, each with its style: steps, words, payload."""
        lang = self._lang
        said = []
        for step in packet.steps:
            title = steps_.told(packet, step).title.pick(lang)
            own = step.startswith(TRANSPORT.name + ".")
            name = "" if self._layout.step else note(step).name.pick(lang)
            if packet.conversation is not None and (own or (packet.conversation, title) not in self._titles):
                said.append(f"{name}  {title}".lstrip())
                self._titles.add((packet.conversation, title))
            elif name:
                said.append(name)
        if said and self._spelled:
            written = " → ".join(self._spelled)
            spelling = Text(f"  [notes: {written}]", f"　[讲义：{written}]").pick(lang)
            if cell_len(said[-1] + spelling) <= self._layout.width - self._layout.indent:
                said[-1] += spelling
            else:
                said.append(spelling.strip())
        said += [brief(remark.words.pick(lang)) for remark in packet.remarks]
        said += self._messages(packet)
        said += [brief(point.pick(lang)) for point in packet.points]
        said += [_above(above, packet).pick(lang) for above in packet.above if self._worth_telling(above, packet)]
        words = [self._once(label).pick(lang) for label in packet.labels if label in LABELS]
        if packet.journal and len(packet.journal.delivered) > 1:
            words.append(Text("delivered twice", "送达了两次").pick(lang))
        if (became := fate.words(packet)) is not None:
            words.append(became.pick(lang))
        if packet.refused:
            words.append(refusal(packet.refused).pick(lang))
        for surprise in packet.surprises:
            words.append(
                Text(
                    f"surprise: the {surprise.role} {surprise.on} in {surprise.state}",
                    f"意外：{ROLES[surprise.role].zh}处于 {surprise.state} 状态，却{event(surprise.on).zh}",
                ).pick(lang)
            )
        below = [(line, "") for line in said]
        words = [word for word in words if word]
        words[:-1] = [word.rstrip(".。") for word in words[:-1]]  # each but the last goes on
        if words:
            below.append((Text("; ", "；").pick(lang).join(words), "yellow"))
        preview = _preview(packet)
        return [*below, (preview, "cyan")] if preview else below

    def _messages(self, packet: Packet) -> list[str]:
        """Returns what a protocol above TCP says in a packet, a line a message."""
        lines = []
        for message in packet.messages:
            if message.wraps and packet.messages[-1].protocol != message.protocol:
                continue  # what it carries is told below
            words = message.words.pick(self._lang)
            line = f"{TITLES[message.protocol]} {message.name}"
            lines.append(line + Text(": ", "：").pick(self._lang) + brief(words) if words else line)
        return lines

    def _once(self, label: str) -> Text:
        """Returns what is said of a label: what needs explaining is explained once, and then named.

        What comes of where was captured, and is on every other packet, is not even named again.
        """
        if label not in EXPLAINED:
            return LABELS[label]
        told, self._told = label in self._told, self._told | {label}
        if not told:
            return EXPLAINED[label]
        return Text("", "") if label in TRANSPORT.by_chance else LABELS[label]

    def _spell(self, packet: Packet, *changed: str | None) -> None:
        """Keeps how the notes spell the states that have just changed, in the order in which they did."""
        if packet.sender == "server":
            changed = changed[::-1]
        known = notes(TRANSPORT.name).states
        spellings = [known[state].notes for state in changed if state in known]
        self._spelled = [spelling for spelling in spellings if spelling]

    def _other(self, packet: Packet) -> None:
        labels = [label for label in packet.labels if label != UNREAD]
        named = innermost(packet.frame, FIELDS) if packet.frame and not labels else ""
        if not named and not packet.remarks:  # these say what it is
            labels.insert(0, UNREAD)
        words = [named] * bool(named) + [LABELS[label].pick(self._lang) for label in labels]
        said = [Text(", ", "，").pick(self._lang).join(words)] * bool(words)
        if packet.frame:
            said.append(Text(f"{packet.frame.length} bytes", f"{packet.frame.length} 字节").pick(self._lang))
        listed = Text("({})", "（{}）").pick(self._lang).format(Text("; ", "；").pick(self._lang).join(said))
        self._print(Styled(clip(self._lead(packet) + listed, self._layout.width), "dim"))
        for remark in packet.remarks:
            for line in wrap(brief(remark.words.pick(self._lang)), self._layout.width - self._layout.indent):
                self._print(Styled(" " * self._layout.indent + line, "yellow"))

    def _lead(self, packet: Packet) -> str:
        """Returns the packet's number and seconds in the columns before the states, as exactly as there is room for."""
        room = self._layout.lead - 1
        forms = [""]
        if packet.time is not None and self._began is not None:
            seconds = (packet.time - self._began) / 1e9
            exact = (3, 1, 0) if self._layout.step else (2, 1, 0)
            forms = [*(f"{seconds:.{digits}f}" for digits in exact), f"{seconds:.0e}", ""]
        for form in forms:
            lead = f"{packet.number:>3} {form:>{room - 5 if self._layout.step else room - 4}}"
            if len(lead) > room:
                lead = f"{packet.number} {form}"
            if len(lead) <= room:
                break
        return pad(clip(lead.rstrip() if len(lead) > room else lead, room), self._layout.lead)

    def _print(self, text: Styled) -> None:
        text.rstrip()
        if self._console.color_system is None:  # just text, over which rich would take ten times as long
            self._console.file.write(text.plain + "\n")
        else:
            self._console.print(text, soft_wrap=True)

    def summary(
        self, conversations: Sequence[ConversationReport], agreement: Agreement, gone: Mapping[str, int] = _NONE_GONE
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
            for same in _grouped(which.steps):
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
        beside = self._layout.width - used >= _LEAST_SAID
        used = used if beside else 4
        for at, text in enumerate(wrap(said, self._layout.width - used)):
            line.append(("\n" + " " * used if at or not beside else "") + text)
        self._print(line)

    def _count(self, conversations: Sequence[ConversationReport], gone: Mapping[str, int]) -> None:
        counted = dict(gone)
        for which in conversations:
            state = which.facts["conn_state"]
            counted[state] = counted.get(state, 0) + 1
        listed = ", ".join(f"{state} {number}" for state, number in sorted(counted.items(), key=lambda each: -each[1]))
        self._print(Styled(""))
        count = len(conversations) + sum(gone.values())
        said = Text(
            f"{count} conversations in all, by Zeek's conn_state: {listed}",
            f"共 {count} 个连接，按 Zeek 的 conn_state：{listed}",
        )
        for line in wrap(said.pick(self._lang), self._layout.width):
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
        for line in wrap(said + Text(".", "。").pick(lang), self._layout.width):
            self._print(Styled(line, "green"))
        for each in agreement.unexplained:
            kernel, role = safe(str(each.kernel)), ROLES[each.role]
            told = Text(
                f"packet {each.number}, {each.instant}: the {role.en}'s kernel says {kernel}, not {each.ours}",
                f"第 {each.number} 号包，{each.instant}：{role.zh}内核说 {kernel}，不是 {each.ours}",
            )
            self._print(Styled("≠ " + told.pick(lang), "bold red"))


def _grouped(steps: Sequence[StepReport]) -> list[list[StepReport]]:
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


def _arrow(packet: Packet, forward: bool, width: int) -> str:
    """Returns the arrow with as much text on it as there is room for; one that was lost ends in a cross.

    One of which nobody knows ends in a question mark.
    """
    kind = "+".join(label for label in packet.labels if label in TRANSPORT.kinds) or packet.labels[0]
    short = kind
    if packet.messages:
        top = packet.messages[-1].protocol  # what is carried says more than what carries it
        names = [message.name for message in packet.messages if message.protocol == top]
        several, short = f"{TITLES[top]} ×{len(names)}", TITLES[top]
        kind = "+".join(names) if cell_len("+".join(names)) <= width - 10 else names[0] if len(names) == 1 else several
    size = f" {packet.payload}B" if packet.payload else ""
    ack = f" ack={packet.ack}" if packet.ack is not None else ""
    mark = {"lost": "✗", "unknown": "?"}.get(packet.fate, "")
    short_of = 0 if not mark else 4 if width >= _ROOMY else 1  # columns that it does not reach
    room = width - 4 - short_of
    for text in (
        f"{kind}{size} seq={packet.seq}{ack}",
        f"{kind}{size} seq={packet.seq}",
        f"{kind}{size}",
        kind,
        f"{short}{size}",
        clip(short, room),
    ):
        if cell_len(text) <= room:
            break
    line = "─" * (room - cell_len(text))
    if forward:
        return f"─ {text} {line}" + (mark + " " * short_of if mark else "▶")
    return (" " * short_of + mark if mark else "◀") + f"{line} {text} ─"


def _above(above: Above, packet: Packet) -> Text:
    """Returns the states above the transport, as its own: the sender's when held, the receiver's when delivered."""
    forward = packet.sender == "client"
    sender, receiver = (0, 1) if forward else (1, 0)
    left = above.held[sender] or "?"
    arrived = (above.delivered[receiver] or "?") if above.delivered else "…"
    shown = f"{left} ▶ {arrived}" if forward else f"{arrived} ◀ {left}"
    name = TITLES[above.protocol]
    return Text(f"{name} states: {shown}", f"{name} 状态：{shown}")


def _preview(packet: Packet) -> str:
    """Returns the beginning of the payload where it is text, and nothing else says what it is."""
    frame = packet.whole or packet.frame
    if frame is None or not packet.payload or packet.messages:
        return ""
    data = frame.data[packet.payload_at : packet.payload_at + min(packet.payload, _PREVIEW)]
    text = data.decode("utf-8", "replace")
    if sum(char == "\ufffd" or not (char.isprintable() or char in "\r\n\t") for char in text) > len(text) // 8:
        return ""
    return f'"{safe(text)}{"…" if packet.payload > _PREVIEW else ""}"'


def _alone(role: Role) -> Text:
    """Says that nothing of the other end is in the capture."""
    mine, other = ROLES[role], ROLES["server" if role == "client" else "client"]
    return Text(
        f"Only the {mine.en}'s packets are in this capture: of the {other.en} there is what these acknowledge, and its "
        "states are inferred from that or not known.",
        f"抓包中只有{mine.zh}一方的包：关于{other.zh}，只能看到这些包确认了什么，其状态据此推断，或者不得而知。",
    )
