"""How the keys of a connection are derived, as a worked example: input, operation, output and source, line by line.

Other values that a protocol has an example of, such as WebSocket's accept value, are shown with them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TextIO

from rich.text import Text as Styled

from lab.engine.protocol import NoSecrets
from lab.model import ConversationReport
from lab.protocols.registry import UPPERS
from lab.render.words import columns, console, sections, wrap
from lab.text import Lang, Text

NARROWEST, WIDEST = 60, 100
_ROW = 24  # bytes of a value in a line
_MOST = 64  # bytes of a value that are shown
_TEXT = 16  # bytes, all printable: these are no key by chance
_MOST_SHOWN = 20  # connections


def worked_examples(conversations: Iterable[ConversationReport], out: TextIO, lang: Lang) -> None:
    """Prints for each conversation how its keys came about, and its accept value, or why that can't be told."""
    page = console(out)
    width = columns(page, NARROWEST, WIDEST)

    def line(text: str = "", style: str = "", indent: int = 0) -> None:
        for each in wrap(text, width - indent) or [""]:
            page.print(Styled(" " * indent + each, style), soft_wrap=True)

    shown = 0
    for number, example in ((which.id, example) for which in conversations for example in which.examples):
        shown += 1
        if shown > _MOST_SHOWN:
            line(Text("There are more connections, not shown.", "还有更多连接，不再显示。").pick(lang), "dim")
            return
        line()
        line(example.title.format(number).pick(lang), "bold")
        if example.locked is not None:
            line(example.locked.pick(lang), "yellow")
        for at, step in enumerate(example.lines, 1):
            line()
            line(f"{at}. {step.what.pick(lang)}")
            for name, value in step.inputs:
                _value(line, name, value)
            line(f"{step.operation}   [{sections(step.source).pick(lang)}]", "cyan", 3)
            _value(line, "= " + step.output_name, step.output, "bold")
    if not shown:
        titles = [upper.title for upper in UPPERS if upper.secrets is not NoSecrets]
        en, zh = " or ".join(titles), " 或 ".join(titles)
        line(Text(f"There is no {en} in this capture.", f"此抓包中没有 {zh}。").pick(lang), "yellow")


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
