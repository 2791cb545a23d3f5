"""A conversation of a run as one side of a comparison."""

from __future__ import annotations

import gc

from lab.report.comparison import Side, side
from lab.runs.run import Run

_MUCH = 100_000  # objects: to look for cycles takes too long where there is little to be found


def let_go() -> None:
    """Frees what a run has left behind, where that is much: both ends of a conversation hold each other."""
    if gc.get_count()[0] > _MUCH:
        gc.collect()


def side_of(run: Run) -> Side:
    """Goes through a run of one conversation (`only`, `words`) and closes it. Raises UsageError where there is none."""
    with run:
        rows, packets, left_out, cut = side(run.packets())
        (which,) = run.conversations
        return Side(run.name, which, rows, packets, left_out, cut, run.complaint())
