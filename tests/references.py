"""The reference captures in `captures/`: one of each scenario, beside the ladder it must render."""

from __future__ import annotations

import io
from pathlib import Path

from lab.recorded import Recording
from lab.show import Format, show

from lab.capture.reader import open_capture
from lab.text import Lang
from tests.places import REFERENCES

FOLDER = REFERENCES


def name_of(scenario: str) -> str:
    return scenario.replace("/", "-")


def drawn(capture: Path, lang: Lang) -> str:
    """Returns a capture's ladder, plain, in one language."""
    page = io.StringIO()
    with open_capture(str(capture)) as opened:
        recording = Recording(opened, keep_frames=True)
        show(recording, recording.rungs(), Format.LADDER, dict, page, lang)
    return page.getvalue()
