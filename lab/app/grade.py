"""`lab grade`: the marks of what a student, or a class, has handed in."""

from __future__ import annotations

import json as to_json
import sys
import time
from pathlib import Path

from lab.errors import UsageError
from lab.grade import classes, collected
from lab.grade.assignment import load
from lab.grade.classes import Marking
from lab.grade.feedback import Degree, within
from lab.grade.kept import Kept
from lab.grade.reports.table import class_told
from lab.grade.reports.terminal import marks_told
from lab.system import files
from lab.text import Lang, Text

_BETWEEN = 0.5  # seconds between two pictures of how far it is, at least


def grade(
    path: Path, assignment: str, degree: Degree, json: bool, out: Path | None, to: Path | None, lang: Lang
) -> None:
    """Marks what is at `path`, one submission or a class, and shows it as tables or as the canonical JSON."""
    if to is not None and to.resolve().is_relative_to(path.resolve()):
        raise UsageError(
            Text(f"{to} lies among the submissions", f"{to} 位于提交物之中"),
            Text("name a folder outside of them with --to", "请用 --to 指定提交物之外的文件夹"),
        )
    handed_in = collected.collect(path)
    only = load(assignment) if assignment else None
    progress = Progress(len(handed_in), lang)
    try:
        marked = classes.marked(handed_in, Marking(only, Kept(to / "kept" if to else None)), progress.done)
    finally:
        progress.close()
    marked["submissions"] = [within(each, degree) for each in marked["submissions"]]
    found = marked if len(handed_in) > 1 else marked["submissions"][0]
    with files.rendered(out) as stream:
        if json:
            stream.write(to_json.dumps(found, ensure_ascii=False, indent=1) + "\n")
        else:
            (class_told if len(handed_in) > 1 else marks_told)(found, stream, lang)


class Progress:
    """How far a class is: a line on standard error that is drawn anew, where that is a terminal."""

    def __init__(self, total: int, lang: Lang) -> None:
        self._total = total
        self._lang: Lang = lang
        self._shown = total > 1 and sys.stderr.isatty()
        self._next = 0.0
        self._drawn = False

    def done(self, count: int) -> None:
        """So many are marked."""
        if not self._shown or time.monotonic() < self._next:
            return
        self._next, self._drawn = time.monotonic() + _BETWEEN, True
        said = Text(f"marked {count} of {self._total}", f"已评阅 {count} / {self._total}").pick(self._lang)
        sys.stderr.write(f"\r\x1b[K{said}")
        sys.stderr.flush()

    def close(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
