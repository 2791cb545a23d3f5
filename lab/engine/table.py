"""A protocol is a table: an arrow of the state diagram is a row. What is drawn, printed and taught comes from it.

Events are what happened to one end: it *sent* something, or it *got* something, or what it stands on has *closed*.
Nothing else moves a state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

_new = tuple.__new__  # what a NamedTuple's own constructor comes down to, without the call in between


class Row(NamedTuple):
    """In `state`, on this event, an end goes to state `to`.

    `step` is the notes' step that the event is, None where it is none; `a/b` is step a for the end that began (opened,
    closed first) and step b for the other. `source` is the section that says so.
    """

    state: str
    on: str
    to: str
    step: str | None
    source: str


class Move(NamedTuple):
    """A row made ready for walking: its step's phase, its id for the end that began the phase, and for the other."""

    to: str
    phase: str | None
    first: str
    other: str


class _Members(dict[str, Any]):
    """The members of an enum by their text. Raises ValueError for what is none."""

    def __init__(self, members: type[StrEnum]) -> None:
        super().__init__((each.value, each) for each in members)
        self._members = members

    def __missing__(self, name: str) -> StrEnum:
        return self._members(name)


class Table:
    """The rows of one protocol, both ends' alike. The order matters in one way: see `assume`.

    Rows may be written as text; here they become members of the protocol's enums. `rfc` is the one whose sections their
    sources are; None where each names its own. Raises ValueError for a name that is no member, and for two rows of one
    state on one event.
    """

    def __init__(
        self,
        protocol: str,
        states: type[StrEnum],
        events: type[StrEnum],
        rows: Iterable[Row],
        starts: Mapping[str, str],
        rfc: str | None = None,
    ) -> None:
        self.protocol = protocol
        # An enum that is asked for a member takes ten times as long as a dict, and a protocol may have 300 rows.
        state, event = _Members(states), _Members(events)
        self.rows = tuple([
            _new(Row, (state[begin], event[on], state[to], step, source)) for begin, on, to, step, source in rows
        ])  # fmt: skip
        self.starts = starts
        self.rfc = rfc
        self._by_state: dict[str, dict[str, Row]] = {}
        self._by_event: dict[str, list[Row]] = {}
        for row in self.rows:
            self._by_event.setdefault(row.on, []).append(row)
            if row.on in self._by_state.setdefault(row.state, {}):
                raise ValueError(f"two rows for {row.state} on {row.on}")
            self._by_state[row.state][row.on] = row
        self.moves = {
            state: {on: _move(row) for on, row in rows.items()} for state, rows in self._by_state.items()
        }  # fmt: skip
        found = [move for row in self.moves.values() for move in row.values() if move.phase]
        phases = list(dict.fromkeys(move.phase for move in found))
        names = {name: phases.index(move.phase) for move in found for name in (move.first, move.other)}
        self._order = {name: at for at, name in enumerate(sorted(names, key=lambda name: (names[name], name)))}

    def row(self, state: str, on: str) -> Row | None:
        """Returns the row for this event in this state; None is a hole, a surprise to whoever sees it happen."""
        return self._by_state[state].get(on) if state in self._by_state else None

    def source(self, row: Row | None) -> str | None:
        """Returns where a row is from, with its RFC: `RFC 9293 section 3.5`, `RFC 9846 appendix A.1`."""
        if row is None or not row.source:
            return None
        if self.rfc is not None:
            return f"{self.rfc} section {row.source}" if row.source[:1].isdigit() else row.source
        rfc, _, section = row.source.partition(" ")
        return f"RFC {rfc} {'appendix' if section[:1].isalpha() else 'section'} {section}"

    def assume(self, on: str) -> Row | None:
        """Returns the row for an event of an end whose state nobody knows: the table's first row with that event.

        Rows are ordered by the usual course of a connection, so the first is the likeliest.
        """
        return next(iter(self.rows_on(on)), None)

    def rows_on(self, on: str) -> Sequence[Row]:
        """Returns all rows for an event, in the order of the table."""
        return self._by_event.get(on, ())

    def in_order(self, steps: Iterable[str]) -> tuple[str, ...]:
        """Returns steps in the order of the notes: the phases as the rows have them, within a phase by number.

        Those of a protocol below come first.
        """
        return tuple(sorted(steps, key=lambda step: self._order.get(step, -1)))

    @property
    def states(self) -> tuple[str, ...]:
        """All states, in the order of the rows."""
        return tuple(dict.fromkeys(name for row in self.rows for name in (row.state, row.to)))

    @property
    def events(self) -> tuple[str, ...]:
        """All events, in the order of the rows."""
        return tuple(dict.fromkeys(row.on for row in self.rows))

    @property
    def holes(self) -> tuple[tuple[str, str], ...]:
        """All (state, event) without a row: what a correct end never does, or is never heard doing."""
        return tuple((state, on) for state in self.states for on in self.events if self.row(state, on) is None)


def _move(row: Row) -> Move:
    if row.step is None:
        return Move(row.to, None, "", "")
    phase, _, numbers = row.step.rpartition(".")
    first, _, other = numbers.partition("/")
    return Move(row.to, phase, f"{phase}.{first}", f"{phase}.{other or first}")
