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
    width = len(theirs) + 1
    best = array("l", bytes(array("l").itemsize * width * (len(ours) + 1)))  # best[a][b]: of what begins there
    known: dict[tuple[Item, Item], int] = {}
    for a in range(len(ours) - 1, -1, -1):
        for b in range(len(theirs) - 1, -1, -1):
            both = ours[a], theirs[b]
            alike = known.get(both)
            if alike is None:
                alike = known[both] = likeness(*both)
            here = a * width + b
            found = max(best[here + width], best[here + 1])
            best[here] = max(found, best[here + width + 1] + alike) if alike else found
    pairs: list[Pair] = []
    a = b = 0
    while a < len(ours) and b < len(theirs):
        here = a * width + b
        alike = known[ours[a], theirs[b]]
        if alike and best[here] == best[here + width + 1] + alike:
            pairs.append((a, b))
            a, b = a + 1, b + 1
        elif best[here] == best[here + width]:
            pairs.append((a, None))
            a += 1
        else:
            pairs.append((None, b))
            b += 1
    pairs += [(at, None) for at in range(a, len(ours))]
    return pairs + [(None, at) for at in range(b, len(theirs))]
