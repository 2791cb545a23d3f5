"""Touches the machine: a process that marks what it is sent, for whoever must not fork: a program with threads.

It has imported everything, holds nothing of its parent's, and marks as the pool does: each submission in a process of
its own. What goes either way is a length (8 bytes) and so many bytes. It ends when nothing more comes.
"""

from __future__ import annotations

import contextlib
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import IO, Any, NamedTuple

from lab.grade import collected, kept, pool, worker
from lab.grade.assignment import Assignment, parse
from lab.grade.collected import Parcel
from lab.grade.worker import Limits
from lab.system.processes import environment
from lab.text import Text

_LENGTH = struct.Struct("!Q")
_LAB = Path(__file__).parents[2]
_BROKE = Text("the process that was to mark it has ended", "负责评阅它的进程已结束")


class Order(NamedTuple):
    """By what all submissions of a class are marked, as JSON that goes from one machine to another."""

    said: str

    @classmethod
    def of(cls, only: Assignment | None, course: bytes | None, limits: Limits, drawn: bool) -> Order:
        told = {
            "release": kept.release(),
            "only": None if only is None else only.source.decode("utf-8"),
            "course": None if course is None else course.hex(),
            "limits": limits,
            "drawn": drawn,
        }
        return cls(json.dumps(told))


class Marker:
    """The process, from its parent's side: one submission at a time."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=environment(PYTHONPATH=str(_LAB)),
        )  # fmt: skip
        self._send(order.said.encode())

    def marked(self, parcel: Parcel) -> dict[str, Any]:
        """Returns the result of a submission: that it has none, where the process has ended."""
        try:
            self._send(parcel.about.encode())
            self._send(parcel.data)
            assert self._process.stdout is not None
            found: dict[str, Any] = json.loads(_received(self._process.stdout))
            return found
        except (OSError, EOFError, ValueError):
            self.close()
            return worker.unfinished(_BROKE)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def close(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        _put(self._process.stdin, data)


def main() -> None:
    """Marks what comes by standard input until nothing does."""
    told = json.loads(_received(sys.stdin.buffer))
    only = parse(told["only"].encode("utf-8"), "assignment.toml") if told["only"] is not None else None
    course = bytes.fromhex(told["course"]) if told["course"] is not None else None
    assignments = {only.id: only} if only is not None else worker.named()
    worker.warm(assignments.values())
    while True:
        try:
            parcel = Parcel(_received(sys.stdin.buffer).decode(), _received(sys.stdin.buffer))
        except EOFError:
            return
        for _, found in pool.each_marked(
            [collected.unpacked(parcel)],
            lambda one: worker.result(one, assignments, only, course, told["drawn"]),
            Limits(*told["limits"]),
            1,
        ):
            _put(sys.stdout.buffer, json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))


def _put(out: IO[bytes], data: bytes) -> None:
    out.write(_LENGTH.pack(len(data)))
    out.write(data)
    out.flush()


def _received(read: IO[bytes]) -> bytes:
    """Returns the next message. Raises EOFError where there is none, or half of one."""
    (size,) = _LENGTH.unpack(_exactly(read, _LENGTH.size))
    return _exactly(read, size)


def _exactly(read: IO[bytes], size: int) -> bytes:
    found = read.read(size)
    if len(found) < size:
        raise EOFError
    return found


if __name__ == "__main__":
    main()
