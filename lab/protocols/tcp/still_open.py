"""Which segments of a stretch that goes as predicted are still under way where it ends.

The rules are those of `delivery.py`, with numbers instead of records: of a stretch in which nothing is sent again, and
nothing tells which copy has come of what was before, they need no more. Nobody moves in it: what is got within it, is
got by ends that are where they were.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from lab.engine.record import PATIENCE
from lab.protocols.tcp.conversation import End, SegmentRecord

_new = tuple.__new__  # what a NamedTuple's own constructor comes down to, without the call in between
Step = tuple[int, int, int, int, bool]  # who sends it, 0 for the first; number, stop, ack; whether it has data


class _Item(NamedTuple):
    """A segment of the stretch that has been sent and not got. What was before it has records, with the same names."""

    number: int
    new: bool
    stop: int
    place: int
    behind: bool  # data of its sender, where it has none itself
    settled: bool = False


class _Side:
    """What one end has under way, and what of it has been got meanwhile."""

    def __init__(self, end: End) -> None:
        self.end = end
        self.heard = end.heard
        self.disordered = end.disordered  # up to here what is new may not stand in order
        self.floor = 0  # while it does not: an acknowledgement of less is of none of it
        self.pending: deque[SegmentRecord | _Item] = deque(end.pending)
        self.got: list[SegmentRecord] = []  # of what was before
        self.reached = 0  # the number behind the last of its data that have been got

    def send(self, number: int, new: bool, stop: int, place: int) -> None:
        behind = not new and any(item.new for item in self.pending)
        self.pending.append(_new(_Item, (number, new, stop, place, behind, False)))
        if new and self.disordered:
            self.floor = min(self.floor, stop)

    def acknowledged(self, ack: int) -> int | None:
        """Takes what is acknowledged, and what stands before it; returns the number of the first, None of nothing."""
        if ack < self.floor and ack < self.disordered:
            return None
        last, least = 0, self.disordered
        for at, item in enumerate(self.pending):
            if item.new:
                if item.stop <= ack:
                    last = at + 1
                elif not self.disordered:
                    break
                else:
                    least = min(least, item.stop)
        if ack >= self.disordered or (last == 1 and len(self.pending) == 1):
            self.disordered, least = 0, 0
        self.floor = least
        taken = [self.pending.popleft() for _ in range(last)]
        self.pending.extendleft(item for item in reversed(taken) if item.new and item.stop > ack)
        first = None
        for item in taken:
            if not item.new or item.stop <= ack:
                self._take(item)
                if first is None and item.new and not item.settled:
                    first = item.number
        return first

    def rest(self, before: int | None = None) -> None:
        """Takes what stands before data, up to packet `before`."""
        pending = self.pending
        while pending and not pending[0].new and (before is None or pending[0].number < before):
            self._take(pending.popleft())

    def grow_old(self, since: int, before: int) -> None:
        """Takes what stands before data where something has been sent so long ago that nobody waits for more."""
        pending = self.pending
        if pending and not pending[0].new and any(since <= item.number < before for item in pending):
            self.rest()

    def ages_early(self, before: int) -> bool:
        """Whether what is the first by now would have been got when it had become old, but for what was before it."""
        first = self.pending[0] if self.pending else None
        if first is None or first.new or first.number >= before:
            return False
        if isinstance(first, _Item):
            return first.behind
        return any(item.new for item in self.end.pending if item.number < first.number)

    def _take(self, item: SegmentRecord | _Item) -> None:
        if item.new:
            self.reached = max(self.reached, item.stop)
        if not isinstance(item, _Item) and not item.settled:
            self.got.append(item)

    def may_follow(self) -> bool:
        """Whether all that is not under way has been got."""
        start = min((item.seq for item in self.end.pending if item.new), default=self.end.next)
        got = self.end.peer.got_next
        return got is not None and got >= start


def followed(first: End, steps: Iterable[Step]) -> tuple[list[SegmentRecord], list[int]] | None:
    """Returns what both ends had under way before a stretch and has been got in it, and the places in it of what is
    still under way at its end. What has been got is pending no more. None, and nothing is changed, where what it takes
    to tell is not here.
    """
    sides = (_Side(first), _Side(first.peer))
    if not (sides[0].may_follow() and sides[1].may_follow()):
        return None
    since: int | None = None
    for place, (sender, number, stop, ack, data) in enumerate(steps):
        mine, theirs = sides[sender], sides[1 - sender]
        old = number - PATIENCE
        if since is not None:
            mine.grow_old(since, old)
            theirs.grow_old(since, old)
        since = old
        found = None
        if ack > theirs.heard:
            theirs.heard = ack
            found = theirs.acknowledged(ack)
        if found is None:
            theirs.rest()
            mine.rest()
        else:
            mine.rest(found)
        mine.send(number, data, stop, place)
    if any(side.ages_early(since or 0) for side in sides):
        return None
    for side in sides:
        side.end.disordered, side.end.floor = side.disordered, 0
        side.end.pending = [item for item in side.pending if not isinstance(item, _Item)]
        side.end.peer.got_next = max(side.end.peer.got_next or 0, side.reached)
    got = sorted([*sides[0].got, *sides[1].got], key=lambda record: record.number)
    for record in got:
        record.by = "acknowledged" if record.new else "inferred"
    return got, sorted(item.place for side in sides for item in side.pending if isinstance(item, _Item))
