"""WebSocket frames as RFC 6455 section 5.2 draws them: where each begins, what its header says, what is wrong with it.

     0 1 2 3 4 5 6 7   0 1 2 3 4 5 6 7   0 or 2 or 8 bytes   0 or 4 bytes
    +-+-+-+-+-------+ +-+-------------+ +-----------------+ +-----------+ +---------
    |F|R|R|R| opcode| |M| payload len | | extended length | | mask key  | | payload
    +-+-+-+-+-------+ +-+-------------+ +-----------------+ +-----------+ +---------

A reader takes bytes wherever they are cut. It raises nothing: what the RFC forbids is a label of the frame, and reading
goes on behind it, as long as anybody can tell where the next frame begins.
"""

from __future__ import annotations

from typing import NamedTuple

from lab.model import Role

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
OPCODES = {CONTINUATION: "continuation", TEXT: "text", BINARY: "binary", CLOSE: "close", PING: "ping", PONG: "pong"}
CONTROL = 8  # opcodes from here on
RSV1 = 4  # of the three reserved bits, as a number: the only one that an extension has a use for (RFC 7692)
MOST_KEPT = 1 << 20  # bytes of a payload; of a longer one they are counted
_MOST_CONTROL = 125
_LENGTH_LIMIT = 1 << 63
_EXTENDED = {126: 2, 127: 8}

# What the RFC forbids: a closed set of labels, each with the section that forbids it.
FORBIDDEN = {
    "reserved-bit": "6455 5.2",  # set, and no extension gives it a meaning
    "reserved-opcode": "6455 5.2",
    "unmasked-frame": "6455 5.1",  # by the client
    "masked-frame": "6455 5.1",  # by the server
    "fragmented-control": "6455 5.5",
    "long-control": "6455 5.5",  # more than 125 bytes
    "non-minimal-length": "6455 5.2",
    "length-too-large": "6455 5.2",  # 2^63 and more: nobody can tell where the frame ends
    "unexpected-continuation": "6455 5.4",  # of nothing
    "unfinished-message": "6455 5.4",  # another one begins before its last fragment
    "invalid-utf8": "6455 8.1",
    "bad-close-code": "6455 7.4",
    "bad-close-body": "6455 5.5.1",  # a single byte: neither empty nor a code
    "after-close": "6455 5.5.1",
    "bad-deflate": "7692 7.2.2",
}


class Frame(NamedTuple):
    """One frame. `start`, `payload_at` and `end` are offsets in the stream that was fed.

    `reserved` are the three bits as a number, `payload` is unmasked and empty where it was too long to keep.
    """

    start: int
    payload_at: int
    end: int
    fin: bool
    reserved: int
    opcode: int
    key: bytes | None  # the masking key, None without
    payload: bytes
    problems: tuple[str, ...]
    cut: bool = False  # some of its payload was not captured: what there is is the beginning

    @property
    def length(self) -> int:
        return self.end - self.payload_at

    @property
    def control(self) -> bool:
        return self.opcode >= CONTROL

    @property
    def name(self) -> str:
        return OPCODES.get(self.opcode, f"opcode {self.opcode}")


class Part(NamedTuple):
    """A field of a frame: its bytes, counted from the frame's first, and which bits of them (0 means all)."""

    name: str
    start: int
    end: int
    bits: int
    value: str


def masked(data: bytes, key: bytes) -> bytes:
    """Returns data masked with a key, or unmasked: byte by byte XOR, the key again and again (RFC 6455 section 5.3)."""
    size = len(data)
    if not size:
        return b""
    pad = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")


def fields(frame: Frame) -> tuple[Part, ...]:
    """Returns all fields of a frame in wire order: every bit of it is spoken for."""
    extended = frame.payload_at - frame.start - 2 - (4 if frame.key is not None else 0)
    short = {0: frame.length, 2: 126, 8: 127}[extended]
    parts = [Part("FIN", 0, 1, 0x80, str(int(frame.fin)))]
    for at, name in enumerate(("RSV1", "RSV2", "RSV3")):
        parts.append(Part(name, 0, 1, 0x40 >> at, str(frame.reserved >> (2 - at) & 1)))
    parts.append(Part("opcode", 0, 1, 0x0F, f"{frame.opcode} ({frame.name})"))
    parts.append(Part("MASK", 1, 2, 0x80, str(int(frame.key is not None))))
    parts.append(Part("Payload len", 1, 2, 0x7F, str(short)))
    at = 2
    if extended:
        parts.append(Part("Extended payload length", at, at + extended, 0, str(frame.length)))
        at += extended
    if frame.key is not None:
        parts.append(Part("Masking-key", at, at + 4, 0, frame.key.hex(" ")))
        at += 4
    if frame.length:
        parts.append(Part("Payload data", at, at + frame.length, 0, f"{frame.length} bytes"))
    return tuple(parts)


class Frames:
    """Reads the frames that one end sends; what an end may send depends on its role."""

    def __init__(self, role: Role, offset: int = 0) -> None:
        self.role: Role = role
        self.offset = offset  # where the frame being read begins
        self.problem = ""  # why nothing more can be read
        self.body_at: int | None = None  # where its payload begins, once that is known
        self.large = False  # its payload is not kept
        self.unknown = False  # an extension was agreed on that may give reserved opcodes a meaning
        self._head = bytearray()
        self._body = bytearray()
        self._length = 0
        self._missing = 0  # bytes of the payload still to come
        self._problems: tuple[str, ...] = ()
        self._cut = False

    @property
    def held(self) -> int:
        return len(self._head) + len(self._body)

    def feed(self, data: bytes) -> list[Frame]:
        """Takes in more of the stream and returns the frames that it completes."""
        found = []
        at = 0
        while not self.problem:
            if self.body_at is None:
                need = _header_size(self._head)
                taken = data[at : at + need - len(self._head)]
                self._head += taken
                at += len(taken)
                if len(self._head) < need:
                    break
                if need < _header_size(self._head):  # its second byte says that there is more of it
                    continue
                refused = self._begin()
                if refused is not None:
                    found.append(refused)
                    break
            taken = data[at : at + self._missing]
            self._missing -= len(taken)
            at += len(taken)
            if not self.large and not self._cut:
                self._body += taken
            if self._missing:
                break
            found.append(self._end())
        return found

    def lose(self, size: int) -> tuple[list[Frame], bool]:
        """Goes on behind bytes that were not captured: returns the frame that ends in them, and whether where the next
        one begins is known still."""
        if self.body_at is None:
            self.offset += len(self._head) + size
            self._head.clear()
            return [], False
        self._cut = True
        inside = min(size, self._missing)
        self._missing -= inside
        found = [] if self._missing else [self._end()]
        if size > inside:
            self.offset += size - inside
        return found, size == inside

    def _begin(self) -> Frame | None:
        """Reads a complete header; returns a frame only where nobody can tell how long it is."""
        head = self._head
        short, opcode, key = head[1] & 0x7F, head[0] & 0x0F, bool(head[1] & 0x80)
        size = _EXTENDED.get(short, 0)
        self._length = int.from_bytes(head[2 : 2 + size], "big") if size else short
        told = {
            "reserved-opcode": opcode not in OPCODES and not self.unknown,
            "unmasked-frame": self.role == "client" and not key,
            "masked-frame": self.role == "server" and key,
            "fragmented-control": opcode >= CONTROL and not head[0] & 0x80,
            "long-control": opcode >= CONTROL and self._length > _MOST_CONTROL,
            "non-minimal-length": (size == 2 and self._length < 126) or (size == 8 and self._length < 1 << 16),
            "length-too-large": self._length >= _LENGTH_LIMIT,
        }
        self._problems = tuple(label for label, holds in told.items() if holds)
        self.body_at = self.offset + len(head)
        self._missing = self._length
        self.large = self._length > MOST_KEPT
        if self._length < _LENGTH_LIMIT:
            return None
        self.problem = "length-too-large"
        self._length = 0
        return self._end()

    def _end(self) -> Frame:
        head, begun = self._head, self.body_at
        assert begun is not None
        key = bytes(head[-4:]) if head[1] & 0x80 else None
        body = bytes(self._body)
        end = begun + self._length
        frame = Frame(
            self.offset, begun, end, bool(head[0] & 0x80), head[0] >> 4 & 7, head[0] & 0x0F, key,
            masked(body, key) if key is not None else body, self._problems, self._cut,
        )  # fmt: skip
        self.offset, self.body_at, self.large, self._cut = end, None, False, False
        self._head, self._body = bytearray(), bytearray()
        return frame


def _header_size(head: bytearray) -> int:
    """Returns how many bytes a header has, as far as its first two tell."""
    if len(head) < 2:
        return 2
    return 2 + _EXTENDED.get(head[1] & 0x7F, 0) + (4 if head[1] & 0x80 else 0)


def whole_frames(data: bytes, role: Role) -> bool:
    """Whether bytes are frames from the first to the last, such as this end sends: nothing else tells them apart."""
    at = 0
    while at < len(data):
        head = bytearray(data[at : at + 14])
        size = _header_size(head)
        if len(head) < size or bool(head[1] & 0x80) != (role == "client"):
            return False
        if head[0] & 0x0F not in OPCODES or head[0] & 0x30 or (head[0] & 0x88 == 0x08):
            return False
        short = head[1] & 0x7F
        if not (short or head[0]):  # zeros: an empty fragment is allowed, and what is more likely is something else
            return False
        extended = _EXTENDED.get(short, 0)
        at += size + (int.from_bytes(head[2 : 2 + extended], "big") if extended else short)
    return at == len(data) > 0
