"""`lab check`: a student's own look at what is to be handed in. Says nothing about what is right."""

from __future__ import annotations

import sys
from pathlib import Path

from lab.grade.assignment import load
from lab.grade.checking import examined
from lab.grade.reports.check import findings_told
from lab.text import Lang


def check(folder: Path, assignment: str, lang: Lang) -> int:
    """Says what was found in a student's folder; returns the exit status: 1 where something is to be mended."""
    found = examined(folder, load(assignment) if assignment else None)
    findings_told(found, sys.stdout, lang)
    return 1 if any(each.status == "fault" for each in found) else 0
