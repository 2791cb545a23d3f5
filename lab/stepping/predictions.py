"""What is said of a packet or a state before it shows, whether it came so, and how that is kept in a capture.

A prediction is made while a packet is held, and stands in the capture as a comment of that packet, together with that
packet's numbers: so a record that is carried to another capture shows. Grading reads these comments
(`lab/grade/predicted.py`); whether a prediction was right it works out for itself.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from lab.runs.until import Seen, Until
from lab.stepping.view import Rung

PREFIX = "lab-prediction1 "


class Prediction(NamedTuple):
    """What was `said` while packet `packet` was held. Of a `question` of an assignment it is the answer; else `until`
    says what it means, and `right` whether it came so, once that is known. `came` is what came, in a few words."""

    packet: int
    seq_raw: int | None
    ack_raw: int | None
    said: str
    until: Until | None = None
    question: str | None = None
    right: bool | None = None
    came: str = ""

    def written(self, variant: str | None) -> str:
        """Returns the comment that it is kept in; `variant` is that of an assignment, where one is played."""
        told = {
            "variant": variant,
            "question": self.question,
            "said": self.said,
            "packet": self.packet,
            "seq_raw": self.seq_raw,
            "ack_raw": self.ack_raw,
            "before_release": True,
        }
        return PREFIX + json.dumps(told, ensure_ascii=False, separators=(",", ":"))


class Predictions:
    """Those of a run, in order, with the score. `variant` is the assignment's variant that is played, if any."""

    def __init__(self, variant: str | None = None) -> None:
        self.variant = variant
        self.made: list[Prediction] = []

    def make(self, rung: Rung, said: str, until: Until | None) -> Prediction:
        """Records what is said while this packet is held. What answers a question, `next-ack: 16`, names it."""
        sent, question = rung.sent, None
        if until is None:
            question, _, said = (part.strip() for part in said.partition(":"))
        made = Prediction(sent.packet, sent.seq_raw, sent.ack_raw, said, until, question)
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
        return [each.written(self.variant) for each in self.made if each.packet == packet]
