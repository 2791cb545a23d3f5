"""What each host lived through: the order of what it sent and what it got. Two accounts of it, and where they part.

The wire's journal tells it; from packets alone it is inferred. Not everything can be: `untold` finds, in the journal,
the packets whose fate no other packet shows. The rest must be the same in both accounts (DEVIATIONS.md, no. 8).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from lab.engine.record import Record
from lab.model import Role, States
from lab.protocols.tcp.segment import RST
from lab.report.agreement import Agreement
from lab.text import ROLES, Text

Host = tuple[int, Role]  # of which conversation, which end
Histories = dict[Host, list[str]]  # "sent 1", "got 2", ...
Untold = Literal["whether", "when"]  # what of a packet's arrival no other packet shows; in doubt the first

_AGAIN = {"retransmission", "out-of-order"}


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
        return Text(
            f"{place.en}{self.what}: the journal says {self.journal}, the packets alone {self.inferred}",
            f"{place.zh}{self.what}：日志说 {self.journal}，仅凭报文则是 {self.inferred}",
        )


def faults(rungs: Sequence[Record], inferred: Iterable[Record], agreement: Agreement) -> list[Text]:
    """Returns, in words, all that is wrong with a run: a state told differently without a numbered reason, an event
    without a row, and whatever packets alone could tell and tell otherwise than the journal.

    `rungs` are those of the run, `inferred` comes straight from `Path.annotate` on the same frames.
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
            f"packet {rung.number}: the {each.role} {each.on} in {each.state}, which has no row",
            f"第 {rung.number} 号包：{ROLES[each.role].zh}在 {each.state} 状态 {each.on}，表中没有这一行",
        )
        for rung in rungs
        for each in rung.surprises
    ]
    return states + surprises + [each.text() for each in mismatches(rungs, inferred)]


def mismatches(rungs: Sequence[Record], inferred: Iterable[Record]) -> list[Mismatch]:
    """Returns where the inference from packets alone departs from the journal of the same packets: in what was got, in
    the steps, in the two states that a ladder shows, in a host's history.

    Where packets leave open when one was got, only what was got is compared; where they leave open whether, nothing.
    """
    guessed, histories = watched(inferred)
    open_ = set(untold(rungs).values())
    if "whether" in open_:
        return []
    found = []
    for mine, theirs in zip(rungs, guessed, strict=True):
        compared: list[tuple[str, object, object]] = [("got", mine.got, theirs.got)]
        if not open_:
            compared += [
                ("steps", mine.steps, theirs.steps),
                ("sent in", _sender(mine, mine.held), _sender(theirs, theirs.held)),
                ("arrived in", _receiver(mine, mine.delivered), _receiver(theirs, theirs.delivered)),
            ]
        found += [Mismatch(mine.number, what, a, b) for what, a, b in compared if a != b]
    for host, history in told(rungs).items() if not open_ else ():
        if history != histories.get(host):
            found.append(Mismatch(None, f"history of the {host[1]}", history, histories.get(host)))
    return found


def told(rungs: Iterable[Record]) -> Histories:
    """Returns the histories that the journal tells. What was delivered twice counts when it first came."""
    return _by_host(
        (_hosts(rung)[0], f"sent {rung.number}") if sent else (_hosts(rung)[1], f"got {rung.number}")
        for _, sent, rung in _journal(rungs)
    )


def watched(rungs: Iterable[Record]) -> tuple[list[Record], Histories]:
    """Returns the rungs of an annotation and the histories it concludes, taken down while it goes on.

    `rungs` must come straight from `Path.annotate`: a packet that is marked as got between two rungs was got there.
    Several at once were got in the order of their numbers.
    """
    all_of_them: list[Record] = []
    under_way: list[Record] = []
    events: list[tuple[Host, str]] = []

    def take_down() -> None:
        events.extend((_hosts(each)[1], f"got {each.number}") for each in under_way if each.got)
        under_way[:] = [each for each in under_way if not each.got and not each.settled]

    for rung in rungs:
        take_down()
        if rung.conversation is not None:
            events.append((_hosts(rung)[0], f"sent {rung.number}"))
            under_way.append(rung)
        all_of_them.append(rung)
    take_down()
    return all_of_them, _by_host(events)


def untold(rungs: Sequence[Record]) -> dict[int, Untold]:
    """Returns the packets of a journal of which the other packets do not show whether they arrived, or not when.

    Whether: a bare ACK, a RST or a needless copy that was lost, for nobody sends it again; what arrived twice, or once
    and then its copy; an ACK that was under way while the other end repeated what it acknowledges. When: what arrived
    ahead of something sent before it; a bare ACK, a RST or a needless copy under way while its receiver sent something.
    """
    replay = _Replay()
    for _, sent, rung in _journal(rungs):
        if sent:
            replay.sent(rung)
        else:
            replay.got(rung)
    return dict(sorted(replay.untold.items()))


class _Replay:
    """Goes through a journal and knows, at each moment, what has been sent, got and acknowledged."""

    def __init__(self) -> None:
        self.untold: dict[int, Untold] = {}
        self._under_way: dict[Host, list[Record]] = {}  # by receiver, in the order of capture
        self._sent: dict[Host, list[Record]] = {}  # by sender: what takes sequence space not yet acknowledged
        self._acked: dict[Host, int] = {}  # by sender: up to where, as far as has been captured
        self._got_next: dict[Host, int] = {}
        self._aside: dict[Host, list[Record]] = {}  # got ahead of order

    def sent(self, rung: Record) -> None:
        sender, receiver = _hosts(rung)
        self._cross(rung, sender, receiver)
        arrives = bool(rung.journal and rung.journal.delivered)
        if not arrives and self._is_silent(rung, sender):
            self.untold[rung.number] = "whether"
        waiting = [each for each in self._sent.get(sender, ()) if each.stop > self._acked.get(sender, 0)]
        if not _AGAIN.isdisjoint(rung.labels):
            for each in waiting:
                if each.journal and each.journal.delivered and each.seq < rung.stop and rung.seq < each.stop:
                    self.untold[rung.number] = "whether"
        if rung.seq < rung.stop:
            self._sent[sender] = [*waiting, rung]
        if arrives:
            self._under_way.setdefault(receiver, []).append(rung)
        if rung.ack is not None:
            self._acked[receiver] = max(self._acked.get(receiver, 0), rung.ack)

    def _cross(self, rung: Record, sender: Host, receiver: Host) -> None:
        """Looks at what comes towards the sender of `rung` and has not arrived."""
        newly = [
            each.number
            for each in self._sent.get(receiver, ())
            if rung.ack is not None and self._acked.get(receiver, 0) < each.stop <= rung.ack
        ]
        for crossed in self._under_way.get(sender, ()):
            if not self._is_silent(crossed, receiver):
                continue
            if rung.seq < rung.stop and crossed.ack is not None and rung.seq < crossed.ack:
                self.untold[crossed.number] = "whether"
            elif not newly or crossed.number < max(newly):
                self.untold.setdefault(crossed.number, "when")

    def got(self, rung: Record) -> None:
        receiver = _hosts(rung)[1]
        next_ = self._got_next.setdefault(receiver, rung.seq)
        under_way = self._under_way[receiver]
        if under_way[0] is not rung or rung.seq > next_:
            self.untold.setdefault(rung.number, "when")
        under_way.remove(rung)
        if rung.journal and len(rung.journal.delivered) > 1:
            self.untold[rung.number] = "whether"
        aside = [*self._aside.get(receiver, ()), rung]
        while ready := [each for each in aside if each.seq <= self._got_next[receiver]]:
            self._got_next[receiver] = max(self._got_next[receiver], *(each.stop for each in ready))
            aside = [each for each in aside if each not in ready]
        self._aside[receiver] = aside

    def _is_silent(self, rung: Record, sender: Host) -> bool:
        """Whether nobody has to answer it: it takes no sequence space, or none that is still open."""
        reset = rung.segment is not None and rung.segment.flags & RST
        return bool(rung.seq == rung.stop or reset or rung.stop <= self._acked.get(sender, 0))


def _journal(rungs: Iterable[Record]) -> list[tuple[int, bool, Record]]:
    """Returns what the wire did, in order: the place, whether it was a capture (else a delivery), the packet."""
    done: list[tuple[int, bool, Record]] = []
    for rung in rungs:
        if rung.conversation is not None and rung.journal is not None:
            done.append((rung.journal.arrived, True, rung))
            done += [(order, False, rung) for order in rung.journal.delivered[:1]]
    return sorted(done, key=lambda each: each[0])


def _by_host(events: Iterable[tuple[Host, str]]) -> Histories:
    histories: Histories = {}
    for host, event in events:
        histories.setdefault(host, []).append(event)
    return histories


def _hosts(rung: Record) -> tuple[Host, Host]:
    """Returns sender and receiver of a packet that belongs to a conversation."""
    assert rung.conversation is not None
    assert rung.end is not None
    return (rung.conversation.id, rung.end.role), (rung.conversation.id, rung.end.peer.role)


def _sender(rung: Record, states: States | None) -> str | None:
    return _of(states, rung.end.role if rung.end else None)


def _receiver(rung: Record, states: States | None) -> str | None:
    return _of(states, rung.end.peer.role if rung.end else None)


def _of(states: States | None, role: Role | None) -> str | None:
    return None if states is None else states.client if role == "client" else states.server
