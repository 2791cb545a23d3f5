"""A question answered before a packet showed: the debugger has recorded what was said, and when.

It is marked as its own kind is. The answer comes from the record of the run and not from the sheet, which anybody could
fill in afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lab.grade.assignment import Mistake, Question
from lab.grade.kinds.kind import Answer, Judged, Kind, Right, Slip
from lab.grade.places import Seen
from lab.text import Text


class Prediction(Kind):
    name = "prediction"

    def __init__(self, kinds: Callable[[str], Kind]) -> None:
        self._kinds = kinds

    def expects(self, question: Question) -> Text:
        said = self._kind(question).expects(inner(question))
        return Text(f"{said.en}; said before the packet shows", f"{said.zh}；须在该包出现之前作答")

    def read(self, question: Question, raw: object) -> Answer:
        return self._kind(question).read(inner(question), raw)

    def right(self, question: Question, seen: Seen) -> Right:
        return self._kind(question).right(inner(question), seen)

    def slips(self, question: Question, seen: Seen, right: Right) -> Iterator[Slip]:
        yield from self._kind(question).slips(inner(question), seen, right)

    def judge(self, question: Question, seen: Seen, right: Right, answer: Answer) -> Judged:
        return self._kind(question).judge(inner(question), seen, right, answer)

    def mistake(self, question: Question, code: str) -> Mistake:
        return self._kind(question).mistake(inner(question), code)

    def same(self, question: Question, wanted: Answer, answer: Answer) -> bool:
        return self._kind(question).same(inner(question), wanted, answer)

    def spellings(self, question: Question, answer: Answer) -> list[object]:
        return self._kind(question).spellings(inner(question), answer)

    def shown(self, question: Question, answer: Answer) -> Text:
        return self._kind(question).shown(inner(question), answer)

    def _kind(self, question: Question) -> Kind:
        return self._kinds(question.given["of"])


def deadline(question: Question, seen: Seen) -> int | None:
    """Returns the packet before which a prediction has to be made; None for other kinds. Raises AbsentError."""
    return seen.at(question.given["before"]).number if question.kind == Prediction.name else None


def inner(question: Question) -> Question:
    """Returns the question that is asked, as its own kind knows it."""
    return question._replace(kind=question.given["of"], given=question.given["question"])
