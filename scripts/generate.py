"""Large captures for measurements: many small connections at once, each opened, used and closed.

python scripts/generate.py 300000 FILE          packets of TCP: always the same
python scripts/generate.py --tls 10000 FILE     TLS connections: twenty real handshakes, made anew, over and over
"""

from __future__ import annotations

import random
import ssl
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # run as a file, a script sees only its own folder

from lab.protocols.tcp.segment import ACK, FIN, PSH, SYN

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
    said = ((0, PSH | ACK, request), (1, ACK, b""), (1, PSH | ACK, answer), (0, ACK, b""))
    yield from _segments(said, client, server, ports, numbers)


Segments = Iterable[tuple[int, int, bytes]]  # who sends (0 is the client), the flags, the payload
_OPEN = ((0, SYN, b""), (1, SYN | ACK, b""), (0, ACK, b""))
_CLOSE = ((0, FIN | ACK, b""), (1, ACK, b""), (1, FIN | ACK, b""), (0, ACK, b""))


def _segments(
    said: Segments, client: bytes, server: bytes, ports: tuple[int, int], numbers: list[int]
) -> Iterator[bytes]:
    story = (*_OPEN, *said, *_CLOSE)
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


def tls_connection(index: int, said: Segments, dice: random.Random) -> Iterator[bytes]:
    """Yields the frames of one connection in which this was said, from SYN to the last ACK."""
    client = bytes((198, 51, 100, 1 + index // 50_000 % 250))
    numbers = [dice.getrandbits(32), dice.getrandbits(32)]
    return _segments(said, client, bytes((203, 0, 113, 1)), (10_000 + index % 50_000, 443), numbers)


def handshakes(count: int) -> tuple[list[Segments], bytes]:
    """Returns what passed in real TLS connections, half TLS 1.2 and half TLS 1.3, and their key log."""
    from tests.protocols.tls import conversation
    from tests.protocols.tls.talks import identity

    found: list[Segments] = []
    keylog = b""
    for at in range(count):
        version, cipher = ((ssl.TLSVersion.TLSv1_3, ""), (ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM"))[at % 2]
        sent, secrets = conversation.play(identity().file, cipher, version)
        keylog += secrets
        segments: list[tuple[int, int, bytes]] = []
        for role, data in sent:
            sender = int(role == "server")
            segments += [(sender, PSH | ACK, data[cut : cut + 1460]) for cut in range(0, len(data), 1460)]
            segments.append((1 - sender, ACK, b""))
        found.append(segments)
    return found, keylog


def tls_frames(count: int, said: Sequence[Segments]) -> Iterator[bytes]:
    """Yields the frames of `count` interleaved TLS connections."""
    dice = random.Random(_SEED)
    going: list[Iterator[bytes]] = []
    begun = 0
    while going or begun < count:
        while begun < count and len(going) < _AT_ONCE:
            going.append(tls_connection(begun, said[begun % len(said)], dice))
            begun += 1
        at = dice.randrange(len(going))
        frame = next(going[at], None)
        if frame is None:
            del going[at]
        else:
            yield frame


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
    _write(frames(count), path)


def write_tls(count: int, path: Path) -> Path:
    """Writes a pcap of `count` TLS connections, and returns the file of its key log."""
    said, keylog = handshakes(20)
    _write(tls_frames(count, said), path)
    secrets = path.with_suffix(".keys")
    secrets.write_bytes(keylog)
    return secrets


def _write(made: Iterable[bytes], path: Path) -> None:
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
        for number, frame in enumerate(made):
            seconds, micros = divmod(_BEGIN + number * 10, 1_000_000)
            file.write(struct.pack("<IIII", seconds, micros, len(frame), len(frame)) + frame)


if __name__ == "__main__":
    if sys.argv[1] == "--tls":
        write_tls(int(sys.argv[2]), Path(sys.argv[3]))
    else:
        write(int(sys.argv[1]), Path(sys.argv[2]))
