"""A large file is annotated by two processes, half of its conversations each; the rows are put in order again.

Both read the whole file, which is the cheap part, and each lets the other's packets go by unread. What comes out is to
the byte what one process would have written; only a connection that goes on with a session of another, in the other
half, whose own secret no key log has, stays closed. And where an ICMP error was captured before all of the connection
that it quotes, in CSV conversations are counted without it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.bulk import first_look, pipe
from lab.bulk.rows import Gone, PredictedRows, RowFormat, Rows, RowsOfRun, keeps_lines, run_in_rows
from lab.capture.reader import open_capture
from lab.engine import journal
from lab.engine.path import Mine
from lab.errors import InputError
from lab.model import LINKTYPE_ETHERNET, Frame
from lab.protocols.transport import FRAGMENT, LANES, NUMBER, Quoted, Segment, segment
from lab.render import rows as lines_
from lab.runs.recorded import Recorded
from lab.runs.run import Run
from lab.system import processes
from lab.system.signals import uninterrupted
from lab.text import Lang, Text

if TYPE_CHECKING:
    from lab.bulk.predicting import Plan
    from lab.bulk.shared import Shared

_ENOUGH = 4 << 20  # bytes of a file that are worth a second process
_COLUMNS = hasattr(os, "preadv")  # whether a file can be read here and there
_AT_ONCE = 64  # lines written together to the pipe
_IN_JSON = (RowFormat.JSON, RowFormat.NDJSON)
PACKETS_END, END = "packets end", "end"  # lines that no row is like
# Ours is the smaller half, as we also put both in order; not where making rows takes long beside that.
ALL, OURS, EVEN = frozenset(range(LANES)), frozenset(range(7)), frozenset(range(8))
_ORDER = 0.04  # of the work: putting both halves in order
_USUAL_IPV4, _USUAL_SIZE = b"\x08\x00\x45", 54  # Ethernet, IPv4 without options, a transport's header
_IPV6, _USUAL_SIZE6 = b"\x86\xdd", 74  # the same of IPv6


def large(path: str) -> bool:
    """Whether there is enough to do in a file, which can be read twice, and that has no wire's journal.

    A journal tells of one network: it is read in one piece.
    """
    if sys.platform == "win32" or path == "-":
        return False
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return False  # whoever opens it says so
    if not stat.S_ISREG(status.st_mode) or status.st_size < _ENOUGH:
        return False
    try:
        with open_capture(path) as capture:
            first = next(iter(capture), None)
    except InputError:
        return False
    return first is not None and not journal.told(first)


@contextlib.contextmanager
def rows(
    path: str, form: RowFormat, keylog: bytes = b"", server_key: bytes = b"", chosen: Mine | None = None
) -> Iterator[Rows | None]:
    """Yields the rows of a large file: in columns where that helps, by two processes where there are processors."""
    halved, columns = two_processors(), chosen is None and _COLUMNS
    if not halved and not columns:
        yield None
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's others would only wait, and busily
    with contextlib.ExitStack() as stack:
        usual = _usual_half(form)
        predicted = columns and _predicted(path, form, keylog)
        shared = stack.enter_context(_shared()) if halved and predicted else None
        theirs = (
            stack.enter_context(other_half(path, form, keylog, server_key, chosen, shared, usual)) if halved else None
        )
        plan, half = _planned(path, form, shared) if predicted else (None, usual)
        mine, lanes = (_ours(chosen, half), half) if theirs else (chosen, ALL)
        ours = _in_columns(path, plan, lanes, form, mine, keylog, server_key) if columns else None
        if ours is None and theirs is None:
            yield None
            return
        gone = Gone(keeps_lines(form))
        if isinstance(ours, PredictedRows):
            run = ours.run
        else:
            source = Recorded(open_capture(path, digest=form is RowFormat.JSON))
            run = run_in_rows(source, form, gone, mine, keylog, server_key)
        stack.enter_context(run)
        yield _Together(run, ours or RowsOfRun(run, form, gone), theirs, form, Path(path).stat().st_size)


def _half(weights: list[float]) -> frozenset[int]:
    """Returns our lanes, where so much is to be done in each: of all choices the one that comes closest to a half."""
    import numpy as np

    sums = np.zeros(1)
    for weight in weights:  # a choice is a number that has a bit for each lane
        sums = np.concatenate([sums, sums + weight])
    best = int(np.argmin(np.abs(sums - sum(weights) * (1 - _ORDER) / 2)))
    return frozenset(lane for lane in range(len(weights)) if best >> lane & 1)


def _usual_half(form: RowFormat) -> frozenset[int]:
    return EVEN if form in _IN_JSON else OURS


def _predicted(path: str, form: RowFormat, keylog: bytes) -> bool:
    """Whether what goes as predicted is to be passed by: not where conversations are alike, nor for JSON with keys,
    for where records are opened, there is hardly anything of that.
    """
    in_json = form in _IN_JSON
    return not (in_json and keylog) and not first_look.alike(path, whatever_carried=in_json)


@contextlib.contextmanager
def _shared() -> Iterator[Shared]:
    from lab.bulk import chunk

    with contextlib.closing(chunk.room()) as shared:
        yield shared


def _planned(path: str, form: RowFormat, shared: Shared | None) -> tuple[Plan | None, frozenset[int]]:
    """Returns how a file is read in columns, None where it can't be, nor as JSON with keys in it; and our lanes.

    What is shared says that another process does the same.
    """
    from lab.bulk import predicting

    plan = predicting.plan(path, shared)
    if plan is None or (form in _IN_JSON and plan.secrets):
        return None, _usual_half(form)
    return plan, _half(plan.weights)


def _in_columns(
    path: str, plan: Plan | None, lanes: frozenset[int], form: RowFormat, mine: Mine | None, keylog: bytes,
    server_key: bytes,
) -> Any:  # fmt: skip
    """Returns the rows of some lanes, made in columns, None where that does not help."""
    if plan is None and form in _IN_JSON:
        return None
    from lab.bulk import predicting

    if plan is None:
        from lab.bulk import conversations

        found = conversations.made(path, lanes, form is RowFormat.CSV, keylog, server_key)
        if found is not None:
            return found
        plan = predicting.plan(path)
    return predicting.made(path, plan, lanes, form, mine, keylog, server_key) if plan is not None else None


def two_processors() -> bool:
    """Whether there is a processor for a second process."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return allowed > 1


class _Together:
    """Our rows and those of the other half, in order."""

    def __init__(self, run: Run, ours: Any, theirs: Other | None, form: RowFormat, size: int | None) -> None:
        self._run = run
        self._ours = ours
        self._theirs = theirs
        self._form = form
        self._size = size
        self._order = bytearray()  # of the conversations, by the half that each is of

    def packets(self) -> Iterator[str]:
        if self._theirs is None:
            return iter(self._ours.packets())
        places = lines_.CSV_PLACES if self._form is RowFormat.CSV else lines_.JSON_PLACES
        ours = pipe.Ahead(self._ours.blocks(), pipe.characters)
        return itertools.chain.from_iterable(lines_.as_one(ours, self._theirs.packets(ours.make), places, self._order))

    def conversations(self) -> Iterator[tuple[int, str]]:
        theirs = self._theirs.conversations() if self._theirs else ()
        return lines_.conversations_as_one(self._ours.conversations(), theirs, self._order)

    @property
    def size(self) -> int | None:
        return self._size

    @property
    def position(self) -> int:
        return self._run.source.position

    @property
    def _elsewhere(self) -> int:
        ours = 0 if isinstance(self._ours, RowsOfRun) else self._ours.evicted
        return ours + (self._theirs.evicted if self._theirs else 0)

    def about(self, lang: Lang) -> dict[str, Any]:
        return self._run.about(lang, self._elsewhere)

    def complaint(self) -> Text | None:
        return self._run.complaint(self._elsewhere)


def is_ours(frame: Frame, half: frozenset[int] = OURS) -> bool | None:
    """Whether a frame is of the first half: about half of all pairs of ports, and whatever no transport reads.

    None for a fragment: that its whole packet tells.
    """
    _, _, data, _, linktype, _ = frame
    begins = data[12:15] if len(data) >= _USUAL_SIZE and linktype == LINKTYPE_ETHERNET else b""
    if begins == _USUAL_IPV4 and data[23] == NUMBER and not data[20] & 0x3F and not data[21]:
        mixed = data[35] ^ data[37]
    elif begins[:2] == _IPV6 and data[20] == NUMBER and len(data) >= _USUAL_SIZE6:
        mixed = data[55] ^ data[57]
    else:
        found = segment(frame)
        if found is FRAGMENT:
            return None
        if not isinstance(found, Segment | Quoted):
            return True
        mixed = found.source_port ^ found.destination_port
    return mixed % LANES in half  # both directions alike


class Other:
    """The other half, as it comes from its process: first its packets' rows, then its conversations."""

    def __init__(self, file: int) -> None:
        self._lines = pipe.lines(file, lambda: self._meanwhile())
        self._rest: list[str] = []  # of what came together with the end of the packets' rows
        self._meanwhile: Callable[[], bool] = bool
        self.evicted = 0  # conversations; true when these have been taken

    def packets(self, meanwhile: Callable[[], bool] = bool) -> Iterator[list[str]]:
        """Yields the packets' rows, some together; while none comes it does something else, until that says it is done.

        Raises LabError where the process ended early, as `conversations` does.
        """
        self._meanwhile = meanwhile
        return self.until(PACKETS_END)

    def conversations(self) -> Iterator[tuple[int, str]]:
        """Yields each conversation's first packet and its line; only when the packets have been taken."""
        for line in itertools.chain.from_iterable(self.until(END)):
            first, _, entry = line.partition(" ")
            yield int(first), entry
        self.evicted = int([*self._rest, *next(self._lines, ())][0])

    def until(self, end: str) -> Iterator[list[str]]:
        """Yields lines, some together, until this one. Raises LabError where there is none."""
        for some in itertools.chain([self._rest], self._lines):
            if end in some:
                at = some.index(end)
                self._rest = some[at + 1 :]
                yield some[:at]
                return
            yield some
        raise pipe.ended_early()


def _ours(chosen: Mine | None, half: frozenset[int]) -> Mine:
    """Returns whether a frame is of the first half and, if only some are asked for, of these."""
    if chosen is None:
        return lambda frame: is_ours(frame, half)
    return lambda frame: False if is_ours(frame, half) is False else chosen(frame)


def others(half: frozenset[int], chosen: Mine | None = None) -> Mine:
    """Returns whether a frame is not of this half and, if only some are asked for, of these."""

    def theirs(frame: Frame) -> bool | None:
        first = is_ours(frame, half)
        if first:
            return False
        return chosen(frame) if chosen else None if first is None else True

    return theirs


@contextlib.contextmanager
def other_half(
    path: str, form: RowFormat, keylog: bytes = b"", server_key: bytes = b"", chosen: Mine | None = None,
    shared: Shared | None = None, usual: frozenset[int] = OURS,
) -> Iterator[Other]:  # fmt: skip
    """Yields the lanes that are not ours in a format, made by a second process; leaving the context ends it.

    Ours are the usual ones, unless it is shared what tells which are.
    """

    def work(writing: int) -> None:
        columns = chosen is None and _COLUMNS
        plan, half = _planned(path, form, shared) if shared is not None else (None, usual)
        _work(path, writing, form, keylog, server_key, others(half, chosen), ALL - half, columns, plan)

    with second(work) as other:
        yield other


@contextlib.contextmanager
def second(work: Callable[[int], None]) -> Iterator[Other]:
    """Yields what a second process writes, which does `work` with the open file to write to; leaving ends it."""
    reading, writing = pipe.opened()
    sys.stdout.flush()
    child = 0
    try:
        with os.fdopen(reading, "rb", buffering=0) as lines:
            with processes.signals_waiting():
                child = processes.fork(lambda: work(writing), (lines,))
            os.close(writing)
            yield Other(reading)
    finally:
        if child:
            with uninterrupted():
                processes.end(child)


def _work(
    path: str,
    writing: int,
    form: RowFormat,
    keylog: bytes,
    server_key: bytes,
    theirs: Mine,
    lanes: frozenset[int],
    in_columns: bool,
    plan: Plan | None,
) -> None:
    """Annotates the second half, in its own process."""
    found = _in_columns(path, plan, lanes, form, theirs, keylog, server_key) if in_columns else None
    gone = Gone(keeps_lines(form))
    if isinstance(found, PredictedRows):
        run = found.run
    else:
        source = Recorded(open_capture(path))
        run = run_in_rows(source, form, gone, theirs, keylog, server_key)
    with run, contextlib.closing(pipe.Outlet(writing)) as out:
        if found is None:
            found = RowsOfRun(run, form, gone)
        for some in found.blocks():
            out.write("\n".join(some) + "\n")
        out.write(PACKETS_END + "\n")
        lines_.as_lines((f"{first} {line}" for first, line in found.conversations()), out.write, _AT_ONCE)
        out.write(f"{END}\n{found.evicted}\n")
