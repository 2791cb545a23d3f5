"""A capture that comes through a pipe, on a terminal: packets are shown while under way, then told for good."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from lab.capture.pcapng import Writer
from lab.model import Frame
from lab.text import LANGUAGES
from tests.app.terminal import OnTerminal, Screen
from tests.packets import CLOSE, OPEN, TALK, Pair, ladder, renumbered
from tests.places import REFERENCES, ROOT

WHOLE = ladder(*OPEN, *TALK, *CLOSE)
OTHER = ladder(*OPEN, *TALK, *CLOSE, pair=Pair(client_port=40001))
MIXED = renumbered(*(each for pair in zip(WHOLE, OTHER, strict=True) for each in pair))


def written(frames: list[Frame], path: Path) -> Path:
    with path.open("wb") as stream:
        file = Writer(stream)
        for frame in frames:
            file.packet(frame, ())
        file.finish()
    return path


def annotated(file: Path, *words: str) -> str:
    """Returns what is made of a file, at 80 columns."""
    command = [sys.executable, "-m", "lab", "annotate", str(file), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True).stdout


def rung(number: int, lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith(f"{number:>3} ")]


def test_a_packet_is_shown_at_once_and_told_for_good_when_its_fate_is_known() -> None:
    with OnTerminal() as on:
        on.feed(WHOLE[:1])
        lines = on.shows(lambda lines: rung(1, lines))
        assert "── under way ──" in lines
        assert "…" in rung(1, lines)[0]
        assert "SYN-RECEIVED" not in rung(1, lines)[0]
        assert not any("whether it arrived" in line or "not seen" in line for line in lines)
        on.feed(WHOLE[1:2])
        lines = on.shows(lambda lines: rung(2, lines))
        (first,), (second,) = rung(1, lines), rung(2, lines)
        assert "▶ SYN-RECEIVED" in first
        assert "…" in second
        assert lines.index(first) < lines.index("── under way ──") < lines.index(second)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(("columns", "rows"), [(80, 30), (80, 8), (80, 3)])
def test_in_the_end_there_is_what_there_is_of_a_file(tmp_path: Path, lang: str, columns: int, rows: int) -> None:
    with OnTerminal("--lang", lang, columns=columns, rows=rows) as on:
        for at, frame in enumerate(MIXED):
            on.feed([frame])
            if rows > 3:
                on.shows(lambda lines, number=at + 1: rung(number, lines))  # type: ignore[misc]  # a default has no type there
        status, lines = on.ended()
    assert status == 0
    assert "\n".join(lines) == annotated(written(MIXED, tmp_path / "a.pcapng"), "--lang", lang)
    assert on.screen.codes == {"A", "J"}


def test_in_colour_too(tmp_path: Path) -> None:
    with OnTerminal(color=True) as on:
        on.feed(MIXED)
        status, lines = on.ended()
    assert status == 0
    assert "\x1b[1m" in on.raw
    assert "\n".join(lines) == annotated(written(MIXED, tmp_path / "a.pcapng"))


def test_a_terminal_that_can_draw_nothing_anew_gets_rungs_in_order(tmp_path: Path) -> None:
    with OnTerminal(term="dumb") as on:
        on.feed(MIXED)
        status, lines = on.ended()
    assert status == 0
    assert "\x1b" not in on.raw
    assert "\n".join(lines) == annotated(written(MIXED, tmp_path / "a.pcapng"))


def test_what_is_under_way_takes_no_more_than_there_is_room_for() -> None:
    asked = [ladder("c> SYN 0", pair=Pair(client_port=50000 + each))[0] for each in range(40)]
    with OnTerminal(rows=20) as on:
        on.feed(renumbered(*asked))
        lines = on.shows(lambda lines: rung(40, lines))
        title = next(at for at, line in enumerate(lines) if line.startswith("── under way"))
        assert lines[title] == "── under way: the last of 40 packets ──"
        assert len(lines) - title <= 20
        assert not rung(1, lines)


def test_ctrl_c_leaves_what_was_known_and_the_cursor_below_it() -> None:
    with OnTerminal() as on:
        on.feed(MIXED[:6])
        on.shows(lambda lines: rung(6, lines))
        on.type(b"\x03")
        status = on.process.wait(30)
        _, lines = on.ended()
    assert status == 130
    assert [len(rung(number, lines)) for number in range(1, 7)] == [1] * 6
    assert lines[-1] == ""
    assert on.screen.row == len(lines) - 1
    assert on.raw.count("\x1b[?") == 0


@pytest.mark.parametrize("columns", [60, 120])
def test_a_terminal_that_is_resized_keeps_every_rung_once(columns: int) -> None:
    with OnTerminal(columns=100) as on:
        on.feed(MIXED[:7])
        on.shows(lambda lines: rung(7, lines))
        on.resize(columns, 25)
        for at, frame in enumerate(MIXED[7:], 8):
            on.feed([frame])
            on.shows(lambda lines, number=at: rung(number, lines))  # type: ignore[misc]  # a default has no type there
        status, lines = on.ended()
    assert status == 0
    assert [len(rung(number, lines)) for number in range(1, len(MIXED) + 1)] == [1] * len(MIXED)
    assert not any("under way" in line for line in lines)
    (last,) = rung(len(MIXED), lines)
    assert cell_len(last) <= columns
    assert ("close 4" in last) == (columns >= 80)


def test_what_another_program_writes_meanwhile_stays() -> None:
    with OnTerminal() as on:
        on.feed(MIXED[:3])
        on.shows(lambda lines: rung(3, lines))
        on.type(b"hello\n")  # the terminal echoes it
        on.shows(lambda lines: any(line.startswith("hello") for line in lines))
        on.feed(MIXED[3:])
        status, lines = on.ended()
    assert status == 0
    assert any(line.startswith("hello") for line in lines)
    assert [len(rung(number, lines)) for number in range(1, len(MIXED) + 1)] == [1] * len(MIXED)


def test_a_pipe_that_has_fallen_silent_leaves_no_question_open() -> None:
    """Of a connection that was open before, the first packet asks those to come who is who: there are none."""
    with OnTerminal() as on:
        on.feed(ladder('c> ACK 1 1 "hello"', 's> ACK 1 6 "you"'))
        lines = on.shows(lambda lines: rung(2, lines), 10)
        assert "under way" in "".join(lines)


@pytest.mark.parametrize("name", ["tcp-blind-reset", "tcp-simultaneous-open", "websocket-tls"])
def test_a_file_through_a_pipe_is_told_as_the_file(name: str) -> None:
    file = REFERENCES / f"{name}.pcapng"
    command = f"cat {file} | {sys.executable} -m lab annotate -"
    piped = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert piped.stdout == annotated(file)


def test_the_screen_of_these_tests_is_one() -> None:
    screen = Screen(4, 3)
    screen.take("ab\r\n客户端\r\nx\x1b[1Ay\r\x1b[J\x1b[1mz")
    assert screen.lines == ["ab", "客户", "z"]
    assert screen.codes == {"A", "J"}
