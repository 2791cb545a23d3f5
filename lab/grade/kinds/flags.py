"""The flags of a segment, of those that are asked about."""

from __future__ import annotations

from collections.abc import Iterator

from lab.grade.assignment import Question
from lab.grade.kinds.kind import Answer, FormError, Kind, Right, Slip, entries, key, plain
from lab.grade.places import Seen
from lab.text import Text

_AMONG = ("SYN", "ACK", "FIN", "RST", "PSH")
_NOTHING = {key(each) for each in ("none", "无", "没有")}


class Flags(Kind):
    name = "flags"

    def expects(self, question: Question) -> Text:
        names = self._among(question)
        return Text(f"those that are set of {', '.join(names)}", f"{'、'.join(names)} 中置位的标志")

    def read(self, question: Question, raw: object) -> frozenset[str]:
        if isinstance(raw, str) and key(raw) in _NOTHING:
            return frozenset()
        known = {key(each): each for each in self._among(question)}
        said = [key(plain(each)) for each in entries(raw, r"[,;+/|&、，；＋\s-]+")]
        if not all(each in known for each in said):
            raise FormError
        return frozenset(known[each] for each in said)

    def right(self, question: Question, seen: Seen) -> Right:
        packet = seen.at(question.given["place"])
        return Right(frozenset(packet.flags) & set(self._among(question)), (packet.number,))

    def slips(self, question: Question, seen: Seen, right: Right) -> Iterator[Slip]:
        among = self._among(question)
        for code, name in (("push-counted", "PSH"), ("acknowledgment-forgotten", "ACK")):
            if name in among and (name == "PSH" or name in right.answer):
                yield Slip(code, right.answer ^ {name})

    def spellings(self, question: Question, answer: Answer) -> list[object]:
        names = [each for each in self._among(question) if each in answer]
        if not names:
            return ["none", "无"]
        return [names, "+".join(names), "、".join(reversed(names)).lower()]

    def shown(self, question: Question, answer: Answer) -> Text:
        names = [each for each in self._among(question) if each in answer]
        return Text(" + ".join(names) or "none", " + ".join(names) or "无")

    @staticmethod
    def _among(question: Question) -> tuple[str, ...]:
        return tuple(question.given.get("among", _AMONG))
