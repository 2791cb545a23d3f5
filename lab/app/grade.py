"""`lab grade`: the marks of what a student has handed in."""

from __future__ import annotations

import json as to_json
from pathlib import Path

from lab.errors import UsageError
from lab.grade import submissions
from lab.grade.assignment import Assignment, load, shipped
from lab.grade.feedback import Degree, as_json
from lab.grade.reports.terminal import marks_told
from lab.system import files
from lab.text import Lang, Text


def grade(path: Path, assignment: str, degree: Degree, json: bool, out: Path | None, lang: Lang) -> None:
    """Marks the submission in a folder and shows it, as a table or as the canonical JSON."""
    handed_in = submissions.read(path)
    marks = submissions.graded(load(assignment) if assignment else _named(handed_in.sheet.assignment), handed_in)
    found = as_json(marks, degree)
    with files.rendered(out) as stream:
        if json:
            stream.write(to_json.dumps(found, ensure_ascii=False, indent=1) + "\n")
        else:
            marks_told(found, stream, lang)


def _named(name: str) -> Assignment:
    """Returns the assignment that a sheet names: one that comes with the lab, for a student must not name files."""
    if name not in shipped():
        raise UsageError(
            Text("the answer sheet names no assignment that comes with the lab", "答题纸没有写明实验室自带的作业名称"),
            Text("name it: lab grade FOLDER --assignment NAME", "请指明：lab grade 文件夹 --assignment 名称"),
        )
    return load(name)
