"""An item of a question bank: a capture, and what is asked about it, with what it accepts and what each is worth.

What a quiz can't mark is left out: words, predictions, rules that somebody has written. The capture has packets, and
the secrets unless the assignment says no; comments, which would give answers away, are taken out.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import permutations
from math import gcd
from pathlib import Path
from typing import Literal, NamedTuple

from lab.capture.pcapng import Writer
from lab.capture.reader import open_capture
from lab.errors import InputError
from lab.grade.assignment import Assignment, Question, text
from lab.grade.facts import AbsentError
from lab.grade.kinds import KINDS
from lab.grade.kinds.kind import FULL, Answer, Kind
from lab.grade.places import Seen, seen
from lab.grade.recording import facts_of
from lab.text import Text

_HUNDREDTHS = 100  # of a point: weights are whole numbers
_MOST_ORDERS = 4  # members of a set that are accepted in any order: of more, in theirs
_LEFT_OUT = ("prediction",)  # recorded by the debugger before a packet is let go of
_LEAST_SECONDS = 0.0005  # off that are always allowed


class Accepted(NamedTuple):
    """An answer as it may be written, what it is worth in per cent, and what is said of it."""

    said: str
    credit: int
    feedback: Text


class Option(NamedTuple):
    """One of several; `credit` in per cent."""

    id: str
    text: Text
    credit: int
    feedback: Text


class Blank(NamedTuple):
    """A question: its weight is a whole number. `tolerance` is how far off a number may be; `exact` that letters have
    to be in their case."""

    id: str
    text: Text
    expects: Text
    points: float
    weight: int
    kind: Literal["number", "text", "choice", "choices"]
    accepted: tuple[Accepted, ...]
    options: tuple[Option, ...] = ()
    items: tuple[tuple[str, Text], ...] = ()
    tolerance: float = 0
    exact: bool = False


class Item(NamedTuple):
    """A capture with its file's name and bytes, and the questions on it."""

    name: str
    file: str
    capture: bytes
    blanks: tuple[Blank, ...]


def items(assignment: Assignment, captures: Sequence[Path]) -> Iterator[Item]:
    """Yields an item for each capture. Raises InputError for one that can't be read, or has not what is asked about."""
    weights = _weights(assignment.questions)
    for path in captures:
        view = seen(assignment, facts_of(path))
        blanks = []
        for question in assignment.questions:
            kind = KINDS[question.kind]
            if kind.by_person or kind.judged or question.kind in _LEFT_OUT:
                continue
            try:
                blanks.append(_blank(question, kind, view, weights[question.id]))
            except AbsentError as error:
                raise InputError(
                    Text(
                        f"{path.name} does not have {error.what.en}, for '{question.id}'",
                        f"{path.name} 中没有{error.what.zh}（题目“{question.id}”）",
                    ),
                    Text("leave this capture out", "请去掉这份抓包"),
                ) from None
        yield Item(
            path.stem, f"{path.stem}.pcapng", _bare(path, assignment.variant.get("secrets", True)), tuple(blanks)
        )


def _weights(questions: Sequence[Question]) -> dict[str, int]:
    """Returns the points of questions as whole numbers, as small as they can be."""
    counted = {each.id: round(each.points * _HUNDREDTHS) for each in questions}
    least = gcd(*counted.values()) or 1
    return {id_: max(points // least, 1) for id_, points in counted.items()}


def _blank(question: Question, kind: Kind, view: Seen, weight: int) -> Blank:
    right = kind.right(question, view)
    blank = Blank(
        question.id, question.text, _expects(kind, question, right.answer), question.points, weight, "text", ()
    )
    known = kind.mistakes(question, view, right)
    why = question.why or Text("", "")
    if question.kind in ("choice", "choices"):
        chosen = right.answer if isinstance(right.answer, frozenset) else {right.answer}
        known_as = {
            slip.answer: (mistake.credit, mistake.text) for slip, mistake in known if isinstance(slip.answer, str)
        }
        options = tuple(
            Option(each["id"], text(each["text"]), FULL, why)
            if each["id"] in chosen
            else Option(each["id"], text(each["text"]), *_worth(known_as.get(each["id"])))
            for each in question.given["option"]
        )
        accepted = tuple(Accepted(said, FULL, why) for said in _said(kind, question, right.answer))
        return blank._replace(
            kind="choice" if question.kind == "choice" else "choices", accepted=accepted, options=options
        )
    found: dict[str, Accepted] = {}
    for said in _said(kind, question, right.answer):
        found.setdefault(said.casefold(), Accepted(said, FULL, why))
    number = isinstance(kind.spellings(question, right.answer)[0], (int, float))
    for slip, mistake in known:
        credit = round(mistake.credit if slip.credit is None else slip.credit)
        for said in _said(kind, question, slip.answer)[: 1 if number else 2]:
            found.setdefault(said.casefold(), Accepted(said, credit, mistake.text))
    blank = blank._replace(
        accepted=tuple(found.values()),
        exact=bool(question.given.get("exact")),
        items=tuple((each["id"], text(each["text"])) for each in question.given.get("item", ())),
    )
    if not number:
        return blank
    plainly = tuple(each for each in blank.accepted if _is_number(each.said))
    return blank._replace(kind="number", accepted=_usual_first(plainly), tolerance=_tolerance(question, right.answer))


def _worth(known: tuple[float, Text] | None) -> tuple[int, Text]:
    return (round(known[0]), known[1]) if known is not None else (0, Text("", ""))


def _usual_first(accepted: tuple[Accepted, ...]) -> tuple[Accepted, ...]:
    """Returns numbers of which no two are the same."""
    found: dict[float, Accepted] = {}
    for each in accepted:
        found.setdefault(float(each.said), each)
    return tuple(found.values())


def _tolerance(question: Question, answer: float) -> float:
    """Returns how far off an answer may be, in the question's unit."""
    if question.kind != "duration":
        return 0
    off = max(question.given.get("absolute", 0), question.given.get("relative", 0) * answer, _LEAST_SECONDS)
    return float(off * 1000 if question.given["unit"] == "ms" else off)


def _said(kind: Kind, question: Question, answer: Answer) -> list[str]:
    """Returns how an answer may be written, as texts: of a list, with commas.

    Where the usual way is a text, as of a hexadecimal number, a number alone means another thing.
    """
    found: list[str] = []
    usual, *others = kind.spellings(question, answer)
    for each in (usual, *others):
        if isinstance(each, list):
            free = isinstance(answer, frozenset) and len(each) <= _MOST_ORDERS  # in any order
            for order in permutations(each) if free else (each,):
                found += [",".join(map(str, order)), ", ".join(map(str, order))]
        elif isinstance(each, str) or not isinstance(usual, str):
            found.append(str(each))
    return list(dict.fromkeys(each for each in found if each))


def _expects(kind: Kind, question: Question, answer: Answer) -> Text:
    """Returns how an answer is to be written in a line."""
    said = kind.expects(question)
    if isinstance(kind.spellings(question, answer)[0], list):
        return Text(f"{said.en}; with commas, without brackets", f"{said.zh}；用逗号隔开，不加括号")
    return said


def _is_number(said: str) -> bool:
    try:
        float(said)
    except ValueError:
        return False
    return True


def _bare(path: Path, secrets: bool) -> bytes:
    """Returns a capture with its packets, and what opens them, and nothing that anybody has said of them."""
    out = io.BytesIO()
    writer = Writer(out)
    with open_capture(str(path)) as capture:
        frames = list(capture)
        for each in capture.secrets if secrets else ():
            writer.secrets(each)
    for frame in frames:
        writer.packet(frame, ())
    writer.finish(())
    return out.getvalue()
