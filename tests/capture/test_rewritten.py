"""What other tools wrote, written again with our notes: the same packets, and everything they had said beside them."""

from __future__ import annotations

import io
import struct
import subprocess
from pathlib import Path

from lab.capture import pcapng
from lab.capture.reader import open_capture
from lab.capture.section import Section
from lab.engine.journal import is_ours
from lab.runs.recorded import open_run, write_again
from tests.capture.test_reader import block, enhanced, interface, option, section
from tests.packets import OPEN, Pair, ladder

SECOND = 1_000_000_000
LOG = b"CLIENT_RANDOM 00 11\n"


def names(address: bytes, name: bytes) -> bytes:
    record = address + name + b"\0"
    body = struct.pack("<HH", pcapng.NAME_IPV4, len(record)) + record + bytes(-len(record) % 4) + bytes(4)
    return block(pcapng.NAME_RESOLUTION, body)


def secrets(log: bytes) -> bytes:
    return block(pcapng.DECRYPTION_SECRETS, struct.pack("<II", pcapng.TLS_KEY_LOG, len(log)) + log)


def foreign() -> bytes:
    """Two sections of either byte order, four interfaces of three link types and resolutions, every kind of packet."""
    first, second, third = (frame.data for frame in ladder(*OPEN))
    nano, binary = option(9, b"\x09"), option(9, b"\x8a")  # 10^-9 and 2^-10 of a second
    little = section() + interface() + interface(linktype=101, options=nano + option(2, b"tun0"))
    little += names(bytes((192, 0, 2, 2)), b"early") + secrets(LOG)
    little += enhanced(first, options=option(1, b"their first")) + names(bytes((192, 0, 2, 3)), b"late")
    little += block(pcapng.SIMPLE_PACKET, struct.pack("<I", len(second)) + second)
    little += enhanced(third[14:], ticks=5 * SECOND + 7, number=1, options=option(1, b"their third")) + secrets(
        b"# late\n"
    )
    big = section(">") + interface(">", linktype=113, options=option(9, b"\x8a", ">")) + interface(">", snaplen=60)
    cooked = bytes(14) + b"\x08\x00" + ladder("c> SYN 0", pair=Pair(client_port=50_000))[0].data[14:]
    header = struct.pack(">HHIIII", 0, 0, 0, 1 << 10, len(cooked), len(cooked) + 9)
    big += block(
        pcapng.OBSOLETE_PACKET, header + cooked + bytes(-len(cooked) % 4) + option(1, b"their fourth", ">"), ">"
    )
    assert binary
    return little + big + enhanced(first[:60], ">", number=1)


def test_all_that_others_said_is_kept(tmp_path: Path, tshark: str) -> None:
    theirs, ours = tmp_path / "theirs.pcapng", tmp_path / "ours.pcapng"
    theirs.write_bytes(foreign())
    out = io.BytesIO()
    with open_run(str(theirs), words=True) as run:
        write_again(run, out)
        assert run.problems() == []
    ours.write_bytes(out.getvalue())
    with open_capture(str(theirs)) as before, open_capture(str(ours)) as after:
        packets = list(zip(before, after, strict=True))
        for one, other in packets:
            assert other[:1] + other[2:5] == one[:1] + one[2:5], "number, bytes, length and link type"
            assert (other.time or 0) == (one.time or 0)
            assert [text for text in other.comments if not is_ours(text)] == list(one.comments)
        assert [len(one.comments) for one, _ in packets] == [1, 0, 1, 1, 0]
        assert any("[lab]" in text for text in packets[0][1].comments)
        assert after.secrets == before.secrets == [LOG, b"# late\n"]
        assert after.hosts == before.hosts == {"192.0.2.2": "early", "192.0.2.3": "late"}
    fields = ("frame.number", "frame.len", "frame.cap_len", "tcp.stream", "tcp.flags", "tcp.seq", "tcp.len")
    words = [word for field in fields for word in ("-e", field)]
    said = [
        subprocess.run(
            [tshark, "-n", "-r", str(path), "-T", "fields", *words], capture_output=True, check=True, timeout=60
        )
        for path in (theirs, ours)
    ]
    assert said[0].stdout == said[1].stdout
    assert said[0].stdout.count(b"\n") == 5


def of_itself(data: bytes) -> list[list[str]]:
    """Returns the comments of each section."""
    order, found = "<", []
    at = 0
    while at < len(data):
        if data[at : at + 4] == pcapng.SECTION_HEADER.to_bytes(4, "big"):
            order = "<" if data[at + 8 : at + 12] == pcapng.BYTE_ORDER.to_bytes(4, "little") else ">"
        (size,) = struct.unpack_from(order + "I", data, at + 4)
        if data[at : at + 4] == pcapng.SECTION_HEADER.to_bytes(4, "big"):
            options = Section(order).options(data[at + 8 : at + size - 4], 16)
            found.append([value.decode() for code, value in options if code == pcapng.COMMENT])
        at += size
    return found


def test_the_first_section_says_what_the_notes_are_and_says_it_once(tmp_path: Path) -> None:
    theirs = section(options=option(1, b"of them")) + foreign()
    file, rounds = tmp_path / "again.pcapng", []
    file.write_bytes(theirs)
    for scenario in (None, None, "tcp/connection", None):
        out = io.BytesIO()
        with open_run(str(file), words=True) as run:
            write_again(run, out, scenario)
        file.write_bytes(out.getvalue())
        rounds.append(of_itself(out.getvalue()))
    assert [each[1:] for each in rounds] == [[[], []]] * 4, "only the first"
    said = [each[0] for each in rounds]
    assert [len(each) for each in said] == [3] * 4
    assert said[0] == said[1]
    assert said[2] == said[3]
    assert all("of them" in each for each in said)
    assert all(text.startswith(("[lab] tcp/connection: ", "[实验] tcp/connection：", "of them")) for text in said[2])
