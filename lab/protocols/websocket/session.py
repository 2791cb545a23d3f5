"""One WebSocket connection as it is seen from outside: the request to upgrade, the answer, then frames both ways.

Fed with each direction's bytes in the order of the stream, straight from TCP (`sent`) or as they were decrypted
(`told`), it returns what has been said with them. It decides nothing about states: that is the table's (states.py).
What is damaged ends that direction, never the reading.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from lab.engine.buffers import tell
from lab.engine.protocol import UNKNOWN
from lab.model import Role, Span
from lab.protocols.tcp.stream import Stream
from lab.protocols.websocket.body import Body
from lab.protocols.websocket.frames import OPCODES, Frame, Frames, whole_frames
from lab.protocols.websocket.http import (
    KEY_3,
    NO_CONNECTION,
    NO_UPGRADE,
    SUM,
    SWITCHING,
    WRONG_ACCEPT,
    Head,
    HeadReader,
    Request,
    Response,
    accepts,
    body,
    chunked,
    is_request,
    parameters,
    request,
    response,
    sum_of,
)
from lab.protocols.websocket.messages import Message, Messages, Told

if TYPE_CHECKING:
    from lab.model import DerivationLine

_SPAN, _HEAD = 120, 4000  # bytes that a place and a head take in memory
_AT_ONCE = 1 << 16  # bytes that frames are made of at a time: a few bytes are one, and that takes many
_SHOWN = 4096  # bytes of a payload that stay with what was said
_MOST_MESSAGES = 4096  # that are listed; all are counted
_MOST_UNANSWERED = 64  # requests
_GET = "GET "
_ALONE = (WRONG_ACCEPT, NO_UPGRADE, NO_CONNECTION)  # objections to an answer that need no more than a key
_BAD_FRAME = "bad frame"
_EXTENSION_FRAME = "extension-frame"  # with an opcode that only an extension can have given a meaning
_PER_FRAME = ("x-webkit-deflate-frame", "deflate-frame")  # draft-tyoshino-hybi-websocket-perframe-deflate


class Said(NamedTuple):
    """One message, told when its last byte is there. `stop` is the relative sequence number behind it.

    `name` is a label: what it is, or the first thing that is wrong with it (frames.FORBIDDEN). `event` is what the
    table calls it, empty where it moves nobody. `parsed` is the Request, the Response or a frame's Told.
    """

    name: str
    event: str
    stop: int
    spans: tuple[Span, ...]
    opcode: int | None
    parsed: Request | Response | Told | None
    problems: tuple[str, ...]

    @property
    def held(self) -> int:
        """The bytes of memory that it takes beside its own, roughly."""
        payload = getattr(self.parsed, "frame", None)
        return len(self.spans) * _SPAN + (2 * len(payload.payload) if payload is not None else _HEAD)

    def bare(self) -> Said:
        """Returns what moves both ends, and nothing more."""
        return self._replace(spans=(), parsed=None)


class Listed(NamedTuple):
    """A message as the trace lists it."""

    sender: Role
    message: Message


class _Plain:
    """Decrypted bytes that remember which packet they came from: a Stream's spans, for `told`."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[int, int, int]] = deque()  # start and end in the stream, packet
        self._end = 0

    def add(self, size: int, number: int) -> None:
        self._pieces.append((self._end, self._end + size, number))
        self._end += size

    def spans(self, start: int, end: int) -> tuple[Span, ...]:
        return tuple(
            Span("plain", number, max(start, low) - low, min(end, high) - low)
            for low, high, number in self._pieces
            if low < end and start < high
        )

    def forget(self, before: int) -> None:
        while self._pieces and self._pieces[0][1] <= before:
            self._pieces.popleft()


class _Way:
    """One end's side of the connection. All offsets are in its stream."""

    def __init__(self, role: Role, first: int | None, base: int) -> None:
        self.role: Role = role
        self.base = base  # the relative sequence number of the stream's first byte
        self.source: Stream | _Plain = Stream(first) if first is not None else _Plain()
        self.at = 0  # all before this has been read
        self.head_at = 0  # where the head being read begins
        self.reader: HeadReader | None = HeadReader()
        self.body: Body | None = None  # that says nothing
        self.frames: Frames | None = None
        self.messages = Messages()
        self.header_spans: tuple[Span, ...] = ()  # of a frame whose payload is let go of as it comes
        self.over = False  # nothing more is read
        self.lost = False  # where the next frame begins is not known
        self.holed = False  # some of it was not captured

    @property
    def held(self) -> int:
        parts = (self.reader, self.frames, self.messages)
        kept = self.source.kept if isinstance(self.source, Stream) else 0
        return kept + sum(part.held for part in parts if part is not None)

    def begin_midway(self) -> None:
        """Frames come next, and how many went before nobody knows."""
        self.reader, self.lost, self.holed = None, True, True
        self.messages.lose()

    def read_head(self, after: Body | None = None) -> None:
        """A head comes next, behind a body where there is one."""
        self.reader, self.frames, self.head_at, self.body = HeadReader(), None, self.at, after


class Session:
    """What has been asked, answered and said on one connection."""

    def __init__(self) -> None:
        self.ways: dict[Role, _Way] = {}
        self.request: Request | None = None
        self.response: Response | None = None  # the last answer: 101, or a refusal
        self.messages: list[Listed] = []
        self.counted = 0  # messages, listed or not
        self.closes: list[Listed] = []  # in order
        self.bad: list[tuple[Role, str]] = []  # who broke which rule, the first few times
        self._unanswered: list[bool] = []  # requests: whether each asks for an upgrade
        self._cut = False  # the request was not wholly captured
        self._other = False  # the client has said something that is no request to upgrade

    # What was agreed.

    @property
    def accepted(self) -> bool:
        return self.response is not None and self.response.status == SWITCHING

    @property
    def incomplete(self) -> bool:
        """Whether bytes were not captured: a gap, a cut, or frames without an answer."""
        streams = (way.source for way in self.ways.values() if isinstance(way.source, Stream))
        unanswered = (self.response is None and self.counted > 0) or (self.request is None and self.accepted)
        holed = any(way.holed for way in self.ways.values())
        return unanswered or holed or any(stream.held or stream.dropped for stream in streams)

    @property
    def foreign(self) -> bool:
        """Whether the frames are those of a draft that had others: they are not read."""
        return self.request is not None and self.request.foreign

    @property
    def unknown(self) -> tuple[str, ...]:
        """The extensions that were agreed on and nobody here knows: what their bits mean, and the payload with them."""
        names = (parameters(each)[0] for each in self.extensions)
        return tuple(name for name in names if name not in ("permessage-deflate", *_PER_FRAME))

    @property
    def extensions(self) -> tuple[str, ...]:
        return self.response.extensions if self.response is not None and self.accepted else ()

    @property
    def lines(self) -> tuple[DerivationLine, ...]:
        """The accept value as a worked example."""
        from lab.protocols.websocket.accept import accept_lines

        if self.request is None or self.request.key is None:
            return ()
        return accept_lines(self.request.key, self.response.accept if self.response is not None else None)

    # Reading.

    def begins(self, role: Role, seq: int, relative: int) -> None:
        self._way(_Way(role, seq, relative))

    def _way(self, way: _Way) -> _Way:
        """Begins a direction: the client's behind an answer that was captured alone has frames already."""
        self.ways[way.role] = way
        if way.role == "client" and self.request is None and self.response is not None and self.accepted:
            way.begin_midway()
            self._use_extensions(self.response)
        return way

    @property
    def refuted(self) -> bool:
        """Whether what the client said was HTTP, and never a request for this protocol."""
        return self._other and self.request is None and self.response is None

    def sent(self, role: Role, seq: int, relative: int, data: bytes, number: int, at: int) -> list[Said]:
        """Takes in a segment's payload (`seq` raw, at `at` of frame `number`) and returns what is now wholly said."""
        way = self.ways.get(role)
        if way is None:
            way = self._way(_Way(role, seq, relative))
        assert isinstance(way.source, Stream)
        fresh = way.source.add(seq, data, number, at)
        said = self._read(way, fresh, None)
        if way.source.lacking:
            said += self._pass_over(way, way.source)
        if way.over:
            way.source.forget(way.source.expected)
        return said

    def missed(self, role: Role, seq: int, relative: int, size: int) -> list[Said]:
        """Goes on behind bytes that were not captured, and returns what is said by that, and by what stood behind."""
        way = self.ways.get(role)
        if way is None:
            way = self._way(_Way(role, seq, relative))
        if not isinstance(way.source, Stream):
            return []
        way.source.lack(seq, size)
        return self._pass_over(way, way.source)

    def lost(self, role: Role) -> None:
        """Some of what it was to be told of one end could not be decrypted, nobody knows how much."""
        way = self.ways.get(role)
        if way is not None and way.frames is not None:
            way.lost = way.holed = True
            way.frames = Frames(role, way.at)
            way.messages.lose()

    def unseen(self, role: Role) -> None:
        """An end has sent what was not captured."""
        if role in self.ways:
            self.ways[role].holed = True

    def _pass_over(self, way: _Way, source: Stream) -> list[Said]:
        said: list[Said] = []
        while size := source.lacking:
            way.holed = True
            fresh = source.pass_over()
            if not way.over:
                self._lose(way, size, said)
            way.at += size
            said += self._read(way, fresh, None)
        return said

    def _lose(self, way: _Way, size: int, said: list[Said]) -> None:
        """Goes on behind `size` bytes: within a body or a frame whose length is known, else nobody knows where."""
        if way.body is not None:
            way.over = not way.body.lose(size)
        elif way.reader is not None:
            self._cut_head(way, way.reader, said)
        elif way.frames is not None:
            found, known = way.frames.lose(size)
            said += [self._framed(way, frame, None) for frame in found]
            way.lost = way.lost or not known
        if way.lost or way.over:
            way.messages.lose()
        if (way.lost or way.over) and (self.request is not None or self.accepted):
            said.append(Said("", UNKNOWN, way.base + way.at + size, (), None, None, ()))

    def _cut_head(self, way: _Way, reader: HeadReader, said: list[Said]) -> None:
        """Takes a head by the lines of it that were captured; whether more should stand there nobody can tell."""
        head = reader.cut()
        asked = request(head) if head is not None and way.role == "client" else None
        answer = response(head, self.request) if head is not None and way.role == "server" else None
        if asked is not None:
            self.request, self.response = asked._replace(objections=()), None
            self._unanswered.append(True)
            self._cut = True
            said.append(self._headed(way, "upgrade-request", "upgrade-request", None, self.request, ()))
        elif answer is not None and answer.status == SWITCHING:
            valid = answer.accept_valid if answer.accept is not None else None
            self.response = answer._replace(objections=(), accept_valid=valid)
            self._unanswered.clear()
            said.append(self._headed(way, "101", "101", None, self.response, ()))
        elif (head is not None and (way.role == "server" or not head.line.startswith(_GET))) or (
            way.role == "server" and self.request is None
        ):
            way.over = True
            return
        # Where the answer is missing as a whole, frames behind it show what it was; what a GET asks for, the answer.
        way.reader, way.lost = None, True

    def _found(self, way: _Way, fresh: bytes) -> bytes:
        """Looks for frames from a segment's beginning to the end; returns what of the bytes is to be read."""
        end = way.at + len(fresh)
        begins = way.source.begins(way.at, end) if isinstance(way.source, Stream) else (way.at,)
        if self.request is None and not self.accepted:
            begins = ()  # it need not be this protocol
        for start in begins:
            if whole_frames(fresh[start - way.at :], way.role):
                way.lost, rest = False, fresh[start - way.at :]
                way.at, way.frames = start, Frames(way.role, start)
                return rest
        way.at = end
        way.source.forget(end)
        return b""

    def told(self, role: Role, data: bytes, number: int, stop: int) -> list[Said]:
        """Takes in decrypted bytes, in order: those that came with packet `number`, their carrier ending at `stop`.

        Spans are Span("plain", number, ..) and count in the bytes of one call.
        """
        way = self.ways.get(role)
        if way is None:
            way = self._way(_Way(role, None, 0))
        assert isinstance(way.source, _Plain)
        way.source.add(len(data), number)
        said = self._read(way, data, stop)
        if way.over:
            way.source.forget(way.at)
        return said

    @property
    def held(self) -> int:
        """The bytes of memory that it keeps to read on, roughly."""
        return sum(way.held for way in self.ways.values())

    def let_go(self) -> None:
        """Keeps nothing more: there is no room. What both ends say from here on is not read."""
        for way in self.ways.values():
            way.over, way.reader, way.frames, way.messages = True, None, None, Messages()
            way.source = Stream(0) if isinstance(way.source, Stream) else _Plain()

    def _read(self, way: _Way, fresh: bytes, stop: int | None) -> list[Said]:
        said: list[Said] = []
        while fresh:
            if way.over:
                way.at += len(fresh)
                break
            if way.body is not None:
                fresh = self._feed_body(way, way.body, fresh)
            elif way.lost:
                fresh = self._found(way, fresh)
            elif way.reader is not None:
                fresh = self._feed_head(way, way.reader, fresh, stop, said)
            else:
                self._feed_frames(way, fresh, stop, said)
                fresh = b""
        return said

    def _feed_head(self, way: _Way, reader: HeadReader, fresh: bytes, stop: int | None, said: list[Said]) -> bytes:
        """Reads on in a head and returns what follows it."""
        head = reader.feed(fresh)
        if head is None:
            way.at += len(fresh)
            if reader.problem:
                self._no_head(way, stop, said)
            return b""
        rest = reader.rest
        way.at += len(fresh) - len(rest)
        if way.role == "client":
            self._request(way, head, stop, said)
        else:
            self._response(way, head, stop, said)
        way.source.forget(way.at)
        return rest

    @staticmethod
    def _feed_body(way: _Way, passed: Body, fresh: bytes) -> bytes:
        """Passes over a body and returns what follows it."""
        rest = passed.feed(fresh)
        way.at += len(fresh) - len(rest or b"")
        way.head_at = way.at
        way.source.forget(way.at)
        if rest is not None:
            way.body = None
        way.over = bool(passed.problem)
        return rest or b""

    def _feed_frames(self, way: _Way, fresh: bytes, stop: int | None, said: list[Said]) -> None:
        frames = way.frames
        assert frames is not None
        for at in range(0, len(fresh), _AT_ONCE):
            part = fresh[at : at + _AT_ONCE]
            found = frames.feed(part)
            way.at += len(part)
            for frame in found:
                tell(said, self._framed(way, frame, stop))
            if frames.problem:
                way.over = True
            elif frames.large and frames.body_at is not None:
                if not way.header_spans:
                    way.header_spans = way.source.spans(frames.offset, frames.body_at)
                way.source.forget(way.at)
            else:
                way.source.forget(frames.offset)

    def _framed(self, way: _Way, frame: Frame, stop: int | None) -> Said:
        told = way.messages.feed(frame)
        spans = way.header_spans + way.source.spans(frame.start, frame.end)
        way.header_spans = ()
        return self._frame(way, told, self._stop(way, frame.end, stop), spans)

    @staticmethod
    def _stop(way: _Way, offset: int, stop: int | None) -> int:
        return way.base + offset if stop is None else stop

    # The opening.

    def _no_head(self, way: _Way, stop: int | None, said: list[Said]) -> None:
        """What should have been a head is none."""
        way.over = True
        if way.role == "client":
            self._other = True
        elif self._unanswered and self._unanswered.pop(0):
            said.append(self._headed(way, "bad-response", "", stop, None, ("bad-response",)))

    def _request(self, way: _Way, head: Head, stop: int | None, said: list[Said]) -> None:
        asked = request(head)
        if asked is None:
            self._other = True
            if self.request is not None and is_request(head) and len(self._unanswered) < _MOST_UNANSWERED:
                self._unanswered.append(False)  # of a connection that was refused, and is used on
                way.read_head(Body(body(head), chunked(head)))
            else:
                way.over = True
            return
        if asked.draft and asked.foreign:
            asked = asked._replace(answer=sum_of(head, way.reader.rest[:KEY_3] if way.reader else b""))
        self.request, self.response, self._cut = asked, None, False
        self._unanswered.append(True)
        said.append(self._headed(way, "upgrade-request", "upgrade-request", stop, asked, asked.objections))
        way.reader, way.frames = None, Frames("client", way.at)  # what comes next, unless the server refuses
        way.over = asked.foreign
        server = self.ways.get("server")
        if server is not None and server.body is not None and server.body.endless:
            server.read_head()  # the body before is over, or nobody would ask again

    def _response(self, way: _Way, head: Head, stop: int | None, said: list[Said]) -> None:
        answer = response(head, self.request)
        if answer is not None and self.request is None:
            self._answer_alone(way, head, answer, stop, said)
            return
        if answer is None or not self._unanswered:
            self._no_head(way, stop, said)
            return
        if 100 <= answer.status < 200 and answer.status != SWITCHING:  # 100 Continue and the like: the answer follows
            way.read_head()
            return
        if self._cut:  # what was offered further down nobody knows
            answer = answer._replace(objections=tuple(each for each in answer.objections if each in _ALONE))
        after = Body(answer.body, answer.chunked)
        if not self._unanswered.pop(0):
            way.read_head(after)
            return
        if answer.status == SWITCHING and self.foreign:
            answer = self._proved(answer, way.reader.rest[:SUM] if way.reader else b"")
        self.response = answer
        if answer.status == SWITCHING:
            event = "wrong 101" if answer.objections else "101"
            said.append(self._headed(way, "101", event, stop, answer, answer.objections))
            way.reader, way.frames = None, Frames("server", way.at)
            way.over = self.foreign
            self._use_extensions(answer)
            return
        said.append(self._headed(way, "refused", "refusal", stop, answer, ()))
        way.read_head(after)
        client = self.ways.get("client")
        if client is not None and (not client.over or self.foreign):
            client.over = False
            client.read_head()  # it may try again on the same connection

    def _answer_alone(self, way: _Way, head: Head, answer: Response, stop: int | None, said: list[Said]) -> None:
        """An answer to what was not captured: that it accepts this protocol it says itself (RFC 6455 section 4.2.2)."""
        if 100 <= answer.status < 200 and answer.status != SWITCHING:
            way.read_head()
            return
        client = self.ways.get("client")
        asked = client is not None and client.at > 0 and not client.lost  # and it was not for this protocol
        if self._other or asked or not accepts(head):
            self._other = way.over = True
            return
        self.response = answer
        said.append(self._headed(way, "101", "101", stop, answer, answer.objections))
        way.reader, way.frames = None, Frames("server", way.at)
        if client is not None:
            client.begin_midway()
        self._use_extensions(answer)

    def _proved(self, answer: Response, told: bytes) -> Response:
        """Returns a draft's answer with what its sum comes to, where all that goes into that is there."""
        wanted = self.request.answer if self.request is not None else None
        if wanted is None or len(told) < SUM:
            return answer
        wrong = (WRONG_ACCEPT,) if told != wanted else ()
        return answer._replace(sum_valid=told == wanted, objections=(*answer.objections, *wrong))

    def _headed(
        self, way: _Way, name: str, event: str, stop: int | None, parsed: Request | Response | None,
        problems: tuple[str, ...],
    ) -> Said:  # fmt: skip
        spans = way.source.spans(way.head_at, way.at)
        return Said(name, event, self._stop(way, way.at, stop), spans, None, parsed, problems)

    def _use_extensions(self, answer: Response) -> None:
        """Reads what the server has accepted of permessage-deflate (RFC 7692 section 7.1)."""
        unknown = bool(self.unknown)
        for way in self.ways.values():
            way.messages.unknown = unknown
            if way.frames is not None:
                way.frames.unknown = unknown
        for name, given in map(parameters, answer.extensions):
            for role, way in self.ways.items():
                if name == "permessage-deflate":
                    way.messages.deflate = True
                    way.messages.takeover = f"{role}_no_context_takeover" not in given
                elif name in _PER_FRAME:
                    way.messages.per_frame = True

    # The frames.

    def _frame(self, way: _Way, told: Told, stop: int, spans: tuple[Span, ...]) -> Said:
        frame, problems, message = told
        if message is not None:
            self._list(way.role, message)
            if message.payload is not None:
                message = message._replace(payload=message.payload[:_SHOWN])
        told = Told(frame._replace(payload=frame.payload[:_SHOWN]), problems, message)
        if problems and len(self.bad) < _MOST_MESSAGES:
            self.bad.append((way.role, problems[0]))
        name = problems[0] if problems else OPCODES.get(frame.opcode, _EXTENSION_FRAME)
        closing = message is not None and message.code is not None
        event = "close" if closing else _BAD_FRAME if problems else "" if name == _EXTENSION_FRAME else name
        return Said(name, event, stop, spans, frame.opcode, told, problems)

    def _list(self, role: Role, message: Message) -> None:
        self.counted += 1
        listed = Listed(role, message._replace(payload=None))
        if len(self.messages) < _MOST_MESSAGES:
            self.messages.append(listed)
        if message.code is not None and len(self.closes) < 2:
            self.closes.append(listed)
