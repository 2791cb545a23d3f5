"""Where the states of a protocol's table stand when it is drawn, and which way its arrows go: numbers, no rules.

What there is to draw the table says (lab/engine/table.py); a layout only places it. Lengths are a picture's units, from
its top left corner. A state may stand at several places: the second is called by its name and `.2`.

A way is written as ports and points: `s` is the middle of a box's lower side (`n` of the upper), `s-40` lies 40 units
left of it; `e` and `w` are right and left of its name, `e+20` lies 20 units lower. In a point, None is what the one
before has: `(820, None)` goes level.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from lab.engine.protocol import Phase
from lab.text import Text

Point = tuple[float | None, float | None]
Way = tuple[str | Point, ...]
Anchor = Literal["start", "middle", "end"]
# Beside which part of its way a label stands (`1r`: right of the second; `a` above, `b` below, `l` left), or the middle
# of its side, and which side that is.
Label = str | tuple[float, float, Anchor]


class Place(NamedTuple):
    """A state's box: the middle of its upper side, and in how many columns it lists what moves nobody."""

    state: str
    x: float
    y: float
    phase: Phase
    width: float = 190
    columns: int = 1


class Route(NamedTuple):
    """The arrow from one place to another: of all the table's rows between the two, or of those `on` some events."""

    start: str
    end: str
    way: Way = ("s", "n")
    label: Label = "0r"
    on: tuple[str, ...] = ()


class Gathering(NamedTuple):
    """Arrows that lead from many states to one place `on` the same events: `label` is where that is said, once.

    `ways` are theirs, by the place where each begins. They are thin lines, or where not `drawn`, are seen only when
    somebody has gone there; `stub` is then the short arrow that leads from what is said to the place.
    """

    end: str
    on: tuple[str, ...]
    label: tuple[float, float, Anchor]
    ways: Mapping[str, Way]
    drawn: bool = True
    stub: Way = ()


class Silent(NamedTuple):
    """An arrow that no packet shows, and no table has: a program or a timer does it."""

    start: str
    end: str
    text: Text
    way: Way
    label: Label = "0r"


class Layout(NamedTuple):
    """One table's picture."""

    width: float
    height: float
    places: tuple[Place, ...]
    routes: tuple[Route, ...]
    gathered: tuple[Gathering, ...] = ()
    silent: tuple[Silent, ...] = ()
