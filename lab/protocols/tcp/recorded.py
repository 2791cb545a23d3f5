"""The grid as it was recorded on a kernel: a line a cell. What is played is compared with it, line by line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from lab.protocols.tcp.cells import Cell, Options, Path
from lab.protocols.tcp.differences import explained

_APART = " | "
_NONE = "-"
Lines = Mapping[str, Mapping[str, str]]  # by way, by segment


class Line(NamedTuple):
    """A cell as it is recorded. `agrees`: the kernel does as the rules say; else `difference` is a number of the table,
    None where nobody knows."""

    sent: str
    after: str
    heard: str
    moved: str
    agrees: bool
    difference: int | None


class Grid(NamedTuple):
    """What was recorded: on which kernel, through which states the ways led, and each cell's line."""

    kernel: str  # its version's first two numbers
    paths: Mapping[str, tuple[str, ...]]
    cells: Lines
    variants: Mapping[str, Lines]  # by option: the lines that are others with it

    def lines(self, options: Options) -> Lines:
        """Returns the lines with these options; IPv6 has the same as IPv4."""
        found = {way: dict(cells) for way, cells in self.cells.items()}
        for name in _VARIANTS:
            if getattr(options, name):
                for way, cells in self.variants[name].items():
                    found[way] |= cells
        return found


_VARIANTS = ("timestamps", "rfc1337")


class Change(NamedTuple):
    """A cell that is not as it was recorded: both lines, None where there is none."""

    way: str
    segment: str
    was: str | None
    now: str


@cache
def grid() -> Grid:
    """Returns the grid that comes with the lab."""
    data = json.loads((files("lab.protocols.tcp") / "grid.json").read_text(encoding="utf-8"))
    paths = {way: tuple(states) for way, states in data["paths"].items()}
    return Grid(data["kernel"], paths, data["cells"], {name: data[name] for name in _VARIANTS})


def line(cell: Cell) -> str:
    """Returns the line that a cell is recorded as."""
    why = explained(cell)
    sent = ", ".join(" ".join((each.name, *_numbers(each.seq, each.ack))) for each in cell.sent)
    moved = [f"{name} +{by}" for name, by in cell.moved] + ([f"drops +{cell.dropped}"] if cell.dropped else [])
    return _APART.join((
        sent or _NONE, cell.after, ", ".join(cell.heard) or _NONE, ", ".join(moved) or _NONE,
        str(why.number) if why else "?" if cell.differs else _NONE,
    ))  # fmt: skip


def read(text: str) -> Line:
    """Reads such a line."""
    sent, after, heard, moved, number = text.split(_APART)
    return Line(sent, after, heard, moved, number == _NONE, int(number) if number.isdigit() else None)


def changes(cells: Iterable[Cell], options: Options) -> list[Change]:
    """Returns the cells that are not as they were recorded."""
    lines = grid().lines(options)
    found = ((cell, lines.get(cell.way, {}).get(cell.segment), line(cell)) for cell in cells)
    return [Change(cell.way, cell.segment, was, now) for cell, was, now in found if was != now]


def as_json(kernel: str, paths: Iterable[Path], played: Mapping[Options, Iterable[Cell]]) -> dict[str, object]:
    """Returns what a grid is recorded as: every cell with no option, and with each option those that are others."""
    lines: dict[Options, dict[str, dict[str, str]]] = {}
    for options, cells in played.items():
        for cell in cells:
            lines.setdefault(options, {}).setdefault(cell.way, {})[cell.segment] = line(cell)
    plain = lines[Options()]
    others = {
        name: {
            way: changed
            for way, cells in lines[Options(**{name: True})].items()
            if (changed := {segment: text for segment, text in cells.items() if plain[way][segment] != text})
        }
        for name in _VARIANTS
    }
    return {"kernel": kernel, "paths": {each.way: list(each.states) for each in paths}, "cells": plain, **others}


def _numbers(*found: int | None) -> list[str]:
    return [_NONE if each is None else str(each) for each in found]
