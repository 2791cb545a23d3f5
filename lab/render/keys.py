"""How the keys of a connection are derived, as a worked example: input, operation, output and source, line by line.

A WebSocket's accept value comes about in the same way, and is shown with them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TextIO

from rich.text import Text as Styled

from lab.engine.layers import layers_of
from lab.protocols.tcp.conversations import Conversation
from lab.render.words import console, wrap
from lab.text import Lang, Text

WIDTH = 80
_ROW = 24  # bytes of a value in a line
_MOST = 64  # bytes of a value that are shown
_TEXT = 16  # bytes, all printable: these are no key by chance
_MOST_SHOWN = 20  # connections


_TITLES = {
    "tls": Text("The keys of conversation {0}", "连接 {0} 的密钥"),
    "websocket": Text("The accept value of conversation {0}", "连接 {0} 的 accept 值"),
}


def worked_examples(conversations: Iterable[Conversation], out: TextIO, lang: Lang) -> None:
    """Prints for each conversation how its keys came about, and its accept value, or why that can't be told."""
    page = console(out)

    def line(text: str = "", style: str = "", indent: int = 0) -> None:
        for each in wrap(text, WIDTH - indent) or [""]:
            page.print(Styled(" " * indent + each, style), soft_wrap=True)

    shown = 0
    for number, layer in ((which.id, layer) for which in conversations for layer in layers_of(which)):
        shown += 1
        if shown > _MOST_SHOWN:
            line(Text("There are more connections, not shown.", "还有更多连接，不再显示。").pick(lang), "dim")
            return
        session: Any = layer.session
        line()
        line(_TITLES[layer.name].format(number).pick(lang), "bold")
        locked = getattr(session, "locked", None)
        if locked is not None:
            line(locked.text.pick(lang), "yellow")
        for at, step in enumerate(session.lines, 1):
            line()
            line(f"{at}. {step.what.pick(lang)}")
            for name, value in step.inputs:
                _value(line, name, value)
            line(f"{step.operation}   [{step.source}]", "cyan", 3)
            _value(line, "= " + step.output_name, step.output, "bold")
    if not shown:
        line(Text("There is no TLS in this capture.", "此抓包中没有 TLS。").pick(lang), "yellow")


def _value(line: Any, name: str, value: bytes, style: str = "dim") -> None:
    """Prints a value in hex, so much of it as teaches something; a text that travels as such is shown as one."""
    size = f" ({len(value)})" if len(value) != 1 else ""
    line(f"{name}{size}", style, 3)
    if len(value) >= _TEXT and all(0x20 < byte < 0x7F for byte in value):
        line(f'"{value.decode()}"', style, 6)
        return
    for at in range(0, min(len(value), _MOST), _ROW):
        more = " …" if at + _ROW >= _MOST < len(value) else ""
        line(value[at : min(at + _ROW, _MOST)].hex(" ") + more, style, 6)
