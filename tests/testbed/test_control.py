"""Real runs, held at each packet: what is asked of the wire it does, and the table still says what both kernels say."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path as File
from typing import NamedTuple

import pytest

import lab
from lab.events import (
    Begun,
    CommandAnswered,
    Ended,
    Event,
    PacketArrived,
    PacketHeld,
    PacketLost,
    PacketSent,
)
from lab.model import Captured, Packet, States
from lab.protocols.catalogue import scenario as named
from lab.protocols.scenario import Scenario
from lab.protocols.tcp.scenarios import endpoint
from lab.protocols.tcp.scripts import PORT, final_ack_lost
from lab.runs.live import Live
from lab.runs.recorded import open_run
from lab.runs.run import Run
from lab.testbed import netns, stage, wire
from lab.testbed.control import Command, Control, Controlled, Delay, Edit, Held, Inject, Release, write
from lab.testbed.messages import Ended as StageEnded
from lab.testbed.rules import parse
from lab.testbed.stage import Stage
from tests.left_behind import Watched, watching

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces exist on Linux only")

Decide = Callable[[Event, Control], None]


class Story(NamedTuple):
    """A controlled run: what was made of it, and all that was told, with the second of its own in which it came."""

    run: Run
    packets: list[Packet]
    events: list[tuple[float, Event]]

    @property
    def answers(self) -> list[CommandAnswered]:
        return [event for _, event in self.events if isinstance(event, CommandAnswered)]

    @property
    def absorbed(self) -> list[int]:
        return [packet.number for packet in self.packets if packet.journal and packet.journal.absorbed]

    @property
    def forged(self) -> list[Packet]:
        return [packet for packet in self.packets if packet.journal and packet.journal.forged]

    def states(self, number: int) -> tuple[States | None, States | None]:
        """Returns the states at a packet's two instants, as both witnesses tell them."""
        packet = self.packets[number - 1]
        assert (packet.kernel_held, packet.kernel_delivered) == (packet.held, packet.delivered)
        return packet.held, packet.delivered

    def place(self, number: int) -> int:
        """Returns when a packet was first delivered, as a place in the journal."""
        journal = self.packets[number - 1].journal
        assert journal is not None
        return journal.delivered[0]

    def after(self, number: int, earlier: int) -> float:
        """Returns the seconds from one packet's capture to another's."""
        return ((self.packets[number - 1].time or 0) - (self.packets[earlier - 1].time or 0)) / 1e9

    def shows(self, problem: object) -> str:
        lines = [
            f"{packet.number:>3} {packet.sender or '-'} {' '.join(packet.labels)} seq={packet.seq}"
            f" ack={packet.ack} held {packet.held} ({packet.kernel_held})"
            f" delivered {packet.delivered} ({packet.kernel_delivered})"
            for packet in self.packets
        ]
        return "\n".join([*lines, str(self.run.source.early), str(problem)])


def release(event: Event, run: Control) -> None:
    """Lets everything go on as it comes."""
    if isinstance(event, PacketHeld):
        run.release(event.packet)


def at(**plans: Callable[[Control], object]) -> Decide:
    """Returns what does something else at some packets, by number: `at(_4=lambda run: run.drop(4))`."""

    def decide(event: Event, run: Control) -> None:
        if isinstance(event, PacketHeld) and f"_{event.packet}" in plans:
            plans[f"_{event.packet}"](run)
        else:
            release(event, run)

    return decide


@pytest.fixture
def controlled(namespaces: None, tmp_path: File) -> Callable[..., Story]:
    """Plays a scenario, decides by what is told, and holds the table against both kernels and the file against both."""

    def play(scenario: Scenario | str, decide: Decide, rules: Sequence[str] | None = None, ipv6: bool = False) -> Story:
        events: list[tuple[float, Event]] = []
        file = tmp_path / "run.pcapng"
        if isinstance(scenario, str) and rules is None:
            run = lab.run(scenario, testbed="netns", control=True, ipv6=ipv6, file=file)
        else:
            played = named(scenario) if isinstance(scenario, str) else scenario
            laws = parse(played.rules if rules is None else rules)
            run = Run(Live(played, laws, ipv6, file, partial(netns.play, control=True)), words=True)

        def hear(event: Event) -> None:
            events.append((time.monotonic(), event))
            if not isinstance(event, Begun | Ended):
                decide(event, run.control)

        run.listen(hear)
        with run:
            story = Story(run, list(run.packets()), events)
        assert run.lost_listeners == []
        agrees(story)
        reads_back(story, file)
        return story

    return play


def agrees(story: Story) -> None:
    """Asserts that at every instant the table says what the kernels say."""
    found = story.run.agreement
    assert found.compared >= 2 * sum(1 + (packet.fate == "arrived") for packet in story.packets)
    assert not found.unexplained, story.shows(found.unexplained)
    surprises = [each for packet in story.packets for each in packet.surprises]
    assert not surprises, story.shows(surprises)


def reads_back(story: Story, file: File) -> None:
    """Asserts that the saved capture is what was seen."""
    with open_run(str(file)) as run:
        again = list(run.packets())
    for name in ("number", "labels", "seq", "ack", "held", "delivered", "kernel_held", "kernel_delivered", "journal"):
        assert [getattr(packet, name) for packet in again] == [getattr(packet, name) for packet in story.packets], name
    finals = [[each.kernel_final for each in whose.conversations] for whose in (run, story.run)]
    assert finals[0] == finals[1]


# Held and released.

RELEASED = [
    "tcp/simultaneous-open", "tcp/simultaneous-close", "tcp/syn-lost", "tcp/half-close", "tls/1.3",
    "websocket/connection",
]  # fmt: skip


def test_each_packet_is_told_before_it_arrives_and_waits_for_its_release(controlled: Callable[..., Story]) -> None:
    def decide(event: Event, run: Control) -> None:
        if isinstance(event, PacketHeld):
            run.release(1000 + event.packet)  # its refusal comes when the wire has looked at everything once more
        elif isinstance(event, CommandAnswered) and not event.done:
            run.release(int(event.command.removeprefix("release ")) - 1000)

    story = controlled("tcp/connection", decide)
    told = [event for _, event in story.events]
    assert story.run.source.early is None
    assert [packet.labels[0] for packet in story.packets] == [
        "SYN", "SYN-ACK", "ACK", "data", "ACK", "data", "ACK", "FIN", "ACK", "FIN", "ACK",
    ]  # fmt: skip
    for number in range(1, 12):
        (captured,) = [
            place for place, each in enumerate(told) if isinstance(each, PacketSent) and each.packet == number
        ]
        held = told.index(PacketHeld(number))
        (refused,) = [
            place for place, each in enumerate(told)
            if isinstance(each, CommandAnswered) and each.command == f"release {1000 + number}"
        ]  # fmt: skip
        done = told.index(CommandAnswered(f"release {number}", True, None, None, None))
        (delivered,) = [
            place for place, each in enumerate(told) if isinstance(each, PacketArrived) and each.packet == number
        ]
        assert captured < held < refused < done < delivered


@pytest.mark.parametrize("name", RELEASED)
def test_a_held_run_ends_as_it_would_have(controlled: Callable[..., Story], name: str) -> None:
    story = controlled(name, release)
    assert story.run.source.early is None
    assert {packet.number for packet in story.packets if packet.fate != "arrived"} == (
        {1} if name == "tcp/syn-lost" else set()
    )


def test_what_a_rule_holds_is_held_by_hand_when_the_script_lets_it_go(controlled: Callable[..., Story]) -> None:
    story = controlled("tcp/simultaneous-open", release)
    told = [event for _, event in story.events if isinstance(event, PacketHeld | PacketSent)]
    both = [each.packet if isinstance(each, PacketSent) else -each.packet for each in told]
    assert both[:4] == [1, 2, -1, -2]


@pytest.mark.parametrize(
    ("rule", "answer"), [("delay client SYN #1 200ms", "delay 1 200000000ns"), ("swap client SYN #1", "swap 1")]
)
def test_who_lets_go_of_what_a_rule_keeps_longer_is_told_so(
    controlled: Callable[..., Story], rule: str, answer: str
) -> None:
    story = controlled("tcp/connection", release, rules=[rule])
    assert [each.command for each in story.answers][:2] == [answer, "release 2"]
    assert story.packets[0].fate == "arrived"


def test_over_ipv6_too(controlled: Callable[..., Story]) -> None:
    story = controlled("tcp/connection", at(_4=lambda run: run.edit(4, {"payload": "forged"})), ipv6=True)
    assert [packet.number for packet in story.forged] == [5]
    assert (story.packets[4].payload, story.packets[4].labels) == (6, ("data", "forged"))
    assert story.packets[5].ack == 7, "the server has taken the six bytes"


def test_holding_ends_when_it_is_told_to(controlled: Callable[..., Story]) -> None:
    story = controlled("tcp/connection", at(_3=lambda run: run.hold(False)))
    assert [event.packet for _, event in story.events if isinstance(event, PacketHeld)] == [1, 2, 3]
    assert len(story.packets) == 11
    again = controlled("tcp/connection", lambda event, run: again_from_the_close(event, run))
    assert [event.packet for _, event in again.events if isinstance(event, PacketHeld)] == [1, 9, 10, 11]


def again_from_the_close(event: Event, run: Control) -> None:
    """Holds the first packet, none from then on, and again what follows the client's FIN."""
    if event == PacketHeld(1):
        run.hold(False)
    elif isinstance(event, PacketSent) and event.packet == 8:
        run.hold()
    else:
        release(event, run)


def test_of_a_burst_all_is_captured_before_any_of_it_is_told_as_held(controlled: Callable[..., Story]) -> None:
    story = controlled("tcp/window-scale", release)
    told = [event for _, event in story.events if isinstance(event, PacketSent | PacketHeld)]
    burst = told.index(PacketHeld(4, more=True))
    assert [each.packet for each in told[burst - 5 : burst + 5]] == [4, 5, 6, 7, 8] * 2
    assert told[burst : burst + 5] == [*(PacketHeld(number, more=True) for number in range(4, 8)), PacketHeld(8)]


# Each command.


def test_a_dropped_syn_is_sent_again_after_a_second(controlled: Callable[..., Story]) -> None:
    story = controlled("tcp/connection", at(_1=lambda run: run.drop(1)))
    assert story.packets[0].fate == "lost"
    assert story.packets[1].labels == ("SYN", "retransmission")
    assert 0.9 < story.after(2, 1) < 2.5
    assert len(story.packets) == 12


def test_a_duplicate_is_delivered_twice(controlled: Callable[..., Story]) -> None:
    story = controlled("tcp/connection", at(_4=lambda run: run.duplicate(4)))
    journal = story.packets[3].journal
    assert journal is not None
    assert len(journal.delivered) == 2
    assert story.run.source.early is None


def test_the_answer_to_a_duplicate_is_not_absorbed(controlled: Callable[..., Story]) -> None:
    """The first copy's answer is held when the second's comes, which repeats it, but no timer has sent it."""
    story = controlled("tcp/connection", at(_1=lambda run: run.duplicate(1)))
    assert story.packets[2].labels == ("SYN-ACK", "retransmission")
    assert story.absorbed == []
    assert story.run.source.early is None


def test_a_delayed_frame_arrives_so_much_later(controlled: Callable[..., Story]) -> None:
    story = controlled("tcp/connection", at(_1=lambda run: run.delay(1, 300_000_000)))
    assert 0.3 <= story.after(2, 1) < 1.0
    assert len(story.packets) == 11


def test_a_swapped_frame_arrives_behind_its_senders_next(controlled: Callable[..., Story]) -> None:
    plan = at(_3=lambda run: run.swap(3))
    story = controlled(Scenario("test", final_ack_lost, endpoint), plan, rules=())
    assert story.packets[3].labels == ("data",)
    assert story.place(4) < story.place(3)
    assert story.run.source.early is None


def test_a_swapped_frame_without_a_next_one_arrives_alone(controlled: Callable[..., Story]) -> None:
    story = controlled("tcp/connection", at(_3=lambda run: run.swap(3)))
    assert story.run.source.early is None
    assert story.packets[2].fate == "arrived"
    assert 0.9 < story.after(4, 3) < 2.5


def test_data_beyond_the_window_is_refused(controlled: Callable[..., Story]) -> None:
    story = controlled("tcp/connection", at(_4=lambda run: run.edit(4, {"seq": "+200000"})))
    original, forged, answer = story.packets[3:6]
    assert (original.fate, forged.fate, forged.labels) == ("lost", "arrived", ("data", "forged"))
    assert (original.seq, forged.seq) == (1, 200_001)
    assert (answer.sender, answer.ack) == ("server", 1), "it asks for what it has not got"
    assert story.packets[6].labels == ("data", "retransmission")
    assert story.run.source.early is None


def test_an_old_ack_number_is_no_progress(controlled: Callable[..., Story]) -> None:
    """The server's last but one: its FIN is acknowledged by nobody, so that it comes again."""
    story = controlled("tcp/connection", at(_11=lambda run: run.edit(11, {"ack": "-1"})))
    assert story.states(12)[1] == States("TIME-WAIT", "LAST-ACK")
    assert story.packets[12].labels == ("FIN", "retransmission")
    assert story.run.source.early is None


@pytest.mark.parametrize(
    ("flags", "server", "early"),
    [
        ("RST", "CLOSED", True),
        ("none", "ESTABLISHED", False),
        ("SYN,ACK", "ESTABLISHED", False),
    ],
)
def test_flags_are_what_the_receiver_goes_by(
    controlled: Callable[..., Story], flags: str, server: str, early: bool
) -> None:
    story = controlled("tcp/connection", at(_4=lambda run: run.edit(4, {"flags": flags})))
    assert story.states(5)[1] == States("ESTABLISHED", server)
    assert bool(story.run.source.early) is early


def test_a_forged_fin_is_acknowledged_and_the_acknowledgement_refused(controlled: Callable[..., Story]) -> None:
    """From then on the two contradict each other, and a second forged segment makes an end of it."""

    def decide(event: Event, run: Control) -> None:
        if event == PacketHeld(4):
            run.edit(4, {"flags": "+FIN"})
        elif event == PacketHeld(7):
            run.inject("server", "RST", "rcv.nxt")
            run.release(7)
        else:
            release(event, run)

    story = controlled("tcp/connection", decide)
    assert story.states(5)[1] == States("ESTABLISHED", "CLOSE-WAIT")
    assert story.packets[5].ack == 16, "with the FIN"
    assert story.states(8)[1] == States("CLOSED", "CLOSE-WAIT")
    assert story.run.source.early is not None


def after_the_reset(event: Event, run: Control) -> None:
    """Injects a RST while the client's data is held, and lets that go on behind it."""
    if event == PacketHeld(4):
        run.inject("client", "RST", "rcv.nxt")
    elif isinstance(event, PacketArrived | PacketLost) and event.packet == 5:
        run.release(4)
    else:
        release(event, run)


@pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])
def test_an_injected_reset_ends_what_its_alleged_sender_knows_nothing_of(
    controlled: Callable[..., Story], ipv6: bool
) -> None:
    story = controlled("tcp/connection", after_the_reset, ipv6=ipv6)
    assert story.packets[4].labels == ("RST", "forged")
    assert story.states(5) == (States("ESTABLISHED", "ESTABLISHED"), States("ESTABLISHED", "CLOSED"))
    assert story.packets[5].labels == ("RST",), "the server's answer to data of a connection that it has not"
    assert story.states(6)[1] == States("CLOSED", "CLOSED")
    assert story.run.source.early is not None
    (answer,) = [each for each in story.answers if each.command.startswith("inject")]
    assert answer.packet == 5


def test_a_reset_beside_the_window_changes_nothing(controlled: Callable[..., Story]) -> None:
    def decide(event: Event, run: Control) -> None:
        if event == PacketHeld(4):
            run.inject("client", "RST", "rcv.nxt-10")
        elif isinstance(event, PacketArrived | PacketLost) and event.packet == 5:
            run.release(4)
        else:
            release(event, run)

    story = controlled("tcp/connection", decide)
    assert story.states(5)[1] == States("ESTABLISHED", "ESTABLISHED")
    assert story.run.source.early is None


def test_a_syn_to_another_port_is_another_connection(controlled: Callable[..., Story]) -> None:
    """The kernels are asked about both, and in the end about the scenario's own."""

    def decide(event: Event, run: Control) -> None:
        if event == PacketHeld(4):
            run.inject("client", "SYN", 7, dport=81)
        elif isinstance(event, PacketArrived | PacketLost) and event.packet == 5:
            run.release(4)
        else:
            release(event, run)

    story = controlled("tcp/connection", decide)
    assert story.packets[4].conversation != story.packets[3].conversation
    assert story.packets[5].labels == ("RST",)
    assert story.packets[5].conversation == story.packets[4].conversation
    own, other = story.run.conversations
    assert (own.kernel_final, other.kernel_final) == (States("TIME-WAIT", "CLOSED"), None)
    assert story.run.source.early is None


# Held for long.


def absorbing(number: int, repetitions: int) -> Decide:
    """Returns what holds a packet until so many repetitions have been absorbed."""
    absorbed: list[int] = []

    def decide(event: Event, run: Control) -> None:
        if isinstance(event, PacketLost) and event.absorbed:
            absorbed.append(event.packet)
            if len(absorbed) == repetitions:
                run.release(number)
        elif event != PacketHeld(number):
            release(event, run)

    return decide


def test_repetitions_of_a_held_syn_are_absorbed(controlled: Callable[..., Story]) -> None:
    story = controlled("tcp/connection", absorbing(1, 2))
    assert story.absorbed == [2, 3]
    assert story.after(3, 1) > 1.5
    assert [packet.labels for packet in story.packets[1:3]] == [("SYN", "retransmission")] * 2
    assert [event.packet for _, event in story.events if isinstance(event, PacketHeld)] == [1, *range(4, 14)]
    assert story.run.source.early is None


def test_so_are_those_of_what_was_already_delivered(controlled: Callable[..., Story]) -> None:
    """The SYN-ACK is held: the client, which waits for it, sends its SYN again, and the server its SYN-ACK."""
    story = controlled("tcp/connection", absorbing(2, 3))
    labels = {story.packets[number - 1].labels for number in story.absorbed}
    assert labels == {("SYN", "retransmission"), ("SYN-ACK", "retransmission")}
    assert story.run.source.early is None


def held_for(seconds: float, *numbers: int) -> Decide:
    """Returns what has these packets wait, and lets them go from another thread."""

    def decide(event: Event, run: Control) -> None:
        if isinstance(event, PacketHeld) and event.packet in numbers:
            threading.Timer(seconds, run.release, (event.packet,)).start()
        else:
            release(event, run)

    return decide


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tcp/connection", "tcp/simultaneous-close"])
def test_a_packet_held_longer_than_any_patience_goes_on(
    controlled: Callable[..., Story], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for each in (stage, wire):  # the stage's process is a fork of this one
        monkeypatch.setattr(each, "PATIENCE", 3.0)

    def decide(event: Event, run: Control) -> None:
        number = event.packet if isinstance(event, PacketHeld) else 0
        kind = kinds.get(number, "")
        if kind in ("data", "FIN") and kind not in done:
            done.append(kind)
            threading.Timer(5.0, run.release, (number,)).start()
        else:
            if isinstance(event, PacketSent):
                kinds[event.packet] = kind_of(event)
            release(event, run)

    kinds: dict[int, str] = {}
    done: list[str] = []
    story = controlled(name, decide)
    assert done == ["data", "FIN"]
    assert story.run.source.early is None
    assert len(story.absorbed) >= 2
    assert all(packet.fate == "arrived" for packet in story.packets if packet.number not in story.absorbed)


def kind_of(event: PacketSent) -> str:
    """Returns what a packet is: data, FIN or another."""
    return next((label for label in ("FIN", "data") if label in event.labels), "")


# What makes no sense.


def test_commands_that_make_no_sense_are_refused_and_nothing_is_lost(controlled: Callable[..., Story]) -> None:
    nonsense: list[tuple[Command, str, str]] = [
        (Release(9), "there is no packet 9 yet", "held now: 4"),
        (Release(1), "packet 1 is not held", "held now: 4"),
        (Delay(4, 0), "delayed by 0 s", "10 s"),
        (Delay(4, 60_000_000_000), "delayed by 60 s", "10 s"),
        (Release("four"), "can't take that", "release N"),  # type: ignore[arg-type]  # a wrong type
        (Edit(4, {"seq": None}), "can't take that", "edit N"),  # type: ignore[dict-item]  # a wrong type
        (Inject("nobody", "RST"), "can't take that", "inject client"),  # type: ignore[arg-type]  # a wrong type
        (Edit(4, {}), "nothing is to be changed", "seq=+1"),
        (Edit(4, {"sequense": 1}), "no field 'sequense'", "sequence number"),
        (Edit(4, {"ttl": 256}), "out of range", "0 to 255"),
        (Edit(4, {"offset": 3}), "no whole TCP segment", "offset"),
        (Edit(4, {"payload": bytes(1500)}), "bytes", "1514"),
        (Inject("client", "RTS"), "no flag 'RTS'", "RST"),
        (Inject("server", "RST", "rcv.next"), "no sequence number", "rcv.nxt"),
    ]

    def decide(event: Event, run: Control) -> None:
        if event == PacketHeld(4):
            for command, _, _ in nonsense:
                assert run.send(command)
            run.release(4)
        else:
            release(event, run)

    story = controlled("tcp/connection", decide)
    refused = [each for each in story.answers if not each.done]
    for each, (command, message, hint) in zip(refused, nonsense, strict=True):
        assert each.message is not None
        assert each.hint is not None
        assert each.command == write(command)
        assert message in each.message.en
        assert hint in each.hint.en
    assert [packet.fate for packet in story.packets] == ["arrived"] * 11


def test_nothing_is_injected_where_there_is_no_connection_yet(namespaces: None) -> None:
    with netns.play(
        Scenario("nothing", lambda stage: stage.server.listen(PORT), endpoint), (), False, control=True
    ) as playing:
        assert playing.control is not None
        assert playing.control.inject("client", "RST")
        told = list(playing)
    (answer,) = [each for each in told if isinstance(each, Controlled)]
    assert answer.message is not None
    assert answer.message.en == "there is no connection yet"


def test_a_command_to_a_run_that_is_over_is_not_sent(namespaces: None) -> None:
    with netns.play(Scenario("nothing", lambda _: None, endpoint), (), False, control=True) as playing:
        list(playing)
        assert playing.control is not None
        assert not playing.control.release(1)
    assert not playing.control.release(1)


def test_a_run_that_is_not_to_be_controlled_has_no_control(namespaces: None) -> None:
    with netns.play(named("tcp/refused"), (), False) as playing:
        assert playing.control is None
        assert not [event for event in playing if isinstance(event, Held | Controlled)]


# Bad moments.


def bulk(size: int, done: int) -> Callable[[Stage], None]:
    """Sends so many bytes from client to server, and says in a pipe when they have arrived."""

    def script(stage: Stage) -> None:
        stage.server.listen(PORT)
        stage.client.connect(stage.server.address, PORT)
        stage.client.connected()
        stage.server.accept()
        received = sent = 0
        while received < size:
            if sent < size:
                sent += stage.client.send("x" * (size - sent))
            received += len(stage.server.receive())
        os.write(done, b"!")

    return script


@pytest.mark.parametrize("control", [False, True])
def test_who_does_not_listen_does_not_stop_the_wire(namespaces: None, control: bool) -> None:
    size = 500_000  # in frames more than any pipe holds
    ours, theirs = os.pipe()
    try:
        with netns.play(Scenario("bulk", bulk(size, theirs), endpoint), (), False, control=control) as playing:
            if playing.control is not None:
                playing.control.hold(False)
            assert select.select([ours], [], [], 60)[0], "the wire waits for its reader"
            told = list(playing)
    finally:
        os.close(ours)
        os.close(theirs)
    assert sum(len(event.frame.data) for event in told if isinstance(event, Captured)) > size
    assert isinstance(told[-1], StageEnded)


HOLDING = """
import sys
import lab
from lab.app.cli import guarded
from lab.events import PacketHeld

def hold():
    with lab.run("tcp/connection", testbed="netns", control=True, file="out.pcapng") as run:
        for event in run.events():
            if isinstance(event, PacketHeld):
                if event.packet == 4:
                    print("held", flush=True)
                else:
                    run.control.release(event.packet)

sys.exit(guarded(hold))
"""


@pytest.fixture(scope="module")
def watched() -> Iterator[None]:
    with watching():
        yield


@pytest.mark.parametrize(
    ("whom", "number"),
    [
        ("lab", signal.SIGINT),
        ("lab", signal.SIGTERM),
        ("lab", signal.SIGKILL),
        ("stage", signal.SIGKILL),
        ("client", signal.SIGKILL),
    ],
)
def test_whatever_ends_it_while_a_packet_is_held_nothing_is_left(
    watched: None, namespaces: None, tmp_path: File, whom: str, number: signal.Signals
) -> None:
    lab = Watched(tmp_path, script=HOLDING)
    family = lab.family()
    lab.lines(1)
    os.kill(family[whom], number)
    status = lab.ended().status
    assert status == {"lab": -number if number == signal.SIGKILL else 128 + number}.get(whom, 4)
    lab.left("out.pcapng", orphans=True)
