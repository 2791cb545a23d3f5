"""Where things are that tests look at."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
REFERENCES = ROOT / "captures"  # a capture of each scenario, beside the ladder that it must render
GOLDEN = TESTS / "golden"  # what commands have been found to say well
CORPUS = TESTS / "corpus"  # captures that the lab once fell over
