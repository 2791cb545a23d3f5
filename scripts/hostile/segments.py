"""Two ends of a TCP connection that say what they like, in frames of Ethernet and IPv4."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from lab.protocols.tcp.segment import ACK, FIN, PSH, SYN
from scripts.generate import checksum

_ETHERNET = bytes.fromhex("00005e005303 00005e005302 0800")
LARGEST = 65_495  # bytes of TCP payload in the largest IPv4 packet
USUAL = 1460

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

    def says(self, sender: int, data: bytes, size: int = USUAL, answered: bool = True) -> Frames:
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


def again(sender: int, unit: bytes, count: int, size: int = LARGEST, answered: bool = True) -> Callable[[Talk], Frames]:
    def frames(talk: Talk) -> Frames:
        whole, rest = divmod(len(unit) * count, size)
        data = unit * (size // len(unit) + 2)
        at = 0
        for each in [size] * whole + [rest] * bool(rest):
            yield from talk.says(sender, data[at : at + each], size, answered)
            at = (at + each) % len(unit)

    return frames
