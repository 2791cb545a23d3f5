"""What students hand in by accident, and on purpose: one submission stops and changes no other's marks."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.grade import classes
from lab.grade.assignment import load
from lab.grade.classes import Marking
from lab.grade.collected import collect, digest
from lab.grade.kept import Kept
from lab.grade.opening import opening
from lab.grade.sheet import NAME, read, written
from lab.grade.worker import Limits
from tests.grade.shared import facts, right, stepped_through
from tests.left_behind import heed_signals
from tests.places import REFERENCES, ROOT

OPEN = load("tcp-open")
RIGHT = right(OPEN, facts("tcp/connection"))
CAPTURE = stepped_through(OPEN, facts("tcp/connection"), RIGHT, "张三")
SHEET = written(OPEN, "张三", "zh", RIGHT).encode()
PERSON = sum(each.points for each in OPEN.questions if each.kind == "words")
ALL = OPEN.points - PERSON
PCAP = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)


def said(more: str) -> bytes:
    return f'assignment = "tcp-open"\nstudent = "x"\n[answers]\nsyn-flags = ["SYN"]\n{more}'.encode()


def zipped(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


BOTH = ((NAME, SHEET), ("capture.pcapng", CAPTURE))
GOOD: dict[str, dict[str, bytes]] = {
    "as it was made": dict(BOTH),
    "other letters": {"ANSWERS.TOML": SHEET, "Capture.PcapNG": CAPTURE},
    "utf-8 with a mark": {NAME: b"\xef\xbb\xbf" + SHEET, "capture.pcapng": CAPTURE},
    "utf-16": {NAME: SHEET.decode().encode("utf-16"), "capture.pcapng": CAPTURE},
    "gbk": {NAME: SHEET.decode().encode("gb18030"), "capture.pcapng": CAPTURE},
    "crlf": {NAME: SHEET.replace(b"\n", b"\r\n"), "capture.pcapng": CAPTURE},
    "cr": {NAME: SHEET.replace(b"\n", b"\r"), "capture.pcapng": CAPTURE},
    "n" * 255: dict(BOTH),
    "a zip of a mac": {
        "mine.zip": zipped(
            (f"mine/{NAME}", SHEET), ("mine/capture.pcapng", CAPTURE), ("__MACOSX/mine/._answers.toml", b"\0\5\x16\7"),
            ("mine/.DS_Store", b""),
        )
    },
    "a zip beside": {**dict(BOTH), "mine.zip": b"no zip"},
}  # fmt: skip
BAD: dict[str, tuple[dict[str, bytes], str]] = {
    "nested": ({"out.zip": zipped(("in.zip", zipped(*BOTH)))}, "a zip in a zip was not opened"),
    "many": (
        {"mine.zip": zipped(*((f"f{at}", b"") for at in range(20_000)), *BOTH)},
        "mine.zip has more than 1000 files: the first were looked at",
    ),
    "a million packets": (
        {NAME: said(""), "capture.pcap": PCAP + (struct.pack("<IIII", 1, 1, 14, 14) + bytes(14)) * 1_000_000},
        "capture.pcapng has more than 20000 packets",
    ),
    "deep": ({NAME: said("window = " + "[" * 50_000), "capture.pcapng": CAPTURE}, "no TOML any more"),
    "a key of many parts": ({NAME: said("a." * 50_000 + "a = 1"), "capture.pcapng": CAPTURE}, "no TOML any more"),
    "huge": ({NAME: said("window = " + "9" * 100_000), "capture.pcapng": CAPTURE}, "no TOML any more"),
    "nothing": ({}, "there is no answers.toml"),
}
ODD: dict[str, dict[str, bytes]] = {
    "no numbers": {NAME: said("window = nan\necho = -inf\nclient-mss = 1e308\nsyn-sequence = 0x" + "f" * 100_000)},
    "no answers": {NAME: said("window = 2026-01-01\necho = {a = [{}]}\nclient-mss = true\nsyn-sequence = [[[]]]")},
    "far times": {
        NAME: said(""),
        "capture.pcap": PCAP + struct.pack("<IIII", 0xFFFFFFFF, 0xFFFFFFFF, 14, 14) + bytes(14),
    },
}


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    room = tmp_path_factory.mktemp("class")
    for name, files in {**GOOD, **{name: files for name, (files, _) in BAD.items()}, **ODD}.items():
        (room / name).mkdir()
        for path, data in files.items():
            (room / name / path).write_bytes(data)
    found = classes.marked(collect(room), Marking(OPEN, Kept(None)))
    assert found["unmarked"] == []
    return {each["submission"]: each for each in found["submissions"]}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_right_has_full_marks_however_it_was_saved(name: str, marked: dict[str, dict[str, Any]]) -> None:
    assert (marked[name]["points"], marked[name]["student"]) == (ALL, "张三")
    problems = [each["en"] for each in marked[name]["problems"]]
    assert problems == (["mine.zip was not opened: what counts lies beside it"] if name == "a zip beside" else [])


@pytest.mark.parametrize("name", BAD)
def test_what_can_not_be_read_says_so(name: str, marked: dict[str, dict[str, Any]]) -> None:
    assert any(BAD[name][1] in each["en"] for each in marked[name]["problems"]), marked[name]["problems"]
    assert marked[name]["points"] < 3


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_marked_as_far_as_it_can_be(name: str, marked: dict[str, dict[str, Any]]) -> None:
    assert len(marked[name]["questions"]) == len(OPEN.questions)
    json.dumps(marked[name], allow_nan=False)


def test_a_key_of_many_parts_takes_no_memory() -> None:
    resource_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    many = "a." * 100_000 + "a = 1"
    other = ("a . " * 60_000 + "a = 1", '"a".' * 60_000 + "a = 1")
    for line in (many, *other, f"x = {{{many}}}", f"x = [{{{many}}}]"):
        begun = time.process_time()
        assert read(said(line)).answers["syn-flags"] == ["SYN"]
        assert time.process_time() - begun < 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resource_before < 64 << 10


@pytest.mark.parametrize("mark", ['"', "'", '"""', "'''"])
def test_a_text_may_have_as_many_dots_as_it_likes(mark: str) -> None:
    words = "well" + ".x" * 1000 + " # = "
    found = read(said(f"essay = {mark}{words}{mark} # {words}"))
    assert (found.whole, found.answers["essay"]) == (True, words)


@pytest.mark.parametrize("evil", ['"' + '\\"' * 100_000, "'" * 200_001, '"""' * 60_001, "#\n" * 100_000, "a" * 200_000])
def test_looking_for_keys_takes_no_time(evil: str) -> None:
    begun = time.process_time()
    read(evil.encode())
    assert time.process_time() - begun < 3


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_the_names_of_a_zip_that_says_nothing_of_them_are_read(encoding: str, tmp_path: Path) -> None:
    """As Windows in China and a Mac write them: without the flag for UTF-8."""
    marker = b"WHO" + b"_" * (len("张三".encode(encoding)) - 3)
    data = zipped((f"{marker.decode()}/{NAME}", SHEET)).replace(marker, "张三".encode(encoding))
    (tmp_path / "class.zip").write_bytes(data)
    (only,) = collect(tmp_path / "class.zip")
    assert only.name == "张三"
    with opening(only.source) as files, files.open(("张三", NAME)) as file:
        assert file.read() == SHEET


def test_a_zip_of_a_class_is_listed_once_and_read_by_many_processes(tmp_path: Path) -> None:
    sheets = [(f"s{at}/{NAME}", SHEET.replace("张三".encode(), b"s%d" % at)) for at in range(40)]
    (tmp_path / "class.zip").write_bytes(zipped(*sheets))
    handed_in = collect(tmp_path / "class.zip")
    assert len({digest(each) for each in handed_in}) == 40
    found = classes.marked(handed_in, Marking(OPEN, Kept(None), at_once=4))
    assert [each["student"] for each in found["submissions"]] == [each.name for each in handed_in]


def test_patience_is_for_processor_time_and_some_times_as_long_on_the_clock() -> None:
    assert Limits(seconds=20).patience == 120


def grade(
    room: Path, to: Path, *more: str, before: Callable[[], object] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lab", "grade", str(room), "--assignment", "tcp-open", "--to", str(to), *more]
    known = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C"}
    return subprocess.run(command, cwd=ROOT, env=known, capture_output=True, text=True, preexec_fn=before)


def room_of(folder: Path, count: int) -> Path:
    for at in range(count):
        (folder / "in" / f"s{at:02}").mkdir(parents=True)
        (folder / "in" / f"s{at:02}" / NAME).write_bytes(SHEET.replace("张三".encode(), b"s%d" % at))
        shutil.copy(REFERENCES / "tcp-connection.pcapng", folder / "in" / f"s{at:02}" / "capture.pcapng")
    return folder / "in"


def test_where_no_room_is_left_two_lines_say_so_and_it_goes_on_later(tmp_path: Path) -> None:
    room, to = room_of(tmp_path, 3), tmp_path / "marks"
    done = grade(room, to, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000)))
    assert done.returncode == 4
    error, hint = done.stderr.splitlines()
    assert "can't be written: File too large" in error
    assert hint.startswith("hint: make room, and run the same again")
    assert list((to / "kept").iterdir()) == []
    assert grade(room, to).returncode == 0


def test_ctrl_c_in_the_middle_of_a_class_loses_nothing_that_was_marked(tmp_path: Path) -> None:
    room, to = room_of(tmp_path, 15), tmp_path / "marks"
    command = [sys.executable, "-m", "lab", "grade", str(room), "--assignment", "tcp-open", "--to", str(to)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed_signals
    )
    while not (to / "kept").exists() or (len(list((to / "kept").iterdir())) < 2 and process.poll() is None):
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    assert process.communicate()[1] == b""
    assert process.returncode == 130
    kept = {path: path.stat().st_mtime_ns for path in (to / "kept").iterdir()}
    assert len(kept) < 15
    assert not (to / "marks.json").exists()
    assert grade(room, to).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_key_that_others_can_read_is_told_and_one_that_is_none_refused(tmp_path: Path) -> None:
    room, key = room_of(tmp_path, 1), tmp_path / "course.key"
    key.write_bytes(b"")
    done = grade(room, tmp_path / "marks", "--key", str(key))
    assert done.returncode == 3
    assert done.stderr.splitlines()[0] == f"error: {key} is no course key"
    key.write_text("handshake-lab course key: " + "0" * 64)
    key.chmod(0o644)
    done = grade(room, tmp_path / "marks", "--key", str(key))
    assert (done.returncode, done.stderr) == (0, f"note: others can read {key}: chmod 600 it\n")
