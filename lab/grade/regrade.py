"""What has changed since a class was marked before: for each student and question, from the canonical JSON of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Change(NamedTuple):
    """A question whose points, or what is said of it, have changed. None: it was not there, or is not any more."""

    submission: str
    question: str
    before: float | None
    after: float | None
    code_before: str | None
    code_after: str | None


class Difference(NamedTuple):
    """All changes, in the order of the class; totals are before and after, by submission, where these differ."""

    changes: tuple[Change, ...]
    totals: Mapping[str, tuple[float | None, float | None]]

    def __bool__(self) -> bool:
        return bool(self.changes or self.totals)


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference:
    """Returns what has changed from one marking of a class to another."""
    old = {each["submission"]: each for each in before["submissions"]}
    new = {each["submission"]: each for each in after["submissions"]}
    changes: list[Change] = []
    totals: dict[str, tuple[float | None, float | None]] = {}
    for name in dict.fromkeys([*old, *new]):
        one, other = old.get(name), new.get(name)
        points = one["points"] if one else None, other["points"] if other else None
        if points[0] != points[1]:
            totals[name] = points
        if one and other:
            changes += _questions(name, one, other)
    return Difference(tuple(changes), totals)


def _questions(name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> list[Change]:
    old = {each["id"]: each for each in one["questions"]}
    new = {each["id"]: each for each in other["questions"]}
    found = []
    for id_ in dict.fromkeys([*old, *new]):
        was, now = _told(old.get(id_)), _told(new.get(id_))
        if was != now:
            found.append(Change(name, id_, was[0], now[0], was[1], now[1]))
    return found


def _told(question: Mapping[str, Any] | None) -> tuple[float | None, str | None]:
    if question is None:
        return None, None
    return question["points"], "override" if "override" in question else question["code"]
