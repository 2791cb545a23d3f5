"""Frames as files: pcap in micro- or nanoseconds, and pcapng."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from lab.capture.pcapng import Writer
from lab.model import Frame

_MICROSECONDS, _NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
_ETHERNET = 1


def write(frames: Iterable[tuple[int, bytes]], path: Path, *, nanoseconds: bool = False) -> None:
    """Writes frames, each with its time in nanoseconds since 1970: pcapng where `path` is called so, else pcap."""
    with path.open("wb") as file:
        if path.suffix == ".pcapng":
            writer = Writer(file)
            for number, (time, data) in enumerate(frames, 1):
                writer.packet(Frame(number, time, data, len(data)), ())
            writer.finish()
            return
        magic, tick = (_NANOSECONDS, 1) if nanoseconds else (_MICROSECONDS, 1000)
        file.write(struct.pack("<IHHiIII", magic, 2, 4, 0, 0, 262_144, _ETHERNET))
        for time, data in frames:
            seconds, rest = divmod(time, 1_000_000_000)
            file.write(struct.pack("<IIII", seconds, rest // tick, len(data), len(data)) + data)
