"""The wire's journal survives the capture it travels in, and whatever else stands in its place is taken as not said."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.engine import journal
from lab.engine.path import in_order
from lab.engine.record import Record
from lab.model import Captured, Delivered, Final, Frame, Settled, WireEvent
from lab.render.comments import comments
from tests.packets import OPEN, Pair, kernels, ladder, path, prompt, replay, wire

HELD, LATER = kernels("SYN-SENT", "LISTEN"), kernels("SYN-SENT", "SYN-RECEIVED")
BARE = Frame(1, None, b"", 0)


def line(**told: Any) -> str:
    return journal.PREFIX + json.dumps(told)


def noted(frame: Frame, **told: Any) -> Frame:
    return frame._replace(comments=(line(**told),))


def written(events: list[WireEvent]) -> list[Frame]:
    """Returns the frames as they are saved behind these events, the journal among their comments."""
    return [each.frame._replace(comments=tuple(comments(each))) for each in replay(events).packets if each.frame]


def plain(events: list[WireEvent]) -> list[WireEvent]:
    """Returns the same events, but without the comments on their frames."""
    return [
        event._replace(frame=event.frame._replace(comments=())) if isinstance(event, Captured) else event
        for event in events
    ]


# What is written is what is read.


@st.composite
def schedules(draw: st.DrawFn) -> list[WireEvent]:
    """What a wire may do with four packets: deliver them in any order, never, twice; ask the kernels or not."""
    frames = ladder(*OPEN, "c> data 1 1 5")
    script: list[str] = []
    coming = [str(frame.number) for frame in frames]
    fates = [[f">{n}"] * draw(st.integers(0, 2)) + [f".{n}"] for n in coming]
    waiting: list[list[str]] = []
    while coming or waiting:
        at = draw(st.integers(0, len(waiting) - (0 if coming else 1)))
        if at == len(waiting):
            script.append(coming.pop(0))
            waiting.append(fates[int(script[-1]) - 1])
        else:
            script.append(waiting[at].pop(0))
            waiting = [rest for rest in waiting if rest]
    events = [_asked(event) if draw(st.booleans()) else event for event in wire(frames, " ".join(script))]
    settled = {event.number: event.kernel for event in events if isinstance(event, Settled)}
    once = [number for number, count in Counter(re.findall(r">(\d+)", " ".join(script))).items() if count == 1]
    return [
        event._replace(kernel=settled[event.number])
        if isinstance(event, Delivered) and str(event.number) in once
        else event
        for event in events
    ]


def _asked(event: WireEvent) -> WireEvent:
    if isinstance(event, Captured):
        return event._replace(kernel=HELD)
    return event._replace(kernel=LATER) if isinstance(event, Settled) else event


@given(schedules())
def test_what_the_wire_did_comes_back_in_the_same_order(events: list[WireEvent]) -> None:
    assert plain(list(journal.events(written(events)))) == plain(events)


@given(schedules())
def test_a_capture_that_is_read_back_shows_the_same_rungs(events: list[WireEvent]) -> None:
    first, again = replay(events), replay(journal.events(written(events)))
    for ours, theirs in zip(first.records, again.records, strict=True):
        assert (ours.held, ours.delivered, ours.got, ours.steps) == (
            theirs.held,
            theirs.delivered,
            theirs.got,
            theirs.steps,
        )
        assert (ours.kernel_held, ours.kernel_delivered) == (theirs.kernel_held, theirs.kernel_delivered)
        assert (ours.asked_held, ours.asked_delivered) == (theirs.asked_held, theirs.asked_delivered)
        assert ours.journal == theirs.journal
    assert first.only.states == again.only.states


def test_a_packet_that_the_wire_reordered_is_delivered_behind_the_later_one() -> None:
    frames = ladder("c> data 1 1 5", "c> data 6 1 5")
    held_back = [
        noted(frames[0], arrived=0, delivered=[4], settled=5),
        noted(frames[1], arrived=1, delivered=[2], settled=3),
    ]
    happened = [event for event in journal.events(held_back) if not isinstance(event, Captured)]
    assert happened == [Delivered(2, 2), Settled(2, 3, None), Delivered(1, 4), Settled(1, 5, None)]


def test_a_packet_that_the_wire_dropped_is_settled_and_not_delivered() -> None:
    (frame,) = ladder("c> SYN 0")
    dropped = noted(frame, arrived=0, delivered=[], settled=1)
    assert list(journal.events([dropped])) == [Captured(dropped, 0, None), Settled(1, 1, None)]


@pytest.mark.parametrize(("ports", "server"), [((), "CLOSED"), ((81,), "CLOSED"), ((80, 8080), "LISTEN")])
def test_where_the_journal_says_who_listens_nothing_is_assumed(ports: tuple[int, ...], server: str) -> None:
    (frame,) = ladder("c> SYN 0")
    walked = replay([Captured(frame, 1, None, listening=ports), Settled(1, 2, None)])
    (packet,) = walked.packets
    assert packet.held == ("SYN-SENT", server)
    assert packet.assumed == ()
    line = journal.comment(packet)
    assert line is not None
    (again,) = replay(journal.events([frame._replace(comments=(line,))])).packets
    assert (again.held, again.assumed, again.journal) == (packet.held, packet.assumed, packet.journal)


@pytest.mark.parametrize("said", ["8080", '"8080"', "{}", "true", "null"])
def test_what_is_no_list_of_ports_says_nothing_about_who_listens(said: str) -> None:
    (frame,) = ladder("c> SYN 0")
    line = f'lab1 {{"arrived":0,"settled":1,"delivered":[],"listening":{said}}}'
    (packet,) = replay(journal.events([frame._replace(comments=(line,))])).packets
    assert packet.held == ("SYN-SENT", "LISTEN")
    assert packet.assumed == ("server",)


def test_the_states_at_the_end_are_read_when_the_packets_are_over() -> None:
    final = kernels("TIME-WAIT", "CLOSED")
    assert list(journal.events([], [journal.closing_comment(final)])) == [Final(final)]
    assert list(journal.events([], [journal.closing_comment(None), "lab1 {}", "somebody's"])) == []


def test_closing_comments_are_not_asked_for_before_the_packets_are_over() -> None:
    asked = []

    class Closing:
        def __iter__(self) -> Iterator[str]:
            asked.append(True)
            return iter([journal.closing_comment(HELD)])

    events = journal.events([noted(BARE, arrived=0, delivered=[], settled=1)], Closing())
    assert isinstance(next(events), Captured)
    assert not asked
    assert list(events)[-1] == Final(HELD)


def test_a_journal_is_one_line_of_ascii() -> None:
    (frame,) = ladder("c> SYN 0")
    (packet,) = replay(prompt([frame])).packets
    text = journal.comment(packet)
    assert text
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text.removeprefix(journal.PREFIX)) == {"arrived": 0, "delivered": [1], "settled": 2}


def test_only_what_this_program_writes_is_called_ours() -> None:
    assert all(journal.is_ours(text) for text in ("lab1 {}", "[lab] open 1.", "[实验] 握手 1。"))
    assert not any(journal.is_ours(text) for text in ("", "lab1{}", "lab2 {}", " lab1 {}", "see [lab] ", "Lab1 {}"))


# A frame without a journal.


def test_a_frame_without_a_journal_was_captured_and_nothing_more_is_known() -> None:
    bare, told = BARE, noted(BARE._replace(number=2), arrived=1, delivered=[2], settled=3)
    assert not journal.told(bare)
    assert journal.told(told)
    events = list(journal.events([bare, told]))
    assert [type(event) for event in events] == [Captured, Settled, Captured, Delivered, Settled]


def test_a_frame_without_a_journal_is_saved_without_one_again() -> None:
    first, second = ladder("c> SYN 0", "s> SYN-ACK 0 1")
    again = replay(journal.events([noted(first, arrived=0, delivered=[1], settled=2), second]))
    assert journal.comment(again.packets[0]) is not None
    assert journal.comment(again.packets[1]) is None
    assert [record.settled for record in again.records] == [True, False], "whether it arrived nobody says"


# Whoever hands us a capture may have written anything there.

HOSTILE = [
    "lab1 ", "lab1 {", "lab1 []", "lab1 null", "lab1 1e999", "lab1 NaN", 'lab1 "arrived"', "lab1 \x00\ud800",
    "lab1 " + "[" * 100_000, "lab1 " + '{"a":' * 100_000, 'lab1 {"arrived": ' + "9" * 5000 + "}",
    line(arrived=0), line(arrived=0, settled=1), line(arrived=0, settled=1, delivered=None),
    line(arrived=0, settled=1, delivered={"0": 1}), line(arrived="0", settled=1, delivered=[]),
    line(arrived=0.5, settled=1, delivered=[]), line(arrived=True, settled=True, delivered=[]),
    line(arrived=-1, settled=1, delivered=[]), line(arrived=0, settled=-1, delivered=[]),
    line(arrived=1 << 60, settled=1, delivered=[]), line(arrived=0, settled=10**30, delivered=[]),
    line(arrived=None, settled=None, delivered=[1]),
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_does_not_fit_is_taken_as_not_said(text: str) -> None:
    frame = BARE._replace(comments=("somebody's", text))
    assert not journal.told(frame)
    assert [type(event) for event in journal.events([frame], [text])] == [Captured, Settled]


@pytest.mark.parametrize("delivered", [["1"], [None, -1], [True], [[1]], [1.0], [1 << 60]])
def test_a_delivery_that_does_not_fit_is_left_out(delivered: list[object]) -> None:
    events = list(journal.events([noted(BARE, arrived=0, delivered=[*delivered, 5], settled=6)]))
    assert events[1:] == [Delivered(1, 5), Settled(1, 6, None)]


def test_of_very_many_deliveries_only_the_first_few_count() -> None:
    events = list(journal.events([noted(BARE, arrived=0, delivered=[1] * 10_000, settled=2)]))
    assert len(events) < 100


@pytest.mark.parametrize(
    "kernel",
    [
        None,
        [],
        "held",
        {"held": 1},
        {"held": {"client": 1, "server": None}},
        {"held": {"client": "A" * 1000}},
        {"held": []},
    ],
)
def test_states_that_do_not_fit_are_taken_as_not_said(kernel: object) -> None:
    events = list(journal.events([noted(BARE, arrived=0, delivered=[], settled=1, kernel=kernel)]))
    assert [getattr(event, "kernel", None) for event in events] == [None, None]


@pytest.mark.parametrize("state", ["\x1b[2J", "\u202eTIAW-EMIT", "established", "", "a\nb", "[red]"])
def test_a_kernel_state_that_no_rfc_knows_is_taken_as_not_said(state: str) -> None:
    """It would be printed on the ladder as the kernel's word."""
    kernel = {"held": {"client": state, "server": "LISTEN"}}
    captured, *_ = journal.events([noted(BARE, arrived=0, delivered=[], settled=1, kernel=kernel)])
    assert isinstance(captured, Captured)
    assert captured.kernel is None
    assert list(journal.events([], [line(final={"client": state, "server": None})])) == []


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.integers(0, 9),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=3), inside, max_size=3),
    max_leaves=8,
)
ORDERS = st.integers(-2, 9) | ANYTHING
DELIVERED = st.lists(ORDERS, max_size=4) | ANYTHING
TOLD = st.fixed_dictionaries(
    {}, optional={"arrived": ORDERS, "settled": ORDERS, "delivered": DELIVERED, "kernel": ANYTHING}
)
WRITTEN = st.lists(TOLD.map(lambda told: journal.PREFIX + json.dumps(told)) | st.text(max_size=20), max_size=2)


@given(st.lists(WRITTEN, max_size=6))
def test_whatever_is_written_every_frame_is_captured_once_settled_once_and_walked(written: list[list[str]]) -> None:
    lines = (*OPEN, "c> data 1 1 5", "c> FIN 6 1", "s> RST 1")
    frames = [frame._replace(comments=tuple(texts)) for frame, texts in zip(ladder(*lines), written, strict=False)]
    events = list(journal.events(frames, [text for texts in written for text in texts]))
    numbers = [frame.number for frame in frames]
    assert [event.frame.number for event in events if isinstance(event, Captured)] == numbers
    assert sorted(event.number for event in events if isinstance(event, Settled)) == numbers
    records = replay(events).records
    assert [record.number for record in records] == numbers
    assert [record.settled for record in records] == [journal.told(frame) for frame in frames]


FAR = 1 << 50


@pytest.mark.slow
@pytest.mark.parametrize(
    "told", [{"arrived": 0, "settled": 0, "delivered": []}, {"arrived": 0, "settled": FAR, "delivered": [FAR]}]
)
def test_a_journal_in_which_nothing_ever_settles_does_not_keep_all_packets(told: dict[str, Any]) -> None:
    """Design section 3: memory is bounded by the conversations open at a time, the bound is capped."""
    waiting, most, bound = 0, 0, 1 << 17
    frames = (noted(BARE._replace(number=number), **told) for number in range(1, bound + 1000))
    for event in journal.events(frames):
        waiting += isinstance(event, Captured) - isinstance(event, Settled)
        most = max(most, waiting)
    assert waiting == 0
    assert most < bound


def test_two_journals_of_different_runs_in_one_file_still_give_every_packet_its_fate() -> None:
    first, second = prompt(ladder(*OPEN)), prompt(ladder(*OPEN, pair=Pair(client_port=50000)))
    frames = [frame._replace(number=at) for at, frame in enumerate((*written(first), *written(second)), 1)]
    records: list[Record] = list(in_order(path().replay(journal.events(frames))))
    assert [record.number for record in records] == [1, 2, 3, 4, 5, 6]
    assert all(record.settled and record.got for record in records)
