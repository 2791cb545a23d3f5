"""What TCP carries, walked on the same engine: a message is sent when its last byte leaves, got when that has arrived.

A protocol above TCP is recognised by what a segment begins with, never by its port, and may begin in the middle of a
connection; segments ahead of order are kept for a while, since the beginning may be what is missing. It reads the bytes
itself; who has got how much of them TCP knows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from lab.dissect.fragments import Whole, cut
from lab.engine.table import Table
from lab.engine.walk import Mover
from lab.model import SYN, Above, Detail, Frame, Message, Role, Rung, Seen, Segment, Span, States
from lab.protocols.tcp.conversations import LANES, Conversation, End
from lab.text import Text

_LOOK = 64  # bytes of a segment that are looked at
_MOST_AHEAD = 64  # segments of a connection that are kept until what is missing before them has come
_MOST_KEPT, _OVERHEAD = 1 << 22, 300  # bytes of them, of all connections; and what one costs beside its data
_MOST_HELD, _LOOK_AFTER = 16 << 20, 4 << 20  # bytes that what is carried in a lane keeps; passed between two looks
_MOST_WAITING = 4096  # messages of one direction that have been sent and not yet got
CLOSED_BELOW = "TCP closed"  # the one event that is no message: its TCP connection is over for an end


class Session(Protocol):
    """A protocol's own reading of a connection."""

    def sent(self, role: Role, seq: int, relative: int, data: bytes, number: int, at: int) -> Sequence[Any]:
        """Takes in a segment's payload and returns the messages it completes: name, event, stop, spans and more."""

    def begins(self, role: Role, seq: int, relative: int) -> None:
        """Says where in a direction's stream the protocol begins."""

    @property
    def refuted(self) -> bool:
        """Whether what looked like this protocol at first is none."""

    @property
    def held(self) -> int:
        """The bytes of memory that it keeps to read on, roughly."""

    def let_go(self) -> None:
        """Keeps nothing more, and reads nothing more."""


class Inner(Session, Protocol):
    """A protocol that can also stand inside another, as WebSocket does in TLS."""

    def told(self, role: Role, data: bytes, number: int, stop: int) -> Sequence[Any]:
        """Takes in what the other has carried and opened, in order; `stop` is as that one's message has it."""


class Carrier(NamedTuple):
    """A record that carries a message: relative sequence numbers, places, its header's fields (offsets in the record).

    `end` is exclusive.
    """

    start: int
    end: int
    spans: tuple[Span, ...]
    fields: list[Detail]


class Upper(NamedTuple):
    """What the engine needs of a protocol above TCP.

    `first` are the bytes it can begin with; `recognise` says whether a beginning is its own, None where that needs more
    bytes; `begin` makes a session of what is known of secrets. Of a `Layer`, `steps` returns the notes' steps with
    their packets and how they differ, `summary` the trace's object; `words` says a message in a line, `details` all its
    fields, `carriers` what it came in.
    """

    name: str
    tables: Mapping[Role, Table]
    first: frozenset[int]
    recognise: Callable[[bytes, Role], bool | None]
    begin: Callable[[Any], Session]
    secrets: Callable[[], Any]
    carries: str  # the event of its messages whose `raw` is data for another protocol, empty where there is none
    steps: Callable[[Any], list[tuple[str, tuple[int, ...], str | None]]]
    summary: Callable[[Any], dict[str, Any]]
    words: Callable[[Any, Any], Text]
    details: Callable[[Any, Any], list[Detail]]
    carriers: Callable[[Any, Any], list[Carrier]] = lambda _layer, _said: []


class _Ahead(NamedTuple):
    """A segment that came ahead of order, in a connection that nobody knows the protocol of."""

    end: End
    seq: int
    relative: int
    data: bytes
    number: int
    at: int


def _brought(rung: Rung, end: End, segment: Segment, frame: Frame) -> list[_Ahead]:
    """Returns what a packet carries: in one piece, or in as many as its bytes came in."""
    data, at, stop = frame.data, segment.start, segment.start + segment.payload
    first = 1 if segment.flags & SYN else 0  # a SYN takes a number of its own, before its data
    seq, relative = segment.seq + first, rung.seq + first
    if not isinstance(frame, Whole):
        return [_Ahead(end, seq, relative, data[at:stop], rung.number, at)]
    return [
        _Ahead(end, seq + start, relative + start, data[at + start : at + last], number, place)
        for start, last, number, place in cut(frame.parts, at, stop)
    ]


class LayerEnd:
    """One end in the upper protocol's table."""

    __slots__ = ("peer", "role", "state", "waiting")

    def __init__(self, role: Role, state: str) -> None:
        self.role: Role = role
        self.state: str | None = state
        self.peer: LayerEnd = self
        self.waiting: deque[tuple[int, str, Rung]] = deque()  # sent by it, not yet got: stop, event, packet


class Layer:
    """A conversation's upper protocol: its session, and both ends' states. Walked as a conversation is."""

    __slots__ = ("assumed", "began", "carries", "client", "inner", "name", "server", "session", "states", "steps")

    def __init__(self, upper: Upper, session: Session) -> None:
        self.name = upper.name
        self.carries = upper.carries
        self.session: Any = session  # its own protocol knows more of it than the engine calls on
        self.inner: Layer | None = None  # what it carries, once that has been recognised
        self.client = LayerEnd("client", upper.tables["client"].starts["client"])
        self.server = LayerEnd("server", upper.tables["server"].starts["server"])
        self.client.peer, self.server.peer = self.server, self.client
        self.states = States(self.client.state, self.server.state)
        self.began: dict[str, Role] = {}
        self.assumed: tuple[Role, ...] = ()
        self.steps: dict[str, list[Seen]] = {}

    def end(self, role: Role) -> LayerEnd:
        return self.client if role == "client" else self.server


def layers_of(which: Conversation) -> Iterator[Layer]:
    """Yields what a conversation carries, from TCP upwards."""
    layer = which.above
    while layer is not None:
        yield layer
        layer = layer.inner


def _closing(which: Conversation) -> bool:
    """Whether TCP has begun to end."""
    return which.reset_by is not None or which.client.fin is not None or which.server.fin is not None


def _hold(layer: Layer, rung: Rung) -> None:
    """Writes down the states of both ends at the packet's first instant."""
    others = (above for above in rung.above if above.protocol != layer.name)
    rung.above = (*others, Above(layer.name, layer.states, None))


class _Lane:
    """The conversations of a lane that carry something, and the bytes that have been handed on since the last look."""

    def __init__(self) -> None:
        self.walked: dict[Conversation, None] = {}
        self.passed = 0

    def make_room(self) -> None:
        """Lets those read no more that keep most, where all together keep too much."""
        self.passed = 0
        sizes = {which: sum(layer.session.held for layer in layers_of(which)) for which in self.walked}
        held = sum(sizes.values())
        for which, size in sorted(sizes.items(), key=lambda each: (-each[1], each[0].id)):
            if held <= _MOST_HELD:
                return
            held -= size
            for layer in layers_of(which):
                layer.session.let_go()


class Layers:
    """Recognises and walks what conversations carry. Feed it every packet once when sent, and again when got.

    `ended` are TCP's states in which an end's connection is over.
    """

    def __init__(self, uppers: Sequence[Upper], ended: frozenset[str]) -> None:
        self._ended = ended
        hearing = (upper for upper in uppers for table in upper.tables.values() if CLOSED_BELOW in table.events)
        self._hearing = frozenset(upper.name for upper in hearing)
        self._uppers = uppers
        self._first = frozenset().union(*(upper.first for upper in uppers))
        self._movers = {upper.name: Mover(upper.tables) for upper in uppers}
        self._secrets = {upper.name: upper.secrets() for upper in uppers}
        self._maybe: dict[Conversation, Layer] = {}  # recognised by too few bytes to be sure
        self._ahead: dict[Conversation, list[_Ahead]] = {}
        self._kept = 0  # bytes of them
        self._lanes = [_Lane() for _ in range(LANES)]

    def learn(self, keylog: bytes, server_key: bytes) -> None:
        """Takes in secrets, for all connections there are and will be."""
        for secrets in self._secrets.values():
            secrets.learn(keylog, server_key)

    def sent(self, rung: Rung) -> None:
        """The packet has left its sender, and TCP knows."""
        if rung.segment is not None and rung.segment.payload:
            self._read(rung)
        which = rung.conversation
        if which is not None and which.above is not None and _closing(which):
            self._close(which, rung)
            for layer in layers_of(which):
                if layer.name in self._hearing:
                    _hold(layer, rung)

    def _read(self, rung: Rung) -> None:
        which, end, segment, frame = rung.conversation, rung.end, rung.segment, rung.whole or rung.frame
        if which is None or end is None or segment is None or frame is None:
            return
        at, stop = segment.start, segment.start + segment.payload
        layer = which.above or (self._maybe.get(which) if self._maybe else None)
        ahead: Sequence[_Ahead] = ()
        if layer is None:
            if at < min(stop, len(frame.data)) and frame.data[at] in self._first:  # what stands behind is padding
                layer = self._recognised(which, end, rung, frame.data[at : min(stop, at + _LOOK)], segment.seq)
            if layer is None:
                if end.holes and rung.seq > end.holes[0][0]:
                    for each in _brought(rung, end, segment, frame):
                        self._keep(which, each)
                return
            ahead = self._ahead.pop(which, ())
            self._kept -= sum(len(each.data) + _OVERHEAD for each in ahead)
        lane = self._lane(which)
        lane.walked[which] = None
        lane.passed += segment.payload
        if lane.passed > _LOOK_AFTER:
            lane.make_room()
        for each in (*_brought(rung, end, segment, frame), *ahead):
            said = layer.session.sent(each.end.role, *each[1:])
            if said:
                which.above = layer
                self._say(layer, each.end.role, said, rung)
        if not rung.messages and layer.session.refuted:
            which.above = None
            self._maybe.pop(which, None)
        elif self._maybe and which.above is layer:
            self._maybe.pop(which, None)

    def got(self, rung: Rung) -> None:
        """The packet has arrived, and TCP has taken it in."""
        which, end = rung.conversation, rung.end
        if which is None or end is None or which.above is None:
            return
        reached = end.peer.got_next
        layer: Layer | None = which.above
        while layer is not None:
            sender = layer.client if end.role == "client" else layer.server
            waiting = sender.waiting
            while waiting and reached is not None and waiting[0][0] <= reached:
                _, event, carrier = waiting.popleft()
                self._movers[layer.name].move(layer, sender.peer, "got " + event, carrier)
            layer = layer.inner
        if _closing(which):
            self._close(which, rung)
        if rung.above:
            states = {layer.name: layer.states for layer in layers_of(which)}
            rung.above = tuple([Above(name, held, states.get(name)) for name, held, _ in rung.above])

    def forget(self, which: Conversation) -> None:
        """Lets go of a conversation."""
        self._maybe.pop(which, None)
        self._lane(which).walked.pop(which, None)
        self._kept -= sum(len(each.data) + _OVERHEAD for each in self._ahead.pop(which, ()))
        for layer in layers_of(which):
            for end in (layer.client, layer.server):
                end.waiting.clear()
                del end.peer  # nobody looks for cycles

    def _close(self, which: Conversation, rung: Rung) -> None:
        """Tells those that stand on TCP where it is over, each end once."""
        for layer in layers_of(which):
            mover = self._movers[layer.name]
            for end, below in ((layer.client, which.client), (layer.server, which.server)):
                if below.state in self._ended and mover.moves(end, CLOSED_BELOW):
                    mover.move(layer, end, CLOSED_BELOW, rung)

    def _lane(self, which: Conversation) -> _Lane:
        return self._lanes[which.lane]

    def _keep(self, which: Conversation, segment: _Ahead) -> None:
        """Keeps a segment until it is known what its connection carries, or too many are kept."""
        kept = self._ahead.setdefault(which, [])
        if len(kept) < _MOST_AHEAD:
            kept.append(segment)
            self._kept += len(segment.data) + _OVERHEAD
        if self._kept > _MOST_KEPT:
            self._ahead.clear()
            self._kept = 0

    def _say(self, layer: Layer, role: Role, said: Sequence[Any], rung: Rung) -> None:
        """Writes down what an end has said, in the packet that completes it, and hands on what that carries."""
        mover, sender = self._movers[layer.name], layer.end(role)
        rung.messages += tuple([Message(layer.name, each.name, each.spans, each) for each in said])
        rung.labels += tuple(dict.fromkeys(each.name for each in said if each.name not in rung.labels))
        inner: list[Any] = []
        for each in said:
            if each.event:
                mover.move(layer, sender, "sent " + each.event, rung)
                if len(sender.waiting) < _MOST_WAITING:
                    sender.waiting.append((each.stop, each.event, rung))
                if each.event == layer.carries and each.raw:
                    inner += self._carried(layer, role, each.raw, rung.number, each.stop)
        _hold(layer, rung)
        if inner and layer.inner:
            self._say(layer.inner, role, inner, rung)

    def _carried(self, layer: Layer, role: Role, data: bytes, number: int, stop: int) -> Sequence[Any]:
        if layer.inner is None:
            others = (each for each in self._uppers if each.name != layer.name)
            upper = next((each for each in others if self._fits(each, data, role)), None)
            if upper is None:
                return ()
            layer.inner = Layer(upper, upper.begin(self._secrets[upper.name]))
        session: Inner = layer.inner.session
        said = session.told(role, data, number, stop)
        if not said and session.refuted:
            layer.inner = None
        return said

    @staticmethod
    def _fits(upper: Upper, begin: bytes, role: Role) -> bool:
        return begin[0] in upper.first and upper.recognise(begin[:_LOOK], role) is not False

    def _recognised(self, which: Conversation, end: End, rung: Rung, begin: bytes, seq: int) -> Layer | None:
        for upper in self._uppers:
            if begin[0] in upper.first and (sure := upper.recognise(begin, end.role)) is not False:
                layer = Layer(upper, upper.begin(self._secrets[upper.name]))
                if end.role == "server":  # which answers: what it answers was not captured
                    layer.client.state = layer.server.state = None
                    layer.states = States(None, None)
                first = 1 if rung.segment is not None and rung.segment.flags & SYN else 0
                layer.session.begins(end.role, seq + first, rung.seq + first)
                if end.peer.next_raw is not None:
                    layer.session.begins(end.peer.role, end.peer.next_raw, end.peer.next)
                if sure:
                    which.above = layer
                else:
                    self._maybe[which] = layer
                return layer
        return None
