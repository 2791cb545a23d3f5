"""What is explored, written where it has to leave a container: a line of JSON each, as a testbed's messages are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from lab.errors import MachineError
from lab.explore.play import Asked
from lab.protocols.exploration import BRANCHES, STIMULI, WAYS, Cell, Opened, Options, Outcome, Path, Sent, Shown
from lab.text import Text


class Kernel(NamedTuple):
    """Which kernel is explored, by its release: told before all else."""

    release: str


class Over(NamedTuple):
    """Nothing more will be told."""


class Connections(NamedTuple):
    """So many connections are to be opened, instead of cells to be played."""

    number: int


Told = Kernel | Path | Cell | Opened | Over


def write(told: Told | MachineError) -> str:
    """Returns a line that `read` makes the same of."""
    values: list[Any] = [told.message, told.hint] if isinstance(told, MachineError) else list(told)
    if isinstance(told, Cell):
        values[-2] = [*told.rules[:-1], [branch.code for branch in told.rules.branches]]
    return json.dumps([type(told).__name__, *values])


def read(line: str) -> Told:
    """Returns what `write` wrote. Raises ValueError for any other line, a MachineError that was told."""
    try:
        name, *values = json.loads(line)
        told: Told = _READERS[name](*values)
        return told
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(line) from error


def write_asked(asked: Sequence[Asked] | Connections, options: Options) -> str:
    """Returns the line by which cells, or connections, are asked for."""
    if isinstance(asked, Connections):
        return json.dumps([options, asked.number])
    return json.dumps([options, [(way.name, stimulus.name) for way, stimulus in asked]])


def read_asked(line: str) -> tuple[list[Asked] | Connections, Options]:
    """Reads such a line."""
    options, names = json.loads(line)
    if isinstance(names, int):
        return Connections(names), Options(*options)
    ways, stimuli = {each.name: each for each in WAYS}, {each.name: each for each in STIMULI}
    return [(ways[way], stimuli[stimulus]) for way, stimulus in names], Options(*options)


def _cell(
    way: str, segment: str, before: str, arrived: list[Any], sent: list[list[Any]], after: str, heard: list[str],
    moved: list[list[Any]], dropped: int, reason: str | None, rules: list[Any], differs: list[str],
) -> Cell:  # fmt: skip
    answers, state, words, codes = rules
    told = Outcome(
        tuple(Sent(*each) for each in answers), state, tuple(words), tuple(BRANCHES[code] for code in codes)
    )  # fmt: skip
    counted = tuple((name, by) for name, by in moved)
    return Cell(
        way, segment, before, Shown(*arrived), tuple(Shown(*each) for each in sent), after, tuple(heard), counted,
        dropped, reason, told, tuple(differs),
    )  # fmt: skip


def _raise(message: list[str], hint: list[str]) -> Told:
    raise MachineError(Text(*message), Text(*hint))


_READERS: dict[str, Any] = {
    "Kernel": Kernel,
    "Path": lambda way, states: Path(way, tuple(states)),
    "Cell": _cell,
    "Opened": Opened,
    "Over": Over,
    "MachineError": _raise,
}
