"""Two conversations side by side: what is the same stands in one line, and what differs says in what."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text as Styled

from lab.comparison import Comparison, Match, Row, Side
from lab.model import StepReport
from lab.protocols.notes import note
from lab.render.table import dump
from lab.render.words import LABELS, clip, console, pad, wrap
from lab.text import Lang, Text, safe

SCHEMA = "handshake-lab/diff/v1"
WIDTH = 80
_SIDE = 38  # columns of one of the two
_NUMBER, _STEP = 4, 9
_WHAT = _SIDE - _NUMBER - 3 - 1 - _STEP
_INDENT = _NUMBER + 3
_MOST_ALIKE = 9  # rows without a difference, one after the other; of more, the first and the last few are shown
_KEPT = 3
_PHASE = 12  # columns of the names of steps
_NAME = 24  # columns of what a fact is called

_FACTS = {
    "packets": Text("packets", "包数"),
    "opened": Text("opened", "已建立"),
    "closed": Text("closed by", "关闭方式"),
    "conn_state": Text("Zeek's conn_state", "Zeek 的 conn_state"),
    "retransmissions": Text("retransmissions", "重传次数"),
    "protocols": Text("protocols", "协议"),
    "tls_version": Text("TLS version", "TLS 版本"),
    "cipher_suite": Text("cipher suite", "加密套件"),
    "key_exchange": Text("key exchange", "密钥交换"),
    "group": Text("group", "密钥交换组"),
    "sni": Text("server name (SNI)", "服务器名（SNI）"),
    "alpn": Text("ALPN", "ALPN"),
    "resumed": Text("resumed", "会话恢复"),
    "client_certificate": Text("client certificate", "客户端证书"),
    "finished_verified": Text("Finished verified", "Finished 已验证"),
    "status": Text("HTTP status", "HTTP 状态码"),
    "subprotocol": Text("subprotocol", "子协议"),
    "extensions": Text("extensions", "扩展"),
    "close_code": Text("close code", "关闭码"),
    "final_states": Text("states at the end", "最终状态"),
    "round_trips": Text("round trips before data", "数据之前的往返次数"),
}
_YES, _NO, _NONE = Text("yes", "是"), Text("no", "否"), Text("–", "–")
_REMARKS = {**LABELS, "lost": Text("never arrived", "没有送达")}
_ALONE = {"<": "cyan", ">": "magenta"}


def draw(found: Comparison, out: TextIO, lang: Lang) -> None:
    """Draws the comparison for people."""
    page = Page(console(out), lang)
    page.heads(found)
    page.rows(found)
    page.facts(found)
    page.steps(found)
    page.verdict(found)


class Page:
    """Draws on a console, in one language, in 80 columns."""

    def __init__(self, on: Console, lang: Lang) -> None:
        self._console = on
        self._lang: Lang = lang

    def _print(self, *parts: tuple[str, str]) -> None:
        line = Styled()
        for text, style in parts:
            line.append(text, style)
        line.rstrip()
        self._console.print(line, soft_wrap=True)

    def _two(self, left: str, middle: str, right: str, style: str = "", mark: str = "") -> None:
        self._print((pad(left, _SIDE), style), (f" {middle} ", mark), (right, style))

    def heads(self, found: Comparison) -> None:
        """Draws which two are compared."""
        sides = found.ours, found.theirs
        names = [
            wrap(f"{letter}  {safe(PurePath(each.name).name)}", _SIDE) for letter, each in zip("AB", sides, strict=True)
        ]
        for left, right in itertools.zip_longest(*names, fillvalue=""):
            self._two(left, " ", right, "bold")
        self._two(_ends(sides[0]), " ", _ends(sides[1]), "dim")
        numbers = [each.which.id for each in sides]
        if any(numbers):
            called = [Text("conversation {0}", "连接 {0}").format(number).pick(self._lang) for number in numbers]
            self._two(called[0], " ", called[1], "dim")
        self._print()

    def rows(self, found: Comparison) -> None:
        """Draws the rows, the two sides' in one line where they mean the same."""
        for same, run in _runs(found.matches):
            shown = run
            if same and len(run) > _MOST_ALIKE:
                for match in run[:_KEPT]:
                    self._row(found, match)
                between = Text("… {0} rows the same …", "…… {0} 行相同 ……").format(len(run) - 2 * _KEPT)
                self._print((between.pick(self._lang).center(WIDTH), "dim"))
                shown = run[-_KEPT:]
            for match in shown:
                self._row(found, match)
        self._left_out(found)

    def _row(self, found: Comparison, match: Match) -> None:
        ours = None if match.ours is None else (found.ours.packets[match.ours], found.ours.rows[match.ours])
        theirs = None if match.theirs is None else (found.theirs.packets[match.theirs], found.theirs.rows[match.theirs])
        left, right = self._cell(ours), self._cell(theirs)
        mark = "<" if theirs is None else ">" if ours is None else "≠" if match.fields else "="
        style = _ALONE.get(mark, "yellow" if mark == "≠" else "dim")
        self._two(left, mark, right, style if mark != "=" else "", style)
        if mark != "=" or match.fields:
            self._below(ours and ours[1], theirs and theirs[1], match.fields)

    def _cell(self, place: tuple[int, Row] | None) -> str:
        if place is None:
            return ""
        number, row = place
        arrow = "─▶" if row.sender == "client" else "◀─"
        what = f"WS {row.name}" if row.protocol == "websocket" else row.name
        return f"{number:>{_NUMBER}} {arrow} {pad(clip(what, _WHAT - 1), _WHAT)}{clip(self._named(row.steps), _STEP)}"

    def _named(self, steps: tuple[str, ...]) -> str:
        """Returns steps by name, those of one phase together: `close 2+3`."""
        names = [note(step).name.pick(self._lang).rsplit(" ", 1) for step in steps]
        phases = itertools.groupby(names, lambda each: each[0])
        return " ".join(f"{phase} {'+'.join(number for _, number in same)}" for phase, same in phases)

    def _below(self, ours: Row | None, theirs: Row | None, fields: tuple[str, ...]) -> None:
        """Draws what differs in a row, each side's under its own; of a row that stands alone, what it says."""
        room = _SIDE - _INDENT
        cells = [list(self._told(row, fields or ("remarks", "words"), room)) if row else [] for row in (ours, theirs)]
        for left, right in itertools.zip_longest(*cells, fillvalue=""):
            self._two(" " * _INDENT + left, " ", " " * _INDENT + right if right else "", "dim")

    def _told(self, row: Row, fields: tuple[str, ...], room: int) -> Iterator[str]:
        if "states" in fields:
            yield from wrap(f"{row.states.client or '?'} · {row.states.server or '?'}", room)
        if "remarks" in fields:
            said = [_REMARKS.get(label, Text(label, label)).pick(self._lang) for label in row.remarks]
            yield from wrap(Text("; ", "；").pick(self._lang).join(said), room)
        if "words" in fields:
            yield from wrap(safe(row.words.pick(self._lang)), room)

    def _left_out(self, found: Comparison) -> None:
        ours, theirs = found.ours, found.theirs
        lines = []
        if ours.left_out or theirs.left_out:
            lines.append(
                Text(
                    "Not shown, as it is chance how many there are: bare ACKs that are no step, {0} in A, {1} in B.",
                    "未列出不构成任何步骤的纯 ACK（数量出于偶然）：A 有 {0} 个，B 有 {1} 个。",
                ).format(ours.left_out, theirs.left_out)
            )
        if ours.cut or theirs.cut:
            lines.append(
                Text(
                    "Compared are the first {0} rows; behind them A has {1} more, B {2}.",
                    "只比较前 {0} 行；其后 A 还有 {1} 行，B 还有 {2} 行。",
                ).format(max(len(ours.rows), len(theirs.rows)), ours.cut, theirs.cut)
            )
        for line in lines:
            for each in wrap(line.pick(self._lang), WIDTH):
                self._print((each, "dim"))

    def facts(self, found: Comparison) -> None:
        """Draws in what the conversations differ as a whole."""
        if not found.facts:
            return
        self._print()
        title = Text("As a whole", "整体").pick(self._lang)
        self._print((pad(title, _NAME + 2), "bold"), (pad("A", _VALUE + 2), "bold"), ("B", "bold"))
        for fact in found.facts:
            name = f"  {_FACTS[fact.name].pick(self._lang)}"
            values = [wrap(safe(self._value(value)), _VALUE) for value in (fact.ours, fact.theirs)]
            for at, (left, right) in enumerate(itertools.zip_longest(*values, fillvalue="")):
                self._print((pad("" if at else name, _NAME + 2), ""), (pad(left, _VALUE + 2), ""), (right, ""))

    def _value(self, value: Any) -> str:
        if value is None or value == []:
            return _NONE.pick(self._lang)
        if isinstance(value, bool):
            return (_YES if value else _NO).pick(self._lang)
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

    def steps(self, found: Comparison) -> None:
        """Draws which of the notes' steps go another way in the one than in the other, and how."""
        if not found.steps:
            return
        self._print()
        self._print((Text("The notes' steps that go another way", "走法不同的讲义步骤").pick(self._lang), "bold"))
        for said, same in itertools.groupby(found.steps, lambda pair: tuple(self._way(each) for each in pair)):
            name = self._named(tuple((ours or theirs or _NOBODY).id for ours, theirs in same))
            if cell_len(name) > _PHASE - 2:
                self._print((f"  {name}", "yellow"))
                name = ""
            for letter, way in zip("AB", said, strict=True):
                for line in wrap(way, WIDTH - _PHASE - 5):
                    self._print((pad(f"  {name}", _PHASE + 2), "yellow"), (pad(letter, 3), "bold"), (line, ""))
                    name = letter = ""

    def _way(self, step: StepReport | None) -> str:
        if step is None:
            return Text("there is no such step", "没有这一步").pick(self._lang)
        if step.differs is None:
            return Text("as in the notes", "与讲义一致").pick(self._lang)
        return step.differs.text.pick(self._lang)

    def verdict(self, found: Comparison) -> None:
        """Draws the sum of it."""
        self._print()
        if found.same:
            said = Text("A and B say the same.", "A 与 B 所说相同。")
        else:
            ours = sum(each.theirs is None for each in found.matches)
            theirs = sum(each.ours is None for each in found.matches)
            changed = sum(bool(each.fields) for each in found.matches)
            same = len(found.matches) - ours - theirs - changed
            said = Text(
                "The same (=): {0} rows. Different (≠): {1}. Only in A (<): {2}. Only in B (>): {3}.",
                "相同（=）：{0} 行。有差异（≠）：{1} 行。仅 A 有（<）：{2} 行。仅 B 有（>）：{3} 行。",
            ).format(same, changed, ours, theirs)
        for line in wrap(said.pick(self._lang), WIDTH):
            self._print((line, "bold"))


_NOBODY = StepReport("", False, (), None)
_VALUE = (WIDTH - _NAME - 6) // 2


def _runs(matches: tuple[Match, ...]) -> Iterator[tuple[bool, list[Match]]]:
    """Yields rows that follow one another and are all the same, or all not."""
    for same, run in itertools.groupby(matches, lambda each: None not in each[:2] and not each.fields):
        yield same, list(run)


def _ends(which: Side) -> str:
    client, server = which.which.ends
    return f"   {client.host}:{client.port} → {server.host}:{server.port}"


def as_json(found: Comparison, out: TextIO) -> None:
    """Writes the comparison for programs, as one document (schema handshake-lab/diff/v1)."""
    rows = [
        {"change": _change(each), "a": _entry(found.ours, each.ours), "b": _entry(found.theirs, each.theirs),
         "fields": list(each.fields)}
        for each in found.matches
    ]  # fmt: skip
    facts = [{"name": fact.name, "a": fact.ours, "b": fact.theirs} for fact in found.facts]
    steps = [
        {"id": (ours or theirs or _NOBODY).id, "a": _step(ours), "b": _step(theirs)} for ours, theirs in found.steps
    ]
    head = dump({"schema": SCHEMA, "same": found.same, "a": _side(found.ours), "b": _side(found.theirs)})
    out.write(head[:-1])
    for name, entries in (("rows", rows), ("facts", facts), ("steps", steps)):
        out.write(f',\n"{name}": [\n' + ",\n".join(map(dump, entries)) + "\n]")
    out.write("}\n")


def _change(match: Match) -> str:
    if match.theirs is None:
        return "a"
    return "b" if match.ours is None else "changed" if match.fields else "same"


def _side(which: Side) -> dict[str, Any]:
    return {"name": which.name, "conversation": which.which.id, "bare_acks": which.left_out, "not_compared": which.cut}


def _entry(which: Side, at: int | None) -> dict[str, Any] | None:
    if at is None:
        return None
    row = which.rows[at]
    return {
        "packet": which.packets[at], "from": row.sender, "protocol": row.protocol, "name": row.name,
        "steps": list(row.steps), "states": row.states._asdict(), "remarks": list(row.remarks),
        "words": row.words._asdict(),
    }  # fmt: skip


def _step(step: StepReport | None) -> dict[str, Any] | None:
    return None if step is None else {"seen": step.seen, "differs": step.differs.code if step.differs else None}
