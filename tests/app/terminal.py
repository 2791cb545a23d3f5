"""A terminal with a lab on it: what it writes is taken in as a screen would, with all that has been scrolled off it."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType

from rich.cells import cell_len

from lab.capture.pcapng import Writer
from lab.model import Frame
from tests.left_behind import heed_signals
from tests.places import ROOT

_PARTS = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)")
_CUT = re.compile(r"\x1b(\[[0-9;]*)?$")  # a code that is not all there
_TAKES_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(1, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class Screen:
    """Lines as they stand; the last `rows` of them are on the screen, where the cursor can go."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.lines = [""]
        self.row = self.column = 0
        self.codes: set[str] = set()  # that were asked for, beside colours

    def take(self, text: str) -> None:
        for numbers, code, carriage, feed, plain in _PARTS.findall(text):
            if carriage:
                self.column = 0
            elif feed:
                self._down()
            elif plain:
                self._write(plain)
            elif code == "A":
                top = max(0, len(self.lines) - self.rows)
                assert self.row - int(numbers) >= top, "above the screen"
                self.row -= int(numbers)
            elif code == "J":
                del self.lines[self.row + 1 :]
                self.lines[self.row] = self.lines[self.row][: self.column]
            elif code != "m":
                raise AssertionError(f"an unknown code: {numbers}{code}")
            if code and code != "m":
                self.codes.add(code)

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def _write(self, text: str) -> None:
        for char in text:
            if self.column + cell_len(char) > self.columns:
                self._down()
                self.column = 0
            line = self.lines[self.row]
            assert cell_len(line) >= self.column
            kept = len(line)
            while cell_len(line[:kept]) > self.column:
                kept -= 1
            self.lines[self.row] = line[:kept] + char + line[kept + 1 :]
            self.column += cell_len(char)


class OnTerminal:
    """`lab annotate -` on a terminal; its standard input is a pipe that is written packet by packet."""

    def __init__(
        self, *words: str, columns: int = 80, rows: int = 30, color: bool = False, term: str = "xterm"
    ) -> None:
        self.screen = Screen(columns, rows)
        self.raw = ""
        self._ours, theirs = os.openpty()
        self._resized(theirs, columns, rows)
        environment = {**os.environ, "TERM": term, "PYTHONPATH": str(ROOT), **({} if color else {"NO_COLOR": "1"})}
        environment.pop("COLUMNS", None)
        reads, writes = os.pipe()
        self.process = subprocess.Popen(
            (sys.executable, "-c", _TAKES_TERMINAL, "-m", "lab", "annotate", "-", *words),
            stdin=reads, stdout=theirs, stderr=theirs, env=environment, start_new_session=True,
            preexec_fn=heed_signals,
        )  # fmt: skip
        os.close(reads)
        os.close(theirs)
        self._stream = os.fdopen(writes, "wb", buffering=0)
        self._pcap = Writer(self._stream)
        self._changed = threading.Condition()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def __enter__(self) -> OnTerminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self.process.kill()
        self.process.wait()
        self._reading.join()
        os.close(self._ours)

    def feed(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            self._pcap.packet(frame, ())

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def resize(self, columns: int, rows: int) -> None:
        """As a terminal does that leaves its lines as they are."""
        self._resized(self._ours, columns, rows)
        self.screen.columns, self.screen.rows = columns, rows

    def shows(self, what: Callable[[list[str]], object], seconds: float = 20.0) -> list[str]:
        """Waits until the screen's lines are so, and returns them."""
        end = time.monotonic() + seconds
        with self._changed:
            while not what(self.screen.lines):
                assert self._changed.wait(max(0.0, end - time.monotonic())), "\n".join(self.screen.lines)
            return list(self.screen.lines)

    def ended(self) -> tuple[int, list[str]]:
        """Closes the pipe, and returns the exit status and what then stands on the terminal."""
        with contextlib.suppress(BrokenPipeError):
            self._stream.close()
        status = self.process.wait(30)
        self._reading.join(30)
        return status, self.screen.lines

    def _read(self) -> None:
        decoder, rest = codecs.getincrementaldecoder("utf-8")(), ""
        with contextlib.suppress(OSError):  # how Linux says that nobody writes any more
            while piece := os.read(self._ours, 65536):
                text = rest + decoder.decode(piece)
                cut = _CUT.search(text)
                text, rest = (text[: cut.start()], text[cut.start() :]) if cut else (text, "")
                with self._changed:
                    self.raw += text
                    self.screen.take(text)
                    self._changed.notify_all()

    @staticmethod
    def _resized(terminal: int, columns: int, rows: int) -> None:
        termios.tcsetwinsize(terminal, (rows, columns))
