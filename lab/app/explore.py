"""`lab explore`: what a real kernel does with a segment in a state, beside what the rules say."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TextIO

from lab.explore.anywhere import explored_on
from lab.explore.told import Kernel
from lab.protocols.exploration import Cell, Options, changes, stimulus, ways
from lab.render.cells import ALL, Played
from lab.render.explored import in_full, table
from lab.render.trace import dump
from lab.report.exploration import as_json
from lab.system import files
from lab.text import Lang


class As(StrEnum):
    """How a grid is written."""

    TEXT = "text"
    HTML = "html"
    JSON = "json"


def explore(
    state: str | None, segment: str | None, options: Options, form: As, testbed: str, out: Path | None, lang: Lang
) -> None:
    """Plays one cell, all of a state, or all there are, and writes them. Raises UsageError and MachineError."""
    led = ways(state) if state is not None else []
    tried = stimulus(segment) if segment is not None else None
    asked = [
        (way, each)
        for way, each in ALL
        if (not led or way in (led if tried is None else led[:1])) and (tried is None or each == tried)
    ]
    if out:
        files.require_writable(out)
    told = list(explored_on(testbed, asked, options))
    (kernel,) = (each.release for each in told if isinstance(each, Kernel))
    found = Played(kernel, options, [each for each in told if isinstance(each, Cell)])
    with files.rendered(out) as stream:
        if form is As.TEXT and tried is not None:
            in_full(found, led[0], tried, led[1:], stream, lang)
        else:
            _write(found, form, stream, lang)
        stream.flush()


def _write(found: Played, form: As, stream: TextIO, lang: Lang) -> None:
    changed = changes(found, found.options)
    if form is As.JSON:
        stream.write(dump(as_json(found.kernel, found.options, found, changed)) + "\n")
    elif form is As.HTML:
        from lab.render.explored_html import page

        stream.write(page(found, changed, lang))
    else:
        table(found, changed, stream, lang)
