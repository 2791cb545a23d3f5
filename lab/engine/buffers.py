"""What is kept for later, and how much of it at most: bytes that came ahead of order, and what sessions hold."""

from __future__ import annotations

from collections.abc import Sequence

from lab.engine.conversation import LANES, Conversation
from lab.engine.protocol import Keeper, Piece

_MOST_AHEAD = 64  # segments of a conversation that are kept until what is missing before them has come
_MOST_KEPT, _OVERHEAD = 1 << 22, 300  # bytes of them, of all conversations; and what one costs beside its data
_MOST_HELD, _LOOK_AFTER = 16 << 20, 4 << 20  # bytes that the sessions of a lane keep; passed between two looks


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

    def passes(self, which: Conversation, size: int) -> None:
        """Hands on bytes to the sessions of a conversation."""
        lane = which.lane
        self._passed[lane] += size
        if self._passed[lane] > _LOOK_AFTER:
            self._make_room(lane)

    def sessions(self, which: Conversation) -> list[Keeper]:
        """Returns the list of a conversation's sessions, to be added to."""
        return self._sessions[which.lane].setdefault(which, [])

    def forget(self, which: Conversation) -> None:
        self._sessions[which.lane].pop(which, None)

    def _make_room(self, lane: int) -> None:
        self._passed[lane] = 0
        sizes = {which: sum(each.held for each in sessions) for which, sessions in self._sessions[lane].items()}
        held = sum(sizes.values())
        for which, size in sorted(sizes.items(), key=lambda each: (-each[1], each[0].id)):
            if held <= _MOST_HELD:
                return
            held -= size
            for session in self._sessions[lane][which]:
                session.let_go()
