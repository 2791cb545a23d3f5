"""What a diagram is made of: boxes, arrows and words with numbers. Lengths are a picture's units, from its top left
corner.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from lab.engine.table import Row
from lab.model import Role
from lab.protocols.layout import Anchor
from lab.text import Text

TITLE, STATE, SPELLED, WORDS, BADGE = 16.0, 13.0, 10.5, 11.5, 10.5  # sizes of fonts
LINE = 16  # a line's height
Box = tuple[float, float, float, float]  # left, top, width, height
Corners = tuple[tuple[float, float], ...]
Kind = Literal["arrow", "inside", "gathered", "silent"]


class Line(NamedTuple):
    """What stands on an arrow or in a box for one row, or for two that differ in nothing but sent and got.

    `x` is where its text begins, is in its middle or ends (`anchor`), `y` the middle of its height; `box` is the room
    it takes at most.
    """

    text: Text
    step: Text | None  # the notes' step, as a badge behind it
    rows: tuple[Row, ...]
    x: float
    y: float
    anchor: Anchor
    box: Box


class Node(NamedTuple):
    """A state's box. `ends` walk its table, `starts` are those that begin in it; `spelled` is as the notes have it."""

    id: str
    state: str
    ends: tuple[Role, ...]
    starts: tuple[Role, ...]
    spelled: str | None
    phase: str
    text: Text  # what an end in it waits for
    x: float
    y: float
    w: float
    h: float


class Edge(NamedTuple):
    """The rows that lead from one box to another, or within one (`inside`, without a way).

    `gathered` arrows are thin, or not drawn before somebody goes there (`drawn`); a `silent` one no packet shows, and
    it has no row. `points` are the corners of its way.
    """

    id: str
    kind: Kind
    ends: tuple[Role, ...]
    start: str
    end: str
    lines: tuple[Line, ...]
    points: Corners
    drawn: bool = True


class Caption(NamedTuple):
    """Words of no arrow alone: whose table it is; what leads to a state from many. `points` is its own arrow's way."""

    text: Text
    kind: Literal["title", "gathered"]
    node: str  # the box that it leads to
    x: float
    y: float
    anchor: Anchor
    box: Box
    points: Corners = ()


class Diagram(NamedTuple):
    """All of it: one table, or the client's and the server's beside each other."""

    protocol: str
    title: Text
    width: float
    height: float
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    captions: tuple[Caption, ...]
