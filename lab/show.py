"""A trace in the format that was asked for, from a live run and from a recording alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from lab.annotate.agreement import Agreement
from lab.dissect.conversations import Conversation
from lab.model import Rung
from lab.text import Lang

if TYPE_CHECKING:
    from lab.halves import Other


class Format(StrEnum):
    """What the trace can be written as."""

    LADDER = "ladder"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    CONVERSATIONS = "conversations"
    PCAPNG = "pcapng"


class Source(Protocol):
    """A run or a recording: its rungs, and what is known when they are over."""

    agreement: Agreement

    @property
    def conversations(self) -> list[Conversation]: ...

    def rungs(self) -> Iterator[Rung]: ...


def packets(rungs: Iterable[Rung], form: Format) -> Iterator[str]:
    """Yields the packets' lines in a format that has a line a packet; none where it has none."""
    from lab.render import table

    if form is Format.CSV:
        yield from table.csv_rows(rungs)
    elif form is Format.CONVERSATIONS:
        for _ in rungs:
            pass
    else:
        yield from table.packet_lines(rungs)


def show(
    source: Source,
    rungs: Iterator[Rung],
    form: Format,
    about: Callable[[], dict[str, Any]],
    out: TextIO,
    lang: Lang,
    theirs: Other | None = None,
    live: bool = False,
) -> None:
    """Writes all rungs to `out`; a ladder is drawn rung by rung and summed up.

    `theirs` is another half of the capture. Where packets come `live`, each is written out at once.
    """
    from lab.render import table

    def write(text: str) -> None:
        out.write(text)
        if live:
            out.flush()

    if form is Format.LADDER:
        from lab.render.ladder import Ladder
        from lab.render.words import console

        ladder = Ladder(console(out), lang)
        for rung in rungs:
            ladder.rung(rung)
            out.flush()
        ladder.summary(source.conversations, source.agreement)
        out.flush()
        return
    rows = packets(rungs, form)
    entries = table.conversation_lines(source.conversations)
    if theirs is not None:
        places = table.CSV_PLACES if form is Format.CSV else table.JSON_PLACES
        rows = table.as_one(rows, theirs.packets(), places)
        entries = table.conversations_as_one(entries, theirs.conversations())
    at_once = 1 if live or out.isatty() else table.AT_ONCE
    if form is Format.CSV:
        table.as_csv(rows, write, at_once)
    elif form is Format.NDJSON:
        table.as_lines(rows, write, at_once)
    elif form is Format.CONVERSATIONS:
        for _ in rows:
            pass
        table.as_lines((line for _, line in entries), write, at_once)
    else:
        table.as_json(rows, entries, about, write, at_once)
    out.flush()
