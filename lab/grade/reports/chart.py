"""What a class has made of its questions, as a plot: how much of each was reached, and how it tells students apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.grade.reports.page import text
from lab.text import Lang, Text

HARD, EASY = 0.4, 0.75  # of a question's points: below, a question is hard; from there on, easy
_NAME, _BARS, _GAP, _DOTS = 170, 360, 60, 240  # widths: names, what was reached, between, discrimination
_ROW, _TOP, _BAR = 26, 44, 14
_WIDTH = _NAME + _BARS + _GAP + _DOTS + 40
_LONGEST = 24  # characters of a name


def chart(statistics: Sequence[Mapping[str, Any]], lang: Lang) -> str:
    """Returns the plot as SVG, in the colours of the page that it stands in."""
    height = _TOP + _ROW * len(statistics) + 10
    left, middle, bottom = _NAME, _NAME + _BARS + _GAP, height - 8
    reached = Text("points reached", "得分率").pick(lang)
    apart = Text("discrimination", "区分度").pick(lang)
    size, label = f'width="{_WIDTH}" height="{height}"', f"{text(reached)}, {text(apart)}"
    lines = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" {size} role="img" aria-label="{label}">',
        f'<text x="{left}" y="16">{text(reached)}</text>',
        f'<text x="{middle}" y="16">{text(apart)}</text>',
    ]
    for share in range(0, 101, 25):
        lines.append(_grid(left + _BARS * share / 100, bottom, f"{share} %", "grid"))
    for tenths in range(-10, 11, 5):
        kind = "grid" if tenths else "zero"
        lines.append(_grid(middle + _DOTS * (tenths + 10) / 20, bottom, f"{tenths / 10:g}", kind))
    for at, each in enumerate(statistics):
        lines += _row(_TOP + at * _ROW, each, left, middle)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _grid(x: float, bottom: float, label: str, kind: str) -> str:
    return (
        f'<line class="{kind}" x1="{x:g}" y1="{_TOP - 6}" x2="{x:g}" y2="{bottom:g}"/>'
        f'<text class="faint" x="{x:g}" y="{_TOP - 12}" text-anchor="middle">{label}</text>'
    )


def _row(y: float, each: Mapping[str, Any], left: float, middle: float) -> list[str]:
    name = each["question"] if len(each["question"]) <= _LONGEST else each["question"][: _LONGEST - 1] + "…"
    lines = [f'<text x="{left - 10}" y="{y + 12:g}" text-anchor="end">{text(name)}</text>']
    easiness, apart = each["easiness"], each["discrimination"]
    if easiness is not None:
        kind = " bad" if easiness < HARD else "" if easiness >= EASY else " half"
        size = _BARS * min(easiness, 1)
        lines.append(f'<rect class="bar{kind}" x="{left}" y="{y:g}" width="{size:.1f}" height="{_BAR}" rx="2"/>')
        lines.append(f'<text x="{left + size + 6:.1f}" y="{y + 12:g}">{easiness * 100:.0f} %</text>')
    if apart is not None:
        x = middle + _DOTS * (apart + 1) / 2
        lines.append(f'<circle class="dot" cx="{x:.1f}" cy="{y + _BAR / 2:g}" r="5.5"/>')
        lines.append(f'<text x="{x + 10:.1f}" y="{y + 12:g}">{round(apart, 2) + 0.0:+.2f}</text>')
    return lines
