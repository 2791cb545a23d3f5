"""A class is marked: each submission in its own process, whatever some of them do; stopped midway nothing is lost."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lab.app import grade as app
from lab.app.formats import FormOfMarks
from lab.app.marks import Asked
from lab.capture.reader import open_capture
from lab.errors import InputError
from lab.grade import classes, oral, pool
from lab.grade.assignment import load, parse
from lab.grade.classes import Marking
from lab.grade.collected import HandedIn, collect
from lab.grade.gradebook import csv_of
from lab.grade.integrity import edited, prints, shared
from lab.grade.kept import Kept
from lab.grade.opening import Source
from lab.grade.recording import facts_of
from lab.grade.variant import damaged, derive
from lab.grade.worker import Limits
from lab.report.schema import grade as schema
from lab.text import safe
from scripts.classroom import make, written
from tests.grade.shared import facts
from tests.places import REFERENCES, ROOT

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
    assert all(each["points"] > 5 for each in others)
    told = {each["submission"]: each["problems"][0]["en"] for each in others if each["problems"]}
    assert set(told) == {f"Student {at:02}_{1000 + at}" for at in (SIZE - 4, SIZE - 3)}, "who has copied"
    assert all("predictions in the capture that do not belong there: 1" in said for said in told.values())
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


def test_only_what_an_assignment_s_name_mends_is_answered_with_it(room: Path, tmp_path: Path) -> None:
    for name in ("an", "bo"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError) as nothing:
        classes.marked(collect(tmp_path), Marking(None, Kept(None)))
    with pytest.raises(InputError) as late:
        classes.marked(collect(room)[:1], Marking(None, Kept(None), Limits(seconds=0)))
    assert "too long" in late.value.message.en
    assert ["--assignment" in each.value.hint.en for each in (nothing, late)] == [True, False]


def test_what_marks_has_no_network_and_little_of_all_else() -> None:
    def work(one: HandedIn) -> dict[str, Any]:
        return {
            "interfaces": [name for _, name in socket.if_nameindex()],
            "namespace": str(Path("/proc/self/ns/net").readlink()),
            "memory": resource.getrlimit(resource.RLIMIT_AS)[1],
            "addressed": int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize(),
        }

    found = run(work, Limits())["a"]
    assert found["addressed"] < found["memory"] < found["addressed"] + 2 * Limits().memory, "beyond what is there"
    if found["namespace"] == str(Path("/proc/self/ns/net").readlink()):
        pytest.skip("this machine lets nobody make a network namespace")
    assert found["interfaces"] == ["lo"]


def test_whoever_imports_it_may_have_many_files_open() -> None:
    def opens(_: HandedIn) -> dict[str, Any]:
        with Path("/dev/null").open() as file:
            return {"read": file.read()}

    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(100)]
    try:
        assert run(opens, Limits()) == {"a": {"read": ""}, "b": {"read": ""}}
    finally:
        for each in opened:
            os.close(each)


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


def test_copies_and_edited_captures_are_found_and_nobody_else(marked: dict[str, Any]) -> None:
    codes = {each["submission"][8:10]: [found["code"] for found in each["findings"]] for each in marked["submissions"]}
    assert {name: found for name, found in codes.items() if found} == {
        "04": ["same-capture"],
        "05": ["same-capture"],
        "26": ["same-capture"],
        "27": ["same-capture"],
        "28": ["checksum", "missing"],
        "29": ["missing", "echo"],
    }
    finding = marked["submissions"][3]["findings"][0]
    assert (finding["others"], finding["same_file"], finding["packets"]) == (
        ["Student 27_1027"],
        True,
        [1],
    )


def test_a_copy_that_was_edited_and_the_lab_s_own_capture_are_told_apart() -> None:
    of = prints(facts("tls/1.3"))
    assert [each.name.en for each in of] == ["initial sequence numbers", "client random"]
    found = shared({"an": of, "bo": of[1:]}, {"an": "1", "bo": "2"}, {"tls-1.3.pcapng": of[:1]})
    assert [each["code"] for each in found["an"]] == ["published", "same-capture"]
    assert not found["an"][1]["same_file"]
    assert [each["code"] for each in found["bo"]] == ["same-capture"]


def test_that_a_capture_comes_with_the_lab_is_said_once_to_each() -> None:
    of = prints(facts("tls/1.3"))
    found = shared({"an": of, "bo": of[1:]}, {}, {"tls-1.3.pcapng": of})
    assert [[each["code"] for each in found[name]].count("published") for name in ("an", "bo")] == [1, 1]


@pytest.mark.parametrize("path", sorted(REFERENCES.glob("t*.pcapng")), ids=lambda path: path.stem)
def test_a_capture_that_nobody_has_touched_raises_no_suspicion(path: Path) -> None:
    """But where the wire itself has damaged, forged or held back what it passed on."""
    by_the_wire = {
        "tcp-bad-checksum": ["checksum"],
        "tcp-in-trouble": ["checksum"],
        "tcp-blind-reset": ["missing"],
        "tcp-challenge-ack": ["missing"],
        "tcp-old-timestamp": ["clock"],
    }
    assert [each["code"] for each in edited(facts_of(path))] == by_the_wire.get(path.stem, [])


def test_what_an_assignment_s_own_wire_damages_is_nobody_s_edit(tmp_path: Path) -> None:
    """One packet more is."""
    assignment, capture = load("tcp-trouble"), REFERENCES / "tcp-in-trouble.pcapng"
    assert [damaged(load(name)) for name in ("tcp-trouble", "tcp-close")] == [1, 0]
    assert edited(facts_of(capture), damaged(assignment)) == []
    frames = list(open_capture(str(capture)))
    data = bytearray(frames[6].data)
    data[-1] ^= 1
    path = tmp_path / "edited.pcapng"
    path.write_bytes(written([*frames[:6], frames[6]._replace(data=bytes(data)), *frames[7:]]))
    (found,) = edited(facts_of(path), damaged(assignment))
    assert (found["code"], found["packets"]) == ("checksum", [7, 9])


def test_clocks_that_were_changed_do_not_fit(tmp_path: Path) -> None:
    frames = list(open_capture(str(REFERENCES / "tcp-connection.pcapng")))
    later = [each._replace(time=(each.time or 0) + 10**10 * (each.number > 6)) for each in frames]
    swapped = [*frames[:4], frames[5], frames[4], *frames[6:]]
    for changed, code in ((later, "clock"), (swapped, "time")):
        (tmp_path / "changed.pcapng").write_bytes(written(changed))
        assert code in [each["code"] for each in edited(facts_of(tmp_path / "changed.pcapng"))]


def test_three_questions_are_asked_of_each_capture_and_stay_the_same(marked: dict[str, Any]) -> None:
    assert len(marked["oral"]) == SIZE - 1
    assert all(len(questions) == 3 for questions in marked["oral"].values())
    assert oral.questions(facts("tcp/connection")) == oral.questions(facts("tcp/connection"))
    for each in oral.questions(facts("tls/1.3")):
        assert f"acket {each['packet']}" in each["ask"]["en"]


def test_what_is_to_be_expected_for_an_answer_is_a_sentence() -> None:
    said = [each["expect"]["en"] for of in ("tcp/connection", "tcp/refused") for each in oral.questions(facts(of))]
    assert any(re.search(r"it takes 1 number from \d+ on$", each) for each in said)
    assert any(re.match(r"all that the (client|server) has sent before number \d+ ", each) for each in said)


def test_what_a_teacher_decides_is_kept_and_a_regrade_tells_each_difference(room: Path, tmp_path: Path) -> None:
    to = tmp_path / "marks"
    two = tmp_path / "two"
    two.mkdir()
    for path in sorted(room.iterdir())[:2]:
        shutil.copytree(path, two / path.name)

    def grade() -> tuple[dict[str, Any], str]:
        out = tmp_path / "out.txt"
        app.grade(Asked(two, "", "full", FormOfMarks.TABLE, out, to), "en")
        return json.loads((to / "marks.json").read_text("utf-8")), out.read_text("utf-8")

    first, said = grade()
    assert "last marking" not in said
    assert "Nothing has changed since the last marking." in grade()[1]
    decided = '[[override]]\nsubmission = "Student 01_1001"\nquestion = "opens"\npoints = 0.25\nwhy = "=1+1"\n'
    (to / "overrides.toml").write_text(decided)
    second, said = grade()
    question = second["submissions"][0]["questions"][0]
    was = first["submissions"][0]["questions"][0]["points"]
    assert question["override"] == {"points": 0.25, "was": was, "why": "=1+1"}
    assert second["submissions"][0]["points"] == round(first["submissions"][0]["points"] - was + 0.25, 2)
    Draft202012Validator(schema()).validate(second["submissions"][0])
    assert re.search(r"opens +[\d.]+ [a-z-]+ → 0.25 override", said)
    assert "Student 02" not in said.partition("last marking")[2]
    assert json.loads((to / "marks.before.json").read_text("utf-8")) == first
    for unclear in ("[[override]]\npoints = 1\n", decided.replace("override", "overrides"), decided * 2):
        (to / "overrides.toml").write_text(unclear)
        with pytest.raises(InputError):
            grade()
    assert json.loads((to / "marks.json").read_text("utf-8")) == second
    (to / "overrides.toml").write_text(decided)
    assert grade()[0] == second


@given(st.text())
def test_no_cell_of_a_gradebook_is_a_formula_or_steers_a_terminal(name: str) -> None:
    marks = {"student": name, "submission": "=" + name, "assignment": {"id": "x"}, "points": 1, "of": 2, "pending": 0}
    said = csv_of({"submissions": [marks | {"findings": [], "questions": []}], "unmarked": []})
    _, row = csv.reader(io.StringIO(said))
    assert len(row) == 7
    assert all(not cell.lstrip().startswith(("=", "+", "-", "@", "\t")) for cell in row)
    lines = said.split("\r\n")
    assert lines == [safe(line) for line in lines]


def test_with_the_course_s_key_a_capture_of_another_variant_is_found(tmp_path: Path) -> None:
    """What each student's variant has comes from the key and the id on the sheet."""
    (tmp_path / "answers.toml").write_text('assignment = "tcp-close"\nstudent = "s1"\n[answers]\n')
    shutil.copy(REFERENCES / "tcp-connection.pcapng", tmp_path / "capture.pcapng")
    found = classes.marked(collect(tmp_path), Marking(None, Kept(None), course=b"k" * 32))["submissions"][0]
    mine = derive(load("tcp-close"), "s1", b"k" * 32).choices
    said = "\n".join(each["said"]["en"] for each in found["findings"] if each["code"] == "variant")
    assert f"not the variant of this student: no connection to the server's port {mine.port}" in said
    Draft202012Validator(schema()).validate(found)
