"""A file goes through the engine, which passes by whatever is as predicted.

Those packets that the engine has to see come one by one, in order, as from any other source. At the beginning of each
stretch of others it is asked whether it stands where the prediction says; then it is taken to the end of the stretch,
and what is to be said of the segments in it is kept for their rows. Where it does not stand there it sees the next
segment too, and is asked again behind it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from lab.bulk import record_lines, skimming
from lab.bulk.chunk import Chunk, Turn
from lab.bulk.headers import UNFINISHED
from lab.bulk.prediction import labels
from lab.bulk.scan import Array
from lab.engine.layers import Skim
from lab.engine.lookahead import WITHIN, Lookahead
from lab.engine.path import Mine, Path
from lab.engine.protocol import Piece
from lab.model import Frame, Role, States
from lab.protocols.transport import LEAST_LARGE, arrive, closing, follow, left, may_begin, may_skip, skip

_FARTHEST = 60_000  # packets between one whose fate is open and the end of a stretch
_MOST_REFUSED = 64  # segments that are seen before the engine is asked again, at most
_MOST_KNOWN = 2 * WITHIN  # packets that are kept ahead of their turn
_LEAST = 3  # segments in a stretch that are worth it


Whole = tuple[set[int], str, dict[Role, str | None]]  # which segments complete a message, its name, each end's step


_Later = tuple[int, int, int, int]  # a turn, and how often its stretch has been refused; -1 of what is only seen


class Passed(NamedTuple):
    """Segments that the engine has passed by: where they stand in a chunk, and what their rows need."""

    of: Chunk
    places: Array
    conversation: int
    states: States
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


class _Stands(NamedTuple):
    """Where a conversation stands that has a stretch before it."""

    which: Any
    first: Any  # the end that sends the first segment of it
    skim: Skim | None  # how messages are passed by, where it carries any


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
            self.last = chunk.first + len(chunk.packets) - 1
            yield from self._through(chunk)
            self._known.clear()
            self._chunk = chunk = None  # before the next one is made
        self.position = self._size

    def _through(self, chunk: Chunk) -> Iterator[tuple[Frame, Any]]:
        later: list[_Later] = []
        again, ends = self._again, chunk.found.ends.tolist()
        for place, stretch, at, refused in _in_turn(chunk.turns(), later):
            if stretch >= 0 and refused >= 0:
                end = ends[stretch]
                stands = self._stands(chunk, at) if end - at >= _LEAST else None
                passed, open_ = self._passes(chunk, stretch, at, end, stands) if stands is not None else (at, ())
                if passed > at:
                    for each in open_:
                        heapq.heappush(later, (chunk.one.place[each], stretch, each, -1))
                    if passed < end:
                        heapq.heappush(later, (chunk.one.place[passed], stretch, passed, 0))
                    continue
                _refused(chunk, stretch, at, end, 0 if stands is None else refused + 1, later)
            seen = self._left(chunk, at) if at in self._open else self._one(chunk, place)
            if seen is not None:
                yield seen
            while again:
                yield again.popleft()

    def _one(self, chunk: Chunk, place: int) -> tuple[Frame, Any] | None:
        """Returns a packet, None of one that is not to be seen."""
        if self._taken and (number := chunk.first + place) in self._taken:
            self._taken.discard(number)
            return None
        known = self._known.pop(place, None) or chunk.read(place)
        if len(self._known) > _MOST_KNOWN:  # passed by
            self._known = {each: known for each, known in self._known.items() if each > place}
        if self._chosen is not None and not chunk.packets.usual[place] and self._chosen(known[0]) is False:
            return None
        self.position = chunk.offset[place]
        return known

    def _left(self, chunk: Chunk, at: int) -> tuple[Frame, Any]:
        """Returns a segment that has been passed by but for what becomes of it."""
        which, ends, off, whole = self._open.pop(at)
        one, (frame, segment) = chunk.one, chunk.without_bytes(at)
        back = one.back[at]
        end = ends[back]
        large = segment.payload > LEAST_LARGE and segment.payload > end.peer.limit
        called = labels(one.kind[at], one.problem[at] == UNFINISHED, large)
        completes = whole is not None and at in whole[0]
        if whole is not None and completes:
            called += (whole[1],)
        record = left(which, end, frame, segment, called, one.seq[at] + off[back], one.ack[at] + off[not back])
        if whole is not None and completes and (step := whole[2][end.role]) is not None:
            record.steps = (step,)
        return frame, record

    def _stands(self, chunk: Chunk, at: int) -> _Stands | None:
        """Returns where the conversation of a segment stands, None where nothing of it may be passed by."""
        path = self._path
        path.reach(chunk.one.number[at])
        known = path.of(chunk.pair(at))
        if known is None or not may_begin(*known):
            return None
        idle = path.layers.idle(known[0])
        skim = None if idle else path.layers.skim(known[0])
        return _Stands(*known, skim) if idle or skim is not None else None

    def _passes(self, chunk: Chunk, number: int, at: int, end: int, stands: _Stands) -> tuple[int, Sequence[int]]:
        """Takes the engine from a segment of a stretch to before another, or not so far; returns how far, and which of
        them are left open.
        """
        one, path, layers = chunk.one, self._path, self._path.layers
        which, first, skim = stands
        open_ = bool(chunk.found.open[number]) or _overdue(which) or closing(first)
        if skim is not None and self._most is not None and (open_ or not skim.settled):
            return at, ()  # what its messages become is told, too
        back = one.back[at]
        off = (first.next - one.reach[one.before[at]], first.peer.next - one.reach[one.theirs[at]])
        ends = (first, first.peer)
        if back:
            off, ends = off[::-1], ends[::-1]
        skimmed = None
        if skim is None:
            end = chunk.unclear(at, end)
        else:
            skimmed = skimming.skimmed(chunk, skim, at, end, (ends[0].role, ends[1].role), off, self._most)
            end = skimmed.end
        if end - at < _LEAST:
            return at, ()
        stretch = chunk.stretch(at, end)
        oldest = min((each.pending[0].number for each in which.ends if each.pending), default=stretch.last)
        if stretch.last - oldest > _FARTHEST or not may_skip(first, stretch):
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
            whole = (whole[0].difference(places), *whole[1:]) if whole is not None else None
            most, client = (ends[0].peer.limit, ends[1].peer.limit), ends[1].role == "client"
            self._passed(
                Passed(chunk, _without(at, end, places), which.id, which.states, client, off, most, whole, lines)
            )
        if got:
            path.arrived(got)
        if not open_:
            arrive(first, stretch)
        for end_ in (first, first.peer) if skim is None else ():
            if end_.holes:
                this = back if end_ is first else not back
                layers.keep(which, _pieces(chunk, at, end, this, end_, off[this]))
        if skim is not None and skimmed is not None:
            skimming.skip(chunk, skim, skimmed)
            layers.skimmed(which, skim, stretch.size, skimming.seen(chunk, skim, skimmed))
        return end, places

    def behind(self, number: int, within: int = WITHIN, pairs: Collection[bytes] = ()) -> Iterator[tuple[Frame, Any]]:
        """Yields the packets behind packet `number`, up to `within` further on, in order: they are still to come."""
        chunk = self._chunk
        assert chunk is not None
        place = number - chunk.first
        yield from (each for each in self._again if each[0].number > number)
        for each in chunk.behind(place, within, bool(pairs)):
            if chunk.first + each in self._taken:
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


def _in_turn(turns: list[Turn], later: list[_Later]) -> Iterator[_Later]:
    """Yields turns one by one, and what comes later meanwhile, where it stands."""
    for place, stretch, at in turns:
        while later and later[0][0] < place:
            yield heapq.heappop(later)
        yield place, stretch, at, 0
    while later:
        yield heapq.heappop(later)


def _refused(chunk: Chunk, stretch: int, at: int, end: int, refused: int, later: list[_Later]) -> None:
    """Has the engine see some more segments of a stretch, and asks it again then: after ever more of them, where it
    takes more than to see how a conversation stands.
    """
    stop = min(at + min(1 << max(refused - 1, 0), _MOST_REFUSED), end)
    for each in range(at + 1, stop):
        heapq.heappush(later, (chunk.one.place[each], stretch, each, -1))
    if stop < end and chunk.one.place[stop] < chunk.size:
        heapq.heappush(later, (chunk.one.place[stop], stretch, stop, min(refused, 6)))


def _without(at: int, end: int, places: Sequence[int]) -> Array:
    """Returns all places from `at` to before `end` but for some."""
    if not places:
        return np.arange(at, end)
    which = np.ones(end - at, bool)
    which[np.array(places) - at] = False
    return np.flatnonzero(which) + at


def _overdue(which: Any) -> bool:
    """Whether something was captured behind its acknowledgement: nobody knows which packet lets it arrive."""
    for end in which.ends:
        heard = end.heard
        for each in end.pending:
            if each.new and each.stop <= heard:
                return True
    return False


def _pieces(chunk: Chunk, at: int, stop: int, back: int, end: Any, off: int) -> Iterator[Piece]:
    """Yields what one side's segments carry."""
    one = chunk.one
    for each in chunk.data[back].among(at, stop).tolist():
        data = chunk.payload(each, 0, one.payload[each])
        yield Piece(end, one.seq_raw[each], one.seq[each] + off, data, one.number[each], one.start[each])


def _nothing(_frame: Frame) -> None:
    return None
