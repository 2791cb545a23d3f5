"""The WebSocket scenarios, really played: what is said, that both kernels agree, and what Wireshark reads of it.

Inside TLS Wireshark decrypts with what is in the file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path as File
from typing import Any, NamedTuple

import pytest

from lab import protocols
from lab.capture.reader import open_capture
from lab.engine.layers import Layer, layers_of
from lab.engine.path import Path
from lab.live import Play, Session
from lab.model import Role
from lab.engine.record import Record
from lab.protocols.scenario import Scenario
from lab.protocols.websocket.messages import Told
from lab.protocols.websocket.scenarios import ANSWER, HELLO, POEM, SCENARIOS
from lab.recorded import Recording
from lab.render import trace
from lab.testbed import docker as containers
from lab.testbed import netns
from lab.testbed.rules import parse
from lab.text import LANGUAGES
from lab.witnesses import histories, wireshark
from tests.left_behind import ROOT


class Expected(NamedTuple):
    """What is said, behind the letter of who says it; the steps, `-` for one that is not seen, with how it differs;
    and the states both ends are in, the client's first, when TCP begins to close."""

    said: str
    steps: str
    states: str = "CLOSING CLOSING"


OPENED = "c upgrade-request s 101"
TALK = "c text s text"
CLOSED = "c close s close"

EXPECTED = {
    "websocket/connection":    Expected(f"{OPENED} {TALK} c ping s pong {CLOSED}", "1 2 3 4"),
    "websocket/tls":           Expected(f"{OPENED} {TALK} {CLOSED}", "1 2 3 4"),
    "websocket/fragments":     Expected(f"{OPENED} c text ping s pong c continuation continuation close s close",
                                        "1 2 3 4"),
    "websocket/binary":        Expected(f"{OPENED} c binary s binary {CLOSED}", "1 2 3 4"),
    "websocket/compressed":    Expected(f"{OPENED} {TALK} {TALK} {CLOSED}", "1 2 3 4"),
    "websocket/subprotocol":   Expected(f"{OPENED} {TALK} {CLOSED}", "1 2 3 4"),
    "websocket/server-closes": Expected(f"{OPENED} {TALK} close c close", "1 2 3 4:server-closes"),
    "websocket/bad-version":   Expected("c upgrade-request s refused",
                                        "1:bad-version -:refused -:refused -:refused", "CONNECTING CONNECTING"),
    "websocket/bad-key":       Expected("c upgrade-request s refused", "1:bad-key -:refused -:refused -:refused",
                                        "CONNECTING CONNECTING"),
    "websocket/wrong-accept":  Expected(OPENED, "1 2:wrong-accept -:failed -:failed", "CONNECTING OPEN"),
    "websocket/unmasked":      Expected(f"{OPENED} c unmasked-frame s close c close",
                                        "1 2 3:unmasked-frame 4:closed-protocol-error"),
    "websocket/too-big":       Expected(f"{OPENED} c text s close c close", "1 2 3 4:closed-too-big"),
    "websocket/abnormal":      Expected(f"{OPENED} {TALK}", "1 2 3 -:abnormal", "OPEN OPEN"),
}  # fmt: skip
IPV6 = ("websocket/connection", "websocket/tls")
PLAYS = [(each, False) for each in SCENARIOS] + [(each, True) for each in SCENARIOS if each.name in IPV6]


class Run(NamedTuple):
    """A scenario that has been played, its rungs as they came from the wire, and the file it was saved in."""

    scenario: Scenario
    session: Session
    rungs: list[Record]
    file: File

    @property
    def layer(self) -> Layer:
        (which,) = self.session.conversations
        (layer,) = (each for each in layers_of(which) if each.name == "websocket")
        return layer

    @property
    def told(self) -> list[tuple[int, Role, Any]]:
        """Packet, sender and account of everything that was said."""
        return [
            (rung.number, rung.end.role, message.said)
            for rung in self.rungs
            if rung.end
            for message in rung.messages
            if message.protocol == "websocket"
        ]

    @property
    def summary(self) -> dict[str, Any]:
        (which,) = self.session.conversations
        found: dict[str, Any] = trace.conversation(which)["websocket"]
        return found


def play(scenario: Scenario, file: File, ipv6: bool = False, *rules: str, on: Play = netns.play) -> Run:
    session = Session(scenario, (*parse(rules), *parse(scenario.rules)), ipv6, file, on)
    return Run(scenario, session, list(session.rungs()), file)


@pytest.fixture(scope="module", params=PLAYS, ids=[f"{each.name}-{'ipv6' if ipv6 else 'ipv4'}" for each, ipv6 in PLAYS])
def played(request: pytest.FixtureRequest, namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    scenario, ipv6 = request.param
    return play(scenario, tmp_path_factory.mktemp("run") / "run.pcapng", ipv6)


@pytest.fixture
def expected(played: Run) -> Expected:
    return EXPECTED[played.scenario.name]


def fields(file: File, shown: str, *names: str) -> list[list[str]]:
    """Returns the values of these fields in the frames that are shown."""
    words = [word for name in names for word in ("-e", name)]
    command = ["tshark", "-2", "-n", "-r", str(file), "-Y", shown, "-T", "fields", "-E", "occurrence=a", *words]
    said = subprocess.run(command, check=True, capture_output=True, timeout=60, encoding="utf-8").stdout
    return [line.split("\t") for line in said.splitlines()]


def test_every_scenario_is_expected() -> None:
    assert list(EXPECTED) == [each.name for each in SCENARIOS]
    assert set(EXPECTED) == {each.name for each in protocols.SCENARIOS if each.name.startswith("websocket/")}


def test_it_runs_to_its_end_and_both_kernels_agree_with_every_packet(played: Run) -> None:
    found = played.session.agreement
    assert played.session.early is None
    assert found.compared == 2 * (1 + sum(1 + bool(rung.got) for rung in played.rungs))
    assert found.disagreements == []
    assert [each for rung in played.rungs for each in rung.surprises] == []
    frames = [rung.frame for rung in played.rungs if rung.frame]
    alone = Path()
    alone.learn(played.session.keylog, played.session.server_key)
    assert histories.faults(played.rungs, alone.annotate(frames), found) == []


def test_what_is_said_is_what_the_scenario_means(played: Run, expected: Expected) -> None:
    words: list[str] = []
    last = ""
    for _, role, said in played.told:
        words += [said.name] if role == last else [role[0], said.name]
        last = role
    assert " ".join(words) == expected.said


def test_the_steps_and_the_states_are_the_scenarios(played: Run, expected: Expected) -> None:
    (which,) = played.session.conversations
    steps = [
        (each.id[-1] if each.seen else "-") + (f":{each.differs.code}" if each.differs else "")
        for each in trace.steps(which)
        if each.id.startswith("websocket.")
    ]
    assert " ".join(steps) == expected.steps
    closing = next(rung for rung in played.rungs if "FIN" in rung.labels)
    assert list(next(each.held for each in closing.above if each.protocol == "websocket")) == expected.states.split()
    assert list(played.layer.states) == ["CLOSED", "CLOSED"]


def test_tcp_is_closed_by_both_ends_in_four_segments(played: Run) -> None:
    labels = [label for rung in played.rungs for label in rung.labels]
    assert "RST" not in labels
    assert labels.count("FIN") == 2
    (which,) = played.session.conversations
    closing = [each for each in trace.steps(which) if each.id.startswith("tcp.close")]
    assert [len(each.packets) for each in closing] == [1, 1, 1, 1]
    assert len({each.packets for each in closing}) == 4


def test_every_message_can_be_said_in_both_languages(played: Run) -> None:
    for _, _, said in played.told:
        words = protocols.upper("websocket").words(played.layer, said)
        assert all(words.pick(lang) for lang in LANGUAGES)


def test_the_saved_capture_reads_back_as_what_was_seen_live(played: Run) -> None:
    with open_capture(str(played.file)) as capture:
        recording = Recording(capture, keep_frames=True)
        again = list(recording.rungs())
        assert not capture.problems
    assert [trace.packet(rung) for rung in again] == [trace.packet(rung) for rung in played.rungs]
    (then,), (now,) = played.session.conversations, recording.conversations
    assert trace.conversation(now) == trace.conversation(then)


# The second witness


def test_wireshark_sees_the_same_segments(played: Run, tshark: str) -> None:
    opinions = wireshark.ask(played.file)
    assert opinions.complaints == []
    assert [each for each in wireshark.compare(played.rungs, opinions) if each.deviation is None] == []


def test_wireshark_sees_the_same_frames(played: Run, tshark: str) -> None:
    asked = ("opcode", "fin", "rsv", "mask", "masking_key", "payload_length", "payload_length_ext_16",
             "payload_length_ext_64", "payload.close.status_code", "payload.close.reason")  # fmt: skip
    theirs = []
    for at, *values in fields(played.file, "websocket", "frame.number", *(f"websocket.{name}" for name in asked)):
        assert not any("," in value for value in values[:-1]), "one frame a segment"
        opcode, fin, rsv, mask, key, short, medium, long, code, reason = values
        theirs.append((
            int(at), int(opcode), fin == "1", int(rsv, 16), key.replace(":", "") if mask == "1" else None,
            int(long or medium or short), int(code or 0), reason,
        ))  # fmt: skip
    ours = []
    for place, _, said in played.told:
        if isinstance(said.parsed, Told):
            frame, _, message = said.parsed
            ending = (message.code or 0, message.reason or "") if message is not None else (0, "")
            ours.append((
                place, frame.opcode, frame.fin, frame.reserved, frame.key.hex() if frame.key else None, frame.length,
                *ending,
            ))  # fmt: skip
    assert theirs == ours


def test_wireshark_sees_the_same_opening(played: Run, tshark: str) -> None:
    asked = fields(played.file, "http.request", "frame.number", "http.sec_websocket_key", "http.sec_websocket_version")
    answered = fields(played.file, "http.response", "frame.number", "http.response.code", "http.sec_websocket_accept")
    (number, _, one), (at, _, other) = played.told[:2]
    assert asked == [[str(number), one.parsed.key, one.parsed.version]]
    assert answered == [[str(at), str(other.parsed.status), other.parsed.accept or ""]]


# What single scenarios are for


def test_compression_keeps_its_window(namespaces: None, tmp_path: File) -> None:
    run = play(protocols.scenario("websocket/compressed"), tmp_path / "run.pcapng")
    texts = [said.parsed.message for _, _, said in run.told if said.opcode == 1]
    assert [text.payload.decode() for text in texts] == [POEM] * 4
    assert all(text.compressed for text in texts)
    assert texts[2].wire < texts[0].wire
    assert texts[3].wire < texts[1].wire


def test_a_fragmented_message_is_put_together(namespaces: None, tmp_path: File) -> None:
    run = play(protocols.scenario("websocket/fragments"), tmp_path / "run.pcapng")
    (text,) = (listed.message for listed in run.layer.session.messages if listed.message.opcode == 1)
    assert (text.fragments, text.masked, text.length) == (3, True, 37)


def test_the_summary_says_what_was_agreed(namespaces: None, tmp_path: File) -> None:
    run = play(protocols.scenario("websocket/subprotocol"), tmp_path / "run.pcapng")
    found = run.summary
    assert (found["accepted"], found["accept_valid"], found["subprotocol"]) == (True, True, "mqtt")
    assert (found["close_code"], found["close_reason"], found["message_count"]) == (1000, "done", 4)
    assert [(each["from"], each["opcode"], each["length"], each["masked"]) for each in found["messages"]] == [
        ("client", 1, len(HELLO), True), ("server", 1, len(ANSWER), False), ("client", 8, 6, True),
        ("server", 8, 6, False),
    ]  # fmt: skip
    refused = play(protocols.scenario("websocket/bad-version"), tmp_path / "run.pcapng").summary
    assert (refused["accepted"], refused["status"], refused["accept_valid"]) == (False, 426, None)


@pytest.mark.parametrize("rule", ["drop client data #1", "drop server data #2", "drop client FIN #1"])
def test_what_is_lost_is_sent_again_and_all_goes_on(namespaces: None, tmp_path: File, rule: str) -> None:
    run = play(protocols.scenario("websocket/connection"), tmp_path / "run.pcapng", False, rule)
    assert run.session.early is None
    assert run.session.agreement.unexplained == []
    assert [each for rung in run.rungs for each in rung.surprises] == []
    assert list(run.layer.states) == ["CLOSED", "CLOSED"]


@pytest.mark.parametrize("options", [[], ["--tls"]])
def test_the_command_writes_a_trace_that_fits_the_schema(namespaces: None, tmp_path: File, options: list[str]) -> None:
    from jsonschema import Draft202012Validator

    schema = json.loads((ROOT / "lab/render/trace.schema.json").read_text(encoding="utf-8"))
    command = [sys.executable, "-m", "lab", "ws", *options, "--json", "-o", str(tmp_path / "ws.pcapng")]
    done = subprocess.run(command, check=True, capture_output=True, cwd=ROOT, timeout=60)
    told = json.loads(done.stdout)
    Draft202012Validator(schema).validate(told)
    (which,) = told["conversations"]
    assert which["protocols"] == ["tcp", *(["tls"] if options else []), "websocket"]
    assert {message["opcode"] for each in told["packets"] for message in each["messages"] if "opcode" in message} >= {
        1,
        8,
    }


# Containers


@pytest.fixture(scope="module", params=SCENARIOS, ids=[each.name for each in SCENARIOS])
def contained(request: pytest.FixtureRequest, docker: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return play(request.param, tmp_path_factory.mktemp("run") / "run.pcapng", on=containers.play)


def test_containers_say_the_same_in_the_same_states(contained: Run) -> None:
    assert contained.session.early is None
    test_what_is_said_is_what_the_scenario_means(contained, EXPECTED[contained.scenario.name])
    test_the_steps_and_the_states_are_the_scenarios(contained, EXPECTED[contained.scenario.name])
    assert contained.session.agreement.disagreements == []


def test_wireshark_sees_the_same_between_containers(contained: Run, tshark: str) -> None:
    test_wireshark_sees_the_same_segments(contained, tshark)
    test_wireshark_sees_the_same_frames(contained, tshark)
    test_wireshark_sees_the_same_opening(contained, tshark)


def test_tcp_ends_between_containers_as_both_kernels_say_it_does(
    contained: Run, namespaces: None, tmp_path: File
) -> None:
    asked = play(contained.scenario, tmp_path / "run.pcapng")
    (ours,), (theirs,) = contained.session.conversations, asked.session.conversations
    assert theirs.kernel_final is not None
    assert (ours.client.state, ours.server.state) == (theirs.client.state, theirs.server.state)
    assert asked.session.agreement.disagreements == []
