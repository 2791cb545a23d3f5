"""What is written a line a packet, or a line a conversation; rows of two halves of a capture are put in order again."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

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
    quotes: re.Pattern[str] | None = None  # finds, where it is without, that of the conversation which it quotes


CSV_PLACES = Places(0, "", "")
JSON_PLACES = Places(len('{"number":'), '"conversation":', "null", re.compile(r'"quotes":(\d+)'))


class _Columns(NamedTuple):
    """Rows cut up: at the commas up to their conversation's number, which is what is written anew."""

    numbers: list[int]  # of their packets, rising
    heads: Sequence[str]
    times: Sequence[str]
    names: Sequence[str]
    rests: Sequence[str]

    def part(self, which: slice) -> _Columns:
        numbers, *words = self
        return _Columns(numbers[which], *(column[which] for column in words))


class _Half:
    """Rows of one half of a capture that wait for those of the other."""

    def __init__(self, rows: Iterable[list[str]], places: Places) -> None:
        self._coming = iter(rows)
        self._places = places
        self._waiting = _Columns([], (), (), (), ())
        self._names = array("I")  # of each of its conversations, what it is called now

    def last(self) -> int:
        """Returns the last packet of those that have come; more come where none waits, if there are any."""
        begin = self._places.number
        while not self._waiting.numbers:
            some = next(self._coming, None)
            if some is None:
                return _OVER
            if some:
                heads, *rest = zip(*[row.split(",", 3) for row in some], strict=True)
                numbers = list(map(int, [head[begin:] for head in heads] if begin else heads))
                self._waiting = _Columns(numbers, heads, *rest)
        return self._waiting.numbers[-1]

    def until(self, number: int) -> _Columns:
        """Takes out what has come up to a packet."""
        at = bisect_right(self._waiting.numbers, number)
        taken, self._waiting = self._waiting.part(slice(at)), self._waiting.part(slice(at, None))
        return taken

    def fresh(self, rows: _Columns) -> list[int]:
        """Returns the first packet of each conversation that begins in these rows, which go on from those before.

        One may have been numbered before its first packet was captured, for what an ICMP error quotes: it counts as
        begun where the one before it does.
        """
        before, found, at = self._places.conversation, list[int](), 0
        nobody, names = before + self._places.without, list(rows.names)
        for error, quoted in self._quoting(rows):  # it may come before any packet of that conversation
            names[error] = before + quoted[1]
        last = max((int(name[len(before) :]) for name in set(names) if name != nobody), default=-1)
        for own in range(len(self._names), last + 1):
            with contextlib.suppress(ValueError):
                at = names.index(f"{before}{own}", at)
            found.append(rows.numbers[at])
        return found

    def call(self, name: int) -> None:
        """Says what the next of its conversations is called."""
        self._names.append(name)

    def written(self, rows: _Columns) -> list[str]:
        """Returns rows with what their conversations are called now."""
        _, before, without, _ = self._places
        nobody, size = before + without, len(before)
        known = {
            name: name if name == nobody else f"{before}{self._names[int(name[size:])]}" for name in set(rows.names)
        }
        names, rests = map(known.__getitem__, rows.names), list(rows.rests)
        for at, quoted in self._quoting(rows):
            rests[at] = f"{rests[at][: quoted.start(1)]}{self._names[int(quoted[1])]}{rests[at][quoted.end(1) :]}"
        return list(map(",".join, zip(rows.heads, rows.times, names, rests, strict=True)))

    def _quoting(self, rows: _Columns) -> Iterator[tuple[int, re.Match[str]]]:
        """Yields the places of ICMP errors in rows, and where behind it stands which conversation each quotes."""
        _, before, without, quotes = self._places
        if quotes is None:
            return
        nobody = before + without
        for at, (name, rest) in enumerate(zip(rows.names, rows.rests, strict=True)):
            if name == nobody and (found := quotes.search(rest)):
                yield at, found


def as_one(
    ours: Iterable[list[str]], theirs: Iterable[list[str]], places: Places, order: bytearray | None = None
) -> Iterator[list[str]]:
    """Yields the rows of two halves of a capture in the order of packets, conversations numbered anew in that order.

    In each half conversations are numbered from 0 in the order of their first rows. Rows come and go some together.
    Of each conversation `order` gets the half that it is of, in the order of their numbers.
    """
    halves, count = (_Half(ours, places), _Half(theirs, places)), 0
    while (last := min(half.last() for half in halves)) < _OVER:
        some, others = (half.until(last) for half in halves)
        fresh = [(number, halves[0]) for number in halves[0].fresh(some)]
        fresh += [(number, halves[1]) for number in halves[1].fresh(others)]
        for _, half in sorted(fresh, key=_first):
            half.call(count)
            count += 1
            if order is not None:
                order.append(half is halves[1])
        lines, numbers = halves[0].written(some) + halves[1].written(others), some.numbers + others.numbers
        yield list(map(lines.__getitem__, sorted(range(len(lines)), key=numbers.__getitem__)))


def conversations_as_one(
    ours: Iterable[tuple[int, str]], theirs: Iterable[tuple[int, str]], order: Sequence[int] = ()
) -> Iterator[tuple[int, str]]:
    """Yields the conversations of two halves in the order that `as_one` found, numbered anew in that order.

    Where there were no rows, they come in the order of their first packets.
    """
    halves = iter(ours), iter(theirs)
    ordered = map(next, map(halves.__getitem__, order))
    for count, (first, line) in enumerate(itertools.chain(ordered, heapq.merge(*halves, key=_first))):
        yield first, f'{{"id":{count}{line[line.index(",") :]}'


def _first(entry: tuple[int, Any]) -> int:
    return entry[0]


_OVER = 1 << 63  # a number that no packet has
