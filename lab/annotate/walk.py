"""Both ends walk the table: what an end sends moves it when the segment leaves, what it gets when it has arrived.

The walk knows no protocol: what a segment says is asked of the protocol, what follows from it of the protocol's table.
An event without a row is recorded as a surprise and moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from lab.annotate.table import StepOf, Table
from lab.dissect.conversations import Conversation, End
from lab.model import Rung, Seen, States, Surprise


class Protocol(NamedTuple):
    """What the engine needs of a protocol: its table, and the table's events that a segment is, when sent and when got."""

    name: str
    table: Table
    begin: Callable[[Conversation], None]
    sent: Callable[[Rung], Iterable[str]]
    got: Callable[[Rung], Iterable[str]]


class Walk:
    """Moves the ends of all conversations. Feed it every packet once when sent, and again each time one is got."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._table = protocol.table

    def sent(self, rung: Rung) -> None:
        """The packet has left its sender: the *held* instant."""
        conversation, end = rung.conversation, rung.end
        if conversation is None or end is None:
            return
        if conversation.packets == 1:
            self._protocol.begin(conversation)
            conversation.states = States(conversation.client.state, conversation.server.state)
        for event in self._protocol.sent(rung):
            self._move(conversation, end, event, rung)
        rung.held = conversation.states
        if conversation.assumed:
            rung.assumed = tuple(conversation.assumed)

    def got(self, rung: Rung) -> None:
        """The packet has arrived."""
        rung.got = True
        conversation, end = rung.conversation, rung.end
        if conversation is None or end is None:
            return
        for event in self._protocol.got(rung):
            self._move(conversation, end.peer, event, rung)

    def _move(self, conversation: Conversation, end: End, event: str, rung: Rung) -> None:
        if end.state is None:
            row = self._table.assume(event)
            conversation.assumed.add(end.role)
        else:
            row = self._table.row(end.state, event)
        if row is None:
            rung.surprises += (Surprise(end.role, end.state or "", event),)
            return
        if end.state != row.to:
            end.state = row.to
            conversation.states = States(conversation.client.state, conversation.server.state)
        if row.step is not None:
            _note(conversation, end, self._table.steps[row.step], rung)


def _note(conversation: Conversation, end: End, step: StepOf, rung: Rung) -> None:
    """Writes down that a step was seen; `close.1/3` is step 1 for whoever began closing, step 3 for the other."""
    began = conversation.began.setdefault(step.phase, end.role) == end.role
    name = step.first if began else step.other
    if name in rung.steps or rung.end is None:
        return
    rung.steps = tuple(sorted((*rung.steps, name))) if rung.steps else (name,)
    payload = rung.segment.payload if rung.segment else 0
    seen = Seen(rung.number, rung.end.role, rung.start, rung.stop, payload)
    conversation.steps.setdefault(name, []).append(seen)
