"""What an end does with a segment that it need not take: RFC 9293 section 3.10.7, as Linux has it.

What hosts send each other and get in order is acceptable, so `events.py` need not ask. A wire's journal may tell of
anything: a SYN-ACK overtaken by what follows it, a forged segment, the answers of two ends that count differently
since. So with a journal every segment is checked first, and one that is refused is no event of the table.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

from lab.protocols.tcp import events
from lab.protocols.tcp.conversations import End, SegmentRecord, options
from lab.protocols.tcp.segment import ACK, FIN, RST, SYN
from lab.protocols.tcp.states import Event, State

_ETHERNET = 14  # bytes before the IP header on the lab's own wire
_NOTHING: tuple[Event, ...] = ()
_BEHIND = frozenset(
    {State.CLOSE_WAIT, State.LAST_ACK, State.CLOSING}
)  # the FIN has been got: RCV.NXT is one past the last byte of data


def sent(record: SegmentRecord) -> Iterable[Event]:
    """Returns the events that a segment is for its sender, as `events.sent` does.

    A passive opener in SYN-RECEIVED refuses a wrong ACK with RST (without ACK) and an old SYN with ACK, and waits on.
    """
    end, segment = record.end, record.segment
    if end and segment and end.state == State.SYN_RECEIVED and end.opened_passively:
        flags = segment.flags
        if flags & (RST | ACK) == RST or not flags & (RST | SYN | FIN):
            return _NOTHING
    return events.sent(record)


def got(record: SegmentRecord) -> Iterable[Event]:
    """Returns the events that a segment is for its receiver: those of `events.got` that it accepts."""
    segment = record.segment
    if segment is None or record.end is None:
        return _NOTHING
    end, flags = record.end.peer, segment.flags
    if record.journal and record.journal.forged and not _intact(record):
        return _NOTHING
    if end.state is None or (end.got_next is None and end.state not in (State.CLOSED, State.LISTEN, State.SYN_SENT)):
        return events.got(record)
    match end.state:
        case State.CLOSED:
            return events.got(record) if flags & RST else _NOTHING
        case State.LISTEN:
            return _by_listener(record, end) if flags & (SYN | ACK | RST | FIN) == SYN else _NOTHING
        case State.SYN_SENT:
            answers = record.ack is not None and 0 < record.ack <= end.next
            return events.got(record) if flags & (SYN | RST) and (answers or not flags & ACK) else _NOTHING
        case State.SYN_RECEIVED if end.opened_passively:
            return _by_request(record, end)
    return _when_synchronized(record, end)


def _by_listener(record: SegmentRecord, end: End) -> Iterable[Event]:
    """A SYN opens anew, also where another was there before and its connection was reset."""
    end.got_next, end.aside, end.owes = None, None, 0
    end.got_fin = end.syn_acked = False
    return events.got(record)


def _by_request(record: SegmentRecord, end: End) -> Iterable[Event]:
    """A listener's SYN-RECEIVED is no full socket yet, only a request_sock (tcp_check_req in tcp_minisocks.c)."""
    assert record.segment is not None
    assert end.got_next is not None
    flags = record.segment.flags
    if flags & (SYN | ACK | RST | FIN) == SYN and record.seq == end.got_next - 1:
        return events.got(record)  # the SYN again
    if flags & ACK and record.ack != end.next:
        return _NOTHING
    window = end.got_next + max(end.window, 0)
    inside = record.seq == end.got_next or (record.stop > end.got_next and record.seq < window)
    if not (inside or (record.seq == window and record.stop == window)):
        return _NOTHING
    if flags & (RST | SYN):
        return (Event.GOT_RST,)  # the listener is left alone again; it answers a SYN with RST
    return events.got(record) if flags & ACK else _NOTHING


def _when_synchronized(record: SegmentRecord, end: End) -> Iterable[Event]:
    """The sequence number first, then RST, SYN and ACK (tcp_validate_incoming and tcp_ack in net/ipv4/tcp_input.c)."""
    assert record.segment is not None
    assert end.got_next is not None
    flags, next_ = record.segment.flags, end.got_next
    if flags & RST:
        behind = record.seq == next_ - 1 and end.state in _BEHIND
        return (Event.GOT_RST,) if behind else events.got(record)
    forged = record.journal is not None and record.journal.forged
    if flags & SYN:  # a challenge ACK is the answer, but for the other half of a simultaneous open
        half = end.state == State.SYN_RECEIVED and record.ack == end.next and record.stop == record.seq + 1 == next_
        return events.got(record) if half or not forged else _NOTHING
    if not flags & ACK or record.stop < end.acked or (forged and record.seq > next_ + _window(end)):
        return _NOTHING
    if record.ack is not None and record.ack > end.next:
        return _NOTHING  # acknowledges what was never sent
    if record.stop <= next_ and not end.got_fin and flags & FIN:
        return events.got(_without_fin(record))  # all of it is old; what it acknowledges counts
    if end.aside and record.seq <= next_:  # what lies within this is old now, a FIN too
        end.aside = [piece for piece in end.aside if piece[1] > record.stop] or None
    return events.got(record)


def _intact(record: SegmentRecord) -> bool:
    """Whether both checksums are right, so that TCP hears of the segment at all."""
    frame, segment = record.frame, record.segment
    if segment is None or "bad-checksum" in segment.problems:
        return False
    if frame is None or len(segment.source) != 4:
        return True
    return int.from_bytes(frame.data[_ETHERNET : segment.header], "big") % 0xFFFF == 0  # RFC 1071


def _window(end: End) -> int:
    """Returns the bytes that an end has offered last; a window in a SYN is not scaled (RFC 7323 section 2.2)."""
    only_syn = max(end.next, end.acked) <= 1 and end.opened_passively
    mine, theirs = (
        options(each.options).window_scale if each.options is not None else None for each in (end, end.peer)
    )
    scale = mine if mine is not None and theirs is not None and not only_syn else 0
    return max(end.window, 0) << min(scale, 14)


def _without_fin(record: SegmentRecord) -> SegmentRecord:
    plain = copy(record)
    assert record.segment is not None
    plain.segment = record.segment._replace(flags=record.segment.flags & ~FIN)
    return plain
