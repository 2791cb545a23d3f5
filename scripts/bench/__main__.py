"""Speed, beside the tools that a user would pick, all in one run. Nothing is asserted: goals stand beside the figures.

python -m scripts.bench [--quick] [--only NAME ...] [--packets N] [--inputs FOLDER] [--markdown]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))  # run as a file, a script sees only its own folder

from scripts.bench import grading, growth, live, offline
from scripts.bench.inputs import Inputs
from scripts.bench.measure import ROOT, USUAL
from scripts.bench.offline import Bench

RUNS, QUICK = 5, 1
LENGTH = 30.0  # seconds of a live capture


def behind(bench: Bench) -> None:
    """How far a row is behind its packet."""
    length = LENGTH if bench.runs > QUICK else LENGTH / 3
    command = [sys.executable, "-m", "scripts.bench.behind", str(length)]
    said = subprocess.run(command, cwd=ROOT, env=USUAL, capture_output=True, check=True, text=True).stdout
    rows, *figures, at_end = map(float, said.split())
    columns = ("median of", "behind", "fate", "order", "ours", "ours, 99 %", "at the end")
    table = bench.table("A live capture: lab annotate -, how far a row is behind", columns, first=16)
    table.row(f"{rows:,.0f} rows", *(f"{figure * 1000:.1f} ms" for figure in figures), f"{at_end:,.0f} rows")


SECTIONS = {
    "csv": offline.csv,
    "conversations": offline.conversations,
    "json": offline.json,
    "ladder": offline.ladder,
    "verify": offline.verify,
    "grading": grading.grading,
    "growth": growth.growth,
    "live": live.live,
    "behind": behind,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description="Speed, beside other tools and beside its goals.")
    parser.add_argument("--quick", action="store_true", help="each once, not five times")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="only this; may be given again")
    parser.add_argument("--packets", type=int, default=100_000, help="of a capture of ordinary size")
    parser.add_argument("--inputs", type=Path, help="where captures are kept for another time")
    parser.add_argument("--markdown", action="store_true", help="tables as docs/performance.md has them")
    asked = parser.parse_args()
    runs = QUICK if asked.quick else RUNS
    times = "once each" if runs == 1 else f"medians of {runs}"
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors, {asked.packets:,} packets, {times}")
    if lacking := offline.missing(*offline.PACKAGES):
        print(
            f"not installed, so nothing is compared with it: {', '.join(lacking)} "
            f"(Debian: apt-get install {' '.join(offline.PACKAGES[tool] for tool in lacking)})"
        )
    with ExitStack() as stack:
        folder = asked.inputs or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lab-bench-")))
        folder.mkdir(parents=True, exist_ok=True)
        bench = Bench(Inputs(folder.absolute(), asked.packets), runs, asked.markdown)
        for name, section in SECTIONS.items():
            if not asked.only or name in asked.only:
                section(bench)


if __name__ == "__main__":
    main()
