"""What a command comes to: real hosts are told, a recorded capture is walked. One object for both.

A run's events are told to `hear`, from whichever thread; what is asked for comes to `do`. The run goes on by itself
(`step 3`, `until FIN`) as far as it was told to, and stops where a packet is held and nothing moves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from threading import RLock
from typing import NamedTuple

from lab.errors import UsageError
from lab.events import (
    CommandAnswered,
    Ended,
    Event,
    KernelAsked,
    PacketArrived,
    PacketHeld,
    PacketLost,
    StateChanged,
    Surprised,
)
from lab.events import PacketSent as Sent
from lab.runs.until import END, Seen, Until, Watch
from lab.stepping import commands
from lab.stepping.commands import Asked
from lab.stepping.predictions import Prediction, Predictions
from lab.stepping.view import MOST_EVENTS, ROLES, Story, View
from lab.testbed import control
from lab.testbed.control import Control, Hold, Inject
from lab.text import Text

MOST_PACKETS = 5_000  # of a recorded capture
_PREDICT = commands.named("predict")
MOST_ALONE = 400  # packets that go by themselves: two ends may contradict each other for ever


class _Going(NamedTuple):
    """How far it goes by itself: `left` packets of `kind` (any, or steps of the notes), or `until` something."""

    kind: str
    left: int = 1
    until: Until = END

    def passed(self, seen: Seen | None) -> _Going | None:  # None: of whichever
        """Returns how far it goes behind a packet; None where it stops there."""
        if self.kind == "until":
            return None if seen is not None and self.until.holds(seen) else self
        counts = self.kind == "step" or (seen is not None and bool(seen.steps))
        left = self.left - counts
        return self._replace(left=left) if left > 0 else None


class Debugger:
    """Steps through a run. `wire` is the way in to real hosts, asked for when there is something to say to it.

    A capture that is walked has none. `save` writes the capture to a file of that name, or where it usually goes, and
    returns what is to be said of that. `judged` hears of each prediction once it is known whether it came so,
    `said` what else there is to say.
    """

    def __init__(
        self, wire: Callable[[], Control] | None = None, save: Callable[[str], list[Text]] | None = None
    ) -> None:
        self.story = Story()
        self.predictions = Predictions()
        self.over = False  # nothing more will be asked for
        self.holds = True  # what comes is held
        self.judged: Callable[[Prediction], object] = lambda _: None
        self.said: Callable[[Text], object] = lambda _: None
        self._wire = wire
        self._save = save
        self._watch = Watch()
        self._seen: dict[int, Seen] = {}  # by the numbers of packets that were held, in order
        self._shown = 0  # the number of the last packet that has shown
        self._fresh: list[Seen] = []  # of which it was not looked at yet whether to stop there
        self._going: _Going | None = None
        self._past: set[int] = set()  # held, and counted as passed since it goes
        self._alone = 0  # packets that went by themselves
        self._asked = time.monotonic()  # when the kernels were asked last
        self._unanswered = 0
        self._chosen: int | None = None
        self._look: int | None = None  # the place that is looked at; None: where it stands
        self._lock = RLock()

    @property
    def live(self) -> bool:
        return self._wire is not None

    @property
    def runs(self) -> str:
        """How far it goes by itself, in words; empty where it stands."""
        going = self._going
        if going is None or not self.live:
            return ""
        return str(going.until) if going.kind == "until" else f"{going.kind} {going.left}"

    @property
    def waits(self) -> bool:
        """Whether it stands, and something is to be asked for."""
        with self._lock:
            if not self.live:
                return not self.over
            return self.story.stands and not self._unanswered and self._going is None and not self.over

    @property
    def passed(self) -> float:
        """Seconds since the kernels were asked, in which their timers have run on; none where that is recorded."""
        return time.monotonic() - self._asked if self.live else 0.0

    @property
    def place(self) -> tuple[int, int]:
        """Where one looks, and how many places there are; from 1."""
        count = len(self.story.stops)
        return (count if self._look is None else self._look + 1), count

    def view(self) -> View:
        """Returns the view of where one looks."""
        with self._lock:
            return self.story.view(self._look, self._chosen)

    # What the run tells.

    def load(self, events: Iterable[Event]) -> None:
        """Takes in a recorded run, and goes to its first packet."""
        for event in events:
            self.hear(event)
        self._fresh.clear()
        self._look = 0

    def hear(self, event: Event) -> None:
        """Takes an event; a packet that need not wait goes on."""
        with self._lock:
            full = self.story.full
            self.story.hear(event)
            if self.live and self.story.full and (not full or isinstance(event, PacketHeld)):
                self._let_go()
            if isinstance(event, Sent):
                self._shown = max(self._shown, event.packet)
            if isinstance(event, KernelAsked):
                self._asked = time.monotonic()
            seen = self._watch.hear(event)
            if seen is not None:
                self._seen[seen.number] = seen
                self._fresh.append(seen)
            if isinstance(event, CommandAnswered) and self.live:
                self._unanswered -= 1
                if not event.done:
                    self._going = None
            if self.live and self.story.stands and not self._unanswered:
                self._stands()

    def _let_go(self) -> None:
        """Holds nothing any more, where the story can't take down what is held."""
        self._going, self.holds = None, False
        self._tell(control.Hold(False))
        self.said(
            Text(
                f"after {MOST_EVENTS} events no packet is held any more: the run goes on to its end",
                f"已记录 {MOST_EVENTS} 个事件，不再扣包：运行继续到结束",
            )
        )

    def _stands(self) -> None:
        """Decides, where nothing moves, whether to go on."""
        if self.over and not self.story.over:
            self._tell(control.Leave())
            return
        fresh, self._fresh = self._fresh, []
        if fresh or self.story.over:
            self._judge(fresh[0] if fresh else self._last())
        if self.story.over:
            self._going = None
        going = self._going
        if going is None:
            return
        for seen in self._ahead(going, {each.number for each in fresh}):
            kind, passed = going.kind, going.passed(seen)
            self._going = passed
            if passed is None:
                self._chosen = seen.number if seen is not None and kind != "step" else None
                return
            going = passed
        self._alone += 1
        if self._alone < MOST_ALONE:
            self._tell(control.Release(self._at_hand()))
            return
        self._going = None
        self.said(
            Text(
                f"stopped: {MOST_ALONE} packets went by themselves, and it was not over",
                f"已停下：连续放行了 {MOST_ALONE} 个包，仍未结束",
            )
        )

    def _ahead(self, going: _Going, fresh: set[int]) -> Iterator[Seen | None]:
        """Yields what may be stopped at: also packets that were held long before, with the states that the ends are in.

        A step is one wherever it leads to, and no packet is counted twice as the next one.
        """
        if going.kind == "step":
            yield None
            return
        for number in self.story.held:
            if going.kind == "until" or number not in self._past:
                self._past.add(number)
                seen = self._seen[number]
                yield seen if number in fresh else seen._replace(states=self._watch.states)

    def _judge(self, seen: Seen) -> None:
        came = " ".join((seen.sender or "", *seen.labels)).strip()
        for each in self.predictions.judge(seen, came):
            self.judged(each)

    def _last(self) -> Seen:
        """Returns what is known when nothing more comes: both ends' states."""
        view = self.story.view()
        states = frozenset((role, state) for role in ROLES if (state := view.end(role).state) is not None)
        return Seen(0, None, (), (), states)

    def _at_hand(self) -> int:
        held = self.story.held
        if not held:
            raise _nothing_held(self.story.over)
        return self._chosen if self._chosen in held else held[0]

    def _tell(self, order: control.Command) -> None:
        assert self._wire is not None
        wire = self._wire()  # raises where the run has not begun
        self._look = None
        self._unanswered += 1
        if not wire.send(order):
            self._unanswered -= 1

    # What is asked for.

    def do(self, asked: Asked) -> list[Text]:
        """Does what is asked for; returns what is to be said at once. Raises UsageError where it makes no sense now."""
        with self._lock:
            if asked.order is not None:
                self._order(asked, asked.order)
                return []
            return self._DO[asked.name](self, asked) or []

    def require_still(self, asked: Asked) -> None:
        """Raises UsageError for what would move it while it is still moving."""
        moves = asked.order is not None or asked.name in ("step", "next", "until", "continue")
        if moves and self.live and not self.waits and asked.name != "hold":
            raise UsageError(
                Text("it is still moving", "仍在运行中"), Text("h holds each packet again", "按 h 重新逐包扣住")
            )

    def _order(self, asked: Asked, order: control.Command) -> None:
        if not self.live:
            raise UsageError(
                Text(
                    f"'{asked.name}' needs real hosts: this is a recorded capture",
                    f"{asked.name} 需要真实主机：这是已录制的抓包",
                ),
                Text("lab step SCENARIO holds the packets of real ones", "lab step 场景 会扣住真实主机的包"),
            )
        if self.story.over:
            raise _nothing_held(True)
        if isinstance(order, Hold):
            self._going, self.holds = None, order.on
        elif not asked.named and not isinstance(order, Inject | control.Leave):
            order = order._replace(number=self._at_hand())
        self._tell(order)

    def _step(self, asked: Asked) -> None:
        self._go(_Going(asked.name, asked.number))

    def _until(self, asked: Asked) -> None:
        self._go(_Going("until", until=asked.until))

    def _go(self, going: _Going) -> None:
        if not self.live:
            self._walk(going)
            return
        number = self._at_hand()
        self._fresh.clear()
        self._past.clear()
        self._alone = 0
        self._going = going
        self._tell(control.Release(number))

    def _walk(self, going: _Going | None) -> None:
        """Goes forward in a recorded capture."""
        at, last, every = self._look or 0, len(self.story.stops) - 1, list(self._seen.values())
        if at >= last:
            raise _nothing_held(True)
        while going is not None and at < last:
            at += 1
            seen = every[at] if at < len(every) else None
            self._judge(seen or self._last())
            going = going.passed(seen)
        self._look = at

    def _back(self, asked: Asked) -> None:
        at = self.place[0] - 1
        if at <= 0:  # -1: nothing has been held yet
            raise UsageError(
                Text("this is where it begins", "这里已是开头"),
                Text("forward goes on from here", "forward 可以继续向前"),
            )
        self._look = max(0, at - asked.number)

    def _forward(self, asked: Asked) -> None:
        at, count = self.place
        if at == count:
            raise UsageError(
                Text("there is nothing further on yet", "前面还没有内容"),
                Text("step lets the packet arrive", "step 会放行当前的包"),
            )
        self._look = min(count - 1, at - 1 + asked.number)
        if self.live and self._look == count - 1:
            self._look = None

    def _select(self, asked: Asked) -> None:
        if asked.number not in self.story.held:
            raise control.not_held(asked.number, self._shown, self.story.held)
        self._chosen, self._look = asked.number, None

    def _predict(self, asked: Asked) -> list[Text]:
        rung = self.view().rung
        if rung is None or (self.story.over and (self.live or self._look is None)):
            raise _nothing_held(self.story.over)
        until = asked.until if asked.until is not END else None
        self.predictions.make(rung, self._shown, asked.word, until)
        return [Text(f"noted: {asked.word}", f"已记下：{asked.word}")]

    def _saved(self, asked: Asked) -> list[Text]:
        if self._save is None or (self.predictions.recorded and not self.predictions.made):
            raise UsageError(
                Text("there is nothing to save: the capture is a file already", "无需保存：抓包本来就是文件"),
                Text("what is predicted can be saved: predict", "可以保存的是预测：predict"),
            )
        return self._save(asked.word)

    def _help(self, asked: Asked) -> list[Text]:
        questions = self.predictions.questions if asked.word and commands.named(asked.word) is _PREDICT else {}
        of = [Text(f"    {name}: {text.en}", f"    {name}: {text.zh}") for name, text in questions.items()]
        return [*commands.told(asked.word), *of]

    def _quit(self, _asked: Asked) -> None:
        self.over = True
        if self.live and not self.story.over:
            self._going = None
            with suppress(UsageError):  # it has not begun: it is told when it first stands
                self._tell(control.Leave())

    _DO: dict[str, Callable[..., list[Text] | None]] = {  # noqa: RUF012  # nobody writes to it
        "step": _step, "next": _step, "until": _until, "continue": _until, "back": _back, "forward": _forward,
        "select": _select, "predict": _predict, "save": _saved, "help": _help, "quit": _quit,
    }  # fmt: skip


def _nothing_held(over: bool) -> UsageError:
    if over:
        return UsageError(
            Text("nothing more will come", "不会再有包了"), Text("back looks at what has been", "back 可以回看")
        )
    return UsageError(
        Text("no packet is held now", "现在没有扣住任何包"), Text("hold has the next ones wait", "hold 会扣住之后的包")
    )


_MORE = Text(
    "only the first {} packets are walked: lab annotate has them all",
    "只逐包显示前 {} 个：完整内容请用 lab annotate",
)


class _Walked:
    """A packet that has been told, and not yet shown as held."""

    def __init__(self, number: int) -> None:
        self.number = number

    def goes(self, event: Event) -> bool:
        """Whether an event comes behind its being held."""
        if isinstance(event, PacketArrived | PacketLost):
            return event.packet == self.number
        if isinstance(event, StateChanged | Surprised):
            return event.packet == self.number and not event.on.startswith("sent ")
        if isinstance(event, KernelAsked):
            return event.instant == "final"
        return isinstance(event, Sent | Ended)


def walked(events: Iterable[Event]) -> Iterator[Event]:
    """Yields a recorded run's events as if each packet had been held: told of as held, and let go of, at its place.

    At most `MOST_PACKETS` packets. A copy that was absorbed is held nowhere, as it was when it was recorded.
    """
    waiting: _Walked | None = None
    for event in events:
        if waiting is not None and waiting.goes(event):
            if not (isinstance(event, PacketLost) and event.absorbed):
                yield PacketHeld(waiting.number)
                yield CommandAnswered(f"release {waiting.number}", True, None, None, None)
            waiting = None
        if isinstance(event, Sent):
            if event.packet > MOST_PACKETS:
                yield Ended((), {}, _MORE.format(MOST_PACKETS))
                return
            waiting = _Walked(event.packet)
        yield event
