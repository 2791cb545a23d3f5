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
from lab.grade.predicted import recorded
from lab.grade.recording import facts_of
from lab.model import Frame

CAPTURES = Path(__file__).parents[1] / "captures"
_MOD = 1 << 32
_AT_IP, _AT_TCP = 14, 34  # Ethernet, IPv4 without options


class Moved(NamedTuple):
    """Where a connection is moved. Of each end: what is added to its numbers and its clock, its new port, the text that
    it said first and a new one. Of both: what is added to the time, in nanoseconds, and to the last byte of an address.
    """

    numbers: tuple[int, int]
    clocks: tuple[int, int]
    ports: tuple[int, int]
    time: int
    said: tuple[tuple[bytes, bytes], tuple[bytes, bytes]] = ((b"", b""), (b"", b""))
    hosts: int = 0  # added to the last byte of each address


def moved(frames: Iterable[Frame], by: Moved) -> list[Frame]:
    """Returns a capture of one connection of TCP over IPv4, as it would be had its ends begun elsewhere."""
    listed = list(frames)
    (client,) = struct.unpack_from("!H", listed[0].data, _AT_TCP)
    first: dict[int, int] = {}  # the number of what each end says first
    for frame in listed:
        source, _, number = struct.unpack_from("!HHI", frame.data, _AT_TCP)
        if frame.data[_AT_TCP + 13] & 0x02:
            first.setdefault(0 if source == client else 1, (number + 1) % _MOD)
    found = []
    for frame in listed:
        data = bytearray(frame.data)
        end = 0 if struct.unpack_from("!H", data, _AT_TCP)[0] == client else 1
        _say(data, by.said[end])
        _move(data, by, end, (first.get(0, 0), first.get(1, 0)))
        time = (frame.time or 0) + by.time
        found.append(frame._replace(time=time, data=bytes(data), length=len(data), comments=()))
    return found


def _say(data: bytearray, said: tuple[bytes, bytes]) -> None:
    """Puts one text in the place of another, where a segment has just that."""
    begin, stop = _AT_TCP + (data[_AT_TCP + 12] >> 4) * 4, _AT_IP + struct.unpack_from("!H", data, _AT_IP + 2)[0]
    if said[0] and data[begin:stop] == said[0]:
        data[begin:stop] = said[1]
        struct.pack_into("!H", data, _AT_IP + 2, begin - _AT_IP + len(said[1]))


def _move(data: bytearray, by: Moved, end: int, first: tuple[int, int]) -> None:
    def number(at: int, whose: int) -> None:
        (old,) = struct.unpack_from("!I", data, at)
        before, after = by.said[whose]
        behind = (old - first[whose]) % _MOD >= max(len(before), 1) and (old - first[whose]) % _MOD < _MOD >> 1
        more = len(after) - len(before) if behind else 0
        struct.pack_into("!I", data, at, (old + by.numbers[whose] + more) % _MOD)

    struct.pack_into("!HH", data, _AT_TCP, by.ports[end], by.ports[1 - end])
    number(_AT_TCP + 4, end)
    if data[_AT_TCP + 13] & 0x10:
        number(_AT_TCP + 8, 1 - end)
    at, stop = _AT_TCP + 20, _AT_TCP + (data[_AT_TCP + 12] >> 4) * 4
    while at < stop and data[at]:
        kind, size = data[at], 1 if data[at] == 1 else data[at + 1]
        if kind == 8:
            value, echo = struct.unpack_from("!II", data, at + 2)
            echoed = (echo + by.clocks[1 - end]) % _MOD if echo else 0
            struct.pack_into("!II", data, at + 2, (value + by.clocks[end]) % _MOD, echoed)
        for edge in range(at + 2, at + size, 4) if kind == 5 else ():
            number(edge, 1 - end)
        at += size
    for last in (_AT_IP + 15, _AT_IP + 19):
        data[last] = (data[last] + by.hosts) % 256
    checksummed(data)


def checksummed(data: bytearray) -> None:
    """Puts right the checksums of IPv4 and of the TCP segment in it (RFC 1071)."""
    segment = _AT_IP + struct.unpack_from("!H", data, _AT_IP + 2)[0]
    data[_AT_IP + 10 : _AT_IP + 12] = b"\0\0"
    struct.pack_into("!H", data, _AT_IP + 10, _sum(data[_AT_IP:_AT_TCP]))
    data[_AT_TCP + 16 : _AT_TCP + 18] = b"\0\0"
    covered = data[_AT_IP + 12 : _AT_IP + 20] + struct.pack("!HH", 6, segment - _AT_TCP) + data[_AT_TCP:segment]
    struct.pack_into("!H", data, _AT_TCP + 16, _sum(covered))


def _sum(covered: bytearray) -> int:
    total: int = sum(struct.unpack(f"!{(len(covered) + 1) // 2}H", bytes(covered) + b"\0" * (len(covered) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def edited(frames: list[Frame]) -> bytes:
    """Returns a capture in which somebody has changed an acknowledgment number, and left the checksum."""
    data = bytearray(frames[4].data)
    (old,) = struct.unpack_from("!I", data, _AT_TCP + 8)
    struct.pack_into("!I", data, _AT_TCP + 8, (old + 1000) % _MOD)
    return written([*frames[:4], frames[4]._replace(data=bytes(data)), *frames[5:]])


def written(frames: Iterable[Frame]) -> bytes:
    """Returns frames as a pcapng."""
    out = io.BytesIO()
    writer = Writer(out)
    for frame in frames:
        writer.packet(frame, frame.comments)
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


def elsewhere(chance: random.Random, ports: tuple[int, int]) -> Moved:
    """Returns a place drawn at random, with these ports."""
    numbers, clocks = ((chance.randrange(_MOD), chance.randrange(_MOD)) for _ in range(2))
    return Moved(numbers, clocks, ports, chance.randrange(10**13))


def make(folder: Path, size: int = 12, seed: int = 1) -> None:
    """Makes a class as a Moodle download has it: of the last five two copies, two edited captures, one bomb."""
    chance = random.Random(seed)
    assignment = load("tcp-open")
    folder.mkdir(parents=True)  # a new one: nothing of anybody's is overwritten
    captures: list[bytes] = []
    for number in range(1, size + 1):
        base = CAPTURES / f"{assignment.proof[number % len(assignment.proof)].replace('/', '-')}.pcapng"
        made = written(moved(open_capture(str(base)), elsewhere(chance, (chance.randrange(1024, 65536), 8080))))
        student = folder / f"Student {number:02}_{1000 + number}_assignsubmission_file"
        student.mkdir()
        capture = student / "capture.pcapng"
        copied = size - 4 <= number <= size - 3
        capture.write_bytes(captures[size - number] if copied else made)
        facts = facts_of(capture)
        said = answers(assignment, facts, chance, 0.5 + number / size / 2)
        if not copied:
            mine = sheet.Sheet(assignment.id, f"s{number:02}", {})
            capture.write_bytes(written(recorded(assignment, mine, said, facts)))
        captures.append(capture.read_bytes())
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
