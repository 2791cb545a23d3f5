"""What the witnesses say, for people: a table of what agrees, a line for each disagreement, what is not as expected.

For programs the same as one document (schema handshake-lab/verify/v1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from lab.render.paint import Paint
from lab.render.trace import dump
from lab.render.words import USUAL, cells, columns, pad, terminal, wrap
from lab.report.expectations import Outcome
from lab.report.witnesses import WITNESSES, Row, Verification
from lab.text import Lang, Text, safe

SCHEMA = "handshake-lab/verify/v1"
_TITLE, _WHO, _NUMBER = 28, 19, 10
_HANGING = 2  # columns that the lines after the first are set in
_NARROWEST, _WIDEST, _LEAST = 40, 120, 90  # columns: below _LEAST each witness gets a line of its own
_STYLES = {"✓": "", "≈": "yellow", "≠": "bold red"}
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
    """Writes lines in one language, on a terminal no wider than that."""

    def __init__(self, out: TextIO, lang: Lang) -> None:
        on = terminal(out)
        self._out = out
        self._lang: Lang = lang
        self._paint = Paint(on)
        self._wide = on is None or on.width >= _LEAST
        self._width = columns(on, _NARROWEST, _WIDEST)
        self._wraps = on is not None

    def _line(self, text: str, style: str = "", indent: int = 0) -> None:
        lines = [text.rstrip()]
        if self._wraps and cells(text) > self._width:
            first, *rest = wrap(text, self._width - indent)
            lines = [first, *(" " * indent + each for each in rest)]
        for line in lines:
            self._out.write(self._paint.line(line, style))

    def table(self, rows: Sequence[Row]) -> None:
        heads = [each.pick(self._lang) for each in _HEADS]
        counts = [[f"{each:,}" if each else "-" for each in _counts(row)] for row in rows]
        titles = [f"{_mark(row)} {row.title.pick(self._lang)}" for row in rows]
        title, each = _TITLE, [_NUMBER] * len(heads)
        if not self._wide:  # no wider than what is in it
            title = max(map(cells, titles))
            each = [max(map(cells, column)) + 1 for column in zip(heads, *counts, strict=True)]
            title = title if title + sum(each) <= self._width else 0
        with_whom = pad(Text("with", "证人").pick(self._lang), _WHO) if self._wide else ""
        self._line(pad("", title) + with_whom + _placed(heads, each), "dim")
        witness = None
        for row, text, numbers in zip(rows, titles, counts, strict=True):
            who, style = WITNESSES[row.witness].pick(self._lang), _STYLES[_mark(row)]
            if not self._wide and row.witness != witness:
                self._line(who, "dim")
            witness = row.witness
            if not title:  # its numbers have a line of their own
                self._line(text, style)
                text = ""
            line = pad(text, title) + (pad(who, _WHO) if self._wide else "") + _placed(numbers, each)
            by = " ".join(Text(f"no. {number}", f"第 {number} 条").pick(self._lang) for number in row.deviations)
            if by and self._wraps and cells(line) + 2 + cells(by) > self._width:
                self._line(line, style)
                line = " " * _HANGING + by
            elif by:
                line += f"  {by}"
            self._line(line, style)

    def notes(self, notes: Sequence[Text]) -> None:
        for each in notes:
            self._line(each.pick(self._lang), "yellow")

    def disagreements(self, found: Verification) -> None:
        if found.disagreements:
            self._line("")
        for each in sorted(found.disagreements, key=lambda each: each.packet or 0):
            said = safe(each.text().pick(self._lang))
            if each.deviation is None:
                self._line(f"≠ {said}", "bold red", _HANGING)
            else:
                number = Text(f" (DEVIATIONS.md, no. {each.deviation})", f"（DEVIATIONS.md 第 {each.deviation} 条）")
                self._line(f"≈ {said}{number.pick(self._lang)}", "yellow", _HANGING)
        if found.left_out:
            count = f"{found.left_out:,}"
            self._line(Text(f"… and {count} more, not listed", f"……另有 {count} 处，未列出").pick(self._lang))

    def outcomes(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            self._line("")
        for each in outcomes:
            said = safe(each.text().pick(self._lang))
            self._line(f"{'✓' if each.holds else '✗'} {said}", "green" if each.holds else "bold red", _HANGING)

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
            for line in wrap(said.pick(self._lang), min(self._width, USUAL)):
                self._line(line, "bold red")


def _mark(row: Row) -> str:
    return "≠" if row.unexplained else "≈" if row.deviations else "✓"


def _counts(row: Row) -> tuple[int, ...]:
    return row.compared, row.agree, sum(row.deviations.values()), row.unexplained


def _placed(texts: Sequence[str], widths: Sequence[int]) -> str:
    """Returns texts in columns, each at its right edge."""
    return "".join(" " * (width - cells(text)) + text for text, width in zip(texts, widths, strict=True))


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
