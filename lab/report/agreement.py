"""The annotator against the kernels: at both instants of every packet, and for every difference a number or a fault.

The numbers are those of DEVIATIONS.md. A difference that none of them explains is a bug, here or
in what the kernel was asked.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from lab.model import Address, ConversationReport, Packet, Role, States

# What is remembered of other connections on the same addresses and ports. No kernel knows more of them, a false journal
# may name any number.
_MOST_PAIRS = 1 << 14  # of ends: those that had a packet last
_MOST_OTHERS = 4  # conversations between them: the newest
_MOST_STATES = 64  # of a conversation: with as many of its packets under way
_MOST_LISTED = 100_000  # disagreements

# The numbers of DEVIATIONS.md.
LISTENER_ASSUMED, CLOSED_BEHIND_DATA, SILENT_EVENT, SAME_PAIR_AGAIN = 1, 2, 3, 7
_CLOSED_BEHIND_DATA = (
    ("ESTABLISHED", "FIN-WAIT-1"),
    ("CLOSE-WAIT", "LAST-ACK"),
    # and where the peer's FIN came between close() and ours
    ("CLOSE-WAIT", "CLOSING"),
    ("LAST-ACK", "CLOSING"),
    ("CLOSED", "TIME-WAIT"),
)


class Disagreement(NamedTuple):
    """One state told differently, or that a packet was taken. `deviation` is the number in DEVIATIONS.md, None where
    nothing explains it."""

    number: int
    instant: str
    role: Role
    ours: str | None
    kernel: str | None
    deviation: int | None


class Agreement:
    """Counts instants as packets settle: a state of an end, at an instant, of a packet, is compared once."""

    def __init__(self) -> None:
        self.compared = 0
        self.disagreements: list[Disagreement] = []
        self.left_out = 0  # more, which are only counted
        self._numbers: set[int] = set()
        # Each conversation's states, each since its place in the journal: the last, and what is still to come.
        self._by_ends: dict[tuple[Address, Address], dict[int, list[tuple[int, States]]]] = {}

    def add(self, packet: Packet) -> list[Disagreement]:
        """Compares what the table says of a settled packet with what the kernels said, where they were asked.

        Returns what differs.
        """
        found: list[Disagreement] = []
        for instant, ours, kernel in (
            ("held", packet.held, packet.kernel_held),
            ("delivered", packet.delivered, packet.kernel_delivered),
        ):
            if ours is not None and kernel is not None:
                found += self._compare(packet.number, packet.assumed, instant, ours, kernel, packet)
        if packet.kernel_held is not None:
            self._note(packet)
        refused = packet.refused
        if refused is not None and refused.agrees is False and packet.receiver is not None:
            said = f"refused ({refused.code})"
            found.append(Disagreement(packet.number, "delivered", packet.receiver, "taken", said, None))
        return self._listed(found)

    def add_final(self, which: ConversationReport, last: int) -> list[Disagreement]:
        """Compares the states at the end of a conversation, after packet `last`, where the kernels were asked.

        Returns what differs.
        """
        if which.kernel_final is None:
            return []
        final = which.facts["final"]["states"]
        ours = States(final["client"], final["server"])
        return self._listed([*self._compare(last, which.facts["assumed"], "final", ours, which.kernel_final)])

    def _listed(self, found: list[Disagreement]) -> list[Disagreement]:
        if found:
            listed = found[: _MOST_LISTED - len(self.disagreements)]
            self.disagreements += listed
            self.left_out += len(found) - len(listed)
            self._numbers |= {each.deviation for each in found if each.deviation is not None}
        return found

    def _compare(
        self, number: int, assumed: Sequence[Role], instant: str, ours: States, kernel: States,
        packet: Packet | None = None,
    ) -> Iterator[Disagreement]:  # fmt: skip
        ends: tuple[tuple[Role, str | None, str | None], ...] = (
            ("client", ours.client, kernel.client),
            ("server", ours.server, kernel.server),
        )
        for role, mine, theirs in ends:
            if mine is None or theirs is None:
                continue  # a capture that begins midway: there is nothing to compare
            self.compared += 1
            if mine != theirs:
                deviation = _deviation(assumed, instant, role, mine, theirs)
                if deviation is None and packet is not None:
                    deviation = self._of_packet(packet, instant, role, mine, theirs)
                yield Disagreement(number, instant, role, mine, theirs, deviation)

    def _of_packet(self, packet: Packet, instant: str, role: str, ours: str, kernel: str) -> int | None:
        """Returns the numbered reason for a difference that the packet itself, or what was told before it, explains."""
        if instant == "held" and kernel == "CLOSED" and role == _forgotten_by(packet):
            return SILENT_EVENT
        others = self._others(packet, instant)
        if others:  # a kernel has one socket for both: in the newest conversation, until that has begun, an older one's
            newest = max(others)
            behind = packet.conversation is not None and packet.conversation < newest
            asked = [others[newest]] if behind else others.values() if ours == "LISTEN" else ()
            if kernel in [states.client if role == "client" else states.server for states in asked]:
                return SAME_PAIR_AGAIN
        return None

    def _others(self, packet: Packet, instant: str) -> dict[int, States]:
        """Returns the other conversations between a packet's two ends, each with its states at an instant of it."""
        if packet.journal is None or packet.ends is None:
            return {}
        now = packet.journal.arrived if instant == "held" else packet.journal.settled
        found = {}
        for which, states in self._by_ends.get((packet.ends.client, packet.ends.server), {}).items():
            place = bisect_left(states, now, key=itemgetter(0))
            if which != packet.conversation and place:
                found[which] = states[place - 1][1]
        return found

    def _note(self, packet: Packet) -> None:
        """Notes the states of a packet's conversation: what it brings about is so since it was delivered."""
        if packet.conversation is None or packet.ends is None or packet.held is None or packet.journal is None:
            return
        arrived, delivered = packet.journal.arrived, packet.journal.delivered
        ends = packet.ends.client, packet.ends.server
        self._by_ends[ends] = pair = self._by_ends.pop(ends, {})
        if len(self._by_ends) > _MOST_PAIRS:
            del self._by_ends[next(iter(self._by_ends))]
        states = pair.setdefault(packet.conversation, [])
        if len(pair) > _MOST_OTHERS:
            del pair[min(pair)]
        states.append((arrived, packet.held))
        if packet.delivered is not None and delivered:
            states.append((delivered[0], packet.delivered))
        states.sort(key=itemgetter(0))
        past = bisect_right(states, arrived, key=itemgetter(0)) - 1  # whatever comes now arrives later
        del states[: max(past, len(states) - _MOST_STATES)]

    @property
    def unexplained(self) -> list[Disagreement]:
        return [each for each in self.disagreements if each.deviation is None]

    @property
    def deviations(self) -> list[int]:
        """The numbers in DEVIATIONS.md that were needed, each once."""
        return sorted(self._numbers)

    @property
    def differing(self) -> int:
        """How many were told differently."""
        return len(self.disagreements) + self.left_out


def agreement(packets: Iterable[Packet]) -> Agreement:
    """Returns the comparison of all settled packets."""
    result = Agreement()
    for packet in packets:
        result.add(packet)
    return result


def _forgotten_by(packet: Packet) -> Role | None:
    """Returns who, by its kernel's answer to a packet, has no such connection any more: it has said nothing of that."""
    return packet.receiver if packet.refused is not None and packet.refused.code == "no-connection" else None


def _deviation(assumed: Sequence[Role], instant: str, role: str, ours: str | None, kernel: str | None) -> int | None:
    """Returns the numbered reason for a difference, where one applies."""
    if ours == "LISTEN" and kernel == "CLOSED" and instant != "delivered" and role in assumed:
        return LISTENER_ASSUMED
    if (ours, kernel) in _CLOSED_BEHIND_DATA:
        return CLOSED_BEHIND_DATA
    if kernel == "CLOSED" and ours in ("SYN-SENT", "FIN-WAIT-2", "TIME-WAIT"):
        return SILENT_EVENT
    return None
