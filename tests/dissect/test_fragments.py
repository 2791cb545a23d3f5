"""A packet in fragments is there when Wireshark has it: with the frame that completes it, whatever came before."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers import inet, inet6
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.layers.l2 import GRE, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from lab import halves
from lab.capture import second_opinion
from lab.capture.pcapng import Writer
from lab.dissect import fragments
from lab.dissect.fragments import Fragments
from lab.dissect.segment import segment
from lab.dissect.selection import chosen
from lab.model import Frame, Reassembled, Rung, Segment
from lab.path import Path as Way

LINK: Any = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
SIZE = 200
fragment: Any = inet.fragment
fragment6: Any = inet6.fragment6
TOLD = bytes(range(256)) * 3
ASKED = (
    b"GET /chat HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Filler: "
    + b"x" * 300
    + b"\r\nSec-WebSocket-Key: "
    + b"dGhlIHNhbXBsZSBub25jZQ=="
    + b"\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def v4(payload: Any, number: int = 1) -> list[bytes]:
    """Returns an IPv4 packet in fragments, in Ethernet frames."""
    whole = IP(src="192.0.2.1", dst="192.0.2.2", id=number) / payload
    return [bytes(LINK / each) for each in fragment(IP(bytes(whole)), SIZE)]


def v6(payload: Any, number: int = 1) -> list[bytes]:
    head: Any = IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment(id=number)
    return [bytes(LINK / each) for each in fragment6(head / payload, SIZE)]


def tcp(data: bytes, seq: int = 1, port: int = 40000) -> Any:
    return TCP(sport=port, dport=8080, flags="PA", seq=seq, ack=1) / Raw(data)


def frames(*data: bytes) -> list[Frame]:
    return [Frame(at, at * 1000, each, len(each)) for at, each in enumerate(data, 1)]


def agree(given: list[Frame], file: Path) -> list[Rung]:
    """Returns the rungs of a capture of which Wireshark says the same, packet for packet."""
    with file.open("wb") as stream:
        writer = Writer(stream)
        for each in given:
            writer.packet(each, ())
    opinions = second_opinion.ask(file)
    rungs = list(Way().annotate(given))
    assert second_opinion.compare(rungs, opinions) == []
    assert [rung.segment is not None for rung in rungs] == [opinion.stream is not None for opinion in opinions]
    return rungs


def test_it_appears_with_the_frame_that_completes_it_in_any_order(tshark: str, tmp_path: Path) -> None:
    seq, data = 1, []
    for number, order in enumerate(itertools.permutations(range(3)), 1):
        for make, port in ((v4, 40000), (v6, 40001)):
            pieces = make(tcp(TOLD[:400], seq, port), number)
            assert len(pieces) >= 3
            data += [pieces[at] for at in order] + pieces[3:]
        seq += 400
    rungs = agree(frames(*data), tmp_path / "orders.pcapng")
    assert sum(rung.segment is not None for rung in rungs) == 12
    assert all(rung.labels == ("not-tcp", "fragment") for rung in rungs if rung.segment is None)
    assert not any("bad-checksum" in rung.labels for rung in rungs)


def test_what_is_missing_twice_or_mixed_up_is_as_wireshark_has_it(tshark: str, tmp_path: Path) -> None:
    one, other, third = (v4(tcp(TOLD[:500], seq), number) for number, seq in ((1, 1), (2, 501), (3, 1001)))
    mixed = [each for pair in zip(one, other, strict=True) for each in pair]
    rungs = agree(frames(*mixed, *third[:-1], one[0], one[0], *third[1:]), tmp_path / "mixed.pcapng")
    assert [rung.number for rung in rungs if rung.segment] == [5, 6, 12]


def overlapping(pieces: list[tuple[int, bytes, bool]], number: int) -> list[bytes]:
    head: dict[str, Any] = {"src": "192.0.2.1", "dst": "192.0.2.2", "id": number, "proto": 6}
    return [bytes(LINK / IP(**head, frag=at // 8, flags=int(more)) / Raw(data)) for at, data, more in pieces]


def test_overlapping_fragments_are_put_together_as_wireshark_does(tshark: str, tmp_path: Path) -> None:
    chance = random.Random(815)
    data: list[bytes] = []
    for number in range(1, 200):
        whole = bytes(IP(bytes(IP(src="192.0.2.1", dst="192.0.2.2") / tcp(TOLD[: chance.randrange(80)]))).payload)
        pieces = []
        for _ in range(chance.randrange(2, 9)):
            at = chance.randrange(0, len(whole), 8)
            stop = at + chance.choice((8, 16, 24, 40, 100))
            spoilt = bytes(each ^ (chance.random() < 0.1) for each in whole[at:stop]) if at >= 16 else whole[at:stop]
            pieces.append((at, spoilt, stop < len(whole) or chance.random() < 0.1))
        data += overlapping(pieces, number)
    given, file = frames(*data), tmp_path / "overlapping.pcapng"
    with file.open("wb") as stream:
        writer = Writer(stream)
        for each in given:
            writer.packet(each, ())
    opinions, rungs = second_opinion.ask(file), list(Way().annotate(given))
    found = [
        (rung.number, rung.segment.flags, rung.seq, rung.segment.payload)
        for rung in rungs
        if rung.segment is not None and "truncated" not in rung.labels
    ]
    assert len(found) > 40
    assert found == [(each.number, each.flags, each.seq, each.payload) for each in opinions if each.stream is not None]


def test_tunnels_may_be_in_fragments_and_fragments_in_tunnels(tshark: str, tmp_path: Path) -> None:
    inner = [IP(each[14:]) for each in v4(tcp(TOLD[:400]), 7)]
    outer: dict[str, Any] = {"src": "198.51.100.1", "dst": "198.51.100.2"}
    bridged = UDP(sport=50000, dport=4789) / VXLAN(vni=9, flags=8) / LINK
    within = [bytes(LINK / IP(**outer) / GRE() / each) for each in inner]
    twice = [
        bytes(LINK / piece)
        for at, each in enumerate(inner, 1)
        for piece in fragment(IP(bytes(IP(**outer, id=at) / each)), 120)
    ]
    long = IP(bytes(IP(**outer, id=90) / bridged / IP(src="192.0.2.1", dst="192.0.2.2") / tcp(TOLD[:400], 401)))
    last = IP(bytes(IP(**outer, id=91) / GRE() / IPv6(src="2001:db8::1", dst="2001:db8::2") / tcp(TOLD[:300])))
    data = [*within, *(bytes(LINK / each) for each in fragment(long, SIZE))]
    data += [bytes(LINK / each) for each in fragment(last, SIZE)]
    rungs = agree(frames(*data), tmp_path / "tunnels.pcapng")
    assert [rung.segment.payload for rung in rungs if rung.segment] == [400, 400, 300]
    rungs = agree(frames(*twice), tmp_path / "twice.pcapng")
    assert [rung.number for rung in rungs if rung.segment] == [len(twice)]


def test_extension_headers_stand_before_and_behind(tshark: str, tmp_path: Path) -> None:
    pieces = v6(IPv6ExtHdrDestOpt() / tcp(TOLD[:400]))
    lone = bytes(LINK / IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment(id=9) / tcp(b"alone", 401))
    rungs = agree(frames(*pieces, lone), tmp_path / "extended.pcapng")
    assert [rung.segment.payload for rung in rungs if rung.segment] == [400, 5]


def test_what_a_snap_length_cut_is_not_put_together(tshark: str, tmp_path: Path) -> None:
    pieces = v4(tcp(TOLD[:400]))
    short = [each._replace(data=each.data[:150], length=len(each.data)) for each in frames(*pieces)]
    taker = Fragments()
    assert [taker.take(each) for each in short] == [None] * len(short)
    rungs = list(Way().annotate(short))
    assert [rung.labels for rung in rungs[1:]] == [("not-tcp", "fragment")] * (len(short) - 1)


@pytest.mark.parametrize("make", [v4, v6])
def test_a_message_says_in_which_fragments_its_bytes_lie(make: Any) -> None:
    given = frames(*make(tcp(ASKED)))
    *_, last = Way().annotate([*given[1:], given[0]._replace(number=len(given) + 1)])
    (message,) = last.messages
    data = {each.number: each.data for each in (*given[1:], given[0]._replace(number=len(given) + 1))}
    assert b"".join(data[span.number][span.start : span.end] for span in message.spans) == ASKED
    assert len({span.number for span in message.spans}) == len(given)
    assert last.frame is not None
    assert last.frame.as_captured.data == given[0].data


def test_both_halves_and_a_filter_see_it_whole() -> None:
    data = [each for port in range(40000, 40040) for each in v4(tcp(TOLD[:400], 1, port), port)]
    data += [bytes(LINK / IP(src="192.0.2.1", dst="192.0.2.2") / tcp(b"x", 401, port)) for port in range(40000, 40040)]
    data.append(v4(UDP(sport=53, dport=53) / Raw(TOLD[:400]))[0])
    given = frames(*data)
    alone = [(rung.number, rung.labels) for rung in Way().annotate(given)]
    parts = [
        [(rung.number, rung.labels) for rung in Way().annotate(given, mine=mine)]
        for mine in (halves.is_ours, halves._others(None))
    ]
    assert all(any("data" in labels for _, labels in part) for part in parts)
    assert sorted(parts[0] + parts[1]) == alone
    only = list(Way().annotate(given, mine=chosen("port 40007")))
    assert [len(rung.labels) for rung in only] == [1, 1]
    assert {rung.segment.source_port for rung in only if rung.segment} == {40007}


@given(st.data())
def test_however_it_is_cut_up_the_same_comes_out(data: st.DataObject) -> None:
    whole = IP(bytes(IP(src="192.0.2.1", dst="192.0.2.2", id=3) / tcp(TOLD[:300])))
    size = data.draw(st.integers(8, 320))
    pieces = data.draw(st.permutations(fragment(whole, size)))
    taker = Fragments()
    taken = [taker.take(each) for each in frames(*(bytes(LINK / piece) for piece in pieces))]
    if len(pieces) == 1:
        return
    assert taken[:-1] == [None] * (len(pieces) - 1)
    assert isinstance(taken[-1], Reassembled)
    assert taken[-1].data[20:] == bytes(whole)[20:]
    found = segment(taken[-1])
    assert isinstance(found, Segment)
    assert not found.problems


def test_what_waits_is_bounded_in_number_in_bytes_and_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    first, *rest = v4(tcp(TOLD[:400]))
    late = fragments.PATIENCE + 1001
    taker = Fragments()
    assert taker.take(Frame(1, 1000, first, len(first))) is None
    assert not any(taker.take(Frame(2, late, each, len(each))) for each in rest), "the first is too old"
    assert taker.take(Frame(3, late, first, len(first))), "but these are not"
    monkeypatch.setattr(fragments, "MOST_PACKETS", 3)
    taker = Fragments()
    for number in range(1, 6):
        assert taker.take(Frame(1, 0, v4(tcp(TOLD[:400]), number)[0], 0)) is None
    assert [any(taker.take(Frame(2, 0, each, 0)) for each in v4(tcp(TOLD[:400]), at)[1:]) for at in (1, 5)] == [
        False,
        True,
    ]
    monkeypatch.setattr(fragments, "MOST_BYTES", 10_000)
    taker = Fragments()
    for number in range(1000):
        for each in v4(tcp(TOLD[:400]), number)[:-1]:
            taker.take(Frame(1, 0, each, 0))
        assert taker._bytes <= 10_000


def test_thousands_of_pieces_of_one_packet_cost_no_more_than_their_number() -> None:
    taker = Fragments()
    order = random.Random(1).sample(range(1, 8000), 7999)
    head: dict[str, Any] = {"src": "192.0.2.1", "dst": "192.0.2.2", "id": 5, "proto": 6, "flags": 1}
    packed = bytes(LINK / IP(**head) / Raw(bytes(8)))
    for at in order:
        data = packed[:20] + (0x2000 | at).to_bytes(2, "big") + packed[22:]
        assert taker.take(Frame(1, 0, data, len(data))) is None
    (waiting,) = taker._waiting.values()
    assert waiting.covered == [(8, 64_000)]


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 40)), max_size=30))
def test_nothing_it_is_fed_makes_it_fall_over(pieces: list[tuple[int, int]]) -> None:
    taker = Fragments()
    for bits, size in pieces:
        data = bytes(LINK / IP(src="192.0.2.1", dst="192.0.2.2", id=5, proto=6) / Raw(bytes(size)))
        data = data[:20] + bits.to_bytes(2, "big") + data[22:]
        whole = taker.take(Frame(1, 0, data, len(data)))
        assert whole is None or isinstance(segment(whole), Segment | tuple)
