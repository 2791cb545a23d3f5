"""Captures as rows, conversations, JSON and ladders, beside what others make of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lab.witnesses import question
from scripts.bench.inputs import Inputs
from scripts.bench.measure import LAB, Pair, in_turn, often, spent, warm
from scripts.bench.table import Table, megabytes, seconds

_FIELDS = ("frame.number", "tcp.stream", "tcp.flags", "tcp.seq", "tcp.ack", "tcp.analysis.flags")
_ROWS = ["-T", "fields", *(word for field in _FIELDS for word in ("-e", field))]
COLUMNS = ("what", "lab", "the other", "ratio", "of CPU", "goal")
# What C can do with a capture that is to become conversations; `{}` is the file.
_PEERS = {
    "tcptrace": ("tcptrace", "-n", "{}"),
    "argus": ("argus", "-F", "/dev/null", "-r", "{}", "-w", "/dev/null"),
    "softflowd": ("softflowd", "-d", "-6", "-p", "softflowd.pid", "-c", "none", "-r", "{}"),
    "ndpiReader": ("ndpiReader", "-q", "-i", "{}"),
}
PACKAGES = {
    "tshark": "tshark", "tcptrace": "tcptrace", "argus": "argus-server", "softflowd": "softflowd",
    "ndpiReader": "libndpi-bin",
}  # fmt: skip


class Bench(NamedTuple):
    """What is measured on, how often, and how it is printed."""

    inputs: Inputs
    runs: int
    markdown: bool

    def table(self, title: str, columns: Sequence[str], first: int = 44) -> Table:
        return Table(title, columns, markdown=self.markdown, first=first)


def missing(*tools: str) -> list[str]:
    """Returns which tools are not installed."""
    return [tool for tool in tools if shutil.which(tool) is None]


def annotate(file: Path, form: str, *more: str) -> tuple[str, ...]:
    return (*LAB, "annotate", str(file), "--format", form, *more)


def csv(bench: Bench) -> None:
    """Packets as rows, beside Wireshark's fields."""
    if missing("tshark"):
        return
    table = bench.table("Packets as rows: --format csv, beside tshark -T fields", COLUMNS)
    inputs = bench.inputs
    for name, file, goal in (
        ("real kernels, pcapng", inputs.real, "0.3"),
        ("TLS as on the web", inputs.web, "0.3"),
        ("all alike", inputs.friendly, "0.26 to 0.33"),
    ):
        _row(table, name, _beside(bench, annotate(file, "csv"), ("tshark", "-r", str(file), *_ROWS)), goal)


def conversations(bench: Bench) -> None:
    """Captures as conversations, beside tcptrace; then beside all that do something like it."""
    inputs = bench.inputs
    files = (
        ("real kernels, pcapng", inputs.real, "5"),
        ("TLS as on the web", inputs.web, "5"),
        ("all alike", inputs.friendly, "4.3"),
    )
    ours = {}
    if not missing("tcptrace"):
        table = bench.table("Conversations: --format conversations, beside tcptrace -n", COLUMNS)
        for name, file, goal in files:
            pair = _beside(bench, annotate(file, "conversations"), ("tcptrace", "-n", str(file)))
            ours[name] = pair.ours.cpu
            _row(table, name, pair, goal)
    peers = [peer for peer in _PEERS if not missing(peer)]
    table = bench.table("What C can do: processors' time for conversations or flows", ("what", "lab", *peers))
    for name, file, _ in files:
        warm(file)
        mine = ours.get(name) or spent(annotate(file, "conversations"), inputs.folder).cpu
        table.row(name, seconds(mine), *(_cpu(bench, peer, file) for peer in peers))


def json(bench: Bench) -> None:
    """All that is in TLS, beside Wireshark's details."""
    if missing("tshark"):
        return
    table = bench.table("TLS in full: --format json, beside tshark -V", COLUMNS)
    for name, file, goal in (
        ("TLS as on the web", bench.inputs.web, "0.6"),
        ("all alike", bench.inputs.friendly_tls, "0.83 to 0.97"),
    ):
        keys = file.with_suffix(".keys")
        for how, ours, theirs in (
            ("without keys", (), ()),
            ("decrypted", ("--keylog", str(keys)), ("-o", f"tls.keylog_file:{keys}")),
        ):
            pair = _beside(bench, annotate(file, "json", *ours), ("tshark", "-r", str(file), "-V", *theirs))
            _row(table, f"{name}, {how}", pair, goal)


def verify(bench: Bench) -> None:
    """A thousand packets held against Wireshark, beside Wireshark alone."""
    if missing("tshark"):
        return
    table = bench.table("1,000 packets: lab verify, beside tshark -T fields over the same fields", COLUMNS)
    fields = [word for field in question.ALL for word in ("-e", field)]
    for name, file in (("real kernels", bench.inputs.head(1000)), ("TLS as on the web", bench.inputs.web_head(1000))):
        theirs = ("tshark", *question.PREFERENCES, *question.TWICE, "-n", "-r", str(file), "-T", "fields", *fields)
        _row(table, name, _beside(bench, (*LAB, "verify", str(file)), theirs), "2")


def ladder(bench: Bench) -> None:
    """What a reader of the ladder waits for."""
    columns = ("what", "a packet", "of CPU", "peak memory", "goal")
    table = bench.table("The ladder, a packet", columns)
    packets = bench.inputs.packets
    for name, file in (("real kernels, pcapng", bench.inputs.real), ("TLS as on the web", bench.inputs.web)):
        for how, more in (("", ()), (", decrypted", ("--keylog", str(file.with_suffix(".keys"))))):
            if more and not Path(more[1]).exists():
                continue
            warm(file)
            command = annotate(file, "ladder", *more)
            took = often(command, bench.inputs.folder, min(bench.runs, 3))
            table.row(
                name + how, f"{took.wall / packets * 1e6:.0f} µs", f"{took.cpu / packets * 1e6:.0f} µs",
                megabytes(took.peak), "60 µs",
            )  # fmt: skip


def _beside(bench: Bench, ours: Sequence[str], theirs: Sequence[str]) -> Pair:
    return in_turn(ours, theirs, bench.inputs.folder, bench.runs)


def _row(table: Table, name: str, pair: Pair, goal: str) -> None:
    table.row(name, seconds(pair.ours.wall), seconds(pair.theirs.wall), f"{pair.wall:.2f}", f"{pair.cpu:.2f}", goal)


def _cpu(bench: Bench, peer: str, file: Path) -> str:
    command = [word.format(file) for word in _PEERS[peer]]
    try:
        return seconds(often(command, bench.inputs.folder, bench.runs).cpu)
    except subprocess.CalledProcessError:
        return "fails"
