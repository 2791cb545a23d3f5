"""What the site's pages have in common: their head, the bar above them, the words of both languages.

A page is written once for each language, in files beside each other: `index.html` and `index.zh.html`.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import PurePosixPath
from typing import NamedTuple

from lab.protocols.registry import PROTOCOLS
from lab.text import LANGUAGES, Lang, Text, safe

NAME = Text("Handshake lab", "握手实验室")
BAR = (
    ("index", Text("Captures", "抓包")),
    *((f"notes/{each.name}", Text(each.title, each.title)) for each in PROTOCOLS),
    ("explore", Text("What a kernel does", "内核怎么做")),
    ("drop", Text("Your own capture", "解读自己的抓包")),
)
POLICY: Mapping[str, str] = {
    "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self'", "base-uri": "'none'",
    "form-action": "'none'",
}  # fmt: skip


class Place(NamedTuple):
    """A page of the site: where it is, without what its language adds, and in which language."""

    name: str  # notes/tcp
    lang: Lang

    @property
    def file(self) -> str:
        return f"{self.name}{'' if self.lang == 'en' else f'.{self.lang}'}.html"

    def to(self, file: str) -> str:
        """Returns the way from here to a file of the site."""
        return "../" * (len(PurePosixPath(self.name).parts) - 1) + file

    def link(self, name: str) -> str:
        """Returns the way from here to another page, in the same language."""
        return self.to(Place(name, self.lang).file)


def text(said: str) -> str:
    """Returns a text as HTML shows it."""
    return escape(safe(said))


def head(place: Place, title: str, more: str = "", policy: Mapping[str, str] = POLICY, style: str = "site.css") -> str:
    """Returns a document up to its body. `more` is HTML."""
    rules = "; ".join(f"{name} {value}" for name, value in policy.items())
    return (
        f'<!DOCTYPE html>\n<html lang="{_code(place.lang)}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(rules)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{text(title)}</title>\n"
        f'<link rel="icon" href="{place.to("icon.svg")}">\n'
        f'<link rel="stylesheet" href="{place.to(style)}">\n{more}</head>\n'
    )


def page(place: Place, title: str, body: str, more: str = "", policy: Mapping[str, str] = POLICY) -> str:
    """Returns a whole page of the site, in its language; `body` and `more`, for the head, are HTML."""
    script = f'<script src="{place.to("site.js")}" defer></script>\n'
    here = NAME.pick(place.lang)
    return (
        head(place, f"{title} – {here}" if title != here else here, script + more, policy)
        + f'<body>\n<a class="skip" href="#main">{_SKIP.pick(place.lang)}</a>\n{_bar(place)}'
        + f'<main id="main">\n{body}</main>\n</body>\n</html>\n'
    )


_SKIP = Text("To the content", "跳到正文")
_BAR_NAME = Text("Site", "站点")


def _bar(place: Place) -> str:
    lang = place.lang
    current = {name: " aria-current=page" if name == place.name else "" for name, _ in BAR}
    links = "".join(f'<a href="{place.link(name)}"{current[name]}>{text(said.pick(lang))}</a>' for name, said in BAR)
    other: Lang = next(each for each in LANGUAGES if each != lang)
    code, file = _code(other), PurePosixPath(place._replace(lang=other).file).name
    switch = f'<a class="switch" href="{file}" lang="{code}" hreflang="{code}">{_OWN[other]}</a>'
    return f'<nav class="bar" aria-label="{_BAR_NAME.pick(lang)}"><b>{NAME.pick(lang)}</b>{links}{switch}</nav>\n'


_OWN: Mapping[Lang, str] = {"en": "English", "zh": "中文"}


def _code(lang: Lang) -> str:
    return "zh-CN" if lang == "zh" else "en"
