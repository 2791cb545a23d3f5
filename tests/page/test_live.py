"""A live run is stepped in a real browser, to its end, and what becomes of the lab and its page is said in words."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.page.browser import Page
from tests.page.test_page import drawn
from tests.page.test_server import started
from tests.runs import read

pytestmark = pytest.mark.usefixtures("namespaces")


def holds(page: Page, label: str) -> None:
    """Waits until such a packet is held, and at hand. Its number also depends on how often a kernel lost patience."""
    page.wait_for(
        f"document.querySelector('.fate.held') && document.querySelector('.which h2').innerText.includes('{label}')"
    )


def test_a_live_run_is_stepped_to_its_end_with_a_drop_in_the_middle(page: Page, tmp_path: Path) -> None:
    out = tmp_path / "stepped.pcapng"
    with started("step", "tcp/connection", "--page", "-o", str(out)) as served:
        page.window(1280, 800).open(served.url)
        for label in ("SYN seq=0", "SYN-ACK seq=0", "ACK seq=1"):
            holds(page, label)
            page.press("Space")
        holds(page, "data 14B seq=1 ack=1")
        assert "token" not in page.evaluate("location.href"), "who looks on could read it"
        page.press("x").wait_for("document.querySelector('.wire.data.lost .cross')")
        holds(page, "data 14B seq=1 ack=1")  # it is sent again
        page.press(":").wait_for("document.activeElement.id === 'line'")
        page.type("continue").press("Enter")
        page.wait_for("document.querySelector('#bar .stands')?.innerText.includes('it is over')")
        assert page.evaluate("document.querySelectorAll('.proof.no').length") == 0
        page.press("l").wait_for("document.querySelector('#bar .stands').innerText.includes('已结束')")
        drawn(page.press("q")).wait_for("document.querySelector('#bar .ended')")
        served.rest()
        assert served.process.wait(30) == 0
    assert page.faults == []
    assert page.elsewhere == []
    data = [each for each in read(out).packets if each.sender == "client" and each.payload]
    assert (data[0].fate, data[-1].fate) == ("lost", "arrived")
    assert "retransmission" in data[-1].labels


def test_a_lab_that_ends_while_its_page_is_open_is_said_to_have_ended(page: Page) -> None:
    with started("step", "tcp/connection", "--page") as served:
        page.window(360, 740, "dark").open(served.url)
        holds(page, "SYN seq=0")
        served.process.send_signal(signal.SIGKILL)
        page.wait_for("document.querySelector('#bar .ended')?.innerText")
    assert page.evaluate("document.querySelectorAll('.row').length") == 1, "what was shown stays"
    assert [each for each in page.faults if each.level == "exception"] == []
