"""A student's own check, before the folder is handed in: all there, readable, of this variant, answers well-formed.

What is right is not asked here, so nothing that is said can give an answer away.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from lab.errors import InputError, LabError
from lab.grade import sheet as sheets
from lab.grade import submissions
from lab.grade import variant as variants
from lab.grade.assignment import Assignment, load, shipped
from lab.grade.belonging import foreign
from lab.grade.facts import AbsentError, Facts
from lab.grade.kinds import KINDS
from lab.grade.kinds.kind import FormError
from lab.grade.kinds.prediction import deadline
from lab.grade.places import seen
from lab.grade.playing import variant_in
from lab.grade.recording import facts_of
from lab.grade.shape import near
from lab.grade.sheet import Sheet
from lab.grade.submissions import CAPTURE
from lab.grade.variant import Variant
from lab.text import Text

Status = Literal["good", "note", "fault"]


class Finding(NamedTuple):
    """What was found of a file, or of an answer by its question: a fault has to be mended, a note need not."""

    status: Status
    about: str
    text: Text


def examined(folder: Path, assignment: Assignment | None = None) -> list[Finding]:
    """Returns what was found in a student's folder. Without an `assignment` it is the one that the variant names, if it
    comes with the lab. Raises InputError where there is no such folder."""
    if not folder.is_dir():
        raise InputError(
            Text(f"there is no folder {folder}", f"没有文件夹 {folder}"),
            Text("name the folder that came with the assignment", "请给出随作业发放的文件夹"),
        )
    found: list[Finding] = []
    variant, sheet = _variant(folder, found), _sheet(folder, found)
    named = variant.assignment if variant is not None else sheet.assignment if sheet is not None else ""
    if assignment is None and named in shipped():
        assignment = load(named)
    if sheet is not None:
        found += _of_whom(sheet, variant)
        found += _answers(sheet, assignment, named)
    found += _capture(folder, variant, sheet, assignment)
    return found


def _variant(folder: Path, found: list[Finding]) -> Variant | None:
    try:
        variant = variant_in(folder)
    except InputError as error:
        found.append(Finding("fault", variants.NAME, error.message))
        return None
    told = Text(f"{variant.assignment}, {variant.student}", f"{variant.assignment}，{variant.student}")
    found.append(Finding("good", variants.NAME, told))
    if variant.practice:
        found.append(Finding("note", variants.NAME, _PRACTICE))
    return variant


def _sheet(folder: Path, found: list[Finding]) -> Sheet | None:
    try:
        submission = submissions.read(folder)
    except InputError as error:
        found.append(Finding("fault", sheets.NAME, error.message))
        return None
    sheet = submission.sheet
    if not sheet.whole:
        found.append(Finding("fault", sheets.NAME, _NO_TOML))
    found += [Finding("fault", CAPTURE, each) for each in submission.carried]
    return sheet


def _of_whom(sheet: Sheet, variant: Variant | None) -> Iterator[Finding]:
    if variant is None:
        return
    for here, there in ((sheet.assignment, variant.assignment), (sheet.student, variant.student)):
        if here != there:
            yield Finding("fault", sheets.NAME, _OTHERS.format(here or "?", there))


def _answers(sheet: Sheet, assignment: Assignment | None, named: str) -> Iterator[Finding]:
    if assignment is None:
        yield Finding("note", sheets.NAME, _UNKNOWN.format(named or "?"))
        return
    predicted = [each.id for each in assignment.questions if each.kind == "prediction"]
    known = [each.id for each in assignment.questions if each.id not in predicted]
    for id_ in sheet.answers:
        if id_ in predicted:
            yield Finding("fault", id_, sheets.PREDICTED.format(id_))
        elif id_ not in known:
            hint = near(id_, known)
            yield Finding(
                "fault", id_[:64], Text(f"there is no such question: {hint.en}", f"没有这道题：{hint.zh}")
            )  # fmt: skip
    empty = []
    for question in assignment.questions:
        raw, kind = sheets.given(question, sheet), KINDS[question.kind]
        if raw is None:
            empty.append(question.id)
            continue
        try:
            kind.read(question, raw)
        except FormError:
            wanted = kind.expected(question, raw)
            yield Finding("fault", question.id, Text(f"expected: {wanted.en}", f"应为：{wanted.zh}"))
    count = len(assignment.questions)
    status: Status = "good" if len(empty) < count else "fault"
    yield Finding(status, sheets.NAME, _ANSWERED.format(count - len(empty), count))
    if 0 < len(empty) < count:
        names = ", ".join(empty)
        yield Finding("note", sheets.NAME, Text(f"not answered: {names}", f"未作答：{names}"))


def _predictions(sheet: Sheet, assignment: Assignment, facts: Facts) -> Iterator[Finding]:
    """Yields the predictions that are missing, and those that were made when there was nothing left to predict."""
    view = seen(assignment, facts)
    for question in assignment.questions:
        try:
            shows = deadline(question, view)
        except AbsentError:
            continue
        if shows is not None and sheets.given(question, sheet) is None:
            yield Finding("note", question.id, _UNPREDICTED)
        elif shows is not None and sheets.given(question, sheet, shows) is None:
            yield Finding("fault", question.id, _LATE.format(shows))


def _capture(
    folder: Path, variant: Variant | None, sheet: Sheet | None, assignment: Assignment | None
) -> Iterator[Finding]:
    path = folder / CAPTURE
    if path.is_symlink() or not path.is_file():
        yield Finding("fault", CAPTURE, _NO_CAPTURE)
        return
    try:
        facts = facts_of(path)
    except LabError as error:
        yield Finding("fault", CAPTURE, error.message)
        return
    for problem in facts.problems:
        yield Finding("fault", CAPTURE, problem)
    if not facts.packets:
        yield Finding("fault", CAPTURE, Text("no packets are in it", "其中没有包"))
        return
    if sheet is not None and assignment is not None:
        yield from _predictions(sheet, assignment, facts)
    wrong = foreign(variant, facts) if variant is not None else []
    for each in wrong:
        yield Finding("fault", CAPTURE, each)
    if wrong:
        yield Finding("note", CAPTURE, _FOREIGN)
    elif variant is not None:
        yield Finding("good", CAPTURE, _YOURS.format(len(facts.packets)))


_NO_TOML = Text(
    "is no TOML any more, so it was read line by line: texts need quotes, lists need brackets",
    "已不是合法的 TOML，只能逐行读取：文本要加引号，列表要加方括号",
)
_OTHERS = Text("says {0}, and the variant is of {1}", "写的是 {0}，而变体属于 {1}")
_UNKNOWN = Text(
    "the assignment '{0}' does not come with the lab: how answers are written was not checked",
    "作业“{0}”不是实验室自带的：未检查答案的写法",
)
_ANSWERED = Text("{0} of {1} questions are answered", "共 {1} 题，已作答 {0} 题")
_UNPREDICTED = Text(
    "not predicted in this capture: lab step --variant . --again makes one with your prediction in it",
    "这份抓包中没有对它的预测：lab step --variant . --again 会生成含有你的预测的抓包",
)
_LATE = Text(
    "said when packet {0} had shown already, so it does not count: lab step --variant . --again makes a new capture",
    "作答时第 {0} 号包已经出现，因此不算数：lab step --variant . --again 会生成新的抓包",
)
_PRACTICE = Text(
    "made without a course's key: to practise with, not to be handed in", "生成时没有课程密钥：仅供练习，不能提交"
)
_NO_CAPTURE = Text("is not there: the handout says how it is made", "不存在：生成方法见 handout.md")
_FOREIGN = Text(
    "hand in the capture that lab run --variant has made in this folder, unchanged",
    "请提交 lab run --variant 在此文件夹中生成的抓包，不要改动",
)
_YOURS = Text("{0} packets, of this variant", "{0} 个包，属于本变体")
