"""How far behind a row of the ladder is while a capture goes on, and what it waits for.

    kernels over a slow cable ── pcap, each packet as it is captured ──▶ lab annotate - ── rows ──▶ a clock

What a packet has meant is known by later ones. The same packets, put through the engine one by one, tell at which of
them each one's fate was known, and at which its row could be written, as rows stand in order: that is waiting. The
rest is ours.
"""

from __future__ import annotations

import contextlib
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import IO, NamedTuple

from lab.engine.path import Mine
from lab.engine.record import Record
from lab.events import Begun, Event, PacketArrived, PacketLost
from lab.model import Frame, Problem
from lab.runs.run import Inputs, Learn, Run
from lab.text import Lang, Text
from scripts.bench.measure import LAB, ROOT, USUAL
from scripts.traffic import kernels
from scripts.traffic.files import Pcap

_LINE = kernels.LINE._replace(rate=4e6)  # as at home: some hundred packets a second
_AT_ONCE = 12
_ROW = re.compile(rb"^ *(\d+) +\d+(\.\d+)? ")  # seconds ever less exactly, as there is room


class Behind(NamedTuple):
    """Medians in seconds, of those rows that did not wait for the end of the capture."""

    rows: int
    everything: float
    fate: float  # until the packet that tells what became of it
    order: float  # until the same is known of all rows before
    ours: float
    ours_most: float  # of 99 in 100 rows
    at_end: int  # rows that only the end told of


def measured(length: float) -> Behind:
    """Captures for that many seconds."""
    frames, given, shown = _played(length)
    fates, places = _told(frames)
    found = []
    for number, at in shown.items():
        place = places[number]
        if place > len(frames):
            continue
        known = min(fates.get(number, place), place)
        found.append((at - given[number], given[known] - given[number], given[place] - given[known], at - given[place]))
    everything, fate, order, ours = map(statistics.median, zip(*found, strict=True))
    most = statistics.quantiles([each[3] for each in found], n=100)[-1]
    return Behind(len(found), everything, fate, order, ours, most, len(shown) - len(found))


def _played(length: float) -> tuple[list[Frame], dict[int, float], dict[int, float]]:
    """Returns the packets, when each was given to the lab, and when its row came, by its number."""
    frames: list[Frame] = []
    given: dict[int, float] = {}
    shown: dict[int, float] = {}
    command = [*LAB, "annotate", "-"]
    with subprocess.Popen(command, cwd=ROOT, env=USUAL, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        reading = threading.Thread(target=_read, args=(process.stdout, shown))
        reading.start()
        file = Pcap(process.stdin)  # type: ignore[arg-type]  # it is a stream of bytes
        for batch in kernels.record(10_000_000, line=_LINE, at_once=_AT_ONCE, seconds=length):
            for at, data in batch:
                frames.append(Frame(len(frames) + 1, at // 1000 * 1000, data, len(data)))
                given[len(frames)] = time.perf_counter()
                file.packet(frames[-1], ())
                process.stdin.flush()
        process.stdin.close()
        reading.join()
    return frames, given, shown


def _read(stream: IO[bytes], shown: dict[int, float]) -> None:
    for line in stream:
        if found := _ROW.match(line):
            shown.setdefault(int(found[1]), time.perf_counter())


def _told(frames: list[Frame]) -> tuple[dict[int, int], dict[int, int]]:
    """Returns at which packet the fate of each was known, where it was, and at which its row could be written."""
    source = _OneByOne(frames)
    fates: dict[int, int] = {}
    places: dict[int, int] = {}

    def listen(event: Event) -> None:
        if isinstance(event, PacketArrived | PacketLost):
            fates.setdefault(event.packet, source.packets)

    with Run(source) as run:
        run.listen(listen)
        for packet in run:
            places[packet.number] = source.packets
    return fates, places


class _OneByOne:
    """Packets as a source of a run; how many have been taken is known at any time, one more at the end."""

    name = "-"
    early: Text | None = None
    secrets = (b"", b"")
    position = 0
    keeps = False
    refused = None

    def __init__(self, frames: list[Frame]) -> None:
        self._frames = frames
        self.packets = 0

    @contextlib.contextmanager
    def begin(self, _learn: Learn, _mine: Mine | None) -> Iterator[Inputs]:
        yield Inputs(Begun("-", False, False, None, {}), None, self._each())

    def _each(self) -> Iterator[Frame]:
        for frame in self._frames:
            self.packets += 1
            yield frame
        self.packets += 1

    def captured(self, record: Record) -> None: ...

    def over(self, run: Run) -> None: ...

    def problems(self) -> list[Problem]:
        return []

    def about(self, _lang: Lang, _problems: list[Problem]) -> dict[str, object]:
        return {}

    def close(self) -> None: ...


if __name__ == "__main__":
    print(*measured(float(sys.argv[1])))
