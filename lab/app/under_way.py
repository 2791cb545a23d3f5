"""A ladder that grows on a terminal: below the rungs that stay stand those whose packets are still under way.

    rungs that stay          written once, in order, when their fate is known
    ── under way ──          from here on all is drawn anew with each packet

The cursor rests where the second part begins, and only what stands below is ever erased. So it does not matter how many
rows that has become meanwhile: a terminal that was resized breaks lines elsewhere, another program may write something.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import TextIO

from lab.model import Packet
from lab.render.ladder import Ladder
from lab.render.words import cells
from lab.system.signals import uninterrupted
from lab.text import Lang, Text

_CODES = re.compile("\x1b\\[[0-9;]*m")
_ERASE_BELOW = "\x1b[J"
_AT_LEAST = 0.04  # seconds between two pictures
_NAMES = 4  # rows above a rung that say whose it is
_SHARE = 10  # one part of so many of the time may go into drawing

Pending = Callable[[int], tuple[int, list[tuple[Packet, bool]]]]


class UnderWay:
    """Draws rungs that stay, and below them what is `pending`: how many packets, and so many of the last."""

    def __init__(self, ladder: Ladder, out: TextIO, pending: Pending, lang: Lang) -> None:
        self._ladder = ladder
        self._out = out
        self._pending = pending
        self._lang: Lang = lang
        self._kept: list[str] = []  # rungs that stay, not written yet
        self._shown = ""  # what stands below the cursor
        self._next = 0.0  # when the next picture may be drawn: on the monotonic clock, in seconds

    def rung(self, packet: Packet) -> None:
        """Takes a rung that stays."""
        if not self._kept:
            self._ladder.fit()
        self._kept.append(self._ladder.lines(packet))
        if time.monotonic() >= self._next:
            self.draw()

    def waits(self, comes_within: Callable[[float], bool]) -> None:
        """Is told that nothing is there to be read: draws what there is, unless something comes before it may."""
        left = self._next - time.monotonic()
        if left <= 0 or not comes_within(left):
            self.draw()

    def draw(self) -> None:
        """Writes the rungs that stay, and draws anew what is under way."""
        began = time.monotonic()
        below, back = self._below(*_size(self._out))
        below += f"\r\x1b[{back}A" if back else ""
        if below != self._shown or self._kept:
            self._write(below)
        now = time.monotonic()
        self._next = now + max(_AT_LEAST, _SHARE * (now - began))

    def close(self) -> None:
        """Leaves the terminal as a program should: the cursor below all, what is still under way as it is known."""
        below, _ = self._below(*_size(self._out))
        self._write(below)
        self._shown = ""

    def _write(self, below: str) -> None:
        """Writes the rungs that stay, and what stands below: all of it or nothing, whenever Ctrl-C is pressed."""
        with uninterrupted():
            self._out.write((_ERASE_BELOW if self._shown else "") + "".join(self._kept) + below)
            self._out.flush()
            self._kept.clear()
            self._shown = below

    def _below(self, columns: int, rows: int) -> tuple[str, int]:
        """Returns what is under way, as much of it as there is room for, and how many rows of the terminal it takes."""
        room = max(1, min(rows * 2 // 3, rows - _NAMES - 3))
        count, packets = self._pending(room)
        if not packets:
            return "", 0
        skipped = count > len(packets)
        sketch = self._ladder.sketch(packets, skipped=skipped)
        sizes = [_rows(drawn, columns) for drawn in sketch]
        first = len(packets) - 1
        while first and sum(sizes[first - 1 :]) <= room:
            first -= 1
        lines = [self._title(count, skipped or first > 0)]
        for drawn in (self._ladder.sketch(packets, first, skipped) if first else sketch)[first:]:
            lines += drawn.splitlines()
        while (taken := sum(_rows(line, columns) for line in lines)) > rows - 1 and len(lines) > 1:
            del lines[1]  # of one that is higher than the terminal, its beginning
        return "\n".join(lines) + "\n", taken

    def _title(self, count: int, cut: bool) -> str:
        said = Text("── under way", "── 途中").pick(self._lang)
        if cut:
            said += Text(f": the last of {count} packets", f"：{count} 个包中的最后几个").pick(self._lang)
        return said + " ──"


def _size(out: TextIO) -> tuple[int, int]:
    """Returns columns and rows as they are now."""
    try:
        columns, rows = os.get_terminal_size(out.fileno())
    except (OSError, ValueError):
        columns, rows = 0, 0
    return columns or 80, rows or 24


def _rows(drawn: str, columns: int) -> int:
    """Returns how many rows of the terminal some lines take."""
    return sum(max(1, -(-cells(_CODES.sub("", line)) // columns)) for line in (drawn.splitlines() or [""]))
