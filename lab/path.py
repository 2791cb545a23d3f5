"""The path a packet takes, top to bottom. Each packet becomes a rung: one line of the ladder that is drawn in the end.

    frame ─ segment ─ placed in its conversation: rung ─┬─ sent: its sender walks the table
                                                        │  rung.held = the states of both ends
                                                        └─ got, later, if it arrives: its receiver walks the table
                                                           rung.delivered = the states of both ends, once quiet

Sent is not got: a packet that was captured has left its sender and may still be lost. So a rung has two instants.
*Held* is when the packet has been sent and not yet got, *delivered* when it has arrived and both hosts are quiet; at
each the rung keeps the states of both ends, None where nobody knows. A rung is *settled* when its packet's fate,
arrived or lost, is known.

Who got what, and when, is inferred from later packets (`Path.annotate`; the rules are in `annotate/delivery.py`) or
told by the wire that forwarded them (`Path.replay`), which also asked both kernels for their states: these are kept
beside ours, to be compared, and decide nothing. Which event a
segment is to its sender and its receiver, such as "got FIN", its protocol says (`protocols/tcp/dissect.py`); where that
event leads, the protocol's table (`protocols/tcp/states.py`). What TCP carries, such as TLS, walks tables of its own in
the same way (`annotate/layers.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from copy import copy

from lab.annotate import delivery
from lab.annotate.layers import Layers
from lab.annotate.walk import Walk
from lab.dissect.conversations import Conversation, Conversations, Elsewhere
from lab.dissect.fragments import Fragments
from lab.dissect.segment import FRAGMENT, segment
from lab.model import ACK, RST, Captured, Delivered, Frame, Journal, Rung, Segment, Settled, WireEvent
from lab.protocols import UPPER
from lab.protocols.tcp import CHECKING, TCP

_PATIENCE = 256  # packets later a fate that is unknown is decided by what is known, if that can be
_MOST_WAITING = 65_536  # packets later it is no longer waited for: the packet goes out undecided
_ROUND = 65_536  # packets from one look at how many conversations are followed to the next
Mine = Callable[[Frame], bool | None]  # whether a frame is to be annotated; None where only the whole packet tells


class Path:
    """Turns one capture into rungs, once. `conversations` grows while they come out.

    Of those for which there is no more room `let_go` is told: they have come to their end, or are `evicted`. What is
    decided when depends on the packets' numbers, so that a part of the conversations alone gives the same.
    """

    def __init__(
        self, let_go: Callable[[Conversation], None] | None = None, elsewhere: Elsewhere | None = None
    ) -> None:
        self._conversations = Conversations(elsewhere)
        self._let_go = let_go
        self._young: deque[Rung] = deque()  # whose fate was unknown when they came
        self._old: deque[Rung] = deque()  # and is still
        self.undecided: dict[int, Rung] = {}  # as they were when they had been waited for too long
        self._walk = Walk(TCP)
        self._layers = Layers(UPPER, TCP.ended)
        self._fragments = Fragments()
        self._checking = Walk(CHECKING)  # of a replay
        self._forged_in: set[int] = set()  # ids of conversations that begin with a forged packet
        self.waiting: dict[int, Rung] = {}  # in a replay: whose fate the wire has yet to tell, in the order of capture

    def learn(self, keylog: bytes = b"", server_key: bytes = b"") -> None:
        """Takes in secrets: lines of an NSS key log, and the server's private key (PEM), as soon as they are known."""
        self._layers.learn(keylog, server_key)

    @property
    def conversations(self) -> list[Conversation]:
        """Those that are followed: all of a capture, unless it has very many."""
        return list(self._conversations.followed.values())

    def settled(self, frames: Iterable[Frame], keep_frames: bool = True, mine: Mine | None = None) -> Iterator[Rung]:
        """Yields the rungs of `annotate` in the order of capture, each when its fate is known."""
        return in_order(self.annotate(frames, keep_frames, mine), self.undecided)

    def annotate(
        self, frames: Iterable[Frame], keep_frames: bool = True, mine: Mine | None = None, last: int = 0
    ) -> Iterator[Rung]:
        """Yields the rung of each frame that is `mine` at once; it is filled in when later frames show its fate.

        Where the frames are only some of a capture's, `last` is the number of its last packet.
        """
        place, walk, layers, young = self._conversations.place, self._walk, self._layers, self._young
        number, end_of_round = 0, _ROUND
        for frame in frames:
            number = frame.number
            while number >= end_of_round:
                end_of_round = self._end_round(end_of_round)
            if young and young[0].number < number - _PATIENCE:
                self._grow_old(number)
            if mine and mine(frame) is False:
                continue
            found = segment(frame)
            if found is FRAGMENT:
                whole = self._fragments.add(frame)
                if mine and not mine(whole or frame._replace(data=b"")):  # a packet is whose it is when it is whole
                    continue
                rung = self._placed(frame, whole)
            else:
                rung = place(frame, found)
            conversation = rung.conversation
            if rung.segment is None or conversation is None:
                rung.settled = True
            else:
                proved = delivery.proved_by(rung)
                for arrived in proved:
                    walk.got(arrived)
                    if conversation.above:
                        layers.got(arrived)
                    walk.settled(arrived)
                walk.sent(rung)
                if rung.segment.payload or conversation.above:
                    layers.sent(rung)
                if conversation.reset_by:
                    for arrived in delivery.reset_by(rung, proved):
                        walk.settled(
                            arrived
                        )  # once more: this reset is the answer, its receiver is quiet only after it
                delivery.under_way(rung)
                young.append(rung)
            if not keep_frames:
                rung.frame = rung.whole = None
            yield rung
        while last >= end_of_round:
            end_of_round = self._end_round(end_of_round)
        self._grow_old(max(number, last) + 1)
        for conversation in self.conversations:
            self._got(delivery.at_the_end(conversation))

    def _placed(self, frame: Frame, whole: Frame | None) -> Rung:
        """Returns the rung of a fragment, and where it completes one, of the packet."""
        rung = self._conversations.place(frame, segment(whole) if whole else FRAGMENT)
        rung.whole = whole
        return rung

    def _grow_old(self, number: int) -> None:
        """Decides, before packet `number`, the fates of packets that were sent long ago, where that can be."""
        young, old = self._young, self._old
        while young and young[0].number < number - _PATIENCE:
            rung = young.popleft()
            if not rung.settled and rung.end is not None:
                self._got(delivery.after_long(rung.end))
                if not rung.settled:
                    old.append(rung)
        while old and old[0].number < number - _MOST_WAITING:
            rung = old.popleft()
            if not rung.settled:
                self.undecided[rung.number] = copy(rung)

    def _end_round(self, before: int) -> int:
        """Lets go, before packet `before`, of the conversations that there is no room for; returns the next round's."""
        self._grow_old(before)
        for which in self._conversations.excess(before):
            under_way = [rung for end in which.ends for rung in end.pending]
            which.evicted = not which.over
            self._got(delivery.at_the_end(which))
            for rung in under_way:
                if not rung.got:
                    rung.labels += ("evicted",)
            if self._let_go:
                self._let_go(which)
            self._layers.forget(which)
            self._conversations.forget(which)
        self._old = deque(rung for rung in self._old if not rung.settled)
        return before + _ROUND

    def _got(self, arrived: Iterable[Rung]) -> None:
        for rung in arrived:
            self._walk.got(rung)
            self._layers.got(rung)
            self._walk.settled(rung)

    def replay(self, events: Iterable[WireEvent]) -> Iterator[Rung]:
        """Yields the rung of each captured frame in order, when the wire has told its fate."""
        waiting = self.waiting
        untold: set[int] = set()  # packets whose fate the journal does not tell: they stay undecided
        for event in events:
            if isinstance(event, Captured):
                rung = self._forged(event.frame) if event.forged else self._sent(event.frame)
                rung.kernel_held = event.kernel
                if event.order >= 0:  # else the journal does not tell of this frame
                    rung.journal = Journal(arrived=event.order, delivered=(), settled=0, forged=event.forged)
                waiting[rung.number] = rung
            elif isinstance(event, Delivered):  # it has arrived; rung.delivered is taken when both hosts are quiet
                rung = waiting[event.number]
                self._checking.got(rung)
                self._layers.got(rung)
                if rung.journal:
                    rung.journal = rung.journal._replace(delivered=(*rung.journal.delivered, event.order))
            elif isinstance(event, Settled):  # comes for a lost packet too
                rung = waiting[event.number]
                rung.kernel_delivered = event.kernel
                if rung.journal:
                    rung.journal = rung.journal._replace(settled=event.order, absorbed=event.absorbed)
                    self._checking.settled(rung)
                else:
                    untold.add(rung.number)
                while waiting and ((first := next(iter(waiting.values()))).settled or first.number in untold):
                    untold.discard(first.number)
                    yield waiting.pop(first.number)
            elif own := [which for which in self.conversations if which.id not in self._forged_in]:
                own[-1].kernel_final = event.kernel  # Final: the kernels were asked about the scenario's own connection
        while waiting:  # the journal ended early: these stay undecided
            yield waiting.pop(next(iter(waiting)))

    def _sent(self, frame: Frame) -> Rung:
        found = segment(frame)
        if found is FRAGMENT:
            rung = self._placed(frame, self._fragments.add(frame))
        elif isinstance(found, Segment) and found.flags & (RST | ACK) == RST:
            rung = self._conversations.place_reset(frame, found)
        else:
            rung = self._conversations.place(frame, found)
        self._checking.sent(rung)
        self._layers.sent(rung)
        return rung

    def _forged(self, frame: Frame) -> Rung:
        """Returns the rung of a packet that the wire has made: its sender knows nothing of it, its receiver gets it."""
        rung = self._conversations.place_forged(frame, segment(frame))
        if rung.conversation is not None and rung.conversation.packets == 1:
            self._forged_in.add(rung.conversation.id)
        self._checking.forged(rung)
        return rung


def in_order(rungs: Iterable[Rung], undecided: dict[int, Rung] | None = None) -> Iterator[Rung]:
    """Yields rungs in the order of capture, each when it is settled, or as it is among the `undecided`."""
    waiting: deque[Rung] = deque()
    undecided = {} if undecided is None else undecided
    for rung in rungs:
        waiting.append(rung)
        while waiting and ((first := waiting[0]).settled or first.number in undecided):
            waiting.popleft()
            yield undecided.pop(first.number, first)
    for rung in waiting:
        yield undecided.pop(rung.number, rung)
