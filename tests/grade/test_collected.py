"""What a class hands in is read as it comes from a course's system, and no further than it may be."""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import InputError
from lab.grade import naming
from lab.grade.collected import HandedIn, collect, digest, packed, reading
from lab.grade.sheet import MOST_BYTES
from tests.grade.shared import capture

SHEET = b'assignment = "tcp-open"\nstudent = "s"\n[answers]\nopens = 1\n'
PARTS = st.lists(
    st.text("ab_1.zip/", min_size=1, max_size=12) | st.sampled_from(["answers.toml", "x_1_2_answers.toml"])
)


def archive(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            file.writestr(name, data)
    return out.getvalue()


def only(path: Path) -> HandedIn:
    (found,) = collect(path)
    return found


def told(handed_in: HandedIn) -> tuple[bool, bool, str]:
    """Returns whether a sheet and a capture were read, and what was refused."""
    with reading(handed_in) as found:
        return found.sheet is not None, found.capture is not None, "\n".join(text.en for text in found.refused)


@pytest.mark.parametrize(
    ("paths", "who"),
    [
        (["A_17_assignsubmission_file/answers.toml", "B_18_assignsubmission_file_/x/a.zip"], ["A_17", "B_18"]),
        (["An_17_assignsubmission_file_answers.toml", "An_17_assignsubmission_file_capture.pcapng"], ["An_17"]),
        (["an_LATE_17_900_answers-1.toml", "an_17_901_capture.pcapng", "bo_18_902_x.zip"], ["an_17", "bo_18"]),
        (["hw1_2025_17_an.zip", "hw1_2025_18_bo.zip"], ["hw1_2025_17_an", "hw1_2025_18_bo"]),
        (["an_17_900_a.zip", "an_17_901_b.zip", "an_17_902_answers.toml", "bo_18_903_x.zip"], ["an_17", "bo_18"]),
        (["assignment_5_export/submission_1/answers.toml", f"assignment_5_export/{naming.METADATA}"], ["submission_1"]),
        (["an/answers.toml", "bo/x/answers.toml", "ci.zip", "notes.csv", "__MACOSX/an/._a.toml"], ["an", "bo", "ci"]),
        (["answers.toml", "capture.pcapng"], ["all"]),
        (["capture.pcapng", "sheet/answers.toml"], ["all"]),
        (["answers.toml", "capture.pcapng", "old/answers.toml", "old/capture.pcapng"], ["all"]),
        (["answers.toml", "an/answers.toml", "an/capture.pcapng", "bo/answers.toml"], ["an", "bo"]),
        (["capture.pcapng", "an/x/mine.zip", "bo.zip", "ci/capture.pcapng"], ["an", "bo", "ci"]),
        (["an/answers.toml", "an/capture.pcapng"], ["an"]),
        ([".git/config", "an/.vscode/x.json", "an/answers.toml", ".github/workflows/x.yml"], ["an"]),
    ],
)  # fmt: skip
def test_whose_files_are_whose_is_told_by_their_names(paths: list[str], who: list[str]) -> None:
    assert sorted(naming.groups([tuple(path.split("/")) for path in paths], "all")) == who


@given(st.lists(PARTS.map(tuple), max_size=8))
def test_any_names_at_all_can_be_told_apart(paths: list[tuple[str, ...]]) -> None:
    found = naming.groups(paths, "all")
    given_ = [path for files in found.values() for path in files.values()]
    assert len(given_) == len(set(given_))
    assert set(given_) <= set(paths)


def test_a_gradescope_export_says_who_its_folders_belong_to(tmp_path: Path) -> None:
    for name in ("submission_1", "submission_2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "answers.toml").write_bytes(SHEET)
    (tmp_path / naming.METADATA).write_text(
        "---\nsubmission_1:\n  :submitters:\n  - :name: An\x1b[2J\n    :sid: '17'\nsubmission_2:\n  :submitters:\n"
        "  - :name: Bo\n    :email: bo@example.org\n"
    )
    assert [each.name for each in collect(tmp_path)] == ["17 (submission_1)", "bo@example.org (submission_2)"]


def test_the_last_of_several_counts_and_a_zip_is_opened_once(tmp_path: Path) -> None:
    inner = archive(("work/answers.toml", SHEET), ("work/capture.pcapng", capture("tcp/connection").read_bytes()))
    (tmp_path / "an.zip").write_bytes(inner)
    assert told(only(tmp_path)) == (True, True, "")
    whole = tmp_path / "class.zip"
    whole.write_bytes(archive(("an/mine.zip", inner), ("bo/mine.zip", archive(("again.zip", inner)))))
    (tmp_path / "an.zip").unlink()
    first, second = collect(whole)
    assert told(first) == (True, True, "")
    assert told(second) == (False, False, "a zip in a zip was not opened")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "answers.toml").write_bytes(b"")
    (tmp_path / "two" / "answers (2).toml").write_bytes(SHEET)
    with reading(only(tmp_path / "two")) as found:
        assert found.sheet == SHEET
        assert [text.en for text in found.refused] == ["several files could be answers (2).toml: the last counts"]


@pytest.mark.parametrize(
    ("paths", "counts"),
    [
        (["a/answers (1).toml", "a/capture.pcapng", "b/answers.toml", "b/capture.pcapng"], 1),
        (["a/answers.toml", "a/mine.pcap", "b/capture.pcapng"], 1),
        (["a/answers.toml", "b/capture.pcapng"], 1),
        (["a/capture.pcapng", "b/capture.pcapng"], 1),
    ],
)
def test_a_capture_beside_the_sheet_counts_before_any_other(paths: list[str], counts: int) -> None:
    listed = [tuple(path.split("/")) for path in paths]
    assert naming.chosen(listed).capture == listed[counts]


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "an"
    folder.mkdir()
    secret = tmp_path / "secret"
    secret.write_bytes(SHEET)
    (folder / "answers.toml").symlink_to(secret)
    os.mkfifo(folder / "capture.pcapng")
    sheet, there, why = told(only(folder))
    assert (sheet, there) == (False, False)
    refused = "is a link or a device: it was not read"
    assert why.splitlines() == [f"answers.toml {refused}", f"capture.pcapng {refused}"]
    link = zipfile.ZipInfo("answers.toml")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    (tmp_path / "an.zip").write_bytes(archive((link, b"/etc/passwd")))
    assert told(only(tmp_path / "an.zip")) == (False, False, f"answers.toml {refused}")


def test_nobody_of_a_class_is_dropped_without_a_word(tmp_path: Path) -> None:
    room = tmp_path / "room"
    (room / "bo").mkdir(parents=True)
    (room / "bo" / "answers.toml").write_bytes(SHEET)
    (room / "an").symlink_to(room / "bo")
    (room / "capture.pcapng").symlink_to(room / "bo")
    shutil.copytree(room / "bo", room / "cy")
    for name in ("answers.toml", "ci.rar", "di.tar.gz", "ed.toml", naming.METADATA):
        (room / name).write_bytes(b"")
    passed_over: list[str] = []
    an, bo, _ = collect(room, passed_over.extend)
    assert (an.name, told(an)) == ("an", (False, False, "an is a link or a device: it was not read"))
    assert (bo.name, told(bo)) == ("bo", (True, False, ""))
    assert passed_over == ["answers.toml", "ci.rar", "di.tar.gz", "ed.toml", "capture.pcapng"]


def test_a_file_that_becomes_a_link_after_it_was_listed_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "answers.toml").write_bytes(SHEET)
    found = only(tmp_path)
    (tmp_path / "answers.toml").rename(tmp_path.parent / "elsewhere.toml")
    (tmp_path / "answers.toml").symlink_to(tmp_path.parent / "elsewhere.toml")
    assert told(found) == (False, False, "answers.toml can't be read")


@pytest.mark.parametrize("name", ["../answers.toml", "/etc/answers.toml", "a/../../answers.toml", "..\\answers.toml"])
def test_a_path_that_leads_out_of_a_zip_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "an.zip").write_bytes(archive(("capture.pcapng", b""), (zipfile.ZipInfo(name), SHEET)))
    sheet, _, why = told(only(tmp_path / "an.zip"))
    assert not sheet
    assert why == "answers.toml has a path that leads out of the zip: it was not read"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["an.zip"]


def test_a_bomb_and_a_gigabyte_are_given_up_before_they_are_there(tmp_path: Path) -> None:
    bomb = archive(("answers.toml", b"\0" * (1 << 20)), ("capture.pcapng", b"\0" * (33 << 20)))
    (tmp_path / "bomb.zip").write_bytes(bomb)
    sparse = tmp_path / "sparse"
    sparse.mkdir()
    with (sparse / "answers.toml").open("wb") as file:
        file.truncate(1 << 33)  # it takes no room
    for path in (tmp_path / "bomb.zip", sparse):
        found = only(path)
        tracemalloc.start()
        sheet, there, why = told(found)
        assert len(digest(found)) == 64
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (sheet, there) == (False, False)
        assert f"answers.toml is larger than {MOST_BYTES >> 10} kB: it was not read" in why
        assert peak < 8 << 20


@pytest.mark.parametrize("damage", [lambda data: data[:-30], lambda data: data[:40] + b"\xff" * 40 + data[80:]])
def test_a_damaged_zip_says_so(tmp_path: Path, damage: object) -> None:
    whole = archive(("answers.toml", SHEET * 50))
    (tmp_path / "an").mkdir()
    (tmp_path / "an" / "mine.zip").write_bytes(damage(whole))  # type: ignore[operator]
    sheet, _, why = told(only(tmp_path))
    assert not sheet
    assert why in ("mine.zip is no zip that can be read", "answers.toml can't be read")


def compressed_with_lzma() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("answers.toml", SHEET * 50)
    data = bytearray(out.getvalue())
    data[60:70] = b"\xa5" * 10  # of what is compressed; the header has 42 bytes
    return bytes(data)


def behind_every_file() -> bytes:
    """A zip whose listing says that the sheet begins 16 bytes before 2^64."""
    data = archive(("answers.toml", SHEET))
    listing = bytearray(data[(at := data.index(b"PK\1\2")) : data.index(b"PK\5\6")])
    listing[30:32], listing[42:46] = struct.pack("<H", 12), b"\xff" * 4
    listing += struct.pack("<HHQ", 1, 8, (1 << 64) - 16)
    return data[:at] + bytes(listing) + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(listing), at, 0)


@pytest.mark.parametrize("damaged", [compressed_with_lzma, behind_every_file])
def test_a_zip_with_whatever_damage_says_so_and_stops_nobody(tmp_path: Path, damaged: Callable[[], bytes]) -> None:
    """All of them are read for their digest, before the first is marked."""
    (tmp_path / "an.zip").write_bytes(damaged())
    found = only(tmp_path / "an.zip")
    assert len(digest(found)) == 64
    assert len(packed(found).data) < 100
    assert told(found) == (False, False, "answers.toml can't be read")


def test_what_is_no_submission_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"")
    for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "none"):
        with pytest.raises(InputError):
            collect(path)


def test_the_same_files_have_the_same_digest_and_others_another(tmp_path: Path) -> None:
    for name, said in (("an", SHEET), ("bo", SHEET), ("ci", SHEET + b"\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "answers.toml").write_bytes(said)
        shutil.copy(capture("tcp/connection"), tmp_path / name / "capture.pcapng")
    one, same, other = (digest(each) for each in collect(tmp_path))
    assert one == same != other
