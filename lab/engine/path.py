"""The path a packet takes, top to bottom. Each becomes a record: one rung of the ladder that is drawn in the end.

    frame ─ segment ─ placed in its conversation: record ─┬─ sent: its sender walks the table
                                                          │  record.held = the states of both ends
                                                          └─ got, later, if it arrives: its receiver walks the table
                                                             record.delivered = the states of both ends, once quiet

Sent is not got: a packet that was captured has left its sender and may still be lost. So a packet has two instants.
*Held* is when it has been sent and not yet got, *delivered* when it has arrived and both hosts are quiet; at each the
record keeps the states of both ends, None where nobody knows. A record is *settled* when its packet's fate, arrived or
lost, is known.

Who got what, and when, is inferred from later packets (`Path.annotate`; the transport has the rules, those of TCP are
in `protocols/tcp/delivery.py`, which also say what was lost) or told by the wire that forwarded them (`Path.replay`).
A capture made by the lab carries that wire's journal, and is replayed too. The wire also asked both kernels for their
states: their answers are kept beside ours, for comparison only, and decide nothing.

Which event a segment is to its sender and its receiver, such as "got FIN", its protocol says
(`protocols/tcp/events.py`); where that event leads, the protocol's table (`protocols/tcp/states.py`). What TCP carries,
such as TLS, walks tables of its own in the same way (`engine/layers.py`). All of this is in the protocols' descriptors
(`engine/protocol.py`): the engine knows none.

Records are the engine's own. Two things leave it: events, told as they happen where somebody listens (`lab/events.py`),
and a packet, made from each record when that is settled (`lab/report/packets.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from typing import Any, NamedTuple

from lab.dissect.fragments import Fragments
from lab.engine.before import speaker
from lab.engine.conversation import LANES
from lab.engine.layers import Layers
from lab.engine.lookahead import Lookahead, More
from lab.engine.protocol import Transport, Upper
from lab.engine.record import PATIENCE, Record
from lab.engine.telling import Teller
from lab.engine.walk import EventSink, Walk
from lab.events import CommandAnswered, PacketHeld
from lab.model import Address, Captured, Delivered, Final, Frame, Journal, Kernels, Role, Settled, WireEvent

_MOST_WAITING = 65_536  # after this many we stop waiting: the packet goes out undecided
_MOST_BYTES = 48 << 20  # of frames and messages that wait for the fate of a packet before them
_MOST_OPEN = 1024  # packets of a lane that nobody waits for any more, and that move who gets them all the same
ROUND = 16_384  # every so many packets, conversations that there is no room for are let go


class _Delivery(NamedTuple):
    """A packet on its way into its receiver: what the kernels said before and said behind it, and the answers to it."""

    record: Record
    before: Kernels | None
    after: Kernels
    answers: list[Record]

    def hear(self, record: Record) -> bool:
        """Something has been sent meanwhile. Returns whether it is the answer: the first from the receiver."""
        is_answer = not self.answers and _addresses(record)[::-1] == _addresses(self.record)
        if is_answer:
            self.answers.append(record)
        return is_answer


def _addresses(record: Record) -> tuple[Address, ...]:
    """Returns sender and receiver: an answer may belong to another conversation of the same two."""
    which, end = record.conversation, record.end
    if which is None or end is None:
        return ()
    ends = which.identity
    return (ends.client, ends.server) if end.role == "client" else (ends.server, ends.client)


Mine = Callable[[Frame], bool | None]  # whether a frame is to be annotated; None where only the whole packet tells


class Path:
    """Turns one capture into records, once. `conversations` grows while they come out.

    `let_go` is called with each conversation that is dropped for lack of room: it has come to its end, or is `evicted`.
    What is decided when depends on the packets' numbers, so annotating only some of the conversations gives the same
    for them; `elsewhere` is then what the rest of the capture tells of these (`bulk/`). Events are put in the list
    `told` as they happen; the caller owns it and empties it.
    """

    def __init__(
        self,
        transport: Transport,
        uppers: Sequence[Upper],
        let_go: Callable[[Any], None] | None = None,
        elsewhere: Any = None,
        told: EventSink = None,
    ) -> None:
        self._transport = transport
        self._conversations = transport.conversations(elsewhere)
        self._uppers = uppers
        self._delivery = transport.delivery
        self._let_go = let_go
        self._young: deque[Record] = deque()  # whose fate was unknown when they came
        self._old: deque[Record] = deque()  # and is still
        self.undecided: dict[int, Record] = {}  # snapshots of those given up on
        self._open: list[deque[Record]] = [deque() for _ in range(LANES)]  # they, and their ends may yet get them
        self._walk = Walk(transport, told)
        self._checking = Walk(transport, told, checked=True)  # of a replay: what a kernel refuses moves nobody
        self._forged_in: set[int] = set()  # ids of conversations that begin with a forged packet
        self._layers = Layers(transport, uppers, told)
        self._fragments = Fragments((transport.ip_protocol,))
        self._teller = Teller(told, transport) if told is not None else None
        self._waiting: dict[int, Record] = {}  # in a replay: whose fate the wire has yet to tell
        self._delivery_of: _Delivery | None = None  # in a replay: what is being delivered
        self._round_ends = ROUND  # before this packet

    def learn(self, keylog: bytes = b"", server_key: bytes = b"") -> None:
        """Takes in secrets: lines of an NSS key log, and the server's private key (PEM), as soon as they are known."""
        self._layers.learn(keylog, server_key)
        if self._teller and keylog:
            self._teller.learnt(keylog)

    @property
    def conversations(self) -> list[Any]:
        """Those that are followed: all of a capture, unless it has very many."""
        return list(self._conversations.followed.values())

    def settled(self, frames: Iterable[Frame], keep_frames: bool = True, mine: Mine | None = None) -> Iterator[Record]:
        """Yields the records of `annotate` in the order of capture, each when its fate is known."""
        return in_order(self.annotate(frames, keep_frames, mine), self.undecided)

    def annotate(
        self,
        frames: Iterable[Frame],
        keep_frames: bool = True,
        mine: Mine | None = None,
        last: int = 0,
        more: More | None = None,
        beginning: int | None = None,
    ) -> Iterator[Record]:
        """Yields the record of each frame that is `mine` at once; it is filled in when later frames show its fate.

        Where the frames are only some of a capture's, `last` is the number of its last packet; where they come while
        they happen, `more` says how long to wait for one (`engine/lookahead.py`). Where frames are kept, of payloads
        only so many bytes are as `beginning` says: many may wait for the fate of a packet before them.
        """
        return self.along(Lookahead(frames, self._transport.read, mine, more), keep_frames, mine, last, beginning)

    def along(
        self,
        ahead: Lookahead,
        keep_frames: bool = True,
        mine: Mine | None = None,
        last: int = 0,
        beginning: int | None = None,
    ) -> Iterator[Record]:
        """Yields the record of each packet that stands `ahead`, as `annotate` does."""
        place, walk, layers, young = self._conversations.place, self._walk, self._layers, self._young
        delivery, fragment = self._delivery, self._transport.fragment
        proved_by, reset_by, sent = delivery.proved_by, delivery.reset_by, delivery.sent
        teller = self._teller
        number = 0
        early: list[Record] = []  # of packets that were sent before one captured in front of them, which comes next
        self._conversations.foresee(ahead, self._spoken_by)
        for frame, found in ahead:
            number = frame.number
            if number >= self._round_ends:
                self.reach(number)
            elif young and young[0].number < number - PATIENCE:
                self._grow_old(number)
            if found is None:
                continue
            if found is fragment:
                whole = self._fragments.add(frame)
                if mine and not mine(whole or frame._replace(data=b"")):  # only the whole packet tells whose it is
                    continue
                record = self._placed(frame, whole)
            elif isinstance(found, Record):  # placed before its turn, and passed by but for what becomes of it
                walk.sent(found)
                sent(found)
                found.frame = None
                young.append(found)
                yield from _in_turn(found, early) if early else (found,)
                continue
            else:
                record = place(frame, found)
            conversation = record.conversation
            if conversation is None:
                record.settled = True
                if teller:
                    teller.sent(record)
            elif record.copy_of is not None:
                if teller:
                    teller.opens(record)
                walk.once_more(record, record.copy_of)
                if teller:
                    teller.once_more(record)
                young.append(record)
            else:
                proved = proved_by(record)
                if proved and conversation.above:
                    layers.missed(record)
                for arrived in proved:
                    walk.got(arrived)
                    if conversation.above:
                        layers.got(arrived)
                    walk.settle(arrived)
                if teller:
                    teller.opens(record)
                if record.disowned:
                    walk.forged(record)
                else:
                    walk.sent(record)
                    if record.segment.payload or conversation.above:
                        layers.sent(record)
                late = reset_by(record, proved) if proved and conversation.closing else ()
                for arrived in late:  # they provoked this RST: whoever got them is quiet only now
                    walk.settle(arrived)
                if teller:
                    teller.sent(record, proved, late)
                sent(record)
                young.append(record)
                if teller:
                    teller.closes(conversation, number)
            if not keep_frames:
                record.frame = record.whole = None
            elif beginning is not None and conversation is not None and record.segment.payload > beginning:
                _shorten(record, record.segment.start + beginning)
            if record.number > number:
                early.append(record)
                continue
            if early:
                yield from _in_turn(record, early)
            else:
                yield record
        yield from sorted(early, key=lambda each: each.number)
        last = max(last, ahead.last)
        self.reach(last)
        self._grow_old(max(number, last) + 1)
        for conversation in self.conversations:
            self._got(delivery.at_the_end(conversation))
            if teller:
                teller.closes(conversation, number)

    def reach(self, number: int) -> None:
        """Does what is to be done before packet `number`, for want of patience or of room."""
        while number >= self._round_ends:
            self._round_ends = self._end_round(self._round_ends)
        self._grow_old(number)

    def of(self, pair: bytes) -> tuple[Any, Any] | None:
        """Returns the conversation that the next segment of a pair belongs to, and that segment's sender."""
        return self._conversations.of(pair)

    def crowded(self, more: Sequence[int]) -> bool:
        """Whether there may be no room for all conversations where so many more begin in each lane."""
        return self._conversations.crowded(more)

    @property
    def layers(self) -> Layers:
        """What conversations carry."""
        return self._layers

    def arrived(self, records: Iterable[Record]) -> None:
        """Takes packets as got."""
        self._got(records)

    def _spoken_by(self, data: bytes) -> Role | None:
        """Returns the role of whoever says this, where some protocol knows."""
        return speaker(self._transport.preambles, data, self._begun_by) or self._transport.spoken_by(data)

    def _begun_by(self, data: bytes) -> Role | None:
        return next((role for upper in self._uppers if (role := upper.spoken_by(data)) is not None), None)

    def _placed(self, frame: Frame, whole: Frame | None) -> Record:
        """Returns the record of a fragment, and where it completes one, of the packet."""
        transport = self._transport
        record = self._conversations.place(whole or frame, transport.read(whole) if whole else transport.fragment)
        record.frame, record.whole = frame, whole
        return record

    def _grow_old(self, number: int) -> None:
        """Decides, before packet `number`, the fates of packets that were sent long ago, where that can be."""
        young, old, after_long = self._young, self._old, self._delivery.after_long
        late = number - PATIENCE
        while young and young[0].number < late:
            record = young.popleft()
            if not record.settled:
                arrived = after_long(record)
                if arrived:
                    self._got(arrived)
                if not record.settled:
                    old.append(record)
        while old and old[0].number < number - _MOST_WAITING:
            record = old.popleft()
            if not record.settled and not record.shown:
                self.undecided[record.number] = copy(record)  # shown as it is now, even if its fate is learnt later
                record.forget()
            if not record.settled and record.conversation is not None:
                open_ = self._open[record.conversation.lane]
                open_.append(record)
                if len(open_) > _MOST_OPEN:
                    self._delivery.let_go(open_.popleft())

    def _end_round(self, before: int) -> int:
        """Lets go, before packet `before`, of the conversations that there is no room for; returns the next round's."""
        self._grow_old(before)
        told_later = self._told_later()
        for which in self._conversations.excess(before):
            waiting = self._delivery.waiting(which)
            for record in told_later.get(which.id, ()):
                self._checking.settle(self._waiting.pop(record.number))
                waiting.append(record)
            which.evicted = not which.over
            self._got(self._delivery.at_the_end(which))
            left = [record for record in waiting if not record.got]
            for record in left:
                record.labels += ("evicted",)
            if self._teller:
                self._teller.lets_go(which, before - 1, left)
            if self._let_go:
                self._let_go(which)
            self._layers.forget(which)
            self._conversations.forget(which)
            self._forged_in.discard(which.id)
            if self._delivery_of is not None and self._delivery_of.record.conversation is which:
                self._delivery_of = None
        # What is let go of is settled: records that stay here would keep their conversation, and all that it holds.
        self._old = deque(record for record in self._old if not record.settled)
        self._open = [deque(record for record in open_ if not record.settled) for open_ in self._open]
        return before + ROUND

    def _told_later(self) -> dict[int, list[Record]]:
        """Returns the packets of a replay whose fate the wire has yet to tell, by conversation."""
        found: dict[int, list[Record]] = {}
        for record in self._waiting.values():
            if record.conversation is not None:
                found.setdefault(record.conversation.id, []).append(record)
        return found

    def _got(self, arrived: Iterable[Record]) -> None:
        for record in arrived:
            self._walk.got(record)
            self._layers.got(record)
            self._walk.settle(record)
            if self._teller:
                self._teller.arrived(record)

    def replay(self, events: Iterable[WireEvent | PacketHeld | CommandAnswered]) -> Iterator[Record | None]:
        """Yields the record of each captured frame at once, and None after every other event, which may fill in others.

        A record whose fate the wire does not tell stays `undecided`.
        """
        walk, teller, waiting = self._checking, self._teller, self._waiting
        touched: dict[int, Any] = {}  # conversations that may have ended since that was told last
        for event in events:
            if isinstance(event, Captured):
                if event.frame.number >= self._round_ends:
                    self.reach(event.frame.number)
                record = self._captured(event)
                if teller and record.conversation is not None:
                    touched[record.conversation.id] = record.conversation
                yield record
                continue
            if isinstance(event, (Delivered, Settled)) and event.number not in waiting:
                continue  # its conversation has been let go of
            if teller and isinstance(event, Delivered) and (which := waiting[event.number].conversation) is not None:
                touched[which.id] = which
            if isinstance(event, Delivered):  # it has arrived; the instant *delivered* is at Settled, when all is quiet
                record = waiting[event.number]
                self._judge(record, event.kernel)
                if record.journal:
                    record.journal = record.journal._replace(delivered=(*record.journal.delivered, event.order))
                    record.by = "journal"
                walk.got(record)
                self._layers.got(record)
            elif isinstance(event, Settled):  # comes for a lost packet too
                record = waiting.pop(event.number)
                record.asked_delivered, record.kernel_delivered = event.kernel, event.kernel and event.kernel.states
                self._judged(record)
                self._asked(record, event.kernel)
                if record.journal:
                    record.journal = record.journal._replace(settled=event.order, absorbed=event.absorbed)
                    record.by = "journal"
                    walk.settle(record)
                    if teller:
                        if record.got:
                            teller.arrived(record)
                        teller.asked(record.conversation, record.number, "delivered", event.kernel)
                else:  # the capture's journal does not tell of this frame
                    self.undecided[record.number] = record
            elif isinstance(event, Final):
                self._ended(event)
            elif teller:
                teller.passes(event)  # a packet held back or a command answered: moves nobody
            if teller:
                for conversation in sorted(touched.values(), key=lambda each: each.id):
                    teller.closes(conversation, conversation.last)
                touched.clear()
            yield None

    def _captured(self, event: Captured) -> Record:
        """Takes in a frame that the wire has, and that nobody has got."""
        conversations, transport, walk = self._conversations, self._transport, self._checking
        found = transport.read(event.frame)
        if event.forged:  # its sender knows nothing of it, its receiver gets it
            record = conversations.place_forged(event.frame, found)
        elif found is transport.fragment:
            record = self._placed(event.frame, self._fragments.add(event.frame))
        else:
            record = conversations.place_told(event.frame, found)
        if self._teller:
            self._teller.opens(record)
        if event.order >= 0:  # where in the wire's order it came to the wire; else the journal does not tell of it
            first = record.conversation is not None and record.conversation.packets == 1
            listening = event.listening if first else None
            record.journal = Journal(event.order, (), settled=0, forged=event.forged, listening=listening)
        if event.forged and record.conversation is not None and record.conversation.packets == 1:
            self._forged_in.add(record.conversation.id)
        if event.forged or record.disowned:
            walk.forged(record)
        else:
            walk.sent(record)
            self._layers.sent(record)
        record.asked_held, record.kernel_held = event.kernel, event.kernel and event.kernel.states
        self._asked(record, event.kernel)
        of = self._delivery_of
        if of and not event.forged and of.hear(record) and transport.challenges(record, of.record):
            record.answers = of.record.number
        self._waiting[record.number] = record
        if self._teller:
            self._teller.sent(record)
            self._teller.asked(record.conversation, record.number, "held", event.kernel)
        return record

    # What a receiver's kernel says of a packet: what it has counted since it was last asked is its word on this one.

    def _judge(self, record: Record, kernel: Kernels | None) -> None:
        """A packet is being delivered, and its receiver has dealt with it."""
        self._delivery_of = None
        record.verdict = None
        which = record.conversation
        if which is not None and kernel is not None:
            self._delivery_of = _Delivery(record, which.asked, kernel, [])
            record.verdict = self._transport.verdict(record, which.asked, kernel, None)

    def _judged(self, record: Record) -> None:
        """A packet has been delivered: what its receiver has answered is known too."""
        of, self._delivery_of = self._delivery_of, None
        if of is not None and of.record is record:
            record.verdict = self._transport.verdict(record, of.before, of.after, of.answers)

    @staticmethod
    def _asked(record: Record, kernel: Kernels | None) -> None:
        if record.conversation is not None and kernel is not None:
            record.conversation.asked = kernel

    def _ended(self, event: Final) -> None:
        """The wire is quiet for good: the kernels were asked about the scenario's own connection."""
        own = [which for which in self.conversations if which.id not in self._forged_in]
        if own:
            own[-1].asked_final, own[-1].kernel_final = event.kernel, event.kernel and event.kernel.states
        if own and self._teller:
            self._teller.asked(own[-1], None, "final", event.kernel)


def _shorten(record: Record, size: int) -> None:
    """Keeps so many bytes of a packet."""
    if record.whole is not None:
        record.whole = record.whole._replace(data=record.whole.data[:size])
    elif record.frame is not None:
        record.frame = record.frame._replace(data=record.frame.data[:size])


def _in_turn(record: Record, early: list[Record]) -> Iterator[Record]:
    """Yields a record among those that have been placed early: what was captured before it, it, and what is the next.

    These are taken out of `early`.
    """
    early.sort(key=lambda each: each.number)
    while early and early[0].number < record.number:
        yield early.pop(0)
    yield record
    while early and early[0].number == record.number + 1:
        record = early.pop(0)
        yield record


def in_order(
    records: Iterable[Record | None],
    undecided: dict[int, Record] | None = None,
    waiting: deque[Record] | None = None,
    forget: bool = False,
    late: Callable[[], Callable[[], bool]] | None = None,
) -> Iterator[Record]:
    """Yields records in the order of capture, each when it is settled, or as it is among the `undecided`.

    One whose message a later packet tells waits for that, but not for long. Where what waits takes too much room, the
    first goes out as it is and is `given-up`. Those that wait are in `waiting`, which the caller may look at. With
    `forget`, a record that has been yielded keeps neither frame nor messages: whoever wants them takes them before the
    next. Where somebody watches them come, `late` begins a wait, and returns what says when that has been too long:
    then a record goes out as it is, and those behind it do not wait for it any longer.
    """
    waits: dict[int, Callable[[], bool]] = {}
    waiting = deque() if waiting is None else waiting
    sizes: dict[int, int] = {}  # bytes of what waits, by packet
    held = 0
    undecided = {} if undecided is None else undecided
    for record in records:
        if record is not None:
            if waiting and record.number < waiting[-1].number:  # sent after what was captured behind it
                last = waiting.pop()
                waiting += (record, last)
            else:
                waiting.append(record)
            if late is not None:
                waits[record.number] = late()
            if record.frame is not None or record.messages:
                size = sizes[record.number] = record.size
                held += size
        while waiting:
            first = waiting[0]
            number = first.number
            if undecided and number in undecided:
                shown = undecided.pop(number)
            elif first.settled and (not first.awaits or waiting[-1].number - number > PATIENCE):
                shown = first
            elif held > _MOST_BYTES and len(waiting) > 1:
                shown = _given_up(first)
            elif waits and waits[number]():
                shown = copy(first)
                first.forget()
            else:
                break
            waiting.popleft()
            if sizes:
                held -= sizes.pop(number, 0)
            if waits:
                del waits[number]
            yield shown
            if forget:
                shown.forget()
    while waiting:
        record = waiting.popleft()
        yield undecided.pop(record.number, record)


def _given_up(record: Record) -> Record:
    """Returns a record as it is now, for there is no room to wait for more."""
    if record.settled:  # only one of its messages would be told in full
        return record
    shown = copy(record)
    shown.labels += ("given-up",)
    record.forget()
    return shown


__all__ = ["Mine", "Path", "in_order"]
