"""One of several, and several of several: what is right may depend on the capture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lab.grade.assignment import Mistake, Question, text
from lab.grade.facts import AbsentError
from lab.grade.kinds.kind import FULL, Answer, FormError, Judged, Kind, Right, Slip, entries, key, plain
from lab.grade.places import Seen
from lab.grade.sources import value
from lab.text import Text

_CHOSE = "chose-"
_NOT_THIS = Text("It is not this one.", "不是这一项。")


class Choice(Kind):
    """Exactly one option is right; a wrong one has its own credit, mostly none, and its own words."""

    name = "choice"

    def expects(self, question: Question) -> Text:
        listed = [each["id"] for each in question.given["option"]]
        return Text(f"one of {', '.join(listed)}", f"其中一项：{'、'.join(listed)}")

    def read(self, question: Question, raw: object) -> str:
        found = _named(question).get(key(plain(raw)))
        if found is None:
            raise FormError
        return found

    def right(self, question: Question, seen: Seen) -> Right:
        found = [each["id"] for each in question.given["option"] if _holds(each, seen)]
        if len(found) != 1:
            raise AbsentError(Text(f"one right answer, but {len(found)}", f"唯一的正确答案（有 {len(found)} 个）"))
        return Right(found[0], _packets(question, seen))

    def slips(self, question: Question, seen: Seen, right: Right) -> Iterator[Slip]:
        for each in question.given["option"]:
            if each["id"] != right.answer:
                yield Slip(_CHOSE + each["id"], each["id"])

    def mistake(self, question: Question, code: str) -> Mistake:
        option = _option(question, code.removeprefix(_CHOSE))
        because = text(option["because"]) if "because" in option else _NOT_THIS
        return Mistake(code, option.get("credit", 0), because, "")

    def shown(self, question: Question, answer: Answer) -> Text:
        said = text(_option(question, answer)["text"])
        return Text(f"{answer}: {said.en}", f"{answer}：{said.zh}")

    def spellings(self, question: Question, answer: Answer) -> list[object]:
        return [answer, answer.upper()]


class Choices(Kind):
    """Credit is (right ones chosen - wrong ones chosen) / right ones, and never less than nothing."""

    name = "choices"

    def expects(self, question: Question) -> Text:
        listed = [each["id"] for each in question.given["option"]]
        return Text(f"all that are right of {', '.join(listed)}", f"选出全部正确的：{'、'.join(listed)}")

    def read(self, question: Question, raw: object) -> frozenset[str]:
        known = _named(question)
        said = [key(plain(each)) for each in entries(raw)]
        if any(each not in known for each in said):
            raise FormError
        return frozenset(known[each] for each in said)

    def right(self, question: Question, seen: Seen) -> Right:
        found = frozenset(each["id"] for each in question.given["option"] if _holds(each, seen))
        if not found:
            raise AbsentError(Text("a right answer", "正确答案"))
        return Right(found, _packets(question, seen))

    def slips(self, question: Question, seen: Seen, right: Right) -> Iterator[Slip]:
        count = len(right.answer)
        everything = frozenset(each["id"] for each in question.given["option"])
        wrong = sorted(everything - right.answer)
        if count > 1:
            yield Slip("one-missing", right.answer - {max(right.answer)}, FULL * (count - 1) / count)
        if wrong:
            yield Slip("one-too-many", right.answer | {wrong[0]}, FULL * (count - 1) / count)
        yield Slip("everything", everything, FULL * max(count - len(wrong), 0) / count)

    def otherwise(self, question: Question, right: Right, answer: Answer) -> Judged:
        hits, wrong = len(answer & right.answer), len(answer - right.answer)
        credit = FULL * max(hits - wrong, 0) / len(right.answer)
        return Judged(credit, "partly" if credit else "wrong")

    def spellings(self, question: Question, answer: Answer) -> list[object]:
        names = sorted(answer)
        return [names, ", ".join(names), "、".join(reversed(names)).upper()]

    def shown(self, question: Question, answer: Answer) -> Text:
        said = [text(_option(question, each)["text"]) for each in sorted(answer)]
        return Text("; ".join(each.en for each in said), "；".join(each.zh for each in said))


def _named(question: Question) -> dict[str, str]:
    return {key(each["id"]): each["id"] for each in question.given["option"]}


def _option(question: Question, id_: str) -> Mapping[str, Any]:
    return next(each for each in question.given["option"] if each["id"] == id_)


def _holds(option: Mapping[str, Any], seen: Seen) -> bool:
    return bool(value(option["if"], seen)) if "if" in option else bool(option.get("right"))


def _packets(question: Question, seen: Seen) -> tuple[int, ...]:
    places = [each["if"]["place"] for each in question.given["option"] if "place" in each.get("if", {})]
    return tuple(sorted({seen.at(each).number for each in places}))
