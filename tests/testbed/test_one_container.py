"""Stepping and exploring with namespaces inside one container: what a machine without Linux has of them."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import jsonschema
import pytest

import lab as api
from lab.events import CommandAnswered, PacketHeld
from lab.explore.anywhere import explored_on
from lab.explore.told import Kernel, Over, read, write
from lab.protocols.exploration import STIMULI, Cell, Options, ways
from lab.testbed import containers
from tests.left_behind import TWO_LINES
from tests.stepping.test_screen import Terminal, terminal
from tests.testbed.test_docker import gone, lab, left, mine, nothing_left, start

__all__ = ["mine", "nothing_left", "terminal"]  # fixtures


def test_a_script_steps_through_a_connection_whose_kernels_are_in_a_container(
    nothing_left: None, tmp_path: Path
) -> None:
    script, file = tmp_path / "plan", tmp_path / "run.pcapng"
    script.write_text(
        "drop\nuntil client data\nedit payload=forged\nstep\ninject server RST seq=+100\nuntil FIN\nduplicate\n"
    )
    done = lab(
        "step", "tcp/connection", "--testbed", "docker", "--script", str(script), "--json", "-o", str(file)
    )  # fmt: skip
    assert (done.returncode, done.stderr.splitlines()[1:]) == (0, [])
    events = [json.loads(line) for line in done.stdout.splitlines()]
    validator = jsonschema.Draft202012Validator(api.schema("events"))
    for each in events:
        validator.validate(each)
    commands = [each["command"].split()[0] for each in events if each["event"] == "command" and each["done"]]
    assert {"drop", "release", "edit", "inject", "duplicate"} <= set(commands)
    assert events[-1]["early"] is None
    assert file.stat().st_uid == os.geteuid()
    found = api.verify(api.open(file))
    assert found.compared > 40
    assert not found.faults


def test_what_a_command_holds_can_t_end_its_line(nothing_left: None) -> None:
    with api.run("tcp/connection", testbed="docker", control=True) as run:
        events = run.events()
        for event in events:
            if isinstance(event, PacketHeld):
                break
        assert run.control.edit(1, {"flags": 'SYN\ndrop 1\n"'})
        answer = next(each for each in events if isinstance(each, CommandAnswered))
    assert (answer.done, answer.command.split()[0]) == (False, "edit")


def test_a_slow_run_plays_by_itself_in_a_container(nothing_left: None, tmp_path: Path) -> None:
    words = ("run", "tcp/half-close", "--slow", "50ms", "--testbed", "docker", "--lang", "en")
    done = lab(*words, "-o", str(tmp_path / "run.pcapng"))
    assert done.returncode == 0, done.stderr
    assert "states are as told here" in done.stdout


def test_the_screen_shows_packets_that_are_held_in_a_container(
    docker: str, nothing_left: None, terminal: Terminal, tmp_path: Path
) -> None:
    terminal.press(f"LAB_RUN={os.environ['LAB_RUN']} {sys.executable} -m lab step tcp/connection --testbed docker", "")
    terminal.press(f" --lang zh -o {tmp_path / 'run.pcapng'}; echo EXIT $?", "Enter")
    assert "真实主机" in terminal.until("扣住：1")
    terminal.press("b", "client data", "Enter")
    terminal.until("data 14B")
    terminal.press("Left")
    terminal.until("回看")
    terminal.press("Right", ":", "continue", "Enter")
    terminal.until("TIME-WAIT")
    terminal.press("q")
    terminal.until("EXIT 0")
    assert api.verify(api.open(tmp_path / "run.pcapng")).faults == ()


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL], ids=lambda by: by.name)
def test_ended_while_a_packet_is_held_no_container_stays(docker: str, nothing_left: None, by: signal.Signals) -> None:
    process = start("step", "tcp/connection", "--testbed", "docker", "--lang", "en", stdin=True)
    assert process.stdout is not None
    assert any("waits on the wire" in line for line in process.stdout)
    assert left()
    process.send_signal(by)
    process.communicate(timeout=30)
    assert process.returncode == (-by if by is signal.SIGKILL else 128 + by)
    assert gone(), left()


def test_a_kernel_in_a_container_is_explored_as_this_one_is(nothing_left: None, docker: str, namespaces: None) -> None:
    asked = [(way, each) for way in ways("CLOSE-WAIT") for each in STIMULI]
    there, here = (list(explored_on(testbed, asked, Options(timestamps=True))) for testbed in ("docker", "auto"))
    assert there == here
    assert there[0] == Kernel(os.uname().release)
    assert sum(isinstance(each, Cell) for each in there) == len(asked)


def test_what_is_explored_is_written_and_read_again(namespaces: None) -> None:
    asked = [(way, each) for way in (*ways("SYN-SENT"), *ways("TIME-WAIT")) for each in STIMULI]
    for each in (*explored_on("netns", asked, Options()), Over()):
        assert read(write(each)) == each
    for line in ("", "{}", "[]", '["Cell"]', '["Nothing", 1]', "Traceback"):
        with pytest.raises(ValueError, match=r".*"):
            read(line)


@pytest.mark.parametrize(
    "words", [("step", "tcp/connection"), ("explore", "LISTEN", "syn")], ids=lambda words: words[0]
)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_without_an_engine_it_says_so_in_two_lines(docker: str, words: tuple[str, ...], lang: str) -> None:
    done = lab(*words, "--testbed", "docker", "--lang", lang, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert (done.returncode, done.stdout) == (4, "")
    assert TWO_LINES[lang].fullmatch(done.stderr), done.stderr


def test_a_container_that_ends_too_early_is_told_by_its_last_words(
    nothing_left: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "_RIGHTS", ("--network=none", "--cap-drop=ALL", "--init"))
    run = api.run("tcp/connection", testbed="docker", control=True)
    with pytest.raises(api.LabError) as caught, run:
        list(run.events())
    assert "does not let you make a network namespace" in caught.value.message.en
