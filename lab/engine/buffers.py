"""What is kept for later, and how much of it at most: bytes that came ahead of order, and what sessions hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.engine.conversation import LANES, Conversation
from lab.engine.protocol import Keeper, Piece

_MOST_AHEAD = 64  # segments of a conversation that are kept until what is missing before them has come
_MOST_KEPT, _OVERHEAD = 1 << 22, 300  # bytes of them, of all conversations; and what one costs beside its data
_MOST_HELD, _LOOK_AFTER = 3 << 20, 1 << 20  # bytes that the sessions of a lane keep; passed between two looks
MOST_TOLD = 4096  # messages of a packet that are told; the others move both ends, and the packet is labelled `too-much`
_MOST_SAID = 2 * MOST_TOLD  # that are kept whole until they are told


def tell(said: list[Any], each: Any, whole: bool = False) -> None:
    """Adds what is said to a list; beyond what will be told only what moves an end, unless it is to be kept `whole`.

    What is said is a NamedTuple with an `event`, a `stop`, and a way to be `bare`.
    """
    if len(said) < _MOST_SAID or whole:
        said.append(each)
    elif each.event == said[-1].event:
        said[-1] = said[-1]._replace(stop=each.stop)
    else:
        said.append(each.bare())


class Ahead:
    """Segments that came ahead of order in conversations that nobody knows the protocol of yet."""

    def __init__(self) -> None:
        self._pieces: dict[Conversation, list[Piece]] = {}
        self._kept = 0  # bytes

    def keep(self, which: Conversation, piece: Piece) -> None:
        """Keeps a segment until it is known what its conversation carries, or too many are kept."""
        kept = self._pieces.setdefault(which, [])
        if len(kept) < _MOST_AHEAD:
            kept.append(piece)
            self._kept += len(piece.data) + _OVERHEAD
        if self._kept > _MOST_KEPT:
            self._pieces.clear()
            self._kept = 0

    def full(self, which: Conversation) -> bool:
        """Whether no more are kept of a conversation."""
        return len(self._pieces.get(which, ())) >= _MOST_AHEAD

    def take(self, which: Conversation) -> Sequence[Piece]:
        """Returns what is kept of a conversation, and keeps it no more."""
        taken = self._pieces.pop(which, ())
        self._kept -= sum(len(each.data) + _OVERHEAD for each in taken)
        return taken


class Room:
    """What the sessions of all conversations hold, lane by lane: those that hold most are let go of for the others."""

    def __init__(self) -> None:
        self._sessions: list[dict[Conversation, list[Keeper]]] = [{} for _ in range(LANES)]
        self._passed = [0] * LANES  # bytes handed on since the last look
        self.without = set[Conversation]()  # conversations whose sessions were let go of

    def passes(self, which: Conversation, size: int) -> None:
        """Hands on bytes to the sessions of a conversation."""
        lane = which.lane
        self._passed[lane] += size + _OVERHEAD
        if self._passed[lane] > _LOOK_AFTER:
            self._make_room(lane)

    def sessions(self, which: Conversation) -> list[Keeper]:
        """Returns the list of a conversation's sessions, to be added to."""
        return self._sessions[which.lane].setdefault(which, [])

    def forget(self, which: Conversation) -> None:
        self._sessions[which.lane].pop(which, None)
        self.without.discard(which)

    def _make_room(self, lane: int) -> None:
        self._passed[lane] = 0
        sizes = {which: sum(each.held for each in sessions) for which, sessions in self._sessions[lane].items()}
        held = sum(sizes.values())
        for which, size in sorted(sizes.items(), key=lambda each: (-each[1], each[0].id)):
            if held <= _MOST_HELD:
                return
            held -= size
            self.without.add(which)
            for session in self._sessions[lane][which]:
                session.let_go()
