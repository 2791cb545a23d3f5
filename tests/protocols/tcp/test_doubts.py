"""What can't be understood alone: a RST that what follows refutes, a SYN that another connection answers, decoys."""

from __future__ import annotations

import struct

import pytest

from lab.model import Frame, States
from lab.report.conversations import entry
from tests.packets import OPEN, TALK, Pair, Walked, follow, ladder, renumbered, walk

REQUEST = b"GET /chat HTTP/1.1\r\nHost: "
RETRY = ["c> data 1 1 10", "s> ACK 1 11"]


def told(walked: Walked, number: int) -> tuple[str, ...]:
    return walked.records[number - 1].labels


def surprises(walked: Walked) -> list[int]:
    return [record.number for record in walked.records if record.surprises]


# A RST counts where nothing refutes it.


@pytest.mark.parametrize("number", [1011, 500, 12])
def test_a_reset_that_its_sender_knows_nothing_of_ends_nothing(number: int) -> None:
    walked = follow(
        *OPEN,
        "c> data 1 1 10    ; ESTABLISHED > ESTABLISHED",
        "s> ACK 1 11       ; ESTABLISHED < ESTABLISHED",
        f"c> RST {number}  ; ESTABLISHED > ESTABLISHED",
        "s> ACK 1 11       ; ESTABLISHED < ESTABLISHED",
        "c> data 11 1 5    ; ESTABLISHED > ESTABLISHED",
        "s> ACK 1 16       ; ESTABLISHED < ESTABLISHED",
        "c> FIN 16 1       ; FIN-WAIT-1 > CLOSE-WAIT close.1",
        "s> FIN 1 17       ; TIME-WAIT < LAST-ACK close.2 close.3",
        "c> ACK 17 2       ; TIME-WAIT > CLOSED close.4",
    )
    assert told(walked, 6) == ("RST", "refuted")
    assert told(walked, 8) == ("data",), "its number moves nothing, so this is no repetition"
    facts = entry(walked.only)
    assert (facts["conn_state"], facts["closed"], facts["tcp"]["retransmissions"]) == ("SF", "fin", 0)
    assert not surprises(walked)


def test_a_burst_of_blind_resets_is_refuted_as_one_is() -> None:
    burst = [f"c> RST {11 + step * 60_000}" for step in range(1, 9)]
    walked = walk(ladder(*OPEN, *RETRY, *burst, "s> ACK 1 11", "c> data 11 1 5", "s> ACK 1 16"))
    assert [record.labels for record in walked.records[5:13]] == [("RST", "refuted")] * 8
    assert entry(walked.only)["closed"] is None
    assert [str(end.state) for end in walked.only.ends] == ["ESTABLISHED", "ESTABLISHED"]


def test_a_reset_with_the_very_number_closes_its_receiver_and_not_its_alleged_sender() -> None:
    walked = follow(
        *OPEN,
        "c> data 1 1 10    ; ESTABLISHED > ESTABLISHED",
        "s> ACK 1 11       ; ESTABLISHED < ESTABLISHED",
        "c> RST 11         ; ESTABLISHED > CLOSED",
        "c> data 11 1 5    ; ESTABLISHED > CLOSED",
        "s> RST 1          ; CLOSED < CLOSED",
    )
    assert told(walked, 6) == ("RST", "refuted")
    assert entry(walked.only)["closed"] == "rst"


def test_a_reset_from_both_sides_by_a_box_in_between_is_obeyed_by_both() -> None:
    walked = walk(ladder(*OPEN, *RETRY, "s> RST-ACK 1 11", "c> RST-ACK 11 1", "s> data 1 11 50", "c> RST 11"))
    assert told(walked, 6) == ("RST", "refuted"), "its sender goes on"
    assert [str(end.state) for end in walked.only.ends] == ["CLOSED", "CLOSED"]


def test_a_reset_that_nothing_refutes_counts_also_where_it_is_challenged_first() -> None:
    walked = follow(
        *OPEN,
        "c> data 1 1 10    ; ESTABLISHED > ESTABLISHED",
        "s> ACK 1 11       ; ESTABLISHED < ESTABLISHED",
        "c> RST 20         ; CLOSED > ESTABLISHED",
        "s> ACK 1 11       ; CLOSED < ESTABLISHED",
        "c> RST 11         ; CLOSED > CLOSED",
    )
    assert told(walked, 6) == ("RST",)
    assert entry(walked.only)["closed"] == "rst"


def test_what_was_captured_behind_a_reset_but_sent_before_it_refutes_nothing() -> None:
    walked = walk(ladder(*OPEN, *RETRY, "c> RST 16", "c> data 11 1 5"))
    assert told(walked, 6) == ("RST",)


@pytest.mark.parametrize("apart", [1, 40])
def test_a_reset_is_refuted_however_the_other_conversations_lie_between(apart: int) -> None:
    lines = (*OPEN, *RETRY, "c> RST 900", "s> ACK 1 11", "c> data 11 1 5", "s> ACK 1 16")
    other = Pair(client_port=50000)
    frames: list[Frame] = []
    for frame in ladder(*lines):
        frames += [frame, *ladder(*["c> ACK 1 1"] * apart, pair=other)]
    walked = walk(renumbered(*frames))
    assert entry(walked.conversations[0])["closed"] is None


@pytest.mark.parametrize("answer", [("s> ACK 1 2",), ()])
def test_by_the_first_terminal_event_a_reset_behind_both_fins_changes_nothing(answer: tuple[str, ...]) -> None:
    facts = entry(walk(ladder(*OPEN, "c> FIN 1 1", *answer, "s> FIN 1 2", "c> RST 2")).only)
    assert (facts["conn_state"], facts["closed"]) == ("SF", "fin")


# Nor does a FIN.


@pytest.mark.parametrize("kind", ["checksum", "ttl", "ahead"])
def test_a_fin_after_which_its_sender_goes_on_closes_nothing(kind: str) -> None:
    decoy = "c> FIN 40000 1" if kind == "ahead" else "c> FIN 1 1"
    frames = ladder(
        *OPEN, decoy, "c> data 1 1 10", "s> ACK 1 11", "c> FIN 11 1", "s> FIN 1 12", "c> ACK 12 2",
    )  # fmt: skip
    if kind != "ahead":
        frames[3] = spoilt(frames[3]) if kind == "checksum" else short_lived(frames[3])
    walked = walk(frames)
    assert "refuted" in told(walked, 4)
    states = [str(record.held.client) for record in walked.records[3:7] if record.held]
    assert states == ["ESTABLISHED"] * 3 + ["FIN-WAIT-1"]
    facts = entry(walked.only)
    assert (facts["conn_state"], facts["tcp"]["retransmissions"]) == ("SF", 0)
    assert {step["id"]: step["packets"] for step in facts["steps"]}["tcp.close.1"] == [7]
    assert not surprises(walked)


@pytest.mark.parametrize("answer", ["s> RST-ACK 0 500", "s> RST 0"])
def test_a_reset_that_does_not_answer_the_syn_refuses_nothing(answer: str) -> None:
    """RFC 9293 section 3.10.7.3."""
    walked = walk(ladder("c> SYN 0", answer, "s> SYN-ACK 0 1", "c> ACK 1 1", *RETRY))
    assert told(walked, 2) == ("RST", "disregarded")
    facts = entry(walked.only)
    assert (facts["opened"], facts["closed"], facts["conn_state"]) == (True, None, "S1")
    assert not surprises(walked)


def test_an_answer_with_a_wrong_number_is_refused_and_the_next_one_taken() -> None:
    walked = walk(ladder("c> SYN 0", "s> SYN-ACK 0 4321", "c> RST 4321", "s> SYN-ACK 0 1", "c> ACK 1 1", *RETRY))
    facts = entry(walked.only)
    assert (facts["opened"], facts["closed"], facts["tcp"]["retransmissions"]) == (True, None, 0)
    assert {step["id"]: step["packets"] for step in facts["steps"]}["tcp.open.2"] == [4]


def test_a_blind_reset_during_the_opening_is_refuted_by_the_third_step() -> None:
    walked = walk(ladder("c> SYN 0", "s> SYN-ACK 0 1", "c> RST 700", "s> ACK 1 1", "c> ACK 1 1", *RETRY))
    assert told(walked, 3) == ("RST", "refuted")
    assert entry(walked.only)["conn_state"] == "S1"


def test_an_abort_with_an_acknowledgement_comes_from_an_end_that_was_still_there() -> None:
    follow(
        *OPEN,
        "s> data 1 1 2     ; ESTABLISHED < ESTABLISHED",
        "c> RST-ACK 1 3    ; CLOSED > CLOSED",
    )


# The same addresses and ports again.


def test_what_an_old_connection_says_is_booked_on_that_one() -> None:
    """Half-open, RFC 9293 figure 9: the server knows nothing of its client's crash."""
    walked = follow(
        *OPEN,
        "c> data 1 1 10      ; ESTABLISHED > ESTABLISHED",
        "s> ACK 1 11         ; ESTABLISHED < ESTABLISHED",
        "c> SYN 9000         ; SYN-SENT > LISTEN open.1",
        "s> ACK 1 11         ; ESTABLISHED < ESTABLISHED",
        "c> RST 11           ; CLOSED > CLOSED",
        "c> SYN 9000         ; SYN-SENT > SYN-RECEIVED open.1",
        "s> SYN-ACK 7000 9001 ; ESTABLISHED < SYN-RECEIVED open.2",
        "c> ACK 9001 7001    ; ESTABLISHED > ESTABLISHED open.3 open.4",
    )
    assert [record.conversation and record.conversation.id for record in walked.records[5:]] == [1, 0, 0, 1, 1, 1]
    assert walked.records[5].got, "it is answered"
    old, new = (entry(each) for each in walked.conversations)
    assert (old["closed"], new["closed"], new["conn_state"]) == ("rst", None, "S1")


def test_a_late_segment_of_the_old_connection_is_no_part_of_the_new_one() -> None:
    frames = ladder(*OPEN, *TALK, "c> SYN 90000", "s> SYN-ACK 70000 90001", "c> ACK 90001 70001", "s> data 1 15 14")
    walked = walk(frames)
    assert walked.records[-1].conversation is walked.conversations[0]
    assert "retransmission" in walked.records[-1].labels


def test_a_syn_ack_before_its_syn_is_of_the_new_connection_also_on_used_ports() -> None:
    walked = walk(ladder(*OPEN, *TALK, "s> SYN-ACK 70000 90001", "c> SYN 90000", "c> ACK 90001 70001"))
    steps = {step["id"]: step["packets"] for step in entry(walked.conversations[1])["steps"]}
    assert [steps[f"tcp.open.{each}"] for each in (1, 2, 3)] == [[9], [8], [10]]


def test_an_acknowledgement_of_something_new_is_no_challenge() -> None:
    walked = walk(ladder("c> SYN 0", "c> SYN 5000", "s> SYN-ACK 0 1", "c> ACK 1 1", "c> data 1 1 2", "s> ACK 1 3"))
    assert walked.records[-1].answers is None


def test_the_syn_of_the_connection_before_once_more_begins_no_third_one() -> None:
    walked = walk(ladder("c> SYN 0", "c> SYN 5000", "c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1"))
    assert len(walked.conversations) == 2
    assert [entry(each)["opened"] for each in walked.conversations] == [True, False]


# Which SYN counts.


def test_a_syn_ack_that_stands_before_its_syn_is_of_the_same_connection() -> None:
    walked = walk(ladder("s> SYN-ACK 0 1", "c> SYN 0", "c> ACK 1 1", *TALK))
    assert [record.number for record in walked.records] == [1, 2, 3, 4, 5, 6, 7]
    steps = {step["id"]: step["packets"] for step in entry(walked.only)["steps"]}
    assert [steps[f"tcp.open.{each}"] for each in (1, 2, 3, 4)] == [[2], [1], [3], [3]]
    assert not surprises(walked)


@pytest.mark.parametrize("between", [1, 3])
def test_what_stands_between_a_syn_ack_and_its_syn_keeps_its_place(between: int) -> None:
    frames = ladder("s> SYN-ACK 0 1", "c> SYN 0", "c> ACK 1 1", *TALK)
    other = ladder("s> SYN-ACK 0 1", "c> SYN 0", pair=Pair(client_port=40_001))
    unread = [Frame(0, None, b"", 0)] * between
    walked = walk(renumbered(frames[0], other[0], *unread, other[1], *unread, *frames[1:]))
    assert [record.number for record in walked.records] == list(range(1, len(walked.records) + 1))
    asked = [step["packets"] for each in walked.conversations for step in entry(each)["steps"][:1]]
    assert asked == [[4 + 2 * between], [3 + between]], "each has its SYN"


@pytest.mark.parametrize(("first", "second"), [(0, 5000), (5000, 0)])
def test_of_two_syn_acks_the_one_that_is_acknowledged_counts(first: int, second: int) -> None:
    lines = (
        "c> SYN 0",
        f"s> SYN-ACK {first} 1",
        f"s> SYN-ACK {second} 1",
        "c> ACK 1 1",
        "c> data 1 1 10",
        "s> ACK 1 11",
    )
    walked = walk(ladder(*lines))
    strays = [record.number for record in walked.records if "disregarded" in record.labels]
    counts = 2 if first == 0 else 3
    assert strays == [5 - counts]
    facts = entry(walked.only)
    assert {step["id"]: step["packets"] for step in facts["steps"]}["tcp.open.2"] == [counts]
    assert facts["tcp"]["server_isn"] == 3_000_000_000
    assert [record.seq for record in walked.records if record.end is walked.only.server][-1] == 1
    assert not surprises(walked)


def test_an_answer_that_is_refused_does_not_end_the_opening() -> None:
    """RFC 9293 section 3.10.7.3: an unacceptable ACK in SYN-SENT is answered by RST, and the SYN is sent again."""
    walked = follow(
        "c> SYN 0          ; SYN-SENT > lost open.1",
        "s> ACK 100 5000   ; SYN-SENT < LISTEN",
        "c> RST 5000       ; SYN-SENT > LISTEN",
        "c> SYN 0          ; SYN-SENT > SYN-RECEIVED open.1",
        "s> SYN-ACK 0 1    ; ESTABLISHED < SYN-RECEIVED open.2",
        "c> ACK 1 1        ; ESTABLISHED > ESTABLISHED open.3 open.4",
    )
    assert told(walked, 2) == ("ACK", "disregarded")
    assert entry(walked.only)["closed"] is None


def test_a_syn_that_was_refused_may_be_answered_when_it_comes_again() -> None:
    """Windows asks again with the same SYN after a RST: a program may listen by then."""
    walked = follow(
        "c> SYN 0          ; SYN-SENT > CLOSED open.1",
        "s> RST-ACK 0 1    ; ? < CLOSED",
        "c> SYN 0          ; SYN-SENT > SYN-RECEIVED open.1",
        "s> SYN-ACK 0 1    ; ESTABLISHED < SYN-RECEIVED open.2",
        "c> ACK 1 1        ; ESTABLISHED > ESTABLISHED open.3 open.4",
        "c> data 1 1 10    ; ESTABLISHED > ESTABLISHED",
        "s> ACK 1 11       ; ESTABLISHED < ESTABLISHED",
    )
    assert not surprises(walked)
    told = entry(walked.only)
    assert (told["opened"], told["closed"]) == (True, None)


def test_an_ack_of_what_was_never_sent_shows_nothing_of_what_is_sent_later() -> None:
    walked = follow(
        *OPEN,
        "c> data 1 1 5     ; ESTABLISHED > ESTABLISHED",
        "s> ACK 1 6        ; ESTABLISHED < ESTABLISHED",
        "s> ACK 1 500      ; ESTABLISHED < ESTABLISHED",
        "c> ACK 6 1        ; ESTABLISHED > ESTABLISHED",
        "c> data 6 1 9     ; ESTABLISHED > ESTABLISHED",
        "s> ACK 1 15       ; ESTABLISHED < ESTABLISHED",
        "c> FIN 15 1       ; FIN-WAIT-1 > CLOSE-WAIT close.1",
        "s> ACK 1 16       ; FIN-WAIT-2 < CLOSE-WAIT close.2",
        "s> FIN 1 16       ; TIME-WAIT < LAST-ACK close.3",
        "c> ACK 16 2       ; TIME-WAIT > CLOSED close.4",
    )
    assert told(walked, 6) == ("ACK", "disregarded")


def test_an_ack_of_what_was_not_captured_counts() -> None:
    walked = walk(ladder(*OPEN, "c> data 1 1 5", "s> ACK 1 500", "c> data 500 1 5", "s> ACK 1 505"))
    assert told(walked, 5) == ("ACK",)
    crossed = walk(ladder(*OPEN, "c> data 1 1 5", "s> ACK 1 11", "s> ACK 1 6", "c> data 6 1 5", "s> ACK 1 11"))
    assert told(crossed, 5) == ("ACK",), "its data was only captured later"


def test_a_syn_that_comes_late_is_no_step_nor_is_the_challenge_it_gets() -> None:
    walked = follow(
        *OPEN,
        "c> SYN 0          ; ESTABLISHED > ESTABLISHED",
        "s> ACK 1 1        ; ESTABLISHED < ESTABLISHED",
        "c> data 1 1 10    ; ESTABLISHED > ESTABLISHED",
        "s> ACK 1 11       ; ESTABLISHED < ESTABLISHED",
    )
    assert not surprises(walked)


def test_a_fin_that_acknowledges_less_than_was_acknowledged_before_is_a_late_copy() -> None:
    walked = follow(
        *OPEN,
        "c> FIN 1 1        ; FIN-WAIT-1 > CLOSE-WAIT close.1",
        "s> data 1 2 5     ; FIN-WAIT-2 < CLOSE-WAIT close.2",
        "s> FIN 6 2        ; TIME-WAIT < LAST-ACK close.3",
        "c> ACK 2 7        ; TIME-WAIT > CLOSED close.4",
        "c> FIN 1 1        ; TIME-WAIT > CLOSED",
        "s> RST 1          ; TIME-WAIT < CLOSED",
    )
    assert not surprises(walked)


def test_a_split_handshake_of_five_steps_goes_through_syn_received_at_both_ends() -> None:
    walked = follow(
        "c> SYN 0          ; SYN-SENT > SYN-RECEIVED open.1",
        "s> ACK 0 1        ; SYN-SENT < SYN-RECEIVED open.2",
        "s> SYN 0          ; SYN-RECEIVED < SYN-RECEIVED open.2",
        "c> SYN-ACK 0 1    ; SYN-RECEIVED > ESTABLISHED open.3 open.4",
        "s> ACK 1 1        ; ESTABLISHED < ESTABLISHED open.4",
    )
    assert not surprises(walked)
    differs = {step["id"]: step["differs"] for step in entry(walked.only)["steps"]}
    assert differs["tcp.open.2"]["code"] == "split-handshake"


def test_the_syn_ack_again_with_data_makes_no_third_step_of_what_acknowledges_that() -> None:
    walked = walk(
        ladder(*OPEN, "s> SYN-ACK 0 1 10", "c> ACK 1 1", "s> data 1 1 10", "c> ACK 1 11", "c> FIN 1 11", "s> ACK 11 2")
    )
    steps = {step["id"]: step["packets"] for step in entry(walked.only)["steps"]}
    assert steps["tcp.open.3"] == [3]


def test_with_fast_open_one_ack_may_acknowledge_syn_data_and_fin() -> None:
    walked = follow(
        'c> SYN 0 "GET /"  ; SYN-SENT > SYN-RECEIVED open.1',
        "s> SYN-ACK 0 6    ; ESTABLISHED < SYN-RECEIVED open.2",
        "s> data 1 6 6     ; ESTABLISHED < SYN-RECEIVED",
        "s> FIN 7 6        ; CLOSE-WAIT < FIN-WAIT-1 close.1",
        "c> ACK 6 8        ; CLOSE-WAIT > FIN-WAIT-2 open.3 open.4 close.2",
        "c> FIN 6 8        ; LAST-ACK > TIME-WAIT close.3",
        "s> ACK 8 7        ; CLOSED < TIME-WAIT close.4",
    )
    assert not surprises(walked)


# Bytes that were not read.


def hello(name: bytes) -> bytes:
    """Returns a ClientHello with a server name, and nothing else."""
    sni = b"\0\0" + struct.pack("!HHBH", len(name) + 5, len(name) + 3, 0, len(name)) + name
    body = b"\3\3" + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0" + struct.pack("!H", len(sni)) + sni
    message = b"\1" + len(body).to_bytes(3, "big") + body
    return b"\x16\3\1" + len(message).to_bytes(2, "big") + message


REAL, DECOY = hello(b"real.example"), hello(b"fake.example")
SIZE = len(REAL)


def sends(data: bytes, ack: int = 1, seq: int = 1) -> str:
    return f'c> data {seq} {ack} x"{data.hex()}"'


def spoilt(frame: Frame) -> Frame:
    """Returns the frame with a wrong checksum."""
    return frame._replace(data=frame.data[:50] + b"\xde\xad" + frame.data[52:])


def short_lived(frame: Frame, ttl: int = 3) -> Frame:
    """Returns the frame with a TTL that does not take it to its receiver; both checksums stay right but the IP's."""
    return frame._replace(data=frame.data[:22] + bytes([ttl]) + frame.data[23:])


def test_a_blind_syn_leaves_the_connection_as_it_is() -> None:
    """RFC 5961 section 4."""
    after = ("c> data 1 1 5", "s> ACK 1 6", "c> FIN 6 1", "s> FIN 1 7", "c> ACK 7 2")
    walked = walk(ladder(*OPEN, "c> SYN 9000", "s> ACK 1 1", *after))
    assert told(walked, 4) == ("SYN", "refuted"), "its alleged sender goes on with the old connection"
    assert [record.conversation and record.conversation.id for record in walked.records[3:]] == [1, 0, 0, 0, 0, 0, 0]
    assert entry(walked.conversations[0])["conn_state"] == "SF"
    assert not surprises(walked)


@pytest.mark.parametrize("seq", [-9000, -SIZE, 2_000_000_000])
def test_a_decoy_outside_of_the_window_is_not_read(seq: int) -> None:
    walked = walk(ladder(*OPEN, sends(DECOY, seq=seq), sends(REAL), f"s> ACK 1 {SIZE + 1}"))
    assert told(walked, 4) == ("data", "outside-window")
    assert entry(walked.only)["tls"]["sni"] == "real.example"
    assert entry(walked.only)["tcp"]["retransmissions"] == 0


def test_a_decoy_with_an_old_timestamp_is_not_read() -> None:
    """PAWS, RFC 7323 section 5."""
    first = "c> data 1 1 1 <nop, nop, ts 900 0>"
    both = (f"{sends(DECOY, seq=2)} <nop, nop, ts 7 0>", f"{sends(REAL, seq=2)} <nop, nop, ts 901 0>")
    walked = walk(ladder(*OPEN, first, "s> ACK 1 2", *both, f"s> ACK 1 {SIZE + 2}"))
    assert told(walked, 6) == ("data", "discarded")
    assert entry(walked.only)["tls"]["sni"] == "real.example"


@pytest.mark.parametrize(
    "kind", ["checksum", "acknowledges the unsent", "acknowledges the old", "ttl", "no ACK", "signed"]
)
def test_a_decoy_that_its_receiver_throws_away_is_not_read(kind: str) -> None:
    ack = {"acknowledges the unsent": 900_000, "acknowledges the old": -80_000}.get(kind, 1)
    decoy = sends(DECOY, ack)
    if kind == "no ACK":
        decoy = decoy.replace("data 1 1", "[P] 1")
    elif kind == "signed":
        decoy += f" <nop, nop, hex 1312{'00' * 16}>"
    frames = ladder(*OPEN, decoy, sends(REAL), f"s> ACK 1 {SIZE + 1}")
    if kind == "checksum":
        frames[3] = spoilt(frames[3])
    elif kind == "ttl":
        frames[3] = short_lived(frames[3])
    walked = walk(frames)
    assert "discarded" in told(walked, 4)
    assert "ClientHello" in told(walked, 5)
    assert "retransmission" not in told(walked, 5)
    facts = entry(walked.only)
    assert facts["tls"]["sni"] == "real.example"
    assert facts["tcp"]["retransmissions"] == 0


def test_a_wrong_checksum_is_the_captures_own_where_the_segment_is_acknowledged() -> None:
    """What a network card was still to sum up is wrong in the capture and right on the cable."""
    frames = ladder(*OPEN, sends(REAL), f"s> ACK 1 {SIZE + 1}", sends(REAL), f"s> ACK 1 {SIZE + 1}")
    walked = walk([*frames[:3], spoilt(frames[3]), *frames[4:]])
    assert entry(walked.only)["tls"]["sni"] == "real.example"
    assert "discarded" not in told(walked, 4)


def test_other_bytes_under_the_same_numbers_are_no_repetition() -> None:
    walked = walk(ladder(*OPEN, 'c> data 1 1 "secret"', "s> ACK 1 7", 'c> data 1 1 "public"', "s> ACK 1 7"))
    assert told(walked, 6) == ("data", "conflicting-data")
    assert entry(walked.only)["tcp"]["retransmissions"] == 0


def test_what_acknowledges_bytes_that_were_never_sent_has_arrived_and_is_refused() -> None:
    """A hijacked connection: the client knows nothing of the second command, and says so."""
    walked = walk(
        ladder(
            *OPEN, 'c> data 1 1 "ls\n"', "s> ACK 1 4", 'c> data 4 1 "cat secret\n"', 's> data 1 15 "what it says"',
            "c> ACK 4 1", "s> ACK 13 15", 'c> data 4 1 "pwd\n"', "s> ACK 13 15",
        )
    )  # fmt: skip
    assert told(walked, 8) == ("ACK", "challenge-ack")
    assert (walked.records[6].got, walked.records[6].discarded, walked.records[7].answers) == (True, True, 7)
    assert told(walked, 10) == ("data", "conflicting-data")


def test_an_ack_that_is_only_late_denies_nothing() -> None:
    walked = walk(ladder(*OPEN, "c> data 1 1 5", "s> data 1 6 5", "c> ACK 1 1", "c> data 6 6 5", "s> ACK 6 11"))
    assert "challenge-ack" not in told(walked, 6)


def test_where_fins_and_their_copies_cross_each_acknowledges_what_it_had_got() -> None:
    walked = follow(
        *OPEN,
        "s> FIN 1 1       ; CLOSING < FIN-WAIT-1 close.1",
        "c> FIN 1 1       ; FIN-WAIT-1 > CLOSING close.3",
        "c> FIN 1 2       ; CLOSING > TIME-WAIT close.2 close.3",
        "s> FIN 1 2       ; TIME-WAIT < CLOSING close.1 close.4",
        "s> ACK 2 2       ; TIME-WAIT < TIME-WAIT close.4",
        "c> ACK 2 2       ; TIME-WAIT > TIME-WAIT close.2",
    )
    assert not surprises(walked)


def test_a_repetition_cut_otherwise_has_the_same_bytes() -> None:
    walked = walk(ladder(*OPEN, "c> data 1 1 10", "c> data 11 1 10", "c> data 1 1 20", "c> data 6 1 10", "s> ACK 1 21"))
    assert [told(walked, number)[-1] for number in (6, 7)] == ["retransmission", "retransmission"]


# Who is the client, where no SYN was captured.


LONG = tuple(f"{who}> data {at} {at} 1" for at in range(-20, 0) for who in "sc")  # of another protocol, in turn


@pytest.mark.parametrize("before", [(), ("c> ACK 1 1",), ("s> ACK 1 1", "c> ACK 1 1"), LONG[-14:]])
def test_whoever_says_what_only_a_client_says_is_the_client(before: tuple[str, ...]) -> None:
    pair = Pair(client_port=40001, server_port=50443)
    for said in (sends(REAL), 'c> data 1 1 "GET / HTTP/1.1"'):
        walked = walk(ladder(*before, said, pair=pair))
        assert walked.only.client.port == 40001
    walked = walk(ladder(*before, 's> data 1 1 "HTTP/1.1 200 OK"', pair=pair))
    assert walked.only.client.port == 40001


def test_where_nobody_says_it_the_higher_port_is_the_client() -> None:
    walked = walk(ladder("c> ACK 1 1", "c> data 1 1 5", pair=Pair(client_port=40001, server_port=50443)))
    assert walked.only.client.port == 50443


def test_who_refuses_the_answer_to_an_old_syn_stays_where_it_is() -> None:
    """RFC 9293 section 3.5, figure 8, with the old duplicate captured."""
    walked = walk(
        ladder(
            "c> SYN 0", "c> SYN -10", "s> SYN-ACK 0 -9", "c> RST -9", "c> SYN 0", "s> SYN-ACK 8000 1", "c> ACK 1 8001"
        )
    )
    assert [packet.conversation for packet in walked.packets] == [0, 1, 1, 1, 0, 0, 0]
    answer, refusal = walked.packets[2:4]
    assert answer.delivered == States("SYN-SENT", "SYN-RECEIVED")
    assert (refusal.held, refusal.delivered) == (
        States("SYN-SENT", "SYN-RECEIVED"),
        States("SYN-SENT", "LISTEN"),
    )
    codes = {step.id: step.differs.code for step in walked.reports[1].steps if step.differs}
    assert codes["tcp.open.3"] == codes["tcp.open.4"] == "reset"
    assert walked.conversations[0].states == States("ESTABLISHED", "ESTABLISHED")


@pytest.mark.parametrize("line", ["c> FIN 1 1", "c> data 1 1 10"])
def test_a_checksum_left_to_the_network_card_is_nothing_odd(line: str) -> None:
    """As every packet between containers has it: what is sent again then is a repetition."""
    frames = ladder(*OPEN, line, line, "s> ACK 1 12")
    for at in (3, 4):
        data = frames[at].data
        pseudo = sum(struct.unpack("!4H", data[26:34])) + 6 + len(data) - 34
        partial = (pseudo & 0xFFFF) + (pseudo >> 16)
        frames[at] = frames[at]._replace(data=data[:50] + struct.pack("!H", partial) + data[52:])
    walked = walk(frames)
    assert "unfinished-checksum" in told(walked, 4)
    assert not {"refuted", "discarded"} & set(told(walked, 4))
    assert "retransmission" in told(walked, 5)
