"""The ladder: a packet for each packet, the sender's state when it left, the receiver's when it had arrived.

    number seconds  client       ── what it is ──────────▶  server        step  proof

As wide as the terminal, between 60 and 140 columns, and 80 where there is none; in less than 80 a step's name stands
below its arrow. A state is bright where it has just changed. The proof is ✓ where both kernels
said the same as the table, ≈ where a known and numbered deviation explains the difference, ≠ where nothing does, and
nothing where none was asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from rich.console import Console

from lab.dissect.fields import innermost
from lab.model import Above, ConversationReport, Ends, Packet, Role, States
from lab.protocols.notes import note, notes
from lab.protocols.registry import TRANSPORT, UNREAD
from lab.protocols.transport import FIELDS
from lab.render.columns import NARROWEST, STATE, STEP, WIDEST, layout
from lab.render.outcome import Outcome
from lab.render.paint import Paint
from lab.render.words import (
    EXPLAINED,
    LABELS,
    TITLES,
    address,
    brief,
    cells,
    clip,
    columns,
    event,
    pad,
    refusal,
    wrap,
)
from lab.report import fate
from lab.report import steps as steps_
from lab.report.agreement import Agreement
from lab.text import ROLES, Lang, Text, safe

_ROOMY = 30  # columns of an arrow
_STYLES = {"SYN": "green", "SYN-ACK": "green", "FIN": "magenta", "RST": "bold red", "data": "cyan"}
_PROOFS = {"✓": "green", "≈": "yellow", "≠": "bold red"}
_MARKS = {"lost": "✗", "unknown": "?"}
_PREVIEW = 48  # bytes of payload shown
_NONE_GONE: Mapping[str, int] = {}
_LINE = "─" * WIDEST


class _Drawn:
    """What has been drawn of a conversation: it is shown, or said, once."""

    __slots__ = ("above", "begun", "client", "isns", "server", "titles")

    def __init__(self) -> None:
        self.begun = False
        self.client: str | None = None  # the states as shown last
        self.server: str | None = None
        self.isns: tuple[int | None, int | None] = (None, None)
        self.titles: tuple[str, ...] = ()  # of the steps
        self.above: dict[str, States] | None = None  # the states as told last, by protocol


class Ladder:
    """Draws on a console, a packet at a time, in the order of the packets."""

    def __init__(self, console: Console, lang: Lang) -> None:
        self._write = console.file.write
        self._paint = Paint(console)
        self._layout = layout(columns(console, NARROWEST, WIDEST))
        self._lang: Lang = lang
        self._names = [ROLES[role].pick(lang) for role in ("client", "server")]
        self._began: int | None = None
        self._last: int | None = None  # the conversation drawn last
        self._told: frozenset[str] = frozenset()  # labels that have been explained
        self._drawn: dict[int, _Drawn] = {}
        self._asked = Agreement()  # of the packets drawn so far

    def rung(self, packet: Packet) -> None:
        """Draws one packet; it should be settled, or its receiver's state is left open."""
        self._write(self.lines(packet))

    def summary(
        self, conversations: Sequence[ConversationReport], agreement: Agreement, gone: Mapping[str, int] = _NONE_GONE
    ) -> None:
        """Draws what became of the notes' steps, and whether the kernels agreed.

        `gone` counts the conversations that are no longer among these, by their conn_state.
        """
        outcome = Outcome(self._paint, self._lang, self._layout.width)
        self._write("".join(outcome.lines(conversations, agreement, gone)))

    def lines(self, packet: Packet) -> str:
        """Returns what is drawn of one packet, the next one: its rung, and what stands above and below."""
        if packet.time is not None and self._began is None:
            self._began = packet.time
        which, ends = packet.conversation, packet.ends
        if which is None or ends is None or packet.held is None:
            return self._other(packet)
        drawn = self._drawn.get(which)
        if drawn is None:
            drawn = self._drawn[which] = _Drawn()
        lines = self._head(which, drawn, ends, packet) if which != self._last else []
        rung, changed = self._rung(packet, drawn)
        lines.append(rung)
        line, room, indent = self._paint.line, self._layout.width - self._layout.indent, " " * self._layout.indent
        if ends.isns != drawn.isns:
            lines += [line(indent + isn) for isn in _isns(drawn, ends, (int(packet.sender == "server"),)) if isn]
        for text, style in self._below(packet, drawn, changed):
            for each in (text,) if text and cells(text) <= room else wrap(text, room):
                lines.append(line(indent + each, style))
        return "".join(lines)

    def _head(self, which: int, drawn: _Drawn, ends: Ends, packet: Packet) -> list[str]:
        self._last = which
        left, right = address(*ends.client), address(*ends.server)
        layout, spread, line = self._layout, self._layout.spread, self._paint.line
        lines = ["\n"]
        if which or (not drawn.begun and packet.number > 1):
            lines.append(line(spread(Text("conversation", "连接").pick(self._lang) + f" {which}", "")))
        lines.append(line(spread(*self._names), "bold"))
        if layout.lead + cells(left) >= min(layout.right, layout.width - cells(right)):  # too long side by side
            lines.append(line(spread(left, "")))
            left = ""
        lines.append(line(spread(left, right)))
        if ends.alone is not None and not drawn.begun:
            lines += [line(each, "yellow") for each in wrap(_alone(ends.alone).pick(self._lang), layout.width)]
        if ends.isns != drawn.isns and any(isns := _isns(drawn, ends, (0, 1))):
            lines.append(line(spread(*isns)))
        if not drawn.begun and ends.from_start and packet.held:
            start = TRANSPORT.tables["client"].starts["client"]
            other = packet.held.server if packet.sender == "client" else TRANSPORT.tables["server"].starts["server"]
            drawn.client, drawn.server = start, other
            lines.append(line(spread(start, other or "")))
        drawn.begun = True
        return lines

    def _rung(self, packet: Packet, drawn: _Drawn) -> tuple[str, list[str]]:
        """Returns the packet's own line, and the states that have just changed in the order in which they did."""
        held, arrived, layout = packet.held, packet.delivered, self._layout
        assert held
        forward = packet.sender == "client"
        if forward:
            client, server = held.client, arrived and arrived.server
        else:
            client, server = arrived and arrived.client, held.server
        changed = []
        left, right = "", ""  # styles
        if client != drawn.client:
            left = "bold"
            if client:
                drawn.client = client
                changed.append(client)
        if server != drawn.server:
            right = "bold"
            if server:
                drawn.server = server
                changed.insert(len(changed) if forward else 0, server)
        proof = self._proof(packet)
        parts = [
            (self._lead(packet), "dim"),
            (pad(client or ("?" if arrived or forward else ""), STATE), left),
            (" ", ""),
            (_arrow(packet, forward, layout.arrow), _kind(packet.labels)[1]),
            (" ", ""),
            (pad(server or ("?" if arrived or not forward else ""), STATE), right),
            (" ", ""),
        ]
        if layout.step and (packet.steps or proof):
            parts.append((pad(_steps(packet.steps, self._lang), layout.step), "yellow"))
        if proof:
            parts.append((proof, _PROOFS[proof]))
        return self._paint.row(parts), changed

    def _proof(self, packet: Packet) -> str:
        if packet.kernel_held is None and packet.kernel_delivered is None:
            return ""
        asked, before = self._asked, (self._asked.compared, len(self._asked.disagreements))
        asked.add(packet)
        if asked.compared == before[0]:
            return ""
        differing = asked.disagreements[before[1] :]
        return "≠" if any(each.deviation is None for each in differing) else "≈" if differing else "✓"

    def _worth_telling(self, above: Above, packet: Packet, drawn: _Drawn) -> bool:
        """Whether a protocol above TCP says something in this packet, or its states are others than were last told."""
        if drawn.above is None:
            drawn.above = {}
        before = drawn.above.get(above.protocol)
        drawn.above[above.protocol] = above.delivered or above.held
        spoke = any(message.protocol == above.protocol for message in packet.messages)
        return spoke or before != above.held or above.delivered not in (None, above.held)

    def _below(self, packet: Packet, drawn: _Drawn, changed: list[str]) -> list[tuple[str, str]]:
        """Returns what is to be said of a packet beside the arrow, each with its style: steps, words, payload."""
        lang = self._lang
        said = self._said_of_steps(packet, drawn, changed) if packet.steps else []
        said += [brief(remark.words.pick(lang)) for remark in packet.remarks]
        if packet.messages:
            said += self._messages(packet)
        said += [brief(point.pick(lang)) for point in packet.points]
        for above in packet.above:
            if self._worth_telling(above, packet, drawn):
                said.append(_above(above, packet).pick(lang))
        below = [(line, "") for line in said]
        if words := self._words(packet):
            words[:-1] = [word.rstrip(".。") for word in words[:-1]]  # each but the last goes on
            below.append((Text("; ", "；").pick(lang).join(words), "yellow"))
        if packet.payload and not packet.messages and (preview := _preview(packet)):
            below.append((preview, "cyan"))
        return below

    def _said_of_steps(self, packet: Packet, drawn: _Drawn, changed: list[str]) -> list[str]:
        lang, layout = self._lang, self._layout
        said = []
        for step in packet.steps:
            title = steps_.told(packet, step).title.pick(lang)
            name = "" if layout.step else note(step).name.pick(lang)
            if step.startswith(_OWN_STEPS) or title not in drawn.titles:
                said.append(f"{name}  {title}".lstrip())
                if title not in drawn.titles:
                    drawn.titles += (title,)
            elif name:
                said.append(name)
        if said and changed and (spelled := _spelled(tuple(changed))):
            spelling = Text(f"  [notes: {spelled}]", f"　[讲义：{spelled}]").pick(lang)
            if cells(said[-1] + spelling) <= layout.width - layout.indent:
                said[-1] += spelling
            else:
                said.append(spelling.strip())
        return said

    def _words(self, packet: Packet) -> list[str]:
        """Returns what is said of its labels and of its fate."""
        lang = self._lang
        words = [self._once(label).pick(lang) for label in _worded(packet.labels)]
        if packet.journal and len(packet.journal.delivered) > 1:
            words.append(Text("delivered twice", "送达了两次").pick(lang))
        if packet.fate != "arrived" and (became := fate.words(packet)) is not None:
            words.append(became.pick(lang))
        if packet.verdict is not None and packet.refused:
            words.append(refusal(packet.refused).pick(lang))
        for surprise in packet.surprises:
            words.append(
                Text(
                    f"surprise: the {surprise.role} {surprise.on} in {surprise.state}",
                    f"意外：{ROLES[surprise.role].zh}处于 {surprise.state} 状态，却{event(surprise.on).zh}",
                ).pick(lang)
            )
        return [word for word in words if word]

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

    def _other(self, packet: Packet) -> str:
        labels = [label for label in packet.labels if label != UNREAD]
        named = innermost(packet.frame, FIELDS) if packet.frame and not labels else ""
        if not named and not packet.remarks:  # these say what it is
            labels.insert(0, UNREAD)
        words = [named] * bool(named) + [LABELS[label].pick(self._lang) for label in labels]
        said = [Text(", ", "，").pick(self._lang).join(words)] * bool(words)
        if packet.frame:
            said.append(Text(f"{packet.frame.length} bytes", f"{packet.frame.length} 字节").pick(self._lang))
        listed = Text("({})", "（{}）").pick(self._lang).format(Text("; ", "；").pick(self._lang).join(said))
        lines = [self._paint.line(clip(self._lead(packet) + listed, self._layout.width), "dim")]
        for remark in packet.remarks:
            for line in wrap(brief(remark.words.pick(self._lang)), self._layout.width - self._layout.indent):
                lines.append(self._paint.line(" " * self._layout.indent + line, "yellow"))
        return "".join(lines)

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


_OWN_STEPS = TRANSPORT.name + "."


@lru_cache(1024)
def _kind(labels: tuple[str, ...]) -> tuple[str, str]:
    """Returns what a packet of these labels is called, and the style of its arrow."""
    kind = "+".join(label for label in labels if label in TRANSPORT.kinds) or labels[0]
    return kind, next((_STYLES[label] for label in labels if label in _STYLES), "")


@lru_cache(1024)
def _worded(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Returns those of a packet's labels that need a word."""
    return tuple(label for label in labels if label in LABELS)


@lru_cache(256)
def _steps(steps: tuple[str, ...], lang: Lang) -> str:
    """Returns the names of steps, as far as there is room for them."""
    names = [note(step).name.pick(lang) for step in steps]
    if len(names) > 1 and len({name.rsplit(" ", 1)[0] for name in names}) == 1:
        numbers = [name.rsplit(" ", 1)[1] for name in names]
        joined = "+".join(numbers) if len(names) == 2 else f"{numbers[0]}–{numbers[-1]}"
        return f"{names[0].rsplit(' ', 1)[0]} {joined}"
    if cells(" ".join(names)) > STEP:  # what is carried says more
        top = steps[-1].rpartition(".")[0]
        names = [name for name, step in zip(names, steps, strict=True) if step.rpartition(".")[0] == top]
    return clip(" ".join(names), STEP)


@lru_cache(256)
def _spelled(states: tuple[str, ...]) -> str:
    """Returns how the notes spell states, as far as they do so in their own way."""
    known = notes(TRANSPORT.name).states
    return " → ".join(spelling for state in states if state in known and (spelling := known[state].notes))


def _isns(drawn: _Drawn, ends: Ends, of: tuple[int, ...]) -> list[str]:
    """Returns the raw numbers that are relative 0, of the ends in question, each once in a conversation."""
    told, fresh = list(drawn.isns), ["", ""]
    for at in of:
        if ends.isns[at] not in (None, told[at]):
            told[at], fresh[at] = ends.isns[at], f"ISN {ends.isns[at]}"
    drawn.isns = told[0], told[1]
    return fresh


def _arrow(packet: Packet, forward: bool, width: int) -> str:
    """Returns the arrow with as much text on it as there is room for; one that was lost ends in a cross.

    One of which nobody knows ends in a question mark.
    """
    kind = short = _kind(packet.labels)[0]
    if packet.messages:
        top = packet.messages[-1].protocol  # what is carried says more than what carries it
        names = [message.name for message in packet.messages if message.protocol == top]
        several, short = f"{TITLES[top]} ×{len(names)}", TITLES[top]
        kind = "+".join(names) if cells("+".join(names)) <= width - 10 else names[0] if len(names) == 1 else several
    size = f" {packet.payload}B" if packet.payload else ""
    mark = _MARKS.get(packet.fate, "")
    short_of = 0 if not mark else 4 if width >= _ROOMY else 1  # columns that it does not reach
    room = width - 4 - short_of
    text = f"{kind}{size} seq={packet.seq}" + (f" ack={packet.ack}" if packet.ack is not None else "")
    if (taken := cells(text)) > room:
        text = _shorter(f"{kind}{size} seq={packet.seq}", f"{kind}{size}", kind, f"{short}{size}", short, room=room)
        taken = cells(text)
    line = _LINE[: room - taken]
    if forward:
        return f"─ {text} {line}{mark + ' ' * short_of if mark else '▶'}"
    return f"{' ' * short_of + mark if mark else '◀'}{line} {text} ─"


def _shorter(*texts: str, room: int) -> str:
    """Returns the first of the texts that there is room for; of the last, what there is."""
    return next((text for text in texts if cells(text) <= room), clip(texts[-1], room))


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
    if text.isprintable() and "\ufffd" not in text:
        return f'"{text}{"…" if packet.payload > _PREVIEW else ""}"'
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
