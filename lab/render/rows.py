"""What is written a line a packet, or a line a conversation; rows of two halves of a capture are put in order again."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

Write = Callable[[str], object]

AT_ONCE = 512  # lines written together where nobody watches them come
_MOST_TOGETHER = 1 << 20  # characters of them


def as_lines(lines: Iterable[str], write: Write, at_once: int = AT_ONCE) -> None:
    """Writes an object a line."""
    write_rows((line + "\n" for line in lines), write, at_once)


def write_rows(rows: Iterable[str], write: Write, at_once: int = AT_ONCE) -> None:
    """Writes rows, `at_once` together: writing costs more than making one."""
    lines: list[str] = []
    size = 0
    for row in rows:
        lines.append(row)
        size += len(row)
        if len(lines) >= at_once or size > _MOST_TOGETHER:
            write("".join(lines))
            lines.clear()
            size = 0
    write("".join(lines))


class Places(NamedTuple):
    """Where a row has its packet's number, which ends at a comma, and its conversation's, or `without` instead."""

    number: int  # the index of its first digit
    conversation: str  # what stands before the conversation's number; empty: two commas
    without: str


CSV_PLACES = Places(0, "", "")
JSON_PLACES = Places(len('{"number":'), '"conversation":', "null")


def as_one(ours: Iterable[str], theirs: Iterable[str], places: Places) -> Iterator[str]:
    """Yields the rows of two halves of a capture in the order of packets, conversations numbered anew in that order.

    In each half conversations are numbered from 0 in the order of their first rows.
    """
    names: tuple[array[int], array[int]] = array("I"), array("I")
    halves = iter(ours), iter(theirs)
    begin, before, without = places
    size = len(before)
    rows = [next(half, "") for half in halves]
    numbers = [_number(row, begin) for row in rows]
    count = 0
    while True:
        which = 0 if numbers[0] < numbers[1] else 1
        row = rows[which]
        if not row:
            return
        at = row.index(before, begin) + size if before else row.index(",", row.index(",") + 1) + 1
        end = row.index(",", at)
        name = row[at:end]
        if name != without:
            own, known = int(name), names[which]
            if own == len(known):
                known.append(count)
                count += 1
            if known[own] != own:
                row = f"{row[:at]}{known[own]}{row[end:]}"
        yield row
        row = rows[which] = next(halves[which], "")
        numbers[which] = _number(row, begin)


def conversations_as_one(
    ours: Iterable[tuple[int, str]], theirs: Iterable[tuple[int, str]]
) -> Iterator[tuple[int, str]]:
    """Yields the conversations of two halves in the order of their first packets, numbered anew in that order."""
    for count, (first, line) in enumerate(heapq.merge(ours, theirs, key=_first)):
        yield first, f'{{"id":{count}{line[line.index(",") :]}'


def _first(entry: tuple[int, str]) -> int:
    return entry[0]


_OVER = 1 << 63  # a number that no packet has


def _number(row: str, begin: int) -> int:
    return int(row[begin : row.index(",", begin)]) if row else _OVER
