"""Where things are that tests look at."""

from __future__ import annotations

import os
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
REFERENCES = ROOT / "captures"  # a capture of each scenario, beside the ladder that it must render
GOLDEN = TESTS / "golden"  # what commands have been found to say well
CORPUS = TESTS / "corpus"  # captures that the lab once fell over
PACKAGES = os.pathsep.join((str(ROOT), *(each for each in sys.path if each.endswith("site-packages"))))  # a PYTHONPATH
