"""Whether four times as many packets take four times as long, on one processor and on two, and how much memory."""

from __future__ import annotations

import os

from scripts.bench.measure import often, warm
from scripts.bench.offline import Bench, annotate
from scripts.bench.table import megabytes


def growth(bench: Bench) -> None:
    """One capture of real kernels, its beginning, and the beginning of that."""
    columns = ["what", "packets", "a packet", "of CPU", "peak memory"]
    both = len(os.sched_getaffinity(0)) > 1
    if both:
        columns[3:3] = ["on one", "gain"]
    table = bench.table("Growth, real kernels: a packet's time on two processors and on one", columns, first=16)
    inputs = bench.inputs
    for form, share in (("csv", 1), ("conversations", 1), ("ladder", 4)):
        for packets in (inputs.packets // 4, inputs.packets, inputs.packets * 4):
            count = packets // share
            file = inputs.head(count) if count != inputs.packets * 4 else inputs.long
            warm(file)
            command = annotate(file, form)
            runs = min(bench.runs, 3)
            took = often(command, inputs.folder, runs, 2)
            cells = [form, f"{count:,}", f"{took.wall / count * 1e6:.1f} µs"]
            if both:
                one = often(command, inputs.folder, runs, 1)
                cells += [f"{one.wall / count * 1e6:.1f} µs", f"{one.wall / took.wall:.2f}"]
            table.row(*cells, f"{took.cpu / count * 1e6:.1f} µs", megabytes(took.peak))
