"""The grid as one HTML file, light and dark, without scripts: a cell's account shows when it is clicked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby

from lab.protocols.exploration import STIMULI, WAYS, Cell, Change, explained, explained_by, grid
from lab.render.cells import Played, counted, heard, kind, numbered, rule, script, segments, verdict
from lab.text import Lang, Text

SHORT = {
    "CLOSED": "CL", "LISTEN": "LI", "SYN-SENT": "SS", "SYN-RECEIVED": "SR", "ESTABLISHED": "ES", "FIN-WAIT-1": "F1",
    "FIN-WAIT-2": "F2", "CLOSE-WAIT": "CW", "CLOSING": "CG", "LAST-ACK": "LA", "TIME-WAIT": "TW",
}  # fmt: skip
REPLIES = {"ACK": "A", "SYN-ACK": "S", "RST": "R", "RST-ACK": "R"}
_TITLE = Text("What a real kernel does with segment X in state Y", "真实内核在状态 Y 收到报文段 X 会怎么做")
KINDS = (
    ("quiet", Text("no answer, stays", "无应答，状态不变")),
    ("ack", Text("answered by ACK, stays", "以 ACK 应答，状态不变")),
    ("on", Text("goes on", "进入下一状态")),
    ("rst", Text("answered by RST, stays", "以 RST 应答，状态不变")),
    ("end", Text("the connection is gone", "连接消失")),
)


def page(found: Played, changed: Sequence[Change], lang: Lang) -> str:
    """Returns the whole file."""
    return "".join(_Page(found, changed, lang).parts())


class _Page:
    """Writes the file's parts in one language."""

    def __init__(self, found: Played, changed: Sequence[Change], lang: Lang) -> None:
        self._found, self._changed, self._lang = found, changed, lang
        names = {each.segment for each in found}
        self._columns = [each for each in STIMULI if each.name in names]

    def parts(self) -> Iterator[str]:
        title = self._said(
            "What a real kernel does with segment X in state Y", "真实内核在状态 Y 收到报文段 X 会怎么做"
        )
        yield f'<!DOCTYPE html>\n<html lang="{"zh-CN" if self._lang == "zh" else "en"}">\n<head><meta charset="utf-8">'
        yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
        yield f"<title>{title}</title>\n<style>\n{_style()}</style></head>\n<body>\n<h1>{title}</h1>\n"
        yield f'<p class="soft">{self._pick(self._found.title)} · {self._counts()}</p>\n'
        yield self._key()
        yield from self._grid()
        for cell in self._found:
            yield self._cell(cell)
        yield from self._differences()
        yield self._compared()
        yield "</body>\n</html>\n"

    def _said(self, en: str, zh: str) -> str:
        return escape(Text(en, zh).pick(self._lang))

    def _pick(self, text: Text) -> str:
        return escape(text.pick(self._lang))

    def _counts(self) -> str:
        found = self._found
        agree = sum(not each.differs for each in found)
        unknown = sum(verdict(each) == "unexplained" for each in found)
        known = len(found) - agree - unknown
        return self._said(
            f"{len(found)} cells: {agree} as RFC 9293 says, {known} otherwise for a known reason, {unknown} for none",
            f"共 {len(found)} 格：{agree} 格与 RFC 9293 一致，{known} 格不同但原因已知，{unknown} 格原因未知",
        )

    def _key(self) -> str:
        colours = "".join(f'<span><em class="{name}"></em>{self._pick(text)}</span>' for name, text in KINDS)
        letters = self._said(
            "A ACK · S SYN-ACK · R RST · below it the next state", "A：ACK · S：SYN+ACK · R：RST · 下方是之后的状态"
        )
        mark = self._said("differs from RFC 9293", "与 RFC 9293 不同")
        short = " · ".join(f"{short} {state}" for state, short in SHORT.items())
        return (
            f'<div class="key">{colours}<span><u>◥</u> {mark}</span><span>{letters}</span></div>\n'
            f'<p class="soft short">{short}</p>\n'
        )

    def _grid(self) -> Iterator[str]:
        yield '<table class="grid"><thead><tr><th class="way"></th>'
        for each in self._columns:
            yield f'<th class="name" title="{self._pick(each.text)}"><span>{escape(each.name)}</span></th>'
        yield "</tr></thead>\n<tbody>"
        ways, before = {each.name: each for each in WAYS}, ""
        for name, cells in groupby(self._found, key=lambda cell: cell.way):
            way = ways[name]
            first = ' class="first"' if way.state != before else ""
            before = way.state
            told = f"{way.text.pick(self._lang)}: {script(way)}"
            yield f'<tr{first}><th class="way" title="{escape(told)}">{escape(name)}</th>'
            yield "".join(map(self._square, cells))
            yield "</tr>\n"
        yield "</tbody></table>\n"

    def _square(self, cell: Cell) -> str:
        reply = REPLIES.get(cell.sent[0].name, cell.sent[0].name[:1]) if cell.sent else "·"
        to = f"<i>→{SHORT.get(cell.after, cell.after)}</i>" if cell.after != cell.before else ""
        mark = {"agree": "", "explained": "<s></s>", "unexplained": '<s class="bad"></s>'}[verdict(cell)]
        title = escape(f"{cell.way} + {cell.segment}: {segments(cell.sent).pick(self._lang)}; {cell.after}")
        link = f'<a href="#{_anchor(cell)}" title="{title}"><b>{escape(reply)}</b>{to}{mark}</a>'
        return f'<td class="{kind(cell)}{" moved" if to else ""}">{link}</td>'

    def _cell(self, cell: Cell) -> str:
        rules, why, reason = cell.rules, explained(cell), explained_by(cell)
        arrived = segments([cell.arrived])
        rows = [
            self._row(title, kernel, said, aspect in cell.differs)
            for aspect, title, kernel, said in (
                ("sent", Text("sends", "发出"), segments(cell.sent), segments(rules.sent)),
                ("state", Text("state", "状态"), Text(*[cell.after] * 2), Text(*[rules.state] * 2)),
                ("heard", Text("program hears", "程序得知"), heard(cell.heard), heard(rules.heard)),
            )
        ]
        moved = ", ".join(counted(cell))
        told = [f"<p>{self._said('counters: ', '计数器：')}{escape(moved)}</p>"] if moved else []
        if reason is not None:
            told.append(f"<p>{self._pick(reason)}</p>")
        told += [f'<p class="soft">{self._pick(rule(branch))}</p>' for branch in rules.branches]
        if why is not None:
            told.append(f"<p>≈ {why.number}. {self._pick(why.text)}</p>")
        shut = self._said("close", "关闭")
        head = f"<tr><th></th><th>{self._said('a real kernel', '真实内核')}</th><th>RFC 9293</th></tr>"
        return (
            f'<section class="cell" id="{_anchor(cell)}"><a class="shut" href="#" title="{shut}">✕</a>'
            f"<h2>{escape(cell.way)} + {escape(cell.segment)}</h2>"
            f"<p>{self._said('arrives: ', '到达：')}{self._pick(arrived)}</p>"
            f"<table>{head}{''.join(rows)}</table>{''.join(told)}</section>\n"
        )

    def _row(self, title: Text, kernel: Text, rules: Text, differs: bool) -> str:
        mark = ' class="differs"' if differs else ""
        cells = "".join(f"<td>{self._pick(each)}</td>" for each in (kernel, rules))
        return f"<tr{mark}><th>{self._pick(title)}</th>{cells}</tr>"

    def _differences(self) -> Iterator[str]:
        listed = numbered(self._found)
        if listed:
            yield f"<h2>{self._said('Where this kernel does otherwise, and why', '内核在哪里不同，为什么')}</h2>\n<ol>"
            for why, count in listed:
                yield f'<li value="{why.number}">{self._pick(why.text)} <span class="soft">({count})</span></li>\n'
            yield "</ol>\n"
        for cell in self._found:
            if verdict(cell) == "unexplained":
                yield f'<p class="bad">≠ {escape(cell.way)} + {escape(cell.segment)}</p>\n'

    def _compared(self) -> str:
        kernel, count = grid().kernel, len(self._changed)
        if not count:
            same = self._said(f"All as recorded on Linux {kernel}.", f"与在 Linux {kernel} 上的记录完全相同。")
            return f'<p class="soft">{same}</p>\n'
        rows = "".join(
            f"<li>{escape(each.way)} + {escape(each.segment)}<br>− {escape(str(each.was))}<br>+ {escape(each.now)}</li>"
            for each in self._changed
        )
        said = self._said(f"Not as recorded on Linux {kernel}: {count}", f"与在 Linux {kernel} 上的记录不同：{count}")
        return f'<p class="bad">{said}</p><ul>{rows}</ul>\n'


def _style() -> str:
    return (files("lab.render") / "explored.css").read_text(encoding="utf-8")


def _anchor(cell: Cell) -> str:
    return "".join(char if char.isalnum() else "-" for char in f"{cell.way}+{cell.segment}")
