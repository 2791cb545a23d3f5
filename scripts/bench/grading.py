"""A class marked, beside what a teacher would run over the same captures, and by the workers of a cluster."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.bench.measure import LAB, ROOT, USUAL, in_turn, often
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
    inputs, size = bench.inputs.folder, max(_SMALLEST, min(_LARGEST, bench.inputs.packets // 100))
    folder = inputs / f"class-{size}"
    if not folder.exists():
        command = [sys.executable, "-m", "scripts.classroom", str(folder), str(size)]
        subprocess.run(command, cwd=ROOT, env=USUAL, check=True)
    fields = " ".join(f"-e {field}" for field in _FIELDS)
    theirs = ("sh", "-c", _EACH.format(fields), "sh", str(folder), os.devnull)
    grade, runs = (*LAB, "grade", str(folder)), min(bench.runs, 3)
    pair = in_turn(grade, theirs, inputs, runs)
    captures = len(list(folder.glob("*/capture.pcapng")))
    table.row(
        f"{size} submissions of tcp-open",
        f"{size / pair.ours.wall:.0f}", f"{pair.ours.cpu / size * 1000:.0f} ms",
        f"{captures / pair.theirs.wall:.1f}", f"{pair.theirs.cpu / captures * 1000:.0f} ms", f"{_GOAL}",
    )  # fmt: skip
    for count, goal in ((1, ""), (2, "twice one")):
        with _cluster(inputs.absolute(), count) as scheduler:
            often((*grade, "--scheduler", scheduler), inputs, 1)  # it is warm then, as a cluster is
            took = often((*grade, "--scheduler", scheduler), inputs, runs)
        table.row(f"by {count} of Dask's workers, one thread each", f"{size / took.wall:.0f}", "", "", "", goal)


@contextlib.contextmanager
def _cluster(folder: Path, count: int) -> Iterator[str]:
    """Runs a scheduler and so many workers, each a process, and yields its address."""
    told = folder / "scheduler.json"
    told.unlink(missing_ok=True)
    common = ("--no-dashboard", "--scheduler-file", str(told), "--host", "127.0.0.1")
    worker = ("worker", "--no-nanny", "--nthreads", "1", "--local-directory", str(folder))
    nodes = [
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{name}", *more, *common],
            cwd=folder, env=USUAL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for name, *more in [("scheduler", "--port", "0"), *[worker] * count]
    ]  # fmt: skip
    try:
        while not (told.exists() and told.stat().st_size) and nodes[0].poll() is None:
            time.sleep(0.05)
        yield json.loads(told.read_text("utf-8"))["address"]
    finally:
        for node in nodes:
            node.kill()
            node.wait()
