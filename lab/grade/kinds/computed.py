"""A value that is read or computed: a number, a name, a proof in base64."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.grade.assignment import Question, text
from lab.grade.kinds.kind import Answer, FormError, Kind, Right, Slip, key, plain, whole
from lab.grade.places import Seen
from lab.grade.sources import place_of, value
from lab.text import Text


class Computed(Kind):
    """Of a text, letters and digits count, in any case; with `exact` every character does."""

    name = "value"

    def expects(self, question: Question) -> Text:
        if "unit" in question.given:
            unit = text(question.given["unit"])
            return Text(f"a whole number ({unit.en})", f"整数（{unit.zh}）")
        if self.in_hexadecimal(question):
            return Text("a number in hexadecimal, such as 0x1301", "十六进制数，例如 0x1301")
        if question.given.get("exact"):
            return Text("the value, character by character", "该值，逐字符填写")
        return Text("the value: a number or a name", "该值：数字或名称")

    def in_hexadecimal(self, question: Question) -> bool:
        return bool(question.given.get("hex"))

    def read(self, question: Question, raw: object) -> int | str | frozenset[int]:
        if "unit" in question.given:
            return whole(raw)
        if self.in_hexadecimal(question):
            return _hexadecimal(raw)
        said = plain(raw)
        if not question.given.get("exact"):
            try:
                return whole(raw)
            except FormError:
                if not key(said):
                    raise
        return said

    def right(self, question: Question, seen: Seen) -> Right:
        source = question.given["source"]
        place = place_of(source)
        return Right(value(source, seen), (seen.at(place).number,) if place else ())

    def slips(self, question: Question, seen: Seen, right: Right) -> Iterator[Slip]:
        source = question.given["source"]
        if source.get("scaled"):
            yield Slip("unscaled", value({"place": source["place"], "field": "window"}, seen))
        if isinstance(right.answer, str) and question.given.get("exact"):
            yield Slip("wrong-case", right.answer.casefold())

    def same(self, question: Question, wanted: Answer, answer: Answer) -> bool:
        if isinstance(answer, frozenset):
            return wanted in answer
        if isinstance(wanted, int) or isinstance(answer, int) or question.given.get("exact"):
            return bool(wanted == answer)
        return key(wanted) == key(answer)

    def of_source(self, question: Question, found: object) -> Answer:
        return found

    def shown(self, question: Question, answer: Answer) -> Text:
        if isinstance(answer, int):
            said = f"0x{answer:04x}" if self.in_hexadecimal(question) else str(answer)
            unit = text(question.given["unit"]) if "unit" in question.given else Text("", "")
            return Text(f"{said} {unit.en}".strip(), f"{said} {unit.zh}".strip())
        return Text(answer, answer)

    def spellings(self, question: Question, answer: Answer) -> list[object]:
        if isinstance(answer, int):
            if not self.in_hexadecimal(question):
                return [answer, str(answer)]
            return [f"0x{answer:04x}", answer, hex(answer), f"{answer:04x}", f"{answer:x}"]
        return [answer] if question.given.get("exact") else [answer, answer.lower(), answer.replace("_", "-")]


def _hexadecimal(raw: object) -> int | frozenset[int]:
    """Returns a number that is hexadecimal with or without 0x in front.

    Of one without quotes TOML does not tell any more whether it had that: it is what it may have been, as a value and
    as hexadecimal digits.
    """
    digits = re.sub(r"^0x|[\s:_]", "", plain(raw).casefold())
    if isinstance(raw, int):
        readings = frozenset({raw, int(digits, 16)})
        return raw if len(readings) == 1 else readings
    if not re.fullmatch(r"[0-9a-f]{1,16}", digits):
        raise FormError
    return int(digits, 16)
