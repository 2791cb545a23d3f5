"""What has been sent lately, to tell a copy from a segment that gives the same numbers other bytes."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque

from lab.model import Frame
from lab.protocols.tcp.conversation import End, SegmentRecord
from lab.protocols.tcp.segment import Segment

_Piece = tuple[int, bytes, int, int]  # a relative number, and where in these bytes stands what has it
_MOST_BEYOND = 16  # pieces behind a segment that are looked at: few begin before the one before them
_MOST_BYTES, _OVERHEAD, _QUEUE = 8 << 20, 200, 800  # of all conversations; what a piece costs, and the queue for them


def _stop(piece: _Piece) -> int:
    return piece[0] + piece[3] - piece[2]


class Sent:
    """Payloads of all conversations, as many as there is room for: the oldest go first."""

    def __init__(self) -> None:
        self._of: dict[End, deque[_Piece]] = {}
        self._order: deque[End] = deque()
        self._bytes = 0

    def keep(self, end: End, seq: int, frame: Frame, segment: Segment) -> None:
        """Keeps what a segment carries from relative number `seq` on."""
        data, start = frame.data, segment.start
        whole, stop = len(data), start + segment.payload
        if stop > whole:
            stop = max(whole, start)
        if whole - (stop - start) > _OVERHEAD:  # else the frame takes hardly more room than its payload
            data, start, stop = data[start:stop], 0, stop - start
        pieces = self._of.get(end)
        if pieces is None:
            pieces = self._of[end] = deque()
            self._bytes += _QUEUE
        pieces.append((seq, data, start, stop))
        self._order.append(end)
        self._bytes += stop - start + _OVERHEAD
        while self._bytes > _MOST_BYTES:
            oldest = self._order.popleft()
            pieces = self._of[oldest]
            _, _, start, stop = pieces.popleft()
            self._bytes -= stop - start + _OVERHEAD
            if not pieces:
                del self._of[oldest]
                self._bytes -= _QUEUE

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
            start, whole, first, last = pieces[at]
            known = whole[first:last]
            begin, stop = max(start, record.seq), min(start + len(known), record.seq + len(data))
            if begin < stop and known[begin - start : stop - start] != data[begin - record.seq : stop - record.seq]:
                return True
            at, beyond = at + 1, beyond + (begin >= stop)
        return False
