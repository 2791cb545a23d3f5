"""Marks as CSV: for a spreadsheet, for Moodle, and into what a course's own gradebook has exported.

What students write (names, above all) can neither be a formula in a spreadsheet nor steer a terminal. Whose submission
it is a course knows better than the sheet: its download calls it by the account. Where only the sheet says it, and two
say the same, neither is entered: the later one may be somebody else's.

    Moodle   Grades, Import, CSV file: ID number, the grade, its feedback together
             or the assignment's own offline grading worksheet, with Grade and Feedback comments filled in
    Canvas   Grades, Export: that file with one column filled in, and those that tell whose row it is
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from html import escape
from typing import Any, NamedTuple

from lab.errors import InputError
from lab.grade.feedback import comment_on, is_good, spoken
from lab.grade.naming import student_key
from lab.text import Lang, Text, safe

_FORMULA = tuple("=+-@＝＋－＠|%\t\r\n")
_MOST_EXPORT = 16 << 20  # characters
_PARTICIPANT = re.compile(r"(\d+)$")
_ACCOUNT = re.compile(r"(.+)_(\d+)", re.DOTALL)  # how Moodle and Canvas call what somebody has handed in
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
    """Returns grades and feedback for Moodle's import of CSV, of those who alone say who they are.

    Feedback is HTML there: what it says is text in it. A total is in it at any degree.
    """
    marks = [*_by_student(submissions).values()]
    rows = [["ID number", "assignment", "Grade", "Feedback"]]
    for each in marks:
        title = each["assignment"]["title"][spoken(each, lang)]
        rows.append([neutral(each["student"]), neutral(title), f"{each['points']:g}", neutral(comment(each, lang))])
    return _written(rows)


def nobodys(submissions: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Returns the submissions that no student's id tells: they are not in Moodle's CSV."""
    told = {each["submission"] for each in _by_student(submissions).values()}
    return tuple(each["submission"] for each in submissions if each["submission"] not in told)


def comment(marks: Mapping[str, Any], lang: Lang) -> str:
    """Returns the feedback in a few sentences, as HTML without a tag but line breaks."""
    lang = spoken(marks, lang)
    of = Text("{0:g} of {1:g} points", "得分 {0:g} / {1:g}").pick(lang).format(marks["points"], marks["of"])
    lines = [of, *(each[lang] for each in marks["problems"])]
    for each in marks["questions"]:
        if "override" in each or not is_good(each):
            told = filter(None, (f"{each['id']} {each['points']:g}/{each['of']:g}", comment_on(each, lang)))
            lines.append(": ".join(told))
    return "<br>".join(escape(safe(line)) for line in lines)


class Filled(NamedTuple):
    """A gradebook's own file with our marks in it, which submissions found no row there, and of these the ones whose
    student's id another one has, too, and the ones that fit several rows, or a row that another one fits."""

    text: str
    rows: int
    lost: tuple[str, ...]
    twice: tuple[str, ...]
    unclear: tuple[str, ...]


class _Account(NamedTuple):
    """How the course's download calls what somebody has handed in: by a number, and by the name before it, None where
    the number alone tells."""

    number: str
    name: str | None

    def fits(self, called: str) -> bool:
        """Whether a name is this account's; Moodle puts the group's before it, with a hyphen."""
        parts = called.split("-")
        own = (_plain("".join(parts[at:])) for at in range(len(parts)))
        return self.name is None or (bool(self.name) and self.name in own)


class _Entered(NamedTuple):
    """The submission that each row gets, and those that get none because it is not clear which."""

    rows: Mapping[int, Mapping[str, Any]]
    unclear: Set[str]


def filled(export: str, submissions: Sequence[Mapping[str, Any]], columns: Collection[str], lang: Lang) -> Filled:
    """Returns what Canvas, or an assignment of Moodle, has exported, with the points of each student in it.

    Of Canvas only the columns that say whose row it is and ours are left, so nothing else is imported again: `columns`
    are what it may be called, whole or without the number behind it. Raises InputError where it is neither, or has no
    such column.
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
        return _canvas(rows, submissions, columns)
    raise _no_export(Text("it has columns of neither", "其中没有这两种系统的列"))


def _canvas(rows: list[list[str]], submissions: Sequence[Mapping[str, Any]], columns: Collection[str]) -> Filled:
    head = rows[0]
    ours = [at for at, name in enumerate(head) if {name, re.sub(r" \(\d+\)$", "", name)} & {*columns}]
    if len(ours) != 1:
        said = ", ".join(name for name in head if re.search(r" \(\d+\)$", name))[:300]
        wanted = " / ".join(columns)
        raise InputError(
            Text(
                f"Canvas's export has no column '{wanted}', or several",
                f"Canvas 的导出文件中没有“{wanted}”这一列，或不止一列",
            ),
            Text(f"name it with --column; there are: {said}", f"请用 --column 指明；其中有：{said}"),
        )
    kept = [at for at, name in enumerate(head) if name in _CANVAS]
    filled = [[*row, *[""] * (len(head) - len(row))] for row in rows]
    id_ = head.index("ID")
    students = ((at, row) for at, row in enumerate(filled) if at and not _is_possible(row))
    accounts = {at: _Account(row[id_].strip(), _plain(row[0])) for at, row in students}
    entered = _entered(filled, accounts, submissions)
    for at, mine in entered.rows.items():
        filled[at][ours[0]] = f"{mine['points']:g}"
    filled = [[row[each] for each in (*kept, ours[0])] for row in filled]
    _harmless(filled)
    return _result(filled, submissions, entered)


def _harmless(rows: list[list[str]]) -> None:
    """Makes texts of the names that people have given themselves; rows are found by ids, and not by these."""
    for at, name in enumerate(rows[0]):
        for row in rows[1:] if name in _NAMES else ():
            row[at] = neutral(row[at])


def _is_possible(row: Sequence[str]) -> bool:
    """Whether it is the row with the points that there are, which is nobody's."""
    return row[0].strip() == "Points Possible"


def _worksheet(rows: list[list[str]], submissions: Sequence[Mapping[str, Any]], lang: Lang) -> Filled:
    """Fills in an offline grading worksheet."""
    head = rows[0]
    grade, identifier = head.index("Grade"), head.index("Identifier")
    said = head.index("Feedback comments") if "Feedback comments" in head else None
    filled = [[*row, *[""] * (len(head) - len(row))] for row in rows]
    name = head.index("Full name") if "Full name" in head else None  # where nobody may know whose it is, it is not
    accounts = {
        at: _Account(_number(row[identifier]), None if name is None else _plain(row[name]))
        for at, row in enumerate(filled)
        if at
    }
    entered = _entered(filled, accounts, submissions)
    for at, mine in entered.rows.items():
        filled[at][grade] = f"{mine['points']:g}"
        if said is not None:
            filled[at][said] = neutral(comment(mine, lang))
    _harmless(filled)
    return _result(filled, submissions, entered)


def _number(identifier: str) -> str:
    """Returns the number of a participant, nothing where there is none."""
    found = _PARTICIPANT.search(identifier)
    return found[1] if found is not None else ""


def _entered(
    rows: Sequence[Sequence[str]], accounts: Mapping[int, _Account], submissions: Sequence[Mapping[str, Any]]
) -> _Entered:
    """Returns whose submission each row gets, by the `accounts` of the rows that are students'.

    What a row has by its account no other row has by what the sheet says.
    """
    called: dict[str, list[Mapping[str, Any]]] = {}
    numbered: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for each in submissions:
        called.setdefault(student_key(each["submission"]), []).append(each)
        if match := _ACCOUNT.fullmatch(each["submission"]):
            numbered.setdefault(match[2], []).append((match[1], each))
    values = {at: _values(rows[0], rows[at]) for at in accounts}
    by_account = _alone(
        {
            at: [
                *(each for whose, each in numbered.get(account.number, ()) if account.fits(whose)),
                *(each for value in values[at] for each in called.get(value, ())),
            ]
            for at, account in accounts.items()
        }
    )
    taken = {each["submission"] for each in by_account.rows.values()} | by_account.unclear
    left = _by_student(each for each in submissions if each["submission"] not in taken)
    by_sheet = _alone(
        {at: [left[value] for value in values[at] if value in left] for at in accounts if at not in by_account.rows}
    )
    return _Entered({**by_account.rows, **by_sheet.rows}, by_account.unclear | by_sheet.unclear)


def _alone(claims: Mapping[int, Iterable[Mapping[str, Any]]]) -> _Entered:
    """Returns of what fits rows that which fits one row, and nothing else does."""
    fits = {at: {each["submission"]: each for each in found} for at, found in claims.items()}
    often = Counter(name for found in fits.values() for name in found)
    rows = {
        at: each for at, found in fits.items() for name, each in found.items() if len(found) == 1 and often[name] == 1
    }
    return _Entered(rows, often.keys() - {each["submission"] for each in rows.values()})


def _result(rows: Iterable[Sequence[str]], submissions: Sequence[Mapping[str, Any]], entered: _Entered) -> Filled:
    there = {each["submission"] for each in entered.rows.values()}
    lost = [each for each in submissions if each["submission"] not in there]
    alone = _by_student(submissions)
    unclear = [each["submission"] for each in lost if each["submission"] in entered.unclear]
    twice = [each["submission"] for each in lost if each["student"] and student_key(each["student"]) not in alone]
    names = tuple(each["submission"] for each in lost)
    return Filled(_written(rows), len(entered.rows), names, tuple(twice), tuple(unclear))


def _by_student(submissions: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Returns submissions by their student's id; one that two have handed in is nobody's."""
    found: dict[str, Mapping[str, Any]] = {}
    twice = set()
    for each in submissions:
        name = student_key(each["student"])
        twice |= {name} & found.keys()
        found[name] = each
    return {name: each for name, each in found.items() if name and name not in twice}


def _values(head: Sequence[str], row: Sequence[str]) -> list[str]:
    """Returns by what a gradebook knows the student whose row it is."""
    return [student_key(row[head.index(name)]) for name in _WHO if name in head]


def _plain(name: str) -> str:
    """Returns what of a name is left in the names of Canvas's downloads."""
    return re.sub(r"[\W_]", "", name).casefold()


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
            "give Canvas's export of grades, or Moodle's offline grading worksheet, exported in English",
            "请给出 Canvas 导出的成绩表，或 Moodle 的离线评分表，导出时界面语言应为英文",
        ),
    )
