"""Real runs that are driven by scripts: whatever is done to packets, the table says what both kernels say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import jsonschema
import pytest

import lab
from lab.protocols.catalogue import scenarios
from lab.text import Text
from scripts.plans import PLANS, play
from tests.scenarios.plays import REPEAT


@pytest.mark.parametrize("name", PLANS)
def test_whatever_a_plan_does_both_kernels_agree(namespaces: None, name: str) -> None:
    scenario, commands = PLANS[name]
    for at in range(REPEAT):
        played = play(scenario, commands, ipv6=bool(at % 2))
        found, shown = played.run.agreement, "\n".join(played.said)
        assert played.refused == 0, shown
        assert found.compared >= 20, shown
        assert not found.unexplained, f"{found.unexplained}\n{shown}"
        assert played.debugger.story.over, shown


STEPPED = [
    *((each.name, "continue", ()) for each in scenarios() if each.lacking() is None),
    ("tcp/connection", "continue", ("delay client SYN #1 1500ms",)),
    ("tcp/connection", "continue", ("swap client SYN #1",)),
    ("tcp/connection", "edit src=192.0.2.9; continue", ()),  # the forged SYN belongs to no conversation
]


def test_whatever_holds_packets_back_every_scenario_can_be_stepped_to_its_end(namespaces: None) -> None:
    with get_context("fork").Pool(4) as side_by_side:  # a process that never ends is ended with it
        stepped = [side_by_side.apply_async(_stepped, each) for each in STEPPED]
        early = {each: told.get(timeout=60) for each, told in zip(STEPPED, stepped, strict=True)}
    assert {each: why for each, why in early.items() if why is not None} == {}


def _stepped(scenario: str, commands: str, rules: tuple[str, ...]) -> Text | None:
    """Returns why a run was over early, if it was."""
    return play(scenario, commands, rules=rules).run.source.early


def test_it_stands_when_the_whole_of_a_burst_is_held(namespaces: None) -> None:
    played = play("tcp/window-scale", "until 4; select 8; quit")
    assert played.refused == 0


def test_it_goes_on_to_packets_that_are_held_already(namespaces: None) -> None:
    """Of a burst of five the first is let go of: what the others are is known."""
    commands = "until 4; step; until client data; show; until 8; show; step 2; show; until client=ESTABLISHED; show"
    views = [json.loads(line) for line in play("tcp/window-scale", f"{commands}; quit").said if '"rungs"' in line]
    assert [each["at"] for each in views] == [6, 8, 9, 10]
    assert [each["held"][:3] for each in views] == [[6, 7, 8], [7, 8, 9], [9, 10, 11], [10, 11, 12]]


def test_a_script_writes_the_events_themselves(namespaces: None, tmp_path: Path) -> None:
    file = tmp_path / "run.pcapng"
    commands = (
        "predict server SYN-ACK; step; show; until FIN; drop; predict client RST; until server=CLOSE-WAIT; edit foo=1"
    )
    played = play("tcp/connection", commands, file)
    told = [json.loads(line) for line in played.said]
    events = [each for each in told if "event" in each]
    validator = jsonschema.Draft202012Validator(lab.schema("events"))
    for each in events:
        validator.validate(each)
    assert (events[0]["event"], events[-1]["event"]) == ("begun", "ended")
    asked = [(each["command"].split()[0], each["done"]) for each in events if each["event"] == "command"]
    assert asked[:8] == [("release", True)] * 7 + [("drop", True)]
    assert [each for each, done in asked if not done] == ["edit"]
    assert played.refused == 1
    (view,) = [each for each in told if "rungs" in each]
    jsonschema.Draft202012Validator(lab.schema("view")).validate(view)
    assert (view["at"], view["held"]) == (2, [2])
    assert (view["client"]["state"], view["server"]["state"]) == ("SYN-SENT", "SYN-RECEIVED")
    assert view["server"]["kernel"]["timer"] == "retransmission"
    assert [each["fate"] for each in view["rungs"]] == ["arrived", "held"]
    assert [(each["end"], each["after"]) for each in view["fired"]] == [("server", "SYN-RECEIVED")]
    assert "state" in view["server"]["changed"]
    assert [each["en"].split(":")[0] for each in (line["said"] for line in told if "said" in line)] == [
        "noted", "predicted right", "noted", "predicted wrong",
    ]  # fmt: skip
    assert played.run.agreement.unexplained == []
    with lab.open(file) as again:
        comments = {packet.number: packet.frame.comments for packet in again if packet.frame is not None}
    assert len(comments) == 12


def test_two_ends_that_contradict_each_other_for_ever_are_left(namespaces: None) -> None:
    """One has got a byte that the other has never sent: each acknowledges the other's acknowledgements."""
    played = play("tcp/connection", "until client data; edit seq=+1; step; continue", json=False)
    assert played.refused == 0
    assert any("went by themselves" in line for line in played.said)
    assert played.said[-1].endswith("it was ended by hand")


def test_who_leaves_leaves_nothing_held(namespaces: None, tmp_path: Path) -> None:
    file = tmp_path / "run.pcapng"
    played = play("tcp/connection", "step 2; quit", file, json=False)
    assert played.said[-1].endswith("it was ended by hand")
    assert [rung.fate for rung in played.debugger.story.view().rungs] == ["arrived", "arrived", "lost"]
    assert played.run.agreement.unexplained == []
    assert file.exists()


def test_two_debuggers_do_not_see_each_other(namespaces: None) -> None:
    command = [sys.executable, "-m", "lab", "step", "tcp/connection", "--json"]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for lines in ("drop\nuntil FIN\ndrop\n", "step\nduplicate\n"):  # each command of one beside one of the other
        process = both[0 if "FIN" in lines else 1]
        assert process.stdin is not None
        process.stdin.write(lines)
        process.stdin.flush()
    for process in both:
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        ended = json.loads(said.splitlines()[-1])
        assert [each["final"]["kernel"] for each in ended["conversations"]] == [
            {"client": "TIME-WAIT", "server": "CLOSED"}
        ]
        assert ended["early"] is None


def test_what_happens_while_a_line_is_waited_for_is_told_at_once(namespaces: None) -> None:
    command = [sys.executable, "-m", "lab", "step", "tcp/connection", "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = map(json.loads, process.stdout)
        lost = next(each for each in told if each["event"] == "packet-lost")  # the SYN again: nothing was typed so far
        assert lost["absorbed"]
        out, _ = process.communicate("step\nquit\n", timeout=60)
    assert process.returncode == 0
    assert [json.loads(line)["event"] for line in out.splitlines()][-1] == "ended"


@pytest.mark.parametrize("stops", ["hold", "quit"])
def test_what_goes_by_itself_is_stopped_by_a_line(namespaces: None, stops: str) -> None:
    command = [sys.executable, "-m", "lab", "step", "tcp/syn-lost", "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("hold off\n")
        process.stdin.flush()
        told = map(json.loads, process.stdout)
        next(each for each in told if each["event"] == "command" and each["command"] == "hold off")
        out, _ = process.communicate(f"\n{stops}\nquit\n", timeout=60)  # the SYN comes again in a second
    assert process.returncode == 0
    rest = [json.loads(line) for line in out.splitlines()]
    assert [each["command"] for each in rest if each["event"] == "command"] == [stops, "leave"][stops == "quit" :]
    assert [each["packet"] for each in rest if each["event"] == "packet-held"] == ([2] if stops == "hold" else [])
    assert rest[-1]["early"] is not None


def test_a_host_that_dies_while_its_packet_is_held_is_told(namespaces: None) -> None:
    command = [sys.executable, "-m", "lab", "step", "tcp/connection", "--lang", "en"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert any("waits on the wire" in line for line in process.stdout)
        (stage,) = _children(process.pid)
        os.kill(_children(stage)[0], signal.SIGKILL)
        _, said = process.communicate("step\n", timeout=60)
    assert process.returncode == 4
    assert said.splitlines()[0] == "error: the client's process ended unexpectedly (by SIGKILL)"


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
