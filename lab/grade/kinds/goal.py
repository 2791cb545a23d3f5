"""Rules for the wire that bring something about: whether they do, the capture tells that was made with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.errors import UsageError
from lab.grade.assignment import Mistake, Question, text
from lab.grade.facts import AbsentError
from lab.grade.kinds.kind import FULL, Answer, FormError, Judged, Kind, Right, entries, plain
from lab.grade.places import Seen
from lab.grade.sources import value
from lab.testbed.rules import parse
from lab.text import Text

_MOST_RULES = 32


class Goal(Kind):
    """Many rules may do; each part of the goal that the capture shows has its share."""

    name = "goal"
    judged = True

    def expects(self, question: Question) -> Text:
        return Text(
            'rules for the wire, each in quotes: ["drop client SYN #1", "delay server FIN 200ms"]',
            '线路规则，每条加引号：["drop client SYN #1", "delay server FIN 200ms"]',
        )

    def read(self, question: Question, raw: object) -> tuple[str, ...]:
        try:
            rules = parse(plain(each) for each in entries(raw, r"[,;\n]+"))
        except UsageError:
            raise FormError from None
        if len(rules) > _MOST_RULES:
            raise FormError
        return tuple(map(str, rules))

    def right(self, question: Question, seen: Seen) -> Right:
        return Right(self.read(question, question.given["sample"]), ())

    def judge(self, question: Question, seen: Seen, right: Right, answer: Answer) -> Judged:
        missing = [each for each in question.given["goal"] if not _reached(each["if"], seen)]
        if not missing:
            return Judged(FULL, "right")
        credit = FULL - sum(each["share"] for each in missing)
        return Judged(max(credit, 0), missing[0]["code"], _mistake(missing))

    def spellings(self, question: Question, answer: Answer) -> list[object]:
        return [list(answer), ", ".join(answer)]


def _reached(source: Mapping[str, Any], seen: Seen) -> bool:
    try:
        return bool(value(source, seen))
    except AbsentError:
        return False


def _mistake(missing: Sequence[Mapping[str, Any]]) -> Mistake:
    """Returns what is said of all that is missing."""
    said = [text(each["missing"]) for each in missing]
    words = Text(" ".join(each.en for each in said), "".join(each.zh for each in said))
    return Mistake(missing[0]["code"], 0, words, "")
