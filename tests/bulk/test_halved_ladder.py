"""Two processes draw, to the byte, the ladder that one would have drawn."""

from __future__ import annotations

import io
import os
import random
import signal
import ssl
from copy import deepcopy
from pathlib import Path

import pytest
from rich.console import Console

from lab import bulk
from lab.app import annotate
from lab.app.formats import Format, write_ladder
from lab.bulk import two_processes
from lab.bulk.two_processes import is_ours
from lab.capture.reader import open_capture
from lab.errors import LabError
from lab.model import Frame
from lab.protocols.tcp.segment import ACK, CWR, ECE, PSH, RST, SYN
from lab.render.ladder import Ladder
from lab.render.parts import PREVIEW
from lab.runs.recorded import Recorded
from lab.runs.run import Run
from lab.text import LANGUAGES, Lang
from scripts import generate
from scripts.hostile.segments import Talk, ip
from scripts.hostile.waiting import icmp_error
from tests import transfers
from tests.bulk.test_prediction import CABLES, secret_talk
from tests.places import CORPUS, REFERENCES
from tests.transfers import Shape, Transfer


def by_one(path: Path, lang: Lang = "en", keylog: bytes = b"") -> str:
    out = io.StringIO()
    capture = open_capture(str(path))
    with Run(Recorded(capture), keylog=keylog, words=True, beginning=PREVIEW, kept=0) as run:
        write_ladder(run, run.packets(), out, lang, capture)
    return out.getvalue()


def by_two(path: Path, lang: Lang = "en", keylog: bytes = b"") -> str:
    ladder = Ladder(Console(file=io.StringIO(), width=80), lang)
    with bulk.rungs(open_capture(str(path)), str(path), ladder, keylog) as rungs:
        return "".join(rungs.lines())


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything the lab has a capture of, packet by packet beside each other."""
    dice, queues = random.Random(11), []
    for file in sorted((*REFERENCES.glob("*.pcapng"), *CORPUS.glob("*.pcap"))):
        with open_capture(str(file)) as capture:
            queues.append([frame.data for frame in capture if frame.linktype == 1])
    packets = []
    while queues := [queue for queue in queues if queue]:
        queue = dice.choice(queues)
        packets += [queue.pop(0) for _ in range(min(dice.randrange(1, 5), len(queue)))]
    file = tmp_path_factory.mktemp("mixed") / "mixed.pcap"
    return transfers.write([(float(at), data) for at, data in enumerate(packets)], file)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_of_all_that_the_lab_knows_two_draw_what_one_draws(mixed: Path, lang: Lang) -> None:
    drawn = by_two(mixed, lang)
    assert drawn == by_one(mixed, lang)
    with open_capture(str(mixed)) as capture:
        halves = {is_ours(frame) for frame in capture}
    assert {True, False, None} == halves, "fragments, too"


@pytest.mark.parametrize("cable", CABLES)
def test_what_a_cable_does_to_many_connections_is_drawn_alike(tmp_path: Path, cable: str) -> None:
    dice = random.Random(cable)
    plain: transfers.Talk = [("client", b"?" * 100), ("server", b"!" * 30_000)]
    talks = [secret_talk(dice, ssl.TLSVersion.TLSv1_3), plain]
    shapes = [Shape(), Shape(version=6), Shape(tagged=True)]
    made = [Transfer(dice, talks[at % 2], CABLES[cable], shapes[at % 3], at) for at in range(12)]
    file = transfers.write(transfers.together(made), tmp_path / "made.pcap")
    drawn = by_two(file)
    assert drawn == by_one(file)
    assert "12 conversations in all" in drawn


def both(ours_first: bool) -> list[Talk]:
    """Returns a connection of each half."""
    talks = [Talk(port) for port in range(40_000, 40_016)]
    found = {is_ours(Frame(0, 0, next(iter(deepcopy(talk).opens())), 54)): talk for talk in talks}
    return [found[ours_first], found[not ours_first]]


def pieces(packet: bytes) -> tuple[bytes, bytes]:
    """Cuts a packet into two IP fragments."""
    payload, addresses = packet[34:], (packet[26:30], packet[30:34])
    return ip(*addresses, packet[23], payload[:32], 0x2000, 7), ip(*addresses, packet[23], payload[32:], 4, 7)


@pytest.mark.parametrize("ours_first", [True, False])
def test_what_stands_between_two_packets_of_a_connection_is_seen_by_both(tmp_path: Path, ours_first: bool) -> None:
    one, other = both(ours_first)
    opening = zip(one.opens(), other.opens(), strict=True)
    packets = [packet for pair in opening for packet in pair]
    packets += one.says(0, b"one alone", 3)
    asked = other.segment(0, PSH | ACK, b"what is refused")
    error = icmp_error(other, asked)
    packets += [asked, *one.says(0, b"one", 3), error, *one.says(0, b"still one", 9), error, error]
    packets += one.says(1, b"and one", 9)
    packets.append(one.segment(0, RST))  # whether that counts the packets behind it tell
    packets += [*pieces(other.segment(1, PSH | ACK, b"in pieces, as long as it takes")), one.segment(1, ACK)]
    packets += [other.segment(0, ACK), *other.closes()]
    file = transfers.write([(float(at), packet) for at, packet in enumerate(packets)], tmp_path / "both.pcap")
    assert by_two(file) == by_one(file)


@pytest.mark.parametrize("ours_first", [True, False])
def test_a_packet_in_pieces_that_is_told_of_late_hides_none_behind_it(tmp_path: Path, ours_first: bool) -> None:
    one, other = both(ours_first)
    packets = [*other.opens(), one.segment(1, ACK)]  # whose client is who the packets behind it tell
    packets += pieces(other.segment(0, PSH | ACK, b"in pieces, as long as it takes"))
    packets += [one.segment(0, PSH | ACK, b"GET / HTTP/1.1\r\n"), other.segment(1, ACK), one.segment(1, ACK)]
    file = transfers.write([(float(at), packet) for at, packet in enumerate(packets)], tmp_path / "late.pcap")
    assert by_two(file) == by_one(file)


def test_a_conversation_that_is_quoted_before_it_was_captured_is_drawn(tmp_path: Path) -> None:
    """Of the same half, another begins in between."""
    talks = [Talk(port) for port in range(40_000, 40_016)]
    one, other = [each for each in talks if is_ours(Frame(0, 0, next(iter(deepcopy(each).opens())), 54))][:2]
    opening, others = list(one.opens()), list(other.opens())
    packets = [icmp_error(one, opening[0]), others[0], *opening, *others[1:], *other.closes(), *one.closes()]
    file = transfers.write([(at * 1e-6, packet) for at, packet in enumerate(packets)], tmp_path / "quoted.pcap")
    assert by_two(file) == by_one(file)


@pytest.mark.parametrize("ours_first", [True, False])
def test_what_needs_explaining_is_explained_once(tmp_path: Path, ours_first: bool) -> None:
    packets = []
    for talk in both(ours_first):
        packets += [talk.segment(0, SYN | ECE | CWR), talk.segment(1, SYN | ACK | ECE), talk.segment(0, ACK)]
        packets += [talk.segment(0, PSH | ACK | CWR, b"marked"), talk.segment(1, ACK | ECE)]
    file = transfers.write([(float(at), packet) for at, packet in enumerate(packets)], tmp_path / "ecn.pcap")
    drawn = by_two(file)
    assert drawn == by_one(file)
    assert drawn.count("RFC 3168 section 6.1.1") == 1


def test_secrets_open_both_halves(tmp_path: Path) -> None:
    file = tmp_path / "tls.pcap"
    keylog = generate.write_tls(30, file).read_bytes()
    drawn = by_two(file, keylog=keylog)
    assert drawn == by_one(file, keylog=keylog) != by_one(file)


def test_the_command_draws_with_two_what_it_draws_with_one(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(two_processes, "_ENOUGH", 1)
    files = []
    for processors in (True, False):
        monkeypatch.setattr(two_processes, "two_processors", lambda two=processors: two)
        files.append(tmp_path / f"{processors}.txt")
        asked = annotate.Asked(str(mixed), Format.LADDER, b"", b"", False, files[-1], None, None, None)
        assert bulk.halved(asked.file) == processors
        annotate.annotate(asked, "en")
    assert files[0].read_bytes() == files[1].read_bytes()
    assert not bulk.halved(asked.file, b"a server's key"), "one connection may open another"


def test_a_half_that_dies_is_told_and_not_taken_for_the_end(large: Path) -> None:
    ladder = Ladder(Console(file=io.StringIO(), width=80), "en")
    with bulk.rungs(open_capture(str(large)), str(large), ladder) as rungs:
        lines = rungs.lines()
        next(lines)
        for child in children():
            os.kill(int(child), signal.SIGKILL)
        with pytest.raises(LabError, match="half of the file"):
            list(lines)


def test_nothing_stays_behind_where_the_reader_leaves_early(large: Path) -> None:
    ladder = Ladder(Console(file=io.StringIO(), width=80), "en")
    before = children()
    with bulk.rungs(open_capture(str(large)), str(large), ladder) as rungs:
        next(rungs.lines())
        assert len(children()) == len(before) + 1
    assert children() == before


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rungs") / "large.pcap"
    generate.write(20_000, path)
    return path
