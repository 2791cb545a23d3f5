"""A large file as a run that passes by what is as predicted."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from lab.bulk.chunk import First, chunks, first, lanes
from lab.bulk.passed_lines import PassedLines
from lab.bulk.passing import Passing
from lab.bulk.predicted_rows import PassedRows
from lab.bulk.prediction import Wanted
from lab.bulk.rows import Gone, PredictedRows, RowFormat, keeps_lines, run_in_rows
from lab.bulk.scan import Layout, layout
from lab.bulk.shared import Shared
from lab.capture.reader import Capture, open_capture
from lab.engine.path import Mine
from lab.engine.path import Path as Way
from lab.model import Problem
from lab.runs.recorded import Recorded
from lab.runs.run import Inputs, Learn
from lab.text import Lang

_AT_ONCE = 1 << 20  # bytes


class _Columned(Recorded):
    """A capture whose packets are read in columns."""

    def __init__(self, capture: Capture, file: int, of: Plan, chosen: frozenset[int], rows: PassedRows | None) -> None:
        super().__init__(capture, of.secrets)
        self._file, self._of, self._lanes, self._rows = file, of, chosen, rows
        self._passing: Passing | None = None

    @contextlib.contextmanager
    def begin(self, learn: Learn, mine: Mine | None) -> Iterator[Inputs]:
        with super().begin(learn, mine) as inputs:

            def ahead(way: Way) -> Passing:
                taken = self._rows.take if self._rows is not None else None
                of, here = self._of.layout, lanes(self._lanes)
                in_lines = isinstance(self._rows, PassedLines)
                wanted = Wanted(taken is not None, in_lines)
                found = chunks(self._file, of, here, wanted, way.crowded, self._of.begun)
                self._passing = Passing(found, of.end, way, mine, taken, in_lines)
                return self._passing

            yield inputs._replace(frames=None, ahead=ahead)

    def about(self, lang: Lang, problems: list[Problem]) -> dict[str, Any]:
        return super().about(lang, problems) | {"sha256": self._digest(), "packets": self.packets}

    def _digest(self) -> str:
        """Returns the SHA-256 of the file in hex."""
        import hashlib

        found, at = hashlib.sha256(), 0
        while piece := os.pread(self._file, _AT_ONCE, at):
            found.update(piece)
            at += len(piece)
        return found.hexdigest()

    @property
    def packets(self) -> int:
        return self._passing.last if self._passing is not None else 0

    @property
    def position(self) -> int:
        return self._passing.position if self._passing is not None else 0

    def close(self) -> None:
        super().close()
        os.close(self._file)


class Plan(NamedTuple):
    """How a file is read in columns: how it is laid out, the TLS key logs that are in it, and its first chunk."""

    layout: Layout
    secrets: list[bytes]
    begun: list[First]  # whoever goes on from it takes it out
    weights: list[float]  # about how much there is to do in each lane, by the first packets


def plan(file: str, shared: Shared | None = None) -> Plan | None:
    """Returns how a pcap or pcapng file is read in columns, None where it can't be. Goes through all of it.

    With `shared`, another process does the same, and comes to the same. Raises LabError where that has ended early.
    """
    opened = os.open(file, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        of, secrets = layout(opened), list[bytes]()
        found = first(opened, of, secrets, shared) if of is not None else None
        return Plan(of, secrets, [found], found.weights()) if of is not None and found is not None else None
    finally:
        os.close(opened)


def made(
    file: str, of: Plan, chosen: frozenset[int], form: RowFormat, mine: Mine | None, keylog: bytes, server_key: bytes
) -> PredictedRows:
    """Returns the rows of some lanes of a file. Packets that are no usual TCP segments are asked for by `mine`."""
    opened = os.open(file, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    passed = None if form is RowFormat.CONVERSATIONS else PassedRows() if form is RowFormat.CSV else PassedLines()
    gone = Gone(keeps_lines(form))
    source = _Columned(open_capture(file), opened, of, chosen, passed)
    run = run_in_rows(source, form, gone, mine, keylog, server_key)
    return PredictedRows(run, form, gone, passed)
