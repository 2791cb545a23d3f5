"""Puts the site together: which files there are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from lab.page import html as one_file
from lab.protocols.registry import PROTOCOLS
from lab.text import LANGUAGES
from scripts.site import drop, gallery, grid
from scripts.site.lecture import diagram_style, lecture
from scripts.site.shell import Place

_ROOT = Path(__file__).parent.parent.parent
_STATIC = Path(__file__).parent / "static"


def build(to: Path, pyodide: Path | None = None, dropping: bool = True) -> int:
    """Writes the site into a folder; returns how many pages it has. Raises LabError."""
    given = drop.files(pyodide) if dropping else {}
    shown = gallery.captures()
    pages = 0
    for name, text in _written(shown, drop.fetched(given)):
        _write(to / name, text)
        pages += name.endswith(".html")
    for each in shown:
        shutil.copyfile(gallery.CAPTURES / f"{each.stem}.pcapng", to / "captures" / f"{each.stem}.pcapng")
    for name, source in given.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, Path):
            shutil.copyfile(source, to / name)
        else:
            (to / name).write_bytes(source)
    return pages


def _written(shown: list[gallery.Shown], dropping: int) -> Iterator[tuple[str, str]]:
    """Yields all that is text, by its name; `dropping` are the bytes that annotating one's own takes, 0 without."""
    for lang in LANGUAGES:
        yield Place("index", lang).file, gallery.index(shown, lang, dropping > 0)
        yield Place("explore", lang).file, grid.explored(lang)
        for about in PROTOCOLS:
            yield Place(f"notes/{about.name}", lang).file, lecture(about, shown, lang)
        yield Place("drop", lang).file, drop.drop_page(lang, dropping)
    for at, each in enumerate(shown):
        before, after = shown[at - 1] if at else None, shown[at + 1] if at + 1 < len(shown) else None
        yield f"{each.place}.html", gallery.capture_page(each, before, after)
    yield from gallery.scripts().items()
    yield "grid.css", grid.style()
    yield "diagram.css", diagram_style()
    for name in ("site.css", "site.js", "beside.css", "icon.svg"):
        yield name, (_STATIC / name).read_text("utf-8")
    yield "licences/handshake-lab.txt", (_ROOT / "LICENSE").read_text("utf-8")
    yield "licences/lit-html.txt", one_file.static("vendor/lit-html.LICENSE")


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
