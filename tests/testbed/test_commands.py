"""Commands are read as they are written, and a forged frame says what was asked for and nothing else. Pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from lab.dissect.fields import fields
from lab.model import Captured, Delivered, Frame, Settled, States, WireEvent
from lab.protocols.tcp.segment import ACK, FIN, FLAGS, PSH, RST, Segment, segment
from lab.protocols.transport import FIELDS as READERS
from lab.testbed import control, messages
from lab.testbed.control import (
    Command,
    Control,
    Controlled,
    Delay,
    Drop,
    Duplicate,
    Edit,
    Held,
    Hold,
    Inject,
    Leave,
    RefusedError,
    Release,
    Swap,
    Value,
    check_delay,
    not_held,
    parse,
    write,
)  # fmt: skip
from lab.testbed.forge import FIELDS, LONGEST_FRAME, Streams, corrupted, edited, marked
from lab.text import Text
from tests.packets import IPV4, IPV6, OPEN, TALK, Pair, kernels, ladder, replay

both = pytest.mark.parametrize("pair", [IPV4, IPV6], ids=["ipv4", "ipv6"])
WRITTEN: dict[str, Command] = {
    "hold": Hold(True),
    "hold off": Hold(False),
    "release 3": Release(3),
    "drop 12": Drop(12),
    "duplicate 1": Duplicate(1),
    "delay 3 200ms": Delay(3, 200_000_000),
    "delay 3 2s": Delay(3, 2_000_000_000),
    "swap 4": Swap(4),
    "edit 5 seq=+1 flags=PSH,ACK": Edit(5, {"seq": "+1", "flags": "PSH,ACK"}),
    "edit 5 window=0 'payload=a b'": Edit(5, {"window": 0, "payload": b"a b"}),
    "edit 5 payload=0x00ff": Edit(5, {"payload": b"\x00\xff"}),
    "inject client RST seq=rcv.nxt": Inject("client", "RST", "rcv.nxt"),
    "inject server PSH,ACK seq=7 ack=8 payload=hi ttl=1": Inject("server", "PSH,ACK", 7, 8, b"hi", {"ttl": 1}),
    "inject client none": Inject("client", ""),
    "leave": Leave(),
}


def read(data: bytes) -> Segment:
    found = segment(Frame(1, None, data, len(data)))
    assert isinstance(found, Segment)
    return found


def values(data: bytes) -> dict[tuple[str, str], str]:
    return {(each.layer, each.name): each.value for each in fields(Frame(1, None, data, len(data)), READERS)}


def talk(pair: Pair = IPV4) -> bytes:
    """Returns a frame with data: seq 1, ack 1, 14 bytes."""
    return ladder(*OPEN, *TALK, pair=pair)[3].data


def sound(data: bytes) -> None:
    """Asserts that lengths and checksums are right, as another reader calculates them."""
    kind = IP if data[14] >> 4 == 4 else IPv6
    again = Ether(data)
    for layer, names in ((kind, ("chksum", "len", "plen")), (TCP, ("chksum",))):
        for name in names:
            if name in again[layer].fields:
                delattr(again[layer], name)
    assert bytes(again) == data


# Written and read.


@pytest.mark.parametrize("line", WRITTEN)
def test_a_command_is_read_as_it_is_written(line: str) -> None:
    assert parse(line) == WRITTEN[line]
    assert parse(write(WRITTEN[line])) == WRITTEN[line]


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("relase 3", "release"),
        ("", "hold"),
        ("'", "don't"),
        ("edit 3 payload=don't", "don't"),
        ("edit 3 payload=a\\", "don't"),
        ("release", "release N"),
        ("release x", "release N"),
        ("release 3 4", "release N"),
        ("release -3", "release N"),
        ("delay 3", "delay N 200ms"),
        ("delay 3 soon", "delay N 200ms"),
        ("hold on off", "hold [off]"),
        ("edit 3", "edit N"),
        ("edit 3 seq", "edit N"),
        ("edit 3 seq=1 seq=2", "edit N"),
        ("inject nobody RST", "inject client"),
        ("inject", "inject client"),
    ],
)
def test_what_is_no_command_is_answered_with_two_lines(line: str, hint: str) -> None:
    with pytest.raises(RefusedError) as refused:
        parse(line)
    assert hint in refused.value.hint.en
    assert refused.value.message.zh != refused.value.message.en


@given(st.text())
def test_any_line_is_read_or_refused(line: str) -> None:
    try:
        command = parse(line)
    except RefusedError as refused:
        short = len(refused.message.en) < 200
    else:
        short = parse(write(command)) == command
    assert short


@pytest.mark.parametrize("command", WRITTEN.values(), ids=str)
def test_what_is_told_of_a_command_goes_through_a_log(command: Command) -> None:
    for event in (Controlled(command), Controlled(command, Text("no", "不"), Text("why", "为什么"), 7)):
        assert messages.read(messages.write(event)) == event
    frame = Frame(3, 5, b"\x00\xff", 2)
    for other in (Held(3), Held(3, True), Captured(frame, 1, kernels("A", None), True), Settled(3, 2, None, True)):
        assert messages.read(messages.write(other)) == other


def test_each_method_sends_its_command() -> None:
    sent: list[Command] = []

    def send(command: Command) -> bool:
        sent.append(command)
        return True

    run = Control(send)
    assert all(
        (run.hold(), run.hold(False), run.release(1), run.drop(2), run.duplicate(3), run.delay(4, 5), run.swap(6))
    )
    assert run.edit(7, {"seq": "+1"})
    assert run.inject("client", "RST", window=0)
    assert run.leave()
    assert sent == [
        Hold(True), Hold(False), Release(1), Drop(2), Duplicate(3), Delay(4, 5), Swap(6),
        Edit(7, {"seq": "+1"}), Inject("client", "RST", fields={"window": 0}), Leave(),
    ]  # fmt: skip
    assert {type(each) for each in sent} == set(control.COMMANDS)


def test_a_number_that_is_not_held_is_told_which_are() -> None:
    assert "3" in not_held(3, 5, [4, 5]).message.en
    assert not_held(3, 5, [4, 5]).hint.en == "held now: 4, 5"
    assert "yet" in not_held(6, 5, []).message.en
    assert "nothing" in not_held(6, 5, []).hint.en


@pytest.mark.parametrize("ns", [0, -1, 10_000_000_001])
def test_a_delay_has_a_length_and_an_end(ns: int) -> None:
    with pytest.raises(RefusedError):
        check_delay(ns)


# Edited.


@both
@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("seq", 7, "7"),
        ("seq", "+1", "1000000002"),
        ("seq", "-1", "1000000000"),
        ("seq", "0xffffffff", "4294967295"),
        ("Sequence Number", "7", "7"),
        ("ack", "-3000000002", "4294967295"),
        ("flags", "RST", "RST"),
        ("flags", "+FIN", "FIN PSH ACK"),
        ("flags", "-PSH,+AE", "ACK AE"),
        ("flags", "none", "none"),
        ("reserved", 7, "7"),
        ("window", 0, "0"),
        ("urgent", 9, "9"),
        ("sport", 81, "81"),
        ("dport", "+1", "8081"),
        ("ttl", 1, "1"),
    ],
)
def test_one_field_is_changed_and_nothing_else(pair: Pair, name: str, value: Value, shown: str) -> None:
    before, after = talk(pair), edited(talk(pair), {name: value})
    changed = {key for key, said in values(after).items() if values(before)[key] != said}
    said = {key: said for key, said in values(after).items() if key in changed and "hecksum" not in key[1]}
    assert list(said.values()) == [shown], said
    sound(after)


def test_every_short_name_is_a_field_of_one_of_the_two_versions() -> None:
    options = "c> SYN 0 <mss 1460, wscale 7, sack, ts 1 0>"
    there = {
        key for pair in (IPV4, IPV6) for line in (options, TALK[0]) for key in values(ladder(line, pair=pair)[0].data)
    }
    assert {key for keys in FIELDS.values() for key in keys} <= there


@pytest.mark.parametrize(("name", "value"), [("mss", 536), ("wscale", 14), ("tsval", "+5"), ("tsecr", 9)])
def test_options_are_fields_too(name: str, value: Value) -> None:
    before = ladder("c> SYN 0 <mss 1460, wscale 7, sack, ts 1 0>")[0].data
    after = edited(before, {name: value})
    assert len(after) == len(before)
    assert str({536: 536, 14: 14, 9: 9, "+5": 6}[value]) in values(after)[FIELDS[name][0]]
    sound(after)


@both
@pytest.mark.parametrize("payload", [b"", b"x", "世界", b"\x00" * 1000])
def test_a_payload_brings_its_length_with_it(pair: Pair, payload: bytes | str) -> None:
    after = edited(talk(pair), {"payload": payload, "window": 5})
    found = read(after)
    assert after[found.start :] == (payload.encode() if isinstance(payload, str) else payload)
    assert (found.window, found.problems) == (5, ())
    sound(after)
    bare = ladder("c> ACK 1 1", pair=pair)[0].data
    assert read(edited(bare, {"payload": "new"})).payload == 3


def test_addresses_are_written_as_usual() -> None:
    assert read(edited(talk(), {"src": "192.0.2.9"})).source == bytes((192, 0, 2, 9))
    assert read(edited(talk(IPV6), {"src": "2001:db8::9"})).source[-1] == 9


@both
def test_a_checksum_that_is_given_stays(pair: Pair) -> None:
    right = read(talk(pair)).header + 16
    after = edited(talk(pair), {"checksum": "+1", "seq": "+1"})
    good = edited(talk(pair), {"seq": "+1"})
    assert int.from_bytes(after[right : right + 2], "big") == int.from_bytes(good[right : right + 2], "big") + 1
    assert read(after).problems == ("bad-checksum",)
    if pair is IPV4:
        wrong = edited(talk(), {"ipchecksum": 1})
        assert wrong[24:26] == b"\x00\x01"


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({}, "nothing", "seq=+1"),
        ({"sequence": 1}, "no field 'sequence'", "seq"),
        ({"windw": 1}, "no field 'windw'", "window"),
        ({"mss": 1}, "no field 'mss'", "seq"),
        ({"seq": 1 << 32}, "out of range", "4294967295"),
        ({"seq": -1}, "out of range", "0 to"),
        ({"ttl": "+300"}, "out of range", "255"),
        ({"reserved": 8}, "out of range", "7"),
        ({"seq": "many"}, "no value", "1000000001"),
        ({"seq": "1" * 50}, "no value", "+1"),
        ({"flags": "SYM"}, "no flag", "SYN"),
        ({"src": "somewhere"}, "no value", "+1"),
        ({"payload": b"x" * 1461}, "1515 bytes", "1514"),
        ({"Destination Address": "192.0.2.9"}, "no field", "source address"),
        ({"offset": 4}, "no whole TCP segment", "fit"),
        ({"offset": 15}, "no whole TCP segment", "fit"),
        ({"length": 2000}, "no whole TCP segment", "fit"),
        ({"Protocol": 17}, "no whole TCP segment", "fit"),
        ({"Version": 6}, "no whole TCP segment", "fit"),
    ],
)
def test_an_edit_that_makes_no_frame_is_refused_with_a_reason(
    changes: dict[str, Value], message: str, hint: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        edited(talk(), changes)
    assert message in refused.value.message.en
    assert hint in refused.value.hint.en


def test_what_is_no_segment_is_not_edited() -> None:
    with pytest.raises(RefusedError):
        edited(bytes(60), {"seq": 1})


NAMED = st.sampled_from([*FIELDS, "IHL", "Fragment Offset", "Type", "nonsense"])
VALUES = st.one_of(
    st.integers(-5, 1 << 33), st.text(max_size=12), st.binary(max_size=1600), st.sampled_from(["+1", "-1", *FLAGS])
)


@given(pair=st.sampled_from([IPV4, IPV6]), changes=st.dictionaries(NAMED, VALUES, max_size=4))
def test_whatever_is_asked_for_comes_out_a_segment_or_two_lines(pair: Pair, changes: dict[str, Value]) -> None:
    try:
        after = edited(talk(pair), changes)
    except RefusedError as refused:
        told_why = refused.message.en and refused.hint.zh
    else:
        assert read(after)
        assert len(after) <= LONGEST_FRAME
        told_why = "not refused"
    assert told_why


# Injected.


@pytest.mark.parametrize("ect", [1, 2, 3])
@both
def test_a_router_marks_only_what_says_that_it_may_be_marked(pair: Pair, ect: int) -> None:
    """RFC 3168 section 5."""
    plain = talk(pair)
    assert marked(plain) == plain
    field = "ECN" if pair is IPV4 else "Traffic Class"
    asks = edited(plain, {field: ect})
    found = marked(asks)
    sound(found)
    before, after = values(asks), values(found)
    changed = {name for key, name in after if after[key, name] != before[key, name]}
    assert changed <= {field, "Header Checksum"}
    assert "CE)" in after["IPv4" if pair is IPV4 else "IPv6", field]


def streams(*lines: str, pair: Pair = IPV4) -> tuple[Streams, bytes, bytes]:
    """Returns what was sent, and the socket pairs of the client's and of the server's packets."""
    found = Streams()
    frames = ladder(*lines, pair=pair)
    for frame in frames:
        found.add(read(frame.data), frame.data)
    first = read(frames[0].data)
    return found, first.pair, first.reversed_pair


@both
def test_what_is_injected_stands_where_its_sender_would_go_on(pair: Pair) -> None:
    known, client, server = streams(*OPEN, *TALK, pair=pair)
    for wanted, whose, seq, ack, flags, payload in (
        (Inject("client", "RST"), client, 1_000_000_015, 0, RST, 0),
        (Inject("client", "PSH,ACK", payload=b"abc"), client, 1_000_000_015, 3_000_000_015, PSH | ACK, 3),
        (Inject("server", "FIN ACK", "+2", "isn+1"), server, 3_000_000_017, 1_000_000_001, FIN | ACK, 0),
        (Inject("client", "ACK", "rcv.nxt-1", "snd.nxt"), client, 1_000_000_014, 3_000_000_015, ACK, 0),
        (Inject("client", "", 7, 8), client, 7, 0, 0, 0),
    ):
        data = known.forged(wanted, whose)
        found = read(data)
        assert found.pair == whose
        assert (found.seq, found.ack, found.flags, found.payload) == (seq, ack, flags, payload)
        assert found.problems == ()
        sound(data)


@both
def test_what_is_injected_has_a_timestamp_where_one_is_asked_for_and_its_sender_uses_them(pair: Pair) -> None:
    stamped = pair._replace(timestamps=True)
    known, client, _ = streams(*OPEN, *TALK, pair=stamped)
    data = known.forged(Inject("client", "PSH,ACK", payload=b"old", fields={"tsval": "-3"}), client)
    found = values(data)
    assert (found["TCP", "TS Value (TSval)"], found["TCP", "TS Echo Reply (TSecr)"]) == ("4", "9")
    assert read(data).payload == 3
    sound(data)
    assert ("TCP", "TS Value (TSval)") not in values(known.forged(Inject("client", "ACK"), client))
    with pytest.raises(RefusedError, match="tsval"):
        streams(*OPEN, pair=pair)[0].forged(Inject("client", "ACK", fields={"tsval": 1}), client)


@both
@pytest.mark.parametrize("line", ["c> data 1 1 14", "c> data 1 1 15", "c> ACK 1 1"])
def test_of_a_corrupted_frame_one_bit_is_another_and_the_checksum_says_so(pair: Pair, line: str) -> None:
    data = ladder(line, pair=pair)[0].data
    damaged = corrupted(data, read(data))
    assert sum((a ^ b).bit_count() for a, b in zip(data, damaged, strict=True)) == 1
    assert read(damaged).problems == ("bad-checksum",)


@both
def test_a_sender_that_has_said_nothing_yet_has_its_peers_frame_turned_round(pair: Pair) -> None:
    known, _, server = streams(OPEN[0], pair=pair)
    data = known.forged(Inject("server", "RST,ACK", 0, fields={"ttl": 3}), server)
    found = read(data)
    assert (found.pair, found.ack) == (server, 1_000_000_001)
    first = ladder(OPEN[0], pair=pair)[0].data
    assert (data[:6], data[6:12]) == (first[6:12], first[:6])
    assert values(data)[FIELDS["ttl"][0 if pair is IPV4 else 1]] == "3"
    sound(data)
    with pytest.raises(RefusedError, match=r"snd\.nxt"):
        known.forged(Inject("server", "SYN,ACK"), server)


@both
def test_a_resets_number_is_nowhere_that_its_sender_goes_on_from(pair: Pair) -> None:
    known, client, _ = streams(OPEN[0], "c> RST 1001", pair=pair)
    assert read(known.forged(Inject("client", ""), client)).seq == 1_000_000_001
    assert not known.acceptable(read(ladder("s> ACK 1 1001", pair=pair)[0].data))


@pytest.mark.parametrize(
    "wanted",
    [
        Inject("client", "RST", "rcv.nx"),
        Inject("client", "RST", -1),
        Inject("client", "RST", 1 << 32),
        Inject("client", "ACK", ack="x"),
        Inject("client", "RAT"),
        Inject("client", "RST", payload=bytes(2000)),
        Inject("client", "RST", fields={"nonsense": 1}),
    ],
)
def test_what_can_not_be_injected_is_refused(wanted: Inject) -> None:
    known, client, _ = streams(*OPEN)
    with pytest.raises(RefusedError):
        known.forged(wanted, client)


def test_a_repetition_is_told_from_what_is_new() -> None:
    known, _, _ = streams(*OPEN, *TALK)
    for line, repeats in {
        "c> SYN 0": True,
        "s> SYN-ACK 0 1": True,
        "c> data 1 1 14": True,
        "c> data 1 15 7": True,
        "c> FIN 1 15 13": True,
        "c> data 1 15 15": False,
        "c> data 15 15 1": False,
        "c> FIN 15 15": False,
        "c> ACK 15 15": False,
        "c> ACK 14 15": True,  # a keep-alive, or a probe of the window
        "c> RST 15": False,
    }.items():
        data = ladder(line)[0].data
        assert known.repeats(read(data)) is repeats, line
    assert not known.repeats(read(ladder("c> SYN 0", pair=IPV4._replace(client_isn=5))[0].data)), "another connection"
    assert not known.repeats(read(ladder("c> SYN 0", pair=IPV4._replace(client_port=5))[0].data))


# What a forged packet does on the ladder.


def test_a_forged_packet_moves_its_receiver_and_not_its_sender() -> None:
    frames = ladder(*OPEN, "c> FIN 1 1", "c> data 1 1 14")
    events: list[WireEvent] = []
    for frame in frames:
        events.append(Captured(frame, 0, None, forged=frame.number == 4))
        events += [Delivered(frame.number, 0), Settled(frame.number, 0, None)]
    walked = replay(events)
    forged, data = walked.packets[3], walked.packets[4]
    assert forged.labels == ("FIN", "forged")
    assert forged.journal is not None
    assert forged.journal.forged
    assert (forged.held, forged.delivered) == (
        States("ESTABLISHED", "ESTABLISHED"),
        States("ESTABLISHED", "CLOSE-WAIT"),
    )
    assert data.seq == 1
    assert data.labels == ("data",), "its sender has not sent what was forged"
