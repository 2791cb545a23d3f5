"""`lab assign` and `lab grade` as they are called."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from lab.grade import sheet
from lab.grade.assignment import load
from lab.report.schema import grade as schema
from tests.grade.shared import capture, facts, right, stepped_through
from tests.places import ROOT


def lab(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lab", *words], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60, check=False
    )


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    """A submission in which all is right but one answer."""
    assignment = load("tcp-open")
    answers = right(assignment, facts("tcp/connection")) | {"window": facts("tcp/connection").packets[2].window}
    (tmp_path / "answers.toml").write_text(sheet.written(assignment, "s1", "en", answers), "utf-8")
    (tmp_path / "capture.pcapng").write_bytes(stepped_through(assignment, facts("tcp/connection"), answers))
    return tmp_path


def test_a_submission_is_marked_as_a_table_and_as_json(handed_in: Path) -> None:
    done = lab("grade", str(handed_in), "--lang", "en")
    assert (done.returncode, done.stderr) == (0, "")
    assert "18 of 19 points" in done.stdout
    assert "This is the field as it stands." in done.stdout
    assert "In your capture: 64512 bytes" in done.stdout
    marks = json.loads(lab("grade", str(handed_in), "--json", "--feedback", "reason").stdout)
    Draft202012Validator(schema()).validate(marks)
    assert marks["points"] == 18
    assert "64512" not in json.dumps(marks)


def test_a_sheet_of_another_assignment_than_the_one_asked_for_is_told(handed_in: Path) -> None:
    of_another = "the answer sheet is of tcp-open: it was marked by tcp-close"
    marks = json.loads(lab("grade", str(handed_in), "--json", "--assignment", "tcp-close").stdout)
    assert of_another in [each["en"] for each in marks["problems"]]
    assert json.loads(lab("grade", str(handed_in), "--json", "--assignment", "tcp-open").stdout)["problems"] == []
    (handed_in / "answers.toml").write_text("[answers]\n")
    marks = json.loads(lab("grade", str(handed_in), "--json", "--assignment", "tcp-close").stdout)
    assert of_another not in [each["en"] for each in marks["problems"]]


def test_what_lies_beside_a_class_s_submissions_is_named(tmp_path: Path) -> None:
    for name in ("an", "bo"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "answers.toml").write_text('assignment = "tcp-open"\n')
    (tmp_path / "ci.rar").write_bytes(b"")
    done = lab("grade", str(tmp_path), "--lang", "en")
    note = "note: passed over, for each student's files are in a folder or a zip: ci.rar\n"
    assert (done.returncode, done.stderr) == (0, note)


def test_what_can_not_be_marked_is_said_in_two_lines(handed_in: Path) -> None:
    (handed_in / "capture.pcapng").write_bytes(b"no capture")
    done = lab("grade", str(handed_in), "--lang", "en")
    assert done.returncode == 0
    assert "capture.pcapng is neither a pcap nor a pcapng" in " ".join(done.stdout.split())
    assert str(handed_in) not in done.stdout
    assert "0 of 19 points" in done.stdout
    (handed_in / "capture.pcapng").unlink()
    (handed_in / "capture.pcapng").symlink_to(capture("tcp/connection"))
    assert "there is no capture.pcapng" in lab("grade", str(handed_in), "--lang", "en").stdout
    (handed_in / "answers.toml").write_text('assignment = "/etc/passwd"\n')
    done = lab("grade", str(handed_in), "--lang", "en")
    assert done.returncode == 2
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]
    (handed_in / "answers.toml").unlink()
    assert lab("grade", str(handed_in)).returncode == 3


def test_an_assignment_is_proved(tmp_path: Path) -> None:
    assert "tcp-open" in lab("assign").stdout
    mine = tmp_path / "mine.toml"
    said = (ROOT / "lab/grade/assignments/tcp-trouble.toml").read_text("utf-8")
    mine.write_text(said, "utf-8")
    done = lab("assign", str(mine), "--check", "--lang", "zh", "--capture", str(capture("tcp/in-trouble")))
    assert (done.returncode, done.stderr) == (0, "")
    assert "成立" in done.stdout
    mine.write_text(said.replace("seconds = 2", "seconds = 3"), "utf-8")
    done = lab("assign", str(mine), "--check", "--lang", "en")
    assert done.returncode == 1
    assert "since-the-first can never be shown" in done.stdout
