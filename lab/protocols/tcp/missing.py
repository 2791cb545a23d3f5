"""What is missing of a stream for good: cut off by a snap length, or acknowledged and never captured."""

from __future__ import annotations

from collections.abc import Sequence

from lab.engine.protocol import Missing
from lab.model import Frame
from lab.protocols.tcp.conversation import End, SegmentRecord
from lab.protocols.tcp.segment import SYN

_NONE: tuple[Missing, ...] = ()
_WINDOW = 65_535  # bytes: what is sent again is seldom sent later than these behind it
_WRAP = 1 << 32


def cut(record: SegmentRecord, frame: Frame) -> Missing | None:
    """Returns what the capture does not have of a packet's payload, whose length its headers tell."""
    segment = record.segment
    if "truncated" not in segment.problems:
        return None
    first = 1 if segment.flags & SYN else 0
    there = min(max(len(frame.data) - segment.start, 0), segment.payload)
    if there == segment.payload:
        return None
    return Missing(
        record.end, (segment.seq + first + there) % _WRAP, record.seq + first + there, segment.payload - there
    )


def missing(record: SegmentRecord) -> Sequence[Missing]:
    """Returns the holes in both streams that nobody will fill: what stands in them has been acknowledged.

    Where nothing of the peer is captured, they are those that an end has long gone on behind, or come to its end.
    """
    end = record.end
    if not (end.holes or end.peer.holes):
        return _NONE
    return [*_holes(end.peer), *_holes(end)]


def _holes(end: End) -> list[Missing]:
    if not end.holes or end.next_raw is None:
        return []
    reached = end.heard
    if end.peer.unheard:
        reached = end.next if end.fin is not None else end.next - _WINDOW
    return [
        Missing(end, (end.next_raw - end.next + start) % _WRAP, start, stop - start)
        for start, stop in end.holes
        if stop <= reached
    ]
