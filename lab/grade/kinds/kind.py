"""What a kind of question is: how an answer is read, what is right, and which mistakes people make on the way there.

A kind holds no assignment's words and no protocol's names: places and fields come from the assignment, what is said of
a mistake from `mistakes.toml`. Right answers come from the student's own capture and from nothing else.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar, NamedTuple

from lab.grade.assignment import Mistake, Question, text
from lab.grade.facts import AbsentError
from lab.grade.places import Seen
from lab.grade.sources import value
from lab.text import Text

MOST_TEXT = 4096  # characters of an answer
MOST_WORDS = 20_000  # of one that a person reads
MOST_ENTRIES = 256  # of a list
FULL = 100  # per cent

Answer = Any  # what a kind has read: a value of its own, which can be compared


class FormError(Exception):
    """An answer is not written as it has to be: that costs nothing, and is said."""


class Slip(NamedTuple):
    """What somebody writes who makes a mistake, by its code; `credit` where it depends on the value, in per cent."""

    code: str
    answer: Answer
    credit: float | None = None


class Right(NamedTuple):
    """The right answer, and the packets that show it."""

    answer: Answer
    packets: tuple[int, ...]


class Judged(NamedTuple):
    """What an answer is worth, in per cent, and why: `right`, `wrong`, `partly`, or the code of a mistake, and that."""

    credit: float
    code: str
    mistake: Mistake | None = None


class Kind(ABC):
    """One kind of question. Subclasses say what differs; a question is asked of its kind, with a capture `seen`."""

    name: ClassVar[str]
    by_person: ClassVar[bool] = False  # whether a person has to mark it
    judged: ClassVar[bool] = False  # whether there are many right answers, and the capture tells

    @abstractmethod
    def expects(self, question: Question) -> Text:
        """Returns what an answer has to look like."""

    def expected(self, question: Question, raw: object) -> Text:
        """Returns what an answer that can't be read should have looked like."""
        said = self.expects(question)
        if not self.in_hexadecimal(question) or isinstance(raw, (str, list)):
            return said
        return Text(f"{said.en}; in quotes", f"{said.zh}；须加引号")  # TOML takes 12e4 for a number of its own

    def in_hexadecimal(self, question: Question) -> bool:
        """Whether an answer is digits that TOML reads otherwise where they are not in quotes."""
        return False

    @abstractmethod
    def read(self, question: Question, raw: object) -> Answer:
        """Returns an answer as it can be compared. Raises FormError."""

    @abstractmethod
    def right(self, question: Question, seen: Seen) -> Right:
        """Returns the right answer. Raises AbsentError where the capture does not have it."""

    def slips(self, question: Question, seen: Seen, right: Right) -> Iterator[Slip]:
        """Yields the mistakes of this kind, as far as they can be told from the right answer."""
        yield from ()

    def judge(self, question: Question, seen: Seen, right: Right, answer: Answer) -> Judged:
        """Returns what an answer is worth."""
        if self.same(question, right.answer, answer):
            return Judged(FULL, "right")
        for slip, mistake in self.mistakes(question, seen, right):
            if self.same(question, slip.answer, answer):
                credit = mistake.credit if slip.credit is None else slip.credit
                return Judged(credit, slip.code, mistake)
        return self.otherwise(question, right, answer)

    def otherwise(self, question: Question, right: Right, answer: Answer) -> Judged:
        """Returns what an answer is worth that is no known mistake."""
        return Judged(0, "wrong")

    def same(self, question: Question, wanted: Answer, answer: Answer) -> bool:
        return bool(wanted == answer)

    def spellings(self, question: Question, answer: Answer) -> list[object]:
        """Returns how an answer may be written in a sheet: the usual way first."""
        return [answer]

    def shown(self, question: Question, answer: Answer) -> Text:
        """Returns an answer as feedback shows it."""
        said = str(self.spellings(question, answer)[0])
        return Text(said, said)

    def mistakes(self, question: Question, seen: Seen, right: Right) -> list[tuple[Slip, Mistake]]:
        """Returns the mistakes that can be told from the right answer, those of the question first.

        Of two that are the same answer only the first is there; `credit` of the question counts more than the usual.
        """
        found: list[tuple[Slip, Mistake]] = []
        for slip, mistake in self._told(question, seen, right):
            answers = [right.answer, *(each.answer for each, _ in found)]
            if not any(self.same(question, each, slip.answer) for each in answers):
                credit = question.credit.get(slip.code)
                found.append(
                    (slip._replace(credit=None), mistake._replace(credit=credit))
                    if credit is not None
                    else (slip, mistake)
                )
        return found

    def _told(self, question: Question, seen: Seen, right: Right) -> Iterator[tuple[Slip, Mistake]]:
        """Yields the question's own mistakes and the usual ones. Who made a capture decides what is in it: a mistake
        that it has no value for, or none that could be an answer, nobody can have made."""
        for source, mistake in question.own:
            with suppress(AbsentError, FormError):
                yield Slip(mistake.code, self.of_source(question, value(source, seen))), mistake
        with suppress(AbsentError):
            for slip in self.slips(question, seen, right):
                yield slip, self.mistake(question, slip.code)

    def mistake(self, question: Question, code: str) -> Mistake:
        """Returns what is said of a mistake of this kind."""
        return known()[code]

    def of_source(self, question: Question, found: object) -> Answer:
        """Returns the answer that a value from the capture is."""
        return self.read(question, found)


@cache
def known() -> Mapping[str, Mistake]:
    """Returns the usual mistakes and what is said of them, by their codes."""
    data = tomllib.loads((files("lab.grade.kinds") / "mistakes.toml").read_text("utf-8"))
    return {
        each["code"]: Mistake(each["code"], each["credit"], text(each["text"]), each.get("rfc", ""))
        for each in data["mistake"]
    }


# Reading what people write.

_NUMBER = re.compile(
    r"(?:#|no\.?|packet|第)?\s*([+-]?\d[\d_, ]*|0x[_ ]*[0-9a-f][0-9a-f_ ]*)\s*(?:号包|号|个)?", re.IGNORECASE
)
_MOST_DIGITS = 40


def plain(raw: object, most: int = MOST_TEXT) -> str:
    """Returns an answer as text, full-width characters as ordinary ones. Raises FormError where it is none, or has more
    than `most` characters."""
    if isinstance(raw, bool) or not isinstance(raw, (str, int, float)):
        raise FormError
    if isinstance(raw, int) and raw.bit_length() > 4 * _MOST_DIGITS:
        raise FormError
    said = unicodedata.normalize("NFKC", str(raw)).strip()
    if not said or len(said) > most:
        raise FormError
    return said


def whole(raw: object) -> int:
    """Returns an answer that is a whole number: 12, `12`, `1 234`, `0x1f`, `#12`, `第12号包`. Raises FormError."""
    if isinstance(raw, float) and raw.is_integer() and abs(raw) < 1 << 53:
        raw = int(raw)
    match = _NUMBER.fullmatch(plain(raw))
    digits = re.sub(r"[_, ]", "", match[1]) if match else ""
    if not digits or len(digits) > _MOST_DIGITS:
        raise FormError
    return int(digits, 16 if digits[:2].casefold() == "0x" else 10)


def entries(raw: object, separators: str = r"[,;、，；\s]+") -> list[object]:
    """Returns an answer that is a list: of TOML, or a text that commas or spaces divide. Raises FormError."""
    if isinstance(raw, list):
        found: Sequence[object] = raw
    else:
        found = [each for each in re.split(separators, plain(raw)) if each]
    if not 0 < len(found) <= MOST_ENTRIES:
        raise FormError
    return list(found)


def key(name: str) -> str:
    """Returns what of a name counts: letters and digits, in any case (`FIN_WAIT1` is `fin-wait-1`)."""
    return "".join(each for each in unicodedata.normalize("NFKC", name).casefold() if each.isalnum())
