"""What a conversation carries: a protocol, its session, and both ends in its table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lab.engine.conversation import Conversation, End, Walked
from lab.engine.protocol import UNKNOWN, Piece, Session, Upper, Wrapping
from lab.engine.record import Record
from lab.model import Message, Role, States
from lab.text import Text

_new = tuple.__new__  # what a NamedTuple's own constructor comes down to, without the call in between
_SILENT = Text("", "")


class LayerEnd(End):
    """One end in the upper protocol's table."""

    __slots__ = ("lost_at", "missed", "unseen", "waiting")

    def __init__(self, role: Role, state: str) -> None:
        super().__init__(role, state)
        self.lost_at = 0  # the packet since which it may have done what nobody saw
        self.missed = 0  # all that is missing before this relative number has been told
        self.unseen = 0  # up to here its peer acknowledges what was not captured
        # Sent by it, not yet got: stop, event, packet. A deque takes 700 bytes when it is empty.
        self.waiting: list[tuple[int, str, Record]] = []


class Layer(Walked):
    """What a conversation carries: its protocol, that protocol's session, and both ends' states."""

    __slots__ = ("doubted", "inner", "name", "protocol", "session", "unheard", "wrapping")

    client: LayerEnd
    server: LayerEnd

    def __init__(self, protocol: Upper, session: Session) -> None:
        roles: tuple[Role, Role] = ("client", "server")
        super().__init__(*(LayerEnd(role, protocol.tables[role].starts[role]) for role in roles))
        self.protocol = protocol
        self.name = protocol.name
        self.session: Any = session  # its own protocol knows more of it than the engine calls on
        self.inner: Layer | None = None  # what it carries, once that has been recognised
        self.doubted: Layer | None = None  # that may be it, but has said nothing whole yet
        self.unheard: tuple[Role, int] | None = None  # who has said nothing of it yet, and where its stream goes on
        self.wrapping: Wrapping | None = None  # where its bytes stand in another protocol's packets

    def sent(self, piece: Piece) -> Sequence[Any]:
        """Hands on a piece of the stream and returns what is now wholly said."""
        role, wrapping = piece.end.role, self.wrapping
        if wrapping is None:
            _, seq, relative, data, number, at = piece
            said: Sequence[Any] = self.session.sent(role, seq, relative, data, number, at)
            return said
        told = [each for part in wrapping.opened(piece) for each in self.session.sent(role, *part[1:])]
        return [each._replace(stop=wrapping.place(role, each.stop)) for each in told]

    def end(self, role: Role) -> LayerEnd:
        return self.client if role == "client" else self.server

    def message(self, said: Any, words: bool = False, fields: bool = False) -> Message:
        """Returns a message as it leaves the engine, with what was asked for."""
        protocol = self.protocol
        event = said.event if said.event != UNKNOWN else ""
        carries = event != "" and event == protocol.carries
        text = protocol.words(self, said) if words else _SILENT
        listed = tuple(protocol.fields(self, said)) if fields else ()
        carriers = tuple(protocol.carriers(self, said)) if fields else ()
        facts = protocol.message_facts(said)
        return _new(Message, (protocol.name, said.name, said.spans, event, carries, facts, text, listed, carriers))


def layers_of(which: Conversation) -> Iterator[Layer]:
    """Yields what a conversation carries, from the transport upwards."""
    layer = which.above
    while layer is not None:
        yield layer
        layer = layer.inner


def states_of(which: Conversation, name: str) -> States | None:
    """Returns the states of both ends in a protocol that a conversation carries."""
    layer = which.above
    while layer is not None and layer.name != name:
        layer = layer.inner
    return layer.states if layer is not None else None
