"""Every text a user reads exists once, as a pair: English and Chinese.

A `Text` is written where it is used and picked where it is shown. The language is one of `LANGUAGES`; it comes from
`--lang`, else from the locale, and is decided once, before anything is printed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal

from lab.tuples import NamedTuple

Lang = Literal["en", "zh"]
LANGUAGES: tuple[Lang, ...] = ("en", "zh")


class Text(NamedTuple):
    """One text in both languages. `str.format` works on both at once through `Text.format`."""

    en: str
    zh: str

    def format(self, *args: object, **values: object) -> Text:
        return Text(self.en.format(*args, **values), self.zh.format(*args, **values))

    def pick(self, lang: Lang) -> str:
        return self.zh if lang == "zh" else self.en


def counted(number: int, noun: str) -> str:
    """Returns a number with its English noun: 1 packet, 2 packets."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def packets(numbers: Sequence[int], more: bool = False) -> Text:
    """Returns packets by their numbers; `more` says that there are others."""
    word = "packets" if len(numbers) > 1 or more else "packet"
    left_out = " …" if more else ""
    listed = [str(number) for number in numbers]
    return Text(f"{word} {', '.join(listed)}{left_out}", f"第 {'、'.join(listed)}{left_out} 号包")


_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # categories of Unicode: control, format, unassigned and the like

ROLES = {"client": Text("client", "客户端"), "server": Text("server", "服务器")}


def choose(argv: Sequence[str], environ: Mapping[str, str]) -> Lang:
    """Returns the language that `--lang` in `argv` asks for, else the locale's variables in `environ`, else English."""
    for at, word in enumerate(argv):
        value = word[7:] if word.startswith("--lang=") else ""
        if word == "--lang" and at + 1 < len(argv):
            value = argv[at + 1]
        if value in LANGUAGES:
            return value
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environ.get(variable):
            return "zh" if environ[variable].lower().startswith("zh") else "en"
    return "en"


def address(host: str, port: int) -> str:
    """Returns an end as it is written in URLs: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def safe(text: str) -> str:
    """Returns the text with everything replaced that could steer a terminal or turn the direction of writing."""
    if text.isprintable():
        return text
    return "".join("·" if unicodedata.category(char) in _HIDDEN else char for char in text)
