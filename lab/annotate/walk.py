"""Both ends walk the table: what an end sends moves it when the segment leaves, what it gets when it has arrived.

The walk knows no protocol: what a segment says is asked of the protocol, what follows from it of the protocol's table.
An event without a row is recorded as a surprise and moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple
from typing import Protocol as Typing

from lab.annotate.table import Move, Table
from lab.dissect.conversations import Conversation
from lab.model import Role, Rung, Seen, States, Surprise

_NONE: dict[str, Move] = {}
_new = tuple.__new__  # what a NamedTuple's own constructor comes down to, without the call in between


class WalkingEnd(Typing):
    """One end that walks a table: of a conversation, or of what that carries."""

    state: str | None

    @property
    def role(self) -> Role: ...


class Walked(Typing):
    """Two ends that walk, and what is written down on the way."""

    states: States
    assumed: tuple[Role, ...]
    began: dict[str, Role]
    steps: dict[str, list[Seen]]

    @property
    def client(self) -> WalkingEnd: ...
    @property
    def server(self) -> WalkingEnd: ...


class Protocol(NamedTuple):
    """What the engine needs of a protocol: its tables, and which of its events a segment is, when sent and when got.

    `ended` are the states in which an end is through with its connection.
    """

    name: str
    tables: Mapping[Role, Table]
    begin: Callable[[Conversation], None]
    sent: Callable[[Rung], Iterable[str]]
    got: Callable[[Rung], Iterable[str]]
    ended: frozenset[str]


class Mover:
    """Moves ends by their tables and writes down steps and surprises."""

    def __init__(self, tables: Mapping[Role, Table]) -> None:
        self._tables = tables
        self._moves = {role: table.moves for role, table in tables.items()}

    def move(self, which: Walked, end: WalkingEnd, event: str, rung: Rung) -> None:
        """Something has happened to an end, in this packet."""
        state = end.state
        if state is None:
            state = self._assume(which, end, event) or ""
        move = self._moves[end.role].get(state, _NONE).get(event)
        if move is None:
            rung.surprises += (Surprise(end.role, state, event),)
            return
        to, phase, first, other = move
        if to != end.state:
            end.state = to
            which.states = _new(States, (which.client.state, which.server.state))
        if phase is not None:
            began = which.began.setdefault(phase, end.role) == end.role
            self._note(which, self._tables[end.role], first if began else other, rung)

    def moves(self, end: WalkingEnd, event: str) -> bool:
        """Whether the table has a row for this event in the end's state."""
        return end.state is not None and event in self._moves[end.role].get(end.state, _NONE)

    def _assume(self, which: Walked, end: WalkingEnd, event: str) -> str | None:
        """Returns the state that an end is taken to be in when something happens to it that nobody saw it come to."""
        if end.role not in which.assumed:
            which.assumed += (end.role,)
        row = self._tables[end.role].assume(event)
        return row.state if row else None

    def _note(self, which: Walked, table: Table, step: str, rung: Rung) -> None:
        """Writes down that a step was seen in this packet."""
        if step in rung.steps or rung.end is None or rung.segment is None:
            return
        rung.steps = table.in_order((*rung.steps, step)) if rung.steps else (step,)
        seen = (step, rung.number, rung.end.role, rung.seq, rung.stop, rung.segment.payload)
        which.steps.setdefault(step, []).append(_new(Seen, seen))


class Walk(Mover):
    """Moves the ends of all conversations. Feed it every packet once when sent, and again each time one is got."""

    def __init__(self, protocol: Protocol) -> None:
        super().__init__(protocol.tables)
        self._begin = protocol.begin
        self._events_sent = protocol.sent
        self._events_got = protocol.got

    def sent(self, rung: Rung) -> None:
        """The packet has left its sender: the *held* instant."""
        conversation = rung.conversation
        if conversation is None or rung.end is None:
            return
        if conversation.packets == 1:
            self._begin(conversation)
            conversation.states = States(conversation.client.state, conversation.server.state)
        for event in self._events_sent(rung):
            self.move(conversation, rung.end, event, rung)
        rung.held = conversation.states
        if conversation.assumed:
            rung.assumed = conversation.assumed

    def forged(self, rung: Rung) -> None:
        """The packet has appeared on the wire without having been sent: nobody has moved."""
        conversation = rung.conversation
        if conversation is None:
            return
        if conversation.packets == 1:
            self._begin(conversation)
            conversation.states = States(conversation.client.state, conversation.server.state)
        rung.held = conversation.states
        rung.assumed = conversation.assumed

    def got(self, rung: Rung) -> None:
        """The packet has arrived."""
        rung.got = True
        conversation = rung.conversation
        if conversation is None or rung.end is None:
            return
        for event in self._events_got(rung):
            self.move(conversation, rung.end.peer, event, rung)

    def settled(self, rung: Rung) -> None:
        """The packet's fate is known and both hosts are quiet: the *delivered* instant, where it arrived."""
        rung.settled = True
        conversation = rung.conversation
        if conversation is None:
            return
        if rung.got:
            rung.delivered = conversation.states
        else:
            conversation.lose(rung)
