"""Frames as files: pcap in micro- or nanoseconds, and pcapng."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from lab.capture.pcapng import Writer
from lab.model import LINKTYPE_ETHERNET, Frame

_MICROSECONDS, _NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D


def write(frames: Iterable[tuple[int, bytes]], paths: Sequence[Path], *, nanoseconds: bool = False) -> None:
    """Writes frames, each with its time in nanoseconds since 1970, to each path: pcapng where that is called so."""
    with ExitStack() as stack:
        opened = [(path.suffix == ".pcapng", stack.enter_context(path.open("wb"))) for path in paths]
        made = [Writer(file) if is_pcapng else Pcap(file, nanoseconds) for is_pcapng, file in opened]
        for number, (time, data) in enumerate(frames, 1):
            frame = Frame(number, time, data, len(data))
            for each in made:
                each.packet(frame, ())
        for each in made:
            each.finish()


class Pcap:
    """A pcap file that is written to `stream` as its frames come, with the methods of the pcapng writer."""

    def __init__(self, stream: BinaryIO, nanoseconds: bool = False) -> None:
        self._stream = stream
        magic, self._tick = (_NANOSECONDS, 1) if nanoseconds else (_MICROSECONDS, 1000)
        stream.write(struct.pack("<IHHiIII", magic, 2, 4, 0, 0, 262_144, LINKTYPE_ETHERNET))

    def packet(self, frame: Frame, _comments: Sequence[str]) -> None:
        seconds, rest = divmod(frame.time or 0, 1_000_000_000)
        header = struct.pack("<IIII", seconds, rest // self._tick, len(frame.data), frame.length)
        self._stream.write(header + frame.data)

    def finish(self) -> None:
        """Nothing stands at its end."""
