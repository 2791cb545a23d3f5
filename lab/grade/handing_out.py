"""Touches files: a student's folder is filled, with handout, answer sheet and variant. What is there stays as it is."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from lab.errors import MachineError, UsageError
from lab.grade import handout
from lab.grade import sheet as sheets
from lab.grade import variant as variants
from lab.grade.assignment import Assignment
from lab.grade.variant import Variant
from lab.system import files
from lab.text import Lang, Text


def fill(folder: Path, assignment: Assignment, variant: Variant, langs: tuple[Lang, ...]) -> bool:
    """Writes what of a student's folder is not there yet; returns whether anything was missing.

    A sheet that somebody has begun to fill in is left alone. Raises UsageError where the folder is another variant's,
    MachineError where it can't be written.
    """
    there = folder / variants.NAME
    if there.exists() and not holds(folder, variant):
        raise UsageError(
            Text(f"{folder} has another variant already", f"{folder} 中已有另一份作业变体"),
            Text("name another folder with -o, or remove that one", "请用 -o 另选文件夹，或删除该文件夹"),
        )
    if not there.exists() and (folder / sheets.NAME).exists():
        raise UsageError(
            Text(f"{folder} has an answer sheet already, and no variant", f"{folder} 中已有答题纸，却没有变体"),
            Text("name another folder with -o", "请用 -o 另选文件夹"),
        )
    _make(folder)
    missing = [
        (name, text)
        for name, text in (
            (variants.NAME, variants.written(variant)),
            (handout.NAME, handout.written(assignment, variant, langs)),
            (sheets.NAME, sheets.written(assignment, variant.student, langs[0])),
        )
        if not (folder / name).exists()
    ]
    for name, text in missing:
        with files.to_file(folder / name) as file:
            file.write(text.encode())
    return bool(missing)


def holds(folder: Path, variant: Variant) -> bool:
    """Whether a folder is this variant's."""
    return _text(folder / variants.NAME) == variants.written(variant)


def _text(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError), path.open("rb") as file:
        return file.read(variants.MOST_BYTES + 1).decode("utf-8")
    return ""


def _make(folder: Path) -> None:
    try:
        for each in (*reversed(folder.parents), folder):
            if not each.exists():
                each.mkdir(exist_ok=True)
                if user := files.caller():
                    os.chown(each, *user)
    except OSError as error:
        raise MachineError(
            Text(f"{folder} can't be made: {error.strerror}", f"无法创建 {folder}：{error.strerror}"),
            Text("choose another place with -o FOLDER", "用 -o 文件夹 另选一个位置"),
        ) from error
