"""Where the records of a protocol lie in a stretch: found by hopping from header to header."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from lab.bulk.chunk import Chunk
from lab.engine.conversation import Seen
from lab.engine.layers import Skim
from lab.engine.protocol import Piece
from lab.model import Role

_HEADER = 5  # bytes that tell a record's size


class Completes(NamedTuple):
    """A segment that completes records: which of its direction, the number behind the last of them, and how many."""

    segment: int
    stop: int
    records: int


class Way(NamedTuple):
    """One direction in a stretch: its segments with data, and the records that end in them."""

    role: Role
    places: list[int]  # of the segments, in the chunk
    start: int  # relative number of the first; each of the others goes on where the one before it stops
    stops: list[int]
    ends: list[Completes]
    bounds: list[tuple[int, int]] | None  # where asked for, each record: the number behind it, and the place

    def begin(self, index: int) -> int:
        """Returns the relative number of a segment."""
        return self.stops[index - 1] if index else self.start


class Skimmed(NamedTuple):
    """What is passed by in a stretch, up to before `end`: which segments complete a record."""

    end: int
    whole: set[int]
    ways: tuple[Way, Way]


def skimmed(
    chunk: Chunk, skim: Skim, at: int, end: int, roles: tuple[Role, Role], off: tuple[int, int],
    most: int | None = None,
) -> Skimmed:  # fmt: skip
    """Returns how far into a stretch everything may be passed by. `roles` and `off` are of the chunk's two sides.

    With `most`, each record is told by itself, and no segment is passed by that completes more of them.
    """
    limit, ways = end, list[Way]()
    for side in (0, 1):
        places = chunk.data[side].among(at, end)
        listed = places.tolist()
        start = chunk.one.seq[listed[0]] + off[side] if listed else 0
        stops = (chunk.found.reach[places] + off[side]).tolist() if listed else []
        ways.append(Way(roles[side], listed, start, stops, [], None if most is None else []))
        limit = min(limit, _hop(chunk, skim, ways[side], end, most) if listed else end)
    for way in ways if limit < end else ():
        while way.ends and way.places[way.ends[-1].segment] >= limit:
            way.ends.pop()
    whole = {way.places[index] for way in ways for index, _, _ in way.ends}
    return Skimmed(limit, whole, (ways[0], ways[1]))


def _hop(chunk: Chunk, skim: Skim, way: Way, end: int, most: int | None) -> int:
    """Finds the records of a direction; returns the place of the segment with the first that may not be passed by."""
    if not skim.way.stands(way.role, way.start):
        return way.places[0]
    at, index, stop = skim.way.begins(way.role), 0, way.stops[-1]
    if at > way.start:
        index = _ended(way, at, 0)
        if index < 0:
            return end
    while at < stop:
        index = bisect_right(way.stops, at, index)
        head = _read(chunk, way, at, index)
        if len(head) < _HEADER:
            return end
        size = skim.way.size(head)
        if size is None:
            return way.places[index]
        at += size
        index = _ended(way, at, index)
        if index < 0:
            return end
        if most is not None and way.ends[-1].records > most:
            return way.places[index]
    return end


def _ended(way: Way, at: int, index: int) -> int:
    """Takes down a record that ends before `at`, returns the segment that completes it; -1 where none does."""
    index = bisect_left(way.stops, at, index)
    if index == len(way.stops):
        return -1
    count = 1
    if way.ends and way.ends[-1].segment == index:  # there may be very many in one
        count += way.ends.pop().records
    way.ends.append(Completes(index, at, count))
    if way.bounds is not None:
        way.bounds.append((at, way.places[index]))
    return index


def _read(chunk: Chunk, way: Way, at: int, index: int) -> bytes:
    """Reads a header, which may lie in several segments."""
    found = chunk.payload(way.places[index], at - way.begin(index), _HEADER)
    while len(found) < _HEADER and index + 1 < len(way.places):
        index += 1
        found += chunk.payload(way.places[index], 0, _HEADER - len(found))
    return found


def skip(chunk: Chunk, skim: Skim, found: Skimmed) -> None:
    """Takes both directions to where they stand behind what is passed by."""
    one = chunk.one
    for way in found.ways:
        if not way.places or way.places[0] >= found.end:
            continue
        begin = way.ends[-1].stop if way.ends else None
        first, rest = bisect_right(way.stops, begin or 0), list[Piece]()
        for index, place in enumerate(way.places[first:], first):
            if place >= found.end:
                break
            start = way.begin(index)
            ahead = max((begin or start) - start, 0)
            text = chunk.payload(place, ahead, one.payload[place])
            seq = one.seq_raw[place] + ahead & 0xFFFFFFFF
            rest.append(Piece(None, seq, start + ahead, text, one.number[place], one.start[place] + ahead))
        skim.way.skip(way.role, begin, sum(count for _, _, count in way.ends), rest)


def seen(chunk: Chunk, skim: Skim, found: Skimmed) -> list[Seen]:
    """Returns the steps that are seen in what is passed by."""
    listed: dict[int, Seen] = {}
    for way in found.ways:
        step = skim.steps[way.role]
        for index, _, _ in way.ends if step is not None else ():
            place, start, stop = way.places[index], way.begin(index), way.stops[index]
            listed[place] = Seen(str(step), chunk.one.number[place], way.role, start, stop, stop - start)
    return [listed[place] for place in sorted(listed)]
