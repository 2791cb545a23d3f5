"""The cable between the two hosts, as a program: no frame crosses that was not captured, none is lost untold.

Each frame is read, numbered, held while both kernels are asked for their states, and then passed on, unless a rule says
otherwise. After every delivery comes a barrier, a question that both hosts answer only when they have processed
whatever came before it; then the kernels are asked again. What the wire did, in which order, is its journal.

Where a run is controlled, each frame waits until a command says what becomes of it (lab.testbed.control). Kernels know
nothing of that, and their timers run on: what they send again meanwhile is absorbed, that is, captured and dropped. The
wire's own clock stands still meanwhile, so that nobody's patience ends.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lab.model import Captured, Delivered, Final, Frame, Kernels, Moved, Role, Settled, WireEvent
from lab.protocols.transport import Segment, segment
from lab.testbed.cables import Arrived, Cables, Link
from lab.testbed.control import (
    Command,
    Controlled,
    Delay,
    Drop,
    Duplicate,
    Edit,
    Held,
    Hold,
    Inject,
    Leave,
    RefusedError,
    Release,
    Swap,
    check,
    check_delay,
    not_held,
)
from lab.testbed.forge import Streams, corrupted, edited, marked, pair_reversed
from lab.testbed.progress import Progress
from lab.testbed.rules import Policy, Rule
from lab.testbed.stage import PATIENCE, SceneEnded
from lab.text import Text

_SWAP_WITHIN = 1.0  # seconds a swapped frame waits for its successor


@dataclass(slots=True)
class _Waiting:
    """A frame that has been captured and not yet passed on."""

    number: int
    sender: Role
    data: bytes
    segment: Segment | None
    rule: Rule | None
    due: float  # on the wire's clock, in seconds
    by_hand: bool = False  # held until a command comes
    forged: bool = False
    aside: bool = False  # swapped by hand: the script goes on meanwhile


class Commands(Protocol):
    """Where a wire hears commands from."""

    def filenos(self) -> Sequence[int]:
        """Returns descriptors of which one can be read when there is something to be heard."""

    def waiting(self) -> Sequence[Command]:
        """Returns the commands that have come, at once.

        Raises EOFError where none can come any more, MachineError where a host has ended while its packet was held.
        """


class Clock:
    """Seconds since some moment in the past, but for the time in which it is stopped."""

    def __init__(self) -> None:
        self._lost = 0.0
        self._stopped: float | None = None

    def now(self) -> float:
        return (time.monotonic() if self._stopped is None else self._stopped) - self._lost

    def stop(self) -> None:
        if self._stopped is None:
            self._stopped = time.monotonic()

    def go_on(self) -> None:
        if self._stopped is not None:
            self._lost += time.monotonic() - self._stopped
            self._stopped = None


class Wire:
    """Forwards between two links by `policy` and tells every event of its journal to `tell`.

    With `commands` it holds every frame from the first, and tells what it holds and what becomes of each command too.
    """

    def __init__(
        self,
        links: Mapping[Role, Link],
        policy: Policy,
        tell: Callable[[WireEvent | Held | Controlled], None],
        commands: Commands | None = None,
    ) -> None:
        self._cables = Cables(links)
        self._policy = policy
        self._tell = tell
        self._commands = commands
        self._holding = commands is not None
        self._clock = Clock()
        self._streams = Streams()
        self._delivering = False  # what comes now is an answer
        self._foreign: set[bytes] = set()  # pairs that only forged frames have brought up
        self._forged = False
        self._enough = 0.0  # where a frame was forged: when to give up waiting for silence
        self._given_up = False
        self._waiting: list[_Waiting] = []
        self._untold: list[_Waiting] = []  # held by hand, and nobody knows: the rest of their burst may be behind them
        self._number = 0
        self._last: _Waiting | None = None  # the last TCP segment
        self._order = 0
        self._last_forwarded: dict[Role, int] = {"client": 0, "server": 0}
        self._progress = Progress()
        self._listening: dict[Role, tuple[int, ...]] = {"client": (), "server": ()}

    def start(self) -> None:
        """Forgets what the hosts said while they were set up: it never crossed, and the lesson begins now."""
        self._cables.barrier()

    def settle(self) -> None:
        """Returns when nothing waits (but what a rule holds) and both hosts have done what they had to.

        Raises SceneEnded where that never comes: a forged segment can make two hosts contradict each other for good.
        """
        self._enough = self.now() + PATIENCE
        while True:
            self._obey()
            self._give_up_in_time()
            self._take_in(self._cables.arrived())
            waiting = self._next()
            if waiting is not None:
                self._forward(waiting)
                continue
            if self._take_in(self._cables.barrier()):
                continue
            self._tell_held()
            if any(each.by_hand for each in self._waiting):
                self._listen(None)
            elif (pause := self._pause()) is None:
                return
            else:
                self._listen(pause)

    def now(self) -> float:
        """Returns seconds on a clock that stands still while a frame is held by hand."""
        return self._clock.now()

    def wait(self, until: Callable[[], bool], patience: float) -> bool:
        """Forwards until the condition holds; returns False where it did not within `patience` seconds of `now`."""
        deadline = self.now() + patience
        self.settle()
        while not until():
            left = deadline - self.now()
            if left <= 0:
                return False
            self._listen(min(left, 0.05))
            self.settle()
        return True

    def acknowledged(self, sender: Role) -> bool:
        """Whether `sender` has got an acknowledgement for the last sequence number it put on the wire."""
        return self._progress.acknowledged(sender)

    def release(self) -> None:
        """Lets go of every frame that a rule holds."""
        for waiting in self._waiting:
            if waiting.rule and waiting.rule.action == "hold":
                self._hold(waiting)
            waiting.rule = None
        self.settle()

    def listens(self, role: Role, port: int) -> None:
        """Hears that a program of this host waits for connections at a port: the journal tells of it."""
        self._listening[role] = (*self._listening[role], port)

    def _heard_by(self, sender: Role) -> tuple[int, ...]:
        """Returns the ports at which the other host listens."""
        return self._listening["server" if sender == "client" else "client"]

    def inject(self, command: Inject) -> None:
        """Puts a segment on the wire that its sender has not sent, and settles.

        Raises RefusedError where it can't be made.
        """
        self._take_in(self._cables.arrived())
        self._inject(command)
        self.settle()

    def close(self) -> int:
        """Drops what a rule still holds, so that every frame's fate is told, and asks the kernels one last time.

        What is held by hand it waits for. Returns how many frames were lost because there was no room to capture them.
        """
        for waiting in self._waiting:
            waiting.aside = False
        with contextlib.suppress(SceneEnded):  # the script has ended before
            if not self._given_up:
                self.settle()
        for waiting in self._waiting:
            self._settled(waiting, None)
        self._waiting.clear()
        self._tell(Final(self._ask(self._last) if self._last else None))
        return self._cables.missed()

    def _take_in(self, arrived: Arrived, too_late: bool = False) -> bool:
        """Captures what has arrived; returns whether there was anything.

        Where it is `too_late` to ask the kernels for their states when it was sent, they are not asked.
        """
        for time_ns, sender, data in arrived:
            self._captured(time_ns, sender, data, too_late)
        return bool(arrived)

    def _captured(self, time_ns: int, sender: Role, data: bytes, too_late: bool = False) -> None:
        self._number += 1
        frame = Frame(self._number, time_ns, data, len(data))
        found = segment(frame)
        tcp = found if isinstance(found, Segment) else None
        if tcp is not None and tcp.pair not in self._foreign:
            self._progress.sent(sender, tcp)
        needless = self._is_needless(tcp)
        rule = None if needless else self._policy.decide(sender, tcp)
        if tcp is not None and rule and rule.action == "corrupt":  # noise, on the way to the wire
            data = corrupted(data, tcp)
            frame = frame._replace(data=data)
        elif tcp is not None and rule and rule.action == "mark":  # by a router, on the way to the wire
            data = marked(data)
            frame = frame._replace(data=data)
        if needless:
            waiting = _Waiting(self._number, sender, data, tcp, None, 0)
            kernel = None if too_late else self._ask(waiting)
            self._tell(Captured(frame, self._count(), kernel, listening=self._heard_by(sender)))
            self._settled(waiting, None, absorbed=True)
            return
        due = self.now() + (rule.delay / 1e9 if rule else 0)
        waiting = _Waiting(self._number, sender, data, tcp, rule, due)
        self._waiting.append(waiting)
        if tcp is not None:
            if tcp.pair not in self._foreign:
                self._last = waiting
            self._streams.add(tcp, data)
        kernel = None if too_late else self._ask(waiting)
        self._tell(Captured(frame, self._count(), kernel, listening=self._heard_by(sender)))
        if not (rule and rule.action == "hold"):
            self._hold(waiting)

    def _is_needless(self, tcp: Segment | None) -> bool:
        """Whether a frame was only sent because another is held by hand, too long for its sender's patience.

        What comes while a frame is being delivered is the answer to that, and never needless.
        """
        held = not self._delivering and any(each.by_hand for each in self._waiting)
        return held and tcp is not None and self._streams.repeats(tcp)

    def _next(self) -> _Waiting | None:
        now = self.now()
        for waiting in self._waiting:
            action = waiting.rule.action if waiting.rule else None
            if action == "hold" or waiting.by_hand:
                continue
            if action == "swap" and not (
                self._last_forwarded[waiting.sender] > waiting.number or now > waiting.due + _SWAP_WITHIN
            ):
                continue
            if waiting.due <= now:
                return waiting
        return None

    def _pause(self) -> float | None:
        """Returns the seconds until a waiting frame is due, None where none will ever be by itself."""
        due = [
            waiting.due + (_SWAP_WITHIN if waiting.rule and waiting.rule.action == "swap" else 0)
            for waiting in self._waiting
            if not (waiting.aside or (waiting.rule and waiting.rule.action == "hold"))
        ]
        return max(0.001, min(due) - self.now()) if due else None

    def _forward(self, waiting: _Waiting) -> None:
        self._waiting.remove(waiting)
        action = waiting.rule.action if waiting.rule else None
        if action == "drop":
            self._settled(waiting, None)
            return
        other: Role = "server" if waiting.sender == "client" else "client"
        twice = action == "duplicate"
        kernel = None
        for _ in range(1 + twice):
            self._cables.watch(other)
            self._take_in(self._cables.arrived())
            early, answers = self._cables.deliver(other, waiting.data)
            self._take_in(early, too_late=True)
            kernel = None if twice else self._ask(waiting)
            self._tell(Delivered(waiting.number, self._count(), kernel))
            self._delivering = True
            self._take_in(answers)
            self._delivering = False
        self._last_forwarded[waiting.sender] = waiting.number
        if waiting.segment and self._counts(waiting, waiting.segment):
            self._progress.got(other, waiting.segment)
        self._settled(waiting, kernel or self._ask(waiting))

    def _counts(self, waiting: _Waiting, tcp: Segment) -> bool:
        """Whether its receiver may be taken to believe what a frame acknowledges, on the scenario's connection."""
        intact = not (waiting.rule and waiting.rule.action == "corrupt")
        return tcp.pair not in self._foreign and intact and (not waiting.forged or self._streams.acceptable(tcp))

    def _settled(self, waiting: _Waiting, kernel: Kernels | None, absorbed: bool = False) -> None:
        if not absorbed:  # what is absorbed comes with others
            self._tell_held()
        self._tell(Settled(waiting.number, self._count(), kernel, absorbed))

    # Commands.

    def _hold(self, waiting: _Waiting) -> None:
        """Has a frame wait for a command, where frames are to be held."""
        if self._holding:
            waiting.by_hand = True
            self._clock.stop()
            self._untold.append(waiting)

    def _tell_held(self) -> None:
        """Tells which frames have come to be held, all of a burst at once: whoever decides about one knows the rest."""
        numbers = [each.number for each in self._untold if each.by_hand and each in self._waiting]
        self._untold.clear()
        for number in numbers:
            self._tell(Held(number, more=number != numbers[-1]))

    def _obey(self) -> None:
        for command in self._commands.waiting() if self._commands is not None else ():
            comes_to = self._comes_to(command)
            try:
                number = self._done(command)
            except RefusedError as error:
                answer = Controlled(command, error.message, error.hint)
            else:
                answer = Controlled(comes_to, number=number)
            self._tell_held()
            self._tell(answer)
            if isinstance(command, Leave):
                self._given_up = True
                raise SceneEnded(Text("it was ended by hand", "由使用者结束"))
            self._clock_for_the_rest()

    def _comes_to(self, command: Command) -> Command:
        """Returns what a command comes to: to let go of a frame that a rule delays or swaps is to delay or swap it.

        Such a frame does not move as long as another is held, and whoever waits for it would wait for ever.
        """
        if isinstance(command, Release):
            rule = next((each.rule for each in self._waiting if each.number == command.number), None)
            if rule is not None and rule.action == "delay":
                return Delay(command.number, rule.delay)
            if rule is not None and rule.action == "swap":
                return Swap(command.number)
        return command

    def _done(self, command: Command) -> int | None:
        """Does what a command says, as far as that is a matter of the frame; returns the number of one it has made.

        Raises RefusedError where it makes no sense.
        """
        check(command)
        if isinstance(command, Hold):
            self._holding = command.on
            for each in self._waiting if not command.on else ():
                each.by_hand = False
            return None
        if isinstance(command, Leave):
            return None
        self._take_in(self._cables.arrived())  # what has come before the command stands before what comes of it
        if isinstance(command, Inject):
            return self._inject(command)
        waiting = self._held(command.number)
        if isinstance(command, Edit):
            data = edited(waiting.data, command.fields)
            self._waiting.remove(waiting)
            self._settled(waiting, None)
            return self._forge(waiting.sender, data)
        if isinstance(command, Delay):
            check_delay(command.ns)
            self._enough += command.ns / 1e9
        waiting.by_hand = False
        if not isinstance(command, Release):
            action = {Drop: "drop", Duplicate: "duplicate", Delay: "delay", Swap: "swap"}[type(command)]
            waiting.rule = Rule(action, waiting.sender, "any", None, command.ns if isinstance(command, Delay) else 0)
            waiting.aside = isinstance(command, Swap)
        self._clock_for_the_rest()
        waiting.due = self.now() + (waiting.rule.delay / 1e9 if waiting.rule else 0)
        return None

    def _clock_for_the_rest(self) -> None:
        if not any(each.by_hand for each in self._waiting):
            self._clock.go_on()

    def _held(self, number: int) -> _Waiting:
        held = {each.number: each for each in self._waiting if each.by_hand}
        if number not in held:
            raise not_held(number, self._number, held)
        return held[number]

    def _inject(self, command: Inject) -> int:
        last = self._last.segment if self._last else None
        if last is None or self._last is None:
            raise RefusedError(
                Text("there is no connection yet", "还没有连接"),
                Text("inject once a packet has been captured", "捕获到第一个包之后才能注入"),
            )
        pair = last.pair if command.sender == self._last.sender else pair_reversed(last.pair)
        return self._forge(command.sender, self._streams.forged(command, pair))

    def _forge(self, sender: Role, data: bytes) -> int:
        """Puts a frame on the wire that its sender has not sent: it is captured and passed on as any other."""
        self._number += 1
        frame = Frame(self._number, time.time_ns(), data, len(data))
        found = segment(frame)
        assert isinstance(found, Segment)  # nothing else is forged
        if not self._streams.knows(found):
            self._foreign |= {found.pair, found.reversed_pair}
        waiting = _Waiting(self._number, sender, data, found, None, self.now(), forged=True)
        self._waiting.append(waiting)
        self._forged = True
        self._tell(Captured(frame, self._count(), self._ask(waiting), True, self._heard_by(sender)))
        self._hold(waiting)
        return waiting.number

    def _give_up_in_time(self) -> None:
        """Two hosts that count differently answer each other's acknowledgements without end: some time is enough."""
        if self._forged and self.now() > self._enough:
            self._given_up = True
            raise SceneEnded(
                Text(
                    f"since a forged segment the hosts contradict each other, for {PATIENCE:.0f} s now",
                    f"收到伪造的报文段之后，两端互相矛盾，{PATIENCE:.0f} 秒仍未安静",
                )
            )

    def _listen(self, seconds: float | None) -> None:
        """Waits for a frame or a command; without a time, for as long as it takes."""
        self._cables.listen(seconds, self._commands.filenos() if self._commands is not None else ())

    def _ask(self, waiting: _Waiting) -> Kernels | None:
        """Asks both kernels for their sockets of this frame's conversation; None for a frame that is no TCP."""
        tcp = waiting.segment
        if tcp is None:
            return None
        sent, got = tcp.pair, tcp.reversed_pair
        mine, theirs = (sent, got) if waiting.sender == "client" else (got, sent)
        links = self._cables.links
        client, server = links["client"].witness, links["server"].witness
        # What moves while a frame is being delivered is the answer to that frame, not to one that comes in meanwhile.
        moved = () if self._delivering else self._moved()
        return Kernels(client.socket(mine), server.socket(theirs), moved)

    def _moved(self) -> tuple[Moved, ...]:
        return tuple(Moved(role, *each) for role, link in self._cables.links.items() for each in link.witness.moved())

    def _count(self) -> int:
        self._order += 1
        return self._order
