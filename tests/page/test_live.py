"""The page while hosts play, in a real Chromium: stepped with keys, looked back on, and told when the lab ends."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.left_behind import until
from tests.page.axe import faults
from tests.page.browser import Page
from tests.page.test_server import started
from tests.runs import read

pytestmark = pytest.mark.usefixtures("namespaces")

STANDS = "(document.querySelector('.stands')?.innerText ?? '')"
CHOSEN = "Number(document.querySelector('.row.chosen')?.value ?? 0)"
LINE = "document.activeElement.id === 'line'"


def holds(page: Page, behind: int = 0) -> int:
    """Waits until another packet is held, at hand and drawn so, and returns its number: that depends on the timers."""
    held = "[...document.querySelectorAll('.row.chosen')].map(each => each.value)[0]"
    stands = f"{STANDS}.split('held: ')[1] === String({held}) && document.querySelector('.wire.held')"
    return int(page.wait_for(f"{stands} && {held} > {behind} && {held}"))


def does(page: Page) -> list[str]:
    """Returns what the buttons do."""
    found: list[str] = page.evaluate("[...document.querySelectorAll('.buttons button')].map(each => each.dataset.does)")
    return found


def test_a_connection_is_stepped_to_its_end_with_a_drop_in_the_middle(page: Page, tmp_path: Path) -> None:
    page.window(1280, 800)
    out = tmp_path / "stepped.pcapng"
    with started("step", "tcp/connection", "--page", "-o", str(out)) as served:
        page.open(served.url)
        held = holds(page)
        assert served.token not in page.evaluate("location.href")
        for _ in ("SYN-ACK", "ACK", "data"):
            page.press("Space")
            held = holds(page, held)
        assert "in " in page.text(".timer"), "a timer runs"
        page.press("x")
        page.wait_for("document.querySelector('.wire.lost')")
        holds(page, held)
        page.press("e")
        page.wait_for(f"{LINE} && document.activeElement.value === 'edit flags='")
        page.type("nonsense").press("Enter")
        page.wait_for("document.querySelector('.answer.bad')?.innerText.includes('nonsense')")
        page.click(".buttons [data-does=until]")
        page.wait_for(LINE)
        page.type("FIN").press("Enter")
        page.wait_for("document.querySelector('.wire.held.close')")
        page.press("ArrowLeft", "ArrowLeft")
        page.wait_for(f"{STANDS}.startsWith('looking back')")
        page.press("Space", "Space")
        page.wait_for(f"!{STANDS}.includes('looking') && document.querySelector('.wire.held.close')")
        page.press(":")
        page.wait_for(LINE)
        page.type("continue").press("Enter")
        page.wait_for(f"{STANDS}.includes('it is over')")
        assert "step" not in does(page)
        assert "TIME-WAIT" in page.text("#now")
        assert page.evaluate("document.querySelectorAll('.proof.no').length") == 0
        page.press("q")
        page.wait_for("document.querySelector('.ended')?.innerText.includes('The lab has ended')")
        assert served.process.wait(30) == 0
    assert page.faults == []
    assert page.elsewhere == []
    page.press("Home")
    page.wait_for(f"{CHOSEN} === 1", "what was told can still be read")
    data = [each for each in read(out).packets if each.sender == "client" and each.payload]
    assert (data[0].fate, data[-1].fate) == ("lost", "arrived")
    assert "retransmission" in data[-1].labels


def test_of_several_held_packets_o_chooses_the_next_and_tab_is_the_browsers(page: Page, tmp_path: Path) -> None:
    page.window(1280, 800)
    with started("step", "tcp/simultaneous-open", "--page", "-o", str(tmp_path / "step.pcapng")) as served:
        page.open(served.url)
        page.wait_for(f"{STANDS}.includes('held: 1, 2') && {CHOSEN} === 1")
        page.press("o").wait_for(f"{CHOSEN} === 2")
        page.press("o").wait_for(f"{CHOSEN} === 1")
        page.evaluate("document.querySelector('#ladder').focus()")
        page.press("Tab").wait_for(
            "document.activeElement.closest('#ladder, #side') && document.activeElement.id !== 'ladder'"
        )
        assert page.evaluate(CHOSEN) == 1
    assert page.faults == []


def test_the_list_of_keys_has_each_once_and_as_it_works_now(page: Page) -> None:
    listed = (
        "[...document.querySelectorAll('.sheet dt')].map(each => [each.innerText, each.nextElementSibling.innerText])"
    )
    with started("step", "captures/tcp-connection.pcapng", "--page") as served:
        page.open(served.url).wait_for(f"{CHOSEN} === 1")
        page.press("?").wait_for("document.querySelector('.sheet')")
        keys = page.evaluate(listed)
        said = {"␣": "let it arrive", "→": "forward", "j ↓": "the next packet", "k ↑": "the one before"}
        assert said.items() <= dict(keys).items()
        every = [key for entry, _ in keys for key in entry.split()]
        assert len(every) == len(set(every))
        assert {"x", "e", "Space"}.isdisjoint(every), "nobody can be told, and they do nothing else"
        page.press("Escape").wait_for("!document.querySelector('.sheet')")
        page.press("q").wait_for("document.querySelector('.ended')")
        page.press("?").wait_for("document.querySelector('.sheet')")
        assert page.evaluate(listed)[0] == ["j ↓ → Space", "the next packet"]


def test_the_page_says_that_the_lab_was_ended_or_is_gone(page: Page, tmp_path: Path) -> None:
    page.window(360, 740, "dark")
    for end, said in (("stop", "ended on its terminal"), ("kill", "does not answer any more")):
        with started("step", "tcp/connection", "--page", "-o", str(tmp_path / "step.pcapng")) as served:
            page.open(served.url)
            holds(page)
            if end == "stop":
                assert served.stop() == 130
            else:
                served.process.kill()
            page.wait_for(f"document.querySelector('.ended')?.innerText.includes('{said}')")
            assert page.evaluate("document.querySelectorAll('.row').length") == 1
    page.press("l")
    page.wait_for("document.querySelector('.ended').innerText.includes('实验室')")


def test_a_page_can_be_loaded_anew_and_a_wrong_address_is_told_in_words(page: Page) -> None:
    with started("view", "captures/tcp-connection.pcapng") as served:
        page.open(served.url).wait_for("document.querySelectorAll('.row').length === 11")
        page.press("ArrowDown", "ArrowDown")
        page.wait_for("location.hash === '#p=2'")
        page.reload()
        page.wait_for(f"{CHOSEN} === 2")
        page.evaluate("sessionStorage.clear()")
        page.reload()
        page.wait_for("document.querySelector('[data-when=refused]')?.innerText.includes('does not know this address')")
        assert page.evaluate("document.querySelectorAll('.row').length") == 0
    assert page.faults == []


def test_interfaces_come_and_go_while_the_page_is_loaded(page: Page) -> None:
    """Chromium then breaks off what it loads, also from loopback; hosts of a run and containers are made just then."""
    with started("view", "captures/tcp-connection.pcapng") as served:
        for _ in range(5):
            page.call("Page.navigate", url="about:blank")
            with changing_interfaces(10):  # where they never stop, a busy machine never loads anything
                page.call("Page.navigate", url=served.url)
                page.wait_for("document.querySelectorAll('.row').length === 11")
    assert page.faults == []


@contextmanager
def changing_interfaces(times: int) -> Iterator[None]:
    """Has an interface with an address come and go so many times, from now on."""
    over = threading.Event()

    def change() -> None:
        for _ in range(times):
            if over.is_set():
                return
            for words in (
                "link add {0} type veth",
                "addr add 192.0.2.77/32 dev {0}",
                "link set {0} up",
                "link del {0}",
            ):
                subprocess.run(["ip", *words.format(f"labtest{os.getpid()}").split()], check=True)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_page_whose_connection_breaks_is_connected_again(page: Page, tmp_path: Path) -> None:
    with started("step", "tcp/connection", "--page", "-o", str(tmp_path / "step.pcapng")) as served:
        page.open(served.url)
        held = holds(page)
        for _ in range(3):
            page.press("Space")
            held = holds(page, held)
            assert len(connections(served.port, "--kill")) == 1
            assert until(lambda: len(connections(served.port)) == 1)
            page.wait_for(f"{STANDS}.includes('held: {held}')")
        page.press("Space")
        holds(page, held)
        assert page.evaluate("document.querySelector('.ended')") is None


def connections(port: int, *more: str) -> list[str]:
    """Returns what `ss` says of each connection to a port of ours."""
    asked = ["ss", "--no-header", "-tn", *more, "state", "established", "dst", "127.0.0.1", "dport", "=", str(port)]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_a_live_page_has_no_serious_fault_and_its_buttons_are_in_sight(
    page: Page, axe: str, tmp_path: Path, width: int, scheme: str
) -> None:
    page.window(width, 800, "dark" if scheme == "dark" else "light")
    with started("step", "tls/1.3", "--page", "-o", str(tmp_path / "step.pcapng")) as served:
        page.open(served.url)
        held = holds(page)
        for _ in ("SYN-ACK", "ACK", "ClientHello"):
            page.click(".buttons [data-does=step]")
            held = holds(page, held)
        page.press(":")
        page.wait_for(LINE)
        assert faults(page, axe) == []
        seen = page.evaluate("document.querySelector('#ladder').clientHeight")
        assert seen > 200, "there is room for the ladder"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert {"step", "drop", "until", "quit"} <= set(does(page))
    assert page.faults == []


def test_a_scenario_is_followed_while_it_plays(page: Page, tmp_path: Path) -> None:
    page.window(1280, 800)
    with started("view", "tcp/connection", "--slow", "100ms", "-o", str(tmp_path / "view.pcapng")) as served:
        page.open(served.url)
        page.wait_for("document.querySelector('#bar')?.innerText.includes('it is over')")
        assert page.evaluate("document.querySelectorAll('.outcome .seen').length") == 8
        page.wait_for(f"{CHOSEN} === 11")
    assert page.faults == []
