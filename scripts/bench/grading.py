"""A class marked, beside what a teacher would run over the same captures."""

from __future__ import annotations

import os
import subprocess
import sys

from scripts.bench.measure import LAB, ROOT, USUAL, in_turn
from scripts.bench.offline import Bench, missing

_LARGEST, _SMALLEST = 100, 10  # submissions; as many as a hundredth of the packets that are asked for
_GOAL = 20  # submissions a second, on two processors
_EACH = 'for capture in "$1"/*/capture.pcapng; do tshark -n -r "$capture" -T fields {} > "$2"; done'
_FIELDS = ("frame.number", "tcp.flags", "tcp.seq", "tcp.ack", "tcp.window_size", "tcp.analysis.flags")


def grading(bench: Bench) -> None:
    """Submissions a second: their answers marked, their captures annotated and looked into for what was edited."""
    if missing("tshark"):
        return
    columns = ("what", "lab, a second", "of CPU, each", "the other, a second", "of CPU, each ", "goal")
    table = bench.table("A class: lab grade, beside a loop of tshark -T fields over its captures", columns)
    size = max(_SMALLEST, min(_LARGEST, bench.inputs.packets // 100))
    folder = bench.inputs.folder / f"class-{size}"
    if not folder.exists():
        command = [sys.executable, "-m", "scripts.classroom", str(folder), str(size)]
        subprocess.run(command, cwd=ROOT, env=USUAL, check=True)
    fields = " ".join(f"-e {field}" for field in _FIELDS)
    theirs = ("sh", "-c", _EACH.format(fields), "sh", str(folder), os.devnull)
    pair = in_turn((*LAB, "grade", str(folder)), theirs, bench.inputs.folder, min(bench.runs, 3))
    captures = len(list(folder.glob("*/capture.pcapng")))
    table.row(
        f"{size} submissions of tcp-open",
        f"{size / pair.ours.wall:.0f}", f"{pair.ours.cpu / size * 1000:.0f} ms",
        f"{captures / pair.theirs.wall:.1f}", f"{pair.theirs.cpu / captures * 1000:.0f} ms", f"{_GOAL}",
    )  # fmt: skip
