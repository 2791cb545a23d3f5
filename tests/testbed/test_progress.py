"""How far both sides have come: what a script waits for, told by what was sent and what has arrived."""

from __future__ import annotations

from lab.protocols.transport import Segment, segment
from lab.testbed.progress import Progress
from tests.packets import ladder

OPEN = ("c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1")
TALK = ("c> data 1 1 5", "s> ACK 1 6")


def reached(*lines: str) -> Progress:
    """Returns how far they have come when each of these segments has been sent and has arrived."""
    found = Progress()
    for line, frame in zip(lines, ladder(*lines), strict=True):
        tcp = segment(frame)
        assert isinstance(tcp, Segment)
        sender, receiver = ("client", "server") if line.startswith("c") else ("server", "client")
        found.sent(sender, tcp)  # type: ignore[arg-type]  # mypy widens the literals
        found.got(receiver, tcp)  # type: ignore[arg-type]  # as above
    return found


def test_what_was_sent_is_acknowledged_when_the_number_behind_it_has_come_back() -> None:
    assert not reached(*OPEN, TALK[0]).acknowledged("client")
    assert reached(*OPEN, *TALK).acknowledged("client")


def test_a_reset_takes_no_number_that_anybody_would_acknowledge() -> None:
    assert reached(*OPEN, *TALK, "c> RST 1000").acknowledged("client")


def test_what_was_acknowledged_on_one_connection_says_nothing_of_the_next() -> None:
    again = "c> SYN 3000000000"  # from there the last number acknowledged looks as if it lay ahead
    assert not reached(*OPEN, *TALK, again).acknowledged("client")
    assert reached(*OPEN, *TALK, again, "s> SYN-ACK 9 3000000001").acknowledged("client")
