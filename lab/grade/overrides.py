"""What a teacher has decided otherwise: `overrides.toml`, kept apart from all marks, read and never written.

    [[override]]
    submission = "20250017"        # as the table calls it
    question = "server-state"
    points = 1                     # in place of those that were given
    why = "argued well in words"

It holds for every marking again. What it is about and is no longer there is said, so that nothing goes unnoticed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lab.errors import InputError
from lab.text import Text, safe

NAME = "overrides.toml"
_KEYS = {"submission", "question", "points", "why"}


class Override(NamedTuple):
    """The points of one question of one submission, as a person gives them."""

    submission: str
    question: str
    points: float
    why: str


def parse(data: bytes, name: str = NAME) -> tuple[Override, ...]:
    """Returns what a file says. Raises InputError: a decision that can't be read must not be passed over, nor may one
    of two on the same question."""
    try:
        said = tomllib.loads(data.decode("utf-8-sig"))
    except ValueError as error:
        raise _unreadable(name, f"{error}", f"{error}") from error
    if others := [safe(each) for each in said if each != "override"]:
        named = ", ".join(others)
        raise _unreadable(name, f"it has other keys than override: {named}", f"其中有 override 以外的键：{named}")
    listed = said.get("override", [])
    found: dict[tuple[str, str], Override] = {}
    for at, each in enumerate(listed if isinstance(listed, list) else [None], 1):
        if not isinstance(each, Mapping) or not _KEYS - {"why"} <= each.keys() <= _KEYS:
            raise _unreadable(name, f"override {at} has other keys", f"第 {at} 条的键不对")
        points = each["points"]
        if not isinstance(points, (int, float)) or isinstance(points, bool) or not 0 <= points <= 1e6:
            raise _unreadable(name, f"the points of override {at} are no number", f"第 {at} 条的分数不是数字")
        of = str(each["submission"]), str(each["question"])
        if of in found:
            both = " ".join(map(safe, of))
            raise _unreadable(name, f"override {at} is the second on {both}", f"第 {at} 条与前面一条都针对 {both}")
        found[of] = Override(*of, points, str(each.get("why", "")))
    return tuple(found.values())


def applied(
    submissions: Sequence[dict[str, Any]], overrides: Sequence[Override]
) -> tuple[list[dict[str, Any]], list[Text]]:
    """Returns the marks with what was decided, and what was decided about nothing that is there.

    A question that was decided on keeps what it had as `override.was`; a person's question is pending no more.
    """
    left = {(each.submission, each.question): each for each in overrides}
    found = []
    for marks in submissions:
        questions = []
        for question in marks["questions"]:
            override = left.pop((marks["submission"], question["id"]), None)
            questions.append(question if override is None else _overridden(question, override))
        decided = [each for each in questions if "override" in each]
        if decided:
            points = marks["points"] + sum(each["points"] - each["override"]["was"] for each in decided)
            pending = sum(each["of"] for each in decided if each["status"] == "person")
            marks = marks | {
                "questions": questions,
                "points": round(points, 2),
                "pending": round(marks["pending"] - pending, 2),
            }
        found.append(marks)
    told = [
        Text(
            f"{NAME}: there is no {safe(each.question)} of {safe(each.submission)}",
            f"{NAME}：没有 {safe(each.submission)} 的 {safe(each.question)}",
        )
        for each in left.values()
    ]
    return found, told


def _overridden(question: Mapping[str, Any], override: Override) -> dict[str, Any]:
    told = {"points": override.points, "was": question["points"], "why": safe(override.why)}
    return {**question, "points": override.points, "override": told}


def _unreadable(name: str, en: str, zh: str) -> InputError:
    return InputError(
        Text(f"{name} can't be read: {en}", f"无法读取 {name}：{zh}"),
        Text(
            "each [[override]] has submission, question, points, and perhaps why",
            "每个 [[override]] 需有 submission、question、points，可有 why",
        ),
    )
