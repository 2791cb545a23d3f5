"""A packet in pieces is the packet, at the frame that completes it, as Wireshark has it; memory is bounded."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers import inet, inet6
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.layers.l2 import GRE, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from lab.bulk import RowFormat
from lab.capture.reader import open_capture
from lab.dissect import fragments
from lab.dissect.fragments import Fragments
from lab.engine.record import Record
from lab.model import Frame
from lab.protocols.tcp.segment import FRAGMENT, Segment, segment
from lab.report.packets import packet
from lab.witnesses import question, wireshark
from scripts import generate
from tests.bulk.test_two_processes import written
from tests.packets import path
from tests.places import REFERENCES

FRAGMENT4: Any = inet.fragment
FRAGMENT6: Any = inet6.fragment6
LINK: Any = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
HELLO = (REFERENCES / "tls-1.3.pcapng").read_bytes()


def framed(packets: list[Any]) -> list[Frame]:
    data = [bytes(packet) for packet in packets]
    return [Frame(at, at * 1000, each, len(each)) for at, each in enumerate(data, 1)]


def pieces(
    payload: bytes, six: bool = False, size: int = 200, ident: int = 7, before: Any = LINK, **tcp: Any
) -> list[Any]:
    """Returns the fragments of one segment."""
    header = TCP(**{"sport": 40000, "dport": 80, "seq": 1, "ack": 1, "flags": "PA", **tcp}) / Raw(payload)
    if six:
        whole = IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment(id=ident) / header
        return [before / each for each in FRAGMENT6(whole, size)]
    return [before / each for each in FRAGMENT4(IP(src="192.0.2.1", dst="192.0.2.2", id=ident) / header, size)]


TEXT = bytes(range(32, 127)) * 8
NEXT = pieces(TEXT, ident=8, seq=761)
ANSWER = LINK / IP(src="192.0.2.2", dst="192.0.2.1") / TCP(sport=80, dport=40000, flags="A", ack=761)
STORIES: dict[str, list[Any]] = {
    "IPv4": pieces(TEXT),
    "IPv6": pieces(TEXT, six=True),
    "VLAN": pieces(TEXT, before=LINK / Dot1Q(vlan=5)),
    "out of order": pieces(TEXT)[::-1],
    "IPv6 out of order": pieces(TEXT, six=True)[::-1],
    "one twice": [*pieces(TEXT)[:2], *pieces(TEXT)[1:]],
    "one once more, too late": [*pieces(TEXT), pieces(TEXT)[0]],
    "two packets at once": [each for both in zip(pieces(TEXT), NEXT, strict=True) for each in both],
    "the last is missing": pieces(TEXT)[:-1],
    "the first is missing": pieces(TEXT)[1:],
    "and a whole one": [*pieces(TEXT), ANSWER],
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_wireshark_has_it_at_the_same_frame(name: str, tshark: str, tmp_path: Path) -> None:
    file = tmp_path / "in.pcap"
    frames = framed(STORIES[name])
    generate._write([frame.data for frame in frames], file)
    records = list(path().settled(frames))
    opinions = question.ask(file)
    assert [opinion.stream is not None for opinion in opinions] == [record.segment is not None for record in records]
    assert wireshark.compare(list(map(packet, records)), opinions) == []
    assert any(record.segment for record in records) != ("missing" in name)


@pytest.mark.parametrize("six", [False, True])
def test_the_segment_has_its_payload_and_its_checksum(six: bool) -> None:
    *before, last = path().settled(framed(pieces(TEXT, six)))
    assert [record.labels for record in before] == [FRAGMENT] * len(before)
    assert last.segment
    assert (last.segment.payload, last.segment.problems) == (len(TEXT), ())
    assert last.whole
    assert last.whole.data[last.segment.start :] == TEXT


def test_what_came_in_pieces_is_not_said_to_be_left_to_a_network_card_to_cut() -> None:
    syn = LINK / IP(src="192.0.2.2", dst="192.0.2.1") / TCP(sport=80, dport=40000, flags="S", options=[("MSS", 1460)])
    large = LINK / IP(src="192.0.2.1", dst="192.0.2.2") / TCP(sport=40000, dport=80, seq=1, flags="PA") / Raw(TEXT * 3)
    *_, whole = path().settled(framed([syn, large]))
    *_, in_pieces = path().settled(framed([syn, *pieces(TEXT * 3)]))
    assert ["larger-than-mss" in each.labels for each in (whole, in_pieces)] == [True, False]


def test_what_it_carries_is_read() -> None:
    """A TLS hello in fragments is a hello."""
    (frame,) = (each for each in _read(HELLO) if "ClientHello" in each.labels)
    assert frame.frame
    assert frame.segment
    hello = frame.frame.data[frame.segment.start :]
    *_, last = path().settled(framed(pieces(hello, dport=443)))
    assert [message.said.name for message in last.messages] == ["ClientHello"]


def _read(data: bytes) -> Iterator[Record]:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with open_capture(file.name) as capture:
            yield from path().settled(capture)


@pytest.mark.slow
def test_two_processes_put_the_same_together(tmp_path: Path) -> None:
    dice, packets = random.Random(791), []
    for at in range(400):
        packets += pieces(TEXT, sport=20000 + at, ident=at)
    dice.shuffle(packets)
    file = tmp_path / "in.pcap"
    frames = [bytes(packet) for packet in packets]
    generate._write([*frames, *generate.frames(2000)], file)
    for form in (RowFormat.CSV, RowFormat.JSON):
        assert written(file, form) == written(file, form, halved=False)
    assert written(file, RowFormat.CSV).count(f",{len(TEXT)},") == 400


@given(st.binary(min_size=1, max_size=400), st.permutations(range(6)), st.booleans())
def test_in_any_order_it_is_whole_at_the_last(payload: bytes, order: list[int], six: bool) -> None:
    parts = pieces(payload, six, size=120 if six else 80)
    frames = framed([parts[at] for at in order if at < len(parts)])
    way = Fragments((6,))
    wholes = [way.add(frame) if segment(frame) is FRAGMENT else frame for frame in frames]
    if len(frames) < len(parts):
        return
    assert [whole is not None for whole in wholes] == [False] * (len(parts) - 1) + [True]
    assert wholes[-1]
    found = segment(wholes[-1])
    assert isinstance(found, Segment)
    assert wholes[-1].data[found.start : found.start + found.payload] == payload


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 64), st.booleans()), max_size=12))
def test_pieces_that_overlap_or_contradict_each_other_never_fall_over(said: list[tuple[int, int, bool]]) -> None:
    way = Fragments((6,))
    for number, (offset, size, more) in enumerate(said, 1):
        packet = (
            LINK
            / IP(src="192.0.2.1", dst="192.0.2.2", proto=6, frag=offset, flags="MF" if more else 0)
            / Raw(bytes(size))
        )
        (frame,) = framed([packet])
        whole = way.add(frame._replace(number=number))
        assert whole is None or isinstance(segment(whole), Segment | tuple)


def test_what_never_completes_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments, "_MOST_PACKETS", 10)
    way = Fragments((6,))
    for ident in range(200):
        for number, frame in enumerate(framed(pieces(TEXT, ident=ident)[:-1])):
            assert way.add(frame._replace(number=ident * 10 + number + 1)) is None
    assert len(way._waiting) == 10
    held = sum(len(each[IP].payload) + fragments._OVERHEAD for each in pieces(TEXT)[:-1])
    assert way._held == 10 * held
    monkeypatch.setattr(fragments, "_MOST_BYTES", 3 * held)
    assert way.add(framed(pieces(TEXT, ident=999))[0]._replace(number=2001)) is None
    assert way._held <= 3 * held
    late = framed(pieces(TEXT, ident=1))[-1]._replace(number=1_000_000)
    assert way.add(late) is None
    assert len(way._waiting) == 1, "what has been waited for too long is gone"


TOLD = bytes(range(256)) * 3
ASKED = (
    b"GET /chat HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Filler: "
    + b"x" * 300
    + b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def said(data: bytes, seq: int = 1) -> Any:
    return TCP(sport=40000, dport=8080, flags="PA", seq=seq, ack=1) / Raw(data)


def agreed(packets: list[Any], file: Path) -> list[Record]:
    """Returns the records of a capture in which Wireshark finds the same segments at the same frames."""
    frames = framed(packets)
    generate._write([frame.data for frame in frames], file)
    records, opinions = list(path().settled(frames)), question.ask(file)
    assert [
        (record.number, record.segment.flags, record.seq, record.segment.payload)
        for record in records
        if record.segment is not None
    ] == [(each.number, each.flags, each.seq, each.payload) for each in opinions if each.stream is not None]
    return records


def test_overlapping_pieces_are_put_together_as_wireshark_does(tshark: str, tmp_path: Path) -> None:
    chance = random.Random(815)
    packets: list[Any] = []
    for ident in range(1, 200):
        whole = bytes(IP(bytes(IP(src="192.0.2.1", dst="192.0.2.2") / said(TOLD[: chance.randrange(80)]))).payload)
        head: dict[str, Any] = {"src": "192.0.2.1", "dst": "192.0.2.2", "id": ident, "proto": 6}
        for _ in range(chance.randrange(2, 9)):
            at = chance.randrange(0, len(whole), 8)
            stop = at + chance.choice((8, 16, 24, 40, 100))
            spoilt = bytes(each ^ (chance.random() < 0.1) for each in whole[at:stop]) if at >= 16 else whole[at:stop]
            more = stop < len(whole) or chance.random() < 0.1
            packets.append(LINK / IP(**head, frag=at // 8, flags=int(more)) / Raw(spoilt))
    records = agreed(packets, tmp_path / "in.pcap")
    assert sum(record.segment is not None for record in records) > 40


def test_tunnels_may_be_in_pieces_and_pieces_in_tunnels(tshark: str, tmp_path: Path) -> None:
    inner = [each[IP] for each in pieces(TOLD[:400])]
    outer: dict[str, Any] = {"src": "198.51.100.1", "dst": "198.51.100.2"}
    bridged = UDP(sport=50000, dport=4789) / VXLAN(vni=9, flags=8) / LINK
    long = IP(**outer, id=90) / bridged / IP(src="192.0.2.1", dst="192.0.2.2") / said(TOLD[:400], 401)
    last = IP(**outer, id=91) / GRE() / IPv6(src="2001:db8::1", dst="2001:db8::2") / said(TOLD[:300])
    packets = [LINK / IP(**outer) / GRE() / each for each in inner]
    packets += [LINK / each for packet in (long, last) for each in FRAGMENT4(IP(bytes(packet)), 200)]
    records = agreed(packets, tmp_path / "tunnels.pcap")
    assert [record.segment.payload for record in records if record.segment] == [400, 400, 300]
    wrapped = [IP(bytes(IP(**outer, id=at) / each)) for at, each in enumerate(inner, 1)]
    twice = [LINK / each for packet in wrapped for each in FRAGMENT4(packet, 120)]
    records = agreed(twice, tmp_path / "twice.pcap")
    assert [record.number for record in records if record.segment] == [len(twice)]


def test_extension_headers_stand_before_and_behind(tshark: str, tmp_path: Path) -> None:
    head: Any = IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment(id=9)
    packets = [LINK / each for each in FRAGMENT6(head / IPv6ExtHdrDestOpt() / said(TOLD[:400]), 200)]
    records = agreed([*packets, LINK / head / said(b"alone", 401)], tmp_path / "in.pcap")
    assert [record.segment.payload for record in records if record.segment] == [400, 5]


@pytest.mark.parametrize("six", [False, True])
def test_a_message_says_in_which_frames_its_bytes_lie(six: bool) -> None:
    first, *others = pieces(ASKED, six)
    frames = framed([*others, first])
    *_, last = path().settled(frames)
    (message,) = last.messages
    data = {frame.number: frame.data for frame in frames}
    assert b"".join(data[span.number][span.start : span.end] for span in message.said.spans) == ASKED
    assert {span.number for span in message.said.spans} == set(data)
    assert last.frame == frames[-1], "written again, it is the frame that was captured"


def test_thousands_of_pieces_are_kept_account_of() -> None:
    way = Fragments((6,))
    packed = bytes(LINK / IP(src="192.0.2.1", dst="192.0.2.2", id=5, proto=6) / Raw(bytes(8)))
    for at in random.Random(1).sample(range(1, 8000), 7999):
        data = packed[:20] + (0x2000 | at).to_bytes(2, "big") + packed[22:]
        assert way.add(Frame(1, 0, data, len(data))) is None
    (waiting,) = way._waiting.values()
    assert waiting.covered == [(8, 64_000)]
