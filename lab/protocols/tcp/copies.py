"""What has been sent lately, to tell a copy from a segment that gives the same numbers other bytes."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque

from lab.model import Frame
from lab.protocols.tcp.conversation import End, SegmentRecord
from lab.protocols.tcp.segment import Segment

_MOST_BEYOND = 16  # pieces behind a segment that are looked at: few begin before the one before them
_MOST_BYTES, _OVERHEAD = 8 << 20, 200  # of all conversations; what a piece costs beside its data


def _stop(piece: tuple[int, bytes]) -> int:
    return piece[0] + len(piece[1])


class Sent:
    """Payloads of all conversations, as many as there is room for: the oldest go first."""

    def __init__(self) -> None:
        self._of: dict[End, deque[tuple[int, bytes]]] = {}
        self._order: deque[End] = deque()
        self._bytes = 0

    def keep(self, end: End, seq: int, frame: Frame, segment: Segment) -> None:
        """Keeps what a segment carries from relative number `seq` on."""
        data = frame.data[segment.start : segment.start + segment.payload]
        pieces = self._of.get(end)
        if pieces is None:
            pieces = self._of[end] = deque()
        pieces.append((seq, data))
        self._order.append(end)
        self._bytes += len(data) + _OVERHEAD
        while self._bytes > _MOST_BYTES:
            oldest = self._order.popleft()
            pieces = self._of[oldest]
            self._bytes -= len(pieces.popleft()[1]) + _OVERHEAD
            if not pieces:
                del self._of[oldest]

    def differs(self, end: End, record: SegmentRecord) -> bool:
        """Whether a segment gives numbers other bytes than they were given before, as far as that is remembered."""
        frame, segment = record.frame, record.segment
        if frame is None:
            return False
        data = frame.data[segment.start : segment.start + segment.payload]
        pieces = self._of.get(end)
        if pieces is None:
            return False
        at, beyond = bisect_right(pieces, record.seq, key=_stop), 0  # each piece ends behind the one before it
        while at < len(pieces) and beyond < _MOST_BEYOND:
            start, known = pieces[at]
            begin, stop = max(start, record.seq), min(start + len(known), record.seq + len(data))
            if begin < stop and known[begin - start : stop - start] != data[begin - record.seq : stop - record.seq]:
                return True
            at, beyond = at + 1, beyond + (begin >= stop)
        return False
