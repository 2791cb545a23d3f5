"""What the tests of marking share: captures read once, and the proof of each shipped assignment."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lab.app.assign import proof_of
from lab.grade.assignment import Assignment, load
from lab.grade.facts import Facts
from lab.grade.kinds import KINDS
from lab.grade.places import seen
from lab.grade.proof import Proof
from lab.grade.recording import facts_of
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
