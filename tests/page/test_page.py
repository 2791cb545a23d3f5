"""The page as a lecturer and a student use it: opened from disk, walked with keys, clicked, read in both languages."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from lab.render.words import TITLES
from lab.runs.recorded import open_run
from tests.page.axe import faults
from tests.page.browser import Page
from tests.page.conftest import Made, Shown, long
from tests.places import REFERENCES, ROOT

CHOSEN = "Number(document.querySelector('.row.chosen')?.value ?? 0)"
LIT = "[...document.querySelectorAll('.dump:first-of-type .bytes .lit')].map(each => Number(each.dataset.at))"
NAMES = ("tcp-connection", "tls-1.3", "websocket-connection", "tcp-syn-lost", "tcp-refused", "tcp-blind-reset")
WIDTHS = (360, 768, 1280)
# What no text of a language has: characters of the other; a word in small letters, and not one of its own characters.
WRONG = {"en": r"[\u3000-\u9fff\uff00-\uffef]", "zh-CN": r"^[^\u4e00-\u9fff]*[a-z]{3}[^\u4e00-\u9fff]*$"}


def drawn(page: Page) -> Page:
    """Waits until what was chosen has been drawn."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))")
    return page


def at(page: Page, number: int) -> None:
    page.wait_for(f"{CHOSEN} === {number}")


# Opened and walked


def test_a_page_shows_every_packet_with_both_ends_states(shown: Shown) -> None:
    page = shown("tcp-connection", height=2000)
    assert page.evaluate("[...document.querySelectorAll('.row')].map(each => each.value)") == list(range(1, 12))
    states = page.evaluate("[...document.querySelectorAll('.wires .state')].map(each => each.textContent)")
    assert states == [
        "CLOSED", "SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT",
        "LISTEN", "SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED",
    ]  # fmt: skip
    assert page.evaluate("document.querySelectorAll('.proof.yes').length") == 11


def test_a_page_of_eleven_packets_is_small_and_opens_soon(
    shown: Shown, made: Made, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    size = made("tcp-connection").stat().st_size
    page = shown("tcp-connection")
    took = page.wait_for("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
    record_property("opens in ms", took)
    with capsys.disabled():
        print(f" {size} bytes, drawn after {took:.0f} ms ", end="")
    assert size < 100_000


def test_keys_walk_from_packet_to_packet_and_each_comes_into_sight(shown: Shown) -> None:
    page = shown("tcp-connection", height=600)
    for number in range(1, 12):
        at(page.press("ArrowDown"), number)
        assert page.text(".which h2").startswith(f"Packet {number} ")
        assert page.evaluate("location.hash") == f"#p={number}"
        page.wait_for(_IN_SIGHT, f"packet {number} is out of sight")
    at(page.press("ArrowDown"), 11)
    at(page.press("k", "k"), 9)
    at(page.press("Home"), 1)
    at(page.press("k"), 1)
    at(page.press("End"), 11)


_IN_SIGHT = """(() => {
  const row = document.querySelector(".row.chosen").getBoundingClientRect();
  const room = document.querySelector("#ladder").getBoundingClientRect();
  const heads = document.querySelector(".heads").getBoundingClientRect();
  return row.top >= heads.bottom - 1 && row.bottom <= room.bottom + 1;
})()"""


@pytest.mark.parametrize("width", WIDTHS)
def test_both_ends_names_stay_in_sight_and_nothing_is_wider_than_the_window(shown: Shown, width: int) -> None:
    page = drawn(shown("tls-1.3", at="#p=12", width=width))
    for end in page.evaluate(
        "[...document.querySelectorAll('.end')].map(each => each.getBoundingClientRect().toJSON())"
    ):
        assert end["left"] >= 0
        assert end["right"] <= width
        assert end["top"] >= 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(
        "(side => side.scrollWidth <= side.clientWidth)(document.querySelector('#side'))"
    )  # fmt: skip


# Links


def test_a_link_opens_at_its_packet_and_links_within_are_followed(shown: Shown) -> None:
    page = shown("tcp-connection", at="#p=8")
    at(page, 8)
    assert page.text(".which h2") == "Packet 8 FIN seq=15 ack=15"
    page.evaluate("location.hash = '#p=2'")
    at(page, 2)
    page.click("#outcome a[href='#p=9']")
    at(page, 9)
    page.click(".row[value='4']")
    at(page, 4)


@pytest.mark.parametrize("link", ["#p=0", "#p=99", "#p=<b>", "#constructor"])
def test_a_link_to_nowhere_opens_the_page_all_the_same(shown: Shown, link: str) -> None:
    page = shown("tcp-connection", at=link)
    assert page.evaluate(CHOSEN) in (0, 8)
    at(page.press("Home"), 1)


# Fields and bytes


@pytest.mark.parametrize(("name", "number"), [("tcp-connection", 1), ("tls-1.3", 4), ("websocket-connection", 8)])
def test_a_field_lights_its_bytes_and_a_byte_its_field(shown: Shown, name: str, number: int) -> None:
    page = shown(name, at=f"#p={number}")
    fields = page.evaluate(
        "[...document.querySelectorAll('.field')].map((each, at) => (each.id = `field-${at}`, each.disabled))"
    )
    for index in [index for index, disabled in enumerate(fields) if not disabled][:: max(len(fields) // 12, 1)]:
        page.click(f"#field-{index}")
        start, _, end = page.text(f"#field-{index} .place").partition("–")
        lit = page.wait_for(f"document.querySelector('#field-{index}.lit') && {LIT}")
        assert lit in (list(range(int(start), int(end or start) + 1)), [])  # in another buffer: none of the frame's


def test_every_byte_has_a_field_that_it_lights(shown: Shown) -> None:
    page = shown("tcp-connection", at="#p=4", height=1600)
    left = page.evaluate("[...document.querySelectorAll('.dump .bytes i')].map(each => Number(each.dataset.at))")
    assert left == list(range(80))
    while left:
        lit = page.click(f".dump .bytes i[data-at='{left[0]}']").wait_for(f"{LIT}.includes({left[0]}) && {LIT}")
        places = page.evaluate("[...document.querySelectorAll('.field.lit .place')].map(each => each.textContent)")
        (place,) = set(places)  # fields that share a byte, such as version and header length, are lit together
        start, _, end = place.partition("–")
        assert lit == list(range(int(start), int(end or start) + 1))
        left = [each for each in left if each not in lit]


# Languages


def test_every_text_is_in_the_language_that_is_chosen(shown: Shown) -> None:
    for name in NAMES:
        page = shown(name, height=4000)
        packets = page.evaluate("document.querySelectorAll('.row').length")
        for lang, wrong in WRONG.items():
            page.press("Home", "Escape").wait_for(f"document.documentElement.lang === '{lang}'")
            for number in range(1, packets + 1):
                at(page, number)
                texts = set(page.evaluate(_TEXTS)) - set(TITLES.values())
                assert len(texts) > 20
                assert [each for each in texts if re.search(wrong, each)] == [], (name, number, lang)
                assert [each for each in texts if re.search(r"undefined|null|NaN|\[object|\{\w*\}", each)] == []
                page.press("j")
            page.press("l")


# All that a reader sees or hears, but names that are the same in every language: of fields, messages, files; payloads.
_TEXTS = """(() => {
  const same = ".hex, .layers, .wires, svg, h1, h2, .isn, .message, .payload, .end span, [lang]:not(html), kbd, code";
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    if (text && !parent.closest(`${same}, script, style`) && parent.checkVisibility()) found.push(text);
  }
  for (const name of ["aria-label", "title", "placeholder", "alt"])
    for (const element of document.querySelectorAll(`[${name}]`)) found.push(element.getAttribute(name));
  return found;
})()"""


def test_the_language_is_the_browsers_until_another_is_chosen(shown: Shown, page: Page) -> None:
    page.call("Emulation.setUserAgentOverride", userAgent="", acceptLanguage="zh-CN,zh")
    shown("tcp-connection").wait_for("document.documentElement.lang === 'zh-CN'")


# What is shown


def test_bare_acknowledgements_can_be_hidden_and_a_search_finds(shown: Shown) -> None:
    page = shown("tcp-connection", height=2000)
    page.press("a").wait_for("document.querySelectorAll('.row').length === 9")
    page.press("a").wait_for("document.querySelectorAll('.row').length === 11")
    page.press("/").type("close-wait").wait_for("document.querySelectorAll('.row.found').length > 0")
    found = page.evaluate("[...document.querySelectorAll('.row.found')].map(each => each.value)")
    assert found == [8, 9]
    assert page.text(".search [role=status]") == "2 found"
    for number in (9, 8):  # from one to the next, and from the last one to the first
        at(page.press("Enter"), number)
    page.press("Escape").wait_for("document.querySelectorAll('.row.found').length === 0")


def test_real_time_moves_packets_apart_as_they_came(shown: Shown) -> None:
    page = drawn(shown("tcp-syn-lost", height=2000).press("r"))
    tops = page.evaluate("[...document.querySelectorAll('.row')].map(each => each.getBoundingClientRect().top)")
    apart = [below - above for above, below in itertools.pairwise(tops)]
    assert max(apart) == apart[0] > 10 * max(apart[1:])  # a second until the SYN came again, milliseconds since


def test_raw_numbers_are_those_on_the_wire(shown: Shown) -> None:
    with open_run(str(REFERENCES / "tcp-connection.pcapng")) as run:
        raw = [packet.seq_raw for packet in run.packets()]
    page = drawn(shown("tcp-connection", height=2000).press("n"))
    labels = page.evaluate("[...document.querySelectorAll('.wire text')].map(each => each.textContent)")
    assert len(labels) == len(raw)
    assert [each for each, number in zip(labels, raw, strict=True) if f"seq={number}" not in each] == []


def test_what_was_decrypted_can_be_hidden_again(shown: Shown) -> None:
    page = shown("tls-1.3", at="#p=6", height=2000)
    said = {"#ladder": "TLS CertificateVerify", "#says": "TLS CertificateVerify", "#bytes": "CertificateVerify"}
    assert [place for place, name in said.items() if name not in page.text(place)] == []
    drawn(page.press("e"))
    assert [place for place, name in said.items() if name in page.text(place)] == []
    assert "ServerHello" in page.text("#bytes")


def test_the_table_has_what_the_ladder_has(shown: Shown) -> None:
    page = shown("tcp-connection", at="#p=8").press("b")
    page.wait_for("document.querySelectorAll('table.all tbody tr').length === 11")
    row = page.text("table.all tbody tr:nth-child(8)")
    assert [each for each in ("8", "client", "FIN", "FIN-WAIT-1", "CLOSE-WAIT", "close 1") if each not in row] == []
    assert page.evaluate("[...document.querySelectorAll('table.all th')].every(each => each.scope)")


def test_what_was_lost_and_what_was_refused_can_be_seen(shown: Shown) -> None:
    page = shown("tcp-syn-lost", at="#p=1")
    assert page.evaluate("document.querySelectorAll('.wire .cross').length") == 1
    assert "lost" in page.text(".which")
    page = shown("tcp-refused", at="#p=1")
    assert page.evaluate("document.querySelectorAll('.wire circle.no').length") == 1
    assert "nobody listens" in page.text("#says")


# For everybody


@pytest.mark.parametrize(("scheme", "lang"), [("light", "en"), ("dark", "zh")])
def test_axe_core_finds_no_serious_fault(shown: Shown, axe: str, scheme: str, lang: str) -> None:
    page = shown("tcp-connection", at="#p=8", scheme=scheme)
    if lang == "zh":
        page.press("l").wait_for("document.documentElement.lang === 'zh-CN'")
    for key in ("x", "b", "f", "p", "g", "?"):  # nothing yet, the table, slides, what comes next, the diagram, the keys
        assert faults(drawn(page.press(key)), axe) == [], key
        page.press("Escape")
    page = shown("tls-1.3", at="#p=4", width=360, scheme=scheme)  # what is chosen once holds for the next page
    page.wait_for(f"document.documentElement.lang.startsWith('{lang}')")
    assert faults(drawn(page), axe) == []


def test_the_theme_follows_the_system_until_another_is_chosen(shown: Shown) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    page = shown("tcp-connection", scheme="dark")
    dark = page.evaluate(paper)
    drawn(page.window(1280, 800, "light"))
    assert page.evaluate(paper) == "rgb(255, 255, 255)" != dark
    page.press("t").wait_for(f"{paper} === {dark!r}")


def test_tab_reaches_everything_that_can_be_clicked(shown: Shown) -> None:
    page = shown("tcp-connection", at="#p=8")
    wanted = page.evaluate("[...document.querySelectorAll('button:enabled, select, input, summary')].length")
    reached = set()
    for _ in range(wanted + 20):
        page.press("Tab")
        reached.add(page.evaluate(
            "[...document.querySelectorAll('button:enabled, select, input, summary')].indexOf(document.activeElement)"
        ))  # fmt: skip
    assert reached - {-1} == set(range(wanted))


def test_what_covers_the_page_has_the_keyboard_and_gives_it_back(shown: Shown) -> None:
    page = shown("tcp-connection", at="#p=8")
    page.evaluate("document.querySelector('#space summary').focus()")
    for key, dialog in (("?", ".sheet"), ("f", "section.slides")):
        page.press(key).wait_for(f"document.activeElement.matches('{dialog}')")
        for _ in range(3):
            page.press("Tab")
            assert page.evaluate("document.activeElement.closest('main, header.head') === null")
        page.press("Escape").wait_for("document.activeElement.matches('#space summary')")


def test_a_printed_page_has_all_packets(shown: Shown, tmp_path: Any) -> None:
    page = shown(long(tmp_path, 300), scheme="dark")
    rows = "document.querySelectorAll('.row').length"
    assert page.evaluate(rows) < 100
    page.evaluate(f"addEventListener('beforeprint', () => {{ window.printed = {rows}; }})")
    page.pdf(tmp_path / "page.pdf")
    assert page.evaluate("printed") == 300
    page.wait_for(f"{rows} < 100")
    drawn(page.window(1280, 800, "dark", "print"))
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_the_documentation_has_every_key_in_both_languages(shown: Shown) -> None:
    page = shown("tcp-connection").press("?")
    page.wait_for("document.querySelector('kbd')")
    keys = page.evaluate("[...document.querySelectorAll('kbd')].map(each => each.innerText)")
    written = {"Space": ("space", "空格"), "Escape": ("Esc", "Esc")}
    for at, half in enumerate((ROOT / "docs" / "page.md").read_text("utf-8").split("\n---\n")):
        table = "\n".join(line for line in half.splitlines() if line.startswith("|"))
        found = set(re.findall(r"[^\s|`、，,]+", table))
        assert {written.get(key, (key, key))[at] for each in keys for key in each.split()} - found == set()
