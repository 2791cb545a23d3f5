"""Makes a small class out of the captures that come with the lab: python -m scripts.classroom FOLDER

Each student's capture is a real one whose connection was moved elsewhere: other initial sequence numbers, another port,
other clocks, with the checksums that follow. Some of the class have copied, some have edited their capture, some have
handed in what nobody can read. So `lab grade` has something to find, and a test knows what.
"""

from __future__ import annotations

import io
import random
import struct
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from lab.capture.pcapng import Writer
from lab.capture.reader import open_capture
from lab.grade import sheet
from lab.grade.assignment import Assignment, load
from lab.grade.facts import Facts
from lab.grade.kinds import KINDS
from lab.grade.places import seen
from lab.grade.recording import facts_of
from lab.model import Frame

CAPTURES = Path(__file__).parents[1] / "captures"
_MOD = 1 << 32
_AT_IP, _AT_TCP = 14, 34  # Ethernet, IPv4 without options


class Moved(NamedTuple):
    """How a connection is moved: what is added to both streams' numbers, both clocks, the client's port, the time."""

    numbers: tuple[int, int]
    clocks: tuple[int, int]
    port: int
    time: int  # nanoseconds


def moved(path: Path, by: Moved) -> bytes:
    """Returns a capture of TCP over IPv4, as it would be had its ends begun elsewhere."""
    frames = []
    client = None
    for frame in open_capture(str(path)):
        data = bytearray(frame.data)
        (source,) = struct.unpack_from("!H", data, _AT_TCP)
        client = source if client is None else client
        _move(data, by, 0 if source == client else 1)
        frames.append(frame._replace(time=(frame.time or 0) + by.time, data=bytes(data)))
    return written(frames)


def _move(data: bytearray, by: Moved, end: int) -> None:
    sequence, acknowledged = struct.unpack_from("!II", data, _AT_TCP + 4)
    port = _AT_TCP + (0 if end == 0 else 2)
    struct.pack_into("!H", data, port, (struct.unpack_from("!H", data, port)[0] + by.port - 1024) % 64511 + 1024)
    struct.pack_into("!I", data, _AT_TCP + 4, (sequence + by.numbers[end]) % _MOD)
    if data[_AT_TCP + 13] & 0x10:
        struct.pack_into("!I", data, _AT_TCP + 8, (acknowledged + by.numbers[1 - end]) % _MOD)
    at, stop = _AT_TCP + 20, _AT_TCP + (data[_AT_TCP + 12] >> 4) * 4
    while at < stop and data[at]:
        kind, size = data[at], 1 if data[at] == 1 else data[at + 1]
        if kind == 8:
            value, echo = struct.unpack_from("!II", data, at + 2)
            echoed = (echo + by.clocks[1 - end]) % _MOD if echo else 0
            struct.pack_into("!II", data, at + 2, (value + by.clocks[end]) % _MOD, echoed)
        for edge in range(at + 2, at + size, 4) if kind == 5 else ():
            number = struct.unpack_from("!I", data, edge)[0]
            struct.pack_into("!I", data, edge, (number + by.numbers[1 - end]) % _MOD)
        at += size
    checksummed(data)


def checksummed(data: bytearray) -> None:
    """Puts right the checksum of a TCP segment over IPv4 (RFC 1071)."""
    segment = _AT_IP + struct.unpack_from("!H", data, _AT_IP + 2)[0]
    data[_AT_TCP + 16 : _AT_TCP + 18] = b"\0\0"
    covered = data[_AT_IP + 12 : _AT_IP + 20] + struct.pack("!HH", 6, segment - _AT_TCP) + data[_AT_TCP:segment]
    total = sum(struct.unpack(f"!{(len(covered) + 1) // 2}H", bytes(covered) + b"\0" * (len(covered) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    struct.pack_into("!H", data, _AT_TCP + 16, ~total & 0xFFFF)


def edited(frames: list[Frame]) -> bytes:
    """Returns a capture in which somebody has changed an acknowledgment number, and left the checksum."""
    data = bytearray(frames[4].data)
    data[_AT_TCP + 11] ^= 1
    return written([*frames[:4], frames[4]._replace(data=bytes(data)), *frames[5:]])


def written(frames: Iterable[Frame]) -> bytes:
    """Returns frames as a pcapng."""
    out = io.BytesIO()
    writer = Writer(out)
    for frame in frames:
        writer.packet(frame, ())
    writer.finish()
    return out.getvalue()


def answers(assignment: Assignment, facts: Facts, chance: random.Random, right: float) -> dict[str, object]:
    """Returns answers of which about so many (0 to 1) are right, the others known mistakes."""
    view = seen(assignment, facts)
    found: dict[str, object] = {}
    for question in assignment.questions:
        kind = KINDS[question.kind]
        if kind.by_person:
            found[question.id] = "because both ends have to know"
            continue
        answer = kind.right(question, view)
        slips = [slip.answer for slip, _ in kind.mistakes(question, view, answer)]
        said = answer.answer if chance.random() < right or not slips else chance.choice(slips)
        found[question.id] = kind.spellings(question, said)[0]
    return found


def make(folder: Path, size: int = 12, seed: int = 1) -> None:
    """Makes a class as a Moodle download has it: of the last five two copies, two edited captures, one bomb."""
    chance = random.Random(seed)
    assignment = load("tcp-open")
    folder.mkdir(parents=True)  # a new one: nothing of anybody's is overwritten
    captures: list[bytes] = []
    for number in range(1, size + 1):
        base = CAPTURES / f"{assignment.proof[number % len(assignment.proof)].replace('/', '-')}.pcapng"
        numbers, clocks = ((chance.randrange(_MOD), chance.randrange(_MOD)) for _ in range(2))
        made = moved(base, Moved(numbers, clocks, chance.randrange(60000), chance.randrange(10**13)))
        student = folder / f"Student {number:02}_{1000 + number}_assignsubmission_file"
        student.mkdir()
        capture = student / "capture.pcapng"
        capture.write_bytes(captures[size - number] if size - 4 <= number <= size - 3 else made)
        captures.append(capture.read_bytes())
        said = answers(assignment, facts_of(capture), chance, 0.5 + number / size / 2)
        (student / sheet.NAME).write_text(sheet.written(assignment, f"s{number:02}", "en", said), "utf-8")
        frames = list(open_capture(str(capture)))
        if number == size - 2:
            capture.write_bytes(edited(frames))
        elif number == size - 1:
            capture.write_bytes(written([*frames[:5], *frames[6:]]))
        elif number == size:
            for each in (capture, student / sheet.NAME):
                each.unlink()
            with zipfile.ZipFile(student / "mine.zip", "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(sheet.NAME, b"#" * (1 << 26))
                archive.writestr("../../capture.pcapng", b"")


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 12)
