"""A run: a capture on its way through the engine, or a scenario that is being played. One interface for both.

A `Run` is a source of what was captured, the engine, and what became of it. It is gone through once: packet by packet
(`packets`), or event by event (`events`); listeners hear the events in either case. Whatever ends it, it closes what it
opened, and a live run saves its capture.
"""

from __future__ import annotations

import itertools
import sys
from collections import Counter, deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from lab.engine.lookahead import Lookahead, More
from lab.engine.path import Mine, Path, in_order
from lab.engine.record import Record
from lab.errors import InputError, UsageError
from lab.events import (
    Begun,
    CommandAnswered,
    Ended,
    Event,
    PacketArrived,
    PacketHeld,
    PacketLost,
    PacketSent,
)  # fmt: skip
from lab.model import ConversationReport, Frame, Packet, Problem, WireEvent
from lab.protocols.registry import TRANSPORT, UPPERS
from lab.protocols.transport import LANES, MOST_IN_A_LANE, conn_state
from lab.report.agreement import Agreement
from lab.report.conversations import Reports, carried, report
from lab.report.packets import packet
from lab.text import Lang, Text

if TYPE_CHECKING:
    from lab.testbed.control import Control

MOST_AT_THE_END = 2048  # conversations that the last event tells of
Listener = Callable[[Event], object]
Learn = Callable[[bytes, bytes], None]


class Inputs(NamedTuple):
    """What a source has: the wire's own account, or where there is none, the frames, or what looks `ahead` at them.

    Where frames come while they happen, `more` says how long to wait for one (`engine/lookahead.py`).
    """

    begun: Begun
    wire: Iterable[WireEvent | PacketHeld | CommandAnswered] | None
    frames: Iterable[Frame] | None
    more: More | None = None
    ahead: Callable[[Path], Lookahead] | None = None


class Source(Protocol):
    """Where packets come from."""

    name: str
    keeps: bool  # whether it needs the frames and messages of all packets to its end

    def begin(self, learn: Learn, mine: Mine | None, /) -> AbstractContextManager[Inputs]:
        """Opens it; what it knows of secrets it tells `learn`, as soon as it does."""

    def captured(self, record: Record) -> None:
        """Hears of each packet when it has been captured."""

    def over(self, run: Run) -> None:
        """Hears that nothing more will come, or be asked for."""

    @property
    def early(self) -> Text | None:
        """Why it ended before its end, where it did."""

    @property
    def secrets(self) -> tuple[bytes, bytes]:
        """A key log and a server's key that came with it, so far."""

    @property
    def packets(self) -> int:
        """How many there have been."""

    @property
    def refused(self) -> InputError | None:
        """Why its reading ended at a limit, where it did."""

    @property
    def position(self) -> int:
        """How many bytes of it have been read."""

    def problems(self) -> list[Problem]:
        """Returns what is wrong with it."""

    def about(self, lang: Lang, problems: list[Problem], /) -> dict[str, Any]:
        """Returns the trace's entry on the file; true when all has been read."""

    def close(self) -> None:
        """Lets go of what is open."""


class Run:
    """A capture or a scenario on its way through. Iterating yields its packets; leave it as a context manager.

    `mine` says which frames are annotated, `only` which conversation's packets are yielded and events told. With
    `words` packets are told in words, `fields` are the numbers of those whose messages are told field by field.
    `frames` keeps their bytes, of a recorded packet's payload as many as `beginning` says; without them and without
    words, their `messages` may be left out too. `late` says how long
    a packet's fate is waited for where somebody watches, and those behind it wait as long (`engine/path.py`).
    `let_go` takes the reports on conversations that there is no more room for (of more than LANES * MOST_IN_A_LANE);
    without it the first `kept` of them are kept.
    """

    def __init__(
        self,
        source: Source,
        *,
        keylog: bytes = b"",
        server_key: bytes = b"",
        mine: Mine | None = None,
        only: int | None = None,
        words: bool = False,
        fields: range = range(0),
        frames: bool = True,
        messages: bool = True,
        beginning: int | None = None,
        late: Callable[[], Callable[[], bool]] | None = None,
        let_go: Callable[[ConversationReport], None] | None = None,
        kept: int = sys.maxsize,
    ) -> None:
        self.source = source
        self.agreement = Agreement()  # with the kernels, of the whole capture
        self.evicted = 0  # conversations that were let go of before they had ended
        self.shown = False  # whether there was a packet to show
        self.lost_listeners: list[Exception] = []  # what ended those that are heard no more
        self._secrets = keylog, server_key
        self._mine = mine
        self._only = only
        self._of_one = _OfOne(only) if only is not None else None
        self._words = words
        self._fields = fields
        self._frames = frames
        self._messages = messages
        self._beginning = beginning
        self._late = late
        self._told_of = let_go
        self._kept = kept
        self._gone: list[ConversationReport] = []
        self._left_out = 0  # that there were more
        self._states = Counter[str]()  # of all that were let go of
        self._listeners: list[Listener] = []
        self._waiting: deque[Record] = deque()  # for their fate, or for that of one before
        self._path: Path | None = None
        self._advancing: Generator[Record | None] | None = None

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def whole(self) -> bool:
        """Whether all packets are annotated and yielded."""
        return self._mine is None and self._only is None

    @property
    def secrets(self) -> tuple[bytes, bytes]:
        """The key log and the server's key that are known so far."""
        keylog, server_key = self._secrets
        more, key = self.source.secrets
        return keylog + more, server_key or key

    @property
    def control(self) -> Control:
        """The way in to a live run that was made with `control`, once its first event, or packet, has come.

        Raises UsageError for a run that is not controlled, or has not begun.
        """
        found: Control | None = getattr(self.source, "control", None)
        if found is None:
            raise UsageError(
                Text("this run is not controlled, or has not begun", "此次运行不受控制，或尚未开始"),
                Text(
                    "make it with lab.run(..., control=True), and take its first event",
                    "请用 lab.run(..., control=True) 创建，并先取得第一个事件",
                ),
            )
        return found

    # What comes while it goes on.

    def listen(self, listener: Listener) -> None:
        """Has `listener` called with each event, as it happens; one that raises is heard no more, and nothing else is
        lost by it. To be called before the first packet is asked for."""
        if self._path is not None:
            raise ValueError("a run has to be listened to from its beginning")
        self._listeners.append(listener)

    def __iter__(self) -> Iterator[Packet]:
        return self.packets()

    def packets(self) -> Iterator[Packet]:
        """Yields each packet in order, when its fate is known.

        Raises InputError where nothing can be read, UsageError where there is no conversation `only`, MachineError
        where the machine can't play it.
        """
        words, fields = self._words, self._fields
        for record in self.records():
            yield packet(record, words, record.number in fields)

    def records(self) -> Iterator[Record]:
        """Yields the engine's record of each packet instead: as it is now, and only until the next is asked for."""
        only = self._only
        if only is None:
            for record in self._settled():
                self.shown = True
                yield record
            return
        seen = False
        for record in self._settled():
            if only == (record.conversation.id if record.conversation is not None else record.quotes):
                seen = self.shown = True
                yield record
        if not seen:
            raise _no_conversation(self.name, only)

    def under_way(self, most: int) -> tuple[int, list[tuple[Packet, bool]]]:
        """Returns how many packets have been captured and not yielded yet, and the last of them, `most` at most.

        Each is as it is known now, with whether that will not change any more.
        """
        last: deque[tuple[Packet, bool]] = deque()
        for record in reversed(self._waiting):
            if len(last) == most:
                break
            if self._only in (None, record.conversation.id if record.conversation is not None else record.quotes):
                last.appendleft((packet(record, self._words, record.number in self._fields), record.settled))
        return len(self._waiting), list(last)

    def events(self) -> Iterator[Event]:
        """Yields each event as it happens: a packet is told as sent before anybody has got it.

        Raises what `packets` raises.
        """
        waiting: deque[Event] = deque()
        if self._path is not None:
            raise _gone_through()
        self.listen(waiting.append)
        self._frames = self.source.keeps  # whoever is told of a packet has its frame then
        path, records = self._begun()
        for record in records:
            if record is not None:
                self.shown = True
                if not record.awaits and not self.source.keeps:
                    record.messages = ()
            path.undecided.clear()
            while waiting:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
        if self._only is not None and not self.reports():
            raise _no_conversation(self.name, self._only)

    def play_on(self) -> None:
        """Goes on to the end, for nobody: so a live run saves all of its capture when its reader is gone."""
        _, records = self._begun() if self._path is None else (self._path, self._advancing or ())
        for _ in records:
            pass

    # What became of it.

    @property
    def conversations(self) -> list[ConversationReport]:
        """The reports on all conversations so far, in the order of their first packets."""
        return list(self.reports())

    def reports(self, examples: bool = False) -> Reports:
        """Returns the reports on all conversations, with worked examples of their secrets where wanted.

        They are made as they are asked for: where there are many, look at one after the other.
        """
        live = self._path.conversations if self._path else []
        return Reports(self._gone, [each for each in live if self._only in (None, each.id)], examples)

    def states(self) -> Counter[str]:
        """Returns how many conversations there are of each of Zeek's conn_states, those that were let go of among them.

        It takes a small part of the time that their reports take.
        """
        live = self._path.conversations if self._path else ()
        return self._states + Counter(conn_state(each) for each in live if self._only in (None, each.id))

    def carried(self, of: Collection[int]) -> Iterator[tuple[int, int, Mapping[str, Any]]]:
        """Yields of these conversations the id, the first packet, and what the trace says of each protocol above.

        It is a part of a report, made in a part of its time.
        """
        for each in self._gone:
            if each.id in of:
                yield each.id, each.first, each.facts
        for which in self._path.conversations if self._path else ():
            if which.id in of and self._only in (None, which.id):
                yield which.id, which.first, carried(which)

    def problems(self, elsewhere: int = 0) -> list[Problem]:
        """Returns what is wrong with the input, and how many conversations were let go of, here and elsewhere.

        True when all packets have been taken.
        """
        count, most = self.evicted + elsewhere, LANES * MOST_IN_A_LANE
        problems = self.source.problems()
        if not count:
            return problems
        text = Text(
            f"{count} conversations were let go of before they had ended: there is room for {most} at a time, "
            "an eighth as many of those whose contents are read",
            f"{count} 个连接在结束之前就不再跟踪：同时最多跟踪 {most} 个，内容会被解读的连接为其八分之一",
        )
        return [*problems, Problem(self.source.position, None, text)]

    def complaint(self, elsewhere: int = 0) -> Text | None:
        """Returns one line on what is wrong with the input, None where nothing is.

        Raises InputError where it was given up at a limit that can be lifted.
        """
        if self.source.refused is not None:
            raise self.source.refused
        problems = self.problems(elsewhere)
        if not problems:
            return None
        count, first = len(problems), problems[0]
        return Text(
            f"problems: {count} in {self.name}; at byte {first.offset}: {first.text.en}",
            f"问题：{self.name} 中有 {count} 处；第 {first.offset} 字节：{first.text.zh}",
        )

    def about(self, lang: Lang = "en", elsewhere: int = 0) -> dict[str, Any]:
        """Returns the trace's entry on the file; true only when all packets have been taken."""
        return self.source.about(lang, self.problems(elsewhere))

    # Ending.

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends it, wherever it is; a live run saves what has been captured."""
        if self._advancing is not None:
            self._advancing.close()
        self.source.close()

    # The engine.

    def _settled(self) -> Iterator[Record]:
        path, records = self._begun()
        return in_order(records, path.undecided, self._waiting, not self.source.keeps, self._late)

    def _begun(self) -> tuple[Path, Iterator[Record | None]]:
        if self._path is not None:
            raise _gone_through()
        told: list[Event] | None = [] if self._listeners else None
        path = self._path = Path(TRANSPORT, UPPERS, self._let_go, told=told)
        self._advancing = self._advance(path, told)
        return path, self._advancing

    def _advance(self, path: Path, told: list[Event] | None) -> Generator[Record | None]:
        """Yields each packet's record as it comes, and None when something is told of one that has come before."""
        path.learn(*self._secrets)
        source = self.source
        with ExitStack() as stack:
            stack.callback(source.over, self)
            inputs = stack.enter_context(source.begin(path.learn, self._mine))
            if told is not None:
                told.insert(0, inputs.begun)
            if inputs.wire is not None:
                records: Iterator[Record | None] = path.replay(inputs.wire)
            elif inputs.ahead is not None:
                records = path.along(inputs.ahead(path), self._frames, self._mine)
            else:
                records = path.annotate(
                    inputs.frames or (), self._frames, self._mine, more=inputs.more, beginning=self._beginning
                )
            if told is None and inputs.wire is None:  # nobody listens, and no kernel was asked
                bare = not (self._frames or self._words or self._fields)
                for record in records:
                    if record is not None:
                        source.captured(record)
                        if bare and record.messages:
                            record.slim(self._messages)
                    yield record
                return
            asked: deque[Record] = deque()  # the kernels were; not settled yet
            for record in records:
                if record is not None:
                    source.captured(record)
                    if record.kernel_held is not None:
                        asked.append(record)
                if told:
                    self._tell(told)
                while asked and asked[0].settled:
                    self.agreement.add(packet(asked.popleft()))
                yield record
            for record in asked:
                self.agreement.add(packet(record))
        for each in self.conversations if inputs.wire is not None else ():  # the kernels were asked about one of them
            self.agreement.add_final(each, source.packets)
        if told is not None:
            reports, about = self.reports(), self.about()
            if (count := len(reports) + self._left_out) > MOST_AT_THE_END:
                text = f"of {count} conversations only the first {MOST_AT_THE_END} are told of here"
                about["problems"].append({"offset": source.position, "packet": None, "text": text})
            facts = tuple(each.facts for each in itertools.islice(reports, MOST_AT_THE_END))
            told.append(Ended(facts, about, source.early))
            self._tell(told)

    def _tell(self, told: list[Event]) -> None:
        if self._of_one is not None:
            told[:] = filter(self._of_one.has, told)
        for listener in tuple(self._listeners):
            try:
                for event in told:
                    listener(event)
            except Exception as error:
                self._listeners.remove(listener)
                self.lost_listeners.append(error)
        told.clear()

    def _let_go(self, which: Any) -> None:
        self.evicted += which.evicted
        if self._only not in (None, which.id):
            return
        self._states[conn_state(which)] += 1
        if self._told_of:
            self._told_of(report(which))
        elif len(self._gone) < self._kept:
            self._gone.append(report(which))
        else:
            self._left_out += 1


class _OfOne:
    """Chooses the events of one conversation, and those that are of none."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._packets: set[int] = set()

    def has(self, event: Event) -> bool:
        if isinstance(event, (PacketArrived, PacketLost)):
            return event.packet in self._packets
        mine = getattr(event, "conversation", self._number) == self._number
        if isinstance(event, PacketSent) and event.quotes is not None:  # what is said of a packet of the conversation
            return event.quotes == self._number
        if mine and isinstance(event, PacketSent):
            self._packets.add(event.packet)
        return mine


def _gone_through() -> ValueError:
    return ValueError("a run is gone through once")


def _no_conversation(name: str, number: int) -> UsageError:
    return UsageError(
        Text(f"{name} has no conversation {number}", f"{name} 中没有连接 {number}"),
        Text(
            f"lab annotate {name} --format conversations lists those that it has",
            f"lab annotate {name} --format conversations 会列出其中的连接",
        ),
    )
