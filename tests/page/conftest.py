"""Pages of captures, made once by the command that makes them, and opened from disk."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.packets import OPEN, ladder
from tests.page.browser import Browser, Page, started
from tests.places import REFERENCES, ROOT
from tests.runs import saved

Made = Callable[..., Path]
Shown = Callable[..., Page]


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """A Chromium that runs: one for all of these tests, since it takes seconds to start, and none for those behind."""
    with started(chromium) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page in it, which knows nothing of others."""
    with browser.page() as page:
        yield page


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Returns the page of a capture: of a reference by its name, of any other by its path."""

    @cache
    def make(capture: str | Path, *options: str) -> Path:
        file = capture if isinstance(capture, Path) else REFERENCES / f"{capture}.pcapng"
        page = tmp_path_factory.mktemp("page") / f"{file.stem}.html"
        command = [sys.executable, "-m", "lab", "annotate", str(file), "--format", "html", "-o", str(page), *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=100, check=False)
        assert done.returncode == 0, done.stderr
        return page

    return make


@pytest.fixture
def shown(page: Page, made: Made) -> Iterator[Shown]:
    """Returns the page of a capture, opened: in the end it has complained of nothing, and asked nobody for anything."""

    def show(capture: str | Path, *options: str, at: str = "", **window: Any) -> Page:
        page.window(**{"width": 1280, "height": 800, **window})
        page.open(made(capture, *options).as_uri() + at)
        page.wait_for("document.querySelector('.row')", "the page shows nothing")
        return page

    yield show
    assert page.faults == []
    assert page.elsewhere == []


def long(folder: Path, packets: int) -> Path:
    """Returns a capture of so many packets, most of them data."""
    lines = [*OPEN, *(f"c> data {1 + 10 * each} 1 10" for each in range(packets - len(OPEN)))]
    return saved(ladder(*lines), folder / f"{packets}.pcapng")
