"""How far a run goes on by itself: `FIN`, `client data`, `server=CLOSE-WAIT`, `7`, `tcp.close.2`, `end`.

Whoever steps through a run says so: a debugger, Wireshark's toolbar. It goes on past the packet at hand, to the next
one of which all words hold; a comma, or the word `or`, parts alternatives. A word is

- a packet's number: that packet, or where it is never held, the next one behind it (`101` is a label, too);
- `client` or `server`: who sends it;
- a label: `SYN-ACK`, `retransmission`, `ClientHello`;
- a state: `server=CLOSE-WAIT`, or of either end `CLOSE-WAIT`; also one that has gone again since the packet before;
- a step of the notes, by its id, or short, `close.2`;
- `end`, alone: nothing stops it.

Upper and lower case are the same, and so are the signs between letters: `FIN_WAIT2` is the notes' spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from typing import Literal, NamedTuple

from lab.errors import UsageError
from lab.events import Event, PacketArrived, PacketHeld, PacketLost, PacketSent, StateChanged, StepSeen
from lab.model import Role, States
from lab.protocols.notes import notes
from lab.protocols.registry import PROTOCOLS, TRANSPORT
from lab.report.schema import trace
from lab.text import Text

_ROLES: dict[str, Role] = {"client": "client", "server": "server"}
_LONGEST = 200  # characters
_NEAR = 4  # names that may have been meant


class Seen(NamedTuple):
    """What is known of a packet when it is held. `states` are those that each end is in, in any protocol, or has been
    in since the packet that was held before it."""

    number: int
    sender: Role | None
    labels: tuple[str, ...]
    steps: tuple[str, ...]
    states: frozenset[tuple[Role, str]]


class Word(NamedTuple):
    """One thing that is to hold of a packet. `name` is a number in digits, a role, a label, a step or a state; a state
    is that of one `end`, or without one, of either.
    """

    kind: Literal["number", "sender", "label", "step", "state"]
    name: str
    end: Role | None = None

    def holds(self, seen: Seen) -> bool:
        if self.kind == "number":  # some labels are numbers, too: 101
            return seen.number >= int(self.name) or self.name in seen.labels
        if self.kind == "sender":
            return seen.sender == self.name
        if self.kind == "state":
            return any(state == self.name and self.end in (None, role) for role, state in seen.states)
        return self.name in (seen.labels if self.kind == "label" else seen.steps)

    def __str__(self) -> str:
        return f"{self.end}={self.name}" if self.end else self.name


class Until(NamedTuple):
    """Where to stop: at a packet of which all words of one of these alternatives hold. Without any, never."""

    alternatives: tuple[tuple[Word, ...], ...]

    def holds(self, seen: Seen) -> bool:
        return any(all(word.holds(seen) for word in words) for words in self.alternatives)

    def __str__(self) -> str:
        return " or ".join(" ".join(map(str, words)) for words in self.alternatives) or "end"


END = Until(())


def until(text: str) -> Until:
    """Reads how far to go on. Raises UsageError, with the nearest names, for what is nothing of that."""
    parts = [part.split() for part in re.split(r",|(?<!\S)or(?!\S)", text[:_LONGEST], flags=re.IGNORECASE)]
    if len(text) > _LONGEST or not all(parts):
        raise UsageError(
            Text(f"'{_shown(text)}' says nowhere to stop", f"“{_shown(text)}”没有说明停在哪里"),
            _hint(),
        )
    if any(word.casefold() == "end" for words in parts for word in words):
        if len(parts) == len(parts[0]) == 1:
            return END
        raise UsageError(
            Text("'end' stands alone: nothing comes behind it", "“end”须单独使用：它之后不会再有什么"),
            Text("leave out either 'end' or the rest", "请去掉 end，或去掉其余部分"),
        )
    return Until(tuple(tuple(map(_word, words)) for words in parts))


class Watch:
    """Follows a run's events, and says what is known of each packet at the moment it is held."""

    def __init__(self) -> None:
        self._sent: dict[int, PacketSent] = {}  # and not known to have arrived, or been lost
        self._steps: dict[int, tuple[str, ...]] = {}
        self._now: dict[tuple[str, Role], str] = {}  # by protocol and end
        self._passed: set[tuple[Role, str]] = set()

    def hear(self, event: Event) -> Seen | None:
        """Takes an event; returns what is known of the packet where it says that one is held."""
        if isinstance(event, PacketSent):
            self._sent[event.packet] = event
            self._is(TRANSPORT.name, event.states)
            for above in event.above:
                self._is(above.protocol, above.held)
        elif isinstance(event, StateChanged):
            self._now[event.protocol, event.end] = event.after
            self._passed.add((event.end, event.after))
        elif isinstance(event, StepSeen):
            self._steps[event.packet] = event.steps
        elif isinstance(event, PacketArrived | PacketLost):
            self._sent.pop(event.packet, None)
            self._steps.pop(event.packet, None)
        elif isinstance(event, PacketHeld):
            return self._held(event.packet)
        return None

    @property
    def states(self) -> frozenset[tuple[Role, str]]:
        """The states that each end is in now, in any protocol."""
        return frozenset((role, state) for (_, role), state in self._now.items())

    def _is(self, protocol: str, states: States | None) -> None:
        for role, state in states._asdict().items() if states is not None else ():
            if state is not None:
                self._now[protocol, _ROLES[role]] = state

    def _held(self, number: int) -> Seen:
        sent = self._sent[number]
        states = self.states | self._passed
        self._passed.clear()
        return Seen(number, sent.sender, sent.labels, self._steps.get(number, ()), states)


# Reading.


@cache
def _labels() -> dict[str, str]:
    return {_key(label): label for label in trace()["$defs"]["label"]["enum"]}


@cache
def _states() -> dict[str, str]:
    """Returns all states, of all protocols, by their keys: also as the notes spell them."""
    known = {
        _key(state): state for each in PROTOCOLS for table in each.tables.values() for state in map(str, table.states)
    }
    lessons = (notes(each.name).states.values() for each in PROTOCOLS)
    return {_key(each.notes): each.name for states in lessons for each in states if each.notes} | known


@cache
def _steps() -> dict[str, str]:
    """Returns all steps by their keys: short ones too, where only one is called so."""
    ids = [step for each in PROTOCOLS for step in notes(each.name).steps]
    short = [_key(step.partition(".")[2]) for step in ids]
    named = {key: step for key, step in zip(short, ids, strict=True) if short.count(key) == 1 and not key.isdigit()}
    return named | {_key(step): step for step in ids}


def _word(text: str) -> Word:
    key = _key(text)
    end, equals, state = text.partition("=")
    if equals:
        role, found = _ROLES.get(_key(end)), _states().get(_key(state))
        if role is None or found is None:
            raise _unknown(text, [f"{role or name}={each}" for name in _ROLES for each in _states().values()])
        return Word("state", found, role)
    if text.isascii() and text.isdigit() and int(text):
        return Word("number", str(int(text)))
    if key in _ROLES:
        return Word("sender", key)
    if key in _labels():
        return Word("label", _labels()[key])
    if key in _states():
        return Word("state", _states()[key])
    if key in _steps():
        return Word("step", _steps()[key])
    raise _unknown(text, [*_names()])


def _names() -> Iterator[str]:
    yield from _ROLES
    for known in (_labels(), _states(), _steps()):
        yield from known.values()
    yield "end"


def _unknown(text: str, names: list[str]) -> UsageError:
    by_key = {_key(name): name for name in names}
    near = [by_key[key] for key in get_close_matches(_key(text), by_key, _NEAR, 0.5)]
    said = Text(f"'{_shown(text)}' is nothing that a packet can be", f"“{_shown(text)}”不是数据包可能具有的特征")
    return UsageError(
        said,
        Text(f"did you mean: {', '.join(near)}?", f"是否要写：{'、'.join(near)}？") if near else _hint(),
    )


def _hint() -> Text:
    step = next(iter(notes(TRANSPORT.name).steps))
    return Text(
        f"write a number, a label (SYN-ACK), an end's state (server=CLOSE-WAIT), a step ({step}), or: end",
        f"可以写编号、标签（SYN-ACK）、一端的状态（server=CLOSE-WAIT）、步骤（{step}），或 end",
    )


def _key(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum() or char == "=")


def _shown(text: str) -> str:
    return text.strip() if len(text) <= 60 else text.strip()[:60] + "…"
