"""A large capture for measurements: many small TCP connections at once, each opened, used and closed. Always the same.

python scripts/generate.py 300000 FILE
"""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from lab.model import ACK, FIN, PSH, SYN

_AT_ONCE = 200  # connections open at a time
_SEED = 9293
_BEGIN = 1_767_225_600_000_000  # microseconds
_ETHERNET = bytes.fromhex("00005e005303 00005e005302 0800")
_ETHERNET_BACK = bytes.fromhex("00005e005302 00005e005303 0800")
_SYN_OPTIONS = bytes.fromhex("020405b4 0402 080a 00000001 00000000 01 030307")


def checksum(data: bytes) -> int:
    """Returns the Internet checksum (RFC 1071)."""
    total = int.from_bytes(data + b"\0" * (len(data) % 2), "big") % 0xFFFF
    return 0xFFFF - total if total else 0xFFFF


def connection(index: int, dice: random.Random) -> Iterator[bytes]:
    """Yields the eleven frames of one connection, from SYN to the last ACK."""
    client = bytes((198, 51, 100, 1 + index // 50_000 % 250))
    server = bytes((203, 0, 113, 1 + index % 7))
    ports = (10_000 + index % 50_000, 80)
    numbers = [dice.getrandbits(32), dice.getrandbits(32)]
    request, answer = dice.randbytes(dice.randrange(40, 120)), dice.randbytes(dice.randrange(40, 300))
    story = (
        (0, SYN, b""), (1, SYN | ACK, b""), (0, ACK, b""), (0, PSH | ACK, request), (1, ACK, b""),
        (1, PSH | ACK, answer), (0, ACK, b""), (0, FIN | ACK, b""), (1, ACK, b""), (1, FIN | ACK, b""), (0, ACK, b""),
    )  # fmt: skip
    for sender, flags, payload in story:
        options = _SYN_OPTIONS if flags & SYN else b""
        length = 20 + len(options) + len(payload)
        source, target = (client, server) if sender == 0 else (server, client)
        ack = numbers[1 - sender] if flags & ACK else 0
        head = struct.pack("!HHIIHH", ports[sender], ports[1 - sender], numbers[sender], ack,
                           (5 + len(options) // 4) << 12 | flags, 64_240)  # fmt: skip
        body = head + b"\0\0\0\0" + options + payload
        tcp_sum = checksum(source + target + struct.pack("!HH", 6, length) + body)
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, 6, 0) + source + target
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
        tcp = head + struct.pack("!HH", tcp_sum, 0) + options + payload
        yield (_ETHERNET if sender == 0 else _ETHERNET_BACK) + ip + tcp
        numbers[sender] = numbers[sender] + len(payload) + bool(flags & (SYN | FIN)) & 0xFFFFFFFF


def frames(count: int) -> Iterator[bytes]:
    """Yields `count` frames of interleaved connections."""
    dice = random.Random(_SEED)
    going = [connection(index, dice) for index in range(_AT_ONCE)]
    begun = len(going)
    while count:
        at = dice.randrange(len(going))
        frame = next(going[at], None)
        if frame is None:
            going[at] = connection(begun, dice)
            begun += 1
            continue
        yield frame
        count -= 1


def write(count: int, path: Path) -> None:
    """Writes a pcap of `count` packets, 10 microseconds apart."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
        for number, frame in enumerate(frames(count)):
            seconds, micros = divmod(_BEGIN + number * 10, 1_000_000)
            file.write(struct.pack("<IIII", seconds, micros, len(frame), len(frame)) + frame)


if __name__ == "__main__":
    write(int(sys.argv[1]), Path(sys.argv[2]))
