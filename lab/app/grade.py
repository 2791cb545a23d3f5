"""`lab grade`: the marks of what a student, or a class, has handed in."""

from __future__ import annotations

import json as to_json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.app.course import course_key
from lab.app.formats import FormOfMarks as Form
from lab.app.marks import DRAWN, ON_PLATFORMS, Asked, export_of, fill, json_of, left_out, passed_over, refused, render
from lab.app.progress import Progress
from lab.errors import InputError, LabError, MachineError, UsageError
from lab.grade import classes, collected, overrides, releasing
from lab.grade.assignment import load
from lab.grade.classes import Marking
from lab.grade.feedback import Degree, within
from lab.grade.gradebook import csv_of, moodle_csv
from lab.grade.kept import Kept
from lab.grade.overrides import Override
from lab.grade.regrade import difference
from lab.grade.releasing import coming, degree_at
from lab.grade.reports.class_page import class_page
from lab.grade.reports.sheets import oral_sheets
from lab.grade.reports.student import as_html, as_markdown
from lab.grade.reports.table import changes_told, class_told
from lab.grade.reports.terminal import marks_told
from lab.grade.roster import folders
from lab.grade.statistics import statistics
from lab.system import files, streams
from lab.text import Lang, Text, safe

_KEPT, _FEEDBACK, _MARKS, _EARLIER = "kept", "feedback", "marks.json", "marks.before.json"
REPORT = "report.html"
_WITH_LADDER = ("reason", "full")  # degrees at which a student is shown their capture, too


def grade(asked: Asked, lang: Lang) -> None:
    """Marks what is at the path, one submission or a class, and shows it in the form that was asked for.

    For a platform what can't be marked is a result, too: it is waited for there.
    """
    try:
        _grade(asked, lang)
    except LabError as error:
        told = refused(asked.form, safe(f"{error.message.pick(lang)} ({error.hint.pick(lang)})"))
        if told is None or isinstance(error, MachineError):
            raise
        with files.rendered(asked.out) as stream:
            json_of(told, stream)


def _grade(asked: Asked, lang: Lang) -> None:
    to = asked.to
    if to is not None and to.resolve().is_relative_to(asked.path.resolve()):
        raise UsageError(
            Text(f"{to} lies among the submissions", f"{to} 位于提交物之中"),
            Text("name a folder outside of them with --to", "请用 --to 指定提交物之外的文件夹"),
        )
    export = export_of(asked.fill)
    if to is not None:
        _make(to)
    now, dates = datetime.now().astimezone(), _dates(to)
    usual: Degree = "reason" if asked.form in ON_PLATFORMS else "full"
    degree = asked.degree or (degree_at(dates, now) if dates is not None else usual)
    marked, ladders = _marked(asked, degree, lang)
    before = None
    if to is not None:
        before = _keep(to, marked, lang)
        told_to = _feed_back(to, marked["submissions"], degree, ladders, lang)
        _write(to / "moodle.csv", "\ufeff" + moodle_csv((within(each, degree) for each in marked["submissions"]), lang))
        left_out(marked["submissions"], lang)
        _write(to / REPORT, class_page(marked, told_to, lang))
    told = marked | {"submissions": [within(each, degree) for each in marked["submissions"]]}
    with files.rendered(asked.out) as stream:
        if export is not None:
            fill(export, told, asked, stream, lang)
        elif asked.form is Form.TABLE:
            alone = len(told["submissions"]) == 1 and not told["unmarked"]
            (marks_told if alone else class_told)(told["submissions"][0] if alone else told, stream, lang)
            if before is not None:
                changes_told(difference(before, marked), stream, lang)
            if to is not None:
                said = Text(f"The report for you: {to / REPORT}", f"给教师的报告：{to / REPORT}")
                later = None if asked.degree else coming(dates or {}, now)
                stream.write(f"\n{safe(said.pick(lang))}\n{_told(degree, later).pick(lang)}\n")
        else:
            render(told, ladders, asked, stream, lang)


def _marked(asked: Asked, degree: Degree, lang: Lang) -> tuple[dict[str, Any], dict[str, Mapping[str, str]]]:
    """Returns the marks of a class with what its teacher has decided, and the pictures of captures that are wanted."""
    one = asked.form in ON_PLATFORMS
    handed_in = collected.collect(asked.path, lambda names: passed_over(names, lang), one)
    only = load(asked.assignment) if asked.assignment else None
    decided = _overrides(asked.to)
    course = course_key(asked.key, lang)
    ladders: dict[str, Mapping[str, str]] = {}
    wanted = degree in _WITH_LADDER and (asked.to is not None or asked.form in DRAWN)
    drawn = ladders.__setitem__ if wanted else None
    how = Marking(only, Kept(asked.to / _KEPT if asked.to else None), course=course, scheduler=asked.scheduler)
    progress = Progress(len(handed_in), Text("marked", "已评阅"), lang)
    try:
        marked = classes.marked(handed_in, how, progress.done, drawn)
    finally:
        progress.close()
    marked["submissions"], lost = overrides.applied(marked["submissions"], decided)
    marked["statistics"] = statistics(marked["submissions"])
    for text in lost:
        streams.say(text.pick(lang))
    return marked, ladders


def _dates(to: Path | None) -> dict[Degree, datetime] | None:
    """Returns from when on students are told how much; None where nobody has said."""
    path = to / releasing.NAME if to is not None else None
    return releasing.parse(path.read_bytes()) if path is not None and path.is_file() else None


def _told(degree: Degree, next_: tuple[Degree, datetime] | None) -> Text:
    """Returns how much the pages for students say, and from when on how much more."""
    said = Text("Students are told: {0}", "告诉学生的程度：{0}").format(degree)
    if next_ is None:
        return said
    later, at = next_[0], f"{next_[1]:%Y-%m-%d %H:%M}"
    return Text(f"{said.en}. From {at}, marked again: {later}", f"{said.zh}。自 {at} 起重新评阅后：{later}")


def _feed_back(
    to: Path,
    submissions: Sequence[Mapping[str, Any]],
    degree: Degree,
    ladders: Mapping[str, Mapping[str, str]],
    lang: Lang,
) -> dict[str, str]:
    """Writes what each student is told, and returns where, by submission; what is left from before is taken away."""
    folder = to / _FEEDBACK
    folder.mkdir(exist_ok=True, mode=0o700)
    names = [each["submission"] for each in submissions]
    places = dict(zip(names, folders(names), strict=True))
    for each in submissions:
        marks, place = within(dict(each), degree), folder / places[each["submission"]]
        _write(place.with_name(f"{place.name}.html"), as_html(marks, lang, ladders.get(each["submission"])))
        _write(place.with_name(f"{place.name}.md"), as_markdown(marks, lang))
    current = {f"{place}.{kind}" for place in places.values() for kind in ("html", "md")}
    for path in [*folder.glob("*.html"), *folder.glob("*.md")]:
        if path.name not in current:
            path.unlink()
    return {name: f"{_FEEDBACK}/{place}.html" for name, place in places.items()}


def _make(to: Path) -> None:
    """Makes the folder that marks are kept in, before anything is marked. Raises MachineError."""
    try:
        (to / _KEPT).mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise MachineError(
            Text(f"{to} can't be made: {error.strerror}", f"无法创建 {to}：{error.strerror}"),
            Text("choose another folder with --to", "请用 --to 另选一个文件夹"),
        ) from error
    files.require_writable(to / _KEPT / "new")
    files.require_writable(to / _MARKS)


def _overrides(to: Path | None) -> tuple[Override, ...]:
    path = to / overrides.NAME if to is not None else None
    return overrides.parse(path.read_bytes()) if path is not None and path.is_file() else ()


def _keep(to: Path, marked: dict[str, Any], lang: Lang) -> dict[str, Any] | None:
    """Writes all reports of a class, each whole or not at all, and returns the marks that were there before.

    These stay beside the new ones, under another name. Nothing of the teacher's is written.
    """
    path, earlier = to / _MARKS, to / _EARLIER
    before = _marks(path)
    if before is not None and before != marked:
        _write(earlier, path.read_text("utf-8"))
    _write(path, to_json.dumps(marked, ensure_ascii=False, indent=1) + "\n")
    _write(to / "gradebook.csv", "\ufeff" + csv_of(marked))  # without the mark a spreadsheet guesses the encoding
    _write(to / "oral.md", oral_sheets(marked, lang))
    return before


def _marks(path: Path) -> dict[str, Any] | None:
    """Returns earlier marks, None where there are none. Raises InputError: they must not be replaced unread."""
    if not path.exists():
        return None
    try:
        found = to_json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or found.get("schema") != classes.SCHEMA:
        raise InputError(
            Text(f"{path} has no marks of a class in it", f"{path} 中没有班级评阅结果"),
            Text("name another folder with --to, or move the file away", "请用 --to 指定其他文件夹，或移走该文件"),
        )
    return found


def _write(path: Path, said: str) -> None:
    with files.to_file(path, private=True) as file:
        file.write(said.encode("utf-8", "replace"))
