"""Marks in the form that was asked for: a table, a page, a platform's or a gradebook's own."""

from __future__ import annotations

import datetime
import json as to_json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from lab.app.formats import FormOfMarks as Form
from lab.errors import InputError, UsageError
from lab.grade.feedback import Degree
from lab.grade.gradebook import csv_of, filled, moodle_csv, nobodys
from lab.grade.naming import student_key
from lab.grade.reports.class_page import class_page
from lab.grade.reports.platforms import (
    classroom50,
    classroom50_refused,
    gradescope,
    gradescope_refused,
    prairielearn,
    prairielearn_refused,
)
from lab.grade.reports.student import as_html, as_markdown
from lab.system import streams
from lab.text import Lang, Text, safe

_MOST_NAMED = 10
ON_PLATFORMS = (Form.GRADESCOPE, Form.PRAIRIELEARN, Form.CLASSROOM50)  # each of one submission
DRAWN = (Form.HTML, Form.PRAIRIELEARN)  # with the picture of a capture


class Asked(NamedTuple):
    """The command line's options. `fill` is a gradebook's export, `column` the one of Canvas that is ours.

    Without a `degree` the folder `to` says it, by date; else it is all, but on a platform, where one may try again, no
    answers.
    """

    path: Path
    assignment: str
    degree: Degree | None
    form: Form
    out: Path | None
    to: Path | None = None
    key: Path | None = None
    fill: Path | None = None
    column: str = ""
    metadata: Path | None = None
    scheduler: str = ""


def render(
    told: dict[str, Any], ladders: Mapping[str, Mapping[str, str]], asked: Asked, stream: TextIO, lang: Lang
) -> None:
    """Writes marks in any form but the table."""
    form, submissions = asked.form, told["submissions"]
    alone = len(submissions) == 1 and not told["unmarked"]
    if form in ON_PLATFORMS and not alone:
        raise UsageError(
            Text(f"{form.value} is a form of one submission", f"{form.value} 只用于一份提交物"),
            Text("name the folder of one student, or leave --format out", "请指定一个学生的文件夹，或去掉 --format"),
        )
    first = submissions[0] if alone else None
    if form is Form.CSV:
        stream.write(csv_of(told))
    elif form is Form.MOODLE:
        stream.write(moodle_csv(submissions, lang))
        left_out(submissions, lang)
    elif first is None and form is Form.HTML:
        stream.write(class_page(told, {}, lang))
    elif form is Form.HTML:
        stream.write(as_html(submissions[0], lang, ladders.get(submissions[0]["submission"])))
    elif form is Form.MARKDOWN:
        stream.write("\n\n".join(as_markdown(each, lang) for each in submissions))
    elif form is Form.GRADESCOPE:
        json_of(gradescope(submissions[0], lang, other_account(submissions[0], asked.metadata, lang)), stream)
    elif form is Form.PRAIRIELEARN:
        json_of(prairielearn(submissions[0], lang, ladders.get(submissions[0]["submission"])), stream)
    elif form is Form.CLASSROOM50:
        json_of(classroom50(submissions[0], os.environ, _now()), stream)
    else:
        json_of(told if first is None else first, stream)


def refused(form: Form, message: str) -> dict[str, Any] | None:
    """Returns what a platform gets for what can't be marked, None where the form is no platform's."""
    if form is Form.GRADESCOPE:
        return gradescope_refused(message)
    if form is Form.PRAIRIELEARN:
        return prairielearn_refused(message)
    return classroom50_refused(message, os.environ, _now()) if form is Form.CLASSROOM50 else None


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def other_account(marks: Mapping[str, Any], metadata: Path | None, lang: Lang) -> tuple[str, ...]:
    """Returns what is to be said where a sheet has another student's id than the account that has handed it in.

    Raises InputError where the metadata can't be read.
    """
    if metadata is None:
        return ()
    try:
        users = to_json.loads(metadata.read_bytes())["users"]
        known = {student_key(str(user[key])) for user in users for key in ("email", "sid", "id", "name") if key in user}
        known |= {each.partition("@")[0] for each in known}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            Text(f"{metadata.name} names no users", f"{metadata.name} 中没有用户"),
            Text("give Gradescope's submission_metadata.json", "请给出 Gradescope 的 submission_metadata.json"),
        ) from None
    if student_key(marks["student"]) in {"", *known}:
        return ()
    said = Text("The sheet is of student {0}, the account another's.", "答题纸上的学号是 {0}，与账号不符。")
    return (said.pick(lang).format(safe(marks["student"])),)


def export_of(path: Path | None) -> str | None:
    """Returns a gradebook's export, None where none is given. Raises InputError."""
    if path is None:
        return None
    try:
        return path.read_text("utf-8-sig")
    except (OSError, ValueError):
        raise InputError(
            Text(f"{path} can't be read as UTF-8", f"无法按 UTF-8 读取 {path}"),
            Text("export it from the gradebook again", "请从成绩系统重新导出"),
        ) from None


def left_out(submissions: Sequence[Mapping[str, Any]], lang: Lang) -> None:
    """Says whose marks are not in Moodle's CSV."""
    if names := nobodys(submissions):
        streams.say(_LEFT_OUT.format(_few(names)).pick(lang))


def passed_over(names: Sequence[str], lang: Lang) -> None:
    """Says which files among a class's submissions are of nobody."""
    streams.say(_PASSED_OVER.format(_few(names)).pick(lang))


def _few(names: Sequence[str]) -> str:
    return ", ".join(map(safe, names[:_MOST_NAMED])) + (" …" if len(names) > _MOST_NAMED else "")


_LEFT_OUT = Text(
    "not in Moodle's CSV, because their sheets have no student's id, or one that another has, too: {0}",
    "不在 Moodle 的 CSV 中（答题纸上没有学号，或与另一份相同）：{0}",
)
_PASSED_OVER = Text(
    "note: passed over, for each student's files are in a folder or a zip: {0}",
    "注意：以下文件已略过（每个学生的文件应在一个文件夹或 zip 中）：{0}",
)


def fill(export: str, told: Mapping[str, Any], asked: Asked, stream: TextIO, lang: Lang) -> None:
    """Writes a gradebook's export with the marks in it, and says who found no row."""
    titles = [title for each in told["submissions"][:1] for title in each["assignment"]["title"].values()]
    found = filled(export, told["submissions"], [asked.column] if asked.column else titles, lang)
    if asked.to is None:
        streams.say(_NO_DECISIONS.pick(lang))
    stream.write(found.text)
    for name in found.lost:
        said = _UNCLEAR if name in found.unclear else _TWICE if name in found.twice else _NO_ROW
        streams.say(said.format(safe(name)).pick(lang))


_NO_DECISIONS = Text(
    "note: what you have decided otherwise is not in it; --to FOLDER takes the overrides.toml of that folder",
    "注意：其中不含你另行决定的分数；加上 --to 文件夹 即采用该文件夹中的 overrides.toml",
)
_NO_ROW = Text("no row for {0}", "没有 {0} 的行")
_UNCLEAR = Text(
    "{0} is not entered: it fits several rows, or another submission fits the same row",
    "未写入 {0}：有多行与之相符，或另有一份提交物与同一行相符",
)
_TWICE = Text(
    "{0} is not entered: another sheet has the same student's id, and neither is called by the account",
    "未写入 {0}：另一份答题纸上的学号与之相同，而两者都不是以账号命名的",
)


def json_of(found: Mapping[str, Any], stream: TextIO) -> None:
    stream.write(to_json.dumps(found, ensure_ascii=False, indent=1) + "\n")
