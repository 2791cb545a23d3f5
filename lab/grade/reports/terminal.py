"""Marks, and the proof of an assignment, as a table for a terminal."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text as Styled

from lab.grade.feedback import comment_on, is_good, standing
from lab.grade.proof import Proof
from lab.render.words import console, pad, sections, wrap
from lab.text import Lang, Text, packets, safe

_WIDTH, _INDENT, _NAME = 90, 6, 26
_MARKS = {
    "right": ("✓", "green"), "carried": ("✓", "green"), "partial": ("◐", "yellow"), "wrong": ("✗", "red"),
    "empty": ("–", "dim"), "malformed": ("?", "yellow"), "skipped": ("–", "dim"), "absent": ("!", "red"),
    "person": ("…", "cyan"),
}  # fmt: skip


def marks_told(marks: Mapping[str, Any], out: TextIO, lang: Lang) -> None:
    """Draws the marks of a submission, of their canonical JSON."""
    page = console(out)
    title = marks["assignment"]["title"][lang]
    page.print(Styled(f"{title} · {safe(marks['student']) or '?'}", "bold"), soft_wrap=True)
    for each in marks["questions"]:
        _question(each, page, lang)
    for each in marks["problems"]:
        _lines(page, safe(each[lang]), "red", 0)
    for each in marks["findings"]:
        _lines(page, safe(each["said"][lang]), "yellow", 0)
    pending = marks["pending"]
    points, of = marks["points"], marks["of"]
    total = Text(f"{points:g} of {of:g} points", f"得分 {points:g} / {of:g}").pick(lang)
    if pending:
        total += Text(f"; a person has {pending:g} more to give", f"；另有 {pending:g} 分待人工评阅").pick(lang)
    page.print()
    page.print(Styled(total, "bold"), soft_wrap=True)


def _question(each: Mapping[str, Any], page: Console, lang: Lang) -> None:
    mark, style = _MARKS[standing(each)]
    line = Styled(f"  {mark} ", style)
    line.append(pad(each["id"], _NAME), "")
    line.append(pad(f"{each['points']:g}/{each['of']:g}", 8), style)
    line.append(each["answer"] or "", "")
    line.truncate(_WIDTH, overflow="ellipsis")
    page.print(line, soft_wrap=True)
    said, decided = comment_on(each, lang), "override" in each
    if not said or (each["status"] == "right" and not decided):
        return
    rule = f" [{sections(each['rule']).pick(lang)}]" if each.get("rule") and not decided else ""
    _lines(page, said + rule, style, _INDENT)
    if each.get("right") is not None and not (decided and is_good(each)):
        shown = Text(" ({0})", "（{0}）").pick(lang).format(packets(each["packets"]).pick(lang))
        said = Text("In your capture: {0}", "你的抓包中：{0}").pick(lang).format(each["right"][lang])
        _lines(page, said + (shown if each["packets"] else ""), "dim", _INDENT)
    if each.get("why") is not None:
        _lines(page, each["why"][lang], "dim", _INDENT)


def proof_told(proof: Proof, out: TextIO, lang: Lang) -> None:
    """Draws what became of the proof of an assignment."""
    page, about = console(out), proof.assignment
    page.print(Styled(f"{about.title.pick(lang)} · {about.id}", "bold"), soft_wrap=True)
    for question in about.questions:
        known = sorted({(-each.credit, each.code) for each in proof.known if each.question == question.id})
        groups = itertools.groupby(known, lambda each: -each[0])
        listed = ", ".join(f"{credit:g} %: {' '.join(code for _, code in group)}" for credit, group in groups)
        page.print(f"  {pad(question.id, _NAME)}{pad(question.kind, 12)}{question.points:g}", soft_wrap=True)
        _lines(page, listed, "dim", _INDENT)
    page.print()
    for fault in proof.faults:
        _lines(page, f"✗ {fault.pick(lang)}", "red", 0)
    captures = Text(", ".join(about.proof), "、".join(about.proof))
    if proof.holds:
        told = Text(
            f"✓ It holds in {captures.en}: a right sheet has full marks in every spelling, an empty one none, and each "
            f"of {len(proof.known)} mistakes the credit that is meant for it ({proof.marked} sheets marked).",
            f"✓ 在 {captures.zh} 中成立：正确的答题纸以任何写法都得满分，空白的不得分，"
            f"{len(proof.known)} 种错误各得其应得之分（共评阅 {proof.marked} 份）。",
        )
        _lines(page, told.pick(lang), "green", 0)


def _lines(page: Console, said: str, style: str, indent: int) -> None:
    for line in wrap(said, _WIDTH - indent):
        page.print(Styled(" " * indent + line, style), soft_wrap=True)
