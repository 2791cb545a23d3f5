"""What students are told, and from when on: `release.toml`, the teacher's, read and never written.

    points = 2026-12-01                  # what each question has brought
    reason = 2026-12-08 18:00:00         # what went wrong, and the rule
    full   = 2026-12-15                  # the right answers, and their captures with notes

Before the first of these it is the total alone. A date is the midnight with which it begins; a time without an offset
is this machine's.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time

from lab.errors import InputError
from lab.grade.feedback import DEGREES, Degree
from lab.text import Text

NAME = "release.toml"
_DATED = DEGREES[1:]


def parse(data: bytes, name: str = NAME) -> dict[Degree, datetime]:
    """Returns from when on each degree holds. Raises InputError: what is to be kept back must not be told after all."""
    try:
        read = tomllib.loads(data.decode("utf-8-sig"))
    except ValueError as error:
        raise _unreadable(name, f"{error}", f"{error}") from error
    found: dict[Degree, datetime] = {}
    for key, value in read.items():
        degree = next((each for each in _DATED if each == key), None)
        if degree is None or not isinstance(value, date):
            raise _unreadable(name, f"'{key}' is no degree with a date", f"“{key}”不是带有日期的程度")
        at = value if isinstance(value, datetime) else datetime.combine(value, time())
        try:
            found[degree] = at.astimezone()
        except (ValueError, OverflowError) as error:  # of the first year, or the last
            raise _unreadable(name, f"the date of '{key}' is out of range", f"“{key}”的日期超出可计算的范围") from error
    return found


def degree_at(dates: Mapping[Degree, datetime], now: datetime) -> Degree:
    """Returns how much is told at an instant: the most of what has begun."""
    return next((each for each in reversed(_DATED) if each in dates and dates[each] <= now), "none")


def coming(dates: Mapping[Degree, datetime], now: datetime) -> tuple[Degree, datetime] | None:
    """Returns how much will be told next, and from when on; None where nothing more comes."""
    told = DEGREES.index(degree_at(dates, now))
    later = [(at, degree) for degree, at in dates.items() if at > now and DEGREES.index(degree) > told]
    return (min(later)[1], min(later)[0]) if later else None


def _unreadable(name: str, en: str, zh: str) -> InputError:
    return InputError(
        Text(f"{name} can't be read: {en}", f"无法读取 {name}：{zh}"),
        Text(
            "it may have points, reason and full, each with a date: full = 2026-12-15",
            "其中可有 points、reason、full，各带一个日期：full = 2026-12-15",
        ),
    )
