"""A conversation of a run as one side of a comparison."""

from __future__ import annotations

import gc

from lab.report.comparison import Side, side
from lab.runs.run import Run

# To look for cycles takes too long where there is little to be found. A few objects may hold many bytes, and what is
# compressed may become hundreds of times as large.
_MUCH, _LONG = 100_000, 1 << 16  # objects, bytes of a file


def let_go(position: int) -> None:
    """Frees what a run has left behind that has read so many bytes, where that may be much: both ends of a conversation
    hold each other, and the engine what it keeps of payloads and secrets."""
    if gc.get_count()[0] > _MUCH or position > _LONG:
        gc.collect()


def side_of(run: Run) -> Side:
    """Goes through a run of one conversation (`only`, `words`) and closes it. Raises UsageError where there is none."""
    with run:
        rows, packets, left_out, cut = side(run.packets())
        (which,) = run.conversations
        return Side(run.name, which, rows, packets, left_out, cut, run.complaint())
