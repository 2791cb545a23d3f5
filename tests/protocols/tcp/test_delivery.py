"""Each rule of lab/protocols/tcp/delivery.py, in the order of its docstring, on captures written by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.engine.record import Record
from lab.model import Frame, States
from lab.protocols.tcp import report
from lab.protocols.tcp.segment import RST, SYN
from tests.packets import CLOSE, IPV4, OPEN, TALK, UNEVEN, Pair, follow, ladder, path, renumbered, replay, walk, wire

TALKING = (*OPEN, "s> ACK 1 1")  # packets 1 to 4; nothing is outstanding, and the opening's ACK has been got


def arrivals(frames: list[Frame]) -> list[list[int]]:
    """Returns which packets became known to have been got when each packet was captured, and at the end."""
    way, records, known = path(), list[Record](), set[int]()
    found: list[list[int]] = []

    def fresh() -> list[int]:
        got = [record.number for record in records if record.got and record.number not in known]
        known.update(got)
        return got

    for record in way.annotate(frames):
        found.append(fresh())
        records.append(record)
    return [*found, fresh()]


def after_opening(*lines: str) -> list[list[int]]:
    """Returns the arrivals from packet 5 on, the first after TALKING."""
    return arrivals(ladder(*TALKING, *lines))[4:]


# "New sequence space (a SYN, data, a FIN) is got when its receiver acknowledges it, and not before."


def test_a_syn_is_got_when_it_is_acknowledged() -> None:
    assert arrivals(ladder("c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1")) == [[], [1], [2], [3]]


@pytest.mark.parametrize("new", ["c> data 1 1 10", "c> FIN 1 1 9", "c> FIN 1 1"])
def test_data_and_a_fin_are_got_when_they_are_acknowledged_and_not_before(new: str) -> None:
    stop = 2 if new == "c> FIN 1 1" else 11
    assert after_opening(new, "s> ACK 1 1 win 9", "c> ACK 1 1", f"s> ACK 1 {stop}") == [[4], [], [6], [5], [7, 8]]


def test_an_acknowledgement_in_the_middle_of_a_segment_does_not_make_it_got() -> None:
    assert after_opening("c> data 1 1 10", "s> ACK 1 10", "s> ACK 1 11") == [[4], [], [5], [6, 7]]
    assert after_opening("c> data 1 1 10", "c> data 11 1 10", "s> ACK 1 20") == [[4], [], [5], [7]]


def test_one_acknowledgement_of_several_segments_proves_them_all_and_of_one_only_that() -> None:
    several = ("c> data 1 1 10", "c> data 11 1 10", "c> data 21 1 10")
    assert after_opening(*several, "s> ACK 1 31") == [[4], [], [], [5, 6, 7], [8]]
    assert after_opening(*several, "s> ACK 1 21") == [[4], [], [], [5, 6], [8]]


def test_a_packet_of_another_conversation_proves_nothing() -> None:
    here = ladder("c> SYN 0", "s> SYN-ACK 0 1")
    there = ladder("c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1", "s> ACK 1 1", pair=Pair(client_port=50000))
    assert arrivals(renumbered(here[0], *there, here[1])) == [[], [], [2], [3], [4], [1], [5]]


def test_a_packet_that_is_no_tcp_proves_nothing() -> None:
    (syn,) = ladder("c> SYN 0")
    arp = Frame(2, None, bytes(12) + b"\x08\x06" + bytes(28), 42)
    assert arrivals([syn, arp, *ladder("s> SYN-ACK 0 1", first=3)]) == [[], [], [1], []]


# "All the rest (bare ACKs, RSTs, repetitions of what was acknowledged) is got, in order, before the next packet."


@pytest.mark.parametrize("rest", ["c> ACK 1 1", "c> RST 1", "c> RST-ACK 1 1", "c> ACK 0 1", "c> data 0 1 1"])
def test_a_bare_ack_a_reset_and_a_repetition_are_got_before_the_next_packet(rest: str) -> None:
    assert after_opening(rest, "s> data 1 1 5")[:2] == [[4], [5]]
    assert after_opening(rest, "c> data 1 1 5")[:2] == [[4], [5]]


def test_the_rest_of_both_ends_is_got_in_the_order_of_capture() -> None:
    frames = ladder(*TALKING, "c> data 1 1 5", "s> ACK 1 6", "s> ACK 1 6 win 5", "c> ACK 6 1", "s> ACK 1 6 win 7")
    assert arrivals(frames)[4:] == [[4], [5], [6], [7], [8], [9]]
    order = list(walk(frames).records)
    assert [record.number for record in order if record.settled] == list(range(1, 10))


def test_a_bare_ack_behind_something_that_was_not_captured_is_got_too() -> None:
    """It takes no sequence space, so no acknowledgement can prove it."""
    assert after_opening("c> ACK 101 1", "s> ACK 1 1")[:2] == [[4], [5]]


# "... but not ahead of new sequence space of the same sender ..."


def test_an_ack_behind_data_that_nobody_acknowledges_is_not_got_ahead_of_it() -> None:
    found = after_opening("c> data 1 1 10", "c> ACK 11 1 win 5", "s> data 1 1 5", "s> data 6 1 5", "s> data 11 11 5")
    assert found == [[4], [], [], [], [5], [6]]


def test_a_reset_behind_data_that_nobody_acknowledges_is_not_got() -> None:
    walked = follow(*TALKING, "c> data 1 1 10 ; ESTABLISHED > ?", "c> RST-ACK 11 1 ; CLOSED > ?")
    assert walked.only.states == ("CLOSED", "ESTABLISHED")


def test_what_the_other_end_sent_is_not_held_up_by_it() -> None:
    assert after_opening("c> data 1 1 10", "s> ACK 1 1 win 9", "c> data 11 1 10") == [[4], [], [6], []]


# "... and not by a packet that newly acknowledges something captured before it."


def test_a_packet_that_newly_acknowledges_proves_nothing_captured_behind_that() -> None:
    """Who acknowledged the data may have done so before it got what followed."""
    data, behind = "c> data 1 1 10", "c> ACK 11 1 win 5"
    assert after_opening(data, behind, "s> ACK 1 11", "s> ACK 1 11 win 9") == [[4], [], [5], [6, 7], [8]]


def test_it_proves_what_was_captured_before_that_of_either_end() -> None:
    before = "s> ACK 1 1 win 9"
    assert after_opening(before, "c> data 1 1 10", "s> ACK 1 11") == [[4], [5], [6], [7]]
    assert after_opening("s> data 1 1 3", before, "c> ACK 1 1 win 2", "c> data 1 1 4", "c> ACK 5 4") == [
        [4], [], [], [7], [5], [6],
    ]  # fmt: skip


def test_what_the_acknowledging_end_had_sent_before_is_got_with_what_it_acknowledges() -> None:
    crossing = ("s> data 1 1 3", "s> ACK 4 1 win 9", "c> data 1 4 4", "s> ACK 4 5 win 9")
    assert after_opening(*crossing) == [[4], [], [5], [6, 7], [8]]


def test_in_a_simultaneous_open_the_second_answer_was_sent_before_the_first_arrived() -> None:
    follow(
        "c> SYN 0           ; SYN-SENT > SYN-RECEIVED open.1",
        "s> SYN 0           ; SYN-RECEIVED < SYN-SENT open.1",
        "s> SYN-ACK 0 1     ; ESTABLISHED < SYN-RECEIVED open.2 open.4",
        "c> SYN-ACK 0 1     ; SYN-RECEIVED > ESTABLISHED open.3 open.4",
        "c> data 1 1 5",
        "s> ACK 1 6",
    )


# "Where something unacknowledged is sent again, the last copy is the one that is got."


def test_of_a_syn_that_is_sent_again_the_last_copy_is_got() -> None:
    assert arrivals(ladder("c> SYN 0", "c> SYN 0", "c> SYN 0", "s> SYN-ACK 0 1")) == [[], [], [], [3], []]


def test_of_data_that_is_sent_again_the_last_copy_is_got() -> None:
    data = "c> data 1 1 10"
    assert after_opening(data, data, "c> data 11 1 10", data, "s> ACK 1 21") == [[4], [], [], [], [7, 8], [9]]


def test_of_two_segments_that_are_sent_again_as_one_the_one_is_got() -> None:
    assert after_opening("c> data 1 1 10", "c> data 11 1 10", "c> data 1 1 20", "s> ACK 1 21")[3] == [7]


def test_of_a_segment_that_is_sent_again_with_new_data_behind_the_longer_copy_is_got() -> None:
    assert after_opening("c> data 1 1 10", "c> data 1 1 20", "s> ACK 1 21")[2] == [6]


def test_of_a_byte_that_is_sent_again_the_last_copy_is_got() -> None:
    assert after_opening("c> data 1 1 1", "c> data 1 1 1", "s> ACK 1 2")[2] == [6]


def test_a_copy_that_was_given_up_never_arrived() -> None:
    walked = follow("c> SYN 0 ; SYN-SENT > lost open.1", "c> SYN 0 ; SYN-SENT > SYN-RECEIVED open.1", *OPEN[1:])
    assert all(record.settled for record in walked.records)


# "Where something acknowledged is sent again, the acknowledgement was not."


def test_an_acknowledgement_was_not_got_where_what_it_acknowledges_is_sent_again() -> None:
    assert after_opening("c> data 1 1 10", "s> ACK 1 11", "c> data 1 1 10", "s> ACK 1 11") == [[4], [5], [], [7], [8]]
    follow(
        *TALKING,
        "c> FIN 1 1",
        "s> FIN 1 2",
        "c> ACK 2 2         ; TIME-WAIT > ? close.4",
        "s> FIN 1 2         ; TIME-WAIT < LAST-ACK close.3",
        "c> ACK 2 2         ; TIME-WAIT > CLOSED close.4",
    )


def test_only_the_acknowledgements_of_what_is_sent_again_were_not_got() -> None:
    found = after_opening("c> data 1 1 10", "c> data 11 1 10", "s> ACK 1 11", "s> ACK 1 21", "c> data 11 1 10")
    assert found == [[4], [], [5], [6], [7], [9]]


# "At the end of the capture only such rest is got: an unanswered SYN was not."


@pytest.mark.parametrize("new", ["c> data 1 1 10", "c> FIN 1 1", "s> data 1 1 1", "s> FIN 1 1"])
def test_at_the_end_new_sequence_space_was_not_got(new: str) -> None:
    assert arrivals(ladder("c> SYN 0")) == [[], []]
    walked = walk(ladder(*TALKING, new))
    assert [record.got for record in walked.records] == [True] * 4 + [False]
    assert all(record.settled for record in walked.records)


def test_at_the_end_a_last_ack_was_got_of_either_end() -> None:
    assert after_opening("c> ACK 1 1 win 9", "s> ACK 1 1 win 8") == [[4], [5], [6]]


@pytest.mark.parametrize("more", [(), ("c> ACK 16 16 win 5",), ("s> ACK 16 16 win 5",)])
def test_the_last_acks_of_both_ends_are_got_in_the_order_of_capture(more: tuple[str, ...]) -> None:
    """Both are got at once, and each moves its receiver: who of them is first shows in the other's state."""
    walked = walk(ladder(*UNEVEN["simultaneous close"], *more))
    assert [record.delivered for record in walked.records[9:11]] == [
        States("TIME-WAIT", "CLOSING"),
        States("TIME-WAIT", "TIME-WAIT"),
    ]


# "Where the wire kept a journal nothing is inferred."


def test_with_a_journal_a_bare_ack_can_be_lost_and_an_unanswered_syn_got() -> None:
    walked = follow(
        *OPEN[:2],
        "c>| ACK 1 1        ; ESTABLISHED > lost open.3",
        "c> data 1 1 14     ; ESTABLISHED > ESTABLISHED open.4",
        "s> ACK 1 15",
        "s> FIN 1 15",
    )
    assert [record.got for record in walked.records] == [True, True, False, True, True, True]


def test_with_a_journal_packets_are_got_in_the_order_it_tells() -> None:
    opened = "1 >1 .1 2 >2 .2 3 >3 .3 "
    frames = ladder(*OPEN, "c> data 1 1 10", "c> FIN 11 1", "s> ACK 1 12")
    crossed = replay(wire(frames, opened + "4 5 >5 .5 >4 .4 6 >6 .6"))
    assert [record.delivered and record.delivered.server for record in crossed.records][3:5] == [
        "CLOSE-WAIT",
        "ESTABLISHED",
    ]
    prompted = replay(wire(frames, opened + "4 5 >4 .4 >5 .5 6 >6 .6"))
    assert [record.delivered and record.delivered.server for record in prompted.records][3:5] == [
        "ESTABLISHED",
        "CLOSE-WAIT",
    ]


def test_what_is_duplicated_on_the_wire_moves_its_receiver_once() -> None:
    frames = ladder(*OPEN, "c> FIN 1 1", "s> ACK 1 2")
    walked = replay(wire(frames, "1 >1 >1 .1 2 >2 >2 .2 3 >3 >3 .3 4 >4 >4 .4 5 >5 >5 .5"))
    assert walked.only.states == ("FIN-WAIT-2", "CLOSE-WAIT")
    assert not any(record.surprises for record in walked.records)


# Bounds, and whatever comes.


def test_of_very_many_packets_in_flight_the_oldest_are_given_up() -> None:
    count = 5000
    flight = [f"c> data {1 + at} 1 1" for at in range(count)]
    walked = walk(ladder(*TALKING, *flight, f"s> ACK 1 {count + 1}"))
    got = [record.got for record in walked.records[4:-1]]
    assert all(record.settled for record in walked.records)
    assert 0 < got.index(True) < count, "nothing was given up, or all of it"
    assert all(got[got.index(True) :])


NUMBERS = st.integers(0, 12)
KINDS = st.sampled_from(["SYN", "SYN-ACK", "ACK", "data", "FIN", "RST", "RST-ACK", "[SF]", "[]", "[FR]"])


@st.composite
def dialogues(draw: st.DrawFn) -> list[str]:
    """Lines of two ends that talk at random, but near each other's numbers."""
    lines = []
    for _ in range(draw(st.integers(1, 25))):
        what, payload = draw(KINDS), draw(st.integers(0, 4))
        ack = "" if what in ("SYN", "RST", "[SF]", "[]", "[FR]") else f" {draw(NUMBERS)}"
        size = f" {max(payload, 1)}" if what == "data" else f" {payload}" if payload > 2 else ""
        lines.append(f"{draw(st.sampled_from('cs'))}> {what} {draw(NUMBERS)}{ack}{size}")
    return lines


@given(dialogues())
def test_whatever_is_said_every_fate_is_decided_and_new_data_is_got_only_where_it_was_acknowledged(
    lines: list[str],
) -> None:
    frames = ladder(*lines)
    found = [number for numbers in arrivals(frames) for number in numbers]
    assert len(found) == len(set(found))
    records = walk(frames).records
    assert all(record.settled and (record.fate == "arrived") == (record.delivered is not None) for record in records)
    for record in records:
        assert record.end
        assert record.segment
        first = not any(
            before.end is record.end and before.stop >= record.stop for before in records[: record.number - 1]
        )
        said = (other.number for other in records if other.end is record.end.peer and not other.disowned)
        spoke = next(said, len(records) + 1)  # what does not count is not said
        if record.number < spoke and any(
            other.end is record.end and other.ack is not None for other in records[: spoke - 1]
        ):
            continue  # what it acknowledges was not captured: the tests at the end tell of that
        if record.disowned or record.discarded:
            continue  # sent earlier than it was captured, or by somebody else
        if record.got and first and record.seq < record.stop and not record.segment.flags & RST:
            heard = [other.ack for other in records if other.end is record.end.peer and other.ack is not None]
            resets = [other.seq for other in records if other.end is record.end.peer and "RST" in other.labels]
            least = (
                record.seq + 1 if record.segment.flags & SYN else record.stop
            )  # a SYN's data may not have been taken
            assert any(ack >= least for ack in heard) or record.ack in resets, lines


# What was not captured.


def test_of_one_direction_all_is_taken_as_got_and_what_must_have_come_is_told() -> None:
    walked = follow(
        "c> SYN 0           ; SYN-SENT > SYN-RECEIVED open.1",
        "c> ACK 1 1         ; ESTABLISHED > ESTABLISHED open.3 open.4",
        "c> data 1 1 14     ; ESTABLISHED > ?",
        "c> ACK 15 15       ; ESTABLISHED > ESTABLISHED",
        "c> FIN 15 15       ; FIN-WAIT-1 > ? close.1",
        "c> ACK 16 16       ; None > None",  # it has the server's FIN, or one byte more
    )
    assert not [record for record in walked.records if record.surprises]
    assert [report.differs(walked.only, f"tcp.open.{number}") for number in (1, 2, 3)] == [None, "not-captured", None]
    assert "server" in walked.only.assumed


def test_of_one_direction_without_its_beginning_nothing_is_said_to_be_lost() -> None:
    for lines in (("c> data 1 1 14", "c> FIN 15 15"), ("s> data 1 1 14", "s> ACK 15 20", "s> FIN 15 20")):
        assert all(record.got for record in walk(ladder(*lines)).records)


def test_a_syn_ack_that_was_not_captured_has_come_all_the_same() -> None:
    walked = follow(
        "c> SYN 0           ; SYN-SENT > SYN-RECEIVED open.1",
        "c> ACK 1 1         ; ESTABLISHED > ESTABLISHED open.3 open.4",
        "c> data 1 1 14     ; ESTABLISHED > ESTABLISHED",
        *TALK[1:],
        *CLOSE,
    )
    assert walked.only.states == walk(ladder(*OPEN, *TALK, *CLOSE)).only.states


def test_a_syn_that_nobody_answers_is_still_lost() -> None:
    assert not [record for record in walk(ladder("c> SYN 0", "c> SYN 0")).records if record.got]


def test_of_a_syn_with_data_the_syn_alone_may_be_acknowledged() -> None:
    """As by a server that knows no Fast Open cookie (RFC 7413 section 4.2.2): the data is sent again."""
    walked = follow(
        "c> SYN 0 14        ; SYN-SENT > SYN-RECEIVED open.1",
        "s> SYN-ACK 0 1     ; ESTABLISHED < SYN-RECEIVED open.2",
        "c> data 1 1 14     ; ESTABLISHED > ESTABLISHED open.3 open.4",
        "s> ACK 1 15        ; ESTABLISHED < ESTABLISHED",
        "c> FIN 15 1",
        "s> FIN 1 16",
        "c> ACK 16 2",
    )
    assert not [record for record in walked.records if record.surprises or not record.got]
    assert walked.only.states == States("TIME-WAIT", "CLOSED")


# What is known of a fate.


def fates(*lines: str) -> list[tuple[str, str | None]]:
    return [(packet.fate, packet.by) for packet in walk(ladder(*lines)).packets]


ARRIVED, LOST, UNKNOWN = ("arrived", "acknowledged"), ("lost", "inferred"), ("unknown", None)
STAMPED = ("c> SYN 0 <sack, ts 100 0>", "s> SYN-ACK 0 1 <sack, ts 500 100>", "c> ACK 1 1 <ts 101 500>")
AGAIN = ("c> data 1 1 5 <ts 110 500>", "c> data 1 1 5 <ts 310 500>")


def test_a_needed_copy_shows_the_earlier_one_lost_and_a_needless_one_that_it_arrived() -> None:
    """RFC 3522: the echo is of the segment that the acknowledgement is for."""
    assert fates(*STAMPED, *AGAIN, "s> ACK 1 6 <ts 700 310>")[3:5] == [LOST, ARRIVED]
    assert fates(*STAMPED, *AGAIN, "s> ACK 1 6 <ts 700 110>")[3:5] == [ARRIVED, ("arrived", "inferred")]


def test_what_is_reported_to_have_come_twice_has_come_twice() -> None:
    """RFC 2883: the report follows the acknowledgement."""
    both = ("c> SYN 0 <sack>", "s> SYN-ACK 0 1 <sack>", "c> ACK 1 1", "c> data 1 1 5", "c> data 1 1 5", "s> ACK 1 6")
    first = IPV4.client_isn + 1
    report = f"s> ACK 1 6 <hex 050a{first:08x}{first + 5:08x}, nop, nop>"
    assert fates(*both, report)[3:5] == [ARRIVED, ARRIVED]
    assert fates(*both)[3:5] == [LOST, ARRIVED]


def test_what_was_sent_into_a_closed_window_may_have_come_and_been_refused() -> None:
    closed = (*OPEN, "s> ACK 1 1 win 0", "c> data 1 1 1", "s> ACK 1 1 win 0", "s> ACK 1 1")
    assert fates(*closed, "c> data 1 1 100", "s> ACK 1 101")[4] == UNKNOWN
    assert fates(*closed)[4] == UNKNOWN


def test_of_what_nothing_acknowledges_nobody_knows_and_what_is_acknowledged_has_arrived() -> None:
    assert fates("c> SYN 0", "c> SYN 0") == [UNKNOWN, UNKNOWN]
    assert fates(*OPEN)[:2] == [ARRIVED, ARRIVED]
    assert fates(*OPEN, "c> data 1 1 5")[3] == UNKNOWN
    assert fates(*OPEN, "c> data 1 1 5", "s> RST-ACK 1 1")[3] == UNKNOWN
    assert fates(*OPEN, "c> data 1 1 5", "s> RST-ACK 1 6")[3] == ARRIVED


def test_an_acknowledgement_that_a_listener_may_ignore_until_data_comes_is_not_lost() -> None:
    """TCP_DEFER_ACCEPT: the SYN-ACK comes again, though the ACK has arrived."""
    defers = ("c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1", "s> SYN-ACK 0 1", "c> ACK 1 1", "c> data 1 1 5", "s> ACK 1 6")
    assert fates(*defers)[2] == UNKNOWN


# What was only inferred to have arrived, and had not.

BOTH_FINS = (*TALKING, "s> FIN 1 1", "c> ACK 1 2", "c> FIN 1 2", "s> ACK 2 2")


def later(*lines: str, others: int = 300) -> list[Record]:
    """Returns the records of what follows long after both ends have closed."""
    pair = IPV4._replace(client="198.51.100.77")
    apart = ladder(*OPEN, *(f"c> data {1 + at} 1 1" for at in range(others)), pair=pair)
    frames = renumbered(*ladder(*BOTH_FINS), *apart, *ladder(*lines))
    return [record for record in walk(frames).records if record.number > len(frames) - len(lines)]


@pytest.mark.parametrize("others", [0, 300])
def test_a_fin_that_is_sent_again_shows_that_its_acknowledgement_was_not_got(others: int) -> None:
    again, answer, reset = later("c> FIN 1 2", "s> ACK 2 2", "c> RST 2", others=others)
    assert again.held == States("LAST-ACK", "TIME-WAIT")
    assert again.labels == ("FIN", "retransmission")
    assert answer.held == States("LAST-ACK", "TIME-WAIT")
    assert answer.delivered == States("CLOSED", "TIME-WAIT")
    assert reset.held == States("CLOSED", "TIME-WAIT")
    assert not any(record.surprises for record in (again, answer, reset))


@pytest.mark.parametrize("others", [0, 300])
def test_an_end_that_answers_the_other_s_fin_once_more_is_not_closed_yet(others: int) -> None:
    again, answer = later("s> FIN 1 1", "c> ACK 2 2", others=others)
    assert not again.surprises
    assert not answer.surprises
    assert answer.held is not None
    assert answer.held.client == "LAST-ACK"
    assert answer.conversation is not None
    assert answer.conversation.states == States("CLOSED", "TIME-WAIT")  # what acknowledges its FIN comes behind that
    assert answer.conversation.over


def test_a_fin_that_is_sent_again_takes_back_what_its_sender_had_not_got() -> None:
    frames = ladder(*TALKING, "c> FIN 1 1", "s> ACK 1 2", "s> ACK 1 2 win 99", "c> FIN 1 1", "s> ACK 1 2")
    found = walk(frames).records
    assert [record.held.client for record in found[4:] if record.held] == [
        "FIN-WAIT-1", "FIN-WAIT-1", "FIN-WAIT-2", "FIN-WAIT-1", "FIN-WAIT-1",
    ]  # fmt: skip
    assert not any(record.surprises for record in found)


def test_what_has_been_acknowledged_is_not_taken_back() -> None:
    frames = ladder(*TALKING, "c> FIN 1 1", "s> data 1 2 10", "c> ACK 2 11", "s> ACK 11 2", "c> FIN 1 1", "s> ACK 11 2")
    again = walk(frames).records[-2]
    assert again.held is not None
    assert again.held.client == "FIN-WAIT-2"
