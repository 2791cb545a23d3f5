"""How a table becomes a diagram: its rows are put where the protocol's layout has room for them, and the layout's words
are measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from lab.engine.protocol import Descriptor
from lab.engine.table import Row, Table
from lab.model import Role
from lab.protocols.layout import Anchor, Gathering, Label, Layout, Place, Route, Silent, Way
from lab.protocols.notes import note, notes
from lab.render.measure import wide
from lab.render.placed import BADGE, LINE, TITLE, WORDS, Caption, Corners, Edge, Kind, Line, Node
from lab.render.words import event
from lab.text import LANGUAGES, ROLES, Lang, Text

_ROOM = 8  # between an arrow and its words
_PORT = 18  # how far below a box's top arrows reach its sides
_HEAD, _SPELLED, _FOOT, _PAD = 25, 14, 7, 11  # of a box: its name's height, the notes' spelling's; below all; sideways
_BADGE_ROOM = 6
_LONG = 350  # a line of what leads to a state from many


class Part:
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
            self._caption(ROLES[ends[0]], "title", "", layout.width / 2, 28, "middle", TITLE)
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

    def _node(self, name: str) -> Node:
        if name not in self.nodes:
            raise ValueError(f"{self._about.name}: {name} has no place")
        return self.nodes[name]

    def _place(self, place: Place) -> None:
        if place.state not in self._table.states:
            raise ValueError(f"{self._about.name}: the table has no state {place.state}")
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
        begins, ends = self._node(start).id, self._node(end).id
        self.edges.append(Edge(f"{begins}{between}{ends}", kind, self._ends, begins, ends, tuple(lines), points))

    def _gather(self, gathering: Gathering) -> None:
        end = self._node(gathering.end)
        taken = []
        for start, way in gathering.ways.items():
            rows = self._take(*_states(start, gathering.end), gathering.on)
            taken += rows
            points = self._points(start, gathering.end, way)
            lines = [_line(text, found, *points[0], "middle") for text, found in _merged(rows)]
            bare = tuple(each._replace(box=(*points[0], 0, 0)) for each in lines)
            begins = self._node(start).id
            self.edges.append(
                Edge(f"{begins}>{end.id}", "gathered", self._ends, begins, end.id, bare, points, gathering.drawn)
            )
        x, y, anchor = gathering.label
        points = self._points(None, gathering.end, gathering.stub) if gathering.stub else ()
        for at, text in enumerate(_gathered(taken, self._table, end.state)):
            self._caption(text, "gathered", end.id, x, y + at * LINE, anchor, WORDS, points if not at else ())

    def _caption(
        self, text: Text, kind: Literal["title", "gathered"], node: str, x: float, y: float, anchor: Anchor,
        size: float, points: Corners = (),
    ) -> None:  # fmt: skip
        width = max(wide(text.pick(lang), size) for lang in LANGUAGES)
        left = x + self._across - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        box = left, y - size * 0.65, width, size * 1.3
        self.captions.append(Caption(text, kind, node, x + self._across, y, anchor, box, points))

    def _points(self, start: str | None, end: str, way: Way) -> Corners:
        found: list[tuple[float, float]] = []
        for at, each in enumerate(way):
            if isinstance(each, str):
                name = end if at or start is None else start
                found.append(_port(self._node(name), each))
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
            return x, y - lines * LINE - 4 if side == "a" else y + 4, "middle"
        return (x + _ROOM, y - lines * LINE / 2, "start") if side == "r" else (x - _ROOM, y - lines * LINE / 2, "end")


def _states(start: str, end: str) -> tuple[str, str]:
    """Returns the states of two places."""
    return start.partition(".")[0], end.partition(".")[0]


def _port(node: Node, port: str) -> tuple[float, float]:
    side, by = port[0], float(port[1:] or 0)
    if side in "ns":
        return node.x + node.w / 2 + by, node.y if side == "n" else node.y + node.h
    return node.x if side == "w" else node.x + node.w, node.y + _PORT + by


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
    """Yields what leads to a state from many, and from which: a line for what comes from the same ones, or two."""
    sources: dict[str, list[str]] = {}
    for row in rows:
        sources.setdefault(row.on, []).append(row.state)
    alike: dict[frozenset[str], list[Row]] = {}
    for row in {row.on: row for row in table.rows if row in rows}.values():
        alike.setdefault(frozenset(sources[row.on]), []).append(row)
    for states, same in alike.items():
        texts = [text for text, _ in _merged(same)]
        what = Text(" · ".join(each.en for each in texts), " · ".join(each.zh for each in texts))
        where = _where([each for each in table.states if each in states], table, end)
        line = Text(f"{what.en}: {where.en}", f"{what.zh}：{where.zh}")
        if wide(line.en, WORDS) <= _LONG:
            yield line
        else:
            yield from (what, where)


def _where(states: Sequence[str], table: Table, end: str) -> Text:
    """Returns which states these are, by those that they are not where these are fewer."""
    others = [each for each in table.states if each not in states and each != end]
    if len(states) < len(others):
        return Text(f"in {', '.join(states)}", f"处于 {'、'.join(states)} 时")
    if others:
        return Text(f"in any state but {', '.join(others)}", f"除 {'、'.join(others)} 外的任何状态")
    return Text("in any state", "任何状态下")
