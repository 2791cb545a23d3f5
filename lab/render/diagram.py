"""A protocol's table as a diagram: boxes, arrows and words with numbers, for whoever draws it or moves something on it.

The table says what there is, the protocol's layout where it stands. A row that moves an end is on an arrow; one that
moves nobody is a line in the box of its state. Lengths are a picture's units, from its top left corner.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from lab.engine.protocol import Descriptor
from lab.engine.table import Row, Table
from lab.events import StateChanged
from lab.model import Role
from lab.protocols.layout import Anchor, Gathering, Label, Layout, Place, Route, Silent, Way
from lab.protocols.notes import note, notes
from lab.render.measure import wide
from lab.render.words import event, sections
from lab.text import LANGUAGES, ROLES, Lang, Text

SCHEMA = "handshake-lab/diagram/v1"
TITLE, STATE, SPELLED, WORDS, BADGE = 16.0, 13.0, 10.5, 11.5, 10.5  # sizes of fonts
LINE = 16  # a line's height
ROUND, ROOM = 9, 8  # of an arrow's corners; between an arrow and its words
PORT = 18  # how far below a box's top arrows reach its sides
_HEAD, _SPELLED, _FOOT, _PAD = 25, 14, 7, 11  # of a box: its name's height, the notes' spelling's; below all; sideways
_BADGE_ROOM = 6
Kind = Literal["arrow", "inside", "gathered", "silent"]
_ROLES: tuple[Role, Role] = ("client", "server")


class Line(NamedTuple):
    """What stands on an arrow or in a box for one row, or for two that differ in nothing but sent and got.

    `x` is where its text begins, is in its middle or ends (`anchor`), `y` the middle of its height; `box` is the room
    it takes at most: left, top, width, height.
    """

    text: Text
    step: Text | None  # the notes' step, as a badge behind it
    rows: tuple[Row, ...]
    x: float
    y: float
    anchor: Anchor
    box: tuple[float, float, float, float]


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
    points: tuple[tuple[float, float], ...]
    drawn: bool = True


class Caption(NamedTuple):
    """Words of no arrow alone: whose table it is; what leads to a state from many. `points` is its own arrow's way."""

    text: Text
    kind: Literal["title", "gathered"]
    x: float
    y: float
    anchor: Anchor
    box: tuple[float, float, float, float]
    points: tuple[tuple[float, float], ...] = ()


class Diagram(NamedTuple):
    """All of it: one table, or the client's and the server's beside each other."""

    protocol: str
    title: Text
    width: float
    height: float
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    captions: tuple[Caption, ...]


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
    parts: list[_Part] = []
    across = 0.0
    shared = about.tables["client"] is about.tables["server"]
    for role in _ROLES[:1] if shared else _ROLES:
        ends = _ROLES if shared else (role,)
        parts.append(_Part(about, about.tables[role], layouts[role], ends, across))
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


class _Part:
    """One table, `across` from the left. Raises ValueError where layout and table do not say the same."""

    def __init__(self, about: Descriptor, table: Table, layout: Layout, ends: tuple[Role, ...], across: float) -> None:
        self._about, self._table, self._layout, self._ends, self._across = about, table, layout, ends, across
        self._prefix = "" if len(ends) > 1 else f"{ends[0]}."
        self.nodes: dict[str, Node] = {}
        self.edges: list[Edge] = []
        self.captions: list[Caption] = []
        self._left: dict[tuple[str, str], list[Row]] = {}
        for row in table.rows:
            self._left.setdefault((str(row.state), str(row.to)), []).append(row)
        if self._prefix:
            self._caption(ROLES[ends[0]], "title", layout.width / 2, 28, "middle", TITLE)
        for place in layout.places:
            self._place(place)
        for gathering in layout.gathered:
            self._gather(gathering)
        for route in layout.routes:
            self._route(route)
        for silent in layout.silent:
            self._silent(silent)
        if left := [key for key, rows in self._left.items() if rows]:
            raise ValueError(f"{about.name}: no way is laid for {left}")

    def _take(self, start: str, end: str, on: Sequence[str] = ()) -> list[Row]:
        """Returns the rows between two states that have not been placed, and places them."""
        rows = self._left.get((start, end), [])
        found = [row for row in rows if not on or row.on in on]
        self._left[start, end] = [row for row in rows if row not in found]
        if not found:
            raise ValueError(f"{self._about.name}: no such arrow is left in the table: {start} > {end} {on}")
        return found

    def _place(self, place: Place) -> None:
        count = sum(node.state == place.state for node in self.nodes.values())
        name = f"{place.state}.{count + 1}" if count else place.state
        known = notes(self._about.name).states[place.state]
        inside = _merged(self._take(place.state, place.state)) if self._left.get((place.state, place.state)) else []
        head = _HEAD + (_SPELLED if known.notes else 0)
        deep = -(-len(inside) // place.columns)
        height = head + (deep * LINE + _FOOT if inside else 4)
        left, top = place.x + self._across - place.width / 2, place.y
        node = Node(
            self._prefix + name, place.state, self._ends,
            tuple(end for end in self._ends if not count and self._table.starts.get(end) == place.state),
            known.notes, place.phase, known.text, left, top, place.width, height,
        )  # fmt: skip
        self.nodes[name] = node
        if inside:
            lines = []
            for at, (text, rows) in enumerate(inside):
                column, row = divmod(at, deep)
                x = left + _PAD + column * (place.width - _PAD) / place.columns
                lines.append(_line(text, rows, x, top + head + (row + 0.5) * LINE, "start"))
            self.edges.append(Edge(f"{node.id}>{node.id}", "inside", self._ends, node.id, node.id, tuple(lines), ()))

    def _route(self, route: Route) -> None:
        rows = self._take(*_states(route.start, route.end), route.on)
        self._arrow("arrow", route.start, route.end, route.way, route.label, _merged(rows))

    def _silent(self, silent: Silent) -> None:
        self._arrow("silent", silent.start, silent.end, silent.way, silent.label, [(silent.text, [])])

    def _arrow(
        self, kind: Kind, start: str, end: str, way: Way, label: Label, said: list[tuple[Text, list[Row]]]
    ) -> None:
        points = self._points(start, end, way)
        x, y, anchor = self._beside(points, label, len(said))
        lines = [_line(text, rows, x, y + (at + 0.5) * LINE, anchor) for at, (text, rows) in enumerate(said)]
        between = ">" if kind == "arrow" else "~"
        name = f"{self.nodes[start].id}{between}{self.nodes[end].id}"
        self.edges.append(Edge(name, kind, self._ends, self.nodes[start].id, self.nodes[end].id, tuple(lines), points))

    def _gather(self, gathering: Gathering) -> None:
        end = self.nodes[gathering.end]
        taken = []
        for start, way in gathering.ways.items():
            rows = self._take(*_states(start, gathering.end), gathering.on)
            taken += rows
            points = self._points(start, gathering.end, way)
            lines = [_line(text, found, *points[0], "middle") for text, found in _merged(rows)]
            bare = tuple(each._replace(box=(*points[0], 0, 0)) for each in lines)
            name = f"{self.nodes[start].id}>{end.id}"
            self.edges.append(
                Edge(name, "gathered", self._ends, self.nodes[start].id, end.id, bare, points, gathering.drawn)
            )
        x, y, anchor = gathering.label
        points = self._points(None, gathering.end, gathering.stub) if gathering.stub else ()
        for at, text in enumerate(_gathered(taken, self._table, end.state)):
            self._caption(text, "gathered", x, y + at * LINE, anchor, WORDS, points if not at else ())

    def _caption(
        self, text: Text, kind: Literal["title", "gathered"], x: float, y: float, anchor: Anchor, size: float,
        points: tuple[tuple[float, float], ...] = (),
    ) -> None:  # fmt: skip
        width = max(wide(text.pick(lang), size) for lang in LANGUAGES)
        left = x + self._across - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        box = left, y - size * 0.65, width, size * 1.3
        self.captions.append(Caption(text, kind, x + self._across, y, anchor, box, points))

    def _points(self, start: str | None, end: str, way: Way) -> tuple[tuple[float, float], ...]:
        found: list[tuple[float, float]] = []
        for at, each in enumerate(way):
            if isinstance(each, str):
                name = end if at else start
                assert name is not None
                found.append(_port(self.nodes[name], each))
            else:
                x, y = each
                found.append(
                    (x + self._across if x is not None else found[-1][0], y if y is not None else found[-1][1])
                )
        return tuple(found)

    def _beside(self, points: Sequence[tuple[float, float]], label: Label, lines: int) -> tuple[float, float, Anchor]:
        """Returns where the first line of a label begins, its top, and which side that is."""
        if not isinstance(label, str):
            x, y, anchor = label
            return x + self._across, y - lines * LINE / 2, anchor
        part, side = int(label[:-1]), label[-1]
        (x1, y1), (x2, y2) = points[part : part + 2]
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        if side in "ab":
            return x, y - lines * LINE - 2 if side == "a" else y + 2, "middle"
        return (x + ROOM, y - lines * LINE / 2, "start") if side == "r" else (x - ROOM, y - lines * LINE / 2, "end")


def _states(start: str, end: str) -> tuple[str, str]:
    """Returns the states of two places."""
    return start.partition(".")[0], end.partition(".")[0]


def _port(node: Node, port: str) -> tuple[float, float]:
    side, by = port[0], float(port[1:] or 0)
    if side in "ns":
        return node.x + node.w / 2 + by, node.y if side == "n" else node.y + node.h
    return node.x if side == "w" else node.x + node.w, node.y + PORT + by


def _line(text: Text, rows: Sequence[Row], x: float, y: float, anchor: Anchor) -> Line:
    step = next((_step(row.step) for row in rows if row.step), None)
    width = max(_length(text, step, lang) for lang in LANGUAGES)
    left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    return Line(text, step, tuple(rows), x, y, anchor, (left, y - LINE / 2, width, LINE))


def _length(text: Text, step: Text | None, lang: Lang) -> float:
    badge = _BADGE_ROOM + wide(step.pick(lang), BADGE) if step else 0
    return wide(text.pick(lang), WORDS) + badge


def _step(step: str) -> Text:
    """Returns a row's step as it is called; `open 3/2` is step 3 for the end that began, step 2 for the other."""
    first, _, other = step.partition("/")
    name = note(first).name
    return Text(f"{name.en}/{other}", f"{name.zh}/{other}") if other else name


def _merged(rows: Iterable[Row]) -> list[tuple[Text, list[Row]]]:
    """Returns what is said of rows, once of two that differ in nothing but sent and got."""
    said: dict[str, tuple[Text, list[Row]]] = {}
    for row in rows:
        verb, _, what = row.on.partition(" ")
        other = {"sent": f"got {what}", "got": f"sent {what}"}.get(verb)
        if other in said:
            first, found = said[other]
            said[other] = _both(first if verb == "sent" else event(row.on)), [*found, row]
        else:
            said[str(row.on)] = event(row.on), [row]
    return list(said.values())


def _both(got: Text) -> Text:
    """Returns what is said of sending and of getting something, of what is said of getting it."""
    return Text(f"sent/{got.en}", f"发出/{got.zh}")


def _gathered(rows: Sequence[Row], table: Table, end: str) -> Iterator[Text]:
    """Yields what leads to a state from many, and from which."""
    texts = [text for text, _ in _merged({row.on: row for row in rows}.values())]
    from_all = {str(row.state) for row in rows}
    others = [each for each in table.states if each not in from_all and each != end]
    yield Text(" · ".join(each.en for each in texts), " · ".join(each.zh for each in texts))
    yield (
        Text(f"in any state but {', '.join(others)}", f"除 {'、'.join(others)} 外的任何状态")
        if others
        else Text("in any state", "任何状态下")
    )
