"""`lab notes --coverage`: what of the state diagram real kernels have walked, for people or for programs."""

from __future__ import annotations

from pathlib import Path

from lab.render.coverage import coverage
from lab.render.trace import dump
from lab.report.coverage import as_json
from lab.system import files
from lab.text import Lang


def cover(json: bool, out: Path | None, lang: Lang) -> None:
    """Writes it. Raises MachineError where `out` can't be written."""
    with files.rendered(out) as stream:
        if json:
            stream.write(dump(as_json()) + "\n")
        else:
            coverage(stream, lang)
