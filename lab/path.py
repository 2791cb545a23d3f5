"""The path a packet takes, top to bottom: from a captured frame to a rung of the ladder.

    frame ── segment ── conversation ── delivery ── the table, both ends ── rung

A capture tells what was sent. What was got, and when, is either inferred from the packets (`annotate`) or told by the
wire (`replay`), which also says what both kernels thought. All the rest is the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from lab.annotate import delivery
from lab.annotate.walk import Walk
from lab.dissect.conversations import Conversation, Conversations
from lab.dissect.segment import segment
from lab.model import RST, Captured, Delivered, Frame, Journal, Rung, Settled, WireEvent
from lab.protocols import PROTOCOLS

_PATIENCE = 256  # packets behind one of an unknown fate before it is decided by what is known
_MOST_WAITING = 65_536


class Path:
    """One capture's way through. `conversations` grows while rungs come out."""

    def __init__(self) -> None:
        self._conversations = Conversations()
        self._walk = Walk(PROTOCOLS[0])
        self.waiting: dict[int, Rung] = {}  # whose fate the wire has yet to tell, in the order of capture

    @property
    def conversations(self) -> list[Conversation]:
        return self._conversations.all

    def annotate(self, frames: Iterable[Frame], keep_frames: bool = True) -> Iterator[Rung]:
        """Yields a rung for each frame, as soon as it is captured; its fate is filled in when later frames show it."""
        place, walk = self._conversations.place, self._walk
        for frame in frames:
            rung = place(frame, segment(frame))
            if rung.segment is None or rung.conversation is None:
                rung.settled = True
            else:
                proved = delivery.proved_by(rung)
                for arrived in proved:
                    walk.got(arrived)
                    arrived.settled = True
                    arrived.delivered = rung.conversation.states
                walk.sent(rung)
                if rung.segment.flags & RST:
                    for arrived in proved:
                        if arrived.new:  # a reset is the kernel's own answer to it: the host is quiet only behind that
                            walk.settled(arrived)
                delivery.sent(rung)
            if not keep_frames:
                rung.frame = None
            yield rung
        for conversation in self.conversations:
            self._got(delivery.at_the_end(conversation))

    def overdue(self, rung: Rung) -> None:
        """Decides the fate of a packet that nothing has followed for long, where that is enough to decide it."""
        if rung.end is not None:
            self._got(delivery.after_long(rung.end))

    def _got(self, arrived: Iterable[Rung]) -> None:
        for rung in arrived:
            self._walk.got(rung)
            self._walk.settled(rung)

    def replay(self, events: Iterable[WireEvent]) -> Iterator[Rung]:
        """Yields the rung of each captured frame in order, when the wire has told its fate."""
        walk, waiting = self._walk, self.waiting
        for event in events:
            if isinstance(event, Captured):
                rung = self._conversations.place(event.frame, segment(event.frame))
                walk.sent(rung)
                rung.kernel_held = event.kernel
                rung.journal = Journal(event.order, (), 0) if event.order >= 0 else None
                waiting[rung.number] = rung
            elif isinstance(event, Delivered):
                rung = waiting[event.number]
                walk.got(rung)
                if rung.journal:
                    rung.journal = rung.journal._replace(delivered=(*rung.journal.delivered, event.order))
            elif isinstance(event, Settled):
                rung = waiting[event.number]
                rung.kernel_delivered = event.kernel
                if rung.journal:
                    rung.journal = rung.journal._replace(settled=event.order)
                walk.settled(rung)
                while waiting and (first := next(iter(waiting.values()))).settled:
                    yield waiting.pop(first.number)
            elif self.conversations:
                self.conversations[-1].kernel_final = event.kernel
        while waiting:
            yield waiting.pop(next(iter(waiting)))


def in_order(rungs: Iterable[Rung], overdue: Callable[[Rung], None] | None = None) -> Iterator[Rung]:
    """Yields rungs in the order of capture, each when its fate is known.

    When many have come behind one whose fate is not, that one is `overdue`; when too many have, it goes as it is.
    """
    waiting: deque[Rung] = deque()
    for rung in rungs:
        waiting.append(rung)
        if len(waiting) > _PATIENCE:
            if overdue and not waiting[0].settled:
                overdue(waiting[0])
            if len(waiting) > _MOST_WAITING:
                yield waiting.popleft()
        while waiting and waiting[0].settled:
            yield waiting.popleft()
    yield from waiting
