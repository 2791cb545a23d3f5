"""Neither end of the pipe between two processes waits for the other while it has work of its own, or room."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from itertools import chain

import pytest

from lab.bulk import pipe


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    both = pipe.opened()
    yield both
    for end in both:
        with contextlib.suppress(OSError):
            os.close(end)


def test_what_finds_no_room_in_the_pipe_waits_and_comes_in_order(ends: tuple[int, int]) -> None:
    reading, writing = ends
    out = pipe.Outlet(writing)
    rows = [f"row {number} … {'x' * (number % 7000)}" for number in range(2000)]  # more than a pipe takes
    for row in rows:
        out.write(row + "\n")  # nobody reads
    closing = threading.Thread(target=out.close)
    closing.start()
    assert list(chain.from_iterable(pipe.lines(reading, bool))) == rows
    closing.join()


def test_what_waits_is_bounded(ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = ends
    monkeypatch.setattr(pipe, "_MOST", 100_000)
    out, most, waits = pipe.Outlet(writing), 0, threading.Event()

    def work() -> None:
        nonlocal most
        for _ in range(5000):  # five times what the pipe takes
            out.write("x" * 999 + "\n")
            if out._size:
                most = max(most, out._size)
                waits.set()
        out.close()

    working = threading.Thread(target=work)
    working.start()
    assert waits.wait(30)  # nobody reads before
    assert sum(len(line) + 1 for some in pipe.lines(reading, bool) for line in some) == 5_000_000
    working.join()
    assert 0 < most <= 100_000


def test_while_nothing_comes_own_rows_are_made(ends: tuple[int, int]) -> None:
    reading, writing = ends
    ahead = pipe.Ahead(([str(number)] for number in range(300)), pipe.characters)
    asked = 0

    def meanwhile() -> bool:
        nonlocal asked
        asked += 1
        if asked == 3:
            os.write(writing, "of theirs, 解\nand more".encode())
        if asked == 5:
            os.write(writing, b" of it\n")
            os.close(writing)
        return ahead.make()

    assert list(pipe.lines(reading, meanwhile)) == [["of theirs, 解"], ["and more of it"]]
    assert asked == 5
    assert list(ahead) == [[str(number)] for number in range(300)]


def test_own_rows_are_not_made_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "_MOST", 1000)
    ahead = pipe.Ahead((["x" * 10] * 50 for _ in range(20)), pipe.characters)
    count = 0
    while ahead.make():
        count += 1
    assert count < 5
    assert len(list(ahead)) == 20
