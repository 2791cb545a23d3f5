"""Captures made to exhaust whoever reads them, and what the lab takes for each: memory and time are bounded.

python scripts/hostile.py                        every case in every format, at full size: takes hours
python scripts/hostile.py CASE ... [--format F]  these only; --scale 0.1 makes them a tenth as large
python scripts/hostile.py --make CASE FILE       writes one capture, to be looked at by hand

Memory is the peak of the largest process beyond the interpreter's own; time is the processor's, at a quarter of the
size and in full: work that is linear takes four times as long.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import io
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))  # run as a file, a script sees only its own folder

from lab.capture import pcapng
from lab.protocols.tcp.segment import ACK, FIN, PSH, SYN
from scripts.generate import checksum

MOST_MEMORY = 256 << 20  # bytes beyond the interpreter's
FORMATS = ("ladder", "json", "ndjson", "csv", "conversations", "events", "pcapng")
_ETHERNET = bytes.fromhex("00005e005303 00005e005302 0800")
_PCAP = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)
_BEGIN = 1_767_225_600  # seconds
_LARGEST = 65_495  # bytes of TCP payload in the largest IPv4 packet
_USUAL = 1460

Frames = Iterator[bytes]


class Talk:
    """Two ends of a TCP connection: makes their frames, and counts their numbers."""

    def __init__(self, port: int = 40_000, server_port: int = 80) -> None:
        self.addresses = bytes((198, 51, 100, 2)), bytes((203, 0, 113, 7))
        self.ports = port, server_port
        self.next = [1000, 5000]

    def segment(self, sender: int, flags: int, payload: bytes = b"", seq: int | None = None, ack: int | None = None,
                options: bytes = b"", window: int = 64_240) -> bytes:  # fmt: skip
        """Returns a frame; one with a `seq` of its own does not count on."""
        ours, theirs = self.addresses[sender], self.addresses[1 - sender]
        at = self.next[sender] if seq is None else seq
        heard = (self.next[1 - sender] if ack is None else ack) if flags & ACK else 0
        head = struct.pack("!HHIIHH", self.ports[sender], self.ports[1 - sender], at % (1 << 32), heard % (1 << 32),
                           (5 + len(options) // 4) << 12 | flags, window)  # fmt: skip
        size = 20 + len(options) + len(payload)
        total = checksum(ours + theirs + struct.pack("!HH", 6, size) + head + bytes(4) + options + payload)
        if seq is None:
            self.next[sender] += len(payload) + bool(flags & (SYN | FIN))
        return ip(ours, theirs, 6, head + struct.pack("!HH", total, 0) + options + payload)

    def opens(self) -> Frames:
        yield self.segment(0, SYN)
        yield self.segment(1, SYN | ACK)
        yield self.segment(0, ACK)

    def says(self, sender: int, data: bytes, size: int = _USUAL, answered: bool = True) -> Frames:
        """Yields data in segments, each acknowledged if `answered`."""
        for at in range(0, len(data), size):
            yield self.segment(sender, PSH | ACK, data[at : at + size])
            if answered:
                yield self.segment(1 - sender, ACK)

    def closes(self) -> Frames:
        yield self.segment(0, FIN | ACK)
        yield self.segment(1, FIN | ACK)
        yield self.segment(0, ACK)


def ip(source: bytes, target: bytes, protocol: int, payload: bytes, more: int = 0, name: int = 0) -> bytes:
    """Returns an IPv4 packet in a frame; `more` are the bits of its fragment."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), name, more or 0x4000, 64, protocol, 0) + source + target
    return _ETHERNET + head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp(payload: bytes) -> bytes:
    return ip(bytes((198, 51, 100, 2)), bytes((203, 0, 113, 7)), 17,
              struct.pack("!HHHH", 5000, 5001, 8 + len(payload), 0) + payload)  # fmt: skip


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


# What waits for the fate of another packet.


def unanswered_syn(count: int) -> Frames:
    """A SYN that nobody answers, and behind it large segments of another connection."""
    yield Talk(50_000).segment(0, SYN)
    talk = Talk()
    yield from talk.opens()
    data = bytes(_LARGEST)
    for _ in range(count):
        yield talk.segment(1, PSH | ACK, data)


def unanswered_syn_udp(count: int) -> Frames:
    """The same in front of packets that are no TCP."""
    yield Talk(50_000).segment(0, SYN)
    frame = udp(bytes(65_507))
    for _ in range(count):
        yield frame


def unacknowledged(count: int) -> Frames:
    """One connection whose data nobody acknowledges, in small segments."""
    talk = Talk()
    yield from talk.opens()
    for _ in range(count):
        yield talk.segment(0, PSH | ACK, b"x")


def swapped(count: int) -> Frames:
    """Segments in pairs, the second first; all that arrives is acknowledged, number by number."""
    talk = Talk()
    yield from talk.opens()
    size, pairs = 100, max(count // 200, 1)
    first = talk.next[0]
    for at in range(pairs):
        for each in (2 * at + 1, 2 * at):
            yield talk.segment(0, PSH | ACK, bytes(size), seq=first + each * size)
    for step in range(1, 2 * size * pairs + 1):
        yield talk.segment(1, ACK, ack=first + step)


def conflicting(count: int) -> Frames:
    """The same numbers again and again, each time with other bytes."""
    talk = Talk()
    yield from talk.opens()
    first = talk.next[0]
    for at in range(count):
        yield talk.segment(0, PSH | ACK, struct.pack("!I", at) * 250, seq=first + at % 7)


def gaps(count: int) -> Frames:
    """Many connections, each with data behind a gap that is never filled."""
    for at in range(count):
        talk = Talk(1024 + at % 60_000, 80 + at // 60_000)
        yield from talk.opens()
        yield talk.segment(0, PSH | ACK, b"GET / HTTP/1.1\r\n")
        talk.next[0] += 1
        for _ in range(8):
            yield talk.segment(0, PSH | ACK, bytes(_USUAL))


# What a protocol above TCP keeps.

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


def _again(
    sender: int, unit: bytes, count: int, size: int = _LARGEST, answered: bool = True
) -> Callable[[Talk], Frames]:
    def frames(talk: Talk) -> Frames:
        whole, rest = divmod(len(unit) * count, size)
        data = unit * (size // len(unit) + 2)
        at = 0
        for each in [size] * whole + [rest] * bool(rest):
            yield from talk.says(sender, data[at : at + each], size, answered)
            at = (at + each) % len(unit)

    return frames


def pings(count: int) -> Frames:
    """WebSocket pings without a byte in them, thousands in a segment."""
    talk, begun = _upgraded()
    yield from begun
    yield from _again(1, b"\x89\0", count)(talk)
    yield from talk.closes()


def fragments_of_message(count: int) -> Frames:
    """A WebSocket message in fragments without a byte in them, never finished."""
    talk, begun = _upgraded()
    yield from begun
    yield from talk.says(1, b"\x01\0")
    yield from _again(1, b"\0\0", count)(talk)


def deflated(count: int) -> Frames:
    """WebSocket messages that inflate to as much as is kept of one."""
    import zlib

    talk, begun = _upgraded(b"Sec-WebSocket-Extensions: permessage-deflate\r\n")
    yield from begun
    packer = zlib.compressobj(9, wbits=-15)
    packed = (packer.compress(bytes((1 << 20) - 1)) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    frame = b"\xc2\x7e" + struct.pack("!H", len(packed)) + packed
    yield from _again(1, frame, count)(talk)


def headers(count: int) -> Frames:
    """A request with very many header fields."""
    talk = Talk()
    yield from talk.opens()
    yield from talk.says(0, _UPGRADE[:-4])
    yield from _again(0, b"a: b\r\n", count)(talk)


def requests(count: int) -> Frames:
    """Requests that nobody answers, in one connection."""
    talk, _ = _upgraded()
    talk = Talk()
    yield from talk.opens()
    yield from _again(0, _UPGRADE % b"", count)(talk)


def _hello() -> bytes:
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\0\x9c" + b"\x01\0"
    return b"\x01" + len(body).to_bytes(3, "big") + body


def _server_hello() -> bytes:
    body = b"\x03\x03" + bytes(range(32)) + b"\0" + b"\0\x9c" + b"\0"
    return b"\x02" + len(body).to_bytes(3, "big") + body


def _records(kind: int, data: bytes, size: int = 1 << 14) -> bytes:
    parts = (data[at : at + size] for at in range(0, len(data), size))
    return b"".join(struct.pack("!BHH", kind, 0x0303, len(part)) + part for part in parts)


def _greeted() -> tuple[Talk, list[bytes]]:
    talk = Talk(server_port=443)
    frames = [*talk.opens(), *talk.says(0, _records(22, _hello())), *talk.says(1, _records(22, _server_hello()))]
    return talk, frames


def small_records(count: int) -> Frames:
    """TLS records of one byte."""
    talk, begun = _greeted()
    yield from begun
    yield from _again(1, b"\x17\x03\x03\0\x01x", count)(talk)


def small_handshake(count: int) -> Frames:
    """Handshake records of one byte, which make one message of almost the largest size."""
    talk = Talk(server_port=443)
    yield from talk.opens()
    yield from talk.says(0, _records(22, _hello()))
    data = b"\x0b" + (min(count, 1 << 20) - 4).to_bytes(3, "big") + bytes(count)
    yield from talk.says(1, _records(22, data[:count], 1), _LARGEST)


def alerts(count: int) -> Frames:
    """Warnings, and nothing else."""
    talk, begun = _greeted()
    yield from begun
    yield from _again(1, b"\x15\x03\x03\0\x02\x01\x5a", count)(talk)


def changes(count: int) -> Frames:
    """ChangeCipherSpec again and again."""
    talk, begun = _greeted()
    yield from begun
    yield from _again(1, b"\x14\x03\x03\0\x01\x01", count)(talk)


def _behind_transcript(unit: bytes, count: int, sender: int) -> Frames:
    """Messages that need a hash of what was said before them, behind as much as is kept of that."""
    talk, begun = _greeted()
    yield from begun
    size = min(count * len(unit), 4 << 20)
    certificate = b"\x0b" + (16_000).to_bytes(3, "big") + bytes(16_000)
    yield from talk.says(1, _records(22, certificate * (size // 16_000)), _LARGEST)
    records = _records(22, unit * (16_000 // len(unit)))
    yield from _again(sender, records, max(count * len(unit) // 16_000, 1))(talk)


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
    yield from _again(0, _records(22, _hello()), count)(talk)


# What other layers keep.


def ip_fragments(count: int) -> Frames:
    """First fragments of as many packets."""
    for at in range(count):
        yield ip(bytes((198, 51, 100, 2)), bytes((203, 0, 113, at >> 16 & 255)), 6, bytes(1480), 0x2000, at & 0xFFFF)


def icmp_errors(count: int) -> Frames:
    """ICMP errors that quote the same segment."""
    talk = Talk()
    yield from talk.opens()
    sent = talk.segment(0, PSH | ACK, b"x" * 100)
    yield sent
    body = b"\x03\x03\0\0\0\0\0\0" + sent[14 : 14 + 48]
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    frame = ip(talk.addresses[1], talk.addresses[0], 1, body)
    for _ in range(count):
        yield frame


def icmp_unsent(count: int) -> Frames:
    """ICMP errors that quote what was never sent."""
    talk = Talk()
    yield from talk.opens()
    for at in range(count):
        other = Talk(1024 + at % 60_000, at // 60_000)
        sent = other.segment(0, SYN)
        body = b"\x03\x03\0\0\0\0\0\0" + sent[14 : 14 + 48]
        yield ip(talk.addresses[1], talk.addresses[0], 1, body)


def resets(count: int) -> Frames:
    """RSTs in a connection that goes on: each has to be looked behind."""
    talk = Talk()
    yield from talk.opens()
    for at in range(count):
        yield talk.segment(1, 4, seq=talk.next[1])
        if at % 300 == 299:
            yield talk.segment(1, PSH | ACK, b"x")


def syns(count: int) -> Frames:
    """Connections that are never answered, all between two hosts."""
    for at in range(count):
        yield Talk(1024 + at % 60_000, 1 + at // 60_000).segment(0, SYN)


def syns_of_one(count: int) -> Frames:
    """SYNs with ever other numbers on the same addresses and ports."""
    talk = Talk()
    for at in range(count):
        yield talk.segment(0, SYN, seq=at * 100_000)


def sacked(count: int) -> Frames:
    """Duplicate ACKs with as many SACK blocks as fit."""
    talk = Talk()
    yield from talk.opens()
    yield from talk.says(0, bytes(100), answered=False)
    first = talk.next[0]
    for at in range(count):
        edges = [first + 10 * (at + each) for each in range(4)]
        blocks = b"".join(struct.pack("!II", edge, edge + 5) for edge in edges)
        yield talk.segment(1, ACK, ack=first - 100, options=b"\1\1\x05\x22" + blocks)


def nested(count: int) -> Frames:
    """VLAN tags as many as a frame has room for."""
    inner = Talk().segment(0, SYN)
    frame = inner[:12] + b"\x81\0\0\x01" * 16_000 + inner[12:]
    for _ in range(count):
        yield frame


# Files.


def _gzip(frames: Callable[[int], Frames]) -> Callable[[int, BinaryIO], None]:
    def write(count: int, file: BinaryIO) -> None:
        with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
            pcap(frames(count), packed)  # type: ignore[arg-type]  # it is written to, and nothing more

    return write


def _plain(frames: Callable[[int], Frames]) -> Callable[[int, BinaryIO], None]:
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


def _long(talk: Talk, count: int) -> Frames:
    yield from talk.opens()
    for _ in range(count):
        yield talk.segment(0, PSH | ACK, b"x")
        yield talk.segment(1, ACK)


def _between(made: Callable[[int], Iterator[bytes]]) -> Callable[[int, BinaryIO], None]:
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


def _empty_blocks(count: int) -> Iterator[bytes]:
    piece = block(0x0BAD, b"") * 1000
    for _ in range(count // 1000):
        yield piece


def _large_blocks(count: int) -> Iterator[bytes]:
    piece = block(0x0BAD, bytes(1 << 20))
    for _ in range(count):
        yield piece


def _interfaces(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield INTERFACE


def _sections(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield SECTION + INTERFACE


def _hosts(count: int) -> Iterator[bytes]:
    for at in range(count):
        name = b"h" * 2000 + str(at).encode() + b"\0"
        record = struct.pack("<HHI", 1, 4 + len(name), at) + name
        yield block(pcapng.NAME_RESOLUTION, pcapng.padded(record) + bytes(4))


def _secrets(count: int) -> Iterator[bytes]:
    for at in range(count):
        log = b"".join(b"CLIENT_RANDOM %064x %096x\n" % (at * 1000 + each, each) for each in range(1000))
        yield block(pcapng.DECRYPTION_SECRETS, struct.pack("<II", pcapng.TLS_KEY_LOG, len(log)) + pcapng.padded(log))


def _statistics(count: int) -> Iterator[bytes]:
    comment = struct.pack("<HH", 1, 0xFFFC) + b"c" * 0xFFFC
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


class Case(NamedTuple):
    """A kind of capture: how many units it has at full size, how it is written, how its file is called."""

    units: int
    write: Callable[[int, BinaryIO], None]
    suffix: str = ".pcap"


CASES: dict[str, Case] = {
    "unanswered-syn": Case(60_000, _gzip(unanswered_syn), ".pcap.gz"),
    "unanswered-syn-udp": Case(60_000, _gzip(unanswered_syn_udp), ".pcap.gz"),
    "unacknowledged": Case(1_000_000, _plain(unacknowledged)),
    "swapped": Case(400_000, _plain(swapped)),
    "conflicting": Case(400_000, _gzip(conflicting), ".pcap.gz"),
    "gaps": Case(60_000, _gzip(gaps), ".pcap.gz"),
    "pings": Case(5_000_000, _plain(pings)),
    "fragments-of-message": Case(5_000_000, _plain(fragments_of_message)),
    "deflated": Case(5_000, _plain(deflated)),
    "headers": Case(2_000_000, _plain(headers)),
    "requests": Case(50_000, _plain(requests)),
    "small-records": Case(1_700_000, _plain(small_records)),
    "small-handshake": Case(1_700_000, _plain(small_handshake)),
    "alerts": Case(1_400_000, _plain(alerts)),
    "changes": Case(1_700_000, _plain(changes)),
    "key-exchanges": Case(600_000, _plain(key_exchanges)),
    "finisheds": Case(300_000, _plain(finisheds)),
    "hellos": Case(200_000, _plain(hellos)),
    "ip-fragments": Case(200_000, _gzip(ip_fragments), ".pcap.gz"),
    "icmp-errors": Case(300_000, _plain(icmp_errors)),
    "icmp-unsent": Case(300_000, _plain(icmp_unsent)),
    "resets": Case(300_000, _plain(resets)),
    "syns": Case(500_000, _plain(syns)),
    "syns-of-one": Case(300_000, _plain(syns_of_one)),
    "sacked": Case(300_000, _plain(sacked)),
    "nested": Case(10_000, _gzip(nested), ".pcap.gz"),
    "options": Case(9_000, options, ".pcapng.gz"),
    "comments": Case(600, comments, ".pcapng.gz"),
    "empty-blocks": Case(9_700_000, _between(_empty_blocks), ".pcapng.gz"),
    "large-blocks": Case(600, _between(_large_blocks), ".pcapng.gz"),
    "interfaces": Case(3_000_000, _between(_interfaces), ".pcapng.gz"),
    "sections": Case(2_000_000, _between(_sections), ".pcapng.gz"),
    "host-names": Case(200_000, _between(_hosts), ".pcapng.gz"),
    "secrets": Case(400, _between(_secrets), ".pcapng.gz"),
    "statistics": Case(10_000, _between(_statistics), ".pcapng.gz"),
    "bomb-bzip2": Case(40_000, bomb_bzip2, ".pcap.bz2"),
    "bomb-gzip": Case(4_000, bomb_gzip, ".pcap.gz"),
}


class Taken(NamedTuple):
    """What a command took: its exit status, the peak of the largest process in bytes, processor seconds, its errors."""

    status: int
    peak: int
    seconds: float
    said: str


# The command is a grandchild: what is forked begins with its parent's peak, and this one is small.
_MEASURE = """
import os, resource, subprocess, sys
status = subprocess.run(sys.argv[2:], stdin=open(sys.argv[1], "rb") if sys.argv[1] else None,
                        stdout=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(status, used.ru_maxrss * 1024, used.ru_utime + used.ru_stime)
"""


def run(arguments: Iterable[str], stdin: str = "", limit: float | None = None) -> Taken:
    """Runs `python` with arguments to its end, its output thrown away; raises TimeoutExpired after `limit` seconds."""
    command = (sys.executable, "-c", _MEASURE, stdin, sys.executable, *arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=limit,
                          cwd=Path(__file__).parent.parent)  # fmt: skip
    status, peak, seconds = done.stdout.split()
    return Taken(int(status), int(peak), float(seconds), done.stderr)


def annotate(file: Path, form: str, piped: bool = False, *more: str, limit: float | None = None) -> Taken:
    """Annotates a capture in a format; `form` may also be "explain" or "diff"."""
    name = "-" if piped else str(file)
    how = {"explain": ("annotate", name, "--explain", "2"), "diff": ("diff", str(file), str(file))}
    arguments = how.get(form, ("annotate", name, "--format", form))
    return run(("-m", "lab", *arguments, *more), str(file) if piped else "", limit)


def make(name: str, file: Path, scale: float = 1) -> Path:
    """Writes a case to a file."""
    case = CASES[name]
    with file.open("wb") as out:
        case.write(max(int(case.units * scale), 1), out)
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", choices=[*CASES, []], metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--make", nargs=2, metavar=("CASE", "FILE"))
    parser.add_argument("--format", action="append", choices=[*FORMATS, "explain", "diff"])
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--pipe", action="store_true", help="through standard input")
    parser.add_argument("--no-limit", action="store_true", help="of what unfolds to far more than it is")
    parser.add_argument("--limit", type=float, default=None, help="seconds that one may take")
    asked = parser.parse_args()
    if asked.make:
        make(asked.make[0], Path(asked.make[1]), asked.scale)
        return
    more = ("--no-limit",) if asked.no_limit else ()
    base = run(("-c", "pass")).peak
    with tempfile.TemporaryDirectory(prefix="lab-hostile-") as folder:
        for name in asked.case or CASES:
            suffix = CASES[name].suffix
            whole, part = (
                make(name, Path(folder, f"{at}{suffix}"), asked.scale * size) for at, size in enumerate((1, 0.25))
            )
            for form in asked.format or (*FORMATS, "explain", "diff"):
                try:
                    full, quarter = (
                        annotate(each, form, asked.pipe, *more, limit=asked.limit) for each in (whole, part)
                    )
                except subprocess.TimeoutExpired:
                    print(f"{name:<22} {form:<14} more than {asked.limit} s", flush=True)
                    continue
                beyond = full.peak - base
                print(
                    f"{name:<22} {form:<14} {beyond / (1 << 20):7.0f} MB {'!' if beyond > MOST_MEMORY else ' '} "
                    f"{quarter.seconds:8.2f} s {full.seconds:8.2f} s  status {full.status} {full.said.strip()[:100]}",
                    flush=True,
                )
            whole.unlink()
            part.unlink()


if __name__ == "__main__":
    main()
