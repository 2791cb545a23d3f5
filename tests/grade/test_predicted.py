"""What is predicted in the debugger counts as an answer, in the capture in which it was said and nowhere else."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab.capture.pcapng import Writer
from lab.capture.reader import open_capture
from lab.grade import submissions
from lab.grade.assignment import load, parse
from lab.grade.checking import examined
from lab.grade.handing_out import fill
from lab.grade.marking import Mark
from lab.grade.predicted import predicted
from lab.grade.sheet import Sheet
from lab.grade.submissions import graded
from lab.grade.variant import Variant, derive, written
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
    lines = (
        "until client ACK\npredict before: FIN-WAIT-2\npredict before: FIN-WAIT-1\nuntil FIN\npredict before: CLOSED\n"
    )
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


def test_it_is_marked_by_the_last_answer_before_the_packet_showed(folder: Path) -> None:
    said, wrong = predicted(folder / "capture.pcapng", SHEET)
    assert ([each.answer for each in said["before"]], wrong) == (["FIN-WAIT-2", "FIN-WAIT-1", "CLOSED"], None)
    found = graded(parse(FURTHER, "further"), submissions.read(folder))
    assert found.marks[0].status == "right"


@pytest.mark.parametrize("student", ["S1", "s1 ", "ｓ１"])
def test_it_counts_however_the_student_s_id_is_typed(folder: Path, student: str) -> None:
    said, wrong = predicted(folder / "capture.pcapng", SHEET._replace(student=student))
    assert (len(said["before"]), wrong) == (3, None)


def test_it_counts_in_a_capture_that_was_compressed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "capture.pcapng").write_bytes(gzip.compress((folder / "capture.pcapng").read_bytes()))
    assert predicted(tmp_path / "capture.pcapng", SHEET) == predicted(folder / "capture.pcapng", SHEET)


@pytest.mark.parametrize("sheet", [SHEET._replace(student="s2"), SHEET._replace(assignment="Further")])
def test_it_counts_for_nobody_else(folder: Path, sheet: Sheet) -> None:
    answers, wrong = predicted(folder / "capture.pcapng", sheet)
    assert answers == {}
    assert wrong is not None
    assert wrong.en.startswith("predictions in the capture that do not belong there: 3.")


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
     Record(None, None, "x" * 9000, 1, 1, None, 1).written(), Record(None, None, "x", None, 1, None, 1).written(),  # type: ignore[arg-type]  # a record without its packet
     Record(None, None, "x", 2, 1, None, 1).written()],
)  # fmt: skip
def test_what_is_no_record_is_passed_over(comment: str) -> None:
    assert read(comment) is None


# An assignment that comes with the lab, as a student plays it.

OPEN = load("tcp-open")


def stepped(folder: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lab", "step", "--variant", str(folder), "--again", "--lang", "en"],
        input="\n".join(lines) + "\n", capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def handed_out(namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tcp-open")
    fill(folder, OPEN, derive(OPEN, "s1", b"k" * 32), ("en",))
    assert "lab step --variant ." in (folder / "handout.md").read_text("utf-8")
    return folder


def predictions(folder: Path) -> tuple[Mark, list[str]]:
    """Returns the mark of the prediction, and the faults that `lab check` tells the student of."""
    marks = {each.question.id: each for each in graded(OPEN, submissions.read(folder)).marks}
    return marks["next-ack"], [each.about for each in examined(folder) if each.status == "fault"]


def test_a_student_predicts_what_the_wire_does_not_show_yet_and_has_the_points(handed_out: Path) -> None:
    assert stepped(handed_out, "until SYN-ACK", "predict next-ack: 1").returncode == 0
    told = comments(handed_out / "capture.pcapng")
    (record,) = [found for each in told.values() for comment in each if (found := read(comment))]
    assert (record.packet, record.seen) == (2, 2)
    mark, faults = predictions(handed_out)
    assert (mark.code, mark.credit) == ("relative-for-raw", 50)
    assert faults == []


def test_who_reads_what_is_held_knows_what_comes_next(handed_out: Path) -> None:
    command = [sys.executable, "-m", "lab", "step", "--variant", str(handed_out), "--again", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        run.stdin.write("until SYN-ACK\n")
        run.stdin.flush()
        events = map(json.loads, run.stdout)
        held = next(each for each in events if each.get("event") == "packet-sent" and each["packet"] == 2)
        run.stdin.write(f"predict next-ack: {(held['seq_raw'] + 1) % (1 << 32)}\n")
        run.stdin.close()
        for _ in run.stdout:
            pass
    assert run.returncode == 0
    assert predictions(handed_out)[0].status == "right"


@pytest.mark.parametrize("lines", [("until client ACK", "predict next-ack: 1"),
                                   ("until client ACK", "back 2", "predict next-ack: 1")])  # fmt: skip
def test_what_has_shown_can_be_predicted_no_more(handed_out: Path, lines: tuple[str, ...]) -> None:
    """Nor by who looks back to what was before."""
    assert stepped(handed_out, *lines).returncode == 0
    mark, faults = predictions(handed_out)
    assert (mark.code, mark.credit) == ("late", 0)
    assert "next-ack" in faults


def test_when_it_is_over_nothing_can_be_predicted_by_looking_back(handed_out: Path) -> None:
    done = stepped(handed_out, "continue", "back 9", "predict next-ack: 1", "quit")
    assert "noted" not in done.stdout
    assert predictions(handed_out)[0].status == "empty"
