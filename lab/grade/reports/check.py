"""A student's check, for a terminal: a line or two for each thing that was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich.text import Text as Styled

from lab.grade.checking import Finding
from lab.render.words import console, pad, wrap
from lab.text import Lang, Text, safe

_WIDTH, _NAME = 90, 24
_MARKS = {"good": ("✓", "green"), "note": ("·", "yellow"), "fault": ("✗", "red")}


def findings_told(findings: Sequence[Finding], out: TextIO, lang: Lang) -> None:
    """Draws what was found, and what follows from it."""
    page = console(out)
    for each in findings:
        mark, style = _MARKS[each.status]
        lines = wrap(safe(each.text.pick(lang)), _WIDTH - _NAME)
        for at, line in enumerate(lines):
            begin = f"{mark} {pad(safe(each.about), _NAME - 2)}" if at == 0 else " " * _NAME
            page.print(Styled(begin, style) + Styled(line), soft_wrap=True)
    faults = sum(each.status == "fault" for each in findings)
    told = _READY if not faults else _TO_MEND.format(faults)
    page.print()
    page.print(Styled(told.pick(lang), "green" if not faults else "red"), soft_wrap=True)


_READY = Text(
    "It can be handed in. Whether the answers are right was not looked at.", "可以提交。答案是否正确不在检查之列。"
)
_TO_MEND = Text("To be mended before it is handed in: {0}", "提交前需要修正：{0} 处")
