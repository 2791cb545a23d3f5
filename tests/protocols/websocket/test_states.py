"""A WebSocket connection is closed when its TCP connection is, end by end, and not before (RFC 6455 section 7.1.4)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from lab.engine.record import Record
from lab.model import Role
from lab.protocols.websocket import report
from tests.packets import ladder, prompt, replay
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


def seen(records: Iterable[Record]) -> list[str]:
    """Returns the states of client and server at both instants, of each packet that has some."""
    found = []
    for record in records:
        for _, held, delivered in record.above:
            words = [" ".join(f"{state}" for state in states) if states else "lost" for states in (held, delivered)]
            found.append(" > ".join(words))
    return found


@pytest.mark.parametrize("what", UNTIL)
def test_an_end_is_closed_when_its_tcp_is_whatever_went_before(what: str) -> None:
    flights, client, server = UNTIL[what]
    frames = ladder(*lines(flights))  # closed in three segments, by the client first
    told = replay(prompt(frames)).records
    assert seen(told)[-3:] == [
        f"{client} {server} > {client} {server}",
        f"{client} {server} > CLOSED {server}",  # TIME-WAIT
        f"CLOSED {server} > CLOSED CLOSED",
    ]
    assert seen(walk(frames).records) == seen(told)


def test_a_reset_closes_its_sender_at_once_and_its_receiver_when_it_arrives() -> None:
    frames = ladder(*lines([*OPENING, *CLOSES], close=False), f"s> RST {S}")
    expected = ["CLOSING CLOSED > CLOSED CLOSED", "CLOSING CLOSED > lost"]
    assert seen(replay(prompt(frames)).records)[-1] == expected[0]
    assert seen(walk(frames).records)[-1] == expected[0]
    assert seen(replay(prompt(frames, [len(frames)])).records)[-1] == expected[1]


def test_while_the_last_ack_is_missing_one_end_is_still_closing() -> None:
    frames = ladder(*lines([*OPENING, *CLOSES]))
    assert seen(replay(prompt(frames, [len(frames)])).records)[-1] == "CLOSED CLOSING > lost"
    again = ladder(*lines([*OPENING, *CLOSES]), f"s> FIN {S} {C + 1}", f"c> ACK {C + 1} {S + 1}")
    for records in (replay(prompt(again, [len(frames)])).records, walk(again).records):
        assert seen(records)[-3:] == [
            "CLOSED CLOSING > lost",
            "CLOSED CLOSING > CLOSED CLOSING",
            "CLOSED CLOSING > CLOSED CLOSED",
        ]


def test_before_tcp_begins_to_close_only_what_is_said_has_states() -> None:
    records = walk(ladder(*lines([*OPENING, *CLOSES]))).records
    assert [bool(record.above) for record in records] == [
        bool(record.messages) or record.number > 11 for record in records
    ]


def test_what_could_not_be_read_is_not_said_to_be_missing() -> None:
    said = lines([*OPENING, ("client", frame(1, b"hello", b"mask")), ("server", frame(1, b"hello")), *CLOSES])
    for gone, steps in ((6, ["bytes-missing", None, None]), (8, [None] * 3), (12, [None, None, "bytes-missing"])):
        records = ladder(*said[: gone - 1], *said[gone:])
        found = report.steps(walk(records).above)
        assert [each.code for each in found[1:]] == steps, said[gone - 1]


def test_one_ack_of_a_burst_brings_each_message_in_its_own_packet() -> None:
    """A response, a Close and the FIN before anything is acknowledged: the Close is not got with what is before it."""
    text, close = frame(1, b"hello"), frame(8, DONE)
    at = 1 + len(ANSWER)
    burst = [
        f's> data {at} {1 + len(ASKED)} x"{text.hex(" ")}"',
        f's> data {at + len(text)} {1 + len(ASKED)} x"{close.hex(" ")}"',
        f"s> FIN {at + len(text + close)} {1 + len(ASKED)}",
        f"c> ACK {1 + len(ASKED)} {at + len(text + close) + 1}",
    ]
    above = [record.above[0] for record in walk(ladder(*lines(OPENING, close=False), *burst)).records[-4:-1]]
    assert [each.delivered and each.delivered.client for each in above] == ["OPEN", "CLOSING", "CLOSING"]
    assert [each.held.client for each in above] == ["OPEN"] * 3  # nothing shows earlier that it has any of it


def test_who_has_sent_its_close_still_answers_a_ping() -> None:
    """RFC 6455 section 5.5.2: until it has got a Close. Only data frames are forbidden (section 5.5.1)."""
    between: list[tuple[Role, bytes]] = [("server", frame(9, b"there?")), ("client", frame(10, b"there?", b"mask"))]
    walked = walk(ladder(*lines([*OPENING, CLOSES[0], *between, CLOSES[1]])))
    names = [each.said.name for record in walked.records for each in record.messages]
    assert names[2:] == ["close", "ping", "pong", "close"]
    assert not walked.above.session.bad
    assert not walked.surprises
