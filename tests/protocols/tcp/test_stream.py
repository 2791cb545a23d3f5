"""Re-segmenting a stream must not change its bytes, and no byte forgets its frame."""

from __future__ import annotations

import random
import time
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.model import Span
from lab.protocols.tcp.stream import HELD_LIMIT, HELD_PIECES, Stream

WRAP = 1 << 32
AT = 54  # where a frame's payload begins


class Sent(NamedTuple):
    """A segment as it arrives: the stream's bytes from `start` on."""

    start: int
    data: bytes


first_bytes = st.one_of(st.integers(0, WRAP - 1), st.integers(WRAP - 300, WRAP - 1), st.integers(0, 10))


@st.composite
def segmentations(draw: st.DrawFn) -> tuple[bytes, list[Sent]]:
    """A stream and segments that cover it: cut anywhere, in any order, some twice, some overlapping."""
    stream = draw(st.binary(min_size=1, max_size=200))
    places = st.integers(0, len(stream))
    cuts = sorted({0, len(stream), *draw(st.lists(places, max_size=20))})
    spans = list(pairwise(cuts)) + draw(st.lists(st.tuples(places, places), max_size=10))
    ordered = draw(st.permutations(spans)) if draw(st.booleans()) else spans
    return stream, [Sent(min(span), stream[min(span) : max(span)]) for span in ordered]


@st.composite
def arrivals(draw: st.DrawFn) -> list[Sent]:
    """Segments with gaps between them and conflicting bytes in them."""
    segment = st.builds(Sent, st.integers(0, 60), st.binary(max_size=20))
    return draw(st.lists(segment, max_size=25))


def feed(stream: Stream, first: int, segments: list[Sent]) -> tuple[bytes, list[bytes]]:
    """Adds the segments; returns what the stream delivered, and the data of the frames that carried them."""
    frames = [b"\xee" * AT + sent.data + b"\xff\xff" for sent in segments]
    delivered = b""
    for number, sent in enumerate(segments):
        delivered += stream.add((first + sent.start) % WRAP, sent.data, number, AT)
        assert stream.expected == len(delivered)
    return delivered, frames


def read(spans: tuple[Span, ...], frames: list[bytes]) -> bytes:
    assert all(span.start < span.end for span in spans)
    return b"".join(frames[span.number][span.start : span.end] for span in spans)


class Slow:
    """The same in the plainest way: a table of bytes, filled by whoever comes first."""

    def __init__(self, segments: list[Sent]) -> None:
        self.bytes: dict[int, int] = {}
        self.conflicts = 0
        for sent in segments:
            for offset, byte in enumerate(sent.data, sent.start):
                self.conflicts += self.bytes.setdefault(offset, byte) != byte
        self.expected = next(offset for offset in range(len(self.bytes) + 1) if offset not in self.bytes)

    @property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        seen = sorted(offset for offset in self.bytes if offset > self.expected)
        edges = zip([self.expected - 1, *seen], seen, strict=False)
        return tuple((before + 1, after) for before, after in edges if after > before + 1)


@given(segmentations(), first_bytes)
def test_resegmenting_a_stream_changes_neither_its_bytes_nor_where_they_came_from(
    sent: tuple[bytes, list[Sent]], first: int
) -> None:
    content, segments = sent
    stream = Stream(first)
    delivered, frames = feed(stream, first, segments)
    assert delivered == content
    assert (stream.held, stream.gaps, stream.dropped, stream.ignored, stream.conflicts) == (0, (), 0, 0, 0)
    assert read(stream.spans(0, len(content)), frames) == content
    for offset in range(len(content)):
        assert read(stream.spans(offset, offset + 1), frames) == content[offset : offset + 1]


@given(arrivals(), first_bytes)
def test_the_first_copy_of_a_byte_wins_conflicts_are_counted_and_gaps_are_exact(
    segments: list[Sent], first: int
) -> None:
    stream, slow = Stream(first), Slow(segments)
    delivered, frames = feed(stream, first, segments)
    assert delivered == bytes(slow.bytes[offset] for offset in range(slow.expected))
    assert stream.gaps == slow.gaps
    assert stream.conflicts == slow.conflicts
    assert stream.held == len(slow.bytes) - slow.expected
    assert read(stream.spans(0, 100), frames) == bytes(slow.bytes[offset] for offset in sorted(slow.bytes))


@given(arrivals(), first_bytes)
def test_skipping_every_gap_delivers_all_that_was_seen(segments: list[Sent], first: int) -> None:
    stream, slow = Stream(first), Slow(segments)
    delivered, frames = feed(stream, first, segments)
    gaps = stream.gaps
    for _, end in gaps:
        behind = stream.skip_gap()
        assert stream.expected == end + len(behind)
        assert read(stream.spans(end, stream.expected), frames) == behind
        delivered += behind
    assert delivered == bytes(slow.bytes[offset] for offset in sorted(slow.bytes))
    assert (stream.gaps, stream.held, stream.skip_gap()) == ((), 0, b"")


@given(arrivals(), first_bytes, st.integers(0, 30))
def test_no_more_than_the_limit_is_held_and_what_finds_no_room_is_counted(
    segments: list[Sent], first: int, limit: int
) -> None:
    stream = Stream(first, limit)
    known: set[int] = set()
    for number, sent in enumerate(segments):
        new = set(range(sent.start, sent.start + len(sent.data))) - known
        dropped = stream.dropped
        stream.add((first + sent.start) % WRAP, sent.data, number, AT)
        assert stream.held <= limit
        known = {offset for offset in range(100) if stream.spans(offset, offset + 1)}
        assert stream.dropped - dropped == len(new - known)
        assert stream.held == sum(offset >= stream.expected for offset in known)


@given(segmentations(), first_bytes, st.data())
def test_forgetting_what_was_read_changes_nothing_that_follows(
    sent: tuple[bytes, list[Sent]], first: int, data: st.DataObject
) -> None:
    content, segments = sent
    stream = Stream(first)
    frames = [b"\xee" * AT + segment.data for segment in segments]
    delivered = b""
    for number, segment in enumerate(segments):
        delivered += stream.add((first + segment.start) % WRAP, segment.data, number, AT)
        before = data.draw(st.integers(0, len(content)))
        stream.forget(before)
        assert stream.forgotten >= min(before, stream.expected)
        assert stream.spans(0, stream.forgotten) == ()
        assert read(stream.spans(0, stream.expected), frames) == content[stream.forgotten : stream.expected]
    assert delivered == content
    assert stream.conflicts == 0


def test_what_goes_straight_to_the_reader_needs_no_room() -> None:
    stream = Stream(0, limit=3)
    assert stream.add(5, b"fgh", 1, AT) == b""
    assert stream.add(0, b"abcdefgh" + bytes(10), 2, AT) == b"abcdefgh" + bytes(10)
    assert stream.dropped == 0


def test_adjacent_pieces_of_a_frame_are_one_span() -> None:
    stream = Stream(0)
    stream.add(4, b"ef", 1, AT)
    assert stream.add(0, b"abcdefgh", 2, AT) == b"abcdefgh"
    assert stream.spans(0, 8) == (
        Span("frame", 2, AT, AT + 4), Span("frame", 1, AT, AT + 2), Span("frame", 2, AT + 6, AT + 8),
    )  # fmt: skip
    assert stream.spans(5, 7) == (Span("frame", 1, AT + 1, AT + 2), Span("frame", 2, AT + 6, AT + 7))
    stream.add(8, b"ij", 3, AT)
    stream.add(10, b"kl", 3, AT + 2)
    assert stream.spans(8, 12) == (Span("frame", 3, AT, AT + 4),)
    stream.add(12, b"mn", 3, AT + 9)
    assert stream.spans(11, 13) == (Span("frame", 3, AT + 3, AT + 4), Span("frame", 3, AT + 9, AT + 10))
    assert stream.spans(3, 3) == stream.spans(5, 5) == stream.spans(14, 20) == ()


def test_a_keep_alive_before_the_first_byte_is_ignored() -> None:
    stream = Stream(0)
    assert stream.add(WRAP - 1, b"\x00", 1, AT) == b""
    assert stream.add(WRAP - 2, b"\x00\x00a", 2, AT) == b"a"
    assert stream.ignored == 3
    assert stream.spans(0, 1) == (Span("frame", 2, AT + 2, AT + 3),)


def test_data_more_than_half_the_sequence_space_away_is_ignored() -> None:
    stream = Stream(7)
    assert stream.add((7 + (1 << 31)) % WRAP, b"far", 1, AT) == b""
    assert (stream.ignored, stream.held, stream.gaps) == (3, 0, ())


def test_what_comes_late_for_a_skipped_gap_is_ignored() -> None:
    stream = Stream(0)
    stream.add(3, b"def", 1, AT)
    assert stream.gaps == ((0, 3),)
    assert stream.skip_gap() == b"def"
    assert stream.add(0, b"abcdefg", 2, AT) == b"g"
    assert (stream.ignored, stream.conflicts) == (3, 0)
    assert stream.spans(0, 7) == (Span("frame", 1, AT, AT + 3), Span("frame", 2, AT + 6, AT + 7))


def test_an_empty_segment_changes_nothing() -> None:
    stream = Stream(5)
    stream.add(8, b"x", 1, AT)
    for seq in (5, 6, 8, 9, 100, 4):
        assert stream.add(seq, b"", 2, AT) == b""
    assert (stream.expected, stream.gaps, stream.ignored, stream.dropped) == (0, ((0, 3),), 0, 0)


def test_a_stream_may_be_larger_than_the_sequence_space() -> None:
    first, block = WRAP - 1000, bytes(1 << 26)
    stream = Stream(first)
    for number in range(70):  # 4.4 GiB; the block is the same object each time
        assert stream.add((first + stream.expected) % WRAP, block, number, AT) is block
        stream.forget(stream.expected)
    offset = 70 << 26
    assert offset > WRAP
    assert stream.expected == offset
    assert stream.add((first + offset + 3) % WRAP, b"def", 70, AT) == b""
    assert stream.gaps == ((offset, offset + 3),)
    assert stream.add((first + offset) % WRAP, b"abc", 71, AT) == b"abcdef"
    assert stream.spans(offset, offset + 6) == (Span("frame", 71, AT, AT + 3), Span("frame", 70, AT, AT + 3))


@pytest.mark.slow
def test_forty_thousand_tiny_segments_take_a_moment_in_any_order() -> None:
    size = 40_000
    shuffled = list(range(size))
    random.Random(1).shuffle(shuffled)
    backwards = list(range(size))[::-1]
    for order in (shuffled, backwards, [*backwards[::2], *backwards[1::2]]):  # the last: as many gaps as there can be
        stream, began = Stream(0), time.process_time()
        for number, offset in enumerate(order):
            stream.add(offset, b"x", number, AT)
            assert len(stream.spans(offset, offset + 1)) == 1
        assert stream.expected == size
        assert time.process_time() - began < 5  # half a second; where each looked at all others, minutes


def test_the_pieces_held_are_bounded_however_small_they_are() -> None:
    stream = Stream(0)
    for number in range(HELD_PIECES + 5):
        stream.add(2 * number + 1, b"x", number, AT)
    assert (stream.held, stream.dropped) == (HELD_PIECES, 5)
    assert stream.held < HELD_LIMIT
    assert len(stream.add(0, bytes(2 * HELD_PIECES), 0, AT)) == 2 * HELD_PIECES
    stream.add(2 * HELD_PIECES + 1, b"x", 0, AT)
    assert (stream.held, stream.dropped) == (1, 5)


def test_forgetting_each_message_in_turn_keeps_memory_small() -> None:
    stream = Stream(0)
    for number in range(10_000):
        stream.add(number * 10, b"0123456789", number, AT)
        stream.forget(number * 10 - 35)
    assert len(stream._pieces) < 12
