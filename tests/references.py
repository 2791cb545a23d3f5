"""The reference captures in `captures/`: one of each scenario, beside the ladder it must render."""

from __future__ import annotations

import io
from pathlib import Path

from lab.app.formats import write_ladder
from lab.bulk.rows import Gone
from lab.runs.recorded import open_run
from lab.text import Lang
from tests.places import REFERENCES

FOLDER = REFERENCES


def name_of(scenario: str) -> str:
    return scenario.replace("/", "-")


def drawn(capture: Path, lang: Lang) -> str:
    """Returns a capture's ladder, plain, in one language."""
    page = io.StringIO()
    with open_run(str(capture), words=True) as run:
        write_ladder(run, run.packets(), Gone(lines=False), page, lang)
    return page.getvalue()
