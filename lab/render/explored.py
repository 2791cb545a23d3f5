"""What a kernel does with a segment in a state: one cell in full, and the whole grid as a table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TextIO

from rich.text import Text as Styled

from lab.protocols.exploration import (
    STIMULI,
    Cell,
    Change,
    Difference,
    Stimulus,
    Way,
    explained,
    explained_by,
    grid,
)
from lab.render.cells import MARKS, NOTHING, Played, counted, heard, kind, numbered, rule, script, segments, verdict
from lab.render.words import columns, console, pad, wrap
from lab.text import Lang, Text

_NARROWEST, _WIDEST = 80, 120
_LEFT, _COLUMN, _WAY = 10, 34, 20
_BY_FLAGS = {"SYN-ACK": "s", "ACK": "a", "RST": "r", "RST-ACK": "r"}
_RULES = Text("RFC 9293 section 3.10.7", "RFC 9293 第 3.10.7 节")
_COLOURS = {"quiet": "dim", "ack": "blue", "on": "bold green", "rst": "yellow", "end": "bold red"}
_STYLES = {"agree": "green", "explained": "yellow", "unexplained": "bold red"}


def in_full(found: Played, way: Way, stimulus: Stimulus, others: Sequence[Way], out: TextIO, lang: Lang) -> None:
    """Prints one cell, the kernel's side by side with the rules'."""
    page, cell = _Page(out, lang), found[0]
    page.line(f"{way.name} + {stimulus.name}: {stimulus.text.pick(lang)}", "bold")
    page.line(found.title.pick(lang), "dim")
    page.paragraph(Text(f"{way.text.en}: {script(way)}", f"{way.text.zh}：{script(way)}"), "dim")
    page.line()
    page.row("", Text("a real kernel", "真实内核"), _RULES, "dim")
    numbers = f"SEQ={stimulus.seq}" + (f" ACK={stimulus.ack}" if stimulus.ack else "")
    length = (
        Text(f", {cell.arrived.length} bytes", f"，{cell.arrived.length} 字节") if cell.arrived.length else Text("", "")
    )
    arrived = segments([cell.arrived])
    page.row(
        Text("arrives", "到达").pick(lang), Text(arrived.en + length.en, arrived.zh + length.zh), Text(*[numbers] * 2)
    )
    rules = cell.rules
    for aspect, title, kernel, said in (
        ("sent", Text("sends", "发出"), segments(cell.sent), segments(rules.sent)),
        ("state", Text("state", "状态"), _state(cell.before, cell.after), _state(cell.before, rules.state)),
        ("heard", Text("program", "程序得知"), heard(cell.heard), heard(rules.heard)),
    ):
        page.row(title.pick(lang), kernel, said, "yellow" if aspect in cell.differs else "")
    page.line()
    moved = counted(cell)
    page.told(Text("counters", "计数器"), Text(*[", ".join(moved)] * 2) if moved else NOTHING)
    if (why := explained_by(cell)) is not None:
        page.told(Text("why", "原因"), why)
    for branch in rules.branches:
        page.told(Text("rules", "规则"), rule(branch))
    page.line()
    page.conclusion(cell)
    if others:
        names = ", ".join(each.name for each in others)
        page.paragraph(Text(f"Other ways into this state: {names}", f"进入该状态的其他途径：{names}"), "dim")


def table(found: Played, changed: Sequence[Change], out: TextIO, lang: Lang) -> None:
    """Prints cells as a grid: a row a way, a column a segment."""
    page = _Page(out, lang)
    page.line(found.title.pick(lang), "bold")
    page.paragraph(_key(), "dim")
    page.line()
    numbers = [f"{at:02}" for at in range(1, len(STIMULI) + 1)]
    for digit in (0, 1):
        page.line(
            pad("", _WAY) + " ".join(number[digit] if digit or number[0] != "0" else " " for number in numbers), "dim"
        )
    for way, cells in groupby(found, key=lambda cell: cell.way):
        line = Styled(pad(way, _WAY))
        for cell in cells:
            how = verdict(cell)
            line.append(sign(cell), _COLOURS[kind(cell)])
            line.append(MARKS[how] if cell.differs else " ", _STYLES[how] if cell.differs else "")
        page.styled(line)
    page.line()
    page.names()
    page.line()
    page.differences(found)
    page.counts(found)
    page.changes(changed)


def sign(cell: Cell) -> str:
    """Returns a letter for what came back, a capital where the state is another afterwards."""
    letter = _BY_FLAGS.get(cell.sent[0].name, "x") if cell.sent else ""
    if cell.after == cell.before:
        return letter or "·"
    return letter.upper() or "+"


def _key() -> Text:
    return Text(
        "A letter is what came back: a ACK, s SYN-ACK, r RST, · nothing; a capital, and +, where the state is another "
        "afterwards. ≈ differs from RFC 9293 for a reason below, ≠ for none that is known.",
        "字母表示应答：a 为 ACK，s 为 SYN+ACK，r 为 RST，· 为无应答；状态改变时用大写，无应答则用 +。"
        "≈ 表示与 RFC 9293 不同，原因见下；≠ 表示不同且原因未知。",
    )


def _numbered(why: Difference, count: int = 0) -> Text:
    """Returns a difference in words, and if that is to be told in how many cells it is."""
    en, zh = (f" ({count})", f"（{count} 格）") if count else ("", "")
    return Text(f"no. {why.number}{en}: {why.text.en}", f"第 {why.number} 条{zh}：{why.text.zh}")


def _state(before: str, after: str) -> Text:
    return Text(f"stays {after}", f"保持 {after}") if before == after else Text(f"→ {after}", f"→ {after}")


class _Page:
    """Prints lines in one language."""

    def __init__(self, out: TextIO, lang: Lang) -> None:
        self._console = console(out)
        self._width = columns(self._console, _NARROWEST, _WIDEST)
        self._lang: Lang = lang

    def line(self, text: str = "", style: str = "") -> None:
        self._console.print(Styled(text.rstrip(), style), soft_wrap=True)

    def styled(self, line: Styled) -> None:
        self._console.print(line, soft_wrap=True)

    def paragraph(self, text: Text, style: str = "", indent: int = 0) -> None:
        for line in wrap(text.pick(self._lang), self._width - indent):
            self.line(" " * indent + line, style)

    def row(self, title: str, kernel: Text, rules: Text, style: str = "") -> None:
        """Prints a line of two columns, the left one broken where it is too long."""
        left = wrap(kernel.pick(self._lang), _COLUMN - 2) or [""]
        right = wrap(rules.pick(self._lang), self._width - _LEFT - _COLUMN) or [""]
        for at in range(max(len(left), len(right))):
            texts = [each[at] if at < len(each) else "" for each in (left, right)]
            self.line(pad("" if at else title, _LEFT) + pad(texts[0], _COLUMN) + texts[1], style)

    def told(self, title: Text, text: Text) -> None:
        for at, line in enumerate(wrap(text.pick(self._lang), self._width - _LEFT)):
            self.line(pad("" if at else title.pick(self._lang), _LEFT) + line)

    def conclusion(self, cell: Cell) -> None:
        how, why = verdict(cell), explained(cell)
        said = {
            "agree": Text("the kernel does as the rules say", "内核的做法与规则一致"),
            "explained": Text(f"no. {why.number}: {why.text.en}", f"第 {why.number} 条：{why.text.zh}")
            if why
            else NOTHING,
            "unexplained": Text("the kernel does otherwise, and nobody knows why", "内核的做法不同，原因未知"),
        }[how]
        for line in wrap(f"{MARKS[how]} {said.pick(self._lang)}", self._width):
            self.line(line, _STYLES[how])

    def names(self) -> None:
        """Prints what the columns are."""
        width = self._width // 4
        names = [f"{at:2} {each.name}" for at, each in enumerate(STIMULI, 1)]
        rows = -(-len(names) // 4)
        for at in range(rows):
            self.line("".join(pad(name, width) for name in names[at::rows]), "dim")

    def differences(self, found: Sequence[Cell]) -> None:
        for why, count in numbered(found):
            said = _numbered(why, count)
            self.paragraph(Text(f"≈ {said.en}", f"≈ {said.zh}"), "yellow")
        for cell in found:
            if verdict(cell) == "unexplained":
                self.line(f"≠ {cell.way} + {cell.segment}", "bold red")

    def counts(self, found: Sequence[Cell]) -> None:
        counts = {how: sum(verdict(cell) == how for cell in found) for how in MARKS}
        self.paragraph(
            Text(
                f"{len(found)} cells: the kernel does as RFC 9293 says in {counts['agree']}, otherwise for a known "
                f"reason in {counts['explained']}, for none in {counts['unexplained']}.",
                f"共 {len(found)} 格：与 RFC 9293 一致 {counts['agree']} 格，不同但原因已知 {counts['explained']} 格，"
                f"原因未知 {counts['unexplained']} 格。",
            )
        )

    def changes(self, changed: Sequence[Change]) -> None:
        """Prints whether all is as it was recorded."""
        kernel = grid().kernel
        if not changed:
            self.paragraph(
                Text(f"All as recorded on Linux {kernel}.", f"与在 Linux {kernel} 上的记录完全相同。"), "green"
            )
            return
        count = len(changed)
        self.paragraph(
            Text(
                f"{count} of these are not as recorded on Linux {kernel} (sent | state | program | counters | no.):",
                f"其中 {count} 格与在 Linux {kernel} 上的记录不同（发出 | 状态 | 程序 | 计数器 | 条目）：",
            ),
            "bold red",
        )
        for each in changed:
            self.line(f"{each.way} + {each.segment}", "bold")
            self.line(f"  - {each.was}")
            self.line(f"  + {each.now}")
