"""The grid is a test: what this kernel does with every segment in every state is what was recorded, each time."""

from __future__ import annotations

import io
import json
import os
import re
from functools import cache

import pytest
from jsonschema import Draft202012Validator

import lab
from lab.explore.run import explored
from lab.explore.told import Told
from lab.protocols.exploration import (
    DIFFERENCES,
    STIMULI,
    WAYS,
    Cell,
    Options,
    Path,
    changes,
    explained,
    grid,
    line,
)
from lab.render.cells import ALL, Played
from lab.render.explored import table
from lab.render.explored_html import page
from lab.render.trace import dump
from lab.report.exploration import as_json
from lab.text import LANGUAGES

pytestmark = pytest.mark.slow
RECORDED = ".".join(os.uname().release.split(".")[:2]) == grid().kernel
PLAIN, OTHERS = Options(), Options(ipv6=True, timestamps=True, rfc1337=True)


@cache
def played(options: Options) -> list[Told]:
    return list(explored(ALL, options))


def cells(options: Options) -> list[Cell]:
    return [each for each in played(options) if isinstance(each, Cell)]


@pytest.fixture(params=[PLAIN, OTHERS], ids=["plain", "IPv6, timestamps, tcp_rfc1337"])
def options(request: pytest.FixtureRequest, namespaces: None) -> Options:
    found: Options = request.param
    return found


def test_every_segment_was_tried_in_every_state(options: Options) -> None:
    found = cells(options)
    assert [(each.way, each.segment) for each in found] == [(way.name, stimulus.name) for way, stimulus in ALL]
    states = {way.name: way.state for way in WAYS}
    assert all(each.before == states[each.way] for each in found)


def test_this_kernel_does_what_was_recorded_or_at_least_the_same_twice(options: Options) -> None:
    if RECORDED:
        assert changes(cells(options), options) == []
        return
    again = [each for each in explored(ALL, options) if isinstance(each, Cell)]
    assert [line(each) for each in again] == [line(each) for each in cells(options)]


def test_every_difference_from_the_rules_is_explained(options: Options) -> None:
    found = [f"{each.way} + {each.segment}: {line(each)}" for each in cells(options) if each.differs]
    assert len(found) > 50
    assert [each for each in found if each.endswith("?")] == []


def test_the_ways_lead_through_the_states_that_were_recorded(options: Options) -> None:
    paths = {each.way: each.states for each in played(options) if isinstance(each, Path)}
    assert paths == grid().paths


def test_every_explained_difference_is_there(namespaces: None) -> None:
    found = {why.number for each in (PLAIN, OTHERS) for cell in cells(each) if (why := explained(cell))}
    plain = (grid().lines(each) for each in (PLAIN, Options(timestamps=True)))
    lines = [text for each in plain for way in each.values() for text in way.values()]
    recorded = {int(number) for text in lines if (number := text.rpartition(" | ")[2]).isdigit()}
    assert found | recorded == {each.number for each in DIFFERENCES}


def test_a_kernel_that_does_something_else_is_told_of(namespaces: None) -> None:
    found = cells(PLAIN)
    at = next(at for at, each in enumerate(found) if (each.way, each.segment) == ("ESTABLISHED", "rst"))
    found[at] = found[at]._replace(after="ESTABLISHED", heard=(), differs=("state", "heard"))
    changed = changes(found, PLAIN)
    told = [each for each in changed if (each.way, each.segment) == ("ESTABLISHED", "rst")]
    assert told[0].now == "- | ESTABLISHED | - | Tcp EstabResets +1 | ?"
    assert explained(found[at]) is None
    out = io.StringIO()
    table(Played("6.18", PLAIN, found), changed, out, "en")
    assert "≠ ESTABLISHED + rst\n" in out.getvalue()
    assert f"\n  + {told[0].now}\n" in out.getvalue()
    assert "≠ ESTABLISHED + rst" in page(Played("6.18", PLAIN, found), changed, "zh")


def test_it_is_written_by_its_schema(options: Options) -> None:
    found = cells(options)
    told = json.loads(dump(as_json("6.18", options, found, changes(found, options))))
    Draft202012Validator(lab.schema("explore")).validate(told)
    assert len(told["cells"]) == len(ALL)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_table_has_every_way_in_80_columns(options: Options, lang: lab.Lang) -> None:
    out = io.StringIO()
    table(Played("6.18", options, cells(options)), [], out, lang)
    rows = out.getvalue().splitlines()
    for way in WAYS:
        row = next(each for each in rows if each.startswith(f"{way.name} "))
        assert len(row.rstrip()) <= 80
    assert max(map(len, rows)) <= 80


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_is_one_file_that_fetches_and_runs_nothing(options: Options, lang: lab.Lang) -> None:
    text = page(Played("<6.18>-x", options, cells(options)), [], lang)
    assert "<script" not in text
    assert not re.search(r"(src|href)=\"(?!#)", text)
    assert not re.search(r"url\(|@import", text)
    assert "Linux &lt;6.18&gt;" in text
    anchors, links = re.findall(r'id="([^"]+)"', text), re.findall(r'<td[^>]*><a href="#([^"]+)"', text)
    assert len(set(anchors)) == len(WAYS) * len(STIMULI)
    assert anchors == links
