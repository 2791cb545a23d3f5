"""What each host lived through: the order of what it sent and what it got. Two accounts of it, and where they part.

The wire's journal tells it, and the inference from packets alone concludes it. For a host nothing else exists: which of
its packets has reached the other side it does not know, so the two accounts are compared host by host.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lab.annotate.agreement import Agreement
from lab.dissect.conversations import Conversation, End
from lab.model import RST, Role, Rung, States

Host = tuple[int, Role]  # of which conversation, which end
Histories = dict[Host, list[str]]  # "sent 1", "got 2", ...


class Mismatch(NamedTuple):
    """One thing that the packets alone tell otherwise than the journal. `packet` is None for a host's whole history."""

    packet: int | None
    what: str  # got, steps, sent in, arrived in, or whose history
    journal: object
    inferred: object


def told(rungs: Iterable[Rung]) -> Histories:
    """Returns the histories that the journal tells. What the wire delivered twice was got when it first came."""
    events: list[tuple[int, Host, str]] = []
    for rung in rungs:
        if rung.conversation is not None and rung.end is not None and rung.journal is not None:
            sender, receiver = _hosts(rung.conversation, rung.end)
            events.append((rung.journal.arrived, sender, f"sent {rung.number}"))
            events += [(order, receiver, f"got {rung.number}") for order in rung.journal.delivered[:1]]
    return _by_host((host, event) for _, host, event in sorted(events))


def watched(rungs: Iterable[Rung]) -> tuple[list[Rung], Histories]:
    """Returns the rungs of an annotation and the histories it concludes, taken down while it goes on.

    `rungs` must come straight from `Path.annotate`: a packet that is marked as got between two rungs was got there.
    Several at once were got in the order of their numbers.
    """
    all_of_them: list[Rung] = []
    under_way: list[Rung] = []
    events: list[tuple[Host, str]] = []

    def take_down() -> None:
        for each in under_way:
            if each.got and each.conversation is not None and each.end is not None:
                events.append((_hosts(each.conversation, each.end)[1], f"got {each.number}"))
        under_way[:] = [each for each in under_way if not each.settled]

    for rung in rungs:
        take_down()
        if rung.conversation is not None and rung.end is not None:
            events.append((_hosts(rung.conversation, rung.end)[0], f"sent {rung.number}"))
            under_way.append(rung)
        all_of_them.append(rung)
    take_down()
    return all_of_them, _by_host(events)


def untold(rungs: Iterable[Rung]) -> list[int]:
    """Returns the packets that were lost without the other packets showing it: nobody sends these again.

    They are bare ACKs, RSTs, and repetitions of what had been acknowledged.
    """
    lost = []
    acked: dict[Host, int] = {}
    for rung in rungs:
        if rung.conversation is None or rung.end is None or rung.segment is None:
            continue
        sender, receiver = _hosts(rung.conversation, rung.end)
        if rung.settled and not rung.got:
            bare = rung.start == rung.stop or rung.segment.flags & RST
            if bare or rung.stop <= acked.get(sender, 0):
                lost.append(rung.number)
        if rung.ack is not None:
            acked[receiver] = max(acked.get(receiver, 0), rung.ack)
    return lost


def mismatches(journal: Sequence[Rung], inferred: Iterable[Rung]) -> list[Mismatch]:
    """Returns where the inference from packets alone departs from the journal: in what was got, in the steps, in the
    two states a ladder shows, in a host's history. `inferred` comes straight from `Path.annotate`.
    """
    guessed, histories = watched(inferred)
    found = []
    for mine, theirs in zip(journal, guessed, strict=True):
        for what, a, b in (
            ("got", mine.got, theirs.got),
            ("steps", mine.steps, theirs.steps),
            ("sent in", _sender(mine, mine.held), _sender(theirs, theirs.held)),
            ("arrived in", _receiver(mine, mine.delivered), _receiver(theirs, theirs.delivered)),
        ):
            if a != b:
                found.append(Mismatch(mine.number, what, a, b))
    for host, history in told(journal).items():
        if history != histories.get(host):
            found.append(Mismatch(None, f"history of the {host[1]}", history, histories.get(host)))
    return found


def faults(rungs: Sequence[Rung], inferred: Iterable[Rung], agreement: Agreement) -> list[str]:
    """Returns, in words, all that is wrong with a run: a state told differently without a numbered reason, an event
    without a row, and, where no packet was lost untold, whatever the packets alone tell otherwise than the journal.
    """
    found = [
        f"packet {each.number}, {each.instant}: the {each.role}'s kernel says {each.kernel}, the table {each.ours}"
        for each in agreement.unexplained
    ]
    found += [
        f"packet {rung.number}: the {surprise.role} {surprise.on} in {surprise.state}, which has no row"
        for rung in rungs
        for surprise in rung.surprises
    ]
    if not untold(rungs):
        found += [
            (f"packet {each.packet}, " if each.packet else "")
            + f"{each.what}: the journal says {each.journal}, the packets alone {each.inferred}"
            for each in mismatches(rungs, inferred)
        ]
    return found


def _by_host(events: Iterable[tuple[Host, str]]) -> Histories:
    histories: Histories = {}
    for host, event in events:
        histories.setdefault(host, []).append(event)
    return histories


def _hosts(conversation: Conversation, end: End) -> tuple[Host, Host]:
    """Returns sender and receiver."""
    return (conversation.id, end.role), (conversation.id, end.peer.role)


def _sender(rung: Rung, states: States | None) -> str | None:
    return _of(states, rung.end.role if rung.end else None)


def _receiver(rung: Rung, states: States | None) -> str | None:
    return _of(states, rung.end.peer.role if rung.end else None)


def _of(states: States | None, role: Role | None) -> str | None:
    return None if states is None else states.client if role == "client" else states.server
