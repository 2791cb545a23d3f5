"""What an end does with a segment that it need not take: RFC 9293 section 3.10.7, as Linux has it.

What hosts send each other and get in order is acceptable, so `dissect.py` need not ask. A wire's journal may tell of
anything: a SYN-ACK overtaken by what follows it, a forged segment, the answers of two ends that count differently
since. So with a journal every segment is checked first, and one that is refused is no event of the table.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

from lab.dissect.conversations import End, options
from lab.model import ACK, FIN, RST, SYN, Rung
from lab.protocols.tcp import dissect

_ETHERNET = 14  # bytes before the IP header on the lab's own wire
_NOTHING: tuple[str, ...] = ()
_BEHIND = frozenset({"CLOSE-WAIT", "LAST-ACK", "CLOSING"})  # the FIN has been got: RCV.NXT is one behind the data


def sent(rung: Rung) -> Iterable[str]:
    """Returns the events that a segment is for its sender, as `dissect.sent` does.

    A passive opener in SYN-RECEIVED refuses a wrong ACK with RST (without ACK) and an old SYN with ACK, and waits on.
    """
    end, segment = rung.end, rung.segment
    if end and segment and end.state == "SYN-RECEIVED" and end.opened_passively:
        flags = segment.flags
        if flags & (RST | ACK) == RST or not flags & (RST | SYN | FIN):
            return _NOTHING
    return dissect.sent(rung)


def got(rung: Rung) -> Iterable[str]:
    """Returns the events that a segment is for its receiver: those of `dissect.got` that it accepts."""
    segment = rung.segment
    if segment is None or rung.end is None:
        return _NOTHING
    end, flags = rung.end.peer, segment.flags
    if rung.journal and rung.journal.forged and not _intact(rung):
        return _NOTHING
    if end.state is None or (end.got_next is None and end.state not in ("CLOSED", "LISTEN", "SYN-SENT")):
        return dissect.got(rung)
    match end.state:
        case "CLOSED":
            return dissect.got(rung) if flags & RST else _NOTHING
        case "LISTEN":
            return _by_listener(rung, end) if flags & (SYN | ACK | RST | FIN) == SYN else _NOTHING
        case "SYN-SENT":
            answers = rung.ack is not None and 0 < rung.ack <= end.next
            return dissect.got(rung) if flags & (SYN | RST) and (answers or not flags & ACK) else _NOTHING
        case "SYN-RECEIVED" if end.opened_passively:
            return _by_request(rung, end)
    return _when_synchronized(rung, end)


def _by_listener(rung: Rung, end: End) -> Iterable[str]:
    """A SYN opens anew, also where another was there before and its connection was reset."""
    end.got_next, end.aside, end.owes = None, None, 0
    end.got_fin = end.syn_acked = False
    return dissect.got(rung)


def _by_request(rung: Rung, end: End) -> Iterable[str]:
    """SYN-RECEIVED of a listener is no socket yet (tcp_check_req in net/ipv4/tcp_minisocks.c)."""
    assert rung.segment is not None
    assert end.got_next is not None
    flags = rung.segment.flags
    if flags & (SYN | ACK | RST | FIN) == SYN and rung.seq == end.got_next - 1:
        return dissect.got(rung)  # the SYN again
    if flags & ACK and rung.ack != end.next:
        return _NOTHING
    window = end.got_next + max(end.window, 0)
    inside = rung.seq == end.got_next or (rung.stop > end.got_next and rung.seq < window)
    if not (inside or (rung.seq == window and rung.stop == window)):
        return _NOTHING
    if flags & (RST | SYN):
        return ("got RST",)  # the listener is left alone again; it answers a SYN with RST
    return dissect.got(rung) if flags & ACK else _NOTHING


def _when_synchronized(rung: Rung, end: End) -> Iterable[str]:
    """The sequence number first, then RST, SYN and ACK (tcp_validate_incoming and tcp_ack in net/ipv4/tcp_input.c)."""
    assert rung.segment is not None
    assert end.got_next is not None
    flags, next_ = rung.segment.flags, end.got_next
    if flags & RST:
        behind = rung.seq == next_ - 1 and end.state in _BEHIND
        return ("got RST",) if behind else dissect.got(rung)
    forged = rung.journal is not None and rung.journal.forged
    if flags & SYN:  # a challenge ACK is the answer, but for the other half of a simultaneous open
        half = end.state == "SYN-RECEIVED" and rung.ack == end.next and rung.stop == rung.seq + 1 == next_
        return dissect.got(rung) if half or not forged else _NOTHING
    if not flags & ACK or rung.stop < end.acked or (forged and rung.seq > next_ + _window(end)):
        return _NOTHING
    if rung.ack is not None and rung.ack > end.next:
        return _NOTHING  # acknowledges what was never sent
    if rung.stop <= next_ and not end.got_fin and flags & FIN:
        return dissect.got(_without_fin(rung))  # all of it is old; what it acknowledges counts
    if end.aside and rung.seq <= next_:  # what lies within this is old now, a FIN too
        end.aside = [piece for piece in end.aside if piece[1] > rung.stop] or None
    return dissect.got(rung)


def _intact(rung: Rung) -> bool:
    """Whether both checksums are right, so that TCP hears of the segment at all."""
    frame, segment = rung.frame, rung.segment
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


def _without_fin(rung: Rung) -> Rung:
    plain = copy(rung)
    assert rung.segment is not None
    plain.segment = rung.segment._replace(flags=rung.segment.flags & ~FIN)
    return plain
