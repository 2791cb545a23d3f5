"""A sheet is marked: what a student may write, what it is worth, what is said of it and what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lab.capture.reader import open_capture
from lab.errors import InputError
from lab.grade import sheet as sheets
from lab.grade.assignment import load, parse, shipped
from lab.grade.feedback import DEGREES, as_json
from lab.grade.kinds import KINDS
from lab.grade.kinds.kind import MOST_WORDS
from lab.grade.marking import Mark, mark
from lab.grade.places import seen
from lab.grade.recording import facts_of
from lab.grade.sheet import Said, Sheet
from lab.report.schema import grade as schema
from scripts.classroom import written
from tests.grade.shared import capture, facts, filled_in, right
from tests.grade.test_assignments import FURTHER

OPEN = load("tcp-open")
CLOSE = load("tcp-close")
VALIDATOR = Draft202012Validator(schema())


def marked(answers: dict[str, object], name: str = "tcp-open", scenario: str = "tcp/connection") -> dict[str, Mark]:
    assignment = load(name)
    found = mark(assignment, Sheet(name, "s", answers), facts(scenario))
    return {each.question.id: each for each in found.marks}


@pytest.mark.parametrize(
    "written", ["SYN-RECEIVED", "syn_rcvd", "SYN_RCVD", "Syn-Received", "SYN_RECV", "ＳＹＮ－ＲＣＶＤ"]
)
def test_a_state_may_be_spelled_as_the_standard_the_notes_and_linux_do(written: str) -> None:
    assert marked({"server-state": written})["server-state"].status == "right"


@pytest.mark.parametrize("written", [2, "2", " 2 ", "#2", "packet 2", "第2号包", "２"])
def test_a_packet_may_be_written_in_many_ways(written: object) -> None:
    found = marked({"opens": written})["opens"]
    assert (found.status, found.code) == ("wrong", "one-after")


@pytest.mark.parametrize(
    "written", ["0x0301", "0x301", "0301", "301", "０ｘ0301", "03 01", 0x0301, 301, pytest.param(769, id="its value")]
)
def test_a_hexadecimal_number_may_be_written_in_many_ways(written: object) -> None:
    assert marked({"record-version": written}, "tls-today", "tls/1.3")["record-version"].status == "right"


@pytest.mark.parametrize("written", ["0x0769", "769", "0x0303", 0x0769, 303, 771])
def test_a_hexadecimal_number_that_is_another_is_wrong(written: object) -> None:
    assert marked({"record-version": written}, "tls-today", "tls/1.3")["record-version"].credit < 100


@pytest.mark.parametrize("written", [float("12345e67"), 12e4, 0x37FA213D])
def test_bytes_that_toml_has_read_otherwise_are_to_be_put_in_quotes(written: object) -> None:
    found = marked({"masking-key": written}, "websocket", "websocket/connection")["masking-key"]
    assert found.status == "malformed"
    assert found.about is not None
    assert found.about.en.endswith("; in quotes")
    assert "引号" in found.about.zh


@pytest.mark.parametrize("written", ["none", "无", "没有", "None"])
def test_that_there_is_no_such_packet_may_be_said_in_both_languages(written: str) -> None:
    assert marked({"two-steps": written}, "tcp-close")["two-steps"].status == "right"
    assert marked({"two-steps": written}, "tcp-close", "tcp/three-segment-close")["two-steps"].code == "not-seen"
    assert marked({"two-steps": 9}, "tcp-close", "tcp/three-segment-close")["two-steps"].status == "right"


def test_a_wrong_answer_that_is_used_rightly_counts() -> None:
    isn = facts("tcp/connection").packets[0].seq_raw
    assert isn is not None
    found = marked({"syn-sequence": isn + 7, "syn-ack-acknowledges": isn + 8})
    assert (found["syn-sequence"].status, found["syn-sequence"].points) == ("wrong", 0)
    assert (found["syn-ack-acknowledges"].status, found["syn-ack-acknowledges"].points) == ("carried", 2)
    alone = marked({"syn-ack-acknowledges": isn + 8})
    assert alone["syn-ack-acknowledges"].status == "wrong"
    unlike = marked({"syn-sequence": isn, "syn-ack-acknowledges": isn + 8})
    assert unlike["syn-ack-acknowledges"].status == "wrong"


def test_a_number_of_the_packet_that_was_named_counts() -> None:
    found = marked({"first-fin": 4, "fin-sequence": 1}, "tcp-close")
    assert (found["first-fin"].status, found["fin-sequence"].status) == ("wrong", "carried")


def test_a_question_that_builds_on_an_unanswered_one_is_skipped_and_not_failed() -> None:
    found = marked({"fin-sequence": 3}, "tcp-close")
    assert (found["fin-sequence"].status, found["fin-sequence"].about) == ("skipped", ("first-fin", "first-fin"))


@pytest.mark.parametrize(
    "written", ["three", "1.5", [1], {"a": 1}, True, "0x_", "0x ", 10**60, "9" * 5000, "", "\x1b[2J"]
)
def test_what_can_not_be_read_says_what_is_expected(written: object) -> None:
    found = marked({"opens": written})["opens"]
    if written == "":
        assert found.status == "empty"
    else:
        assert found.status == "malformed"
        assert found.about is not None
        assert "packet number" in found.about.en


def test_a_capture_of_something_else_is_told_apart_from_wrong_answers() -> None:
    found = marked(right(OPEN, facts("tcp/connection")), scenario="tcp/refused")
    assert found["window"].status == "absent"
    assert found["opens"].status == "right"


def test_without_a_capture_nothing_is_marked() -> None:
    found = mark(OPEN, Sheet("tcp-open", "s", {"opens": 1}), None)
    assert {each.status for each in found.marks} == {"absent"}
    assert (found.points, as_json(found)["capture"]) == (0, None)


def test_a_capture_that_lacks_what_a_mistake_is_about_costs_nothing_else(tmp_path: Path) -> None:
    name = "websocket"
    with open_capture(str(capture("websocket/connection"))) as whole:
        frames = [frame for at, frame in enumerate(whole, 1) if at != 4]  # the request, of which a mistake's value is
    (tmp_path / "capture.pcapng").write_bytes(written(frames))
    of, answers = facts_of(tmp_path / "capture.pcapng"), right(load(name), facts("websocket/connection"))
    wrong = mark(load(name), Sheet(name, "s", answers | {"accept": "A" * 27 + "="}), of)
    assert {each.question.id: each.status for each in wrong.marks}["accept"] in ("wrong", "absent")
    assert wrong.points == mark(load(name), Sheet(name, "s", answers | {"accept": ""}), of).points > 0


def test_a_part_of_a_goal_that_can_not_be_looked_for_is_not_reached() -> None:
    goal = KINDS["goal"]
    asked = load("break-it").questions[0]
    assert asked.kind == "goal"
    part = dict(asked.given["goal"][0]) | {"if": {"place": next(iter(load("break-it").places)), "header": "TCP/None"}}
    question = asked._replace(given={**asked.given, "goal": [part]})
    view = seen(load("break-it"), facts(load("break-it").proof[0]))
    assert goal.judge(question, view, goal.right(question, view), ()).code == part["code"]


def test_predictions_count_from_the_record_of_the_run_alone() -> None:
    further = parse(FURTHER, "further")
    answers = {"before": "FIN-WAIT-1", "words": "because"}
    shows = next(each.number for each in facts("tcp/connection").packets if "FIN" in each.labels)
    for predicted, status in (
        ({}, "empty"),
        ({"before": (Said("FIN_WAIT1", shows - 1),)}, "right"),
        ({"before": (Said("ESTABLISHED", shows - 1),)}, "partial"),
        ({"before": (Said("FIN_WAIT1", shows),)}, "wrong"),
        ({"before": (Said("CLOSED", 1), Said("FIN_WAIT1", shows - 1), Said("CLOSED", shows))}, "right"),
    ):
        found = mark(further, Sheet("further", "s", answers, predicted), facts("tcp/connection"))
        assert found.marks[0].status == status
        assert found.pending == 3  # the words are for a person


def test_what_a_person_marks_is_all_there_to_be_read() -> None:
    further = parse(FURTHER, "further")
    essay = "because " * 1000
    for said, pending in ((essay, 3), (essay * 3, 0)):
        found = mark(further, Sheet("further", "s", {"words": said}), facts("tcp/connection"))
        assert found.pending == pending
        told = as_json(found)["questions"][-1]
        assert told["answer"] == (said if pending else said[: MOST_WORDS - 1] + "…")
        assert (f"at most {MOST_WORDS} characters" in told["said"]["en"]) is not bool(pending)
    assert f"at most {MOST_WORDS} characters" in sheets.written(further, "s", "en")


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("name", shipped())
def test_marks_are_as_their_schema_says_and_say_no_more_than_the_degree_allows(name: str, degree: Any) -> None:
    assignment = load(name)
    of = facts(assignment.proof[0])
    empty = as_json(mark(assignment, Sheet(name, "s", {}), of), degree)
    VALIDATOR.validate(empty)
    assert (empty["points"], empty["of"]) == (0, assignment.points)
    full = as_json(mark(assignment, filled_in(assignment, of, right(assignment, of)), of), degree)
    VALIDATOR.validate(full)
    assert full["points"] == assignment.points
    said = json.dumps(empty)
    assert ("right" in json.dumps([list(each) for each in empty["questions"]])) == (degree == "full")
    if name == "tcp-open":
        assert (str(of.packets[0].seq_raw) in said) == (degree == "full")
    assert bool(empty["questions"]) == (degree != "none")


# Sheets


@given(
    st.dictionaries(
        st.sampled_from([each.id for each in OPEN.questions if each.kind != "prediction"]), st.text(max_size=40)
    ),
    st.text(max_size=20),
)
def test_a_sheet_says_when_it_is_read_what_was_written(answers: dict[str, str], student: str) -> None:
    printable = {id_: said.encode("utf-8", "replace").decode() for id_, said in answers.items()}
    for lang in ("en", "zh"):
        found = sheets.read(sheets.written(OPEN, student, lang, printable).encode())
        assert found.whole
        assert found.language == lang
        assert {id_: said for id_, said in found.answers.items() if said} == {i: s for i, s in printable.items() if s}


def test_one_line_that_is_no_toml_costs_nothing_else() -> None:
    answers = right(OPEN, facts("tcp/connection"))
    said = sheets.written(OPEN, "s", "zh", answers).replace("opens = 1", "opens = 第1号包  # 第一个")
    found = sheets.read(said.encode())
    assert not found.whole
    assert found.language == "zh"
    predicted = sum(each.points for each in OPEN.questions if each.kind == "prediction")
    assert mark(OPEN, found, facts("tcp/connection")).points == OPEN.points - predicted
    assert found.student == "s"


@given(st.binary(max_size=300))
def test_whatever_is_handed_in_as_a_sheet_is_read(data: bytes) -> None:
    mark(OPEN, sheets.read(b"[answers]\nopens = " + data), None)


@pytest.mark.parametrize("named", [b'"fr"', b"7", b'["zh"]', b'""'])
def test_a_language_that_there_is_not_is_none(named: bytes) -> None:
    assert sheets.read(b"language = " + named + b"\n[answers]\n").language is None


def test_a_sheet_without_end_is_refused() -> None:
    with pytest.raises(InputError):
        sheets.read(b"#" * (sheets.MOST_BYTES + 1))
    mark(OPEN, sheets.read(b"opens = " + b"[" * 5000), None)
    huge = b"0x" + b"f" * 20_000
    found = sheets.read(b"student = " + huge + b"\n[answers]\nopens = " + huge + b"\nwindow = [" + huge + b"]")
    assert found.whole
    marked = mark(OPEN, found, facts("tcp/connection"))
    assert [each.status for each in marked.marks if each.given is not None] == ["malformed", "malformed"]
    VALIDATOR.validate(as_json(marked))


LIKELY = ("1", "client", "none", "a,b", "16 03", "5 ms")
ANSWERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(LIKELY),
    lambda inside: st.lists(inside, max_size=4),
    max_leaves=6,
)  # fmt: skip


@given(name=st.sampled_from(shipped()), data=st.data())
def test_no_answer_brings_marking_down(name: str, data: st.DataObject) -> None:
    assignment = load(name)
    asked = data.draw(st.sampled_from(assignment.questions))
    sheet = Sheet(name, "s", {each.id: data.draw(ANSWERS) for each in (asked, assignment.questions[0])})
    found = mark(assignment, sheet, facts(assignment.proof[0]))
    assert all(0 <= each.credit <= 100 for each in found.marks)
    VALIDATOR.validate(as_json(found))


def test_what_students_write_steers_no_terminal() -> None:
    found = as_json(mark(OPEN, Sheet("tcp-open", "\x1b[31mme", {"opens": "\x1b]0;x\x07"}), facts("tcp/connection")))
    assert "\x1b" not in json.dumps(found, ensure_ascii=False)
