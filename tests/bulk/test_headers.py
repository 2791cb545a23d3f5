"""Checksums of many segments at once are what adding up word by word gives, wherever in the buffer they stand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from lab.bulk import headers
from lab.protocols.registry import TRANSPORT, UPPERS


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


SSL2 = bytes.fromhex("802e010002001500000010") + bytes(37)  # a ClientHello as SSL 2.0 wrote it
FIRSTS = sorted(
    {0, 0x7F, 0xFF}.union(*(upper.first for upper in UPPERS), *(each.first for each in TRANSPORT.preambles))
)


@given(some.sampled_from(FIRSTS), some.binary(max_size=20) | some.sampled_from([SSL2[1:at] for at in range(1, 48)]))
def test_what_may_begin_a_protocol_is_never_ruled_out_by_its_first_bytes(first: int, rest: bytes) -> None:
    data = bytes([first]) + rest
    if headers.begins(data):
        assert headers.FIRST[first]
        assert len(data) < 3 or headers._THIRD[first, data[2]]


def test_bytes_that_begin_nothing_are_told_by_the_third_of_them() -> None:
    assert headers.begins(SSL2)
    assert headers._THIRD[0x80].tolist() == [byte == SSL2[2] for byte in range(256)]
    assert headers._THIRD[0x16].all()
