"""How long is waited for what a capture has not shown yet, and what is said meanwhile."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from lab.capture.reader import Capture
from lab.system import streams
from lab.text import Lang, Text

_FIRST, _LATER = 30.0, 60.0  # seconds of reading until the first line, and to the next
_MEGABYTE = 1_000_000
_PATIENCE = 10.0  # seconds that a packet's fate is waited for, and those behind it, where packets come as they happen


def waited() -> Callable[[], bool]:
    """Begins to wait for a packet's fate; returns what says when that has been too long."""
    until = time.monotonic() + _PATIENCE
    return lambda: time.monotonic() > until


class Waiting:
    """Says how far a capture has been read, where neither rows on a terminal nor a bar show it."""

    def __init__(self, capture: Capture, lang: Lang) -> None:
        self._capture = capture
        self._lang: Lang = lang
        self._next = time.monotonic() + _FIRST
        self._shown = sys.stdout.isatty()

    def goes_on(self) -> None:
        """More is being read."""
        if self._shown or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LATER
        capture = self._capture
        streams.say(
            Text(
                f"still reading: {capture.packets:,} packets, {capture.unfolded // _MEGABYTE:,} MB so far",
                f"仍在读取：到目前为止 {capture.packets:,} 个包，{capture.unfolded // _MEGABYTE:,} MB",
            ).pick(self._lang)
        )
