"""A WebSocket connection is closed when its TCP connection is, end by end, and not before (RFC 6455 section 7.1.4)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from lab.engine.path import Path
from lab.engine.record import Record
from lab.model import Role
from lab.protocols.websocket import report
from tests.packets import ladder, prompt
from tests.protocols.tls.captures import lines, walk
from tests.protocols.websocket.talks import frame
from tests.protocols.websocket.test_http import ANSWER, ASKED

DONE = b"\x03\xe8"
OPENING: list[tuple[Role, bytes]] = [("client", ASKED), ("server", ANSWER)]
CLOSES: list[tuple[Role, bytes]] = [("client", frame(8, DONE, b"mask")), ("server", frame(8, DONE))]
UNTIL = {
    "request": (OPENING[:1], "CONNECTING", "CONNECTING"),
    "answer": (OPENING, "OPEN", "OPEN"),
    "close": ([*OPENING, *CLOSES], "CLOSING", "CLOSING"),
}
C, S = (1 + sum(len(data) for sender, data in [*OPENING, *CLOSES] if sender == role) for role in ("client", "server"))


def seen(rungs: Iterable[Record]) -> list[str]:
    """Returns the states of client and server at both instants, of each packet that has some."""
    found = []
    for rung in rungs:
        for _, held, delivered in rung.above:
            words = [" ".join(f"{state}" for state in states) if states else "lost" for states in (held, delivered)]
            found.append(" > ".join(words))
    return found


@pytest.mark.parametrize("what", UNTIL)
def test_an_end_is_closed_when_its_tcp_is_whatever_went_before(what: str) -> None:
    flights, client, server = UNTIL[what]
    path = Path()
    frames = ladder(*lines(flights))  # closed in three segments, by the client first
    told = list(path.replay(prompt(frames)))
    assert seen(told)[-3:] == [
        f"{client} {server} > {client} {server}",
        f"{client} {server} > CLOSED {server}",  # TIME-WAIT
        f"CLOSED {server} > CLOSED CLOSED",
    ]
    assert seen(walk(frames).rungs) == seen(told)


def test_a_reset_closes_its_sender_at_once_and_its_receiver_when_it_arrives() -> None:
    frames = ladder(*lines([*OPENING, *CLOSES], close=False), f"s> RST {S}")
    expected = ["CLOSING CLOSED > CLOSED CLOSED", "CLOSING CLOSED > lost"]
    assert seen(Path().replay(prompt(frames)))[-1] == expected[0]
    assert seen(walk(frames).rungs)[-1] == expected[0]
    assert seen(Path().replay(prompt(frames, [len(frames)])))[-1] == expected[1]


def test_while_the_last_ack_is_missing_one_end_is_still_closing() -> None:
    frames = ladder(*lines([*OPENING, *CLOSES]))
    assert seen(Path().replay(prompt(frames, [len(frames)])))[-1] == "CLOSED CLOSING > lost"
    again = ladder(*lines([*OPENING, *CLOSES]), f"s> FIN {S} {C + 1}", f"c> ACK {C + 1} {S + 1}")
    for rungs in (Path().replay(prompt(again, [len(frames)])), walk(again).rungs):
        assert seen(rungs)[-3:] == [
            "CLOSED CLOSING > lost",
            "CLOSED CLOSING > CLOSED CLOSING",
            "CLOSED CLOSING > CLOSED CLOSED",
        ]


def test_before_tcp_begins_to_close_only_what_is_said_has_states() -> None:
    rungs = walk(ladder(*lines([*OPENING, *CLOSES]))).rungs
    assert [bool(rung.above) for rung in rungs] == [bool(rung.messages) or rung.number > 11 for rung in rungs]


def test_what_could_not_be_read_is_not_said_to_be_missing() -> None:
    said = lines([*OPENING, ("client", frame(1, b"hello", b"mask")), ("server", frame(1, b"hello")), *CLOSES])
    for gone, steps in ((6, ["bytes-missing"] * 3), (8, [None, None, "bytes-missing"])):
        rungs = ladder(*said[: gone - 1], *said[gone:])
        found = report.steps(walk(rungs).above)
        assert [code for _, _, code in found[1:]] == steps, said[gone - 1]
