"""A body of an answer is passed over to its last byte, whichever way its length is told and wherever it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.protocols.websocket.body import Body

CHUNKED = b"5;x=y\r\nwrong\r\n1\r\n!\r\n10 \r\n" + bytes(16) + b"\r\n0\r\nDigest: a\r\nExpires: b\r\n\r\n"


def passed(body: Body, data: bytes, step: int) -> tuple[int, bytes | None]:
    """Feeds it piece by piece; returns how many bytes it took, and what it gave back of the last piece."""
    for at in range(0, len(data), step):
        rest = body.feed(data[at : at + step])
        if rest is not None:
            return min(at + step, len(data)) - len(rest), rest
    return len(data), None


@given(st.integers(1, 60))
def test_chunks_end_where_they_say(step: int) -> None:
    size, rest = passed(Body(None, True), CHUNKED + b"HTTP/1.1 101", step)
    assert size == len(CHUNKED)
    assert rest is not None


@given(st.integers(1, 9), st.integers(0, 9))
def test_a_length_is_a_length(step: int, size: int) -> None:
    assert passed(Body(size, False), bytes(size) + b"next", step)[0] == size


def test_without_one_the_connection_ends_it() -> None:
    body = Body(None, False)
    assert body.endless
    assert body.feed(CHUNKED * 100) is None


@pytest.mark.parametrize("data", [
    b"x\r\n", b"\r\n", b"-1\r\n", b"1\r\nab\r\n", b"5" * 17 + b"\r\n", b"1" + b" " * 5000, b"0\r\n" + b"a" * 5000,
    b"0x1\r\n",
])  # fmt: skip
@pytest.mark.parametrize("step", [1, 7, 9000])
def test_what_is_no_chunk_is_a_problem_and_holds_no_memory(data: bytes, step: int) -> None:
    body = Body(None, True)
    assert passed(body, data + bytes(5000), step)[1] is None
    assert body.problem
    assert len(body._line or b"") < 5000
