"""Columns that are asked for one number at a time: a view of an array gives it three times as fast as the array."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lab.bulk.headers import Packets
from lab.bulk.prediction import Predicted
from lab.bulk.scan import Array


class Single(NamedTuple):
    """What is told of segments, conversation by conversation (`headers.py` and `prediction.py` say what it is)."""

    place: memoryview  # in the file
    number: memoryview
    offset: memoryview
    payload: memoryview
    start: memoryview
    problem: memoryview
    seq_raw: memoryview
    ack_raw: memoryview
    window: memoryview
    stamp: memoryview
    conversation: memoryview
    back: memoryview
    seq: memoryview
    ack: memoryview
    reach: memoryview
    before: memoryview
    theirs: memoryview
    kind: memoryview


def single(places: Array, found: Predicted) -> Single:
    """Returns views of segments whose places are these."""
    it = found.segments
    columns = (
        places, it.number, it.offset, it.payload, it.start, it.problem, it.seq, it.ack, it.window, it.stamp,
        found.conversation, found.back, found.seq, found.ack, found.reach, found.before, found.theirs, found.kind,
    )  # fmt: skip
    return Single(*(each.data for each in columns))


def rows(of: Packets, names: tuple[str, ...]) -> memoryview:
    """Returns some columns row by row, to be unpacked with `struct`: eight bytes each."""
    return np.stack([getattr(of, name) for name in names], axis=1, dtype=np.int64).data


class Some:
    """Some of the segments, to be asked for those in a stretch, from `at` to before `end`."""

    __slots__ = ("_before", "_place", "_places")

    def __init__(self, which: Array) -> None:
        self._places = np.flatnonzero(which).astype(np.int32)
        self._place = self._places.data
        before = np.zeros(len(which) + 1, np.int32)
        np.cumsum(which, out=before[1:])
        self._before = before.data  # how many of them stand in front of each segment

    def among(self, at: int, end: int) -> Array:
        """Returns the places of those in a stretch."""
        return self._places[self._before[at] : self._before[end]]

    def first(self, at: int, end: int) -> int:
        """Returns the place of the first of them, -1 where there is none."""
        index = self._before[at]
        return self._place[index] if index < self._before[end] else -1

    def last(self, at: int, end: int) -> int:
        """Returns the place of the last of them, -1 where there is none."""
        index = self._before[end]
        return self._place[index - 1] if index > self._before[at] else -1
