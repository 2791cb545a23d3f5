"""Proves an assignment before it goes out, against real captures: `lab assign --check`.

A right sheet gets full marks, in every spelling and through the file it is written to. An empty one gets none. Each
known mistake gets the credit that is meant for it. What an assignment's own feedback says can happen: a text that could
never be shown is a fault. A wrong answer that is used rightly counts further on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lab.grade import sheet as sheets
from lab.grade.assignment import Assignment, Question
from lab.grade.assignment import text as read_text
from lab.grade.facts import AbsentError, Facts
from lab.grade.kinds import KINDS
from lab.grade.kinds.kind import FormError, Right
from lab.grade.kinds.prediction import deadline
from lab.grade.marking import Mark, Marks, mark
from lab.grade.places import Seen, seen
from lab.grade.predicted import of_comments, recorded
from lab.grade.sheet import Sheet
from lab.text import LANGUAGES, Lang, Text

_CHINESE = re.compile(r"[\u3400-\u9fff]")


class Known(NamedTuple):
    """A mistake that can be made in a capture, and what it is worth in per cent."""

    question: str
    code: str
    credit: float


class Proof(NamedTuple):
    """What became of it: how often something was marked, the mistakes that can be made, and what is wrong."""

    assignment: Assignment
    marked: int
    known: tuple[Known, ...]
    faults: tuple[Text, ...]

    @property
    def holds(self) -> bool:
        return not self.faults


def prove(assignment: Assignment, captures: Mapping[str, Facts], others: Mapping[str, Facts]) -> Proof:
    """Returns the proof of an assignment against `captures`; `others` are those in which a goal is not reached."""
    prover = _Prover(assignment)
    prover.faults += _texts(assignment)
    for name, facts in captures.items():
        prover.name = name
        prover.capture(facts)
    prover.name = ""
    prover.goals(others)
    prover.unreachable()
    return Proof(assignment, prover.marked, tuple(prover.known), tuple(dict.fromkeys(prover.faults)))


class _Prover:
    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.marked = 0
        self.known: list[Known] = []
        self.faults: list[Text] = []
        self.used: set[str] = set()  # questions to which a wrong answer before them has led
        self.name = ""  # of the capture

    def fault(self, question: Question | None, en: str, zh: str) -> None:
        where = " ".join(filter(None, (self.name, question.id if question is not None else "")))
        self.faults.append(Text(f"{where}: {en}" if where else en, f"{where}：{zh}" if where else zh))

    def capture(self, facts: Facts) -> None:
        view = seen(self.assignment, facts)
        rights = {question.id: right for question in self.assignment.questions if (right := self.right(question, view))}
        if len(rights) < len(self.assignment.questions):
            return
        answers = {question.id: self.spelled(question, rights[question.id]) for question in self.assignment.questions}
        for lang in LANGUAGES:
            for at in range(max(map(len, answers.values()))):
                self.right_sheet({id_: said[at % len(said)] for id_, said in answers.items()}, facts, lang)
        self.empty(facts)
        for question in self.assignment.questions:
            self.mistakes(question, view, facts, rights[question.id])
            self.carried(question, view, facts, rights)

    def right(self, question: Question, view: Seen) -> Right | None:
        try:
            deadline(question, view)
            return KINDS[question.kind].right(question, view)
        except AbsentError as error:
            self.fault(question, f"the capture does not have {error.what.en}", f"抓包里没有{error.what.zh}")
        except FormError:
            self.fault(question, "its sample can't be read", "无法识别其示例答案")
        return None

    def spelled(self, question: Question, right: Right) -> list[object]:
        kind = KINDS[question.kind]
        return ["some words"] if kind.by_person else kind.spellings(question, right.answer)

    def right_sheet(self, answers: Mapping[str, object], facts: Facts, lang: Lang) -> None:
        """A sheet as it is handed in, with all right answers in one spelling."""
        said = sheets.written(self.assignment, "a student", lang, answers)
        sheet = self.predicted(sheets.read(said.encode()), answers, facts)
        if not sheet.whole:
            self.fault(None, "a filled sheet is no TOML", "填好的答题纸不是 TOML")
        marks = self.mark(sheet, facts)
        for each in marks.marks:
            if each.status not in ("right", "person"):
                given, code = answers[each.question.id], each.code
                self.fault(
                    each.question, f"{given!r} is right and was marked {code}", f"{given!r} 正确，却被判为 {code}"
                )
        if marks.points + marks.pending != self.assignment.points:
            self.fault(None, f"a right sheet has {marks.points:g} points", f"全对的答题纸只得 {marks.points:g} 分")

    def empty(self, facts: Facts) -> None:
        """The sheet as it goes out."""
        marks = self.mark(sheets.read(sheets.written(self.assignment, "a student", "en").encode()), facts)
        if marks.points or any(each.status != "empty" for each in marks.marks):
            self.fault(None, f"an empty sheet has {marks.points:g} points", f"空白答题纸得了 {marks.points:g} 分")

    def mistakes(self, question: Question, view: Seen, facts: Facts, right: Right) -> None:
        """Each known mistake, alone on a sheet."""
        kind = KINDS[question.kind]
        for slip, mistake in kind.mistakes(question, view, right):
            credit = mistake.credit if slip.credit is None else slip.credit
            for said in kind.spellings(question, slip.answer):
                found = self.of(question, self.alone(question, said, facts), facts)
                if found.code != slip.code or round(found.credit, 6) != round(credit, 6):
                    self.fault(
                        question,
                        f"{said!r} is {slip.code}, {credit:g} %, and was marked {found.code}, {found.credit:g} %",
                        f"{said!r} 是 {slip.code}（{credit:g} %），却被判为 {found.code}（{found.credit:g} %）",
                    )
            self.known.append(Known(question.id, slip.code, credit))
        self.late(question, view, facts, right)

    def late(self, question: Question, view: Seen, facts: Facts, right: Right) -> None:
        """What is right, and said of something that has shown already."""
        shows = deadline(question, view)
        if shows is None:
            return
        if shows == 1:
            self.fault(question, "no packet shows before it could be looked up", "在答案可见之前没有任何包出现")
        answer = KINDS[question.kind].spellings(question, right.answer)[0]
        found = self.of(question, self.alone(question, answer, facts, late=True), facts)
        if found.code != "late":
            self.fault(question, f"said too late it was marked {found.code}", f"作答太晚，却被判为 {found.code}")
        self.known.append(Known(question.id, "late", 0))

    def carried(self, question: Question, view: Seen, facts: Facts, rights: Mapping[str, Right]) -> None:
        """A wrong answer, and one that follows from it."""
        carry = question.carry
        source = self.assignment.question(carry.source) if carry is not None else None
        if carry is None or source is None:
            return
        kind, right = KINDS[question.kind], rights[question.id].answer
        of = KINDS[source.kind]
        if carry.add is not None:
            follows = _wrapped(question, rights[source.id].answer + carry.add)
            if not kind.same(question, right, follows):
                self.fault(question, f"is not {source.id} + {carry.add}", f"不等于 {source.id} + {carry.add}")
        tried = [slip.answer for slip, _ in of.mistakes(source, view, rights[source.id])]
        if carry.place is not None:
            tried += range(1, len(facts.packets) + 1)
        for answer in tried:
            try:
                follows = (
                    _wrapped(question, answer + carry.add)
                    if carry.add is not None
                    else kind.right(question, view.moving(carry.place or "", answer)).answer
                )
            except AbsentError:
                continue
            if kind.same(question, right, follows) or of.same(source, rights[source.id].answer, answer):
                continue
            wrong, used = of.spellings(source, answer)[0], kind.spellings(question, follows)[0]
            sheet = self.sheet({source.id: wrong, question.id: used}, facts)
            found = self.of(question, sheet, facts)
            if found.status != "carried":
                self.fault(
                    question,
                    f"{used!r} follows from {wrong!r} in {source.id} and was marked {found.code}",
                    f"{used!r} 由 {source.id} 的 {wrong!r} 推出，却被判为 {found.code}",
                )
            self.used.add(question.id)
            return

    def goals(self, others: Mapping[str, Facts]) -> None:
        """Each part of a goal, in a capture that does not have it."""
        for question in self.assignment.questions:
            for goal in question.given.get("goal", ()):
                self.name = goal["not-in"]
                facts = others[self.name]
                found = self.of(question, self.alone(question, question.given["sample"], facts), facts)
                if found.mistake is None or read_text(goal["missing"]).en not in found.mistake.text.en:
                    self.fault(question, f"{goal['code']} is reached there too", f"{goal['code']} 在该抓包中也达成")
                self.known.append(Known(question.id, goal["code"], found.credit))
        self.name = ""

    def unreachable(self) -> None:
        """What the assignment itself says and nobody could ever be shown."""
        for question in self.assignment.questions:
            if question.carry is not None and question.id not in self.used:
                source = question.carry.source
                self.fault(
                    question, f"no wrong answer to {source} leads to one here", f"{source} 的错误答案都不影响本题"
                )
            codes = {each.code for each in self.known if each.question == question.id}
            own = [mistake.code for _, mistake in question.own]
            own += [f"chose-{each['id']}" for each in question.given.get("option", ()) if "because" in each]
            own += [each["code"] for each in question.given.get("goal", ())]
            for code in [each for each in (*own, *question.credit) if each not in codes]:
                self.fault(question, f"what is said of {code} can never be shown", f"关于 {code} 的反馈永远不会出现")

    def alone(self, question: Question, said: object, facts: Facts, late: bool = False) -> Sheet:
        """Returns a sheet with one answer, and with something for the questions it builds on."""
        return self.sheet({question.id: said, **dict.fromkeys(question.after, "?")}, facts, late)

    def sheet(self, answers: Mapping[str, object], facts: Facts, late: bool = False) -> Sheet:
        return self.predicted(Sheet(self.assignment.id, "", answers), answers, facts, late)

    def predicted(self, sheet: Sheet, answers: Mapping[str, object], facts: Facts, late: bool = False) -> Sheet:
        """Returns a sheet with the answers that are predictions, as the debugger would have recorded them."""
        return sheet._replace(predictions=of_comments(recorded(self.assignment, sheet, answers, facts, late), sheet)[0])

    def of(self, question: Question, sheet: Sheet, facts: Facts) -> Mark:
        """Returns the mark of one question of a sheet, as it is where no question is skipped."""
        free = self.assignment._replace(questions=tuple(each._replace(after=()) for each in self.assignment.questions))
        self.marked += 1
        return next(each for each in mark(free, sheet, facts).marks if each.question.id == question.id)

    def mark(self, sheet: Sheet, facts: Facts) -> Marks:
        self.marked += 1
        return mark(self.assignment, sheet, facts)


def _wrapped(question: Question, number: int) -> int:
    return number % (1 << 32) if question.given.get("reading") == "raw" else number


def _texts(assignment: Assignment) -> Iterator[Text]:
    """Yields the texts that are in the wrong language."""
    for where, text in (
        ("title", assignment.title),
        ("about", assignment.about),
        *((f"place.{each.id}", each.name) for each in assignment.places.values()),
        *((each.id, each.text) for each in assignment.questions),
        *((f"{each.id}.why", each.why) for each in assignment.questions if each.why is not None),
        *((f"{each.id}.{of.code}", of.text) for each in assignment.questions for _, of in each.own),
    ):
        words = re.sub(r"\b[A-Z][A-Z0-9_-]*\b|[\W\d_]+", " ", text.en).strip()
        if words and not _CHINESE.search(text.zh):
            yield Text(f"{where}: its Chinese is no Chinese", f"{where}：中文文本中没有中文")
        if _CHINESE.search(text.en):
            yield Text(f"{where}: its English is Chinese", f"{where}：英文文本中有中文")
