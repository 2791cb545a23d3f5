"""Hears a run, and whoever types, each in a thread of its own: so that neither has to wait for the other.

Threads may begin once the hosts have been forked, that is with a run's first event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Semaphore, Thread

from lab.events import Event
from lab.stepping import commands
from lab.stepping.commands import Asked
from lab.stepping.debugger import Debugger

PATIENCE = 3.0  # seconds for the hosts to end


class Ear(Thread):
    """Hears a run's events, and tells `over` when there are no more. `failure` is what has gone wrong, if anything."""

    def __init__(
        self, events: Iterator[Event], hear: Callable[[Event], object], over: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__(daemon=True)
        self.failure: Exception | None = None
        self.heard = 0
        self._events = events
        self._hear = hear
        self._over = over

    def run(self) -> None:
        try:
            for event in self._events:
                self._hear(event)
                self.heard += 1
        except Exception as error:  # whoever has begun this raises it
            self.failure = error
        self.heard += 1
        self._over()

    def leave(self, debugger: Debugger) -> None:
        """Ends the run where it is not over, and waits for that. Raises what has gone wrong."""
        if not debugger.over:
            debugger.do(commands.LEAVE)
        self.join(PATIENCE)
        if self.failure is not None:
            raise self.failure


class Typed(Thread):
    """Reads lines, each when it is asked for, and tells it; None says that there are no more."""

    def __init__(self, lines: Iterator[Asked | str], hear: Callable[[Asked | str | Exception | None], object]) -> None:
        super().__init__(daemon=True)
        self._lines = lines
        self._hear = hear
        self._wanted = Semaphore(0)

    def ask(self) -> None:
        """Asks for the next line."""
        self._wanted.release()

    def run(self) -> None:
        line: Asked | str | Exception | None = ""
        while line is not None and not isinstance(line, Exception):
            self._wanted.acquire()
            try:
                line = next(self._lines, None)
            except Exception as error:
                line = error
            self._hear(line)
