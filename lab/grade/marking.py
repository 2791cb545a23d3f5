"""A sheet and the facts of its capture become marks: points and why, question by question.

A question that builds on another one without an answer is skipped, not failed. A wrong answer that is used rightly
further on counts there (`carry`). What a capture does not have can't be asked about: `absent`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from lab.grade import sheet as sheets
from lab.grade.assignment import Assignment, Mistake, Question
from lab.grade.facts import AbsentError, Facts
from lab.grade.kinds import KINDS
from lab.grade.kinds.kind import FULL, Answer, FormError, Judged, Right
from lab.grade.kinds.number import WRAP
from lab.grade.kinds.prediction import deadline
from lab.grade.places import Seen, seen
from lab.grade.sheet import Sheet
from lab.text import Lang, Text

Status = Literal["right", "partial", "wrong", "carried", "empty", "malformed", "skipped", "absent", "person"]
_UNANSWERED = ("empty", "malformed", "skipped", "absent")


class Mark(NamedTuple):
    """What a question has brought. `code` is `right`, `wrong`, `partly`, the code of a mistake, or the status again.

    `right` is the right answer as it is shown, None where there is none; `packets` are those that show it. `about` is
    what else the status is about: the question that is built on, what is absent, what was expected.
    """

    question: Question
    status: Status
    credit: float  # per cent
    code: str
    given: object
    right: Text | None = None
    packets: tuple[int, ...] = ()
    mistake: Mistake | None = None
    about: Text | None = None

    @property
    def points(self) -> float:
        return round(self.question.points * self.credit / FULL, 2)


class Marks(NamedTuple):
    """A sheet's marks. `capture` is the SHA-256 of the capture, empty where there is none.

    `language` is the student's own, where the sheet names one.
    """

    assignment: Assignment
    student: str
    capture: str
    packets: int
    marks: tuple[Mark, ...]
    problems: tuple[Text, ...]
    language: Lang | None = None

    @property
    def points(self) -> float:
        return round(sum(each.points for each in self.marks), 2)

    @property
    def pending(self) -> float:
        """The points that a person has still to give."""
        return round(sum(each.question.points for each in self.marks if each.status == "person"), 2)


class _Given(NamedTuple):
    """A mark, and the answer that was read for it."""

    mark: Mark
    answer: Answer = None


def mark(assignment: Assignment, sheet: Sheet, facts: Facts | None, problems: tuple[Text, ...] = ()) -> Marks:
    """Returns the marks of a sheet; without `facts` there is no capture, and why is among the problems."""
    view = seen(assignment, facts) if facts is not None else None
    done: dict[str, _Given] = {}
    for question in assignment.questions:
        done[question.id] = _mark(question, sheet, view, done)
    return Marks(
        assignment,
        sheet.student,
        facts.sha256 if facts is not None else "",
        len(facts.packets) if facts is not None else 0,
        tuple(each.mark for each in done.values()),
        (*problems, *(facts.problems if facts is not None else ())),
        sheet.language,
    )


def _mark(question: Question, sheet: Sheet, view: Seen | None, done: dict[str, _Given]) -> _Given:
    kind, raw = KINDS[question.kind], sheets.given(question, sheet)
    if view is None and not kind.by_person:
        return _Given(Mark(question, "absent", 0, "no-capture", raw))
    try:
        right = kind.right(question, view) if view is not None else Right("", ())
        shows = deadline(question, view) if view is not None else None
    except AbsentError as error:
        return _Given(Mark(question, "absent", 0, "absent", raw, about=error.what))
    shown = None if kind.by_person or kind.judged else kind.shown(question, right.answer)

    def of(status: Status, about: Text | None = None) -> _Given:
        return _Given(Mark(question, status, 0, status, raw, shown, right.packets, about=about))

    if raw is None:
        return of("empty")
    in_time = sheets.given(question, sheet, shows)
    if in_time is None:
        return _Given(Mark(question, "wrong", 0, "late", raw, shown, right.packets, about=Text(f"{shows}", f"{shows}")))
    raw = in_time
    missing = next((each for each in question.after if done[each].mark.status in _UNANSWERED), None)
    if missing is not None:
        return of("skipped", Text(missing, missing))
    try:
        answer = kind.read(question, raw)
    except FormError:
        return of("malformed", kind.expected(question, raw))
    if kind.by_person or view is None:
        return _Given(of("person").mark, answer)
    judged = kind.judge(question, view, right, answer)
    if judged.credit < FULL and _carried(question, view, answer, done):
        source = question.carry.source if question.carry else ""
        mark = Mark(question, "carried", FULL, "carried", raw, shown, right.packets, about=Text(source, source))
        return _Given(mark, answer)
    mark = Mark(question, _status(judged), judged.credit, judged.code, raw, shown, right.packets, judged.mistake)
    return _Given(mark, answer)


def _status(judged: Judged) -> Status:
    return "right" if judged.credit >= FULL else "partial" if judged.credit else "wrong"


def _carried(question: Question, view: Seen, answer: Answer, done: dict[str, _Given]) -> bool:
    """Whether an answer is what follows from a wrong one before it."""
    carry = question.carry
    if carry is None:
        return False
    source = done[carry.source]
    if source.answer is None or source.mark.status not in ("partial", "wrong", "carried"):
        return False
    kind = KINDS[question.kind]
    if carry.add is not None and isinstance(source.answer, int):
        follows = source.answer + carry.add
        return kind.same(question, follows % WRAP if question.given.get("reading") == "raw" else follows, answer)
    if carry.place is not None and isinstance(source.answer, int) and source.answer:
        try:
            return kind.same(question, kind.right(question, view.moving(carry.place, source.answer)).answer, answer)
        except AbsentError:
            return False
    return False
