"""Processes of the lab's own: none outlives it, and no signal makes it forget one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from lab.text import Text

_STEERING = "PYTHON"  # what begins so steers where Python finds modules, and more
_STOPPING = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
_PR_SET_PDEATHSIG = 1


class Closable(Protocol):
    """What of the parent's a child must not keep open."""

    def close(self) -> object: ...


def environment(**more: str) -> dict[str, str]:
    """Returns this process's environment for a program that it starts, and `more`.

    docker-compose is a Python program: it is not to import what lies in the current folder, or on our PYTHONPATH.
    """
    passed_on = {name: value for name, value in os.environ.items() if not name.startswith(_STEERING)}
    return {**passed_on, "PYTHONSAFEPATH": "1", **more}


def fork(work: Callable[[], object], foreign: Sequence[Closable] = ()) -> int:
    """Runs `work` in a child that dies with this process and never returns into our caller's code.

    Returns the child's number: to be called, and that noted, within `signals_waiting`.
    """
    parent = os.getpid()
    status = 1
    try:
        child = os.fork()
        if child:
            return child
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us too; our parent answers it and ends us
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # so does the end of a terminal
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        if not os.environ.get("LAB_DEBUG"):
            sys.unraisablehook = lambda _what: None  # the parent says what is wrong, in two lines
        for each in foreign:
            each.close()
        die_with(parent)
        work()
        status = 0
    except Exception:
        if os.getpid() == parent:
            raise
        if os.environ.get("LAB_DEBUG"):
            sys.excepthook(*sys.exc_info())
    finally:
        if os.getpid() != parent:
            os._exit(status)
    raise AssertionError("a child ends above")


@contextlib.contextmanager
def signals_waiting() -> Iterator[None]:
    """Lets no signal come between a fork and the note of it: the child would be forgotten."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def die_with(parent: int) -> None:
    """Asks the kernel, where it is Linux, to kill this process when `parent` dies.

    A change of credentials undoes it, so ask again then.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def wait_for_any(children: Sequence[int], patience: float) -> None:
    """Waits, at most so many seconds, until one of them has ended. It is left to be waited for."""
    handles = [os.pidfd_open(child) for child in children]
    select.select(handles, [], [], patience)
    for handle in handles:
        os.close(handle)


def ended(child: int) -> Text:
    """Returns how a child has ended. It is left to be waited for."""
    how = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if how is None:
        return Text("it still runs", "它仍在运行")
    if how.si_code == os.CLD_EXITED:
        return Text(f"with status {how.si_status}", f"状态 {how.si_status}")
    name = signal.Signals(how.si_status).name
    return Text(f"by {name}", f"因 {name}")


def place(error: BaseException) -> Text:
    """Returns what an error is that should not happen, and where it did."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = f", {Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at is not None else ""
    return Text(*[type(error).__name__ + where] * 2)


def worked(child: int) -> float:
    """Returns for how many seconds a child has had a processor; 0 where this system does not tell."""
    try:
        told = Path(f"/proc/{child}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def end(child: int) -> None:
    """Ends a child and waits for it: it would stay behind where nobody takes orphans, as in a container."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):  # done before, and then asked to end
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
