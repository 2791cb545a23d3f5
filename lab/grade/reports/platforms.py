"""One submission's marks as a teaching platform wants them, from their canonical JSON.

    Gradescope    results.json of an autograder                gradescope-autograders.readthedocs.io/en/latest/specs/
    PrairieLearn  results.json of an external grader           docs/externalGrading.md of PrairieLearn
    Classroom 50  result.json, classroom50/result/v1           "The result.json contract" in its wiki

As much is said as the marks say. The total is always there, nothing is hidden, and texts are texts: no format that is
shown has markup.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from lab.grade.feedback import is_good, spoken, standing
from lab.grade.reports.student import said_of, total
from lab.text import Lang, Text, safe

Result = dict[str, Any]
_MOST_RESULT = 1_000_000  # bytes of what PrairieLearn takes
_HUNDREDTHS = 100  # of a point: Classroom 50 counts in whole numbers
_SUBMITTED = re.compile(r"submit/(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)Z")


def gradescope(marks: Mapping[str, Any], lang: Lang, notes: tuple[str, ...] = ()) -> Result:
    """Returns results.json. A hidden test would hide the total: each is visible, and has a status.

    What a person has still to mark counts nothing here: they add it there. `notes` are said to the student, too.
    """
    lang = spoken(marks, lang)
    problems = [safe(each[lang]) for each in marks["problems"]]
    return {
        "score": marks["points"],
        "output": "\n".join([total(marks, lang), *problems, *notes]),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [_gradescope_test(at, each, lang) for at, each in enumerate(marks["questions"], 1)],
        "extra_data": {"schema": marks["schema"], "assignment": marks["assignment"]["id"], "pending": marks["pending"]},
    }


def _gradescope_test(at: int, each: Mapping[str, Any], lang: Lang) -> Result:
    by_person = _waits(each)
    return {
        "number": str(at),
        "name": each["id"],
        "score": each["points"],
        "max_score": 0 if by_person else each["of"],
        "status": "passed" if by_person or is_good(each) else "failed",
        "output": _told(each, lang),
        "tags": [each["kind"]],
        "visibility": "visible",
    }


def gradescope_refused(message: str) -> Result:
    """Returns results.json for what can't be marked: no points, and why."""
    return {
        "score": 0, "output": message, "output_format": "text", "visibility": "visible",
        "stdout_visibility": "hidden", "tests": [],
    }  # fmt: skip


def prairielearn(marks: Mapping[str, Any], lang: Lang, ladder: Mapping[str, str] | None = None) -> Result:
    """Returns results.json. An answer that can't be read, or no capture, costs no attempt: it is not gradable.

    Each test has points and max_points, else none is shown; findings are worth none. The score is the share of what the
    lab marks. `ladder` is the picture of the capture by language, as SVG, where there is room for it.
    """
    lang = spoken(marks, lang)
    errors = [safe(each[lang]) for each in marks["problems"]] if marks["capture"] is None else []
    malformed = [each for each in marks["questions"] if standing(each) == "malformed"]
    errors += [f"{each['id']}: {_told(each | {'right': None, 'why': None}, lang)}" for each in malformed]
    if errors:
        return {"gradable": False, "format_errors": errors}
    tests = [
        {
            "name": f"{at}. {each['id']}",
            "description": each["text"][lang],
            "points": each["points"],
            "max_points": 0 if _waits(each) else each["of"],
            "message": _told(each, lang),
        }
        for at, each in enumerate(marks["questions"], 1)
    ]
    name = Text("To be looked at by a person", "需要教师查看").pick(lang)
    tests += [
        {"name": name, "points": 0, "max_points": 0, "message": safe(each["said"][lang])} for each in marks["findings"]
    ]
    marked = marks["of"] - marks["pending"]
    found: Result = {
        "gradable": True,
        "score": round(min(marks["points"] / marked, 1.0), 6) if marked > 0 else 0.0,
        "message": "\n".join([total(marks, lang), *(safe(each[lang]) for each in marks["problems"])]),
        "tests": tests,
    }
    if ladder is not None and len(ladder[lang]) < _MOST_RESULT // 2:
        url = f"data:image/svg+xml;base64,{base64.b64encode(ladder[lang].encode()).decode()}"
        found["images"] = [{"label": Text("Your capture", "你的抓包").pick(lang), "url": url}]
    return found


def prairielearn_refused(message: str) -> Result:
    """Returns results.json for what can't be marked: it costs no attempt."""
    return {"gradable": False, "format_errors": [message]}


def classroom50(marks: Mapping[str, Any], environment: Mapping[str, str], now: str) -> Result:
    """Returns result.json. Points are whole numbers there: hundredths of ours, so that nothing is rounded.

    Who and what it is about the runner says, in its `environment`. `datetime` is when it was handed in, by the tag, and
    stays the same however often it is marked; `now` is when this was.
    """
    return {
        **_handed_in(environment, now),
        "score": _hundredths(marks["points"]),
        "max-score": _hundredths(marks["of"]),
        "tests": [
            {
                "test-name": each["id"],
                "passed": is_good(each),
                "score": _hundredths(each["points"]),
                "max-score": _hundredths(each["of"]),
            }
            for each in marks["questions"]
        ],
    }


def classroom50_refused(message: str, environment: Mapping[str, str], now: str) -> Result:
    """Returns result.json for what can't be marked. Only tests have words there, and without one it has passed: so it
    is one that has failed."""
    test = {"test-name": message, "passed": False, "score": 0, "max-score": 0}
    return {**_handed_in(environment, now), "score": 0, "max-score": 0, "tests": [test]}


def _handed_in(environment: Mapping[str, str], now: str) -> Result:
    submitted = _SUBMITTED.match(environment.get("SUBMISSION_TAG", ""))
    commit = environment.get("COMMIT_URL", "")
    return {
        "schema": "classroom50/result/v1",
        "classroom": environment.get("CLASSROOM", ""),
        "assignment": environment.get("ASSIGNMENT", ""),
        "submission": environment.get("SUBMISSION_TAG", ""),
        "commit": commit,
        "release": environment.get("RELEASE_URL", ""),
        "review": environment.get("REVIEW_URL") or commit,
        "datetime": "{}T{}:{}:{}Z".format(*submitted.groups()) if submitted is not None else now,
        "graded_at": now,
    }


def _hundredths(points: float) -> int:
    return round(points * _HUNDREDTHS)


def _waits(each: Mapping[str, Any]) -> bool:
    """Whether a person has still to mark a question."""
    return each["status"] == "person" and "override" not in each


def _told(each: Mapping[str, Any], lang: Lang) -> str:
    """Returns what is said of a question, as lines of plain text."""
    lines = [" ".join(filter(None, (said.text, safe(said.quoted)))) for said in said_of(each, lang)]
    return "\n".join(lines)
