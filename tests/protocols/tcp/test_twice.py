"""A segment that was captured twice is one segment: nothing was lost, nothing sent again, nobody moves twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lab
from lab.capture.pcapng import Writer
from lab.model import Frame
from lab.render import trace
from tests.packets import CLOSE, IPV4, IPV6, OPEN, TALK, Pair, ladder, renumbered, walk
from tests.test_events import added_up, told

WHOLE = (*OPEN, *TALK, *CLOSE)


def numbered_by_ip(frames: list[Frame], first: int = 0x1000) -> list[Frame]:
    """Returns IPv4 frames each with an identification of its own, as Linux counts."""
    return [
        frame._replace(data=frame.data[:18] + (first + at).to_bytes(2, "big") + frame.data[20:])
        for at, frame in enumerate(frames)
    ]


def behind_a_router(frame: Frame) -> Frame:
    """Returns a frame as it is seen one hop further on, in a VLAN: its TTL less by one."""
    data, at = frame.data, 22 if frame.data[14] >> 4 == 4 else 21
    hop = data[at] - 1
    return frame._replace(
        data=data[:12] + b"\x81\x00\x00\x07" + data[12:at] + bytes((hop,)) + data[at + 1 :], length=frame.length + 4
    )


def twice(frames: list[Frame], apart: int = 12_000, routed: bool = False, at_once: int = 1) -> list[Frame]:
    """Returns each packet with a copy of it, `apart` nanoseconds later, behind `at_once` of the first."""
    found: list[Frame] = []
    for begin in range(0, len(frames), at_once):
        these = frames[begin : begin + at_once]
        copies = [frame._replace(time=(frame.time or 0) + apart) for frame in these]
        found += [*these, *(behind_a_router(copy) if routed else copy for copy in copies)]
    return renumbered(*found)


@pytest.mark.parametrize("routed", [False, True], ids=["same", "behind a router"])
@pytest.mark.parametrize("pair", [IPV4, IPV6, IPV4._replace(timestamps=True)], ids=["IPv4", "IPv6", "timestamps"])
def test_all_is_told_as_of_the_capture_that_saw_it_once(pair: Pair, routed: bool) -> None:
    frames = ladder(*WHOLE, pair=pair)
    frames = frames if pair.client.count(":") else numbered_by_ip(frames)
    once, both = walk(frames), walk(twice(frames, routed=routed))
    assert [record.labels.count("captured-twice") for record in both.records] == [0, 1] * len(frames)
    for ours, first, copy in zip(once.packets, both.packets[::2], both.packets[1::2], strict=True):
        assert (ours.held, ours.delivered, ours.labels, ours.fate, ours.by) == (
            first.held, first.delivered, first.labels, first.fate, first.by,
        )  # fmt: skip
        assert (copy.held, copy.delivered, copy.fate, copy.by) == (first.held, first.delivered, first.fate, first.by)
        assert (copy.steps, copy.surprises, copy.messages) == ((), (), ())
    mine, theirs = once.reports[0].facts, both.reports[0].facts
    assert theirs["packets"] == 2 * mine["packets"]
    for name in ("tcp", "history", "conn_state", "final", "opened", "closed"):
        assert mine[name] == theirs[name], name
    assert not any(step.differs for step in both.reports[0].steps)


def merged(frames: list[Frame], apart: int) -> list[Frame]:
    """Returns the packets of two points of capture in the order of their times, `apart` nanoseconds from each other."""
    copies = [behind_a_router(frame)._replace(time=(frame.time or 0) + apart) for frame in frames]
    return renumbered(*sorted([*frames, *copies], key=lambda frame: frame.time or 0))


@pytest.mark.parametrize("apart", [3_200_000, 20_100_000, 45_000_000])
def test_a_second_point_of_capture_may_see_it_milliseconds_later(apart: int) -> None:
    frames = numbered_by_ip(ladder(*WHOLE))
    once, both = walk(frames), walk(merged(frames, apart))
    assert sum("captured-twice" in record.labels for record in both.records) == len(frames)
    assert both.only.retransmissions == 0
    assert [(p.held, p.delivered) for p in both.packets if "captured-twice" not in p.labels] == [
        (p.held, p.delivered) for p in once.packets
    ]
    assert not any(step.differs for step in both.reports[0].steps)


def test_milliseconds_later_identification_and_another_point_of_capture_must_both_speak_for_it() -> None:
    frames = numbered_by_ip(ladder(*OPEN, *TALK))
    nameless = [frame._replace(data=frame.data[:18] + bytes(2) + frame.data[20:]) for frame in frames]
    for found in (merged(frames, 60_000_000), merged(nameless, 3_200_000), twice(frames, apart=3_200_000)):
        assert not any("captured-twice" in record.labels for record in walk(found).records)


def test_copies_behind_several_packets_are_found_too() -> None:
    frames = numbered_by_ip(
        ladder(*OPEN, *(f"c> data {1 + 5 * at} 1 5" for at in range(5)), "s> ACK 1 26", apart=9_000)
    )
    both = walk(twice(frames, at_once=3))
    assert both.only.retransmissions == 0
    assert sum("captured-twice" in record.labels for record in both.records) == len(frames)


def test_what_is_sent_again_is_no_copy() -> None:
    """As a kernel does it: another identification, the same bytes; and late enough without one."""
    data = "c> data 1 1 5"
    soon = numbered_by_ip(ladder(*OPEN, data, data, "s> ACK 1 6", apart=50_000))
    late = ladder(*OPEN, data, data, "s> ACK 1 6")
    asked_for = ladder(
        *OPEN, data, "c> data 6 1 5", "s> ACK 1 1", "s> ACK 1 1", data, "s> ACK 1 11", pair=IPV6, apart=50_000
    )
    for frames in (soon, late, asked_for):
        walked = walk(frames)
        assert walked.only.retransmissions == 1
        assert not any("captured-twice" in record.labels for record in walked.records)


def test_acknowledgements_without_identification_are_copies_only_where_all_is_captured_twice() -> None:
    """IPv6, as Linux under loss: the same acknowledgement for each segment that comes out of order."""
    lines = (*OPEN, "c> data 1 1 5", "c> data 11 1 5", "s> ACK 1 6", "c> data 16 1 5", "s> ACK 1 6", "s> ACK 1 6")
    frames = ladder(*lines, pair=IPV6, apart=20_000)
    once = walk(frames)
    assert not any("captured-twice" in record.labels for record in once.records)
    both = walk(twice(frames, apart=1_000))
    assert [record.labels.count("captured-twice") for record in both.records] == [0, 1] * len(frames)
    repeats = [record.labels for record in both.records if "duplicate-ack" in record.labels]
    assert len(repeats) == sum("duplicate-ack" in record.labels for record in once.records) > 1


def test_copies_of_what_was_lost_are_lost_and_of_what_nobody_knows_unknown() -> None:
    data = "c> data 1 1 5"
    frames = numbered_by_ip(ladder(*OPEN, data, data, "s> ACK 1 6", "c> data 6 1 5"))
    fates = [packet.fate for packet in walk(twice(frames)).packets][6:]
    assert fates == ["lost", "lost", "arrived", "arrived", "arrived", "arrived", "unknown", "unknown"]


def test_events_of_a_capture_in_which_all_stands_twice_add_up_to_its_trace(tmp_path: Path) -> None:
    data = "c> data 1 1 5"
    frames = twice(numbered_by_ip(ladder(*OPEN, data, data, *TALK[1:], *CLOSE)))
    file = tmp_path / "twice.pcapng"
    with file.open("wb") as stream:
        writer = Writer(stream)
        for frame in frames:
            writer.packet(frame, ())
        writer.finish()
    with lab.open(file, words=False) as run:
        assert added_up(told(file)) == [json.loads(line) for line in trace.packet_lines(run.records())]
