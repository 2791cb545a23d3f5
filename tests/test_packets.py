"""The scripts that tests are written in: what one expects and does not get fails, and is shown beside what it got."""

from __future__ import annotations

import pytest

from tests.packets import OPEN, follow


def test_what_is_expected_and_comes_passes_and_is_handed_over() -> None:
    walked = follow("c> SYN 0 ; SYN-SENT > SYN-RECEIVED open.1", *OPEN[1:])
    assert [record.got for record in walked.records] == [True] * 3


@pytest.mark.parametrize(
    "expected", ["SYN-SENT > LISTEN open.1", "SYN-SENT > SYN-RECEIVED", "SYN-SENT > SYN-RECEIVED open.1 open.2", "lost"]
)
def test_what_is_expected_otherwise_fails_and_says_what_came(expected: str) -> None:
    with pytest.raises(AssertionError, match=r"c> SYN 0 ; SYN-SENT > SYN-RECEIVED open\.1"):
        follow(f"c> SYN 0 ; {expected}", *OPEN[1:])


def test_what_the_wire_dropped_is_lost_however_it_is_acknowledged() -> None:
    follow(*OPEN, "c>| data 1 1 5 ; ESTABLISHED > lost", "s> ACK 1 6 ; ESTABLISHED < ESTABLISHED")
    follow(*OPEN, "c> data 1 1 5 ; ESTABLISHED > ESTABLISHED", "s> ACK 1 6 ; ESTABLISHED < ESTABLISHED")
