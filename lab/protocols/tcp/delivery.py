"""Who got what when. A segment that was sent has not been got: between the two lies the network.

From packets alone this must be inferred, and these are the rules. *New* sequence space (a SYN, data, a FIN) is got when
its receiver acknowledges it, and not before. All the rest (bare ACKs, RSTs, repetitions of what was acknowledged) is
got, in order, before the next packet of the conversation; but not ahead of new sequence space of the same sender, and
not by a packet that newly acknowledges something captured before it. Where something unacknowledged is sent again, the
copy is got that the acknowledgement is for (`repetitions.py`), as a rule the last; where something acknowledged is sent
again, the acknowledgement was not got by then. A RST that acknowledges nothing shows that what it answers was got: it
has the number which that acknowledged. At the end of the capture, or when nothing has followed for long, only such rest
is got. Where an end acknowledges what was not captured, and nothing of its peer is, all it has sent is taken as got: by
the next it sends where its SYN was captured, else at the end.

What is known is told apart from what is inferred: `by` of a record. What is acknowledged has arrived; the rest that is
got is inferred to have. Only an earlier copy is ever said to be lost, where a later one was needed. Of all else that is
not got nobody knows whether it has arrived: it may be under way where the capture ends, be refused behind a closed
window, be swallowed by a reset; and an acknowledgement of what is sent again may be late, or ignored until data comes.

Where the wire kept a journal nothing is inferred: it says what was delivered, and in which order.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from operator import attrgetter

from lab.protocols.tcp import repetitions
from lab.protocols.tcp.conversation import Conversation, End, SegmentRecord
from lab.protocols.tcp.doubts import end_at
from lab.protocols.tcp.segment import ACK, FIN, RST, SYN

_SYN_RST, _SYN_ACK = SYN | RST, SYN | ACK
_AGAIN = frozenset(("retransmission", "out-of-order", "keep-alive"))
_number = attrgetter("number")
MOST_PENDING = 4096  # packets of one end; the oldest is given up for more


def proved_by(record: SegmentRecord) -> Sequence[SegmentRecord]:
    """Returns the packets that this one, before it is sent, shows to have been got: oldest first."""
    latter = record.conversation.latter
    if latter is None and "challenge-ack" not in record.labels:
        return _proved(record)
    nothing_new = record.ack is not None and record.ack <= record.end.peer.heard and record.seq == record.stop
    got = _proved(record)
    if "challenge-ack" in record.labels:
        got = sorted([*got, *_denied(record)], key=_number)
    if latter is None or not nothing_new:
        return got
    return sorted([*got, *_challenged(record)], key=_number)


def _proved(record: SegmentRecord) -> Sequence[SegmentRecord]:
    end = record.end
    peer, ack = end.peer, None if record.discarded else record.ack
    if not (peer.pending or end.pending or peer.copies):
        if ack is not None and ack > peer.heard:
            peer.heard = ack
        return ()
    if peer.window < 0 and end.isn is not None and peer.unheard and not record.segment.flags & _SYN_RST:
        return _all(end)
    if not record.new and record.seq < record.stop and "retransmission" in record.labels:
        _give_up_acks(peer, record.seq)
        repetitions.crossed(peer, record)
    if ack is not None and ack > peer.heard:
        peer.heard = ack
        got = acknowledged(peer, ack)
        if peer.copies:
            got = repetitions.acknowledged(peer, record, ack) + got
        if got:
            if end.pending and not end.pending[0].new:
                first = None
                for item in got:
                    if item.new:
                        first = item.number
                        break
                got += rest(end, first)
            return got if len(got) == 1 else sorted(got, key=_number)
    if ack is None and peer.pending and record.segment.flags & RST and (got := _reset(peer, record.seq)):
        return got
    got = rest(peer) if peer.pending and not peer.pending[0].new else []
    if peer.copies and ack is not None:
        got = repetitions.acknowledged(peer, record, ack) + got
    if end.pending and not end.pending[0].new:
        got += rest(end)
    return got if len(got) < 2 else sorted(got, key=_number)


def _challenged(record: SegmentRecord) -> list[SegmentRecord]:
    """Takes the SYN of a new connection that the old one on the same pair answers: it has arrived, and was refused."""
    latter, flags = record.conversation.latter, record.segment.flags
    if latter is None or flags & (_SYN_RST | ACK) != ACK:
        return []
    asks = latter.client if record.end.port == latter.server.port else latter.server
    found = [item for item in asks.pending if item.segment.flags & SYN and not item.settled]
    asks.pending = [item for item in asks.pending if item not in found]
    for item in found:
        item.discarded, item.new = True, False
        item.by = "acknowledged"
        latter.refused += (item.number,)
        latter.refused_in = record.end.state
        record.conversation.has_refused(item.number, record.end.state)
        latter.answered_by = record.number
        record.answers = item.number
    return found


def _denied(record: SegmentRecord) -> list[SegmentRecord]:
    """Takes what a challenge ACK answers: the last that acknowledges what its sender has not sent, and is refused."""
    pending = record.end.peer.pending
    found = next((item for item in reversed(pending) if item.new and (item.ack or 0) > record.seq), None)
    if found is None:
        return []
    pending.remove(found)
    found.new, found.discarded, found.by = False, True, "acknowledged"
    record.answers = found.number
    return [found]


def reset_by(record: SegmentRecord, proved: Sequence[SegmentRecord]) -> Sequence[SegmentRecord]:
    """Returns those of the packets a RST has proved that it is the receiving kernel's own, immediate answer to."""
    if not record.segment.flags & RST or not record.conversation.reset_by:
        return ()
    live = record.ack is not None  # it has ACK: of a connection that had taken in what it acknowledges, and was aborted
    return [arrived for arrived in proved if arrived.new and not (live and arrived.ack is not None)]


def sent(record: SegmentRecord) -> None:
    """Puts a packet among those that have been sent and not yet got; older copies of the same are given up."""
    end = record.end
    if record.disowned:
        if record.discarded and (record.segment.payload or record.segment.flags & (SYN | FIN)):
            record.conversation.not_got(record)  # nothing tells whether it got as far as its receiver
            return
    elif (
        len(record.labels) > 1
        and not _AGAIN.isdisjoint(record.labels)
        and record.stop > record.seq
        and record.stop > end.heard
    ):
        record.new = True
        end.disordered, end.floor = end.next, 0
        repetitions.replaced(end, record)
    if record.new:
        if not end.peer.window:
            end.shut_out = [*(end.shut_out or ())[-MOST_PENDING:], record.number]
        if end.disordered:
            end.floor = min(end.floor, _least(record))
    pending = end.pending
    pending.append(record)
    if len(pending) > MOST_PENDING:
        _give_up(pending.pop(0))


def let_go(record: SegmentRecord) -> None:
    """Waits no longer for what an end has sent: there is no room."""
    end = record.end
    if not record.settled:
        end.pending = [item for item in end.pending if item is not record]
        end.copies = [copy for copy in end.copies if copy.first is not record]
        _give_up(record)


def comes_again(end: End, record: SegmentRecord) -> None:
    """Has an acknowledgement under way once more that was taken to have arrived too early."""
    late = copy(record)
    late.by, late.got, late.settled, late.copies = None, False, False, ()
    end.pending.insert(0, late)


def waiting(conversation: Conversation) -> list[SegmentRecord]:
    """Returns the packets of both ends whose fate is not known yet."""
    return [record for end in conversation.ends for record in (*repetitions.waiting(end), *end.pending)]


def after_long(record: SegmentRecord) -> list[SegmentRecord]:
    """Returns what the receiver of a packet has got when nothing has followed it for long."""
    end = record.end
    if end.copies:
        repetitions.after_long(end, record)
    if end.peer.window < 0 and end.peer.unheard:
        return _all(end)
    return rest(end) if end.pending and not end.pending[0].new else []


def at_the_end(conversation: Conversation) -> list[SegmentRecord]:
    """Returns what both ends have still got when the capture is over, and gives up what they have not."""
    got = []
    for end in conversation.ends:
        repetitions.at_the_end(end)
        got += _all(end) if end.peer.unheard else rest(end)
        for left in end.pending:
            _give_up(left)
        end.pending.clear()
    return sorted(got, key=_number)


def _all(end: End) -> list[SegmentRecord]:
    """Takes all that `end` has pending: of data and FINs nobody knows whether they have arrived."""
    got = [item for item in end.pending if not item.settled]
    for item in got:
        item.by = "inferred" if not item.new or item.segment.flags & SYN else None
    end.pending.clear()
    for item in got:
        if item.new:
            _catch_up(end.peer, item)
    return got


def rest(end: End, before: int | None = None) -> list[SegmentRecord]:
    """Takes from what `end` has pending all that stands before new sequence space, up to packet `before`."""
    if not end.pending or end.pending[0].new:
        return []
    if len(end.pending) == 1 and before is None:
        item = end.pending.pop()
        if item.settled:
            return []
        item.by = "inferred"
        return [item]
    at = 0
    for item in end.pending:
        if item.new or (before is not None and item.number >= before):
            break
        at += 1
    got = [item for item in end.pending[:at] if not item.settled]
    del end.pending[:at]
    for item in got:
        item.by = "inferred"
    return got


def acknowledged(end: End, ack: int) -> list[SegmentRecord]:
    """Takes from what `end` has pending all that `ack` acknowledges, and what was sent before the last of that."""
    pending = end.pending
    if len(pending) == 1 and (first := pending[0]).new and (first.stop <= ack or _covers(ack, first)):
        pending.pop()
        end.disordered = 0
        first.by = "acknowledged"
        return [first]
    disordered = end.disordered
    if ack < end.floor and disordered > ack:
        return []
    last, least = 0, disordered
    for at, item in enumerate(pending, 1):
        if item.new:
            if item.stop <= ack or _covers(ack, item):
                last = at
            elif not disordered:
                break
            else:
                least = min(least, _least(item))
    end.floor = least
    taken = pending[:last]
    del pending[:last]
    got: list[SegmentRecord] = []
    kept: list[SegmentRecord] = []
    for item in taken:
        if not item.new:
            if not item.settled:
                got.append(item)
                item.by = "inferred"
        elif item.stop > ack and not _covers(ack, item):
            kept.append(item)
        elif not item.settled:
            got.append(item)
            item.by = "acknowledged"
    if kept:
        pending[:0] = kept
    if ack >= disordered:
        end.disordered = 0
    return got


def _least(item: SegmentRecord) -> int:
    """Returns the least number that acknowledges a packet."""
    return item.seq + 1 if item.segment is not None and item.segment.flags & SYN else item.stop


def _covers(ack: int, item: SegmentRecord) -> bool:
    """Whether `ack` acknowledges a packet; of a SYN with data (RFC 7413 section 4.2.2) the SYN alone may be."""
    if item.stop <= ack:
        return True
    return item.seq < ack and item.segment is not None and bool(item.segment.flags & SYN)


def _catch_up(end: End, item: SegmentRecord) -> None:
    """What is acknowledged has arrived in order, also where the capture has missed some of it."""
    if end.got_next is not None and end.got_next < item.seq:
        end.got_next = item.seq


def _reset(end: End, number: int) -> list[SegmentRecord]:
    """Takes what a RST without ACK answers: it has the number which that acknowledged (RFC 9293 section 3.5.2)."""
    for at, item in enumerate(end.pending):
        if item.new and item.ack == number:
            got = [each for each in end.pending[: at + 1] if not each.settled]
            del end.pending[: at + 1]
            if _asks_otherwise(item, end.peer):
                item.discarded = True
            else:
                _catch_up(end.peer, item)
            for each in got:
                each.by = "acknowledged" if each is item else "inferred"
            return got
        if item.new:
            break
    return []


def _asks_otherwise(answer: SegmentRecord, end: End) -> bool:
    """Whether an end that refuses a SYN-ACK has another SYN under way: what is answered is an old one, not its own.

    Such an end stays in SYN-SENT (RFC 9293 section 3.5, figure 8).
    """
    former = answer.conversation.former
    if former is None or answer.segment.flags & _SYN_ACK != _SYN_ACK or end.state != "SYN-SENT":
        return False
    return end_at(former, end.address, end.port).state == "SYN-SENT"


def _give_up_acks(end: End, start: int) -> None:
    """Gives up the waiting acknowledgements of something at `start` that its sender sends again."""
    for item in end.pending:
        if item.new:
            return
        if item.ack is not None and item.ack > start:
            _give_up(item)


def _give_up(item: SegmentRecord) -> None:
    """Leaves open whether it has arrived."""
    if not item.settled:
        item.end.give_up(item)
        item.conversation.not_got(item)
