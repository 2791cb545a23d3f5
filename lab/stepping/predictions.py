"""What is said of a packet or a state before it shows, whether it came so, and how that is kept in a capture.

A prediction is made while a packet is held, and stands in the capture as a comment of that packet
(`lab/report/predictions.py`). Grading reads these comments; whether one was right it works out for itself.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import NamedTuple

from lab.errors import UsageError
from lab.report.predictions import Record
from lab.runs.until import Seen, Until
from lab.stepping.view import Rung
from lab.text import Text


class Prediction(NamedTuple):
    """What was `said` while packet `packet` was at hand, and `seen` the last that had shown.

    Of a `question` of an assignment it is the answer; else `until` says what it means, and `right` whether it came so,
    once that is known. `came` is what came, in a few words.
    """

    packet: int
    seq_raw: int | None
    ack_raw: int | None
    seen: int
    said: str
    until: Until | None = None
    question: str | None = None
    right: bool | None = None
    came: str = ""

    def record(self, variant: str | None) -> Record:
        """Returns how it stands in the capture; `variant` is that of an assignment, where one is played."""
        return Record(variant, self.question, self.said, self.packet, self.seq_raw, self.ack_raw, self.seen)


class Predictions:
    """Those of a run, in order, with the score. `variant` is the assignment's variant that is played, if any.

    Where `questions` are known, their ids and texts, only these can be answered.
    """

    def __init__(self) -> None:
        self.recorded = False  # they are made over a recorded capture
        self.variant: str | None = None
        self.questions: dict[str, Text] = {}
        self.made: list[Prediction] = []

    def make(self, rung: Rung, seen: int, said: str, until: Until | None) -> Prediction:
        """Records what is said at this packet when `seen` is the last that has shown. What answers a question names it:
        `next-ack: 16`."""
        sent, question = rung.sent, None
        if until is None:
            question, _, said = (part.strip() for part in said.partition(":"))
            if self.questions and question not in self.questions:
                raise _no_question(question, self.questions)
        made = Prediction(sent.packet, sent.seq_raw, sent.ack_raw, max(seen, sent.packet), said, until, question)
        self.made.append(made)
        return made

    def judge(self, seen: Seen, came: str) -> list[Prediction]:
        """Says of each that is open whether it came so; returns those."""
        judged = []
        for at, each in enumerate(self.made):
            if each.until is not None and each.right is None:
                self.made[at] = each._replace(right=each.until.holds(seen), came=came)
                judged.append(self.made[at])
        return judged

    @property
    def score(self) -> tuple[int, int]:
        """How many were right, of how many that were judged."""
        judged = [each.right for each in self.made if each.right is not None]
        return sum(judged), len(judged)

    def comments(self, packet: int) -> list[str]:
        """Returns the comments that a packet gets."""
        return [each.record(self.variant).written(self.recorded) for each in self.made if each.packet == packet]


def _no_question(question: str, known: dict[str, Text]) -> UsageError:
    near = get_close_matches(question, known, 3, 0.4) or list(known)
    return UsageError(
        Text(f"no question '{question[:40]}' is to be answered here", f"此处没有题目“{question[:40]}”"),
        Text(f"there are: {', '.join(near)}", f"可以回答的有：{'、'.join(near)}"),
    )
