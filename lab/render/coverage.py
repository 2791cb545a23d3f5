"""What of the rules real kernels have walked: the arrows of the diagram, and every kind of segment in every state."""

from __future__ import annotations

from typing import TextIO

from rich.text import Text as Styled

from lab.protocols.exploration import KINDS, Tried, Walk, grid, tried, walks
from lab.render.words import columns, console, pad, wrap
from lab.text import Lang, Text

_NARROWEST, _WIDEST = 60, 120
_ARROW, _STATE, _KIND, _INDENT = 30, 16, 8, 4
_MOST = 4  # names of scenarios, or of cells, on one arrow


def coverage(out: TextIO, lang: Lang) -> None:
    """Prints both."""
    page = _Page(out, lang)
    found = walks()
    done = sum(each.done for each in found)
    page.line(
        Text(
            f"RFC 9293 figure 5: {done} of its {len(found)} arrows walked by real kernels",
            f"RFC 9293 图 5：{len(found)} 条箭头中，真实内核走过 {done} 条",
        ).pick(lang),
        "bold",
    )
    for walk in found:
        page.walk(walk)
    page.line()
    cells = tried()
    seen, states, kernel = sum(each.cells > 0 for each in cells), len(cells) // len(KINDS), grid().kernel
    page.line(
        Text(
            f"{len(KINDS)} kinds of segment in {states} states: {seen} of {len(cells)} tried on Linux {kernel}",
            f"{states} 个状态 × {len(KINDS)} 类报文段：{len(cells)} 种情形中，在 Linux {kernel} 上试过 {seen} 种",
        ).pick(lang),
        "bold",
    )
    page.paragraph(
        Text(
            "In how many cells the kernel does as RFC 9293 says, of how many: lab explore shows each, and why not.",
            "格式为“与 RFC 9293 一致的格数/总格数”；lab explore 会显示每一格，以及不一致的原因。",
        ),
        "dim",
    )
    page.line(pad("", _STATE) + "".join(pad(kind, _KIND) for kind in KINDS), "dim")
    for at in range(0, len(cells), len(KINDS)):
        page.row(cells[at : at + len(KINDS)])
    out.flush()


class _Page:
    """Prints lines in one language."""

    def __init__(self, out: TextIO, lang: Lang) -> None:
        self._console = console(out)
        self._width = columns(self._console, _NARROWEST, _WIDEST)
        self._lang: Lang = lang

    def line(self, text: str = "", style: str = "") -> None:
        self._console.print(Styled(text.rstrip(), style), soft_wrap=True)

    def paragraph(self, text: Text, style: str = "", indent: int = 0) -> None:
        for line in wrap(text.pick(self._lang), self._width - indent):
            self.line(" " * indent + line, style)

    def walk(self, walk: Walk) -> None:
        arrow = walk.arrow
        mark = "✓" if walk.done else "·"
        title = pad(f"{mark} {arrow.state} → {arrow.to}", _ARROW) + arrow.label.pick(self._lang)
        self.line(title, "green" if walk.done else "yellow")
        for names, what in (
            (walk.scenarios, Text("scenarios", "场景")),
            (walk.ways, Text("on the way to", "途经")),
            (walk.cells, Text("cells", "表中")),
        ):
            if names:
                self.paragraph(Text(f"{what.en}: {_some(names)}", f"{what.zh}：{_some(names)}"), "dim", _INDENT)
        if arrow.why.en:
            self.paragraph(arrow.why, "yellow", _INDENT)

    def row(self, cells: list[Tried]) -> None:
        line = Styled(pad(cells[0].state, _STATE))
        for each in cells:
            style = "yellow" if each.differences else "green"
            line.append(pad(f"{each.agree}/{each.cells}", _KIND), style)
        line.rstrip()
        self._console.print(line, soft_wrap=True)


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" … (+{more})" if more > 0 else "")
