"""How far a piece of work is that takes a while, where standard error is a terminal."""

from __future__ import annotations

import sys
import time

from lab.text import Lang, Text

_BETWEEN = 0.5  # seconds between two pictures, at least


class Progress:
    """How many of so many things are done: a line on standard error that is drawn anew, where that is a terminal."""

    def __init__(self, total: int, what: Text, lang: Lang) -> None:
        self._total = total
        self._what = what.pick(lang)
        self._shown = total > 1 and sys.stderr.isatty()
        self._next = 0.0
        self._drawn = False

    def done(self, count: int) -> None:
        """So many are."""
        if not self._shown or time.monotonic() < self._next:
            return
        self._next, self._drawn = time.monotonic() + _BETWEEN, True
        sys.stderr.write(f"\r\x1b[K{self._what} {count} / {self._total}")
        sys.stderr.flush()

    def close(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
