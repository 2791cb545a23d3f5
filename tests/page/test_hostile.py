"""Whatever a capture says is text in the page: names, paths, reasons, payloads. What is large is bounded or refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.left_behind import TWO_LINES
from tests.packets import OPEN, ladder
from tests.page.browser import Page
from tests.page.conftest import Made, Shown, long
from tests.page.test_page import at, drawn
from tests.places import ROOT
from tests.protocols.tls.captures import captured, frames
from tests.protocols.websocket.talks import frame
from tests.runs import saved

MARKUP = "</script><script>owned=1</script><img src=x onerror=owned=1>'\"`${owned=1}&lt;b&gt;<!--"
TURNED = "\u202eno\u2066txet\u200f\x1b[2J\x00\ufeff"  # bidi controls, an escape, a nul
REQUEST = (
    "GET /{0} HTTP/1.1\r\nHost: {0}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: {0}\r\n"
    "Sec-WebSocket-Protocol: {0}\r\n\r\n"
)
ANSWER = (
    "HTTP/1.1 101 {0}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nServer: {0}\r\n\r\n"
)
_OWNED = "typeof owned !== 'undefined' || document.querySelectorAll('img, iframe, #app script, #app b *').length"
_TURNED = r"/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/"


def upgraded(folder: Path, text: str, size: int = 0) -> Path:
    """A WebSocket connection all of whose texts are this one; with a message of so many bytes more."""
    said = text.encode()
    messages = [
        ("client", REQUEST.format(text.replace(" ", "")).encode()), ("server", ANSWER.format(text).encode()),
        ("client", frame(1, said, key=b"mask")), ("server", frame(1, said)), ("server", frame(9, said[:100])),
        *([("server", frame(1, (said * size)[:size]))] if size else []),
        ("server", frame(8, b"\x03\xe8" + said[:110])), ("client", frame(8, b"\x03\xe8" + said[:110], key=b"mask")),
    ]  # fmt: skip
    return saved(frames(messages), folder / "upgraded.pcapng")  # type: ignore[arg-type]  # roles are literals


def walked(page: Page) -> None:
    """Looks at every packet, in the ladder in English, in the table in Chinese: nothing of the capture is markup."""
    count = page.evaluate("document.querySelectorAll('.row').length")
    for keys in ((), ("l", "b")):
        drawn(page.press("Home", *keys))
        for number in range(1, count + 1):
            page.wait_for(f"location.hash === '#p={number}'")
            assert not page.evaluate(_OWNED), number
            assert not page.evaluate(f"{_TURNED}.test(document.body.innerText)"), number
            page.press("j")


@pytest.mark.parametrize("text", [MARKUP, TURNED])
def test_what_a_websocket_says_is_text(shown: Shown, tmp_path: Path, text: str) -> None:
    page = shown(upgraded(tmp_path, text), height=4000)
    if text == MARKUP:
        assert "</script><script>owned=1</script>" in page.text("#ladder")
    walked(page)


def test_what_a_client_hello_says_is_text(shown: Shown, tmp_path: Path) -> None:
    flights = [(role, data.replace(b"server.example", b"<img src=//x/>")) for role, data in captured("TLS 1.3").flights]
    page = shown(saved(frames(flights), tmp_path / "hello.pcapng"), height=4000)
    assert "<img src=//x/>" in page.text("#ladder")
    walked(page)


def test_a_files_name_and_comments_are_text(shown: Shown, tmp_path: Path) -> None:
    name = f"{MARKUP.replace('/', '')}.pcapng"
    frames_ = [each._replace(comments=(MARKUP, TURNED)) for each in ladder(*OPEN, 'c> data 1 1 "<script>owned=1"')]
    page = shown(saved(frames_, tmp_path / name), height=4000)
    assert "<img src=x onerror=owned=1>" in page.text("h1")
    assert page.evaluate("document.title").startswith("<script>")
    walked(page)


def test_megabytes_are_a_page_of_kilobytes(shown: Shown, made: Made, tmp_path: Path) -> None:
    capture = upgraded(tmp_path, MARKUP, 2_000_000)
    page = shown(capture, at="#p=20")
    assert made(capture).stat().st_size < 0.8 * capture.stat().st_size
    assert page.evaluate("document.querySelectorAll('*').length") < 20_000


def test_ten_thousand_packets_scroll_and_few_are_drawn_at_a_time(shown: Shown, made: Made, tmp_path: Path) -> None:
    page = shown(long(tmp_path, 10_000))
    nodes = "document.querySelectorAll('*').length"
    few = page.evaluate(nodes)
    assert few < 3000
    at(page.press("End"), 10_000)
    assert page.evaluate(nodes) < 3000
    at(page.press("k"), 9_999)
    page.evaluate("document.querySelector('#ladder').scrollTop /= 2")
    page.wait_for("Math.abs(document.querySelector('.row').value - 5000) < 50")
    assert page.evaluate(nodes) < 3000
    page.press("b").wait_for("document.querySelector('table.all')")
    assert page.evaluate(nodes) < 20_000


def test_two_hundred_thousand_are_refused_with_what_to_do(tmp_path: Path) -> None:
    (frame_,) = ladder("c> SYN 0")
    file = tmp_path / "large.pcap"
    record = b"".join(each.to_bytes(4, "little") for each in (0, 0, len(frame_.data), len(frame_.data))) + frame_.data
    header = bytes.fromhex("d4c3b2a1 02000400 00000000 00000000 00000400 01000000")
    file.write_bytes(header + record * 200_000)
    command = [sys.executable, "-m", "lab", "annotate", str(file), "--format", "html", "--lang", "zh"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=100, check=False)
    assert done.returncode == 2
    assert TWO_LINES["zh"].fullmatch(done.stderr), done.stderr
    assert "--filter" in done.stderr
    assert "--conversation" in done.stderr
    assert done.stdout == ""
