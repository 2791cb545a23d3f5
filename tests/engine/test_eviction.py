"""Very many conversations: what is let go of is told, memory is bounded, and two processes let go of the same."""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path as File

import pytest

from lab.bulk import RowFormat, two_processes
from lab.capture.reader import open_capture
from lab.engine import buffers, path
from lab.engine.path import Path
from lab.model import Frame, Role
from lab.protocols.registry import TRANSPORT, UPPERS
from lab.protocols.tcp import room
from lab.protocols.tcp.conversation import Conversation
from lab.protocols.transport import LANES, Segment, segment
from lab.render import parts
from lab.render.words import wrap
from lab.report.conversations import entry
from lab.runs.recorded import open_run
from scripts import generate
from tests.bulk.test_halved_ladder import by_one, by_two
from tests.bulk.test_two_processes import written
from tests.packets import IPV4, IPV6, Pair, ladder, renumbered

ENDS: tuple[Role, Role] = ("client", "server")
ROUND, ROOM = 1000, 4  # packets from one look to the next, conversations in a lane


@pytest.fixture(autouse=True)
def _little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path, "ROUND", ROUND)
    monkeypatch.setattr(room, "MOST_IN_A_LANE", ROOM)


def opened(count: int, story: tuple[str, ...] = ("c> SYN 0", "s> SYN-ACK 0 1")) -> Iterator[Frame]:
    """Yields conversations of one lane that begin one after the other and do not end."""
    for at in range(count):
        yield from ladder(*story, pair=Pair(client_port=20_000 + at * LANES))


QUIET = ladder(*["c> ACK 1 1"] * ROUND, pair=Pair(client_port=50_001))  # one conversation of another lane


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> File:
    """Real conversations, whole ones and some that never end, and a few packets that come when they are forgotten."""
    file = tmp_path_factory.mktemp("busy") / "busy.pcap"
    frames = list(generate.frames(30_000))
    syns = [frame for frame in frames if frame[47] == 0x02][::5]
    generate._write([*frames[:10_000], *syns, *frames[10_000:], *frames[5_000:6_000]], file)
    return file


@pytest.mark.parametrize("form", [RowFormat.CSV, RowFormat.JSON, RowFormat.CONVERSATIONS])
def test_two_processes_let_go_of_the_same(busy: File, form: RowFormat) -> None:
    alone = written(busy, form, halved=False)
    assert "evicted" in alone
    assert written(busy, form) == alone


def without_who_is_alone(drawn: str) -> list[str]:
    """Returns a ladder's lines but for those that depend on how soon they are drawn: of pieces of connections."""
    told = [line for role in ENDS for line in wrap(parts.alone(role).en, 80)]
    return [line for line in drawn.splitlines() if line not in told]


def test_two_processes_draw_and_count_those_that_are_let_go_of_too(busy: File) -> None:
    alone = by_one(busy)
    assert without_who_is_alone(by_two(busy)) == without_who_is_alone(alone)
    with open_run(str(busy)) as run:
        count = sum(1 for _ in run) and len(run.conversations)  # none is let go of without a word
    assert f"{count} conversations in all" in alone


def test_of_those_that_go_on_the_quiet_go_first_and_it_is_said_of_them() -> None:
    gone: list[Conversation] = []
    frames = renumbered(*opened(ROOM + 3), *QUIET, *opened(1, ("c> ACK 1 1",)))
    mine = Path(TRANSPORT, UPPERS, gone.append)
    records = list(mine.settled(frames))
    assert [which.id for which in gone] == [0, 1, 2]
    assert all(which.evicted and entry(which)["evicted"] for which in gone)
    assert [record.number for record in records if "evicted" in record.labels] == [2, 4, 6], "the answers, on their way"
    assert records[-1].conversation is mine.conversations[-1], "a packet of a forgotten pair begins another"
    assert "evicted" not in entry(mine.conversations[0])


def test_one_that_carries_what_is_read_takes_the_room_of_more() -> None:
    gone: list[Conversation] = []
    request = 'c> data 1 1 x"47 45 54 20 2f 20 48 54 54 50 2f 31 2e 31 0d 0a"'
    carrying = opened(2, ("c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1", request, "s> ACK 1 17"))
    bare = [ladder("c> SYN 0", pair=Pair(client_port=30_000 + at * LANES)) for at in range(ROOM)]
    frames = renumbered(*carrying, *(frame for each in bare for frame in each), *QUIET)
    mine = Path(TRANSPORT, UPPERS, gone.append)
    list(mine.settled(frames))
    assert [which.id for which in gone] == [0, 1], "one of them would leave no room for the others"
    assert len(mine.conversations) == ROOM + 1, "and the one of another lane"


def test_what_is_over_goes_before_what_goes_on_and_is_whole() -> None:
    whole = ("c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1", "c> FIN 1 1", "s> FIN 1 2", "c> ACK 2 2")
    gone: list[Conversation] = []
    ended = [ladder(*whole, pair=Pair(client_port=40_000 + at * LANES)) for at in range(2)]
    frames = renumbered(*opened(ROOM), *ended[0], *ended[1], *QUIET, *opened(1, ("c> ACK 1 1",)))
    records = list(Path(TRANSPORT, UPPERS, gone.append).settled(frames))
    assert [which.id for which in gone] == [ROOM, ROOM + 1]
    assert not any(which.evicted for which in gone)
    assert [entry(which)["closed"] for which in gone] == ["fin", "fin"]
    assert not any("evicted" in record.labels for record in records)


def held() -> int:
    """Returns how many conversations there are."""
    return sum(isinstance(each, Conversation) for each in gc.get_objects())


def test_no_more_are_followed_than_there_is_room_for_and_nothing_of_the_others_stays(busy: File) -> None:
    most = 0
    gc.collect()
    before = held()  # of other tests in this process
    gc.disable()
    try:
        mine = Path(TRANSPORT, UPPERS)
        with open_capture(str(busy)) as capture:
            for record in mine.settled(capture, keep_frames=False):
                if not record.number % 100:
                    most = max(most, len(mine.conversations))
            kept = held() - before
    finally:
        gc.enable()
    assert most <= LANES * ROOM + ROUND
    assert kept <= most, "without the collector of cycles"


def test_every_conversation_has_its_entry_and_the_file_says_how_many_were_let_go_of(busy: File) -> None:
    document = json.loads(written(busy, RowFormat.JSON))
    entries = document["conversations"]
    assert [entry["id"] for entry in entries] == list(range(len(entries)))
    packets = Counter(packet["conversation"] for packet in document["packets"])
    assert [entry["packets"] for entry in entries] == [packets[entry["id"]] for entry in entries]
    evicted = sum("evicted" in entry for entry in entries)
    with open_run(str(busy), frames=False) as run:
        for _ in run.packets():
            pass
        (problem,) = run.about("en")["problems"]
    assert problem["text"].startswith(f"{evicted} conversations were let go of before they had ended: ")


@pytest.mark.parametrize("pair", [IPV4, IPV6])
def test_halves_are_whole_lanes(pair: Pair) -> None:
    found = set()
    for port in range(20_000, 20_040):
        client, server = ladder("c> SYN 0", "s> SYN-ACK 0 1", pair=pair._replace(client_port=port))
        ports = segment(client)
        assert isinstance(ports, Segment)
        ours = (ports.source_port ^ ports.destination_port) % LANES < 7
        for frame in (client, server):
            tagged = frame._replace(data=frame.data[:12] + bytes.fromhex("81000001") + frame.data[12:])
            assert two_processes.is_ours(frame) == two_processes.is_ours(tagged) == ours
        found.add(ours)
    assert found == {True, False}


def test_what_is_carried_keeps_no_more_memory_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that each begin a TLS record and never end it: those that keep most are read no further."""
    monkeypatch.setattr(buffers, "_MOST_HELD", 100_000)
    monkeypatch.setattr(buffers, "_LOOK_AFTER", 20_000)
    begun = b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03" + bytes(1200)
    frames = []
    for at in range(200):
        pair = Pair(client_port=20_000 + at * LANES)
        syn, answer, ack, data = ladder("c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1", "c> data 1 1 1211", pair=pair)
        frames += [syn, answer, ack, data._replace(data=data.data[:-1211] + begun)]
    mine = Path(TRANSPORT, UPPERS)
    kept = []
    for record in mine.annotate(renumbered(*frames)):
        if record.number % 40 == 0:
            carried = [which.above for which in mine.conversations if which.above]
            kept.append(sum(layer.session.held for layer in carried))
    assert max(kept) < 150_000 < 200 * 1211
    assert len([which for which in mine.conversations if which.above and which.above.session.damaged]) > 50
