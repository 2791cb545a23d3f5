"""Small texts that several renderings share, and how texts of either language are fitted into columns."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, TextIO

from lab.model import Verdict
from lab.protocols.registry import PROTOCOLS
from lab.text import Lang, Text, safe

if TYPE_CHECKING:
    from rich.console import Console

# What is said of a label that needs a word; the label itself stays English everywhere (design: a closed set).
LABELS = {
    "truncated": Text("cut short in the capture", "抓包时被截断"),
    "fragment": Text("IP fragment", "IP 分片"),
    "evicted": Text("its connection was let go of: too many at a time", "同时进行的连接过多，不再跟踪此连接"),
    "given-up": Text("too much has come behind it to wait for what becomes of it", "其后的数据过多，不再等待它的结果"),
    "let-go": Text(
        "what its connection carries is read no further: it takes too much room", "内存有限，不再读取此连接所承载的内容"
    ),
    "too-much": Text("it says more than is told here", "内容过多，未全部列出"),
    "forged": Text("forged on the wire, its sender has not sent it", "线路伪造，所称的发送方并未发送"),
    **{label: text for protocol in PROTOCOLS for label, text in protocol.label_words.items()},
}

_EVENTS = {event: text for protocol in PROTOCOLS for event, text in protocol.event_words.items()}
_DONE = {"sent": "发出", "got": "收到"}

# What needs more words: they are told once, at the first packet that needs them.
EXPLAINED = {label: text for protocol in PROTOCOLS for label, text in protocol.explained.items()}

MEANINGS = {protocol.name: protocol.meanings for protocol in PROTOCOLS}
TITLES = {protocol.name: protocol.title for protocol in PROTOCOLS}

_TAKEN_FOR_ONE = ("FORCE_COLOR", "TTY_COMPATIBLE")  # by rich
USUAL = 80  # columns where nobody says how many there are
_MOST_SAID = 400  # characters of a message's words
_REMEMBERED = 1024  # texts that have been broken into lines: most are said again and again
_SECTION = r"[A-Z]?\.?\d+(?:\.\d+)*|[A-Z]\b(?!\.)"
_AND = re.compile(r", and |, | and ")
_SECTIONS = re.compile(rf"sections? ((?:{_SECTION})(?:(?:, and |, | and | to )(?:{_SECTION}))*)")
_NEVER_FIRST = "，。；：、！？）】》”’…·.,;:!?)]}%"
_NEVER_LAST = "（【《“‘([{"


def console(out: TextIO) -> Console:
    """Returns a console that writes colours and styles where `out` is a terminal that wants them, else plain text."""
    from lab.render.terminal import Terminal

    return Terminal(file=out, highlight=False, color_system=None if os.environ.get("NO_COLOR") else "auto")


def terminal(out: TextIO) -> Console | None:
    """Returns the console where `out` is a terminal, or is to be taken for one; None where all it gets is text."""
    if not out.isatty() and not any(os.environ.get(name) for name in _TAKEN_FOR_ONE):
        return None
    found = console(out)
    return found if found.is_terminal else None


def columns(on: Console | None, least: int, most: int) -> int:
    """Returns how many columns to write: as many as the terminal has, within reason; 80 where there is none."""
    return min(max(on.width, least), most) if on is not None and on.is_terminal else USUAL


def refusal(why: Verdict, begins: bool = False) -> Text:
    """Returns why a packet was refused, in words; `begins` where they begin a sentence."""
    said = Text(f"{'R' if begins else 'r'}efused: {why.text.en}", f"拒收：{why.text.zh}")
    if why.agrees is not False:
        return said
    return Text(f"{said.en} (by its numbers it could have been taken)", f"{said.zh}（仅看首部中的各个数值，本可接受）")


def event(on: str) -> Text:
    """Returns a table's event in words: in English its name, which is a verb and what was sent or got."""
    if on in _EVENTS:
        return _EVENTS[on]
    verb, _, what = on.partition(" ")
    if verb not in _DONE:
        return Text(on, on)
    zh = _EVENTS[what].zh if what in _EVENTS else what
    return Text(on, _DONE[verb] + ("" if _is_wide(zh[:1] or " ") else " ") + zh)


def sections(source: str) -> Text:
    """Returns where an RFC says something, in words: `RFC 9293 section 3.5` as Chinese writes it too."""
    zh = _SECTIONS.sub(lambda found: f"第 {_AND.sub('、', found[1]).replace(' to ', ' 至 ')} 节", source)
    zh = re.sub(r" 节, item ([\d.]+)", r" 节第 \1 条", zh).replace(" 节 and ", " 节和 ")
    zh = zh.replace(" appendix ", " 附录 ")
    for half, full in ((" and ", " 和 "), (", ", "，"), (" (RFC", "（RFC"), (" 节)", " 节）")):
        zh = zh.replace(half, full)
    return Text(source, zh)


def by_unicode(text: str) -> int:
    """Returns how many columns a text takes by Unicode's own properties, where there is no rich: in a browser."""
    shown = [each for each in text if unicodedata.category(each) not in ("Mn", "Me", "Cf", "Cc")]
    return len(shown) + sum(map(_is_wide, shown))


cell_len: Callable[[str], int]
try:
    from rich.cells import cell_len
except ImportError:
    cell_len = by_unicode


def cells(text: str) -> int:
    """Returns how many columns a text takes."""
    return len(text) if text.isascii() and text.isprintable() else cell_len(text)


def wrap(text: str, width: int) -> list[str]:
    """Breaks a text into lines of at most `width` columns: between words, and between any two Chinese characters."""
    return list(_remembered(text, width) if len(text) <= _MOST_SAID else _lines(text, width))


def _lines(text: str, width: int) -> tuple[str, ...]:
    text = text.strip()
    if cells(text) <= width:
        return (text,) if text else ()
    if text.isascii() and text.isprintable() and (lines := _between_words(text, width)):
        return lines
    return tuple(_broken(text, width))


_remembered = lru_cache(_REMEMBERED)(_lines)


def _between_words(text: str, width: int) -> tuple[str, ...]:
    """Breaks a text whose characters take a column each; returns nothing where a word is longer than a line."""
    lines: list[str] = []
    at = 0
    while len(text) - at > width:
        end = text.rfind(" ", at, at + width + 1)
        if end <= at:
            return ()
        lines.append(text[at:end].rstrip())
        at = end + 1
        while text[at] == " ":
            at += 1
    return (*lines, text[at:])


def _broken(text: str, width: int) -> list[str]:
    lines: list[str] = []
    line = ""
    for piece in pieces(text):
        if cells((line + piece).rstrip()) <= width:
            line += piece
            continue
        if line.strip():
            lines.append(line.rstrip())
        line, at = piece.lstrip(), 0
        while (end := _fitting(line, at, width)) < len(line.rstrip()):  # a word longer than a line
            cut = next((place for place in range(end, at, -1) if line[place] not in _NEVER_FIRST), end)
            lines.append(line[at:cut])
            at = cut
        line = line[at:]
    return [*lines, line.rstrip()] if line.strip() else lines


def _fitting(text: str, at: int, width: int, least: int = 1) -> int:
    """Returns the end of what fits into `width` columns from `at` on, `least` characters at least."""
    columns = 0
    for end in range(at, len(text)):
        columns += cells(text[end])
        if columns > width and end >= at + least:
            return end
    return len(text)


def pieces(text: str) -> Iterator[str]:
    """Yields the pieces that a line may be broken between; punctuation stays with what it belongs to."""
    begin = 0
    for at in range(1, len(text)):
        last, char = text[at - 1], text[at]
        together = char == " " or (last != " " and (char in _NEVER_FIRST or last in _NEVER_LAST))
        apart = last == " " or _is_wide(char) or _is_wide(last)
        if apart and not together:
            yield text[begin:at]
            begin = at
    yield text[begin:]


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"


def pad(text: str, width: int) -> str:
    """Fills a text up to `width` columns."""
    return text + " " * (width - cells(text))


def clip(text: str, width: int) -> str:
    """Cuts a text to at most `width` columns, with an ellipsis where something is missing."""
    if cells(text) <= width:
        return text
    return text[: _fitting(text, 0, width - 1, 0)] + "…"


def brief(text: str) -> str:
    """Returns what somebody wrote into a capture, fit to be shown: nothing in it steers a terminal, nor fills pages."""
    return safe(text[:_MOST_SAID]) + ("…" if len(text) > _MOST_SAID else "")


def numbers(packets: tuple[int, ...], lang: Lang) -> str:
    """Returns packet numbers as a list in the language's punctuation; of many, the first few."""
    shown = ("、" if lang == "zh" else ", ").join(map(str, packets[:6]))
    return shown + (" …" if len(packets) > 6 else "")
