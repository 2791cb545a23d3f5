"""One segment that was captured twice: at two ports of a switch, on two interfaces, before and behind a router.

A copy has the same bytes of TCP and the same identification in its IP header, microseconds later. A sender that repeats
a segment gives it another identification (RFC 6864), unless it writes 0, or always the same; and IPv6 has none. There a
copy is told by another link header or time to live, as at a second point of capture, or because nothing is sent again
so soon. Where both speak for it, an identification and another point of capture, it may also be milliseconds later.
Acknowledgements are sent again so soon: they are copies only as often as what else the connection says was captured.
"""

from __future__ import annotations

from collections import deque

from lab.model import Frame
from lab.protocols.tcp.conversation import Conversation, End, SegmentRecord
from lab.protocols.tcp.segment import Segment

_SOON = 1_000_000  # nanoseconds: sooner than this nothing is sent again for want of an answer
_ON_ITS_WAY = 50_000_000  # and so long a segment may be under way from one point of capture to the next
_WITHIN = 256  # packets of the capture
_MOST_ALIKE = 8  # segments with the same bytes that are looked at: a copy comes soon behind the first
_LARGE = 1 << 16  # bytes of a frame
_LINK = 22  # bytes: a link header that is longer may hold what is another in every packet


class Recent:
    """The segments that were captured last, each once."""

    def __init__(self) -> None:
        self._order: deque[Conversation] = deque()
        self._of: dict[Conversation, deque[tuple[Frame, SegmentRecord]]] = {}

    def add(self, frame: Frame, record: SegmentRecord) -> None:
        """Keeps a segment, and the oldest goes for it; nothing of what its frame has beside it, where that is much."""
        if type(frame) is not Frame or frame.comments or len(frame.data) > _LARGE:
            stop = record.segment.start + record.segment.payload
            frame = Frame(frame.number, frame.time, frame.data[:stop], frame.length, frame.linktype)
        which = record.conversation
        mine = self._of.get(which)
        if mine is None:
            mine = self._of[which] = deque()
        mine.append((frame, record))
        self._order.append(which)
        if len(self._order) > _WITHIN:
            oldest = self._order.popleft()
            its = self._of[oldest]
            its.popleft()
            if not its:
                del self._of[oldest]

    def first_of(self, conversation: Conversation, end: End, frame: Frame, segment: Segment) -> SegmentRecord | None:
        """Returns the record of what is captured here once more, None where this is a segment of its own."""
        asked_for, alike = False, 0
        for other, record in reversed(self._of.get(conversation, ())):
            if other.number < frame.number - _WITHIN:
                break
            if record.end is end.peer:
                asked_for = asked_for or "duplicate-ack" in record.labels
            elif record.end is end and _is_same(frame, segment, other, record.segment):
                alike += 1
                if alike > _MOST_ALIKE:
                    return None
                mine, theirs = _ident(frame, segment), _ident(other, record.segment)
                if mine != theirs:
                    continue
                elsewhere = _path(frame, segment) != _path(other, record.segment)
                if not _is_within(frame, other, _SOON):
                    if elsewhere and any(mine):
                        return record
                    continue
                if elsewhere or self._tells(conversation, end, mine, frame.number):
                    return record
                again = len(record.copies) + 2 <= conversation.times if record.stop == record.seq else not asked_for
                if again:
                    return record
        return None

    def _tells(self, conversation: Conversation, end: End, ident: bytes, number: int) -> bool:
        """Whether an identification tells segments of an end apart: it is not the same in all of them."""
        return any(ident) and any(
            record.end is end and _ident(frame, record.segment) != ident
            for frame, record in self._of.get(conversation, ())
            if frame.number >= number - _WITHIN
        )


def _is_same(frame: Frame, segment: Segment, other: Frame, first: Segment) -> bool:
    """Whether two captured segments of an end are the same, bit by bit, and not far apart in time."""
    if segment[1:5] != first[1:5] or segment.payload != first.payload or not _is_within(frame, other, _ON_ITS_WAY):
        return False
    ours, theirs = _bytes(frame, segment), _bytes(other, first)
    size = min(len(ours), len(theirs))
    if ours[16:18] != theirs[16:18] and "unfinished-checksum" not in (*segment.problems, *first.problems):
        return False
    return ours[:16] == theirs[:16] and ours[18:size] == theirs[18:size]


def _is_within(frame: Frame, other: Frame, bound: int) -> bool:
    return frame.time is not None and other.time is not None and abs(frame.time - other.time) < bound


def _bytes(frame: Frame, segment: Segment) -> bytes:
    return frame.data[segment.header : segment.start + segment.payload]


def _ip(frame: Frame, segment: Segment) -> tuple[int, int]:
    """Returns where the IP header before a segment begins, and its version; -1 where it has options."""
    at = segment.header - 20
    if at >= 0 and frame.data[at] == 0x45:
        return at, 4
    at = segment.header - 40
    return (at, 6) if at >= 0 and frame.data[at] >> 4 == 6 and len(segment.pair) == 36 else (-1, 0)


def _ident(frame: Frame, segment: Segment) -> bytes:
    at, version = _ip(frame, segment)
    return frame.data[at + 4 : at + 6] if version == 4 else b""


def _path(frame: Frame, segment: Segment) -> tuple[bytes, int]:
    """Returns the link header and the time to live: others at another point of capture."""
    at, version = _ip(frame, segment)
    if not version:
        return b"", 0
    return frame.data[:at] if at <= _LINK else b"", frame.data[at + (8 if version == 4 else 7)]
