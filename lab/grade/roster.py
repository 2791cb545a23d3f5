"""A class: the students' ids from a CSV file, and a folder's name for each that any system takes."""

from __future__ import annotations

import csv
import hashlib
import io
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lab.errors import InputError
from lab.grade.variant import student_id
from lab.text import Text

_MOST_BYTES = 4 << 20
_MOST_STUDENTS = 20_000
# What the column is called that ids stand in: in Canvas's export Student is a name, and ID a number of its own.
_COLUMNS = ("studentid", "sisuserid", "sid", "idnumber", "学号", "学生学号", "id", "username", "student", "学生")
_LONGEST = 60  # characters of a name; of Chinese ones 180 bytes
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}


class Roster(NamedTuple):
    """The students of a class, each once, in its order; `twice` are those that stood there more than once."""

    students: list[str]
    twice: list[str]


def read(path: Path) -> Roster:
    """Returns the students of a roster.

    Their ids stand in the column that is called student, ID, 学号 or as gradebooks call it, the first that has any;
    without such a header in the only one. Raises InputError where there is none, or the file can't be read; UsageError
    for an id that can't be one.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        said = data.decode("utf-8-sig")
    except OSError as error:
        why = Text(f"can't be read: {error.strerror}", f"无法读取：{error.strerror}")
        raise _no_roster(path, why) from error
    except UnicodeDecodeError:
        raise _no_roster(path, Text("is not in UTF-8", "不是 UTF-8 编码")) from None
    if len(data) > _MOST_BYTES:
        raise _no_roster(path, Text("is too large", "过大"))
    first = said.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(said), delimiter=delimiter) if any(map(str.strip, row))]
    except csv.Error as error:
        raise _no_roster(path, Text(f"is no CSV: {error}", f"不是 CSV：{error}")) from None
    header = ["".join(filter(str.isalnum, each.casefold())) for each in rows[0]] if rows else []
    columns = [[each for row in rows[1:] for each in row[at : at + 1] if each.strip()] for at in _named(header)]
    if not columns and len(header) > 1:
        raise _no_roster(path, Text("has several columns, and none is called as one of ids", "有多列，但没有学号列"))
    ids = next(filter(None, columns), []) if columns else [row[0] for row in rows if row[0].strip()]
    counted = Counter(map(student_id, ids))
    if not 0 < len(counted) <= _MOST_STUDENTS:
        raise _no_roster(path, Text("has no students, or too many", "没有学生，或学生过多"))
    return Roster(list(counted), [each for each, count in counted.items() if count > 1])


def _named(header: Sequence[str]) -> list[int]:
    """Returns where the columns are that may have ids, the likeliest first."""
    return [header.index(name) for name in _COLUMNS if name in header]


def folders(students: Sequence[str]) -> list[str]:
    """Returns a name for each student's folder: the id where any system takes it, else what is left of it and a digest.

    No two are the same, also where capital letters do not count.
    """
    names = [_safe(each) for each in students]
    often = Counter(map(_folded, names))
    return [
        name if often[_folded(name)] == 1 and is_name(student) else f"{name[:_LONGEST]}-{_digest(student)}"
        for name, student in zip(names, students, strict=True)
    ]


def is_name(student: str) -> bool:
    """Whether any system takes an id for the name of a folder."""
    return _safe(student) == student


def _safe(student: str) -> str:
    name = "".join(each if each.isalnum() or each in "-_." else "_" for each in student).strip(".-")[:_LONGEST]
    return f"_{name}" if not name or name.partition(".")[0].casefold() in _RESERVED else name


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _digest(student: str) -> str:
    return hashlib.sha256(student.encode()).hexdigest()[:8]


def _no_roster(path: Path, why: Text) -> InputError:
    return InputError(
        Text(f"{path} {why.en}", f"{path} {why.zh}"),
        Text(
            "a roster is a CSV file in UTF-8 with a column 'student', which has the ids",
            "名单是 UTF-8 编码的 CSV 文件，其中有一列“学号”（student）",
        ),
    )
