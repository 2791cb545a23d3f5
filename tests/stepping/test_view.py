"""Where a run stands, from its events alone: forwards, backwards, in the recorded captures as on real hosts."""

from __future__ import annotations

import io
import json
from pathlib import Path

import jsonschema
import pytest

import lab
from lab.errors import UsageError
from lab.events import Begun, CommandAnswered, Ended, KernelAsked, PacketHeld, PacketLost
from lab.report.predictions import read
from lab.stepping import words
from lab.stepping.commands import parse
from lab.stepping.debugger import Debugger, walked
from lab.stepping.lines import Lines, shown
from lab.stepping.view import Story, View, as_json
from lab.testbed.control import Command, Control, Hold
from lab.text import LANGUAGES, Text
from tests.places import REFERENCES

RECORDED = sorted(REFERENCES.glob("*.pcapng"))


def opened(name: str | Path) -> Debugger:
    debugger = Debugger()
    with lab.open(REFERENCES / name) as run:
        debugger.load(walked(run.events()))
    return debugger


def do(debugger: Debugger, *lines: str) -> View:
    for line in lines:
        asked = parse(line)
        assert asked is not None
        debugger.do(asked)
    return debugger.view()


def test_a_capture_is_walked_packet_by_packet() -> None:
    debugger = opened("tcp-connection.pcapng")
    now = debugger.view()
    assert (now.at, now.held, now.client.state, now.server.state) == (1, (1,), "SYN-SENT", "LISTEN")
    assert [(each.end, each.before, each.after, each.source) for each in now.fired] == [
        ("client", "CLOSED", "SYN-SENT", "RFC 9293 section 3.10.1")
    ]
    seen = []
    while not now.over:
        assert now.rung is not None
        seen.append((now.at, now.rung.fate, now.rung.steps))
        now = do(debugger, "step")
    assert [number for number, _, _ in seen] == list(range(1, 12))
    assert {fate for _, fate, _ in seen} == {"held"}
    assert seen[7][2] == ("tcp.close.1",)
    assert {rung.fate for rung in now.rungs} == {"arrived"}
    assert (now.client.state, now.server.state) == ("TIME-WAIT", "CLOSED")
    with pytest.raises(UsageError, match="nothing more"):
        do(debugger, "step")


def test_back_shows_what_was_shown_before() -> None:
    debugger = opened("tls-1.3.pcapng")
    forward = [debugger.view()]
    while not forward[-1].over:
        forward.append(do(debugger, "step"))
    for then in reversed(forward[:-1]):
        assert as_json(do(debugger, "back")) == as_json(then)
    with pytest.raises(UsageError, match="begins"):
        do(debugger, "back")
    assert as_json(do(debugger, f"forward {len(forward)}")) == as_json(forward[-1])


def test_there_is_nothing_to_look_back_at_before_the_first_packet_is_held() -> None:
    debugger = Debugger(lambda: pytest.fail("nobody is told"))
    with pytest.raises(UsageError, match="where it begins"):
        do(debugger, "back")
    assert debugger.view().rungs == ()
    assert debugger.place == (0, 0)


def test_one_goes_on_to_a_label_a_state_a_step_or_the_end() -> None:
    debugger = opened("tcp-connection.pcapng")
    assert do(debugger, "until FIN").at == 8
    now = do(debugger, "until server=CLOSE-WAIT")
    assert (now.at, now.server.state) == (9, "CLOSE-WAIT")
    assert do(debugger, "back 4").at == 5
    assert do(debugger, "next").at == 8
    assert do(debugger, "step 2").at == 10
    assert do(debugger, "continue").over


def test_a_recorded_capture_has_nobody_to_be_told() -> None:
    debugger = opened("tcp-connection.pcapng")
    for line in ("drop", "edit seq=+1", "inject client RST", "hold"):
        with pytest.raises(UsageError, match="needs real hosts"):
            do(debugger, line)
    assert "drop" not in debugger.view().can


def test_predictions_are_judged_when_the_next_packet_shows() -> None:
    debugger = opened("tcp-connection.pcapng")
    do(debugger, "predict server SYN-ACK", "step", "predict client=LISTEN", "step", "predict question-1: 16")
    first, second, third = debugger.predictions.made
    assert (first.right, second.right, third.right) == (True, False, None)
    assert debugger.predictions.score == (1, 2)
    assert second.came == "client ACK"
    assert (third.question, third.said, third.packet) == ("question-1", "16", 3)
    record = third.record("v1")
    assert read(record.written()) == record
    assert (record.variant, record.seq_raw) == ("v1", debugger.view().rungs[2].sent.seq_raw)
    debugger.predictions.questions = {"first-number": Text("which", "哪个")}
    with pytest.raises(UsageError, match="no question 'frist-number'"):
        do(debugger, "predict frist-number: 3")


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_every_capture_can_be_walked_to_its_end_and_said(path: Path) -> None:
    debugger = opened(path)
    packets = [event.packet for event in debugger.story.events if isinstance(event, PacketHeld)]
    assert packets == sorted(set(packets))
    assert len(debugger.story.stops) == len(packets) + 1
    views = []
    while not debugger.view().over:
        views.append(debugger.view())
        assert views[-1].at == packets[len(views) - 1]
        do(debugger, "step")
    now = debugger.view()
    validator = jsonschema.Draft202012Validator(lab.schema("view"))
    for each in (views[0], views[-1], now):
        validator.validate(json.loads(json.dumps(as_json(each))))
    for lang in LANGUAGES:
        for what in ("where", "kernel", "ladder", "fields", "bytes", "rows", "score"):
            assert all("\n" not in line for line in shown(now, what, lang, (0, 0)))
        for event in debugger.story.events:
            assert words.line(event).pick(lang).strip()


def test_copies_that_were_absorbed_are_folded() -> None:
    """As a live run tells them: the SYN, twice more while it is held."""
    debugger = opened("tcp-connection.pcapng")
    sent = debugger.view().rungs[0].sent
    story = Story()
    story.hear(Begun("x", True, True))
    for number in (1, 2, 3):
        story.hear(sent._replace(packet=number))
        story.hear(PacketHeld(1) if number == 1 else PacketLost(number, "journal", absorbed=True))
    now = story.view()
    assert [(rung.number, rung.again) for rung in now.rungs] == [(1, 2)]
    assert now.held == (1,)
    assert [text.en for text in words.timers(now)][-1].startswith("Sent again so far: 2.")
    story.hear(CommandAnswered("release 1", True, None, None, None))
    assert not story.stands


def test_nobody_waits_for_word_of_what_belongs_to_no_conversation() -> None:
    """A live run tells nothing more of an ARP request, or of a packet with another address, once it is let go of."""
    sent = opened("tcp-connection.pcapng").view().rungs[0].sent
    story = Story()
    story.hear(Begun("x", True, True))
    for number, which in ((1, None), (2, sent.conversation)):
        story.hear(sent._replace(packet=number, conversation=which))
        story.hear(PacketHeld(number))
    story.hear(CommandAnswered("release 1", True, None, None, None))
    assert story.stands
    assert story.view().rungs[0].fate == "under-way"


def test_to_hold_what_is_held_leads_nowhere_else() -> None:
    """As a live run tells it: `hold` while the SYN is held, whose copy is absorbed then."""
    sent = opened("tcp-connection.pcapng").view().rungs[0].sent
    story = Story()
    hold = CommandAnswered("hold", True, None, None, None)
    for event in (Begun("x", True, True), sent, PacketHeld(1), hold, sent._replace(packet=2)):
        story.hear(event)
    story.hear(PacketLost(2, "journal", absorbed=True))
    assert story.stops == [len(story.events)]


def test_timers_run_on_from_when_the_kernels_were_asked_whatever_else_happens() -> None:
    debugger = Debugger(lambda: Control(lambda _: True))
    debugger.hear(Begun("x", True, True))
    while debugger.passed < 0.05:
        pass
    debugger.hear(CommandAnswered("hold", True, None, None, None))
    assert debugger.passed >= 0.05
    asked = next(each for each in opened("tcp-connection.pcapng").story.events if isinstance(each, KernelAsked))
    debugger.hear(asked)
    assert debugger.passed < 0.05
    assert opened("tcp-connection.pcapng").passed == 0.0


def test_a_run_of_more_events_than_are_taken_down_goes_on_to_its_end() -> None:
    sent = opened("tcp-connection.pcapng").view().rungs[0].sent
    told: list[Command] = []

    def tell(command: Command) -> bool:
        told.append(command)
        return True

    debugger = Debugger(lambda: Control(tell))
    debugger.hear(Begun("x", True, True))
    debugger.hear(sent)
    debugger.hear(PacketHeld(1))
    number = 1
    while not debugger.story.full:
        number += 1
        debugger.hear(sent._replace(packet=number))
    assert told == [Hold(False)]
    debugger.hear(CommandAnswered("hold off", True, None, None, None))
    assert not debugger.waits
    debugger.hear(PacketHeld(number))  # somebody has asked for that
    debugger.hear(CommandAnswered("hold off", True, None, None, None))
    debugger.hear(Ended((), {}, None))
    assert told == [Hold(False)] * 2
    assert debugger.waits


def test_a_packet_that_has_shown_and_is_not_held_is_no_packet_to_come() -> None:
    """As a live run tells it: the SYN is held for 5 s, so that its copies have the next numbers."""
    sent = opened("tcp-connection.pcapng").view().rungs[0].sent
    debugger = Debugger(lambda: Control(lambda _: True))
    debugger.hear(Begun("x", True, True))
    for number in (1, 2, 3):
        debugger.hear(sent._replace(packet=number))
        debugger.hear(PacketHeld(1) if number == 1 else PacketLost(number, "journal", absorbed=True))
    with pytest.raises(UsageError, match="packet 3 is not held"):
        do(debugger, "select 3")
    with pytest.raises(UsageError, match="no packet 4 yet"):
        do(debugger, "select 4")


def test_lines_show_each_event_once_forwards() -> None:
    debugger, out = opened("tcp-connection.pcapng"), io.StringIO()
    Lines(debugger, iter(["step", "back", "step", "nonsense", "continue"]), out, "en", False).run(None)
    said = out.getvalue().splitlines()
    assert said[0].startswith("begun")
    assert sum(line.startswith("sent       2") for line in said) == 2, "the second time behind `back`"
    assert any(line.startswith("error: 'nonsense', column 1") for line in said)
    assert said[-1].startswith("ended")
