"""The ladder of a large file, drawn by two processes, half of its conversations each; the rungs are put in order again.

What is drawn of a packet depends in four things on those of the other half. Above a rung stands whose it is where one
of another conversation is drawn above it: each half sees all packets, and so knows where one of the other's stands
between two of its own. Seconds are counted from the first packet of all. Conversations are numbered, and counted below
the ladder, when both halves are put together. And a label is explained once: where a half would explain one for the
first time, it draws the rung for both cases.

What comes out is to the byte what one process would have drawn, but for what follows from when a packet is drawn. Each
half has room of its own for what waits, so fewer packets are given up. And as nothing waits for the other half, it may
be said that only one end of a connection was captured where the other appears more than 256 packets later. And where
an ICMP error was captured before all of the connection that it quotes, conversations are counted without it.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
from array import array
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lab.bulk import pipe
from lab.bulk.two_processes import END, OURS, PACKETS_END, Other, is_ours, others, second
from lab.capture.reader import Capture, open_capture
from lab.engine.path import Mine
from lab.model import Differs, Frame, StepReport
from lab.protocols.transport import Segment, segment
from lab.render.encoding import encoded
from lab.render.ladder import Drawing, Ladder
from lab.render.outcome import MOST_SUMMARIES
from lab.render.parts import PREVIEW
from lab.render.rows import AT_ONCE, together
from lab.runs.recorded import Recorded
from lab.runs.run import Run
from lab.text import Text

_TRIMMED = 4096  # packets that are no longer between any two
_OVERHEAD = 250  # bytes of a rung beside its text


class Rung(NamedTuple):
    """A packet as one half draws it, and for each of the labels that are explained there without it."""

    number: int
    drawing: Drawing
    fresh: Sequence[str] = ()  # labels that are explained with it
    otherwise: Sequence[str] = ()  # its rung where some of these have been: their bits are one more than its place


class SummedUp(NamedTuple):
    """As much of a conversation's report as stands below a ladder."""

    id: int
    first: int  # the number of its first packet
    steps: tuple[StepReport, ...]


class Ended(NamedTuple):
    """What a half tells when it is over."""

    first: Sequence[SummedUp]
    states: Mapping[str, int]  # how many conversations there were of each conn_state
    evicted: int


class _Half:
    """Says which frames are of a half, and where others stand between them that another conversation is drawn for."""

    def __init__(self, mine: Mine) -> None:
        self._mine = mine
        self._others: list[int] = []  # packets: of those between two of ours, one
        self._newest = 0
        self._since = True  # whether one of ours has come since the last of these
        self.began: int | None = None  # the time of the first packet of all that has one

    def __call__(self, frame: Frame) -> bool | None:
        if self.began is None:
            self.began = frame.time
        found, number = self._mine(frame), frame.number
        if found is not False:
            self._since = True
        elif (self._since or number < self._newest) and isinstance(segment(frame), Segment):
            insort(self._others, number)
            if number >= self._newest:  # else it came in fragments: one of ours may stand behind it
                self._since = False
        self._newest = max(self._newest, number)
        return found

    def between(self, before: int, number: int) -> bool:
        """Whether one of the others stands between two packets of ours, which are asked for in order."""
        at = bisect_left(self._others, before)
        found = at < len(self._others) and self._others[at] < number
        if at > _TRIMMED:
            del self._others[:at]
        return found


class Half:
    """Draws one half."""

    def __init__(self, capture: Capture, ladder: Ladder, keylog: bytes, mine: Mine) -> None:
        self._half = _Half(mine)
        self._ladder = ladder
        self.run = Run(Recorded(capture), keylog=keylog, mine=self._half, words=True, beginning=PREVIEW, kept=0)

    def rungs(self) -> Iterator[Rung]:
        """Yields the rungs of its packets."""
        half, ladder, last = self._half, self._ladder, 0
        for packet in self.run.packets():
            if not last:
                ladder.begins(half.began)
            if half.between(last, packet.number):
                ladder.interrupted()
            last = packet.number
            fresh, drawings = ladder.drawings(packet)
            if fresh:
                yield Rung(last, drawings[0], fresh, [each.rung for each in drawings[1:]])
            else:
                yield Rung(last, drawings[0])

    def ended(self) -> Ended:
        """Returns what is to be said at its end."""
        first = [SummedUp(each.id, each.first, each.steps) for each in self.run.reports()[:MOST_SUMMARIES]]
        return Ended(first, self.run.states(), self.run.evicted)


class Rungs:
    """The lines of a ladder, in order, and then what is to be said below it."""

    def __init__(self, ours: Half, theirs: Other, ladder: Ladder) -> None:
        self._ours = ours
        self._theirs = theirs
        self._ladder = ladder
        self._evicted = 0
        self.shown = False  # whether there was a packet to show

    @property
    def position(self) -> int:
        """How many bytes have been read."""
        return self._ours.run.source.position

    def lines(self) -> Iterator[str]:
        """Yields the lines of each packet, together; then of all that stands below."""
        explained: set[str] = set()
        names: tuple[array[int], array[int]] = array("I"), array("I")
        count = 0
        for _, half, rung in self._in_order():
            self.shown = True
            drawing = rung.drawing
            if rung.fresh:
                known = sum(1 << at for at, label in enumerate(rung.fresh) if label in explained)
                drawing = drawing._replace(rung=rung.otherwise[known - 1]) if known else drawing
                explained.update(rung.fresh)
            which = drawing.which
            if which is None:
                yield drawing.rung
                continue
            numbers = names[half]
            while which >= len(numbers):  # more than one where the first of them was numbered for what was quoted of it
                numbers.append(count)
                count += 1
            yield self._ladder.joined(drawing, numbers[which])
        yield from self._below(names)

    def complaint(self) -> Text | None:
        """Returns one line on what is wrong with the file."""
        return self._ours.run.complaint(self._evicted)

    def _in_order(self) -> Iterator[tuple[int, int, Rung]]:
        """Yields packet by packet its number, 0 for our half or 1, and its rung."""
        ours = pipe.Ahead(_together(self._ours.rungs()), _size)
        theirs = itertools.chain.from_iterable(self._theirs.packets(ours.make))
        return heapq.merge(
            ((rung.number, 0, rung) for rung in itertools.chain.from_iterable(ours)),
            ((rung.number, 1, rung) for rung in map(_decoded, theirs)),
        )

    def _below(self, names: tuple[array[int], array[int]]) -> Iterator[str]:
        ours = self._ours.ended()
        (line,) = itertools.chain.from_iterable(self._theirs.until(END))
        theirs = _ended(line)
        self._evicted = theirs.evicted
        first = [
            which._replace(id=numbers[which.id])
            for half, numbers in zip((ours, theirs), names, strict=True)
            for which in half.first
        ]
        first.sort(key=lambda which: which.id)
        states = Counter(ours.states) + Counter(theirs.states)
        yield from self._ladder.outcome(first[:MOST_SUMMARIES], self._ours.run.agreement, states)


@contextlib.contextmanager
def rungs(capture: Capture, path: str, ladder: Ladder, keylog: bytes = b"") -> Iterator[Rungs]:
    """Yields the ladder of a capture, open at `path`, drawn by two processes. Leaving it ends what was begun."""

    def work(writing: int) -> None:
        half = Half(open_capture(path), ladder, keylog, others(OURS))
        with half.run, contextlib.closing(pipe.Outlet(writing)) as out:
            for some in together(map(_encoded, half.rungs())):
                out.write("\n".join(some) + "\n")
            out.write(f"{PACKETS_END}\n{json.dumps(half.ended())}\n{END}\n")

    with second(work) as theirs:
        ours = Half(capture, ladder, keylog, is_ours)
        with ours.run:
            yield Rungs(ours, theirs, ladder)


def _together(rungs: Iterator[Rung]) -> Iterator[list[Rung]]:
    """Yields rungs, some together."""
    while some := list(itertools.islice(rungs, AT_ONCE)):
        yield some


def _size(some: list[Rung]) -> int:
    return sum(_OVERHEAD + len(rung.drawing.above) + len(rung.drawing.rung) for rung in some)


def _encoded(rung: Rung) -> str:
    """Returns a rung in a line."""
    number, drawing, fresh, otherwise = rung
    return encoded([number, *drawing, *((fresh, otherwise) if fresh else ())])


def _decoded(line: str) -> Rung:
    number, which, named, above, rung, *rest = json.loads(line)
    return Rung(number, Drawing(which, named, above, rung), *rest)


def _ended(line: str) -> Ended:
    """Returns what stands in the last line of a half."""
    first, states, evicted = json.loads(line)
    summed_up = [SummedUp(which, at, tuple(map(_step, steps))) for which, at, steps in first]
    return Ended(summed_up, states, evicted)


def _step(told: list[Any]) -> StepReport:
    step, seen, packets, differs = told
    said = None if differs is None else Differs(differs[0], Text(*differs[1]))
    return StepReport(step, seen, tuple(packets), said)
