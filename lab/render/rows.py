"""What is written a line a packet, or a line a conversation; rows of two halves of a capture are put in order again."""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

Write = Callable[[str], object]

AT_ONCE = 512  # lines written together where nobody watches them come
_MOST_TOGETHER = 1 << 20  # characters of them


def as_lines(lines: Iterable[str], write: Write, at_once: int = AT_ONCE) -> None:
    """Writes an object a line, `at_once` together: writing costs more than making one."""
    for some in together(lines, at_once):
        write("\n".join(some) + "\n")


def together(rows: Iterable[str], at_once: int = AT_ONCE) -> Iterator[list[str]]:
    """Yields rows, `at_once` together, or as many as are not too long."""
    some: list[str] = []
    size = 0
    for row in rows:
        some.append(row)
        size += len(row)
        if len(some) >= at_once or size > _MOST_TOGETHER:
            yield some
            some, size = [], 0
    if some:
        yield some


class Places(NamedTuple):
    """How a row begins: with its packet's number, then, behind two commas, its conversation's, or `without` instead."""

    number: int  # the index of its first digit
    conversation: str  # what stands before the conversation's number
    without: str


CSV_PLACES = Places(0, "", "")
JSON_PLACES = Places(len('{"number":'), '"conversation":', "null")


class _Half:
    """Rows of one half of a capture that wait for those of the other."""

    def __init__(self, which: int, rows: Iterable[list[str]], begin: int) -> None:
        self._which = which
        self._coming = iter(rows)
        self._begin = begin
        self._waiting: list[tuple[int, int, list[str]]] = []  # their packets, and their beginnings, cut up

    def last(self) -> int:
        """Returns the last packet of those that have come; more come where none waits, if there are any."""
        which, begin = self._which, self._begin
        while not self._waiting:
            some = next(self._coming, None)
            if some is None:
                return _OVER
            cut = [row.split(",", 3) for row in some]
            self._waiting = [(int(parts[0][begin:]), which, parts) for parts in cut]
        return self._waiting[-1][0]

    def until(self, number: int) -> list[tuple[int, int, list[str]]]:
        """Takes out what has come up to a packet."""
        at = bisect_left(self._waiting, (number + 1,))
        taken, self._waiting = self._waiting[:at], self._waiting[at:]
        return taken


def as_one(ours: Iterable[list[str]], theirs: Iterable[list[str]], places: Places) -> Iterator[list[str]]:
    """Yields the rows of two halves of a capture in the order of packets, conversations numbered anew in that order.

    In each half conversations are numbered from 0 in the order of their first rows. Rows come and go some together.
    """
    begin, before, without = places
    size, nobody, count = len(before), before + without, 0
    halves = _Half(0, ours, begin), _Half(1, theirs, begin)
    names: tuple[array[int], array[int]] = array("I"), array("I")
    while (last := min(halves[0].last(), halves[1].last())) < _OVER:
        some: list[str] = []
        for _, which, (number, time, name, rest) in sorted(halves[0].until(last) + halves[1].until(last)):
            if name == nobody:
                some.append(f"{number},{time},{name},{rest}")
                continue
            own, known = int(name[size:]), names[which]
            if own == len(known):
                known.append(count)
                count += 1
            some.append(f"{number},{time},{before}{known[own]},{rest}")
        yield some


def conversations_as_one(
    ours: Iterable[tuple[int, str]], theirs: Iterable[tuple[int, str]]
) -> Iterator[tuple[int, str]]:
    """Yields the conversations of two halves in the order of their first packets, numbered anew in that order."""
    for count, (first, line) in enumerate(heapq.merge(ours, theirs, key=_first)):
        yield first, f'{{"id":{count}{line[line.index(",") :]}'


def _first(entry: tuple[int, str]) -> int:
    return entry[0]


_OVER = 1 << 63  # a number that no packet has
