"""The path: whatever comes in, each frame has its record, in order, and what was said of it before stays true."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.engine.path import in_order
from lab.engine.record import Record
from lab.model import Frame, States
from lab.protocols.registry import TRANSPORT
from tests.packets import CAPTURES, IPV6, OPEN, PROMPT, Pair, ladder, path, prompt, renumbered, replay, walk

STATES = {*TRANSPORT.tables["client"].states, None}
ARP = Frame(1, None, bytes(12) + b"\x08\x06" + bytes(28), 42)

every_capture = pytest.mark.parametrize("name", CAPTURES)
captures = st.sampled_from(list(CAPTURES.values()))


def plausible(records: list[Record]) -> bool:
    """Whether each record tells states of the table: of both ends when held, and when delivered if it arrived."""
    for record in records:
        if record.conversation is None:
            if (record.held, record.delivered) != (None, None) or not record.settled:
                return False
            continue
        if record.held is None or not set(record.held) <= STATES or not set(record.delivered or ()) <= STATES:
            return False
        if (record.fate == "arrived") != (record.delivered is not None) or not record.settled:
            return False
    return True


def known_at_capture(record: Record) -> tuple[object, ...]:
    """Returns what is known of a record when its packet is captured, whatever comes behind."""
    return (
        record.number,
        record.labels,
        record.seq,
        record.ack,
        record.held,
        set(record.assumed),
        record.conversation and record.conversation.id,
    )


def proved(frames: list[Frame]) -> list[int]:
    """Returns the packets that other packets prove to have been got: not those of which the capture's end decides."""
    records, found = [], list[int]()
    for record in path().annotate(frames):
        records.append(record)
        found = [each.number for each in records if each.got]  # for the last time before the end decides the rest
    return found


# One record a frame, in order.


# Whose RST may be refuted, whose client may yet show itself, and whose SYN may come: these look at what follows.
LOOKING_AHEAD = {
    "used again",
    "reset",
    "reset by the server",
    "reset of a half-open connection",
    "began midway",
    "began with the SYN-ACK",
    "every flag",
}


@every_capture
def test_each_frame_yields_exactly_one_rung_in_order_as_soon_as_it_is_captured(name: str) -> None:
    frames = [ARP, *ladder(*CAPTURES[name], first=2)]
    taken: list[int] = []

    def capturing() -> Iterator[Frame]:
        for frame in frames:
            yield frame
            soon = taken == list(range(1, frame.number + 1))
            assert soon or name in LOOKING_AHEAD, "the record came before the next frame was asked for"

    for record in path().annotate(capturing()):
        taken.append(record.number)
    assert taken == [frame.number for frame in frames]


@every_capture
def test_in_order_a_rung_waits_for_its_fate_and_none_is_lost(name: str) -> None:
    frames = ladder(*CAPTURES[name])
    records = []
    for record in path().settled(frames):
        assert record.settled
        records.append(record)
    assert [record.number for record in records] == [frame.number for frame in frames]


def test_a_packet_that_is_no_tcp_is_settled_at_once_and_belongs_nowhere() -> None:
    (record,) = path().annotate([ARP])
    assert (record.labels, record.settled, record.conversation, record.held) == (("not-tcp",), True, None, None)


# A capture may be cut anywhere.


@every_capture
@pytest.mark.parametrize("pair", [Pair(), IPV6], ids=["IPv4", "IPv6"])
def test_a_capture_cut_anywhere_has_known_states_and_what_stands_before_the_cut_stays(name: str, pair: Pair) -> None:
    frames = ladder(*CAPTURES[name], pair=pair)
    whole = walk(frames).records
    assert plausible(whole)
    for at in range(len(frames)):
        before, behind = walk(frames[:at]).records, walk(frames[at:]).records
        assert plausible(before)
        assert plausible(behind)
        assert [known_at_capture(record) for record in before] == [known_at_capture(record) for record in whole[:at]]
        for number in proved(frames[:at]):
            assert whole[number - 1].got, "what was proved can't be unproved by what follows"


@every_capture
def test_frames_cut_short_anywhere_are_annotated_too(name: str) -> None:
    frames = ladder(*CAPTURES[name])
    for size in range(0, 60, 3):
        assert plausible(walk([frame._replace(data=frame.data[:size]) for frame in frames]).records)


@pytest.mark.parametrize("at", range(1, 8))
def test_after_the_cut_nobody_knows_the_states_until_an_event_shows_them(at: int) -> None:
    """The states that are told are the same as with the whole capture: less is known, nothing is wrong."""
    lines = CAPTURES["connection"]
    whole, behind = walk(ladder(*lines)).records[at:], walk(ladder(*lines, first=1)[at:]).records
    for told, entire in zip(behind, whole, strict=True):
        assert told.held
        assert entire.held
        for role in ("client", "server"):
            state = getattr(told.held, role)
            assert state in (None, getattr(entire.held, role)), told.number
            if state is not None and at > 1:  # cut after the SYN alone, the SYN-ACK still shows the opening
                assert role in told.assumed
    assert behind[-1].delivered == States("TIME-WAIT", "CLOSED")


# Frames may be lost, doubled and shuffled.


@st.composite
def disturbed(draw: st.DrawFn) -> list[Frame]:
    """A capture or two, with frames dropped, doubled, cut short and shuffled."""
    frames = ladder(*draw(captures))
    if draw(st.booleans()):
        frames += ladder(*draw(captures), pair=Pair(client_port=draw(st.sampled_from([40000, 50000]))))
    frames = [frame for frame in frames if draw(st.integers(0, 9))]
    frames = list(itertools.chain.from_iterable([frame] * (1 + (draw(st.integers(0, 9)) == 0)) for frame in frames))
    if draw(st.booleans()):
        frames = draw(st.permutations(frames))
    if draw(st.booleans()) and frames:
        at = draw(st.integers(0, len(frames) - 1))
        frames[at] = frames[at]._replace(data=frames[at].data[: draw(st.integers(0, 80))])
    return renumbered(*frames)


@given(disturbed())
def test_whatever_happened_to_the_frames_the_states_are_known(frames: list[Frame]) -> None:
    records = list(path().settled(frames))
    assert [record.number for record in records] == [frame.number for frame in frames]
    assert plausible(records)


@given(disturbed(), st.data())
def test_whatever_a_wire_did_with_them_each_fate_is_what_it_told(frames: list[Frame], data: st.DataObject) -> None:
    dropped = [frame.number for frame in frames if data.draw(st.integers(0, 4)) == 0]
    records = list(in_order(path().replay(prompt(frames, dropped))))
    assert [record.number for record in records] == [frame.number for frame in frames]
    assert all(record.settled and record.got == (record.number not in dropped) for record in records)


# Inferred and told by the wire, the same.


@pytest.mark.parametrize("name", PROMPT)
def test_where_nothing_was_lost_what_is_inferred_is_what_the_wire_tells(name: str) -> None:
    """Design section 5 (b). Only the last packet's fate is the wire's alone to know."""
    frames = ladder(*PROMPT[name])
    inferred, told = walk(frames).records, replay(prompt(frames)).records
    for ours, theirs in zip(inferred[:-1], told[:-1], strict=True):
        assert (ours.held, ours.delivered, ours.steps) == (theirs.held, theirs.delivered, theirs.steps), ours.number
    assert inferred[-1].held == told[-1].held


def test_a_reset_is_the_answer_of_a_host_that_is_quiet_only_after_it() -> None:
    """As with the kernels: when they are asked after the SYN's delivery, the RST has left already."""
    syn, reset = walk(ladder("c> SYN 0", "s> RST-ACK 0 1")).records
    assert syn.delivered == States("SYN-SENT", "CLOSED")
    assert reset.held == States("SYN-SENT", "CLOSED")


# Waiting is bounded.

SOON = 2 + 256  # packets in which it shows whether the other direction was captured, where no SYN was
BOUND = 1 << 17  # packets; lab/engine/path.py waits for fewer


class Endless:
    """The packets of these lines, and behind them another conversation that never ends."""

    def __init__(self, *lines: str) -> None:
        self.captured = 0
        self._lines = lines

    def __iter__(self) -> Iterator[Frame]:
        (ack,) = ladder("c> ACK 1 1", pair=Pair(client_port=50000))
        for frame in itertools.chain(ladder(*self._lines), itertools.repeat(ack)):
            self.captured += 1
            assert self.captured < 2 * BOUND, "it waits for ever"
            yield frame._replace(number=self.captured)


@pytest.mark.slow
def test_rungs_behind_one_whose_fate_stays_open_wait_up_to_a_bound_and_in_order() -> None:
    frames, way = Endless("c> SYN 0"), path()
    records = way.settled(frames)
    first = next(records)
    assert (first.number, first.settled, first.got) == (1, False, False), "nothing shows that the SYN arrived"
    assert frames.captured <= BOUND
    assert [record.number for record in itertools.islice(records, 1000)] == list(range(2, 1002))


def test_where_somebody_watches_a_rung_is_waited_for_only_so_long() -> None:
    frames, way = Endless("c> SYN 0"), path()
    seen = list(itertools.islice(in_order(way.annotate(frames), way.undecided, late=lambda: lambda: True), 1000))
    assert [record.number for record in seen] == list(range(1, 1001))
    assert not seen[0].settled, "nobody knows by then"
    assert frames.captured <= 1000 + SOON


def test_a_bare_ack_that_nothing_has_followed_for_long_is_decided_when_it_is_overdue() -> None:
    frames, way = Endless(*OPEN), path()
    *_, third = itertools.islice(way.settled(frames), 3)
    assert (third.settled, third.delivered) == (True, States("ESTABLISHED", "ESTABLISHED"))
    assert frames.captured <= BOUND


def test_where_every_fate_is_soon_known_no_rung_waits() -> None:
    frames = Endless()
    records = path().settled(frames)
    for number in range(1, 100):
        assert next(records).number == number
        assert frames.captured <= max(number + 1, SOON)


def test_of_a_payload_only_the_beginning_is_kept_where_no_more_is_asked_for() -> None:
    frames = ladder(*OPEN, 'c> ACK 1 1 "hello"', "s> ACK 1 6")
    whole = list(path().annotate(frames))
    short = list(path().annotate(frames, beginning=2))
    assert [record.frame for record in whole] == frames
    assert [record.frame and len(record.frame.data) for record in short] == [len(each.data) for each in frames[:3]] + [
        len(frames[3].data) - 3,
        len(frames[4].data),
    ]
    assert [record.frame and record.frame.length for record in short] == [each.length for each in frames]
    assert [record.delivered for record in short] == [record.delivered for record in whole]
