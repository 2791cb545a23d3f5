"""What the writer writes is read by our reader, by Scapy and by tshark, and all three must see the same."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapNgReader, rdpcap, wrpcap

from lab.capture import pcapng
from lab.capture.pcapng import Interface, Writer
from lab.capture.reader import Capture, open_capture
from lab.capture.section import Section
from lab.model import Frame
from lab.version import __version__

TIME = 1_767_225_600_123_456_789
SYN = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="192.0.2.1", dst="192.0.2.2") / TCP())
RAW_IP = 101
HOSTS = {"192.0.2.1": "client", "192.0.2.2": "server", "2001:db8::1": "六号"}
COMMENTS = ["TCP opening, step 1", "三次握手第一步：SYN", 'lab1 {"sent": 1}']
FRAMES = [
    Frame(1, TIME, SYN, len(SYN), comments=tuple(COMMENTS)),
    Frame(2, TIME + 1, SYN[:40], 1500),
    Frame(3, None, SYN, len(SYN)),
    Frame(4, TIME + 2, SYN[14:], len(SYN) - 14, RAW_IP, ("raw",)),
    Frame(5, TIME + 2, b"", 60),
]


def write(frames: Iterable[Frame], stream: io.BytesIO | None = None, hosts: Mapping[str, str] = HOSTS) -> bytes:
    stream = stream or io.BytesIO()
    writer = Writer(stream, hosts=hosts)
    for frame in frames:
        writer.packet(frame, frame.comments)
    writer.finish(["that was all", "完"])
    return stream.getvalue()


def read(data: bytes) -> tuple[list[Frame], Capture]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with open_capture(file.name) as capture:
            return list(capture), capture


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields type and body of each block, little-endian."""
    at = 0
    while at < len(data):
        kind, total = struct.unpack_from("<II", data, at)
        assert data[at + total - 4 : at + total] == struct.pack("<I", total)
        yield kind, data[at + 8 : at + total - 4]
        at += total


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "frames.pcapng"
    path.write_bytes(write(FRAMES))
    return path


def tool(*command: str) -> str:
    """Returns what a program of Wireshark prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout


def fields(path: Path, *names: str) -> list[list[str]]:
    """Returns a row for each packet with what tshark shows of these fields, several values joined by `|`."""
    asked = [word for name in names for word in ("-e", name)]
    options = ["-E", "occurrence=a", "-E", "aggregator=|", "-E", "separator=/t"]
    shown = tool("tshark", "-n", "-r", str(path), "-T", "fields", *asked, *options)
    return [line.split("\t") for line in shown.splitlines()]


# Our own reader

times = st.none() | st.integers(0, 2**64 - 1)
comments = st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(COMMENTS), max_size=3)


@st.composite
def frames(draw: st.DrawFn) -> list[Frame]:
    made = []
    for number in range(1, draw(st.integers(0, 6)) + 1):
        data = draw(st.binary(max_size=50))
        length = len(data) + draw(st.sampled_from([0, 0, 1, 1400]))
        linktype = draw(st.sampled_from([1, 1, RAW_IP, 113]))
        made.append(Frame(number, draw(times), data, length, linktype, tuple(draw(comments))))
    return made


@given(frames())
def test_what_is_written_is_what_is_read(written: list[Frame]) -> None:
    got, capture = read(write(written))
    first = written[0].linktype if written else None
    for frame, back in zip(written, got, strict=True):
        simple = not frame.comments and len(frame.data) == frame.length and frame.linktype == first
        assert back == (frame if simple or frame.time is not None else frame._replace(time=0))
    assert capture.problems == []
    assert capture.hosts == HOSTS
    assert capture.closing_comments == ("that was all", "完")


@given(st.binary(min_size=1, max_size=40))
def test_secrets_come_back(secrets: bytes) -> None:
    stream = io.BytesIO()
    writer = Writer(stream)
    writer.secrets(secrets)
    writer.secrets(b"more")
    writer.packet(FRAMES[0], ())
    got, capture = read(stream.getvalue())
    assert (len(got), capture.secrets, capture.problems) == (1, [secrets, b"more"], [])


def test_secrets_stand_where_they_became_known() -> None:
    stream = io.BytesIO()
    writer = Writer(stream)
    writer.secrets(b"early")
    writer.packet(FRAMES[0], ())
    writer.secrets(b"late")
    written = stream.getvalue()
    writer.packet(FRAMES[1], ())
    assert [kind for kind, _ in blocks(stream.getvalue())] == [
        pcapng.SECTION_HEADER, pcapng.INTERFACE_DESCRIPTION, pcapng.DECRYPTION_SECRETS,
        pcapng.ENHANCED_PACKET, pcapng.DECRYPTION_SECRETS, pcapng.ENHANCED_PACKET,
    ]  # fmt: skip
    got, capture = read(written)
    assert (len(got), capture.secrets) == (1, [b"early", b"late"]), "whoever reads along has them before the packet"


def test_a_packet_has_a_direction_where_the_interface_is_a_hosts_own(tshark: str, path: Path) -> None:
    """Bits 0 and 1 of the flags, seen from the interface (section 4.3.1): 1 inbound, 2 outbound."""
    stream = io.BytesIO()
    writer = Writer(stream, interface=Interface("eth0", "the server's", ("of it",), bytes.fromhex("020000000002")))
    back = SYN[6:12] + SYN[:6] + SYN[12:]
    for number, data in enumerate((SYN, back, SYN[14:]), 1):
        linktype = 1 if data[0] == 2 else RAW_IP
        writer.packet(Frame(number, TIME, data, len(data), linktype), ())
    path.write_bytes(stream.getvalue())
    asked = "frame.packet_flags_direction", "frame.interface_name", "frame.interface_description"
    assert fields(path, *asked) == [
        ["0x00000001", "eth0", "the server's"], ["0x00000002", "eth0", "the server's"], ["", "eth0", "the server's"],
    ]  # fmt: skip


def test_the_statistics_count_what_there_was_no_room_for(path: Path) -> None:
    stream = io.BytesIO()
    writer = Writer(stream)
    for frame in FRAMES[:3]:
        writer.packet(frame, ())
    writer.finish((), missed=7, made=1)
    body = dict(blocks(stream.getvalue()))[pcapng.INTERFACE_STATISTICS]
    options = dict(Section("<").options(body, 12))
    assert {code: int.from_bytes(value, "little") for code, value in options.items() if code >= 4} == {
        pcapng.STATISTICS_RECEIVED: 3 - 1 + 7,
        pcapng.STATISTICS_DROPPED: 7,
        pcapng.STATISTICS_DROPPED_BY_SYSTEM: 7,
    }


@pytest.mark.parametrize("lead", ["", "a", "ab"])
def test_a_comment_too_long_for_an_option_is_cut_between_characters(lead: str) -> None:
    stream = io.BytesIO()
    Writer(stream).packet(FRAMES[1], [lead + "握" * 30_000, "after it"])
    (frame,), capture = read(stream.getvalue())
    kept = (65_535 - len(lead)) // 3
    assert frame.comments == (lead + "握" * kept, "after it")
    assert capture.problems == []


def test_the_comments_a_frame_came_with_are_replaced_by_those_given() -> None:
    stream = io.BytesIO()
    Writer(stream).packet(FRAMES[0], ["new"])
    assert read(stream.getvalue())[0][0].comments == ("new",)


class Flushes(io.BytesIO):
    """Remembers what had been written at each flush."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bytes] = []

    def flush(self) -> None:
        self.seen.append(self.getvalue())


def test_every_flush_leaves_a_file_that_can_be_read_as_far_as_it_goes() -> None:
    stream = Flushes()
    whole = write(FRAMES, stream)
    counts = []
    for written in stream.seen:
        got, capture = read(written)
        assert capture.problems == []
        counts.append(len(got))
    assert sorted(set(counts)) == list(range(len(FRAMES) + 1))
    assert stream.seen[-1] == whole


ENDLESS = """
import sys
from lab.capture.pcapng import Interface, Writer
from lab.model import Frame
with open(sys.argv[1], "wb") as stream:
    writer = Writer(stream)
    for number in range(1, 4):
        writer.packet(Frame(number, number, bytes(number), number), ["comment"])
    print("written", flush=True)
    sys.stdin.read()
"""


def test_a_writer_killed_midway_leaves_the_packets_written_so_far(tmp_path: Path) -> None:
    path = tmp_path / "killed.pcapng"
    command = [sys.executable, "-c", ENDLESS, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.kill()
    got, capture = read(path.read_bytes())
    assert [len(frame.data) for frame in got] == [1, 2, 3]
    assert capture.problems == []


def test_a_file_without_packets_is_a_capture_too(tshark: str, tmp_path: Path) -> None:
    path = tmp_path / "none.pcapng"
    path.write_bytes(write([]))
    assert read(path.read_bytes())[0] == []
    assert fields(path, "frame.number") == []


def test_the_blocks_come_in_the_order_wireshark_needs() -> None:
    stream = io.BytesIO()
    writer = Writer(stream, hosts=HOSTS)
    writer.secrets(b"key log")
    for frame in FRAMES[:4]:
        writer.packet(frame, frame.comments)
    writer.finish()
    kinds = [kind for kind, _ in blocks(stream.getvalue())]
    assert kinds == [
        pcapng.SECTION_HEADER,
        pcapng.INTERFACE_DESCRIPTION,
        pcapng.NAME_RESOLUTION,
        pcapng.DECRYPTION_SECRETS,
        pcapng.ENHANCED_PACKET,
        pcapng.ENHANCED_PACKET,
        pcapng.SIMPLE_PACKET,
        pcapng.INTERFACE_DESCRIPTION,
        pcapng.ENHANCED_PACKET,
        pcapng.INTERFACE_STATISTICS,
        pcapng.INTERFACE_STATISTICS,
    ]


# Wireshark


def test_tshark_shows_every_comment(tshark: str, path: Path) -> None:
    shown = [row[0] for row in fields(path, "frame.comment")]
    assert shown == ["|".join(frame.comments) for frame in FRAMES]


def test_tshark_sees_times_to_the_nanosecond_and_both_lengths(tshark: str, path: Path) -> None:
    rows = fields(path, "frame.time_epoch", "frame.cap_len", "frame.len", "frame.interface_name")
    for (time, captured, length, interface), frame in zip(rows, FRAMES, strict=True):
        expected = "" if frame.time is None else f"{frame.time // 10**9}.{frame.time % 10**9:09}"
        assert (time, int(captured), int(length), interface) == (expected, len(frame.data), frame.length, "wire")


def test_tshark_shows_the_hosts_by_name(tshark: str, path: Path) -> None:
    shown = tool("tshark", "-N", "n", "-r", str(path), "-Y", "frame.number == 1")
    assert "client → server" in shown


def test_capinfos_finds_the_application_the_secrets_and_the_statistics(tshark: str, tmp_path: Path) -> None:
    path = tmp_path / "secrets.pcapng"
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.secrets(b"CLIENT_RANDOM 00 11\n")
        for frame in FRAMES:
            writer.packet(frame, ())
        writer.finish()
    shown = tool("capinfos", "-M", str(path))
    assert f"handshake-lab {__version__}" in shown
    assert "Number of decryption secrets in file: 1" in shown
    assert [line.split()[-1] for line in shown.splitlines() if "Number of packets =" in line] == ["4", "1"]


def test_a_file_that_wireshark_has_rewritten_reads_the_same(tshark: str, path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pcapng"
    tool("tshark", "-r", str(path), "-w", str(copy))
    got, capture = read(copy.read_bytes())
    assert [frame._replace(time=0) for frame in got] == [frame._replace(time=0) for frame in FRAMES]
    assert [frame.time for frame in got if frame.number != 3] == [frame.time for frame in FRAMES if frame.number != 3]
    assert capture.problems == []


@pytest.mark.parametrize("kind", ["pcap", "nsecpcap", "modpcap", "pcapng"])
def test_every_format_that_wireshark_writes_is_read(tshark: str, kind: str, tmp_path: Path) -> None:
    source, converted = tmp_path / "source.pcapng", tmp_path / "converted"
    frames = [Frame(n, TIME + n * 1000, SYN[:n], 1500) for n in range(1, 30)]
    source.write_bytes(write(frames, hosts={}))  # Wireshark 4.0 makes no pcap of a file with host names
    tool("tshark", "-r", str(source), "-w", str(converted), "-F", kind)
    got, capture = read(converted.read_bytes())
    tick = 1 if kind in ("pcapng", "nsecpcap") else 1000
    assert got == [frame._replace(time=TIME // tick * tick + frame.number * 1000) for frame in frames]
    assert capture.problems == []


# Scapy


def test_scapy_reads_the_same_packets(path: Path) -> None:
    with RawPcapNgReader(str(path)) as reader:
        rows: list[tuple[bytes, Any]] = list(reader)
    for (data, metadata), frame in zip(rows, FRAMES, strict=True):
        if frame.time is None:
            continue  # Scapy 2.8 takes the snap length 0 of a simple packet for "nothing captured"
        assert (data, metadata.wirelen, metadata.linktype) == (frame.data, frame.length, frame.linktype)
        assert metadata.tshigh << 32 | metadata.tslow == frame.time
        assert [comment.decode() for comment in metadata.comments or []] == list(frame.comments)
        assert metadata.ifname == b"wire"


def test_scapy_dissects_what_was_written(path: Path) -> None:
    packets = rdpcap(str(path))
    assert packets[0][TCP].flags == "S"
    assert packets[3][IP].src == "192.0.2.1"


def test_what_scapy_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "scapy.pcap"
    wrpcap(str(path), [Ether(SYN), Ether(SYN + b"more")])
    with open_capture(str(path)) as capture:
        assert [frame.data for frame in capture] == [SYN, SYN + b"more"]
    assert capture.position == capture.size
