"""Where things stand in a ladder: the columns that it has, and what is in them."""

from __future__ import annotations

from typing import NamedTuple

from lab.render.words import USUAL, cells, pad

NARROWEST, WIDEST = 60, 140
STATE, STEP = 12, 9  # columns


class Layout(NamedTuple):
    """Columns: all there are, in front of the client's states, of an arrow, of a step (0: it stands below), of an
    indent."""

    width: int
    lead: int
    arrow: int
    step: int
    indent: int

    @property
    def right(self) -> int:
        """Where the server's states begin."""
        return self.lead + STATE + 1 + self.arrow + 1

    def spread(self, left: str, right: str) -> str:
        """Puts two texts over the two columns of states."""
        return pad(" " * self.lead + left, min(self.right, self.width - cells(right))) + right


def layout(width: int) -> Layout:
    """Returns the layout of so many columns."""
    lead, step, indent = (12, STEP + 1, 12) if width >= USUAL else (9, 0, 4)
    return Layout(width, lead, width - lead - 2 * STATE - step - 4, step, indent)
