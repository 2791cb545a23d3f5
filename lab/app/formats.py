"""The formats that a run can be written in, and the one place that writes them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, TextIO

from lab.text import Lang

if TYPE_CHECKING:
    from lab.bulk.rows import Rows
    from lab.capture.reader import Capture
    from lab.model import Packet
    from lab.runs.run import Run


class Format(StrEnum):
    """What a run can be written as."""

    LADDER = "ladder"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    CONVERSATIONS = "conversations"
    EVENTS = "events"
    SVG = "svg"
    MERMAID = "mermaid"
    HTML = "html"
    PCAPNG = "pcapng"


class FormOfMarks(StrEnum):
    """What marks can be written as; the last three are one submission's."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MOODLE = "moodle"
    MARKDOWN = "markdown"
    HTML = "html"
    GRADESCOPE = "gradescope"
    PRAIRIELEARN = "prairielearn"
    CLASSROOM50 = "classroom50"


class DiagramForm(StrEnum):
    """What a protocol's state diagram can be written as."""

    SVG = "svg"
    MERMAID = "mermaid"


DRAWN = (Format.SVG, Format.MERMAID, Format.HTML)  # as a whole, in the end


def in_words(form: Format) -> bool:
    """Whether a format tells packets in words, and needs their bytes."""
    return form in (Format.LADDER, Format.PCAPNG, *DRAWN)


def beginning(form: Format) -> int | None:
    """Returns how many bytes of a payload a format needs, None where that is all of them."""
    if form not in (Format.LADDER, Format.SVG, Format.MERMAID):
        return None
    from lab.render.parts import PREVIEW

    return PREVIEW


def told_by_field(form: Format) -> range:
    """Returns the packets whose messages a format tells field by field."""
    if form is not Format.HTML:
        return range(0)
    from lab.page.model import MOST

    return range(1, MOST + 1)


def write_ladder(run: Run, packets: Iterator[Packet], out: TextIO, lang: Lang, capture: Capture | None = None) -> None:
    """Draws rung by rung, and sums up. Where packets come while they happen, each rung is written out at once.

    Of a `capture` that comes through a pipe those that are still under way are shown too, on a terminal that can draw
    them anew.
    """
    from lab.render.ladder import Ladder
    from lab.render.words import console

    on = console(out)
    ladder = Ladder(on, lang)
    live = capture is None or capture.size is None
    if capture is not None and live and out.isatty() and on.is_terminal and not on.is_dumb_terminal:
        from lab.app.under_way import UnderWay

        with contextlib.closing(UnderWay(ladder, out, run.under_way, lang)) as drawn:
            capture.when_waiting(lambda: drawn.waits(capture.comes_within))
            for packet in packets:
                drawn.rung(packet)
        ladder.fit()
    else:
        for packet in packets:
            ladder.rung(packet)
            if live:
                out.flush()
    ladder.summary(run.reports(), run.agreement, run.states())
    out.flush()


def write_drawn(run: Run, form: Format, out: TextIO, lang: Lang, with_keys: bool = False) -> None:
    """Draws all packets of a run in the end. Raises UsageError where these are too many for a picture, or a page."""
    if form is Format.HTML:
        from lab.page.html import document
        from lab.page.model import of_run

        out.write(document(of_run(run, with_keys)))
        out.flush()
        return
    from lab.render.mermaid import mermaid
    from lab.render.picture import few, picture
    from lab.render.svg import svg

    packets = few(run.packets())
    if form is Format.SVG:
        out.write(svg(picture(packets, lang, run.agreement), lang))
    else:
        out.write(mermaid(packets, lang))
    out.flush()


def write_events(run: Run, out: TextIO) -> None:
    """Writes an event a line, each at once: whoever reads them is told while it happens."""
    from lab.events import as_json
    from lab.render.trace import dump

    for event in run.events():
        out.write(dump(as_json(event)) + "\n")
        out.flush()


def write_rows(rows: Rows, form: Format, out: TextIO, lang: Lang, live: bool) -> None:
    """Writes what has a line a packet, or a conversation; where packets come `live`, each is written out at once."""
    from lab.render import table, trace
    from lab.render.rows import AT_ONCE, as_lines

    write: Callable[[str], object] = _flushed(out) if live else out.write
    at_once = 1 if live or out.isatty() else AT_ONCE
    if form is Format.CSV:
        table.as_csv(rows.packets(), write, at_once)
    elif form is Format.NDJSON:
        as_lines(rows.packets(), write, at_once)
    elif form is Format.CONVERSATIONS:
        for _ in rows.packets():
            pass
        as_lines((line for _, line in rows.conversations()), write, at_once)
    else:
        trace.as_json(rows.packets(), rows.conversations(), lambda: rows.about(lang), write, at_once)
    out.flush()


def _flushed(out: TextIO) -> Callable[[str], object]:
    def write(text: str) -> None:
        out.write(text)
        out.flush()

    return write
