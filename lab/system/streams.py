"""The standard streams, whatever the lab was started with, and what is said on standard error."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path

from lab.errors import LabError
from lab.text import Lang, Text, safe


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


def leave_streams() -> None:
    """Writes out what is left; what can't be, nobody reads: it is thrown away, for the interpreter would try again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
