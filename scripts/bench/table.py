"""Tables, printed row by row as their figures are found: for a terminal, or for docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence


class Table:
    """A table whose columns are as wide as its heading says; its first column holds words, the others figures."""

    def __init__(self, title: str, columns: Sequence[str], *, markdown: bool, first: int = 44) -> None:
        self._markdown = markdown
        self._widths = [first, *(max(9, len(each)) for each in columns[1:])]
        if markdown:
            print(f"\n### {title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
        else:
            print(f"\n{title}\n{self._line(columns)}", flush=True)

    def row(self, *cells: str) -> None:
        print(f"| {' | '.join(cells)} |" if self._markdown else self._line(cells), flush=True)

    def _line(self, cells: Sequence[str]) -> str:
        first, *others = self._widths
        rest = (f"{cell:>{width}}" for cell, width in zip(cells[1:], others, strict=True))
        return f"{cells[0]:<{first}}  {'  '.join(rest)}".rstrip()


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def megabytes(value: int) -> str:
    return f"{value / 1e6:.0f} MB"
