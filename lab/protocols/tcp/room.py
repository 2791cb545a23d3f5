"""Which conversations are let go of where there are very many: also where somebody else has counted most of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from lab.engine.conversation import LANES
from lab.protocols.tcp.conversation import Conversation

MOST_IN_A_LANE = 2048  # conversations that are kept open, where they carry nothing that is read
CARRYING = 8  # of those take the room of one that does: 3 kB each, and 9 to 18
_OLD = 257  # packets later nothing about a packet is open any more


class UnsureError(Exception):
    """Nobody can say which conversations there is no room for."""


def taken(which: Conversation) -> int:
    """Returns how much of the room of its lane a conversation takes."""
    return CARRYING if which.carries else 1


class Elsewhere:
    """Conversations that somebody else has counted: in each lane first packet, last packet, and whether it ends.

    They carry nothing that is read. One that ends is over for certain when its last packet has become old.
    """

    def __init__(self, counted: list[list[tuple[int, int, bool]]]) -> None:
        self._begun = [sorted(first for first, _, _ in lane) for lane in counted]
        self._ended = [sorted(last for _, last, over in lane if over) for lane in counted]
        self._dropped = [0] * LANES

    def excess(self, followed: Iterable[Conversation], before: int) -> list[Conversation]:
        """Returns those of the followed that there is no room for, as `Conversations.excess` does."""
        lanes: list[list[Conversation]] = [[] for _ in range(LANES)]
        for which in followed:
            lanes[which.lane].append(which)
        found: list[Conversation] = []
        for lane, here in enumerate(lanes):
            begun, dropped = bisect_left(self._begun[lane], before), self._dropped[lane]
            need = sum(map(taken, here)) + begun - dropped - MOST_IN_A_LANE
            if need <= 0:
                continue
            over = sorted((which for which in here if which.over), key=lambda which: which.last)
            old = bisect_left(self._ended[lane], before - _OLD)
            while need > 0:
                if over and (dropped == old or over[0].last < self._ended[lane][dropped]):
                    found.append(over.pop(0))
                    need -= taken(found[-1])
                elif dropped == old:
                    raise UnsureError
                else:
                    dropped += 1
                    need -= 1
            self._dropped[lane] = dropped
        return sorted(found, key=lambda which: which.id)
