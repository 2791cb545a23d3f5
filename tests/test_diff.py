"""Two captures compared: what a lecturer shows, the same in both languages, from either side, whatever comes in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lab.annotate.align import MOST, Pair, align
from lab.comparison import Match, compare, side
from lab.diff import compared
from lab.errors import InputError, UsageError
from lab.path import Path as Way
from lab.render.diff import WIDTH
from lab.text import LANGUAGES
from tests.packets import CAPTURES, ladder, renumbered
from tests.references import FOLDER

ROOT = FOLDER.parent
GOLDEN = Path(__file__).parent / "golden"
LECTURES = [
    ("tcp-connection", "tcp-three-segment-close"),
    ("tls-1.2-rsa", "tls-1.3"),
    ("websocket-connection", "websocket-tls"),
]
REFERENCES = sorted(path.stem for path in FOLDER.glob("*.pcapng"))


def file(name: str) -> str:
    return str(FOLDER / f"{name}.pcapng")


def lab(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lab", "diff", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60)


def drawn(a: str, b: str, lang: str) -> str:
    done = lab(f"captures/{a}.pcapng", f"captures/{b}.pcapng", "--lang", lang)
    assert done.returncode == 0, done.stderr
    return done.stdout


def golden(a: str, b: str, lang: str) -> Path:
    return GOLDEN / f"diff-{a}-{b}.{lang}.txt"


# What is shown.


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(("a", "b"), LECTURES)
def test_a_lecture_is_drawn_as_it_was_found_good(a: str, b: str, lang: str) -> None:
    found = drawn(a, b, lang)
    assert found == golden(a, b, lang).read_text("utf-8")
    assert max(cell_len(line) for line in found.splitlines()) <= WIDTH


def test_the_three_segment_close_has_one_row_less_and_says_why() -> None:
    found = compared(file("tcp-connection"), file("tcp-three-segment-close"), "0")
    rows, names = found.ours.rows, [(step.id, step.differs and step.differs.code) for _, step in found.steps if step]
    (alone,) = (each for each in found.matches if each.theirs is None)
    (changed,) = (each for each in found.matches if each.fields)
    assert alone.ours is not None
    assert (rows[alone.ours].name, rows[alone.ours].steps) == ("ACK", ("tcp.close.2",))
    assert changed.theirs is not None
    assert found.theirs.rows[changed.theirs].steps == ("tcp.close.2", "tcp.close.3")
    assert names == [("tcp.close.2", "merged"), ("tcp.close.3", "merged")]


def test_tls_13_saves_a_round_trip_and_sends_no_secret() -> None:
    found = compared(file("tls-1.2-rsa"), file("tls-1.3"), "0")
    facts = {fact.name: (fact.ours, fact.theirs) for fact in found.facts}
    assert facts["tls_version"] == ("TLS 1.2", "TLS 1.3")
    assert facts["round_trips"] == (3, 2), "TCP's own among them"
    alone = [found.ours.rows[each.ours].name for each in found.matches if each.theirs is None and each.ours is not None]
    assert "ClientKeyExchange" in alone


def test_websocket_says_the_same_in_tls_as_without() -> None:
    found = compared(file("websocket-connection"), file("websocket-tls"), "0")
    assert not any(each.fields for each in found.matches)
    alone = {
        found.theirs.rows[each.theirs].protocol
        for each in found.matches
        if each.ours is None and each.theirs is not None
    }
    assert alone == {"tls"}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_capture_says_the_same_as_itself(name: str) -> None:
    found = compared(file(name), file(name), "0")
    assert found.same
    assert [each[:2] for each in found.matches] == [(at, at) for at in range(len(found.ours.rows))]


def test_that_it_is_the_same_is_said() -> None:
    assert drawn("tls-1.3", "tls-1.3", "en").endswith("\nA and B say the same.\n")


@pytest.mark.parametrize(("a", "b"), [*LECTURES, ("tcp-syn-lost", "tls-1.3"), ("tls-mutual", "tls-1.2-resumption")])
def test_from_the_other_side_it_is_the_same_turned_round(a: str, b: str) -> None:
    one, other = compared(file(a), file(b), "0"), compared(file(b), file(a), "0")
    assert [Match(each.theirs, each.ours, each.fields) for each in one.matches] == list(other.matches)
    assert [(fact.name, fact.theirs, fact.ours) for fact in one.facts] == [tuple(fact) for fact in other.facts]
    assert [pair[::-1] for pair in one.steps] == list(other.steps)


@given(st.sampled_from(list(CAPTURES)), st.sampled_from(list(CAPTURES)))
def test_any_two_are_compared_and_turned_round(a: str, b: str) -> None:
    sides = [side(name, Way().settled(renumbered(*ladder(*CAPTURES[name])))) for name in (a, b)]
    ours, theirs = sides
    assert ours
    assert theirs
    one, other = compare(ours, theirs), compare(theirs, ours)
    assert [Match(each.theirs, each.ours, each.fields) for each in one.matches] == list(other.matches)
    assert one.same == other.same
    assert one.same or a != b


def test_json_tells_the_same() -> None:
    done = lab("captures/tls-1.2-rsa.pcapng", "captures/tls-1.3.pcapng", "--json")
    found = json.loads(done.stdout)
    assert (found["schema"], found["same"]) == ("handshake-lab/diff/v1", False)
    shown = compared(file("tls-1.2-rsa"), file("tls-1.3"), "0")
    assert len(found["rows"]) == len(shown.matches)
    assert {row["change"] for row in found["rows"]} == {"same", "changed", "a", "b"}
    assert {fact["name"]: fact["b"] for fact in found["facts"]}["tls_version"] == "TLS 1.3"
    assert found["rows"][0]["a"]["packet"] == 1


def test_it_goes_into_a_file(tmp_path: Path) -> None:
    out = tmp_path / "diff.txt"
    done = lab("captures/tls-1.3.pcapng", "captures/tls-1.3.pcapng", "-o", str(out), "--lang", "en")
    assert (done.returncode, done.stdout) == (0, "")
    assert "say the same" in out.read_text("utf-8")


def test_secrets_open_what_is_compared(tmp_path: Path) -> None:
    capture, keys = FOLDER / "tls-1.3.pcapng", tmp_path / "keys"
    from lab.capture.reader import open_capture
    from scripts.fuzz import as_pcap

    bare = tmp_path / "bare.pcap"
    bare.write_bytes(as_pcap(capture))
    with open_capture(str(capture)) as opened:
        next(iter(opened))
        keys.write_bytes(b"".join(opened.secrets))
    closed, opened_too = (compared(str(bare), str(capture), "0", log) for log in (b"", keys.read_bytes()))
    assert "encrypted" in {row.name for row in closed.ours.rows}
    assert [row.name for row in opened_too.ours.rows] == [row.name for row in opened_too.theirs.rows]


# What can't be compared.


@pytest.mark.parametrize("asked", ["", "x", "1,2,3", "-1", "0,", "٣", "9999999999999"])
def test_what_is_no_conversation_is_refused(asked: str) -> None:
    with pytest.raises(UsageError):
        compared(file("tls-1.3"), file("tls-1.3"), asked)


def test_a_conversation_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="no conversation 7"):
        compared(file("tls-1.3"), file("tls-1.3"), "0,7")


ERROR = {"en": ["error", "hint"], "zh": ["错误", "提示"]}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_an_empty_file_is_told_in_two_lines(tmp_path: Path, lang: str) -> None:
    empty = tmp_path / "empty.pcap"
    empty.touch()
    done = lab(str(empty), file("tls-1.3"), "--lang", lang)
    assert done.returncode == 3
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == ERROR[lang]


# The alignment.


class Said(NamedTuple):
    who: int
    what: int


def likeness(a: Said, b: Said) -> int:
    return (a.who == b.who) * (1 + 3 * (a.what == b.what))


said = st.lists(st.builds(Said, st.integers(0, 1), st.integers(0, 3)), max_size=9)


def worth(pairs: list[Pair], ours: list[Said], theirs: list[Said]) -> int:
    return sum(likeness(ours[a], theirs[b]) for a, b in pairs if a is not None and b is not None)


def best(ours: list[Said], theirs: list[Said]) -> int:
    """Returns the most that any alignment is worth, tried the slow way."""
    table: dict[tuple[int, int], int] = {}
    for a in range(len(ours), -1, -1):
        for b in range(len(theirs), -1, -1):
            ways = [0]
            if a < len(ours):
                ways.append(table[a + 1, b])
            if b < len(theirs):
                ways.append(table[a, b + 1])
            if a < len(ours) and b < len(theirs):
                ways.append(table[a + 1, b + 1] + likeness(ours[a], theirs[b]))
            table[a, b] = max(ways)
    return table[0, 0]


@given(said, said)
def test_everything_is_there_once_and_in_order_and_nothing_fits_better(ours: list[Said], theirs: list[Said]) -> None:
    pairs = align(ours, theirs, likeness)
    assert [a for a, _ in pairs if a is not None] == list(range(len(ours)))
    assert [b for _, b in pairs if b is not None] == list(range(len(theirs)))
    assert all(likeness(ours[a], theirs[b]) for a, b in pairs if a is not None and b is not None)
    assert worth(pairs, ours, theirs) == best(ours, theirs)


def test_two_long_ones_that_have_nothing_in_common_are_soon_compared() -> None:
    ours, theirs = [Said(0, at) for at in range(MOST)], [Said(1, at) for at in range(MOST)]
    assert len(align(ours, theirs, likeness)) == 2 * MOST


def write(*_: Any) -> None:
    """Draws the lectures anew: python -m tests.test_diff, then look at what has changed."""
    for a, b in LECTURES:
        for lang in LANGUAGES:
            golden(a, b, lang).write_text(drawn(a, b, lang), "utf-8")


if __name__ == "__main__":
    write()
