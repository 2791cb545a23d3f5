"""A stream of bytes becomes records, and the records' payloads become handshake messages; no byte forgets its place.

    stream      0     5          m     m+5              n     offsets of one direction of the connection
                |hdr.|##########|hdr.|################|
    records      └── Record(type 22) ┘└─ Record(type 22) ┘
    messages          |####|###############|##########|      cut anywhere: records know nothing of messages

Each class reads one direction, takes its bytes in any cut, and holds at most one record, or one message, that is not
yet whole. Damage ends in a `problem`, never in an exception.
"""

from __future__ import annotations

from typing import Literal

from lab.model import Role
from lab.protocols.tls import codes
from lab.tuples import NamedTuple

HEADER = 5  # bytes: type, version, length
MAX_FRAGMENT = (1 << 14) + 2048  # RFC 5246 section 6.2.3; RFC 9846 section 5.2 allows 256 bytes of expansion only
MAX_MESSAGE = 1 << 20  # bytes; the length field could say sixteen times as much, a chain of certificates needs 10 kB
MAX_PIECES = 1 << 14  # a message in records of one byte has as many pieces as bytes

_MAJOR, _MOST_MINOR, _TLCP = 3, 4, codes.TLCP.to_bytes(2, "big")
_new = tuple.__new__  # what a NamedTuple's own constructor comes down to, without the call in between
_FIRST, _LAST = codes.CHANGE_CIPHER_SPEC, codes.HEARTBEAT  # content types
_SSL2_HEADER = 2
_SSL2_FIXED = 9  # msg_type, version and three lengths

# What follows is no TLS: a content type or a version there is not, a record longer than records can be.
RecordProblem = Literal["bad-type", "bad-version", "bad-length"]
MessageProblem = Literal["too-long"]


class Record(NamedTuple):
    """One record: `start` and `end` are offsets in the stream, header included; `fragment` is what the header precedes.

    A ClientHello in SSL 2.0's format has type `codes.SSL2`, version 0x0200 and a header of two bytes.
    """

    type: int
    version: int  # as the header says it, which in TLS 1.3 means nothing (RFC 9846 section 5.1)
    start: int
    end: int
    fragment: bytes
    gaps: tuple[tuple[int, int], ...] = ()  # start and end of what was not captured of the fragment: zeros stand there

    @property
    def body(self) -> int:
        """The offset in the stream at which the fragment begins."""
        return self.end - len(self.fragment)


class Records:
    """Cuts one direction's stream into records. `offset` is where the first byte lies that is in no record yet.

    After a `problem`, which concerns the bytes at `offset`, nothing more is read: whoever knows better starts anew.
    """

    def __init__(self, role: Role, start: int = 0) -> None:
        self.offset = start
        self.problem: RecordProblem | None = None
        self._may_be_ssl2 = role == "client"  # only the first record, and only the client's
        self.lost = False  # where the next record begins is not known
        self.wanted = 0  # bytes that are known to be missing of the record that has begun
        self._ever_lost = False
        self._held = b""
        self._more: list[bytes] = []  # what has come of that record since: joined once, when it is whole
        self._gaps: list[tuple[int, int]] = []  # in what is held

    @property
    def pending(self) -> bytes:
        """The beginning of a record that is not yet whole."""
        self._join()
        return self._held

    def go_on(self, data: bytes) -> None:
        """Takes the next bytes where they are fewer than are `wanted`: no record ends in them."""
        self._more.append(data)
        self.wanted -= len(data)

    def _join(self) -> None:
        if self._more:
            self._held = b"".join((self._held, *self._more))
            self._more = []
        self.wanted = 0

    def skip(self, offset: int) -> None:
        """Goes on where another record begins."""
        self._join()
        self.offset, self._held = offset, b""

    def lose(self, size: int) -> list[Record]:
        """Goes on behind `size` bytes that were not captured; returns the record that ends in them, with its gaps.

        Where more is missing than a record whose length is known, it is `lost` until one begins with a segment.
        """
        if self.problem:
            return []
        self._join()
        held, found = len(self._held), list[Record]()
        whole = self._size(0) if held >= HEADER and not self.lost else None
        if whole is not None:
            inside = min(size, whole - held)
            self._gaps.append((held, held + inside))
            self._held += bytes(inside)
            size -= inside
            if held + inside == whole:
                found.append(self._record(0, whole))
                self._held = b""
        if size:
            self.offset += len(self._held) + size
            self._held, self._gaps = b"", []
            self.lost = self._ever_lost = True
            self._may_be_ssl2 = False
        return found

    def find(self, data: bytes, begins: tuple[int, ...]) -> bytes:
        """Looks for a record at one of the offsets in the stream; returns what of the next bytes is to be fed."""
        for start in begins:
            if self._chained(data, start - self.offset):
                rest = data[start - self.offset :]
                self.offset, self.lost = start, False
                return rest
        self.offset += len(data)
        return b""

    @staticmethod
    def _chained(data: bytes, at: int) -> bool:
        """Whether headers of records stand at `at` and behind each record, as far as there are bytes to tell."""
        first = True
        while at < len(data):
            head = data[at : at + HEADER]
            if len(head) < HEADER:
                return not first
            length = int.from_bytes(head[3:5], "big")
            version = (head[1] == _MAJOR and head[2] <= _MOST_MINOR) or head[1:3] == _TLCP
            if not codes.CHANGE_CIPHER_SPEC <= head[0] <= codes.HEARTBEAT or not version:
                return False
            if not 0 < length <= MAX_FRAGMENT:
                return False
            at, first = at + HEADER + length, False
        return not first

    def feed(self, data: bytes) -> list[Record]:
        """Takes the next bytes of the stream and returns the records that are now whole."""
        if self.problem:
            return []
        if self._held or self._more:
            self._more.append(data)
            self._join()
        else:
            self._held = data
        held, end = self._held, len(self._held)
        found = []
        at = 0
        while (size := self._size(at)) is not None:
            if at + size > end:
                self.wanted = at + size - end
                break
            found.append(self._record(at, size))
            at += size
        if self.problem and self._ever_lost:  # what looked like a record's beginning was none
            self.problem, self.lost = None, True
            self.offset += len(held) - at
            at = len(held)
        self._held = b"" if self.problem else held[at:]
        return found

    def _size(self, at: int) -> int | None:
        """Returns the size of the record at `at`, None where it can't be known (yet, or because of a problem)."""
        held = self._held
        if at + HEADER <= len(held) and held[at + 1] == _MAJOR and _FIRST <= held[at] <= _LAST:
            size = held[at + 3] << 8 | held[at + 4]
            if size <= MAX_FRAGMENT:  # the usual header
                return HEADER + size
        head = held[at : at + _SSL2_HEADER + _SSL2_FIXED]
        if not head:
            return None
        if self._may_be_ssl2 and head[0] & 0x80:
            likely = _ssl2_hello(head)
            self.problem = "bad-type" if likely is False else None
            return _SSL2_HEADER + _ssl2_length(head) if likely else None
        if not codes.CHANGE_CIPHER_SPEC <= head[0] <= codes.HEARTBEAT:
            self.problem = "bad-type"
        elif len(head) > 1 and head[1] != _MAJOR and head[1:3] not in (_TLCP[:1], _TLCP):
            self.problem = "bad-version"
        elif len(head) >= HEADER and int.from_bytes(head[3:5], "big") > MAX_FRAGMENT:
            self.problem = "bad-length"
        elif len(head) >= HEADER:
            return HEADER + int.from_bytes(head[3:5], "big")
        return None

    def _record(self, at: int, size: int) -> Record:
        held = self._held
        start, end = self.offset, self.offset + size
        self.offset = end
        kind, version, header = held[at], held[at + 1] << 8 | held[at + 2], HEADER
        if self._may_be_ssl2:
            self._may_be_ssl2 = False
            if kind & 0x80:
                kind, version, header = codes.SSL2, codes.SSL_2, _SSL2_HEADER
        gaps: tuple[tuple[int, int], ...] = ()
        if self._gaps:
            gaps = tuple((max(low - header, 0), high - header) for low, high in self._gaps)
            self._gaps = []
        return _new(Record, (kind, version, start, end, held[at + header : at + size], gaps))


def _ssl2_length(head: bytes) -> int:
    return (head[0] & 0x7F) << 8 | head[1]


def _ssl2_hello(head: bytes) -> bool | None:
    """Says whether a ClientHello in SSL 2.0's format begins here (RFC 5246 appendix E.2); None: too few bytes to tell.

    Every length in it must fit the others, since nothing else tells it from bytes that are no TLS at all.
    """
    if not head[0] & 0x80 or head[2:3] not in (b"", b"\x01") or head[3:4] not in (b"", b"\x00", b"\x03"):
        return False
    if len(head) < _SSL2_HEADER + _SSL2_FIXED:
        return None
    version, ciphers, session, challenge = (int.from_bytes(head[at : at + 2], "big") for at in (3, 5, 7, 9))
    return (
        (version == 0x0002 or version >> 8 == 3)
        and ciphers > 0
        and ciphers % 3 == 0
        and session in (0, 16)
        and 16 <= challenge <= 32
        and _SSL2_FIXED + ciphers + session + challenge == _ssl2_length(head) <= MAX_FRAGMENT
    )


def looks_like_tls(data: bytes, role: Role) -> bool | None:
    """Says whether TLS begins with these bytes of one direction; None where they are too few to tell.

    Only what can come first counts: a ClientHello from the client, from the server a ServerHello or an alert. Ports
    play no part, so that TLS is found behind STARTTLS or CONNECT as well.
    """
    if role == "client" and data[:1] and data[0] & 0x80:
        return _ssl2_hello(data[: _SSL2_HEADER + _SSL2_FIXED])
    alert = role == "server" and data[:1] == bytes([codes.ALERT])
    hello = codes.CLIENT_HELLO if role == "client" else codes.SERVER_HELLO
    tlcp = data[1:2] == _TLCP[:1]
    major, minor = ((_TLCP[0],), (_TLCP[1],)) if tlcp else ((_MAJOR,), range(_MOST_MINOR + 1))
    content = ((1, 2), range(256)) if alert else ((hello,), (0,), range(256), range(256), major)
    length = int.from_bytes(data[3:5], "big")
    expected = ((codes.ALERT if alert else codes.HANDSHAKE,), major, minor, range(256), range(256), *content[:length])
    if any(byte not in values for byte, values in zip(data, expected, strict=False)):
        return False
    if len(data) < HEADER:
        return None
    if length > MAX_FRAGMENT or length == 0 or (alert and length != 2):
        return False
    return True if len(data) >= len(expected) else None


# Lengths of records that there can be behind a handshake's beginning, by content type: what is encrypted has at least
# a MAC.
_LATER = {
    codes.CHANGE_CIPHER_SPEC: range(1, 2),
    codes.ALERT: range(2, 512),
    codes.HANDSHAKE: range(4, MAX_FRAGMENT + 1),
    codes.APPLICATION_DATA: range(16, MAX_FRAGMENT + 1),
}
_VERSIONS = frozenset((codes.TLCP, codes.TLS_1_0, codes.TLS_1_1, codes.TLS_1_2))


def goes_on(data: bytes) -> bool:
    """Says whether a segment is records of TLS and nothing else: one or more to its very end, or several headers."""
    at = found = 0
    versions = set[int]()
    while at + HEADER <= len(data):
        kind, version, length = data[at], int.from_bytes(data[at + 1 : at + 3], "big"), data[at + 3] << 8 | data[at + 4]
        versions.add(version)
        if length not in _LATER.get(kind, ()) or version not in _VERSIONS or len(versions) > 1:
            return False
        at, found = at + HEADER + length, found + 1
    return found > 1 or at == len(data) > 0


class Piece(NamedTuple):
    """Where bytes lie: `start` to before `end` of the stream, or of a buffer of decrypted bytes that has a name."""

    buffer: str
    start: int
    end: int


class HandshakeMessage(NamedTuple):
    """One handshake message: `raw` is its header of four bytes and its body, `pieces` say where they lie, in order.

    Of a message that is too long `raw` is only the header, and so are the pieces. Of one that is `cut`, some of which
    was not captured, it is what was there before.
    """

    type: int
    raw: bytes
    pieces: tuple[Piece, ...]
    cut: bool = False


class Handshakes:
    """Puts handshake messages together from the payloads of one direction's handshake records (RFC 9846 section 5.1).

    One message may lie in several records, one record may hold several messages.
    """

    def __init__(self) -> None:
        self.problem: MessageProblem | None = None
        self._held = bytearray()
        self._pieces: list[Piece] = []
        self._skip = 0  # bytes still to come of a message that is too long, or cut
        self.lost = False  # where the next message begins is not known

    @property
    def pending(self) -> bytes:
        """The beginning of a message that is not yet whole; not the part of one that is too long."""
        return bytes(self._held)

    @property
    def unfinished(self) -> bool:
        """Whether bytes of a message are still to come."""
        return bool(self._held or self._skip)

    @property
    def holds(self) -> bool:
        """Whether bytes of a message are kept until it is whole: of one that is too long, none are."""
        return bool(self._held)

    def lose(self, size: int | None) -> list[HandshakeMessage]:
        """Goes on behind `size` bytes that were not captured, None where nobody knows; returns what that cuts."""
        found = []
        if len(self._held) >= 4:
            self._skip = self._length() - len(self._held)
            found.append(self._message(len(self._held))._replace(cut=True))
        elif self._held:  # how long it is was to be told by what is missing
            size = None
        self._held, self._pieces = bytearray(), []
        if size is None or size > self._skip:
            self._skip, self.lost = 0, True
        else:
            self._skip -= size
        return found

    def find(self, payload: bytes) -> None:
        """Looks for a message where a record's payload begins: most do, and what does not seldom looks like one."""
        length = int.from_bytes(payload[1:4], "big")
        self.lost = len(payload) < 4 or payload[0] not in codes.HANDSHAKE_TYPES.names or length > MAX_FRAGMENT

    def feed(self, payload: bytes, piece: Piece) -> list[HandshakeMessage]:
        """Takes the next payload, which lies at `piece`, and returns the messages that are now whole.

        Of a message longer than MAX_MESSAGE, or in more than MAX_PIECES pieces, only the header is given, at once, with
        the `problem`; its body is passed over.
        """
        found = []
        at = 0
        while at < len(payload):
            if self._skip:
                passed = min(self._skip, len(payload) - at)
                self._skip -= passed
                at += passed
                continue
            held = len(self._held)
            end = at + 4 + int.from_bytes(payload[at + 1 : at + 4], "big")
            if not held and at + 4 <= len(payload) >= end <= at + MAX_MESSAGE:  # the usual case: it is whole
                place = _new(Piece, (piece.buffer, piece.start + at, piece.start + end))
                found.append(_new(HandshakeMessage, (payload[at], payload[at:end], (place,), False)))
                at = end
                continue
            wanted = (self._length() if held >= 4 else 4) - held
            taken = payload[at : at + wanted]
            self._held += taken
            self._place(Piece(piece.buffer, piece.start + at, piece.start + at + len(taken)))
            at += len(taken)
            if len(self._held) < 4:
                continue
            missing = self._length() - len(self._held)
            if self._length() > MAX_MESSAGE or len(self._pieces) > MAX_PIECES:
                self.problem, self._skip = "too-long", missing
                found.append(self._message(4))
            elif not missing:
                found.append(self._message(len(self._held)))
        return found

    def _length(self) -> int:
        return 4 + int.from_bytes(self._held[1:4], "big")

    def _place(self, piece: Piece) -> None:
        last = self._pieces[-1] if self._pieces else None
        if last and last.buffer == piece.buffer and last.end == piece.start:
            self._pieces[-1] = last._replace(end=piece.end)
        else:
            self._pieces.append(piece)

    def _message(self, size: int) -> HandshakeMessage:
        """Gives the first `size` bytes held, with their places, and holds nothing any more."""
        places = []
        left = size
        for buffer, start, end in self._pieces:
            if left:
                places.append(Piece(buffer, start, min(end, start + left)))
                left -= places[-1].end - places[-1].start
        message = HandshakeMessage(self._held[0], bytes(self._held[:size]), tuple(places))
        self._held, self._pieces = bytearray(), []
        return message
