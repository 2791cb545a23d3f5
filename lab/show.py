"""A trace in the format that was asked for, from a live run and from a recording alike."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from lab.model import Rung
from lab.protocols.tcp.conversations import Conversation
from lab.report.agreement import Agreement
from lab.system.files import Spool
from lab.text import Lang

if TYPE_CHECKING:
    from lab.bulk.conversations import Made
    from lab.bulk.halves import Other


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


class Gone:
    """Conversations that are let go of before the file is over, as far as they will be shown in a format."""

    def __init__(self, form: Format) -> None:
        self.states: dict[str, int] = {}  # how many there were of each conn_state
        self._spool = Spool() if form in (Format.JSON, Format.CONVERSATIONS) else None

    def take(self, which: Conversation) -> None:
        """Takes down what is to be said of a conversation that will not be there any more."""
        from lab.protocols.tcp.report import conn_state
        from lab.render.table import conversation_line

        state = conn_state(which)
        self.states[state] = self.states.get(state, 0) + 1
        if self._spool:
            self._spool.put(which.id, f"{which.first} {conversation_line(which)}")

    def entries(self, source: Source) -> Iterator[tuple[int, str]]:
        """Yields each conversation's first packet and its line, of these and of those that are still there, by id."""
        from lab.render.table import conversation_line

        if self._spool is None:
            return
        here = ((which.id, f"{which.first} {conversation_line(which)}") for which in source.conversations)
        for _, line in heapq.merge(self._spool.lines(), here):
            first, _, entry = line.partition(" ")
            yield int(first), entry


def show(
    source: Source,
    rungs: Iterator[Rung],
    form: Format,
    about: Callable[[], dict[str, Any]],
    out: TextIO,
    lang: Lang,
    theirs: Other | None = None,
    live: bool = False,
    gone: Gone | None = None,
    made: Made | None = None,
) -> None:
    """Writes all rungs to `out`; a ladder is drawn rung by rung and summed up.

    `theirs` is another half of the capture. Where packets come `live`, each is written out at once. `gone` has been
    told of conversations that were let go of. `made` are rows and conversations, where they are known without rungs.
    """
    from lab.render import table

    gone = gone or Gone(form)

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
        ladder.summary(source.conversations, source.agreement, gone.states)
        out.flush()
        return
    rows = packets(rungs, form)
    entries = gone.entries(source) if made is None else made.entries
    if made is not None:
        rows = made.rows
    if theirs is None and made is not None:
        entries = table.conversations_as_one(entries, ())
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
