"""A class is marked by the workers of a real cluster, as it is here; nothing is lost with a worker that is lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import MachineError
from lab.grade import classes, cluster
from lab.grade.apart import Marker, Order
from lab.grade.classes import Marking
from lab.grade.collected import collect, packed, reading, unpacked
from lab.grade.kept import Kept
from lab.grade.worker import Limits
from scripts.classroom import make
from tests.places import ROOT

SIZE = 24


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("class") / "handed-in"
    make(folder, SIZE)
    for each in list(folder.iterdir())[:2]:
        with (each / "answers.toml").open("ab") as file:
            file.truncate(1 << 28)  # it takes no room
    return folder


Node = subprocess.Popen[bytes]


@contextlib.contextmanager
def _cluster(here: Path, count: int) -> Iterator[tuple[str, Node, list[Node]]]:
    """Runs a scheduler, and so many workers, each a process; none starts another one in its place."""
    told = here / "scheduler.json"
    common = ("--no-dashboard", "--scheduler-file", str(told), "--host", "127.0.0.1")

    def start(name: str, *more: str) -> Node:
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{name}", *more, *common],
            cwd=here, env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    nodes = [start("scheduler", "--port", "0")]
    nodes += [start("worker", "--no-nanny", "--nthreads", "1", "--local-directory", str(here)) for _ in range(count)]
    try:
        while not (told.exists() and told.stat().st_size):
            os.sched_yield()
        yield json.loads(told.read_text())["address"], nodes[0], nodes[1:]
    finally:
        for each in nodes:
            each.kill()
            each.wait()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[Node]]]:
    with _cluster(tmp_path_factory.mktemp("cluster"), 3) as (address, _, workers):
        yield address, workers


def test_a_cluster_marks_as_this_machine_does_and_loses_nothing_with_a_worker(
    room: Path, nodes: tuple[str, list[Node]]
) -> None:
    scheduler, workers = nodes
    handed_in = collect(room)
    seen: list[str] = []
    order = Order.of(None, None, Limits(), False)
    marking = cluster.each_marked(handed_in, order, scheduler)
    for each, result in marking:
        seen.append(each.name)
        assert "unfinished" not in result
        if len(seen) == 5:
            workers[0].send_signal(signal.SIGKILL)
    assert workers[0].wait() == -signal.SIGKILL
    assert Counter(seen) == Counter(each.name for each in handed_in), "each once"
    there = classes.marked(handed_in, Marking(None, Kept(None), course=b"k" * 32, scheduler=scheduler))
    assert there == classes.marked(handed_in, Marking(None, Kept(None), course=b"k" * 32))


def test_a_worker_with_another_lab_is_told(
    room: Path, nodes: tuple[str, list[Node]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.grade.kept.release", lambda: "0+another")
    with pytest.raises(MachineError, match="a worker has another lab"):
        classes.marked(collect(room), Marking(None, Kept(None), scheduler=nodes[0]))


def test_without_a_scheduler_or_without_dask_two_lines_say_so(
    room: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "lab", "grade", str(room), "--scheduler"]
    for address in ("nonsense://x", "tcp://127.0.0.1:1"):
        monkeypatch.setattr(cluster, "_PATIENCE", 1)
        with pytest.raises(MachineError, match="no scheduler answers at"):
            classes.marked(collect(room), Marking(None, Kept(None), scheduler=address))
    (tmp_path / "distributed.py").write_text("raise ImportError")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "LC_ALL": "C"}
    done = subprocess.run([*command, "tcp://x"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 4
    assert done.stderr.splitlines() == [
        "error: Dask is not installed, so there is no cluster",
        "hint: pip install distributed, or leave out --scheduler",
    ]


def test_a_parcel_is_marked_as_what_it_was_packed_from(room: Path) -> None:
    for each in collect(room):
        there = unpacked(packed(each))
        assert (there.name, there.refused) == (each.name, each.refused)
        with reading(there) as sent, reading(each) as kept:
            assert (sent.sheet, sent.refused) == (kept.sheet, kept.refused)
            assert (sent.capture is None) == (kept.capture is None)
        assert len(packed(each).data) < 1 << 20


def test_a_scheduler_that_is_lost_midway_is_told(room: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with _cluster(tmp_path_factory.mktemp("cluster"), 1) as (address, scheduler, _):
        marking = cluster.each_marked(collect(room), Order.of(None, None, Limits(), False), address)
        next(marking)
        scheduler.kill()
        with pytest.raises(MachineError, match="no scheduler answers at"):
            list(marking)


def test_a_marker_that_is_lost_says_so(room: Path) -> None:
    marker = Marker(Order.of(None, None, Limits(), False))
    parcel = packed(collect(room)[0])
    assert marker.marked(parcel)["marks"]["points"]
    marker._process.kill()
    assert marker.marked(parcel)["unfinished"]
    assert marker.ended
