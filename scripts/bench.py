"""Speed, as ratios against the tool a user would pick, all in one run: machines differ, ratios hardly do.

Each pair of commands is run in turn, A B A B ..., and the median of the pairwise ratios counts. Nothing is asserted:
the goals stand beside the figures.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # run as a file, a script sees only its own folder

from scripts import generate

RUNS = 5
PACKETS, MORE = 1_000_000, 5_000_000
TLS = 10_000  # connections
LAB = (sys.executable, "-m", "lab")
USUAL = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
TSHARK_FIELDS = ("frame.number", "tcp.stream", "tcp.flags", "tcp.seq", "tcp.ack", "tcp.analysis.flags")


def seconds(command: Sequence[str], cwd: Path) -> float:
    """Runs a command to its end and returns its wall time."""
    begun = time.perf_counter()
    subprocess.run(command, cwd=cwd, env=USUAL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def compare(name: str, ours: Sequence[str], theirs: Sequence[str], goal: str, folder: Path) -> None:
    """Prints both medians and the median ratio."""
    for command in (ours, theirs):
        seconds(command, folder)  # warms the caches
    pairs = [(seconds(ours, folder), seconds(theirs, folder)) for _ in range(RUNS)]
    mine, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{name:<44} {mine:7.3f} s  against {other:7.3f} s  ratio {ratio:5.2f}  ({goal})", flush=True)


def measure(name: str, ours: Sequence[str], base: Sequence[str], goal: str, folder: Path) -> None:
    """Prints what a command takes beyond another."""
    for command in (ours, base):
        seconds(command, folder)
    extra = statistics.median(seconds(ours, folder) - seconds(base, folder) for _ in range(RUNS))
    print(f"{name:<44} {extra:7.3f} s  ({goal})", flush=True)


def peak(command: Sequence[str], cwd: Path) -> int:
    """Runs a command to its end and returns the most memory that it, or the largest of its children, had in kB."""
    measured = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
    measured += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    said = subprocess.run(
        [sys.executable, "-c", measured, *command], cwd=cwd, env=USUAL, capture_output=True, check=True, text=True
    )
    return int(said.stdout)


def large(folder: Path) -> None:
    """A large capture of many small connections, as rows, as conversations, and what memory that takes."""
    capture, larger = folder / "large.pcap", folder / "larger.pcap"
    generate.write(PACKETS, capture)
    fields = [word for field in TSHARK_FIELDS for word in ("-e", field)]
    compare(
        f"lab annotate --format csv, {PACKETS:,} packets",
        (*LAB, "annotate", str(capture), "--format", "csv"),
        ("tshark", "-r", str(capture), "-T", "fields", *fields),
        "tshark -T fields; goal 0.3",
        folder,
    )
    if shutil.which("tcptrace"):
        compare(
            f"lab annotate --format conversations, {PACKETS:,}",
            (*LAB, "annotate", str(capture), "--format", "conversations"),
            ("tcptrace", "-n", str(capture)),
            "tcptrace; goal 2.0",
            folder,
        )
    generate.write(MORE, larger)
    for form in ("csv", "conversations"):
        few, many = (peak((*LAB, "annotate", str(file), "--format", form), folder) for file in (capture, larger))
        print(f"peak memory, {form}, {PACKETS:,} and {MORE:,} packets {few / 1024:8.1f} MB {many / 1024:8.1f} MB")


def main() -> None:
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} CPUs, {RUNS} runs each, medians")
    with tempfile.TemporaryDirectory(prefix="lab-bench-") as name:
        folder = Path(name)
        nothing = (sys.executable, "-c", "pass")
        measure("lab --help, beyond Python's start", (*LAB, "--help"), nothing, "goal 0.3 s", folder)
        measure("lab tcp, command to prompt", (*LAB, "tcp", "-o", "tcp.pcapng"), ("true",), "goal 1.5 s", folder)
        plain, tls = (*LAB, "tcp", "-o", "tcp.pcapng"), (*LAB, "tls", "-o", "tls.pcapng")
        measure("lab tls, beyond lab tcp", tls, plain, "goal 0.5 s", folder)
        if shutil.which("tshark") is None:
            print("tshark is not installed: nothing to compare lab annotate with")
            return
        large(folder)
        handshakes = folder / "tls.pcap"
        keys = generate.write_tls(TLS, handshakes)
        for name, ours, theirs in (
            ("", (), ()),
            (", decrypted", ("--keylog", str(keys)), ("-o", f"tls.keylog_file:{keys}")),
        ):
            compare(
                f"lab annotate --format json, {TLS:,} TLS{name}",
                (*LAB, "annotate", str(handshakes), "--format", "json", *ours),
                ("tshark", "-r", str(handshakes), "-V", *theirs),
                "tshark -V; goal 1.0",
                folder,
            )


if __name__ == "__main__":
    main()
