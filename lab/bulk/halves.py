"""A large file is annotated by two processes, half of its conversations each; the rows are put in order again.

Both read the whole file, which is the cheap part, and each lets the other's packets go by unread. What comes out is to
the byte what one process would have written.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from lab.capture.reader import Capture, open_capture
from lab.engine import journal
from lab.engine.path import Mine
from lab.errors import LabError
from lab.model import LINKTYPE_ETHERNET, Frame, Segment
from lab.protocols.tcp.conversations import LANES
from lab.protocols.tcp.segment import FRAGMENT, TCP, segment
from lab.show import Format
from lab.system import processes
from lab.system.signals import uninterrupted
from lab.text import Text

_ENOUGH = 4 << 20  # bytes of a file that are worth a second process
_PIPE = 1 << 20  # bytes; what a process without privileges may have
_AT_ONCE = 64  # lines written together to the pipe
_PACKETS_END, _END = "packets end", "end"  # lines that no row is like
# Ours is the smaller half, as we also put both in order.
ALL, OURS, THEIRS = (frozenset(range(*each)) for each in ((LANES,), (7,), (7, LANES)))
_USUAL_IPV4, _USUAL_SIZE = b"\x08\x00\x45", 54  # Ethernet, IPv4 without options, TCP


def large(capture: Capture) -> bool:
    """Whether there is enough to do in a file, which can be read twice, and that has no wire's journal.

    A journal tells of one network: it is read in one piece.
    """
    if sys.platform == "win32" or not capture.size or capture.size < _ENOUGH or not Path(capture.name).is_file():
        return False
    with open_capture(capture.name) as same:
        first = next(iter(same), None)
    return first is not None and not journal.told(first)


def worthwhile(capture: Capture) -> bool:
    """Whether there is a second processor, and enough for it to do."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return allowed > 1 and large(capture)


def fits_columns(form: Format) -> bool:
    """Whether a format is made faster in columns (lab/columns/)."""
    return form in (Format.CONVERSATIONS, Format.CSV) and hasattr(os, "pread")


def is_ours(frame: Frame) -> bool | None:
    """Whether a frame is of the first half: half of all pairs of ports, and whatever is no TCP.

    None for a fragment: that its whole packet tells.
    """
    _, _, data, _, linktype, _ = frame
    usual = len(data) >= _USUAL_SIZE and data[12:15] == _USUAL_IPV4 and data[23] == TCP and not data[20] & 0x3F
    if usual and not data[21] and linktype == LINKTYPE_ETHERNET:
        mixed = data[35] ^ data[37]
    else:
        found = segment(frame)
        if found is FRAGMENT:
            return None
        if not isinstance(found, Segment):
            return True
        mixed = found.source_port ^ found.destination_port
    return mixed % LANES in OURS  # both directions alike


class Other:
    """The other half, as it comes from its process: first its packets' rows, then its conversations."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.evicted = 0  # conversations; true when these have been taken

    def packets(self) -> Iterator[str]:
        """Yields the packets' rows. Raises LabError where the process ended early, as `conversations` does."""
        return self._until(_PACKETS_END)

    def conversations(self) -> Iterator[tuple[int, str]]:
        """Yields each conversation's first packet and its line; only when the packets have been taken."""
        for line in self._until(_END):
            first, _, entry = line.partition(" ")
            yield int(first), entry
        self.evicted = int(next(self._lines))

    def _until(self, end: str) -> Iterator[str]:
        for line in self._lines:
            if line == end:
                return
            yield line
        raise LabError(
            Text("half of the file was not annotated: its process ended early", "文件有一半没有解读完：其进程提前结束"),
            Text("try again; is there enough memory?", "请重试；内存是否足够？"),
        )  # fmt: skip


def ours(chosen: Mine | None) -> Mine:
    """Returns whether a frame is of the first half and, if only some are asked for, of these."""
    return is_ours if chosen is None else lambda frame: False if is_ours(frame) is False else chosen(frame)


def _others(chosen: Mine | None) -> Mine:
    def theirs(frame: Frame) -> bool | None:
        first = is_ours(frame)
        if first:
            return False
        return chosen(frame) if chosen else None if first is None else True

    return theirs


@contextlib.contextmanager
def other_half(
    path: str, form: Format, keylog: bytes = b"", server_key: bytes = b"", chosen: Mine | None = None
) -> Iterator[Other]:
    """Yields the other half in a format, made by a second process, which ends when the context is left."""
    reading, writing = os.pipe()
    with contextlib.suppress(ImportError, OSError, AttributeError):  # with little room the two would take turns
        import fcntl

        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE)
    sys.stdout.flush()
    child = 0

    def work() -> None:
        _work(path, writing, form, keylog, server_key, _others(chosen), chosen is None and fits_columns(form))

    try:
        with os.fdopen(reading, encoding="utf-8", newline="\n") as lines:
            with processes.signals_waiting():
                child = processes.fork(work, (lines,))
            os.close(writing)
            yield Other(line[:-1] for line in lines)
    finally:
        if child:
            with uninterrupted():
                processes.end(child)


def _work(
    path: str, writing: int, form: Format, keylog: bytes, server_key: bytes, theirs: Mine, in_columns: bool
) -> None:
    """Annotates the second half, in its own process."""
    from lab.bulk import conversations as whole
    from lab.recorded import Recording
    from lab.render import table
    from lab.show import Gone, packets

    with open_capture(path) as capture, os.fdopen(writing, "w", encoding="utf-8", newline="\n") as out:
        rows = form is Format.CSV
        made = whole.made(path, THEIRS, rows, keylog, server_key) if in_columns else None
        gone = Gone(form)
        mine = Recording(capture, False, theirs, keylog, server_key, gone.take)
        table.as_lines(made.rows if made else packets(mine.rungs(), form), out.write, _AT_ONCE)
        out.write(_PACKETS_END + "\n")
        entries = gone.entries(mine) if made is None else made.entries
        table.as_lines((f"{first} {line}" for first, line in entries), out.write, _AT_ONCE)
        out.write(f"{_END}\n{mine.evicted if made is None else made.evicted}\n")
