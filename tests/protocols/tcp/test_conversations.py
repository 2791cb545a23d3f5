"""Which conversation, who is the client, where in the stream, and what a segment is called for that."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from lab.engine.record import Record
from lab.model import Frame
from lab.protocols.tcp.conversation import Conversation
from lab.render import trace
from lab.report.conversations import entry
from tests.packets import IPV4, IPV6, OPEN, TALK, UNEVEN, Pair, drawn, ladder, renumbered, walk
from tests.protocols.tls.captures import shown

WRAP = 1 << 32


def ends(conversation: Conversation) -> tuple[tuple[str, int], ...]:
    return tuple((end.host, end.port) for end in conversation.ends)


def labels(*lines: str) -> list[str]:
    """Returns the labels of the last of these packets, without what kind it is."""
    *_, last = walk(ladder(*OPEN, *lines)).records
    return [label for label in last.labels if label not in ("ACK", "data", "SYN", "SYN-ACK", "FIN", "RST")]


def relative(records: list[Record]) -> list[tuple[int, int | None]]:
    return [(record.seq, record.ack) for record in records]


# Who is the client.

HERE = (("192.0.2.1", 40000), ("192.0.2.2", 8080))


@pytest.mark.parametrize("pair", [IPV4, Pair(client_port=8080, server_port=40000)])
def test_the_client_is_the_first_syns_sender_whatever_the_ports(pair: Pair) -> None:
    expected = (("192.0.2.1", pair.client_port), ("192.0.2.2", pair.server_port))
    assert ends(walk(ladder("c> SYN 0", "s> SYN-ACK 0 1", pair=pair)).only) == expected
    assert ends(walk(ladder("c> SYN 0", "s> SYN 0", pair=pair)).only) == expected


@pytest.mark.parametrize("pair", [IPV4, Pair(client_port=8080, server_port=40000)])
def test_without_a_syn_the_client_is_the_syn_acks_receiver(pair: Pair) -> None:
    assert ends(walk(ladder("s> SYN-ACK 0 1", pair=pair)).only)[0] == ("192.0.2.1", pair.client_port)


@pytest.mark.parametrize("line", ["c> data 1 1 5", "s> ACK 1 1", "s> FIN 1 1", "c> RST 1", "s> [] 1"])
def test_without_either_the_client_has_the_higher_port(line: str) -> None:
    assert ends(walk(ladder(line)).only) == HERE
    other = Pair(client="192.0.2.2", server="192.0.2.1", client_port=8080, server_port=40000)
    assert ends(walk(ladder(line, pair=other)).only) == HERE


def test_both_directions_are_one_conversation_and_another_port_or_address_is_another() -> None:
    other = [IPV4._replace(client_port=40001), IPV4._replace(server_port=8081), IPV4._replace(server="192.0.2.3"), IPV6]
    frames = renumbered(*ladder(*OPEN), *(frame for pair in other for frame in ladder(*OPEN, pair=pair)))
    walked = walk(frames)
    assert [record.conversation.id for record in walked.records if record.conversation] == [
        at for at in range(5) for _ in OPEN
    ]
    assert [each.packets for each in walked.conversations] == [3] * 5


def test_a_syn_with_another_isn_on_a_used_pair_opens_a_new_conversation() -> None:
    walked = walk(ladder(*UNEVEN["used again"]))
    assert len(walked.conversations) == 2
    assert walked.records[-1].conversation is walked.conversations[1]
    assert relative(walked.records[-3:]) == [(0, None), (0, 1), (1, 1)]
    assert walked.conversations[1].client.isn == IPV4.client_isn + 1_000_000


CLOSED = (*OPEN, "c> data 1 1 10", "s> ACK 1 11", "c> FIN 11 1", "s> FIN 1 12", "c> ACK 12 2")


def test_a_syn_with_the_isn_of_one_that_is_over_opens_a_new_conversation_where_it_is_answered_anew() -> None:
    pairs = [IPV4, IPV4._replace(server_isn=5), IPV4._replace(server_isn=99_999)]
    walked = walk(renumbered(*(frame for pair in pairs for frame in ladder(*CLOSED, pair=pair))))
    assert [each.packets for each in walked.conversations] == [len(CLOSED)] * 3
    assert [drawn(record) for record in walked.records] == [
        drawn(record) for record in walk(ladder(*CLOSED)).records
    ] * 3
    reset = (*OPEN, "c> RST 1", "c> SYN 0", "s> SYN-ACK 5000 1")
    assert [len(walk(ladder(*reset, each)).conversations) for each in ("c> ACK 1 5001", "c> RST 1")] == [2, 1]


def test_a_late_copy_of_a_syn_opens_none() -> None:
    for answer in ("s> ACK 2 12", "s> SYN-ACK 0 1", "s> RST-ACK 0 1"):
        assert len(walk(ladder(*CLOSED, "c> SYN 0", answer)).conversations) == 1


def test_the_client_of_a_new_conversation_on_a_used_pair_is_the_new_syns_sender() -> None:
    walked = walk(ladder(*OPEN, "s> SYN 90000", "c> SYN-ACK 70000 90001"))
    assert [ends(each)[0] for each in walked.conversations] == [HERE[0], HERE[1]]


def test_a_syn_after_a_capture_that_began_midway_opens_a_new_conversation() -> None:
    for line in ("c> SYN 5000", "s> SYN 5000"):
        assert len(walk(ladder(*TALK, line)).conversations) == 2


def test_a_repeated_syn_and_a_simultaneous_open_open_none() -> None:
    for lines in (
        ("c> SYN 0", "c> SYN 0"),
        ("c> SYN 0", "s> SYN 0"),
        UNEVEN["simultaneous open"],
        UNEVEN["SYN-ACK lost"],
    ):
        assert len(walk(ladder(*lines)).conversations) == 1


# Relative numbers.


def test_a_syn_is_0_in_either_direction() -> None:
    assert relative(walk(ladder(*OPEN)).records) == [(0, None), (0, 1), (1, 1)]


def test_where_the_syn_is_missing_the_first_byte_seen_is_1() -> None:
    assert relative(walk(ladder("c> data 777 999 10", "s> ACK 999 787", "s> data 999 787 5")).records) == [
        (1, 1), (1, 11), (1, 11),
    ]  # fmt: skip


def test_where_only_the_first_syn_is_missing_the_numbers_are_as_with_it() -> None:
    assert relative(walk(ladder(*OPEN[1:], "c> data 1 1 5")).records) == [(0, 1), (1, 1), (1, 1)]


def test_the_acknowledgement_number_is_null_without_the_flag() -> None:
    walked = walk(ladder("c> SYN 0", "c> RST 1", "c> [S] 0", "c> [] 1"))
    assert [record.ack for record in walked.records] == [None] * 4
    assert [trace.packet(each)["ack_raw"] for each in walked.packets] == [None] * 4


@pytest.mark.parametrize("isn", [0, 1, WRAP - 1, WRAP - 2, WRAP - 20])
def test_numbers_go_on_where_the_raw_ones_wrap(isn: int) -> None:
    pair = IPV4._replace(client_isn=isn, server_isn=(isn + 7) % WRAP)
    ours, wrapped = walk(ladder(*OPEN, *TALK)), walk(ladder(*OPEN, *TALK, pair=pair))
    assert relative(wrapped.records) == relative(ours.records)
    assert [record.labels for record in wrapped.records] == [record.labels for record in ours.records]
    assert [record.held for record in wrapped.records] == [record.held for record in ours.records]
    raw = [trace.packet(each)["seq_raw"] for each in wrapped.packets]
    assert raw[0] == isn
    assert all(0 <= number < WRAP for number in raw)


def test_a_stream_longer_than_4_gib_goes_on_counting() -> None:
    gib = 1 << 30
    lines = [f"c> data {1 + at * gib} 1 10" for at in range(11)]
    acks = [f"s> ACK 1 {11 + at * gib}" for at in range(11)]
    walked = walk(ladder(*OPEN, *(line for both in zip(lines, acks, strict=True) for line in both)))
    assert [record.seq for record in walked.records[3::2]] == [1 + at * gib for at in range(11)]
    assert [record.ack for record in walked.records[4::2]] == [11 + at * gib for at in range(11)]
    assert all(record.got for record in walked.records)


def test_a_number_before_the_first_seen_is_counted_backwards() -> None:
    assert relative(walk(ladder("c> data 100 1 10", "c> data 50 1 10")).records) == [(1, 1), (-49, 1)]


@given(st.integers(0, WRAP - 1), st.lists(st.integers(1, 60_000), min_size=1, max_size=8))
@example(WRAP - 1, [1])
def test_a_stream_is_counted_alike_from_whatever_initial_number(isn: int, sizes: list[int]) -> None:
    starts = [1, *accumulate(sizes, initial=1)][1:-1]
    frames = ladder(*OPEN, *(f"c> data {at} 1 1" for at in starts), pair=IPV4._replace(client_isn=isn))
    assert [record.seq for record in walk(frames).records[3:]] == starts


# What a segment is called for its place in the stream.


def test_what_is_sent_again_is_a_retransmission() -> None:
    for again in ("c> data 1 1 10", "c> data 5 1 3", "c> data 1 1 20", "c> FIN 1 1 9"):
        assert labels("c> data 1 1 10", again) == ["retransmission"]
    assert labels("c> FIN 1 1", "c> FIN 1 1") == ["retransmission"]
    assert labels("c> data 1 1 10", "c> data 10 1 5") == ["retransmission"], "too long for a keep-alive"
    assert labels("c> data 1 1 10", "s> ACK 1 11", "c> data 1 1 10") == ["retransmission"]
    assert walk(ladder("c> SYN 0", "c> SYN 0")).records[1].labels == ("SYN", "retransmission")
    assert walk(ladder("c> SYN 0", "s> SYN-ACK 0 1", "s> SYN-ACK 0 1")).records[2].labels == (
        "SYN-ACK",
        "retransmission",
    )


def test_what_fills_a_hole_is_out_of_order_and_what_comes_ahead_misses_a_segment() -> None:
    assert labels("c> data 11 1 10") == ["previous-segment-not-captured"]
    assert labels("c> data 11 1 10", "c> data 1 1 10") == ["out-of-order"]
    assert labels("c> data 21 1 10", "c> data 11 1 5", "c> data 1 1 10") == ["out-of-order"]
    assert labels("c> data 21 1 10", "c> data 11 1 5", "c> data 16 1 5") == ["out-of-order"]
    assert labels("c> data 11 1 10", "c> data 1 1 10", "c> data 1 1 10") == ["retransmission"]
    assert labels("c> FIN 11 1") == ["previous-segment-not-captured"]


def test_of_what_comes_further_on_nobody_says_that_it_was_not_captured() -> None:
    told = shown(ladder(*OPEN, "c> data 6 1 5", "c> data 1 1 5", "s> ACK 1 11"))
    assert "ahead of order: a segment before it is missing here" in told
    assert "提前出现：此处尚缺它前面的报文段" in told
    assert "not captured" not in told.partition("The notes' steps")[0]
    assert "out of order" in told


def test_holes_that_are_filled_from_behind_are_remembered_up_to_a_limit() -> None:
    falling = (f"c> data {at * 7} 1 3" for at in range(1000, 0, -1))
    walked = walk(ladder(*OPEN, *falling))
    assert len(walked.only.client.holes or ()) <= 64
    assert ["out-of-order" in record.labels for record in walked.records[4:]] == [True] * 999


def test_an_ack_ahead_of_the_stream_misses_a_segment_too() -> None:
    """As Wireshark says of it."""
    assert labels("c> ACK 101 1") == ["previous-segment-not-captured"]


def test_a_segment_one_before_the_next_is_a_keep_alive() -> None:
    assert labels("c> ACK 0 1") == ["keep-alive"]
    assert labels("c> data 0 1 1") == ["keep-alive"]
    assert labels("c> data 1 1 10", "s> ACK 1 11", "c> ACK 10 1") == ["keep-alive"]
    assert labels("c> ACK 1 1") == []


@pytest.mark.parametrize("reset", ["RST 0", "RST 77777", "RST-ACK 0 1", "RST-ACK 77777 4000000000"])
@pytest.mark.parametrize("sender", ["c", "s"])
def test_a_reset_that_a_capture_begins_with_settles_no_numbers(sender: str, reset: str) -> None:
    """It need not be of the stream: the first byte seen is 1 all the same, and nothing before it is missing."""
    records = walk(ladder(f"{sender}> {reset}", "c> data 500 900 10", "s> data 900 510 5", "c> ACK 510 905")).records
    assert relative(records) == [(1, 1 if "ACK" in reset else None), (1, 1), (1, 11), (11, 6)]
    assert not [label for record in records for label in record.labels if label.startswith("previous")]


def test_an_ack_said_twice_while_something_is_outstanding_is_a_duplicate() -> None:
    """RFC 5681 section 2."""
    assert labels("c> data 1 1 10", "s> ACK 1 1", "s> ACK 1 1") == ["duplicate-ack"]
    assert labels("c> data 1 1 10", "s> ACK 1 11", "s> ACK 1 11") == [], "nothing is outstanding"
    assert labels("c> data 1 1 10", "s> ACK 1 1", "s> data 1 1 5") == [], "it carries data"
    assert labels("c> data 1 1 10", "s> ACK 1 1", "s> FIN 1 1") == [], "it carries a FIN"


def test_an_ack_that_changes_only_the_window_is_a_window_update() -> None:
    assert labels("c> data 1 1 10", "s> ACK 1 11", "s> ACK 1 11 win 9") == ["window-update"]
    assert labels("c> data 1 1 10", "s> ACK 1 1 win 5", "s> ACK 1 1 win 9") == ["window-update"]
    assert labels("c> data 1 1 10", "s> ACK 1 11 win 9") == []


def test_an_ack_that_closes_the_window_is_a_zero_window_and_no_update() -> None:
    """Wireshark's documentation: the window of a window update is "non-zero and not equal to the last-seen"."""
    assert labels("c> data 1 1 10", "s> ACK 1 11", "s> ACK 1 11 win 0") == ["zero-window"]


def test_a_window_of_0_is_said_of_segments_that_offer_one() -> None:
    assert labels("c> data 1 1 10", "s> ACK 1 11 win 0") == ["zero-window"]
    assert labels("c> data 1 1 10 win 0") == ["zero-window"]
    assert labels("c> RST 1 win 0") == labels("c> RST-ACK 1 1 win 0") == []
    assert "zero-window" not in walk(ladder("c> SYN 0 win 0")).records[0].labels


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("c> SYN 0", "SYN"), ("c> SYN-ACK 0 1", "SYN-ACK"), ("c> ACK 1 1", "ACK"), ("c> data 1 1 5", "data"),
        ("c> FIN 1 1", "FIN"), ("c> [F] 1", "FIN"), ("c> FIN 1 1 5", "data FIN"), ("c> RST 1", "RST"),
        ("c> RST-ACK 1 1", "RST"), ("c> [] 1", "no-flags"), ("c> [U] 1", "no-flags"), ("c> SYN 0 5", "SYN data"),
        ("c> [SF] 0", "SYN FIN"), ("c> [P] 1 5", "data"),
    ],
)  # fmt: skip
def test_a_segment_is_called_by_its_flags_and_whether_it_carries_data(line: str, kind: str) -> None:
    assert " ".join(walk(ladder(line)).records[0].labels) == kind


def test_a_syn_and_a_fin_take_a_number_each() -> None:
    assert labels("c> FIN 1 1", "c> ACK 2 1") == []
    assert labels("c> FIN 1 1 5", "c> ACK 7 1") == []
    walked = walk(ladder("c> SYN 0 10", "s> SYN-ACK 0 11", "c> data 11 1 5"))
    assert [record.labels[-1] for record in walked.records] == ["data", "SYN-ACK", "data"]


# The options of a SYN.


NOTHING = {"mss": None, "window_scale": None, "sack_permitted": False, "timestamps": False}


def offered(frame: Frame) -> dict[str, object]:
    """Returns what the trace says that the client offered in this SYN."""
    found: dict[str, object] = entry(walk([frame]).only)["tcp"]["options"]["client"]
    return found


def test_the_options_of_a_syn_are_what_each_end_offered() -> None:
    frames = ladder("c> SYN 0 <mss 1460, sack, ts 1 0, nop, wscale 7>", "s> SYN-ACK 0 1 <mss 536>", "c> ACK 1 1")
    assert entry(walk(frames).only)["tcp"]["options"] == {
        "client": {"mss": 1460, "window_scale": 7, "sack_permitted": True, "timestamps": True},
        "server": {**NOTHING, "mss": 536},
    }


def test_what_a_repeated_syn_offers_does_not_replace_what_the_first_did() -> None:
    frames = ladder("c> SYN 0 <mss 1460>", "c> SYN 0 <mss 536>")
    assert entry(walk(frames).only)["tcp"]["options"]["client"]["mss"] == 1460


def test_of_an_end_whose_syn_was_not_captured_nothing_is_known() -> None:
    found = entry(walk(ladder(*OPEN[1:])).only)["tcp"]
    assert found["options"] == {"client": None, "server": NOTHING}
    assert (found["client_isn"], found["server_isn"]) == (None, IPV4.server_isn)


@pytest.mark.parametrize(
    "listed",
    [
        "nop", "hex 02", "hex 0200", "hex 0203ff", "hex 0205010203", "hex 030207", "hex 08040000", "hex 0403ff",
        "hex 00, mss 1460", "hex ff, mss 1460", "hex ff00, mss 1460", "hex ffff, mss 1460", "hex 0201",
    ],
)  # fmt: skip
def test_an_option_that_is_malformed_or_behind_such_a_one_counts_as_not_offered(listed: str) -> None:
    assert offered(ladder(f"c> SYN 0 <{listed}>")[0]) == NOTHING
    assert offered(ladder("c> SYN 0")[0]) == NOTHING


def test_an_option_that_nobody_knows_is_stepped_over() -> None:
    assert offered(ladder("c> SYN 0 <hex fd05414243, mss 1400>")[0]) == {**NOTHING, "mss": 1400}


@given(st.binary(min_size=1, max_size=40), st.integers(54, 94))
def test_options_of_any_bytes_cut_anywhere_are_read_without_an_exception(listed: bytes, size: int) -> None:
    (frame,) = ladder(f"c> SYN 0 <hex {listed.hex()}>")
    found = offered(frame._replace(data=frame.data[:size]))
    assert set(found) == set(NOTHING)
    assert size >= 58 or found["mss"] is None, "four bytes are needed for it"


@given(st.integers(0, 65535), st.integers(0, 255), st.booleans(), st.booleans())
def test_scapys_options_are_read(mss: int, scale: int, sack: bool, stamps: bool) -> None:
    listed = [("MSS", mss), ("WScale", scale)] + [("SAckOK", b"")] * sack + [("Timestamp", (1, 2))] * stamps
    link = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")  # Scapy would ask the network for them
    data = bytes(link / IP(src="192.0.2.1", dst="192.0.2.2") / TCP(flags="S", options=listed))
    assert offered(Frame(1, None, data, len(data))) == {
        "mss": mss, "window_scale": scale, "sack_permitted": sack, "timestamps": stamps,
    }  # fmt: skip
