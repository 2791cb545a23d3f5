"""Initial sequence numbers over many connections: what is worked out of them, and those of this machine's kernel."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from xml.etree import ElementTree

import jsonschema
import pytest

import lab
from lab.explore.anywhere import explored_on
from lab.explore.told import Connections, Kernel, read, read_asked, write, write_asked
from lab.protocols.exploration import SPACE, Isns, Opened, Options, isns
from lab.render.isns import as_json, svg, told
from lab.text import LANGUAGES, Lang
from tests.places import ROOT

_SECOND = 1_000_000_000


def opened(seconds: int, rate: int, first: int) -> list[Opened]:
    """Returns a connection a second from port 1, whose numbers go by a clock, and one in between from another."""
    found = []
    for at in range(seconds):
        found.append(Opened(at * _SECOND, 1, (first + at * rate) % SPACE))
        found.append(Opened(at * _SECOND + _SECOND // 2, 2 + at, at * 0x9E3779B1 % SPACE))
    return found


def test_the_clock_is_found_also_where_the_numbers_come_around() -> None:
    found = isns(opened(20, 500_000_000, SPACE - 700_000_000))
    assert (found.rate, found.tick, found.missed_same) == (500_000_000, 2.0, 0)
    assert len(found.same) == len(found.others) == 20
    assert found.missed_others > 1 << 28
    assert found.seconds == 19.5


@pytest.mark.parametrize("found", [[], opened(1, 1, 0), opened(20, 5, 0)[::2], opened(20, 5, 0)[1::2]])
def test_what_can_not_be_compared_is_refused(found: list[Opened]) -> None:
    with pytest.raises(ValueError, match="no port was used again, or all were"):
        isns(found)


def test_they_are_asked_for_and_told_by_lines() -> None:
    assert read_asked(write_asked(Connections(7), Options(ipv6=True))) == (Connections(7), Options(ipv6=True))
    assert read(write(Opened(1, 2, 3))) == Opened(1, 2, 3)


@pytest.fixture(scope="module", params=[False, True], ids=["IPv4", "IPv6"])
def found(namespaces: None, request: pytest.FixtureRequest) -> Isns:
    """Those of this machine's kernel."""
    heard = list(explored_on("netns", Connections(120), Options(ipv6=request.param)))
    assert isinstance(heard[0], Kernel)
    return isns([each for each in heard if isinstance(each, Opened)])


def test_this_kernel_counts_by_64_ns_and_hides_that_from_all_but_the_same_four(found: Isns) -> None:
    assert len(found.same) == len(found.others) == 60
    assert found.tick == pytest.approx(64, rel=0.01), "net/core/secure_seq.c: seq_scale"
    assert found.missed_same < 1 << 22
    assert 1 << 28 < found.missed_others < 1 << 31


@pytest.mark.parametrize("lang", LANGUAGES)
def test_it_is_told_drawn_and_written(found: Isns, lang: Lang) -> None:
    out = io.StringIO()
    told(found, "6.18.44-x", out, lang)
    assert max(map(len, out.getvalue().splitlines())) <= 80
    for what in ("6.18.44", "64.0", "RFC 6528", "M + F("):
        assert what in out.getvalue()
    drawn = ElementTree.fromstring(svg(found, "6.18.44", lang))
    assert len(drawn.findall("{http://www.w3.org/2000/svg}circle")) == 2 + 120
    jsonschema.Draft202012Validator(lab.schema("isns")).validate(as_json(found, "6.18.44"))


def test_what_does_not_go_together_is_refused() -> None:
    for words in (["LISTEN", "--isn"], ["--isn", "--format", "html"], ["--format", "svg"], ["--isn", "--timestamps"]):
        command = [sys.executable, "-m", "lab", "explore", *words, "--lang", "en"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: --isn goes with")


def test_the_command_opens_a_thousand(namespaces: None) -> None:
    command = [sys.executable, "-m", "lab", "explore", "--isn", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=100, check=True)
    told = json.loads(done.stdout)
    jsonschema.Draft202012Validator(lab.schema("isns")).validate(told)
    assert len(told["same"]) + len(told["others"]) == 1_000
    assert {each["port"] for each in told["same"]} == {40_000}
