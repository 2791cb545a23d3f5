"""Two processes write, to the byte, what one would have written; and where one of them dies, that is said."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from lab import halves
from lab.capture.reader import open_capture
from lab.errors import LabError
from lab.recorded import Recording
from lab.render import table
from scripts import generate

ENOUGH = 50_000  # packets: more than the 4 MiB that are worth a second process


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("halves") / "large.pcap"
    generate.write(ENOUGH, path)
    return path


def alone(path: Path) -> list[str]:
    with open_capture(str(path)) as capture:
        return list(table.csv_rows(Recording(capture, keep_frames=False).rungs()))


def together(path: Path) -> list[str]:
    with open_capture(str(path)) as capture, halves.other_half(str(path)) as theirs:
        ours = table.csv_rows(Recording(capture, False, halves.is_ours).rungs())
        return list(table.as_one(ours, theirs))


def test_two_halves_are_what_one_process_would_have_written(large: Path) -> None:
    rows = together(large)
    assert rows == alone(large)
    assert len(rows) == ENOUGH


def test_what_is_no_tcp_or_is_damaged_keeps_its_place(large: Path, tmp_path: Path) -> None:
    mixed = bytearray(large.read_bytes())
    for at in range(24 + 16 + 12, len(mixed), 50_021):  # here and there a byte of whatever stands there
        mixed[at] ^= 0x55
    path = tmp_path / "mixed.pcap"
    path.write_bytes(mixed)
    assert together(path) == alone(path)


def test_both_halves_have_work(large: Path) -> None:
    with open_capture(str(large)) as capture:
        ours = sum(map(halves.is_ours, capture))
    assert 0.3 < ours / ENOUGH < 0.6


def test_a_half_that_dies_is_told_and_not_taken_for_the_end(large: Path) -> None:
    with halves.other_half(str(large)) as theirs:
        next(theirs)
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        with pytest.raises(LabError, match="half of the file"):
            list(theirs)


def test_nothing_stays_behind_where_the_reader_leaves_early(large: Path) -> None:
    with halves.other_half(str(large)) as theirs:
        next(theirs)
    assert Path(f"/proc/self/task/{os.getpid()}/children").read_text().split() == []


def test_a_small_file_and_a_pipe_are_left_to_one_process(tmp_path: Path, large: Path) -> None:
    small = tmp_path / "small.pcap"
    generate.write(100, small)
    with open_capture(str(small)) as capture:
        assert not halves.worthwhile(capture)
    with open_capture(str(large)) as capture:
        assert halves.worthwhile(capture) == (len(os.sched_getaffinity(0)) > 1)
