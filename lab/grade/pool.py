"""Touches the machine: a class marked, as many submissions at a time as there are processors, each in its own process.

One that hangs, takes too much or breaks is ended, and its submission says so; the others go on. Whatever ends the class
midway, what was done is kept (`lab/grade/kept.py`) and is not done again.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from lab.grade import worker
from lab.grade.collected import HandedIn
from lab.grade.worker import MOST_RESULT, Limits
from lab.system.processes import fork, signals_waiting
from lab.text import Text

Work = Callable[[HandedIn], dict[str, Any]]
_CHUNK = 1 << 16


class _Child(NamedTuple):
    process: int
    handed_in: HandedIn
    read: int  # the descriptor that its result comes by
    ends: float  # when it is ended, on the monotonic clock
    told: bytearray


def processors() -> int:
    """Returns how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each_marked(
    handed_in: Sequence[HandedIn], work: Work, limits: Limits, at_once: int
) -> Iterator[tuple[HandedIn, dict[str, Any]]]:
    """Yields each submission with its result, as soon as it is there. All children are gone when it ends, however."""
    waiting = list(reversed(handed_in))
    running: dict[int, _Child] = {}
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    with signals_waiting():  # a child is noted, or it is not there
                        child = _begin(waiting.pop(), work, limits, list(running.values()))
                        running[child.read] = child
                    selector.register(child.read, selectors.EVENT_READ)
                patience = min(child.ends for child in running.values()) - time.monotonic()
                for key, _ in selector.select(max(0.0, patience)):
                    data = os.read(key.fd, _CHUNK)
                    child = running[key.fd]
                    child.told.extend(data)
                    if not data or len(child.told) > MOST_RESULT:
                        selector.unregister(key.fd)
                        yield child.handed_in, _ended(running, child, late=False)
                for child in [child for child in running.values() if child.ends <= time.monotonic()]:
                    selector.unregister(child.read)
                    yield child.handed_in, _ended(running, child, late=True)
        finally:
            for child in list(running.values()):
                _ended(running, child, late=True)


def _begin(handed_in: HandedIn, work: Work, limits: Limits, others: Sequence[_Child]) -> _Child:
    read, write = os.pipe()

    def mark() -> None:
        os.close(read)
        for other in others:
            os.close(other.read)
        worker.confine(limits)
        worker.answer(write, work(handed_in))

    try:
        process = fork(mark)
    finally:
        os.close(write)
    return _Child(process, handed_in, read, time.monotonic() + limits.patience, bytearray())


def _ended(running: dict[int, _Child], child: _Child, *, late: bool) -> dict[str, Any]:
    """Ends a child, forgets it, and returns its result: what went wrong, where it has none."""
    if late or len(child.told) > MOST_RESULT:
        with suppress(ProcessLookupError):
            os.kill(child.process, signal.SIGKILL)
    _, status = os.waitpid(child.process, 0)
    del running[child.read]
    os.close(child.read)
    if status == 0:
        with suppress(ValueError):
            found: dict[str, Any] = json.loads(child.told)
            return found
    return worker.unfinished(_why(status, late))


def _why(status: int, late: bool) -> Text:
    if late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        return Text("marking it took too long and was ended", "评阅耗时过长，已中止")
    return Text("it can't be marked: reading it took too much memory, or broke", "无法评阅：读取时占用内存过多或出错")
