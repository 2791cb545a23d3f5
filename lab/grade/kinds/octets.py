"""Bytes, in hexadecimal: some of a field, perhaps with a mask, perhaps combined with others first."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.grade.assignment import Question
from lab.grade.facts import AbsentError
from lab.grade.kinds.kind import Answer, FormError, Kind, Right, Slip, entries, plain
from lab.grade.places import Seen
from lab.grade.sources import place_of, value
from lab.text import Text, counted


class Hex(Kind):
    name = "hex"

    def expects(self, question: Question) -> Text:
        first = question.given.get("first")
        if first is None:
            return Text("bytes in hexadecimal, such as 16 03 01", "十六进制字节，例如 16 03 01")
        sample = " ".join(["16", "03", "01", "00", "7e", "9b", "ef", "81"][:first]) + (" …" if first > 8 else "")
        return Text(
            f"{counted(first, 'byte')} in hexadecimal, such as {sample}", f"{first} 个字节，十六进制，例如 {sample}"
        )

    def in_hexadecimal(self, question: Question) -> bool:
        return True

    def read(self, question: Question, raw: object) -> bytes:
        if isinstance(raw, bytes):
            return raw
        said = " ".join(plain(each) for each in entries(raw)) if isinstance(raw, list) else plain(raw)
        digits = re.sub(r"\\x|0x|[\s:,_-]", "", said.casefold())
        first = question.given.get("first")
        if not re.fullmatch(r"([0-9a-f]{2})+", digits) or (first and len(digits) != 2 * first):
            raise FormError
        return bytes.fromhex(digits)

    def of_source(self, question: Question, found: object) -> bytes:
        return super().of_source(question, found)[: question.given.get("first")]  # type: ignore[no-any-return]  # it is bytes

    def right(self, question: Question, seen: Seen) -> Right:
        found = _bytes(question, seen)
        if "xor" in question.given:
            found = _combined(found, _of(question.given["xor"], seen))
        place = place_of(question.given["source"])
        return Right(found, (seen.at(place).number,) if place else ())

    def slips(self, question: Question, seen: Seen, right: Right) -> Iterator[Slip]:
        if "xor" in question.given:
            yield Slip("still-masked", _bytes(question, seen))
        yield Slip("nibbles", bytes((each >> 4) | (each & 15) << 4 for each in right.answer))
        yield Slip("bytes-reversed", right.answer[::-1])

    def same(self, question: Question, wanted: Answer, answer: Answer) -> bool:
        mask = bytes.fromhex(question.given.get("mask", ""))
        if not mask:
            return bool(wanted == answer)
        return len(wanted) == len(answer) and all(
            (a ^ b) & mask[at % len(mask)] == 0 for at, (a, b) in enumerate(zip(wanted, answer, strict=True))
        )

    def spellings(self, question: Question, answer: Answer) -> list[object]:
        return [answer.hex(" "), answer.hex(), answer.hex(":").upper(), "0x" + answer.hex()]


def _bytes(question: Question, seen: Seen) -> bytes:
    return _of(question.given["source"], seen)[: question.given.get("first")]


def _of(source: object, seen: Seen) -> bytes:
    assert isinstance(source, dict)
    found = value({**source, "of": "bytes"}, seen)
    if not isinstance(found, bytes) or not found:
        raise AbsentError(Text("these bytes", "这些字节"))
    return found


def _combined(data: bytes, mask: bytes) -> bytes:
    return bytes(each ^ mask[at % len(mask)] for at, each in enumerate(data))
