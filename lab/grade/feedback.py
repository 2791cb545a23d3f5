"""Marks as data, handshake-lab/grade/v1: the one canonical form, of which every report is made.

How much is said has four degrees: `none` is the total alone, `points` those of each question, `reason` what went wrong
and the rule, `full` the right answer in the student's own packets too. What a degree does not say is not in the data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from lab.grade.kinds import KINDS
from lab.grade.kinds.kind import MOST_WORDS
from lab.grade.marking import Mark, Marks
from lab.text import Lang, Text, safe

SCHEMA = "handshake-lab/grade/v1"
Degree = Literal["none", "points", "reason", "full"]
DEGREES: tuple[Degree, ...] = ("none", "points", "reason", "full")
_REASON, _FULL = ("code", "said", "rule"), ("right", "packets", "why")  # keys that come with the degrees
_MOST_SHOWN = 200  # characters of an answer that nobody has to read to mark it

_SAID = {
    "right": Text("Right.", "正确。"),
    "partly": Text("Partly right.", "部分正确。"),
    "wrong": Text("Not right.", "不正确。"),
    "empty": Text("No answer.", "未作答。"),
    "person": Text("A person marks this.", "此题由人工评分。"),
    "malformed": Text("This can't be read. Expected: {0}.", "无法识别。应填写：{0}。"),
    "skipped": Text("Skipped: it builds on {0}, which has no answer.", "跳过：此题以 {0} 为基础，而该题没有答案。"),
    "absent": Text(
        "Your capture does not have {0}. Is it the capture of this assignment?",
        "你的抓包里没有{0}。这是本作业的抓包吗？",
    ),
    "late": Text(
        "Too late: when this was said, packet {0} had shown already, and the answer with it.",
        "太晚：作出回答时，第 {0} 号包已经出现，答案也就看得到了。",
    ),
    "no-capture": Text("There is no capture that could be read.", "没有可读取的抓包。"),
    "carried": Text(
        "Not what your capture says, but rightly worked out from your answer to {0}: it counts.",
        "与抓包不符，但由你对 {0} 的答案正确推出，按正确计分。",
    ),
}


def as_json(marks: Marks, degree: Degree = "full") -> dict[str, Any]:
    """Returns marks as plain values of JSON, with as much said as the degree allows."""
    about = marks.assignment
    return {
        "schema": SCHEMA,
        "assignment": {"id": about.id, "sha256": about.sha256, "title": _both(about.title)},
        "student": safe(marks.student),
        **({"language": marks.language} if marks.language else {}),
        "capture": {"sha256": marks.capture, "packets": marks.packets} if marks.capture else None,
        "feedback": degree,
        "points": marks.points,
        "of": about.points,
        "pending": marks.pending,
        "questions": [] if degree == "none" else [_question(each, degree) for each in marks.marks],
        "problems": [_both(each) for each in marks.problems],
        "findings": [],
    }


def spoken(marks: Mapping[str, Any], lang: Lang) -> Lang:
    """Returns the language that the student is told in: the one of the sheet, else `lang`."""
    found: Lang = marks.get("language", lang)
    return found


def standing(question: Mapping[str, Any]) -> str:
    """Returns the status of a question as a person has decided it, else as it was marked."""
    if "override" not in question:
        return str(question["status"])
    return "right" if question["points"] >= question["of"] else "partial" if question["points"] > 0 else "wrong"


def is_good(question: Mapping[str, Any]) -> bool:
    return standing(question) in ("right", "carried")


def comment_on(question: Mapping[str, Any], lang: Lang) -> str:
    """Returns what is said of a question's points, as far as its degree has it: where a person has decided, that."""
    decided = question.get("override")
    if decided is None:
        return str(question["said"][lang]) if "said" in question else ""
    told = _MARKED if question["status"] == "person" else _DECIDED
    return f"{told.pick(lang).format(decided['points'], decided['was'])} {safe(decided['why'])}".strip()


_MARKED = Text("Marked by a person: {0:g}.", "人工评分：{0:g} 分。")
_DECIDED = Text("Decided by a person: {0:g} instead of {1:g}.", "由人工决定：{0:g} 分，原为 {1:g} 分。")


def within(marks: dict[str, Any], degree: Degree) -> dict[str, Any]:
    """Returns marks that were told in full with as much said as the degree allows."""
    hidden = {"none": (), "points": (*_REASON, *_FULL), "reason": _FULL, "full": ()}[degree]
    told = [{key: value for key, value in each.items() if key not in hidden} for each in marks["questions"]]
    return marks | {"feedback": degree, "questions": [] if degree == "none" else told}


def _question(mark: Mark, degree: Degree) -> dict[str, Any]:
    question = mark.question
    most = MOST_WORDS if KINDS[question.kind].by_person else _MOST_SHOWN
    found: dict[str, Any] = {
        "id": question.id,
        "kind": question.kind,
        "text": _both(question.text),
        "points": mark.points,
        "of": question.points,
        "status": mark.status,
        "answer": None if mark.given is None else safe(_short(mark.given, most)),
    }
    if degree in ("reason", "full"):
        rule = (mark.mistake.rfc if mark.mistake is not None else "") or question.rfc
        found |= {"code": mark.code, "said": _both(said(mark)), "rule": rule}
    if degree == "full":
        found |= {
            "right": _both(mark.right) if mark.right is not None else None,
            "packets": list(mark.packets),
            "why": _both(question.why) if question.why is not None else None,
        }
    return found


def said(mark: Mark) -> Text:
    """Returns what is said of a mark: what went wrong, but not what would have been right."""
    if mark.mistake is not None:
        return mark.mistake.text
    text = _SAID.get(mark.code) or _SAID["wrong" if not mark.credit else "partly"]
    return Text(text.en.format(mark.about.en), text.zh.format(mark.about.zh)) if mark.about is not None else text


def _both(text: Text) -> dict[str, str]:
    return {"en": text.en, "zh": text.zh}


def _short(given: object, most: int) -> str:
    try:
        said = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):  # a number of thousands of digits, lists in lists
        said = "…"
    return said if len(said) <= most else said[: most - 1] + "…"
