"""The marks of a class as tables for a terminal: who has what, and what became of each question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text as Styled

from lab.grade.regrade import Difference
from lab.render.words import console, pad, wrap
from lab.text import Lang, Text, counted, safe

_WIDTH, _NAME, _STUDENT, _POINTS, _QUESTION = 90, 34, 18, 14, 22
_REACHED, _APART, _BAR = 18, 15, 10


def class_told(marked: Mapping[str, Any], out: TextIO, lang: Lang) -> None:
    """Draws the marks of a class, of their canonical JSON."""
    page = console(out)
    submissions = marked["submissions"]
    titles = dict.fromkeys(each["assignment"]["title"][lang] for each in submissions)
    count = len(submissions) + len(marked["unmarked"])
    told = Text(counted(count, "submission"), f"{count} 份提交物").pick(lang)
    page.print(Styled(" · ".join([*titles, told]), "bold"), soft_wrap=True)
    for each in submissions:
        _submission(each, page, lang)
    for each in marked["unmarked"]:
        page.print(Styled(f"  ! {_cut(safe(each['submission']), _NAME)}", "red"), soft_wrap=True)
        for said in (each["why"], *each["refused"]):
            _lines(page, safe(said[lang]), "red")
    if marked["statistics"]:
        page.print()
        heads = Text("question|reached|discriminates|commonest mistakes", "题目|得分率|区分度|最常见的错误")
        names = heads.pick(lang).split("|")
        head = f"  {pad(names[0], _QUESTION)}{pad(names[1], _REACHED)}{pad(names[2], _APART)}{names[3]}"
        page.print(Styled(head, "bold"), soft_wrap=True)
    for each in marked["statistics"]:
        _question(each, page)


def changes_told(difference: Difference, out: TextIO, lang: Lang) -> None:
    """Draws what has changed since the class was marked before."""
    page = console(out)
    page.print()
    if not difference:
        page.print(Text("Nothing has changed since the last marking.", "与上次评阅相比没有变化。").pick(lang))
        return
    title = Text("Changed since the last marking", "与上次评阅相比的变化").pick(lang)
    page.print(Styled(f"{title}: {len(difference.totals)}", "bold"), soft_wrap=True)
    for name in dict.fromkeys([*difference.totals, *(each.submission for each in difference.changes)]):
        before, after = difference.totals.get(name, ("=", "="))
        page.print(f"  {_cut(safe(name), _NAME)}{_points(before)} → {_points(after)}", soft_wrap=True)
        for each in difference.changes:
            if each.submission == name:
                told = (
                    f"{_points(each.before)} {each.code_before or '–'} → {_points(each.after)} {each.code_after or '–'}"
                )
                page.print(Styled(f"      {pad(each.question, _QUESTION)}{told}", "yellow"), soft_wrap=True)


def _points(value: object) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float | int) else str(value)


def _submission(each: Mapping[str, Any], page: Console, lang: Lang) -> None:
    looked = each["problems"] or each["findings"]
    line = Styled("  ! " if looked else "    ", "red")
    line.append(_cut(safe(each["submission"]), _NAME), "")
    line.append(_cut(safe(each["student"]) or "?", _STUDENT), "dim")
    line.append(pad(f"{each['points']:g}/{each['of']:g}", _POINTS), "bold")
    if each["pending"]:
        line.append(Text(f"+ {each['pending']:g} by a person", f"+ {each['pending']:g} 待人工评阅").pick(lang), "cyan")
    page.print(line, soft_wrap=True)
    for said in each["problems"]:
        _lines(page, safe(said[lang]), "red")
    for finding in each["findings"]:
        _lines(page, safe(finding["said"][lang]), "yellow")


def _question(each: Mapping[str, Any], page: Console) -> None:
    easiness, apart = each["easiness"], each["discrimination"]
    mistakes = "  ".join(f"{found['code']} ×{found['count']}" for found in each["mistakes"])
    reached = f"{_bar(easiness)} {easiness * 100:>3.0f} %" if easiness is not None else "–"
    told = f"  {_cut(each['question'], _QUESTION)}{pad(reached, _REACHED)}"
    page.print(
        f"{told}{pad(f'{round(apart, 2) + 0.0:+.2f}' if apart is not None else '–', _APART)}{mistakes}", soft_wrap=True
    )


def _bar(share: float) -> str:
    full = round(min(share, 1) * _BAR)
    return "█" * full + "░" * (_BAR - full)


def _cut(said: str, width: int) -> str:
    """Returns a text in exactly so many columns, the last one empty."""
    shown = Styled(said)
    shown.truncate(width - 1, overflow="ellipsis")
    return pad(shown.plain, width)


def _lines(page: Console, said: str, style: str) -> None:
    for line in wrap(said, _WIDTH - 6):
        page.print(Styled("      " + line, style), soft_wrap=True)
