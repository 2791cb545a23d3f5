"""The answer sheet, `answers.toml`: written for a student to fill in, and read back whatever has become of it.

A sheet is read as TOML and never run. One that is no TOML any more, because a quote is missing somewhere, is read line
by line: an answer that can be told from its line counts.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import re
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from lab.errors import InputError
from lab.grade.assignment import Assignment, Question
from lab.grade.kinds import KINDS
from lab.text import LANGUAGES, Lang, Text

NAME = "answers.toml"
MOST_BYTES = 256 << 10
MOST_ANSWERS = 500
_MOST_WORD, _MOST_BITS = 200, 256  # of the names of student and assignment
_MOST_PARTS = 100  # of a key
_WIDTH = 100
_LINE = re.compile(r"\s*\"?([A-Za-z0-9-]{1,64})\"?\s*=\s*(.*)")
_NO_KEY = re.compile(  # texts and comments; what does not end is no TOML from there on
    r'''"""(?:\\.|[^\\])*?(?:"""|\Z)|'{3}.*?(?:'{3}|\Z)|"(?:\\.|[^"\\\n])*"?|'[^'\n]*'?|\#[^\n]*''', re.DOTALL
)
_ANSWERS = "answers"


class Said(NamedTuple):
    """A prediction: the answer, and the number of the last packet that had shown when it was given."""

    answer: object
    seen: int


class Sheet(NamedTuple):
    """What a student has handed in: answers by question, as TOML has them. `predictions` come from a run's record,
    in the order in which they were made.

    `whole` says that the file was TOML; else it was read line by line. `language` is the one the student wants to be
    told in, None where none is named that there is.
    """

    assignment: str
    student: str
    answers: Mapping[str, object]
    predictions: Mapping[str, tuple[Said, ...]] = {}
    whole: bool = True
    language: Lang | None = None


def read(data: bytes, name: str = NAME) -> Sheet:
    """Returns a sheet. Raises InputError where it is too large, or has nothing that could be read."""
    if len(data) > MOST_BYTES:
        raise InputError(
            Text(f"{name} is larger than {MOST_BYTES >> 10} kB", f"{name} 超过 {MOST_BYTES >> 10} kB"),
            Text("fill in the sheet that came with the assignment", "请填写随作业发放的答题纸"),
        )
    said = _decoded(data).replace("\r\n", "\n").replace("\r", "\n")
    try:
        found, whole = tomllib.loads(_flat(said)), True
    except (ValueError, RecursionError, MemoryError):
        found, whole = _by_lines(said), False
    answers = found.get(_ANSWERS)
    given = dict(list(answers.items())[:MOST_ANSWERS]) if isinstance(answers, dict) else {}
    language = next((each for each in LANGUAGES if each == found.get("language")), None)
    return Sheet(_word(found.get("assignment")), _word(found.get("student")), given, {}, whole, language)


def _decoded(data: bytes) -> str:
    """Returns a text in the encoding that editors save it in: UTF-8, or what Windows calls Unicode, or Chinese."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    for encoding in ("utf-8-sig", "gb18030"):
        with contextlib.suppress(UnicodeDecodeError):
            return data.decode(encoding)
    return data.decode("utf-8-sig", "replace")


def _flat(said: str) -> str:
    """Returns a text. Raises ValueError where a key has more parts than anybody writes: TOML takes their square."""
    keys = re.sub(r"[ \t]", "", _NO_KEY.sub("", said))
    if any(each.count(".") >= _MOST_PARTS for each in re.split(r"[^\w.-]+", keys)):
        raise ValueError
    return said


def given(question: Question, sheet: Sheet, before: int | None = None) -> object:
    """Returns the answer to a question, None where there is none. Of predictions it is the last that was made before
    packet `before` showed; without a number the last of all."""
    if question.kind == "prediction":
        said = sheet.predictions.get(question.id, ())
        answer = next((each.answer for each in reversed(said) if before is None or each.seen < before), None)
    else:
        answer = sheet.answers.get(question.id)
    blank = answer in ("", [], {}) or (isinstance(answer, str) and not answer.strip())
    return None if blank else answer


def written(assignment: Assignment, student: str, lang: Lang, answers: Mapping[str, object] | None = None) -> str:
    """Returns a sheet for a student, with the questions as comments; with `answers` filled in."""
    lines = [
        *_comment(f"{assignment.title.pick(lang)} · {assignment.id}"),
        *_comment(_HOW.pick(lang)),
        f"assignment = {quoted(assignment.id)}",
        f"student = {quoted(student)}",
        f"language = {quoted(lang)}",
        "",
        f"[{_ANSWERS}]",
    ]
    for at, question in enumerate(assignment.questions, 1):
        plural = "" if question.points == 1 else "s"
        points = Text(f"({question.points:g} point{plural})", f"（{question.points:g} 分）").pick(lang)
        lines += ["", *_comment(f"{at}. {question.text.pick(lang)} {points}")]
        for option in (*question.given.get("option", ()), *question.given.get("item", ())):
            lines += _comment(f"{option['id']}: {' '.join(option['text'][lang].split())}", "#      ")
        if question.kind == "prediction":
            lines += _comment(PREDICTED.format(question.id).pick(lang), "#   → ")
            continue
        lines += _comment(KINDS[question.kind].expects(question).pick(lang), "#   → ")
        lines.append(f"{question.id} = {literal((answers or {}).get(question.id, ''))}")
    return "\n".join(lines) + "\n"


_HOW = Text(
    "Write each answer behind its = sign: a text in quotes, a list in brackets. An empty one is no answer.",
    "请在每个 = 号后填写答案；文本加引号，列表加方括号。留空视为未作答。",
)
PREDICTED = Text(
    "not here: answered in lab step --variant ., before the packet shows: predict {0}: your answer",
    "不在此处填写：在 lab step --variant . 中、该包出现之前作答：predict {0}: 你的答案",
)


def _comment(said: str, indent: str = "# ") -> Iterable[str]:
    """Returns a text as comment lines: Chinese characters take two columns."""
    if not said.isascii():
        width = _WIDTH // 2 + 8
        return textwrap.wrap(said, width, initial_indent=indent, subsequent_indent="# ".ljust(len(indent)))
    return textwrap.wrap(said, _WIDTH, initial_indent=indent, subsequent_indent="# ".ljust(len(indent)))


def quoted(said: str) -> str:
    """Returns a text as TOML writes it."""
    return json.dumps(said.encode("utf-8", "replace").decode("utf-8"), ensure_ascii=False).replace("\x7f", "\\u007f")


def literal(value: object) -> str:
    """Returns a text, a number or a list of these as TOML writes it."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(literal(each) for each in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else quoted(str(value))


def _word(value: object) -> str:
    if isinstance(value, int) and value.bit_length() < _MOST_BITS:
        value = str(value)
    return value[:_MOST_WORD] if isinstance(value, str) else ""


def _by_lines(said: str) -> dict[str, Any]:
    """Returns what can be told from the single lines of a sheet that is no TOML."""
    head: dict[str, Any] = {}
    answers: dict[str, Any] = {}
    for line in said.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        try:
            value = tomllib.loads(_flat(f"value = {match[2]}"))["value"]
        except (ValueError, RecursionError):
            value = match[2].partition("#")[0].strip().strip("\"'")
        (head if match[1] in ("assignment", "student", "language") else answers)[match[1]] = value
    return {**head, _ANSWERS: answers}
