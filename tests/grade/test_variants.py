"""Each student has a variant of their own: derived from the key alone, real, and marked with full points."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.app import assign
from lab.capture.reader import open_capture
from lab.errors import InputError, UsageError
from lab.grade import sheet as sheets
from lab.grade import variant as variants
from lab.grade.assignment import load, parse, shipped
from lab.grade.belonging import foreign, holds
from lab.grade.playing import run_of
from lab.grade.recording import facts_of
from lab.grade.submissions import CAPTURE, graded, read
from lab.grade.variant import Variant, derive, diverse, written
from lab.protocols.catalogue import scenarios
from lab.protocols.choices import Choices, checked
from tests.grade.shared import filled_in, right
from tests.grade.test_assignments import changed

KEY = bytes(range(32))
CLOSE = load("tcp-close")
STUDENTS = ("20250017", "张三", "=cmd|' /C calc'!A0")
# Through CLOSING at both ends, whatever the variant: each end's FIN is lost once, and its copies cross.
RULES = {"break-it": (
    "drop client FIN #1", "drop server FIN #1", "delay client FIN #2 300ms", "delay server FIN #2 300ms",
    "delay server ACK #2 1s",
)}  # fmt: skip


@pytest.mark.parametrize("name", shipped())
def test_a_right_sheet_on_a_students_own_real_capture_has_full_marks(
    name: str, namespaces: None, tmp_path: Path
) -> None:
    assignment = load(name)
    for at, student in enumerate(STUDENTS[: 2 if name in RULES else 3]):
        folder = tmp_path / str(at)
        folder.mkdir()
        variant = derive(assignment, student, KEY)
        run = run_of(variant, folder, "netns", RULES.get(name, ()))
        run.play_on()
        assert run.source.early is None
        (folder / sheets.NAME).write_text(sheets.written(assignment, student, "en"), "utf-8")
        handed_in = read(folder)
        found = facts_of(folder / CAPTURE)
        of = handed_in._replace(sheet=filled_in(assignment, found, right(assignment, found), student))
        marks = graded(assignment, of)
        assert marks.points == assignment.points, [each for each in marks.marks if each.status != "right"]
        assert foreign(variant, found) == []
        others = foreign(derive(assignment, student, KEY[::-1]), found)
        assert len(others) == len(set(variant.choices.made) - {"first"})
        assert sorted(each.name for each in folder.iterdir()) == [sheets.NAME, CAPTURE]
        with open_capture(str(folder / CAPTURE)) as capture:
            assert not any(frame.comments for frame in capture)
        assert b"lab1" not in (folder / CAPTURE).read_bytes()


@given(st.binary(max_size=40), st.text("abc é中", min_size=9, max_size=60), st.binary(min_size=4, max_size=4))
def test_a_text_is_found_behind_any_mask(around: bytes, text: str, mask: bytes) -> None:
    masked = bytes(each ^ mask[at % 4] for at, each in enumerate(text.encode()))
    assert holds(around + masked + around, text)
    assert holds(around + text.encode(), text)
    assert not holds(masked[:-1] + bytes([masked[-1] ^ 1]), text)


def test_a_capture_has_no_secrets_where_the_assignment_forbids_them(namespaces: None, tmp_path: Path) -> None:
    variant = derive(load("tls-rsa"), "s", KEY)
    run_of(variant._replace(secrets=False), tmp_path, "netns").play_on()
    assert b"CLIENT_RANDOM" not in (tmp_path / CAPTURE).read_bytes()
    run_of(variant, tmp_path, "netns").play_on()
    assert b"CLIENT_RANDOM" in (tmp_path / CAPTURE).read_bytes()


def test_only_an_assignment_that_asks_for_rules_takes_a_students_own(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no rules of the wire"):
        run_of(derive(CLOSE, "s", KEY), tmp_path, rules=["drop client SYN #1"])
    with pytest.raises(UsageError, match="does not know the rule"):
        run_of(derive(load("break-it"), "s", KEY), tmp_path, rules=["drop it"])


# Derived


@pytest.mark.parametrize("name", shipped())
def test_a_variant_follows_from_key_assignment_and_student_alone(name: str) -> None:
    assignment = load(name)
    one = derive(assignment, "s1", KEY)
    assert one == derive(assignment, " s1\n", KEY)
    others = [
        derive(assignment, "s2", KEY), derive(assignment, "s1", KEY[::-1]), derive(assignment, "s1", None),
        derive(assignment._replace(id="other"), "s1", KEY),
    ]  # fmt: skip
    for other in others:
        assert one.choices.hello != other.choices.hello
        assert one.choices.port != other.choices.port
    assert KEY.hex() not in written(one)
    assert set(one.choices.made) <= set(one.played.varies)


EXPECTED = (
    "tcp/three-segment-close",
    (),
    Choices(
        port=37497,
        client_port=51943,
        hello="This is mellow-salmon-f323fb31. one two three four five six seven eight nine ten eleven twelve thirteen "
        "fourtee",
        answer="And here is mellow-badger-b6546420. one two three four five six seven eight nine ten elev",
        first="client",
    ),
)


def test_what_is_drawn_stays_what_it_was() -> None:
    """Whoever regrades last year's class needs last year's variants: a change here is a new version of the schema."""
    found = derive(CLOSE, "20250017", KEY)
    assert (found.scenario, found.rules, found.choices) == EXPECTED


def test_a_class_gets_every_scenario_every_rule_and_each_its_own_words() -> None:
    found = [derive(CLOSE, f"s{number}", KEY) for number in range(300)]
    assert {each.scenario for each in found} == set(CLOSE.variant["scenario"])
    assert {each.rules for each in found} == {tuple(each) for each in CLOSE.variant["wire"]}
    assert {each.choices.first for each in found} == {"client", "server"}
    assert len({each.choices.hello for each in found} | {each.choices.answer for each in found}) == 600
    assert len({len(each.choices.hello or "") for each in found}) > 50


def test_a_composed_id_is_the_same_as_a_decomposed_one() -> None:
    assert derive(CLOSE, "Jose\u0301", KEY) == derive(CLOSE, "José", KEY)


@pytest.mark.parametrize("student", ["", "  ", "a\x1b[2J", "x" * 201, "a\nb"])
def test_what_can_be_no_id_is_refused(student: str) -> None:
    with pytest.raises(UsageError):
        derive(CLOSE, student, KEY)


def test_a_variant_may_only_play_what_is_proved() -> None:
    with pytest.raises(UsageError, match="'tcp/reset' is not in proof"):
        parse(changed("tcp-close", ('"tcp/three-segment-close"]\nwire', '"tcp/reset"]\nwire')), "changed")


# Written and read

CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "port": st.integers(1024, 65535),
        "client_port": st.integers(1024, 65535),
        "hello": st.text(min_size=1, max_size=40).filter(str.isprintable),
        "answer": st.text(min_size=1, max_size=40).filter(str.isprintable),
        "first": st.sampled_from(["client", "server"]),
        "name": st.just("a-b.example"),
        "path": st.just("/a"),
        "subprotocol": st.just("a.example"),
    },
)


@given(found=CHOICES, of=st.sampled_from(scenarios()), student=st.text(min_size=1, max_size=20).filter(str.isprintable))
def test_a_variant_is_read_as_it_was_written(found: dict[str, object], of: object, student: str) -> None:
    of = next(each for each in scenarios() if each == of)
    chosen = checked({name: value for name, value in found.items() if name in of.varies})
    if not student.strip():
        return
    one = Variant("a", variants.student_id(student), of.name, chosen, ("drop client SYN #1",), True, False, True)
    assert variants.read(written(one).encode()) == one


WHOLE = written(derive(CLOSE, "s1", KEY))


@given(st.binary(max_size=200), st.integers(0, len(WHOLE.encode())), st.integers(0, 40))
def test_whatever_is_made_of_a_variant_is_read_or_refused(junk: bytes, at: int, cut: int) -> None:
    data = WHOLE.encode()
    try:
        found = variants.read(data[:at] + junk + data[at + cut :])
    except InputError:
        return
    assert isinstance(found.choices, Choices)


@pytest.mark.parametrize(
    "chosen",
    [
        {"port": 22}, {"port": True}, {"port": "8080"}, {"port": 65536}, {"hello": ""}, {"hello": "x" * 1001},
        {"hello": "a\r\nb"}, {"first": "both"}, {"name": "a b"}, {"name": "a.example\n"}, {"path": "chat"},
        {"path": "/ HTTP/1.1\r\nX: y"}, {"subprotocol": "a, b"}, {"other": 1},
    ],
)  # fmt: skip
def test_what_can_be_no_choice_is_refused(chosen: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(chosen))):
        checked(chosen)


def test_an_assignment_is_proved_against_variants_that_are_played(
    namespaces: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What holds in the capture that comes with the lab alone, does not hold."""
    monkeypatch.setattr("lab.app.assign.secrets.token_bytes", lambda: b"k" * 32)
    played, kinds = diverse(load("tcp-open"), 3, b"k" * 32)
    assert (len({each.kind for each in played}), kinds) == (2, 2)
    played, kinds = diverse(CLOSE, 12, b"k" * 32)
    assert len({each.kind for each in played}) == kinds == 12
    assert assign.check("tcp-open", [], 3, "en") == 0
    assert capsys.readouterr().out.endswith("So it does in 3 variants, each played for this: 2 of 2 kinds.\n")
    place = '[place.bad]\nname.en = "its FIN"\nname.zh = "它的 FIN"\nstep = "tcp.close.1"\nsender = "client"\n\n'
    asked = 'kind = "packet"\nplace = "bad"\npoints = 1\ntext.en = "Which?"\ntext.zh = "哪个？"\n'
    question = f'\n[[question]]\nid = "bad"\n{asked}'
    source = (files("lab.grade") / "assignments" / "tcp-open.toml").read_text("utf-8")
    source = re.sub(r"proof = \[.*?\]", 'proof = ["tcp/connection"]', source, flags=re.DOTALL)
    source = source.replace("[[question]]", f"{place}[[question]]", 1)
    (tmp_path / "own.toml").write_text(source + question, "utf-8")
    assert assign.check(str(tmp_path / "own.toml"), [], 0, "en") == 0
    assert assign.check(str(tmp_path / "own.toml"), [], 3, "en") == 1
    assert re.search(r"variant \d \(tcp/connection\) bad: ", capsys.readouterr().out)
    with pytest.raises(UsageError, match="leaves the rules of the wire to students"):
        assign.check("break-it", [], 1, "en")
