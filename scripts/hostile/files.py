"""Captures as files: packed tightly, or full of what is no packet."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from lab.capture import pcapng
from lab.engine.journal import PREFIX
from lab.protocols.tcp.segment import ACK, PSH, SYN
from scripts.hostile.carried import greeted
from scripts.hostile.segments import Frames, Talk

_PCAP = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)
_BEGIN = 1_767_225_600  # seconds


def pcap(frames: Iterable[bytes], file: BinaryIO) -> None:
    file.write(_PCAP)
    for number, frame in enumerate(frames):
        seconds, micros = divmod(number * 10, 1_000_000)
        file.write(struct.pack("<IIII", _BEGIN + seconds, micros, len(frame), len(frame)) + frame)


def block(kind: int, body: bytes) -> bytes:
    total = len(body) + 12
    return struct.pack("<II", kind, total) + body + struct.pack("<I", total)


SECTION = block(pcapng.SECTION_HEADER, struct.pack("<IHHq", pcapng.BYTE_ORDER, 1, 0, -1))
INTERFACE = block(pcapng.INTERFACE_DESCRIPTION, struct.pack("<HHI", 1, 0, 0))


def enhanced(frame: bytes, options: bytes = b"") -> bytes:
    head = struct.pack("<IIIII", 0, 0x00060000, 0, len(frame), len(frame))
    return block(pcapng.ENHANCED_PACKET, head + pcapng.padded(frame) + options)


def gzipped(frames: Callable[[int], Frames]) -> Callable[[int, BinaryIO], None]:
    def write(count: int, file: BinaryIO) -> None:
        with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
            pcap(frames(count), packed)  # type: ignore[arg-type]  # it is written to, and nothing more

    return write


def plain(frames: Callable[[int], Frames]) -> Callable[[int, BinaryIO], None]:
    return lambda count, file: pcap(frames(count), file)


def options(count: int, file: BinaryIO) -> None:
    """Packets with as many options as are read of one."""
    talk = Talk()
    many = struct.pack("<HHI", 0x8000, 4, 7) * 4000 + bytes(4)
    with gzip.GzipFile("", "wb", 1, file, mtime=0) as out:
        out.write(SECTION + INTERFACE)
        for frame in _long(talk, count):
            out.write(enhanced(frame, many))


def comments(count: int, file: BinaryIO) -> None:
    """Packets with comments as long as options are."""
    talk = Talk()
    many = (struct.pack("<HH", 1, 0xFFFF) + b"c" * 0x10000) * 15 + bytes(4)
    with gzip.GzipFile("", "wb", 1, file, mtime=0) as out:
        out.write(SECTION + INTERFACE)
        for frame in _long(talk, count):
            out.write(enhanced(frame, many))


def claims(count: int, file: BinaryIO) -> None:
    """SYNs on the same addresses and ports, with a journal that tells of nothing as it was, nor in order."""
    talk, said = Talk(), {"client": "CLOSING", "server": "LAST-ACK"}
    with gzip.GzipFile("", "wb", 6, file, mtime=0) as out:
        out.write(SECTION + INTERFACE)
        for at in range(count):
            place = 3 * (at if at % 1000 else count - at)
            told = {"arrived": place, "delivered": [place + 1], "settled": place + 2}
            frame = talk.segment(0, SYN, seq=at * 100_000)
            out.write(_journaled(frame, {**told, "kernel": {"held": said, "delivered": said}}))


def unsettled(count: int, file: BinaryIO) -> None:
    """Large packets that a journal says will arrive when all is over."""
    talk = Talk()
    with gzip.GzipFile("", "wb", 6, file, mtime=0) as out:
        out.write(SECTION + INTERFACE)
        for at, frame in enumerate(_long(talk, count)):
            out.write(_journaled(frame + bytes(60_000), {"arrived": at, "delivered": [1 << 50], "settled": 1 << 50}))


def _journaled(frame: bytes, told: dict[str, object]) -> bytes:
    text = (PREFIX + json.dumps(told)).encode()
    return enhanced(frame, struct.pack("<HH", 1, len(text)) + pcapng.padded(text) + bytes(4))


def short_comments(count: int, file: BinaryIO) -> None:
    """Packets that wait, with as many comments of two letters as are read of one."""
    talk = Talk()
    many = struct.pack("<HH2sxx", 1, 2, b"ab") * 4096 + bytes(4)
    with gzip.GzipFile("", "wb", 1, file, mtime=0) as out:
        out.write(SECTION + INTERFACE + enhanced(Talk(50_000).segment(0, SYN)))
        for frame in _long(talk, count):
            out.write(enhanced(frame, many))


def largest_blocks(count: int, file: BinaryIO) -> None:
    """Blocks of almost 64 MB: of nothing, of secrets, packets, and comments that take four times as much when read."""
    talk, size = Talk(), 63 << 20
    text = "\N{GRINNING FACE}".encode() + b"c" * 0xFFF8
    many = (struct.pack("<HH", 1, len(text)) + text) * (size // 0x10000)
    with gzip.GzipFile("", "wb", 1, file, mtime=0) as out:
        out.write(SECTION + INTERFACE + enhanced(talk.segment(0, SYN)))
        for _ in range(count):
            out.write(block(0x0BAD, bytes(size)))
            out.write(block(pcapng.DECRYPTION_SECRETS, struct.pack("<II", pcapng.TLS_KEY_LOG, size) + bytes(size)))
            out.write(block(pcapng.INTERFACE_STATISTICS, bytes(12) + many))
            out.write(enhanced(talk.segment(1, ACK) + bytes(size)))
            out.write(enhanced(talk.segment(1, ACK), many))


def _long(talk: Talk, count: int) -> Frames:
    yield from talk.opens()
    for _ in range(count):
        yield talk.segment(0, PSH | ACK, b"x")
        yield talk.segment(1, ACK)


def between(made: Callable[[int], Iterator[bytes]]) -> Callable[[int, BinaryIO], None]:
    def write(count: int, file: BinaryIO) -> None:
        talk = Talk()
        with gzip.GzipFile("", "wb", 1, file, mtime=0) as out:
            out.write(SECTION + INTERFACE + enhanced(talk.segment(0, SYN)))
            buffer = io.BytesIO()
            for each in made(count):
                buffer.write(each)
                if buffer.tell() > 1 << 16:
                    out.write(buffer.getvalue())
                    buffer = io.BytesIO()
            out.write(buffer.getvalue() + enhanced(talk.segment(1, SYN | ACK)))

    return write


def empty_blocks(count: int) -> Iterator[bytes]:
    piece = block(0x0BAD, b"") * 1000
    for _ in range(count // 1000):
        yield piece


def large_blocks(count: int) -> Iterator[bytes]:
    piece = block(0x0BAD, bytes(1 << 20))
    for _ in range(count):
        yield piece


def interfaces(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield INTERFACE


def sections(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield SECTION + INTERFACE


def hosts(count: int) -> Iterator[bytes]:
    for at in range(count):
        name = b"h" * 2000 + str(at).encode() + b"\0"
        record = struct.pack("<HHI", 1, 4 + len(name), at) + name
        yield block(pcapng.NAME_RESOLUTION, pcapng.padded(record) + bytes(4))


def secrets(count: int) -> Iterator[bytes]:
    for at in range(count):
        yield _key_log(range(at * 1000, (at + 1) * 1000))


def secrets_one_by_one(count: int, file: BinaryIO) -> None:
    """A secret of another connection before each record: through a pipe they become known one by one."""
    talk, begun = greeted()
    begun += talk.says(1, b"\x14\x03\x03\0\x01\x01")  # from here on it is encrypted
    with gzip.GzipFile("", "wb", 1, file, mtime=0) as out:
        out.write(SECTION + INTERFACE + b"".join(map(enhanced, begun)))
        for at in range(count):
            said = talk.says(1, b"\x17\x03\x03\0\x01x")
            out.write(_key_log(range(at + 1, at + 2)) + b"".join(map(enhanced, said)))


def _key_log(of: range) -> bytes:
    log = b"".join(b"CLIENT_RANDOM %064x %096x\n" % (each, each) for each in of)
    return block(pcapng.DECRYPTION_SECRETS, struct.pack("<II", pcapng.TLS_KEY_LOG, len(log)) + pcapng.padded(log))


def statistics(count: int) -> Iterator[bytes]:
    """Yields comments of which each character takes four bytes when they are read."""
    text = "\N{GRINNING FACE}".encode() + b"c" * 0xFFF8
    comment = struct.pack("<HH", 1, len(text)) + text
    for _ in range(count):
        yield block(pcapng.INTERFACE_STATISTICS, bytes(12) + comment)


def _zeros(count: int) -> Iterator[bytes]:
    """Yields packets of nothing but zeros: nothing compresses better."""
    yield _PCAP
    for _ in range(count):
        yield struct.pack("<IIII", 0, 0, 1 << 16, 1 << 16) + bytes(1 << 16)


def bomb_bzip2(count: int, file: BinaryIO) -> None:
    packer = bz2.BZ2Compressor()
    for each in _zeros(count):
        file.write(packer.compress(each))
    file.write(packer.flush())


def bomb_gzip(count: int, file: BinaryIO) -> None:
    with gzip.GzipFile("", "wb", 9, file, mtime=0) as out:
        for each in _zeros(count):
            out.write(each)
