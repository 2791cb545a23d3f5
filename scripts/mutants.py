"""Mutants: captures with a few things wrong, made of sound ones; the same for the same dice."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

HOME = Path(__file__).parent.parent
SEEDS = (HOME / "captures", HOME / "tests" / "corpus")
MOST_SEED = 16_384  # bytes: small ones are gone through more often
_LEAST = 24  # bytes of the head of a file
TELLING = (0, 1, 2, 3, 4, 5, 6, 7, 16, 20, 22, 23, 32, 40, 60, 64, 127, 128, 254, 255)  # bytes that mean something


def seeds() -> list[bytes]:
    """Returns the captures that mutants are made of, in a fixed order, the pcapng ones also as pcap."""
    found = []
    for folder in SEEDS:
        for path in sorted(folder.glob("*")):
            if path.suffix in (".pcapng", ".pcap") and path.stat().st_size <= MOST_SEED:
                found.append(path.read_bytes())
                if path.suffix == ".pcapng":
                    found.append(as_pcap(path))
    return found


def as_pcap(path: Path) -> bytes:
    from lab.capture.reader import open_capture  # not before somebody has said how the lab is to be loaded

    with open_capture(str(path)) as capture:
        packets = [(frame.time or 0, frame.data) for frame in capture]
    head = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1)
    return head + b"".join(
        struct.pack("<IIII", *divmod(time, 1_000_000_000), len(data), len(data)) + data for time, data in packets
    )


def mutant(sources: list[bytes], dice: random.Random) -> bytes:
    """Returns one of some captures with a few things wrong."""
    return spoilt(dice.choice(sources), sources, dice)


def spoilt(sound: bytes, sources: list[bytes], dice: random.Random) -> bytes:
    """Returns a capture with a few things wrong: in its bytes, or in those of its packets only."""
    data = bytearray(sound)
    if dice.random() < 0.6 and len(data) >= _LEAST:
        return _packets_spoilt(data, sources, dice)
    for _ in range(1 << dice.randrange(5)):
        dice.choice(SPOILERS)(data, sources, dice)
    return bytes(data)


def _packets_spoilt(data: bytearray, sources: list[bytes], dice: random.Random) -> bytes:
    """Spoils packets, and leaves the file about them as it was: lengths right, records whole."""
    parts = list(_records(data))
    for _ in range(1 << dice.randrange(5)):
        at = dice.randrange(len(parts))
        head, body, tail = parts[at]
        what = dice.random()
        if what < 0.1:
            parts.insert(dice.randrange(len(parts) + 1), parts[at])
        elif what < 0.2 and len(parts) > 1:
            del parts[at]
        elif what < 0.3:
            other = dice.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
        elif body:
            changed = bytearray(body)
            dice.choice(SPOILERS)(changed, sources, dice)
            changed = (changed + bytes(len(body)))[: len(body)]
            parts[at] = head, bytes(changed), tail
    return b"".join(head + body + tail for head, body, tail in parts)


def _records(data: bytearray) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Takes a sound file apart: what stands before each packet's bytes, these, and what stands behind them."""
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        at = 0
        while at + 12 <= len(data):
            size = max(int.from_bytes(data[at + 4 : at + 8], "little"), 12)
            block = bytes(data[at : at + size])
            captured = int.from_bytes(block[20:24], "little") if block[:4] == b"\x06\0\0\0" else 0
            yield block[:28], block[28 : 28 + captured], block[28 + captured :]
            at += size
        return
    yield bytes(data[:24]), b"", b""
    at = 24
    while at + 16 <= len(data):
        size = int.from_bytes(data[at + 8 : at + 12], "little")
        yield bytes(data[at : at + 16]), bytes(data[at + 16 : at + 16 + size]), b""
        at += 16 + size


def _flip(data: bytearray, _sources: list[bytes], dice: random.Random) -> None:
    if data:
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _byte(data: bytearray, _sources: list[bytes], dice: random.Random) -> None:
    if data:
        data[dice.randrange(len(data))] = dice.choice(TELLING)


def _number(data: bytearray, _sources: list[bytes], dice: random.Random) -> None:
    """Another length, count or offset: most of them lie."""
    size = dice.choice((1, 2, 2, 3, 4, 8))
    value = dice.choice((0, 1, -1, 1 << 8 * size - 1, (1 << 8 * size - 1) - 1, len(data), dice.getrandbits(8 * size)))
    if len(data) >= size:
        at = dice.randrange(len(data) - size + 1)
        data[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, dice.choice(("big", "little")))


def _cut(data: bytearray, _sources: list[bytes], dice: random.Random) -> None:
    if data:
        at = dice.randrange(len(data))
        del data[at : at + dice.choice((1, 2, 4, 64, len(data)))]


def _repeat(data: bytearray, _sources: list[bytes], dice: random.Random) -> None:
    if data:
        at = dice.randrange(len(data))
        data[at:at] = data[at : at + dice.choice((1, 4, 16, 256))] * dice.randrange(1, 8)


def _splice(data: bytearray, sources: list[bytes], dice: random.Random) -> None:
    other = dice.choice(sources)
    start, size = dice.randrange(len(other)), dice.choice((4, 16, 64, 512))
    at = dice.randrange(len(data) + 1)
    data[at : at + dice.choice((0, size))] = other[start : start + size]


Spoiler = Callable[[bytearray, list[bytes], random.Random], None]
SPOILERS: tuple[Spoiler, ...] = (_flip, _flip, _byte, _byte, _number, _number, _cut, _repeat, _splice)
