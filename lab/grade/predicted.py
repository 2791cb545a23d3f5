"""Touches files: the predictions in a student's capture, each beside the packet that was held when it was made.

The comments of a capture are no evidence of anything else. These are what a student says, and count like answers; that
they were said before the packet was let go of, the debugger has written down.
"""

from __future__ import annotations

from pathlib import Path

from lab.capture.reader import open_capture
from lab.errors import LabError
from lab.grade.sheet import MOST_ANSWERS, Sheet
from lab.model import Frame
from lab.protocols.transport import ACK, Segment, segment
from lab.report.predictions import PREFIX, Record, of_variant, read
from lab.text import Text

_MOST = 64 << 20  # bytes that are looked through
_CARRIED = Text(
    "{0} predictions in the capture do not belong there: they name another variant, or numbers of other packets",
    "抓包中有 {0} 条预测不属于它：所写的变体或包的数值与此不符",
)


def predicted(capture: Path, sheet: Sheet) -> tuple[dict[str, object], Text | None]:
    """Returns the answers that a capture has predictions for, by question, and what is wrong with others.

    Of several answers to a question the first packet's counts, and of those the last.
    """
    if not _has_any(capture):
        return {}, None
    answers: dict[str, tuple[int, object]] = {}
    carried = 0
    try:
        for frame in open_capture(str(capture)):
            for record in filter(None, map(read, frame.comments)):
                if not _belongs(record, frame, sheet):
                    carried += 1
                elif record.question is not None and len(answers) < MOST_ANSWERS:
                    first = answers.get(record.question, (frame.number, None))[0]
                    if first == frame.number:
                        said = record.said.strip()
                        answers[record.question] = first, int(said) if said.isdecimal() and len(said) < 20 else said
    except LabError:  # that it can't be read is said elsewhere
        return {}, None
    found = {question: answer for question, (_, answer) in answers.items()}
    return found, _CARRIED.format(carried) if carried else None


def _has_any(capture: Path) -> bool:
    try:
        with capture.open("rb") as file:
            return PREFIX.encode() in file.read(_MOST)
    except OSError:
        return False


def _belongs(record: Record, frame: Frame, sheet: Sheet) -> bool:
    found = segment(frame)
    if not isinstance(found, Segment) or record.packet != frame.number:
        return False
    ack = found.ack if found.flags & ACK else None
    mine = record.variant in (None, of_variant(sheet.assignment, sheet.student))
    return mine and (record.seq_raw, record.ack_raw) == (found.seq, ack)
