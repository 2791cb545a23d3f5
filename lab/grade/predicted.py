"""Touches files: the predictions in a student's capture, each beside the packet that was at hand when it was made.

The comments of a capture are no evidence of anything else. These are what a student says, and count like answers; what
had shown by then, the debugger has written down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from lab.capture.compressed import kind_of
from lab.capture.reader import open_capture
from lab.errors import LabError
from lab.grade.assignment import Assignment
from lab.grade.facts import AbsentError, Facts
from lab.grade.kinds.prediction import deadline
from lab.grade.naming import student_key
from lab.grade.places import seen
from lab.grade.sheet import MOST_ANSWERS, Said, Sheet
from lab.model import Frame
from lab.protocols.transport import ACK, Segment, segment
from lab.report.predictions import PREFIX, Record, of_variant, read
from lab.text import Text

Predictions = Mapping[str, tuple[Said, ...]]
_MOST = 64 << 20  # bytes that are looked through
_CARRIED = Text(
    "predictions in the capture that do not belong there: {0}. They name another variant, or numbers of other packets.",
    "抓包中有 {0} 条预测不属于它：所写的变体或包的数值与此不符。",
)


def predicted(capture: Path, sheet: Sheet) -> tuple[Predictions, Text | None]:
    """Returns the predictions in a capture by question, in the order in which they were made, and what is wrong with
    others."""
    if not _has_any(capture):
        return {}, None
    try:
        return of_comments(open_capture(str(capture)), sheet)
    except LabError:  # that it can't be read is said elsewhere
        return {}, None


def of_comments(frames: Iterable[Frame], sheet: Sheet) -> tuple[Predictions, Text | None]:
    """Returns what `predicted` does, of packets with their comments."""
    found: dict[str, list[Said]] = {}
    carried = count = 0
    for frame in frames:
        for record in filter(None, map(read, frame.comments)):
            if not _belongs(record, frame, sheet):
                carried += 1
            elif record.question is not None and count < MOST_ANSWERS:
                count += 1
                answer = record.said.strip()
                whole = answer.isdecimal() and len(answer) < 20
                found.setdefault(record.question, []).append(Said(int(answer) if whole else answer, record.seen))
    made = {question: tuple(sorted(each, key=lambda one: one.seen)) for question, each in found.items()}
    return made, _CARRIED.format(carried) if carried else None


def recorded(
    assignment: Assignment, sheet: Sheet, answers: Mapping[str, object], facts: Facts, late: bool = False
) -> list[Frame]:
    """Returns the packets of a capture with the answers that are predictions, as the debugger records them: each beside
    the last packet before it would be too late, or beside the one with which it is."""
    view, frames = seen(assignment, facts), {each.number: each.frame for each in facts.packets if each.frame}
    for question in assignment.questions:
        try:
            shows = deadline(question, view) if question.id in answers else None
        except AbsentError:
            continue
        beside = shows if late else _before(frames, shows or 0)
        if beside is not None:
            answer = answers[question.id]
            words = ", ".join(map(str, answer)) if isinstance(answer, list) else str(answer)
            frames[beside] = _beside(frames[beside], sheet, question.id, words)
    return list(frames.values())


def _before(frames: Mapping[int, Frame], number: int) -> int | None:
    """Returns the last segment before a packet."""
    return next((at for at in range(number - 1, 0, -1) if isinstance(segment(frames[at]), Segment)), None)


def _beside(frame: Frame, sheet: Sheet, question: str, answer: str) -> Frame:
    found = segment(frame)
    assert isinstance(found, Segment)
    variant = of_variant(sheet.assignment, sheet.student)
    record = Record(variant, question, answer, frame.number, found.seq, _ack(found), frame.number)
    return frame._replace(comments=(*frame.comments, record.written()))


def _has_any(capture: Path) -> bool:
    """Whether there may be predictions in a capture: in one that is compressed they can't be looked for so quickly."""
    try:
        with capture.open("rb") as file:
            data = file.read(_MOST)
            return kind_of(data) is not None or PREFIX.encode() in data
    except OSError:
        return False


def _belongs(record: Record, frame: Frame, sheet: Sheet) -> bool:
    found = segment(frame)
    if not isinstance(found, Segment) or record.packet != frame.number:
        return False
    return _is_of(record.variant, sheet) and (record.seq_raw, record.ack_raw) == (found.seq, _ack(found))


def _is_of(variant: str | None, sheet: Sheet) -> bool:
    """Whether a record names the variant that the sheet does, however the student's id is typed there; or none."""
    whose = of_variant(sheet.assignment, "")
    if variant is None or not variant.startswith(whose):
        return variant is None
    return student_key(variant[len(whose) :]) == student_key(sheet.student)


def _ack(found: Segment) -> int | None:
    return found.ack if found.flags & ACK else None
