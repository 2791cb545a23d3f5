"""The same between containers: what is said there, in which states, and how TCP ends. A kernel can't be asked there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path as File

import pytest

from lab.grade.assignment import load
from lab.grade.belonging import foreign
from lab.grade.playing import run_of
from lab.grade.recording import facts_of
from lab.grade.submissions import CAPTURE
from lab.grade.variant import derive
from lab.protocols.websocket.scenarios import SCENARIOS
from lab.testbed import docker as containers
from lab.witnesses import wireshark
from tests.places import ROOT
from tests.runs import Run, play
from tests.scenarios import test_tls as tls
from tests.scenarios import test_websocket as websocket
from tests.scenarios.plays import Played, Witness, dissect


@pytest.fixture(scope="module", params=SCENARIOS, ids=[each.name for each in SCENARIOS])
def contained(request: pytest.FixtureRequest, docker: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return play(request.param, tmp_path_factory.mktemp("run") / "run.pcapng", on=containers.play)


def test_containers_say_the_same_in_the_same_states(contained: Run) -> None:
    wanted = websocket.EXPECTED[contained.scenario.name]
    assert contained.early is None
    assert (websocket.words(contained), websocket.steps(contained), websocket.states(contained)) == wanted
    assert list(contained.layer("websocket").states) == ["CLOSED", "CLOSED"]
    assert contained.agreement.disagreements == []


def test_wireshark_sees_the_same_between_containers(contained: Run, tshark: str) -> None:
    witness = Witness([contained])
    opinions, packets = witness.opinions[contained.file], witness.dissected[contained.file]
    assert opinions.complaints == []
    assert [each for each in wireshark.compare(contained.packets, opinions) if each.deviation is None] == []
    assert websocket.frames_of(packets) == websocket.frames_told(contained)
    assert websocket.opening_of(packets) == websocket.opening_told(contained)


def test_tcp_ends_between_containers_as_both_kernels_say_it_does(contained: Run, runs: Played) -> None:
    asked = runs.named(contained.scenario.name)
    ours, theirs = contained.only, asked.only
    assert theirs.kernel_final is not None
    assert ours.facts["final"]["states"] == theirs.facts["final"]["states"]
    assert asked.agreement.disagreements == []


@pytest.mark.parametrize("name", ["tls-today", "tcp-close"])  # three containers, and one: it loses a packet
def test_a_students_variant_is_played_between_containers(docker: str, tmp_path: File, name: str) -> None:
    variant = derive(load(name), "x3", None)
    assert bool(variant.rules) == (name == "tcp-close")
    run_of(variant, tmp_path, "docker").play_on()
    assert foreign(variant, facts_of(tmp_path / CAPTURE)) == []


@pytest.mark.parametrize("name", ["tls/1.2-rsa", "tls/expired"])
def test_tls_between_containers_says_the_same(docker: str, tshark: str, tmp_path: File, name: str) -> None:
    file = tmp_path / "out.pcapng"
    command = [sys.executable, "-m", "lab", "run", name, "--testbed", "docker", "--json", "-o", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    assert tls.messages(dissect(file)[0]) == list(tls.EXPECTED[name].said)
    (conversation,) = json.loads(done.stdout)["conversations"]
    assert conversation["closed"] == "fin"
