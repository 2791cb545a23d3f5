"""Files that appear when they are complete, or not at all; and lines put away for a while."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from lab.errors import MachineError
from lab.text import Text


@contextlib.contextmanager
def to_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a file for writing that takes its name only when all is written; killed before, it leaves nothing behind.

    What is no regular file (a pipe, /dev/null) is written to directly. Raises MachineError where it can't be written.
    """
    try:
        # the file behind a link is replaced, never the link: /dev/stdout is one
        real = Path(os.path.realpath(path)) if path.is_symlink() else path
        if real.exists() and not real.is_file():
            with real.open("wb") as file:
                yield file
            return
        _make_folder(real.parent)
        with _nameless(real.parent) as (file, name):
            yield file
            file.flush()
            if name is None:
                _give_name(file, real)
            else:
                name.replace(real)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise MachineError(
            Text(f"{path} can't be written: {error.strerror}", f"无法写入 {path}：{error.strerror}"),
            Text("choose another place with -o FILE", "用 -o FILE 另选一个位置"),
        ) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error


class Spool:
    """Lines put away in a temporary file, each under a number, to be taken in the order of the numbers."""

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._places = array("Q")  # by number: where the line begins, from 1; 0 where there is none

    def put(self, number: int, line: str) -> None:
        """Puts a line away. Raises MachineError where there is no room for it."""
        try:
            if self._file is None:
                self._file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - as long as we are there
            while len(self._places) <= number:
                self._places.append(0)
            self._places[number] = self._file.tell() + 1
            self._file.write(line.encode() + b"\n")
        except OSError as error:
            raise MachineError(
                Text(f"a temporary file can't be written: {error.strerror}", f"无法写入临时文件：{error.strerror}"),
                Text("name a folder with room in TMPDIR", "请用 TMPDIR 指定一个有空间的目录"),
            ) from error

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yields all numbers and lines, in order; nothing can be put away any more."""
        for number, place in enumerate(self._places):
            if place and self._file:
                self._file.seek(place - 1)
                yield number, self._file.readline().decode().rstrip("\n")


@contextlib.contextmanager
def words(stream: BinaryIO) -> Iterator[TextIO]:
    """Lets text be written to a stream of bytes, which stays open."""
    wrapper = io.TextIOWrapper(stream, encoding="utf-8", newline="\n")
    yield wrapper
    wrapper.flush()
    wrapper.detach()


@contextlib.contextmanager
def rendered(path: Path | None) -> Iterator[TextIO]:
    """Opens what rendered text goes to: a file, as `to_file` does, or standard output where there is no path."""
    if path is None:
        yield sys.stdout
        return
    with to_file(path) as stream, words(stream) as text:
        yield text


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
                yield cast(BinaryIO, file), name
            finally:
                name.unlink(missing_ok=True)
        return
    with os.fdopen(descriptor, "w+b") as file:
        yield file, None


def _give_name(file: BinaryIO, path: Path) -> None:
    """Gives a nameless file its name; where that is taken, first another, for the moment before it takes its place."""
    own = f"/proc/self/fd/{file.fileno()}"
    there = os.open(path.parent, os.O_RDONLY)
    try:  # only with a folder's descriptor does os.link follow the link that stands for our file
        os.link(own, path.name, dst_dir_fd=there)
    except FileExistsError:
        passing = f".lab-{os.urandom(8).hex()}"  # not by process: labs in two containers can have the same number
        os.link(own, passing, dst_dir_fd=there)
        try:
            os.replace(passing, path.name, src_dir_fd=there, dst_dir_fd=there)
        except OSError:
            os.unlink(passing, dir_fd=there)
            raise
    finally:
        os.close(there)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
