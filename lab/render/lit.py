"""The path of two ends through a diagram: which arrows they went along in which packets, where they began and ended."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from lab.model import Role
from lab.render.diagram import Walked
from lab.render.measure import wide
from lab.render.placed import Box, Diagram, Edge
from lab.text import ROLES, Lang, Text

HEIGHT = 15  # of a number on an arrow
SIZE = 11  # of its font
_MOST, _MOST_TOLD = 3, 60  # packets on one arrow, moves of an end in words
_AIR = 2  # around a number
_EVERY = 40  # places on an arrow that are looked at


class Passing(NamedTuple):
    """Once along an arrow: the packet, and which of the arrow's lines it was."""

    packet: int
    line: int


class Number(NamedTuple):
    """Packets' numbers on an arrow: the middle of their box, and how wide that is."""

    end: Role
    text: str
    x: float
    y: float
    width: float


class Lit(NamedTuple):
    """`edges` has by an arrow's id who went along it; `begun` and `ended` the boxes where an end began and ended."""

    edges: dict[str, dict[Role, list[Passing]]]
    visited: frozenset[str]
    begun: dict[Role, str]
    ended: dict[Role, str]


def lit(drawn: Diagram, walked: Sequence[Walked]) -> Lit:
    """Returns the path that is left when everything has been taken back that was."""
    found = Lit({}, frozenset(), {}, {})
    by_id = {edge.id: edge for edge in drawn.edges}
    for role in ROLES:
        mine: list[Walked] = []
        back = ""
        for each in walked:
            if each.end == role and each.edge is not None:
                mine.append(each)
                back = ""
            elif each.end == role:
                back = each.after
                while mine and mine[-1].after != back:
                    mine.pop()
        for each in mine:
            passing = found.edges.setdefault(each.edge or "", {}).setdefault(each.end, [])
            passing.append(Passing(each.packet, each.line))
        edges = [by_id[each.edge] for each in mine if each.edge]
        if mine:
            found.begun[mine[0].end] = edges[0].start
            found.ended[mine[0].end] = edges[-1].end
    visited = {node for name in found.edges for node in (by_id[name].start, by_id[name].end)}
    return found._replace(visited=frozenset(visited))


def told(walked: Sequence[Walked], lang: Lang) -> str:
    """Returns a path in words: the states of both ends, each with the packet that led to it."""
    parts = []
    for role, name in ROLES.items():
        mine = [each for each in walked if each.end == role]
        steps = [mine[0].before, *(f"{each.after} ({each.packet})" for each in mine[:_MOST_TOLD])] if mine else ["–"]
        steps += ["…"] if len(mine) > _MOST_TOLD else []
        parts.append(Text(f"{name.en}: ", f"{name.zh}：").pick(lang) + " → ".join(steps))
    return Text("; ", "；").pick(lang).join(parts)


def numbers(drawn: Diagram, path: Lit) -> Iterator[Number]:
    """Yields the numbers of the packets on the arrows, each where it hides as little as can be."""
    taken = [line.box for edge in drawn.edges for line in edge.lines if edge.kind != "gathered"]
    taken += [(node.x, node.y, node.w, node.h) for node in drawn.nodes]
    taken += [caption.box for caption in drawn.captions]
    for edge in drawn.edges:
        for role, passings in sorted(path.edges.get(edge.id, {}).items()):
            yield (number := _number(edge, role, passings, taken))
            taken.append((number.x - number.width / 2, number.y - HEIGHT / 2, number.width, HEIGHT))


def _number(edge: Edge, role: Role, passings: Sequence[Passing], taken: Sequence[Box]) -> Number:
    said = ",".join(str(each.packet) for each in passings[:_MOST]) + ("…" if len(passings) > _MOST else "")
    width = max(float(HEIGHT), wide(said, SIZE) + 7)
    shares = sorted((at / _EVERY for at in range(3, _EVERY - 2)), key=lambda share: abs(share - 0.5))
    places = [_along(edge.points, share) for share in shares]
    x, y = min(places, key=lambda place: sum(_hidden(place, width, box) for box in taken))
    return Number(role, said, x, y, width)


def _along(points: Sequence[tuple[float, float]], share: float) -> tuple[float, float]:
    """Returns the point that far along a way."""
    parts = list(pairwise(points))
    left = share * sum(math.dist(*part) for part in parts)
    for one, other in parts:
        far = math.dist(one, other)
        if left <= far:
            by = left / (far or 1)
            return one[0] + (other[0] - one[0]) * by, one[1] + (other[1] - one[1]) * by
        left -= far
    return points[-1]


def _hidden(place: tuple[float, float], width: float, box: Box) -> float:
    """Returns how much of a box a number there would hide."""
    (x, y), (left, top, w, h) = place, box
    across = min(x + width / 2 + _AIR, left + w) - max(x - width / 2 - _AIR, left)
    down = min(y + HEIGHT / 2 + _AIR, top + h) - max(y - HEIGHT / 2 - _AIR, top)
    return across * down if across > 0 and down > 0 else 0.0
