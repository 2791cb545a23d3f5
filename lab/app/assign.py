"""`lab assign`: the assignments there are, and the proof of one before it goes out."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TextIO

from lab.grade.assignment import Assignment, load, schema, shipped
from lab.grade.proof import Proof, prove
from lab.grade.recording import facts_of, facts_of_scenario
from lab.grade.reports.terminal import proof_told
from lab.render.words import console, pad, wrap
from lab.text import Lang, Text

_NAME = 16


def listed(out: TextIO, lang: Lang) -> None:
    """Lists the assignments that come with the lab."""
    page = console(out)
    for name in shipped():
        found = load(name)
        number = len(found.questions)
        count = Text(f"{number} questions, {found.points:g} points", f"{number} 题，{found.points:g} 分")
        page.print(f"{pad(name, _NAME)}{found.title.pick(lang)} · {count.pick(lang)}", soft_wrap=True)
    page.print()
    for line in wrap(_HINT.pick(lang), 80):
        page.print(line, style="dim", soft_wrap=True)


_HINT = Text(
    "lab assign NAME --check proves one against real captures; NAME may be a TOML file of your own.",
    "lab assign 名称 --check 用真实抓包验证作业；名称也可以是你自己的 TOML 文件。",
)


def print_schema(out: TextIO) -> None:
    out.write(json.dumps(schema(), ensure_ascii=False, indent=2) + "\n")


def check(name: str, captures: list[Path], lang: Lang) -> int:
    """Proves an assignment and says what came of it; returns the exit status: 1 where it does not hold."""
    found = proof_of(load(name), captures)
    proof_told(found, sys.stdout, lang)
    return 0 if found.holds else 1


def proof_of(assignment: Assignment, captures: list[Path]) -> Proof:
    """Returns the proof of an assignment, against its scenarios' captures and others that are given."""
    goals = [each["not-in"] for question in assignment.questions for each in question.given.get("goal", ())]
    with tempfile.TemporaryDirectory(prefix="handshake-lab-") as folder:
        others = {name: facts_of_scenario(name, Path(folder)) for name in dict.fromkeys(goals)}
        facts = {name: facts_of_scenario(name, Path(folder)) for name in assignment.proof}
        return prove(assignment, facts | {str(each): facts_of(each) for each in captures}, others)
