"""What pages are shown of a run: a capture as it is, one that is walked, or hosts while they play.

Each has what `server.Shown` asks for. A run of real hosts goes on in a thread of its own: what it tells is put down
there as values, packets whose fate is known and those that are still under way. Whoever serves makes rungs of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import PurePath
from threading import Thread
from typing import Any

from lab.errors import LabError, UsageError
from lab.events import CommandAnswered, Ended, Event, KernelAsked, PacketArrived, PacketHeld, PacketLost, StepSeen
from lab.model import Packet
from lab.page.desk import Desk
from lab.page.ladder import UNDER_WAY, Ladder
from lab.page.model import closing, head
from lab.page.words import LIVE
from lab.runs.run import Run
from lab.stepping.commands import COMMANDS, Asked
from lab.stepping.debugger import MOST_PACKETS, Debugger, walked
from lab.stepping.view import View
from lab.text import Text

_FEW = 20  # of which so many are told of at each event
_MANY_EVENTS = 25  # else at every so many
_QUIT = next(each for each in COMMANDS if each.name == "quit")
_TELLING = (PacketHeld, PacketArrived, PacketLost, KernelAsked, CommandAnswered, Ended)


def in_one(error: LabError) -> Text:
    """Returns what is wrong and what to do, one behind the other."""
    return Text(f"{error.message.en}. {error.hint.en}", f"{error.message.zh}。{error.hint.zh}")


class Still:
    """A page whose data are known, and do not change."""

    left = False

    def __init__(self, page: dict[str, Any]) -> None:
        self.changed: Callable[[], object] = lambda: None
        self._page = page | {"words": page["words"] | {key: text._asdict() for key, text in LIVE.items()}}

    def begin(self) -> None:
        """There is nothing to begin."""

    def whole(self) -> dict[str, Any]:
        return self._page

    def beside(self) -> dict[str, Any]:
        return {"over": True}

    def news(self) -> None:
        return None

    def do(self, _line: str) -> list[Text]:
        return []

    def pages(self, count: int) -> None:
        """They come and go."""


def _steps_when_held(events: Iterable[Event]) -> dict[int, Sequence[str]]:
    """Returns by its number which steps a packet is while it is held: others it becomes when it arrives."""
    found: dict[int, Sequence[str]] = {}
    now: dict[int, Sequence[str]] = {}
    for event in events:
        if isinstance(event, StepSeen):
            now[event.packet] = event.steps
        elif isinstance(event, PacketHeld):
            found.setdefault(event.packet, now.get(event.packet, ()))
    return found


class Growing:
    """Hosts that play a scenario, from when the first page is there; with a `debugger` each packet is held.

    `make` makes the hosts: where it `forks`, in the thread that serves and before there is another, else in the run's.
    `changed` is called in both threads; `count` hears how many pages there are, `at_end` that nothing more comes, in
    the thread that serves.
    """

    def __init__(
        self, name: str, run: Run, debugger: Debugger | None, make: Callable[[], object], forks: bool = True
    ) -> None:
        self.changed: Callable[[], object] = lambda: None
        self.failure: Exception | None = None
        self.over = False  # nothing more comes
        self.stopped = False  # somebody has asked to end it
        self.count: Callable[[int], object] = lambda _: None
        self.at_end: Callable[[], object] = lambda: None
        self._name = name
        self._run = run
        self._make = make
        self._forks = forks
        self._ladder = Ladder()
        self._desk = Desk(debugger) if debugger is not None else None
        self._debugger = debugger
        self._settled: list[Packet] = []
        self._taken = 0  # of those
        self._pending: list[tuple[Packet, bool]] = []
        self._heard = self._looked = 0  # events
        self._thread: Thread | None = None
        self._ended = False  # and pages know it
        self._view: View | None = None

    @property
    def left(self) -> bool:
        return self._debugger is not None and self._debugger.over

    @property
    def held(self) -> bool:
        """Whether it stands, and waits for a page to say what becomes of a packet."""
        return self._debugger is not None and self._debugger.waits and not self.over

    def begin(self) -> None:
        if self._forks:
            self._make()
        self._run.listen(self._hear)
        self._thread = Thread(target=self._play, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Has the run end where it is; where it is not controlled, its hosts have to go."""
        if self._thread is None or self.over:
            return
        self.stopped = True
        with contextlib.suppress(UsageError):  # it has not begun, or nobody controls it
            if self._debugger is None:
                self._run.control.leave()
            elif not self._debugger.over:
                self._debugger.do(Asked(_QUIT, _QUIT.name))

    def join(self, patience: float) -> None:
        """Waits until the run has ended."""
        if self._thread is not None:
            self._thread.join(patience)

    # In the run's own thread.

    def _play(self) -> None:
        try:
            if not self._forks:
                self._make()
            with self._run:
                for packet in self._run.packets():
                    self._settled.append(packet)
                    self.changed()
            if self._run.lost_listeners:
                raise self._run.lost_listeners[0]
        except Exception as error:  # whoever serves says it, and raises it
            self.failure = error
        self._pending = []
        self.over = True
        self.changed()

    def _hear(self, event: Event) -> None:
        self._ladder.fired.hear(event)
        self._heard += 1
        few = len(self._pending) <= _FEW or self._heard - self._looked > _MANY_EVENTS
        looks = isinstance(event, _TELLING) and (few or isinstance(event, PacketHeld))
        if looks:  # before the debugger hears of it: what it speaks of is then among the packets
            self._looked = self._heard
            self._pending = self._run.under_way(UNDER_WAY)[1]
        if self._desk is not None:
            self._desk.hear(event)
        if looks:
            self.changed()

    # In the thread that serves.

    def pages(self, count: int) -> None:
        self.count(count)

    def do(self, line: str) -> list[Text]:
        if self._desk is None:
            return []
        return self._desk.do(line)

    def whole(self) -> dict[str, Any]:
        self._catch_up()
        return head(self._name, live=True) | self._ladder.whole(self._view) | {"outcome": []} | self._end()

    def beside(self) -> dict[str, Any]:
        over = {"over": self.over}
        return over if self._desk is None or self._view is None else over | self._desk.whole(self._view)

    def news(self) -> dict[str, Any] | None:
        over = self.over  # asked first: what comes before it is told with it, or before
        self._catch_up()
        told = self._ladder.new(self._view)
        if self._desk is not None and self._view is not None:
            told |= self._desk.news(self._view)
        if over and not self._ended:
            self._ended = True
            self.at_end()
            told |= {"over": True} | self._end()
        return told or None

    def _catch_up(self) -> None:
        if self._debugger is not None:
            self._view = self._debugger.view()  # before the packets that it speaks of
        pending = self._pending  # asked first: one that settles meanwhile is among both, and counts as settled
        new = self._settled[self._taken :]
        self._taken += len(new)
        self._ladder.settle(new, pending)

    def _end(self) -> dict[str, Any]:
        """Returns what is said when nothing more comes."""
        if not self.over:
            return {}
        told = closing(self._run.reports(), self._ladder.titles(), self._run.agreement)
        said: Text | None = None if self.left or self.stopped else self._run.source.early
        if isinstance(self.failure, LabError):
            said = in_one(self.failure)
        elif self.failure is not None:
            said = Text(*[f"{type(self.failure).__name__}: {self.failure}"] * 2)
        if said is not None:
            told["problem"] = said._asdict()
        return told


class Walked:
    """A recorded capture that is walked with a debugger, to and fro."""

    def __init__(self, run: Run, debugger: Debugger) -> None:
        self.changed: Callable[[], object] = lambda: None
        self._name = PurePath(run.name).name
        self._ended = False  # once it has been walked to its end
        self._run = run
        self._debugger = debugger
        self._desk = Desk(debugger)
        self._ladder = Ladder()
        events: list[Event] = []
        run.listen(self._ladder.fired.hear)
        run.listen(events.append)
        packets = list(islice(run.packets(), MOST_PACKETS))
        told = list(walked(events))
        self._ladder.settle(packets, (), _steps_when_held(told))
        self._ladder.all_told()
        debugger.load(told)

    @property
    def left(self) -> bool:
        return self._debugger.over

    def begin(self) -> None:
        """It has been read."""

    def pages(self, count: int) -> None:
        """They come and go."""

    def do(self, line: str) -> list[Text]:
        return self._desk.do(line)

    def whole(self) -> dict[str, Any]:
        page = head(self._name, live=True) | self._ladder.whole(self._debugger.view())
        return page | ({"outcome": []} if self._ahead else self._end())

    @property
    def _ahead(self) -> bool:
        """Whether something is to come yet, of which nothing should be said before."""
        place, places = self._debugger.place
        self._ended = self._ended or place == places
        return not self._ended

    def _end(self) -> dict[str, Any]:
        return closing(self._run.reports(), self._ladder.titles(), self._run.agreement)

    def beside(self) -> dict[str, Any]:
        return {"over": True} | self._desk.whole(self._debugger.view())

    def news(self) -> dict[str, Any] | None:
        view = self._debugger.view()
        told, ended = self._ladder.new(view) | self._desk.news(view), self._ended
        if not self._ahead and not ended:
            told |= self._end()
        return told or None
