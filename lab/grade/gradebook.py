"""Marks as CSV, for a spreadsheet or a course's gradebook: a row a student.

What students write (names, above all) can neither be a formula in a spreadsheet nor steer a terminal.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from lab.text import safe

_FORMULA = tuple("=+-@＝＋－＠|%\t\r\n")


def csv_of(marked: Mapping[str, Any]) -> str:
    """Returns the marks of a class as CSV: its first line names the columns, a question's is its id."""
    submissions = marked["submissions"]
    ids = list(dict.fromkeys(each["id"] for marks in submissions for each in marks["questions"]))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["submission", "student", "assignment", "points", "of", "pending", "findings", *ids])
    for marks in submissions:
        points = {each["id"]: f"{each['points']:g}" for each in marks["questions"]}
        words = marks["submission"], marks["student"], marks["assignment"]["id"]
        numbers = f"{marks['points']:g}", f"{marks['of']:g}", f"{marks['pending']:g}", len(marks["findings"])
        writer.writerow([*map(neutral, words), *numbers, *(points.get(id_, "") for id_ in ids)])
    for each in marked["unmarked"]:
        writer.writerow([neutral(each["submission"]), *[""] * (6 + len(ids))])
    return out.getvalue()


def neutral(said: str) -> str:
    """Returns a text that a spreadsheet takes for a text, whatever it begins with."""
    said = safe(said)
    return f"'{said}" if said.lstrip().startswith(_FORMULA) else said
