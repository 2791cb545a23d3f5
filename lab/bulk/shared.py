"""Two processes read a file together, every other window each, its first packets into memory that both have.

Where a window ends, only the one before it tells. So whoever has found that out says so at once, and looks at the
headers of what it has while the other finds the next.
"""

from __future__ import annotations

import contextlib
import marshal
import mmap
import os
import struct
from collections.abc import Iterator

import numpy as np

from lab.bulk.headers import Packets, read
from lab.bulk.pipe import ended_early
from lab.bulk.scan import PADDING, Place, Reading, UnsoundError, Window
from lab.protocols.transport import LANES

_EACH = 8  # bytes that a column has of a packet, at most
_size, _DONE = struct.Struct("q"), b"."

# What one process tells of a window, as soon as it knows how far that goes: where it goes on, how many packets there
# are in each part that it falls into, and the types and bytes of the blocks that matter behind it.
Told = tuple[Place, list[int], list[tuple[int, bytes]]]


class Shared:
    """Room for the columns of packets, made before the processes part."""

    def __init__(self, most: int) -> None:
        kinds = [column.dtype for column in vars(_none()).values()]
        memory, size = mmap.mmap(-1, len(kinds) * most * _EACH), most * _EACH
        self._columns = [np.frombuffer(memory, kind, most, at * size) for at, kind in enumerate(kinds)]
        self._parent = os.getpid()
        self._pipes = os.pipe(), os.pipe()  # the first is read by the parent, the other by the child
        self._open = {end for pipe in self._pipes for end in pipe}

    def windows(self, reading: Reading) -> Iterator[Window | int]:
        """Yields all windows of a file: those that are for this process, and of the others how many packets they have.

        Raises UnsoundError in both processes where the file is not sound, LabError where the other has ended early.
        """
        mine = os.getpid() == self._parent
        self._reading, self._writing = self._pipes[not mine][0], self._pipes[mine][1]
        self._close(self._open - {self._reading, self._writing})
        while not reading.at.over:
            if mine:
                yield from self._read(reading)
            else:
                at, counts, others = self._hear()
                reading.go(Place(*at), others)
                yield from counts
            mine = not mine

    def _read(self, reading: Reading) -> Iterator[Window]:
        try:
            window = reading.next()
        except UnsoundError:
            self._tell(None)
            raise
        parts = list(window.parts()) if window is not None else []
        self._tell((reading.at, [len(part.starts) for part in parts], reading.taken()))
        yield from parts

    def _tell(self, told: Told | None) -> None:
        """Tells the other process of a window; None says that the file is not sound."""
        said = marshal.dumps(told and (tuple(told[0]), *told[1:]))
        with contextlib.suppress(BrokenPipeError):  # it is seen when nothing comes
            _write(self._writing, _size.pack(len(said)) + said)

    def _hear(self) -> Told:
        (size,) = _size.unpack(_exactly(self._reading, _size.size))
        told: Told | None = marshal.loads(_exactly(self._reading, size))  # noqa: S302  # it is our own that has said it
        if told is None:
            raise UnsoundError
        return told

    def put(self, at: int, packets: Packets) -> None:
        """Takes packets in, the first of which is packet `at` of the file, counted from 0."""
        for column, some in zip(self._columns, vars(packets).values(), strict=True):
            column[at : at + len(some)] = some

    def packets(self, count: int) -> Packets:
        """Returns the first packets, when the other process has read its own. Raises LabError where that has died."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._writing, _DONE)
        _exactly(self._reading, len(_DONE))
        self.close()
        return Packets(*(column[:count] for column in self._columns))

    def close(self) -> None:
        """Forgets the other process."""
        self._close(set(self._open))

    def _close(self, ends: set[int]) -> None:
        self._open -= ends
        for end in ends:
            os.close(end)


def _none() -> Packets:
    nothing = np.zeros(0, np.int64)
    return read(Window(np.zeros(PADDING, np.uint8), 0, *[nothing] * 5), 1, np.ones(LANES, bool))


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _exactly(file: int, size: int) -> bytes:
    """Reads so many bytes of what the other process says. Raises LabError where it has ended early."""
    found = bytearray()
    while len(found) < size:
        piece = os.read(file, size - len(found))
        if not piece:
            raise ended_early()
        found += piece
    return bytes(found)
