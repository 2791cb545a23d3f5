"""What pages are shown of a run: a capture as it is, one that is walked, or hosts while they play.

Each has what `server.Shown` asks for. A run of real hosts goes on in a thread of its own: what it tells is put down
there as values, packets whose fate is known and those that are still under way. Whoever serves makes rungs of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from itertools import islice
from pathlib import PurePath
from threading import Thread
from typing import Any

from lab.errors import LabError, UsageError
from lab.events import CommandAnswered, Ended, Event, KernelAsked, PacketArrived, PacketHeld, PacketLost
from lab.model import Packet
from lab.page.desk import Desk
from lab.page.model import MOST, around, closing, head, protocols, track
from lab.page.rungs import Fired, Rungs
from lab.page.words import LIVE
from lab.render.picture import landed
from lab.runs.run import Run
from lab.stepping.commands import COMMANDS, Asked
from lab.stepping.debugger import MOST_PACKETS, Debugger, walked
from lab.stepping.view import View
from lab.text import Text

_UNDER_WAY = 300  # packets, at most, that are shown before their fate is known
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


class _Ladder:
    """Rungs of packets as they become known, and which of them are new to the pages."""

    def __init__(self) -> None:
        self.fired = Fired()
        self._packets: list[Packet] = []  # whose fate is known, in order
        self._making = Rungs(self.fired)
        self._known: dict[int, dict[str, Any]] = {}  # rungs by number, as all is known of them
        self._before: dict[int, dict[str, Any]] = {}  # as they were before they had arrived
        self._told: dict[int, dict[str, Any]] = {}  # as pages know them
        self._tracks: dict[int, dict[str, Any]] = {}
        self._around: dict[str, Any] = {}  # what pages know of what goes with rungs
        self._gone: list[int] = []  # rungs that pages know, and that are none

    def settle(self, packets: Iterable[Packet], pending: Sequence[tuple[Packet, bool]], walk: bool = False) -> None:
        """Takes packets whose fate is known now, and those that are under way behind them.

        In a `walk` each is wanted as it was before it had arrived, too.
        """
        packets = list(packets)
        self._forget(each.number for each in (*packets, *(each for each, _ in pending)) if _absorbed(each))
        new = [each for each in packets if not _absorbed(each)][: max(0, MOST - len(self._packets))]
        done = {each.number for each in self._packets[-_UNDER_WAY:]} | {each.number for each in new}
        waiting = [each for each in pending if each[0].number not in done and not _absorbed(each[0])]
        behind = len(self._packets)
        self._packets += new
        for packet in new:
            if walk:
                self._before[packet.number] = copy(self._making).rung(_on_its_way(packet), True)
            self._known[packet.number] = self._making.rung(packet)
        sketch = copy(self._making)
        for packet, settled in waiting:
            rung = sketch.rung(packet, not settled)
            self._known[packet.number] = rung
            if not settled:
                self._before[packet.number] = rung
        shown = [*self._packets, *(each for each, _ in waiting)]
        if new or waiting:
            for packet, at in islice(zip(shown, landed(each.journal for each in shown), strict=True), behind, None):
                self._known[packet.number]["got"] = at
        for packet in shown[behind:]:
            track(self._tracks, packet)

    def all_told(self) -> None:
        """Every page is told all of it at once: what is new is what then changes."""
        self._told = dict(self._known)

    def _forget(self, numbers: Iterable[int]) -> None:
        """Takes out what turns out to be no rung: a copy that was folded into the one that it repeats."""
        for number in numbers:
            if self._known.pop(number, None) is not None and self._told.pop(number, None) is not None:
                self._gone.append(number)

    def rungs(self, view: View | None) -> list[dict[str, Any]]:
        """Returns the rungs as they are now; where one looks at another place, as they were there."""
        if view is None:
            return list(self._known.values())
        return [self._at(each.number, each.fate, each.again) for each in view.rungs if each.number in self._known]

    def _all(self, view: View | None) -> list[dict[str, Any]]:
        """Returns the rungs, and those behind the place at which one looks as well."""
        there = {each["number"]: each for each in self.rungs(view)}
        return [there.get(number, rung) for number, rung in sorted(self._known.items())]

    def whole(self, view: View | None) -> dict[str, Any]:
        """Returns all of it for a page that is new."""
        return {"rungs": self._all(view), "tracks": [*self._tracks.values()], **self._beside()}

    def _beside(self) -> dict[str, Any]:
        seen = {name for rung in self._known.values() for name in protocols(rung)}
        return around(seen, {rung["quiz"] for rung in self._known.values() if "quiz" in rung})

    def _at(self, number: int, fate: str, again: int) -> dict[str, Any]:
        rung = self._known[number]
        if fate == "held" or (fate == "under-way" and rung["fate"] != "unknown"):  # of which nobody will ever know more
            rung = self._before.get(number, rung) | {"fate": fate}
        return rung | {"again": again} if again else rung

    def new(self, view: View | None) -> dict[str, Any]:
        """Returns what of the rungs pages do not know yet; from now on they do."""
        found = [each for each in self.rungs(view) if self._told.get(each["number"]) != each]
        self._told |= {each["number"]: each for each in found}
        news: dict[str, Any] = {"rungs": found, "tracks": [*self._tracks.values()]} if found else {}
        if found and (now := self._beside()) != self._around:
            self._around = now
            news |= now
        if self._gone:
            news["gone"], self._gone = self._gone, []
        return news

    def titles(self) -> dict[tuple[int, str], dict[str, str]]:
        """Returns what the notes' steps are called that packets are, by conversation."""
        return {
            (rung["track"], step["id"]): step["title"] for rung in self._known.values() for step in rung["steps"]
        }  # fmt: skip


def _absorbed(packet: Packet) -> bool:
    """Whether it was only sent because another was held."""
    return packet.journal is not None and packet.journal.absorbed


def _on_its_way(packet: Packet) -> Packet:
    """Returns a packet as it was before it had arrived."""
    return packet._replace(
        delivered=None, kernel_delivered=None, asked_delivered=None, fate="unknown", by=None, verdict=None
    )


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
        self._ladder = _Ladder()
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
            self._pending = self._run.under_way(_UNDER_WAY)[1]
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
        self._ladder = _Ladder()
        events: list[Event] = []
        run.listen(self._ladder.fired.hear)
        run.listen(events.append)
        packets = list(islice(run.packets(), MOST_PACKETS))
        self._ladder.settle(packets, (), walk=True)
        self._ladder.all_told()
        debugger.load(walked(events))

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
