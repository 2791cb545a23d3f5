"""What a student waits for: a lab from the command to the prompt, a packet that is asked about, the help."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from scripts.bench.measure import LAB, ROOT, USUAL, often, spent
from scripts.bench.offline import Bench
from scripts.bench.table import seconds

_SCENARIOS = ("tcp/connection", "tls/1.3", "websocket/connection")


def live(bench: Bench) -> None:
    table = bench.table("Live", ("what", "takes", "goal"))
    folder = bench.inputs.folder
    for name, goal in (("tcp", 0.45), ("tls", 0.6), ("ws", 0.6)):
        command = (*LAB, name, "-o", f"{name}.pcapng")
        spent(command, folder)  # compiled files are there from now on
        took = often(command, folder, bench.runs * 3)
        table.row(f"lab {name}, command to prompt", seconds(took.wall), seconds(goal))
    table.row("a packet of it, from its arrival to its end", f"{_packet(bench.runs):.2f} ms", "1.50 ms")
    pairs = [
        (spent((*LAB, "--help"), folder), spent((sys.executable, "-c", "pass"), folder)) for _ in range(bench.runs * 3)
    ]
    extra = statistics.median(ours.wall - base.wall for ours, base in pairs)
    cpu = statistics.median(ours.cpu - base.cpu for ours, base in pairs)
    table.row("lab --help, beyond Python's own start", seconds(extra), seconds(0.12))
    table.row("the same, processors' time", seconds(cpu), "")


def _packet(runs: int) -> float:
    """Returns the median of the milliseconds between a frame's arrival at the wire and the word that it has settled.

    Within these both kernels are asked twice, and both hosts have done what they had to. In a process of its own:
    what it imports would be in the memory of all that is measured afterwards.
    """
    command = [sys.executable, "-m", "scripts.bench.live", str(runs)]
    return float(subprocess.run(command, cwd=ROOT, env=USUAL, capture_output=True, check=True, text=True).stdout)


def _packets(runs: int) -> float:
    from lab.model import Captured, Settled
    from lab.protocols.catalogue import scenarios
    from lab.testbed.netns import play

    took = []
    for scenario in (each for each in scenarios() if each.name in _SCENARIOS):
        for _ in range(runs):
            arrived: dict[int, int] = {}
            with play(scenario, (), ipv6=False) as events:
                for event in events:
                    if isinstance(event, Captured):
                        arrived[event.frame.number] = event.frame.time or 0
                    elif isinstance(event, Settled):
                        took.append((time.time_ns() - arrived[event.number]) / 1e6)
    return statistics.median(took)


if __name__ == "__main__":
    print(_packets(int(sys.argv[1])))
