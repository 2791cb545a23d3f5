"""A length of time, with a tolerance: between two packets, or one that a rule gives."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.grade.assignment import Question
from lab.grade.facts import AbsentError
from lab.grade.kinds.kind import Answer, FormError, Kind, Right, Slip, plain
from lab.grade.places import Seen
from lab.text import Text

_SECOND = 1_000_000_000  # nanoseconds
_UNITS = {
    "s": 1.0, "秒": 1.0, "ms": 1e-3, "毫秒": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "微秒": 1e-6,
    "min": 60.0, "分钟": 60.0,
}  # fmt: skip
_SAID = re.compile(r"(\d{1,12}(?:[.,]\d{1,12})?)\s*([a-zµμ秒毫微分钟]*)", re.IGNORECASE)
_LEAST = 0.0005  # seconds off that are always allowed: what three decimals can't say


class Duration(Kind):
    """Seconds. An answer without a unit is in the question's."""

    name = "duration"

    def expects(self, question: Question) -> Text:
        unit = question.given["unit"]
        return Text(
            f"a time in {unit}, or with its unit: 1.5 s, 20 ms", f"以 {unit} 为单位的时间，或写明单位：1.5 s、20 ms"
        )

    def read(self, question: Question, raw: object) -> float:
        match = _SAID.fullmatch(plain(raw))
        unit = (match[2].casefold() or question.given["unit"]) if match is not None else ""
        if match is None or unit not in _UNITS:
            raise FormError
        return float(match[1].replace(",", ".")) * _UNITS[unit]

    def right(self, question: Question, seen: Seen) -> Right:
        if "seconds" in question.given:
            return Right(float(question.given["seconds"]), ())
        first, second = seen.at(question.given["from"]), seen.at(question.given["to"])
        if first.time is None or second.time is None:
            raise AbsentError(Text("times of packets", "包的时间"))
        return Right((second.time - first.time) / _SECOND, (first.number, second.number))

    def slips(self, question: Question, seen: Seen, right: Right) -> Iterator[Slip]:
        yield Slip("unit-too-large", right.answer * 1000)
        yield Slip("unit-too-small", right.answer / 1000)
        if len(right.packets) == 2:
            first, second = (seen.facts.packet(each).time for each in (1, right.packets[1]))
            if first is not None and second is not None:
                yield Slip("since-the-beginning", (second - first) / _SECOND)

    def same(self, question: Question, wanted: Answer, answer: Answer) -> bool:
        off = max(question.given.get("absolute", 0), question.given.get("relative", 0) * wanted, _LEAST)
        return bool(abs(wanted - answer) <= off)

    def spellings(self, question: Question, answer: Answer) -> list[object]:
        number = answer / _UNITS[question.given["unit"]]
        return [round(number, 6), f"{answer:.6f} s", f"{answer * 1000:.3f} 毫秒"]

    def shown(self, question: Question, answer: Answer) -> Text:
        said = f"{answer:.3f} s" if question.given["unit"] == "s" else f"{answer * 1000:.1f} ms"
        return Text(said, said)
