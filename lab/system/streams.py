"""The standard streams, whatever the lab was started with, and what is said on standard error."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lab.errors import LabError
from lab.text import Lang, Text, safe

_LARGEST_BLOCK = 1 << 20  # bytes that are written out in one go


def complain(error: LabError, lang: Lang) -> None:
    """Says what is wrong and what to do, in two lines on standard error."""
    for word, text in ((Text("error: ", "错误："), error.message), (Text("hint: ", "提示："), error.hint)):
        say(word.pick(lang) + text.pick(lang))


def say(line: str) -> None:
    """Writes a line to standard error, also where that can't show all of it or is gone; names in it steer nothing."""
    with contextlib.suppress(OSError, ValueError):
        encoding = sys.stderr.encoding or "utf-8"
        sys.stderr.write(safe(line).encode(encoding, "replace").decode(encoding) + "\n")
        sys.stderr.flush()


def take_streams() -> None:
    """Makes the standard streams usable, whatever the lab was started with.

    One that is closed becomes the null device: its number would else be taken by the next file that is opened. What
    an encoding can't show is replaced. A width of 0 means that nobody knows it: rich would then show nothing.
    """
    if not os.environ.get("COLUMNS", "1").strip("0"):
        del os.environ["COLUMNS"]
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # open until the end
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def show_each_line() -> None:
    """Makes standard output pass on each line as soon as it is written, also to a pipe or a file."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


class Blocks(io.BufferedWriter):
    """A stream for what is made of blocks: each is flushed whole, and one that was interrupted goes on where it was.

    Where a full disk takes only a part of a block, that is taken out of the file again: all before it can be read.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__(raw, _LARGEST_BLOCK)
        self._file = raw.fileno()
        self._appends = _appends(self._file)
        self._failed = False
        self._whole = self._end()

    def flush(self) -> None:
        """Writes the blocks out. Raises OSError once: what could not be written then never will be."""
        if self._failed:
            return
        try:
            super().flush()
        except OSError:
            self._failed = True
            self._take_back()
            raise
        if self._whole is not None:
            self._whole = self._end()

    def _end(self) -> int | None:
        """Returns how long the file is, where it is one and we are at its end: nobody else's bytes are behind ours."""
        with contextlib.suppress(OSError, ValueError):
            status = os.fstat(self._file)
            at_end = self._appends or os.lseek(self._file, 0, os.SEEK_CUR) == status.st_size
            if stat.S_ISREG(status.st_mode) and at_end:
                return status.st_size
        return None

    def _take_back(self) -> None:
        if self._whole is not None and self._end() is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._whole)


def _appends(file: int) -> bool:
    with contextlib.suppress(ImportError, OSError):
        import fcntl  # not on Windows

        return bool(fcntl.fcntl(file, fcntl.F_GETFL) & os.O_APPEND)
    return False


@contextlib.contextmanager
def blocks() -> Iterator[BinaryIO]:
    """Opens standard output for what is made of blocks; what is interrupted on the way is written out at the end."""
    sys.stdout.flush()
    out = Blocks(io.FileIO(sys.stdout.fileno(), "w", closefd=False))
    yield out
    out.flush()


def leave_streams() -> None:
    """Writes out what is left; what can't be, nobody reads: it is thrown away, for the interpreter would try again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
