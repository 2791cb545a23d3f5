"""What an end does with a segment that it need not take: RFC 9293 section 3.10.7, as Linux has it.

What hosts send each other and get in order is acceptable, so `events.py` need not ask. A wire's journal may tell of
anything: a SYN-ACK overtaken by what follows it, a forged segment, the answers of two ends that count differently
since. So with a journal every segment is checked first, and one that is refused is no event of the table. Two are
asked: the receiver's kernel, whose counters the journal keeps (`refusals.py`), and the rules here. The kernel also
knows what no rule can: clocks, queues, memory. Its word counts; where a rule here says otherwise, that is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy

from lab.model import Kernels, Verdict
from lab.protocols.tcp import events, refusals
from lab.protocols.tcp.conversation import End, SegmentRecord
from lab.protocols.tcp.segment import ACK, FIN, RST, SYN, options
from lab.protocols.tcp.states import Event, State

_ETHERNET = 14  # bytes before the IP header on the lab's own wire
_NOTHING: tuple[Event, ...] = ()
_SYN_ACK = SYN | ACK
_BEHIND = frozenset(
    {State.CLOSE_WAIT, State.LAST_ACK, State.CLOSING}
)  # the FIN has been got: RCV.NXT is one past the last byte of data


def verdict(
    record: SegmentRecord, before: Kernels | None, after: Kernels, answers: Sequence[SegmentRecord] | None
) -> Verdict | None:
    """Returns what the receiver's kernel says that it did with a segment, None where it simply took it.

    To be asked first when it has been delivered and before it moves anybody, with `answers` None, then with those.
    """
    segment, end = record.segment, record.end
    if segment is None or end is None:
        return None
    dropped, moved = refusals.at(end.peer.role, before, after)
    answer = "unknown" if answers is None else refusals.answer(answers[0].segment.flags) if answers else None
    reason = refusals.why(segment.flags, dropped, moved, answer, _state(end.peer, before))
    if reason is None:
        return None
    if reason.code == refusals.NOT_OUR_SYN and _completes(record, end.peer):
        reason = refusals.why(segment.flags, dropped, moved, answer) or reason  # this end has been closed meanwhile
    if reason.code == refusals.WRONG_ACK and record.ack is not None and record.ack > end.peer.next:
        reason = refusals.UNSENT
    if record.verdict is not None:
        agrees = record.verdict.agrees  # of before it was delivered
    elif reason.taken or _unknown(end.peer) or end.peer.role in record.conversation.assumed:
        agrees = None
    elif reason.code == refusals.OPEN and end.peer.state == State.LISTEN:
        agrees = None  # the connection is one from before this conversation (DEVIATIONS.md, no. 7)
    else:
        agrees = True if refuses(record) else False if reason.checked else None
    counters = tuple((each.counter, each.by) for each in after.moved if each.role == end.peer.role)
    told = None if answer == "unknown" else answer
    return Verdict(reason.code, not reason.taken, reason.text, counters, dropped, told, agrees)


def challenges(record: SegmentRecord, refused: SegmentRecord) -> bool:
    """Whether a segment, the first answer to one that its receiver's kernel has dealt with, is a challenge ACK."""
    said, flags = refused.verdict, record.segment.flags
    return said is not None and said.code in refusals.CHALLENGED and flags & (SYN | RST | ACK) == ACK


def sent(record: SegmentRecord) -> Iterable[str]:
    """Returns the events that a segment is for its sender, as `events.sent` does.

    A passive opener in SYN-RECEIVED refuses a wrong ACK with RST (without ACK) and an old SYN with ACK, and waits on.
    """
    end, segment = record.end, record.segment
    if end and segment and end.state == State.SYN_RECEIVED and end.opened_passively:
        flags = segment.flags
        if flags & (RST | ACK) == RST or not flags & (RST | SYN | FIN):
            return _NOTHING
    return events.sent(record)


def got(record: SegmentRecord) -> Iterable[str]:
    """Returns the events that a segment is for its receiver: those of `events.got` that it accepts."""
    if record.segment is None or record.end is None:
        return _NOTHING
    end, said = record.end.peer, record.verdict
    if said is not None and _has_no_listener(said, record):
        return (Event.SENT_RST,)
    if (said is not None and _takes_nothing(said, end)) or refuses(record):
        waits = end.syn_acked and not end.peer.syn_acked
        if record.segment.flags & _SYN_ACK == _SYN_ACK and waits and not _forged(record):
            end.owes |= SYN  # its sender has not got the ACK yet: the challenge ACK acknowledges it once more
        return _NOTHING
    if said is not None and said.code in refusals.ITS_DATA:
        record = _without_data(record)
    if _unknown(end):
        return events.got(record)
    match end.state:
        case State.LISTEN:
            return _by_listener(record, end)
        case State.SYN_RECEIVED if end.opened_passively:
            return _by_request(record, end)
        case State.CLOSED | State.SYN_SENT:
            return events.got(record)
    return _when_synchronized(record, end)


def _takes_nothing(said: Verdict, end: End) -> bool:
    """Whether the kernel's word is enough. Not where an end in SYN-SENT has no such connection: with an ACK that fits
    its SYN it has been closed meanwhile, without a word (DEVIATIONS.md, no. 3), and RST is its last.
    """
    return said.code in refusals.WHOLLY and not (said.code == refusals.NOBODY and end.state == State.SYN_SENT)


def _completes(record: SegmentRecord, end: End) -> bool:
    """Whether a segment acknowledges the SYN of an end that has not moved since, or was judged to before it moved."""
    if record.verdict is not None:
        return record.verdict.code == refusals.NOBODY
    return end.state in (State.SYN_SENT, State.SYN_RECEIVED) and not refuses(record)


def _has_no_listener(said: Verdict, record: SegmentRecord) -> bool:
    """Whether what completes a handshake is answered with RST: the listener has been closed meanwhile, which sends
    nothing, and in SYN-RECEIVED there is nobody else to keep the connection.
    """
    end = record.end.peer
    half_open = end.state == State.SYN_RECEIVED and end.opened_passively
    return said.code == refusals.NOBODY and half_open and not refuses(record)


def refuses(record: SegmentRecord) -> bool:
    """Whether a segment's receiver refuses it, by numbers, flags and checksums alone. It moves nobody."""
    segment, end, flags = record.segment, record.end.peer, record.segment.flags
    if "bad-checksum" in segment.problems or (_forged(record) and not _header_intact(record)):
        return True
    if _unknown(end):
        return False
    match end.state:
        case State.CLOSED:
            return not flags & RST
        case State.LISTEN:
            return flags & (SYN | ACK | RST | FIN) != SYN and not _returns_cookie(record, end)
        case State.SYN_SENT:
            answers = record.ack is not None and 0 < record.ack <= end.next
            return not flags & (SYN | RST) or (bool(flags & (ACK | RST)) and not answers)
        case State.SYN_RECEIVED if end.opened_passively:
            return _request_refuses(record, end)
    return _refuses_when_synchronized(record, end)


def _state(end: End, kernels: Kernels | None) -> str | None:
    """Returns the state in which an end refuses something: its kernel's word, which knows what has ended silently.

    None where the table has none: of such an end the rules say nothing.
    """
    said = getattr(kernels, end.role).state if kernels is not None else None
    return (said or end.state) if end.state is not None else None


def _unknown(end: End) -> bool:
    """Whether nobody knows what an end would refuse."""
    return end.state is None or (end.got_next is None and end.state not in (State.CLOSED, State.LISTEN, State.SYN_SENT))


def _by_listener(record: SegmentRecord, end: End) -> Iterable[str]:
    """A SYN opens anew, also where another was there before and its connection was reset.

    One that is answered with a SYN cookie moves nobody: all is in the number of the answer (RFC 4987 section 3.6), and
    the ACK that brings that back takes the listener to ESTABLISHED at once.
    """
    if not record.segment.flags & SYN:
        return events.got(record)
    end.got_next, end.aside, end.owes = None, None, 0
    end.got_fin = end.syn_acked = False
    said = events.got(record)
    end.cookie = record.verdict is not None and record.verdict.code == refusals.COOKIE
    return _NOTHING if end.cookie else said


def _returns_cookie(record: SegmentRecord, end: End) -> bool:
    flags = record.segment.flags
    return end.cookie and flags & (SYN | RST | ACK) == ACK and record.ack == end.next and record.seq == end.got_next


def _is_syn_again(record: SegmentRecord, next_: int) -> bool:
    return record.segment.flags & (SYN | ACK | RST | FIN) == SYN and record.seq == next_ - 1


def _request_refuses(record: SegmentRecord, end: End) -> bool:
    """A listener's SYN-RECEIVED is no full socket yet, only a request_sock (tcp_check_req in tcp_minisocks.c)."""
    assert end.got_next is not None
    flags = record.segment.flags
    if _is_syn_again(record, end.got_next):
        return False
    if flags & ACK and record.ack != end.next:
        return True
    window = end.got_next + max(end.window, 0)
    inside = record.seq == end.got_next or (record.stop > end.got_next and record.seq < window)
    return not (inside or (record.seq == window and record.stop == window)) or not flags & (RST | SYN | ACK)


def _by_request(record: SegmentRecord, end: End) -> Iterable[str]:
    assert end.got_next is not None
    if record.segment.flags & (RST | SYN) and not _is_syn_again(record, end.got_next):
        return (Event.GOT_RST,)  # the listener is left alone again; it answers a SYN with RST
    return events.got(record)


def _refuses_when_synchronized(record: SegmentRecord, end: End) -> bool:
    """The sequence number first, then RST, SYN and ACK (tcp_validate_incoming and tcp_ack in net/ipv4/tcp_input.c)."""
    assert end.got_next is not None
    flags, next_, forged = record.segment.flags, end.got_next, _forged(record)
    if flags & RST:  # exactly the next in order: RFC 5961 section 3.2
        return record.seq != next_ and not (record.seq == next_ - 1 and end.state in _BEHIND)
    if flags & SYN:  # a challenge ACK is the answer, but for the other half of a simultaneous open
        half = end.state == State.SYN_RECEIVED and record.ack == end.next and record.stop == record.seq + 1 == next_
        return not half
    if not flags & ACK or record.stop < end.acked or (forged and record.seq > next_ + _window(end)):
        return True
    return record.ack is not None and record.ack > end.next  # acknowledges what was never sent


def _when_synchronized(record: SegmentRecord, end: End) -> Iterable[str]:
    assert end.got_next is not None
    flags, next_ = record.segment.flags, end.got_next
    if flags & RST:
        return (Event.GOT_RST,) if record.seq != next_ else events.got(record)
    if flags & SYN:
        return events.got(record)
    if record.stop <= next_ and not end.got_fin and flags & FIN:
        return events.got(_without_fin(record))  # all of it is old; what it acknowledges counts
    if end.aside and record.seq <= next_:  # what lies within this is old now, a FIN too
        end.aside = [piece for piece in end.aside if piece[1] > record.stop] or None
    return events.got(record)


def _forged(record: SegmentRecord) -> bool:
    return record.journal is not None and record.journal.forged


def _header_intact(record: SegmentRecord) -> bool:
    """Whether the IP header's checksum is right, so that TCP hears of the segment at all (RFC 1071)."""
    frame, segment = record.frame, record.segment
    if frame is None or len(segment.source) != 4:
        return True
    return int.from_bytes(frame.data[_ETHERNET : segment.header], "big") % 0xFFFF == 0


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
    plain.segment = record.segment._replace(flags=record.segment.flags & ~FIN)
    return plain


def _without_data(record: SegmentRecord) -> SegmentRecord:
    """Returns what is left of a segment of which only the acknowledgement was taken."""
    bare = _without_fin(record)
    next_ = record.end.peer.got_next
    bare.seq = bare.stop = record.seq if next_ is None else min(record.seq, next_)
    return bare
