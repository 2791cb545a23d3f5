"""What students are told by date: never more than has been released, and the total at any time."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from lab.app import grade as app
from lab.app.formats import FormOfMarks as Form
from lab.app.marks import Asked
from lab.capture.reader import open_capture
from lab.errors import InputError
from lab.grade import sheet
from lab.grade.assignment import load
from lab.grade.feedback import Degree
from lab.grade.releasing import coming, degree_at, parse
from lab.report.predictions import read
from tests.grade.shared import facts, right, stepped_through

DATES = parse(b"points = 2026-12-01\nreason = 2026-12-08 18:00:00\nfull = 2026-12-15T00:00:00+01:00\n")
OPEN = load("tcp-open")


@pytest.mark.parametrize(
    ("day", "degree", "then"),
    [("2026-11-30T23:59", "none", "points"), ("2026-12-01T00:00", "points", "reason"),
     ("2026-12-08T17:59", "points", "reason"), ("2026-12-08T18:00", "reason", "full"),
     ("2027-01-01T00:00", "full", None)],
)  # fmt: skip
def test_the_most_that_has_begun_is_told(day: str, degree: Degree, then: Degree | None) -> None:
    now = datetime.fromisoformat(day).astimezone()
    assert degree_at(DATES, now) == degree
    following = coming(DATES, now)
    assert (following[0] if following else None) == then


def test_what_comes_later_and_says_less_is_not_to_come() -> None:
    dates = parse(b"points = 2026-12-08\nfull = 2026-12-01\n")
    now = datetime.fromisoformat("2026-12-02").astimezone()
    assert (degree_at(dates, now), coming(dates, now)) == ("full", None)


@pytest.mark.parametrize("said", [b"full = 'soon'", b"full = 3", b"none = 2026-12-01", b"fully = 2026-12-01", b"full =",
                                  b"full = 18:00:00", b"\xff", b"full = 9999-12-31T23:59:59-23:59",
                                  b"full = 0001-01-01"])  # fmt: skip
def test_what_is_no_date_stops_the_marking(said: bytes) -> None:
    """Nobody is told anything by a slip of the pen."""
    with pytest.raises(InputError, match=re.escape("release.toml can't be read")):
        parse(said)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("released") / "handed-in"
    (folder / "s1").mkdir(parents=True)
    answers = right(OPEN, facts("tcp/connection")) | {"next-ack": 1}
    (folder / "s1" / sheet.NAME).write_text(sheet.written(OPEN, "s1", "en", answers), "utf-8")
    capture = stepped_through(OPEN, facts("tcp/connection"), answers)
    (folder / "s1" / "capture.pcapng").write_bytes(capture)
    return folder


def page(room: Path, released: dict[str, int], degree: Degree | None = None) -> str:
    """Returns the page for the student, where each degree was released so many days ago."""
    to = room.parent / "marks"
    to.mkdir(exist_ok=True)
    today = datetime.now()
    dates = {name: (today - timedelta(days=ago)).date().isoformat() for name, ago in released.items()}
    (to / "release.toml").write_text("".join(f"{name} = {day}\n" for name, day in dates.items()))
    app.grade(Asked(room, "", degree, Form.TABLE, to.parent / "out.txt", to), "en")
    assert json.loads((to / "marks.json").read_text("utf-8"))["submissions"][0]["feedback"] == "full", "for the teacher"
    (found,) = (to / "feedback").glob("*.html")
    return found.read_text("utf-8")


RIGHT = str(right(OPEN, facts("tcp/connection"))["next-ack"])


def test_a_page_says_what_is_released_on_the_day(room: Path) -> None:
    told = page(room, {"points": -1})
    assert "18 of 19 points" in told
    assert "next-ack" not in told
    told = page(room, {"points": 1, "reason": -1, "full": -2})
    assert "next-ack" in told
    assert "<svg" not in told
    assert "From " in (room.parent / "out.txt").read_text("utf-8")
    told = page(room, {"reason": 1, "full": -2})
    assert "<svg" in told
    assert RIGHT not in told
    assert "download" not in told
    told = page(room, {"full": 0})
    assert RIGHT in told


def test_with_everything_a_student_has_the_capture_with_notes(room: Path, tmp_path: Path) -> None:
    told = page(room, {"full": -9}, "full")
    (data,) = re.findall(r'download="explained.pcapng" href="data:application/octet-stream;base64,([^"]+)"', told)
    explained = tmp_path / "explained.pcapng"
    explained.write_bytes(base64.b64decode(data))
    given = [frame.data for frame in open_capture(str(room / "s1" / "capture.pcapng"))]
    frames = list(open_capture(str(explained)))
    assert [frame.data for frame in frames] == given
    for lang in ("[lab] ", "[实验] "):
        assert all(any(comment.startswith(lang) for comment in frame.comments) for frame in frames)
    assert [found.said for frame in frames for each in frame.comments if (found := read(each))] == ["1"]


def test_a_slip_in_the_file_stops_it_before_anything_is_written(room: Path, tmp_path: Path) -> None:
    (tmp_path / "release.toml").write_text("full = 'when I say so'\n")
    with pytest.raises(InputError):
        app.grade(Asked(room, "", None, Form.TABLE, tmp_path / "out", tmp_path), "en")
    assert not (tmp_path / "feedback").exists()
