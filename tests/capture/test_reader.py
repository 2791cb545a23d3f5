"""Captures are built by hand here, byte by byte, so that the reader is not tested against our own writer alone."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.capture import pcapng
from lab.capture.pcap import MAX_CAPTURED
from lab.capture.reader import Capture, open_capture
from lab.capture.rewrite import Kept, Passed
from lab.capture.section import MOST_OF_OPTIONS
from lab.capture.source import MAX_CLOSING, MAX_CLOSING_BYTES, MAX_KEPT, MAX_NAME, MAX_PROBLEMS, Source
from lab.errors import InputError
from lab.model import Frame

SECOND = 1_000_000_000
NEW_YEAR = 1_767_225_600  # 2026-01-01 in seconds
PACKETS = [b"", b"a", bytes(range(60)), b"four", b"z" * 301]


def read(data: bytes, *, digest: bool = False) -> tuple[list[Frame], Capture]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with open_capture(file.name, digest=digest) as capture:
            return list(capture), capture


def pcap(
    *packets: bytes, order: str = "<", magic: int = 0xA1B2C3D4, linktype: int = 1, fraction: int = 7, more: bytes = b""
) -> bytes:
    file = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, linktype)
    for packet in packets:
        file += struct.pack(order + "IIII", NEW_YEAR, fraction, len(packet), len(packet)) + more + packet
    return file


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    total = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + total + body + total


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<", version: tuple[int, int] = (1, 0), options: bytes = b"") -> bytes:
    return block(pcapng.SECTION_HEADER, struct.pack(order + "IHHq", 0x1A2B3C4D, *version, -1) + options, order)


def interface(order: str = "<", linktype: int = 1, snaplen: int = 0, options: bytes = b"") -> bytes:
    return block(pcapng.INTERFACE_DESCRIPTION, struct.pack(order + "HHI", linktype, 0, snaplen) + options, order)


def enhanced(
    data: bytes, order: str = "<", ticks: int = NEW_YEAR * 1_000_000, number: int = 0, options: bytes = b""
) -> bytes:
    header = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(pcapng.ENHANCED_PACKET, header + data + bytes(-len(data) % 4) + options, order)


def samples() -> dict[str, list[bytes]]:
    """Returns captures as lists of records: joined they are the file, cut between two they are a shorter sound file."""
    found = {}
    for name, order, magic in (("pcap", "<", 0xA1B2C3D4), ("pcap, big-endian, nanoseconds", ">", 0xA1B23C4D)):
        header = pcap(order=order, magic=magic)
        found[name] = [header] + [pcap(packet, order=order, magic=magic)[len(header) :] for packet in PACKETS]
    for name, order in (("pcapng", "<"), ("pcapng, big-endian", ">")):
        comments = option(1, "握手 one".encode(), order) + option(1, b"two", order) + option(0, b"", order)
        resolution = option(9, b"\x03", order) + option(14, struct.pack(order + "q", 5), order)
        found[name] = [
            section(order),
            interface(order),
            interface(order, linktype=101, snaplen=30, options=resolution),
            *(enhanced(packet, order) for packet in PACKETS),
            enhanced(b"with comments", order, options=comments),
            enhanced(b"on another interface", order, ticks=77, number=1),
            block(pcapng.SIMPLE_PACKET, struct.pack(order + "I", 9) + b"no time..", order),
            block(pcapng.NAME_RESOLUTION, option(1, b"\xc0\0\2\1client\0", order) + bytes(4), order),
            block(0x0BAD, b"custom, by someone else", order),
            block(pcapng.INTERFACE_STATISTICS, struct.pack(order + "III", 0, 0, 0) + comments, order),
        ]
    return found


SAMPLES = samples()


# Sound files


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "nanoseconds"), [(0xA1B2C3D4, 7000), (0xA1B23C4D, 7), (0xA1B2CD34, 7000)])
def test_a_pcap_is_read_in_every_byte_order_and_resolution(order: str, magic: int, nanoseconds: int) -> None:
    more = bytes(8) if magic == 0xA1B2CD34 else b""
    frames, capture = read(pcap(*PACKETS, order=order, magic=magic, linktype=113, more=more))
    time = NEW_YEAR * SECOND + nanoseconds
    assert frames == [Frame(n, time, data, len(data), 113) for n, data in enumerate(PACKETS, 1)]
    assert all(type(frame) is Frame for frame in frames)
    assert (capture.format, capture.packets, capture.problems) == ("pcap", len(PACKETS), [])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("version", "swapped"), [((2, 4), False), ((2, 3), True), ((2, 3), False), ((2, 0), True), ((543, 0), True)]
)
def test_old_versions_have_the_two_lengths_the_other_way_round(
    order: str, version: tuple[int, int], swapped: bool, tshark: str, tmp_path: Path
) -> None:
    head = struct.pack(order + "IHHiIII", 0xA1B2C3D4, *version, 0, 0, 65535, 1)
    lengths = ((60, 100), (60, 60))
    records = [
        struct.pack(order + "IIII", NEW_YEAR, 7, *(pair[::-1] if swapped else pair)) + bytes(60) for pair in lengths
    ]
    file = tmp_path / "old.pcap"
    file.write_bytes(head + b"".join(records))
    frames, capture = read(file.read_bytes())
    assert [(len(frame.data), frame.length) for frame in frames] == list(lengths)
    assert not capture.problems
    said = subprocess.run(
        [tshark, "-n", "-r", str(file), "-T", "fields", "-e", "frame.cap_len", "-e", "frame.len"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert said.stdout.splitlines() == ["60\t100", "60\t60"]
    (cut,), _ = read(file.read_bytes()[: len(head) + 40])
    assert (len(cut.data), cut.length) == (24, 100)


def test_the_bits_that_tell_of_a_frame_check_sequence_are_no_part_of_the_linktype() -> None:
    assert read(pcap(b"x", linktype=0x24000001))[0][0].linktype == 1


def test_a_packet_cut_by_the_snap_length_keeps_its_length_on_the_wire() -> None:
    record = struct.pack("<IIII", NEW_YEAR, 0, 3, 1500) + b"cut"
    assert read(pcap() + record)[0] == [Frame(1, NEW_YEAR * SECOND, b"cut", 1500)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "ticks", "nanoseconds"),
    [
        (None, 1_500_000, 1_500_000_000),
        (0, 3, 3 * SECOND),
        (3, 1500, 1_500_000_000),
        (6, 1_500_000, 1_500_000_000),
        (9, 2**64 - 1, 2**64 - 1),
        (12, 1999, 1),
        (127, 2**64 - 1, 0),
        (0x80, 3, 3 * SECOND),
        (0x80 | 10, 1536, 1_500_000_000),
        (0x80 | 63, 2**63, SECOND),
    ],
)
def test_times_are_read_in_any_resolution(order: str, resolution: int | None, ticks: int, nanoseconds: int) -> None:
    options = b"" if resolution is None else option(9, bytes([resolution]), order)
    file = section(order) + interface(order, options=options) + enhanced(b"x", order, ticks)
    frames, capture = read(file)
    assert (frames, capture.problems) == ([Frame(1, nanoseconds, b"x", 1)], [])


@pytest.mark.parametrize("offset", [-1, NEW_YEAR])
def test_the_time_offset_of_an_interface_is_added_to_its_times(offset: int) -> None:
    shift = option(14, struct.pack("<q", offset))
    frames, _ = read(section() + interface(options=shift) + enhanced(b"x", ticks=1_500_000))
    assert frames[0].time == 1_500_000_000 + offset * SECOND


@pytest.mark.parametrize("resolution", [0, 6, 12])
@pytest.mark.parametrize("offset", [-(2**63), 0, 2**63 - 1])
def test_a_time_no_clock_shows_is_left_out_and_noted(resolution: int, offset: int) -> None:
    options = option(9, bytes([resolution])) + option(14, struct.pack("<q", offset))
    frames, capture = read(section() + interface(options=options) + enhanced(b"x", ticks=2**64 - 1))
    if (resolution, offset) == (12, 0):
        assert frames[0].time == (2**64 - 1) // 1000
    else:
        assert (frames[0].time, capture.problems[0].packet) == (None, 1)


def test_each_section_has_its_own_byte_order_and_interfaces() -> None:
    little = section() + interface(linktype=1) + interface(linktype=113) + enhanced(b"1", number=1)
    big = section(">") + interface(">", linktype=101) + enhanced(b"2", ">")
    frames, capture = read(little + big + little)
    assert [(f.number, f.data, f.linktype) for f in frames] == [(1, b"1", 113), (2, b"2", 101), (3, b"1", 113)]
    assert capture.problems == []


def test_interfaces_of_an_earlier_section_are_forgotten() -> None:
    frames, capture = read(section() + interface() + section() + enhanced(b"x"))
    assert (frames, len(capture.problems)) == ([], 1)


@pytest.mark.parametrize(("snaplen", "kept"), [(0, b"seven.."), (3, b"sev"), (100, b"seven..")])
def test_a_simple_packet_has_no_time_and_is_cut_by_the_snap_length(snaplen: int, kept: bytes) -> None:
    simple = block(pcapng.SIMPLE_PACKET, struct.pack("<I", 7) + kept)
    frames, capture = read(section() + interface(snaplen=snaplen) + simple)
    assert (frames, capture.problems) == ([Frame(1, None, kept, 7)], [])


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_obsolete_packet_block_is_read(order: str) -> None:
    header = struct.pack(order + "HHIIII", 0, 3, 0, 5, 2, 90)
    old = block(pcapng.OBSOLETE_PACKET, header + b"ab\0\0" + option(1, b"hi", order), order)
    assert read(section(order) + interface(order) + old)[0] == [Frame(1, 5000, b"ab", 90, 1, ("hi",))]


def test_unknown_and_custom_blocks_are_skipped() -> None:
    others = block(0xBAD, b"custom") + block(0x40000BAD, b"") + block(0x7777, b"unknown")
    frames, capture = read(section() + others + interface() + others + enhanced(b"x") + others)
    assert ([frame.data for frame in frames], capture.problems) == ([b"x"], [])


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("where", ["section", "interface", "packet", "statistics"])
def test_options_without_number_are_read_up_to_a_limit(tmp_path: Path, where: str, again: bool) -> None:
    many = option(1, b"a") * 5000
    made = {
        "section": block(pcapng.SECTION_HEADER, section()[8:24] + many) + interface() + enhanced(b"x"),
        "interface": section() + interface(options=many) + enhanced(b"x"),
        "packet": section() + interface() + enhanced(b"x", options=many),
        "statistics": section() + interface() + enhanced(b"x") + block(pcapng.INTERFACE_STATISTICS, bytes(12) + many),
    }
    (path := tmp_path / "many.pcapng").write_bytes(made[where])
    with open_capture(str(path)) as capture:
        capture.passed = passed = Passed() if again else None
        frames = list(capture)
        problems = [problem.text.en for problem in capture.problems]
        assert [frame.data for frame in frames] == [b"x"]
        assert problems == ["a block has more than 4096 options: the rest is left out"] * (where != "section")
        assert len(frames[0].comments) == (4096 if where == "packet" else 0)
        if passed is not None:
            (first,) = frames
            assert isinstance(first, Kept)
            blocks = [first.block, *(each for _, each in passed.waiting)]
            assert max(len(each.options) for each in blocks) == 4096


@pytest.mark.parametrize("again", [False, True])
def test_options_are_read_up_to_so_many_bytes(tmp_path: Path, again: bool) -> None:
    many = option(1, b"a" * 0xFFFF) * 40
    said = block(pcapng.INTERFACE_STATISTICS, bytes(12) + many)
    (path := tmp_path / "many.pcapng").write_bytes(section() + interface() + enhanced(b"x", options=many) + said)
    with open_capture(str(path)) as capture:
        capture.passed = Passed() if again else None
        (frame,) = capture
        problems = [problem.text.en for problem in capture.problems]
        assert problems == ["a block has more than 2 MB of options: the rest is left out"] * 2
        told = sum(map(len, frame.comments))
        assert MOST_OF_OPTIONS - 66_000 < told <= MOST_OF_OPTIONS
        if again:
            assert isinstance(frame, Kept)
            assert sum(len(value) for _, value in frame.block.options) == told


@pytest.mark.parametrize("said", [(), ("x",)])
def test_of_a_packet_so_many_bytes_are_read(said: tuple[str, ...]) -> None:
    options = b"".join(option(1, each.encode()) for each in said)
    for beyond in (0, 8):
        (frame,), capture = read(HEAD + enhanced(bytes(MAX_CAPTURED + beyond), options=options))
        assert (len(frame.data), frame.length, frame.comments) == (MAX_CAPTURED, MAX_CAPTURED + beyond, said)
        assert len(capture.problems) == bool(beyond)


def test_comments_are_read_among_other_options_and_what_is_no_utf8_is_replaced() -> None:
    options = option(2, bytes(4)) + option(1, "第一步".encode()) + option(1, b"\xff!") + option(1, b"") + option(0, b"")
    frames, _ = read(section() + interface() + enhanced(b"x", options=options + option(1, b"after the end")))
    assert frames[0].comments == ("第一步", "\ufffd!", "")


def test_names_secrets_and_closing_comments_are_kept() -> None:
    names = (
        option(1, bytes([192, 0, 2, 1]) + b"client\0other\0")
        + option(2, socket.inet_pton(socket.AF_INET6, "2001:db8::1") + "服务器".encode() + b"\0")
        + option(3, b"a MAC address")
        + option(1, b"\xc0")  # too short for an address
    )
    secrets = struct.pack("<II", 0x544C534B, 9) + b"CLIENT_..\0\0\0"
    file = section() + block(pcapng.NAME_RESOLUTION, names + bytes(4)) + block(pcapng.DECRYPTION_SECRETS, secrets)
    for comment in (b"first", "再见".encode()):
        file += block(pcapng.INTERFACE_STATISTICS, bytes(12) + option(1, comment))
    frames, capture = read(file)
    assert (frames, capture.problems) == ([], [])
    assert capture.hosts == {"192.0.2.1": "client", "2001:db8::1": "服务器"}
    assert capture.secrets == [b"CLIENT_.."]
    assert capture.closing_comments == ("first", "再见")


@pytest.mark.parametrize("records", SAMPLES.values(), ids=SAMPLES)
def test_position_reaches_the_size_and_packets_counts_as_frames_come(records: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "sample"
    path.write_bytes(b"".join(records))
    with open_capture(str(path)) as capture:
        assert (capture.name, capture.size) == (str(path), path.stat().st_size)
        before = capture.position
        for frame in capture:
            assert capture.packets == frame.number
            assert capture.position >= before + len(frame.data)
            before = capture.position
        assert capture.position == capture.size
        assert list(capture) == []


def test_iterating_again_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "sample"
    path.write_bytes(pcap(*PACKETS))
    with open_capture(str(path)) as capture:
        for frame in capture:
            if frame.number == 2:
                break
        assert [frame.number for frame in capture] == [3, 4, 5]


@pytest.mark.parametrize("end", [b"", b"garbage that is no record" * 100_000])
def test_the_digest_is_of_the_whole_file_also_of_what_could_not_be_read(end: bytes) -> None:
    file = pcap(*PACKETS) + end
    frames, capture = read(file, digest=True)
    assert len(frames) == len(PACKETS)
    assert bool(capture.problems) == bool(end)
    assert capture.sha256 == hashlib.sha256(file).hexdigest()
    assert read(file)[1].sha256 == ""


# What is no capture


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\xd4\xc3", "too short for a capture: 2 bytes"),
        (pcap()[:23], "too short for a capture: 23 bytes, where the header of a pcap file has 24"),
        (section()[:11], "too short for a capture: 11 bytes, where the header of a pcapng file has 12"),
        (section()[:8] + bytes(20), "neither a pcap nor a pcapng"),
        (b"<!DOCTYPE html>", "begins with the bytes 3c 21 44"),
        (b"PK\x03\x04", "is compressed (zip)"),
        (b"snoop\0\0\0\0\0\0\2", "another format (snoop)"),
    ],
)
def test_a_file_that_is_no_capture_is_refused_with_the_reason(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_capture(str(path))
    assert says in caught.value.message.en
    assert caught.value.status == 3
    for text in (caught.value.message, caught.value.hint):
        assert all(line and "{" not in line and "\n" not in line for line in text)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/nowhere/at/{all}.pcap", "there is no file /nowhere/at/{all}.pcap"),
        ("/", "/ is a directory"),
        ("/proc/self/mem", "/proc/self/mem can't be read: Input/output error"),
        ("a\0b", "can't be read: embedded null byte"),
        ("n" * 5000, "File name too long"),
        ("/nowhere/\udcff", "there is no file /nowhere/\ufffd"),
    ],
)
def test_a_path_that_cannot_be_opened_is_refused_with_the_reason(path: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        open_capture(path)
    assert says in caught.value.message.en
    assert caught.value.message.zh != caught.value.message.en


@contextmanager
def without_root() -> Iterator[None]:
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_file_of_someone_else_is_refused_with_the_way_to_get_it(tmp_path: Path) -> None:
    path = tmp_path / "sample"
    path.write_bytes(pcap())
    path.chmod(0)
    with without_root(), pytest.raises(InputError) as caught:
        open_capture(str(path))
    assert "not permitted" in caught.value.message.en
    assert "chown" in caught.value.hint.en


# Damage


def record(captured: int, length: int, data: bytes) -> bytes:
    return struct.pack("<IIII", NEW_YEAR, 0, captured, length) + data


HEAD = section() + interface()
GOOD = enhanced(b"good")
HUGE = 0xFFFFFFFC


def with_lengths(leading: int, trailing: int) -> bytes:
    return GOOD[:4] + struct.pack("<I", leading) + GOOD[8:-4] + struct.pack("<I", trailing)


@pytest.mark.parametrize(
    ("damaged", "frames", "packet", "says"),
    [
        (record(262_145, 262_145, bytes(262_145)), 1, None, "claims 262145 captured bytes"),
        (record(0xFFFFFFFF, 0xFFFFFFFF, b""), 1, None, "claims 4294967295 captured bytes"),
        (record(4, 3, b"long") + record(1, 1, b"x"), 3, 2, "4 captured bytes but claims 3"),
        (record(9, 9, b"part"), 2, 2, "4 of 9 captured bytes"),
        (record(9, 9, b""), 1, None, "16 bytes into the next record"),
        (record(9, 9, b"")[:3], 1, None, "3 bytes into the next record"),
    ],
)
def test_damage_in_a_pcap_is_noted_where_it_is(damaged: bytes, frames: int, packet: int | None, says: str) -> None:
    sound = pcap(b"first")
    got, capture = read(sound + damaged)
    assert len(got) == frames == capture.packets
    assert [(p.offset, p.packet) for p in capture.problems] == [(len(sound), packet)]
    assert says in capture.problems[0].text.en


@pytest.mark.parametrize(
    ("damaged", "frames", "packet", "says"),
    [
        (with_lengths(HUGE, HUGE), 1, None, "claims to be 4294967292 bytes long"),
        (with_lengths(0, 36), 1, None, "claims to be 0 bytes long"),
        (with_lengths(8, 36), 1, None, "claims to be 8 bytes long"),
        (with_lengths(37, 37), 1, None, "claims to be 37 bytes long"),
        (with_lengths(37, 40), 1, None, "claims to be 37 bytes long"),
        (with_lengths(36, 40), 3, None, "36 bytes long by its beginning and 40 by its end"),
        (block(6, struct.pack("<IIIII", 0, 0, 0, 5, 5) + b"four"), 2, None, "claims 5 captured bytes where"),
        (block(6, struct.pack("<IIIII", 0, 0, 0, 0xFFFFFFFF, 0) + b"four"), 2, None, "its block has room for 4"),
        (block(6, struct.pack("<IIIII", 0, 0, 0, 4, 3) + b"four"), 3, 2, "4 captured bytes but claims 3"),
        (block(6, bytes(16)), 2, None, "too small"),
        (block(3, b""), 2, None, "too small"),
        (block(3, struct.pack("<I", 8) + b"four"), 2, None, "claims 8 captured bytes where"),
        (block(2, struct.pack("<HHIIII", 1, 0, 0, 0, 4, 4) + b"four"), 2, None, "interface 1"),
        (enhanced(b"x", number=0xFFFFFFFF), 2, None, "interface 4294967295"),
        (enhanced(bytes(MAX_CAPTURED + 1)), 3, 2, "262145 captured bytes, more than the 262144 that are read"),
        (enhanced(bytes(MAX_CAPTURED + 1), options=option(1, b"x")), 3, 2, "more than the 262144 that are read"),
        (enhanced(b"x", options=struct.pack("<HH", 1, 8) + b"four"), 3, 2, "an option runs over"),
        (interface(options=struct.pack("<HH", 2, 0xFFFF)), 2, None, "an option runs over"),
        (block(1, bytes(4)), 2, None, "too small"),
        (block(5, bytes(8)), 2, None, "too small"),
        (block(10, bytes(4)), 2, None, "too small"),
        (block(10, struct.pack("<II", 0x544C534B, 5) + b"four"), 2, None, "secrets run over"),
        (block(4, struct.pack("<HH", 1, 9) + b"\xc0\0\2\1"), 2, None, "a host name runs over"),
        (section(version=(7, 1)) + interface(), 2, None, "version 7.1"),
        (block(pcapng.SECTION_HEADER, bytes(16)), 1, None, "no valid byte order"),
    ],
)
def test_damage_in_a_pcapng_costs_its_block_alone_where_the_next_can_be_found(
    damaged: bytes, frames: int, packet: int | None, says: str
) -> None:
    sound = HEAD + GOOD
    got, capture = read(sound + damaged + GOOD)
    assert len(got) == frames == capture.packets
    assert [frame.number for frame in got] == list(range(1, frames + 1))
    assert [(p.offset, p.packet) for p in capture.problems] == [(len(sound), packet)]
    assert says in capture.problems[0].text.en
    assert "{" not in capture.problems[0].text.zh


def test_padding_that_a_length_leaves_out_is_passed_over() -> None:
    """As the first writers of pcapng wrote it, and Wireshark reads it."""
    assert len(with_lengths(33, 33)) == 36
    for end in (b"", GOOD):
        frames, capture = read(HEAD + with_lengths(33, 33) + end)
        assert [frame.data for frame in frames] == [b"good", b"good"][: 1 + bool(end)]
        assert not capture.problems


def test_a_damaged_interface_keeps_its_number() -> None:
    frames, capture = read(section() + block(1, bytes(4)) + interface(linktype=101) + enhanced(b"x", number=1))
    assert ([frame.linktype for frame in frames], len(capture.problems)) == ([101], 1)


def test_an_overrunning_comment_does_not_take_those_before_it() -> None:
    options = option(1, b"sound") + struct.pack("<HH", 1, 99)
    assert read(HEAD + enhanced(b"x", options=options))[0][0].comments == ("sound",)


def test_endless_damage_fills_no_memory_with_problems() -> None:
    frames, capture = read(HEAD + block(5, b"") * 5000 + GOOD)
    assert (len(frames), len(capture.problems)) == (1, MAX_PROBLEMS + 1)
    assert "not listed" in capture.problems[-1].text.en


def test_endless_names_and_comments_fill_no_memory_either() -> None:
    long = option(1, b"\xff\xff\xff\xff" + b"h" * (MAX_NAME + 1) + b"\0")
    hosts = long + b"".join(option(1, struct.pack(">I", address) + b"h\0") for address in range(MAX_KEPT + 10))
    closing = block(pcapng.INTERFACE_STATISTICS, bytes(12) + option(1, b"a") + option(1, b"b")) * MAX_CLOSING
    _, capture = read(section() + block(pcapng.NAME_RESOLUTION, hosts) + closing)
    assert (len(capture.hosts), len(capture.closing_comments)) == (MAX_KEPT, MAX_CLOSING)
    assert "255.255.255.255" not in capture.hosts


@pytest.mark.parametrize("begin", ["", "\N{GRINNING FACE}"])  # with it each character takes four bytes
def test_long_closing_comments_fill_no_memory_either(begin: str) -> None:
    text = option(1, begin.encode() + b"a" * 65_000)
    _, capture = read(HEAD + block(pcapng.INTERFACE_STATISTICS, bytes(12) + text) * 200)
    room = sum(map(sys.getsizeof, capture.closing_comments))
    assert MAX_CLOSING_BYTES - 4 * 65_536 < room <= MAX_CLOSING_BYTES
    assert not capture.problems


@pytest.mark.parametrize("comment", ["ab", "握" * 100, "\N{GRINNING FACE}" + "a" * 1000])
def test_a_frame_knows_how_much_memory_its_comments_take(comment: str) -> None:
    file = HEAD + enhanced(b"x", options=option(1, comment.encode()) * 1000)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    (frame,), _ = read(file)
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert 0.7 * taken < frame.size < 1.3 * taken


@pytest.mark.parametrize("kind", [0x0BAD, pcapng.DECRYPTION_SECRETS])
def test_of_a_large_block_no_more_than_two_copies_are_held(kind: int) -> None:
    size = 40 << 20
    large = block(kind, struct.pack("<II", pcapng.TLS_KEY_LOG, size - 8) + bytes(size - 8))
    file = HEAD + large * 2 + GOOD
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    frames, _ = read(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(frames) == 1
    assert peak - before < 2.3 * size


@pytest.mark.parametrize(
    "file",
    [
        pcap(b"x") + record(0xFFFFFFFF, 0xFFFFFFFF, bytes(100)),
        HEAD + with_lengths(HUGE, HUGE),
        HEAD + with_lengths(64 << 20, 64 << 20),
        HEAD + block(6, struct.pack("<IIIII", 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF) + bytes(99)),
        HEAD + block(3, struct.pack("<I", 0xFFFFFFFF) + bytes(99)),
        HEAD + block(10, struct.pack("<II", 0x544C534B, 0xFFFFFFFF)),
        section()[:4] + struct.pack("<I", HUGE) + section()[8:],
    ],
)
def test_a_length_of_four_gigabytes_allocates_nothing(file: bytes) -> None:
    tracemalloc.start()
    _, capture = read(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert capture.problems
    assert peak < 4 << 20


@pytest.mark.parametrize("records", SAMPLES.values(), ids=SAMPLES)
def test_a_capture_cut_anywhere_yields_what_is_there_and_says_so(records: list[bytes]) -> None:
    file = b"".join(records)
    whole, capture = read(file)
    assert capture.problems == []
    boundaries = {sum(map(len, records[:n])) for n in range(1, len(records) + 1)}
    smallest = 24 if capture.format == "pcap" else 12
    for cut in range(len(file)):
        if cut < smallest:
            with pytest.raises(InputError):
                read(file[:cut])
            continue
        frames, capture = read(file[:cut])
        complete, last = whole[: len(frames)], frames[-1:]
        assert bool(capture.problems) == (cut not in boundaries), cut
        if capture.problems and capture.problems[-1].packet:
            assert capture.problems[-1].packet == last[0].number
            assert complete[-1].data.startswith(last[0].data)
            assert last[0]._replace(data=complete[-1].data, comments=complete[-1].comments) == complete[-1]
            complete, frames = complete[:-1], frames[:-1]
        assert frames == complete, cut


@given(st.data())
def test_flipped_bytes_never_raise_and_never_yield_more_than_there_is(data: st.DataObject) -> None:
    file = bytearray(b"".join(data.draw(st.sampled_from(list(SAMPLES.values())))))
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(4, len(file) - 1))] = data.draw(st.integers(0, 255))
    assert_bounded(bytes(file))


@given(st.sampled_from([pcap(), pcap(order=">"), HEAD, section(">") + interface(">")]), st.binary(max_size=300))
def test_noise_after_a_sound_header_never_raises(head: bytes, noise: bytes) -> None:
    assert_bounded(head + noise)


@given(st.binary(max_size=100), st.sampled_from(["<", ">"]), st.sampled_from([1, 2, 3, 4, 5, 6, 10, 0x0A0D0D0A]))
def test_noise_in_a_block_costs_that_block_alone(noise: bytes, order: str, kind: int) -> None:
    file = section(order) + interface(order) + block(kind, noise, order)
    assert_bounded(file)
    if kind != pcapng.SECTION_HEADER:
        assert read(file + enhanced(b"good", order))[0][-1].data == b"good"


def assert_bounded(file: bytes) -> None:
    try:
        frames, capture = read(file)
    except InputError:
        return
    assert sum(len(frame.data) for frame in frames) <= len(file)
    assert [frame.number for frame in frames] == list(range(1, capture.packets + 1))
    assert all(frame.time is None or 0 <= frame.time < 2**64 for frame in frames)
    assert all(len(frame.data) <= frame.length < 2**32 for frame in frames)
    assert all(0 <= problem.offset <= len(file) for problem in capture.problems)
    assert all(problem.packet is None or problem.packet <= len(frames) for problem in capture.problems)


# Bytes that arrive slowly


@contextmanager
def pipe(flags: int = 0) -> Iterator[tuple[str, int]]:
    """Gives a path to read and a descriptor to write."""
    reading, writing = os.pipe2(flags)
    try:
        yield f"/dev/fd/{reading}", writing
    finally:
        os.close(reading)


@pytest.mark.parametrize("size", [1, 3, 50])
@pytest.mark.parametrize("records", SAMPLES.values(), ids=SAMPLES)
def test_bytes_that_arrive_one_by_one_give_the_same_frames(records: list[bytes], size: int) -> None:
    file = b"".join(records)

    def write(descriptor: int) -> None:
        for at in range(0, len(file), size):
            os.write(descriptor, file[at : at + size])
        os.close(descriptor)

    with pipe(os.O_DIRECT) as (path, writing):  # O_DIRECT: each write is a read of its own
        writer = threading.Thread(target=write, args=(writing,))
        writer.start()
        with open_capture(path, digest=True) as capture:
            frames = list(capture)
        writer.join()
    assert frames == read(file)[0]
    assert (capture.problems, capture.size, capture.position) == ([], None, len(file))
    assert capture.sha256 == hashlib.sha256(file).hexdigest()


@pytest.mark.parametrize("records", SAMPLES.values(), ids=SAMPLES)
def test_a_frame_is_there_as_soon_as_its_last_byte_is(records: list[bytes]) -> None:
    with pipe() as (path, writing):
        os.write(writing, records[0])
        with open_capture(path) as capture:
            arrived, frames = records[0], iter(capture)
            for piece in records[1:]:
                os.write(writing, piece)
                arrived += piece
                for expected in read(arrived)[0][capture.packets :]:
                    assert next(frames) == expected  # would wait for ever if it asked for more
            os.close(writing)
            assert list(frames) == []
            assert capture.problems == []


def test_a_descriptor_that_does_not_block_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)

    class Waited(io.FileIO):
        def fileno(self) -> int:  # asked for by whoever waits
            os.write(writing, b"late")
            return super().fileno()

    with Waited(reading) as file:
        assert Source(file, digest=False).fill(4) == 4
    os.close(writing)


READ_STANDARD_INPUT = """
from lab.capture.reader import open_capture
with open_capture("-") as capture:
    for frame in capture:
        print(frame.number, len(frame.data), flush=True)
"""


def test_standard_input_is_read_as_it_arrives() -> None:
    command = [sys.executable, "-c", READ_STANDARD_INPUT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        reader.stdin.write(pcap(b"first"))
        reader.stdin.flush()
        assert reader.stdout.readline() == b"1 5\n"
        reader.stdin.write(pcap(b"second")[24:])
        reader.stdin.close()
        assert reader.stdout.read() == b"2 6\n"
    assert reader.returncode == 0


@contextmanager
def standard_input(descriptor: int) -> Iterator[None]:
    saved = os.dup(0)
    os.dup2(descriptor, 0)
    try:
        yield
    finally:
        os.dup2(saved, 0)
        os.close(saved)


def test_a_terminal_is_refused_as_standard_input() -> None:
    master, terminal = os.openpty()
    with standard_input(terminal), pytest.raises(InputError, match="is a terminal"):
        open_capture("-")
    os.close(master)
    os.close(terminal)


def test_input_that_fails_midway_is_noted_after_the_frames_before_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()
    with receiver, standard_input(receiver.fileno()):
        sender.sendall(pcap(b"first"))
        with open_capture("-") as capture:
            frames = iter(capture)
            assert next(frames).data == b"first"
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sender.close()  # with a reset
            assert list(frames) == []
        assert os.fstat(0), "standard input stays open"
    assert [problem.text.en for problem in capture.problems] == [
        "the file can't be read any further: Connection reset by peer"
    ]
