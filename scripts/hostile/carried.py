"""What a protocol above TCP keeps: WebSocket and TLS."""

from __future__ import annotations

import struct
import zlib

from scripts.hostile.segments import LARGEST, Frames, Talk, again

_UPGRADE = (
    b"GET /chat HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n"
)
_SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n%s\r\n"
)


def _upgraded(extension: bytes = b"") -> tuple[Talk, list[bytes]]:
    talk = Talk()
    frames = [*talk.opens(), *talk.says(0, _UPGRADE % extension), *talk.says(1, _SWITCHING % extension)]
    return talk, frames


def pings(count: int) -> Frames:
    """WebSocket pings without a byte in them, thousands in a segment."""
    talk, begun = _upgraded()
    yield from begun
    yield from again(1, b"\x89\0", count)(talk)
    yield from talk.closes()


def fragments_of_message(count: int) -> Frames:
    """A WebSocket message in fragments without a byte in them, never finished."""
    talk, begun = _upgraded()
    yield from begun
    yield from talk.says(1, b"\x01\0")
    yield from again(1, b"\0\0", count)(talk)


def deflated(count: int) -> Frames:
    """WebSocket messages that inflate to as much as is kept of one."""
    talk, begun = _upgraded(b"Sec-WebSocket-Extensions: permessage-deflate\r\n")
    yield from begun
    packer = zlib.compressobj(9, wbits=-15)
    packed = (packer.compress(bytes((1 << 20) - 1)) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    frame = b"\xc2\x7e" + struct.pack("!H", len(packed)) + packed
    yield from again(1, frame, count)(talk)


def headers(count: int) -> Frames:
    """A request with very many header fields."""
    talk = Talk()
    yield from talk.opens()
    yield from talk.says(0, _UPGRADE[:-4])
    yield from again(0, b"a: b\r\n", count)(talk)


def requests(count: int) -> Frames:
    """Requests that nobody answers, in one connection."""
    talk = Talk()
    yield from talk.opens()
    yield from again(0, _UPGRADE % b"", count)(talk)


def _hello() -> bytes:
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\0\x9c" + b"\x01\0"
    return b"\x01" + len(body).to_bytes(3, "big") + body


def _server_hello() -> bytes:
    body = b"\x03\x03" + bytes(range(32)) + b"\0" + b"\0\x9c" + b"\0"
    return b"\x02" + len(body).to_bytes(3, "big") + body


def _records(kind: int, data: bytes, size: int = 1 << 14) -> bytes:
    parts = (data[at : at + size] for at in range(0, len(data), size))
    return b"".join(struct.pack("!BHH", kind, 0x0303, len(part)) + part for part in parts)


def greeted() -> tuple[Talk, list[bytes]]:
    talk = Talk(server_port=443)
    frames = [*talk.opens(), *talk.says(0, _records(22, _hello())), *talk.says(1, _records(22, _server_hello()))]
    return talk, frames


def small_records(count: int) -> Frames:
    """TLS records of one byte."""
    talk, begun = greeted()
    yield from begun
    yield from again(1, b"\x17\x03\x03\0\x01x", count)(talk)


def small_handshake(count: int) -> Frames:
    """Handshake records of one byte, which make one message of almost the largest size."""
    talk = Talk(server_port=443)
    yield from talk.opens()
    yield from talk.says(0, _records(22, _hello()))
    data = b"\x0b" + (min(count, 1 << 20) - 4).to_bytes(3, "big") + bytes(count)
    yield from talk.says(1, _records(22, data[:count], 1), LARGEST)


def alerts(count: int) -> Frames:
    """Warnings, and nothing else."""
    talk, begun = greeted()
    yield from begun
    yield from again(1, b"\x15\x03\x03\0\x02\x01\x5a", count)(talk)


def changes(count: int) -> Frames:
    """ChangeCipherSpec again and again."""
    talk, begun = greeted()
    yield from begun
    yield from again(1, b"\x14\x03\x03\0\x01\x01", count)(talk)


def _behind_transcript(unit: bytes, count: int, sender: int) -> Frames:
    """Messages that need a hash of what was said before them, behind as much as is kept of that."""
    talk, begun = greeted()
    yield from begun
    size = min(count * len(unit), 4 << 20)
    certificate = b"\x0b" + (16_000).to_bytes(3, "big") + bytes(16_000)
    yield from talk.says(1, _records(22, certificate * (size // 16_000)), LARGEST)
    records = _records(22, unit * (16_000 // len(unit)))
    yield from again(sender, records, max(count * len(unit) // 16_000, 1))(talk)


def key_exchanges(count: int) -> Frames:
    """ClientKeyExchange messages behind a long transcript."""
    return _behind_transcript(b"\x10\0\0\x04\0\x02ab", count, 0)


def finisheds(count: int) -> Frames:
    """Finished messages behind a long transcript."""
    return _behind_transcript(b"\x14\0\0\x0c" + bytes(12), count, 1)


def hellos(count: int) -> Frames:
    """ClientHellos, one behind another."""
    talk = Talk(server_port=443)
    yield from talk.opens()
    yield from again(0, _records(22, _hello()), count)(talk)


def greetings(count: int) -> Frames:
    """As many connections, in each of which both ends have said hello."""
    for at in range(count):
        talk = Talk(1024 + at % 60_000, 443 + at // 60_000)
        yield from talk.opens()
        yield from talk.says(0, _records(22, _hello()))
        yield from talk.says(1, _records(22, _server_hello()))
