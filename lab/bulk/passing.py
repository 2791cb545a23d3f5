"""A file goes through the engine, which passes by whatever is as predicted.

Those packets that the engine has to see come one by one, in order, as from any other source. At the beginning of each
stretch of others it is asked whether it stands where the prediction says; then it is taken to the end of the stretch,
and what is to be said of the segments in it is kept for their rows. Where it does not stand there it sees the next
segment too, and is asked again behind it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from lab.bulk import record_lines, skimming
from lab.bulk.chunk import Chunk, Turn
from lab.bulk.headers import UNFINISHED
from lab.bulk.prediction import labels
from lab.bulk.scan import Array
from lab.engine.lookahead import WITHIN, Lookahead
from lab.engine.path import Mine, Path
from lab.engine.protocol import Piece
from lab.model import Frame, Role
from lab.protocols.transport import LEAST_LARGE, arrive, follow, left, may_begin, may_skip, skip

_FARTHEST = 60_000  # packets between one whose fate is open and the end of a stretch
_MOST_REFUSED = 64  # segments that are seen before the engine is asked again, at most
_MOST_KNOWN = 2 * WITHIN  # packets that are kept ahead of their turn
_LEAST = 2  # segments in a stretch that are worth it


Whole = tuple[set[int], str, dict[Role, str | None]]  # which segments complete a message, its name, each end's step


class Passed(NamedTuple):
    """Segments that the engine has passed by: where they stand in a chunk, and what their rows need."""

    of: Chunk
    places: Array
    conversation: int
    client: bool  # whether it is the client that sends what goes `back`
    seq: tuple[int, int]  # to be added to the numbers of each side, for those of the conversation
    most: tuple[int, int]  # bytes that a segment of each side may carry
    whole: Whole | None  # where it carries messages
    lines: record_lines.Lines | None  # what JSON says of these


class _Open(NamedTuple):
    """What the segments have in common that a stretch has left open: what becomes of them the engine tells."""

    which: Any
    ends: tuple[Any, Any]  # by side
    off: tuple[int, int]
    whole: Whole | None


class Passing(Lookahead):
    """Iterates over the packets that the engine has to see."""

    def __init__(
        self, chunks: Iterator[Chunk], size: int, path: Path, mine: Mine | None,
        passed: Callable[[Passed], object] | None, in_lines: bool = False,
    ) -> None:  # fmt: skip
        super().__init__((), _nothing, mine)
        self._chunks = chunks
        self._size = size  # of the file
        self._path = path
        self._chosen = mine
        self._passed = passed
        self._most = record_lines.MOST if in_lines else None  # messages that a segment may complete
        self._chunk: Chunk | None = None
        self._again: deque[tuple[Frame, Any]] = deque()
        self._taken: set[int] = set()
        self._open: dict[int, _Open] = {}  # by place among the segments
        self._known: dict[int, tuple[Frame, Any]] = {}  # packets that have been looked at ahead of their turn
        self.position = 0  # of the file
        self.last = 0  # the number of the last packet of the file

    def __iter__(self) -> Iterator[tuple[Frame, Any]]:
        while (chunk := next(self._chunks, None)) is not None:
            self._chunk = chunk
            self.last = int(chunk.packets.number[-1])
            yield from self._through(chunk)
            self._known.clear()
            self._chunk = chunk = None  # before the next one is made
        self.position = self._size

    def _through(self, chunk: Chunk) -> Iterator[tuple[Frame, Any]]:
        turns = chunk.turns()
        later: list[tuple[int, int, int, int]] = []  # segments of stretches that the engine would not pass by
        ends, again = chunk.found.ends, self._again
        coming = iter(turns)
        turn = next(coming, None)
        while turn is not None or later:
            refused = 0
            if later and (turn is None or later[0][0] < turn.place):
                place, stretch, at, refused = heapq.heappop(later)
                now = Turn(place, stretch, at)
            else:
                assert turn is not None
                now, turn = turn, next(coming, None)
            if now.stretch >= 0 and refused >= 0:
                end = int(ends[now.stretch])
                passed, open_ = self._passes(chunk, now, end) if end - now.at >= _LEAST else (now.at, ())
                if passed > now.at:
                    for at in open_:
                        heapq.heappush(later, (int(chunk.places[at]), now.stretch, at, -1))
                    if passed < end:
                        heapq.heappush(later, (int(chunk.places[passed]), now.stretch, passed, 0))
                    continue
                self._refused(chunk, now, end, refused, later)
            if now.at in self._open:
                yield self._left(chunk, now.at)
            else:
                yield from self._one(chunk, now.place)
            while again:
                yield again.popleft()

    def _one(self, chunk: Chunk, place: int) -> Iterator[tuple[Frame, Any]]:
        number = int(chunk.packets.number[place])
        if number in self._taken:
            self._taken.discard(number)
            return
        known = self._known.pop(place) if place in self._known else None
        frame, found = known or chunk.read(place)
        if len(self._known) > _MOST_KNOWN:  # passed by
            self._known = {each: known for each, known in self._known.items() if each > place}
        if not chunk.packets.usual[place] and self._chosen is not None and self._chosen(frame) is False:
            return
        self.position = int(chunk.packets.offset[place])
        yield frame, found

    def _left(self, chunk: Chunk, at: int) -> tuple[Frame, Any]:
        """Returns a segment that has been passed by but for what becomes of it."""
        which, ends, off, whole = self._open.pop(at)
        found, back = chunk.found, bool(chunk.found.back[at])
        end, (frame, segment) = ends[back], chunk.without_bytes(at)
        large = segment.payload > LEAST_LARGE and segment.payload > end.peer.limit
        called = labels(int(found.kind[at]), bool(chunk.segments.problem[at] == UNFINISHED), large)
        seq, ack = int(found.seq[at]) + off[back], int(found.ack[at]) + off[not back]
        if whole is not None and at in whole[0]:
            called += (whole[1],)
        record = left(which, end, frame, segment, called, seq, ack)
        if whole is not None and at in whole[0] and (step := whole[2][end.role]) is not None:
            record.steps = (step,)
        return frame, record

    @staticmethod
    def _refused(chunk: Chunk, now: Turn, end: int, refused: int, later: list[tuple[int, int, int, int]]) -> None:
        """Has the engine see some more segments of a stretch, and asks it again then: after ever more of them."""
        step = min(1 << refused, _MOST_REFUSED)
        stop = min(now.at + step, end)
        for at in range(now.at + 1, stop):
            heapq.heappush(later, (int(chunk.places[at]), now.stretch, at, -1))
        if stop < end and chunk.places[stop] < chunk.size:
            heapq.heappush(later, (int(chunk.places[stop]), now.stretch, stop, min(refused + 1, 6)))

    def _passes(self, chunk: Chunk, now: Turn, end: int) -> tuple[int, Sequence[int]]:
        """Takes the engine from one segment to before another, or not so far; returns how far, and which of them are
        left open.
        """
        it, path, at = chunk.segments, self._path, now.at
        path.reach(int(it.number[at]))
        known = path.of(chunk.pair(at))
        if known is None:
            return at, ()
        which, first = known
        back = bool(chunk.found.back[at])
        own, other = int(chunk.found.before[at]), int(chunk.found.theirs[at])
        off = (first.next - int(chunk.found.reach[own]), first.peer.next - int(chunk.found.reach[other]))
        ends = (first, first.peer)
        if back:
            off, ends = off[::-1], ends[::-1]
        open_ = bool(chunk.found.open[now.stretch]) or _overdue(which)
        skim, skimmed = None, None
        if path.layers.idle(which):
            end = chunk.unclear(at, end)
        else:
            skim = path.layers.skim(which)
            if skim is None or not may_begin(which, first):
                return at, ()
            if self._most is not None and (open_ or not skim.settled):  # what its messages become is told, too
                return at, ()
            skimmed = skimming.skimmed(chunk, skim, at, end, (ends[0].role, ends[1].role), off, self._most)
            end = skimmed.end
        if end - at < _LEAST:
            return at, ()
        stretch = chunk.stretch(at, end)
        oldest = min((each.pending[0].number for each in which.ends if each.pending), default=stretch.last)
        if stretch.last - oldest > _FARTHEST or not may_skip(which, first, stretch):
            return at, ()
        places: Sequence[int] = ()
        if open_:
            followed = follow(which, first, stretch, chunk.steps(at, end, off))
            if followed is None:
                return at, ()
            got, places = followed[0], [at + each for each in followed[1]]
        else:
            got = skip(which, first, stretch)
        whole = (skimmed.whole, skim.way.name, skim.steps) if skim is not None and skimmed is not None else None
        self._open.update(dict.fromkeys(places, _Open(which, ends, off, whole)))
        if self._passed is not None and len(places) < end - at:
            lines = record_lines.lines(chunk, skim, skimmed) if skim and skimmed and self._most is not None else None
            passed = np.delete(np.arange(at, end), [each - at for each in places])
            whole = (whole[0].difference(places), *whole[1:]) if whole is not None else None
            most, client = (ends[0].peer.limit, ends[1].peer.limit), ends[1].role == "client"
            self._passed(Passed(chunk, passed, which.id, client, off, most, whole, lines))
        path.arrived(got)
        if not open_:
            arrive(first, stretch)
        for end_ in (first, first.peer) if skim is None else ():
            if end_.holes:
                this = back if end_ is first else not back
                path.layers.keep(which, _pieces(chunk, at, end, this, end_, off[this]))
        if skim is not None and skimmed is not None:
            skimming.skip(chunk, skim, skimmed)
            size = int(it.payload[at:end].sum())
            path.layers.skimmed(which, skim, size, skimming.seen(chunk, skim, skimmed))
        return end, places

    def behind(self, number: int, within: int = WITHIN, pair: bytes = b"") -> Iterator[tuple[Frame, Any]]:
        """Yields the packets behind packet `number`, up to `within` further on, in order: they are still to come."""
        chunk = self._chunk
        assert chunk is not None
        place = number - int(chunk.packets.number[0])
        yield from (each for each in self._again if each[0].number > number)
        for each in chunk.behind(place, within, bool(pair)):
            if int(chunk.packets.number[each]) in self._taken:
                continue
            known = self._known.get(each)
            if known is None:
                known = self._known[each] = chunk.read(each)
            if chunk.packets.usual[each] or self._chosen is None or self._chosen(known[0]) is not False:
                yield known

    def take(self, number: int) -> None:
        """Takes packet `number` out of those to come: it has had its turn."""
        self._taken.add(number)

    def put_back(self, frame: Frame, found: Any) -> None:
        """Makes a packet the next one: something else came first."""
        self._again.appendleft((frame, found))


def _overdue(which: Any) -> bool:
    """Whether something was captured behind its acknowledgement: nobody knows which packet lets it arrive."""
    return any(each.new and each.stop <= end.heard for end in which.ends for each in end.pending)


def _pieces(chunk: Chunk, at: int, stop: int, back: bool, end: Any, off: int) -> Iterator[Piece]:
    """Yields what one side's segments carry."""
    it = chunk.segments
    for each in range(at, stop):
        if bool(chunk.found.back[each]) == back and (size := int(it.payload[each])):
            relative = int(chunk.found.seq[each]) + off
            data = chunk.payload(each, 0, size)
            yield Piece(end, int(it.seq[each]), relative, data, int(it.number[each]), int(it.start[each]))


def _nothing(_frame: Frame) -> None:
    return None
