"""`make soak`: every scenario many times, summed up also when it is stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

from tests.left_behind import heed_signals
from tests.places import ROOT


def soak(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "scripts/soak.py", "--lang", "en", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8", preexec_fn=heed_signals
    )


def test_soak_sums_up_its_runs(namespaces: None) -> None:
    process = soak("2", "tcp/refused", "tcp/reset")
    said, _ = process.communicate()
    assert process.returncode == 0
    _, refused, reset, total = said.splitlines()
    assert refused.split()[:4] == ["tcp/refused", "2", "20", "0"]
    assert refused.endswith("-"), "it begins with nobody listening"
    assert reset.split()[:4] == ["tcp/reset", "2", "68", "0"]
    assert total.startswith("4 runs in ")
    assert total.endswith(": 88 states compared, 0 faults, deviations: 0")


def test_soak_delays_each_kind_of_segment_and_counts_what_stops_for_it(namespaces: None) -> None:
    process = soak("--delay", "15ms", "tcp/refused", "tcp/simultaneous-open")
    said, _ = process.communicate()
    assert process.returncode == 0, said
    _, refused, open_, total = said.splitlines()
    assert refused.split()[:4] == ["tcp/refused", "10", "100", "0"]
    assert open_.split()[0] == "tcp/simultaneous-open"
    assert open_.endswith("1 stopped early"), "a SYN that comes late finds a listener gone"
    assert total.startswith("20 runs in ")


def test_soak_shows_the_sums_so_far_when_it_is_stopped(namespaces: None) -> None:
    process = soak("2", "tcp/refused", "tcp/syn-lost")
    assert process.stdout is not None
    _, refused = process.stdout.readline(), process.stdout.readline()
    assert refused.startswith("tcp/refused")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate()
    assert process.returncode == 130
    assert re.fullmatch(r"[23] runs in \d+ s: \d+ states compared, 0 faults, .*", said.splitlines()[-1])
