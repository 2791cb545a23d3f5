"""What real kernels have walked: computed again, and what Linux can't is asked of it."""

from __future__ import annotations

import errno
import io
import json
import socket
import subprocess
import sys

import jsonschema
import pytest

import lab
from lab.protocols.tcp.coverage import ARROWS, name, tried, walks
from lab.protocols.tcp.states import State
from lab.render.coverage import coverage
from lab.report.coverage import as_json
from lab.text import LANGUAGES, Lang
from scripts.coverage import WALKED, text
from tests.places import ROOT


def test_the_arrows_that_scenarios_have_walked_are_those_that_their_captures_show() -> None:
    assert WALKED.read_text("utf-8") == text(), "python scripts/coverage.py computes it again"


def test_every_arrow_is_walked_or_there_is_a_reason() -> None:
    assert {name(each.arrow) for each in walks() if not each.done} == {"LISTEN > SYN-SENT", "TIME-WAIT > CLOSED"}
    assert all(bool(each.arrow.why.en) != each.done for each in walks())


def test_the_figure_has_all_states_and_each_is_entered_and_left() -> None:
    assert {each.state for each in ARROWS} == {each.to for each in ARROWS} == set(State)
    assert len({name(each) for each in ARROWS}) == len(ARROWS)


def test_every_state_was_sent_every_kind_of_segment() -> None:
    cells = tried()
    assert len(cells) == 88
    assert all(each.cells for each in cells)
    assert all((each.agree < each.cells) == bool(each.differences) for each in cells)


@pytest.mark.skipif(sys.platform != "linux", reason="what Linux does")
def test_linux_does_not_go_from_listen_to_syn_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        with pytest.raises(BrokenPipeError):
            listening.send(b"x")
        with pytest.raises(OSError, match=rf"Errno {errno.EISCONN}\b"):
            listening.connect(listening.getsockname())


@pytest.mark.parametrize("lang", LANGUAGES)
def test_it_is_told_in_both_languages(lang: Lang) -> None:
    out = io.StringIO()
    coverage(out, lang)
    said = out.getvalue()
    assert "EISCONN" in said
    assert "tcp/simultaneous-open" in said
    assert all(f"{each.state} → {each.to}" in said for each in ARROWS)
    assert max(map(len, said.splitlines())) <= 80


def test_it_is_written_for_programs_as_its_schema_says() -> None:
    told = as_json()
    jsonschema.Draft202012Validator(lab.schema("coverage")).validate(told)
    assert sum(each["walked"] for each in told["arrows"]) == sum(each.done for each in walks())
    assert [each["to"] for each in told["arrows"] if not each["walked"] and each["from"] == "LISTEN"] == ["SYN-SENT"]
    assert len(told["segments"]) == 88
    done = run("notes", "tcp", "--coverage", "--json")
    assert json.loads(done.stdout) == told
    for words in (("notes", "tcp", "--json"), ("notes", "tcp", "--coverage", "--json", "--diagram", "svg")):
        assert run(*words).returncode == 2


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lab", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
