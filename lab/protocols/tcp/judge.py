"""What is asked of the packets to come, of a segment that can't be placed by itself (`doubts.py` has the answers)."""

from __future__ import annotations

from lab.engine.lookahead import Lookahead
from lab.model import Frame
from lab.protocols.tcp import doubts
from lab.protocols.tcp.conversation import NO_LIMIT, Conversation, End, SegmentRecord
from lab.protocols.tcp.segment import ACK, FIN, RST, Segment, options


class Judge:
    """Judges the segments of all conversations; without packets to come it has no doubts."""

    def __init__(self) -> None:
        self.ahead: Lookahead | None = None

    def is_asked_again(self, end: End, frame: Frame, segment: Segment) -> bool:
        """Whether a RST only refuses an answer to a SYN: its sender goes on."""
        assert self.ahead is not None
        return doubts.still_asked(segment, end.isn, self.ahead.behind(frame.number, pairs=segment.pairs))

    def is_refuted(self, record: SegmentRecord, frame: Frame, segment: Segment) -> bool:
        """Asks what follows whether a RST counts; returns whether it does not, and is to be called so."""
        assert self.ahead is not None
        end = record.end
        exact = end.next_raw is None or record.seq in (end.next, end.heard, end.peer.got_next)
        refuted = doubts.reset(frame, segment, self.ahead.behind(frame.number, pairs=segment.pairs), exact)
        if refuted is None:
            return False
        record.disowned, record.discarded = True, not refuted.obeyed
        return not (end.state == "SYN-RECEIVED" and end.opened_passively)  # that refuses an ACK so, and goes on

    def counts(self, end: End, frame: Frame, segment: Segment) -> bool:
        """Whether a SYN-ACK is not one that its receiver goes on without."""
        if end.isn is None:
            return end.peer.isn is None or segment.ack == end.peer.next_raw or not self.is_foreign(end, frame, segment)
        if end.isn == segment.seq:
            return True
        if not self.is_answered(end, frame, segment):
            return False
        _disregard(end)
        return True

    def is_unheeded(self, end: End, frame: Frame, segment: Segment) -> bool:
        """Whether a RST does not answer the SYN (RFC 9293 section 3.10.7.3), and that is answered after all."""
        peer = end.peer
        if peer.state != "SYN-SENT" or self.ahead is None:
            return False
        if segment.flags & ACK and 0 < peer.relative(segment.ack) <= peer.next:
            return False
        return doubts.answered_after_all(segment, self.ahead.behind(frame.number, pairs=segment.pairs))

    def is_blind(self, conversation: Conversation, end: End, frame: Frame, segment: Segment) -> bool:
        """Whether the alleged sender of a SYN goes on with the connection that it had before."""
        former = conversation.former
        if conversation.packets > 1 or former is None or self.ahead is None:
            return False
        before = doubts.end_at(former, end.address, end.port)
        return before.next_raw is not None and doubts.goes_on(
            segment, before.next_raw, self.ahead.behind(frame.number, pairs=segment.pairs)
        )

    def is_opened_anew(self, end: End, frame: Frame, segment: Segment) -> bool:
        """Whether a SYN with the number of one before, late or copied by its looks, opens another connection."""
        if self.ahead is None or end.peer.isn is None:
            return False
        return doubts.opened_anew(segment, end.peer.isn, self.ahead.behind(frame.number, pairs=segment.pairs))

    def is_answered(self, end: End, frame: Frame, segment: Segment) -> bool:
        """Whether of two SYN-ACKs with different numbers the later one is acknowledged."""
        if self.ahead is None or end.peer.acked >= 0:
            return False
        return doubts.answered(segment, self.ahead.behind(frame.number, pairs=segment.pairs))

    def is_foreign(self, end: End, frame: Frame, segment: Segment) -> bool:
        """Whether what answers a SYN, but acknowledges another, is refused: RST has the number that it acknowledges."""
        if end.peer.state != "SYN-SENT" or segment.flags & RST or self.ahead is None:
            return False
        end.peer.refuses = segment.ack
        return doubts.refused(segment, self.ahead.behind(frame.number, pairs=segment.pairs))

    def is_taken_back(self, frame: Frame, segment: Segment) -> bool:
        """Whether a bare ACK of more than the other has sent is nothing that either of them goes by."""
        return self.ahead is not None and doubts.taken_back(
            segment, self.ahead.behind(frame.number, pairs=segment.pairs)
        )

    def is_replaced(self, frame: Frame, segment: Segment) -> bool:
        """Whether something odd is not what its receiver has read."""
        return self.ahead is not None and doubts.replaced(
            frame, segment, self.ahead.behind(frame.number, pairs=segment.pairs)
        )

    def is_denial(self, end: End, frame: Frame, segment: Segment) -> bool:
        """Whether an end that stands further back than its stream has been told to is the one that knows it."""
        if self.ahead is None or end.next_raw is None or not any(item.new for item in end.peer.pending):
            return False
        return doubts.stands_back(segment, end.next_raw, self.ahead.behind(frame.number, pairs=segment.pairs))

    def is_outside(self, end: End, frame: Frame, segment: Segment, seq: int) -> bool:
        """Whether a segment lies before its sender's stream, or behind all that its receiver can have offered.

        Behind that it may also lie because much before it was not captured: then its sender goes on from there.
        """
        if end.isn is None or end.peer.isn is None or end.next_raw is None:
            return False
        if seq + doubts.taken(segment) <= 1:
            return True
        if self.ahead is not None and segment.flags & FIN and seq > end.next:
            return doubts.another_fin(segment, self.ahead.behind(frame.number, pairs=segment.pairs))
        mine, theirs = (options(each.options or b"").window_scale for each in (end, end.peer))
        scale = min(theirs, 14) if mine is not None and theirs is not None else 0
        if self.ahead is None or seq <= max(end.peer.acked, end.next) + (0xFFFF << scale):
            return False
        return doubts.left_behind(segment, end.next_raw, self.ahead.behind(frame.number, pairs=segment.pairs))


def _disregard(end: End) -> None:
    """Takes back the SYN-ACKs of an end: another, with a different number, is the one that counts."""
    for item in end.pending:
        for step in item.steps:
            seen = item.conversation.steps[step]
            seen[:] = [each for each in seen if each.number != item.number]
        item.labels += ("disregarded",)
        item.disowned = item.discarded = item.settled = True
        item.steps = ()
    end.pending.clear()
    end.isn = end.next_raw = end.options = None
    end.limit = NO_LIMIT
    end.next = end.heard = 0
