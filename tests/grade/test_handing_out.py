"""A teacher gives a class its folders, a student looks at one before it is handed in: no key, no answer gets out."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import InputError, UsageError
from lab.grade import handout, keys
from lab.grade import roster as rosters
from lab.grade import sheet as sheets
from lab.grade import variant as variants
from lab.grade.assignment import load, shipped
from lab.grade.checking import Finding, examined
from lab.grade.handing_out import fill
from lab.grade.submissions import CAPTURE
from lab.grade.variant import Variant, derive
from lab.protocols.choices import Choices
from tests.grade.shared import capture, facts, right

KEY = bytes(range(32))
CLOSE = load("tcp-close")
# What a shipped capture would be a variant of: its texts and ports are those of its script.
SHIPPED = Variant("tcp-close", "s1", "tcp/connection", Choices(8080, None, "Hello, server!", "Hello, client!"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A student's folder with all answers right."""
    fill(tmp_path / "s1", CLOSE, SHIPPED, ("en",))
    answers = right(CLOSE, facts("tcp/connection"))
    (tmp_path / "s1" / sheets.NAME).write_text(sheets.written(CLOSE, "s1", "en", answers), "utf-8")
    (tmp_path / "s1" / CAPTURE).write_bytes(capture("tcp/connection").read_bytes())
    return tmp_path / "s1"


def faults(folder: Path) -> list[tuple[str, str]]:
    return [(each.about, each.text.en) for each in examined(folder) if each.status == "fault"]


def changed(folder: Path, old: str, new: str, name: str = sheets.NAME) -> None:
    said = (folder / name).read_text("utf-8")
    assert old in said
    (folder / name).write_text(said.replace(old, new, 1), "utf-8")


# The check


def test_a_whole_folder_passes(folder: Path) -> None:
    assert faults(folder) == []
    assert ("good", CAPTURE) in [(each.status, each.about) for each in examined(folder)]


@pytest.mark.parametrize("name", [sheets.NAME, CAPTURE, variants.NAME])
def test_a_file_that_is_missing_or_no_file_is_told(folder: Path, name: str) -> None:
    (folder / name).rename(folder / "away")
    assert [about for about, _ in faults(folder)] == [name]
    (folder / name).mkdir()
    assert [about for about, _ in faults(folder)] == [name]
    assert name == CAPTURE or all(str(folder) in said for _, said in faults(folder))


def test_another_students_capture_sheet_or_assignment_is_told(folder: Path) -> None:
    (folder / CAPTURE).write_bytes(capture("websocket/connection").read_bytes())
    assert faults(folder) == []  # the same port, the same words: only variants tell captures apart
    (folder / CAPTURE).write_bytes(capture("tls/1.3").read_bytes())
    assert (CAPTURE, "no connection to the server's port 8080") in faults(folder)
    changed(folder, 'student = "s1"', 'student = "s2"')
    assert (sheets.NAME, "says s2, and the variant is of s1") in faults(folder)
    changed(folder, 'assignment = "tcp-close"', 'assignment = "tcp-open"')
    assert (sheets.NAME, "says tcp-open, and the variant is of tcp-close") in faults(folder)


@pytest.mark.parametrize(
    ("old", "new", "about", "said"),
    [
        ('who-first = "client"', 'who-first = "the left one"', "who-first", "expected: one of client, server"),
        ("first-fin = 8", 'first-fin = "eight"', "first-fin", "expected: a packet number, such as 7"),
        ("first-fin = 8", "frist-fin = 8", "frist-fin", "there is no such question: did you mean first-fin?"),
        ('who-first = "client"', "who-first = client", sheets.NAME, "is no TOML any more"),
    ],
)
def test_a_malformed_answer_is_told_with_what_is_expected(
    folder: Path, old: str, new: str, about: str, said: str
) -> None:
    changed(folder, old, new)
    assert [(where, said in told) for where, told in faults(folder)] == [(about, True)]


def test_a_prediction_in_the_sheet_is_told_to_belong_elsewhere(tmp_path: Path) -> None:
    opening = load("tcp-open")
    variant = SHIPPED._replace(assignment="tcp-open")
    fill(tmp_path, opening, variant, ("en",))
    (tmp_path / CAPTURE).write_bytes(capture("tcp/connection").read_bytes())
    changed(tmp_path, "[answers]", "[answers]\nopens = 1\nnext-ack = 5")
    changed(tmp_path, 'opens = ""\n', "")
    assert [said for about, said in faults(tmp_path) if about == "next-ack"] == [
        "not here: answered in lab step --variant ., before the packet shows: predict next-ack: your answer"
    ]


def test_a_capture_that_was_cut_short_is_told(folder: Path) -> None:
    data = (folder / CAPTURE).read_bytes()
    (folder / CAPTURE).write_bytes(data[:-10])
    assert [about for about, _ in faults(folder)] == [CAPTURE]
    (folder / CAPTURE).write_bytes(b"none")
    assert [about for about, _ in faults(folder)] == [CAPTURE]


def said(found: list[Finding]) -> list[tuple[str, str, str]]:
    return [(each.status, each.about, each.text.en) for each in found]


@pytest.mark.parametrize("question", [each.id for each in CLOSE.questions])
def test_what_is_said_does_not_depend_on_what_is_right(folder: Path, question: str) -> None:
    """A right answer and one that is as well-formed and wrong are told alike."""
    before = said(examined(folder))
    answers = right(CLOSE, facts("tcp/connection"))
    others = right(CLOSE, facts("tcp/server-closes-first")) | {
        "first-fin": 3, "all-fins": [1, 2], "fin-flags": "RST", "fin-sequence": 99, "fin-acknowledged": 98,
        "after-acknowledgment": "LISTEN", "closing-state": "LISTEN", "other-state": "LISTEN", "last-state": "LISTEN",
        "two-steps": 4, "how-long": "9 s",
    }  # fmt: skip
    assert answers[question] != others[question]
    wrong = sheets.written(CLOSE, "s1", "en", {**answers, question: others[question]})
    (folder / sheets.NAME).write_text(wrong, "utf-8")
    assert said(examined(folder)) == before


@given(st.binary(max_size=300))
def test_whatever_is_in_a_folder_is_looked_at(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in (sheets.NAME, CAPTURE, variants.NAME):
        (folder / name).write_bytes(data)
    assert faults(folder)


# Handing out


@pytest.mark.parametrize("name", shipped())
def test_what_goes_out_has_neither_key_nor_answer(name: str, tmp_path: Path) -> None:
    assignment = load(name)
    variant = derive(assignment, "s1", KEY)
    assert fill(tmp_path / "a" / "b", assignment, variant, ("en", "zh"))
    files = {each.name: each.read_text("utf-8") for each in (tmp_path / "a" / "b").iterdir()}
    assert set(files) == {handout.NAME, sheets.NAME, variants.NAME}
    assert not any(KEY.hex() in each for each in files.values())
    assert assignment.title.en in files[handout.NAME]
    assert assignment.title.zh in files[handout.NAME]
    assert variant.scenario not in files[handout.NAME]
    assert not any(f"{rule}" in files[handout.NAME] for rule in variant.rules)
    for question in assignment.questions:
        for option in question.given.get("option", ()):
            assert "because" not in option or option["because"]["en"].strip() not in files[handout.NAME]
        assert question.why is None or question.why.en not in files[handout.NAME]


def test_what_a_student_has_begun_is_left_alone(tmp_path: Path) -> None:
    variant = derive(CLOSE, "s1", KEY)
    assert fill(tmp_path / "s1", CLOSE, variant, ("en",))
    changed(tmp_path / "s1", 'who-first = ""', 'who-first = "client"')
    (tmp_path / "s1" / handout.NAME).unlink()
    assert fill(tmp_path / "s1", CLOSE, variant, ("en",))
    assert not fill(tmp_path / "s1", CLOSE, variant, ("en",))
    assert 'who-first = "client"' in (tmp_path / "s1" / sheets.NAME).read_text("utf-8")
    with pytest.raises(UsageError, match="another variant"):
        fill(tmp_path / "s1", CLOSE, derive(CLOSE, "s1", KEY[::-1]), ("en",))
    (tmp_path / "s1" / variants.NAME).unlink()
    with pytest.raises(UsageError, match="answer sheet already"):
        fill(tmp_path / "s1", CLOSE, variant, ("en",))


def test_a_key_is_its_owners_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "course.key"
    keys.make(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not keys.exposed(file)
    key = keys.read(file)
    assert len(key) == 32
    with pytest.raises(UsageError, match="already"):
        keys.make(file)
    assert keys.read(file) == key
    keys.make(tmp_path / "other.key")
    assert keys.read(tmp_path / "other.key") != key


@pytest.mark.parametrize("data", [b"", b"secret\n", b"\xff" * 40, b"handshake-lab course key: 00\n", bytes(5000)])
def test_what_is_no_key_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(data)
    with pytest.raises(InputError, match="no course key"):
        keys.read(tmp_path / "key")


# A class


@pytest.mark.parametrize(
    "data",
    [
        "student\ns1\ns2\n",
        "s1\ns2\n",
        "\ufeffName;Student ID;Points\r\nA, B;s1;\r\nC;s2;3\r\n\r\n",
        "姓名\t学号\n张三\ts1\n李四\ts2\n张三\ts1\n",
        '"ID number",Name\n"s1","A ""B"""\n s2 ,C\n',
        'Student,ID,SIS User ID\n    Points Possible,,\n"Li, Wei",4711,s1\n"Doe, Jane",4712,s2\n',
        "Student,ID,SIS User ID,Section\n    Points Possible,,,\nA,s1,,\nB,s2,,\n",
        "First Name,Last Name,SID,Email,Role\nWei,Li,s1,w@x,Student\nJane,Doe,s2,j@x,Student\n",
        "学生\t学号\n张三\ts1\n李四\ts2\n",
    ],
)
def test_a_roster_is_read_as_gradebooks_write_it(data: str, tmp_path: Path) -> None:
    (tmp_path / "class.csv").write_bytes(data.encode())
    assert rosters.read(tmp_path / "class.csv").students == ["s1", "s2"]


@pytest.mark.parametrize(
    "data", [b"", b"student\n", "学号\n张三\n".encode("gbk"), b"\n\n", b"First,Last\nWei,Li\n", b"ID,Name\n,A\n"]
)
def test_what_is_no_roster_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "class.csv").write_bytes(data)
    with pytest.raises(InputError):
        rosters.read(tmp_path / "class.csv")


IDS = st.lists(
    st.text(min_size=1, max_size=80).filter(lambda each: each.strip() == each and each.isprintable())
    | st.sampled_from(["..", ".", "CON", "a/b", "a\\b", "A", "a", "ａ", "-rf", "nul.txt", "=1+1", "张三", "ß", "ss"]),
    min_size=1,
    max_size=12,
    unique=True,
)


@given(IDS)
def test_every_student_has_a_folder_that_is_nobody_elses(students: list[str]) -> None:
    names = rosters.folders(students)
    assert len({each.casefold() for each in names}) == len(students)
    for name in names:
        assert not set(name) & set('/\\:*?"<>|\0')
        assert name.strip(". ") == name
        assert not name.startswith("-")
        assert len(name.encode()) <= 255


def test_ordinary_ids_are_their_folders_names() -> None:
    assert rosters.folders(["20250017", "s.young", "张三"]) == ["20250017", "s.young", "张三"]
