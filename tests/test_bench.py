"""`make bench` at a small size: it runs, prints each table that it was asked for, and complains of what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import ROOT


def bench(*arguments: str | Path, path: str | None = None) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} | ({"PATH": path} if path else {})
    command = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True, text=True)
    return done.stdout.splitlines()


@pytest.mark.timeout(300)  # a dozen starts of the lab, at two a second where the machine is busy
def test_rows_stand_beside_those_of_others_and_beside_their_goals(
    namespaces: None, tshark: str, tmp_path: Path
) -> None:
    small = ("--quick", "--packets", "500", "--inputs", tmp_path, "--markdown")
    said = bench("scripts.bench", *small, "--only", "csv", "--only", "grading")
    assert "### Packets as rows: --format csv, beside tshark -T fields" in said
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said if line.startswith("| ")]
    csv, grading = rows[:4], rows[4:]
    assert [row[0] for row in csv] == ["what", "real kernels, pcapng", "TLS as on the web", "all alike"]
    assert [row[0] for row in grading][1:] == [
        "10 submissions of tcp-open",
        *(f"by {count} of Dask's workers, one thread each" for count in (1, 2)),
    ]
    assert min(float(cell.removesuffix(" ms")) for cell in grading[1][1:]) > 0
    for _, ours, theirs, wall, cpu, _goal in csv[1:]:
        assert ours.endswith(" s")
        assert theirs.endswith(" s")
        assert min(float(wall), float(cpu)) > 0


def test_a_packet_of_a_live_run_takes_milliseconds(namespaces: None) -> None:
    (said,) = bench("scripts.bench.live", "1")
    assert 0.05 < float(said) < 1000


def test_what_is_not_installed_is_named_with_its_package(tmp_path: Path) -> None:
    said = bench("scripts.bench", "--only", "csv", "--inputs", tmp_path, path=str(tmp_path))
    assert "tshark, tcptrace" in said[1]
    assert "apt-get install tshark tcptrace argus-server softflowd libndpi-bin" in said[1]
    assert len(said) == 2


def test_a_row_is_behind_its_packet_by_waiting_and_by_our_own_work(namespaces: None) -> None:
    rows, behind, fate, order, ours, most, _at_end = map(float, bench("scripts.bench.behind", "5")[0].split())
    assert rows > 20
    assert min(fate, order) >= 0
    assert max(fate, order, ours) <= behind, "medians of parts that are all positive"
    assert ours <= most
