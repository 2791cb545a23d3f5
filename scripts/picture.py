"""Makes the pictures: Wireshark with the lab's profile, a real window on a screen that nobody sees; the grid; states.

    python scripts/picture.py [CAPTURE [PICTURE]]        what `lab wireshark CAPTURE` opens, for the README
    python scripts/picture.py --stepping [PICTURE]       a real FIN held inside Wireshark, for docs/wireshark.md
    python scripts/picture.py --debugger [FOLDER]        `lab step`, a real FIN held on the wire, in both languages
    python scripts/picture.py --grid [FOLDER]            what this kernel does with every segment, in both languages
    python scripts/picture.py --isns [FOLDER]            the initial sequence numbers of 1,000 connections, likewise
    python scripts/picture.py --states [FOLDER]          TCP's states with a connection's path, in both languages
    python -m scripts.picture --page [FOLDER]            the page of a capture, and one that is live, in both languages

The states need nothing, the numbers namespaces. The others need wireshark, xvfb, xdotool and imagemagick; the grid, the
debugger and the page chromium; all but the first what a scenario needs. Root steps in Wireshark as an ordinary user:
for root it takes no programs from a folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import lab
from lab.app import isns
from lab.app.formats import DiagramForm
from lab.app.notes import Drawing, draw
from lab.protocols.exploration import Options
from lab.protocols.subject import subjects
from lab.stepping.debugger import Debugger
from lab.stepping.hearing import Ear
from lab.stepping.screen import Screen as DebuggerScreen
from lab.text import LANGUAGES, Lang
from lab.wireshark import profile

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs/pictures"
WIDTH, HEIGHT = 1440, 840
FIRST_ROW, ROW = 128, 17  # pixels
TOOLBAR = 34  # pixels: the one to step with
RUN_UNTIL = 540, 112  # its line to type into
HELD = 8, "FIN"
PAGE = 1280, 800  # pixels
GRID_WIDTH, GRID_HEIGHT = 1024, 840  # pixels
PATIENCE = 300.0  # seconds
NOBODY = 65534


class Screen:
    """A screen of its own; `environ` is for whoever draws on it."""

    def __init__(self, display: str, environ: Mapping[str, str]) -> None:
        self.environ = {**os.environ, **environ, "DISPLAY": display, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)}

    def tool(self, *words: object) -> bytes:
        return subprocess.run(
            [str(each) for each in words], env=self.environ, check=True, capture_output=True, timeout=PATIENCE
        ).stdout

    def still(self) -> None:
        """Waits until the screen does not change any more."""
        seen, until = [b"", b"x"], time.monotonic() + PATIENCE
        while len(set(seen)) > 1 and time.monotonic() < until:
            time.sleep(1)
            seen = [*seen[-2:], self.tool("import", "-window", "root", "rgb:-")]

    def fill(self, name: str) -> None:
        """Waits for a window of this name, and makes it as large as the screen."""
        found = self.tool("xdotool", "search", "--sync", "--onlyvisible", "--name", name).split()[-1].decode()
        self.tool("xdotool", "windowmove", found, 0, 0, "windowsize", found, WIDTH, HEIGHT)
        self.still()

    def click(self, x: int, y: int) -> None:
        self.tool("xdotool", "mousemove", x, y, "click", 1)

    def select(self, packet: int, below: int, *keys: str) -> None:
        """Selects a packet, whose list begins so many pixels lower, and presses keys in the details of it."""
        self.click(700, FIRST_ROW + below + ROW * (packet - 1))
        self.still()
        self.click(200, HEIGHT - 100)
        for key in keys:
            self.still()
            self.tool("xdotool", "key", key)

    def keep(self, picture: Path) -> None:
        self.tool("xdotool", "mousemove", WIDTH - 1, HEIGHT - 1)
        self.still()
        picture.parent.mkdir(parents=True, exist_ok=True)
        self.tool("import", "-window", "root", "+dither", "-colors", "96", "-strip", f"png8:{picture}")


@contextlib.contextmanager
def screen(home: str) -> Iterator[Screen]:
    reading, writing = os.pipe()
    with subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{WIDTH}x{HEIGHT}x24"],
        pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as server:  # fmt: skip
        os.close(writing)
        try:
            with os.fdopen(reading) as told:
                yield Screen(f":{told.readline().strip()}", {"HOME": home, "XDG_RUNTIME_DIR": home})
        finally:
            server.terminate()


@contextlib.contextmanager
def started(shown: Screen, *words: str) -> Iterator[None]:
    with subprocess.Popen(words, env=shown.environ) as program:
        try:
            yield
        finally:
            program.terminate()


def opened(capture: Path, picture: Path) -> None:
    """A capture, its third packet selected with our fields opened and the comments closed."""
    with (
        tempfile.TemporaryDirectory() as home,
        screen(home) as shown,
        started(shown, sys.executable, "-m", "lab", "wireshark", str(capture)),
    ):
        shown.fill(capture.stem)
        shown.select(3, 0, "Home", "Left", "End", "Right")
        shown.keep(picture)


def stepping(picture: Path) -> None:
    """What came before was let go: now the FIN is held, and the server's kernel has not got it."""
    user: Sequence[str] = ()
    if os.geteuid() == 0:
        user = ("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
    home = tempfile.mkdtemp()
    try:
        if user:
            os.chown(home, NOBODY, NOBODY)
        window = ["wireshark", "-C", profile.NAME, "-k", "-i", "handshake-lab"]
        install = shlex.join([sys.executable, "-m", "lab", "wireshark", "--install"])
        with (
            screen(home) as shown,
            started(shown, *user, "sh", "-c", f"cd {home} && {install} && exec {shlex.join(window)}"),
        ):
            shown.fill("Capturing from")
            packet, label = HELD
            shown.click(*RUN_UNTIL)
            shown.tool("xdotool", "type", "--delay", 200, label)
            shown.tool("xdotool", "key", "Return")
            shown.still()
            shown.select(packet, TOOLBAR, "Home", "Left", "End", "Right")
            shown.keep(picture)
    finally:
        shutil.rmtree(home)


def grid(folder: Path) -> None:
    """The page of `lab explore`, as far as the grid goes."""
    for lang in LANGUAGES:
        with tempfile.TemporaryDirectory() as home:
            page, picture, done = Path(home, "grid.html"), Path(home, "grid.png"), folder / f"explore.{lang}.png"
            explore = [sys.executable, "-m", "lab", "explore", "--format", "html", "-o", str(page), "--lang", lang]
            subprocess.run(explore, cwd=ROOT, check=True, timeout=PATIENCE)
            photograph(page, picture, done, GRID_WIDTH, GRID_HEIGHT)


def states(folder: Path) -> None:
    """The state diagram with the path of the notes' connection."""
    capture = ROOT / "captures/tcp-connection.pcapng"
    for lang in LANGUAGES:
        asked = Drawing(DiagramForm.SVG, str(capture), None, False)
        draw(subjects(["tcp"]), asked, folder / f"states.{lang}.svg", lang)


def numbers(folder: Path) -> None:
    """The initial sequence numbers of 1,000 connections."""
    for lang in LANGUAGES:
        isns.show(Options(), isns.As.SVG, "netns", folder / f"isns.{lang}.svg", lang)


def photograph(page: Path, picture: Path, done: Path, width: int, height: int) -> None:
    """Has a browser draw a page, so many pixels of it."""
    browser = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--user-data-dir={picture.parent}", f"--window-size={width},{height}",
        f"--screenshot={picture}", page.as_uri(),
    ]  # fmt: skip
    subprocess.run(browser, check=True, capture_output=True, timeout=PATIENCE)
    shrink(picture, done, "-trim")


def shrink(picture: Path, done: Path, *trim: str) -> None:
    command = ["convert", str(picture), *trim, "+dither", "-colors", "96", "-strip", f"png8:{done}"]
    subprocess.run(command, check=True, timeout=PATIENCE)


def page(folder: Path) -> None:
    """A capture's page at its FIN, and the debugger's while a FIN is held: what came before was let go."""
    from tests.page.browser import started
    from tests.page.test_server import started as stepped

    with started("chromium") as browser, tempfile.TemporaryDirectory() as home:
        file, picture = Path(home, "page.html"), Path(home, "page.png")
        annotate = [sys.executable, "-m", "lab", "annotate", "captures/tcp-connection.pcapng", "--format", "html"]
        subprocess.run([*annotate, "-o", str(file)], cwd=ROOT, check=True, timeout=PATIENCE)
        with browser.page() as shown, stepped("step", "tcp/connection", "--page") as debugger:
            shown.window(*PAGE).open(f"{file.as_uri()}#p={HELD[0]}")
            for lang in LANGUAGES:
                shown.wait_for(f"document.documentElement.lang.startsWith('{lang}')")
                shown.screenshot(picture)
                shrink(picture, folder / f"page.{lang}.png")
                shown.press("l")
            shown.open(debugger.url).wait_for("document.querySelector('.fate.held')")
            shown.press("b").wait_for("document.activeElement.id === 'line'")
            shown.type(HELD[1]).press("Enter")
            shown.wait_for(f"document.querySelector('.fate.held')?.closest('h2').innerText.includes('{HELD[1]}')")
            for lang in LANGUAGES:
                shown.wait_for(f"document.documentElement.lang.startsWith('{lang}')")
                shown.screenshot(picture)
                shrink(picture, folder / f"page-live.{lang}.png")
                shown.press("l")


def debugger(folder: Path) -> None:
    """The screen of `lab step`, as it draws itself: what came before was let go, and the FIN is held."""
    for lang in LANGUAGES:
        with tempfile.TemporaryDirectory() as home:
            page, drawn = Path(home, "screen.html"), asyncio.run(_drawn(lang))
            drawn = re.sub(r' textLength="[0-9.]*"', "", drawn) if lang == "zh" else drawn  # it takes wide for narrow
            page.write_text(_PAGE.format(re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)), encoding="utf-8")
            photograph(page, Path(home, "screen.png"), folder / f"step.{lang}.png", 1640, 1000)


_PAGE = (
    "<meta charset=utf-8><style>body {{ margin: 0 }} svg {{ width: 1600px }} "
    "text {{ font-family: 'DejaVu Sans Mono', 'Noto Sans Mono CJK SC' !important }}</style>{}"
)


async def _drawn(lang: Lang) -> str:
    """Plays a connection up to its first FIN, and returns the screen as SVG."""
    run = lab.run("tcp/connection", testbed="netns", control=True)
    stepped = Debugger(lambda: run.control)
    with run:
        events = iter(run.events())
        stepped.hear(next(events))
        ear = Ear(events, stepped.hear)
        ear.start()
        app = DebuggerScreen(stepped, ear, lang)
        async with app.run_test(size=(138, 38)) as pilot:
            while not stepped.waits:
                await pilot.pause(0.05)
            await pilot.press("b", *HELD[1], "enter")
            while not stepped.waits:
                await pilot.pause(0.05)
            await pilot.pause(0.2)
            drawn = app.export_screenshot(title="lab step tcp/connection")
            await pilot.press("q")
        ear.join()
    return drawn


if __name__ == "__main__":
    if sys.argv[1:2] == ["--grid"]:
        grid(Path(sys.argv[2]) if len(sys.argv) > 2 else PICTURES)
    elif sys.argv[1:2] == ["--isns"]:
        numbers(Path(sys.argv[2]) if len(sys.argv) > 2 else PICTURES)
    elif sys.argv[1:2] == ["--states"]:
        states(Path(sys.argv[2]) if len(sys.argv) > 2 else PICTURES)
    elif sys.argv[1:2] == ["--page"]:
        page(Path(sys.argv[2]) if len(sys.argv) > 2 else PICTURES)
    elif sys.argv[1:2] == ["--debugger"]:
        debugger(Path(sys.argv[2]) if len(sys.argv) > 2 else PICTURES)
    elif sys.argv[1:2] == ["--stepping"]:
        stepping(Path(sys.argv[2]) if len(sys.argv) > 2 else PICTURES / "stepping.png")
    else:
        names = [Path(each) for each in sys.argv[1:]]
        opened(
            names[0] if names else ROOT / "captures/tls-1.2-rsa.pcapng",
            names[1] if len(names) > 1 else PICTURES / "wireshark.png",
        )
