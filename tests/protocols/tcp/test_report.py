"""A conversation as a whole: Zeek's conn_state and history, and how its steps depart from the notes.

States and letters are those of Zeek's documentation of conn.log, with our roles: the client is the originator.
"""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab.capture.pcapng import Writer
from lab.engine import journal
from lab.protocols.notes import notes
from lab.protocols.tcp.icmp import Kind
from lab.render.comments import comments
from lab.report.conversations import entry
from tests.packets import CLOSE, OPEN, TALK, UNEVEN, Pair, Walked, ladder, prompt, renumbered, replay, walk


def told(*lines: str) -> dict[str, Any]:
    """Returns the trace's entry on the one conversation of these packets."""
    return entry(walk(ladder(*lines)).only)


def codes(walked: Walked) -> dict[str, str]:
    """Returns the codes of the steps that depart, in the last conversation, from the notes: `{"close.1": "reset"}`."""
    steps = entry(walked.conversations[-1])["steps"]
    return {step["id"].removeprefix("tcp."): step["differs"]["code"] for step in steps if step["differs"]}


def differs(*lines: str) -> dict[str, str]:
    return codes(walk(ladder(*lines)))


# Zeek's conn_state, in the order of its documentation.

ZEEK = {
    "S0": (("c> SYN 0", "c> SYN 0"), None, False),
    "S1": ((*OPEN, *TALK), None, True),
    "SF": ((*OPEN, *TALK, *CLOSE), "fin", True),
    "REJ": (("c> SYN 0", "s> RST-ACK 0 1"), "rst", False),
    "S2": ((*OPEN, *TALK, *CLOSE[:2]), None, True),
    "S3": ((*OPEN, *TALK, "s> FIN 15 15", "c> ACK 15 16"), None, True),
    "RSTO": ((*OPEN, *TALK, "c> RST-ACK 15 15"), "rst", True),
    "RSTR": ((*OPEN, *TALK, "s> RST-ACK 15 15"), "rst", True),
    "RSTOS0": (("c> SYN 0", "c> RST 1"), "rst", False),
    "RSTRH": (("s> SYN-ACK 0 1", "s> RST 1"), "rst", False),
    "SH": (("c> SYN 0", "c> FIN 1 1"), None, True),
    "SHR": (("s> SYN-ACK 0 1", "s> FIN 1 1"), None, False),
    "OTH": ((*TALK, "c> data 15 15 3"), None, False),
}


@pytest.mark.parametrize("state", ZEEK)
def test_each_of_zeeks_states_is_told_from_the_others(state: str) -> None:
    lines, closed, opened = ZEEK[state]
    entry = told(*lines)
    assert (entry["conn_state"], entry["closed"], entry["opened"]) == (state, closed, opened)


@pytest.mark.parametrize(
    ("lines", "history"),
    [
        ((*OPEN, *TALK, *CLOSE), "ShADadFf"),
        (("c> SYN 0", "s> RST-ACK 0 1"), "Sr"),
        ((*OPEN, *TALK, "s> FIN 15 15", "c> ACK 15 16", "c> RST 15"), "ShADadfR"),
        ((*OPEN, "c> data 1 1 5 win 0", "s> ACK 1 6 win 0"), "ShADWaw"),
        ((*OPEN, "c> data 101 1 5"), "ShADG"),
        ((*OPEN, "c> data 1 1 5", "c> data 1 1 5"), "ShADT"),
        (UNEVEN["simultaneous open"], "SshHDadAFf"),
        (TALK, "DadA"),
    ],
)
def test_the_history_has_a_letter_for_each_new_kind_of_packet(lines: tuple[str, ...], history: str) -> None:
    assert told(*lines)["history"] == history


# What the script of Zeek that decides conn_state makes of what these ends were seen to do.

PARTLY: dict[str, tuple[tuple[str, ...], str, str]] = {
    "one direction: the client's": (("c> SYN 0", "c> ACK 1 1", "c> data 1 1 5", "c> FIN 6 9"), "SH", "SADF"),
    "the client's, still open": (("c> SYN 0", "c> ACK 1 1", "c> data 1 1 5"), "S0", "SAD"),
    "the client's, reset after data": (("c> SYN 0", "c> ACK 1 1", "c> data 1 1 5", "c> RST 6"), "OTH", "SADR"),
    "the server's": (("s> SYN-ACK 0 1", "s> data 1 1 5", "s> FIN 6 9"), "SHR", "hdf"),
    "the server's, still open": (("s> SYN-ACK 0 1", "s> data 1 1 5"), "OTH", "hd"),
    "the server's, reset": (("s> SYN-ACK 0 1", "s> data 1 1 5", "s> RST 6"), "RSTRH", "hdr"),
    "no SYN": (("s> SYN-ACK 0 1", "c> ACK 1 1", "c> data 1 1 5"), "S1", "hAD"),
    "no SYN, closed": (("s> SYN-ACK 0 1", "c> ACK 1 1", "c> FIN 1 1", "s> FIN 1 2", "c> ACK 2 2"), "SF", "hAFf"),
    "no SYN, the client resets": (("s> SYN-ACK 0 1", "c> RST 1"), "RSTO", "hR"),
    "no SYN-ACK": (("c> SYN 0", "c> ACK 1 1", "s> data 1 1 5", "c> ACK 1 6"), "OTH", "SAd"),
    "no SYN-ACK, closed": (("c> SYN 0", "s> data 1 1 5", "c> FIN 1 6", "s> FIN 6 2"), "SF", "SdFf"),
    "no SYN-ACK, the server resets": (("c> SYN 0", "s> data 1 1 5", "s> RST 6"), "REJ", "Sdr"),
    "begun midway, closed": (("c> data 1 1 5", "c> FIN 6 1", "s> FIN 1 7"), "SF", "DFf"),
    "begun midway, the client closes": (("s> data 1 1 5", "c> FIN 1 6"), "SH", "dF"),
    "begun midway, the server closes": (("c> data 1 1 5", "s> FIN 1 6"), "SHR", "Df"),
    "begun midway, the client resets": (("s> data 1 1 5", "c> RST 1"), "OTH", "dR"),
    "begun midway, the server resets": (("c> data 1 1 5", "s> RST 1"), "RSTRH", "Dr"),
    "not yet acknowledged": (OPEN[:2], "S1", "Sh"),
    "reset before it is open": ((*OPEN[:2], "c> RST 1"), "RSTO", "ShR"),
    "reset by who agreed": ((*OPEN[:2], "s> RST 1"), "RSTR", "Shr"),
    "both reset": ((*OPEN, "c> data 1 1 5", "s> ACK 1 6", "c> RST 6", "s> RST 1"), "RSTR", "ShADaRr"),
    "both reset, and nothing said": ((*OPEN, "c> RST 1", "s> RST 1"), "REJ", "ShARr"),
    "challenged, then reset": (("c> SYN 0", "s> ACK 77 99", "c> RST 99"), "RSTOS0", "SaR"),
    "reset in answer to a FIN": ((*OPEN, "c> FIN 1 1", "s> RST 1"), "RSTR", "ShAFr"),
    "rejected after a FIN": (("c> SYN 0", "c> FIN 1 1", "s> RST 0"), "RSTR", "SFr"),
    "Fast Open": (("c> SYN 0 3", "s> SYN-ACK 0 4", "c> ACK 4 1"), "S1", "SDhA"),
    "Fast Open, refused": (("c> SYN 0 3", "s> RST-ACK 0 4"), "REJ", "SDr"),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTLY)
def test_what_was_seen_only_in_part_has_the_state_that_zeek_gives_it(name: str) -> None:
    lines, state, history = PARTLY[name]
    entry = told(*lines)
    assert (entry["conn_state"], entry["history"]) == (state, history)


@pytest.mark.parametrize(
    ("lines", "history"),
    [
        (("c> SYN 0", "s> SYN-ACK 0 1", "s> SYN-ACK 500 1"), "Sh"),  # Zeek: Shh
        ((*OPEN, *(f"c> data {at} 1 5" for at in (1, 1) * 12)), "ShADT"),  # Zeek: ShADTT
        ((*OPEN, "c> data 6 1 5", "c> data 1 1 5", "s> ACK 1 11"), "ShADGa"),  # Zeek: ShADTa
        ((*OPEN, "c> data 1 1 5", "s> ACK 1 6", "c> data 5 1 1", "s> ACK 1 6"), "ShADa"),  # Zeek: ShADaT
        ((*OPEN, "c> FIN 1 1 5", "s> ACK 1 7"), "ShADFa"),  # Zeek: ShAFa
        ((*OPEN, "c> [FR] 1"), "ShAFR"),  # Zeek: ShAI
    ],
)
def test_number_16_where_the_history_is_not_quite_zeeks(lines: tuple[str, ...], history: str) -> None:
    assert told(*lines)["history"] == history


def test_a_port_used_again_is_another_connection_with_a_state_of_its_own() -> None:
    again = ("c> SYN 1000000", "s> RST-ACK 0 1000001")
    walked = walk(ladder(*OPEN, *TALK, *CLOSE, *again))
    entries = [entry(which) for which in walked.conversations]
    assert [(each["conn_state"], each["history"]) for each in entries] == [("SF", "ShADadFf"), ("REJ", "Sr")]


def test_a_wrong_checksum_has_its_letter() -> None:
    frames = ladder(*OPEN, "c> data 1 1 5")
    spoilt = frames[3]._replace(data=frames[3].data[:-1] + b"?")
    assert entry(walk([*frames[:3], spoilt]).only)["history"] == "ShADC"


def test_the_letter_t_is_for_retransmitted_payload_and_a_syn_has_none() -> None:
    """Zeek's documentation: "t  packet with retransmitted payload"."""
    assert told("c> SYN 0", "c> SYN 0", "c> SYN 0")["history"] == "S"


def test_after_both_fins_were_acknowledged_a_late_reset_does_not_change_how_the_connection_closed() -> None:
    """As Zeek's TCP analyzer, which keeps both ends closed once it "has already seen a FIN exchange"."""
    entry = told(*OPEN, *TALK, *CLOSE, "s> RST 16")
    assert (entry["closed"], entry["conn_state"]) == ("fin", "SF")


def test_a_syn_is_not_without_a_reply_where_the_other_end_is_heard_to_talk() -> None:
    """S0 is "Connection attempt seen, no reply"; here the reply's SYN-ACK alone was not captured."""
    assert told("c> SYN 0", "c> ACK 1 1", "s> data 1 1 5", "c> ACK 1 6")["conn_state"] != "S0"


def test_a_connection_is_closed_by_fin_only_when_both_fins_are_acknowledged() -> None:
    assert [told(*OPEN, *TALK, *CLOSE[:count])["closed"] for count in range(5)] == [None, None, None, None, "fin"]


def test_retransmissions_are_counted() -> None:
    data = "c> data 1 1 5"
    assert told(*OPEN, data, data, "s> ACK 1 6", data, "s> ACK 1 6")["tcp"]["retransmissions"] == 2
    assert told(*OPEN, *TALK, *CLOSE)["tcp"]["retransmissions"] == 0


# How steps depart from the notes, code by code.


def test_the_notes_own_connection_departs_nowhere() -> None:
    entry = told(*OPEN, *TALK, *CLOSE)
    assert [(step["seen"], step["packets"], step["differs"]) for step in entry["steps"]] == [
        (True, [packet], None) for packet in (1, 2, 3, 3, 8, 9, 10, 11)
    ]


ALL = [f"{phase}.{number}" for phase in ("open", "close") for number in (1, 2, 3, 4)]
CLOSING, LATER = ALL[4:], ALL[1:]
CASES = {
    "merged": ((*OPEN, *TALK, "c> FIN 15 15", "s> FIN 15 16", "c> ACK 16 16"), ["close.2", "close.3"]),
    "carries-data": ((*OPEN[:2], "c> data 1 1 14", "s> ACK 1 15", "c> FIN 15 1"), ["open.3"]),
    "retransmitted": (("c> SYN 0", *OPEN, *TALK, *CLOSE), ["open.1"]),
    "simultaneous-open": (UNEVEN["simultaneous open"], ALL[:4]),
    "split-handshake": (("c> SYN 0", "s> SYN 0", "c> SYN-ACK 0 1", "s> ACK 1 1", *TALK), ALL[:4]),
    "half-open": (
        (*OPEN, "c> SYN 9000", "s> ACK 1 1", "c> RST 1", "c> SYN 9000", "s> SYN-ACK 7000 9001", "c> ACK 9001 7001"),
        ["open.1"],
    ),
    "challenged": ((*OPEN, "c> SYN 9000", "s> ACK 1 1", "c> data 1 1 5", "s> ACK 1 6"), ALL),
    "simultaneous-close": (UNEVEN["simultaneous close"], ["close.2", "close.3", "close.4"]),
    "server-closes-first": (
        (*OPEN, *TALK, "s> FIN 15 15", "c> ACK 15 16", "c> FIN 15 16", "s> ACK 16 16"), ["close.1"],
    ),
    "half-close": (
        (*OPEN, "c> FIN 1 1", "s> ACK 1 2", "s> data 1 2 9", "c> ACK 2 10", "s> FIN 10 2", "c> ACK 2 11"), ["close.3"],
    ),
    "refused": (("c> SYN 0", "s> RST-ACK 0 1"), LATER),
    "reset": ((*OPEN, *TALK, "c> RST-ACK 15 15"), CLOSING),
    "unanswered": (("c> SYN 0",), ALL),
    "not-captured": ((*TALK, *CLOSE), ALL[:4]),
    "order-unknown": (("s> SYN-ACK 0 1", "s> ACK 1 9", "s> FIN 1 10"), CLOSING),
    "not-finished": ((*OPEN, *TALK), CLOSING),
}  # fmt: skip


@pytest.mark.parametrize("code", CASES)
def test_each_departure_is_named_at_the_steps_it_concerns(code: str) -> None:
    lines, steps = CASES[code]
    assert [step for step, given in differs(*lines).items() if given == code] == steps


def test_a_rst_without_ack_ends_no_opening() -> None:
    """A SYN drops it (RFC 9293 section 3.10.7.3): its sender waits on. Zeek calls it refused."""
    entry = told("c> SYN 0", "s> RST 1")
    assert (entry["conn_state"], entry["closed"], entry["final"]["states"]["client"]) == ("REJ", None, "SYN-SENT")
    assert {step["differs"]["code"] for step in entry["steps"]} == {"unanswered"}
    assert all("SYN-SENT drops that" in step["differs"]["en"] for step in entry["steps"])
    entry = told("c> SYN 0", "s> RST 0", "c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1")
    assert (entry["conn_state"], entry["closed"], entry["opened"]) == ("S1", None, True)
    assert told("c> SYN 0", "s> data 1 1 5", "s> RST 6")["closed"] == "rst"  # its SYN-ACK was not captured


def test_a_segment_that_was_lost_and_whose_work_a_later_one_did_is_called_lost() -> None:
    frames = ladder(*OPEN, "c> data 1 1 14", "s> ACK 1 15")
    assert codes(replay(prompt(frames, dropped=(3,))))["open.3"] == "lost"


def test_what_the_journal_knows_of_a_step_is_said_as_known_and_what_is_inferred_as_that() -> None:
    frames = ladder("c> SYN 0", *OPEN, "c> data 1 1 14", "s> ACK 1 15")
    dropped, bare = replay(prompt(frames, dropped=(1, 4))).reports[0].steps, walk(frames).reports[0].steps
    said = {step.id: step.differs.text.en for step in dropped if step.differs}
    assert said["tcp.open.1"].endswith("(packets 1, 2): the wire dropped packet 1.")
    assert said["tcp.open.3"].startswith("The wire dropped the client's segment (packet 4)")
    assert bare[0].differs is not None
    assert bare[0].differs.text.en.endswith("(packets 1, 2): to all appearances packet 1 never arrived.")
    (alone,) = replay(prompt(frames[:1], dropped=(1,))).reports
    assert alone.steps[0].differs is not None
    assert alone.steps[0].differs.text.en.startswith("The wire dropped it (packet 1)")


def test_a_fin_in_front_of_a_reset_is_not_seen_acknowledged_and_not_lost() -> None:
    for lines in ((*OPEN, "c> FIN 1 1", "c> RST-ACK 2 1"), (*OPEN, "c> FIN 1 1", "s> RST-ACK 1 1")):
        walked = walk(ladder(*lines))
        assert walked.packets[3].fate == "unknown"
        step = next(step for step in walked.reports[0].steps if step.id == "tcp.close.1")
        assert step.differs is not None
        assert "not known" in step.differs.text.en


def test_an_acknowledgement_whose_object_is_sent_again_is_not_called_lost() -> None:
    """It may be late, or ignored: a Linux listener with TCP_DEFER_ACCEPT takes none that brings no data."""
    assert differs(*OPEN, "s> SYN-ACK 0 1")["open.3"] == "unconfirmed"


def test_every_code_of_the_notes_is_tried_here() -> None:
    of_icmp = {kind.value for kind in Kind if kind.value}  # in test_icmp.py
    told = {*CASES, "lost", "unconfirmed", "syn-cookie", *of_icmp}  # a cookie: in test_acceptance.py
    assert set(notes("tcp").differs) == told


def test_where_only_the_first_syn_is_missing_that_step_was_not_captured_and_the_others_were() -> None:
    found = differs(*OPEN[1:], *TALK, *CLOSE)
    assert found == {"open.1": "not-captured"}


@pytest.mark.parametrize("count", [1, 2])
def test_an_unanswered_syn_is_told_alike_inferred_and_by_the_wire(count: int) -> None:
    frames = ladder(*["c> SYN 0"] * count)
    inferred, journaled = codes(walk(frames)), codes(replay(prompt(frames, dropped=range(1, count + 1))))
    assert inferred == journaled
    assert inferred["open.1"] == "unanswered"


@pytest.mark.parametrize("name", ["first SYN lost", "last ACK lost", "data lost"])
def test_what_was_lost_and_sent_again_is_told_alike_inferred_and_by_the_wire(name: str) -> None:
    frames = ladder(*UNEVEN[name])
    inferred = walk(frames)
    lost = [record.number for record in inferred.records if not record.got]
    assert lost
    journaled = replay(prompt(frames, dropped=lost))
    assert codes(inferred) == codes(journaled)
    for ours, theirs in zip(inferred.records, journaled.records, strict=True):
        assert (ours.held, ours.delivered, ours.steps) == (theirs.held, theirs.delivered, theirs.steps)


def test_a_departure_names_its_packets_in_both_languages() -> None:
    entry = told("c> SYN 0", "c> SYN 0", *OPEN)
    (again,) = [step["differs"] for step in entry["steps"] if step["differs"] and step["id"] == "tcp.open.1"]
    assert "1, 2, 3" in again["en"]
    assert "1、2、3" in again["zh"]
    assert "{" not in again["en"] + again["zh"]


def test_the_actor_of_a_departure_is_the_end_that_acted_here() -> None:
    entry = told(*OPEN, *TALK, "s> FIN 15 15", "c> FIN 15 16", "s> ACK 16 16")
    merged = {step["id"]: step["differs"] for step in entry["steps"]}["tcp.close.3"]
    assert merged["code"] == "merged"
    assert merged["en"].startswith("The client closed")
    assert merged["zh"].startswith("客户端")


# The Community ID, with vectors from its specification's public baseline: version 1, seed 0.

COMMUNITY = [
    ("128.232.110.120", 34855, "66.35.250.204", 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
    ("2001:470:e5bf:dead:4957:2174:e82c:4887", 63943, "2607:f8b0:400c:c03::1a", 25, "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="),
]


@pytest.mark.parametrize(("client", "client_port", "server", "server_port", "known"), COMMUNITY)
def test_the_community_id_is_the_specifications_whoever_is_the_client(
    client: str, client_port: int, server: str, server_port: int, known: str
) -> None:
    for pair in (Pair(client, server, client_port, server_port), Pair(server, client, server_port, client_port)):
        assert entry(walk(ladder("c> SYN 0", pair=pair)).only)["community_id"] == known


def test_the_community_id_is_wiresharks_whatever_the_order_of_the_ends(tshark: str, tmp_path: Path) -> None:
    """Ordered are addresses first, then, where these are equal, ports; as bytes, so 9.x is before 10.x."""
    v4 = ("9.0.0.1", "10.0.0.1", "192.0.2.1", "192.0.2.200")
    v6 = ("2001:db8::1", "2001:db8::a", "::ffff:192.0.2.1", "fe80::1")
    ports = ((80, 40000), (40000, 80), (256, 255), (7, 7))
    pairs = [Pair(*ends, *each) for hosts in (v4, v6) for ends in itertools.product(hosts, hosts) for each in ports]
    frames = renumbered(*(ladder("c> SYN 0", pair=pair)[0] for pair in pairs))
    file = tmp_path / "pairs.pcapng"
    with file.open("wb") as stream:
        writer = Writer(stream)
        for frame in frames:
            writer.packet(frame, ())
    command = [tshark, "-n", "-r", str(file), "--enable-protocol", "communityid", "-T", "fields", "-e", "communityid"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    told = (each.conversation for each in walk(frames).records)
    assert [entry(each)["community_id"] for each in told if each] == said
    assert len(said) == 128


def test_a_report_is_the_same_after_the_capture_was_saved_with_its_journal() -> None:
    frames = ladder(*OPEN, "c> data 1 1 14", "c> data 1 1 14", "s> ACK 1 15", *CLOSE)
    first = replay(prompt(frames, dropped=(4,)))
    saved = [each.frame._replace(comments=tuple(comments(each))) for each in first.packets if each.frame]
    assert entry(replay(journal.events(saved)).only) == entry(first.only)
