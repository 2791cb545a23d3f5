"""What stands before protocols in the streams of conversations: taken off, so that what is behind it is recognised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from lab.engine.conversation import Conversation
from lab.engine.protocol import Piece, Preamble
from lab.model import Remark, Role, Span

_MOST_KEPT = 256  # bytes of a preamble that is not whole: enough to tell how long it is
_MOST_PARTS = 64  # segments that one may lie in


class Taken(NamedTuple):
    """A preamble that is whole, the piece that it ends in, and what of that stands behind."""

    preamble: Preamble
    remark: Remark
    piece: Piece
    rest: Piece


class _Part(NamedTuple):
    """The beginning of a preamble: its first bytes, how many there were, where the next should be."""

    preamble: Preamble
    head: bytes
    had: int
    stop: int
    first: bool
    spans: tuple[Span, ...]


def behind(piece: Piece, size: int) -> Piece:
    """Returns what of a piece stands behind its first bytes."""
    _, seq, relative, data, _, at = piece
    return piece._replace(seq=(seq + size) % (1 << 32), relative=relative + size, data=data[size:], at=at + size)


def speaker(preambles: Sequence[Preamble], data: bytes, spoken_by: Callable[[bytes], Role | None]) -> Role | None:
    """Returns who begins a segment so, by what stands at its beginning or behind a preamble; None: nobody can tell."""
    role = spoken_by(data) if data else None
    for preamble in preambles:
        if role is not None or not data or data[0] not in preamble.first:
            continue
        size = preamble.measure(data, "client", True) or 0
        if size and preamble.sure:
            role = "client"
        elif 0 < size < len(data):
            role = spoken_by(data[size:])
    return role


class Before:
    """Preambles of all conversations, as far as something is still open about them."""

    def __init__(self, preambles: Sequence[Preamble]) -> None:
        self.first = frozenset().union(*(each.first for each in preambles))
        self._by_first = {byte: tuple(each for each in preambles if byte in each.first) for byte in self.first}
        self._parts: dict[tuple[Conversation, Role], _Part] = {}
        self._asked: dict[Conversation, tuple[Preamble, ...]] = {}  # which may yet be answered

    def awaits(self, which: Conversation, role: Role) -> bool:
        """Whether a preamble has begun and is not whole yet."""
        return bool(self._parts) and (which, role) in self._parts

    def expects(self, which: Conversation) -> bool:
        """Whether a preamble has begun in either direction and is not whole yet."""
        return bool(self._parts) and any((which, end.role) in self._parts for end in which.ends)

    def take(self, which: Conversation, piece: Piece) -> Taken | None:
        """Returns the preamble that ends in a piece, having begun with it or before; keeps one that goes on."""
        role: Role = piece.end.role
        part = self._parts.pop((which, role), None)
        if part is not None and part.stop == piece.relative:
            return self._measured(which, piece, part)
        for preamble in self._by_first.get(piece.data[0], ()):
            part = _Part(preamble, b"", 0, piece.relative, piece.relative == 1, ())
            found = self._measured(which, piece, part)
            if found or self.awaits(which, role):
                return found
        return None

    def _measured(self, which: Conversation, piece: Piece, part: _Part) -> Taken | None:
        preamble, head, had, _, first, spans = part
        data = head + piece.data if head else piece.data
        size = preamble.measure(data, piece.end.role, first)
        there = had + len(piece.data)
        if size == 0:
            return None
        if size is None or size > there:
            if preamble.sure and len(spans) < _MOST_PARTS and len(head) <= _MOST_KEPT:
                spans = (*spans, Span("frame", piece.number, piece.at, piece.at + len(piece.data)))
                stop = piece.relative + len(piece.data)
                kept = data[: _MOST_KEPT + 1] if size is None else data[:_MOST_KEPT]
                self._parts[which, piece.end.role] = _Part(preamble, kept, there, stop, first, spans)
            return None
        size -= had
        spans = (*spans, Span("frame", piece.number, piece.at, piece.at + size))
        if preamble.answer is not None:
            self._asked[which] = (*self._asked.get(which, ())[-1:], preamble)
        words = preamble.words(data[: had + size])
        return Taken(preamble, Remark(preamble.name, words, spans), piece, behind(piece, size))

    def answered(self, which: Conversation, data: bytes) -> int:
        """Returns how many bytes the other end's answer to a preamble has, with which its stream goes on."""
        for preamble in reversed(self._asked.get(which, ())):
            size = preamble.answer(data) if preamble.answer is not None else 0
            if size:
                return size
        return 0

    def forget(self, which: Conversation) -> None:
        """Keeps nothing more of a conversation."""
        self._asked.pop(which, None)
        for end in which.ends:
            self._parts.pop((which, end.role), None)
