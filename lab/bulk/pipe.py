"""Lines on their way from one process to another, neither of which waits for the other while it has work of its own.

A row waits for its packet's fate, and then a thousand come at once: two halves of a capture are never equally far. With
no more room between them than a pipe has, they would take turns.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from lab.errors import LabError
from lab.text import Text

_PIPE = 1 << 20  # bytes; what a process without privileges may have
_MOST = 8 << 20  # bytes, on either side, of what has been made and not been taken

T = TypeVar("T")


def characters(rows: list[str]) -> int:
    """Returns the size of rows that are text."""
    return sum(map(len, rows))


def opened() -> tuple[int, int]:
    """Returns both ends of a pipe, to be read from and written to."""
    reading, writing = os.pipe()
    with contextlib.suppress(ImportError, OSError, AttributeError):  # it is just smaller then
        import fcntl

        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE)
    return reading, writing


class Outlet:
    """The end that is written to. What finds no room in the pipe waits here, up to a limit."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._waiting: deque[memoryview] = deque()
        self._size = 0
        os.set_blocking(file, False)

    def write(self, text: str) -> None:
        if data := text.encode():
            self._waiting.append(memoryview(data))
            self._size += len(data)
        self._drain()
        while self._size > _MOST:
            select.select((), (self._file,), ())
            self._drain()

    def close(self) -> None:
        """Writes all that is left."""
        os.set_blocking(self._file, True)
        self._drain()
        os.close(self._file)

    def _drain(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            try:
                written = os.write(self._file, first)
            except BlockingIOError:
                return
            self._size -= written
            if written < len(first):
                self._waiting[0] = first[written:]
            else:
                self._waiting.popleft()


class Ahead(Generic[T]):
    """Rows, some together, that may be made before they are asked for, up to a limit; `measure` tells their size."""

    def __init__(self, rows: Iterable[list[T]], measure: Callable[[list[T]], int]) -> None:
        self._rows = iter(rows)
        self._measure = measure
        self._made: deque[tuple[int, list[T]]] = deque()  # with their size
        self._size = 0

    def __iter__(self) -> Iterator[list[T]]:
        return self

    def __next__(self) -> list[T]:
        if not self._made:
            return next(self._rows)
        size, some = self._made.popleft()
        self._size -= size
        return some

    def make(self) -> bool:
        """Makes some; returns whether there were any to be made."""
        if self._size > _MOST:
            return False
        some = next(self._rows, None)
        if some is None:
            return False
        size = self._measure(some)
        self._made.append((size, some))
        self._size += size
        return True


def ended_early() -> LabError:
    """Returns what is wrong where the other process has ended before its work was done."""
    return LabError(
        Text("half of the file was not annotated: its process ended early", "文件有一半没有解读完：其进程提前结束"),
        Text("try again; is there enough memory?", "请重试；内存是否足够？"),
    )


def lines(file: int, meanwhile: Callable[[], bool]) -> Iterator[list[str]]:
    """Yields the lines that come out of a pipe, some together; while none comes, it does something else if it can."""
    os.set_blocking(file, False)
    rest: list[bytes] = []
    while True:
        try:
            piece = os.read(file, _PIPE)
        except BlockingIOError:
            if not meanwhile():
                select.select((file,), (), ())
            continue
        if not piece:
            return
        whole, end, behind = piece.rpartition(b"\n")
        if end:
            rest.append(whole)
            yield b"".join(rest).decode().split("\n")
            rest.clear()
        rest.append(behind)


__all__ = ["Ahead", "Outlet", "characters", "ended_early", "lines", "opened"]
