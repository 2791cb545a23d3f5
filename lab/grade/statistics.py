"""What a class has made of each question: how hard it was, whether it tells students apart, what went wrong most."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

_MOST_MISTAKES = 3
_NO_MISTAKE = ("right", "carried", "person")


def statistics(submissions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns for each question of each assignment, in order:

    `easiness`, the mean of what was reached of its points (0 to 1); `discrimination`, the correlation of its points
    with those of all other questions (-1 to 1: of a question that is right or wrong, the point-biserial coefficient;
    null where one of them does not vary); the commonest mistakes, as codes. What a person has still to mark, and
    submissions without a capture, are left out: `answers` counts the rest, and where there is none both are null.
    """
    found = []
    counted = [each for each in submissions if each["capture"] is not None]
    for assignment in dict.fromkeys(each["assignment"]["id"] for each in counted):
        of_it = [each for each in counted if each["assignment"]["id"] == assignment]
        for at, question in enumerate(of_it[0]["questions"]):
            found.append({"assignment": assignment, "question": question["id"], **_of(at, question, of_it)})
    return found


def _of(at: int, question: Mapping[str, Any], submissions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns what was made of the question that is `at` this place in each of the submissions."""
    marked = [each for each in submissions if not _pending(each["questions"][at])]
    marks = [each["questions"][at] for each in marked]
    points = [float(each["points"]) for each in marks]
    others = [each["points"] - own for each, own in zip(marked, points, strict=True)]
    codes = Counter(each["code"] for each in marks if each["status"] not in _NO_MISTAKE)
    known = bool(points) and question["of"] > 0
    return {
        "answers": len(marks),
        "easiness": round(sum(points) / len(points) / question["of"], 3) if known else None,
        "discrimination": _correlation(points, others) if points else None,
        "mistakes": [{"code": code, "count": count} for code, count in codes.most_common(_MOST_MISTAKES)],
    }


def _pending(question: Mapping[str, Any]) -> bool:
    """Whether a person has still to mark it."""
    return question["status"] == "person" and "override" not in question


def _correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Returns Pearson's coefficient, None where it has none."""
    means = sum(one) / len(one), sum(other) / len(other)
    products = sum((a - means[0]) * (b - means[1]) for a, b in zip(one, other, strict=True))
    spread = math.sqrt(sum((a - means[0]) ** 2 for a in one) * sum((b - means[1]) ** 2 for b in other))
    return round(products / spread, 3) + 0.0 if spread > 1e-9 else None  # no zero with a sign
