"""A whole course: variants by the course's key, real runs of them, and among them who copies, edits and attacks."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.app import assign
from lab.app import grade as app
from lab.app.formats import FormOfMarks
from lab.app.marks import Asked
from lab.capture.reader import open_capture
from lab.grade import classes, keys
from lab.grade.classes import Marking
from lab.grade.collected import collect
from lab.grade.integrity import namesakes
from lab.grade.kept import Kept
from scripts import course as courses
from scripts.classroom import Moved, moved, written
from tests.places import REFERENCES

SIZE = 45  # thirty of them do not do what they should


@pytest.fixture(scope="module")
def course(namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> courses.Course:
    return courses.make(tmp_path_factory.mktemp("course") / "tcp-close", SIZE, 12)


@pytest.fixture(scope="module")
def marks(course: courses.Course) -> Path:
    to = course.handed_in.parent / "marks"
    app.grade(Asked(course.handed_in, "", "full", FormOfMarks.TABLE, to.with_suffix(".txt"), to, course.key), "en")
    return to


@pytest.fixture(scope="module")
def marked(marks: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((marks / "marks.json").read_text("utf-8"))
    return found


def test_a_course_has_the_findings_and_the_points_that_it_must_have(
    course: courses.Course, marked: dict[str, Any]
) -> None:
    assert len(list((course.handed_in.parent / "played").iterdir())) >= 12
    assert len(course.points) >= 3, "some have all right"
    assert list(courses.faults(course, marked)) == []


def test_nothing_that_is_written_has_the_key_a_path_or_what_somebody_means_to_be_run(
    course: courses.Course, marks: Path, marked: dict[str, Any]
) -> None:
    key = keys.read(course.key).hex()
    here, passwords = str(course.handed_in.parent), Path("/etc/passwd").read_text().splitlines()[0]
    reports = [path for path in (*marks.rglob("*"), marks.with_suffix(".txt")) if path.is_file()]
    assert len(reports) > SIZE
    for path in reports:
        said = path.read_text("utf-8")
        for secret in (key, passwords, "/dev/fd", *([here] if path.suffix != ".txt" else [])):
            assert secret not in said, f"{path.name} has {secret}"
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", said.replace("\r\n", "")), path
        if path.suffix == ".html":
            assert "<script>alert" not in said
            assert "<img" not in said
        if path.suffix == ".csv":
            assert not re.search(r'(?:^|,)"?[=+@|]', said, re.MULTILINE), path


def test_copies_of_one_connection_are_found_whatever_was_changed_of_it(tmp_path: Path) -> None:
    """Moved elsewhere, and its secrets taken out, it has the client's random still; where it is opened, the key too."""
    for name in ("an", "bo"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "answers.toml").write_text(f'assignment = "wss-layers"\nstudent = "{name}"\n[answers]\n')
        shutil.copy(REFERENCES / "websocket-tls.pcapng", tmp_path / name / "capture.pcapng")
    copy = tmp_path / "bo" / "capture.pcapng"
    copy.write_bytes(written(moved(open_capture(str(copy)), Moved((5, 7), (1, 2), (40_000, 443), 10**12))))
    found = classes.marked(collect(tmp_path), Marking(None, Kept(None)))
    for each in found["submissions"]:
        (same,) = [finding for finding in each["findings"] if finding["code"] == "same-capture"]
        assert same["said"]["en"].endswith("equal client random (files that differ)")
    results = [_prints(path) for path in (REFERENCES / "websocket-tls.pcapng", copy)]
    assert results[0] == ["initial sequence numbers", "client random", "Sec-WebSocket-Key"]
    assert results[1] == ["initial sequence numbers", "client random"]


def _prints(path: Path) -> list[str]:
    from lab.grade.integrity import prints
    from lab.grade.recording import facts_of

    assert all(each.value for each in prints(facts_of(path)))
    return [each.name.en for each in prints(facts_of(path))]


def test_one_id_on_two_sheets_is_told_and_both_are_marked(tmp_path: Path) -> None:
    for name, student in (("an", "s1"), ("bo", "Ｓ1 "), ("ci", "s2"), ("di", ""), ("ed", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "answers.toml").write_text(f'assignment = "tcp-open"\nstudent = "{student}"\n[answers]\n')
    found = classes.marked(collect(tmp_path), Marking(None, Kept(None)))["submissions"]
    assert [each["submission"] for each in found] == ["an", "bo", "ci", "di", "ed"]
    assert [[(of["code"], of["others"]) for of in each["findings"]] for each in found] == [
        [("same-student", ["bo"])], [("same-student", ["an"])], [], [], []
    ]  # fmt: skip


def test_a_finding_on_very_many_names_a_few() -> None:
    many = {f"folder {number}": "s1" for number in range(300)}
    said = namesakes(many)["folder 0"][0]["said"]["en"]
    assert "folder 8 … (+291): each was marked" in said


def test_an_id_that_stands_twice_in_a_roster_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys.make(tmp_path / "course.key")
    (tmp_path / "class.csv").write_text("student\ns1\ns2\n s1\n", "utf-8")
    assign.hand_out("tcp-open", "", tmp_path / "class.csv", tmp_path / "course.key", False, tmp_path / "out", "en")
    told = capsys.readouterr()
    assert told.err == f"note: more than once in {tmp_path / 'class.csv'}, and one folder each: s1\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["s1", "s2"]


def test_a_folder_stays_a_student_s_when_another_comes_whose_id_looks_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys.make(tmp_path / "course.key")
    for roster in ("student\nAnna\n../out\n", "student\nAnna\n../out\nanna\n"):
        (tmp_path / "class.csv").write_text(roster, "utf-8")
        assign.hand_out("tcp-open", "", tmp_path / "class.csv", tmp_path / "course.key", False, tmp_path / "out", "en")
        assert "1 folder made, " in capsys.readouterr().out or roster.endswith("out\n")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert [re.sub("-[0-9a-f]{8}$", "-#", each) for each in names] == ["Anna", "_out-#", "anna-#"]


@pytest.mark.parametrize("names", [("a\x01", "a\x02", "a\ufffd"), ("a\x01", "a\x02", "a\ufffd (2)")])
def test_names_that_look_alike_are_told_apart(tmp_path: Path, names: Sequence[str]) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    assert len({each.name for each in collect(tmp_path)}) == len(names)
