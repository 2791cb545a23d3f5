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
from itertools import islice
from typing import NamedTuple

from rich.console import Console

from lab.model import Ends, Packet
from lab.render import parts, telling
from lab.render.columns import NARROWEST, STATE, WIDEST, layout
from lab.render.outcome import Ended, Outcome
from lab.render.paint import Paint
from lab.render.telling import Drawn, Telling
from lab.render.words import brief, cells, clip, columns, pad, wrap
from lab.report.agreement import Agreement
from lab.text import ROLES, Lang, Text

_PROOFS = {"✓": "green", "≈": "yellow", "≠": "bold red"}
_SAID = {"step": "", "message": "", "remark": "yellow", "payload": "cyan"}
_MOST_TITLES = 4096  # that are kept: some conversations alternate
_MOST_DRAWN = 65_536  # conversations of which is known what has been drawn: many times as many as are followed


class _AllDrawn(dict[int, Drawn]):
    """What has been drawn, by conversation, in the order in which they began.

    Of ever so many the older half is let go of, at once: that a dict loses from its front one by one takes longer and
    longer. If one of those goes on it has begun all the same; what was said of it once may be said once more.
    """

    def __init__(self) -> None:
        super().__init__()
        self._let_go = 0  # conversations before this one

    def __missing__(self, which: int) -> Drawn:
        if len(self) >= _MOST_DRAWN:
            older = list(islice(self, _MOST_DRAWN // 2))
            self._let_go = max(self._let_go, *older) + 1
            for each in older:
                del self[each]
        drawn = self[which] = self.before(which)
        return drawn

    def before(self, which: int) -> Drawn:
        """Returns what is known to have been drawn of a conversation that is not among these."""
        drawn = Drawn()
        drawn.begun = which < self._let_go
        return drawn


class _Sketched(dict[int, Drawn]):
    """What would have been drawn; of `drawn`, which stays as it is, it has copies."""

    def __init__(self, drawn: _AllDrawn, skipped: bool) -> None:
        super().__init__()
        self._drawn = drawn
        self._skipped = skipped

    def __missing__(self, which: int) -> Drawn:
        drawn = self[which] = copy(self._drawn[which]) if which in self._drawn else self._drawn.before(which)
        drawn.begun = drawn.begun or self._skipped
        return drawn


class Drawing(NamedTuple):
    """A packet as it is drawn: what stands above it where that is needed, and its rung with what stands below."""

    which: int | None  # its conversation
    named: bool  # by its number, too, above the rest of what stands above
    above: str
    rung: str


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
        self._telling = Telling(lang)
        self.fit()
        self._dim = self._paint.codes("dim")
        self._cells: dict[tuple[str, str], _Cell] = {}
        self._began: int | None = None
        self._last: int | None = None  # the conversation drawn last
        self._drawn: _AllDrawn | _Sketched = _AllDrawn()
        self._under_way = False  # the packet that is drawn: its fate is not known yet, but will be
        self._asked = Agreement()  # of the packets drawn so far

    def fit(self) -> None:
        """Takes the width that the console has now."""
        self._titles: dict[int, str] = {}  # the lines that name conversations
        self._layout = layout(columns(self._console, NARROWEST, WIDEST))
        names = ROLES["client"].pick(self._lang), ROLES["server"].pick(self._lang)
        self._telling.named = self._layout.step > 0
        self._names = self._paint.line(self._layout.spread(*names), "bold")

    def rung(self, packet: Packet) -> None:
        """Draws one packet; it should be settled, or its receiver's state is left open."""
        self._write(self.lines(packet))

    def summary(self, conversations: Sequence[Ended], agreement: Agreement, states: Mapping[str, int]) -> None:
        """Draws what became of the notes' steps, and whether the kernels agreed.

        `states` counts all conversations by their conn_state, those too that are no longer among these.
        """
        self._write("".join(self.outcome(conversations, agreement, states)))

    def outcome(self, conversations: Sequence[Ended], agreement: Agreement, states: Mapping[str, int]) -> Iterator[str]:
        """Yields the lines of the summary instead."""
        return Outcome(self._paint, self._lang, self._layout.width).lines(conversations, agreement, states)

    def sketch(self, packets: Sequence[tuple[Packet, bool]], from_here: int = 0, skipped: bool = False) -> list[str]:
        """Returns what would be drawn of each of the next packets as they are now; none of it counts as drawn.

        The fate of those that are not `settled` is left open, and not called unknown. Whoever shows only those
        `from_here` on gets names above the first of them; there may be others before all of these, which are `skipped`.
        """
        other = self._beside(skipped)
        drawn = []
        for at, (packet, settled) in enumerate(packets):
            other._under_way = not settled
            if at == from_here:
                other._last = None
            drawn.append(other.lines(packet))
        return drawn

    def lines(self, packet: Packet) -> str:
        """Returns what is drawn of one packet, the next one: its rung, and what stands above and below."""
        drawing = self.drawing(packet)
        which, _, above, rung = drawing
        return self.joined(drawing, which or 0) if above else rung

    def joined(self, drawing: Drawing, number: int) -> str:
        """Returns the lines of a drawing whose conversation has this number."""
        _, named, above, rung = drawing
        if not above:
            return rung
        return "\n" + (self._named(number) if named or number else "") + above + rung

    def drawings(self, packet: Packet) -> tuple[list[str], list[Drawing]]:
        """Returns the labels that are explained with the next packet, and how it is drawn.

        That depends on which of these have been explained before it, where others draw too: the first drawing is for
        none of them, the second for the first of them, and so on; the bits of its place say which.
        """
        fresh = self._telling.unexplained(packet)
        others = []
        for known in range(1, 1 << len(fresh)):
            other = self._beside()
            other._telling.explained(label for at, label in enumerate(fresh) if known >> at & 1)
            others.append(other.drawing(packet))
        return fresh, [self.drawing(packet), *others]

    def begins(self, time: int | None) -> None:
        """Seconds are counted from `time` (nanoseconds since 1970), of a packet that somebody else may have drawn."""
        self._began = time

    def interrupted(self) -> None:
        """Somebody else has drawn a packet of another conversation."""
        self._last = None

    def drawing(self, packet: Packet) -> Drawing:
        """Returns how one packet is drawn, the next one."""
        if packet.time is not None and self._began is None:
            self._began = packet.time
        which, ends = packet.conversation, packet.ends
        if which is None or ends is None or packet.held is None:
            return Drawing(None, False, "", self._other(packet))
        drawn, named, above = self._drawn[which], False, ""
        if which != self._last:
            self._last = which
            named, above = bool(which or (not drawn.begun and packet.number > 1)), self._above(drawn, ends, packet)
        rung, changed = self._rung(packet, drawn)
        lines = [rung]
        line, room, indent = self._paint.line, self._layout.width - self._layout.indent, " " * self._layout.indent
        if ends.isns != drawn.isns:
            lines += [line(indent + isn) for isn in telling.isns(drawn, ends, (int(packet.sender == "server"),)) if isn]
        for text, kind in self._telling.below(packet, drawn, changed, room, self._under_way):
            for each in (text,) if text and cells(text) <= room else wrap(text, room):
                lines.append(line(indent + each, _SAID[kind]))
        return Drawing(which, named, above, "".join(lines))

    def _beside(self, skipped: bool = False) -> Ladder:
        """Returns another, that knows what has been drawn here; what it draws does not count as drawn."""
        other = copy(self)
        other._telling = copy(self._telling)
        assert isinstance(self._drawn, _AllDrawn)
        other._drawn, other._asked = _Sketched(self._drawn, skipped), Agreement()
        return other

    def _named(self, number: int) -> str:
        named = self._titles.get(number)
        if named is None:
            if len(self._titles) >= _MOST_TITLES:
                self._titles.clear()
            title = Text("conversation", "连接").pick(self._lang) + f" {number}"
            named = self._titles[number] = self._paint.line(self._layout.spread(title, ""))
        return named

    def _above(self, drawn: Drawn, ends: Ends, packet: Packet) -> str:
        spread, line = self._layout.spread, self._paint.line
        lines = [self._names, parts.addresses(self._layout, ends.client, ends.server)]
        if ends.alone is not None and not drawn.begun:
            said = parts.alone(ends.alone).pick(self._lang)
            lines += [line(each, "yellow") for each in wrap(said, self._layout.width)]
        if ends.isns != drawn.isns and any(isns := telling.isns(drawn, ends, (0, 1))):
            lines.append(line(spread(*isns)))
        if (start := telling.start(packet, ends, drawn)) is not None:
            lines.append(line(spread(start.client or "", start.server or "")))
        drawn.begun = True
        return "".join(lines)

    def _rung(self, packet: Packet, drawn: Drawn) -> tuple[str, list[str]]:
        """Returns the packet's own line, and the states that have just changed in the order in which they did."""
        layout, forward, arrived = self._layout, packet.sender == "client", packet.delivered
        client, server, client_new, server_new, changed = telling.states(packet, drawn)
        left_cell = self._cell(client or ("?" if arrived or forward else ""), "bold" if client_new else "")
        right_cell = self._cell(server or ("?" if arrived or not forward else ""), "bold" if server_new else "")
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
        before = self._asked.compared
        differing = self._asked.add(packet)
        if self._asked.compared == before:
            return ""
        return "≠" if any(each.deviation is None for each in differing) else "≈" if differing else "✓"

    def _other(self, packet: Packet) -> str:
        listed = self._telling.other(packet)
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
