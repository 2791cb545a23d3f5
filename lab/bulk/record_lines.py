"""What JSON says of records that are passed by: where each lies, in the line of the packet that completes it."""

from __future__ import annotations

from typing import NamedTuple

from lab.bulk.chunk import Chunk
from lab.bulk.skimming import Skimmed, Way
from lab.engine.layers import Skim
from lab.model import Above
from lab.render.trace import above_line, message_line

MOST = 4  # messages that a segment which is passed by may complete: their places wait for its line


class Lines(NamedTuple):
    """The messages of a stretch, by the number of the packet that completes them, and how such a line ends."""

    messages: dict[int, str]
    end: str


def lines(chunk: Chunk, skim: Skim, found: Skimmed) -> Lines:
    """Returns what is said of the records in what is passed by. What is known of those under way is still there."""
    said: dict[int, str] = {}
    for way in found.ways:
        _add(said, chunk, skim, way, found.end)
    name, states = skim.layer.name, skim.layer.states
    return Lines(said, above_line((Above(name, states, states),)))


def _add(said: dict[int, str], chunk: Chunk, skim: Skim, way: Way, limit: int) -> None:
    numbers, offsets = chunk.segments.number[way.places].tolist(), chunk.segments.start[way.places].tolist()
    if not way.bounds:
        return
    starts, stops = [way.start, *way.stops[:-1]], way.stops
    start, index, spans = starts[0], 0, [*skim.way.begun(way.role)]
    for at, place in way.bounds:
        if place >= limit:
            return
        while index < len(starts) and starts[index] < at:
            low, high = max(start, starts[index]), min(at, stops[index])
            offset = offsets[index] - starts[index]
            spans.append(("frame", numbers[index], low + offset, high + offset))
            if stops[index] > at:
                break
            index += 1
        number = chunk.one.number[place]
        line = message_line(skim.layer.name, skim.way.name, spans)
        said[number] = f"{said[number]},{line}" if number in said else line
        start, spans = at, []
