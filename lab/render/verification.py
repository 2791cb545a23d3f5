"""What the witnesses say, for people: a table of what agrees, a line for each disagreement, what is not as expected.

For programs the same as one document (schema handshake-lab/verify/v1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from rich.text import Text as Styled

from lab.render.trace import dump
from lab.render.words import cells, console, pad, wrap
from lab.report.expectations import Outcome
from lab.report.witnesses import WITNESSES, Row, Verification
from lab.text import Lang, Text, safe

SCHEMA = "handshake-lab/verify/v1"
_TITLE, _WHO, _NUMBER, _WIDTH = 27, 19, 10, 80
_HEADS = (
    Text("compared", "比对"), Text("agree", "一致"), Text("explained", "有编号"), Text("differ", "无解释"),
)  # fmt: skip


def draw(found: Verification, outcomes: Sequence[Outcome], out: TextIO, lang: Lang) -> None:
    """Draws it for people."""
    page = _Page(out, lang)
    if found.rows:
        page.table(found.rows)
    page.notes(found.notes)
    page.disagreements(found)
    page.outcomes(outcomes)
    page.conclusion(found)
    out.flush()


class _Page:
    """Writes lines in one language."""

    def __init__(self, out: TextIO, lang: Lang) -> None:
        self._console = console(out)
        self._lang: Lang = lang

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(Styled(text.rstrip(), style), soft_wrap=True)

    def table(self, rows: Sequence[Row]) -> None:
        heads = "".join(_right(each.pick(self._lang), _NUMBER) for each in _HEADS)
        self._line(pad("", _TITLE + 1) + pad(Text("with", "证人").pick(self._lang), _WHO) + heads, "dim")
        for row in rows:
            marks = {True: "≠" if row.unexplained else "≈", False: "✓"}
            mark = marks[bool(row.unexplained or row.deviations)]
            style = {"✓": "green", "≈": "yellow", "≠": "bold red"}[mark]
            numbers = (row.compared, row.agree, sum(row.deviations.values()), row.unexplained)
            counts = "".join(_right(f"{each:,}" if each else "-", _NUMBER) for each in numbers)
            by = " ".join(f"no. {number}" for number in row.deviations)
            if self._lang == "zh":
                by = " ".join(f"第 {number} 条" for number in row.deviations)
            who = WITNESSES[row.witness].pick(self._lang)
            line = pad(f"{mark} {row.title.pick(self._lang)}", _TITLE + 1) + pad(who, _WHO) + counts
            self._line(line + (f"  {by}" if by else ""), style if mark != "✓" else "")

    def notes(self, notes: Sequence[Text]) -> None:
        for each in notes:
            self._line(each.pick(self._lang), "yellow")

    def disagreements(self, found: Verification) -> None:
        if found.disagreements:
            self._line("")
        for each in sorted(found.disagreements, key=lambda each: each.packet or 0):
            said = safe(each.text().pick(self._lang))
            if each.deviation is None:
                self._line(f"≠ {said}", "bold red")
            else:
                number = Text(f" (DEVIATIONS.md, no. {each.deviation})", f"（DEVIATIONS.md 第 {each.deviation} 条）")
                self._line(f"≈ {said}{number.pick(self._lang)}", "yellow")
        if found.left_out:
            count = f"{found.left_out:,}"
            self._line(Text(f"… and {count} more, not listed", f"……另有 {count} 处，未列出").pick(self._lang))

    def outcomes(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            self._line("")
        for each in outcomes:
            said = safe(each.text().pick(self._lang))
            self._line(f"{'✓' if each.holds else '✗'} {said}", "green" if each.holds else "bold red")

    def conclusion(self, found: Verification) -> None:
        if not found.rows:
            return
        self._line("")
        unexplained = sum(row.unexplained for row in found.rows)
        if not unexplained:
            said = Text("Nothing differs without a numbered reason.", "没有任何无法解释的差异。")
            self._line(said.pick(self._lang), "green")
        else:
            said = Text(
                f"{unexplained} without a reason: see ≠ above. That is a bug of the lab's or of the witness: please "
                "report it.",
                f"{unexplained} 处差异无法解释：见上面的 ≠。这是实验室或证人的错误，请报告。",
            )
            for line in wrap(said.pick(self._lang), _WIDTH):
                self._line(line, "bold red")


def _right(text: str, width: int) -> str:
    return " " * (width - cells(text)) + text


def document(found: Verification, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Returns it as plain values of JSON."""
    return {
        "schema": SCHEMA,
        "file": found.name,
        "packets": found.packets,
        "agrees": found.agrees,
        "lacking": None if found.lacking is None else found.lacking.message._asdict(),
        "notes": [each._asdict() for each in found.notes],
        "compared": [
            {
                "witness": row.witness, "name": row.name, "en": row.title.en, "zh": row.title.zh,
                "compared": row.compared, "agree": row.agree,
                "deviations": {str(number): count for number, count in row.deviations.items()},
                "unexplained": row.unexplained,
            }
            for row in found.rows
        ],
        "disagreements": [
            {
                "packet": each.packet, "witness": each.witness, "name": each.what, "ours": each.ours,
                "theirs": each.theirs, "deviation": each.deviation, **each.text()._asdict(),
            }
            for each in found.disagreements
        ],
        "not_listed": found.left_out,
        "expectations": [
            {
                "expected": each.expected, "holds": each.holds,
                "found": [{"conversation": which, "value": value} for which, value in each.found],
                **each.text()._asdict(),
            }
            for each in outcomes
        ],
    }  # fmt: skip


def write(found: Verification, outcomes: Sequence[Outcome], out: TextIO) -> None:
    """Writes the document, an entry a line."""
    told = document(found, outcomes)
    lists = {name: told.pop(name) for name in ("compared", "disagreements", "expectations")}
    out.write(dump(told)[:-1])
    for name, entries in lists.items():
        out.write(f',\n"{name}": [\n' + ",\n".join(map(dump, entries)) + "\n]")
    out.write("}\n")
    out.flush()
