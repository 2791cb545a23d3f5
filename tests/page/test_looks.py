"""How the ladder looks: no text stands across another, none leaves the window, at any width and in either language."""

from __future__ import annotations

import pytest

from tests.page.conftest import Shown
from tests.page.test_page import WIDTHS, drawn

# Pairs of texts that overlap by more than their letters' margins, and texts that are cut off.
_COVERED = """(() => {
  const area = document.querySelector("#ladder").getBoundingClientRect(), boxes = [], found = [];
  const add = (element, margin) => {
    const range = document.createRange(), own = element.getBoundingClientRect();
    range.selectNodeContents(element);
    const { left, right, top, bottom } = range.getBoundingClientRect(), text = element.textContent.trim();
    const squeezed = element.hasAttribute("textLength"); // its range does not say how wide it is drawn
    if (!text || left === right) return;
    const sides = squeezed ? [own.left, own.right] : [Math.max(left, own.left), Math.min(right, own.right)];
    boxes.push({ text, left: sides[0], right: sides[1], top: top + margin, bottom: bottom - margin });
  };
  for (const each of document.querySelectorAll("#ladder svg text")) add(each, 3);
  const beside = [".line", ".number", ".seconds", ".proof", ".other", ".end > *"].map(each => `#ladder ${each}`);
  for (const each of document.querySelectorAll(beside.join())) add(each, 4);
  boxes.forEach((one, at) => {
    if (one.left < area.left - 1 || one.right > area.right + 1) found.push(`cut off: ${one.text}`);
    for (const other of boxes.slice(at + 1)) {
      const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const high = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      if (wide > 2 && high > 1) found.push(`${one.text} / ${other.text}`);
    }
  });
  return [found, boxes.length];
})()"""


@pytest.mark.parametrize(
    "name", ["tcp-connection", "tcp-simultaneous-open", "tcp-blind-reset", "tls-1.3", "websocket-connection"]
)
def test_no_text_stands_across_another_or_is_cut_off(shown: Shown, name: str) -> None:
    page = shown(name, height=4000)
    for width in WIDTHS:
        page.window(width, 4000)
        for lang in ("zh-CN", "en"):
            page.press("l").wait_for(f"document.documentElement.lang === '{lang}'")
            found, texts = drawn(page).evaluate(_COVERED)
            assert texts > 50
            assert found == [], (width, lang)
