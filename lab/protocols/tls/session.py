"""One TLS connection as it is seen from outside: what both ends say, in order, opened where the keys are known.

Fed with each direction's bytes in the order of the stream, it returns what has been said with them. It decides nothing
about states: that is the table's (states.py). What can't be opened is said to be encrypted, with the reason; what is
damaged ends that direction, never the reading.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.engine.buffers import MOST_TOLD, tell
from lab.engine.protocol import UNKNOWN, Awaited
from lab.model import DerivationLine, Role
from lab.protocols.tcp.stream import Stream
from lab.protocols.tls import codes, messages
from lab.protocols.tls.ciphers import TLS13
from lab.protocols.tls.direction import AlertSaid, Direction, Said
from lab.protocols.tls.early import Early
from lab.protocols.tls.handshake import Handshake
from lab.protocols.tls.hello import ClientHello, ServerHello, ssl2_hello
from lab.protocols.tls.inferred import changed, sealed
from lab.protocols.tls.opening import Lazy, Opening
from lab.protocols.tls.reasons import EARLY_UNDECIDED, Reason
from lab.protocols.tls.records import (
    HandshakeMessage,
    Handshakes,
    Piece,
    Record,
    Records,
    goes_on,
    looks_like_tls,
)
from lab.protocols.tls.skimming import Skimming, begin

_CLOSE_NOTIFY, _NO_RENEGOTIATION, _FATAL, _MESSAGE_HEADER = 0, 100, 2, 4
OTHER: dict[Role, Role] = {"client": "server", "server": "client"}
_MOST_ALERTS = 64
_NO_ROOM = "no-room"  # not the end's problem
_CARRIES = ("data", "early data")  # events of what another protocol may read on
_AT_ONCE = 1 << 16  # bytes that are cut into records at a time: a few bytes are one, and that takes many
_LONG = 1 << 20  # bytes that may have been said before a capture began
_OVERHEAD = 400  # bytes that a record costs beside its own
_NOTHING: tuple[Said, ...] = ()
_new = tuple.__new__  # what a NamedTuple's own constructor comes down to, without the call in between


class Session:
    """What has been agreed, and what both ends have said. `secrets` may learn more while it goes on."""

    def __init__(self, secrets: Lazy) -> None:
        self.directions: dict[Role, Direction] = {}
        self.shake = Handshake()  # the one that goes on, or went on last
        self._first: Handshake | None = None  # where that is another
        self.opening = Opening(secrets)
        self.alerts: list[AlertSaid] = []
        self.later = False  # neither hello was captured: it was joined where it had begun
        self._verified: bool | None = None  # both Finished of the first handshake, where there was another
        self._told: Reason | None = None  # why something is closed
        self.early: Early | None = None  # what the client sends before it has heard the server, where it has said so

    @property
    def first(self) -> Handshake:
        """The handshake that the connection began with: a renegotiation changes nothing of what is told of it."""
        return self._first or self.shake

    @property
    def lines(self) -> tuple[DerivationLine, ...]:
        """The worked example of the keys, as far as they are known."""
        return self.opening.lines

    @property
    def locked(self) -> Reason | None:
        """Why something could not be opened."""
        return self.opening.locked

    @property
    def told_why(self) -> bool:
        """Whether it has been told why what can't be opened stays closed."""
        return self.locked is not None and self.locked == self._told

    def skim(self) -> Skimming | None:
        """Returns how records are passed by from here on, None while they can't be."""
        return begin(self)

    # Reading.

    def begins(self, role: Role, seq: int, relative: int) -> None:
        self.directions[role] = Direction(role, seq, relative)

    @property
    def incomplete(self) -> bool:
        """Whether bytes are missing: lost and never sent again, or not captured."""
        return any(way.holed or way.stream.held or way.stream.dropped for way in self.directions.values())

    @property
    def one_sided(self) -> bool:
        """Whether nothing at all of one end was captured."""
        return len([way for way in self.directions.values() if way.stream.expected]) < 2

    @property
    def damaged(self) -> bool:
        """Whether an end has sent what is no record: behind it nothing is read."""
        return any(way.problem for way in self.directions.values())

    @property
    def refuted(self) -> bool:
        """Whether no direction has ever said anything that is TLS, and one has said what is not."""
        spoilt = False
        for way in self.directions.values():
            if way.records.offset:
                return False
            spoilt = spoilt or way.problem not in ("", _NO_ROOM)
        return spoilt

    def sent(self, role: Role, seq: int, relative: int, data: bytes, number: int, at: int) -> Sequence[Said]:
        """Takes in a segment's payload (`seq` raw, at `at` of frame `number`) and returns what is now wholly said."""
        way = self.directions.get(role)
        if way is None:
            way = self.directions[role] = Direction(role, seq, relative)
        if way.records.wanted > len(data) and way.stream.goes_on(seq, data, number, at):  # the middle of a record
            way.records.go_on(data)
            return _NOTHING
        if not way.stream.expected and not way.holed:
            self._joins(way, data)
        fresh = way.stream.add(seq, data, number, at)
        said = self._read(way, fresh, number) if fresh else []
        return [*said, *self._pass_over(way)] if way.stream.lacking else said

    def _joins(self, way: Direction, data: bytes) -> None:
        """Looks for the first record of a direction whose beginning was not captured, nor either hello."""
        shake = self.shake
        unheard = shake.client_hello is None and shake.server_hello is None
        if unheard and (self.later or goes_on(data)) and looks_like_tls(data, way.role) is False:
            way.holed = way.unsure = way.records.lost = self.later = True
            way.gone = _LONG

    def missed(self, role: Role, seq: int, relative: int, size: int) -> list[Said]:
        """Goes on behind bytes that were not captured, and returns what is said by that, and by what stood behind."""
        way = self.directions.get(role)
        if way is None:
            way = self.directions[role] = Direction(role, seq, relative)
        way.stream.lack(seq, size)
        return self._pass_over(way)

    def unseen(self, role: Role) -> None:
        """An end has sent what was not captured: nobody knows all of the handshake."""
        self.shake.unheard = True
        if role in self.directions:
            self.directions[role].holed = True
        self._undecided(role)

    def _pass_over(self, way: Direction) -> list[Said]:
        said: list[Said] = []
        while size := way.stream.lacking:
            way.holed = True
            self._undecided(way.role)
            fresh = way.stream.pass_over()
            if way.problem:
                continue
            self._tell(way, way.records.lose(size), None, said)
            if way.records.lost:
                said += self._lose(way, size)
            if fresh:
                said += self._read(way, fresh, None)
        return said

    def _undecided(self, role: Role) -> None:
        """What the server has said of early data may not have been captured, nor where that ends."""
        if role == "server" and self.early is not None and not self.early.decided:
            self.early.decide(None, self.shake, self.opening)
            self.early.over()

    def _lose(self, way: Direction, size: int) -> list[Said]:
        """Nobody knows what was said in bytes that are missing between two records, nor where both ends stand now."""
        end = way.stream.expected
        said = [self._cut(way, each, end) for each in way.handshakes.lose(None)]
        self.shake.unheard = True
        if self.early is not None and way.role == "client":
            self.early.lost()
        self.opening.skip(way, size)
        way.unsure = True
        way.gone += size
        return [*said, Said("", UNKNOWN, way.base + way.records.offset, (), b"", None, False)]

    def _read(self, way: Direction, fresh: bytes, number: int | None) -> list[Said]:
        """Reads the bytes that have become contiguous; the last came with packet `number`, where that is known."""
        if way.problem:
            return []
        if way.records.lost:
            fresh = way.records.find(fresh, way.stream.begins(way.stream.expected - len(fresh), way.stream.expected))
        said: list[Said] = []
        for at in range(0, len(fresh), _AT_ONCE):
            self._tell(way, way.records.feed(fresh[at : at + _AT_ONCE]), number, said)
        if way.records.lost:
            way.untold = []
        if way.records.problem:
            way.problem = way.records.problem
        if not way.handshakes.holds:
            way.carriers.clear()
            way.stream.forget(way.records.offset)
        return said

    def _tell(self, way: Direction, records: list[Record], number: int | None, said: list[Said]) -> None:
        """Adds to `said` what is said by records."""
        for record in records:
            way.last_opened = None
            places = way.record_places = way.stream.spans(record.start, record.end)
            told = self._record(way, record, (places[-1].number if places else 0) if number is None else number)
            placed = record, places, way.last_opened
            if not told:
                way.keep_untold(placed)
                continue
            told[0] = told[0].in_records((*way.untold, placed))
            if way.untold:
                way.untold = []
            if len(said) < MOST_TOLD:
                said += told
                continue
            for each in told:
                tell(said, each, whole=each.awaits is not None or (bool(each.raw) and each.event in _CARRIES))

    @property
    def held(self) -> int:
        """The bytes of memory that it keeps to read on, roughly."""
        ways = self.directions.values()
        pending = sum(way.stream.kept + len(way.records.pending) + len(way.handshakes.pending) for way in ways)
        untold = sum(
            len(record.fragment) + len(opened.plaintext if opened else b"") + _OVERHEAD
            for way in ways
            for record, _, opened in way.untold
        )
        untold += self.early.held if self.early is not None else 0
        return pending + untold + len(self.shake.transcript)

    def let_go(self) -> None:
        """Keeps nothing more: there is no room. What both ends say from here on is not read."""
        for way in self.directions.values():
            way.problem = way.problem or _NO_ROOM
            way.stream, way.records, way.handshakes = Stream(0), Records(way.role), Handshakes()
            way.untold = []
        self.early = None
        self.shake.transcript, self.shake.exchanged, self.shake.unheard = bytearray(), 0, True

    def _record(self, way: Direction, record: Record, number: int) -> list[Said]:
        kind, content, opened = record.type, record.fragment, False
        if kind == codes.SSL2:
            self.shake.client_hello = ssl2_hello(content)
            return [self._said(way, record, "ClientHello", "ClientHello", content, self.shake.client_hello)]
        if kind == codes.CHANGE_CIPHER_SPEC:
            return [self._change(way, record)]
        if self.early is not None and way.role == "client" and self.early.takes(record):
            return self._early(way, record, number, self.early)
        if way.unsure or way.changed:
            self._infer(way, record)
        # TLS 1.3: from an end that had no keys yet (RFC 9846 section 5).
        clear = self.shake.version == TLS13 and kind == codes.ALERT
        if (way.encrypted and not clear) or (kind == codes.APPLICATION_DATA and not way.encrypted):
            found = self.opening.open(way, record, self.shake)
            if found is None:
                return [self._closed(way, record)]
            kind, content = found
            opened = True
        return self._content(way, record, number, kind, content, opened)

    def _early(self, way: Direction, record: Record, number: int, early: Early) -> list[Said]:
        """What may be early data, or is what comes behind it."""
        found = early.open(way, record, self.shake, self.opening)
        if found is None:
            return [self._closed(way, record)] if not early.going else [self._skipped(way, record, None)]
        if isinstance(found, Reason | Awaited):
            return [self._skipped(way, record, found)]
        way.last_opened = found
        told = self._content(way, record, number, found.content_type, found.plaintext, True)
        return [each._replace(event="early data") if early.going and each.event == "data" else each for each in told]

    def _skipped(self, way: Direction, record: Record, why: Reason | Awaited | None) -> Said:
        """Early data that stays closed, or does until the server has said what becomes of it."""
        said = self._said(way, record, "encrypted", "early data", b"", None, True, True)
        if isinstance(why, Awaited):
            return said._replace(why=EARLY_UNDECIDED, awaits=why)
        return said._replace(why=why)

    def _content(
        self, way: Direction, record: Record, number: int, kind: int, content: bytes, opened: bool
    ) -> list[Said]:
        """What a record says, in the clear or opened."""
        if kind == codes.HANDSHAKE:
            name = f"{number}:{record.start}" if opened else "stream"
            if opened:
                way.carriers[name] = (record.start, record.end, number)
            return self._handshakes(way, record, content, opened, name)
        if kind == codes.ALERT and record.gaps:
            return [self._said(way, record, "alert", UNKNOWN, b"", None)._replace(cut=True)]
        if kind == codes.ALERT:
            return [self._alert(way, record, content, opened)]
        name, event = ("application-data", "data") if kind == codes.APPLICATION_DATA else ("heartbeat", "")
        return [self._said(way, record, name, event, content, None, opened)]

    def _handshakes(self, way: Direction, record: Record, content: bytes, opened: bool, name: str) -> list[Said]:
        """Reads on in handshake messages, and goes on behind what was not captured of a record."""
        said: list[Said] = []
        at, start = 0, 0 if opened else record.body
        if not record.gaps and not way.handshakes.lost:  # the usual case
            found = way.handshakes.feed(content, _new(Piece, (name, start, start + len(content))))
            return [self._handshake(way, record, each.raw, each.pieces, opened) for each in found]
        if way.handshakes.lost and (not record.gaps or record.gaps[0][0] >= _MESSAGE_HEADER):
            way.handshakes.find(content)
        lost = way.handshakes.lost
        for low, high in (*record.gaps, (len(content), len(content))):
            if low > at and not way.handshakes.lost:
                for each in way.handshakes.feed(content[at:low], Piece(name, start + at, start + low)):
                    said.append(self._handshake(way, record, each.raw, each.pieces, opened))
            if high > low:
                said += [self._cut(way, each, record.end) for each in way.handshakes.lose(high - low)]
            at = high
        if way.handshakes.lost and not lost:  # what else is in the record nobody knows
            self.shake.unheard = True
            said.append(Said("", UNKNOWN, way.base + record.end, (), b"", None, False))
        return said

    def _cut(self, way: Direction, message: HandshakeMessage, end: int) -> Said:
        """Returns a handshake message of which only the beginning was captured: its header tells what it is."""
        kind, raw = message.type, message.raw
        name = event = codes.MESSAGES.get(kind, "handshake")
        self.shake.unheard = True
        self.shake.take_cut(raw)
        if kind == codes.CLIENT_HELLO:
            self.opening.begin()
        elif kind == codes.SERVER_HELLO:
            version = self.shake.version
            event = UNKNOWN if version is None else f"{name} ({'1.3' if version == TLS13 else '1.2'})"
            if self.shake.retried(raw):
                name = event = "HelloRetryRequest"
            elif version == TLS13:
                for each in self.directions.values():
                    each.protect()
        return Said(name, event, way.base + end, way.places(message.pieces), raw, None, False, cut=True)

    # What is said.

    def _infer(self, way: Direction, record: Record) -> None:
        """Finds out the version, and whether an end has changed its keys, where that was not captured."""
        plain = self.shake.hello_retry or way.handshakes.holds  # TLS 1.3 encrypts no such record; a message goes on
        if record.type == codes.HANDSHAKE and not way.encrypted and plain:
            return
        known = way.encrypted and self.shake.version is not None
        if known or self.shake.version == TLS13 or not changed(record, way.changed):
            return
        data = record.type == codes.APPLICATION_DATA
        if self.shake.version is None and codes.SSL_3 <= record.version <= codes.TLS_1_2:
            offers = getattr(self.shake.client_hello, "supported_versions", ())
            if not data or record.version < codes.TLS_1_2:  # a type of its own is encrypted up to TLS 1.2 only
                self.shake.version = record.version
            elif way.changed and TLS13 in offers and not self.shake.early_data:
                self.shake.version = TLS13  # up to TLS 1.2 a Finished comes first
        if not way.encrypted:
            if way.changed and self.shake.version not in (None, TLS13):
                self.shake.change(self._all_of_client)
            self.opening.change(way)
        way.finished = way.finished or (self.shake.version != TLS13 and record.type != codes.HANDSHAKE)

    @property
    def _all_of_client(self) -> bool:
        """Whether nothing is missing of what the client has said."""
        client = self.directions.get("client")
        return client is not None and not client.holed and self.shake.client_hello is not None

    def _change(self, way: Direction, record: Record) -> Said:
        """ChangeCipherSpec: up to TLS 1.2 what follows is encrypted; in TLS 1.3 it means nothing (RFC 9846 E.4)."""
        way.changed = True
        meant = self.shake.version is not None and self.shake.version != TLS13
        if meant:
            way.protect()
            self.shake.change(self._all_of_client)
        return self._said(way, record, "ChangeCipherSpec", "ChangeCipherSpec" if meant else "", record.fragment, None)

    def _closed(self, way: Direction, record: Record) -> Said:
        """What can't be opened, with the reason where that has not been told."""
        if way.protection is None:
            way.passed, way.least = way.passed + 1, way.least + 1
        name, event = sealed(way, record, self.shake, self.directions.get(OTHER[way.role]))
        if self.shake.version == TLS13 or event == "Finished":
            self.shake.unheard = True
        if self.early is not None and way.role == "server":  # whether it takes early data may have stood here
            self.early.decide(None, self.shake, self.opening)
            self._told = self._told or self.early.told
        locked = self.opening.locked
        why, self._told = locked if locked is not self._told and locked != self._told else None, locked
        said = self._said(way, record, name, event, b"", None, True, True)
        return said if why is None else said._replace(why=why)

    def _handshake(self, way: Direction, record: Record, raw: bytes, pieces: tuple[Piece, ...], opened: bool) -> Said:
        kind = raw[0]
        again = opened and kind == codes.CLIENT_HELLO and self._begin_again()
        shake = self.shake
        parsed = shake.read(raw)
        name = event = codes.MESSAGES.get(kind, "handshake")
        before = shake.add(raw)
        if isinstance(parsed, ClientHello):
            event = "ClientHello (again)" if again else event
            if shake.take_client_hello(parsed, raw):
                self.opening.begin()
                self.early = Early() if parsed.early_data else None
            elif self.early is not None:
                self.early.over()
        elif isinstance(parsed, ServerHello):
            name = event = self._server_hello(parsed, before, raw)
            if name == "ServerHello":
                event = f"{name} ({'1.3' if shake.version == TLS13 else '1.2'})"
        elif isinstance(parsed, messages.Finished):
            if way.role == "server" and self.early is not None and self.early.read:
                event = "Finished (0-RTT)"
            self._finished(way, parsed, before)
        elif kind == codes.KEY_UPDATE:
            self.opening.update(way)
        else:
            shake.take(way.role, kind, parsed)
            self._about_early(way, kind, parsed)
        stop, places = way.base + record.end, way.places(pieces)
        return _new(Said, (name, event, stop, places, raw, parsed, opened, False, False, None, (), None))

    def _begin_again(self) -> bool:
        """A ClientHello that was encrypted begins another handshake, up to TLS 1.2 (RFC 5246 section 7.4.1)."""
        before = self.shake
        if before.version in (None, TLS13):
            return False
        if self._first is None:
            self._first, self._verified = before, self.finished_verified
        self._first.transcript, self._first.exchanged = bytearray(), 0
        self.shake = Handshake()
        self.shake.version, self.shake.suite_code = before.version, before.suite_code  # until the server has chosen
        for way in self.directions.values():
            way.finished = False
        return True

    def _about_early(self, way: Direction, kind: int, parsed: object) -> None:
        """Takes in what is said of early data: that the server takes it, or not, and where it ends."""
        if self.early is not None and kind == codes.ENCRYPTED_EXTENSIONS and way.role == "server":
            self.early.decide(getattr(parsed, "early_data", False), self.shake, self.opening)
        elif self.early is not None and kind == codes.END_OF_EARLY_DATA and way.role == "client":
            self.early.over()

    def _server_hello(self, hello: ServerHello, before: int, raw: bytes) -> str:
        self.shake.take_server_hello(hello, before, raw)
        if self.early is not None:
            self.early.hears(hello, self.shake, self.opening)
        if hello.is_hello_retry:
            return "HelloRetryRequest"
        if self.shake.version == TLS13:
            for way in self.directions.values():
                way.protect()
        return "ServerHello"

    def _finished(self, way: Direction, finished: messages.Finished, before: int) -> None:
        if way.finished and self.shake.version == TLS13:
            return  # an authentication after the handshake (RFC 9846 section 4.7.2): the keys stay; it is not checked
        way.finished, way.last_finished = True, finished
        self.opening.finish(way, finished, before, self.shake)

    def _alert(self, way: Direction, record: Record, content: bytes, opened: bool) -> Said:
        alert = messages.alert(content)
        if len(self.alerts) < _MOST_ALERTS and not alert.damaged:
            self.alerts.append(AlertSaid(way.role, alert.level, alert.description))
        if alert.damaged:  # a part of one, or of none
            return self._said(way, record, "alert", "", content, alert, opened)
        closing = alert.description == _CLOSE_NOTIFY
        # RFC 9846 section 6: in TLS 1.3 the level means nothing, every alert but two ends the connection.
        fatal = alert.level == _FATAL or (self.shake.version == TLS13 and alert.description != 90)
        event = "close_notify" if closing else "fatal alert" if fatal else ""
        way.closed = way.closed or closing
        if alert.description == _NO_RENEGOTIATION and not fatal:
            event = "no_renegotiation"
        return self._said(way, record, "close_notify" if closing else "alert", event, content, alert, opened)

    def _said(
        self, way: Direction, record: Record, name: str, event: str, raw: bytes, parsed: object,
        encrypted: bool = False, closed: bool = False,
    ) -> Said:  # fmt: skip
        stop, places = way.base + record.end, way.record_places
        return _new(Said, (name, event, stop, places, raw, parsed, encrypted, closed, False, None, (), None))

    @property
    def finished_verified(self) -> bool | None:
        """Whether both Finished were right; None where one was not sent or nobody could tell."""
        told = [way.verified for way in self.directions.values()]
        if False in told:
            return False
        if self._first is not None:
            return self._verified
        return True if len(told) == 2 and all(told) else None
