"""A class is marked: each submission in its own process, whatever some of them do; stopped midway nothing is lost."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lab.grade import classes, pool
from lab.grade.assignment import load, parse
from lab.grade.classes import Marking
from lab.grade.collected import HandedIn, Source, collect
from lab.grade.feedback import schema
from lab.grade.kept import Kept
from lab.grade.worker import Limits
from scripts.classroom import make
from tests.places import ROOT

SIZE = 30


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("class") / "handed-in"
    make(folder, SIZE)
    return folder


@pytest.fixture(scope="module")
def marks(room: Path) -> Path:
    return room.parent / "marks"


@pytest.fixture(scope="module")
def marked(room: Path, marks: Path) -> dict[str, Any]:
    return classes.marked(collect(room), Marking(None, Kept(marks / "kept")))


def run(work: Callable[[HandedIn], dict[str, Any]], limits: Limits, names: str = "ab") -> dict[str, dict[str, Any]]:
    handed_in = [HandedIn(name, Source(Path(), False, {}), ()) for name in names]
    return {each.name: found for each, found in pool.each_marked(handed_in, work, limits, 2)}


def test_a_class_of_thirty_is_marked(marked: dict[str, Any]) -> None:
    assert (len(marked["submissions"]), marked["unmarked"]) == (SIZE, [])
    for each in marked["submissions"]:
        Draft202012Validator(schema()).validate(each)
    *others, last = marked["submissions"]
    assert all(each["points"] > 5 and not each["problems"] for each in others)
    assert last["points"] == 0
    assert [each["en"] for each in last["problems"]] == [
        "capture.pcapng has a path that leads out of the zip: it was not read",
        "answers.toml is larger than 256 kB: it was not read",
        "there is no answers.toml",
    ]
    question = marked["statistics"][0]
    assert (question["question"], question["answers"]) == ("opens", SIZE - 1)
    assert sum(found["count"] for found in question["mistakes"]) <= SIZE


def test_one_bad_submission_never_stops_the_others() -> None:
    def work(one: HandedIn) -> dict[str, Any]:
        if one.name == "a":
            while True:
                pass
        if one.name == "b":
            os.kill(os.getpid(), signal.SIGKILL)
        if one.name == "c":
            bytearray(1 << 40)
        if one.name == "d":
            os.write(1 << 10, b"")
        return {"marks": one.name}

    found = run(work, Limits(seconds=1), "abcde")
    assert found.pop("e") == {"marks": "e"}
    assert all(each["marks"] is None and each["unfinished"] for each in found.values())
    assert "too long" in found["a"]["why"]["en"]
    assert "too much memory" in found["c"]["why"]["en"]
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_what_marks_has_no_network_and_little_of_all_else() -> None:
    def work(one: HandedIn) -> dict[str, Any]:
        return {
            "interfaces": [name for _, name in socket.if_nameindex()],
            "namespace": str(Path("/proc/self/ns/net").readlink()),
            "memory": resource.getrlimit(resource.RLIMIT_AS)[1],
        }

    found = run(work, Limits())["a"]
    assert found["memory"] == Limits().memory
    if found["namespace"] == str(Path("/proc/self/ns/net").readlink()):
        pytest.skip("this machine lets nobody make a network namespace")
    assert found["interfaces"] == ["lo"]


def test_nothing_is_marked_twice_and_nothing_is_lost_when_it_is_killed(room: Path, tmp_path: Path) -> None:
    to = tmp_path / "marks"
    command = [sys.executable, "-m", "lab", "grade", str(room), "--to", str(to), "--json"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    while len(list((to / "kept").glob("*.json") if to.exists() else ())) < 3 and process.poll() is None:
        os.sched_yield()
    process.kill()
    process.communicate()
    kept = {path: path.stat().st_mtime_ns for path in (to / "kept").iterdir()}
    assert 3 <= len(kept) < SIZE, "it was killed midway"
    assert not [path for path in kept if path.suffix != ".json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)
    assert len(json.loads(done.stdout)["submissions"]) == SIZE
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_mended_question_and_another_sheet_are_marked_anew(room: Path, marks: Path, marked: dict[str, Any]) -> None:
    counts: list[int] = []
    again = classes.marked(collect(room), Marking(None, Kept(marks / "kept")), counts.append)
    assert (again, counts) == (marked, [SIZE])
    source = (ROOT / "lab/grade/assignments/tcp-open.toml").read_text("utf-8")
    mended = parse(re.sub("points = 1\n", "points = 2\n", source, count=1).encode(), "tcp-open")
    counts.clear()
    anew = classes.marked(collect(room)[:2], Marking(mended, Kept(marks / "kept")), counts.append)
    assert counts == [0, 1, 2]
    assert anew["submissions"][0]["of"] == load("tcp-open").points + 1
