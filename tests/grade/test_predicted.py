"""What is predicted in the debugger counts as an answer, in the capture in which it was said and nowhere else."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from lab.capture.pcapng import Writer
from lab.capture.reader import open_capture
from lab.grade import submissions
from lab.grade.assignment import parse
from lab.grade.predicted import predicted
from lab.grade.sheet import Sheet
from lab.grade.submissions import graded
from lab.grade.variant import Variant, written
from lab.protocols.choices import Choices
from lab.report.predictions import PREFIX, Record, read
from tests.places import ROOT, TESTS

FURTHER = (TESTS / "grade" / "further.toml").read_bytes()
SHEET = Sheet("further", "s1", {})
ANSWERS = b'assignment = "further"\nstudent = "s1"\n[answers]\n'


@pytest.fixture(scope="module")
def folder(namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student's folder, whose variant was stepped through with two predictions."""
    made = tmp_path_factory.mktemp("student")
    variant = Variant("further", "s1", "tcp/connection", Choices())
    (made / "variant.toml").write_text(written(variant), encoding="utf-8")
    (made / "answers.toml").write_bytes(ANSWERS)
    lines = "until client ACK\npredict before: FIN-WAIT-2\npredict before: FIN-WAIT-1\nstep\npredict before: CLOSED\n"
    done = subprocess.run(
        [sys.executable, "-m", "lab", "step", "--variant", str(made), "--lang", "en"],
        input=lines, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "noted: before: FIN-WAIT-1" in done.stdout
    return made


def comments(capture: Path) -> dict[int, tuple[str, ...]]:
    return {frame.number: frame.comments for frame in open_capture(str(capture))}


def test_a_prediction_stands_beside_the_packet_that_was_held(folder: Path) -> None:
    found = comments(folder / "capture.pcapng")
    assert [len(each) for each in found.values()].count(0) == len(found) - 2, "nothing else is said in it"
    (first,) = [each for each in found.values() if len(each) == 2]
    records = [read(each) for each in first]
    assert [each.said for each in records if each] == ["FIN-WAIT-2", "FIN-WAIT-1"]
    assert {each.variant for each in records if each} == {"further:s1"}


def test_it_is_marked_by_the_first_packets_last_answer(folder: Path) -> None:
    assert predicted(folder / "capture.pcapng", SHEET) == ({"before": "FIN-WAIT-1"}, None)
    found = graded(parse(FURTHER, "further"), submissions.read(folder))
    assert found.marks[0].status == "right"


def test_it_counts_for_nobody_else(folder: Path) -> None:
    answers, wrong = predicted(folder / "capture.pcapng", SHEET._replace(student="s2"))
    assert answers == {}
    assert wrong is not None
    assert wrong.en.startswith("3 predictions in the capture do not belong there")


def test_a_record_that_is_carried_to_another_capture_shows(folder: Path, tmp_path: Path) -> None:
    """Here to a capture of the same scenario: the numbers of its packets are others."""
    said, other = comments(folder / "capture.pcapng"), io.BytesIO()
    writer = Writer(other)
    for frame in open_capture(str(ROOT / "captures" / "tcp-connection.pcapng")):
        writer.packet(frame, said.get(frame.number, ()))
    writer.finish()
    carried = tmp_path / "capture.pcapng"
    carried.write_bytes(other.getvalue())
    answers, wrong = predicted(carried, SHEET)
    assert answers == {}
    assert wrong is not None
    (tmp_path / "answers.toml").write_bytes(ANSWERS)
    assert wrong in submissions.read(tmp_path).problems


@pytest.mark.parametrize(
    "comment",
    ["", "lab1 {}", PREFIX, PREFIX + "[]", PREFIX + "{}", PREFIX + "[" * 9000, PREFIX + '{"said": 3}',
     Record(None, None, "x" * 9000, 1, 1, None).written(), Record(None, None, "x", None, 1, None).written()],  # type: ignore[arg-type]  # a record without its packet
)  # fmt: skip
def test_what_is_no_record_is_passed_over(comment: str) -> None:
    assert read(comment) is None
