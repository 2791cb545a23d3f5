"""Checksums of many segments at once are what adding up word by word gives, wherever in the buffer they stand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from lab.bulk import headers


@given(some.lists(some.tuples(some.integers(0, 9), some.binary(min_size=8, max_size=90)), max_size=6), some.booleans())
def test_sums_are_those_of_16_bit_words(parts: list[tuple[int, bytes]], high: bool) -> None:
    parts = [(gap, bytes(len(data)) if not gap else b"\xff" * len(data) if high else data) for gap, data in parts]
    buffer, starts = b"", []
    for gap, data in parts:
        starts.append(len(buffer) + gap)
        buffer += b"\xa5" * gap + data
    stops = [start + len(data) for start, (_, data) in zip(starts, parts, strict=True)]
    room = np.frombuffer(buffer + bytes(256), np.uint8)
    found = headers._sums(room, np.array(starts, np.int64), np.array(stops, np.int64))
    assert found.tolist() == [by_words(data) % 0xFFFF for _, data in parts]


def by_words(data: bytes) -> int:
    data += bytes(len(data) % 2)
    return sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
