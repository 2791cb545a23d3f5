"""Ctrl-C, a hang-up, a termination: each ends the lab by an exception, and nothing that was captured is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator


class Stopped(KeyboardInterrupt):
    """The lab was asked to stop, by Ctrl-C or a signal that means the same."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class _Asked:
    """What the signals' handler must remember: when it was asked first, and whether the answer has to wait."""

    first: float | None = None  # on the monotonic clock, in seconds
    signal: int | None = None
    busy = False
    waiting: Stopped | None = None


_STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_PATIENCE = 1.0  # seconds


def stop_cleanly_on_signals() -> None:
    """Makes Ctrl-C, a hang-up and a termination end the lab by an exception: what has been captured is saved first.

    While it ends, a second one changes nothing, so that impatience costs no capture; unless a second has passed, for
    then something hangs: the lab ends on the spot, and its children with it.
    """
    for each in _STOPPING:
        if signal.getsignal(each) is not signal.SIG_IGN:  # nohup, or a script's background job
            signal.signal(each, _stop)
    sys.unraisablehook = _not_lost


def _stop(number: int, _frame: object) -> None:
    now = time.monotonic()
    if _Asked.first is not None:
        if now - _Asked.first > _PATIENCE:
            os._exit(128 + number)
        return
    _Asked.first, _Asked.signal = now, number
    _answer(Stopped(number))


def _answer(stopped: Stopped) -> None:
    if not _Asked.busy:
        raise stopped
    _Asked.waiting = stopped


def _not_lost(lost: sys.UnraisableHookArgs) -> None:
    """Answers again, a moment later: callbacks and finalizers, as those of an import, let no exception out."""
    stopped = lost.exc_value
    if isinstance(stopped, Stopped) and hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda _number, _frame: _answer(stopped))
        signal.setitimer(signal.ITIMER_REAL, 0.001)
    else:
        sys.__unraisablehook__(lost)


def asked_by() -> int | None:
    """Returns the signal that has asked the lab to stop; whatever goes wrong after that comes of it."""
    return _Asked.signal


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Makes a signal's answer wait: for the moment in which what was captured is saved."""
    outer, _Asked.busy = _Asked.busy, True
    try:
        yield
    finally:
        _Asked.busy = outer
        if _Asked.waiting is not None and not outer:
            raise _Asked.waiting


@contextlib.contextmanager
def quiet_until_ready() -> Iterator[None]:
    """Lets Ctrl-C end the process without a word: while it is still being loaded there is nothing to stop cleanly."""
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with contextlib.suppress(ValueError):  # not in the main thread: nothing is interrupted there
        if ours:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            if ours:
                signal.signal(signal.SIGINT, signal.default_int_handler)


def nothing_stops_any_more() -> None:
    """Ignores signals from here on: the exit status is known, and only the interpreter has something left to do."""
    for each in (*_STOPPING, *([signal.SIGALRM] if hasattr(signal, "SIGALRM") else [])):
        signal.signal(each, signal.SIG_IGN)
