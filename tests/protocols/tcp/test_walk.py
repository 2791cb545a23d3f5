"""Both ends walk the table: sent moves the sender, got moves the receiver when it has arrived, a lost packet nobody.

A line of the notation is a packet and, after `;`, what must be said. `c> FIN 1 1 ; FIN-WAIT-1 > CLOSE-WAIT close.1`
is a FIN of the client, seq 1 and ack 1: when sent it leaves the client in FIN-WAIT-1, when it has arrived the server in
CLOSE-WAIT, and it is step close.1. The client's state always stands left; `<` is a packet of the server. The packet of
`c>|` is lost. `OPEN` is the three of an opening, `TALK` some data after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

import pytest

from lab.engine.record import Record
from lab.engine.table import Row, Table
from lab.engine.walk import Walk
from lab.model import Role, States, Surprise
from lab.protocols.registry import TRANSPORT
from lab.protocols.tcp.conversation import Conversation
from lab.protocols.tcp.conversations import Conversations
from lab.protocols.tcp.segment import segment
from tests.packets import OPEN, TALK, follow, ladder, prompt, replay, walk

# The walk itself, with an invented protocol: asking and answering.


class Where(StrEnum):
    IDLE, ASKING, ASKED = "IDLE", "ASKING", "ASKED"


class What(StrEnum):
    SENT, GOT = "sent question", "got question"


TOY = Table(
    "toy",
    Where,
    What,
    [
        Row("IDLE", "sent question", "ASKING", "toy.talk.1/2", "1"),
        Row("IDLE", "got question", "ASKED", None, "1"),
        Row("ASKED", "sent question", "ASKING", "toy.talk.1/2", "1"),
        Row("ASKING", "got question", "ASKED", "toy.talk.3", "1"),
    ],
    {"client": "IDLE", "server": "IDLE"},
)


def toy(*sent: str, known: bool = True) -> tuple[Walk, list[Record], Conversation]:
    """Returns a walk over the toy's table, and three packets, each of which is the events `sent` to both ends."""
    conversations = Conversations()
    frames = ladder("c> data 1 1 1", "s> data 1 2 1", "c> data 2 2 1")
    records = [conversations.place(frame, segment(frame)) for frame in frames]
    (conversation,) = conversations.followed.values()
    conversation.packets = 1  # as when the first of them is sent

    def begin(which: Conversation, listening: Sequence[int] | None) -> States | None:
        assert listening is None  # no journal tells
        return States("IDLE", "IDLE") if known and which.client.state is None else None

    def events(direction: str) -> Iterable[str]:
        return [f"{direction} {event}" for event in sent]

    tables: dict[Role, Table] = {"client": TOY, "server": TOY}
    named = TRANSPORT.replace(name="toy", tables=tables)
    protocol = named.replace(begin=begin, sent=lambda _: events("sent"), got=lambda _: events("got"))
    return Walk(protocol), records, conversation


def test_sending_moves_the_sender_and_nobody_else() -> None:
    walked, (record, *_), conversation = toy("question")
    walked.sent(record)
    assert conversation.states == record.held == States("ASKING", "IDLE")
    assert record.delivered is None


def test_arriving_moves_the_receiver_and_nobody_else() -> None:
    walked, (record, *_), conversation = toy("question")
    walked.sent(record)
    record.by = "inferred"
    walked.got(record)
    walked.settle(record)
    assert conversation.states == record.delivered == States("ASKING", "ASKED")
    assert record.held == States("ASKING", "IDLE")


def test_what_never_arrives_moves_no_receiver() -> None:
    walked, (record, *_), conversation = toy("question")
    walked.sent(record)
    walked.settle(record)
    assert conversation.states == States("ASKING", "IDLE")
    assert record.delivered is None


def test_who_has_answered_a_syn_unseen_does_not_answer_it_once_more() -> None:
    walked = walk(ladder("c> SYN 0", "c> ACK 1 1", "c> data 1 1 5", "s> ACK 1 6"))
    assert [record.steps for record in walked.records] == [("tcp.open.1",), ("tcp.open.3", "tcp.open.4"), (), ()]


def test_an_event_without_a_row_is_recorded_and_moves_nothing() -> None:
    walked, (record, *_), conversation = toy("nonsense")
    walked.sent(record)
    walked.got(record)
    assert conversation.states == States("IDLE", "IDLE")
    assert record.surprises == (Surprise("client", "IDLE", "sent nonsense"), Surprise("server", "IDLE", "got nonsense"))
    assert record.steps == ()


def test_a_step_is_1_for_the_end_that_began_the_phase_and_2_for_the_other() -> None:
    walked, (first, second, _), _ = toy("question")
    walked.sent(first)
    walked.got(first)
    walked.sent(second)
    assert (first.steps, second.steps) == (("toy.talk.1",), ("toy.talk.2",))
    walked.got(second)
    assert second.steps == ("toy.talk.2", "toy.talk.3")


def test_of_an_end_whose_state_nobody_knows_the_likeliest_row_is_assumed_and_that_is_said() -> None:
    walked, (record, *_), conversation = toy("question", known=False)
    walked.sent(record)
    assert record.held == States("ASKING", None)
    assert set(record.assumed) == set(conversation.assumed) == {"client"}
    walked.got(record)
    assert conversation.states == States("ASKING", "ASKED")
    assert set(conversation.assumed) == {"client", "server"}


def test_a_packet_of_no_conversation_walks_nowhere() -> None:
    walked, _, conversation = toy("question")
    stray = Record(ladder("c> SYN 0")[0], ("not-tcp",))
    walked.sent(stray)
    walked.got(stray)
    walked.settle(stray)
    assert (stray.held, stray.delivered, stray.steps) == (None, None, ())
    assert conversation.states == States(None, None)


# TCP, as the notes tell it.


def test_the_whole_connection_of_the_notes() -> None:
    follow(
        "c> SYN 0           ; SYN-SENT > SYN-RECEIVED open.1",
        "s> SYN-ACK 0 1     ; ESTABLISHED < SYN-RECEIVED open.2",
        "c> ACK 1 1         ; ESTABLISHED > ESTABLISHED open.3 open.4",
        "c> data 1 1 14     ; ESTABLISHED > ESTABLISHED",
        "s> ACK 1 15        ; ESTABLISHED < ESTABLISHED",
        "s> data 1 15 14    ; ESTABLISHED < ESTABLISHED",
        "c> ACK 15 15       ; ESTABLISHED > ESTABLISHED",
        "c> FIN 15 15       ; FIN-WAIT-1 > CLOSE-WAIT close.1",
        "s> ACK 15 16       ; FIN-WAIT-2 < CLOSE-WAIT close.2",
        "s> FIN 15 16       ; TIME-WAIT < LAST-ACK close.3",
        "c> ACK 16 16       ; TIME-WAIT > CLOSED close.4",
    )


def test_the_three_segment_close_merges_two_steps_and_skips_fin_wait_2() -> None:
    follow(
        *OPEN,
        "c> FIN 1 1         ; FIN-WAIT-1 > CLOSE-WAIT close.1",
        "s> FIN 1 2         ; TIME-WAIT < LAST-ACK close.2 close.3",
        "c> ACK 2 2         ; TIME-WAIT > CLOSED close.4",
    )


def test_whoever_closes_first_takes_steps_1_and_4() -> None:
    follow(
        *OPEN,
        "s> FIN 1 1         ; CLOSE-WAIT < FIN-WAIT-1 close.1",
        "c> ACK 1 2         ; CLOSE-WAIT > FIN-WAIT-2 close.2",
        "c> FIN 1 2         ; LAST-ACK > TIME-WAIT close.3",
        "s> ACK 2 2         ; CLOSED < TIME-WAIT close.4",
    )


CROSSED = (
    *OPEN,
    "c> FIN 1 1         ; FIN-WAIT-1 > CLOSING close.1",
    "s> FIN 1 1         ; CLOSING < FIN-WAIT-1 close.3",
)


def test_two_fins_that_cross_lead_both_ends_through_closing() -> None:
    follow(*CROSSED, "s> ACK 2 2 ; TIME-WAIT < CLOSING close.2", "c> ACK 2 2 ; CLOSING > TIME-WAIT close.4")


def test_the_end_that_did_not_close_first_takes_step_2_even_in_time_wait() -> None:
    follow(
        *CROSSED,
        "s> ACK 2 2         ; ? < CLOSING close.2",
        "c> ACK 2 2         ; CLOSING > TIME-WAIT close.4",
        "c> FIN 1 2         ; CLOSING > TIME-WAIT close.1",
        "s> ACK 2 2         ; TIME-WAIT < TIME-WAIT close.2",
    )


def test_a_fin_may_be_the_openings_acknowledgement() -> None:
    """Its steps stand in the order of the notes."""
    follow(*OPEN[:2], "c> FIN 1 1 ; FIN-WAIT-1 > CLOSE-WAIT open.3 open.4 close.1", "s> FIN 1 2", "c> ACK 2 2")


def test_a_fin_that_is_got_ahead_of_missing_data_counts_when_the_data_has_come() -> None:
    follow(
        *OPEN,
        "c>| data 1 1 10    ; ESTABLISHED > lost",
        "c> FIN 11 1        ; FIN-WAIT-1 > ESTABLISHED close.1",
        "c> data 1 1 10     ; FIN-WAIT-1 > CLOSE-WAIT",
        "s> ACK 1 12        ; FIN-WAIT-2 < CLOSE-WAIT close.2",
    )


# RFC 9293 section 3.10.7 and RFC 5961: which resets count.


def test_a_reset_in_answer_to_the_syn_refuses_the_connection() -> None:
    follow("c> SYN 0 ; SYN-SENT > CLOSED open.1", "s> RST-ACK 0 1 ; CLOSED < CLOSED")


@pytest.mark.parametrize("stray", ["s> RST 0", "s> RST-ACK 0 0", "s> RST-ACK 0 5000"])
def test_in_syn_sent_a_reset_that_does_not_acknowledge_the_syn_is_dropped(stray: str) -> None:
    """RFC 9293 section 3.10.7.3: the ACK is acceptable where ISS < SEG.ACK =< SND.NXT; else drop the segment."""
    walked = replay(prompt(ladder("c> SYN 0", stray), dropped=(1,)))
    assert walked.only.states.client == "SYN-SENT"


@pytest.mark.parametrize("stray", ["s> RST 5000", "s> RST 0", "s> RST-ACK 2 1"])
def test_a_reset_that_is_not_exactly_the_next_in_order_is_not_believed(stray: str) -> None:
    assert walk(ladder(*OPEN, stray, "c> ACK 1 1")).only.states.client == "ESTABLISHED"
    assert walk(ladder(*OPEN, "s> RST 1", "c> ACK 1 1")).only.states.client == "CLOSED"


def test_a_reset_before_the_opening_is_through_leads_a_listener_back_to_listen() -> None:
    walked = walk(ladder("c> SYN 0", "s> SYN-ACK 0 1", "c> RST-ACK 1 1"))
    assert walked.only.states == States("CLOSED", "LISTEN")


def test_a_reset_closes_an_end_in_syn_received_that_opened_actively() -> None:
    crossed = ladder("c> SYN 0", "s> SYN 0", "s> SYN-ACK 0 1", "c> RST-ACK 1 1")
    assert walk(crossed).only.states == States("CLOSED", "CLOSED")


def test_a_syn_ack_that_acknowledges_what_was_never_sent_opens_nothing() -> None:
    walked = replay(prompt(ladder("c> SYN 0", "s> SYN-ACK 0 77")))
    assert walked.only.states.client == "SYN-SENT"


# Where the capture began midway.


def test_without_the_syn_nobody_knows_the_states_until_something_shows_them() -> None:
    records = follow(
        *TALK,
        "c> FIN 15 15       ; FIN-WAIT-1 > CLOSE-WAIT close.1",
        "s> ACK 15 16       ; FIN-WAIT-2 < CLOSE-WAIT close.2",
        "s> FIN 15 16       ; TIME-WAIT < LAST-ACK close.3",
        "c> ACK 16 16       ; TIME-WAIT > CLOSED close.4",
    ).records
    assert [record.held for record in records[:4]] == [States(None, None)] * 4
    assert [record.delivered for record in records[:4]] == [States(None, None)] * 4
    assert records[4].held == States("FIN-WAIT-1", None)
    assert set(records[4].assumed) == {"client"}


def test_that_somebody_listens_is_assumed_until_the_first_answer() -> None:
    records = walk(ladder(*OPEN)).records
    assert [set(record.assumed) for record in records] == [{"server"}, set(), set()]
    assert records[0].held == States("SYN-SENT", "LISTEN")
    assert set(walk(ladder("c> SYN 0")).only.assumed) == {"server"}


def test_what_is_surprising_is_recorded_with_who_was_surprised_and_where() -> None:
    (fin,) = walk(ladder("c> SYN 0", "c> [F] 1")).records[1:]
    assert fin.surprises == (Surprise("client", "SYN-SENT", "sent FIN"),)
    assert fin.held == States("SYN-SENT", "LISTEN")
