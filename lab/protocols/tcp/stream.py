"""No byte forgets its frame, and the first copy of a byte is the one that counts.

One direction of a TCP connection is a stream of bytes counted from 0. Segments bring pieces of it in any order, twice,
overlapping, with sequence numbers that wrap at 2^32. All pieces, delivered or waiting behind a gap, lie in one list:
sorted, never overlapping. `expected` moves along that list; what lies before it has been delivered, what lies behind it
is held.

          forgotten            expected
    ......|#########|####|#####|        |#####|####|      |###|
          delivered pieces       gap      held       gap   held
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import attrgetter
from typing import NamedTuple

from lab.model import Span

HELD_LIMIT = 1 << 20  # bytes
# A piece of one byte costs a hundred bytes of memory and a place in a sorted list: their number is bounded as well.
HELD_PIECES = 1 << 16
PIECE = 150  # bytes of memory that a piece takes beside its data


class Piece(NamedTuple):
    """Bytes `start` to `end` of the stream, as frame `frame` brought them at offset `at` of its data."""

    start: int
    end: int
    frame: int
    at: int
    data: bytes


_new = tuple.__new__  # what a NamedTuple's own constructor comes down to, without the call in between
_START = attrgetter("start")
_END = attrgetter("end")


class Stream:
    """Rebuilds one direction of a TCP connection from its segments (RFC 9293 section 3.10.7.4).

    `first` is the raw sequence number of the stream's first byte, `limit` how many bytes are held behind gaps. Every
    other position is a stream offset: 0-based, never wrapping, ends exclusive. Bytes and spans stay in memory until
    `forget` releases them.
    """

    def __init__(self, first: int, limit: int = HELD_LIMIT) -> None:
        self.expected = 0  # offset of the next byte to deliver
        self.forgotten = 0  # offset before which nothing is remembered
        self.held = 0  # bytes waiting behind a gap
        self.dropped = 0  # bytes that found no room behind a gap
        self.ignored = 0  # bytes before the start of the stream, or inside a skipped gap
        self.conflicts = 0  # bytes that a later copy gave another value
        self._first = first
        self._limit = limit
        self._waiting = 0  # pieces behind a gap
        self._absent: list[tuple[int, int]] = []  # start and end of what will not come, in order
        self._pieces: list[Piece] = []

    def add(self, seq: int, data: bytes, frame: int, at: int) -> bytes:
        """Takes a segment's payload and returns the bytes that are now contiguous; they end at `expected`.

        `seq` is the raw sequence number of `data[0]`; `data` begins at offset `at` of the data of frame `frame`.
        """
        start = self._unwrap(seq)
        end = start + len(data)
        if start == self.expected and not self.held:  # the usual case: the next bytes, and none waiting
            if data:
                self._pieces.append(_new(Piece, (start, end, frame, at, data)))
                self.expected = end
            return data
        if start < 0:
            self.ignored += min(end, 0) - start
        skipped = max(self.forgotten - start, 0)
        if skipped >= len(data):
            return b""
        self._insert(Piece(start + skipped, end, frame, at + skipped, data[skipped:]))
        return self._deliver()

    def goes_on(self, seq: int, data: bytes, frame: int, at: int) -> bool:
        """Takes a segment's payload where it is the next bytes and nothing is waited for; returns whether it is."""
        start = self.expected
        if self.held or self._absent or (seq - self._first - start) & 0xFFFFFFFF or not data:
            return False
        self.expected = end = start + len(data)
        self._pieces.append(_new(Piece, (start, end, frame, at, data)))
        return True

    def lack(self, seq: int, size: int) -> None:
        """Takes down that `size` bytes from raw sequence number `seq` on were not captured and will not come."""
        start = self._unwrap(seq)
        if start + size > self.expected and len(self._absent) < HELD_PIECES:
            self._absent.append((start, start + size))
            self._absent.sort()

    @property
    def lacking(self) -> int:
        """How many bytes will not come that are the next to be delivered."""
        if not self._absent:
            return 0
        self._absent = [each for each in self._absent if each[1] > self.expected]
        if not self._absent or self._absent[0][0] > self.expected:
            return 0
        end = self._absent[0][1]
        after = self._after(self.expected)
        if after < len(self._pieces):
            end = min(end, self._pieces[after].start)
        return max(end - self.expected, 0)

    def pass_over(self) -> bytes:
        """Goes on behind what is `lacking` and returns the bytes found there; they end at `expected`."""
        self.expected += self.lacking
        return self._deliver()

    def begins(self, start: int, end: int) -> tuple[int, ...]:
        """Returns the offsets from `start` to before `end` at which what a segment brought begins."""
        found = []
        for index in range(self._after(start), len(self._pieces)):
            piece = self._pieces[index]
            if piece.start >= end:
                break
            if piece.start >= start:
                found.append(piece.start)
        return tuple(found)

    def skip_gap(self) -> bytes:
        """Goes on behind the first gap and returns the bytes found there; they end at `expected`. Empty without a gap.

        What arrives later for the gap is counted in `ignored`.
        """
        if self.held:
            self.expected = self._pieces[self._after(self.expected)].start
        return self._deliver()

    def spans(self, start: int, end: int) -> tuple[Span, ...]:
        """Returns where in the frames the bytes `start` to `end` lie, in stream order, one span per run in a frame.

        Bytes not remembered (in a gap, or forgotten) have no span.
        """
        found: list[Span] = []
        start = max(start, self.forgotten)
        before = behind = -1  # the frame of the run before, and where that ends
        pieces = self._pieces
        for index in range(self._after(start), len(pieces)):
            first, last, frame, at, _ = pieces[index]
            if first >= end:
                break
            low = at + start - first if start > first else at
            high = at + (end if end < last else last) - first
            if frame == before and low == behind:
                low = found.pop().start
            before, behind = frame, high
            found.append(_new(Span, ("frame", frame, low, high)))
        return tuple(found) if start < end else ()

    @property
    def kept(self) -> int:
        """The bytes of memory that what is remembered takes, roughly."""
        return sum(len(piece.data) + PIECE for piece in self._pieces)

    @property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        """The (start, end) offsets still missing before bytes that have been seen, in order."""
        found = []
        reached = self.expected
        for index in range(self._after(reached), len(self._pieces)):
            piece = self._pieces[index]
            if piece.start > reached:
                found.append((reached, piece.start))
            reached = piece.end
        return tuple(found)

    def skip(self, to: int) -> None:
        """Goes on at offset `to`, with nothing of what is before it; nothing may be held."""
        self._pieces.clear()
        self.expected = self.forgotten = to

    def forget(self, before: int) -> None:
        """Releases the bytes and spans before offset `before`, at most those delivered."""
        if before <= self.forgotten:
            return
        self.forgotten = min(before, self.expected)
        released = self._after(self.forgotten)
        # Deleting moves all that stays: worth it only when at least as much goes, so each piece is moved once or so.
        if released * 2 >= len(self._pieces):
            del self._pieces[:released]

    def _unwrap(self, seq: int) -> int:
        """Returns the offset of a raw sequence number: of all it may mean, the one nearest to `expected`."""
        away = (seq - self._first - self.expected) & 0xFFFFFFFF
        return self.expected + away - (away >> 31 << 32)

    def _after(self, offset: int) -> int:
        """Returns the index of the first piece that ends after `offset`: the one that holds it, or the next."""
        if not self._pieces or self._pieces[0].end > offset:  # the usual case: what lies before has been released
            return 0
        return bisect_right(self._pieces, offset, key=_END)

    def _insert(self, new: Piece) -> None:
        """Puts the parts of `new` not seen before in their places, and compares the others with the first copy."""
        first = self._after(new.start)
        last = bisect_left(self._pieces, new.end, first, key=_START)
        merged: list[Piece] = []
        reached = new.start
        for piece in self._pieces[first:last]:
            self._fill(new, reached, piece.start, merged)
            low, high = max(new.start, piece.start), min(new.end, piece.end)
            ours = new.data[low - new.start : high - new.start]
            theirs = piece.data[low - piece.start : high - piece.start]
            if ours != theirs:
                self.conflicts += sum(a != b for a, b in zip(ours, theirs, strict=True))
            merged.append(piece)
            reached = piece.end
        self._fill(new, reached, new.end, merged)
        self._pieces[first:last] = merged

    def _fill(self, new: Piece, start: int, end: int, merged: list[Piece]) -> None:
        """Appends the part of `new` that belongs between `start` and `end` to `merged`, as far as there is room."""
        if start >= end:
            return
        if start < self.expected:
            self.ignored += end - start
            return
        if new.start > self.expected:  # what goes straight to the reader needs no room
            room = self._limit - self.held if self._waiting < HELD_PIECES else 0
            self.dropped += max(end - start - room, 0)
            end = min(end, start + room)
        if start < end:
            data = new.data[start - new.start : end - new.start]
            merged.append(Piece(start, end, new.frame, new.at + start - new.start, data))
            self.held += end - start
            self._waiting += 1

    def _deliver(self) -> bytes:
        """Moves `expected` over the pieces that have become contiguous and returns their bytes."""
        parts = []
        for index in range(self._after(self.expected), len(self._pieces)):
            piece = self._pieces[index]
            if piece.start != self.expected:
                break
            parts.append(piece.data)
            self.expected = piece.end
        delivered = parts[0] if len(parts) == 1 else b"".join(parts)
        self.held -= len(delivered)
        self._waiting -= len(parts)
        return delivered
