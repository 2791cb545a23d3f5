"""Both ends walk the table: what an end sends moves it when the packet leaves, what it gets when that has arrived.

The walk knows no protocol: what a packet says is asked of the protocol, what follows from it of the protocol's table.
An event without a row is recorded as a surprise and moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lab.engine.conversation import Conversation, End, Seen, Walked
from lab.engine.protocol import UNKNOWN, TakenBack, Transport
from lab.engine.record import Record
from lab.engine.table import Move, Table
from lab.events import Event, StateChanged, StepSeen, Surprised
from lab.model import Role, States, Surprise

_NONE: dict[str, Move] = {}
_TAKEN_BACK = "taken back"  # in place of an event of the table
_MOST_SURPRISES = 256  # of a packet
_ALWAYS = 4  # packets of a step that are noted
MOST_NOTED = 65_536  # and beyond these, of all steps of a conversation
_new = tuple.__new__  # what a NamedTuple's own constructor comes down to, without the call in between
Assume = Callable[[Any, Role, str], str | None]
EventSink = list[Event] | None  # what happens is put there, where somebody listens


class Mover:
    """Moves ends by their tables and writes down steps and surprises."""

    def __init__(self, tables: Mapping[Role, Table], told: EventSink = None, assume: Assume | None = None) -> None:
        self._tables = tables
        self._likely = assume
        self._moves = {role: table.moves for role, table in tables.items()}
        self._told = told

    def move(self, which: Walked, end: End, event: str, record: Record) -> None:
        """Something has happened to an end, in this packet."""
        state = end.state
        if state is None:
            state = self._assume(which, end, event)
            if state is None:
                return  # nobody can say what that is to it
        move = self._moves[end.role].get(state, _NONE).get(event)
        if move is None:
            self._surprised(end, state, event, record)
            return
        to, phase, first, other = move
        if to != end.state:
            if self._told is not None and record.conversation is not None:
                name, number = self._tables[end.role].protocol, record.conversation.id
                self._told.append(StateChanged(record.number, number, name, end.role, state, to, event))
            end.state = to
            which.states = _new(States, (which.client.state, which.server.state))
        if phase is not None:
            began = which.began.setdefault(phase, end.role) == end.role
            self._note(which, self._tables[end.role], first if began else other, record)

    @staticmethod
    def _may_note(which: Conversation | None) -> bool:
        """Whether there is room to note one step of a conversation once more."""
        if which is None or which.noted >= MOST_NOTED:
            return False
        which.noted += 1
        return True

    def lose(self, which: Walked, end: End) -> None:
        """Something has happened to an end that nobody can tell: where it stands now is not known."""
        end.state = None
        which.states = _new(States, (which.client.state, which.server.state))

    def moves(self, end: End, event: str) -> bool:
        """Whether the table has a row for this event in the end's state, or in any where that is not known."""
        if end.state is None:  # wherever it stands, where there is any such row
            return self._tables[end.role].assume(event) is not None
        return event in self._moves[end.role].get(end.state, _NONE)

    def step_of(self, which: Walked, end: End, event: str) -> tuple[str | None, str | None]:
        """Returns the state that an event would take an end to, None without a row, and the step that it would be."""
        move = self._moves[end.role].get(end.state, _NONE).get(event) if end.state is not None else None
        if move is None:
            return None, None
        if move.phase is None:
            return move.to, None
        if move.phase not in which.began:
            return None, None
        return move.to, move.first if which.began[move.phase] == end.role else move.other

    def _surprised(self, end: End, state: str, event: str, record: Record) -> None:
        if len(record.surprises) == _MOST_SURPRISES:
            record.labels += ("too-much",) if "too-much" not in record.labels else ()
            return
        record.surprises += (Surprise(end.role, state, event),)
        if self._told is not None and record.conversation is not None:
            name, number = self._tables[end.role].protocol, record.conversation.id
            self._told.append(Surprised(record.number, number, name, end.role, state, event))

    def _assume(self, which: Walked, end: End, event: str) -> str | None:
        """Returns the state that an end is taken to be in when something happens to it that nobody saw it come to."""
        if end.role not in which.assumed:
            which.assumed += (end.role,)
        if self._likely is not None:
            return self._likely(which, end.role, event)
        row = self._tables[end.role].assume(event)
        return row.state if row else None

    def note(self, which: Walked, conversation: Conversation | None, seen: Seen) -> None:
        """Writes down that a step was seen, while there is room for it."""
        noted = which.steps.setdefault(seen.step, [])
        if len(noted) < _ALWAYS or self._may_note(conversation):
            noted.append(seen)

    def _note(self, which: Walked, table: Table, step: str, record: Record) -> None:
        """Writes down that a step was seen in this packet."""
        if step in record.steps or record.end is None or record.segment is None:
            return
        record.steps = table.in_order((*record.steps, step)) if record.steps else (step,)
        seen = (step, record.number, record.end.role, record.seq, record.stop, record.segment.payload)
        self.note(which, record.conversation, _new(Seen, seen))
        if self._told is not None and record.conversation is not None:
            self._told.append(StepSeen(record.number, record.conversation.id, step, record.steps))


class Walk(Mover):
    """Moves the ends of all conversations. Feed it every packet once when sent, and again each time one is got.

    `checked` where a wire tells what arrived: then a packet that its receiver refuses moves nobody.
    """

    def __init__(self, transport: Transport, told: EventSink = None, checked: bool = False) -> None:
        super().__init__(transport.tables, told)
        self._begin = transport.begin
        self._events_sent = transport.sent_told if checked else transport.sent
        self._events_got = transport.got_told if checked else transport.got

    def sent(self, record: Record) -> None:
        """The packet has left its sender: the *held* instant."""
        conversation = record.conversation
        if conversation is None or record.end is None:
            return
        if conversation.packets == 1:
            self._put_at_start(conversation, record)
        for event in self._events_sent(record):
            self._happens(conversation, record.end, event, record)
        record.held = conversation.states
        if conversation.assumed:
            record.assumed = conversation.assumed

    def _happens(self, conversation: Conversation, end: End, event: str, record: Record) -> None:
        if event == UNKNOWN:
            self.lose(conversation, end)
        elif isinstance(event, TakenBack):
            self._take_back(conversation, end, event, record)
        else:
            self.move(conversation, end, event, record)

    def _take_back(self, conversation: Conversation, end: End, state: TakenBack, record: Record) -> None:
        """What had been inferred to have reached an end had not."""
        if self._told is not None and end.state is not None:
            name = self._tables[end.role].protocol
            self._told.append(
                StateChanged(record.number, conversation.id, name, end.role, end.state, str(state), _TAKEN_BACK)
            )
        end.state = str(state)
        conversation.states = _new(States, (conversation.client.state, conversation.server.state))

    def once_more(self, record: Record, first: Record) -> None:
        """The packet is another that was captured before: it moves nobody, and has what becomes of that."""
        record.held, record.assumed = first.held, first.assumed
        if first.settled:
            record.got, record.by, record.delivered, record.settled = first.got, first.by, first.delivered, True

    def forged(self, record: Record) -> None:
        """The packet has appeared on the wire without having been sent: nobody has moved."""
        conversation = record.conversation
        if conversation is None:
            return
        if conversation.packets == 1:
            self._put_at_start(conversation, record)
        record.held = conversation.states
        record.assumed = conversation.assumed

    def _put_at_start(self, conversation: Conversation, record: Record) -> None:
        starts = self._begin(conversation, record.journal.listening if record.journal else None)
        if starts:
            conversation.client.state, conversation.server.state = starts
        conversation.states = States(conversation.client.state, conversation.server.state)

    def got(self, record: Record) -> None:
        """The packet has arrived."""
        record.got = True
        conversation = record.conversation
        if conversation is None or record.end is None or record.discarded:
            return
        for event in self._events_got(record):
            self._happens(conversation, record.end.peer, event, record)

    def settle(self, record: Record) -> None:
        """The packet's fate is settled and both hosts are quiet: the *delivered* instant, where it has arrived."""
        record.settled = True
        conversation = record.conversation
        if conversation is None:
            return
        if not record.got:
            conversation.not_got(record)
            return
        if record.by is not None:
            record.delivered = conversation.states
        for copy in record.copies:
            copy.got, copy.by, copy.delivered, copy.settled = True, record.by, record.delivered, True
