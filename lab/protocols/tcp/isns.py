"""Initial sequence numbers over many connections: how they follow a clock, and how they do not follow each other.

RFC 9293 section 3.4.1 and RFC 6528 section 3: ISN = M + F(both addresses, both ports, secret). M is a clock, F a hash
that nobody else can work out. So the numbers of one address pair go up with the clock, and those of another pair tell
nothing of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

SPACE = 1 << 32
_HALF = SPACE >> 1


class Opened(NamedTuple):
    """A connection that a kernel has opened: when its SYN was seen, in nanoseconds, from which port, its raw ISN."""

    at: int
    port: int
    isn: int


class Isns(NamedTuple):
    """What is found of connections. `same` are those from the one port that was used again and again, `others` all
    that had a port of their own. `rate` is the clock's, in numbers a second.

    `missed` says by how much one who knows the last number, and the clock, is off in the next: as a rule, by the same
    port's, and by that of the connection before. A blind guess is off by a quarter of all numbers as a rule.
    """

    same: tuple[Opened, ...]
    others: tuple[Opened, ...]
    rate: float
    missed_same: int
    missed_others: int

    @property
    def tick(self) -> float:
        """Nanoseconds between two numbers of the clock."""
        return 1e9 / self.rate

    @property
    def seconds(self) -> float:
        found = sorted((*self.same, *self.others))
        return (found[-1].at - found[0].at) / 1e9


def isns(opened: Sequence[Opened]) -> Isns:
    """Works it out, of connections in order of time. Raises ValueError where no port was used again, or all were."""
    ports = [each.port for each in opened]
    same = tuple(each for each in opened if ports.count(each.port) > 1)
    others = tuple(each for each in opened if ports.count(each.port) == 1)
    if len(same) < 2 or len(others) < 2 or same[-1].at <= same[0].at:
        raise ValueError("no port was used again, or all were")
    gone = sum((later.isn - one.isn) % SPACE for one, later in pairwise(same))
    rate = gone * 1e9 / (same[-1].at - same[0].at)
    return Isns(same, others, rate, _missed(same, rate), _missed(others, rate))


def _missed(opened: Sequence[Opened], rate: float) -> int:
    """Returns by how much, as a rule, a connection's number is not what that before it and the clock would say."""
    off = [_distance(one.isn + round((later.at - one.at) * rate / 1e9), later.isn) for one, later in pairwise(opened)]
    return round(median(off))


def _distance(one: int, other: int) -> int:
    return abs((one - other + _HALF) % SPACE - _HALF)
