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


class Path:
    """One capture's way through. `conversations` grows while rungs come out."""

    def __init__(self) -> None:
        self._conversations = Conversations()
        self._walk = Walk(PROTOCOLS[0])

    @property
    def conversations(self) -> list[Conversation]:
        return self._conversations.all

    def annotate(self, frames: Iterable[Frame]) -> Iterator[Rung]:
        """Yields a rung for each frame, as soon as it is captured; its fate is filled in when later frames show it."""
        walk = self._walk
        for frame in frames:
            rung = self._conversations.place(frame, segment(frame))
            proved = delivery.proved_by(rung)
            self._got(proved)
            walk.sent(rung)
            if proved and rung.segment and rung.segment.flags & RST:
                for arrived in proved:
                    if arrived.new:  # a reset is the kernel's own answer to it: the host is quiet only behind that
                        _settle(arrived)
            delivery.sent(rung)
            if rung.end is None:
                rung.settled = True
            yield rung
        for conversation in self.conversations:
            for end in conversation.ends:
                self._got(delivery.at_the_end(end))

    def overdue(self, rung: Rung) -> None:
        """Decides the fate of a packet that nothing has followed for long, where that is enough to decide it."""
        if rung.end is not None:
            self._got(delivery.after_long(rung.end))

    def _got(self, arrived: list[Rung]) -> None:
        for rung in arrived:
            self._walk.got(rung)
            _settle(rung)

    def replay(self, events: Iterable[WireEvent]) -> Iterator[Rung]:
        """Yields a rung for each captured frame likewise; its fate is filled in when the wire tells it."""
        walk = self._walk
        waiting: dict[int, Rung] = {}
        for event in events:
            if isinstance(event, Captured):
                rung = self._conversations.place(event.frame, segment(event.frame))
                walk.sent(rung)
                rung.kernel_held = event.kernel
                rung.journal = Journal(event.order, (), 0)
                waiting[rung.number] = rung
                yield rung
            elif isinstance(event, Delivered):
                rung = waiting[event.number]
                walk.got(rung)
                if rung.journal:
                    rung.journal = rung.journal._replace(delivered=(*rung.journal.delivered, event.order))
            elif isinstance(event, Settled):
                rung = waiting.pop(event.number)
                rung.kernel_delivered = event.kernel
                if rung.journal:
                    rung.journal = rung.journal._replace(settled=event.order)
                _settle(rung)
            elif self.conversations:
                self.conversations[-1].kernel_final = event.kernel


def _settle(rung: Rung) -> None:
    """The packet's fate is known and both hosts are quiet: the *delivered* instant, where it arrived."""
    rung.settled = True
    conversation = rung.conversation
    if conversation is None:
        return
    if rung.got:
        rung.delivered = conversation.states
    elif rung.steps:
        conversation.lost.add(rung.number)


def in_order(rungs: Iterable[Rung], overdue: Callable[[Rung], None] | None = None, at_most: int = 4096) -> Iterator[Rung]:
    """Yields rungs in the order of capture, each when its fate is known.

    When `at_most` have come behind one whose fate is not, that one is `overdue`, and goes as it then is.
    """
    waiting: deque[Rung] = deque()
    for rung in rungs:
        waiting.append(rung)
        while waiting[0].settled:
            yield waiting.popleft()
            if not waiting:
                break
        if len(waiting) > at_most:
            if overdue and not waiting[0].settled:
                overdue(waiting[0])
            yield waiting.popleft()
    yield from waiting
