"""Where the records of a protocol lie in a stretch: found by hopping from header to header."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lab.bulk.chunk import Chunk
from lab.engine.conversation import Seen
from lab.engine.layers import Skim
from lab.engine.protocol import Piece
from lab.model import Role

_HEADER = 5  # bytes that tell a record's size


class Way(NamedTuple):
    """One direction in a stretch: its segments with data, and the records that end in them."""

    role: Role
    places: list[int]  # of the segments, in the chunk
    starts: list[int]  # relative numbers
    stops: list[int]
    ends: list[tuple[int, int, int]]  # which segments complete records: the number behind the last, place, how many
    bounds: list[tuple[int, int]] | None  # where asked for, each record: the number behind it, and the place


class Skimmed(NamedTuple):
    """What is passed by in a stretch, up to before `end`: which segments complete a record."""

    end: int
    whole: set[int]
    ways: tuple[Way, Way]
    ends: tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]


def skimmed(
    chunk: Chunk, skim: Skim, at: int, end: int, roles: tuple[Role, Role], off: tuple[int, int],
    most: int | None = None,
) -> Skimmed:  # fmt: skip
    """Returns how far into a stretch everything may be passed by. `roles` and `off` are of the chunk's two sides.

    With `most`, each record is told by itself, and no segment is passed by that completes more of them.
    """
    back, data = chunk.found.back[at:end], chunk.segments.payload[at:end] > 0
    limit, ways = end, []
    for side in (0, 1):
        places = (np.flatnonzero(data & (back == side)) + at).tolist()
        starts = (chunk.found.seq[places] + off[side]).tolist()
        sizes = chunk.segments.payload[places].tolist()
        stops = [a + b for a, b in zip(starts, sizes, strict=True)]
        way = Way(roles[side], places, starts, stops, [], None if most is None else [])
        limit = min(limit, _hop(chunk, skim, way, end, most))
        ways.append(way)
    ends = tuple([each for each in way.ends if each[1] < limit] for way in ways)
    whole = {place for each in ends for _, place, _ in each}
    return Skimmed(limit, whole, (ways[0], ways[1]), (ends[0], ends[1]))


def _hop(chunk: Chunk, skim: Skim, way: Way, end: int, most: int | None) -> int:
    """Finds the records of a direction; returns the place of the segment with the first that may not be passed by."""
    if not way.places:
        return end
    if not skim.way.stands(way.role, way.starts[0]):
        return way.places[0]
    at, index, stop = skim.way.begins(way.role), 0, way.stops[-1]
    if at > way.starts[0] or at > stop:
        index = _ended(way, at, 0)
        if index < 0:
            return end
    while at < stop:
        while way.stops[index] <= at:
            index += 1
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
        if most is not None and way.ends[-1][2] > most:
            return way.places[index]
    return end


def _ended(way: Way, at: int, index: int) -> int:
    """Takes down a record that ends before `at`, returns the segment that completes it; -1 where none does."""
    while index < len(way.stops) and way.stops[index] < at:
        index += 1
    if index == len(way.stops):
        return -1
    place, count = way.places[index], 1
    if way.ends and way.ends[-1][1] == place:  # there may be very many in one
        count += way.ends.pop()[2]
    way.ends.append((at, place, count))
    if way.bounds is not None:
        way.bounds.append((at, place))
    return index


def _read(chunk: Chunk, way: Way, at: int, index: int) -> bytes:
    """Reads a header, which may lie in several segments."""
    found = b""
    while len(found) < _HEADER and index < len(way.places):
        begin = at + len(found) - way.starts[index]
        found += chunk.payload(way.places[index], begin, _HEADER - len(found))
        index += 1
    return found


def skip(chunk: Chunk, skim: Skim, found: Skimmed) -> None:
    """Takes both directions to where they stand behind what is passed by."""
    for way, ends in zip(found.ways, found.ends, strict=True):
        begin = ends[-1][0] if ends else None
        rest = []
        for place, start, stop in zip(way.places, way.starts, way.stops, strict=True):
            if place >= found.end or (begin is not None and stop <= begin):
                continue
            ahead = max((begin or start) - start, 0)
            segment = chunk.segments
            seq, number = int(segment.seq[place]) + ahead & 0xFFFFFFFF, int(segment.number[place])
            text = chunk.payload(place, ahead, stop - start - ahead)
            rest.append(Piece(None, seq, start + ahead, text, number, int(segment.start[place]) + ahead))
        if way.places and way.places[0] < found.end:
            skim.way.skip(way.role, begin, sum(count for _, _, count in ends), rest)


def seen(chunk: Chunk, skim: Skim, found: Skimmed) -> list[Seen]:
    """Returns the steps that are seen in what is passed by."""
    listed: dict[int, Seen] = {}
    for way, ends in zip(found.ways, found.ends, strict=True):
        step = skim.steps[way.role]
        of = {place: index for index, place in enumerate(way.places)} if step is not None and ends else {}
        for _, place, _ in ends if step is not None else ():
            index = of[place]
            start, stop = way.starts[index], way.stops[index]
            listed[place] = Seen(str(step), int(chunk.segments.number[place]), way.role, start, stop, stop - start)
    return [listed[place] for place in sorted(listed)]
