"""How a prediction stands in a capture: a comment of the packet that was at hand when it was made, with its numbers.

So a record that is carried to another capture shows: there the packet has other numbers. And so does one that was made
later than it should have been: it says how many packets had been seen by then.
"""

from __future__ import annotations

import json
from typing import NamedTuple

PREFIX = "lab-prediction1 "
# Of one that was made over a recorded capture, where what comes next was there to be read: it counts for nothing.
RECORDED = "lab-recorded-prediction1 "
_LONGEST = 4096  # characters


class Record(NamedTuple):
    """What was `said`, in answer to which `question` of an assignment, in which `variant` of it, if in any.

    `packet` is the number of the one that was at hand, with its raw sequence and acknowledgement number; `seen` that of
    the last one that had shown by then.
    """

    variant: str | None
    question: str | None
    said: str
    packet: int
    seq_raw: int | None
    ack_raw: int | None
    seen: int

    def written(self, recorded: bool = False) -> str:
        """Returns the comment; `read` passes over one of a `recorded` capture."""
        return (RECORDED if recorded else PREFIX) + json.dumps(
            self._asdict(), ensure_ascii=False, separators=(",", ":")
        )


def read(comment: str) -> Record | None:
    """Returns the record that a comment is; None for any other, and for what is none though it says so."""
    if not comment.startswith(PREFIX) or len(comment) > _LONGEST:
        return None
    try:
        told = json.loads(comment[len(PREFIX) :])
        found = Record(**told)
    except (ValueError, TypeError, RecursionError):
        return None
    texts = isinstance(found.said, str) and all(isinstance(each, str | None) for each in found[:2])
    numbers = isinstance(found.packet, int) and isinstance(found.seen, int) and found.packet <= found.seen
    return found if texts and numbers else None


def of_variant(assignment: str, student: str) -> str:
    """Returns what a variant is called in a record."""
    return f"{assignment}:{student}"
