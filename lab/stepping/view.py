"""Where a run stands: the ladder so far, what is held, both ends and their kernels, what can be done now.

A `View` is frozen, and made of events alone; line mode, the screen and whoever reads JSON show the same one. A `Story`
takes the events down, and makes the view of any place where the run has stood still.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from lab.events import (
    Begun,
    CommandAnswered,
    ConversationOpened,
    Ended,
    Event,
    KernelAsked,
    MessageRead,
    PacketArrived,
    PacketHeld,
    PacketLost,
    PacketSent,
    StateChanged,
    StepSeen,
    Surprised,
    plain,
)
from lab.model import Address, Frame, Kernels, Message, Moved, Role, Socket, States, Surprise, Verdict
from lab.protocols.registry import PROTOCOLS, TRANSPORT
from lab.text import Text

SCHEMA = "handshake-lab/view/v1"
MOST_EVENTS = 60_000  # of a run: about 10,000 packets
ROLES: tuple[Role, Role] = ("client", "server")
# What a packet can be at a place: captured and waiting for a command; on its way, or nobody knows; got; not got.
Fate = Literal["held", "under-way", "arrived", "lost"]
_TABLES = {each.name: each.tables for each in PROTOCOLS}


class Fired(NamedTuple):
    """A row of a protocol's table that has fired: `end` went from `before` to `after`. `source` is where that is said,
    `step` the notes' step as the row has it."""

    packet: int
    protocol: str
    end: Role
    before: str
    on: str
    after: str
    step: str | None
    source: str | None


class Rung(NamedTuple):
    """A packet of the ladder as it is known at a place.

    `seq` and `ack` are relative. `held` and `delivered` are both ends' states at its two instants, `before` and `after`
    what both kernels said then. `again` counts the copies that were sent only because a packet was held: the wire drops
    those, and the ladder has this one for all of them.
    """

    sent: PacketSent
    fate: Fate
    steps: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()
    delivered: States | None = None
    refused: Verdict | None = None
    again: int = 0
    before: Kernels | None = None
    after: Kernels | None = None
    fired: tuple[Fired, ...] = ()
    surprises: tuple[Surprise, ...] = ()

    @property
    def number(self) -> int:
        return self.sent.packet

    @property
    def sender(self) -> Role | None:
        return self.sent.sender

    @property
    def receiver(self) -> Role | None:
        return None if self.sender is None else "server" if self.sender == "client" else "client"

    @property
    def held(self) -> States | None:
        return self.sent.states

    @property
    def labels(self) -> tuple[str, ...]:
        return self.sent.labels

    @property
    def frame(self) -> Frame | None:
        return self.sent.frame

    @property
    def forged(self) -> bool:
        return "forged" in self.labels


class End(NamedTuple):
    """One end at a place: its state by the table, what its kernel says, and what that said at the place before.

    `moved` has the counters that have grown in between, `above` its states in the protocols that TCP carries.
    """

    state: str | None
    kernel: Socket | None
    before: Socket | None
    moved: tuple[tuple[str, int], ...] = ()
    above: tuple[tuple[str, str | None], ...] = ()

    @property
    def changed(self) -> tuple[str, ...]:
        """The fields of what the kernel says that are others than before, but for times that just run."""
        if self.kernel is None or self.before is None:
            return ()
        pairs = zip(self.kernel._fields, self.kernel, self.before, strict=True)
        return tuple(name for name, now, then in pairs if now != then and name != "expires")


class View(NamedTuple):
    """Where a run stands. `at` is the packet at hand, by its number; `fired` are the rows since the place before.

    `ends`, both ends' addresses, and the states are those of the conversation that it belongs to.
    `answer` is what was last said to a command. `can` are the names of what can be done now, as
    `lab.stepping.commands` has them. At the end it is `over`, `early` says why that was before a scenario's own.
    """

    name: str
    live: bool
    scenario: str | None
    rungs: tuple[Rung, ...]
    held: tuple[int, ...]
    at: int | None
    ends: tuple[Address, Address] | None
    client: End
    server: End
    fired: tuple[Fired, ...]
    answer: CommandAnswered | None
    can: tuple[str, ...]
    over: bool
    early: Text | None

    @property
    def rung(self) -> Rung | None:
        """The packet at hand; None where there is none."""
        return next((each for each in reversed(self.rungs) if each.number == self.at), None)

    def end(self, role: Role) -> End:
        return self.client if role == "client" else self.server


class Story:
    """The events of a run, and the places where it has stood still: a packet is held and nothing moves, or it is over.

    What is held and not at hand stays where it is. It hears at most `MOST_EVENTS`; `full` says that there were more.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.stops: list[int] = []  # how many events had been heard
        self.full = False
        self._now = _Page()
        self._stands = False
        self._read = _Page(), 0  # what was shown last, and of how many events

    @property
    def over(self) -> bool:
        return self._now.over

    @property
    def held(self) -> tuple[int, ...]:
        return tuple(self._now.waiting)

    @property
    def answer(self) -> CommandAnswered | None:
        """What was last said to a command."""
        return self._now.answer

    @property
    def stands(self) -> bool:
        """Whether nothing moves: a packet is held, and those that were let go of have arrived, or it is over.

        Where it is `full` nobody knows before it is over.
        """
        return self._now.still and (self.over or not self.full)

    def hear(self, event: Event) -> None:
        """Takes down what happens next."""
        if len(self.events) >= MOST_EVENTS and not isinstance(event, Ended):
            self.full = True
            return
        self.events.append(event)
        self._now.turn(event)
        moves = isinstance(event, CommandAnswered) and event.done and event.command != "hold"
        if not self._now.still or moves:
            self._stands = False
        if self._now.still and not moves:
            if not self._stands:
                self.stops.append(0)
            self.stops[-1] = len(self.events)
            self._stands = True

    def view(self, stop: int | None = None, chosen: int | None = None) -> View:
        """Returns the view of a place (by its index in `stops`), without one of now; `chosen`, if held, is at hand.

        To go forward takes the time of what is new, to go back that of all.
        """
        if stop is None:
            return self._now.view(self._before(len(self.stops) - self._stands), chosen)
        return self._paged(self.stops[stop]).view(self._before(stop), chosen)

    def _before(self, stop: int) -> int:
        """Returns how many events there were at the place before one."""
        return self.stops[stop - 1] if 0 < stop <= len(self.stops) else 0

    def _paged(self, count: int) -> _Page:
        page, read = self._read
        if read > count:
            page, read = _Page(), 0
        for event in self.events[read:count]:
            page.turn(event)
        self._read = page, count
        return page


class _Open:
    """A rung while it is being written."""

    __slots__ = ("again", "fired", "number", "parts", "surprises")

    def __init__(self, sent: PacketSent) -> None:
        self.number = sent.packet
        self.parts = Rung(sent, "under-way")

    def put(self, **parts: Any) -> None:
        self.parts = self.parts._replace(**parts)


class _Page:
    """What the events so far add up to."""

    def __init__(self) -> None:
        self.begun: Begun | None = None
        self.over = False
        self.early: Text | None = None
        self.waiting: dict[int, None] = {}  # held, oldest first
        self._another = False  # the next event is another that is held
        self._moving: set[int] = set()  # let go of, and not settled
        self._rungs: dict[int, _Open] = {}
        self._states: dict[tuple[int | None, str, Role], str | None] = {}  # by conversation, protocol, end
        self._ends: dict[int | None, tuple[Address, Address]] = {}
        self._kernels: list[tuple[int, int | None, Kernels]] = []  # after how many events they were asked, of which
        self._fired: list[tuple[int, Fired]] = []
        self._moved: list[tuple[int, Moved]] = []
        self.answer: CommandAnswered | None = None
        self._count = 0

    @property
    def still(self) -> bool:
        return self.over or bool(self.waiting and not self._moving and not self._another)

    def turn(self, event: Event) -> None:
        self._count += 1
        if isinstance(event, Begun):
            self.begun = event
        elif isinstance(event, PacketSent):
            self._rungs[event.packet] = _Open(event)
            self._is(event.conversation, TRANSPORT.name, event.states)
            for above in event.above:
                self._is(event.conversation, above.protocol, above.held)
        elif isinstance(event, ConversationOpened):
            self._ends[event.conversation] = event.client, event.server
        elif isinstance(event, PacketHeld):
            self.waiting[event.packet], self._another = None, event.more
            self._rungs[event.packet].put(fate="held")
        elif isinstance(event, CommandAnswered):
            self._answered(event)
        elif isinstance(event, PacketArrived | PacketLost):
            self._settled(event)
        elif isinstance(event, KernelAsked):
            self._asked(event)
        elif isinstance(event, StateChanged):
            self._changed(event)
        elif isinstance(event, Ended):
            self.over, self.early = True, event.early
            self.waiting.clear()
            self._moving.clear()
        else:
            self._more(event)

    def _more(self, event: Event) -> None:
        """Takes what adds something to a packet that there is."""
        rung = self._rungs.get(getattr(event, "packet", 0) or 0)
        if rung is None:
            return
        if isinstance(event, StepSeen):
            rung.put(steps=event.steps)
        elif isinstance(event, MessageRead):
            told = [each for each in rung.parts.messages if each.spans != event.message.spans]
            rung.put(messages=(*told, event.message))
            rung.put(sent=rung.parts.sent._replace(labels=event.labels))
        elif isinstance(event, Surprised):
            rung.put(surprises=(*rung.parts.surprises, Surprise(event.end, event.state, event.on)))

    def _is(self, which: int | None, protocol: str, states: States | None) -> None:
        for role in ROLES:
            if states is not None:
                self._states[which, protocol, role] = getattr(states, role)

    def _answered(self, event: CommandAnswered) -> None:
        self.answer = event
        word, _, rest = event.command.partition(" ")
        if not event.done:
            return
        if word == "hold":
            for number in self.waiting if rest == "off" else ():
                self._rungs[number].put(fate="under-way")
            if rest == "off":
                self.waiting.clear()
            return
        number = int(found) if (found := rest.split(" ")[0]).isdigit() else 0
        if number not in self.waiting:
            return
        del self.waiting[number]
        rung = self._rungs[number]
        rung.put(fate="under-way")
        told = rung.parts.sent.conversation is not None  # of what belongs to none nobody tells that it has arrived
        if self.begun is not None and self.begun.live and told and word in ("release", "drop", "duplicate"):
            self._moving.add(number)

    def _settled(self, event: PacketArrived | PacketLost) -> None:
        rung = self._rungs[event.packet]
        self.waiting.pop(event.packet, None)
        if isinstance(event, PacketArrived):
            rung.put(fate="arrived", delivered=event.states, refused=event.refused)
            which = rung.parts.sent.conversation
            self._is(which, TRANSPORT.name, event.states)
            for above in event.above:
                self._is(which, above.protocol, above.delivered)
            if rung.parts.before is None:  # the kernels are not asked of it
                self._moving.discard(event.packet)
            return
        rung.put(fate="lost")
        self._moving.discard(event.packet)
        if event.absorbed:
            self._fold(rung)

    def _fold(self, rung: _Open) -> None:
        """Takes a copy that was absorbed out of the ladder; what it repeats counts it, else the packet before it."""
        del self._rungs[rung.number]
        sent = rung.parts.sent
        others = list(self._rungs.values())
        like = (each for each in reversed(others) if _alike(each.parts.sent, sent))
        found = next(like, others[-1] if others else None)
        if found is not None:
            found.put(again=found.parts.again + 1)

    def _asked(self, event: KernelAsked) -> None:
        self._kernels.append((self._count, event.conversation, event.kernels))
        del self._kernels[:-256]
        self._moved += [(self._count, each) for each in event.kernels.moved]
        rung = self._rungs.get(event.packet or 0)
        if rung is not None and event.instant == "held":
            rung.put(before=event.kernels)
        elif rung is not None:
            rung.put(after=event.kernels)
            self._moving.discard(rung.number)

    def _changed(self, event: StateChanged) -> None:
        self._states[event.conversation, event.protocol, event.end] = event.after
        table = _TABLES[event.protocol][event.end]
        row = table.row(event.before, event.on)
        source = table.source(row)
        fired = Fired(
            event.packet, event.protocol, event.end, event.before, event.on, event.after, row and row.step, source
        )
        self._fired.append((self._count, fired))
        if (rung := self._rungs.get(event.packet)) is not None:
            rung.put(fired=(*rung.parts.fired, fired))

    # Reading it.

    def view(self, since: int, chosen: int | None) -> View:
        """Returns the view; what is new in it is what came behind the first `since` events."""
        held = tuple(self.waiting)
        at = chosen if chosen in self.waiting else next(iter(held), None)
        if at is None and self._rungs:
            at = next(reversed(self._rungs))
        begun = self.begun or Begun("", False, False)
        which = self._rungs[at].parts.sent.conversation if at is not None else None
        return View(
            begun.name, begun.live, begun.scenario, tuple(each.parts for each in self._rungs.values()), held, at,
            self._ends.get(which), self._end(which, "client", since), self._end(which, "server", since),
            tuple(each for count, each in self._fired if count > since), self.answer,
            tuple(_can(begun.live, bool(held), self.over)), self.over, self.early,
        )  # fmt: skip

    def _end(self, which: int | None, role: Role, since: int) -> End:
        asked = [(count, kernels) for count, of, kernels in self._kernels if of == which]
        earlier = [kernels for count, kernels in asked if count <= since]
        moved: dict[str, int] = {}
        for count, each in self._moved:
            if count > since and each.role == role:
                moved[each.counter] = moved.get(each.counter, 0) + each.by
        states = {name: state for (of, name, end), state in self._states.items() if (of, end) == (which, role)}
        return End(
            states.pop(TRANSPORT.name, None),
            getattr(asked[-1][1], role) if asked else None,
            getattr(earlier[-1], role) if earlier else None,
            tuple(moved.items()),
            tuple(states.items()),
        )


def _alike(sent: PacketSent, other: PacketSent) -> bool:
    return (sent.sender, sent.seq, sent.conversation) == (other.sender, other.seq, other.conversation) and bool(
        set(sent.flags) & {"SYN", "FIN"} == set(other.flags) & {"SYN", "FIN"}
    )


def _can(live: bool, held: bool, over: bool) -> Iterator[str]:
    if not over or not live:
        yield from ("step", "next", "until", "continue", "predict")
    if live and held:
        yield from ("release", "drop", "duplicate", "delay", "swap", "edit")
    if live and not over:
        yield from ("inject", "hold")
    yield from ("back", "forward", "show", "save", "help", "quit")


def as_json(view: View) -> dict[str, Any]:
    """Returns a view as plain values of JSON."""
    told: dict[str, Any] = {"schema": SCHEMA, **{name: plain(value) for name, value in view._asdict().items()}}
    told["rungs"] = [_rung(each) for each in view.rungs]
    for role in ROLES:
        end = view.end(role)
        told[role] = {
            "state": end.state,
            "kernel": plain(end.kernel),
            "changed": list(end.changed),
            "moved": dict(end.moved),
            "above": dict(end.above),
        }
    told["answer"] = plain(view.answer)
    return told


def _rung(rung: Rung) -> dict[str, Any]:
    told = {name: plain(value) for name, value in rung._asdict().items() if name not in ("sent", "messages")}
    sent = rung.sent
    return {
        "packet": sent.packet, "time": sent.time, "from": sent.sender, "labels": list(sent.labels),
        "flags": list(sent.flags), "seq": sent.seq, "ack": sent.ack, "seq_raw": sent.seq_raw, "ack_raw": sent.ack_raw,
        "window": sent.window, "payload": sent.payload, "held": plain(sent.states), "frame": plain(sent.frame),
        **told, "messages": [each.name for each in rung.messages],
    }  # fmt: skip
