"""What the tests of marking share: captures read once, and the proof of each shipped assignment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from lab.app.assign import proof_of
from lab.grade.assignment import Assignment, load
from lab.grade.facts import Facts
from lab.grade.kinds import KINDS
from lab.grade.places import seen
from lab.grade.predicted import of_comments, recorded
from lab.grade.proof import Proof
from lab.grade.recording import facts_of
from lab.grade.sheet import Sheet
from lab.model import Frame
from scripts.classroom import written
from tests.places import REFERENCES


def capture(scenario: str) -> Path:
    return REFERENCES / f"{scenario.replace('/', '-')}.pcapng"


@cache
def facts(scenario: str) -> Facts:
    return facts_of(capture(scenario))


@cache
def proof(name: str) -> Proof:
    return proof_of(load(name), [])


def right(assignment: Assignment, of: Facts) -> dict[str, object]:
    """Returns a right answer to each question, in the usual spelling."""
    view = seen(assignment, of)
    found: dict[str, object] = {}
    for question in assignment.questions:
        kind = KINDS[question.kind]
        said = [""] if kind.by_person else kind.spellings(question, kind.right(question, view).answer)
        found[question.id] = said[0]
    return found


def filled_in(assignment: Assignment, of: Facts, answers: Mapping[str, object], student: str = "s1") -> Sheet:
    """Returns a sheet with answers, those that are predictions as the debugger records them."""
    sheet = Sheet(assignment.id, student, answers)
    return sheet._replace(predictions=of_comments(recorded(assignment, sheet, answers, of), sheet)[0])


def stepped_through(assignment: Assignment, of: Facts, answers: Mapping[str, object], student: str = "s1") -> bytes:
    """Returns a capture with nothing beside its packets but the predictions among the answers."""
    bare = of._replace(packets=tuple(each._replace(frame=_bare(each.frame)) for each in of.packets))
    return written(recorded(assignment, Sheet(assignment.id, student, {}), answers, bare))


def _bare(frame: Frame | None) -> Frame | None:
    return frame._replace(comments=()) if frame is not None else None
