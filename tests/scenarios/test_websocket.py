"""The WebSocket scenarios: what is said, in which states, and what Wireshark reads of it, inside TLS too."""

from __future__ import annotations

from pathlib import Path as File
from typing import Any, NamedTuple

import pytest

from lab.model import Role
from lab.protocols.catalogue import scenario, scenarios
from lab.protocols.websocket import PROTOCOL as WEBSOCKET
from lab.protocols.websocket.messages import Told
from lab.protocols.websocket.scenarios import ANSWER, HELLO, POEM, SCENARIOS
from lab.text import LANGUAGES
from tests.runs import Run, play
from tests.scenarios.plays import Dissected, Witness, every, only


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


def told(run: Run) -> list[tuple[int, Role, Any]]:
    """Returns packet, sender and the protocol's own account of everything that was said."""
    return [
        (record.number, record.end.role, said)
        for record in run.source.records
        if record.end
        for layer, said in record.messages
        if layer.name == "websocket"
    ]


def summary(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = run.only.facts["websocket"]
    return found


def test_every_scenario_is_expected() -> None:
    assert list(EXPECTED) == [each.name for each in SCENARIOS]
    assert set(EXPECTED) == {each.name for each in scenarios() if each.name.startswith("websocket/")}


@every("websocket")
def test_what_is_said_is_what_the_scenario_means(played: Run) -> None:
    assert words(played) == EXPECTED[played.scenario.name].said


def words(run: Run) -> str:
    """Returns what was said, behind the letter of who said it."""
    found: list[str] = []
    last = ""
    for _, role, said in told(run):
        found += [said.name] if role == last else [role[0], said.name]
        last = role
    return " ".join(found)


@every("websocket")
def test_the_steps_and_the_states_are_the_scenarios(played: Run) -> None:
    wanted = EXPECTED[played.scenario.name]
    assert steps(played) == wanted.steps
    assert states(played) == wanted.states
    assert list(played.layer("websocket").states) == ["CLOSED", "CLOSED"]


def steps(run: Run) -> str:
    return " ".join(
        (each.id[-1] if each.seen else "-") + (f":{each.differs.code}" if each.differs else "")
        for each in run.only.steps
        if each.id.startswith("websocket.")
    )


def states(run: Run) -> str:
    """Returns both ends' states when TCP begins to close."""
    closing = next(packet for packet in run.packets if "FIN" in packet.labels)
    return " ".join(map(str, next(each.held for each in closing.above if each.protocol == "websocket")))


@every("websocket")
def test_tcp_is_closed_by_both_ends_in_four_segments(played: Run) -> None:
    labels = [label for packet in played.packets for label in packet.labels]
    assert "RST" not in labels
    assert labels.count("FIN") == 2
    closing = [each for each in played.only.steps if each.id.startswith("tcp.close")]
    assert [len(each.packets) for each in closing] == [1, 1, 1, 1]
    assert len({each.packets for each in closing}) == 4


@every("websocket")
def test_every_message_can_be_said_in_both_languages(played: Run) -> None:
    for _, _, said in told(played):
        words = WEBSOCKET.words(played.layer("websocket"), said)
        assert all(words.pick(lang) for lang in LANGUAGES)


# What Wireshark reads of it


@every("websocket")
def test_wireshark_sees_the_same_frames(played: Run, witness: Witness) -> None:
    assert frames_of(witness.dissected[played.file]) == frames_told(played)


def frames_of(packets: list[Dissected]) -> list[tuple[object, ...]]:
    """Returns the frames that Wireshark has found: in which packet, and what is in their headers."""
    found: list[tuple[object, ...]] = []
    for number, packet in enumerate(packets, 1):
        if packet.has("websocket"):
            assert len(packet.all("websocket.opcode")) == 1, "one frame a segment"

            def value(name: str, packet: Dissected = packet) -> str:
                return packet.first(f"websocket.{name}")

            length = value("payload_length_ext_64") or value("payload_length_ext_16") or value("payload_length")
            key = value("masking_key").replace(":", "") if _true(value("mask")) else None
            found.append((
                number, int(value("opcode")), _true(value("fin")), int(value("rsv"), 16), key, int(length),
                int(value("payload.close.status_code") or 0), value("payload.close.reason"),
            ))  # fmt: skip
    return found


def _true(value: str) -> bool:
    return value in ("1", "True")  # it depends on the version


def frames_told(run: Run) -> list[tuple[object, ...]]:
    """Returns the same of what we say."""
    found: list[tuple[object, ...]] = []
    for place, _, said in told(run):
        if isinstance(said.parsed, Told):
            frame, _, message = said.parsed
            ending = (message.code or 0, message.reason or "") if message is not None else (0, "")
            found.append((
                place, frame.opcode, frame.fin, frame.reserved, frame.key.hex() if frame.key else None, frame.length,
                *ending,
            ))  # fmt: skip
    return found


@every("websocket")
def test_wireshark_sees_the_same_opening(played: Run, witness: Witness) -> None:
    assert opening_of(witness.dissected[played.file]) == opening_told(played)


def opening_of(packets: list[Dissected]) -> list[tuple[int, list[str]]]:
    """Returns the request and the response that Wireshark has found: in which packet, and the fields that matter."""
    return [
        (number, [packet.first(name) for name in names])
        for number, packet in enumerate(packets, 1)
        for kind, names in (
            ("http.request", ("http.sec_websocket_key", "http.sec_websocket_version")),
            ("http.response", ("http.response.code", "http.sec_websocket_accept")),
        )
        if packet.has(kind)
    ]


def opening_told(run: Run) -> list[tuple[int, list[str]]]:
    """Returns the same of what we say."""
    (number, _, one), (at, _, other) = told(run)[:2]
    return [
        (number, [one.parsed.key, one.parsed.version]),
        (at, [str(other.parsed.status), other.parsed.accept or ""]),
    ]


# What single scenarios are for


@only("websocket/compressed")
def test_compression_keeps_its_window(played: Run) -> None:
    texts = [said.parsed.message for _, _, said in told(played) if said.opcode == 1]
    assert [text.payload.decode() for text in texts] == [POEM] * 4
    assert all(text.compressed for text in texts)
    assert texts[2].wire < texts[0].wire
    assert texts[3].wire < texts[1].wire


@only("websocket/fragments")
def test_a_fragmented_message_is_put_together(played: Run) -> None:
    messages = played.layer("websocket").session.messages
    (text,) = (listed.message for listed in messages if listed.message.opcode == 1)
    assert (text.fragments, text.masked, text.length) == (3, True, 37)


@only("websocket/subprotocol")
def test_the_summary_says_what_was_agreed(played: Run) -> None:
    found = summary(played)
    assert (found["accepted"], found["accept_valid"], found["subprotocol"]) == (True, True, "mqtt")
    assert (found["close_code"], found["close_reason"], found["message_count"]) == (1000, "done", 4)
    assert [(each["from"], each["opcode"], each["length"], each["masked"]) for each in found["messages"]] == [
        ("client", 1, len(HELLO), True), ("server", 1, len(ANSWER), False), ("client", 8, 6, True),
        ("server", 8, 6, False),
    ]  # fmt: skip


@only("websocket/bad-version")
def test_the_summary_says_what_was_refused(played: Run) -> None:
    found = summary(played)
    assert (found["accepted"], found["status"], found["accept_valid"]) == (False, 426, None)


@pytest.mark.parametrize("rule", ["drop client data #1", "drop server data #2", "drop client FIN #1"])
def test_what_is_lost_is_sent_again_and_all_goes_on(namespaces: None, tmp_path: File, rule: str) -> None:
    run = play(scenario("websocket/connection"), tmp_path / "run.pcapng", rules=(rule,))
    assert run.early is None
    assert run.agreement.unexplained == []
    assert [each for packet in run.packets for each in packet.surprises] == []
    assert list(run.layer("websocket").states) == ["CLOSED", "CLOSED"]
