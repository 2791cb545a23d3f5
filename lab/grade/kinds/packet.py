"""The number of a packet, and the numbers of several."""

from __future__ import annotations

from collections.abc import Iterator

from lab.grade.assignment import Question
from lab.grade.facts import AbsentError, other
from lab.grade.kinds.kind import FULL, Answer, FormError, Judged, Kind, Right, Slip, entries, key, whole
from lab.grade.places import Seen
from lab.text import Text

NONE = 0  # the answer that there is no such packet
_NONE_WORDS = {key(each) for each in ("none", "no", "无", "没有")}


class PacketNumber(Kind):
    """The number of the packet at a place; with `none` there may be no such packet."""

    name = "packet"

    def expects(self, question: Question) -> Text:
        if question.given.get("none"):
            return Text('a packet number, such as 7, or "none"', "一个包的编号，例如 7；没有则写 “none”")
        return Text("a packet number, such as 7", "一个包的编号，例如 7")

    def read(self, question: Question, raw: object) -> int:
        if question.given.get("none") and isinstance(raw, str) and key(raw) in _NONE_WORDS:
            return NONE
        number = whole(raw)
        if number < 1:
            raise FormError
        return number

    def right(self, question: Question, seen: Seen) -> Right:
        try:
            number = seen.at(question.given["place"]).number
        except AbsentError:
            if not question.given.get("none"):
                raise
            return Right(NONE, ())
        return Right(number, (number,))

    def slips(self, question: Question, seen: Seen, right: Right) -> Iterator[Slip]:
        if right.answer == NONE:
            return
        packet = seen.facts.packet(right.answer)
        alike = [each for each in seen.facts.packets if each.conversation == packet.conversation and each != packet]
        for each in alike:
            if (each.sender, each.seq, each.stop) == (packet.sender, packet.seq, packet.stop) and packet.stop > (
                packet.seq or 0
            ):
                yield Slip("other-copy", each.number)
        if packet.sender is not None:
            wanted = {**seen.places[question.given["place"]].wanted, "sender": other(packet.sender)}
            found = seen.chosen(wanted) if question.given["place"] not in seen.moved else None
            if found is not None:
                yield Slip("other-end", found.number)
        if packet.number > 1:
            yield Slip("one-before", packet.number - 1)
        if packet.number < len(seen.facts.packets):
            yield Slip("one-after", packet.number + 1)
        if question.given.get("none"):
            yield Slip("not-seen", NONE)

    def spellings(self, question: Question, answer: Answer) -> list[object]:
        return ["none", "无"] if answer == NONE else [answer, str(answer), f"#{answer}", f"第 {answer} 号包"]


class Packets(Kind):
    """The numbers of all packets at a place. Credit is (t / right ones) x (t / ones given), t of them being right."""

    name = "packets"

    def expects(self, question: Question) -> Text:
        return Text("packet numbers, such as [3, 7]", "若干包的编号，例如 [3, 7]")

    def read(self, question: Question, raw: object) -> frozenset[int]:
        found = frozenset(whole(each) for each in (entries(raw) if not isinstance(raw, int) else [raw]))
        if any(each < 1 for each in found):
            raise FormError
        return found

    def right(self, question: Question, seen: Seen) -> Right:
        found = tuple(each.number for each in seen.all(question.given["place"]))
        if not found:
            raise AbsentError(seen.places[question.given["place"]].name)
        return Right(frozenset(found), found)

    def slips(self, question: Question, seen: Seen, right: Right) -> Iterator[Slip]:
        count = len(right.answer)
        if count > 1:
            yield Slip("one-missing", right.answer - {max(right.answer)}, FULL * (count - 1) / count)
        extra = next((each.number for each in seen.facts.packets if each.number not in right.answer), None)
        if extra is not None:
            yield Slip("one-too-many", right.answer | {extra}, FULL * count / (count + 1))

    def otherwise(self, question: Question, right: Right, answer: Answer) -> Judged:
        hit = len(right.answer & answer)
        return Judged(FULL * hit * hit / (len(right.answer) * len(answer)), "partly" if hit else "wrong")

    def spellings(self, question: Question, answer: Answer) -> list[object]:
        numbers = sorted(answer)
        return [numbers, ", ".join(map(str, numbers)), "、".join(map(str, reversed(numbers)))]
