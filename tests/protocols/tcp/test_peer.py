"""The peer that is only numbers, and the tables of what it is sent through: no kernel is asked here."""

from __future__ import annotations

import json

import pytest

from lab.protocols.tcp.cells import Options
from lab.protocols.tcp.peer import ISN, Made, Peer, arriving
from lab.protocols.tcp.recorded import Line, grid, read
from lab.protocols.tcp.segment import ACK, FIN, PSH, SYN, Segment
from lab.protocols.tcp.states import State
from lab.protocols.tcp.stimuli import KINDS, STIMULI
from lab.protocols.tcp.ways import CALLS, WAYS, Way

PAIR = bytes(12)


def said(flags: int, seq: int, ack: int = 0, window: int = 65535, payload: int = 0) -> Segment:
    """A segment of the kernel's, of which no byte is looked at."""
    return Segment(PAIR, seq, ack, flags, window, 34, 54, payload, ())


def named(name: str) -> Way:
    return next(each for each in WAYS if each.name == name)


def made(peer: Peer, name: str) -> Made:
    return peer.make(next(each for each in STIMULI if each.name == name))


def test_its_numbers_follow_what_it_sends_and_what_it_hears() -> None:
    peer = Peer(stamps=False)
    assert (peer.step("SYN").seq, peer.next) == (ISN, ISN + 1)
    peer.hears(said(SYN | ACK, 7000, ISN + 1, 500), b"")
    ack = peer.step("ACK")
    assert (ack.flags, ack.seq, ack.ack) == (ACK, ISN + 1, 7001)
    peer.hears(said(PSH | ACK, 7001, ISN + 1, 500, payload=10), b"")
    assert peer.variables(named("ESTABLISHED/sent"))[:7] == ("ESTABLISHED", 7000, 7001, 7011, 5000, ISN + 1, 500)
    assert made(peer, "ack").ack == 7011
    assert made(peer, "ack-old").ack == 7000
    assert made(peer, "ack-unsent").ack == 8011
    assert made(peer, "rst-beyond").seq == ISN + 1 + 500 + 100
    fin = peer.step("FIN")
    assert (fin.flags, fin.ack, peer.next) == (FIN | ACK, 7011, ISN + 2)
    assert made(peer, "rst").seq == ISN + 2


def test_an_old_fin_acknowledges_nothing_new() -> None:
    peer = Peer(stamps=False)
    peer.step("SYN")
    peer.hears(said(SYN | ACK, 7000, ISN + 1), b"")
    peer.step("ACK")
    peer.hears(said(FIN | ACK, 7001, ISN + 1), b"")
    assert peer.step("old-FIN").ack == 7001
    assert peer.step("ACK").ack == 7002


def test_where_the_kernel_has_no_numbers_it_takes_some() -> None:
    peer = Peer(stamps=False)
    assert made(peer, "rst").seq == ISN + 1
    assert made(peer, "syn-again").seq == ISN
    assert peer.variables(named("LISTEN")).rcv_wnd == 0


def test_timestamps_go_on_and_an_old_one_does_not() -> None:
    peer = Peer(stamps=True)
    first = peer.step("SYN")
    assert first.tsval is not None
    frame = bytes(54) + b"\x02\x04\x05\xb4\x01\x01\x08\x0a" + (99).to_bytes(4, "big") + bytes(4)
    peer.hears(said(SYN | ACK, 7000, ISN + 1)._replace(start=len(frame)), frame)
    ack = peer.step("ACK")
    assert ack.options[-4:] == (99).to_bytes(4, "big")
    recent = peer.variables(named("ESTABLISHED")).ts_recent
    assert recent == ack.tsval
    assert recent is not None
    assert recent > first.tsval
    assert (arriving(made(peer, "data")).tsval or 0) > recent > (arriving(made(peer, "data-old-stamp")).tsval or 0)


@pytest.mark.parametrize("options", [b"", b"\x00\x08", b"\x01", b"\x08", b"\x08\x0a\x00", b"\x05\x00", b"\x02\x01\xff"])
def test_options_that_are_damaged_say_nothing(options: bytes) -> None:
    peer = Peer(stamps=True)
    peer.hears(said(SYN, 7000)._replace(start=54 + len(options)), bytes(54) + options)
    assert peer.step("SYN-ACK").options[-4:] == bytes(4)


# The tables


def test_every_state_has_a_way_and_the_first_bears_its_name() -> None:
    assert {each.state for each in WAYS} == set(State)
    assert len({each.name for each in WAYS}) == len(WAYS) == 21
    for state in State:
        assert next(each for each in WAYS if each.state == state).name == state


def test_what_leads_there_are_calls_and_segments() -> None:
    peer = {"SYN", "SYN-ACK", "ACK", "FIN", "old-FIN"}
    assert {word for each in WAYS for word in each.words} == {*CALLS, *peer}


def test_every_kind_of_segment_is_there() -> None:
    assert len({each.name for each in STIMULI}) == len(STIMULI) == 30
    assert tuple(dict.fromkeys(each.kind for each in STIMULI if each.kind in KINDS)) == (
        "SYN", "SYN-ACK", "ACK", "data", "URG", "FIN", "RST", "no ACK",
    )  # fmt: skip
    assert all((each.ack is None) == (not each.flags & ACK) for each in STIMULI)


def test_the_recorded_grid_is_whole_and_reads() -> None:
    for options in (Options(), Options(timestamps=True), Options(rfc1337=True)):
        lines = grid().lines(options)
        assert [(way, name) for way in lines for name in lines[way]] == [
            (way.name, each.name) for way in WAYS for each in STIMULI
        ]
        assert all(read(text).after in set(State) for way in lines.values() for text in way.values())
    assert read("RST 2 - | CLOSED | - | Tcp OutRsts +1 | 12") == Line(
        "RST 2 -", "CLOSED", "-", "Tcp OutRsts +1", False, 12
    )
    assert json.dumps(grid().lines(Options(rfc1337=True))) != json.dumps(grid().lines(Options()))
