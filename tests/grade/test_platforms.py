"""Marks as teaching platforms want them: held against the formats that their publishers have written down.

Gradescope: gradescope-autograders.readthedocs.io/en/latest/specs/. PrairieLearn: docs/externalGrading.md. Classroom 50:
"The result.json contract". Moodle: the offline grading worksheet. Canvas: the gradebook's export.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lab.app import grade as app
from lab.app.formats import FormOfMarks as Form
from lab.app.marks import ON_PLATFORMS, Asked, other_account
from lab.errors import InputError
from lab.grade import autograder, sheet
from lab.grade.assignment import load
from lab.grade.feedback import DEGREES, as_json, within
from lab.grade.gradebook import Filled, comment, csv_of, filled, moodle_csv, nobodys
from lab.grade.marking import mark
from lab.grade.reports.platforms import classroom50, gradescope, prairielearn
from lab.grade.reports.student import as_html, as_markdown
from lab.text import LANGUAGES, Lang
from tests.grade.shared import facts, filled_in, right, stepped_through
from tests.places import ROOT

OPEN = load("tcp-open")
in_both_languages = pytest.mark.parametrize("lang", LANGUAGES)
STRING = {"type": "string"}
COUNT = {"type": "number", "minimum": 0}

GRADESCOPE = {
    "type": "object",
    "required": ["score", "output", "tests"],
    "properties": {
        "score": COUNT, "execution_time": COUNT, "output": STRING, "extra_data": {"type": "object"},
        "output_format": {"enum": ["text", "simple_format", "html", "md", "ansi"]},
        "test_output_format": {"enum": ["text", "simple_format", "html", "md", "ansi"]},
        "test_name_format": {"enum": ["text", "simple_format", "html", "md", "ansi"]},
        "visibility": {"const": "visible"},  # hidden would hide the total
        "stdout_visibility": {"enum": ["hidden", "after_due_date", "after_published", "visible"]},
        "leaderboard": {"type": "array"},
        "tests": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["score", "max_score", "status", "name", "visibility"],
                "properties": {
                    "score": COUNT, "max_score": COUNT, "status": {"enum": ["passed", "failed"]}, "name": STRING,
                    "name_format": STRING, "number": STRING, "output": STRING, "output_format": STRING,
                    "tags": {"type": "array", "items": STRING}, "visibility": {"const": "visible"},
                    "extra_data": {"type": "object"},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}  # fmt: skip
PRAIRIELEARN = {
    "oneOf": [
        {
            "required": ["gradable", "score", "tests"],
            "properties": {
                "gradable": {"const": True}, "score": {"type": "number", "minimum": 0, "maximum": 1},
                "message": STRING, "output": STRING,
                "images": {
                    "type": "array",
                    "items": {
                        "required": ["url"],
                        "properties": {"label": STRING, "url": {"type": "string", "pattern": "^data:image/"}},
                    },
                },
                "tests": {
                    "type": "array",
                    "items": {
                        "required": ["name", "points", "max_points"],
                        "properties": {
                            "name": STRING, "description": STRING, "points": COUNT, "max_points": COUNT,
                            "message": STRING, "output": STRING,
                        },
                        "additionalProperties": False,
                    },
                },
            },
            "additionalProperties": False,
        },
        {
            "required": ["gradable", "format_errors"],
            "properties": {
                "gradable": {"const": False},
                "format_errors": {"type": "array", "items": STRING, "minItems": 1},
            },
            "additionalProperties": False,
        },
    ]
}  # fmt: skip
INSTANT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}
CLASSROOM50 = {
    "required": [
        "schema", "classroom", "assignment", "submission", "commit", "release", "review", "datetime", "score",
        "max-score", "tests",
    ],
    "properties": {
        "schema": {"const": "classroom50/result/v1"}, "datetime": INSTANT, "graded_at": INSTANT,
        "score": {"type": "integer"}, "max-score": {"type": "integer"},
        **{
            name: {"type": "string", "minLength": 1}
            for name in ("classroom", "assignment", "submission", "commit", "release", "review")
        },
        "tests": {
            "type": "array",
            "items": {
                "required": ["test-name", "passed", "score", "max-score"],
                "properties": {
                    "test-name": STRING, "passed": {"type": "boolean"}, "score": {"type": "integer"},
                    "max-score": {"type": "integer"},
                },
            },
        },
    },
}  # fmt: skip
RUNNER = {
    "CLASSROOM": "networks", "ASSIGNMENT": "tcp-open", "SUBMISSION_TAG": "submit/2026-06-01T14-32-05Z-a1b2c3d",
    "COMMIT_URL": "https://git.example/commit/1", "RELEASE_URL": "https://git.example/release/1",
}  # fmt: skip


def marks(**answers: object) -> dict[str, Any]:
    """Returns the marks of a sheet in which all is right but these."""
    said = right(OPEN, facts("tcp/connection")) | answers
    return as_json(mark(OPEN, filled_in(OPEN, facts("tcp/connection"), said), facts("tcp/connection")))


def a_class(*students: str) -> list[dict[str, Any]]:
    return [marks(opens=2) | {"student": each, "submission": f"N_{at}"} for at, each in enumerate(students, 1)]


@in_both_languages
@pytest.mark.parametrize("degree", DEGREES)
def test_gradescope_has_what_its_specification_asks_for_and_hides_nothing(degree: Any, lang: Lang) -> None:
    told = within(marks(opens=2, window=63), degree)
    found = gradescope(told, lang)
    Draft202012Validator(GRADESCOPE).validate(found)
    assert found["score"] == told["points"]
    assert len(found["tests"]) == (0 if degree == "none" else len(OPEN.questions))
    assert f"{told['points']:g}" in found["output"]
    assert ("64512" in json.dumps(found)) is (degree == "full")
    failed = [each["name"] for each in found["tests"] if each["status"] == "failed"]
    assert failed == ([] if degree == "none" else ["opens", "window"])


def test_a_question_for_a_person_counts_nothing_there_before_that() -> None:
    told = marks()
    told["questions"][0] |= {"status": "person", "points": 0}
    told |= {"pending": 1, "points": told["points"] - 1}
    first = gradescope(told, "en")["tests"][0]
    assert (first["status"], first["score"], first["max_score"]) == ("passed", 0, 0)
    assert prairielearn(told, "en")["score"] == 1.0
    decided = told["questions"][0] | {"override": {"points": 0, "was": 0, "why": ""}}
    told["questions"][0] = decided
    assert gradescope(told, "en")["tests"][0]["status"] == "failed"


@pytest.mark.parametrize("status", ["person", "wrong", "malformed"])
def test_what_a_person_has_decided_is_said_in_place_of_what_the_lab_did(status: str) -> None:
    told = marks(opens=2)
    question = told["questions"][0]
    assert (question["points"], question["of"]) == (0, 1)
    before = question["said"]["en"]
    question |= {"status": status, "points": 1, "override": {"points": 1, "was": 0, "why": "well argued"}}
    decision = "Marked by a person: 1. well argued"
    if status != "person":
        decision = "Decided by a person: 1 instead of 0. well argued"
    assert f"opens 1/1: {decision}" in comment(told, "en")
    assert gradescope(told, "en")["tests"][0]["status"] == "passed"
    assert classroom50(told, {}, "2026-06-02T00:00:00Z")["tests"][0]["passed"] is True
    assert prairielearn(told, "en")["tests"][0]["points"] == 1
    markdown = as_markdown(told, "en").replace("\\", "")
    for said in (comment(told, "en"), markdown, as_html(told, "en"), json.dumps(gradescope(told, "en"))):
        assert decision in said
        assert before not in said
    question |= {"status": "right", "points": 0.5, "override": {"points": 0.5, "was": 1, "why": ""}}
    assert "opens 0.5/1: Decided by a person: 0.5 instead of 1." in comment(told, "en")
    assert gradescope(told, "en")["tests"][0]["status"] == "failed"
    assert "◐ opens" in as_markdown(told, "en")


@in_both_languages
def test_prairielearn_has_points_and_max_points_on_every_test(lang: Lang) -> None:
    told = marks(opens=2)
    told["findings"] = [{"code": "checksum", "said": {"en": "wrong", "zh": "错"}, "packets": [1]}]
    found = prairielearn(told, lang, {lang: "<svg/>"})
    Draft202012Validator(PRAIRIELEARN).validate(found)
    assert found["score"] == pytest.approx(told["points"] / told["of"], abs=1e-6)
    assert sum(each["points"] for each in found["tests"]) == told["points"]
    assert sum(each["max_points"] for each in found["tests"]) == told["of"]
    assert found["tests"][-1]["max_points"] == 0
    assert len(found["images"]) == 1
    assert "images" not in prairielearn(told, lang, {lang: "x" * 600_000})


def test_what_can_not_be_read_costs_no_attempt_at_prairielearn() -> None:
    for told in (marks(opens="the first one"), marks() | {"capture": None, "problems": [{"en": "none", "zh": "无"}]}):
        found = prairielearn(told, "en")
        Draft202012Validator(PRAIRIELEARN).validate(found)
        assert found["gradable"] is False


def test_nothing_that_is_right_is_told_with_what_can_not_be_read() -> None:
    (said,) = prairielearn(marks(window="wide"), "en")["format_errors"]
    assert "window" in said
    assert "64512" not in said


def test_classroom_50_counts_in_whole_numbers_and_keeps_when_it_was_handed_in() -> None:
    told = marks(**{"syn-flags": ["SYN", "PSH"]})
    first, again = (classroom50(told, RUNNER, now) for now in ("2026-06-02T00:00:00Z", "2026-07-01T00:00:00Z"))
    for found in (first, again):
        Draft202012Validator(CLASSROOM50).validate(found)
        assert found["datetime"] == "2026-06-01T14:32:05Z"
        assert found["score"] == sum(each["score"] for each in found["tests"]) == 1875
        assert found["max-score"] == sum(each["max-score"] for each in found["tests"]) == 1900
    assert first["graded_at"] != again["graded_at"]
    without = classroom50(told, {}, "2026-06-02T00:00:00Z")
    assert without["datetime"] == "2026-06-02T00:00:00Z"


# Gradebooks.


@in_both_languages
def test_moodle_gets_grade_and_feedback_together(lang: Lang) -> None:
    rows = list(csv.DictReader(io.StringIO(moodle_csv(a_class("s1", "", "s3"), lang))))
    assert [row["ID number"] for row in rows] == ["s1", "s3"]
    assert all(row["Grade"] == "18" and "opens 0/1" in row["Feedback"] for row in rows)


@given(st.text(max_size=40))
def test_no_report_for_a_gradebook_has_a_formula_or_markup_of_a_student_s(evil: str) -> None:
    told = marks() | {"student": evil, "submission": evil, "problems": [{"en": evil, "zh": evil}]}
    marked = {"submissions": [told], "unmarked": []}
    for said in (moodle_csv([told], "en"), csv_of(marked)):
        for row in csv.reader(io.StringIO(said)):
            assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in row)
    assert "<" not in comment(told, "en").replace("<br>", "")


CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Opening a TCP connection (4711),Other (12),Final Score\r\n"
    "    Points Possible,,,,,19,10,\r\n"
    '"Last, First",1,S1,s1@example.com,A,,7,80\r\n'
    '"=cmd(), X",2,S2,s2@example.com,A,3,8,81\r\n'
    "Test Student,9,,x,A,,,\r\n"
)


@pytest.mark.parametrize("column", ["Opening a TCP connection", "Opening a TCP connection (4711)"])
def test_of_canvas_only_our_column_is_filled_and_only_that_comes_back(column: str) -> None:
    found = filled(CANVAS, a_class("s1", "S2", "nobody"), [column], "en")
    rows = list(csv.reader(io.StringIO(found.text)))
    assert rows[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Opening a TCP connection (4711)"]
    assert [row[-1] for row in rows[1:]] == ["19", "18", "18", ""]
    assert [row[1:5] for row in rows] == [row[1:5] for row in csv.reader(io.StringIO(CANVAS))]
    assert [row[0] for row in rows[1:]] == ["    Points Possible", "Last, First", "'=cmd(), X", "Test Student"]
    assert (found.rows, found.lost) == (2, ("N_3",))


@pytest.mark.parametrize("other", ["s1", " S1 ", "ｓ1"])
def test_a_student_that_two_submissions_name_gets_no_points_by_guessing(other: str) -> None:
    found = filled(CANVAS, a_class("s1", other, "nobody"), ["Opening a TCP connection"], "en")
    assert (found.rows, found.lost, found.twice) == (0, ("N_1", "N_2", "N_3"), ("N_1", "N_2"))
    rows = list(csv.DictReader(io.StringIO(moodle_csv(a_class("s1", other, "s3", ""), "en"))))
    assert [row["ID number"] for row in rows] == ["s3"]
    assert nobodys(a_class("s1", other, "s3", "")) == ("N_1", "N_2", "N_4")


@pytest.mark.parametrize(
    "folders",
    [("lastfirst_1", "cmdx_2"), ("S1", "s2"), ("s1@example.com", "S2")],
    ids=["as Canvas calls them", "by id", "by e-mail address"],
)
def test_who_has_handed_it_in_counts_more_than_whom_the_sheet_names(folders: tuple[str, str]) -> None:
    """The second has written the first one's id: neither gets the other's points, nor loses their own."""
    mine, theirs = a_class("s1", "s1")
    told = [mine | {"submission": folders[0], "points": 5}, theirs | {"submission": folders[1], "points": 7}]
    for order in (told, told[::-1], told[1:]):
        found = filled(CANVAS, order, ["Opening a TCP connection"], "en")
        rows = list(csv.reader(io.StringIO(found.text)))
        assert [row[-1] for row in rows[2:4]] == ["5" if len(order) == 2 else "", "7"]
        assert (found.lost, found.twice) == ((), ())


def test_a_number_alone_is_no_account_of_canvas() -> None:
    """A teacher's own folder may end in one."""
    found = filled(CANVAS, [a_class("s2")[0] | {"submission": "week_1"}], ["Opening a TCP connection"], "en")
    assert [row[-1] for row in csv.reader(io.StringIO(found.text))][2:4] == ["", "18"]


MOODLE = (
    "Identifier,Full name,ID number,Email address,Status,Grade,Maximum Grade,Grade can be changed,"
    "Last modified (grade),Feedback comments\r\n"
    "Participant 2,Ann,,ann@example.com,Submitted,,19.00,Yes,-,\r\n"
    "Participant 77,Bob,S1,bob@example.com,Submitted,,19.00,Yes,-,\r\n"
    "Participant 78,Eve,S9,eve@example.com,No submission,,19.00,Yes,-,\r\n"
)


def test_a_worksheet_of_moodle_is_filled_by_participant_and_by_id() -> None:
    bob, ann = a_class("s1", "whoever")
    found = filled("\ufeff" + MOODLE, [bob, ann | {"submission": "Group A-Ann_2"}], [], "en")
    rows = list(csv.DictReader(io.StringIO(found.text)))
    assert [row["Grade"] for row in rows] == ["18", "18", ""]
    assert rows[0]["Feedback comments"].startswith("18 of 19 points<br>")
    assert found.lost == ()
    assert [row["Maximum Grade"] for row in rows] == ["19.00"] * 3


def test_a_number_alone_is_a_participant_only_where_nobody_is_named() -> None:
    """A teacher's own folder may end in one; where marking is blind, the worksheet has no names."""
    (told,) = a_class("S9")
    own = told | {"submission": "wang_2"}
    for name in ("wang_2", "Group A-Joann_2", "_2"):
        assert grades(filled(MOODLE, [told | {"submission": name}], [], "en")) == ["", "", "18"]
    blind = "Identifier,Status,Grade\r\nParticipant 2,Submitted,\r\nParticipant 77,Submitted,\r\n"
    assert grades(filled(blind, [own], [], "en")) == ["18", ""]


def grades(found: Filled) -> list[str]:
    return [row["Grade"] for row in csv.DictReader(io.StringIO(found.text))]


def test_what_fits_several_rows_is_entered_in_none() -> None:
    """One student's number at Canvas is another one's id at school."""
    export = CANVAS.replace(",1,S1,", ",1042,S1,").replace(",2,S2,", ",2,1042,")
    by_folder, by_sheet = a_class("", "1042")
    for told in (by_folder | {"submission": "1042"}, by_sheet):
        found = filled(export, [told], ["Opening a TCP connection"], "en")
        assert (found.rows, found.lost, found.unclear) == (0, (told["submission"],), (told["submission"],))


@pytest.mark.parametrize("names", [("S1", "s1"), ("S1", "Bob_77"), ("S1", "bob@example.com")])
def test_of_two_submissions_that_fit_one_row_neither_is_entered(names: tuple[str, str]) -> None:
    found = filled(
        MOODLE, [each | {"submission": at} for each, at in zip(a_class("", ""), names, strict=True)], [], "en"
    )
    assert (found.rows, found.lost, found.unclear) == (0, names, names)


@pytest.mark.parametrize("export", ["", "a,b\n1,2\n", CANVAS.replace("Opening", "Closing"), "x" * (17 << 20), '"a'])
def test_what_is_no_gradebook_is_refused(export: str) -> None:
    with pytest.raises(InputError):
        filled(export, a_class("s1"), ["Opening a TCP connection"], "en")


def test_who_has_exported_in_another_language_is_told_what_to_do() -> None:
    with pytest.raises(InputError) as caught:
        filled(MOODLE.replace("Identifier", "标识符").replace("Grade", "成绩"), a_class("s1"), [], "en")
    assert "English" in caught.value.hint.en
    assert "英文" in caught.value.hint.zh


# The command.


@pytest.mark.parametrize("form", [Form.GRADESCOPE, Form.PRAIRIELEARN])
def test_who_may_try_again_is_not_told_what_is_right(handed_in: Path, tmp_path: Path, form: Form) -> None:
    out = tmp_path / "out"
    app.grade(Asked(handed_in, "", None, form, out), "en")
    assert "In your capture" not in out.read_text("utf-8")
    app.grade(Asked(handed_in, "", "full", form, out), "en")
    assert "In your capture" in out.read_text("utf-8")


def test_an_export_is_filled_with_what_a_teacher_has_decided(handed_in: Path, tmp_path: Path) -> None:
    """Whatever language the course's column has."""
    marks_, export, out = tmp_path / "marks", tmp_path / "canvas.csv", tmp_path / "filled.csv"
    marks_.mkdir()
    decided = '[[override]]\nsubmission = "submission"\nquestion = "opens"\npoints = 1\n'
    (marks_ / "overrides.toml").write_text(decided, "utf-8")
    export.write_text(CANVAS, "utf-8")
    for lang in LANGUAGES:
        app.grade(Asked(handed_in, "", None, Form.TABLE, out, marks_, fill=export), lang)
        assert '"Last, First",1,S1,s1@example.com,A,19\r\n' in out.read_bytes().decode("utf-8")


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    folder = tmp_path / "submission"
    folder.mkdir()
    answers = right(OPEN, facts("tcp/connection")) | {"opens": 2}
    (folder / sheet.NAME).write_text(sheet.written(OPEN, "s1", "en", answers), "utf-8")
    (folder / "capture.pcapng").write_bytes(stepped_through(OPEN, facts("tcp/connection"), answers))
    return folder


@pytest.mark.parametrize("form", Form)
def test_every_form_is_written_to_a_file_and_has_no_path_in_it(handed_in: Path, tmp_path: Path, form: Form) -> None:
    out = tmp_path / "out"
    app.grade(Asked(handed_in, "", "full", form, out), "zh")
    said = out.read_text("utf-8")
    assert "18" in said
    assert str(tmp_path) not in said


def test_a_platform_s_form_is_of_one_submission_and_a_gradebook_s_of_a_class(tmp_path: Path, handed_in: Path) -> None:
    room = tmp_path / "class"
    for name in ("a", "b"):
        shutil.copytree(handed_in, room / name)
    app.grade(Asked(room, "", "full", Form.CLASSROOM50, tmp_path / "out"), "en")
    assert "classroom50 is a form of one submission" in (tmp_path / "out").read_text("utf-8")
    export, out = tmp_path / "canvas.csv", tmp_path / "filled.csv"
    export.write_text(CANVAS, "utf-8")
    app.grade(Asked(handed_in, "", "full", Form.TABLE, out, fill=export), "en")
    assert ",18\r\n" in out.read_bytes().decode("utf-8")


@pytest.mark.parametrize("form", ON_PLATFORMS)
def test_a_repository_with_sheet_and_capture_in_folders_of_their_own_is_one_submission(
    tmp_path: Path, handed_in: Path, form: Form
) -> None:
    """Whatever else is in it, but for a second sheet."""
    repository, out = tmp_path / "repository", tmp_path / "out"
    for name in ("sheet", "cap", "notes", ".git"):
        (repository / name).mkdir(parents=True)
    (repository / "README.md").write_text("mine")
    (repository / ".git" / "HEAD").write_text("ref")
    for name, folder in ((sheet.NAME, "sheet"), ("capture.pcapng", "cap")):
        (handed_in / name).rename(repository / folder / name)
    app.grade(Asked(repository, "", "full", form, out), "en")
    assert "18" in out.read_text("utf-8")


@pytest.mark.parametrize(("form", "schema"), [*zip(ON_PLATFORMS, (GRADESCOPE, PRAIRIELEARN, CLASSROOM50), strict=True)])
def test_what_can_not_be_marked_is_a_result_where_one_is_waited_for(
    tmp_path: Path, form: Form, schema: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in RUNNER.items():
        monkeypatch.setenv(name, value)
    empty, out = tmp_path / "empty", tmp_path / "out"
    empty.mkdir()
    app.grade(Asked(empty, "", "full", form, out), "en")
    found = json.loads(out.read_text("utf-8"))
    Draft202012Validator(schema).validate(found)
    assert "has no submissions in it" in json.dumps(found)
    assert not any(each["passed"] for each in found.get("tests", ()))


@pytest.mark.parametrize(
    ("account", "said"), [("s1@example.com", False), ("S1", False), (" ｓ 1", False), ("eve@example.com", True)]
)
def test_a_sheet_of_another_account_is_told(handed_in: Path, tmp_path: Path, account: str, said: bool) -> None:
    metadata, out = tmp_path / "submission_metadata.json", tmp_path / "out"
    metadata.write_text(json.dumps({"users": [{"email": account, "id": 7, "name": "N"}]}))
    app.grade(Asked(handed_in, "", "full", Form.GRADESCOPE, out, metadata=metadata), "en")
    assert ("the account another's" in out.read_text("utf-8")) is said
    metadata.write_text("[]")
    with pytest.raises(InputError):
        other_account({"student": "s"}, metadata, "en")


# The autograder.


def test_the_autograder_s_zip_is_the_same_each_time_and_has_no_key(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with pytest.raises(InputError):
        autograder.pack(tmp_path / "none.zip", "tcp-open", "reason", wheels, "en")
    (wheels / "a-1-py3-none-any.whl").write_bytes(b"wheel")
    (wheels / "course.key").write_bytes(b"secret")
    zips = [tmp_path / name for name in ("a.zip", "b.zip")]
    for path in zips:
        autograder.pack(path, "tcp-open", "reason", wheels, "en")
    assert zips[0].read_bytes() == zips[1].read_bytes()
    with zipfile.ZipFile(zips[0]) as archive:
        names = archive.namelist()
        modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
        needs = archive.read("requirements.txt").decode()
    assert {"setup.sh", "run_autograder", "requirements.txt", "assignment.toml", "lab/app/cli.py"} <= set(names)
    assert modes["setup.sh"] == modes["run_autograder"] == 0o755
    assert "wheels/a-1-py3-none-any.whl" in names
    assert not [name for name in names if name.endswith(".key")]
    assert "typer" in needs
    assert "pytest" not in needs


@pytest.mark.slow
def test_the_autograder_marks_as_gradescope_calls_it(handed_in: Path, tmp_path: Path) -> None:
    """In the folders that its harness makes, with the packages of this machine in place of what setup.sh installs."""
    root = tmp_path / "autograder"
    packed = tmp_path / "packed.zip"
    autograder.pack(packed, str(ROOT / "lab/grade/assignments/tcp-open.toml"), "reason", None, "zh")
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(root / "source")
    shutil.copytree(handed_in, root / "submission")
    shutil.copy(root / "source/run_autograder", root / "run_autograder")
    (root / "venv/bin").mkdir(parents=True)
    (root / "venv/bin/python").symlink_to(sys.executable)
    (root / "submission_metadata.json").write_text(json.dumps({"users": [{"email": "s1@example.com"}]}))
    packages = os.pathsep.join([str(root / "source"), *(each for each in sys.path if "site-packages" in each)])
    environment = {**os.environ, "AUTOGRADER_ROOT": str(root), "PYTHONPATH": packages}

    def run() -> Any:
        done = subprocess.run(
            ["bash", str(root / "run_autograder")], env=environment, capture_output=True, timeout=100, check=False
        )
        found = json.loads((root / "results/results.json").read_text("utf-8"))
        Draft202012Validator(GRADESCOPE).validate(found)
        return done, found

    done, found = run()
    assert done.returncode == 0
    assert (found["score"], found["output"]) == (18, "18 of 19 points")  # in the sheet's language
    assert "packet 1" not in json.dumps(found, ensure_ascii=False)  # what would have been right
    assert "得分 18 / 19" in done.stdout.decode()  # for the instructors
    for path in (root / "submission").iterdir():
        path.unlink()
    assert run()[1]["score"] == 0
    shutil.rmtree(root / "source/lab")
    _, found = run()
    assert (found["score"], found["output"]) == (0, "未能评阅，请联系教师。")
    for script in ("setup.sh", "run_autograder"):
        subprocess.run(["bash", "-n", str(root / "source" / script)], check=True)
