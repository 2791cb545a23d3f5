"""A class is marked again after a question was mended: only that question changes, and nothing of it is ever lost."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.classroom import make
from tests.places import ROOT

SIZE = 14
SOURCE = (ROOT / "lab/grade/assignments/tcp-open.toml").read_text("utf-8")
QUESTION = "syn-flags"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("class") / "handed-in"
    make(folder, SIZE)
    return folder


def command(room: Path, to: Path, *more: str) -> list[str]:
    assignment = to.parent / "own.toml"
    return [sys.executable, "-m", "lab", "grade", str(room), "--assignment", str(assignment), "--to", str(to), *more]


def grade(room: Path, to: Path, *more: str, **environment: str) -> str:
    known = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C", **environment}
    return subprocess.run(
        command(room, to, *more), cwd=ROOT, env=known, capture_output=True, check=True, text=True
    ).stdout


def marks(to: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((to / "marks.json").read_text("utf-8"))
    return found


def mended() -> str:
    """The assignment, with one question that is worth more."""
    begin = SOURCE.index(f'id = "{QUESTION}"')
    return SOURCE[:begin] + re.sub(r"points = (\d)\n", r"points = 7\n", SOURCE[begin:], count=1)


def test_a_mended_question_changes_alone_and_a_regrade_that_is_killed_goes_on(room: Path, tmp_path: Path) -> None:
    to = tmp_path / "marks"
    (tmp_path / "own.toml").write_text(SOURCE, "utf-8")
    grade(room, to)
    decided = '[[override]]\nsubmission = "Student 03_1003"\nquestion = "opens"\npoints = 0.25\n'
    (to / "overrides.toml").write_text(decided)
    grade(room, to)
    first = marks(to)
    kept = set((to / "kept").iterdir())

    (tmp_path / "own.toml").write_text(mended(), "utf-8")
    process = subprocess.Popen(command(room, to), cwd=ROOT, stdout=subprocess.DEVNULL)
    while len(list((to / "kept").glob("*.json"))) < len(kept) + 3 and process.poll() is None:
        os.sched_yield()
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert marks(to) == first, "what was there is there until all of the new is"
    done = {path: path.stat().st_mtime_ns for path in set((to / "kept").iterdir()) - kept}
    assert 3 <= len(done) < SIZE, "it was killed midway"

    said = grade(room, to)
    second = marks(to)
    assert {path: path.stat().st_mtime_ns for path in done} == done, "what was done is not done again"
    assert (to / "overrides.toml").read_text() == decided
    assert second["submissions"][2]["questions"][0]["override"]["points"] == 0.25
    for before, after in zip(first["submissions"], second["submissions"], strict=True):
        changed = [
            one["id"] for one, other in zip(before["questions"], after["questions"], strict=True) if one != other
        ]
        assert changed in ([QUESTION], [])
        assert before["findings"] == after["findings"]
    told = said.partition("Changed since the last marking")[2]
    assert set(re.findall(r"^ {6}(\S+) ", told, re.MULTILINE)) == {QUESTION}
    assert json.loads((to / "marks.before.json").read_text("utf-8")) == first


def test_the_same_lab_gives_the_same_marks_whatever_differs_between_two_days(room: Path, tmp_path: Path) -> None:
    """Another seed for sets, another place, another time zone, one processor: marks.json is the same, to the byte."""
    (tmp_path / "own.toml").write_text(SOURCE, "utf-8")
    grade(room, tmp_path / "an", PYTHONHASHSEED="1", TZ="UTC")
    moved = tmp_path / "elsewhere"
    moved.symlink_to(room, target_is_directory=True)
    one = str(min(os.sched_getaffinity(0)))
    known = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "2", "TZ": "Asia/Shanghai"}
    again = ["taskset", "-c", one, *command(moved, tmp_path / "bo")]
    subprocess.run(again, cwd=ROOT, env=known, stdout=subprocess.DEVNULL, check=True)
    assert (tmp_path / "an" / "marks.json").read_bytes() == (tmp_path / "bo" / "marks.json").read_bytes()
    assert re.fullmatch(r"[\d.]+\+[0-9a-f]{12}", marks(tmp_path / "an")["lab"])
