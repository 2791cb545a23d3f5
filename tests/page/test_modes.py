"""What the page can do beside the ladder: two captures, slides, what comes next, the state diagram."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packets import OPEN, ladder
from tests.page.axe import faults
from tests.page.browser import Page
from tests.page.conftest import Shown
from tests.page.test_page import at, drawn
from tests.places import REFERENCES, ROOT
from tests.runs import saved

ROWS = "document.querySelectorAll('.row').length"
# Who sends it, what, and where both ends are then: packets 2 to 6 of tcp-connection.
COMES = [
    ("server", "SYN-ACK", "ESTABLISHED", "SYN-RECEIVED"), ("client", "ACK", "ESTABLISHED", "ESTABLISHED"),
    ("client", "data", "ESTABLISHED", "ESTABLISHED"), ("server", "ACK", "ESTABLISHED", "ESTABLISHED"),
    ("server", "data", "ESTABLISHED", "ESTABLISHED"),
]  # fmt: skip


def chosen(page: Page, **answers: str) -> None:
    """Chooses in the lists of a form, as a reader does who has opened them."""
    for name, value in answers.items():
        choose = "(list => { list.value = VALUE; list.dispatchEvent(new Event('change')); })".replace(
            "VALUE", json.dumps(value)
        )
        page.evaluate(f"{choose}(document.querySelector('.quiz select[name={name}]'))")


def test_five_packets_are_predicted_and_none_shows_before(shown: Shown) -> None:
    page = shown("tcp-connection", at="#p=1", height=2000)
    page.press("p").wait_for(f"document.querySelector('.quiz form') && {ROWS} === 1")
    for number, (who, what, client, server) in enumerate(COMES, 2):
        assert page.evaluate(ROWS) == number - 1
        assert not page.evaluate("document.querySelector('#outcome')"), "it tells what is to come"
        chosen(page, who="client" if number == 5 else who, what=what, client=client, server=server)
        page.click(".quiz button[type=submit]").wait_for(f"document.querySelector('.quiz ul') && {ROWS} === {number}")
        at(page, number)
        wrong = page.evaluate("[...document.querySelectorAll('.quiz .bad')].map(each => each.innerText)")
        assert wrong == (["✗ Who sends it? server client"] if number == 5 else [])
        page.click(".quiz button.main").wait_for("document.querySelector('.quiz form')")
    assert "19 / 20" in page.text(".quiz [role=status]")
    page.press("Escape").wait_for(f"{ROWS} === 11")


def test_slides_go_on_with_space_and_end_where_they_are(shown: Shown) -> None:
    page = shown("tcp-connection", at="#p=8")
    page.press("f").wait_for("document.querySelector('section.slides')")
    states = "[...document.querySelectorAll('section.slides .now')].map(each => each.textContent).join()"
    for number, ends in ((8, "FIN-WAIT-1,CLOSE-WAIT"), (9, "FIN-WAIT-2,CLOSE-WAIT"), (10, "TIME-WAIT,LAST-ACK")):
        page.wait_for(f"document.querySelector('section.slides footer').innerText.startsWith('{number} / 11')")
        assert page.evaluate(states) == ends
        page.press("Space")
    page.wait_for(
        "document.querySelector('section.slides .words').innerText.startsWith('close 4 The client acknowledges')"
    )
    box = page.evaluate("document.querySelector('section.slides').getBoundingClientRect().toJSON()")
    assert (box["width"], box["height"]) == (1280, 800)
    page.press("Escape").wait_for("!document.querySelector('section.slides')")
    at(page, 11)


def test_two_tokens_move_on_the_state_diagram(shown: Shown) -> None:
    page = shown("tcp-connection", at="#p=8", height=2000)
    where = "['client', 'server'].map(role => document.querySelector(`.node.at-${role} .state`).textContent).join()"
    for number, ends in ((8, "FIN-WAIT-1,CLOSE-WAIT"), (9, "FIN-WAIT-2,CLOSE-WAIT"), (10, "TIME-WAIT,LAST-ACK")):
        at(page, number)
        assert page.wait_for(where) == ends
        page.press("j")
    page.press("g").wait_for("document.querySelector('.sheet .diagram')")
    page.press("Escape").wait_for("!document.querySelector('.sheet')")


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two captures."""
    file = tmp_path_factory.mktemp("compared") / "two.html"
    names = [str(REFERENCES / f"{name}.pcapng") for name in ("tls-1.2-rsa", "tls-1.3")]
    command = [sys.executable, "-m", "lab", "diff", *names, "--format", "html", "-o", str(file)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=100)
    return file


def test_two_captures_stand_side_by_side(page: Page, compared: Path, axe: str) -> None:
    page.window(1280, 800).open(compared).wait_for("document.querySelector('table.compared')")
    rows = page.evaluate("[...document.querySelectorAll('table.compared tbody tr')].map(each => each.innerText)")
    assert [each for each in rows if "differs" in each and "ClientHello" in each]
    assert [each for each in rows if "only in A" in each and "ClientKeyExchange" in each]
    assert [each for each in rows if "only in B" in each and "EncryptedExtensions" in each]
    page.click("table.compared tr.a button")
    assert page.text(".which h2").startswith("Packet 6 ")
    assert "TLS 1.2" in page.text("#side")
    page.click("table.compared tr.b button").wait_for("document.querySelector('#side').innerText.includes('TLS 1.3')")
    assert faults(page, axe) == []
    before = page.text("table.compared")
    drawn(page.press("l"))
    assert page.text("table.compared") != before
    drawn(page.window(360, 740))
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.faults == []
    assert page.elsewhere == []


def test_what_is_said_of_one_capture_does_not_stay_under_the_other(page: Page, tmp_path: Path) -> None:
    cut, file = tmp_path / "cut.pcapng", tmp_path / "two.html"
    cut.write_bytes(saved(ladder(*OPEN, "c> data 1 1 5"), cut).read_bytes()[:-3])
    names = [str(REFERENCES / "tcp-connection.pcapng"), str(cut), "-o", str(file)]
    subprocess.run([sys.executable, "-m", "lab", "diff", *names, "--format", "html"], cwd=ROOT, check=True, timeout=100)
    said = "['good', 'bad'].filter(each => document.querySelector(`#outcome > p.${each}`))"
    page.window(1280, 800).open(file).wait_for("document.querySelector('table.compared')")
    for side, kind in ((3, "bad"), (2, "good"), (3, "bad")):
        page.click(f"table.compared td:nth-child({side}) button")
        page.wait_for(f"JSON.stringify({said}) === '[\"{kind}\"]'")
