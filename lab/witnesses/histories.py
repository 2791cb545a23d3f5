"""What each host lived through: the order of what it sent and what it got. Two accounts of it, and where they part.

The wire's journal tells it; from packets alone it is inferred. Not everything can be: `untold` finds, in the journal,
the packets whose fate no other packet shows. The rest must be the same in both accounts (DEVIATIONS.md, no. 8).
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from lab.engine.record import Record
from lab.model import Packet, Role, States
from lab.report.agreement import Agreement
from lab.report.packets import packet as frozen
from lab.text import ROLES, Text

Host = tuple[int, Role]  # of which conversation, which end
Histories = dict[Host, list[str]]  # "sent 1", "got 2", ...
Untold = Literal["whether", "when"]  # what of a packet's arrival no other packet shows; in doubt the first

_AGAIN = {"retransmission", "out-of-order"}
_MOST_LOOKED_AT = 20_000_000  # packets under way, counted each time that one is looked at

_Sent = list[tuple[int, int, Packet]]  # a heap of the packets of a sender: by where they end, then by number


class EntangledError(Exception):
    """So many packets are under way at once, each time something happens, that going through them takes too long."""


class Mismatch(NamedTuple):
    """One thing that the packets alone tell otherwise than the journal. `packet` is None for a host's whole history."""

    packet: int | None
    what: str  # got, steps, sent in, arrived in, or whose history
    journal: object
    inferred: object

    def __str__(self) -> str:
        return self.text().en

    def text(self) -> Text:
        place = Text(f"packet {self.packet}, ", f"第 {self.packet} 号包，") if self.packet else Text("", "")
        return Text(place.en + self.words.en, place.zh + self.words.zh)

    @property
    def words(self) -> Text:
        """What it is, without the packet."""
        return Text(
            f"{self.what}: the journal says {self.journal}, the packets alone {self.inferred}",
            f"{self.what}：日志说 {self.journal}，仅凭抓包则是 {self.inferred}",
        )


def faults(packets: Sequence[Packet], inferred: Iterable[Record | None], agreement: Agreement) -> list[Text]:
    """Returns, in words, all that is wrong with a run: a state told differently without a numbered reason, an event
    without a row, and whatever packets alone could tell and tell otherwise than the journal.

    `packets` are those of the run, `inferred` comes straight from `Path.annotate` on the same frames.
    """
    states = [
        Text(
            f"packet {each.number}, {each.instant}: the {each.role}'s kernel says {each.kernel}, the table {each.ours}",
            f"第 {each.number} 号包，{each.instant}：{ROLES[each.role].zh}内核说 {each.kernel}，状态表说 {each.ours}",
        )
        for each in agreement.unexplained
    ]
    surprises = [
        Text(
            f"packet {packet.number}: the {each.role} {each.on} in {each.state}, which has no row",
            f"第 {packet.number} 号包：{ROLES[each.role].zh}在 {each.state} 状态下的事件 {each.on}，表中没有这一行",
        )
        for packet in packets
        for each in packet.surprises
    ]
    return states + surprises + [each.text() for each in mismatches(packets, inferred, untold(packets))]


def mismatches(
    packets: Sequence[Packet], inferred: Iterable[Record | None], hidden: Mapping[int, Untold]
) -> list[Mismatch]:
    """Returns where the inference from packets alone departs from the journal of the same packets: in what was got, in
    the steps, in the two states that a ladder shows, in a host's history.

    Where packets leave open when one was got, only what was got is compared; where they leave open whether, nothing:
    `hidden` is what `untold` found. Raises EntangledError.
    """
    open_ = set(hidden.values())
    if "whether" in open_:
        return []
    guessed, histories = watched(inferred)
    found = []
    for mine, theirs in zip(packets, guessed, strict=True):
        compared: list[tuple[str, object, object]] = [("got", mine.fate == "arrived", theirs.fate == "arrived")]
        if not open_:
            compared += [
                ("steps", mine.steps, theirs.steps),
                ("sent in", _sender(mine, mine.held), _sender(theirs, theirs.held)),
                ("arrived in", _receiver(mine, mine.delivered), _receiver(theirs, theirs.delivered)),
            ]
        found += [Mismatch(mine.number, what, a, b) for what, a, b in compared if a != b]
    for host, history in told(packets).items() if not open_ else ():
        if history != histories.get(host):
            found.append(Mismatch(None, f"history of the {host[1]}", history, histories.get(host)))
    return found


def told(packets: Iterable[Packet]) -> Histories:
    """Returns the histories that the journal tells. What was delivered twice counts when it first came."""
    return _by_host(
        (_hosts(packet)[0], f"sent {packet.number}") if sent else (_hosts(packet)[1], f"got {packet.number}")
        for _, sent, packet in _journal(packets)
    )


def watched(records: Iterable[Record | None]) -> tuple[list[Packet], Histories]:
    """Returns the packets of an annotation and the histories it concludes, taken down while it goes on.

    `records` must come straight from `Path.annotate`: one that is marked as got between two others was got there.
    Several at once were got in the order of their numbers. Raises EntangledError.
    """
    all_of_them: list[Record] = []
    under_way: dict[int, list[Record]] = {}  # by conversation: what nobody of another one has to do with
    events: list[tuple[Host, str]] = []
    looked = _Looked()

    def take_down(conversation: int) -> None:
        waiting = under_way.get(conversation, ())
        looked.at(waiting)
        events.extend((_ends(each)[1], f"got {each.number}") for each in waiting if each.got)
        under_way[conversation] = [each for each in waiting if not each.got and not each.settled]

    last: int | None = None  # the conversation of the packet before
    for record in records:
        if last is not None:
            take_down(last)
        if record is None:
            continue
        last = record.conversation.id if record.conversation is not None else None
        if last is not None:
            take_down(last)
            events.append((_ends(record)[0], f"sent {record.number}"))
            under_way[last].append(record)
        all_of_them.append(record)
    for each in under_way:
        take_down(each)
    return [frozen(record) for record in all_of_them], _by_host(events)


def untold(packets: Sequence[Packet]) -> dict[int, Untold]:
    """Returns the packets of a journal of which the other packets do not show whether they arrived, or not when.

    Whether: what has lost its journal, as where a file ends in the middle of a packet; a bare ACK, a RST or a needless
    copy that was lost, for nobody sends it again; what arrived twice, or once and then its copy; an ACK that was under
    way while the other end repeated what it acknowledges; what arrived and was refused, unless its answer shows it;
    what was forged; what its receiver has not answered where the capture ends. When: what arrived ahead of something
    sent before it; what was answered and not remembered (SYN cookies); a bare ACK, a RST or a needless copy under way
    while its receiver sent something. Raises EntangledError.
    """
    replay = _Replay()
    for _, sent, packet in _journal(packets):
        if sent:
            replay.sent(packet)
        else:
            replay.got(packet)
    replay.over()
    lost = (each for each in packets if each.conversation is not None and each.journal is None)
    replay.untold.update((packet.number, "whether") for packet in lost)
    return dict(sorted(replay.untold.items()))


class _Looked:
    """Counts how many packets have been looked at. Raises EntangledError where they become too many."""

    def __init__(self) -> None:
        self._count = 0

    def at(self, packets: Collection[object]) -> None:
        self._count += len(packets)
        if self._count > _MOST_LOOKED_AT:
            raise EntangledError


class _Replay:
    """Goes through a journal and knows, at each moment, what has been sent, got and acknowledged."""

    def __init__(self) -> None:
        self.untold: dict[int, Untold] = {}
        self._under_way: dict[Host, list[Packet]] = {}  # by receiver, in the order of capture
        self._sent: dict[Host, _Sent] = {}  # by sender: what takes sequence space not yet acknowledged
        self._acked: dict[Host, int] = {}  # by sender: up to where, as far as has been captured
        self._got_next: dict[Host, int] = {}
        self._aside: dict[Host, list[Packet]] = {}  # got ahead of order
        self._last: dict[Host, list[Packet]] = {}  # by receiver: got since it has sent something
        self._looked = _Looked()

    def sent(self, packet: Packet) -> None:
        sender, receiver = _hosts(packet)
        self._last[sender] = []
        self._cross(packet, sender, receiver)
        arrives = bool(packet.journal and packet.journal.delivered)
        if not arrives and self._is_silent(packet, sender):
            self.untold[packet.number] = "whether"
        waiting = self._sent.setdefault(sender, [])
        if not _AGAIN.isdisjoint(packet.labels):
            self._looked.at(waiting)
            for _, _, each in waiting:
                if each.journal and each.journal.delivered and _seq(each) < packet.stop and _seq(packet) < each.stop:
                    self.untold[packet.number] = "whether"
        if max(_seq(packet), self._acked.get(sender, 0)) < packet.stop:
            heapq.heappush(waiting, (packet.stop, packet.number, packet))
        if arrives:
            self._under_way.setdefault(receiver, []).append(packet)
        if packet.ack is not None:
            self._acked[receiver] = max(self._acked.get(receiver, 0), packet.ack)

    def _cross(self, packet: Packet, sender: Host, receiver: Host) -> None:
        """Looks at what comes towards the sender of `packet` and has not arrived."""
        newly = 0  # the last packet that it is the first to acknowledge
        waiting = self._sent.get(receiver, ())
        while waiting and packet.ack is not None and waiting[0][0] <= packet.ack:
            newly = max(newly, heapq.heappop(waiting)[1])
        under_way = self._under_way.get(sender, ())
        self._looked.at(under_way)
        for crossed in under_way:
            if not self._is_silent(crossed, receiver):
                continue
            if _seq(packet) < packet.stop and crossed.ack is not None and _seq(packet) < crossed.ack:
                self.untold[crossed.number] = "whether"
            elif crossed.number < newly or not newly:
                self.untold.setdefault(crossed.number, "when")

    def got(self, packet: Packet) -> None:
        sender, receiver = _hosts(packet)
        if not self._is_silent(packet, sender):
            self._last.setdefault(receiver, []).append(packet)
        if _leaves_no_trace(packet):
            self.untold[packet.number] = "whether"
        elif packet.verdict and not packet.refused and packet.delivered == packet.held and _seq(packet) < packet.stop:
            self.untold.setdefault(packet.number, "when")
        next_ = self._got_next.setdefault(receiver, _seq(packet))
        under_way = self._under_way[receiver]
        self._looked.at(under_way)
        if under_way[0] is not packet or _seq(packet) > next_:
            self.untold.setdefault(packet.number, "when")
        under_way.remove(packet)
        if packet.journal and len(packet.journal.delivered) > 1:
            self.untold[packet.number] = "whether"
        aside = [*self._aside.get(receiver, ()), packet]
        self._looked.at(aside)
        while ready := [each for each in aside if _seq(each) <= self._got_next[receiver]]:
            self._got_next[receiver] = max(self._got_next[receiver], *(each.stop for each in ready))
            aside = [each for each in aside if each not in ready]
        self._aside[receiver] = aside

    def over(self) -> None:
        for each in itertools.chain.from_iterable(self._last.values()):
            self.untold[each.number] = "whether"

    def _is_silent(self, packet: Packet, sender: Host) -> bool:
        """Whether nobody has to answer it: it takes no sequence space, or none that is still open."""
        reset = "RST" in packet.flags
        return bool(_seq(packet) == packet.stop or reset or packet.stop <= self._acked.get(sender, 0))


def _journal(packets: Iterable[Packet]) -> list[tuple[int, bool, Packet]]:
    """Returns what the wire did, in order: the place, whether it was a capture (else a delivery), the packet."""
    done: list[tuple[int, bool, Packet]] = []
    for packet in packets:
        if packet.conversation is not None and packet.journal is not None:
            done.append((packet.journal.arrived, True, packet))
            done += [(order, False, packet) for order in packet.journal.delivered[:1]]
    return sorted(done, key=lambda each: each[0])


def _by_host(events: Iterable[tuple[Host, str]]) -> Histories:
    histories: Histories = {}
    for host, event in events:
        histories.setdefault(host, []).append(event)
    return histories


def _hosts(packet: Packet) -> tuple[Host, Host]:
    """Returns sender and receiver of a packet that belongs to a conversation."""
    assert packet.conversation is not None
    assert packet.sender is not None
    assert packet.receiver is not None
    return (packet.conversation, packet.sender), (packet.conversation, packet.receiver)


def _ends(record: Record) -> tuple[Host, Host]:
    assert record.conversation is not None
    assert record.end is not None
    return (record.conversation.id, record.end.role), (record.conversation.id, record.end.peer.role)


def _leaves_no_trace(packet: Packet) -> bool:
    """Whether a packet that has arrived looks to everybody else as if it had not, or had been taken, or as if another
    had sent it.
    """
    refused, bare = packet.refused, _seq(packet) == packet.stop
    if refused is None:
        shown = True
    elif refused.answer == "RST":  # in answer to a bare ACK it looks like the end of what that has opened
        shown = not bare or _receiver(packet, packet.held) == _receiver(packet, packet.delivered)
    else:
        shown = refused.answer is not None and bare
    return not shown or bool(packet.journal and packet.journal.forged)


def _sender(packet: Packet, states: States | None) -> str | None:
    return _of(states, packet.sender)


def _receiver(packet: Packet, states: States | None) -> str | None:
    return _of(states, packet.receiver)


def _of(states: States | None, role: Role | None) -> str | None:
    return None if states is None else states.client if role == "client" else states.server


def _seq(packet: Packet) -> int:
    return packet.seq or 0  # a packet of a conversation has one
