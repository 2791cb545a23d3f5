"""Assignments are proved before they go out: the shipped ones hold, and what is wrong with others is found."""

from __future__ import annotations

import copy
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lab.app.assign import proof_of
from lab.errors import InputError, UsageError
from lab.grade.assignment import load, parse, schema, shipped
from lab.grade.kinds import KINDS
from lab.grade.kinds.kind import known
from lab.grade.proof import prove
from lab.grade.recording import facts_of
from lab.grade.shape import faults
from tests.grade.shared import capture, facts, proof

WANTED = {
    "break-it", "tcp-close", "tcp-open", "tcp-trouble", "tls-rsa", "tls-today", "websocket", "wss-layers",
}  # fmt: skip
VALIDATOR = Draft202012Validator(schema())

FURTHER = (Path(__file__).parent / "further.toml").read_bytes()  # what no shipped assignment asks

NO_ANSWER = """mistake = [{ code = "no-packet", source = { place = "syn", field = "number", plus = -1 }, credit = 0,
text = { en = "Packets are counted from 1.", zh = "包从 1 开始编号。" } }]""".replace("\n", " ")


def source(name: str) -> str:
    return (files("lab.grade") / "assignments" / f"{name}.toml").read_text("utf-8")


def changed(name: str, *changes: tuple[str, str]) -> bytes:
    """Returns a shipped assignment with some of its text replaced."""
    said = source(name)
    for old, new in changes:
        assert old in said
        said = said.replace(old, new, 1)
    return said.encode()


def complaints(data: bytes) -> str:
    """Returns what the proof of an assignment finds wrong."""
    assignment = parse(data, "changed")
    return "\n".join(each.en for each in prove(assignment, {name: facts(name) for name in assignment.proof}, {}).faults)


def test_these_are_shipped() -> None:
    assert set(shipped()) == WANTED


@pytest.mark.parametrize("name", sorted(WANTED))
def test_a_shipped_assignment_holds(name: str) -> None:
    """Right sheets, empty ones, every known mistake, what is carried: against real captures."""
    found = proof(name)
    assert [each.en for each in found.faults] == []
    assert 8 <= len(found.assignment.questions) <= 15
    assert found.marked > 40
    assert found.known


@pytest.mark.parametrize("name", sorted(WANTED))
def test_a_shipped_assignment_is_as_its_schema_says(name: str) -> None:
    assert [each.message for each in VALIDATOR.iter_errors(tomllib.loads(source(name)))] == []


def test_every_known_mistake_is_made_somewhere_and_every_kind_is_asked() -> None:
    further = proof_of(parse(FURTHER, "further"), [])
    assert further.holds, further.faults
    proofs = [further, *(proof(name) for name in WANTED)]
    assert set(known()) - {each.code for of in proofs for each in of.known} == set()
    assert {question.kind for of in proofs for question in of.assignment.questions} == set(KINDS)


def test_an_assignment_of_ones_own_is_read_from_its_file(tmp_path: Any) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(changed("tcp-open", ('id = "tcp-open"', 'id = "mine"')))
    assert load(str(file)).id == "mine"
    with pytest.raises(InputError):
        load(str(tmp_path))
    with pytest.raises(UsageError) as caught:
        load("tcp-opn")
    assert "tcp-open" in caught.value.hint.en


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ([("add = 1", "add = 2")], "syn-ack-acknowledges: is not syn-sequence + 2"),
        ([('text.zh = "抓包中哪个包发起了连接？"', 'text.zh = "Which packet?"')], "opens: its Chinese is no Chinese"),
        ([('right = true', 'right = true\nbecause = { en = "So.", zh = "是" }')], "chose-kernel can never be shown"),
        ([("TCP/TS Value (TSval)", "TCP/TS Echo Reply (TSecr)")], "own-timestamp can never be shown"),
        ([('label = "SYN-ACK"', 'label = "RST"')], "syn-ack-flags: the capture does not have the SYN-ACK"),
        ([('"tcp/half-close"', '"tcp/refused"')], "tcp/refused window: the capture does not have"),
        ([("TCP/TS Value (TSval)", "TCP/None")], "own-timestamp can never be shown"),
        ([("points = 1\n", f"points = 1\n{NO_ANSWER}\n")], "no-packet can never be shown"),
        ([("points = 1\n", "points = 1\ncredit = { one-aftr = 5 }\n")], "one-aftr can never be shown"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_assignment_is_found(changes: list[tuple[str, str]], complaint: str) -> None:
    assert complaint in complaints(changed("tcp-open", *changes))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ([('kind = "packet"', 'kind = "paket"')], "'paket' is not known here: did you mean packet"),
        ([('place = "syn"\npoints', 'plce = "syn"\npoints')], "question[opens]: has no place"),
        ([('place = "syn"\npoints', 'place = "sin"\npoints')], "there is no place 'sin': did you mean syn"),
        ([('from = "syn-sequence"', 'from = "window"')], "there is no question 'window' before it"),
        ([('id = "echo"', 'id = "window"')], "is there twice"),
        ([('label = "SYN"', 'label = "SYN"\nafter = "data-acknowledged"\n')], None),
        ([('payload = true', 'payload = true\nafter = "data-acknowledged"')], "depends on itself"),
        ([('points = 2', 'points = "2"')], "has to be a whole number"),
        ([('[place.syn]', '[place.syn')], "is no TOML"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_assignment_is_refused_with_the_place(
    changes: list[tuple[str, str]], complaint: str | None
) -> None:
    if complaint is None:
        parse(changed("tcp-open", *changes), "changed")
        return
    with pytest.raises(UsageError) as caught:
        parse(changed("tcp-open", *changes), "changed")
    assert complaint in caught.value.message.en
    assert re.search("[\u4e00-\u9fff]", caught.value.message.zh)


def every_path(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inside for found in every_path(each, (*path, key)))]


WHOLE = {name: tomllib.loads(source(name)) for name in sorted(WANTED)}
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 2000), st.text(max_size=5), st.just([]), st.just({}), st.just(["a"])
)


@given(data=st.data(), name=st.sampled_from(sorted(WANTED)), junk=JUNK)
def test_our_own_check_finds_what_a_json_schema_validator_finds(data: st.DataObject, name: str, junk: object) -> None:
    """One value anywhere in an assignment replaced by something else, or a key too many."""
    whole = copy.deepcopy(WHOLE[name])
    whole["question"] = [data.draw(st.sampled_from(whole["question"]))]
    path = data.draw(st.sampled_from([each for each in every_path(whole) if each]))
    above: Any = whole
    for key in path[:-1]:
        above = above[key]
    if isinstance(above, dict) and data.draw(st.booleans()):
        above["surplus"] = junk
    else:
        above[path[-1]] = junk
    assert bool(list(faults(whole, schema(), schema()))) == (not VALIDATOR.is_valid(whole))


def test_what_a_capture_says_of_itself_is_no_evidence() -> None:
    """The lab's own captures have a journal and both kernels' states: whoever is marked could write these."""
    found = facts("tcp/syn-lost")
    assert {packet.by for packet in found.packets} == {"acknowledged", "inferred"}
    assert not any(packet.kernel_held or packet.journal for packet in found.packets)
    assert not any(packet.frame.comments for packet in found.packets if packet.frame)


def test_a_capture_that_is_too_large_is_refused(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.grade.facts.MOST_PACKETS", 5)
    with pytest.raises(InputError, match="more than 5 packets"):
        facts_of(capture("tcp/connection"))
