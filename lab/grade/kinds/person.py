"""An answer in words, for a person to mark."""

from __future__ import annotations

from lab.grade.assignment import Question
from lab.grade.kinds.kind import MOST_WORDS, Answer, Judged, Kind, Right, plain
from lab.grade.places import Seen
from lab.text import Text


class Words(Kind):
    name = "text"
    by_person = True

    def expects(self, question: Question) -> Text:
        return Text(f"some sentences, at most {MOST_WORDS} characters", f"若干句话，最多 {MOST_WORDS} 个字符")

    def read(self, question: Question, raw: object) -> str:
        return plain(raw, MOST_WORDS)

    def right(self, question: Question, seen: Seen) -> Right:
        return Right("", ())

    def judge(self, question: Question, seen: Seen, right: Right, answer: Answer) -> Judged:
        return Judged(0, "for-a-person")
