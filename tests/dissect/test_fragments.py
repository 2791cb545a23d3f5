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
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from lab.capture import second_opinion
from lab.capture.reader import open_capture
from lab.dissect import fragments
from lab.dissect.fragments import Fragments
from lab.dissect.segment import FRAGMENT, segment
from lab.model import Frame, Rung, Segment
from lab.path import Path as Way
from lab.show import Format
from scripts import generate
from tests.test_halves import written

FRAGMENT4: Any = inet.fragment
FRAGMENT6: Any = inet6.fragment6
LINK: Any = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
HELLO = (Path(__file__).parent.parent.parent / "captures" / "tls-1.3.pcapng").read_bytes()


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
    rungs = list(Way().settled(frames))
    opinions = second_opinion.ask(file)
    assert [opinion.stream is not None for opinion in opinions] == [rung.segment is not None for rung in rungs]
    assert second_opinion.compare(rungs, opinions) == []
    assert any(rung.segment for rung in rungs) != ("missing" in name)


@pytest.mark.parametrize("six", [False, True])
def test_the_segment_has_its_payload_and_its_checksum(six: bool) -> None:
    *before, last = Way().settled(framed(pieces(TEXT, six)))
    assert [rung.labels for rung in before] == [FRAGMENT] * len(before)
    assert last.segment
    assert (last.segment.payload, last.segment.problems) == (len(TEXT), ())
    assert last.whole
    assert last.whole.data[last.segment.start :] == TEXT


def test_what_it_carries_is_read() -> None:
    """A TLS hello in fragments is a hello."""
    (frame,) = (each for each in _read(HELLO) if "ClientHello" in each.labels)
    assert frame.frame
    assert frame.segment
    hello = frame.frame.data[frame.segment.start :]
    *_, last = Way().settled(framed(pieces(hello, dport=443)))
    assert [message.name for message in last.messages] == ["ClientHello"]


def _read(data: bytes) -> Iterator[Rung]:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with open_capture(file.name) as capture:
            yield from Way().settled(capture)


def test_two_processes_put_the_same_together(tmp_path: Path) -> None:
    dice, packets = random.Random(791), []
    for at in range(400):
        packets += pieces(TEXT, sport=20000 + at, ident=at)
    dice.shuffle(packets)
    file = tmp_path / "in.pcap"
    frames = [bytes(packet) for packet in packets]
    generate._write([*frames, *generate.frames(2000)], file)
    for form in (Format.CSV, Format.JSON):
        assert written(file, form) == written(file, form, halved=False)
    assert written(file, Format.CSV).count(f",{len(TEXT)},") == 400


@given(st.binary(min_size=1, max_size=400), st.permutations(range(6)), st.booleans())
def test_in_any_order_it_is_whole_at_the_last(payload: bytes, order: list[int], six: bool) -> None:
    parts = pieces(payload, six, size=120 if six else 80)
    frames = framed([parts[at] for at in order if at < len(parts)])
    way = Fragments()
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
    way = Fragments()
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
    way = Fragments()
    for ident in range(200):
        for number, frame in enumerate(framed(pieces(TEXT, ident=ident)[:-1])):
            assert way.add(frame._replace(number=ident * 10 + number + 1)) is None
    assert len(way._waiting) == 10
    assert way._held == 10 * sum(len(each[IP].payload) for each in pieces(TEXT)[:-1])
    late = framed(pieces(TEXT, ident=1))[-1]._replace(number=1_000_000)
    assert way.add(late) is None
    assert len(way._waiting) == 1, "what has been waited for too long is gone"
