"""Items in the order in which they stand in the capture. Two that stand in one packet may come either way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from lab.grade.assignment import Question, text
from lab.grade.facts import AbsentError
from lab.grade.kinds.kind import FULL, Answer, FormError, Judged, Kind, Right, Slip, entries, key, plain
from lab.grade.places import Seen
from lab.text import Text


class Order(Kind):
    """Credit is that of the longest part that is in a right order: k of n items are worth (k - 1) / (n - 1)."""

    name = "order"

    def expects(self, question: Question) -> Text:
        listed = ", ".join(self._ids(question))
        return Text(f"all of {listed}, in order", f"按顺序列出全部：{listed}")

    def read(self, question: Question, raw: object) -> tuple[str, ...]:
        known = {key(each): each for each in self._ids(question)}
        said = [key(plain(each)) for each in entries(raw, r"[,;>→、，；\s]+")]
        if any(each not in known for each in said) or len(set(said)) < len(said):
            raise FormError
        return tuple(known[each] for each in said)

    def right(self, question: Question, seen: Seen) -> Right:
        places = {each["id"]: _place(each, seen) for each in question.given["item"]}
        packets = {number for number, _ in places.values()}
        return Right(_Placed(tuple(sorted(places, key=places.__getitem__)), places), tuple(sorted(packets)))

    def slips(self, question: Question, seen: Seen, right: Right) -> Iterator[Slip]:
        order = right.answer.order
        for code, answer in (("two-exchanged", (order[1], order[0], *order[2:])), ("reversed", order[::-1])):
            yield Slip(code, answer, self._credit(question, right, answer))

    def otherwise(self, question: Question, right: Right, answer: Answer) -> Judged:
        credit = self._credit(question, right, answer)
        return Judged(credit, "partly" if credit else "wrong")

    def same(self, question: Question, wanted: Answer, answer: Answer) -> bool:
        if isinstance(wanted, _Placed):
            given = answer.order if isinstance(answer, _Placed) else answer
            return len(given) == len(wanted.order) and self._kept(question, wanted, given) == len(given)
        return bool(wanted == answer)

    def spellings(self, question: Question, answer: Answer) -> list[object]:
        order = list(answer.order if isinstance(answer, _Placed) else answer)
        return [order, ", ".join(order), " → ".join(order)]

    def shown(self, question: Question, answer: Answer) -> Text:
        names = {each["id"]: text(each["text"]) for each in question.given["item"]}
        order = answer.order if isinstance(answer, _Placed) else answer
        return Text(" → ".join(names[each].en for each in order), " → ".join(names[each].zh for each in order))

    def _credit(self, question: Question, right: Right, answer: Sequence[str]) -> float:
        kept = self._kept(question, right.answer, answer)
        return FULL * max(kept - 1, 0) / (len(right.answer.order) - 1)

    def _kept(self, question: Question, placed: _Placed, answer: Sequence[str]) -> int:
        """Returns the length of the longest part of an answer in which no two stand the wrong way round.

        All parts are looked at: there are ten items at most.
        """
        free = {frozenset(pair) for pair in question.given.get("either", ())}
        wrong = {
            (first, second)
            for first, second in combinations(answer, 2)
            if _behind(placed.at[first], placed.at[second]) and frozenset((first, second)) not in free
        }
        return next(
            size
            for size in range(len(answer), -1, -1)
            if any(not wrong.intersection(combinations(part, 2)) for part in combinations(answer, size))
        )

    @staticmethod
    def _ids(question: Question) -> list[str]:
        return sorted(each["id"] for each in question.given["item"])


_Place = tuple[int, int]  # the packet, and which of its messages: -1 where that is not said


class _Placed:
    """A right order, and where each item stands."""

    def __init__(self, order: tuple[str, ...], at: dict[str, _Place]) -> None:
        self.order = order
        self.at = at


def _place(item: Mapping[str, Any], seen: Seen) -> _Place:
    packet = seen.at(item["place"])
    if "message" not in item:
        return packet.number, -1
    at = next((at for at, each in enumerate(packet.messages) if each.name == item["message"]), None)
    if at is None:
        raise AbsentError(
            Text(f"{item['message']} in packet {packet.number}", f"第 {packet.number} 号包的 {item['message']}")
        )
    return packet.number, at


def _behind(first: _Place, second: _Place) -> bool:
    """Whether what stands at `first` is certainly behind what stands at `second`."""
    return first[0] > second[0] or (first[0] == second[0] and first[1] > second[1] >= 0)
