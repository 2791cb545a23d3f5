"""How the keys of a connection are derived, as a worked example: input, operation, output and source, line by line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TextIO

from rich.text import Text as Styled

from lab.dissect.conversations import Conversation
from lab.render.words import console, wrap
from lab.text import Lang, Text

WIDTH = 80
_ROW = 24  # bytes of a value in a line
_MOST = 64  # bytes of a value that are shown
_MOST_SHOWN = 20  # conversations


def worked_examples(conversations: Iterable[Conversation], out: TextIO, lang: Lang) -> None:
    """Prints for each conversation with TLS how its keys came about, or why that can't be told."""
    page = console(out)

    def line(text: str = "", style: str = "", indent: int = 0) -> None:
        for each in wrap(text, WIDTH - indent) or [""]:
            page.print(Styled(" " * indent + each, style), soft_wrap=True)

    shown = 0
    for which in conversations:
        if which.above is None or which.above.name != "tls":
            continue
        shown += 1
        if shown > _MOST_SHOWN:
            line(Text("There are more connections, not shown.", "还有更多连接，不再显示。").pick(lang), "dim")
            return
        session: Any = which.above.session
        line()
        title = Text(f"The keys of conversation {which.id}", f"连接 {which.id} 的密钥")
        line(title.pick(lang), "bold")
        if session.locked is not None:
            line(session.locked.text.pick(lang), "yellow")
        for number, step in enumerate(session.lines, 1):
            line()
            line(f"{number}. {step.what.pick(lang)}")
            for name, value in step.inputs:
                _value(line, name, value)
            line(f"{step.operation}   [{step.source}]", "cyan", 3)
            _value(line, "= " + step.output_name, step.output, "bold")
    if not shown:
        line(Text("There is no TLS in this capture.", "此抓包中没有 TLS。").pick(lang), "yellow")


def _value(line: Any, name: str, value: bytes, style: str = "dim") -> None:
    """Prints a value in hex, so much of it as teaches something."""
    size = f" ({len(value)})" if len(value) != 1 else ""
    line(f"{name}{size}", style, 3)
    for at in range(0, min(len(value), _MOST), _ROW):
        more = " …" if at + _ROW >= _MOST < len(value) else ""
        line(value[at : min(at + _ROW, _MOST)].hex(" ") + more, style, 6)
