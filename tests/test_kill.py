"""`scripts/kill.py`: the lab is killed at random moments, and nothing of it may be left. Here a few times."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.places import PACKAGES, ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.mark.slow
def test_killed_at_random_moments_it_leaves_nothing(namespaces: None) -> None:
    command = [sys.executable, "scripts/kill.py", "16"]
    done = subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": PACKAGES, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, capture_output=True,
        encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "16 kills, 0 left something"
    assert done.stdout.count("✓") == 16
