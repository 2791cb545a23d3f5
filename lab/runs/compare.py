"""A conversation of a run as one side of a comparison."""

from __future__ import annotations

from lab.report.comparison import Side, side
from lab.runs.run import Run


def side_of(run: Run) -> Side:
    """Goes through a run of one conversation (`only`, `words`) and closes it. Raises UsageError where there is none."""
    with run:
        rows, packets, left_out, cut = side(run.packets())
        (which,) = run.conversations
        return Side(run.name, which, rows, packets, left_out, cut, run.complaint())
