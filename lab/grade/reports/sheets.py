"""The oral sheets of a class as Markdown: three questions for each student, and what to expect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lab.text import Lang, Text, safe

_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+.!|~&-])")


def oral_sheets(marked: Mapping[str, Any], lang: Lang) -> str:
    """Returns the sheets, in the order of the class; what students have written is no markup in them."""
    lines = [f"# {Text('Questions to be asked face to face', '面谈问题').pick(lang)}", ""]
    expected = Text("expect", "参考答案").pick(lang)
    for name, questions in marked["oral"].items():
        lines += [f"## {plain(name)}", ""]
        for at, each in enumerate(questions, 1):
            lines += [f"{at}. {plain(each['ask'][lang])}", "", f"   *{expected}:* {plain(each['expect'][lang])}", ""]
    return "\n".join(lines)


def plain(said: str) -> str:
    """Returns a text that Markdown, and HTML in it, shows as it stands."""
    return _MARKUP.sub(r"\\\1", safe(said))
