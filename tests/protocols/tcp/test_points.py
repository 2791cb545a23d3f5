"""A RST has its sentence: who resets, and as far as the evidence goes, why."""

from __future__ import annotations

import pytest

from lab.model import Captured, Delivered, Kernels, Moved, Settled, Socket, WireEvent
from lab.report.packets import packet
from tests.packets import CAPTURES, CLOSE, OPEN, TALK, ladder, replay, walk

ABORTS = "The client aborts the connection: RST instead of FIN, at once and without an answer"

AFTER_BOTH = (
    "RST of the client after both ends' FINs: neither had anything more to say, and what is left of the connection "
    "ends at once"
)
ANSWERS = (
    "RST of the {}, with the number that the {} last acknowledged: so one answers a segment for which there is no "
    "connection, none open yet, or no program any more"
)
DROPPED = (
    "RST of the server without ACK: it does not acknowledge the SYN, so the client in SYN-SENT drops it (RFC 9293 "
    "section 3.10.7.3)"
)


def last(*lines: str) -> list[str]:
    """Returns what is pointed out in the last packet; nothing is in those before."""
    *before, found = walk(ladder(*lines)).packets
    assert not any(each.points for each in before)
    assert all(text.zh for text in found.points)
    return [text.en for text in found.points]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (CAPTURES["refused"], "The server refuses the connection: RST in answer to the SYN"),
        (("c> SYN 0 5", "s> RST-ACK 0 6"), "The server refuses the connection: RST in answer to the SYN"),
        (("c> SYN 0", "s> RST 1"), DROPPED),
        (("c> SYN 0", "s> RST-ACK 0 500"), DROPPED.replace(" without ACK", "")),
        (CAPTURES["reset"], ABORTS),
        ((*OPEN, *TALK, "s> RST-ACK 15 15"), ABORTS.replace("client", "server")),
        (
            CAPTURES["reset by the server"],
            ANSWERS.format("server", "client"),
        ),
        (
            CAPTURES["reset of a half-open connection"],
            ANSWERS.format("client", "server"),
        ),
        (
            (*OPEN, *TALK, *CLOSE, "c> RST-ACK 16 16"),
            AFTER_BOTH,
        ),
        (
            (*OPEN, "c> FIN 1 1", "s> ACK 1 2", "c> RST-ACK 2 1"),
            "The client aborts the connection after its own FIN: RST, at once and without an answer",
        ),
        (
            (*OPEN, "s> FIN 1 1", "c> ACK 1 2", "c> RST-ACK 1 2"),  # not after its own
            ABORTS,
        ),
        ((*OPEN, "c> RST 5000"), "RST of the client: the connection is to end at once, without an answer"),
    ],
)
def test_a_reset_has_its_sentence(lines: tuple[str, ...], said: str) -> None:
    assert last(*lines) == [said]


@pytest.mark.parametrize("counter", ["TcpExt TCPAbortOnClose", "TcpExt TCPAbortOnData"])
def test_a_kernel_that_was_asked_says_why(counter: str) -> None:
    frames = ladder(*OPEN, "c> RST-ACK 1 1")
    events: list[WireEvent] = []
    for frame in frames:
        moved = (Moved("client", counter, 1), Moved("server", "TcpExt TCPAbortOnMemory", 1))
        kernels = Kernels(Socket(None), Socket(None), moved if frame.number == 4 else ())
        order = len(events)
        events += [Captured(frame, order, kernels), Delivered(frame.number, order + 1)]
        events.append(Settled(frame.number, order + 2, kernels._replace(moved=())))
    why = {"TcpExt TCPAbortOnClose": "with data unread", "TcpExt TCPAbortOnData": "(SO_LINGER 0)"}[counter]
    (said,) = replay(events).packets[-1].points
    assert said.en.startswith(f"{ABORTS}; its program closed")
    assert said.en.endswith(why)


def test_of_a_forged_reset_nobody_is_said_to_send_it() -> None:
    frames = ladder(*OPEN, "c> RST 1")
    events: list[WireEvent] = []
    for frame in frames:
        order = len(events)
        events += [Captured(frame, order, None, frame.number == 4), Delivered(frame.number, order + 1)]
        events.append(Settled(frame.number, order + 2, None))
    assert replay(events).packets[-1].points == ()


def test_a_packet_can_be_told_when_its_conversation_has_been_let_go_of() -> None:
    walked = walk(ladder(*OPEN, "c> RST 1"))
    records = walked.records
    before = [packet(record, words=True, fields=True) for record in records]
    for end in walked.only.ends:
        del end.peer
    assert [packet(record, words=True, fields=True) for record in records] == before


@pytest.mark.parametrize("end", ["TIME-WAIT", "ESTABLISHED"])
def test_what_answers_a_syn_says_in_which_state_the_old_connection_is(end: str) -> None:
    lines: tuple[str, ...] = (*OPEN, "c> SYN 9000", "s> ACK 1 1", "c> RST 1", "c> SYN 9000")
    if end == "TIME-WAIT":
        lines = (
            *OPEN,
            "s> FIN 1 1",
            "c> FIN 1 2",
            "s> ACK 2 2",
            "c> SYN 9000",
            "s> ACK 2 2",
            "c> RST 2",
            "c> SYN 9000",
        )
    walked = walk(ladder(*lines))
    answer = walked.packets[len(lines) - 3]
    third = walk(ladder(*lines, "s> SYN-ACK 7000 9001", "c> RST 9001", "c> SYN 20000", "s> SYN-ACK 17000 20001"))
    assert third.packets[len(lines) - 3].points == answer.points, "whatever comes on these ports later"
    assert answer.held is not None
    assert answer.held.server == end
    (said,) = answer.points
    (departure,) = (each.differs.text for each in walked.reports[1].steps if each.id == "tcp.open.1" and each.differs)
    for text in (said, departure):
        for told in (text.en, text.zh):
            assert ("TIME-WAIT" in told) == (end == "TIME-WAIT")
        assert ("still open" in text.en or "still had" in text.en) == (end == "ESTABLISHED")
