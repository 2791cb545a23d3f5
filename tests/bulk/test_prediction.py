"""What the engine passes by is said, to the byte, as it says it packet by packet; and it passes by most of what is."""

from __future__ import annotations

import contextlib
import os
import random
import ssl
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.bulk import chunk, passing, predicting, scan
from lab.bulk.rows import Gone, RowFormat, RowsOfRun, keeps_lines
from lab.bulk.two_processes import ALL
from lab.capture import pcap, source
from lab.capture.pcapng import Writer
from lab.engine import path, walk
from lab.errors import InputError
from lab.model import Frame, Role
from lab.protocols.tcp import room
from lab.protocols.transport import LANES, MOST_PENDING
from lab.runs.recorded import open_run
from tests import transfers
from tests.bulk.test_columns import recounted
from tests.packets import IPV4, OPEN, ladder
from tests.protocols.tcp.test_icmp import error
from tests.protocols.tls import conversation
from tests.protocols.tls.talks import identity
from tests.transfers import Cable, Shape, Transfer

FORMS = pytest.mark.parametrize("form", [RowFormat.CSV, RowFormat.NDJSON, RowFormat.CONVERSATIONS])
CABLES = {
    "clean": Cable(),
    "lossy": Cable(lost=0.02),
    "lossy, seen behind": Cable(lost=0.02, seen_behind=True),
    "late": Cable(late=0.05),
    "all of it": Cable(lost=0.02, late=0.03, doubled=0.01),
}
SHAPES = {
    "IPv4": Shape(),
    "IPv6": Shape(version=6),
    "VLAN": Shape(tagged=True, resets=True),
    "IPv6, VLAN, no timestamps": Shape(6, True, stamps=False),
    "half-closed": Shape(half_closed=True),
}


def talk(dice: random.Random) -> list[tuple[Role, bytes]]:
    """Returns what a connection says: nothing that has a protocol of its own."""
    roles: tuple[Role, Role] = ("client", "server")
    return [
        (roles[dice.randrange(2)], b"-" + dice.randbytes(dice.choice((20, 900, 9_000, 90_000))))
        for _ in range(dice.randrange(3, 9))
    ]


def secret_talk(dice: random.Random, version: ssl.TLSVersion) -> list[tuple[Role, bytes]]:
    """Returns a real handshake, and records behind it that nobody can open."""
    sent, _ = conversation.play(identity().file, "" if version == ssl.TLSVersion.TLSv1_3 else "ECDHE+AESGCM", version)
    roles: tuple[Role, Role] = ("client", "server")
    flights = 3 if version == ssl.TLSVersion.TLSv1_3 else 4
    said = [(roles[role == "server"], bytes(data)) for role, data in sent[:flights]]
    for _ in range(dice.randrange(4, 9)):
        sizes = dice.choices((20, 300, 4_000, 16_401), k=dice.randrange(1, 6))
        said.append((roles[dice.randrange(2)], b"".join(record(dice, size) for size in sizes)))
    if dice.random() < 0.5:
        said.append(("server", record(dice, 19) + record(dice, 50)))  # it may be an alert
        said.append(("client", record(dice, 5_000)))
    return said


def record(dice: random.Random, size: int) -> bytes:
    return b"\x17\3\3" + struct.pack("!H", size) + dice.randbytes(size)


def one_by_one(file: Path, form: RowFormat) -> list[str]:
    gone = Gone(keeps_lines(form))
    with open_run(str(file), frames=False, let_go=gone.take) as run:
        found = RowsOfRun(run, form, gone)
        packets = list(found.packets())
        lines = packets if form is not RowFormat.CONVERSATIONS else [line for _, line in found.conversations()]
        return [*lines, str(found.complaint())]


def predicted(file: Path, form: RowFormat) -> list[str] | None:
    plan = predicting.plan(str(file))
    if plan is None:
        return None
    made = predicting.made(str(file), plan, ALL, form, None, b"", b"")
    with made.run:
        packets = list(made.packets())
        lines = packets if form is not RowFormat.CONVERSATIONS else [line for _, line in made.conversations()]
        return [*lines, str(made.complaint())]


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Returns how many segments have been passed by, each time."""
    told: list[int] = []
    passes = passing.Passing._passes

    def counted(
        self: passing.Passing, of: chunk.Chunk, number: int, at: int, end: int, *more: Any
    ) -> tuple[int, Sequence[int]]:
        found = passes(self, of, number, at, end, *more)
        told.append(found[0] - at - len(found[1]))
        return found

    monkeypatch.setattr(passing.Passing, "_passes", counted)
    return told


@FORMS
@pytest.mark.parametrize(
    ("cable", "shape"), [*zip(CABLES, SHAPES, strict=False), *zip(reversed(CABLES), SHAPES, strict=False)]
)
def test_what_is_passed_by_is_said_as_the_engine_says_it(
    tmp_path: Path, passed: list[int], cable: str, shape: str, form: RowFormat
) -> None:
    dice = random.Random(f"{cable} {shape}")
    made = [Transfer(dice, talk(dice), CABLES[cable], SHAPES[shape], index) for index in range(6)]
    packets = transfers.together(made)
    file = transfers.write(packets, tmp_path / "made.pcap")
    assert predicted(file, form) == one_by_one(file, form)
    assert sum(passed) > len(packets) * (0.6 if cable == "clean" else 0.25)


@FORMS
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("cable", ["clean", "all of it"])
def test_records_without_keys_are_skipped_by_their_headers(
    tmp_path: Path, passed: list[int], cable: str, version: ssl.TLSVersion, form: RowFormat
) -> None:
    dice = random.Random(f"{cable} {version}")
    made = [Transfer(dice, secret_talk(dice, version), CABLES[cable], Shape(4 + 2 * (at % 2)), at) for at in range(6)]
    packets = transfers.together(made)
    file = transfers.write(packets, tmp_path / "made.pcap")
    said = one_by_one(file, form)
    assert predicted(file, form) == said
    assert sum(passed) > len(packets) * (0.5 if cable == "clean" else 0.15)
    name = "encrypted" if version == ssl.TLSVersion.TLSv1_3 else "application-data"
    assert form is RowFormat.CONVERSATIONS or sum(name in row for row in said) > 30


def spoilt(packets: list[tuple[float, bytes]], dice: random.Random) -> Iterator[tuple[float, bytes]]:
    """Yields packets with what happens on real networks, in bad captures, and by malice."""
    held: list[bytes] = []
    rate = dice.choice((0.02, 0.1, 0.4, 1))
    for at, frame in packets:
        what = dice.random() / rate
        if what < 0.01:
            continue  # lost
        if what < 0.02:
            yield at, frame  # twice
        elif what < 0.03:
            held.append(frame)  # late
            continue
        elif what < 0.035:
            changed = bytearray(frame)
            changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
            frame = bytes(changed)
        elif what < 0.04:
            frame = frame[: dice.randrange(20, len(frame))]
        elif what < 0.06 and frame[12:14] == b"\x08\x00":
            where, size = dice.choice(((38, 4), (42, 4), (47, 1), (48, 2)))
            value = int.from_bytes(frame[where : where + size]) + dice.choice((-1, 1, 1428, -1428, 100_000, 1 << 31))
            if where == 47:
                value = dice.choice((0x04, 0x14, 0x11, 0x02, 0x12, 0x18, 0x30, 0x50, 0x10, 0))
            frame = recounted(frame, where, (value % (1 << 8 * size)).to_bytes(size))
        yield at, frame
        if held and dice.random() < 0.3:
            yield at, held.pop(0)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_the_engine_is_the_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    dice = random.Random(seed)
    made = []
    for index in range(dice.choice((1, 4))):
        said = talk(dice) if dice.random() < 0.6 else secret_talk(dice, dice.choice(list(ssl.TLSVersion)[-3:-1]))
        shape = Shape(dice.choice((4, 4, 6)), resets=dice.random() < 0.3, half_closed=dice.random() < 0.4)
        made.append(Transfer(dice, said, dice.choice(list(CABLES.values())), shape, index))
    packets = transfers.together(made)
    if dice.random() < 0.3:
        packets = packets[len(packets) // 3 :]  # begun midway
    file = transfers.write(spoilt(packets, dice), tmp_path / "made.pcap")
    monkeypatch.setattr(chunk, "_MOST", dice.choice((600, 1500, 150_000)))
    monkeypatch.setattr(path, "ROUND", dice.choice((300, 65_536)))
    for form in (RowFormat.CSV, RowFormat.NDJSON, RowFormat.CONVERSATIONS):
        assert predicted(file, form) == one_by_one(file, form)


@FORMS
def test_what_was_captured_behind_its_acknowledgement_stays_under_way(
    tmp_path: Path, passed: list[int], form: RowFormat
) -> None:
    lines = ["c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1", "s> data 1 1 30", "c> ACK 1 61", "s> data 31 1 30"]
    for at in range(10):
        lines += [f"c> data {1 + 60 * at} 61 30", f"c> data {31 + 60 * at} 61 30", f"s> ACK 61 {61 + 60 * at}"]
    lines += ["c> FIN 601 61", "s> ACK 61 602", "s> FIN 61 602", "c> ACK 602 62"]
    file = transfers.write([(at, frame.data) for at, frame in enumerate(ladder(*lines))], tmp_path / "made.pcap")
    assert predicted(file, form) == one_by_one(file, form)
    assert sum(passed) > 10


@pytest.mark.parametrize("unseen", ["what follows", "what is acknowledged"])
def test_ends_are_lost_sight_of_while_records_are_under_way(tmp_path: Path, passed: list[int], unseen: str) -> None:
    dice = random.Random(12)
    said = secret_talk(dice, ssl.TLSVersion.TLSv1_2)[:4]
    said += [("client", record(dice, 900)), ("server", record(dice, 1_400) * 20)] * 3
    packets = Transfer(dice, said, Cable(), Shape()).packets
    if unseen == "what follows":
        del packets[52]
    else:
        when, frame = packets[68]
        far = int.from_bytes(frame[42:46]) + (1 << 31) & 0xFFFFFFFF
        packets[68] = when, recounted(frame, 42, far.to_bytes(4))
    file = transfers.write(packets, tmp_path / "made.pcap")
    assert predicted(file, RowFormat.NDJSON) == one_by_one(file, RowFormat.NDJSON)
    assert sum(passed) > 10


@FORMS
def test_what_is_strange_in_a_conversation_is_left_to_the_engine(
    tmp_path: Path, passed: list[int], form: RowFormat
) -> None:
    dice = random.Random(5)
    one = Transfer(dice, [("server", b"-" * 200_000)], Cable(), Shape())
    quoting = error(Frame(1, 0, one.packets[20][1], 1514), 3, 4).data
    packets = [*one.packets[:24], (one.packets[24][0], quoting), *one.packets[24:], (9e3, bytes(60)), (9e3, b"\1" * 9)]
    file = transfers.write(packets, tmp_path / "made.pcap")
    assert predicted(file, form) == one_by_one(file, form)
    assert not sum(passed)


@FORMS
def test_where_an_end_has_been_lost_sight_of_the_engine_finds_it(
    tmp_path: Path, passed: list[int], form: RowFormat
) -> None:
    dice = random.Random(7)
    said = secret_talk(dice, ssl.TLSVersion.TLSv1_2)[:4]
    for role in ("client", "server", "client"):
        said += [(role, b"\x15\3\3" + struct.pack("!H", 26) + dice.randbytes(26)), (role, record(dice, 9_000) * 9)]
    file = transfers.write(Transfer(dice, said, Cable(), Shape()).packets, tmp_path / "made.pcap")
    assert predicted(file, form) == one_by_one(file, form)
    assert sum(passed) > 20


@FORMS
def test_whom_there_is_no_room_for_is_let_go_of_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: RowFormat
) -> None:
    dice = random.Random(8)
    packets = transfers.together([Transfer(dice, talk(dice), CABLES["lossy"], Shape(), LANES * at) for at in range(9)])
    file = transfers.write(packets, tmp_path / "made.pcap")
    monkeypatch.setattr(room, "MOST_IN_A_LANE", 1)
    monkeypatch.setattr(path, "ROUND", 100)
    monkeypatch.setattr(chunk, "_MOST", 600)
    assert predicted(file, form) == one_by_one(file, form)


@FORMS
def test_a_rst_without_ack_answers_what_is_under_way(tmp_path: Path, form: RowFormat) -> None:
    lines = ["c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1"]
    for at in range(10):
        lines += [f"s> data {1 + 30 * at} 1 30", f"c> ACK 1 {31 + 30 * at}"]
    lines += ["s> data 301 1 4", "c> data 1 301 32", "c> ACK 33 305", "c> data 33 305 1", "c> data 34 305 4"]
    lines += ["s> data 305 1 11", "s> data 316 1 16", "c> data 38 305 11", "c> data 49 305 16", "c> FIN 65 305"]
    lines += ["s> RST 305"] * 8
    file = transfers.write([(at, frame.data) for at, frame in enumerate(ladder(*lines))], tmp_path / "made.pcap")
    assert predicted(file, form) == one_by_one(file, form)


@FORMS
def test_a_rst_that_may_still_be_got_lets_nothing_pass(tmp_path: Path, form: RowFormat) -> None:
    lines = ["c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1", "s> data 1 1 30", "c> ACK 1 31", "c> data 1 31 30"]
    lines += ["c> data 31 31 30", "s> RST 31", *(f"s> data {31 + 30 * at} 61 30" for at in range(3))]
    others = ["c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1"]
    for at in range(150):
        others += [f"s> data {1 + 30 * at} 1 30", f"c> ACK 1 {31 + 30 * at}"]
    frames = ladder(*lines, "c> ACK 61 121")
    frames[-1:-1] = ladder(*others, pair=IPV4._replace(client="198.51.100.7"))  # until when nobody has got it
    file = transfers.write([(at / 1000, frame.data) for at, frame in enumerate(frames)], tmp_path / "made.pcap")
    assert predicted(file, form) == one_by_one(file, form)


@FORMS
@pytest.mark.parametrize("unfinished", [False, True])
def test_acknowledgements_that_are_alike_are_left_to_the_engine(
    tmp_path: Path, form: RowFormat, unfinished: bool
) -> None:
    lines = ["c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1", *(f"s> data {1 + 30 * at} 1 30" for at in range(30))]
    frames = [frame.data for frame in ladder(*lines, *["c> ACK 1 901"] * 20, "s> data 901 1 30", "c> ACK 1 931")]
    frames = [frame[:18] + struct.pack("!H", 900 + number) + frame[20:] for number, frame in enumerate(frames)]
    again = frames[36]
    if unfinished:
        pseudo = int.from_bytes(again[26:34] + struct.pack("!HH", 6, len(again) - 34)) % 0xFFFF
        again = again[:50] + struct.pack("!H", pseudo) + again[52:]
        del frames[38:50]
    frames.insert(-2, again)
    file = transfers.write([(at / 100, frame) for at, frame in enumerate(frames)], tmp_path / "made.pcap")
    assert predicted(file, form) == one_by_one(file, form)


@FORMS
def test_of_what_is_under_way_for_long_the_oldest_is_given_up(tmp_path: Path, form: RowFormat) -> None:
    lines = ["c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1", *(f"c> data {1 + at} 1 1" for at in range(MOST_PENDING + 9))]
    for at in range(MOST_PENDING + 10, MOST_PENDING + 20):
        lines += [f"s> ACK 1 {at}", f"c> data {at} 1 1"]
    frames = ladder(*lines)
    file = transfers.write([(at, frame.data) for at, frame in enumerate(frames)], tmp_path / "made.pcap")
    assert predicted(file, form) == one_by_one(file, form)


@FORMS
def test_no_more_steps_are_noted_and_many_records_may_end_in_a_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passed: list[int], form: RowFormat
) -> None:
    dice = random.Random(9)
    said = secret_talk(dice, ssl.TLSVersion.TLSv1_2)[:4]
    said += [("client", record(dice, 1) * 20_000), ("server", record(dice, 3) * 20_000)]
    file = transfers.write(Transfer(dice, said, Cable(), Shape()).packets, tmp_path / "made.pcap")
    monkeypatch.setattr(walk, "MOST_NOTED", 50)
    assert predicted(file, form) == one_by_one(file, form)
    assert sum(passed) > 100 or form is RowFormat.NDJSON  # of which so many are not passed by


@pytest.mark.parametrize("longer", [False, True])
def test_a_file_may_grow_while_it_is_read_but_not_be_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, longer: bool
) -> None:
    dice = random.Random(10)
    one = Transfer(dice, [("server", b"-" * 5_000_000)], CABLES["lossy"], Shape())
    file = transfers.write(one.packets, tmp_path / "made.pcap")
    monkeypatch.setattr(chunk, "_MOST", 600)
    plan = predicting.plan(str(file))
    assert plan is not None
    made = predicting.made(str(file), plan, ALL, RowFormat.CSV, None, b"", b"")
    said = one_by_one(file, RowFormat.CSV)[:-1]
    with made.run, contextlib.nullcontext() if longer else pytest.raises(InputError, match="changed while it was read"):
        rows: list[str] = []
        for row in made.packets():
            if len(rows) == 5:
                os.truncate(file, file.stat().st_size + 99 if longer else 100_000)
            rows.append(row)
        assert rows == said


def test_a_time_that_is_far_away_is_left_to_the_engine(tmp_path: Path) -> None:
    file = tmp_path / "made.pcapng"
    with file.open("wb") as stream:
        writer = Writer(stream)
        for frame in ladder(*OPEN):
            writer.packet(frame._replace(time=17_000_000_000 * 10**9), ())
        writer.finish()
    plan = predicting.plan(str(file))
    assert plan is None or predicted(file, RowFormat.CSV) == one_by_one(file, RowFormat.CSV)


@pytest.mark.parametrize("what", ["secrets", "block", "packet"])
def test_what_there_may_be_no_room_for_is_left_to_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    file = tmp_path / "made.pcapng"
    with file.open("wb") as stream:
        writer = Writer(stream)
        for frame in ladder(*OPEN):
            writer.packet(frame, ())
            for _ in range(4):
                writer.secrets(b"# nothing but words\n" * 10)
    assert predicting.plan(str(file)) is not None
    if what == "secrets":
        monkeypatch.setattr(source, "MAX_SECRETS", 2000)
    elif what == "block":
        monkeypatch.setattr(scan._Blocks, "largest", 200)
    else:
        monkeypatch.setattr(pcap, "MAX_CAPTURED", 50)
    assert predicting.plan(str(file)) is None


@FORMS
def test_an_acknowledgement_half_a_stream_away_stays_there(tmp_path: Path, passed: list[int], form: RowFormat) -> None:
    lines = ["c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1", "s> data 1 1 5", "c> ACK 1 6", f"s> data 6 {1 - (1 << 31)} 2"]
    lines += ["c> [APU] 1 6 10", *(f"c> data {11 + 10 * at} 6 10" for at in range(8))]
    lines += ["s> ACK 6 41", "s> ACK 6 91", "c> FIN 91 6", "s> FIN 6 92", "c> ACK 92 7"]
    file = transfers.write([(at, frame.data) for at, frame in enumerate(ladder(*lines))], tmp_path / "made.pcap")
    assert predicted(file, form) == one_by_one(file, form)
    assert sum(passed) or form is not RowFormat.CONVERSATIONS


@FORMS
def test_what_was_not_captured_has_not_arrived_for_certain(tmp_path: Path, passed: list[int], form: RowFormat) -> None:
    lines = ["c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1", "s> data 1 1 10", "c> ACK 1 11", "c> ACK 902 11"]
    for at in range(9):
        lines += [f"s> data {11 + 20 * at} 902 10", f"s> data {21 + 20 * at} 902 10", f"c> ACK 902 {31 + 20 * at}"]
    file = transfers.write(
        [(at, frame.data) for at, frame in enumerate(ladder(*lines, "c> RST-ACK 902 191"))], tmp_path / "made.pcap"
    )
    assert predicted(file, form) == one_by_one(file, form)
    assert sum(passed)


@FORMS
def test_whether_an_end_numbers_its_packets_is_told_by_those_passed_by(tmp_path: Path, form: RowFormat) -> None:
    lines = ["c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1"]
    for at in range(140):
        lines += [f"s> data {1 + 30 * at} 1 30", f"c> ACK 1 {31 + 30 * at}"]
    frames = [frame.data for frame in ladder(*lines, *["c> ACK 1 4201 win 0"] * 2, "s> data 4201 1 1", "c> ACK 1 4202")]
    idents = [min(at, 282) for at in range(len(frames))]
    frames = [frame[:18] + struct.pack("!H", 1 + at) + frame[20:] for at, frame in zip(idents, frames, strict=True)]
    file = transfers.write([(at / 100, frame) for at, frame in enumerate(frames)], tmp_path / "made.pcap")
    assert predicted(file, form) == one_by_one(file, form)


@FORMS
def test_a_file_without_a_usual_segment_is_read_too(tmp_path: Path, form: RowFormat) -> None:
    file = transfers.write([(1.0, bytes(60)), (2.0, b"\1" * 9)], tmp_path / "made.pcap")
    assert predicted(file, form) == one_by_one(file, form)


@FORMS
def test_a_pcapng_of_several_interfaces_is_read_too(tmp_path: Path, passed: list[int], form: RowFormat) -> None:
    dice = random.Random(6)
    packets = transfers.together([Transfer(dice, talk(dice), CABLES["lossy"], Shape(), at) for at in range(3)])
    file = tmp_path / "made.pcapng"
    with file.open("wb") as stream:
        writer = Writer(stream)
        for number, (at, frame) in enumerate(packets, 1):
            linktype, data = (1, frame) if number % 3 else (101, frame[14:])
            writer.packet(Frame(number, int(at * 1e6), data, len(data), linktype), ())
        writer.finish()
    assert predicted(file, form) == one_by_one(file, form)
    assert sum(passed) > len(packets) * 0.2


@pytest.mark.parametrize("what", ["cut", "longer", "old", "empty", "comment"])
def test_a_file_that_is_not_sound_is_left_alone(tmp_path: Path, what: str) -> None:
    frames = ladder(*OPEN)
    file = transfers.write([(1.0, frame.data) for frame in frames], tmp_path / "made.pcap")
    data = bytearray(file.read_bytes())
    if what == "cut":
        del data[-1]
    elif what == "longer":
        data[24 + 12 : 24 + 16] = bytes(4)
    elif what == "old":
        data[6:8] = b"\3\0"
    elif what == "empty":
        data = bytearray(b"\xd4\xc3")
    else:
        with file.open("wb") as stream:
            writer = Writer(stream)
            writer.packet(frames[0], ("a comment",))
            writer.finish()
        data = bytearray(file.read_bytes())
    file.write_bytes(data)
    assert predicted(file, RowFormat.CSV) is None
