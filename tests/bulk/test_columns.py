"""Columns say of every conversation what the engine says packet by packet, to the byte, or leave it to the engine."""

from __future__ import annotations

import itertools
import random
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.bulk import chunk, passing, prediction
from lab.bulk import conversations as columns
from lab.bulk.columns import Columns
from lab.bulk.rows import Gone, RowFormat, RowsOfRun, keeps_lines
from lab.bulk.templates import Kind
from lab.bulk.two_processes import ALL, OURS
from lab.engine import path
from lab.protocols.tcp import room
from lab.render.rows import conversations_as_one
from lab.render.trace import dump
from lab.runs.recorded import open_run
from scripts import generate
from tests.bulk.test_two_processes import written
from tests.engine.test_before import BEFORE
from tests.packets import IPV6, OPEN, Pair, ladder
from tests.protocols.tcp.test_icmp import error

COUNT = 6000  # packets of a story
# For how many packets somebody waits.
PATIENCES = (
    (path, "_MOST_WAITING"), (columns, "_LONGEST"), (columns, "_APART"), (passing, "_FARTHEST"),
    (prediction, "_PATIENCE"), (chunk, "_MOST"), (chunk, "_TAIL"),
)  # fmt: skip
both = pytest.mark.parametrize("rows", [False, True], ids=["conversations", "rows"])


@pytest.fixture(autouse=True)
def _willing(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take on what they would otherwise leave alone, as nothing would be gained."""
    monkeypatch.setattr(columns, "_MOST_PLAIN", 1.0)


def one_by_one(file: Path, rows: bool = False) -> list[str]:
    """Returns what the engine says, packet by packet: of conversations, or of packets."""
    form = RowFormat.CSV if rows else RowFormat.CONVERSATIONS
    gone = Gone(keeps_lines(form))
    with open_run(str(file), frames=False, let_go=gone.take) as run:
        found = RowsOfRun(run, form, gone)
        packets = list(found.packets())
        return packets if rows else [line for _, line in found.conversations()]


def in_columns(file: Path, rows: bool = False, lanes: frozenset[int] = ALL) -> list[str] | None:
    made = columns.made(str(file), lanes, rows)
    if rows:
        return None if made is None else list(made.packets())
    return None if made is None else [line for _, line in conversations_as_one(made.entries, ())]


def spoilt(frames: list[bytes], dice: random.Random) -> Iterator[bytes]:
    """Yields frames with what happens on real networks, and in bad captures."""
    held: list[bytes] = []
    for frame in frames:
        what = dice.random()
        if what < 0.01:
            continue  # lost
        if what < 0.02:
            yield frame  # twice
        elif what < 0.03:
            held.append(frame)  # late
            continue
        elif what < 0.04:
            changed = bytearray(frame)
            changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
            frame = bytes(changed)
        elif what < 0.05:
            frame = recounted(frame, 47, bytes([dice.choice((0x04, 0x14, 0x11, 0x02, 0x12, 0x18, 0x30, 0x50))]))
        elif what < 0.06:
            frame = recounted(frame, 48, struct.pack("!H", dice.choice((0, 1, 512, 64_240))))
        elif what < 0.07:
            frame = recounted(frame, 42, dice.randbytes(4))
        yield frame
        if held and dice.random() < 0.3:
            yield held.pop(0)


def recounted(frame: bytes, at: int, value: bytes) -> bytes:
    """Returns a frame with other bytes in its TCP header, and a checksum that is right."""
    changed = bytearray(frame)
    changed[at : at + len(value)] = value
    changed[50:52] = bytes(2)
    pseudo = bytes(changed[26:34]) + struct.pack("!HH", 6, len(changed) - 34)
    changed[50:52] = struct.pack("!H", generate.checksum(pseudo + bytes(changed[34:])))
    return bytes(changed)


def saved(frames: list[bytes], folder: Path) -> Path:
    file = folder / "capture.pcap"
    generate._write(frames, file)
    return file


def test_what_goes_by_the_book_is_said_as_the_engine_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved(list(generate.frames(COUNT)), tmp_path)
    known = one_by_one(file)
    asked: list[int] = []
    engine = columns.LaneReader._kind

    def kind(whole: columns.LaneReader, columns_: Columns, begin: int, end: int) -> Kind | None:
        asked.append(begin)
        return engine(whole, columns_, begin, end)

    monkeypatch.setattr(columns.LaneReader, "_kind", kind)
    assert in_columns(file) == known
    assert len(asked) < len(known) / 5, "of each kind one is asked about"


@both
@pytest.mark.parametrize("seed", range(12))
def test_what_does_not_is_left_to_the_engine(tmp_path: Path, seed: int, rows: bool) -> None:
    dice = random.Random(seed)
    file = saved(list(spoilt(list(generate.frames(COUNT)), dice)), tmp_path)
    assert in_columns(file, rows) == one_by_one(file, rows)


@both
@pytest.mark.parametrize("seed", range(6))
def test_where_there_is_no_room_the_same_are_let_go_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, rows: bool
) -> None:
    monkeypatch.setattr(path, "ROUND", 500)
    monkeypatch.setattr(room, "MOST_IN_A_LANE", 12 + 6 * seed)
    dice = random.Random(seed)
    file = saved(list(spoilt(list(generate.frames(COUNT)), dice)), tmp_path)
    known, found = one_by_one(file, rows), in_columns(file, rows)
    assert found in (None, known)
    assert seed < 4 or found == known, "with a little room it is sure"


@both
def test_in_turns_the_same_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: bool) -> None:
    file = saved(list(spoilt(list(generate.frames(COUNT)), random.Random(1))), tmp_path)
    monkeypatch.setattr(columns, "_AT_ONCE", file.stat().st_size // 5)  # three of sixteen lanes
    monkeypatch.setattr(columns, "_WINDOW", 5000)
    assert in_columns(file, rows) == one_by_one(file, rows)


def test_what_is_too_large_for_columns_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved(list(generate.frames(COUNT)), tmp_path)
    monkeypatch.setattr(columns, "_AT_ONCE", file.stat().st_size // 17)
    assert in_columns(file) is None


def test_each_half_says_its_own(tmp_path: Path) -> None:
    file = saved(list(generate.frames(COUNT)), tmp_path)
    found = [in_columns(file, lanes=lanes) or [] for lanes in (OURS, ALL - OURS)]
    assert len(found[0]) + len(found[1]) == len(one_by_one(file))
    assert written(file, RowFormat.CONVERSATIONS) == written(file, RowFormat.CONVERSATIONS, halved=False)


@both
def test_connections_that_carry_something_or_are_no_ipv4_are_said_whole(tmp_path: Path, rows: bool) -> None:
    said, _ = generate.handshakes(2)
    others = [frame.data for frame in ladder(*OPEN, pair=IPV6)]
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    frames = [*generate.frames(2000), *generate.tls_frames(4, said), arp, *others, arp]
    file = saved(frames, tmp_path)
    found = in_columns(file, rows)
    assert found == one_by_one(file, rows)
    assert found
    assert rows or sum('"tls":{' in line for line in found) == 4
    assert ("not-tcp" if rows else "2001:db8") in found[-1]


@both
def test_a_connection_to_itself_and_reused_ports_are_told_apart(tmp_path: Path, rows: bool) -> None:
    stories = [*ladder(*OPEN), *ladder("c> RST 1"), *ladder(*OPEN, pair=Pair(client_isn=99, server_isn=77))]
    mine = ladder(*OPEN, pair=Pair(client="192.0.2.9", server="192.0.2.9", client_port=40_000))
    file = saved([frame.data for frame in (*stories, *mine)] * 3 + list(generate.frames(500)), tmp_path)
    assert in_columns(file, rows) == one_by_one(file, rows)


@pytest.mark.parametrize("what", ["pcapng", "old", "cut", "longer", "cooked", "mostly IPv6"])
def test_what_columns_do_not_help_with_is_not_touched(tmp_path: Path, what: str) -> None:
    frames = list(generate.frames(1000))
    file = saved(frames, tmp_path)
    data = bytearray(file.read_bytes())
    if what == "pcapng":
        data[:4] = b"\x0a\x0d\x0d\x0a"
    elif what == "old":
        data[6:8] = b"\3\0"
    elif what == "cut":
        del data[-1]
    elif what == "longer":
        data[24 + 12 : 24 + 16] = bytes(4)
    elif what == "cooked":
        data[20:24] = struct.pack("<I", 113)
    else:
        data = bytearray(saved([frame.data for frame in ladder(*OPEN, pair=IPV6)] * 100, tmp_path).read_bytes())
    file.write_bytes(data)
    assert columns.made(str(file), ALL, rows=False) is None


def test_every_hole_is_filled(tmp_path: Path) -> None:
    file = saved(list(generate.frames(1000)), tmp_path)
    found = in_columns(file)
    assert found
    assert not any("@" in line or "%" in line for line in found)
    with open_run(str(file), frames=False) as run:
        assert list(run.packets())
        assert found == [dump(which.facts) for which in run.conversations]


@both
def test_what_comes_in_pieces_is_put_together_first(tmp_path: Path, rows: bool) -> None:
    whole = list(generate.frames(400))
    frames = [piece for at, frame in enumerate(whole) for piece in (halved(frame, at) if at % 29 == 3 else [frame])]
    file = saved(frames, tmp_path)
    found = in_columns(file, rows)
    assert found == one_by_one(file, rows)


def halved(frame: bytes, ident: int) -> list[bytes]:
    """Returns a frame's packet in two IP fragments."""
    head, payload = frame[:34], frame[34:]
    found = []
    for at, data, more in ((0, payload[:16], 0x2000), (2, payload[16:], 0)):
        ip = head[14:16] + struct.pack("!HHH", 20 + len(data), ident, more | at) + head[22:24] + bytes(2) + head[26:]
        found.append(head[:14] + ip + data)
    return found


def test_a_fate_that_is_long_unknown_is_told_as_the_engine_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conversation whose answers come 8,700 packets later: its rows went out before anybody knew.

    All patience is an eighth of what it is.
    """
    for module, name in PATIENCES:
        monkeypatch.setattr(module, name, getattr(module, name) // 8)
    frames = list(generate.frames(18_750))
    slow = [frame.data for frame in ladder(*OPEN, "c> data 1 1 5", "s> ACK 1 6", pair=Pair(client_port=51_000))]
    for at, frame in zip((5, 8_763, 8_775, 8_788, 18_125), slow, strict=True):
        frames.insert(at, frame)
    file = saved(frames, tmp_path)
    assert in_columns(file, rows=True) == one_by_one(file, rows=True)
    assert in_columns(file) == one_by_one(file)


@pytest.mark.parametrize("form", [RowFormat.CSV, RowFormat.CONVERSATIONS])
def test_the_command_says_the_same_either_way(tmp_path: Path, form: RowFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = list(spoilt(list(generate.frames(60_000)), random.Random(9)))
    file = saved(frames, tmp_path)
    command = [sys.executable, "-m", "lab", "annotate", str(file), "--format", form]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert said.stdout == written(file, form, halved=False)
    assert said.stderr == ""


@both
def test_an_icmp_error_is_read_with_the_conversation_that_it_quotes(tmp_path: Path, rows: bool) -> None:
    frames: list[bytes] = []
    for port in range(40_000, 40_040):
        pair = Pair(client_port=port)
        talk = ladder(*OPEN, pair=pair) if port % 3 else ladder("c> SYN 0", pair=pair)
        frames += [frame.data for frame in ([*talk, error(talk[-1], 3, 13)] if port % 2 else talk)]
    file = saved(frames, tmp_path)
    assert in_columns(file, rows) == one_by_one(file, rows)
    if not rows:
        assert "icmp-prohibited" in "".join(one_by_one(file))


@both
def test_what_stands_before_a_protocol_is_no_ordinary_data(tmp_path: Path, rows: bool) -> None:
    frames: list[bytes] = []
    for number, (before, _, _) in enumerate(BEFORE.values()):
        for at, data in enumerate((before, before + b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", b"CONNECT the dots")):
            pair = Pair(client_port=41_000 + 3 * number + at)
            talk = ladder(*OPEN, f'c> data 1 1 x"{data.hex()}"', f"s> ACK 1 {1 + len(data)}", pair=pair)
            frames += [frame.data for frame in talk]
    file = saved(frames, tmp_path)
    assert in_columns(file, rows) == one_by_one(file, rows)


@both
def test_what_ecn_s_flags_mean_depends_on_the_syns_here_too(tmp_path: Path, rows: bool) -> None:
    frames: list[bytes] = []
    answers = ("[SA]", "[SAE]", "[SAC]", "[SAECN]")
    for number, (offer, answer) in enumerate(itertools.product(("SYN", "[SEC]", "[SECN]"), answers * 8)):
        pair = Pair(client_port=42_000 + number)
        talk = ladder(
            f"c> {offer} 0", f"s> {answer} 0 1", "c> ACK 1 1", "c> data 1 1 9", "s> [AE] 1 10", "c> [PAC] 10 1 9",
            "s> ACK 1 19", "c> FIN 19 1", "s> FIN 1 20", "c> ACK 20 2", pair=pair,
        )  # fmt: skip
        frames += [frame.data for frame in talk]
    file = saved(frames, tmp_path)
    assert in_columns(file, rows) == one_by_one(file, rows)
    if rows:
        assert {"ecn-echo", "accecn-accepted", "ecn-declined"} <= set(
            re.findall(r"[\w-]+", "".join(one_by_one(file, rows)))
        )


@both
def test_of_one_end_alone_the_same_is_left_open(tmp_path: Path, rows: bool) -> None:
    frames: list[bytes] = []
    for number, (acked, behind) in enumerate(itertools.product((518, 519), (None, 519, 520))):
        for at, first in enumerate((("s> SYN-ACK 0 1",), ("s> SYN-ACK 0 1", "s> ACK 1 1"), ())):
            after = (f"s> ACK 2 {behind}",) if behind else ()
            pair = Pair(client_port=43_000 + 3 * number + at)
            talk = ladder(*first, "s> data 1 518 4", f"s> FIN 5 {acked}", *after, pair=pair)
            frames += [frame.data for frame in talk]
    file = saved(frames, tmp_path)
    assert in_columns(file, rows) == one_by_one(file, rows)
