"""Makes a course as a teacher has it, marks it, and holds what was found against what is in it.

python -m scripts.course FOLDER [STUDENTS] [REAL]

Each student of a roster gets a variant by the course's key. Some captures are made by real runs of these variants, at
least one for each scenario, end that closes first and set of rules. Every other student's is one of those, moved to
be of their own variant: their ports and texts, other addresses, initial sequence numbers and clocks, the numbers
behind a text that is longer or shorter, both checksums. Of the last thirty ten have copied, ten have edited their
capture, and ten have handed in what nobody should open.
"""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))  # run as a file, a script sees only its own folder

from lab.capture.reader import open_capture
from lab.grade import keys, roster, sheet
from lab.grade.assignment import Assignment, load
from lab.grade.handing_out import fill
from lab.grade.kinds import KINDS
from lab.grade.places import seen
from lab.grade.playing import run_of
from lab.grade.recording import facts_of
from lab.grade.submissions import CAPTURE
from lab.grade.variant import Variant, derive
from lab.model import Frame
from lab.text import LANGUAGES
from scripts.classroom import Moved, answers, checksummed, edited, elsewhere, moved, written

ASSIGNMENT = "tcp-close"
_COPIED, _EDITED, _HOSTILE = 10, 10, 10
_AT_TCP = 34
_ALL_RIGHT = 5  # each fifth student has everything right


class Course(NamedTuple):
    """What was made. `expected` are the codes of findings that each submission must have; who is in neither has none.
    `spoilt` are those that can't be read, or not all of them; `points` is known of those who have all right."""

    handed_in: Path
    key: Path
    real: int
    expected: dict[str, set[str]]
    spoilt: set[str]
    points: dict[str, float]


def make(folder: Path, size: int, real: int, seed: int = 1) -> Course:
    """Makes a course in a new folder."""
    course = Course(folder / "handed-in", folder / "course.key", real, {}, set(), {})
    course.handed_in.mkdir(parents=True)
    keys.make(course.key)
    assignment, chance = load(ASSIGNMENT), random.Random(seed)
    (folder / "roster.csv").write_text("student\n" + "".join(f"{2025000 + at}\n" for at in range(size)), "utf-8")
    students = roster.read(folder / "roster.csv").students
    variants = [derive(assignment, each, keys.read(course.key)) for each in students]
    made = _played(folder, assignment, variants, real)
    for at, (student, variant) in enumerate(zip(students, variants, strict=True)):
        frames = made[student] if student in made else _derived(variant, made, variants, chance)
        _hand_in(course, assignment, variant, frames, chance, all_right=at % _ALL_RIGHT == 0)
    _cheat(course, students, chance)
    return course


def _played(folder: Path, assignment: Assignment, variants: list[Variant], real: int) -> dict[str, list[Frame]]:
    """Plays the variants of some students, for each kind at least one, and returns their captures by student."""
    first = list({each.kind: each for each in reversed(variants)}.values())
    chosen = [*first, *(each for each in variants if each not in first)][: max(real, len(first))]
    found = {}
    for variant in chosen:
        place = folder / "played" / variant.student
        fill(place, assignment, variant, ("en",))
        run_of(variant, place, "netns").play_on()
        found[variant.student] = list(open_capture(str(place / CAPTURE)))
    return found


def _derived(
    variant: Variant, made: dict[str, list[Frame]], variants: list[Variant], chance: random.Random
) -> list[Frame]:
    """Returns a capture of a variant, out of a real one of its kind."""
    base = chance.choice([each for each in variants if each.student in made and each.kind == variant.kind])
    return _as_of(variant, base, made[base.student], chance)


def _as_of(variant: Variant, base: Variant, frames: list[Frame], chance: random.Random) -> list[Frame]:
    old, new = base.choices, variant.choices
    ports = (new.client_port or 0, new.port or 0)
    said = tuple(
        ((before or "").encode(), (after or "").encode())
        for before, after in ((old.hello, new.hello), (old.answer, new.answer))
    )
    place = elsewhere(chance, ports)
    return moved(frames, place._replace(said=(said[0], said[1]), hosts=16 * chance.randrange(8)))


def _hand_in(
    course: Course,
    assignment: Assignment,
    variant: Variant,
    frames: list[Frame],
    chance: random.Random,
    all_right: bool,
) -> None:
    place = course.handed_in / variant.student
    place.mkdir()
    (place / CAPTURE).write_bytes(written(frames))
    facts = facts_of(place / CAPTURE)
    said = answers(assignment, facts, chance, 1.0 if all_right else 0.6)
    if all_right:
        view = seen(assignment, facts)
        for question in assignment.questions:
            kind = KINDS[question.kind]
            if not kind.by_person:
                said[question.id] = chance.choice(kind.spellings(question, kind.right(question, view).answer))
        course.points[variant.student] = sum(
            each.points for each in assignment.questions if not KINDS[each.kind].by_person
        )
    lang = chance.choice(LANGUAGES)
    (place / sheet.NAME).write_text(sheet.written(assignment, variant.student, lang, said), "utf-8")


def _cheat(course: Course, students: list[str], chance: random.Random) -> None:
    spoilt = students[-_HOSTILE:]
    changed = students[-_HOSTILE - _EDITED : -_HOSTILE]
    copied = students[-_HOSTILE - _EDITED - _COPIED : -_HOSTILE - _EDITED]
    honest = students[: len(students) - _COPIED - _EDITED - _HOSTILE]
    for at, (student, victim) in enumerate(zip(copied, chance.sample(honest, _COPIED), strict=True)):
        _copy(course, student, victim, at)
    for student, (codes, edit) in zip(changed, _EDITS, strict=True):
        place = course.handed_in / student / CAPTURE
        place.write_bytes(edit(list(open_capture(str(place)))))
        course.expected[student] = codes
        course.points.pop(student, None)
    for student, spoil in zip(spoilt, _SPOIL, strict=True):
        spoil(course.handed_in / student)
        course.spoilt.add(student)
        course.points.pop(student, None)


def _copy(course: Course, student: str, victim: str, at: int) -> None:
    """The file as it is; saved again, with another time; or moved to the copier's own ports, and texts still there."""
    mine, theirs = course.handed_in / student / CAPTURE, course.handed_in / victim / CAPTURE
    frames = list(open_capture(str(theirs)))
    if at < 5:
        mine.write_bytes(theirs.read_bytes())
    elif at < 8:
        mine.write_bytes(written(each._replace(time=(each.time or 0) + 10**9) for each in frames))
    else:
        own = facts_of(mine).conversations[0].facts
        ports = own["client"]["port"], own["server"]["port"]
        mine.write_bytes(written(moved(frames, Moved((0, 0), (0, 0), ports, 10**12))))
    course.expected[student] = {"same-capture", "variant"}
    course.expected.setdefault(victim, set()).add("same-capture")
    course.points.pop(student, None)


# What somebody does to a capture, and what must be found of it.


def _changed(frames: list[Frame], at: int, where: int, value: bytes, right: bool) -> bytes:
    data = bytearray(frames[at].data)
    data[where : where + len(value)] = value
    if right:
        checksummed(data)
    return written([*frames[:at], frames[at]._replace(data=bytes(data)), *frames[at + 1 :]])


def _more(frames: list[Frame], where: int) -> bytes:
    """Adds a thousand to a number of the third packet, and puts the checksum right."""
    (old,) = struct.unpack_from("!I", frames[2].data, where)
    return _changed(frames, 2, where, struct.pack("!I", (old + 1000) % (1 << 32)), right=True)


def _says_something(frame: Frame) -> bool:
    return len(frame.data) > _AT_TCP + (frame.data[_AT_TCP + 12] >> 4) * 4


def _text(frames: list[Frame], right: bool) -> bytes:
    at = next(at for at, each in enumerate(frames) if _says_something(each))
    changed = list(frames)
    for same in [number for number, each in enumerate(frames) if each.data[-20:] == frames[at].data[-20:]]:
        data = bytearray(frames[same].data)
        data[-20:] = b"X" * 20
        if right:
            checksummed(data)
        changed[same] = frames[same]._replace(data=bytes(data))
    return written(changed)


def _times(frames: list[Frame], late: Callable[[int], int]) -> bytes:
    first = frames[0].time or 0
    return written(each._replace(time=first + late((each.time or 0) - first)) for each in frames)


_EDITS: tuple[tuple[set[str], Callable[[list[Frame]], bytes]], ...] = (
    ({"checksum", "missing"}, edited),
    ({"checksum", "variant"}, lambda frames: _text(frames, right=False)),
    ({"variant"}, lambda frames: _text(frames, right=True)),
    ({"missing"}, lambda frames: written(each for each in frames if not _says_something(each))),
    ({"missing"}, lambda frames: _more(frames, _AT_TCP + 4)),
    ({"missing"}, lambda frames: _more(frames, _AT_TCP + 8)),
    ({"time"}, lambda frames: written([*frames[:4], frames[5], frames[4], *frames[6:]])),
    ({"clock"}, lambda frames: _times(frames, lambda since: since + (10**10 if since else 0))),
    ({"clock"}, lambda frames: _times(frames, lambda since: since * 10_000)),
    ({"echo"}, lambda frames: _changed(frames, 2, _AT_TCP + 28, b"\x12\x34\x56\x78", right=True)),
)


# What nobody should open.


def _emptied(place: Path) -> None:
    for each in (place / CAPTURE, place / sheet.NAME):
        each.unlink()


def _zipped(place: Path, *members: tuple[str, bytes]) -> None:
    _emptied(place)
    with zipfile.ZipFile(place / "mine.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)


def _linked(place: Path) -> None:
    (place / CAPTURE).unlink()
    (place / CAPTURE).symlink_to("/etc/passwd")


def _device(place: Path) -> None:
    (place / CAPTURE).unlink()
    os.mkfifo(place / CAPTURE)


def _endless(place: Path) -> None:
    with (place / sheet.NAME).open("r+b") as file:
        file.truncate(1 << 31)  # it takes no room


def _nested(place: Path) -> None:
    (place / sheet.NAME).write_bytes(b"a = " + b"[" * 100_000)


def _says(place: Path, said: str) -> None:
    """Has somebody write this for an id, and in each answer, and hand in no capture."""
    lines = [f"student = {sheet.quoted(said)}", f"assignment = {sheet.quoted(ASSIGNMENT)}", "[answers]"]
    lines += [f"{each.id} = {sheet.quoted(said)}" for each in load(ASSIGNMENT).questions]
    (place / sheet.NAME).write_text("\n".join(lines), "utf-8")
    (place / CAPTURE).write_bytes(said.encode() * 1000)


_SPOIL: tuple[Callable[[Path], None], ...] = (
    _emptied,
    lambda place: _zipped(place, (sheet.NAME, b"#" * (1 << 26)), (CAPTURE, b"\0" * (1 << 26))),
    lambda place: _zipped(place, ("../../" + sheet.NAME, b"out"), ("/" + CAPTURE, b"out")),
    _linked,
    _device,
    _endless,
    lambda place: _says(place, "<script>alert(1)</script><img src=x onerror=alert(1)>"),
    lambda place: _says(place, "\x1b[2J\x1b]0;owned\x07 \u202etxt"),
    lambda place: _says(place, "=cmd|' /C calc'!A0"),
    _nested,
)


def faults(course: Course, marks: dict[str, Any]) -> Iterator[str]:
    """Yields what in the marks of a course is not as it was made."""
    named = {each["submission"]: each for each in (*marks["submissions"], *marks["unmarked"])}
    if sorted(named) != sorted(each.name for each in course.handed_in.iterdir()):
        yield "not each is there once"
    for name, each in named.items():
        found, wanted = {found["code"] for found in each.get("findings", ())}, course.expected.get(name, set())
        if name in course.spoilt:
            if not each.get("problems") and "why" not in each:
                yield f"{name}: nothing is said of what is wrong with it"
        elif not (wanted <= found if wanted - {"same-capture"} else wanted == found):
            yield f"{name}: {sorted(found)} was found, not {sorted(wanted)}"
        if name in course.points and each["points"] != course.points[name]:
            yield f"{name}: {each['points']} points, not {course.points[name]}"


def main() -> None:
    folder, size, real = Path(sys.argv[1]), *(int(each) for each in (*sys.argv[2:4], "300", "20")[:2])
    begun = time.perf_counter()
    course = make(folder, size, real)
    print(f"{size} students, {len(list((folder / 'played').iterdir()))} real runs: {time.perf_counter() - begun:.1f} s")
    command = [sys.executable, "-m", "lab", "grade", str(course.handed_in), "--key", str(course.key)]
    for what in ("marked", "marked again"):
        begun, spent = time.perf_counter(), os.times()
        subprocess.run([*command, "--to", str(folder / "marks"), "--json"], check=True, stdout=subprocess.DEVNULL)
        took, after = time.perf_counter() - begun, os.times()
        cpu = after.children_user + after.children_system - spent.children_user - spent.children_system
        print(f"{what}: {took:.1f} s, {size / took:.1f} a second, {cpu / size * 1000:.0f} ms of processors' time each")
    marks = json.loads((folder / "marks" / "marks.json").read_text("utf-8"))
    wrong = list(faults(course, marks))
    print(f"{len(course.expected)} with findings, {len(course.spoilt)} spoilt, {len(course.points)} all right")
    print(*wrong, sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
