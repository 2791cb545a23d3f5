"""`scripts/traffic`: what real computers said is read whole, and nothing is left of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import lab
from lab.model import Packet
from tests.places import ROOT

COUNT = 4_000  # packets
ENDING = ("CLOSED", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT")


def making(kind: str, *arguments: str | Path | int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "scripts.traffic", kind, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True)


def alive(session: int) -> list[int]:
    """Returns the processes of a session."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def read(path: Path, keylog: Path | None = None) -> tuple[list[Packet], list[dict[str, Any]]]:
    with lab.open(path, keylog=keylog, words=False) as run:
        packets = list(run)
        return packets, [dict(each.facts) for each in run.conversations]


def check(packets: list[Packet]) -> None:
    """All are TCP, and the table has rows for what happened, but where a lost ACK or a reset left no trace."""
    assert len(packets) == COUNT
    times = [packet.time or 0 for packet in packets]
    assert times == sorted(times)
    assert all(packet.conversation is not None for packet in packets)
    surprises = [each for packet in packets for each in packet.surprises]
    assert {each.state for each in surprises} <= {*ENDING}
    assert len(surprises) < COUNT / 100


@pytest.fixture(scope="module")
def real(namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    made = making("real", COUNT, folder / "real.pcapng", folder / "real.pcap")
    assert made.wait(60) == 0
    assert alive(made.pid) == []
    return folder


def test_real_kernels_over_a_lossy_cable(real: Path) -> None:
    packets, conversations = read(real / "real.pcapng")
    check(packets)
    assert len(conversations) > 20
    labels = Counter(label for packet in packets for label in packet.labels)
    for label in ("data", "retransmission", "duplicate-ack", "FIN", "RST"):
        assert labels[label], label
    types = Counter(packet.frame.data[12:14].hex() for packet in packets if packet.frame)
    assert types.keys() == {"0800", "86dd", "8100"}
    assert max(packet.payload or 0 for packet in packets) in (1448, 1428)


def test_micro_and_nanoseconds_are_of_the_same_packets(real: Path) -> None:
    exact, rounded = read(real / "real.pcapng")[0], read(real / "real.pcap")[0]
    assert [(packet.time or 0) // 1000 * 1000 for packet in exact] == [packet.time for packet in rounded]
    assert [packet.held for packet in exact] == [packet.held for packet in rounded]
    assert any((packet.time or 0) % 1000 for packet in exact)


def test_tls_as_on_the_web_is_opened_with_its_key_log(namespaces: None, tmp_path: Path) -> None:
    made = making("web", COUNT, tmp_path / "web.pcap")
    assert made.wait(60) == 0
    assert alive(made.pid) == []
    packets, conversations = read(tmp_path / "web.pcap", tmp_path / "web.keys")
    check(packets)
    agreed = [tls for each in conversations if (tls := each["tls"]) and tls["finished_verified"] is not None]
    assert len(agreed) > 8
    assert all(tls["decrypted"] and tls["finished_verified"] for tls in agreed)
    assert {tls["version"] for tls in agreed} == {"TLS 1.2", "TLS 1.3"}


def test_nothing_is_left_of_one_that_is_killed(namespaces: None, tmp_path: Path) -> None:
    made = making("real", 10_000_000, tmp_path / "real.pcap")
    while len(alive(made.pid)) < 4:  # it, the cable, two hosts
        assert made.poll() is None
        time.sleep(0.01)
    made.kill()
    made.wait()
    until = time.monotonic() + 10
    while alive(made.pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert alive(made.pid) == []
