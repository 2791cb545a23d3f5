"""Rows: a line a packet, then a line a conversation. Of a run, they are made packet by packet."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, Protocol

from lab.engine.path import Mine
from lab.engine.record import Record
from lab.model import ConversationReport
from lab.render import table, trace
from lab.render.rows import together
from lab.runs.run import Run, Source
from lab.system.files import Spool
from lab.text import Lang, Text


class RowFormat(StrEnum):
    """Formats that have a line a packet, or a line a conversation."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    CONVERSATIONS = "conversations"


class Rows(Protocol):
    """What a format with rows is written from: all packets, then all conversations, then what is true at the end."""

    @property
    def size(self) -> int | None:
        """The bytes of the file; None where nobody knows."""

    @property
    def position(self) -> int:
        """How many of them have been read."""

    def packets(self) -> Iterator[str]:
        """Yields the packets' lines; of a format that has none, none, but they are gone through."""

    def conversations(self) -> Iterator[tuple[int, str]]:
        """Yields each conversation's first packet and its line."""

    def about(self, lang: Lang) -> dict[str, Any]:
        """Returns the trace's entry on the file."""

    def complaint(self) -> Text | None:
        """Returns one line on what is wrong with the file."""


class Gone:
    """Conversations that are let go of before a file is over, as far as they will be shown."""

    def __init__(self, lines: bool) -> None:
        self._spool = Spool() if lines else None

    def take(self, which: ConversationReport) -> None:
        """Takes down what is to be said of a conversation that will not be there any more."""
        if self._spool:
            self._spool.put(which.id, f"{which.first} {trace.dump(which.facts)}")

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yields their ids, and first packet and line."""
        return self._spool.lines() if self._spool else iter(())


def keeps_lines(form: RowFormat) -> bool:
    """Whether a format has a line a conversation."""
    return form in (RowFormat.JSON, RowFormat.CONVERSATIONS)


def run_in_rows(
    source: Source, form: RowFormat, gone: Gone, mine: Mine | None, keylog: bytes, server_key: bytes
) -> Run:
    """Returns a run of which only rows will be made."""
    return Run(
        source, keylog=keylog, server_key=server_key, mine=mine, frames=False,
        messages=form in (RowFormat.JSON, RowFormat.NDJSON), let_go=gone.take if keeps_lines(form) else None, kept=0,
    )  # fmt: skip


class Among(Protocol):
    """Puts the rows of packets that a run has passed by among those of the others."""

    def among(self, rows: Iterable[str], /) -> Iterator[list[str]]: ...


class RowsOfRun:
    """The rows of a run. `gone` has been given to it as what is told of conversations that are let go of."""

    def __init__(self, run: Run, form: RowFormat, gone: Gone) -> None:
        self._run = run
        self._form = form
        self._gone = gone

    def packets(self) -> Iterator[str]:
        records = self._run.records()
        if self._form is RowFormat.CSV:
            return table.csv_rows(records)
        if self._form is RowFormat.CONVERSATIONS:
            return _gone_through(records)
        return trace.packet_lines(records)

    def blocks(self) -> Iterator[list[str]]:
        """Yields the packets' lines, some together."""
        return together(self.packets())

    def conversations(self) -> Iterator[tuple[int, str]]:
        if not keeps_lines(self._form):
            return
        here = ((each.id, f"{each.first} {trace.dump(each.facts)}") for each in self._run.reports())
        for _, line in heapq.merge(self._gone.lines(), here):
            first, _, entry = line.partition(" ")
            yield int(first), entry

    @property
    def evicted(self) -> int:
        return self._run.evicted

    @property
    def size(self) -> int | None:
        return None

    @property
    def position(self) -> int:
        return self._run.source.position

    def about(self, lang: Lang) -> dict[str, Any]:
        return self._run.about(lang)

    def complaint(self) -> Text | None:
        return self._run.complaint()


def _gone_through(records: Iterable[Record]) -> Iterator[str]:
    for _ in records:
        pass
    yield from ()


class PredictedRows(RowsOfRun):
    """The rows of a run that passes by what is as predicted, those of what it passes by among them."""

    def __init__(self, run: Run, form: RowFormat, gone: Gone, passed: Among | None) -> None:
        super().__init__(run, form, gone)
        self.run = run
        self._passed = passed

    def packets(self) -> Iterator[str]:
        return itertools.chain.from_iterable(self.blocks())

    def blocks(self) -> Iterator[list[str]]:
        rows = super().packets()
        return self._passed.among(rows) if self._passed is not None else together(rows)
