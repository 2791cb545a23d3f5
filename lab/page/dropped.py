"""A capture that somebody has dropped into a page: annotated where it is, by a Python in the browser, for that page.

What goes in is a path and a name, what comes out is JSON. It never raises: whatever is wrong is told in two lines.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.events import Event, PacketSent
from lab.page.html import document, written
from lab.page.model import MOST, of_run
from lab.render.trace import dump
from lab.runs.recorded import open_run
from lab.text import Text

LARGEST = 32 << 20  # bytes of a file
_EVERY = 64  # packets
_MOST_SAID = 300  # characters of an error
_FAILED = Text("the lab has failed over this capture: {}", "实验室在解读这份抓包时出错：{}")
_REPORT = Text(
    "that is a mistake of the lab's, please report it; lab annotate FILE may tell more",
    "这是实验室的缺陷，请报告；lab annotate FILE 也许能给出更多信息",
)
_MEMORY = Text("there is not enough memory for this capture here", "这里的内存不足以解读这份抓包")
_AT_HOME = Text(
    "open it with the lab on your machine: lab annotate FILE", "请在自己的机器上用实验室打开：lab annotate FILE"
)


def answer(path: str, name: str, out: str, passed: Callable[[int], object] | None = None) -> None:
    """Writes {"page": …} or {"message": …, "hint": …}, both of these in both languages, into the file `out`.

    `passed` hears now and then how many packets have been read. What is answered may be long: as bytes it goes out of a
    browser's Python at once, as text character by character.
    """
    try:
        page = _page(path, name, passed)
        with Path(out).open("w", encoding="utf-8") as stream:
            stream.writelines(chain(['{"page":'], written(page), ["}"]))
    except LabError as error:
        _tell(out, error.message, error.hint)
    except MemoryError:
        _tell(out, _MEMORY, _AT_HOME)
    except Exception as error:  # a page that stops without a word helps nobody
        _tell(out, _FAILED.format(f"{type(error).__name__}: {error}"[:_MOST_SAID]), _REPORT)


def as_file(path: str, name: str, out: str) -> None:
    """Writes the page as one HTML file, of a capture that has been answered with a page."""
    Path(out).write_text(document(_page(path, name, None)), "utf-8")


def _page(path: str, name: str, passed: Callable[[int], object] | None) -> dict[str, Any]:
    gc.disable()  # as in `lab annotate`: nothing made for a packet is part of a cycle
    try:
        with open_run(path, words=True, fields=range(1, MOST + 1)) as run:
            if passed is not None:
                run.listen(_every(passed))
            return of_run(run) | {"name": name}
    finally:
        gc.enable()


def _every(passed: Callable[[int], object]) -> Callable[[Event], None]:
    def hear(event: Event) -> None:
        if isinstance(event, PacketSent) and event.packet % _EVERY == 0:
            passed(event.packet)

    return hear


def _tell(out: str, message: Text, hint: Text) -> None:
    Path(out).write_text(dump({"message": message._asdict(), "hint": hint._asdict()}), "utf-8")
