"""A run's last line says what to try now, to whoever sits at a terminal, and to nobody else."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from lab.app.run import _what_next
from lab.protocols.catalogue import after, scenarios
from lab.report.steps import telling
from lab.runs.recorded import open_run
from tests.places import ROOT


def on_terminal(width: int, *words: str) -> list[str]:
    """Returns the lines that a run writes on a terminal of that many columns."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (50, width))
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    environment.pop("COLUMNS", None)
    command = [sys.executable, "-m", "lab", "run", *words, "--testbed", "netns"]
    with subprocess.Popen(command, stdout=theirs, stdin=theirs, env=environment):
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # how Linux says that nobody writes any more
            while more := os.read(ours, 65536):
                said += more
    os.close(ours)
    return said.decode().splitlines()


@pytest.mark.parametrize(("lang", "begins"), [("en", "Next: "), ("zh", "接下来：")])
def test_the_last_line_is_a_command_that_works(namespaces: None, tmp_path: Path, lang: str, begins: str) -> None:
    file = tmp_path / "a run.pcapng"
    *_, last = on_terminal(300, "tcp/syn-lost", "-o", str(file), "--lang", lang)
    explain, again, wireshark = last.removeprefix(begins).split(" · ")
    assert shlex.split(explain) == ["lab", "annotate", str(file), "--explain", "1"]
    assert again == f"lab run {after('tcp/syn-lost')}"
    assert shlex.split(wireshark) == ["wireshark", str(file)]
    done = subprocess.run([sys.executable, "-m", *shlex.split(explain)], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("form", [(), ("--json",), ("--format", "csv")])
def test_a_pipe_is_told_nothing(namespaces: None, tmp_path: Path, form: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "lab", "tcp", "-o", str(tmp_path / "out.pcapng"), *form, "--lang", "en"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0
    assert "Next: " not in done.stdout + done.stderr


@pytest.mark.parametrize(("name", "number"), [("tcp-syn-lost", 1), ("tcp-connection", 1), ("tls-1.2-rsa", 4),
                                              ("tls-1.3", 6), ("tcp-final-ack-lost", 3)])  # fmt: skip
def test_the_packet_that_has_most_to_tell_is_named(name: str, number: int) -> None:
    with open_run(str(ROOT / f"captures/{name}.pcapng")) as run:
        for _ in run.packets():
            pass
        assert telling(run.conversations) == number


def test_as_much_is_said_as_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_run(str(ROOT / "captures/tcp-syn-lost.pcapng")) as run:
        for _ in run.packets():
            pass
        for columns, ideas in ((20, 1), (80, 2), (200, 3)):
            monkeypatch.setenv("COLUMNS", str(columns))
            said = _what_next(run, "tcp/syn-lost", Path("x.pcapng"))
            assert said.en.count("·") == ideas - 1, said.en
            assert said.zh.startswith("接下来：lab annotate x.pcapng --explain 1")


def test_after_the_last_scenario_comes_the_first() -> None:
    names = [each.name for each in scenarios()]
    assert [after(name) for name in names] == [*names[1:], names[0]]
