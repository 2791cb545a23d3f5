"""What the documentation shows is what happens: its examples run, in both languages, and print what it says."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import lab
from lab.events import NAMES, as_json
from lab.render import trace
from tests.places import REFERENCES, ROOT

DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ROW = re.compile(r"^\| `([\w-]+)` \| (.*?) \| .* \|$", re.MULTILINE)


class Block(NamedTuple):
    """A block of code in a page, and the line that it begins in."""

    language: str
    text: str
    line: int


class Example(NamedTuple):
    """A program in a page, and what it prints as the page has it."""

    page: str
    line: int
    program: str
    prints: str


def blocks(page: str) -> list[Block]:
    text = (DOCS / page).read_text("utf-8")
    return [Block(found[1], found[2], text.count("\n", 0, found.start()) + 2) for found in _BLOCK.finditer(text)]


def examples(page: str) -> list[Example]:
    found = blocks(page)
    return [
        Example(page, each.line, each.text, behind.text)
        for each, behind in pairwise(found)
        if each.language == "python" and behind.language == "text"
    ]


def halves(page: str) -> list[str]:
    """Returns the English and the Chinese half of a page."""
    english, chinese = (DOCS / page).read_text("utf-8").split("\n---\n")
    return [english, chinese]


EXAMPLES = examples("api.md")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: f"{each.page}:{each.line}")
def test_an_example_prints_what_stands_below_it(
    example: Example,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    if re.search(r"\bwith lab\.run\(", example.program):
        request.getfixturevalue("namespaces")
    (tmp_path / "captures").symlink_to(REFERENCES)
    monkeypatch.chdir(tmp_path)
    where = "\n" * (example.line - 1)  # so that a traceback names the line in the page
    exec(compile(where + example.program, DOCS / example.page, "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == example.prints


def test_every_example_says_what_it_prints_and_is_there_in_both_languages() -> None:
    programs = [each for each in blocks("api.md") if each.language == "python"]
    assert len(EXAMPLES) == len(programs)
    english, chinese = (len(re.findall(r"^```python$", half, re.MULTILINE)) for half in halves("api.md"))
    assert english == chinese >= 10


@pytest.mark.parametrize("half", [0, 1])
def test_all_that_lab_offers_is_named(half: int) -> None:
    named = set(re.findall(r"`(?:lab\.)?(\w+)[`(]", halves("api.md")[half]))
    assert {name for name in lab.__all__ if not name.startswith("_")} <= named


# Events


@pytest.mark.parametrize("half", [0, 1])
def test_the_table_of_events_has_all_their_fields(half: int) -> None:
    table = dict(_ROW.findall(halves("events.md")[half].partition("\n## ")[2].partition("\n## ")[0]))
    said = {name: set(re.findall(r"`(\w+)`", fields)) for name, fields in table.items()}
    schema = {each["properties"]["event"]["const"]: set(each["required"]) for each in lab.schema("events")["oneOf"]}
    assert list(said) == list(NAMES.values())
    assert said == {name: fields - {"event"} for name, fields in schema.items()}


@pytest.mark.parametrize("half", [0, 1])
def test_the_example_is_what_is_told_of_the_capture(half: int) -> None:
    """Where the page has an ellipsis, more is told."""
    shown = [
        json.loads(line.replace(", …", ""))
        for found in _BLOCK.finditer(halves("events.md")[half])
        if found[1] == "json"
        for line in found[2].splitlines()
    ]
    assert len(shown) > 10
    with lab.open(REFERENCES / "tcp-syn-lost.pcapng") as run:
        told = [json.loads(trace.dump(as_json(event))) for event in run.events()]
    for line, event in zip(shown, told, strict=False):
        assert part(line, event), f"the page has {line}, told is {event}"


def part(shown: Any, told: Any) -> bool:
    """Whether all that is shown is told."""
    if isinstance(shown, dict) and isinstance(told, dict):
        return all(key in told and part(value, told[key]) for key, value in shown.items())
    return bool(shown == told)
