"""The ladder: a packet for each packet, the sender's state when it left, the receiver's when it had arrived.

    number seconds  client       ── what it is ──────────▶  server        step  proof

As wide as the terminal, between 60 and 140 columns, and 80 where there is none; in less than 80 a step's name stands
below its arrow. A state is bright where it has just changed. The proof is ✓ where both kernels
said the same as the table, ≈ where a known and numbered deviation explains the difference, ≠ where nothing does, and
nothing where none was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import NamedTuple

from rich.console import Console

from lab.dissect.fields import innermost
from lab.model import Above, ConversationReport, Ends, Packet, States
from lab.protocols.notes import note
from lab.protocols.registry import TRANSPORT, UNREAD
from lab.protocols.transport import FIELDS
from lab.render import parts
from lab.render.columns import NARROWEST, STATE, WIDEST, layout
from lab.render.outcome import Outcome
from lab.render.paint import Paint
from lab.render.words import (
    EXPLAINED,
    LABELS,
    TITLES,
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
from lab.text import ROLES, Lang, Text

_PROOFS = {"✓": "green", "≈": "yellow", "≠": "bold red"}
_OWN_STEPS = TRANSPORT.name + "."
_NONE_GONE: Mapping[str, int] = {}


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

    def __copy__(self) -> _Drawn:
        other = _Drawn()
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        other.above = None if self.above is None else dict(self.above)
        return other


class _AllDrawn(dict[int, _Drawn]):
    """What has been drawn, by conversation."""

    def __missing__(self, which: int) -> _Drawn:
        drawn = self[which] = _Drawn()
        return drawn


class _Sketched(dict[int, _Drawn]):
    """What would have been drawn; of `drawn`, which stays as it is, it has copies."""

    def __init__(self, drawn: _AllDrawn, skipped: bool) -> None:
        super().__init__()
        self._drawn = drawn
        self._skipped = skipped

    def __missing__(self, which: int) -> _Drawn:
        drawn = self[which] = copy(self._drawn[which]) if which in self._drawn else _Drawn()
        drawn.begun = drawn.begun or self._skipped
        return drawn


class _Cell(NamedTuple):
    """A state, painted: as wide as its column, and without anything behind it."""

    padded: str
    alone: str


class Ladder:
    """Draws on a console, a packet at a time, in the order of the packets."""

    def __init__(self, console: Console, lang: Lang) -> None:
        self._console = console
        self._write = console.file.write
        self._paint = Paint(console)
        self._lang: Lang = lang
        self.fit()
        self._dim = self._paint.codes("dim")
        self._cells: dict[tuple[str, str], _Cell] = {}
        self._began: int | None = None
        self._last: int | None = None  # the conversation drawn last
        self._told: frozenset[str] = frozenset()  # labels that have been explained
        self._drawn: _AllDrawn | _Sketched = _AllDrawn()
        self._under_way = False  # the packet that is drawn: its fate is not known yet, but will be
        self._asked = Agreement()  # of the packets drawn so far

    def fit(self) -> None:
        """Takes the width that the console has now."""
        self._layout = layout(columns(self._console, NARROWEST, WIDEST))
        names = ROLES["client"].pick(self._lang), ROLES["server"].pick(self._lang)
        self._names = self._paint.line(self._layout.spread(*names), "bold")

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

    def sketch(self, packets: Sequence[tuple[Packet, bool]], from_here: int = 0, skipped: bool = False) -> list[str]:
        """Returns what would be drawn of each of the next packets as they are now; none of it counts as drawn.

        The fate of those that are not `settled` is left open, and not called unknown. Whoever shows only those
        `from_here` on gets names above the first of them; there may be others before all of these, which are `skipped`.
        """
        other = copy(self)
        assert isinstance(self._drawn, _AllDrawn)
        other._drawn, other._asked = _Sketched(self._drawn, skipped), Agreement()
        drawn = []
        for at, (packet, settled) in enumerate(packets):
            other._under_way = not settled
            if at == from_here:
                other._last = None
            drawn.append(other.lines(packet))
        return drawn

    def lines(self, packet: Packet) -> str:
        """Returns what is drawn of one packet, the next one: its rung, and what stands above and below."""
        if packet.time is not None and self._began is None:
            self._began = packet.time
        which, ends = packet.conversation, packet.ends
        if which is None or ends is None or packet.held is None:
            return self._other(packet)
        drawn = self._drawn[which]
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
        spread, line = self._layout.spread, self._paint.line
        lines = ["\n"]
        if which or (not drawn.begun and packet.number > 1):
            lines.append(line(spread(Text("conversation", "连接").pick(self._lang) + f" {which}", "")))
        lines += (self._names, parts.addresses(self._layout, ends.client, ends.server))
        if ends.alone is not None and not drawn.begun:
            said = parts.alone(ends.alone).pick(self._lang)
            lines += [line(each, "yellow") for each in wrap(said, self._layout.width)]
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
        left_cell = self._cell(client or ("?" if arrived or forward else ""), left)
        right_cell = self._cell(server or ("?" if arrived or not forward else ""), right)
        begin, end = self._dim
        lead = f"{begin}{self._lead(packet)}{end}{left_cell.padded} "
        arrow = parts.arrow(packet, forward, layout.arrow, self._under_way)
        style = "dim" if self._under_way else parts.kind(packet.labels)[1]
        proof = self._proof(packet)
        step = parts.steps(packet.steps, self._lang) if layout.step and packet.steps else ""
        paint = self._paint
        if proof:
            step = paint(pad(step, layout.step), "yellow") + paint(proof, _PROOFS[proof])
            rung = f"{lead}{paint(arrow, style)} {right_cell.padded} {step}\n"
        elif step:
            rung = f"{lead}{paint(arrow, style)} {right_cell.padded} {paint(step, 'yellow')}\n"
        elif right_cell.alone:
            rung = f"{lead}{paint(arrow, style)} {right_cell.alone}\n"
        else:
            rung = f"{lead}{paint(arrow.rstrip(), style)}\n"
        return rung, changed

    def _cell(self, state: str, style: str) -> _Cell:
        """Returns a state as it is written in its column."""
        cell = self._cells.get((state, style))
        if cell is None:
            padded = self._paint(pad(state, STATE), style)
            cell = self._cells[state, style] = _Cell(padded, self._paint(state, style))
        return cell

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
                said.append(parts.above(above, packet).pick(lang))
        below = [(line, "") for line in said]
        if words := self._words(packet):
            words[:-1] = [word.rstrip(".。") for word in words[:-1]]  # each but the last goes on
            below.append((Text("; ", "；").pick(lang).join(words), "yellow"))
        if packet.payload and not packet.messages and (preview := parts.preview(packet)):
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
        if said and changed and (spelled := parts.spelled(tuple(changed))):
            spelling = Text(f"  [notes: {spelled}]", f"　[讲义：{spelled}]").pick(lang)
            if cells(said[-1] + spelling) <= layout.width - layout.indent:
                said[-1] += spelling
            else:
                said.append(spelling.strip())
        return said

    def _words(self, packet: Packet) -> list[str]:
        """Returns what is said of its labels and of its fate."""
        labels = parts.worded(packet.labels)
        if not labels and packet.fate == "arrived" and not (packet.journal or packet.verdict or packet.surprises):
            return []
        lang = self._lang
        words = [self._once(label).pick(lang) for label in labels]
        if packet.journal and len(packet.journal.delivered) > 1:
            words.append(Text("delivered twice", "送达了两次").pick(lang))
        if packet.fate != "arrived" and not self._under_way and (became := fate.words(packet)) is not None:
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
        layout = self._layout
        room = layout.lead - 1
        for form in self._seconds(packet.time):
            lead = f"{packet.number:>3} {form:>{room - 5 if layout.step else room - 4}}"
            if len(lead) > room:
                lead = f"{packet.number} {form}"
            if len(lead) <= room:
                return lead.ljust(layout.lead)
        return pad(clip(lead.rstrip(), room), layout.lead)

    def _seconds(self, time: int | None) -> Iterator[str]:
        """Yields the seconds since the first packet, ever less exactly."""
        if time is not None and self._began is not None:
            seconds = (time - self._began) / 1e9
            yield f"{seconds:.3f}" if self._layout.step else f"{seconds:.2f}"
            yield f"{seconds:.1f}"
            yield f"{seconds:.0f}"
            yield f"{seconds:.0e}"
        yield ""


def _isns(drawn: _Drawn, ends: Ends, of: tuple[int, ...]) -> list[str]:
    """Returns the raw numbers that are relative 0, of the ends in question, each once in a conversation."""
    told, fresh = list(drawn.isns), ["", ""]
    for at in of:
        if ends.isns[at] not in (None, told[at]):
            told[at], fresh[at] = ends.isns[at], f"ISN {ends.isns[at]}"
    drawn.isns = told[0], told[1]
    return fresh
