"""Commands and what they take: time, processors' time, memory. Machines differ, ratios hardly do."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

LAB = (sys.executable, "-m", "lab")
ROOT = Path(__file__).parent.parent.parent
# As a user has it: a second start finds compiled files. LAB_DEBUG and the like are not a user's.
USUAL = {
    name: value
    for name, value in os.environ.items()
    if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("LAB_")
} | {"PYTHONPATH": str(ROOT)}


class Spent(NamedTuple):
    """What a command took, all its processes together; `peak` is that of the largest of them."""

    wall: float  # seconds
    cpu: float  # seconds, user's and system's
    peak: int  # bytes


class Pair(NamedTuple):
    """Two commands, and the medians of the ratios of each pair of runs."""

    ours: Spent
    theirs: Spent
    wall: float
    cpu: float


def spent(command: Sequence[str], folder: Path, cpus: int | None = None) -> Spent:
    """Runs a command to its end, on that many processors. Raises CalledProcessError where it fails."""

    def confine() -> None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cpus])

    begun = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=USUAL, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=confine if cpus is not None else None,
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    return Spent(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10)


def often(command: Sequence[str], folder: Path, runs: int, cpus: int | None = None) -> Spent:
    """Runs a command so often and returns the median of each figure."""
    return median([spent(command, folder, cpus) for _ in range(runs)])


def warm(file: Path) -> None:
    """Has a file in the machine's cache."""
    with file.open("rb") as stream:
        while stream.read(1 << 20):
            pass


def in_turn(ours: Sequence[str], theirs: Sequence[str], folder: Path, runs: int) -> Pair:
    """Runs both once to warm the caches, then A B A B, so that both have the same neighbours."""
    for command in (ours, theirs):
        spent(command, folder)
    pairs = [(spent(ours, folder), spent(theirs, folder)) for _ in range(runs)]
    mine, others = zip(*pairs, strict=True)
    wall = statistics.median(a.wall / b.wall for a, b in pairs)
    return Pair(median(mine), median(others), wall, statistics.median(a.cpu / max(b.cpu, 1e-3) for a, b in pairs))


def median(all_of: Sequence[Spent]) -> Spent:
    wall, cpu, peak = (statistics.median(side) for side in zip(*all_of, strict=True))
    return Spent(wall, cpu, int(peak))
