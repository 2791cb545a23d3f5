"""The whole screen, driven by keys: over a recorded capture, and in a real terminal with real hosts."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Static

from lab.stepping.screen import Screen
from lab.text import Lang
from tests.left_behind import heed_signals
from tests.places import ROOT
from tests.stepping.test_view import opened

TMUX = "tmux"
# Without a fixed size, which a terminal's own would not get the better of.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}


def driven(
    name: str,
    keys: Sequence[str | tuple[int, int]],
    size: tuple[int, int] = (80, 24),
    lang: Lang = "en",
    then: Callable[[Screen], Any] | None = None,
) -> dict[str, str]:
    """Presses keys over a capture, or gives the terminal another size, and returns what each panel shows."""
    shown: dict[str, str] = {}

    async def drive() -> None:
        app = Screen(opened(name), None, lang)
        async with app.run_test(size=size) as pilot:
            for key in keys:
                await (pilot.press(key) if isinstance(key, str) else pilot.resize_terminal(*key))
            await pilot.pause()
            for panel in app.screen_stack[0].query(Static):
                shown[panel.id or ""] = str(panel.content)
            shown["help"] = str(len(app.screen_stack) > 1)
            if then is not None:
                then(app)

    work: Coroutine[Any, Any, None] = drive()
    asyncio.run(work)
    return shown


def test_a_terminal_that_is_made_smaller_shows_all_of_it_at_once() -> None:
    small = driven("tcp-connection.pcapng", ["space"], (80, 24))
    assert driven("tcp-connection.pcapng", ["space", (80, 24)], (160, 44)) == small


def test_space_lets_a_packet_arrive_and_left_takes_it_back() -> None:
    shown = driven("tcp-connection.pcapng", ["space", "space", "left"])
    assert "held: 2" in shown["head"]
    assert "2/12" in shown["head"]
    assert "▐◀" in shown["ladder"].splitlines()[-1]
    assert shown["about"].startswith("open 2: The server agrees")
    assert "SYN-RECEIVED" in shown["kernels"]


def test_b_runs_to_what_is_typed_and_what_is_wrong_is_said() -> None:
    shown = driven("tcp-connection.pcapng", ["b", *"FIN", "enter"])
    assert "held: 8" in shown["head"]
    shown = driven("tcp-connection.pcapng", ["b", *"FNI", "enter"])
    assert "column 7: 'FNI' is nothing that a packet can be" in shown["status"]
    assert "› until FNI" in shown["line"], "the line stays, to be mended"
    shown = driven("tcp-connection.pcapng", ["b", *"FNI", "enter", "escape", "space"])
    assert "held: 2" in shown["head"]


def test_what_is_wrong_and_what_to_do_about_it_is_said_whole() -> None:
    refused = ["colon", *"edit seq=+1", "enter"]
    whole = driven("tcp-connection.pcapng", refused, (250, 50))["status"].split()
    for size, lines in (((60, 16), 2), ((80, 24), 2), ((160, 50), 1)):
        status = driven("tcp-connection.pcapng", refused, size)["status"]
        assert status.split() == whole
        assert len(status.splitlines()) == lines
        assert max(map(len, status.splitlines())) <= size[0]


def test_what_takes_real_hosts_says_so_over_a_capture() -> None:
    shown = driven("tcp-connection.pcapng", ["x"])
    assert "'drop' needs real hosts" in shown["status"]
    assert "lose" not in shown["keys"]
    assert "arrive" in shown["keys"]


def test_predictions_are_judged_when_the_packet_shows() -> None:
    shown = driven("tcp-connection.pcapng", ["p", *"server", "space", *"SYN", "minus", *"ACK", "enter", "space"])
    assert shown["status"].strip() == "predicted right: server SYN-ACK (1 of 1)"
    shown = driven("tcp-connection.pcapng", ["P", "space", *"RST", "enter", "space"], lang="zh")
    assert "预测错误：RST" in shown["status"]
    assert "预测 0/1" in shown["head"]


def test_fields_are_chosen_and_stay_chosen() -> None:
    shown = driven("tls-1.3.pcapng", ["up", "up", "up", "space", "space", "space"], size=(110, 40))
    lines = shown["packet"].splitlines()
    assert any("Acknowledgment Number" in line for line in lines)
    assert "ClientHello" in driven("tls-1.3.pcapng", ["n", "n", "n"], size=(110, 50))["ladder"]


def test_the_language_changes_at_a_key() -> None:
    assert driven("tcp-connection.pcapng", ["l"])["about"].startswith("握手 1：")
    assert driven("tcp-connection.pcapng", ["l"], lang="zh")["about"].startswith("open 1:")


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (119, 33), (120, 34), (200, 60)])
def test_it_fits_every_terminal_that_is_large_enough(size: tuple[int, int]) -> None:
    def fits(app: Screen) -> None:
        for each in ("head", "ladder", "about", "kernels", "packet", "status", "keys"):
            region = app.query_one(f"#{each}").region
            assert region.height > 0, each
            assert region.bottom <= size[1], each
            assert region.right <= size[0], each

    shown = driven("tcp-connection.pcapng", ["space"] * 4, size=size, then=fits)
    assert "held: 5" in shown["head"]
    assert "▐◀" in shown["ladder"]


def test_a_terminal_that_is_too_small_is_told_how_small() -> None:
    assert "this terminal has 50×12: it takes 60×16" in driven("tcp-connection.pcapng", [], size=(50, 12))["status"]


def test_help_opens_and_closes() -> None:
    assert driven("tcp-connection.pcapng", ["question_mark"])["help"] == "True"
    shown = driven("tcp-connection.pcapng", ["question_mark", "escape", "space"])
    assert shown["help"] == "False"
    assert "held: 2" in shown["head"]


def test_a_terminal_that_changes_under_the_help_shows_all_when_that_is_closed() -> None:
    small, wide = (80, 24), (130, 40)
    for sizes in ((small, wide), (wide, small)):
        keys: list[str | tuple[int, int]] = ["space", "space"]
        plain = driven("tcp-connection.pcapng", keys, sizes[1])
        shown = driven("tcp-connection.pcapng", [*keys, "question_mark", sizes[1], "escape"], sizes[0])
        assert shown == plain


# A real terminal, real hosts.


class Terminal:
    """A tmux session in which a shell runs."""

    def __init__(self, folder: Path) -> None:
        self.socket = str(folder / "tmux")
        self.ask("-f", os.devnull, "new-session", "-d", "-s", "lab", "-x", "80", "-y", "24", "sh")

    def ask(self, *words: str) -> str:
        return subprocess.run(
            [TMUX, "-S", self.socket, *words], capture_output=True, text=True, encoding="utf-8", check=True, timeout=30,
            env={**ENVIRONMENT, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)},
            preexec_fn=heed_signals,
        ).stdout  # fmt: skip

    def press(self, *keys: str) -> None:
        self.ask("send-keys", "-t", "lab", *keys)

    def until(self, text: str) -> str:
        """Waits until something stands on the screen, and returns all of that."""
        deadline = time.monotonic() + 30
        while text not in (shown := self.ask("capture-pane", "-t", "lab", "-p")):
            assert time.monotonic() < deadline, shown
            time.sleep(0.05)
        return shown


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    if shutil.which(TMUX) is None:
        pytest.skip("tmux is not installed (Debian: apt-get install tmux)")
    opened = Terminal(tmp_path)
    try:
        yield opened
    finally:
        opened.ask("kill-server")


def start(terminal: Terminal, *words: str, by: str = "{}") -> None:
    terminal.press(by.format(f"{sys.executable} -m lab step {' '.join(words)} --lang en") + "; echo EXIT $?", "Enter")


def test_the_life_of_a_connection_at_a_dozen_keys(namespaces: None, terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "run.pcapng"
    start(terminal, "tcp/connection", "-o", str(file))
    shown = terminal.until("held: 1")
    assert "SYN-SENT" in shown
    terminal.press("b", "client data", "Enter")
    shown = terminal.until("data 14B")
    terminal.press("e", "C-u", "edit payload=forged", "Enter")
    terminal.until("data!")
    terminal.press("Space")
    terminal.until("seq=1 ack=7")
    terminal.press(":", "continue", "Enter")
    shown = terminal.until("nothing more will come")
    assert "CLOSED" in shown
    terminal.press("Left")
    terminal.until("looking back")
    terminal.press("q")
    shown = terminal.until("EXIT 0")
    assert "Saved with its notes" in shown
    assert file.exists()


@pytest.mark.parametrize("by", ["{}", "sh -c '{}; true'"], ids=["the shell", "a program, as make is"])
def test_it_is_stopped_and_goes_on_and_leaves_nothing_when_the_terminal_closes(
    namespaces: None, terminal: Terminal, by: str
) -> None:
    start(terminal, "tcp/connection", by=by)
    terminal.until("held: 1")
    pid = int(terminal.ask("list-panes", "-t", "lab", "-F", "#{pane_pid}"))
    terminal.press(":")
    terminal.until("›")
    terminal.press("C-z")
    terminal.until("EXIT")
    terminal.press("fg", "Enter")
    terminal.until("held: 1")
    terminal.press("Escape")
    terminal.ask("resize-window", "-t", "lab", "-x", "130", "-y", "45")
    terminal.until("╭─ both kernels")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    terminal.ask("kill-session", "-t", "lab")
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    terminal.ask("-f", os.devnull, "new-session", "-d", "-s", "lab", "sh")  # for the fixture to end
