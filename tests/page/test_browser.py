"""The browser itself: what it does to a page happens, and nothing that a page does wrong escapes it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.left_behind import processes, until
from tests.page.axe import faults
from tests.page.browser import Browser, Page, Said, away, started
from tests.places import PACKAGES

PAGE = """<!doctype html><html lang="en"><title>A page</title><main>
<h1>A page</h1><button id="count">0</button><button id="under">x</button>
<label>Text <input id="line"></label><p id="keys"></p>
<div id="over" style="position: fixed; inset: 0 0 auto auto; width: 9px; height: 9px"></div></main>
<style>@media (prefers-color-scheme: dark) { body { background: black; color: white } }
#under { position: fixed; top: 0; right: 0; width: 9px; height: 9px; padding: 0 }</style>
<script>
count.onclick = event => { if (event.isTrusted) setTimeout(() => { count.textContent++ }, 50) };
onkeydown = event => { keys.textContent += `${event.shiftKey ? "^" : ""}${event.key} ${event.code}|` };
</script>
"""


@pytest.fixture
def shown(page: Page, tmp_path: Path) -> Page:
    file = tmp_path / "a page #1.html"
    file.write_text(PAGE)
    return page.open(file)


def test_a_click_is_a_real_one_and_is_waited_for(shown: Page) -> None:
    shown.click("#count").click("#count")
    assert shown.wait_for("count.textContent == '2' && count.textContent") == "2"


def test_what_is_covered_can_not_be_clicked(shown: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.page.browser.PATIENCE", 1.0)
    with pytest.raises(AssertionError, match='#under can\'t be clicked: there is <div id="over"'):
        shown.click("#under")


def test_keys_and_text_arrive(shown: Page) -> None:
    shown.click("#line").press("a", "Space", "Shift+Tab", "?", "ArrowLeft").press("Tab").type("文字")
    assert shown.text("#keys") == "a KeyA| Space|^Tab Tab|? |ArrowLeft ArrowLeft|Tab Tab|"
    assert shown.evaluate("line.value") == "文字"


def test_a_window_has_its_size_and_its_colours(shown: Page, tmp_path: Path) -> None:
    shown.window(360, 640, "dark").screenshot(tmp_path / "dark.png")
    assert shown.evaluate("[innerWidth, innerHeight, getComputedStyle(document.body).backgroundColor]") == [
        360, 640, "rgb(0, 0, 0)",
    ]  # fmt: skip
    assert (tmp_path / "dark.png").read_bytes().startswith(b"\x89PNG")
    shown.pdf(tmp_path / "printed.pdf")
    assert (tmp_path / "printed.pdf").read_bytes().startswith(b"%PDF")


def test_a_quiet_page_has_no_faults_and_asks_nobody(shown: Page, axe: str) -> None:
    assert shown.faults == []
    assert shown.elsewhere == []
    assert faults(shown, axe) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("<script>throw new Error('thrown')</script>", r"exception: Error: thrown"),
        ("<script>Promise.reject(new Error('left'))</script>", r"exception: Error: left"),
        ("<script>console.error('told', 1)</script>", r"error: told 1"),
        ("<script>console.warn('warned')</script>", r"warning: warned"),
        ("<script>let let = 1</script>", r"exception: SyntaxError"),
        ("<img src='http://192.0.2.1/x.png'>", r"error: Failed to load resource.* http://192\.0\.2\.1/x\.png"),
        (
            "<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\"><script>1</script>",
            r"error: .*Content Security Policy",
        ),
    ],
)
def test_what_a_page_complains_of_is_heard(page: Page, tmp_path: Path, wrong: str, said: str) -> None:
    file = tmp_path / "wrong.html"
    file.write_text(f"<!doctype html><body>{wrong}")
    page.open(file).wait_for("document.readyState == 'complete'")
    assert [each for each in page.faults if re.match(said, f"{each.level}: {each.text}")], page.console


@pytest.mark.parametrize("place", ["http://192.0.2.1/x", "http://elsewhere.example/x", "file:///etc/hostname"])
@pytest.mark.parametrize("asks", ["new Image().src = here", "fetch(here).catch(() => {})"])
def test_what_a_page_asks_for_elsewhere_is_seen(shown: Page, asks: str, place: str) -> None:
    shown.evaluate(f"(here => {{ {asks} }})({place!r})")
    shown.wait_for("true")
    assert shown.elsewhere == [place]


def test_a_serious_fault_is_found(page: Page, tmp_path: Path, axe: str) -> None:
    file = tmp_path / "faint.html"
    file.write_text("<!doctype html><html lang=en><title>x</title><main><h1 style='color: #ddd'>faint</h1></main>")
    assert [each for each in faults(page.open(file), axe) if each.startswith("serious color-contrast")]


def test_pages_do_not_know_of_each_other(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "stores.html"
    file.write_text("<!doctype html><script>localStorage.x = (localStorage.x || '') + 'x'</script>")
    for _ in range(2):
        with browser.page() as page:
            assert page.open(file).evaluate("localStorage.x") == "x"
            assert page.console == list[Said]()


def test_nothing_is_left_of_a_browser(chromium: str) -> None:
    with contextlib.suppress(ZeroDivisionError), started(chromium) as browser, browser.page() as page:
        page.open("data:text/html,x")
        profile = browser.profile
        assert _of(profile)
        raise ZeroDivisionError
    assert not profile.exists()
    assert until(lambda: not _of(profile))


def test_a_browser_does_not_outlive_who_has_started_it(chromium: str) -> None:
    start = f"""from tests.page.browser import started
with started({chromium!r}) as browser:
    print(browser.profile, flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", start], env={**os.environ, "PYTHONPATH": PACKAGES}, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as starter:  # fmt: skip
        assert starter.stdout is not None
        profile = Path(starter.stdout.readline().decode().strip())
        assert _of(profile)
        starter.kill()
    assert until(lambda: not _of(profile))
    assert away(profile)


def _of(profile: Path) -> list[int]:
    """Returns the processes of the browser that has this profile."""
    found = []
    for pid in processes():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if f"--user-data-dir={profile}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found
