"""Who got what when. A segment that was sent has not been got: between the two lies the network.

From packets alone this must be inferred, and these are the rules. *New* sequence space (a SYN, data, a FIN) is got when
its receiver acknowledges it, and not before. All the rest (bare ACKs, RSTs, repetitions of what was acknowledged) is
got, in order, before the next packet of the conversation; but not ahead of new sequence space of the same sender, and
not by a packet that newly acknowledges something captured before it. Where something unacknowledged is sent again, the
last copy is the one that is got; where something acknowledged is sent again, the acknowledgement was not. At the end of the capture only such rest is got: an unanswered SYN was not.

Where the wire kept a journal nothing is inferred: it says what was delivered, and in which order.
"""

from __future__ import annotations

from lab.dissect.conversations import End
from lab.model import Rung

_AGAIN = ("retransmission", "out-of-order")
_MOST_PENDING = 4096  # packets of one end; the oldest is given up for more


def proved_by(rung: Rung) -> list[Rung]:
    """Returns the packets that this one, before it is sent, shows to have been got: oldest first."""
    end = rung.end
    if end is None:
        return []
    peer, ack = end.peer, rung.ack
    if rung.start < rung.stop and not rung.new and "retransmission" in rung.labels:
        _give_up_acks(peer, rung.start)
    if ack is not None and ack > peer.heard:
        peer.heard = ack
        if peer.unheard and (got := _acknowledged(peer, ack)):
            first = next(item.number for item in got if item.new)
            while end.pending and end.pending[0].number < first and not end.pending[0].new:
                item = end.pending.popleft()
                if not item.settled:
                    got.append(item)
            return sorted(got, key=_number) if len(got) > 1 else got
    got = _rest(peer) if peer.pending else []
    if end.pending:
        got += _rest(end)
    return sorted(got, key=_number) if len(got) > 1 else got


def sent(rung: Rung) -> None:
    """Puts a packet among those that have been sent and not yet got; older copies of the same are given up."""
    end = rung.end
    if end is None:
        return
    if not rung.new and rung.stop > max(end.heard, rung.start) and rung.labels[-1] in _AGAIN:
        rung.new = end.disordered = True
        at = rung.start
        while at < rung.stop and (older := end.unheard.pop(at, None)) is not None:
            at = older.stop
            older.new = False
            older.settled = True
    if rung.new:
        end.unheard[rung.start] = rung
    end.pending.append(rung)
    if len(end.pending) > _MOST_PENDING:
        _take(end).settled = True


def at_the_end(end: End) -> list[Rung]:
    """Returns what an end's peer has still got when the capture is over, and gives up the rest."""
    got = _rest(end)
    for lost in end.pending:
        lost.settled = True
    end.pending.clear()
    return got


def _rest(end: End) -> list[Rung]:
    """Takes from what `end` has pending all that stands before new sequence space."""
    pending = end.pending
    got = []
    while pending and not pending[0].new:
        item = pending.popleft()
        if not item.settled:
            got.append(item)
    return got


def _give_up_acks(end: End, start: int) -> None:
    """Gives up the waiting acknowledgements of something at `start` that its sender sends again."""
    for item in end.pending:
        if item.new:
            return
        if item.ack is not None and item.ack > start:
            item.settled = True


def _acknowledged(end: End, ack: int) -> list[Rung]:
    """Takes from what `end` has pending all that `ack` acknowledges, and what was sent before the last of that."""
    pending = end.pending
    last = 0
    for at, item in enumerate(pending):
        if item.new:
            if item.stop <= ack:
                last = at + 1
            elif not end.disordered:
                break
    got, kept = [], []
    receiver = end.peer
    for _ in range(last):
        item = _take(end)
        if item.new and item.stop > ack:
            kept.append(item)
        elif not item.settled:
            got.append(item)
            # What is acknowledged has arrived in order, also where the capture has missed some of it.
            if receiver.got_next is not None and receiver.got_next < item.start:
                receiver.got_next = item.start
    for item in reversed(kept):
        pending.appendleft(item)
        end.unheard[item.start] = item
    end.disordered = end.disordered and bool(pending)
    return got


def _take(end: End) -> Rung:
    item = end.pending.popleft()
    if item.new and end.unheard.get(item.start) is item:
        del end.unheard[item.start]
    return item


def _number(rung: Rung) -> int:
    return rung.number
