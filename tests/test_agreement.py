"""Self-proof: what is said of real hosts is held against both kernels, against the journal, against Wireshark.

LAB_REPEAT says how often each scenario is played (default 3). A failure shows first what did happen, packet by packet,
then what was expected, then what is wrong.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path as File
from typing import Any, NamedTuple

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, TCPerror
from scapy.layers.l2 import Ether

from lab.annotate import agreement, histories
from lab.capture import second_opinion
from lab.capture.pcapng import Writer
from lab.capture.reader import open_capture
from lab.capture.second_opinion import Opinions
from lab.errors import InputError, MachineError
from lab.live import Session
from lab.model import FIN, RST, Frame, Role, Rung
from lab.path import Path
from lab.protocols.scenario import Scenario
from lab.protocols.tcp import endpoints
from lab.protocols.tcp.scenarios import ANSWER, CLIENT_PORT, HELLO, PORT, SCENARIOS, connection
from lab.recorded import Recording
from lab.render import trace
from lab.render.comments import comments
from lab.testbed import netns
from lab.testbed.rules import parse
from lab.testbed.stage import Host, Stage
from tests.packets import CAPTURES, OPEN, Pair, ladder, renumbered, replay, wire

REPEAT = int(os.environ.get("LAB_REPEAT", "3"))
ROOT = File(__file__).parent.parent


class Expected(NamedTuple):
    """What a scenario shows. A step is the packets it is seen in, `-` for none, and how it departs from the notes.

    `kernels` and `wireshark` are the numbers of DEVIATIONS.md that are needed; `untold` see lab.annotate.histories.
    """

    opening: str
    closing: str
    kernels: tuple[int, ...] = ()
    wireshark: tuple[int, ...] = ()
    untold: dict[int, histories.Untold] = {}  # noqa: RUF012  # nobody writes to it


EXPECTED = {
    "tcp/connection":          Expected("1 2 3 3", "8 9 10 11"),
    "tcp/three-segment-close": Expected("1 2 3 3", "8 9:merged 9:merged 10"),
    "tcp/server-closes-first": Expected("1 2 3 3", "8:server-closes-first 9 10 11"),
    "tcp/half-close":          Expected("1 2 3 3", "6 7 10:half-close 11"),
    "tcp/simultaneous-close":  Expected(
                               "1 2 3 3", "8 10:simultaneous-close 9:simultaneous-close 11:simultaneous-close"),
    "tcp/simultaneous-open":   Expected(
                               "1,2:simultaneous-open 3:simultaneous-open 4:simultaneous-open 3,4:simultaneous-open",
                               "11 12 13 14", kernels=(1,), wireshark=(11,), untold={5: "when"}),
    "tcp/refused":             Expected(
                               "1 -:refused -:refused -:refused", "-:refused -:refused -:refused -:refused",
                               kernels=(1,)),
    "tcp/reset":               Expected("1 2 3 3", "-:reset -:reset -:reset -:reset"),
    "tcp/syn-lost":            Expected("1,2:retransmitted 3 4 4", "9 10 11 12"),
    "tcp/final-ack-lost":      Expected("1 2 3:lost 4", "6 7 8 9", untold={3: "whether"}),
    "tcp/last-ack-lost":       Expected(
                               "1 2 3 3", "8 9 10,12:retransmitted 11,13:retransmitted",
                               wireshark=(10,), untold={11: "whether"}),
}  # fmt: skip


class Run(NamedTuple):
    """A scenario that has been played: its rungs as they came from the wire, and the file it was saved in."""

    session: Session
    rungs: list[Rung]
    file: File

    @property
    def frames(self) -> list[Frame]:
        return [rung.frame for rung in self.rungs if rung.frame is not None]

    @property
    def faults(self) -> list[str]:
        found = histories.faults(self.rungs, Path().annotate(self.frames), self.session.agreement)
        return [each.en for each in found]

    @property
    def disturbed(self) -> bool:
        """Whether something was sent again though neither it nor its acknowledgement was lost: a timer went off."""
        for copy in self.rungs:
            if copy.end is not None and "retransmission" in copy.labels:
                originals = [each for each in self.of(copy.end.role) if each.seq == copy.seq < each.stop]
                answers = [each for each in self.of(copy.end.peer.role) if (each.ack or 0) >= copy.stop]
                before = [each for each in originals + answers if each.number < copy.number]
                if all(each.got for each in before):
                    return True
        return False

    def of(self, role: Role, *labels: str) -> list[Rung]:
        """Returns the packets that this end has sent, those with all these labels."""
        return [rung for rung in self.rungs if rung.end and rung.end.role == role and set(labels) <= set(rung.labels)]

    def shows(self, expected: object, sentence: str) -> str:
        """Returns the message of a failure."""
        return "\n".join(["", *map(row, self.rungs), f"expected: {expected}", f"found: {sentence}"])


def row(rung: Rung) -> str:
    """Returns a packet in a line, states as client/server, and what the kernels said where that differs."""
    if rung.segment is None or rung.end is None:
        return f"{rung.number:>3} {' '.join(rung.labels)}"
    way = "->" if rung.end.role == "client" else "<-"
    said = f"{rung.number:>3} {way} {' '.join(rung.labels)} seq={rung.seq} ack={rung.ack} len={rung.segment.payload}"
    for name, ours, kernel in (
        ("held", rung.held, rung.kernel_held),
        ("delivered", rung.delivered, rung.kernel_delivered),
    ):
        differs = f" (kernels {'/'.join(map(str, kernel))})" if kernel and kernel != ours else ""
        said += f" | {name} {'/'.join(map(str, ours)) if ours else '-'}{differs}"
    return f"{said} | {' '.join(rung.steps)} {tuple(rung.journal or ())}"


def play(scenario: Scenario, file: File, ipv6: bool = False) -> Run:
    session = Session(scenario, parse(scenario.rules), ipv6, file, netns.play)
    return Run(session, list(session.rungs()), file)


# Every scenario, IPv4 and IPv6: of TCP, whose steps are expected here; TLS has tests/test_tls_scenarios.py

PLAYS = [(each, ipv6, time) for each in SCENARIOS for ipv6 in (False, True) for time in range(max(REPEAT, 1))]
NAMES = [f"{each.name}-{'ipv6' if ipv6 else 'ipv4'}-{time + 1}" for each, ipv6, time in PLAYS]


@pytest.fixture(scope="module", params=PLAYS, ids=NAMES)
def played(request: pytest.FixtureRequest, namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of a scenario. One in which a busy machine let a timer go off must agree too, and is played again."""
    scenario, ipv6, _ = request.param
    for _ in range(5):
        run = play(scenario, tmp_path_factory.mktemp("run") / "run.pcapng", ipv6)
        if not run.disturbed:
            break
        assert not run.faults, run.shows("no fault", "; ".join(run.faults))
    return run


@pytest.fixture
def expected(request: pytest.FixtureRequest, played: Run) -> Expected:
    name = re.sub(r"-ipv[46]-\d+$", "", request.node.callspec.id)
    return EXPECTED[name]


def test_every_scenario_is_expected() -> None:
    assert list(EXPECTED) == [each.name for each in SCENARIOS]


def test_the_table_says_what_both_kernels_say(played: Run, expected: Expected) -> None:
    assert played.session.early is None, played.shows("a scenario that runs to its end", str(played.session.early))
    found = played.session.agreement
    assert found.compared == 2 * (1 + sum(1 + bool(rung.got) for rung in played.rungs))
    unexplained = "; ".join(map(str, found.unexplained))
    assert not unexplained, played.shows("no difference without a number", unexplained)
    assert tuple(found.deviations) == expected.kernels, played.shows(expected.kernels, str(found.disagreements))
    surprises = [each for rung in played.rungs for each in rung.surprises]
    assert not surprises, played.shows("a row for every event", str(surprises))


def test_the_packets_alone_tell_what_the_journal_tells(played: Run, expected: Expected) -> None:
    untold = histories.untold(played.rungs)
    assert untold == expected.untold, played.shows(expected.untold, str(untold))
    assert not played.faults, played.shows("no fault", "; ".join(played.faults))
    if not untold:
        path = Path()
        inferred = list(path.annotate(played.frames))
        assert len(inferred) == len(played.rungs)
        alone, told = trace.steps(path.conversations[-1]), trace.steps(played.session.conversations[-1])
        assert alone == told, played.shows(told, str(alone))


def test_the_steps_are_those_of_the_scenario(played: Run, expected: Expected) -> None:
    (conversation,) = played.session.conversations
    steps = [
        (",".join(map(str, step.packets)) or "-") + (f":{step.differs.code}" if step.differs else "")
        for step in trace.steps(conversation)
    ]
    wanted = [*expected.opening.split(), *expected.closing.split()]
    assert steps == wanted, played.shows(" ".join(wanted), " ".join(steps))


READ_BACK = (
    "number", "time", "labels", "seq", "ack", "stop", "steps", "got", "settled", "held", "delivered", "assumed",
    "surprises", "kernel_held", "kernel_delivered", "asked_held",
    "asked_delivered", "journal",
)  # fmt: skip


def test_the_saved_capture_reads_back_as_what_was_seen_live(played: Run) -> None:
    with open_capture(str(played.file)) as capture:
        recording = Recording(capture, keep_frames=True)
        again = list(recording.rungs())
        assert not capture.problems
    assert len(again) == len(played.rungs)
    for live, read in zip(played.rungs, again, strict=True):
        for name in READ_BACK:
            was, is_ = getattr(live, name), getattr(read, name)
            assert is_ == was, played.shows(f"{name} of packet {live.number}: {was}", str(is_))
    assert recording.agreement.compared == played.session.agreement.compared
    assert recording.agreement.disagreements == played.session.agreement.disagreements
    (then,), (now,) = played.session.conversations, recording.conversations
    assert trace.conversation(now) == trace.conversation(then)


def test_wireshark_sees_the_same(played: Run, expected: Expected, tshark: str) -> None:
    opinions = second_opinion.ask(played.file)
    assert opinions.complaints == []
    found = second_opinion.compare(played.rungs, opinions)
    numbers = {each.deviation for each in found}
    assert numbers == set(expected.wireshark), played.shows(expected.wireshark, "; ".join(map(str, found)))
    for rung, opinion in zip(played.rungs, opinions, strict=True):
        assert opinion.comments == tuple(comments(rung))
        english, chinese, journal = opinion.comments
        assert english.startswith("[lab] ")
        assert chinese.startswith("[实验] ")
        assert journal.startswith("lab1 {")


def test_wireshark_shows_the_hosts_by_name_and_the_cable(played: Run, tshark: str) -> None:
    asked = ("ip.src_host", "ipv6.src_host", "frame.interface_name")
    command = [tshark, "-N", "n", "-r", str(played.file), "-T", "fields"]
    command += [word for field in asked for word in ("-e", field)]
    shown = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
    senders = [rung.end.role for rung in played.rungs if rung.end]
    assert [line.split() for line in shown.splitlines()] == [[sender, "wire"] for sender in senders]


# Every rule of the wire does what it says, and what is said of it stays true


@pytest.fixture
def cable(namespaces: None, tshark: str, tmp_path: File) -> Callable[..., Run]:
    """Plays a script under rules; whatever the rules do, all witnesses must still agree."""

    def run(script: Callable[[Stage], None], *rules: str) -> Run:
        played = play(Scenario("test", script, rules), tmp_path / "run.pcapng")
        assert not played.faults, played.shows("no fault", "; ".join(played.faults))
        opinions = second_opinion.ask(played.file)
        unexplained = [each for each in second_opinion.compare(played.rungs, opinions) if each.deviation is None]
        assert not unexplained, played.shows("Wireshark says the same", str(unexplained))
        assert not opinions.complaints
        return played

    return run


def opened(stage: Stage) -> None:
    stage.server.listen(PORT)
    stage.client.connect(stage.server.address, PORT)
    stage.client.connected()
    stage.server.accept()


def closed(stage: Stage) -> None:
    stage.client.close()
    stage.acknowledged(stage.client)
    stage.server.close()
    stage.acknowledged(stage.server)


def bulk(sender: Role, size: int) -> Callable[[Stage], None]:
    """Opens, sends `size` bytes, and closes when all of them have been received."""

    def script(stage: Stage) -> None:
        opened(stage)
        here, there = (stage.client, stage.server) if sender == "client" else (stage.server, stage.client)
        hand_over(here, size)
        received = 0
        while received < size:
            received += len(there.receive())
        closed(stage)

    return script


def hand_over(host: Host, size: int) -> None:
    """Gives the kernel so many bytes to send, as it takes them."""
    while size:
        size -= host.send("x" * size)


def chat(stage: Stage) -> None:
    """Opens, says three things, each when the one before has been read, and closes."""
    opened(stage)
    for _ in range(3):
        stage.client.send(HELLO)
        stage.server.receive()
    closed(stage)


def lost(run: Run) -> list[int]:
    return [rung.number for rung in run.rungs if not rung.got]


def deliveries(run: Run) -> dict[int, tuple[int, ...]]:
    """Returns when each packet was delivered, as places in the journal."""
    return {rung.number: rung.journal.delivered for rung in run.rungs if rung.journal}


def waited(run: Run, rung: Rung) -> float:
    """Returns the seconds from a packet to the first that acknowledges it."""
    assert rung.end is not None
    first = next(each for each in run.of(rung.end.peer.role) if each.ack is not None and each.ack >= rung.stop)
    return ((first.time or 0) - (rung.time or 0)) / 1e9


def test_without_rules_nothing_is_lost_or_delivered_twice(cable: Callable[..., Run]) -> None:
    run = cable(bulk("client", 50_000))
    assert run.session.early is None
    assert {len(each) for each in deliveries(run).values()} == {1}
    assert max(rung.stop for rung in run.of("client", "data")) == 50_001


@pytest.mark.parametrize("size", [5_000, 50_000])
def test_drop_with_a_number_loses_that_frame_and_it_is_sent_again(cable: Callable[..., Run], size: int) -> None:
    run = cable(bulk("client", size), "drop client data #3")
    third = run.of("client", "data")[2]
    assert lost(run) == [third.number]
    (again,) = (each for each in run.of("client", "data", "retransmission") if each.seq == third.seq and each.got)
    assert again.number > third.number
    assert run.session.early is None


def test_what_follows_a_lost_frame_arrives_ahead_of_order(cable: Callable[..., Run]) -> None:
    run = cable(bulk("client", 5_000), "drop client data #3")
    gap, ahead = run.of("client", "data")[2:4]
    assert histories.untold(run.rungs)[ahead.number] == "when"
    answers = [each.ack for each in run.of("server") if each.number > ahead.number]
    assert answers.count(gap.seq) >= 2, run.shows("that the server asks for the gap again", str(answers))


def test_drop_without_a_number_loses_each(cable: Callable[..., Run]) -> None:
    def both_connect(stage: Stage) -> None:
        stage.client.bind(CLIENT_PORT)
        stage.server.bind(PORT)
        stage.client.connect(stage.server.address, PORT)
        stage.server.connect(stage.client.address, CLIENT_PORT)

    run = cable(both_connect, "drop any SYN")
    assert len(run.rungs) >= 2
    assert lost(run) == [rung.number for rung in run.rungs]
    assert not any(deliveries(run).values())


def test_delay_with_a_number_keeps_that_frame_for_so_long(cable: Callable[..., Run]) -> None:
    run = cable(chat, "delay client data #2 100ms")
    first, second, third = (waited(run, rung) for rung in run.of("client", "data"))
    assert second >= 0.1
    assert first < 0.1
    assert third < 0.1


def test_delay_without_a_number_keeps_each(cable: Callable[..., Run]) -> None:
    run = cable(chat, "delay any any 30ms")
    assert all(waited(run, rung) >= 0.03 for rung in run.of("client", "data"))
    assert {len(each) for each in deliveries(run).values()} == {1}


@pytest.mark.parametrize("sender", ["client", "server"])
def test_duplicate_with_a_number_delivers_that_frame_twice(cable: Callable[..., Run], sender: Role) -> None:
    run = cable(bulk(sender, 50_000), f"duplicate {sender} data #1")
    first, *_ = run.of(sender, "data")
    assert [number for number, each in deliveries(run).items() if len(each) == 2] == [first.number]
    assert histories.untold(run.rungs)[first.number] == "whether"


def test_duplicate_without_a_number_delivers_each_twice(cable: Callable[..., Run]) -> None:
    run = cable(connection, "duplicate any any")
    assert {len(each) for each in deliveries(run).values()} == {2}


def test_swap_with_a_number_delivers_that_frame_behind_its_successor(cable: Callable[..., Run]) -> None:
    run = cable(bulk("client", 50_000), "swap client data #2")
    first, second, third, fourth = (rung.number for rung in run.of("client", "data")[:4])
    when = deliveries(run)
    assert sorted((first, second, third, fourth), key=lambda number: when[number]) == [first, third, second, fourth]
    assert not lost(run)


def test_swap_without_a_number_means_each_and_gives_up_where_nothing_follows(cable: Callable[..., Run]) -> None:
    run = cable(connection, "swap any SYN-ACK")
    answer = run.of("server", "SYN-ACK")[0]
    assert answer.got
    assert waited(run, answer) >= 0.9


def say_thrice(stage: Stage) -> None:
    opened(stage)
    for _ in range(3):
        stage.client.send(HELLO)
    stage.server.send(ANSWER)
    stage.release()
    closed(stage)


def test_hold_with_a_number_keeps_that_frame_until_it_is_let_go(cable: Callable[..., Run]) -> None:
    run = cable(say_thrice, "hold client data #2")
    first, second, third = (rung.number for rung in run.of("client", "data")[:3])
    (answer,) = run.of("server", "data")
    when = deliveries(run)
    assert when[first] < when[third] < when[answer.number] < when[second]


def test_hold_without_a_number_keeps_each_and_their_order(cable: Callable[..., Run]) -> None:
    run = cable(say_thrice, "hold client data")
    (answer,) = run.of("server", "data")
    when = deliveries(run)
    said = [when[rung.number] for rung in run.of("client", "data")[:3]]
    assert said == sorted(said)
    assert min(said) > when[answer.number]


def test_what_is_held_and_never_let_go_never_arrives(cable: Callable[..., Run]) -> None:
    def say(stage: Stage) -> None:
        opened(stage)
        stage.client.send(HELLO)

    run = cable(say, "hold client data")
    assert lost(run) == [rung.number for rung in run.of("client", "data")]


def test_losses_and_disorder_together(cable: Callable[..., Run]) -> None:
    run = cable(
        bulk("server", 50_000), "drop server data #3", "swap server data #9, drop client ACK #9", "drop any FIN #1"
    )
    assert run.session.early is None
    assert len(lost(run)) == 3


# Numbered deviations, made real


class Endpoint(endpoints.Endpoint):
    """Endpoints that can be asked for what no scenario needs."""

    def option(self, level: int, name: int, value: int) -> None:
        self._end.setsockopt(level, name, value)

    def alone(self) -> None:
        """Returns when the kernel has no connection any more."""
        for table in ("tcp", "tcp6"):
            for line in File(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
                if line.split()[3] != "0A":  # LISTEN
                    raise BlockingIOError

    def shorten_the_queue(self) -> None:
        """Leaves room for one connection that nobody has accepted."""
        assert self._listener is not None
        self._listener.listen(0)

    def open_another(self, address: str, port: int) -> None:
        self._others = [self._new()]
        self._others[0].connect_ex((address, port))

    def parameter(self, name: str, value: str) -> None:
        """Sets a parameter of this host's kernel."""
        File("/proc/sys/net/ipv4", name).write_text(value)

    def fill(self) -> int:
        """Hands over bytes until the kernel takes no more and returns how many it took."""
        taken = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                taken += self._end.send(bytes(65536))
        return taken

    def drain(self) -> int:
        return len(self._end.recv(1 << 20))


@pytest.fixture
def willing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "Endpoint", Endpoint)


def deviations(run: Run) -> list[tuple[str, Role, str | None, str | None]]:
    """Returns every difference from the kernels, each once: instant, end, the table's state, the kernel's."""
    return list(dict.fromkeys((x.instant, x.role, x.ours, x.kernel) for x in run.session.agreement.disagreements))


def test_number_2_a_close_behind_unsent_data_is_seen_when_its_fin_is(cable: Callable[..., Run]) -> None:
    def closes_with_data_unsent(stage: Stage) -> None:
        opened(stage)
        hand_over(stage.client, 60_000)  # more than the wire holds: the rest waits in the kernel
        stage.client.close()
        stage.release()
        stage.acknowledged(stage.client)
        while stage.server.receive():
            pass
        stage.server.close()
        stage.acknowledged(stage.server)

    run = cable(closes_with_data_unsent, *(f"hold client data #{number}" for number in range(1, 14)))
    assert run.session.agreement.deviations == [agreement.CLOSED_BEHIND_DATA]
    assert {each[1:] for each in deviations(run)} == {("client", "ESTABLISHED", "FIN-WAIT-1")}
    fin = run.of("client", "FIN")[0].number
    last = run.session.agreement.disagreements[-1].number
    assert last < fin, run.shows(f"agreement from the FIN on, packet {fin}", f"a difference at packet {last}")


def test_number_2_also_behind_the_peers_fin(cable: Callable[..., Run]) -> None:
    def closes_second_with_data_unsent(stage: Stage) -> None:
        opened(stage)
        stage.server.shutdown()
        stage.acknowledged(stage.server)
        hand_over(stage.client, 60_000)
        stage.client.close()
        stage.release()
        stage.acknowledged(stage.client)

    run = cable(closes_second_with_data_unsent, *(f"hold client data #{number}" for number in range(1, 14)))
    assert run.session.agreement.deviations == [agreement.CLOSED_BEHIND_DATA]
    assert {each[1:] for each in deviations(run)} == {("client", "CLOSE-WAIT", "LAST-ACK")}


def test_number_3_nobody_hears_a_close_in_syn_sent(namespaces: None, tmp_path: File) -> None:
    def gives_up(stage: Stage) -> None:
        stage.server.listen(PORT)
        stage.client.connect(stage.server.address, PORT)
        stage.client.close()
        stage.release()

    run = play(Scenario("test", gives_up, ("hold client SYN #1",)), tmp_path / "run.pcapng")
    assert not run.session.agreement.unexplained, run.shows("number 3 only", str(run.session.agreement.unexplained))
    assert deviations(run) == [
        ("delivered", "client", "SYN-SENT", "CLOSED"),
        ("held", "client", "SYN-SENT", "CLOSED"),
    ]
    assert run.session.agreement.deviations == [agreement.SILENT_EVENT]
    assert [bool(rung.segment and rung.segment.flags & RST) for rung in run.rungs] == [False, False, True]


def test_number_3_nobody_hears_fin_wait_2_expire(namespaces: None, willing: None, tmp_path: File) -> None:
    def waits_in_vain(stage: Stage) -> None:
        opened(stage)
        stage.client.option(socket.IPPROTO_TCP, socket.TCP_LINGER2, 1)  # seconds, instead of 60
        stage.client.close()
        stage.acknowledged(stage.client)
        stage.client.alone()
        stage.server.close()

    run = play(Scenario("test", waits_in_vain), tmp_path / "run.pcapng")
    assert not run.session.agreement.unexplained, run.shows("number 3 only", str(run.session.agreement.unexplained))
    assert deviations(run) == [("held", "client", "FIN-WAIT-2", "CLOSED")]
    assert run.session.agreement.deviations == [agreement.SILENT_EVENT]
    *_, fin, answer = run.rungs
    assert fin.segment is not None
    assert answer.segment is not None
    assert fin.segment.flags & FIN
    assert answer.segment.flags & RST


def test_number_3_nobody_hears_connect_give_up(namespaces: None, willing: None, tmp_path: File) -> None:
    def tries_for_a_moment(stage: Stage) -> None:
        stage.server.listen(PORT)
        stage.client.bind(CLIENT_PORT)
        stage.client.option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 500)  # milliseconds
        stage.client.connect(stage.server.address, PORT)
        with contextlib.suppress(OSError):
            stage.client.connected()
        stage.client.alone()

    run = play(Scenario("test", tries_for_a_moment, ("drop client SYN",)), tmp_path / "run.pcapng")
    assert deviations(run) == [("final", "client", "SYN-SENT", "CLOSED")]
    assert run.session.agreement.deviations == [agreement.SILENT_EVENT]


def test_number_4_a_full_queue_ignores_what_arrives(namespaces: None, willing: None, tmp_path: File) -> None:
    def two_for_one_place(stage: Stage) -> None:
        stage.server.listen(PORT)
        stage.server.shorten_the_queue()
        stage.client.connect(stage.server.address, PORT)
        stage.client.connected()
        stage.client.open_another(stage.server.address, PORT)

    run = play(Scenario("test", two_for_one_place), tmp_path / "run.pcapng")
    assert ("delivered", "server", "SYN-RECEIVED", "LISTEN") in deviations(run), run.shows("a SYN ignored", "none")


def test_number_5_with_cookies_a_listener_remembers_nothing(namespaces: None, willing: None, tmp_path: File) -> None:
    def flooded(stage: Stage) -> None:
        stage.server.parameter("tcp_syncookies", "2")
        connection(stage)

    run = play(Scenario("test", flooded), tmp_path / "run.pcapng")
    assert {each[1:] for each in deviations(run)} == {("server", "SYN-RECEIVED", "LISTEN")}
    assert [each.number for each in run.session.agreement.disagreements] == [1, 2, 2, 3]


def test_number_7_a_server_in_time_wait_takes_the_same_pair_again(namespaces: None, tmp_path: File) -> None:
    def again_from_the_same_port(stage: Stage) -> None:
        stage.server.listen(PORT)
        for _ in range(2):
            stage.client.bind(CLIENT_PORT)
            stage.client.connect(stage.server.address, PORT)
            stage.client.connected()
            stage.server.accept()
            stage.server.close()
            stage.acknowledged(stage.server)
            stage.client.close()
            stage.acknowledged(stage.client)

    run = play(Scenario("test", again_from_the_same_port), tmp_path / "run.pcapng")
    assert len(run.session.conversations) == 2
    assert deviations(run) == [("held", "server", "LISTEN", "TIME-WAIT")]


def test_wireshark_sees_the_same_windows_close_and_open(cable: Callable[..., Run], willing: None) -> None:
    def overwhelms(stage: Stage) -> None:
        stage.server.listen(PORT)
        stage.client.bind(CLIENT_PORT)
        stage.client.option(socket.SOL_SOCKET, socket.SO_SNDBUF, 30_000)
        stage.client.connect(stage.server.address, PORT)
        stage.client.connected()
        stage.server.accept()
        stage.server.option(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        left = sum(stage.client.fill() for _ in range(6))
        while left:
            left -= stage.server.drain()
        closed(stage)

    run = cable(overwhelms)
    assert run.of("server", "zero-window"), run.shows("a window of 0", "none")
    assert run.of("server", "window-update"), run.shows("a window opened again", "none")


def test_wireshark_sees_the_same_keep_alives(cable: Callable[..., Run], willing: None) -> None:
    def stays(stage: Stage) -> None:
        opened(stage)
        for option, value in (
            (socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_USER_TIMEOUT, 1500),
        ):  # fmt: skip
            stage.client.option(socket.IPPROTO_TCP, option, value)
        stage.client.option(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        stage.client.alone()

    run = cable(stays, "drop server ACK")
    assert run.of("client", "keep-alive"), run.shows("a keep-alive", "none")


# The second opinion by itself


def saved(frames: Sequence[Frame], file: File) -> File:
    with file.open("wb") as stream:
        writer = Writer(stream)
        for frame in frames:
            writer.packet(frame, frame.comments)
        writer.finish()
    return file


def compared(frames: Sequence[Frame], file: File) -> tuple[Opinions, list[second_opinion.Disagreement]]:
    opinions = second_opinion.ask(saved(frames, file))
    return opinions, second_opinion.compare(list(Path().annotate(frames)), opinions)


def test_wireshark_agrees_on_conversations_written_by_hand(tshark: str, tmp_path: File) -> None:
    lines = [each for name, each in CAPTURES.items() if name != "every flag"]  # what no two TCPs ever said
    lines.append((*OPEN, "c> RST-ACK 1 1 7"))  # a RST may carry its reason
    isns = (0, 1, 1000, (1 << 31) - 8, (1 << 32) - 9, (1 << 32) - 1)
    pairs = [
        Pair(*hosts, client_port=40000 + at, client_isn=isns[at % 6], server_isn=isns[-1 - at % 5])
        for hosts in (("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2"))
        for at in range(len(lines))
    ]
    frames = renumbered(*(f for each, pair in zip(lines * 2, pairs, strict=True) for f in ladder(*each, pair=pair)))
    opinions, found = compared(frames, tmp_path / "hand.pcapng")
    assert not opinions.complaints
    assert [each for each in found if each.deviation is None] == []


def at_random(chance: random.Random, pair: Pair) -> list[Frame]:
    """Returns a conversation in which anything may be repeated, skipped or answered at any time."""
    lines = list(OPEN) if chance.random() < 0.7 else []
    following = {"c": 1, "s": 1}
    acked = {"c": 1, "s": 1}
    spoken: list[tuple[str, int, int]] = []
    for _ in range(chance.randrange(30)):
        who, other = chance.choice(("cs", "sc"))
        seq, ack, window = following[who], acked[who], chance.choice((1000, 1000, 1000, 600, 0))
        what = chance.random()
        if what < 0.4:
            size = chance.choice((1, 2, 5, 100))
            seq += chance.choice((0,) * 8 + (1, 100))
            lines.append(f"{who}> data {seq} {ack} {size} win {window}")
            spoken.append((who, seq, size))
            following[who] = seq + size
        elif what < 0.55 and spoken:
            who, seq, size = chance.choice(spoken)
            lines.append(f"{who}> data {seq} {acked[who]} {size} win {window}")
        elif what < 0.6:
            lines.append(f"{who}> ACK {seq - 1} {ack} win {window}")
        elif what < 0.62:
            lines.append(chance.choice((f"{who}> RST {seq}", f"{who}> RST-ACK {seq} {ack}")))
        elif what < 0.64:
            lines.append(f"{who}> FIN {seq} {ack}")
            following[who] += 1
        else:
            acked[who] = chance.choice((ack, following[other]))
            lines.append(f"{who}> ACK {seq} {acked[who]} win {window}")
    return ladder(*lines, pair=pair, apart=chance.choice((10_000, 2_000_000, 300_000_000)))


def test_wireshark_agrees_on_conversations_made_at_random(tshark: str, tmp_path: File) -> None:
    chance = random.Random(9293)
    pairs = (Pair(client_port=port, client_isn=chance.randrange(1, 1 << 32)) for port in range(10_000, 10_400))
    frames = renumbered(*(frame for pair in pairs for frame in at_random(chance, pair)))
    opinions, found = compared(frames, tmp_path / "random.pcapng")
    assert not opinions.complaints
    assert [each for each in found if each.deviation is None] == []
    told = {second_opinion.OTHER_NAME, second_opinion.NOTHING_OUTSTANDING, second_opinion.WINDOWS_AND_PROBES}
    assert {each.deviation for each in found} == told


def test_a_difference_is_found_in_every_field(tshark: str, tmp_path: File) -> None:
    frames = ladder(*CAPTURES["connection"])
    opinions, found = compared(frames, tmp_path / "same.pcapng")
    assert not found
    fourth = opinions[3]
    changes: dict[str, Any] = {"flags": 0x02, "seq": 7, "ack": 8, "payload": 9, "stream": 1}
    for field, value in changes.items():
        opinions[3] = fourth._replace(**{field: value})
        (only,) = second_opinion.compare(list(Path().annotate(frames)), opinions)
        assert (only.number, only.field.replace("conversation", "stream"), only.theirs) == (4, field, value)
        assert only.deviation is None
    opinions[3] = fourth._replace(labels=("keep-alive", "retransmission"))
    assert len(second_opinion.compare(list(Path().annotate(frames)), opinions)) == 2
    (missing,) = second_opinion.compare(list(Path().annotate(frames)), opinions[:3])
    assert missing == (4, "packets", len(frames), 3, None)


def test_what_the_lab_does_not_open_has_a_number_and_a_quoted_header_is_no_packet(tshark: str, tmp_path: File) -> None:
    tcp, quoted = TCP(sport=40000, dport=8080, flags="S"), TCPerror(sport=40000, dport=8080, flags="S", seq=1)
    outer = IP(src="192.0.2.2", dst="192.0.2.3")
    packets = [
        outer / outer / outer / tcp,
        outer / ICMP(type=3, code=3) / IPerror(bytes(outer)) / quoted,
        outer / UDP(),
        outer / TCP(sport=40001, dport=8080, flags="S"),
    ]
    data = [bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet) for packet in packets]
    opinions, found = compared(
        [Frame(at, at, each, len(each)) for at, each in enumerate(data, 1)], tmp_path / "in.pcapng"
    )
    assert [opinion.stream is None for opinion in opinions] == [False, True, True, False]
    assert found == [(1, "tcp", False, True, second_opinion.NOT_OPENED)]


def test_number_17_a_second_syn_ack_begins_another_stream(tshark: str, tmp_path: File) -> None:
    other = ladder("c> SYN 0", "s> SYN-ACK 0 1", pair=Pair(server_isn=Pair().server_isn + 5000))[1]
    first, second, *rest = ladder(*OPEN, "s> data 1 1 5", "c> ACK 1 6", "s> SYN-ACK 0 1")
    _, found = compared(renumbered(first, second, other, *rest), tmp_path / "two.pcapng")
    assert (3, "seq", 5000, 0, second_opinion.SYN_ACK_AGAIN) in found
    assert (4, "ack", 1, (1 << 32) - 4999, second_opinion.SYN_ACK_AGAIN) in found
    assert None not in {each.deviation for each in found}
    _, found = compared(renumbered(first, *rest[:2], second, rest[2]), tmp_path / "late.pcapng")
    assert None not in {each.deviation for each in found}


def test_number_18_a_segment_that_is_not_all_there(tshark: str, tmp_path: File) -> None:
    head: Any = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="192.0.2.1", dst="192.0.2.2")
    tcp: dict[str, Any] = {"sport": 40000, "dport": 8080}
    packets = [
        head / TCP(**tcp, flags="S", seq=1),
        head / TCP(**tcp, flags="A", seq=2, ack=1) / b"hello",
        head / TCP(**tcp, flags="S", seq=99, dataofs=15),
        head / TCP(**tcp, flags="A", seq=7, ack=1) / b"again",
    ]
    frames = [Frame(at, at * 1000, bytes(each), len(each)) for at, each in enumerate(packets, 1)]
    _, found = compared(frames, tmp_path / "in.pcapng")
    assert (4, "conversation", 0, 1, second_opinion.NOT_ALL_THERE) in found
    assert {each.deviation for each in found} == {second_opinion.NOT_ALL_THERE}


def test_number_19_records_that_are_no_packets_are_not_compared(tshark: str, tmp_path: File) -> None:
    frames = ladder(*CAPTURES["connection"])
    file = saved(frames, tmp_path / "more.pcapng")
    data = file.read_bytes()
    line = b"__REALTIME_TIMESTAMP=1767225600000000\nMESSAGE=a line of a log\n\n\n"
    record = struct.pack("<II", 9, len(line) + 12) + line + struct.pack("<I", len(line) + 12)
    at = data.index(frames[3].data) - 28
    file.write_bytes(data[:at] + record + data[at:])
    opinions = second_opinion.ask(file)
    assert [opinion.number for opinion in opinions] == [frame.number for frame in frames]
    assert second_opinion.compare(list(Path().annotate(frames)), opinions) == []


def test_comments_come_back_whole_and_in_order(tshark: str, tmp_path: File) -> None:
    told = ('"quoted", comma; | and more', "第二条：中文", "tab\tbreak\nend", "")
    (frame,) = ladder("c> SYN 0")
    opinions = second_opinion.ask(saved([frame._replace(comments=told)], tmp_path / "comments.pcapng"))
    assert opinions[0].comments == (*told[:2], r"tab\tbreak\nend", "")


def test_a_file_cut_short_is_read_and_complained_of(tshark: str, tmp_path: File) -> None:
    file = saved(ladder(*CAPTURES["connection"]), tmp_path / "cut.pcapng")
    file.write_bytes(file.read_bytes()[:-300])
    opinions = second_opinion.ask(file)
    assert len(opinions) > 5
    assert any("cut short" in each for each in opinions.complaints)


def test_what_is_no_capture_is_refused_in_both_languages(tshark: str, tmp_path: File) -> None:
    file = tmp_path / "words"
    file.write_text("no capture")
    with pytest.raises(InputError) as refused:
        second_opinion.ask(file)
    assert re.search("[\u4e00-\u9fff]", refused.value.message.zh)


def test_without_tshark_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: File) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="not installed") as missing:
        second_opinion.ask(tmp_path / "any.pcapng")
    for text in (missing.value.message, missing.value.hint):
        assert re.search("[\u4e00-\u9fff]", text.zh)
        assert "tshark" in text.en or "Wireshark" in text.en


# Histories by themselves


def test_a_lost_ack_is_untold_and_so_is_what_comes_twice_overtakes_or_crosses() -> None:
    frames = ladder(*OPEN, "c> data 1 1 5", "s> data 1 6 5", "c> ACK 6 6", "s> data 6 6 5", "c> ACK 6 11")
    for script, expected in {
        "1 >1 .1 2 >2 .2 3 >3 .3 4 >4 .4 5 >5 .5 6 >6 .6 7 >7 .7 8 >8 .8": {},
        "1 >1 .1 2 >2 .2 3 .3 4 >4 .4 5 >5 .5 6 >6 .6 7 >7 .7 8 .8": {3: "whether", 8: "whether"},
        "1 >1 .1 2 >2 .2 3 >3 .3 4 >4 >4 .4 5 >5 .5 6 >6 .6 7 >7 .7 8 >8 .8": {4: "whether"},
        "1 >1 .1 2 >2 .2 3 4 >4 .4 >3 .3 5 >5 .5 6 >6 .6 7 >7 .7 8 >8 .8": {4: "when"},
        "1 >1 .1 2 >2 .2 3 >3 .3 4 >4 .4 5 >5 .5 6 7 >6 .6 >7 .7 8 >8 .8": {6: "when"},
    }.items():
        assert histories.untold(replay(wire(frames, script)).rungs) == expected, script


def test_an_ack_under_way_while_its_data_is_sent_again_looks_lost() -> None:
    frames = ladder(*OPEN, "c> data 1 1 5", "s> ACK 1 6", "c> data 1 1 5", "s> ACK 1 6")
    script = "1 >1 .1 2 >2 .2 3 >3 .3 4 >4 .4 5 6 >5 .5 >6 .6 7 >7 .7"
    assert histories.untold(replay(wire(frames, script)).rungs) == {5: "whether"}


def test_the_inference_is_caught_where_it_departs_from_the_journal() -> None:
    frames = ladder(*OPEN, "c> data 1 1 5", "s> ACK 1 6")
    script = "1 >1 .1 2 >2 .2 3 >3 .3 4 .4 5 >5 .5"  # acknowledged, and yet not delivered: no wire does that
    found = histories.mismatches(replay(wire(frames, script)).rungs, Path().annotate(frames))
    assert [(each.packet, each.what) for each in found] == [
        (4, "got"), (4, "arrived in"), (None, "history of the server"),
    ]  # fmt: skip
    assert str(found[0]) == "packet 4, got: the journal says False, the packets alone True"


# make soak


def heed_ctrl_c() -> None:
    """A shell's background job ignores Ctrl-C, and its children would, too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def soak(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "scripts/soak.py", "--lang", "en", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8", preexec_fn=heed_ctrl_c
    )


def test_soak_sums_up_its_runs(namespaces: None) -> None:
    process = soak("2", "tcp/refused", "tcp/reset")
    said, _ = process.communicate()
    assert process.returncode == 0
    _, refused, reset, total = said.splitlines()
    assert refused.split()[:4] == ["tcp/refused", "2", "20", "0"]
    assert refused.endswith("2 × no. 1")
    assert reset.split()[:4] == ["tcp/reset", "2", "68", "0"]
    assert total.startswith("4 runs in ")
    assert total.endswith(": 88 states compared, 0 faults, deviations: 2 × no. 1")


def test_soak_shows_the_sums_so_far_when_it_is_stopped(namespaces: None) -> None:
    process = soak("2", "tcp/refused", "tcp/syn-lost")
    assert process.stdout is not None
    _, refused = process.stdout.readline(), process.stdout.readline()
    assert refused.startswith("tcp/refused")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate()
    assert process.returncode == 130
    assert re.fullmatch(r"[23] runs in \d+ s: \d+ states compared, 0 faults, .*", said.splitlines()[-1])


# DEVIATIONS.md has what the code refers to


def test_every_number_is_written_up_in_both_languages() -> None:
    parts = re.split(r"^## (\d+)\. ", (ROOT / "DEVIATIONS.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    sections = dict(zip(map(int, parts[1::2]), parts[2::2], strict=True))
    assert list(sections) == list(range(1, len(sections) + 1))
    for number, text in sections.items():
        for mark in ("**See it.**", "**Recognised.**", "**观察。**", "**识别。**"):
            assert mark in text, f"number {number} has no {mark}"
        assert len(re.findall("[\u4e00-\u9fff]", text)) > 60, f"number {number} has no Chinese paragraph"
    used = {
        agreement.LISTENER_ASSUMED,
        agreement.CLOSED_BEHIND_DATA,
        agreement.SILENT_EVENT,
        second_opinion.OTHER_NAME,
        second_opinion.NOTHING_OUTSTANDING,
        second_opinion.ANSWERING_SYN,
        second_opinion.WINDOWS_AND_PROBES,
        second_opinion.NOT_OPENED,
        second_opinion.BEGINS_ANEW,
        second_opinion.SYN_ACK_AGAIN,
        second_opinion.NOT_ALL_THERE,
    }
    assert used <= set(sections)
    assert len(used) == 11
