"""The site in a real Chromium, from a server with a strict policy: looked through, and given captures to annotate."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.site.build import build
from tests.left_behind import until
from tests.page.axe import faults
from tests.page.browser import PATIENCE, Page
from tests.page.served import Served, served
from tests.places import REFERENCES


@pytest.fixture(scope="module")
def site(pyodide: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("site")
    build(folder, pyodide)
    with served(folder) as found:
        yield found


def drop(page: Page, name: str, data: bytes) -> None:
    """Lets a file fall onto the page, as a hand does."""
    said = json.dumps(base64.b64encode(data).decode())
    page.evaluate(_DROP % (f"Uint8Array.from(atob({said}), (char) => char.charCodeAt(0))", json.dumps(name)))


_DROP = """
(() => {
  const moved = new DataTransfer(), kind = { dataTransfer: moved, bubbles: true, cancelable: true };
  moved.items.add(new File([%s], %s));
  document.body.dispatchEvent(new DragEvent("drop", kind));
})()
"""


def wait(page: Page, expression: str) -> None:
    """Waits for a Python to be loaded into a browser, on a busy machine too, but not as long as a test may take."""
    for _ in range(2):
        try:
            page.wait_for(expression)
            return
        except AssertionError:
            if page.evaluate("document.querySelector('#status.bad')?.innerText"):
                break
    page.wait_for(expression)


def all_is_well(page: Page) -> None:
    assert page.faults == []
    assert page.elsewhere == []


def test_one_goes_from_the_index_to_a_packet_and_back(site: Served, page: Page) -> None:
    page.open(f"{site.address}index.html").click("#tcp-connection h3 a")
    page.wait_for("document.querySelectorAll('.row').length === 11")
    page.press("ArrowDown")
    page.wait_for("location.hash === '#p=1'")
    page.click(".beside a")
    page.wait_for("location.pathname.endsWith('/index.html')")
    all_is_well(page)


def test_a_step_of_the_notes_leads_to_the_packet_in_which_it_is_seen(site: Served, page: Page) -> None:
    page.open(f"{site.address}notes/tcp.html").click("[id='tcp.close.1'] a")
    page.wait_for("location.hash === '#p=8' && document.querySelector('.row.chosen')")
    all_is_well(page)


def test_the_language_is_kept_from_page_to_page(site: Served, page: Page) -> None:
    page.open(f"{site.address}explore.html").click("a.switch")
    page.wait_for("document.documentElement.lang === 'zh-CN'")
    page.open(f"{site.address}captures/tcp-connection.html")
    page.wait_for("document.documentElement.lang === 'zh-CN' && document.querySelector('.row')")
    assert "全部抓包" in page.text(".beside")
    page.open(f"{site.address}index.html")
    page.wait_for("location.pathname.endsWith('/index.zh.html')")
    page.click("a.switch")
    page.wait_for("location.pathname.endsWith('/index.html')")
    all_is_well(page)


@pytest.mark.parametrize("name", ["index", "notes/tcp", "notes/tls", "explore", "drop"])
@pytest.mark.parametrize("lang", ["", ".zh"])
def test_no_page_is_wider_than_a_telephone_and_all_can_be_read(
    name: str, lang: str, site: Served, page: Page, axe: str
) -> None:
    for width in (360, 1024):
        page.window(width, 800, "light" if width == 360 else "dark")
        page.open(f"{site.address}{name}{lang}.html")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert faults(page, axe) == []
    all_is_well(page)


def test_a_dropped_capture_is_annotated_and_never_leaves(site: Served, page: Page) -> None:
    page.open(f"{site.address}drop.html")
    before = len(site.asked)
    drop(page, "mine.pcapng", (REFERENCES / "tcp-connection.pcapng").read_bytes())
    wait(page, "document.querySelectorAll('.row').length === 11")
    assert "mine.pcapng" in page.text(".head")
    assert "ESTABLISHED" in page.text("#ladder")
    asked = site.asked[before:]
    assert {"/worker.js", "/lab.zip", "/pyodide/pyodide.asm.wasm"} <= {each.path for each in asked}
    assert {(each.method, each.size) for each in asked} == {("GET", 0)}, "nothing goes to the server"
    all_is_well(page)


def test_what_is_shown_can_be_kept_as_a_file(site: Served, page: Page, tmp_path: Path) -> None:
    page.open(f"{site.address}drop.html")
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    drop(page, "mine.pcapng", (REFERENCES / "tcp-refused.pcapng").read_bytes())
    wait(page, "document.querySelectorAll('.row').length === 2")
    page.click(".beside button")
    kept = tmp_path / "mine.pcapng.html"
    until(kept.exists, PATIENCE)
    page.open(kept)
    page.wait_for("document.querySelectorAll('.row').length === 2")
    all_is_well(page)


def test_tls_is_read_as_far_as_it_is_in_the_clear_and_the_rest_says_why(site: Served, page: Page) -> None:
    page.open(f"{site.address}drop.html")
    drop(page, "rsa.pcapng.gz", gzip.compress((REFERENCES / "tls-1.2-rsa.pcapng").read_bytes()))
    wait(page, "document.querySelector('#ladder')?.innerText.includes('ClientHello')")
    assert "the Python library that decrypts, cryptography, is not here" in page.text("#ladder")
    all_is_well(page)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("none.pcap", b"GET / HTTP/1.1\r\n", "none.pcap is neither a pcap nor a pcapng file"),
        ("<img src=x onerror=alert(1)>.pcap", b"", "<img src=x onerror=alert(1)>.pcap is empty"),
        ("zipped.pcap", b"\x28\xb5\x2f\xfd" + bytes(99), "the Python library for that is not here"),
    ],
)
def test_what_is_no_capture_is_told_and_the_next_one_is_read(
    name: str, data: bytes, told: str, site: Served, page: Page
) -> None:
    page.open(f"{site.address}drop.html")
    drop(page, name, data)
    wait(page, f"document.querySelector('#status.bad')?.innerText.includes({json.dumps(told)})")
    lines = page.text("#status").splitlines()
    assert len(lines) == 2, lines
    assert page.evaluate("document.querySelector('img')") is None
    drop(page, "next.pcapng", (REFERENCES / "tcp-refused.pcapng").read_bytes())
    wait(page, "document.querySelectorAll('.row').length === 2")
    all_is_well(page)


def test_what_is_too_large_is_told_before_anything_is_loaded(site: Served, page: Page) -> None:
    page.open(f"{site.address}drop.zh.html")
    before = len(site.asked)
    page.evaluate(_DROP % ("new ArrayBuffer((32 << 20) + 1)", '"large.pcap"'))
    wait(page, "document.querySelector('#status.bad')?.innerText.includes('最多读取 32 MB')")
    assert [each.path for each in site.asked[before:] if "pyodide" in each.path] == []
    all_is_well(page)


def test_it_can_be_stopped_before_its_file_has_been_read(site: Served, page: Page) -> None:
    page.open(f"{site.address}drop.html")
    page.evaluate("""(() => {
      const read = Blob.prototype.arrayBuffer;
      File.prototype.arrayBuffer = async function () {
        await new Promise(done => { window.readOn = done });
        return window.bytes = read.call(this);
      };
    })()""")
    drop(page, "one.pcapng", (REFERENCES / "tcp-connection.pcapng").read_bytes())
    page.click("#status button")
    wait(page, "document.querySelector('#status').innerText === 'Stopped.'")
    before = len(site.asked)
    page.evaluate("(readOn(), new Promise(next => setTimeout(next)))")
    page.evaluate("bytes.then(() => new Promise(next => setTimeout(next)))")
    assert page.text("#status") == "Stopped."
    assert [each.path for each in site.asked[before:]] == []
    page.evaluate("delete File.prototype.arrayBuffer")
    drop(page, "two.pcapng", (REFERENCES / "tcp-refused.pcapng").read_bytes())
    wait(page, "document.querySelectorAll('.row').length === 2")
    all_is_well(page)


def test_it_can_be_stopped_and_begun_again(site: Served, page: Page) -> None:
    page.open(f"{site.address}drop.html")
    drop(page, "one.pcapng", (REFERENCES / "tcp-connection.pcapng").read_bytes())
    page.click("#status button")
    wait(page, "document.querySelector('#status').innerText === 'Stopped.'")
    page.evaluate("""(() => {
      window.places = new Set();
      const look = () => {
        const button = document.querySelector("#status button");
        if (button) places.add(button.getBoundingClientRect().top + scrollY);
        requestAnimationFrame(look);
      };
      look();
    })()""")
    drop(page, "two.pcapng", (REFERENCES / "tcp-refused.pcapng").read_bytes())
    wait(page, "document.querySelectorAll('.row').length === 2")
    assert page.evaluate("places.size") == 1, "the button has moved under the finger"
    all_is_well(page)
