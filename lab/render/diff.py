"""Two conversations side by side: what is the same stands in one line, and what differs says in what.

As wide as the terminal, within reason: two ladders with the states of both ends where there is room for them, two
columns of names in 80 columns, and in less one column of names, with the packets' numbers in A and B in front.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text as Styled

from lab.model import StepReport
from lab.protocols.notes import note
from lab.protocols.registry import TRANSPORT, protocol
from lab.render.words import LABELS, TITLES, brief, clip, console, pad, wrap
from lab.report import fate
from lab.report.comparison import Comparison, Fact, Match, Row, Side, compared
from lab.report.summary import in_short
from lab.text import ROLES, Lang, Text, address, safe

USUAL, NARROWEST, WIDEST = 80, 40, 120
_STATE, _STEP, _ARROW = 12, 9, 16  # columns, of an arrow at least
_MOST_ALIKE = 9  # rows without a difference, one after the other; of more, the first and the last few are shown
_KEPT = 3
_PHASE = 12  # columns of the names of steps
_FACT = 24  # columns of what a fact is called

FACTS = {each.name: each.title for each in compared()}
_VALUES = {
    "True": Text("yes", "是"), "False": Text("no", "否"), "fin": Text("FIN", "FIN"), "rst": Text("RST", "RST"),
    "client": ROLES["client"], "server": ROLES["server"],
    **{name: Text(said, said) for name, said in TITLES.items()},
}  # fmt: skip
REMARKS = {**LABELS, **fate.WORDS}
_MARKS = {"=": "dim", "≠": "yellow", "<": "cyan", ">": "magenta"}
_NOBODY = StepReport("", False, (), None)


def valued(value: Any) -> Text:
    """Returns what a fact about a conversation is, in words."""
    if isinstance(value, list):
        said = [valued(each) for each in value]
        return Text(", ".join(each.en for each in said) or "–", ", ".join(each.zh for each in said) or "–")
    return Text("–", "–") if value is None else _VALUES.get(str(value), Text(str(value), str(value)))


def draw(found: Comparison, out: TextIO, lang: Lang, width: int | None = None) -> None:
    """Draws the comparison for people, in `width` columns: those of the terminal, 80 where there is none."""
    on = console(out)
    if width is None:
        width = on.width if on.is_terminal else USUAL
    page = Page(on, lang, min(max(width, NARROWEST), WIDEST), max((0, *found.ours.packets, *found.theirs.packets)))
    page.heads(found)
    page.rows(found)
    page.facts(found)
    page.steps(found)
    page.summary(found)


class Page:
    """Draws on a console, in one language, in a number of columns; `last` is the highest number of a packet."""

    def __init__(self, on: Console, lang: Lang, width: int, last: int) -> None:
        self._console = on
        self._lang: Lang = lang
        self._width = width
        self._side = (width - 3) // 2 if width >= USUAL else 0  # columns of one of the two; 0 where there is one only
        self._number = max(4, len(str(last)))
        self._indent = self._number + 3
        self._ladders = self._side >= self._number + 2 * (_STATE + 1) + _STEP + _ARROW + 2
        self._value = (width - _FACT - 6) // 2 if self._side else width - 8

    def _print(self, *parts: tuple[str, str]) -> None:
        line = Styled()
        for text, style in parts:
            line.append(text, style)
        line.rstrip()
        self._console.print(line, soft_wrap=True)

    def _wrapped(self, text: Text, style: str = "", indent: str = "", first: str = "") -> None:
        for line in wrap(text.pick(self._lang), self._width - len(indent)):
            self._print(((first or indent) + line, style))
            first = ""

    def heads(self, found: Comparison) -> None:
        """Draws which two are compared."""
        sides = found.ours, found.theirs
        room = (self._side or self._width) - 3
        cells = []
        for letter, which in zip("AB", sides, strict=True):
            lines = [(line, "bold") for line in wrap(safe(PurePath(which.name).name), room)]
            lines += [(line, "dim") for line in wrap(ends(which), room)]
            if any(each.which.id for each in sides):
                lines.append((Text("conversation {0}", "连接 {0}").format(which.which.id).pick(self._lang), "dim"))
            cells.append([(pad("" if at else letter, 3) + line, style) for at, (line, style) in enumerate(lines)])
        if self._side:
            for left, right in itertools.zip_longest(*cells, fillvalue=("", "")):
                self._print((pad(left[0], self._side + 3), left[1]), right)
        else:
            for line in itertools.chain(*cells):
                self._print(line)
        self._print()

    def rows(self, found: Comparison) -> None:
        """Draws the rows, the two sides' in one line where they mean the same."""
        for same, run in _runs(found.matches):
            folded = len(run) - 2 * _KEPT if same and len(run) > _MOST_ALIKE else 0
            for match in run[:_KEPT] if folded else run:
                self._row(found, match)
            if folded:
                between = Text("… {0} rows the same …", "…… {0} 行相同 ……").format(folded)
                self._print((between.pick(self._lang).center(self._width), "dim"))
                for match in run[-_KEPT:]:
                    self._row(found, match)
        self._legend(found)

    def _row(self, found: Comparison, match: Match) -> None:
        ours = None if match.ours is None else found.ours.rows[match.ours]
        theirs = None if match.theirs is None else found.theirs.rows[match.theirs]
        mark = "<" if theirs is None else ">" if ours is None else "≠" if match.fields else "="
        numbers = [
            f"{'' if at is None else which.packets[at]:>{self._number}}"
            for which, at in ((found.ours, match.ours), (found.theirs, match.theirs))
        ]
        tone = _MARKS[mark] if mark != "=" else ""
        cells = [self._cell(row, tone, match.fields) for row in (ours, theirs)]
        told = [list(self._told(row, match, found)) if row and mark != "=" else [] for row in (ours, theirs)]
        if self._side:
            left, right = ([(number, tone), *cell] for number, cell in zip(numbers, cells, strict=True))
            self._print(*_filled(left, self._side), (f" {mark} ", _MARKS[mark]), *right)
            for lines in itertools.zip_longest(*told, fillvalue=""):
                below = [" " * self._indent + line for line in lines]
                self._print((pad(below[0], self._side + 3), "dim"), (below[1], "dim"))
            return
        self._print((mark, _MARKS[mark]), (" ".join(numbers), tone), *(cells[0] or cells[1]))
        if ours and theirs and (ours.name, ours.steps) != (theirs.name, theirs.steps):  # the line has room for one
            what = [f"{row.name}  {self._named(row.steps)}" for row in (ours, theirs)]
            told = [[what[0], *told[0]], [what[1], *told[1]]]
        for letter, below in zip("AB" if ours and theirs else "  ", told, strict=True):
            for line in below:
                self._print((f"{'':{self._indent}}{letter}  ", "bold"), (line, "dim"))
                letter = " "

    def _cell(self, row: Row | None, tone: str, fields: tuple[str, ...]) -> list[tuple[str, str]]:
        """Returns what stands behind a packet's number: a rung where there is room for one, else the name."""
        if row is None:
            return []
        forward = row.sender == "client"
        short = protocol(row.protocol).short
        what = f"{short} {row.name}" if short else row.name
        step = (clip(self._named(row.steps), _STEP), f"bold {tone}" if "steps" in fields else tone)
        room = (self._side or self._width - self._number - 2) - self._number - _STEP
        if not self._ladders:
            arrow = "─▶" if forward else "◀─"
            return [(f" {arrow} {pad(clip(what, room - 5), room - 4)}", tone), step]
        if row.protocol != TRANSPORT.name:
            return [(f" {_arrow(what, forward, room - 2)} ", tone), step]
        lost = "lost" in row.remarks
        states = [pad(clip(state or ("" if lost else "?"), _STATE), _STATE) for state in row.rung]
        styles = [f"bold {tone}" if "states" in fields else tone] * 2
        arrow = _arrow(what, forward, room - 2 * _STATE - 4, lost)
        return [(f" {states[0]}", styles[0]), (f" {arrow} ", tone), (f"{states[1]} ", styles[1]), step]

    def _named(self, steps: tuple[str, ...]) -> str:
        """Returns steps by name, those of one phase together: `close 2+3`."""
        names = [note(step).name.pick(self._lang).rsplit(" ", 1) for step in steps]
        phases = itertools.groupby(names, lambda each: each[0])
        return " ".join(f"{phase} {'+'.join(number for _, number in same)}" for phase, same in phases)

    def _told(self, row: Row, match: Match, found: Comparison) -> Iterator[str]:
        """Yields what differs in a row; of one that stands alone, what it says, or where the other says it."""
        room = self._side - self._indent if self._side else self._width - self._indent - 3
        if match.elsewhere is not None:
            letter, which = ("A", found.ours) if match.ours is None else ("B", found.theirs)
            there = Text("in {0} it is packet {1}", "{0} 中为第 {1} 号包").format(
                letter, which.packets[match.elsewhere]
            )
            yield from wrap(there.pick(self._lang), room)
            return
        fields = match.fields or ("remarks", "words")
        if "states" in fields:
            yield from wrap(self._states(row, match, found).pick(self._lang), room)
        if "remarks" in fields:
            said = [REMARKS.get(label, Text(label, label)).pick(self._lang) for label in row.remarks]
            yield from wrap(Text("; ", "；").pick(self._lang).join(said), room)
        if "words" in fields:
            yield from wrap(brief(row.words.pick(self._lang)), room)

    def _states(self, row: Row, match: Match, found: Comparison) -> Text:
        """Returns the states of a row, where they differ and are not drawn; or in what both differed before it came."""
        assert match.ours is not None
        assert match.theirs is not None
        if found.ours.rows[match.ours].rung != found.theirs.rows[match.theirs].rung:
            drawn = self._ladders and row.protocol == TRANSPORT.name
            both = Text("states {0} · {1}", "状态 {0} · {1}").format(*(state or "?" for state in row.rung))
            return Text("", "") if drawn else both
        role, at = ("server", 1) if row.sender == "client" else ("client", 0)
        before = row.states[at] or "?"
        return Text(f"the {role} before: {before}", f"{ROLES[role].zh}此前：{before}")

    def _legend(self, found: Comparison) -> None:
        """Draws what the marks mean, and how often each stands there; then what does not stand there."""
        ours, theirs = found.ours, found.theirs
        alone = [sum(each.theirs is None for each in found.matches), sum(each.ours is None for each in found.matches)]
        changed = sum(bool(each.fields) for each in found.matches)
        same = len(found.matches) - sum(alone) - changed
        self._print()
        self._wrapped(
            Text(
                "= the same, {0} · ≠ different, {1} · < only in A, {2} · > only in B, {3}",
                "= 相同 {0} · ≠ 有差异 {1} · < 仅 A 有 {2} · > 仅 B 有 {3}",
            ).format(same, changed, *alone),
            "dim",
        )
        if self._ladders:
            self._wrapped(
                Text(
                    "States: the sender's when it is sent, the receiver's when it has arrived.",
                    "状态：发送方为发出时的状态，接收方为送达后的状态。",
                ),
                "dim",
            )
        if ours.left_out or theirs.left_out:
            self._wrapped(
                Text(
                    "Not shown, being chance: bare ACKs that are no step, {0} in A, {1} in B.",
                    "未列出不构成任何步骤的纯 ACK（数量出于偶然）：A 有 {0} 个，B 有 {1} 个。",
                ).format(ours.left_out, theirs.left_out),
                "dim",
            )
        if ours.cut or theirs.cut:
            self._wrapped(
                Text(
                    "Compared are the first {0} rows; behind them A has {1} more, B {2}.",
                    "只比较前 {0} 行；其后 A 还有 {1} 行，B 还有 {2} 行。",
                ).format(max(len(ours.rows), len(theirs.rows)), ours.cut, theirs.cut),
                "dim",
            )

    def facts(self, found: Comparison) -> None:
        """Draws in what the conversations differ as a whole."""
        facts = [fact for fact in found.facts if not _of_one_only(fact)]
        if not facts:
            return
        self._print()
        title = Text("As a whole", "整体").pick(self._lang)
        if self._side:
            self._print((pad(title, _FACT + 2), "bold"), (pad("A", self._value + 2), "bold"), ("B", "bold"))
        else:
            self._print((title, "bold"))
        for fact in facts:
            name = f"  {FACTS[fact.name].pick(self._lang)}"
            values = [
                _at_underscores(brief(valued(value).pick(self._lang)), self._value)
                for value in (fact.ours, fact.theirs)
            ]
            if not self._side:
                self._print((name, ""))
                for letter, lines in zip("AB", values, strict=True):
                    for line in lines:
                        self._print((f"    {letter}  ", "bold"), (line, ""))
                        letter = " "
                continue
            for at, (left, right) in enumerate(itertools.zip_longest(*values, fillvalue="")):
                self._print((pad("" if at else name, _FACT + 2) + pad(left, self._value + 2) + right, ""))

    def steps(self, found: Comparison) -> None:
        """Draws which of the notes' steps go another way in the one than in the other, and how."""
        both = [(ours, theirs) for ours, theirs in found.steps if ours is not None and theirs is not None]
        if not both:
            return
        self._print()
        self._wrapped(Text("The notes' steps that go another way", "走法不同的讲义步骤"), "bold")
        for said, same in itertools.groupby(both, lambda pair: tuple(self._way(each) for each in pair)):
            name = self._named(tuple(ours.id for ours, _ in same))
            if cell_len(name) > _PHASE - 2:
                self._print((f"  {name}", "yellow"))
                name = ""
            for letter, way in zip("AB", said, strict=True):
                for line in wrap(way, self._width - _PHASE - 5):
                    self._print((pad(f"  {name}", _PHASE + 2), "yellow"), (pad(letter, 3), "bold"), (line, ""))
                    name = letter = ""

    def _way(self, step: StepReport) -> str:
        if step.differs is None:
            return Text("as in the notes", "与讲义一致").pick(self._lang)
        return step.differs.text.pick(self._lang)

    def summary(self, found: Comparison) -> None:
        """Draws what it comes to."""
        self._print()
        if found.alike:
            self._wrapped(_alike(found), "bold")
            return
        self._wrapped(Text("In short", "小结"), "bold")
        for said in in_short(found):
            self._wrapped(said, "", "    ", "  · ")


def _alike(found: Comparison) -> Text:
    if not found.same:
        return Text(
            "A and B say the same as far as they were compared: see above.",
            "在已比较的范围内，A 与 B 所说相同：见上文。",
        )
    if found.with_data:
        return Text(
            "A and B say the same. The bytes of their data were not compared.",
            "A 与 B 所说相同。数据的具体字节没有比较。",
        )
    return Text("A and B say the same.", "A 与 B 所说相同。")


def _arrow(what: str, forward: bool, width: int, lost: bool = False) -> str:
    what = clip(what, width - 4)
    line = "─" * (width - 4 - cell_len(what))
    return f"─ {what} {line}{'✗' if lost else '▶'}" if forward else f"{'✗' if lost else '◀'}{line} {what} ─"


def _filled(parts: list[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    return [*parts, (" " * (width - sum(cell_len(text) for text, _ in parts)), "")]


def _runs(matches: tuple[Match, ...]) -> Iterator[tuple[bool, list[Match]]]:
    """Yields rows that follow one another and are all the same, or all not."""
    for same, run in itertools.groupby(matches, lambda each: None not in each[:2] and not each.fields):
        yield same, list(run)


def _at_underscores(text: str, width: int) -> list[str]:
    """Breaks a text into lines, a long name such as a cipher suite's behind one of its underscores."""
    begun = []
    while cell_len(text) > width and " " not in text[:width] and "_" in text[:width]:
        cut = text.rindex("_", 0, width) + 1
        begun.append(text[:cut])
        text = text[cut:]
    return [*begun, *wrap(text, width)]


def _of_one_only(fact: Fact) -> bool:
    """Whether a yes or no is not asked of the other at all."""
    return None in fact[1:] and any(isinstance(value, bool) for value in fact[1:])


def ends(which: Side) -> str:
    client, server = which.which.ends[:2]
    return f"{address(*client)} → {address(*server)}"
