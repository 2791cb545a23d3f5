"""What a TCP segment says to the table: when it is sent, and when it has arrived.

A segment that repeats what was said before says it again only where that matters: an acknowledgement is a step each
time it answers a SYN or a FIN, but moves its receiver once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lab.dissect.fragments import Reassembled, cut
from lab.engine.protocol import UNKNOWN, Piece, TakenBack
from lab.model import Frame, States
from lab.protocols.tcp import delivery
from lab.protocols.tcp.conversation import Conversation, End, SegmentRecord
from lab.protocols.tcp.segment import ACK, FIN, RST, SYN
from lab.protocols.tcp.states import TABLE, Event, State

_new = tuple.__new__  # what a NamedTuple's own constructor comes down to, without the call in between
_NOTHING: tuple[Event, ...] = ()
_SPECIAL, _SYN_RST = SYN | FIN | RST, SYN | RST
# Where an end stands whose FIN turns out not to have been acknowledged, as far as it knows.
_BEFORE_ACK_OF_FIN = {
    State.FIN_WAIT_2: State.FIN_WAIT_1, State.TIME_WAIT: State.CLOSING, State.CLOSED: State.LAST_ACK,
}  # fmt: skip
_INFERRED = ("acknowledged", "inferred")  # by what something is got where no wire tells of it
_MOST_ASIDE = 256  # pieces an end keeps ahead of order


def begin(conversation: Conversation, listening: Sequence[int] | None) -> States | None:
    """Returns the states that both ends begin in; None where the first SYN is missing and so nobody knows.

    `listening` are the ports at which a program of the server listens. Where that is not known, it is assumed to.
    """
    conversation.began["tcp.open"] = "client"
    if conversation.client.isn is not None:
        if listening is not None and conversation.server.port not in listening:
            return States(TABLE.starts["client"], TABLE.starts["client"])  # nobody waits for it
        if listening is None:
            conversation.assumed = ("server",)  # that it listens, until its first answer
        return States(TABLE.starts["client"], TABLE.starts["server"])
    if not conversation.from_syn:
        for end in conversation.ends:
            end.syn_acked = True
    return None


def sent(record: SegmentRecord) -> Iterable[str]:
    """Returns the events that the segment is for its sender."""
    segment, end = record.segment, record.end
    if end.fin_inferred is not None and _has_not_got_ack_of_fin(record, end):
        if record.stop == record.seq:  # it has not been lost, it comes behind this: else the FIN would be sent again
            delivery.comes_again(end.peer, end.fin_inferred)
        end.fin_acked, end.fin_inferred = False, None
        return (TakenBack(_BEFORE_ACK_OF_FIN[State(str(end.state))]), *sent(record))
    if end.peer.window < 0 and not segment.flags & RST and (shown := _alone(record, end)) is not None:
        return shown
    if not (segment.flags & _SPECIAL or end.owes):
        return _NOTHING
    flags = segment.flags
    conversation = record.conversation
    if end.role == "server" and conversation.client.isn is not None:
        conversation.assumed = ()  # its first answer
    if flags & RST:
        over = end.fin_acked and end.peer.fin_acked
        if _drops_in_syn_sent(record, end):
            conversation.unheeded = True
        elif conversation.reset_by is None and not over and not conversation.still_asked:
            conversation.reset_by = end.role
            conversation.closing = True
            conversation.fins_before = end.fin is not None and end.peer.fin is not None
        return (Event.SENT_RST,)
    if flags & SYN:
        end.owes &= ~SYN
        return (Event.SENT_SYN_ACK,) if flags & ACK else (Event.SENT_SYN,)
    said: list[str] = []
    if record.ack is not None:
        if end.owes & SYN and record.ack > 0:
            end.owes &= ~SYN
            if not _has_answered_unseen(end):
                said.append(Event.SENT_ACK_OF_SYN)
        if end.owes & FIN and end.peer.fin is not None and record.ack > end.peer.fin:
            end.owes &= ~FIN
            said.append(Event.SENT_ACK_OF_FIN)
    if flags & FIN:
        said.append(Event.SENT_FIN)
    return said


def _has_answered_unseen(end: End) -> bool:
    """Whether a listener has answered a SYN, by what it has got since, with a SYN-ACK that was not captured."""
    return end.opened_passively and end.isn is None and end.state != State.SYN_RECEIVED


def _drops_in_syn_sent(record: SegmentRecord, end: End) -> bool:
    """Whether a RST is all that comes back for a SYN, and does not acknowledge it: RFC 9293, 3.10.7.3, drops that."""
    if end.isn is not None or end.peer.acked >= 0 or end.peer.state != State.SYN_SENT:
        return False
    return end.acked < 0 if record.ack is None else end.acked == record.ack and not answers_syn(record, end.peer)


def answers_syn(record: SegmentRecord, end: End) -> bool:
    """Whether what comes to an end in SYN-SENT acknowledges its SYN, or data sent with that."""
    return record.ack is not None and 0 < record.ack <= end.next


def _has_not_got_ack_of_fin(record: SegmentRecord, end: End) -> bool:
    """Whether a segment shows that its sender's FIN was not acknowledged, though that was inferred.

    It sends the FIN again, or what came before that; or it should be CLOSED, and says more than RST (RFC 9293 section
    3.10.7.1). A reset has closed it for good.
    """
    if end.state not in _BEFORE_ACK_OF_FIN or record.segment.flags & _SYN_RST or record.conversation.reset_by:
        return False
    return end.state == State.CLOSED or (record.stop > record.seq and "retransmission" in record.labels)


def _alone(record: SegmentRecord, end: End) -> Iterable[str] | None:
    """Says what an end's own packets show where nothing of its peer was captured; None where they show nothing more.

    Without a SYN-ACK the client acknowledges nothing; the server takes nothing behind the SYN before the handshake is
    complete (RFC 9293 section 3.10.7.4). What it acknowledges behind its FIN may be the peer's.
    """
    if not end.peer.unheard:
        return None
    flags, ack = record.segment.flags, record.ack or 0
    before, end.got_next = end.got_next, max(end.got_next or 0, ack)
    if flags & SYN:
        return None
    said: tuple[str, ...] = ()
    if end.state == State.SYN_SENT:
        end.syn_acked = True
        said = (Event.GOT_SYN_ACK, Event.SENT_ACK_OF_SYN)
    elif end.state == State.SYN_RECEIVED and before is not None and ack > before:
        end.syn_acked = True
        said = (Event.GOT_ACK_OF_SYN,)
    if flags & FIN:
        return (*said, UNKNOWN if record.conversation.order_unknown else Event.SENT_FIN)
    if end.fin is not None and before is not None and ack > before:
        return (UNKNOWN,)
    return said or None


def got(record: SegmentRecord) -> Iterable[str]:
    """Returns the events that the segment, now that it has arrived, is for its receiver."""
    segment, end = record.segment, record.end.peer
    flags, reached = segment.flags, end.got_next
    if flags & _SYN_RST:
        return _got_rst(record, end) if flags & RST else _got_syn(record, end)
    if reached is None and end.state == State.SYN_SENT and not segment.payload:
        return _NOTHING  # RFC 9293 section 3.10.7.3, fourth: neither SYN nor RST, so it is dropped
    if end.fin_inferred is not None and record.by != "inferred" and end.fin is not None and (record.ack or 0) > end.fin:
        end.fin_inferred = None  # here is what shows it
    quiet = not flags & FIN and end.syn_acked and end.aside is None and (end.fin is None or end.fin_acked)
    if quiet and (reached is None or record.seq <= reached):
        # The usual packet: nothing to say, only the stream goes on.
        if reached is None or record.stop > reached:
            end.got_next = record.stop
        return _NOTHING
    if record.new and record.by in _INFERRED and reached is not None and reached < record.seq:
        # Acknowledged, it has arrived in order, also where the capture has missed some of it. That is caught up with
        # here, and not where the ACK is read: one may be for many, and each of them has its own place to arrive in.
        end.got_next = record.seq
    said: list[str] = []
    if record.ack is not None:
        if not end.syn_acked and record.ack > 0:
            end.syn_acked = True
            said.append(Event.GOT_ACK_OF_SYN)
        if end.fin is not None and not end.fin_acked and record.ack > end.fin:
            end.fin_acked, end.fin_inferred = True, record if record.by == "inferred" else None
            said.append(Event.GOT_ACK_OF_FIN)
    if _advance(end, record.seq, record.stop, bool(flags & FIN)):
        if not end.got_fin:
            said.append(UNKNOWN if end.unheard else Event.GOT_FIN)  # it may have closed before, and not have this
        end.got_fin = True
        end.owes |= FIN
    return said


def _got_rst(record: SegmentRecord, end: End) -> Iterable[str]:
    """A reset counts where it is exactly the next in order (RFC 5961 section 3.2), or answers the SYN."""
    if end.state == State.SYN_SENT:
        return (Event.GOT_RST,) if answers_syn(record, end) else _NOTHING
    if end.got_next is not None and record.seq != end.got_next:
        return _NOTHING
    if end.state == State.SYN_RECEIVED and not end.opened_passively:
        return (Event.GOT_RST_ACTIVE,)
    return (Event.GOT_RST,)


def _got_syn(record: SegmentRecord, end: End) -> Iterable[str]:
    answers = answers_syn(record, end)
    if end.got_next is None:
        if record.ack is not None and not answers:
            return _NOTHING  # acknowledges a SYN that was never sent: answered with RST, not believed
        end.got_next = (
            record.seq + 1 if end.acked == record.seq + 1 else record.stop
        )  # its data may not have been taken
        if end.state == State.CLOSED and end.owes & SYN:  # it refused this SYN before: a program listens now
            end.opened_passively = True
            return (TakenBack(State.LISTEN), Event.GOT_SYN)
        end.owes |= SYN
        if answers:
            end.syn_acked = True
            return (Event.GOT_SYN_ACK,)
        end.opened_passively = end.state == State.LISTEN
        return (Event.GOT_SYN,)
    if answers and not end.syn_acked:  # the second half of a simultaneous open
        end.syn_acked = True
        return (Event.GOT_SYN_ACK,)
    if not end.peer.syn_acked:  # else it knows, and the answer is a challenge ACK or a duplicate: no step
        end.owes |= SYN
    return _NOTHING


def _advance(end: End, start: int, stop: int, fin: bool) -> bool:
    """Takes in a piece of the peer's stream; returns whether a FIN has been reached, for the first time or again."""
    if end.got_next is None:
        end.got_next = start
    if start > end.got_next:
        end.aside = [*(end.aside or ())[1 - _MOST_ASIDE :], (start, stop, fin)]
        return False
    reached = fin
    end.got_next = max(end.got_next, stop)
    while end.aside and (ready := [piece for piece in end.aside if piece[0] <= end.got_next]):
        end.aside = [piece for piece in end.aside if piece not in ready] or None
        end.got_next = max(end.got_next, *(piece[1] for piece in ready))
        reached = reached or any(piece[2] for piece in ready)
    return reached


def ahead(record: SegmentRecord) -> bool:
    """Whether a segment comes behind a gap in its sender's stream."""
    holes = record.end.holes
    return holes is not None and bool(holes) and record.seq > holes[0][0]


def carried(record: SegmentRecord, frame: Frame) -> list[Piece]:
    """Returns what a packet carries: in one piece, or in as many as its bytes came in."""
    end, segment = record.end, record.segment
    data, at, stop = frame.data, segment.start, segment.start + segment.payload
    first = 1 if segment.flags & SYN else 0  # a SYN takes a number of its own, before its data
    seq, relative = segment.seq + first, record.seq + first
    if not isinstance(frame, Reassembled):
        return [_new(Piece, (end, seq, relative, data[at:stop], record.number, at))]
    return [
        Piece(end, seq + start, relative + start, data[at + start : at + last], number, place)
        for start, last, number, place in cut(frame.parts, at, stop)
    ]
