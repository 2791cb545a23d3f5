"""Marks as CSV: for a spreadsheet, for Moodle, and into what a course's own gradebook has exported.

What students write (names, above all) can neither be a formula in a spreadsheet nor steer a terminal.

    Moodle   Grades, Import, CSV file: ID number, the grade, its feedback together
             or the assignment's own offline grading worksheet, with Grade and Feedback comments filled in
    Canvas   Grades, Export: that file with one column filled in, and those that tell whose row it is
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from lab.errors import InputError
from lab.grade.feedback import spoken
from lab.text import Lang, Text, safe

_FORMULA = tuple("=+-@＝＋－＠|%\t\r\n")
_MOST_EXPORT = 16 << 20  # characters
_PARTICIPANT = re.compile(r"(\d+)$")
_MOODLE_FOLDER = re.compile(r".+_(\d+)$")
_CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Integration ID", "Root Account", "Section")
_NAMES = ("Student", "Full name")
_WHO = ("SIS User ID", "SIS Login ID", "ID", "ID number", "Email address", "Username", "Email")


def csv_of(marked: Mapping[str, Any]) -> str:
    """Returns the marks of a class as CSV: its first line names the columns, a question's is its id."""
    submissions = marked["submissions"]
    ids = list(dict.fromkeys(each["id"] for marks in submissions for each in marks["questions"]))
    rows = [["submission", "student", "assignment", "points", "of", "pending", "findings", *ids]]
    for marks in submissions:
        points = {each["id"]: f"{each['points']:g}" for each in marks["questions"]}
        words = marks["submission"], marks["student"], marks["assignment"]["id"]
        numbers = f"{marks['points']:g}", f"{marks['of']:g}", f"{marks['pending']:g}", str(len(marks["findings"]))
        rows.append([*map(neutral, words), *numbers, *(points.get(id_, "") for id_ in ids)])
    rows += [[neutral(each["submission"]), *[""] * (6 + len(ids))] for each in marked["unmarked"]]
    return _written(rows)


def moodle_csv(submissions: Iterable[Mapping[str, Any]], lang: Lang) -> str:
    """Returns grades and feedback for Moodle's import of CSV, of those who say who they are.

    Feedback is HTML there: what it says is text in it. A total is in it at any degree.
    """
    marks = [each for each in submissions if each["student"]]
    rows = [["ID number", "assignment", "Grade", "Feedback"]]
    for each in marks:
        title = each["assignment"]["title"][spoken(each, lang)]
        rows.append([neutral(each["student"]), neutral(title), f"{each['points']:g}", neutral(comment(each, lang))])
    return _written(rows)


def comment(marks: Mapping[str, Any], lang: Lang) -> str:
    """Returns the feedback in a few sentences, as HTML without a tag but line breaks."""
    lang = spoken(marks, lang)
    of = Text("{0:g} of {1:g} points", "得分 {0:g} / {1:g}").pick(lang).format(marks["points"], marks["of"])
    lines = [of, *(each[lang] for each in marks["problems"])]
    for each in marks["questions"]:
        if each["status"] not in ("right", "carried"):
            said = f": {each['said'][lang]}" if "said" in each else ""
            lines.append(f"{each['id']} {each['points']:g}/{each['of']:g}{said}")
    return "<br>".join(escape(safe(line)) for line in lines)


class Filled(NamedTuple):
    """A gradebook's own file with our marks in it, and which submissions found no row there."""

    text: str
    rows: int
    lost: tuple[str, ...]


def filled(export: str, submissions: Sequence[Mapping[str, Any]], column: str, lang: Lang) -> Filled:
    """Returns what Canvas, or an assignment of Moodle, has exported, with the points of each student in it.

    Of Canvas only the columns that say whose row it is and ours are left, so nothing else is imported again: `column`
    is its name, whole or without the number behind it. Raises InputError where it is neither, or has no such column.
    """
    if len(export) > _MOST_EXPORT:
        raise _no_export(Text("it is too large", "文件过大"))
    try:
        rows = list(csv.reader(io.StringIO(export.lstrip("\ufeff")), strict=True))
    except csv.Error as error:
        raise _no_export(Text(f"it is no CSV ({error})", f"不是 CSV（{error}）")) from None
    if not rows:
        raise _no_export(Text("it is empty", "文件为空"))
    if "Identifier" in rows[0] and "Grade" in rows[0]:
        return _worksheet(rows, submissions, lang)
    if rows[0][:1] == ["Student"] and "ID" in rows[0]:
        return _canvas(rows, submissions, column)
    raise _no_export(Text("it has columns of neither", "其中没有这两种系统的列"))


def _canvas(rows: list[list[str]], submissions: Sequence[Mapping[str, Any]], column: str) -> Filled:
    head = rows[0]
    ours = [at for at, name in enumerate(head) if column in (name, re.sub(r" \(\d+\)$", "", name))]
    if len(ours) != 1:
        said = ", ".join(name for name in head if re.search(r" \(\d+\)$", name))[:300]
        raise _no_export(Text(f"it has no column '{column}', but: {said}", f"没有“{column}”这一列，只有：{said}"))
    kept = [at for at, name in enumerate(head) if name in _CANVAS]
    points = _by_student(submissions)
    found, filled = set(), []
    for at, row in enumerate(rows):
        row = [*row, *[""] * (len(head) - len(row))]
        if at and (mine := _mine(head, row, points)) is not None and not _is_possible(row):
            found.add(mine["submission"])
            row[ours[0]] = f"{mine['points']:g}"
        filled.append([row[each] for each in (*kept, ours[0])])
    _harmless(filled)
    return Filled(_written(filled), len(found), _lost(submissions, found))


def _harmless(rows: list[list[str]]) -> None:
    """Makes texts of the names that people have given themselves; rows are found by ids, and not by these."""
    for at, name in enumerate(rows[0]):
        for row in rows[1:] if name in _NAMES else ():
            row[at] = neutral(row[at])


def _is_possible(row: Sequence[str]) -> bool:
    """Whether it is the row with the points that there are, which is nobody's."""
    return row[0].strip() == "Points Possible"


def _worksheet(rows: list[list[str]], submissions: Sequence[Mapping[str, Any]], lang: Lang) -> Filled:
    """Fills in an offline grading worksheet: whose row it is says the number in a submission's folder, too."""
    head = rows[0]
    grade, identifier = head.index("Grade"), head.index("Identifier")
    said = head.index("Feedback comments") if "Feedback comments" in head else None
    points = _by_student(submissions)
    numbers = {
        match[1]: each for each in submissions if (match := _MOODLE_FOLDER.fullmatch(each["submission"])) is not None
    }
    found, filled = set(), [head]
    for row in rows[1:]:
        row = [*row, *[""] * (len(head) - len(row))]
        number = _PARTICIPANT.search(row[identifier])
        mine = numbers.get(number[1]) if number is not None else None
        mine = mine or _mine(head, row, points)
        if mine is not None:
            found.add(mine["submission"])
            row[grade] = f"{mine['points']:g}"
            if said is not None:
                row[said] = neutral(comment(mine, lang))
        filled.append(row)
    _harmless(filled)
    return Filled(_written(filled), len(found), _lost(submissions, found))


def _by_student(submissions: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Returns submissions by their student's id; one that two have handed in is nobody's."""
    found: dict[str, Mapping[str, Any]] = {}
    twice = set()
    for each in submissions:
        name = each["student"].casefold()
        twice |= {name} & found.keys()
        found[name] = each
    return {name: each for name, each in found.items() if name and name not in twice}


def _mine(head: Sequence[str], row: Sequence[str], points: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Returns the submission of the student whose row it is."""
    values = (row[head.index(name)].strip().casefold() for name in _WHO if name in head)
    return next((points[value] for value in values if value in points), None)


def _lost(submissions: Iterable[Mapping[str, Any]], found: set[str]) -> tuple[str, ...]:
    return tuple(each["submission"] for each in submissions if each["submission"] not in found)


def _written(rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def neutral(said: str) -> str:
    """Returns a text that a spreadsheet takes for a text, whatever it begins with."""
    said = safe(said)
    return f"'{said}" if said.lstrip().startswith(_FORMULA) else said


def _no_export(why: Text) -> InputError:
    return InputError(
        Text(f"no gradebook's export: {why.en}", f"不是成绩系统导出的文件：{why.zh}"),
        Text(
            "give Canvas's export of grades, or Moodle's offline grading worksheet",
            "请给出 Canvas 导出的成绩表，或 Moodle 的离线评分表",
        ),
    )
