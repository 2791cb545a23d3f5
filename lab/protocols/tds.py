"""TLS inside the packets of TDS, Microsoft's protocol of databases, while the handshake lasts (MS-TDS section 2.2.6.5).

Each direction is a stream of packets with headers of 8 bytes, and TLS' own stream is what is left when these are taken
out: records may be cut where a packet ends. The first bytes that are no such header, where one is due, end it: from
there on TLS stands in TCP as it does elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.engine.protocol import Piece
from lab.protocols.tcp.stream import Stream

if TYPE_CHECKING:
    from lab.model import Role

_HEADER = 8  # bytes
_PRELOGIN, _RESPONSE = 0x12, 0x04
_MOST = 0x8000  # bytes of a packet
_MOST_PACKETS = 4096  # of a direction; a handshake has a few


class _Way:
    """One direction. `left` are the bytes of the packet's payload still to come, `taken` those of all headers."""

    def __init__(self, role: Role, seq: int, relative: int) -> None:
        self.first, self.base = seq, relative
        self.kinds = (_PRELOGIN,) if role == "client" else (_PRELOGIN, _RESPONSE)
        self.stream = Stream(seq)
        self.head = b""
        self.left = 0
        self.bare = False
        self.taken = 0
        self.shifts: list[tuple[int, int]] = []  # from this number on, as TLS counts, so many bytes of headers precede

    def opened(self, end: Any, fresh: bytes) -> list[Piece]:
        """Takes bytes in order, which end where the stream has come to."""
        found: list[Piece] = []
        at, begin = 0, self.stream.expected - len(fresh)
        while at < len(fresh):
            if not self.left and not self.bare:
                at = self._header(fresh, at)
                continue
            size = len(fresh) - at if self.bare else min(self.left, len(fresh) - at)
            self.left -= 0 if self.bare else size
            found += self._pieces(end, begin + at, fresh[at : at + size])
            at += size
        self.stream.forget(self.stream.expected)
        return found

    def _header(self, fresh: bytes, at: int) -> int:
        """Reads on in a header and returns where its bytes end; where it is none, TLS is bare from there on."""
        more = fresh[at : at + _HEADER - len(self.head)]
        begun = self.head + more
        size = int.from_bytes(begun[2:4], "big")
        none = begun[0] not in self.kinds or (len(begun) >= 4 and not _HEADER <= size <= _MOST)
        if none or len(self.shifts) == _MOST_PACKETS:
            self.bare = True
            return at  # a header that only its later bytes refute has lost its first: nothing else begins so
        self.head = begun
        if len(begun) == _HEADER:
            self.head, self.left = b"", size - _HEADER
            self.taken += _HEADER
            self.shifts.append((self.stream.expected - len(fresh) + at + len(more) - self.taken, self.taken))
        return at + len(more)

    def _pieces(self, end: Any, start: int, data: bytes) -> list[Piece]:
        """Returns bytes of the payload, which begin at `start` of the stream, frame by frame, as TLS counts them."""
        found, at = [], 0
        for span in self.stream.spans(start, start + len(data)):
            size, offset = span.end - span.start, start + at - self.taken
            found.append(
                Piece(end, (self.first + offset) % (1 << 32), self.base + offset, data[at : at + size], span.number,
                      span.start)
            )  # fmt: skip
            at += size
        return found


class Wrapped:
    """Both directions of a conversation: what of it is TLS."""

    def __init__(self) -> None:
        self._ways: dict[Role, _Way] = {}

    def begins(self, role: Role, seq: int, relative: int) -> None:
        """Says where in a direction's stream the first header is expected."""
        self._ways[role] = _Way(role, seq, relative)

    def opened(self, piece: Piece) -> list[Piece]:
        """Returns what a piece brings of TLS, in order: what came ahead of it waits."""
        role: Role = piece.end.role
        way = self._ways.get(role)
        if way is None:
            way = self._ways[role] = _Way(role, piece.seq, piece.relative)
        if way.bare and not way.stream.held:  # what is missing from here on, TLS itself sees
            back = way.taken
            return [piece._replace(seq=(piece.seq - back) % (1 << 32), relative=piece.relative - back)]
        fresh = way.stream.add(piece.seq, piece.data, piece.number, piece.at)
        return way.opened(piece.end, fresh) if fresh else []

    @property
    def held(self) -> int:
        """The bytes of memory that it keeps to read on, roughly."""
        return sum(way.stream.kept for way in self._ways.values())

    def let_go(self) -> None:
        """Keeps nothing more, and reads nothing more."""
        for way in self._ways.values():
            way.stream, way.bare = Stream(0, limit=0), True

    def place(self, role: Role, number: int) -> int:
        """Returns the relative number behind the byte that TLS counts as the one before `number`."""
        way = self._ways[role]
        offset = number - way.base
        return number + next((shift for begin, shift in reversed(way.shifts) if begin < offset), 0)
