"""Two conversations compared by what is said in them, not by numbers and times: what `lab diff` shows.

A conversation becomes rows: a message of a protocol above TCP is one, a packet that is SYN, FIN, RST, data or an
acknowledgement with a step is one. Bare acknowledgements that are no step are left out: how many there are is chance.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from lab.engine.protocol import Compared, fact
from lab.model import ConversationReport, Message, Packet, Role, States, StepReport
from lab.protocols.registry import PROTOCOLS, TRANSPORT, UPPERS, protocol
from lab.report import fate
from lab.report.align import MOST, Pair, align
from lab.text import Text

# What is another in every run. What a program says is not: as little as possible of that is to look like it.
_RANDOM = re.compile(
    r"(?<= )(?:[A-Za-z0-9+/]{22}==|[A-Za-z0-9+/]{4}(?=… ))"  # 16 bytes in base64; the beginning of what answers them
    r"|\b[0-9a-f]{2}(?: [0-9a-f]{2})* ⊕(?: [0-9a-f]{2})+"  # what is masked, and the mask
    r"|(?:(?<=key: )|(?<=得到：))(?:[0-9a-f]{2} )+…"  # a secret that was decrypted
)
_DATA = frozenset(label for each in PROTOCOLS for label in each.data)
_UNAWAITED = frozenset(label for each in PROTOCOLS for label in each.unawaited)
_UNKNOWN = States(None, None)
_NOWHERE = _UNKNOWN, _UNKNOWN


class Row(NamedTuple):
    """What one end says at one place. `states` are both ends' when it is sent, in the protocol that says it.

    `arrived` are both ends' when it has arrived, where it has, as far as that is known.
    """

    sender: Role
    protocol: str
    name: str
    steps: tuple[str, ...]
    states: States
    remarks: tuple[str, ...]  # labels that say how it fares, and `lost` or `unacknowledged`
    words: Text
    data: bool  # what a program says, and no handshake
    awaited: bool  # whether the other end waits for it
    arrived: States = _UNKNOWN

    @property
    def rung(self) -> States:
        """The states that a ladder shows: the sender's when it is sent, the receiver's when it has arrived."""
        if self.sender == "client":
            return States(self.states.client, self.arrived.server)
        return States(self.arrived.client, self.states.server)


class Side(NamedTuple):
    """One of the two: its conversation, its rows and the packets they are of."""

    name: str
    which: ConversationReport
    rows: tuple[Row, ...]
    packets: tuple[int, ...]
    left_out: int  # bare acknowledgements
    cut: int  # rows that there was no room for
    problems: Text | None = None  # what is wrong with its file


class Match(NamedTuple):
    """One line of the comparison: places in both sides' rows, and the fields in which these differ.

    `elsewhere` is the place in the other side's rows of the same message, where the other says it at another time.
    """

    ours: int | None
    theirs: int | None
    fields: tuple[str, ...]
    elsewhere: int | None = None


class Fact(NamedTuple):
    """Something about a whole conversation in which the two differ."""

    name: str
    ours: Any
    theirs: Any


class Comparison(NamedTuple):
    """All that `lab diff` shows."""

    ours: Side
    theirs: Side
    matches: tuple[Match, ...]
    facts: tuple[Fact, ...]
    steps: tuple[tuple[StepReport | None, StepReport | None], ...]  # those that go another way

    @property
    def alike(self) -> bool:
        """Whether nothing that was compared differs."""
        alone = any(each.ours is None or each.theirs is None or each.fields for each in self.matches)
        return not (alone or self.facts or self.steps)

    @property
    def same(self) -> bool:
        """Whether both say the same, in every row and as a whole, and all rows were compared."""
        return self.alike and not (self.ours.cut or self.theirs.cut)

    @property
    def with_data(self) -> bool:
        """Whether there is data that no protocol above TCP has told: its bytes are not compared."""
        rows = itertools.chain(self.ours.rows, self.theirs.rows)
        return any(row.protocol == TRANSPORT.name and set(row.name.split()) & _DATA for row in rows)


def side(packets: Iterable[Packet]) -> tuple[tuple[Row, ...], tuple[int, ...], int, int]:
    """Returns the rows of one conversation's packets, told in words, and the number of the packet of each.

    Then how many bare acknowledgements were left out, and how many rows there was no room for. Keeps no packet.
    """
    rows: list[Row] = []
    numbers: list[int] = []
    left_out = cut = 0
    for packet in packets:
        if packet.sender is None:  # what says something of one of them: neither end has sent it
            continue
        found = list(_rows(packet))
        left_out += not found
        cut += max(len(rows) + len(found) - MOST, 0)
        found = found[: MOST - len(rows)]
        for at in _begun(packet, numbers):
            if rows[at].protocol == TRANSPORT.name:
                rows[at] = rows[at]._replace(data=False)
        rows += found
        numbers += [packet.number] * len(found)
    return tuple(rows), tuple(numbers), left_out, cut


def _begun(packet: Packet, numbers: Sequence[int]) -> Iterator[int]:
    """Yields the places of the rows in which a packet's messages began: what those carried was no program's."""
    for message in packet.messages:
        if message.name not in _DATA:
            for number in {span.number for span in message.spans if span.buffer == "frame"} - {packet.number}:
                yield from range(bisect_left(numbers, number), bisect_right(numbers, number))


def _rows(packet: Packet) -> Iterator[Row]:
    sender = packet.sender
    assert sender
    below, remarks = TRANSPORT.name, _remarks(packet)
    above = {name: (held, delivered or _UNKNOWN) for name, held, delivered in packet.above}
    last = packet.messages[-1].protocol if packet.messages else ""
    left = list(packet.steps)  # each is told once: at the message that it is
    for at, message in enumerate(packet.messages, 1):
        name = message.protocol
        if message.wraps and last != name:
            continue  # what it carries is told
        final = all(each.protocol != name for each in packet.messages[at:])
        mine = [step for step in left if step.startswith(name + ".") and (final or step in _steps_of(message))]
        left = [step for step in left if step not in mine]
        both = above.get(name, _NOWHERE) if final else _NOWHERE  # they are those behind the last
        own = tuple(mine)
        yield Row(sender, name, message.name, own, both[0], remarks, message.words, *_kind(message.name), both[1])
    steps = tuple(step for step in packet.steps if step.startswith(below + "."))
    names = [label for label in packet.labels if label in TRANSPORT.kinds and not (packet.messages and label in _DATA)]
    if packet.messages and not steps and not set(names) - {TRANSPORT.bare}:
        return
    if names == [TRANSPORT.bare] and not steps and not remarks:
        return
    said = " ".join(names)
    held, arrived = packet.held or _UNKNOWN, packet.delivered or _UNKNOWN
    yield Row(sender, below, said, steps, held, remarks, Text("", ""), *_kind(said), arrived)


def _kind(name: str) -> tuple[bool, bool]:
    """Returns whether a row is what a program says, and whether the other end waits for it."""
    return name in _DATA, name not in _UNAWAITED


def _steps_of(message: Message) -> set[str | None]:
    """Returns the steps that a message can be, by its protocol's tables."""
    events = {"sent " + message.event, "got " + message.event}
    return {row.step for table in protocol(message.protocol).tables.values() for row in table.rows if row.on in events}


def _remarks(packet: Packet) -> tuple[str, ...]:
    said = {message.name for message in packet.messages}
    chance = {*TRANSPORT.kinds, *TRANSPORT.by_chance, *said}
    found = tuple(label for label in packet.labels if label not in chance)
    became = fate.remark(packet)
    return (*found, became) if became else found


def compare(ours: Side, theirs: Side) -> Comparison:
    """Compares two conversations. The other way round gives the same with the sides exchanged."""
    turned = _order(theirs) < _order(ours)
    first, second = (theirs, ours) if turned else (ours, theirs)
    pairs = align([_meant(row) for row in first.rows], [_meant(row) for row in second.rows], _likeness)
    if turned:
        pairs = [(b, a) for a, b in pairs]
    matches = tuple(_matches(ours.rows, theirs.rows, pairs))
    return Comparison(ours, theirs, matches, tuple(_facts(ours, theirs)), tuple(_steps(ours, theirs)))


def _matches(ours: tuple[Row, ...], theirs: tuple[Row, ...], pairs: list[Pair]) -> Iterator[Match]:
    mine = _once(ours, [a for a, b in pairs if b is None])
    others = _once(theirs, [b for a, b in pairs if a is None])
    for a, b in pairs:
        if a is not None and b is not None:
            yield Match(a, b, _differing(ours[a], theirs[b]))
            continue
        said = _called(ours[a]) if a is not None else _called(theirs[b or 0])
        both = said in mine and said in others
        yield Match(a, b, (), (others if b is None else mine)[said] if both else None)


def _called(row: Row) -> tuple[Role, str, str]:
    return row.sender, row.protocol, row.name


def _once(rows: tuple[Row, ...], alone: Iterable[int | None]) -> dict[tuple[Role, str, str], int]:
    """Returns those that stand alone and are said once only, as is the Finished of the server."""
    times = Counter(map(_called, rows))
    return {_called(rows[at]): at for at in alone if at is not None and times[_called(rows[at])] == 1}


def _order(which: Side) -> list[str]:
    return [repr(row._replace(states=_spelled(row.states), arrived=_spelled(row.arrived))) for row in which.rows]


def _spelled(states: States) -> States:
    return States(*(state and str(state) for state in states))


def _meant(row: Row) -> Row:
    """Returns a row without what is another in every run."""
    return row._replace(words=Text(_RANDOM.sub("…", row.words.en), _RANDOM.sub("…", row.words.zh)))


def _likeness(ours: Row, theirs: Row) -> int:
    """Returns how much two rows mean the same: 0 where they may not stand side by side."""
    if ours.sender != theirs.sender or ours.protocol != theirs.protocol:
        return 0
    shared = len(set(ours.steps) & set(theirs.steps))
    if ours.name != theirs.name and not shared:
        return 0
    return 8 * (ours.name == theirs.name) + 4 * shared + 2 * (ours.states == theirs.states) + (ours == theirs)


def _differing(ours: Row, theirs: Row) -> tuple[str, ...]:
    """Returns in which fields two rows differ. States that are not known differ from none."""
    ours, theirs = _meant(ours), _meant(theirs)
    if _UNKNOWN in (ours.states, theirs.states):
        theirs = theirs._replace(states=ours.states)
    if _UNKNOWN in (ours.arrived, theirs.arrived):
        theirs = theirs._replace(arrived=ours.arrived)
    differing = {name for name, mine, other in zip(Row._fields, ours, theirs, strict=True) if mine != other}
    if "arrived" in differing:
        differing.add("states")
    return tuple(name for name in ("name", "steps", "states", "remarks", "words") if name in differing)


_PACKETS = Compared("packets", Text("packets", "包数"), fact("packets"))
_SPOKEN = Compared("protocols", Text("protocols", "协议"), fact("protocols"))


def compared() -> list[Compared]:
    """Returns all that whole conversations are compared by, in the order in which it is told."""
    below, above = TRANSPORT.compared, [each for upper in UPPERS for each in upper.compared]
    listed = [_PACKETS, *(each for each in below if not each.last), _SPOKEN, *(each for each in above if not each.last)]
    return [*listed, *(each for each in (*below, *above) if each.last)]


def _facts(ours: Side, theirs: Side) -> Iterator[Fact]:
    facts = [{**side.which.facts, "details": side.which.details} for side in (ours, theirs)]
    for each in compared():
        mine, other = each.value(facts[0], ours.rows), each.value(facts[1], theirs.rows)
        if mine != other:
            yield Fact(each.name, mine, other)


def _steps(ours: Side, theirs: Side) -> Iterator[tuple[StepReport | None, StepReport | None]]:
    mine, other = ({step.id: step for step in each.which.steps} for each in (ours, theirs))
    for name in dict.fromkeys((*mine, *other)):
        a, b = mine.get(name), other.get(name)
        if _way(a) != _way(b):
            yield a, b


def _way(step: StepReport | None) -> tuple[bool, str | None] | None:
    """Returns how a step went; one that a protocol would have that is not there at all went no way."""
    return None if step is None else (step.seen, step.differs.code if step.differs else None)
