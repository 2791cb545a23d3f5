"""Where an ordinary user runs Wireshark: for root it takes no programs from a folder, and by version no Lua either."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.left_behind import NOBODY


@pytest.fixture
def theirs() -> Iterator[Path]:
    """A folder of whom `AS_USER` makes one: pytest's own are closed to everybody else."""
    folder = Path(tempfile.mkdtemp())
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)
