"""Two processes read the first packets of a file together, every other window each, into memory that both have."""

from __future__ import annotations

import contextlib
import mmap
import os
import struct

import numpy as np

from lab.bulk.headers import Packets, read
from lab.bulk.pipe import ended_early
from lab.bulk.scan import PADDING, Window
from lab.protocols.transport import LANES

_EACH = 8  # bytes that a column has of a packet, at most
_found = struct.Struct("3q")


class Shared:
    """Room for the columns of packets, made before the processes part.

    Each goes through all of the file, and they tell each other what they have come to: it has to be the same.
    """

    def __init__(self, most: int) -> None:
        kinds = [column.dtype for column in vars(_none()).values()]
        memory, size = mmap.mmap(-1, len(kinds) * most * _EACH), most * _EACH
        self._columns = [np.frombuffer(memory, kind, most, at * size) for at, kind in enumerate(kinds)]
        self._parent = os.getpid()
        self._pipes = os.pipe(), os.pipe()  # the first is read by the parent, the other by the child
        self._open = {end for pipe in self._pipes for end in pipe}

    @property
    def _side(self) -> int:
        return int(os.getpid() != self._parent)

    def is_mine(self, window: int) -> bool:
        """Whether it is this process that has to read a window."""
        return window % 2 == self._side

    def put(self, at: int, packets: Packets) -> None:
        """Takes packets in, the first of which is packet `at` of the file, counted from 0."""
        for column, some in zip(self._columns, vars(packets).values(), strict=True):
            column[at : at + len(some)] = some

    def packets(self, found: tuple[int, int, int]) -> Packets | None:
        """Returns as many packets as the first number says, when the other process has read its own.

        `found` is what this one has found: None where the other has found anything else. Raises LabError where that has
        ended early.
        """
        own, other = self._pipes[self._side], self._pipes[not self._side]
        self._close({own[1], other[0]})
        with contextlib.suppress(BrokenPipeError):  # it is seen when nothing comes
            os.write(other[1], _found.pack(*found))
        heard = os.read(own[0], _found.size)
        self.close()
        if not heard:
            raise ended_early()
        return Packets(*(column[: found[0]] for column in self._columns)) if heard == _found.pack(*found) else None

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
