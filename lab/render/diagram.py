"""A protocol's table as a diagram: boxes, arrows and words with numbers, for whoever draws it or moves something on it.

The table says what there is, the protocol's layout where it stands. A row that moves an end is on an arrow; one that
moves nobody is a line in the box of its state.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lab.engine.protocol import Descriptor
from lab.events import StateChanged
from lab.model import Role
from lab.protocols.layout import Layout
from lab.render.laid_out import Part
from lab.render.placed import BADGE, LINE, SPELLED, STATE, WORDS, Diagram, Edge, Line
from lab.render.words import sections
from lab.text import Text

SCHEMA = "handshake-lab/diagram/v1"
ROUND = 9  # of an arrow's corners
_ROLES: tuple[Role, Role] = ("client", "server")


class Walked(NamedTuple):
    """An end's move in a packet, and the arrow and the line that it is; None where what was inferred is taken back."""

    packet: int
    end: Role
    before: str
    after: str
    edge: str | None
    line: int


def diagram(about: Descriptor) -> Diagram | None:
    """Returns a protocol's diagram, None where it has no layout."""
    layouts: Mapping[Role, Layout] = about.layouts
    if not layouts:
        return None
    parts: list[Part] = []
    across = 0.0
    shared = about.tables["client"] is about.tables["server"]
    for role in _ROLES[:1] if shared else _ROLES:
        ends = _ROLES if shared else (role,)
        parts.append(Part(about, about.tables[role], layouts[role], ends, across))
        across += layouts[role].width
    title = Text(f"{about.title}: the states of an end", f"{about.title}：一端的状态")
    if not shared:
        title = Text(f"{about.title}: the states of client and server", f"{about.title}：客户端与服务器的状态")
    return Diagram(
        about.name,
        title,
        across,
        max(layout.height for layout in layouts.values()),
        tuple(node for part in parts for node in part.nodes.values()),
        tuple(edge for part in parts for edge in part.edges),
        tuple(caption for part in parts for caption in part.captions),
    )


def walked(drawn: Diagram, changes: Iterable[StateChanged]) -> tuple[Walked, ...]:
    """Returns the arrows that the ends of one conversation have gone along, in the order in which it is told."""
    found = _by_row(drawn)
    told = []
    for each in changes:
        if each.protocol == drawn.protocol:
            edge, line = found.get((each.end, each.before, each.on, each.after), (None, 0))
            told.append(Walked(each.packet, each.end, each.before, each.after, edge, line))
    return tuple(told)


def _by_row(drawn: Diagram) -> dict[tuple[Role, str, str, str], tuple[str, int]]:
    return {
        (end, row.state, row.on, row.to): (edge.id, at)
        for edge in drawn.edges
        for at, line in enumerate(edge.lines)
        for row in line.rows
        for end in edge.ends
    }


def as_json(drawn: Diagram) -> dict[str, Any]:
    """Returns it as plain values. `rows` says of a table's row, for each end, which line of which edge it is."""
    rows = [
        {"end": end, "before": before, "on": on, "after": after, "edge": edge, "line": line}
        for (end, before, on, after), (edge, line) in _by_row(drawn).items()
    ]
    return {
        "schema": SCHEMA,
        "protocol": drawn.protocol,
        "title": drawn.title._asdict(),
        "width": drawn.width,
        "height": drawn.height,
        "sizes": {"state": STATE, "spelled": SPELLED, "words": WORDS, "badge": BADGE, "line": LINE},
        "nodes": [{**each._asdict(), "text": each.text._asdict()} for each in drawn.nodes],
        "edges": [_edge(each) for each in drawn.edges],
        "captions": [
            {**each._asdict(), "text": each.text._asdict(), "path": path(each.points)} for each in drawn.captions
        ],
        "rows": rows,
    }


def _edge(edge: Edge) -> dict[str, Any]:
    return {**edge._asdict(), "lines": [_line_as_json(line) for line in edge.lines], "path": path(edge.points)}


def _line_as_json(line: Line) -> dict[str, Any]:
    step = line.step._asdict() if line.step else None
    rows = [{"on": str(row.on), "step": row.step, "source": sections(row.source)._asdict()} for row in line.rows]
    return {**line._asdict(), "text": line.text._asdict(), "step": step, "rows": rows}


def path(points: Sequence[tuple[float, float]]) -> str:
    """Returns the corners of a way as the `d` of an SVG path, the corners rounded; nothing where there is no way."""
    if not points:
        return ""
    said = [f"M{_said(points[0])}"]
    for before, corner, behind in zip(points, points[1:], points[2:], strict=False):
        near = min(ROUND, math.dist(before, corner) / 2), min(ROUND, math.dist(corner, behind) / 2)
        said.append(
            f"L{_said(_towards(corner, before, near[0]))}Q{_said(corner)} {_said(_towards(corner, behind, near[1]))}"
        )
    return "".join([*said, f"L{_said(points[-1])}"])


def _said(point: tuple[float, float]) -> str:
    return " ".join(f"{value:.1f}".removesuffix(".0") for value in point)


def _towards(one: tuple[float, float], other: tuple[float, float], by: float) -> tuple[float, float]:
    share = by / (math.dist(one, other) or 1)
    return one[0] + (other[0] - one[0]) * share, one[1] + (other[1] - one[1]) * share
