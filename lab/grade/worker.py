"""Touches the machine: one submission marked, in a process of its own that may take little and reach nobody.

Nothing that was handed in is run. It is read by the lab's own code, and still: what that makes of hostile bytes ends
with the process, which has limits on memory, time and files, and an empty network.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import json
import os
import resource
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lab.errors import LabError, UsageError
from lab.grade import belonging, collected, integrity, oral, submissions
from lab.grade import sheet as sheets
from lab.grade.assignment import Assignment, load, shipped
from lab.grade.collected import HandedIn
from lab.grade.facts import Facts
from lab.grade.feedback import as_json
from lab.grade.marking import mark
from lab.grade.recording import come_with, explained
from lab.grade.sheet import Sheet
from lab.grade.submissions import Submission
from lab.grade.variant import damaged, derive
from lab.render.picture import MOST, picture
from lab.render.svg import svg
from lab.testbed.namespaces import CLONE_NEWNET, CLONE_NEWUSER, unshare
from lab.text import LANGUAGES, Lang, Text, safe

MOST_RESULT = 4 << 20  # bytes of a result
_MOST_EXPLAINED = 1 << 20  # characters
_IDLE = 6  # times its processor time a submission may take on a machine that has other things to do
_TIMES = 2  # that an assignment is marked to begin with: from then on Python knows what its instructions are about
_NO_SHEET = Text(f"there is no {sheets.NAME}", f"没有 {sheets.NAME}")


class Limits(NamedTuple):
    """What marking one submission may take: seconds of processor time, bytes of memory beyond what there is.

    Processor time, so that what comes of it does not hang on how busy a machine is; on the clock some times as much.
    """

    seconds: float = 20
    memory: int = 1 << 30

    @property
    def patience(self) -> float:
        """Seconds on the clock."""
        return self.seconds * _IDLE


def result(
    handed_in: HandedIn,
    assignments: Mapping[str, Assignment],
    only: Assignment | None,
    course: bytes | None = None,
    drawn: bool = False,
) -> dict[str, Any]:
    """Returns the marks of a submission as plain values of JSON.

    `marks` is handshake-lab/grade/v1 in full, null where nobody can say by which assignment; then `why` says so.
    `prints` are what tells its capture from others, `oral` the questions to be asked; with the `course`'s key findings
    say where it is of another variant. `only` is the assignment to mark by; else the sheet names one of `assignments`.
    Where it is to be `drawn`, `ladder` is the picture of its capture, as SVG by language, and beside these, as
    `pcapng`, the capture with notes in it, in base64, unless it is a large one.
    """
    with collected.reading(handed_in) as given:
        refused = [_both(text) for text in given.refused]
        if given.sheet is None:
            return {"marks": None, "why": _both(_NO_SHEET), "refused": refused, "kind": "sheet"}
        capture = Path(f"/dev/fd/{given.capture.fileno()}") if given.capture is not None else None
        submission = submissions.of(given.sheet, capture)
        assignment = only or assignments.get(submission.sheet.assignment)
        if assignment is None:
            return {"marks": None, "why": _both(unnamed().message), "refused": refused, "kind": "name"}
        problems = (*given.refused, *_of_another_assignment(submission.sheet, assignment), *submission.problems)
        return of(submission._replace(problems=problems), assignment, course, drawn)


def of(
    submission: Submission, assignment: Assignment, course: bytes | None = None, drawn: bool = False
) -> dict[str, Any]:
    """Returns what `result` does of a submission that was read, by an assignment."""
    facts, problems = submissions.facts_in(submission)
    marks = as_json(mark(assignment, submission.sheet, facts, problems))
    if facts is None:
        return {"marks": marks, "prints": [], "oral": []}
    own = [] if course is None else _of_another(assignment, submission.sheet.student, facts, course)
    marks["findings"] = [*own, *integrity.edited(facts, damaged(assignment))]
    found = {"marks": marks, "prints": integrity.prints(facts), "oral": oral.questions(facts)}
    if not drawn or submission.capture is None:
        return found
    pictures: dict[str, str] = {lang: _ladder(facts, lang) for lang in LANGUAGES}
    if len(facts.packets) <= MOST and len(noted := base64.b64encode(explained(submission.capture))) <= _MOST_EXPLAINED:
        pictures["pcapng"] = noted.decode()
    return found | {"ladder": pictures}


def _ladder(facts: Facts, lang: Lang) -> str:
    """Returns the picture of a capture, of one with very many packets the beginning."""
    packets = facts.packets[:MOST]
    return svg(picture(packets, lang, more=len(facts.packets) - len(packets)), lang)


def _of_another_assignment(sheet: Sheet, assignment: Assignment) -> Iterator[Text]:
    """Yields that a sheet names another assignment than the one it is marked by: its answers have no question there."""
    named = safe(sheet.assignment.strip())
    if named not in ("", assignment.id):
        yield Text(
            f"the answer sheet is of {named}: it was marked by {assignment.id}",
            f"答题纸属于作业 {named}，而评阅依据的是 {assignment.id}",
        )


def _of_another(assignment: Assignment, student: str, facts: Facts, course: bytes) -> list[dict[str, Any]]:
    """Returns what of the student's own variant the capture does not have, as findings."""
    try:
        missing = belonging.foreign(derive(assignment, student, course), facts)
    except LabError as error:
        return [integrity.finding("variant", error.message)]
    said = Text("not the variant of this student: {0}", "不是该学生的变体：{0}")
    return [integrity.finding("variant", Text(said.en.format(each.en), said.zh.format(each.zh))) for each in missing]


def named() -> dict[str, Assignment]:
    """Returns the assignments that a sheet may name: those that come with the lab, for a student names no files."""
    return {name: load(name) for name in shipped()}


def unnamed() -> UsageError:
    return UsageError(
        Text("the answer sheet names no assignment that comes with the lab", "答题纸没有写明实验室自带的作业名称"),
        Text("name it: lab grade PATH --assignment NAME", "请指明：lab grade 路径 --assignment 名称"),
    )


def unfinished(why: Text) -> dict[str, Any]:
    """Returns the result of a submission whose marking did not come to an end. It is not kept: it is tried again."""
    return {"marks": None, "why": _both(why), "refused": [], "unfinished": True}


def warm(assignments: Iterable[Assignment]) -> None:
    """Does once what each process would do again: imports, tables, all that is worked out once and remembered.

    What is there afterwards is frozen, as it is in use: to look at it again and again would copy its pages.
    """
    for assignment in assignments:
        answers = dict.fromkeys((each.id for each in assignment.questions), "1")  # wrong: so mistakes are looked for
        sheet = sheets.written(assignment, "s", "en", answers).encode()
        for capture in come_with(assignment.proof[:1]) * _TIMES:
            json.dumps(of(submissions.of(sheet, capture), assignment))
    gc.freeze()


def confine(limits: Limits) -> None:
    """Takes from this process what it does not need, for good."""
    whole = int(limits.seconds) + 2
    for what, most in (
        (resource.RLIMIT_AS, _addressed() + limits.memory),
        (resource.RLIMIT_CPU, whole),
        (resource.RLIMIT_FSIZE, collected.MOST_ARCHIVE + 1),
        (resource.RLIMIT_NOFILE, _highest() + 64),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        said = most - 1 if what == resource.RLIMIT_CPU else most  # a signal of its own, by which it is known
        resource.setrlimit(what, (said, most))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # it is an error of the write then
    if sys.platform == "linux":
        try:
            unshare(CLONE_NEWNET)
        except OSError:  # not root: as whom nobody is, nobody has a network either; where that is forbidden, it stays
            with contextlib.suppress(OSError):
                unshare(CLONE_NEWUSER | CLONE_NEWNET)


def _addressed() -> int:
    """Returns the bytes of memory that this process has addresses for, 0 where nobody says.

    It is a fork, of the lab or of whoever imported it, and whatever that had loaded is here, too.
    """
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0


def _highest() -> int:
    """Returns the highest descriptor that is open in this process, 0 where nobody says. A fork has its parent's."""
    try:
        return max(int(each.name) for each in Path("/dev/fd").iterdir())
    except (OSError, ValueError):
        return 0


def answer(to: int, found: Mapping[str, Any]) -> None:
    """Writes a result to a descriptor."""
    left = memoryview(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
    while left:
        left = left[os.write(to, left) :]


def _both(text: Text) -> dict[str, str]:
    return {"en": text.en, "zh": text.zh}
