"""Two processes write, to the byte, what one would have written; and where one of them dies, that is said."""

from __future__ import annotations

import ast
import contextlib
import io
import itertools
import os
import random
import re
import signal
from pathlib import Path

import pytest

from lab import bulk
from lab.app.formats import Format, write_rows
from lab.bulk import RowFormat, chunk, predicting, scan, two_processes
from lab.bulk.rows import Gone, RowsOfRun, keeps_lines
from lab.capture import pcap
from lab.capture.pcapng import Writer
from lab.capture.reader import open_capture
from lab.errors import LabError
from lab.protocols.tcp.segment import ACK, PSH
from lab.protocols.transport import LANES
from lab.runs.recorded import open_run
from scripts import generate
from scripts.hostile.segments import Talk
from scripts.hostile.waiting import icmp_error
from tests import transfers
from tests.places import REFERENCES
from tests.transfers import Cable, Shape, Transfer

ENOUGH = 50_000  # packets: more than the 4 MiB that are worth a second process


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("halves") / "large.pcap"
    generate.write(ENOUGH, path)
    return path


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fewer than are worth it: two processes read them as they read many."""
    path = tmp_path_factory.mktemp("halves") / "some.pcap"
    generate.write(12_000, path)
    return path


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """TLS connections and their key log."""
    path = tmp_path_factory.mktemp("halves") / "tls.pcap"
    return path, generate.write_tls(100, path).read_bytes()


def written(path: Path, form: RowFormat, keylog: bytes = b"", halved: bool = True) -> str:
    """Returns what one process writes of a capture, or two: packet by packet in this one."""
    out, gone = io.StringIO(), Gone(keeps_lines(form))
    mine = two_processes.is_ours if halved else None
    with contextlib.ExitStack() as stack:
        theirs = stack.enter_context(two_processes.other_half(str(path), form, keylog)) if halved else None
        run = stack.enter_context(open_run(str(path), frames=False, mine=mine, keylog=keylog, let_go=gone.take))
        ours = RowsOfRun(run, form, gone)
        rows = two_processes._Together(run, ours, theirs, form, None) if theirs else ours
        write_rows(rows, Format(form.value), out, "en", live=False)
    return out.getvalue()


@pytest.mark.parametrize("form", [RowFormat.CSV, RowFormat.JSON, RowFormat.NDJSON, RowFormat.CONVERSATIONS])
def test_two_halves_are_what_one_process_would_have_written(some: Path, form: RowFormat) -> None:
    assert written(some, form) == written(some, form, halved=False)


def test_every_packet_is_there_once_and_in_its_place(some: Path) -> None:
    rows = written(some, RowFormat.CSV).splitlines()[1:]
    assert [int(row.partition(",")[0]) for row in rows] == list(range(1, 12_001))


@pytest.mark.parametrize("form", [RowFormat.JSON, RowFormat.CONVERSATIONS])
def test_secrets_open_both_halves(secret: tuple[Path, bytes], form: RowFormat) -> None:
    path, keylog = secret
    text = written(path, form, keylog)
    assert text == written(path, form, keylog, halved=False)
    assert text.count('"finished_verified":true') == 100


@pytest.mark.parametrize("form", [RowFormat.CSV, RowFormat.JSON])
def test_what_is_no_tcp_or_is_damaged_keeps_its_place(some: Path, tmp_path: Path, form: RowFormat) -> None:
    mixed = bytearray(some.read_bytes())
    for at in range(24 + 16 + 12, len(mixed), 12_011):  # here and there a byte of whatever stands there
        mixed[at] ^= 0x55
    path = tmp_path / "mixed.pcap"
    path.write_bytes(mixed)
    assert written(path, form) == written(path, form, halved=False)


def test_an_icmp_error_quotes_a_conversation_by_its_number_in_the_whole_file(tmp_path: Path) -> None:
    """Also one that was captured before all packets of that conversation."""
    packets = []
    for at in range(40):
        talk = Talk(40_000 + at)
        opening = list(talk.opens())
        if at % 4 == 1:
            packets.append(icmp_error(talk, opening[0]))
        packets += [*opening, sent := talk.segment(0, PSH | ACK, b"refused")]
        if at % 4 == 3:
            packets.append(icmp_error(talk, sent))
        packets += talk.closes()
    path = transfers.write([(at * 1e-6, packet) for at, packet in enumerate(packets)], tmp_path / "quotes.pcap")
    text = written(path, RowFormat.NDJSON)
    assert re.findall(r'"quotes":(\d+)', text) == [str(at) for at in range(1, 40, 2)]
    assert text == written(path, RowFormat.NDJSON, halved=False)


@pytest.mark.parametrize("ports", [(40_000, 40_001), (40_000, 40_016), (40_007, 40_000)])
@pytest.mark.parametrize("form", [RowFormat.JSON, RowFormat.NDJSON])
def test_a_conversation_may_be_quoted_before_it_was_captured_and_another_begins(
    tmp_path: Path, form: RowFormat, ports: tuple[int, int]
) -> None:
    one, other = map(Talk, ports)
    opening, others = list(one.opens()), list(other.opens())
    packets = [icmp_error(one, opening[0]), others[0], *opening, *others[1:], *other.closes(), *one.closes()]
    path = transfers.write([(at * 1e-6, packet) for at, packet in enumerate(packets)], tmp_path / "quoted.pcap")
    assert written(path, form) == written(path, form, halved=False)
    rows = written(path, RowFormat.CSV).splitlines()
    assert len(rows) == 1 + len(packets), "whatever they are called there"


def test_both_halves_have_work(large: Path) -> None:
    with open_capture(str(large)) as capture:
        ours = sum(bool(two_processes.is_ours(frame)) for frame in capture)
    assert 0.3 < ours / ENOUGH < 0.6


def test_a_half_that_dies_is_told_and_not_taken_for_the_end(large: Path) -> None:
    with two_processes.other_half(str(large), RowFormat.CSV) as theirs:
        rows = theirs.packets()
        next(rows)
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        with pytest.raises(LabError, match="half of the file"):
            list(rows)


def test_nothing_stays_behind_where_the_reader_leaves_early(large: Path) -> None:
    with two_processes.other_half(str(large), RowFormat.CSV) as theirs:
        next(theirs.packets())
    assert Path(f"/proc/self/task/{os.getpid()}/children").read_text().split() == []


def test_a_small_file_and_a_pipe_are_left_to_one_process(tmp_path: Path, large: Path) -> None:
    small = tmp_path / "small.pcap"
    generate.write(100, small)
    assert not two_processes.large(str(small))
    assert not two_processes.large("-")
    assert two_processes.large(str(large))
    with bulk.rows(str(small), RowFormat.JSON) as rows:
        assert rows is None
    with bulk.rows(str(large), RowFormat.JSON) as rows:
        assert (rows is not None) == (len(os.sched_getaffinity(0)) > 1)


def test_a_wires_journal_is_left_to_one_process(tmp_path: Path) -> None:
    journal = REFERENCES / "tcp-connection.pcapng"
    path = tmp_path / "large.pcapng"
    path.write_bytes(journal.read_bytes() * (1 + (5 << 20) // journal.stat().st_size))
    assert not two_processes.large(str(path))


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long transfers over a bad cable: what goes as predicted is passed by."""
    dice = random.Random(1)
    made = [Transfer(dice, [("server", b"-" * 90_000)], Cable(0.02), Shape(), at) for at in range(LANES)]
    return transfers.write(transfers.together(made), tmp_path_factory.mktemp("halves") / "lossy.pcap")


def in_two(path: Path, form: RowFormat) -> str:
    out = io.StringIO()
    with two_processes.rows(str(path), form) as rows:
        assert rows is not None
        write_rows(rows, Format(form.value), out, "en", live=False)
    return out.getvalue()


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has many windows in a file, and two processes wherever this runs."""
    monkeypatch.setattr(scan, "_WINDOW", 100_000)
    monkeypatch.setattr(two_processes, "two_processors", lambda: True)


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("most", [100, 1000, 100_000])
@pytest.mark.parametrize("form", [RowFormat.CSV, RowFormat.NDJSON, RowFormat.CONVERSATIONS])
def test_what_two_processes_read_together_is_what_one_would_have_read(
    lossy: Path, monkeypatch: pytest.MonkeyPatch, form: RowFormat, most: int
) -> None:
    monkeypatch.setattr(chunk, "_MOST", most)
    assert in_two(lossy, form) == written(lossy, form, halved=False)


@pytest.mark.usefixtures("windows")
def test_one_of_two_processes_may_have_nothing_to_do(tmp_path: Path) -> None:
    one = Transfer(random.Random(2), [("server", b"-" * 90_000)], Cable(0.02), Shape())
    path = transfers.write(one.packets, tmp_path / "one.pcap")
    assert in_two(path, RowFormat.CSV) == written(path, RowFormat.CSV, halved=False)


@pytest.mark.parametrize(
    ("weights", "ours"), [([1.0] * LANES, 8), ([9.0, *[0.0] * (LANES - 1)], 0), ([0.0] * LANES, 0)]
)
def test_ours_are_about_half_of_the_lanes(weights: list[float], ours: int) -> None:
    assert len(two_processes._half(weights)) == ours


def test_our_half_of_the_work_is_the_smaller_one() -> None:
    chance = random.Random(1)
    for _ in range(20):
        weights = [chance.uniform(1, 9) for _ in range(LANES)]
        ours = sum(weights[lane] for lane in two_processes._half(weights))
        assert 0.47 < ours / sum(weights) < 0.49, "it also puts both in order"


@pytest.mark.usefixtures("windows")
def test_a_process_that_dies_while_both_read_is_told(lossy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parent, read, windows = os.getpid(), scan.Reading.next, itertools.count()

    def next_(reading: scan.Reading) -> scan.Window | None:
        if os.getpid() != parent and next(windows) == 2:
            os._exit(1)
        return read(reading)

    monkeypatch.setattr(scan.Reading, "next", next_)
    with pytest.raises(LabError, match="its process ended early"):
        in_two(lossy, RowFormat.CSV)


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("window", [0, 1, 4, 5])
def test_what_is_unsound_for_one_is_unsound_for_both(lossy: Path, tmp_path: Path, window: int) -> None:
    """Whichever of them comes upon it: both go another way then, which says what is wrong."""
    spoilt, data = tmp_path / "spoilt.pcap", bytearray(lossy.read_bytes())
    at = pcap.FILE_HEADER
    while at < window * 100_000 + 50_000:
        at += 16 + int.from_bytes(data[at + 8 : at + 12], "little")
    data[at + 8 : at + 12] = b"\xff\xff\xff\x7f"  # so much of a packet nobody captures
    spoilt.write_bytes(data)
    assert in_two(spoilt, RowFormat.CSV) == written(spoilt, RowFormat.CSV, halved=False)


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("form", [RowFormat.CSV, RowFormat.NDJSON])
def test_each_takes_in_what_stands_between_the_others_packets(lossy: Path, tmp_path: Path, form: RowFormat) -> None:
    """Secrets here and there, and an interface that is only described when its first packet comes."""
    path = tmp_path / "between.pcapng"
    with path.open("wb") as stream, open_capture(str(lossy)) as capture:
        writer, frames = Writer(stream), list(capture)
        for frame in frames:
            if frame.number % 150 == 0:
                writer.secrets(b"CLIENT_RANDOM %064d %096d\n" % (frame.number, frame.number))
            late = frame.number > len(frames) * 0.7
            writer.packet(frame._replace(linktype=101, data=frame.data[14:]) if late else frame, ())
        writer.finish()
    plans = in_plans(path)
    assert plans[0] == plans[1]
    assert len(plans[0][0]) == len(frames) // 150
    assert in_two(path, form) == written(path, form, halved=False)


def in_plans(path: Path) -> list[tuple[list[bytes], list[int]]]:
    """Returns what each of two processes takes in: secrets, and the numbers of the first packets."""
    reading, writing = os.pipe()
    with contextlib.closing(chunk.room()) as shared, os.fdopen(reading) as told:
        child = os.fork()
        found = predicting.plan(str(path), shared)
        assert found is not None
        taken = found.secrets, found.begun[0].packets.number.tolist()
        if not child:
            os.write(writing, repr(taken).encode())
            os._exit(0)
        os.close(writing)
        assert os.waitpid(child, 0)[1] == 0
        return [taken, ast.literal_eval(told.read())]
