"""Two sequences laid side by side so that what means the same stands in one row, and nothing changes its order."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Pair = tuple[int | None, int | None]  # places in both sequences; None where the other has nothing like it

MOST = 1000  # items of a sequence: the table has the square of this many cells


def align(ours: Sequence[Item], theirs: Sequence[Item], likeness: Callable[[Item, Item], int]) -> list[Pair]:
    """Returns the pairs that together are most alike (Needleman and Wunsch, without a price for what stands alone).

    `likeness` is 0 for items that must not stand in one row, and the same either way round. Takes time and memory by
    the product of the lengths, of what differs: give it at most MOST of each.
    """
    begin = 0
    while begin < min(len(ours), len(theirs)) and ours[begin] == theirs[begin]:
        begin += 1
    end = 0
    while end < min(len(ours), len(theirs)) - begin and ours[-1 - end] == theirs[-1 - end]:
        end += 1
    middle = _aligned(ours[begin : len(ours) - end], theirs[begin : len(theirs) - end], likeness)
    pairs: list[Pair] = [(at, at) for at in range(begin)]
    pairs += [(None if a is None else a + begin, None if b is None else b + begin) for a, b in middle]
    return pairs + [(len(ours) - at, len(theirs) - at) for at in range(end, 0, -1)]


def _aligned(ours: Sequence[Item], theirs: Sequence[Item], likeness: Callable[[Item, Item], int]) -> list[Pair]:
    first, mine = _kinds(ours)
    second, others = _kinds(theirs)
    known = array("i", [-1]) * (len(mine) * len(others))  # likeness of two kinds; -1 until it is asked
    width = len(second) + 1
    best = array("i", [0]) * (width * (len(first) + 1))  # best[a][b]: of what begins there
    for a in range(len(first) - 1, -1, -1):
        row, after = a * width, (a + 1) * width
        for b in range(len(second) - 1, -1, -1):
            both = first[a] * len(others) + second[b]
            alike = known[both]
            if alike < 0:
                alike = known[both] = likeness(mine[first[a]], others[second[b]])
            found = max(best[after + b], best[row + b + 1])
            best[row + b] = max(found, best[after + b + 1] + alike) if alike else found
    pairs: list[Pair] = []
    a = b = 0
    while a < len(first) and b < len(second):
        here = a * width + b
        alike = known[first[a] * len(others) + second[b]]
        if alike and best[here] == best[here + width + 1] + alike:
            pairs.append((a, b))
            a, b = a + 1, b + 1
        elif best[here] == best[here + width]:
            pairs.append((a, None))
            a += 1
        else:
            pairs.append((None, b))
            b += 1
    pairs += [(at, None) for at in range(a, len(first))]
    return pairs + [(None, at) for at in range(b, len(second))]


def _kinds(items: Sequence[Item]) -> tuple[list[int], list[Item]]:
    """Returns each item's kind, and the kinds: equal items are of one, and are compared once."""
    kinds: dict[Item, int] = {}
    return [kinds.setdefault(item, len(kinds)) for item in items], list(kinds)
