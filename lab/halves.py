"""A large file is annotated by two processes, half of its conversations each; the rows are put in order again.

Both read the whole file, which is the cheap part, and each lets the other's packets go by unread. What comes out is to
the byte what one process would have written.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from lab.capture.reader import Capture, open_capture
from lab.dissect.segment import TCP, segment
from lab.errors import LabError
from lab.model import LINKTYPE_ETHERNET, Frame, Segment
from lab.text import Text

_ENOUGH = 4 << 20  # bytes of a file that are worth a second process
_WHOLE = "whole\n"  # the last line of the other half
_USUAL_IPV4, _USUAL_SIZE = b"\x08\x00\x45", 54  # Ethernet, IPv4 without options, TCP


def worthwhile(capture: Capture) -> bool:
    """Whether there is a second processor, and enough for it to do, in a file that can be read twice."""
    if sys.platform == "win32" or not capture.size or capture.size < _ENOUGH or not Path(capture.name).is_file():
        return False
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return allowed > 1


def is_ours(frame: Frame) -> bool:
    """Whether a frame is of the first half: half of all pairs of ports, and whatever is no TCP."""
    _, _, data, _, linktype, _ = frame
    if len(data) >= _USUAL_SIZE and data[12:15] == _USUAL_IPV4 and data[23] == TCP and linktype == LINKTYPE_ETHERNET:
        mixed = data[35] ^ data[37]
    else:
        found = segment(frame)
        if not isinstance(found, Segment):
            return True
        mixed = (found.source_port ^ found.destination_port) & 0xFF
    # Both directions alike; ours is the smaller half, as we also put the rows in order.
    return mixed & 15 < 7


@contextlib.contextmanager
def other_half(path: str) -> Iterator[Iterator[str]]:
    """Yields the other half's rows, made by a second process, which ends when the context is left."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.close(reading)
        _work(path, writing)
    os.close(writing)
    try:
        with os.fdopen(reading, encoding="utf-8") as rows:
            yield _checked(rows)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _checked(rows: Iterator[str]) -> Iterator[str]:
    for row in rows:
        if row == _WHOLE:
            return
        yield row
    raise LabError(
        Text("half of the file was not annotated: its process ended early", "文件有一半没有解读完：其进程提前结束"),
        Text("try again; is there enough memory?", "请重试；内存是否足够？"),
    )  # fmt: skip


def _work(path: str, writing: int) -> None:
    """Annotates the second half and never returns."""
    from lab.recorded import Recording
    from lab.render import table

    status = 1
    with contextlib.suppress(BaseException):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for our parent, which ends us
        with open_capture(path) as capture, os.fdopen(writing, "w", encoding="utf-8") as out:
            rows = table.csv_rows(Recording(capture, False, lambda frame: not is_ours(frame)).rungs())
            table.write_rows(rows, out.write)
            out.write(_WHOLE)
        status = 0
    os._exit(status)
