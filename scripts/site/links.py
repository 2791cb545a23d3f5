"""Every link of a site, and whether it leads somewhere: to a file of the site, and where it names a place, to that."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

_TAKING = {"href", "src", "data"}
_OWN = re.compile(r"p=\d+")  # what a capture's page makes of its fragment: a packet


class Read(NamedTuple):
    """What a page has: the links in it, the places in it that have a name, the packets that it shows."""

    links: list[str]
    names: set[str]
    packets: set[int]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.read = Read([], set(), set())
        self._in_data = False

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in _TAKING and value is not None:
                self.read.links.append(value)
            elif name == "id" and value:
                self.read.names.add(value)
        self._in_data = ("id", "data") in attrs

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.read.packets.update(map(int, re.findall(r'"number":(\d+),"seconds"', data)))


def read(text: str) -> Read:
    """Returns what a page's HTML has."""
    reader = _Reader()
    reader.feed(text)
    return reader.read


def dead(folder: Path) -> list[str]:
    """Returns what is wrong with the links of all pages in a folder, a line each."""
    pages = {file.relative_to(folder).as_posix(): read(file.read_text("utf-8")) for file in folder.rglob("*.html")}
    return sorted(
        {f"{name}: {link}: {why}" for name, page in pages.items() for link, why in _wrong(folder, name, page, pages)}
    )


def _wrong(folder: Path, name: str, page: Read, pages: dict[str, Read]) -> Iterator[tuple[str, str]]:
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or link.startswith("/"):
            yield link, "it leads out of the site"
            continue
        way = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path))) if parts.path else name
        if way.startswith("..") or not (folder / way).is_file():
            yield link, "there is no such file"
        elif parts.fragment and way in pages:
            there = pages[way]
            if _OWN.fullmatch(parts.fragment):
                if int(parts.fragment[2:]) not in there.packets:
                    yield link, "it has no such packet"
            elif unquote(parts.fragment) not in there.names:
                yield link, "there is no such place in it"
