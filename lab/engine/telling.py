"""Events made of records, in the order in which things happen. Only where somebody listens is there a teller."""

from __future__ import annotations

from collections.abc import Sequence

from lab.engine.conversation import Conversation
from lab.engine.protocol import Transport
from lab.engine.record import Record
from lab.events import (
    ConversationClosed,
    ConversationOpened,
    Event,
    Instant,
    KernelAsked,
    PacketArrived,
    PacketLost,
    PacketSent,
    SecretsLearnt,
)
from lab.model import Kernels


class Teller:
    """Puts events into a list. What a packet causes when it is sent is told behind the packet itself."""

    def __init__(self, told: list[Event], transport: Transport) -> None:
        self._told = told
        self._flags = transport.flags
        self._place = 0  # of the packet that is being sent, among the events
        self._closed: set[int] = set()

    def opens(self, record: Record) -> None:
        """A packet is about to walk the table: the first of its conversation opens that."""
        self._place = len(self._told)
        which = record.conversation
        if which is not None and which.packets == 1:
            which.told = self._told
            ends = which.identity
            self._told.append(ConversationOpened(which.id, record.number, ends.client, ends.server))
            self._place += 1

    def sent(self, record: Record, proved: Sequence[Record] = (), late: Sequence[Record] = ()) -> None:
        """A packet has left its sender, which has walked the table; it has `proved` others to have been got before.

        The `late` ones among them are those whose receiver is quiet only now.
        """
        which, end, segment = record.conversation, record.end, record.segment
        told = PacketSent(
            record.number,
            record.time,
            which.id if which else None,
            end.role if end else None,
            self._flags(segment) if segment else (),
            record.seq if segment else None,
            record.ack,
            segment.seq if segment else None,
            segment.ack if segment and record.ack is not None else None,
            segment.window if segment else None,
            segment.payload if segment else None,
            record.labels,
            record.held,
            record.assumed,
            record.above,
            record.frame,
            record.remarks,
            record.answers,
            record.quotes,
        )
        if which is None:
            self._told.append(told)
            return
        proved = [each for each in proved if each.by is not None]
        before = [told for each in proved if each not in late for told in self._arrived_all(each)]
        self._told[self._place : self._place] = [*before, told]
        self._told += [told for each in late if each.by is not None for told in self._arrived_all(each)]

    def arrived(self, record: Record) -> None:
        """A packet has been got, and both hosts are quiet; where nobody knows that, nothing is told."""
        if record.by is not None and record.conversation is not None:
            self._told += self._arrived_all(record)

    def once_more(self, record: Record) -> None:
        """A packet was captured once more; what has become of it may be known already."""
        self.sent(record)
        if record.fate == "arrived":
            self._told.append(self._arrived(record))
        elif record.fate == "lost":
            self._told.append(PacketLost(record.number, record.by or "inferred"))

    def _arrived_all(self, record: Record) -> list[Event]:
        return [self._arrived(each) for each in (record, *record.copies)]

    def asked(self, which: Conversation | None, number: int | None, instant: Instant, kernel: Kernels | None) -> None:
        """The kernels were asked, where there are some."""
        if kernel is not None:
            self._told.append(KernelAsked(number, which.id if which else None, instant, kernel.states, kernel))

    def passes(self, event: Event) -> None:
        """Something is told that is no packet's: it goes on as it is."""
        self._told.append(event)

    def learnt(self, keylog: bytes) -> None:
        """Secrets have become known."""
        self._told.append(SecretsLearnt(keylog.decode(errors="replace")))

    def closes(self, which: Conversation, number: int) -> None:
        """A conversation may be over with this packet: that is told once."""
        if which.over and which.id not in self._closed:
            self._closed.add(which.id)
            self._told.append(ConversationClosed(which.id, number, False))

    def lets_go(self, which: Conversation, number: int, left: Sequence[Record]) -> None:
        """A conversation is followed no longer; the packets that were left undecided have a label more."""
        if which.evicted:
            labels = {record.number: record.labels for record in left}
            self._told.append(ConversationClosed(which.id, number, True, labels))
        self._closed.discard(which.id)

    @staticmethod
    def _arrived(record: Record) -> PacketArrived:
        verdict = record.verdict
        refused = verdict if verdict is not None and verdict.refused else None
        return PacketArrived(record.number, record.by or "inferred", record.delivered, record.above, refused)
