"""A trace in the format that was asked for, from a live run and from a recording alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, Protocol, TextIO

from lab.annotate.agreement import Agreement
from lab.dissect.conversations import Conversation
from lab.model import Rung
from lab.text import Lang


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


def show(
    source: Source,
    rungs: Iterator[Rung],
    form: Format,
    about: Callable[[], dict[str, Any]],
    out: TextIO,
    lang: Lang,
    theirs: Iterator[str] | None = None,
    live: bool = False,
) -> None:
    """Writes all rungs to `out`; a ladder is drawn rung by rung and summed up.

    `theirs` are another half's CSV rows. Where packets come `live`, each is written out at once.
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
    elif form is Format.JSON:
        table.as_json(rungs, source.conversations, about, write)
    elif form is Format.NDJSON:
        table.as_ndjson(rungs, write)
    elif form is Format.CONVERSATIONS:
        table.as_conversations(rungs, source.conversations, write)
    else:
        rows = table.csv_rows(rungs)
        if theirs is not None:
            rows = table.as_one(rows, theirs)
        table.as_csv(rows, write, at_once=1 if live or out.isatty() else table.AT_ONCE)
    out.flush()
