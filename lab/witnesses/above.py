"""What Wireshark's dissectors say of the protocols that a transport carries, held against what the lab says.

What is compared, and by which of Wireshark's names, is each protocol's own: its descriptor's `dissector`. A message is
listed by both at the packet that completes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lab.engine.protocol import Upper, Witnessed
from lab.model import Message, Packet
from lab.protocols.registry import UPPERS
from lab.witnesses.question import Opinion
from lab.witnesses.wireshark import COUNTS_FOR_NOTHING

# The numbers of DEVIATIONS.md.
OTHER_PROTOCOL, NOT_OPENED_BY_BOTH, BEHIND_A_HOLE = 21, 22, 23
_MOST_WHOLE = 64  # values of a whole conversation
_MOST_WAITING = 100_000  # differences whose reason only the end tells
_HOLES = {"previous-segment-not-captured", "truncated", "let-go", "captured-twice"}


class Difference(NamedTuple):
    """Something above the transport that is told differently: of a packet, the first where it is of a whole
    conversation. `deviation` is the number in DEVIATIONS.md, None without one."""

    number: int
    tells: Witnessed
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    deviation: int | None


class _Waiting(NamedTuple):
    number: int
    conversation: int
    protocol: Upper
    tells: Witnessed
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    sealed: bool


class Comparison:
    """Goes through a capture packet by packet; `compared` counts what has been, by its name."""

    def __init__(self) -> None:
        self.compared: Counter[str] = Counter()
        self.left_out = 0  # differences beyond those that are kept
        self._waiting: list[_Waiting] = []
        self._whole: dict[tuple[int, str], list[str]] = {}
        self._known: set[tuple[int, str]] = set()  # conversations, and protocols that Wireshark finds in them
        self._holes: set[int] = set()  # conversations of which something was not captured
        self._odd: set[int] = set()  # conversations in which the segments have been told differently

    def odd(self, conversation: int) -> None:
        """Says that Wireshark counts a conversation's segments differently: it reads another stream."""
        self._odd.add(conversation)

    def of(self, packet: Packet, opinion: Opinion) -> None:
        """Compares what is told of the next packet."""
        which = packet.conversation
        if which is None or opinion.stream is None:
            return
        if not _HOLES.isdisjoint(packet.labels) or (packet.ends is not None and not packet.ends.from_start):
            self._holes.add(which)
        for protocol in UPPERS:
            if protocol.dissector is None:
                continue
            if not protocol.dissector.layers.isdisjoint(opinion.protocols.split(":")):
                self._known.add((which, protocol.name))
            messages = [each for each in packet.messages if each.protocol == protocol.name] if packet.messages else ()
            if messages or opinion.values:
                self._packet(packet.number, which, protocol, messages, opinion.values)

    def _packet(
        self, number: int, which: int, protocol: Upper, messages: Sequence[Message],
        values: Mapping[str, Sequence[str]],
    ) -> None:  # fmt: skip
        assert protocol.dissector is not None
        for tells in protocol.dissector.tells:
            theirs = tuple(tells.theirs(values)) if values else ()
            if tells.whole:
                if theirs:
                    kept = self._whole.setdefault((which, tells.name), [])
                    kept += theirs[: _MOST_WHOLE - len(kept)]
                continue
            ours = tuple(tells.ours(messages)) if messages else ()
            if not ours and (not theirs or tells.only_ours):
                continue
            self.compared[tells.name] += 1
            if ours == theirs:
                continue
            if len(self._waiting) < _MOST_WAITING:
                sealed = tells.sealed(messages, values)
                self._waiting.append(_Waiting(number, which, protocol, tells, ours, theirs, sealed))
            else:
                self.left_out += 1

    def of_packets(self) -> Iterator[Difference]:
        """Yields, once all packets have been compared, what is told differently of them, in order."""
        for each in self._waiting:
            yield Difference(each.number, each.tells, each.ours, each.theirs, self._reason(each))

    @property
    def told_of(self) -> Collection[int]:
        """The conversations of which Wireshark tells something as a whole."""
        return {which for which, _ in self._whole}

    def of_conversation(self, which: int, first: int, told: Mapping[str, Any]) -> Iterator[Difference]:
        """Yields, once all packets have been compared, what is told differently of a whole conversation: by its id, its
        first packet, and what the trace says of each protocol that it carries."""
        for protocol in UPPERS:
            facts = told.get(protocol.name)
            if facts is not None and protocol.dissector is not None:
                for tells in filter(lambda each: each.whole, protocol.dissector.tells):
                    yield from self._of_whole(which, first, protocol, tells, facts)

    def _of_whole(
        self, which: int, first: int, protocol: Upper, tells: Witnessed, facts: Mapping[str, object]
    ) -> Iterator[Difference]:
        ours = tuple(tells.ours(facts))[:_MOST_WHOLE]
        theirs = tuple(self._whole.get((which, tells.name), ()))[: len(ours)]
        if ours and theirs:
            self.compared[tells.name] += 1
            if ours != theirs:
                yield Difference(first, tells, ours, theirs, self._of_conversation(which, protocol))

    def _reason(self, each: _Waiting) -> int | None:
        """Returns the numbered reason for a difference, where one applies."""
        if each.sealed:
            return NOT_OPENED_BY_BOTH
        return self._of_conversation(each.conversation, each.protocol)

    def _of_conversation(self, which: int, protocol: Upper) -> int | None:
        if (which, protocol.name) not in self._known:
            return OTHER_PROTOCOL
        if which in self._odd:
            return COUNTS_FOR_NOTHING
        return BEHIND_A_HOLE if which in self._holes else None
