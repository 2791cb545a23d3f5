"""The state diagrams: what the tables have and no more, nothing upon anything else, and the path that was walked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from itertools import combinations, pairwise

import pytest

from lab.engine.protocol import Descriptor
from lab.engine.table import Row
from lab.events import StateChanged
from lab.model import Role
from lab.protocols.layout import Layout
from lab.protocols.registry import PROTOCOLS
from lab.render.diagram import as_json, diagram, path, walked
from lab.render.placed import Diagram
from lab.runs.recorded import open_run
from tests.places import REFERENCES

ROLES: tuple[Role, Role] = ("client", "server")
Box = tuple[float, float, float, float]
of_each_protocol = pytest.mark.parametrize("about", PROTOCOLS, ids=lambda about: about.name)


@cache
def drawn(about: Descriptor) -> Diagram:
    found = diagram(about)
    assert found is not None
    return found


def changes(name: str) -> list[StateChanged]:
    with open_run(str(REFERENCES / f"{name}.pcapng")) as run:
        return [each for each in run.events() if isinstance(each, StateChanged)]


def meet(one: Box, other: Box) -> bool:
    return all(one[at] < other[at] + other[at + 2] and other[at] < one[at] + one[at + 2] for at in (0, 1))


def crosses(box: Box, way: tuple[tuple[float, float], ...]) -> bool:
    """Whether a way, whose parts are level or plumb, goes through a box."""
    for (x1, y1), (x2, y2) in pairwise(way):
        if meet(box, (min(x1, x2), min(y1, y2), abs(x2 - x1) + 0.01, abs(y2 - y1) + 0.01)):
            return True
    return False


def boxes(found: Diagram) -> Iterator[tuple[str, Box]]:
    """Yields what must stand alone, by a name."""
    for node in found.nodes:
        yield node.id, (node.x, node.y, node.w, node.h)
    for edge in found.edges:
        if edge.kind in ("arrow", "silent"):
            yield from ((f"{edge.id} {line.text.en}", line.box) for line in edge.lines)
    for caption in found.captions:
        yield caption.text.en, caption.box


@of_each_protocol
def test_every_state_and_every_row_of_the_table_is_there_once_and_none_is_invented(about: Descriptor) -> None:
    found = drawn(about)
    for role in ROLES:
        table = about.tables[role]
        mine = [node for node in found.nodes if role in node.ends]
        assert {node.state for node in mine} == set(table.states)
        where = {node.id: node.state for node in mine}
        rows: list[Row] = []
        for edge in found.edges:
            if role in edge.ends:
                for row in (row for line in edge.lines for row in line.rows):
                    assert (where[edge.start], where[edge.end]) == (row.state, row.to)
                    rows.append(row)
                assert edge.kind != "silent" or not [row for line in edge.lines for row in line.rows]
        assert sorted(rows) == sorted(table.rows)
        assert {node.state for node in mine if role in node.starts} == {table.starts[role]}
    assert len({edge.id for edge in found.edges}) == len(found.edges)


@of_each_protocol
def test_nothing_stands_upon_anything_else(about: Descriptor) -> None:
    found = drawn(about)
    alone = list(boxes(found))
    assert [(one[0], other[0]) for one, other in combinations(alone, 2) if meet(one[1], other[1])] == []
    for name, (x, y, w, h) in alone:
        assert x >= 0, name
        assert y >= 0, name
        assert x + w <= found.width, name
        assert y + h <= found.height, name


@of_each_protocol
def test_no_arrow_goes_through_a_box_or_a_label(about: Descriptor) -> None:
    found = drawn(about)
    wrong = [
        (edge.id, name)
        for edge in found.edges
        if edge.points and edge.drawn
        for name, box in boxes(found)
        if crosses((box[0] + 1, box[1] + 1, box[2] - 2, box[3] - 2), edge.points)
    ]
    assert wrong == []


@of_each_protocol
def test_arrows_go_from_box_to_box_by_level_and_plumb_parts(about: Descriptor) -> None:
    found = drawn(about)
    nodes = {node.id: node for node in found.nodes}
    for edge in found.edges:
        if not edge.points:
            assert edge.kind == "inside"
            continue
        for name, (x, y) in ((edge.start, edge.points[0]), (edge.end, edge.points[-1])):
            node = nodes[name]
            assert x in (node.x, node.x + node.w) or y in (node.y, node.y + node.h), edge.id
            assert node.x <= x <= node.x + node.w, edge.id
            assert node.y <= y <= node.y + node.h, edge.id
        if edge.drawn:
            assert all(one[0] == other[0] or one[1] == other[1] for one, other in pairwise(edge.points)), edge.id


@of_each_protocol
def test_what_is_said_in_a_box_fits_into_it(about: Descriptor) -> None:
    found = drawn(about)
    nodes = {node.id: node for node in found.nodes}
    for edge in found.edges:
        if edge.kind == "inside":
            node = nodes[edge.start]
            for line in edge.lines:
                assert line.box[0] + line.box[2] <= node.x + node.w, line.text
                assert line.box[1] + line.box[3] <= node.y + node.h, line.text
            assert not [pair for pair in combinations([line.box for line in edge.lines], 2) if meet(*pair)]


@of_each_protocol
def test_as_json_it_says_of_every_row_which_arrow_it_is(about: Descriptor) -> None:
    found = json.loads(json.dumps(as_json(drawn(about))))
    edges = {edge["id"]: edge for edge in found["edges"]}
    nodes = {node["id"]: node for node in found["nodes"]}
    rows = {(row["end"], row["before"], row["on"], row["after"]): row for row in found["rows"]}
    for role in ROLES:
        for row in about.tables[role].rows:
            edge = edges[rows[role, row.state, row.on, row.to]["edge"]]
            line = edge["lines"][rows[role, row.state, row.on, row.to]["line"]]
            assert row.on in [each["on"] for each in line["rows"]]
            assert (nodes[edge["start"]]["state"], nodes[edge["end"]]["state"]) == (row.state, row.to)
            assert bool(edge["path"]) == (row.state != row.to)
    for edge in found["edges"]:
        for line in edge["lines"]:
            assert line["text"]["en"]
            assert line["text"]["zh"]


def test_a_path_is_what_the_events_say() -> None:
    found = drawn(PROTOCOLS[0])
    told = walked(found, changes("tcp-connection"))
    assert [(each.packet, each.edge) for each in told if each.end == "client"] == [
        (1, "CLOSED>SYN-SENT"), (2, "SYN-SENT>ESTABLISHED"), (8, "ESTABLISHED>FIN-WAIT-1"),
        (9, "FIN-WAIT-1>FIN-WAIT-2"), (10, "FIN-WAIT-2>TIME-WAIT"),
    ]  # fmt: skip
    assert [(each.packet, each.edge) for each in told if each.end == "server"] == [
        (1, "LISTEN>SYN-RECEIVED"), (3, "SYN-RECEIVED>ESTABLISHED"), (8, "ESTABLISHED>CLOSE-WAIT"),
        (10, "CLOSE-WAIT>LAST-ACK"), (11, "LAST-ACK>CLOSED.2"),
    ]  # fmt: skip


def test_every_move_in_a_reference_is_along_an_arrow() -> None:
    for file in sorted(REFERENCES.glob("*.pcapng")):
        told = changes(file.stem)
        for about in PROTOCOLS:
            along = walked(drawn(about), told)
            assert len(along) == sum(each.protocol == about.name for each in told)
            assert all(each.edge for each in along), file.stem


def test_corners_of_a_path_are_rounded() -> None:
    assert path(((0, 0), (0, 50), (50, 50))) == "M0 0L0 41Q0 50 9 50L50 50"
    assert path(()) == ""


def test_a_protocol_without_a_layout_has_no_diagram() -> None:
    assert diagram(PROTOCOLS[0].replace(layouts={})) is None


def test_a_layout_that_has_not_exactly_the_tables_arrows_is_refused() -> None:
    about = PROTOCOLS[0]
    layout: Layout = about.layouts["client"]
    first, *others = layout.routes
    (gathering,) = layout.gathered
    fewer = dict(list(gathering.ways.items())[1:])
    for wrong in (
        layout._replace(routes=tuple(others)),
        layout._replace(routes=(first, *layout.routes)),
        layout._replace(routes=(first._replace(start=first.end, end=first.start), *others)),
        layout._replace(gathered=(gathering._replace(ways=fewer),)),
        layout._replace(gathered=()),
        layout._replace(places=layout.places[1:]),
        layout._replace(places=(*layout.places, layout.places[0]._replace(state="ASLEEP"))),
    ):
        with pytest.raises(ValueError, match="tcp: "):
            diagram(about.replace(layouts={"client": wrong, "server": wrong}))
