"""Where output goes: the terminal, a pipe, a file. A file appears when it is complete, or not at all."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lab.errors import LabError, MachineError
from lab.text import Lang, Text


@contextlib.contextmanager
def to_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a file for writing that takes its name only when all is written; killed before, it leaves nothing behind.

    What is no regular file (a pipe, /dev/null) is written to directly. Raises MachineError where it can't be written.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                yield file
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with _nameless(path.parent) as (file, name):
            yield file
            file.flush()
            temporary = name or _named(file, path.parent)
            temporary.replace(path)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise MachineError(
            Text(f"{path} can't be written: {error.strerror}", f"无法写入 {path}：{error.strerror}"),
            Text("choose another place with -o FILE", "用 -o FILE 另选一个位置"),
        ) from error


@contextlib.contextmanager
def _nameless(folder: Path) -> Iterator[tuple[BinaryIO, Path | None]]:
    """Opens a file that has no name yet, or where the system can't do that, a temporary one."""
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666)
    except (AttributeError, OSError):
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".lab-", delete=False) as file:
            name = Path(file.name)
            try:
                name.chmod(0o666 & ~_umask())
                yield file.file, name
            finally:
                name.unlink(missing_ok=True)
        return
    with os.fdopen(descriptor, "w+b") as file:
        yield file, None


def _named(file: BinaryIO, folder: Path) -> Path:
    """Gives a nameless file a name, for the moment until it takes the place of the old one."""
    name = folder / f".lab-{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        name.unlink()
    there = os.open(folder, os.O_RDONLY)
    try:  # only with a folder's descriptor does os.link follow the link that stands for our file
        os.link(f"/proc/self/fd/{file.fileno()}", name.name, dst_dir_fd=there)
    finally:
        os.close(there)
    return name


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def complain(error: LabError, lang: Lang) -> None:
    """Says what is wrong and what to do, in two lines on standard error."""
    for word, text in ((Text("error", "错误"), error.message), (Text("hint", "提示"), error.hint)):
        say(f"{word.pick(lang)}: {text.pick(lang)}")


def say(line: str) -> None:
    """Writes a line to standard error, also where that can't show all of it or is gone."""
    with contextlib.suppress(OSError, ValueError):
        encoding = sys.stderr.encoding or "utf-8"
        sys.stderr.write(line.encode(encoding, "replace").decode(encoding) + "\n")
        sys.stderr.flush()


class Stopped(KeyboardInterrupt):
    """The lab was asked to stop, by a signal other than Ctrl-C's."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def stop_cleanly_on_signals() -> None:
    """Makes a hang-up and a termination end the lab as Ctrl-C does: what has been captured is saved first."""

    def stop(number: int, _frame: object) -> None:
        raise Stopped(number)

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Lets nothing but SIGKILL come between: for the moment in which what was captured is saved."""
    signals = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {each: signal.signal(each, signal.SIG_IGN) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
