"""Captures made to exhaust whoever reads them, at a tenth of their size or less: memory flat, time linear in the input.

`python -m scripts.hostile` makes them, and measures them at full size.
"""

from __future__ import annotations

import gc
import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import lab
from lab.app import annotate
from lab.app.formats import Format
from lab.engine import path, walk
from lab.engine.buffers import MOST_TOLD
from lab.engine.path import in_order
from lab.model import Frame
from lab.page.comparison import of_captures
from lab.protocols.registry import TRANSPORT, UPPERS
from lab.protocols.tcp import room
from lab.protocols.tcp.conversation import Conversation
from lab.protocols.tcp.segment import ACK, SYN
from lab.protocols.transport import LANES
from lab.render import ladder
from lab.render.ladder import Ladder
from lab.report import conversations
from lab.report.briefing import Briefing
from lab.report.conversations import entry
from lab.report.packets import packet as as_packet
from lab.runs.recorded import open_run
from lab.runs.run import Run
from scripts.hostile import measure
from scripts.hostile.cases import CASES, make
from scripts.hostile.segments import Talk

SCALE = 0.1
# Two take the longest; of the third, conversations are let go of every 16,384 packets.
SCALES = {"pings": 0.04, "conflicting": 0.04, "claims": 0.25}
WHOLE = ("claims",)  # and until then it takes as much as one in full
MOST_MEMORY = measure.MOST_MEMORY // 2  # bytes: what is loaded, and what may wait, is not smaller for a smaller file
MOST_TIMES, ALWAYS = 8, 1.5  # a file four times as large takes at most so many times as long, and so many seconds

WAITING = ("unanswered-syn", "unanswered-syn-udp", "swapped", "conflicting")
SPEAKING = ("pings", "small-records", "key-exchanges", "finisheds", "alerts")


@pytest.fixture(scope="module")
def base() -> int:
    return measure.run(("-c", "pass")).peak


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Path]]:
    """Returns a tenth of a case and a quarter of that: made once for all forms."""

    @cache
    def pair(name: str) -> list[Path]:
        folder = tmp_path_factory.mktemp(name)
        scale, suffix = SCALES.get(name, SCALE), CASES[name].suffix
        return [make(name, folder / f"{size}{suffix}", scale * size) for size in (1, 0.25)]

    return pair


# What writes packets one by one has one way through the engine, so each kind of case is seen there once.
FORMS = [(name, form) for name in (*WAITING, *SPEAKING) for form in ("ladder", "json", "csv")]
FORMS += [(name, form) for name in ("swapped", "unanswered-syn", "small-records") for form in ("events", "pcapng")]
FORMS += [("options", "pcapng")]  # what others have written is written again
FORMS += [("short-comments", "ladder"), ("statistics", "diff")]
FORMS += [("secrets-one-by-one", "conversations"), ("claims", "csv")]
PIPED = ("secrets-one-by-one",)  # of a file they are read ahead


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("name", "form"), FORMS)
def test_memory_is_bounded_and_time_linear(name: str, form: str, made: Callable[[str], list[Path]], base: int) -> None:
    unlimited = ["--no-limit"] if name.startswith("unanswered") else []  # they are bombs, too
    whole, quarter = (measure.annotate(file, form, name in PIPED, *unlimited) for file in made(name))
    assert whole.status == quarter.status == 0, whole.said
    assert whole.peak - base < (measure.MOST_MEMORY if name in WHOLE else MOST_MEMORY)
    assert whole.seconds < MOST_TIMES * quarter.seconds + ALWAYS


def behind_a_syn(count: int) -> list[Frame]:
    """A SYN that nobody answers, and large packets of a connection that is acknowledged."""
    talk = Talk()
    packets = [Talk(50_000).segment(0, SYN), *talk.opens(), *talk.says(1, bytes(1000 * count), 1000)]
    return [Frame(number, number * 1_000_000, data, len(data)) for number, data in enumerate(packets, 1)]


def test_what_waits_for_room_goes_out_as_it_is_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = behind_a_syn(100)
    told = {record.number: record.labels for record in path.Path(TRANSPORT, UPPERS).settled(frames)}
    assert not any("given-up" in labels for labels in told.values())
    monkeypatch.setattr(path, "_MOST_BYTES", 50_000)
    engine = path.Path(TRANSPORT, UPPERS)
    found = {record.number: record.labels for record in in_order(engine.annotate(frames), engine.undecided)}
    assert list(found) == [frame.number for frame in frames], "each packet once, and in order"
    assert found == {**told, 1: (*told[1], "given-up")}


def test_a_packet_with_ever_so_many_messages_tells_some_and_says_that_there_are_more(tmp_path: Path) -> None:
    file = make("pings", tmp_path / "pings.pcap", 0.002)  # 10,000 of them, in one segment
    with open_run(str(file)) as run:
        pings = [packet for packet in run.packets() if "ping" in packet.labels]
        (report,) = run.conversations
    assert len(pings[0].messages) == MOST_TOLD
    assert "too-much" in pings[0].labels
    assert report.facts["websocket"]["message_count"] == 10_000, "all are counted"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_bomb_ends_in_two_lines_and_a_way_to_go_on(tmp_path: Path, base: int) -> None:
    bomb = make("bomb-bzip2", tmp_path / "bomb.pcap.bz2", 0.11)  # 288 MB of zeros in a kilobyte
    assert bomb.stat().st_size < 2000
    refused = measure.annotate(bomb, "json")
    assert refused.status == 3
    error, hint = refused.said.splitlines()
    assert "more than 400 times" in error
    assert "--no-limit" in hint
    assert measure.annotate(bomb, "csv", False, "--lang", "zh").said.count("--no-limit") == 1
    through = measure.annotate(bomb, "csv", False, "--no-limit")
    assert (through.status, through.said) == (0, "")
    assert max(refused.peak, through.peak) - base < MOST_MEMORY


def test_a_conversation_with_ever_so_many_steps_says_that_not_all_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk()
    packets = [*talk.opens()]
    for _ in range(20):  # the same SYN-ACK, answered each time
        packets += [talk.segment(1, SYN | ACK, seq=5000), talk.segment(0, ACK)]
    frames = [Frame(number, number * 2_000_000_000, data, len(data)) for number, data in enumerate(packets, 1)]

    def told() -> dict[str, Any]:
        engine = path.Path(TRANSPORT, UPPERS)
        list(engine.settled(frames))
        return entry(engine.conversations[0])

    whole = told()
    assert "steps_left_out" not in whole
    assert max(len(step["packets"]) for step in whole["steps"]) > 10
    monkeypatch.setattr(walk, "MOST_NOTED", 3)
    monkeypatch.setattr(conversations, "MOST_NOTED", 3)
    cut = told()
    assert cut["steps_left_out"]
    assert max(len(step["packets"]) for step in cut["steps"]) < 10


@pytest.mark.parametrize(("form", "explain"), [(Format.EVENTS, None), (Format.LADDER, "3000"), (Format.CSV, None)])
def test_of_conversations_that_are_let_go_of_no_more_is_kept_than_is_shown(
    form: Format, explain: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Run] = []

    class Watched(Run):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            runs.append(self)

    monkeypatch.setattr(annotate, "Run", Watched)
    monkeypatch.setattr(annotate, "MOST_AT_THE_END", 70)
    monkeypatch.setattr("lab.runs.run.MOST_AT_THE_END", 70)
    monkeypatch.setattr(path, "ROUND", 500)
    monkeypatch.setattr(room, "MOST_IN_A_LANE", 4)
    syns, out = make("syns", tmp_path / "syns.pcap", 0.006), tmp_path / "out"
    annotate.annotate(annotate.Asked(str(syns), form, b"", b"", False, out, explain, None, None), "en")
    (watched,) = runs
    assert watched.evicted > 2000
    assert len(watched.reports()) <= 70 + LANES * 4 + 500
    if form is Format.EVENTS:
        last = json.loads(out.read_text("utf-8").splitlines()[-1])
        assert [each["id"] for each in last["conversations"]] == list(range(70))
        assert last["file"]["problems"][-1]["text"] == "of 3000 conversations only the first 70 are told of here"


@pytest.mark.parametrize(
    ("name", "scale", "kind", "much"), [("syns", 0.001, Conversation, 0), ("secrets", 0.05, Run, None)]
)
def test_nothing_of_a_capture_stays_while_it_is_compared_with_the_next(
    name: str, scale: float, kind: type, much: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither where it has many objects nor where few hold many bytes."""
    held: list[int] = []

    def opened(*arguments: Any, **options: Any) -> Run:
        held.append(sum(isinstance(each, kind) for each in gc.get_objects()))
        return open_run(*arguments, **options)

    if much is not None:
        monkeypatch.setattr("lab.runs.compare._MUCH", much)
    monkeypatch.setattr("lab.runs.api.open_run", opened)
    monkeypatch.setattr("lab.page.comparison.open_run", opened)
    file = str(make(name, tmp_path / f"{name}{CASES[name].suffix}", scale))
    gc.collect()
    gc.disable()  # as the command does
    try:
        lab.compare(file, file)
        of_captures(file, file, (0, 0))
    finally:
        gc.enable()
    assert held[1] == held[0]
    assert held[3] <= held[2], "nor on a page"


def test_a_summary_watches_no_conversation_that_it_has_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "ROUND", 500)
    monkeypatch.setattr(room, "MOST_IN_A_LANE", 4)
    briefing = Briefing()
    with open_run(str(make("syns", tmp_path / "syns.pcap", 0.006)), let_go=briefing.over) as run:  # 3,000
        for packet in run.packets():
            briefing.packet(packet)
            assert len(briefing._watched) + len(briefing._late) <= LANES * 4 + 1000
    assert briefing.count > 2000


def test_what_nobody_acknowledges_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk()
    packets = [*talk.opens(), *talk.says(0, bytes(500), 1, answered=False)]
    frames = [Frame(number, number * 1_000_000, data, len(data)) for number, data in enumerate(packets, 1)]
    monkeypatch.setattr(path, "_MOST_WAITING", 300)
    monkeypatch.setattr(path, "_MOST_OPEN", 50)
    engine = path.Path(TRANSPORT, UPPERS)
    for record in in_order(engine.annotate(frames), engine.undecided):
        last = record.number
        if last == 100:
            break
    assert len(engine.conversations[0].client.pending) <= 351


def test_of_ever_so_many_conversations_a_ladder_knows_only_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    talks = [Talk(port) for port in range(50_000, 50_200)]
    packets = [packet for talk in talks for packet in talk.opens()]
    packets += [*talks[0].says(0, b"once more", 9), *talks[-1].says(0, b"and the newest", 14)]
    frames = [Frame(number, number * 1_000_000, data, len(data)) for number, data in enumerate(packets, 1)]

    def rungs() -> tuple[list[str], int]:
        drawing = Ladder(Console(file=io.StringIO(), width=100), "en")
        records, most = path.Path(TRANSPORT, UPPERS).settled(frames), 0
        drawn = []
        for record in records:
            drawn.append(drawing.lines(as_packet(record)))
            most = max(most, len(drawing._drawn))
        return drawn, most

    whole, kept = rungs()
    assert kept == 200
    monkeypatch.setattr(ladder, "_MOST_DRAWN", 16)
    cut, kept = rungs()
    assert kept <= 16
    assert [at for at, lines in enumerate(cut) if lines != whole[at]] == [600], "the first, which has been let go of"
    again = [line for line in cut[600].splitlines() if "ISN" not in line]  # said once more; not that it begins
    assert again == whole[600].splitlines()
