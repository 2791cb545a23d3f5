"""What a transport carries, walked as it is itself: a message is sent when its last byte leaves, got when that arrives.

A protocol is recognised by what a segment begins with, never by its port, and may begin in the middle of a
connection; segments ahead of order are kept for a while, since the beginning may be what is missing. It reads the bytes
itself; who has got how much of them the transport knows. What stands before it in the same stream, such as what a
proxy says, is taken off first (`engine/before.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from lab.engine.before import Before, Taken, behind
from lab.engine.buffers import MOST_TOLD, Ahead, Room
from lab.engine.conversation import Conversation, Seen
from lab.engine.gaps import Behind
from lab.engine.layer import Layer, LayerEnd, layers_of, states_of
from lab.engine.protocol import UNKNOWN, Inner, Piece, Transport, Upper
from lab.engine.record import PATIENCE, Record, Told
from lab.engine.walk import EventSink, Mover
from lab.events import MessageRead
from lab.model import Above, Frame, Role, States

_new = tuple.__new__  # what a NamedTuple's own constructor comes down to, without the call in between
LOOK = 64  # bytes of a segment that are looked at
_MOST_WAITING = 4096  # messages of one direction that have been sent and not yet got


class Skim(NamedTuple):
    """How the messages of a conversation are passed by: the session's own way, and what step each end's are."""

    layer: Layer
    way: Any
    steps: dict[Role, str | None]

    @property
    def settled(self) -> bool:
        """Whether all that was said before has been got, but for what moves nobody."""
        return all(event == self.way.event for end in self.layer.ends for _, event, _ in end.waiting)


def _hold(layer: Layer, record: Record) -> None:
    """Writes down the states of both ends at the packet's first instant."""
    others = [above for above in record.above if above.protocol != layer.name] if record.above else ()
    record.above = (*others, _new(Above, (layer.name, layer.states, None)))


def _assume(layer: Any, role: Role, event: str) -> str | None:
    state: str | None = layer.protocol.assume(layer, role, event)
    return state


class Layers:
    """Recognises and walks what conversations of a transport carry. Feed it every packet when sent, and when got."""

    def __init__(self, transport: Transport, uppers: Sequence[Upper], told: EventSink = None) -> None:
        self._ended = transport.ended
        self._carried = transport.carried
        self._comes_ahead = transport.ahead
        self._cut, self._missing = transport.cut, transport.missing
        self._told = told
        self._uppers = uppers
        self._before = Before(transport.preambles)
        self._first = self._before.first.union(*(upper.first | upper.later for upper in uppers))
        self._movers = {upper.name: Mover(upper.tables, told, _assume) for upper in uppers}
        self._secrets = {upper.name: upper.secrets() for upper in uppers}
        self._maybe: dict[Conversation, Layer] = {}  # recognised by too few bytes to be sure
        self._awaiting: set[Conversation | None] = set()  # that have had a message which a later packet tells
        self._ahead = Ahead()
        self._behind = Behind()
        self._room = Room()

    def learn(self, keylog: bytes, server_key: bytes) -> None:
        """Takes in secrets, for all connections there are and will be."""
        for secrets in self._secrets.values():
            secrets.learn(keylog, server_key)

    def sent(self, record: Record) -> None:
        """The packet has left its sender, and its transport knows."""
        which, end = record.conversation, record.end
        if which is None or end is None:
            return
        if which.above is not None:
            beyond = record.ack is not None and record.ack > end.peer.next
            if beyond or which.holed:
                self.missed(record)
            if beyond and record.ack is not None:
                self._unseen(which, end.peer, record.ack, record.number)
        if record.segment.payload:
            self._read(record)
        if which.closing and which.above is not None:
            self._close(which, record)
            for layer in layers_of(which):
                if layer.protocol.closed_below:
                    _hold(layer, record)

    def _read(self, record: Record) -> None:
        which, end, segment, frame = record.conversation, record.end, record.segment, record.whole or record.frame
        if which is None or end is None or frame is None:
            return
        layer = which.above or (self._maybe.get(which) if self._maybe else None)
        pieces: Sequence[Piece] = ()
        ahead: Sequence[Piece] = ()
        if layer is None:
            at, stop = segment.start, segment.start + segment.payload
            begun = at < min(stop, len(frame.data)) and frame.data[at] in self._first  # what stands behind is padding
            if begun or self._before.awaits(which, end.role):
                pieces = self._carried(record, frame)
                layer, pieces = self._opened(which, record, pieces)
            if layer is None:
                self._keep_ahead(which, record, frame)
                return
            ahead = self._ahead.take(which)
        self._room.passes(which, segment.payload)
        if which in self._room.without:
            record.labels += ("let-go",)
        pieces = pieces or self._carried(record, frame)
        for each in (*pieces, *ahead) if ahead else pieces:
            piece = self._after_answer(which, layer, each) if layer.unheard else each
            said = layer.sent(piece) if piece else ()
            if said:
                which.above = layer
                self._say(layer, each.end.role, said, record)
        if layer.wrapping is None:
            lacking = self._cut(record, frame)
            if lacking is not None:
                said = layer.session.missed(end.role, *lacking[1:])
                which.above = layer if said else which.above
                if which.above is layer:
                    self._say(layer, end.role, said, record)
            if which.holed and which.above is layer and self._comes_ahead(record):
                self._behind.keep(which, record)
                self.missed(record)
        if not record.messages and layer.session.refuted:
            which.above, which.carries = None, False
            self._maybe.pop(which, None)
            self._room.forget(which)
            for each in ahead:
                self._ahead.keep(which, each)
            self._keep_ahead(which, record, frame)  # it may be the middle of what a protocol begins with
        elif self._maybe and which.above is layer:
            self._maybe.pop(which, None)

    def missed(self, record: Record) -> None:
        """A packet tells what its sender has got: what of that was not captured will not come."""
        which, end = record.conversation, record.end
        layer: Layer | None = which.above if which is not None else None
        if which is None or end is None or layer is None or layer.wrapping is not None:
            return
        peer = end.peer
        if record.ack is not None and record.ack > peer.next:
            side = layer.end(peer.role)
            if record.ack > side.unseen:
                self._lose(layer, side, record.number)
        for each in self._missing(record) if which.holed else ():
            side, stop = layer.end(each.end.role), each.relative + each.size
            if stop > side.missed:
                side.missed = stop
                said = layer.session.missed(side.role, *each[1:])
                for place, part in self._behind.parted(which, said, record):
                    fresh = [one for one in part if one.name or one.stop > side.unseen]
                    if fresh:
                        self._say(layer, side.role, fresh, place)

    def _lose(self, layer: Layer, end: LayerEnd, number: int) -> None:
        self._movers[layer.name].lose(layer, end)
        end.lost_at = number

    def _unseen(self, which: Conversation, end: Any, ack: int, number: int) -> None:
        """What was acknowledged of an end is not captured: nobody knows what it was, to this end and to its peer."""
        for layer in layers_of(which):
            side = layer.end(end.role)
            if ack > side.unseen:
                side.unseen = ack
                for each in layer.ends:
                    self._lose(layer, each, number)
                layer.session.unseen(end.role)

    def _keep_ahead(self, which: Conversation, record: Record, frame: Frame) -> None:
        """Keeps a segment that comes ahead of order: what is missing before it may tell whose it is."""
        if self._comes_ahead(record):
            for each in self._carried(record, frame):
                self._ahead.keep(which, each)

    def got(self, record: Record) -> None:
        """The packet has arrived, and its transport has taken it in."""
        which, end = record.conversation, record.end
        layer: Layer | None = which.above if which is not None else None
        if which is None or end is None or layer is None:
            return
        reached = end.peer.got_next
        while layer is not None:
            sender = layer.client if end.role == "client" else layer.server
            waiting = sender.waiting
            while waiting and reached is not None and waiting[0][0] <= reached:
                _, event, carrier = waiting.pop(0)
                mover = self._movers[layer.name]
                if event == UNKNOWN:
                    mover.lose(layer, sender.peer)
                else:
                    mover.move(layer, sender.peer, "got " + event, carrier)
                    if carrier.number < sender.peer.lost_at:  # what it has done since is not known all the same
                        mover.lose(layer, sender.peer)
            layer = layer.inner
        if which.closing:
            self._close(which, record)
        if record.above and record.by is not None:
            record.above = tuple([_new(Above, (name, held, states_of(which, name))) for name, held, _ in record.above])

    def idle(self, which: Conversation) -> bool:
        """Whether what a conversation carries is not read: nobody knows it."""
        return which.above is None and which not in self._maybe and not self._before.expects(which)

    def keep(self, which: Conversation, pieces: Iterator[Piece]) -> None:
        """Keeps what has come ahead of order, until it is enough: what is missing before it may tell whose it is."""
        while not self._ahead.full(which) and (piece := next(pieces, None)) is not None:
            self._ahead.keep(which, piece)

    def skim(self, which: Conversation) -> Skim | None:
        """Returns how the messages of a conversation are passed by from here on, None where they can't be."""
        layer: Layer | None = which.above
        if layer is None or layer.inner or layer.doubted or layer.wrapping or layer.unheard or which in self._maybe:
            return None
        if which in self._room.without:
            return None
        find = getattr(layer.session, "skim", None)
        found: Any = find() if find is not None else None
        if found is None:
            return None
        steps: dict[Role, str | None] = {"client": None, "server": None}
        for end in layer.ends if found.event else ():
            mover = self._movers[layer.name]
            to, step = mover.step_of(layer, end, "sent " + found.event)
            if to is None or to != end.state or mover.step_of(layer, end, "got " + found.event)[0] != to:
                return None
            steps[end.role] = step
        return Skim(layer, found, steps)

    def skimmed(self, which: Conversation, skim: Skim, size: int, seen: Sequence[Seen]) -> None:
        """Takes down what has been passed by: so many bytes, and the steps that were seen in them."""
        self._room.passes(which, size)
        for each in seen:
            self._movers[skim.layer.name].note(skim.layer, which, each)

    def forget(self, which: Conversation) -> None:
        """Lets go of a conversation."""
        self._maybe.pop(which, None)
        self._room.forget(which)
        self._behind.forget(which)
        self._before.forget(which)
        self._ahead.take(which)
        for layer in layers_of(which):
            if which in self._awaiting:
                layer.session.let_go()  # what it still waits for knows the layer, too
            for end in (*layer.ends, *(layer.doubted.ends if layer.doubted else ())):
                end.waiting.clear()
                del end.peer  # nobody looks for cycles
        self._awaiting.discard(which)

    def _close(self, which: Conversation, record: Record) -> None:
        """Tells those that stand on the transport where it is over, each end once."""
        for layer in layers_of(which):
            event = layer.protocol.closed_below
            if not event:
                continue
            mover = self._movers[layer.name]
            for end, below in zip(layer.ends, which.ends, strict=True):
                if below.state in self._ended and mover.moves(end, event):
                    mover.move(layer, end, event, record)

    def _say(self, layer: Layer, role: Role, said: Sequence[Any], record: Record) -> None:
        """Writes down what an end has said, in the packet that completes it, and hands on what that carries."""
        mover, sender, carries = self._movers[layer.name], layer.end(role), layer.protocol.carries
        messages, labels, left = record.messages, record.labels, MOST_TOLD - len(record.messages)
        for each in said:
            if each.name:
                if each.name not in labels:
                    labels += (each.name,)
                if len(messages) == MOST_TOLD:
                    labels += ("too-much",) if "too-much" not in labels else ()
                    continue
                messages += (_new(Told, (layer, each)),)
        record.messages, record.labels = messages, labels
        inner: list[Any] = []
        for each in said:
            if self._told is not None and record.conversation is not None and each.name and left > 0:
                left -= 1
                message = layer.message(each, words=True)
                self._told.append(MessageRead(record.number, record.conversation.id, role, message, record.labels))
            if (awaited := getattr(each, "awaits", None)) is not None:
                record.awaits += 1
                self._awaiting.add(record.conversation)
                awaited.by(partial(self._told_late, layer, role, record, each))
            if each.event:
                if each.event == UNKNOWN:
                    self._lose(layer, sender, record.number)
                else:
                    mover.move(layer, sender, "sent " + each.event, record)
                if len(sender.waiting) < _MOST_WAITING:
                    sender.waiting.append((each.stop, each.event, record))
                if layer.inner and each.event in (carries, UNKNOWN) and not each.raw:
                    layer.inner.session.lost(role)
                if each.event == carries and each.raw:
                    inner += self._handed_on(layer, role, each.raw, record, each.stop)
                    if len(inner) > MOST_TOLD and layer.inner:
                        self._say(layer.inner, role, inner, record)
                        inner = []
        _hold(layer, record)
        if inner and layer.inner:
            self._say(layer.inner, role, inner, record)

    def _told_late(self, layer: Layer, role: Role, record: Record, said: Any, change: Callable[[Any], Any]) -> None:
        """Writes down what a message of an earlier packet says, which that alone did not tell."""
        told = change(said)
        record.awaits -= 1
        if record.conversation is None or record.conversation.last - record.number > PATIENCE:
            return  # it may have been shown
        record.messages = tuple([Told(layer, told) if each.said is said else each for each in record.messages])
        own = (each.said.name for each in record.messages)
        others = (label for label in record.labels if label != said.name)
        record.labels = tuple(dict.fromkeys((*others, *own)))
        if self._told is not None and told.name != said.name:
            message = layer.message(told, words=True)
            self._told.append(MessageRead(record.number, record.conversation.id, role, message, record.labels))

    def _handed_on(self, layer: Layer, role: Role, data: bytes, record: Record, stop: int) -> Sequence[Any]:
        assert record.conversation
        inner = layer.inner or layer.doubted
        if inner is None:
            others = (each for each in self._uppers if each.name != layer.name)
            upper = next((each for each in others if self._fits(each, data, role)), None)
            if upper is None:
                return ()
            inner = layer.doubted = self._begun(upper, record.conversation)
        session: Inner = inner.session
        said = session.told(role, data, record.number, stop)
        if said:
            layer.inner, layer.doubted = inner, None
        elif session.refuted:
            self._room.sessions(record.conversation).remove(session)
            layer.inner = layer.doubted = None
        return said

    def _begun(self, upper: Upper, which: Conversation) -> Layer:
        session = upper.begin(self._secrets[upper.name])
        self._room.sessions(which).append(session)
        which.carries = True
        return Layer(upper, session)

    @staticmethod
    def _fits(upper: Upper, begin: bytes, role: Role) -> bool:
        return begin[0] in upper.first and upper.recognise(begin[:LOOK], role) is not False

    def _opened(
        self, which: Conversation, record: Record, pieces: Sequence[Piece]
    ) -> tuple[Layer | None, Sequence[Piece]]:
        """Returns the protocol that begins with these pieces, or in the first of them behind preambles, and its own."""
        first, taken = pieces[0], list[Taken]()
        layer = self._recognised(which, first) if first.data and first.data[0] in self._first else None
        while layer is None and first.data and (found := self._before.take(which, first)):
            taken.append(found)
            first = found.rest
            layer = self._recognised(which, first, not found.preamble.sure) if first.data else None
        for preamble, remark, _, _ in taken:
            if layer is not None or preamble.sure:
                record.labels += (preamble.name,)
                record.remarks += (remark,)
        if layer is not None and taken and (begin := taken[-1].preamble.wraps) is not None:
            layer.wrapping, first = begin(), taken[-1].piece
            self._room.sessions(which).append(layer.wrapping)
        if layer is not None:
            self._begins(layer, first)
        return layer, (first, *pieces[1:])

    @staticmethod
    def _begins(layer: Layer, first: Piece) -> None:
        """Says where both directions begin: that of the first piece, and the other where it has come to."""
        peer = first.end.peer
        for session in (layer.session, layer.wrapping):
            if session is not None:
                session.begins(first.end.role, first.seq, first.relative)
                if peer.next_raw is not None:
                    session.begins(peer.role, peer.next_raw, peer.next)
        if peer.next_raw is not None:
            layer.unheard = peer.role, peer.next

    def _after_answer(self, which: Conversation, layer: Layer, piece: Piece) -> Piece | None:
        """Returns a piece without what its sender says to a preamble before its own side of the protocol begins."""
        if layer.unheard != (piece.end.role, piece.relative):
            return piece
        layer.unheard = None
        size = self._before.answered(which, piece.data)
        if not size:
            return piece
        rest = behind(piece, size)
        for session in (layer.session, layer.wrapping):
            if session is not None:
                session.begins(rest.end.role, rest.seq, rest.relative)
        if rest.data:
            return rest
        layer.unheard = rest.end.role, rest.relative
        return None

    def _recognised(self, which: Conversation, piece: Piece, certainly: bool = False) -> Layer | None:
        """Returns the protocol that a piece begins with; `certainly` where a few bytes that fit are not enough."""
        role, begin = piece.end.role, piece.data[:LOOK]
        for upper in self._uppers:
            if begin[0] not in upper.first:
                continue
            sure = upper.recognise(begin, role)
            if sure or (sure is None and not certainly):
                layer = self._begun(upper, which)
                if role == "server" and not upper.server_may_begin:  # what it answers was not captured
                    layer.client.state = layer.server.state = None
                    layer.states = States(None, None)
                if sure:
                    which.above = layer
                else:
                    self._maybe[which] = layer
                return layer
        for upper in self._uppers:
            if begin[0] in upper.later and upper.goes_on(piece.data):
                layer = which.above = self._begun(upper, which)
                self._movers[layer.name].lose(layer, layer.client)
                self._movers[layer.name].lose(layer, layer.server)
                return layer
        return None
