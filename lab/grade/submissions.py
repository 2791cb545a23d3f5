"""Touches files: what a student hands in, a folder with the answer sheet and the capture. Nothing in it is run."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lab.errors import InputError, LabError
from lab.grade import sheet as sheets
from lab.grade.assignment import Assignment
from lab.grade.facts import Facts
from lab.grade.marking import Marks, mark
from lab.grade.predicted import predicted
from lab.grade.recording import facts_of
from lab.grade.sheet import Sheet
from lab.text import Text

CAPTURE = "capture.pcapng"
_CAPTURES = (CAPTURE, "capture.pcap")


class Submission(NamedTuple):
    """What was handed in; `capture` is None where there is none. `problems` are what is wrong with it, `carried` those
    of them that say of predictions that they are not of this capture."""

    sheet: Sheet
    capture: Path | None
    problems: tuple[Text, ...]
    carried: tuple[Text, ...] = ()


def read(folder: Path) -> Submission:
    """Returns a submission. Raises InputError where there is no answer sheet, or it can't be read."""
    data = _bytes(folder / sheets.NAME, sheets.MOST_BYTES)
    capture = next((folder / name for name in _CAPTURES if _is_file(folder / name)), None)
    return of(data, capture)


def of(data: bytes, capture: Path | None) -> Submission:
    """Returns a submission of its files, wherever they come from. Raises InputError where the sheet can't be read."""
    sheet = sheets.read(data)
    problems, carried = list[Text](), list[Text]()
    if not sheet.whole:
        problems.append(
            Text(
                f"{sheets.NAME} is no TOML any more: it was read line by line. Texts need quotes, lists brackets.",
                f"{sheets.NAME} 已不是合法的 TOML，改为逐行读取。文本要加引号，列表要加方括号。",
            )
        )
    if capture is None:
        problems.append(Text(f"there is no {CAPTURE}", f"没有 {CAPTURE}"))
    else:
        said, wrong = predicted(capture, sheet)
        sheet = sheet._replace(predictions=said)
        carried += [wrong] if wrong is not None else []
    return Submission(sheet, capture, (*problems, *carried), tuple(carried))


def graded(assignment: Assignment, submission: Submission) -> Marks:
    """Returns the marks of a submission: of one whose capture can't be read, too."""
    facts, problems = facts_in(submission)
    return mark(assignment, submission.sheet, facts, problems)


def facts_in(submission: Submission) -> tuple[Facts | None, tuple[Text, ...]]:
    """Returns the facts of a submission's capture, None where there are none, and all that is wrong with it."""
    if submission.capture is None:
        return None, submission.problems
    try:
        return facts_of(submission.capture), submission.problems
    except LabError as error:
        path = str(submission.capture)  # a report shows nobody's folders
        told = Text(error.message.en.replace(path, CAPTURE), error.message.zh.replace(path, CAPTURE))
        return None, (*submission.problems, told)


def _is_file(path: Path) -> bool:
    """Whether it is a file of the submission's own: no link to somebody else's, no device."""
    return path.is_file() and not path.is_symlink()


def _bytes(path: Path, most: int) -> bytes:
    """Returns the bytes of a file, one more than `most` at most. Raises InputError."""
    if not _is_file(path):
        raise InputError(
            Text(f"there is no file {path.name} in {path.parent}", f"{path.parent} 中没有文件 {path.name}"),
            Text(
                f"a submission is a folder with {sheets.NAME} and {CAPTURE}",
                f"提交物是含有 {sheets.NAME} 与 {CAPTURE} 的文件夹",
            ),
        )
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise InputError(
            Text(f"{path} can't be read: {error.strerror}", f"无法读取 {path}：{error.strerror}"),
            Text("make it readable, and try again", "请改为可读，然后重试"),
        ) from error
