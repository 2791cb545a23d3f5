"""A pcapng that is annotated keeps all that other tools have put in, and Wireshark reads the same from it."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lab.capture import pcapng, rewrite
from lab.capture.reader import open_capture
from lab.capture.rewrite import Block, Passed
from lab.errors import InputError
from lab.protocols.selection import chosen
from lab.runs.recorded import open_run, write_again
from tests.capture.test_pcapng import fields, tool
from tests.capture.test_reader import NEW_YEAR, SAMPLES, block, interface, option, pcap

LINK: Any = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
V4: Any = IP(src="192.0.2.1", dst="192.0.2.2")
V6: Any = IPv6(src="2001:db8::1", dst="2001:db8::2")
SYN = TCP(sport=40000, dport=8080, flags="S", seq=100)
ANSWER = TCP(sport=8080, dport=40000, flags="SA", seq=300, ack=101)
KEYS = b"CLIENT_RANDOM " + b"0" * 64 + b" " + b"1" * 96 + b"\n"


def blocks(data: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Yields order, type and body of each block of a sound file."""
    at, order = 0, "<"
    while at < len(data):
        if data[at : at + 4] == pcapng.SECTION_HEADER.to_bytes(4, "big"):
            order = "<" if data[at + 8] == 0x4D else ">"
        kind, total = struct.unpack_from(order + "II", data, at)
        assert struct.unpack_from(order + "I", data, at + total - 4) == (total,)
        yield order, kind, data[at + 8 : at + total - 4]
        at += total


def end(order: str) -> bytes:
    return option(0, b"", order)


def header(order: str, length: int = -1) -> bytes:
    told = option(2, b"a Z80", order) + option(4, b"another tool 9.1", order) + option(1, b"of a section", order)
    return block(
        pcapng.SECTION_HEADER, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, length) + told + end(order), order
    )


def packet(order: str, number: int, ticks: int, data: bytes, length: int = 0, options: bytes = b"") -> bytes:
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), length or len(data))
    return block(pcapng.ENHANCED_PACKET, head + data + bytes(-len(data) % 4) + options, order)


def of_others(order: str) -> bytes:
    """Returns a section as others write it."""
    first = option(2, b"eth7", order) + option(3, b"upstairs", order) + option(9, b"\x09", order) + end(order)
    binary = option(2, b"tun0", order) + option(9, b"\x94", order) + option(14, struct.pack(order + "q", 5), order)
    cooked = option(11, b"\0tcp port 8080", order) + option(8, struct.pack(order + "Q", 10**9), order) + end(order)
    flags = option(2, struct.pack(order + "I", 1), order) + option(1, b"seen by someone", order)
    more = option(1, b"and once more", order) + option(4, struct.pack(order + "Q", 3), order) + end(order)
    custom = option(2988, struct.pack(order + "I", 32473) + b"made up", order) + end(order)
    syn, answer = bytes(LINK / V4 / SYN), bytes(V4.copy() / ANSWER)
    now = NEW_YEAR * 10**9
    counted = option(4, struct.pack(order + "Q", 77), order) + option(5, struct.pack(order + "Q", 2), order)
    return b"".join((
        header(order),
        interface(order, 1, 0, first),
        interface(order, 101, 96, binary + end(order)),
        interface(order, 113, 0, cooked),
        block(pcapng.NAME_RESOLUTION, option(1, b"\xc0\0\2\1alpha\0", order) + bytes(4), order),
        block(pcapng.DECRYPTION_SECRETS, struct.pack(order + "II", pcapng.TLS_KEY_LOG, len(KEYS)) + KEYS, order),
        packet(order, 0, now, syn, options=flags + more),
        block(0x0BAD, struct.pack(order + "I", 32473) + b"custom, and may be copied", order),
        packet(order, 1, NEW_YEAR << 20 | 7, answer, 900, custom),
        block(pcapng.OBSOLETE_PACKET, struct.pack(order + "HHIIII", 0, 9, now + 1 >> 32, now + 1 & 0xFFFFFFFF,
                                                  len(syn), len(syn)) + syn + bytes(-len(syn) % 4) + more, order),
        block(pcapng.SIMPLE_PACKET, struct.pack(order + "I", 60) + bytes(60), order),
        block(9, b"__REALTIME_TIMESTAMP=1767225600000000\nMESSAGE=a line of a log\n\n", order),
        packet(order, 0, now + 2, bytes(LINK / V6 / UDP() / Raw(b"no TCP"))),
        block(pcapng.INTERFACE_STATISTICS, struct.pack(order + "III", 0, 5, 6) + counted + end(order), order),
        block(pcapng.INTERFACE_STATISTICS, struct.pack(order + "III", 1, 5, 6) + option(1, b"bye", order) + end(order),
              order),
    ))  # fmt: skip


def annotated(data: bytes, folder: Path, **choice: Any) -> bytes:
    file, out = folder / "in.pcapng", io.BytesIO()
    file.write_bytes(data)
    with open_run(str(file), words=True, **choice) as run:
        write_again(run, out)
    return out.getvalue()


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    """Two sections, of either byte order, as others wrote them and as we write them again."""
    before, after = tmp_path / "before.pcapng", tmp_path / "after.pcapng"
    before.write_bytes(of_others("<") + of_others(">"))
    after.write_bytes(annotated(before.read_bytes(), tmp_path))
    return before, after


def test_every_block_between_the_packets_stays_what_and_where_it_was(both: tuple[Path, Path]) -> None:
    packets = (pcapng.ENHANCED_PACKET, pcapng.OBSOLETE_PACKET, pcapng.SIMPLE_PACKET)
    before, after = ([*blocks(file.read_bytes())] for file in both)
    assert [each[:2] for each in before] == [each[:2] for each in after]
    for at, (ours, theirs) in enumerate(zip(after, before, strict=True)):
        if at == 0:
            end_of_options = 4
            assert ours[2].startswith(theirs[2][:-end_of_options] + option(1, b"")[:2]), "what the notes are comes last"
        elif ours[1] not in packets:
            assert ours == theirs


def test_every_option_of_a_packet_stays_and_our_comments_stand_behind_theirs(both: tuple[Path, Path]) -> None:
    frames = []
    for file in both:
        with open_capture(str(file)) as capture:
            capture.passed = Passed()
            frames.append([(frame, frame.block) for frame in capture if isinstance(frame, rewrite.Kept)])
    for (before, theirs), (after, ours) in zip(*frames, strict=True):
        assert after[:5] == before[:5]
        assert ours[:3] == theirs[:3]
        others = [[each for each in which.options if each[0] != pcapng.COMMENT] for which in (theirs, ours)]
        assert others[0] == others[1]
        assert after.comments[: len(before.comments)] == before.comments
    assert [len(after.comments) - len(before.comments) for (before, _), (after, _) in zip(*frames, strict=True)] == [
        3, 3, 3, 0, 0, 3, 3, 3, 0, 0,
    ]  # fmt: skip


def test_wireshark_reads_the_same(tshark: str, both: tuple[Path, Path]) -> None:
    names = (
        "frame.number", "frame.section_number", "frame.interface_id", "frame.interface_name", "frame.time_epoch",
        "frame.len", "frame.cap_len", "frame.encap_type", "frame.packet_flags", "frame.drop_count", "frame.protocols",
        "tcp.stream", "tcp.seq", "tcp.len",
    )  # fmt: skip
    plain = ("pkt_comment:", "frame.comment")
    rows = [fields(file, *names) for file in both]
    if "frame.section_number" not in tool("tshark", "-G", "fields"):
        rows = [fields(file, *(name for name in names if "section" not in name)) for file in both]
    cleaned = [[[value.replace(plain[0], "") for value in row] for row in each] for each in rows]
    assert cleaned[0] == cleaned[1]
    assert len(rows[0]) >= 10
    comments = [fields(file, "frame.comment") for file in both]
    assert comments[0][0] == ["seen by someone|and once more"]
    assert comments[1][0][0].startswith("seen by someone|and once more|[lab] open 1")


def test_capinfos_finds_the_same(tshark: str, both: tuple[Path, Path]) -> None:
    told = "-tEcsdluaeyizxoFkIDn"  # all but the packets' comments: of these 4.4 dies, in a file of several sections
    changing = ("File name", "File size", "Number of comments", "Comment", "SHA", "RIPEMD", "Strict", "Packet ")
    ours = re.compile(r"Capture comment: +\[(lab|实验)\] ")
    said = [
        [
            line
            for line in tool("capinfos", "-M", told, str(file)).splitlines()
            if not (line.startswith(changing) or ours.match(line))
        ]
        for file in both
    ]
    assert said[0] == said[1]
    assert any("another tool 9.1" in line for line in said[1])


def test_written_again_it_stays_as_it_is(both: tuple[Path, Path], tmp_path: Path) -> None:
    assert annotated(both[1].read_bytes(), tmp_path) == both[1].read_bytes()


@pytest.mark.parametrize("name", ["tcp-connection", "tls-1.3", "websocket-connection"])
def test_a_capture_of_the_lab_stays_as_it_is(name: str, tmp_path: Path) -> None:
    files = sorted(Path("captures").glob("*.pcapng"))
    data = next((file for file in files if file.stem == name), files[0]).read_bytes()
    once = annotated(data, tmp_path)
    assert annotated(once, tmp_path) == once
    assert [each[:2] for each in blocks(once)] == [each[:2] for each in blocks(data)]


def test_a_choice_of_packets_keeps_everything_else(tmp_path: Path) -> None:
    data = of_others("<")
    left = [kind for _, kind, _ in blocks(annotated(data, tmp_path, mine=chosen("port 1")))]
    packets = (pcapng.ENHANCED_PACKET, pcapng.OBSOLETE_PACKET, pcapng.SIMPLE_PACKET)
    assert left == [kind for _, kind, _ in blocks(data) if kind not in packets]


def test_a_section_no_longer_says_how_long_it_is(tmp_path: Path) -> None:
    data = header("<", 1000) + interface() + packet("<", 0, 1, bytes(LINK / V4 / SYN))
    _, _, body = next(blocks(annotated(data, tmp_path)))
    assert struct.unpack_from("<q", body, 8) == (-1,)


def test_a_simple_packet_with_something_to_say_becomes_an_enhanced_one(tshark: str, tmp_path: Path) -> None:
    syn = bytes(LINK / V4 / SYN)
    simple = block(pcapng.SIMPLE_PACKET, struct.pack("<I", len(syn)) + syn)
    file = tmp_path / "out.pcapng"
    file.write_bytes(annotated(header("<") + interface() + simple, tmp_path))
    assert [kind for _, kind, _ in blocks(file.read_bytes())][2:] == [pcapng.ENHANCED_PACKET]
    assert fields(file, "frame.len", "tcp.srcport") == [[str(len(syn)), "40000"]]


DAMAGED = {
    "a packet of nobody": packet("<", 9, 1, b"x"),
    "an option that runs over": interface(options=struct.pack("<HH", 2, 0xFFFF)),
    "an interface too small": block(1, bytes(4)),
    "names that run over": block(4, struct.pack("<HH", 1, 9) + b"\xc0\0\2\1"),
    "secrets that run over": block(10, struct.pack("<II", 0x544C534B, 5) + b"four"),
    "a comment that runs over": packet("<", 0, 1, b"x", options=struct.pack("<HH", 1, 8) + b"four"),
    "ends that differ": packet("<", 0, 1, b"x" * 8)[:-4] + struct.pack("<I", 4),
    "a packet larger than its block": block(6, struct.pack("<IIIII", 0, 0, 0, 99, 99) + b"four"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_damaged_is_written_sound_or_not_at_all(name: str, tshark: str, tmp_path: Path) -> None:
    syn = bytes(LINK / V4 / SYN)
    data = header("<") + interface() + DAMAGED[name] + packet("<", 0, 5, syn)
    file = tmp_path / "out.pcapng"
    for whole in (data, data + packet("<", 0, 6, syn)[:-20]):
        file.write_bytes(annotated(whole, tmp_path))
        said = subprocess.run([tshark, "-n", "-r", str(file)], capture_output=True, text=True, check=True, timeout=60)
        assert "damaged" not in said.stderr
        assert "cut short" not in said.stderr
        with open_capture(str(file)) as capture:
            assert [frame.data for frame in capture][-1] == (syn if whole is data else syn[:40])
            assert not [each for each in capture.problems if "captured bytes" not in each.text.en]


def test_a_pcap_keeps_its_snap_length_and_its_interface_has_no_name(tmp_path: Path) -> None:
    body = next(body for _, kind, body in blocks(annotated(pcap(bytes(LINK / V4 / SYN)), tmp_path)) if kind == 1)
    assert struct.unpack_from("<HHI", body) == (1, 0, 65535)
    assert body[8:] == option(9, b"\x09") + end("<")


@given(st.sampled_from([name for name in SAMPLES if name.startswith("pcapng")]), st.data())
def test_spoilt_anywhere_it_can_still_be_written_and_read(name: str, data: st.DataObject) -> None:
    spoilt = bytearray(b"".join(SAMPLES[name]))
    for _ in range(data.draw(st.integers(1, 4))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        try:
            once = annotated(bytes(spoilt), Path(folder))
        except InputError:
            return
        frames = []
        for each in (bytes(spoilt), once):
            (Path(folder) / "x").write_bytes(each)
            with open_capture(str(Path(folder) / "x")) as capture:
                frames.append([frame[2:5] for frame in capture])
        assert frames[0] == frames[1]
        assert annotated(once, Path(folder)) == once


@pytest.mark.parametrize("order", "<>")
def test_what_is_not_to_be_copied_is_not(order: str, tmp_path: Path) -> None:
    """Draft-ietf-opsawg-pcapng sections 3.5.1 and 4.9."""
    maker = struct.pack(order + "I", 32473)
    kept, secret = (b"".join(option(code, maker + b"made up", order) for code in codes)
                    for codes in ((2988, 2989), (19372, 19373)))  # fmt: skip
    syn = bytes(LINK / V4 / SYN)

    def made(more: bytes, between: bytes) -> bytes:
        said = option(2, b"eth7", order)
        return b"".join((
            block(pcapng.SECTION_HEADER, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + kept + more + end(order),
                  order),
            interface(order, 1, 0, said + kept + more + end(order)),
            block(0x0BAD, maker + b"may be copied", order), between,
            packet(order, 0, NEW_YEAR, syn, options=kept + more + end(order)), between,
            block(pcapng.INTERFACE_STATISTICS, struct.pack(order + "III", 0, 5, 6) + kept + more + end(order), order),
        ))  # fmt: skip

    custom = block(0x40000BAD, maker + b"must not be copied", order)
    assert annotated(made(secret, custom), tmp_path) == annotated(made(b"", b""), tmp_path)


def test_what_was_left_out_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rewrite, "MOST_PASSED", 10_000)
    file = tmp_path / "in.pcapng"
    custom = block(0x0BAD, struct.pack("<I", 32473) + bytes(100))
    file.write_bytes(header("<") + interface() + custom * 200 + packet("<", 0, 1, bytes(LINK / V4 / SYN)))
    with open_run(str(file), words=True) as run:
        write_again(run, io.BytesIO())
        (told,) = run.problems()
    assert "blocks between packets were left out" in told.text.en


def test_blocks_without_end_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrite, "MOST_PASSED", 10_000)
    passed = Passed()
    for _ in range(1000):
        passed.add(0, Block("<", 0x0BAD, bytes(100)))
    assert passed.lost == 1000 - len(passed.waiting)
    assert len(passed.before(None)) == 33
    passed.add(0, Block("<", 0x0BAD, bytes(100)))
    assert len(passed.waiting) == 1


def test_options_of_blocks_that_wait_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrite, "MOST_PASSED", 10_000)
    passed = Passed()
    for _ in range(10):
        passed.add(0, Block("<", 0x0BAD, b"", tuple((2988, bytes(50)) for _ in range(8))))
    assert len(passed.waiting) == 4
    passed.before(None)
    assert passed._bytes == 0
