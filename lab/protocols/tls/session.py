"""One TLS connection as it is seen from outside: what both ends say, in order, opened where the keys are known.

Fed with each direction's bytes in the order of the stream, it returns what has been said with them. It decides nothing
about states: that is the table's (states.py). What can't be opened is said to be encrypted, with the reason; what is
damaged ends that direction, never the reading.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from lab.model import DerivationLine, Role, Span
from lab.protocols.tcp.stream import Stream
from lab.protocols.tls import codes, messages
from lab.protocols.tls.ciphers import TLS13, Suite, suite
from lab.protocols.tls.hello import ClientHello, ServerHello, Ssl2Hello, ssl2_hello
from lab.protocols.tls.keylog import KeyLog, merge, parse_keylog
from lab.protocols.tls.keys12 import Keys12
from lab.protocols.tls.keys13 import Keys13, retried
from lab.protocols.tls.protection import Opened, Protection
from lab.protocols.tls.reasons import Reason
from lab.protocols.tls.records import MAX_PIECES, Handshakes, Piece, Record, Records
from lab.protocols.tls.rsa import load_server_key
from lab.protocols.tls.secrets import Agreed, Epochs, Flight, unlock12, unlock13

_NAMES = {
    0: "HelloRequest", 1: "ClientHello", 2: "ServerHello", 4: "NewSessionTicket", 5: "EndOfEarlyData",
    8: "EncryptedExtensions", 11: "Certificate", 12: "ServerKeyExchange", 13: "CertificateRequest",
    14: "ServerHelloDone", 15: "CertificateVerify", 16: "ClientKeyExchange", 20: "Finished", 22: "CertificateStatus",
    24: "KeyUpdate", 25: "CompressedCertificate",
}  # fmt: skip
_CLOSE_NOTIFY, _FATAL = 0, 2
_MOST_TRANSCRIPT = 4 << 20  # bytes of a handshake that are kept to verify its Finished
_MOST_PASSED = 64  # records that may have had a direction's keys before these were known
_OVERHEAD = 400  # bytes that a record costs beside its own
_MOST_ALERTS, _MOST_CERTIFICATES = 64, 16
Placed = tuple[Record, tuple[Span, ...]]  # a record, and where it lies


class Said(NamedTuple):
    """One message, told when its last byte is there. `stop` is the relative sequence number behind it.

    `event` is what the table calls it, empty where it moves nobody. `raw` is the message as it was before encryption,
    empty where that is not known; `parsed` what it means, None where nothing more is to be said. `records` are those
    that nothing was told of before, with their places: the last completes the message, `stop` is its end.
    """

    name: str
    event: str
    stop: int
    spans: tuple[Span, ...]
    raw: bytes
    parsed: object
    encrypted: bool
    closed: bool = False  # and could not be opened
    records: tuple[Placed, ...] = ()


class AlertSaid(NamedTuple):
    """An alert in the clear or opened."""

    sender: Role
    level: int
    description: int


class Secrets:
    """What is known to open connections with: a key log that may grow, and the server's private key."""

    def __init__(self) -> None:
        self.keylog: KeyLog | None = None
        self.server_key: PrivateKeyTypes | None = None
        self.refused: Reason | None = None  # why the server's key can't be used
        self.learnt = 0  # how often

    def learn(self, keylog: bytes, server_key: bytes) -> None:
        """Takes in more lines of a key log, or the server's key (PEM)."""
        self.learnt += 1
        if keylog:
            more = parse_keylog(keylog)
            self.keylog = merge([self.keylog, more]) if self.keylog else more
        if server_key:
            key = load_server_key(server_key)
            if isinstance(key, Reason):
                self.refused = key
            else:
                self.server_key = key


class Lazy(Protocol):
    """Whoever has the secrets, and may have more of them each time."""

    @property
    def known(self) -> Secrets: ...


class Direction:
    """One end's side of the connection: its bytes, records, messages, and how they are protected now."""

    def __init__(self, role: Role, first: int, base: int) -> None:
        self.role: Role = role
        self.base = base  # the relative sequence number of the stream's first byte
        self.stream = Stream(first)
        self.records = Records(role)
        self.handshakes = Handshakes()
        self.encrypted = False  # what comes now is
        self.protection: Protection | None = None
        self.keys: Keys13 | None = None
        self.untold: list[Placed] = []  # of which no message has been told
        self.passed = 0  # encrypted records that came before their keys were known
        self.tried = -1  # how much was known when its keys were looked for
        self.finished = False  # has sent its Finished
        self.last_finished: object = None
        self.verified: bool | None = None  # whether that was right; None where nobody could tell
        self.problem = ""
        self.carriers: dict[str, tuple[int, int, int]] = {}  # a plaintext's name -> its record in the stream, its frame

    def protect(self) -> None:
        """What comes from now on is encrypted, with keys to be looked for."""
        self.encrypted, self.protection, self.tried, self.passed = True, None, -1, 0


class Session:
    """What has been agreed, and what both ends have said. `secrets` may learn more while it goes on."""

    def __init__(self, secrets: Lazy) -> None:
        self.directions: dict[Role, Direction] = {}
        self.client_hello: ClientHello | Ssl2Hello | None = None
        self.server_hello: ServerHello | None = None
        self.version: int | None = None  # with the next two, the ServerHello's
        self.suite_code: int | None = None
        self.suite: Suite | None = None
        self.hello_retry = False
        self.resumed = False
        self._unlocked = -1  # how much was known when TLS 1.3's keys were looked for
        self._full = False  # up to TLS 1.2: the server has asked for a key exchange
        self.alpn: str | None = None
        self.group: int | None = None
        self.certificates: list[bytes] = []  # the server's chain, DER
        self.client_certificate = False
        self.alerts: list[AlertSaid] = []
        self.encrypted_premaster: bytes | None = None
        self.keys12: Keys12 | None = None
        self.epochs: Epochs | None = None
        self.locked: Reason | None = None  # why something could not be opened
        self.opened = False  # something was
        self._source = secrets
        self._transcript = bytearray()
        self._unheard = False  # some of the handshake could not be opened: what its Finished must say is not known
        self._until_exchange = b""  # the messages up to ClientKeyExchange, empty where there was none

    @property
    def lines(self) -> tuple[DerivationLine, ...]:
        """The worked example of the keys, as far as they are known."""
        if self.keys12 is not None:
            return self.keys12.lines
        return self.epochs.lines if self.epochs is not None else ()

    @property
    def _secrets(self) -> Secrets:
        return self._source.known

    # Reading.

    def begins(self, role: Role, seq: int, relative: int) -> None:
        self.directions[role] = Direction(role, seq, relative)

    @property
    def incomplete(self) -> bool:
        """Whether bytes are missing: lost and never sent again, or not captured. Behind them nothing is read."""
        return any(way.stream.held or way.stream.dropped for way in self.directions.values())

    @property
    def damaged(self) -> bool:
        """Whether an end has sent what is no record: behind it nothing is read."""
        return any(way.problem for way in self.directions.values())

    @property
    def refuted(self) -> bool:
        """Whether no direction has ever said anything that is TLS, and one has said what is not."""
        ways = self.directions.values()
        return any(way.problem for way in ways) and not any(way.records.offset for way in ways)

    def sent(self, role: Role, seq: int, relative: int, data: bytes, number: int, at: int) -> list[Said]:
        """Takes in a segment's payload (`seq` raw, at `at` of frame `number`) and returns what is now wholly said."""
        way = self.directions.get(role)
        if way is None:
            way = self.directions[role] = Direction(role, seq, relative)
        fresh = way.stream.add(seq, data, number, at)
        if way.problem or not fresh:
            return []
        said: list[Said] = []
        for record in way.records.feed(fresh):
            told = self._record(way, record, number)
            way.untold.append((record, way.stream.spans(record.start, record.end)))
            if told:
                told[0], way.untold = told[0]._replace(records=tuple(way.untold)), []
            elif len(way.untold) > MAX_PIECES:
                del way.untold[: MAX_PIECES // 2]
            said += (
                [each._replace(event="") if self._astray(each) else each for each in told] if self._unheard else told
            )
        if way.records.problem:
            way.problem = way.records.problem
        if not way.handshakes.holds:
            way.carriers.clear()
            way.stream.forget(way.records.offset)
        return said

    @property
    def held(self) -> int:
        """The bytes of memory that it keeps to read on, roughly."""
        ways = self.directions.values()
        pending = sum(way.stream.kept + len(way.records.pending) + len(way.handshakes.pending) for way in ways)
        untold = sum(len(record.fragment) + _OVERHEAD for way in ways for record, _ in way.untold)
        return pending + untold + len(self._transcript) + len(self._until_exchange)

    def let_go(self) -> None:
        """Keeps nothing more: there is no room. What both ends say from here on is not read."""
        for way in self.directions.values():
            way.problem = way.problem or "no-room"
            way.stream, way.records, way.handshakes = Stream(0), Records(way.role), Handshakes()
            way.untold = []
        self._transcript, self._until_exchange, self._unheard = bytearray(), b"", True

    def _astray(self, said: Said) -> bool:
        """Whether a message of TLS 1.3 moves nobody: where the ends stand before it could not be read."""
        return self.version == TLS13 and bool(said.event) and said.name not in ("alert", "close_notify")

    def _record(self, way: Direction, record: Record, number: int) -> list[Said]:
        if record.type == codes.SSL2:
            self.client_hello = ssl2_hello(record.fragment)
            return [self._said(way, record, "ClientHello", "ClientHello", record.fragment, self.client_hello)]
        if record.type == codes.CHANGE_CIPHER_SPEC:
            return [self._change(way, record)]
        kind, content, opened = record.type, record.fragment, False
        clear = self.version == TLS13 and kind == codes.ALERT  # from an end that had no keys yet (RFC 8446 section 5)
        if (way.encrypted and not clear) or (kind == codes.APPLICATION_DATA and not way.encrypted):
            found = self._open(way, record)
            if found is None:
                return [self._closed(way, record)]
            kind, content = found
            opened = True
        if kind == codes.HANDSHAKE:
            name = f"{number}:{record.start}" if opened else "stream"
            if opened:
                way.carriers[name] = (record.start, record.end, number)
            start = 0 if opened else record.body
            told = way.handshakes.feed(content, Piece(name, start, start + len(content)))
            return [self._handshake(way, record, each.raw, each.pieces, opened) for each in told]
        if kind == codes.ALERT:
            return [self._alert(way, record, content, opened)]
        name, event = ("application-data", "data") if kind == codes.APPLICATION_DATA else ("heartbeat", "")
        return [self._said(way, record, name, event, content, None, opened)]

    def _open(self, way: Direction, record: Record) -> tuple[int, bytes] | None:
        if way.protection is None:
            self._unlock(way)
        if way.protection is None:
            return None
        opened = way.protection.open(record.type, record.version, record.fragment)
        failed = way.protection.failed
        if opened is None and way.passed:
            opened = self._open_late(way, record)
        if opened is None:
            self.locked = self.locked or failed
            return None
        self.opened = self.opened or opened.sequence is not None
        return opened.content_type, opened.plaintext

    def _open_late(self, way: Direction, record: Record) -> Opened | None:
        """Opens a record with keys that were learnt late: how many before it had the same keys, nobody has told."""
        candidates: list[tuple[bool, Keys13 | None, Protection]] = []
        if self.keys12 is not None:
            candidates.append((way.finished, None, self.keys12.protection(way.role)))
        elif self.epochs is not None:
            for finished in (True, False):
                keys = self.epochs.of(way.role, finished)
                if keys is not None:
                    candidates.append((finished, keys, keys.protection()))
        for finished, keys, protection in candidates:
            fewest = way.passed if keys is None else max(way.passed - _MOST_PASSED, 0)
            for number in range(way.passed, fewest - 1, -1):
                protection.sequence, protection.failed = number, None
                opened = protection.open(record.type, record.version, record.fragment)
                if opened is not None:
                    way.finished, way.keys, way.protection, way.passed = finished, keys, protection, 0
                    self.locked = None
                    return opened
        way.protection = None  # more may be learnt
        return None

    def _unlock(self, way: Direction) -> None:
        """Looks for the keys of what a direction sends from now on, once for each thing that is learnt."""
        learnt = self._secrets.learnt
        if way.tried == learnt:
            return
        way.tried = learnt
        if self.version == TLS13:
            self._unlock13(way)
            return
        if self.keys12 is None and self._agreed():
            flight = Flight(self._until_exchange, self.encrypted_premaster, next(iter(self.certificates), None))
            keys = unlock12(self._agreed_surely(), flight, self._secrets.server_key, self._secrets.keylog)
            if isinstance(keys, Reason):
                self.locked = self._secrets.refused or keys
            else:
                self.keys12 = keys
        if self.keys12 is not None:
            way.protection = self.keys12.protection(way.role)

    def _unlock13(self, way: Direction) -> None:
        learnt, found = self._secrets.learnt, None
        if self._agreed() and self._unlocked != learnt:  # the other direction may have been here
            self._unlocked = learnt
            found = unlock13(self._agreed_surely(), self._secrets.server_key, self._secrets.keylog)
        if isinstance(found, Reason):
            self.locked = self._secrets.refused or found
        elif found is not None:
            old = self.epochs or found  # a log that grows has the later secrets later
            self.epochs = Epochs(
                old.client_early or found.client_early,
                old.client_handshake or found.client_handshake,
                old.server_handshake or found.server_handshake,
                old.client_application or found.client_application,
                old.server_application or found.server_application,
                found.missing,
            )
        if self.epochs is None:
            return
        keys = self.epochs.of(way.role, way.finished)
        self._use(way, keys)
        way.tried = self._secrets.learnt
        self.locked = (self.locked or self.epochs.missing) if keys is None else None

    def _use(self, way: Direction, keys: Keys13 | None) -> None:
        way.keys = keys
        way.protection = keys.protection() if keys is not None else None
        way.tried = self._secrets.learnt if keys is not None else -1

    def _agreed(self) -> bool:
        return self.server_hello is not None and self.client_hello is not None and self.suite is not None

    def _agreed_surely(self) -> Agreed:
        assert self.client_hello
        assert self.server_hello
        assert self.suite
        server = self.server_hello
        return Agreed(
            self.suite, server.selected_version, self.client_hello.version, self.client_hello.random, server.random,
            server.extended_master_secret, server.encrypt_then_mac,
        )  # fmt: skip

    # What is said.

    def _change(self, way: Direction, record: Record) -> Said:
        """ChangeCipherSpec: up to TLS 1.2 what follows is encrypted; in TLS 1.3 it means nothing (RFC 8446 D.4)."""
        meant = self.version is not None and self.version != TLS13
        if meant:
            way.protect()
            self.resumed = self.resumed or (way.role == "server" and not self._full)
        return self._said(way, record, "ChangeCipherSpec", "ChangeCipherSpec" if meant else "", record.fragment, None)

    def _closed(self, way: Direction, record: Record) -> Said:
        """What can't be opened. Up to TLS 1.2 the record's type still shows, so the first handshake record is known."""
        name, event = "encrypted", ""
        way.passed += way.protection is None
        if self.version == TLS13 or self.version is None:
            self._unheard = self._unheard or not way.finished
        elif record.type == codes.HANDSHAKE:
            if not way.finished:
                name = event = "Finished"
            way.finished = self._unheard = True
        elif record.type == codes.ALERT:
            name = "alert"
        else:
            name, event = "application-data", "data"
        return self._said(way, record, name, event, b"", None, True, True)

    def _handshake(self, way: Direction, record: Record, raw: bytes, pieces: tuple[Piece, ...], opened: bool) -> Said:
        kind = raw[0]
        parsed = messages.read(raw, self.version, self.suite_code)
        name = _NAMES.get(kind, "handshake")
        before = len(self._transcript)
        if kind != codes.HELLO_REQUEST and before < _MOST_TRANSCRIPT:
            self._transcript += raw
        event = name
        if isinstance(parsed, ClientHello):
            self._client_hello(parsed, raw)
        elif isinstance(parsed, ServerHello):
            name = self._server_hello(parsed, before, raw)
            event = f"{name} ({'1.3' if self.version == TLS13 else '1.2'})" if name == "ServerHello" else name
        elif isinstance(parsed, messages.Certificate):
            if way.role == "server":
                self.certificates = list(parsed.chain[:_MOST_CERTIFICATES])
            else:
                self.client_certificate = bool(parsed.chain)
        elif isinstance(parsed, messages.ServerKeyExchange):
            self.group = parsed.group
        elif kind == codes.SERVER_HELLO_DONE:
            self._full = True
        elif isinstance(parsed, messages.ClientKeyExchange):
            self.encrypted_premaster = parsed.encrypted
            self._until_exchange = bytes(self._transcript)
        elif kind == codes.ENCRYPTED_EXTENSIONS:
            self.alpn = next(iter(getattr(parsed, "alpn", ())), None)
        elif isinstance(parsed, messages.Finished):
            self._finished(way, parsed, before)
        elif kind == codes.KEY_UPDATE and way.keys is not None:
            self._use(way, way.keys.update())
        spans = self._places(way, pieces)
        return Said(name, event, way.base + record.end, spans, raw, parsed, opened)

    def _client_hello(self, hello: ClientHello, raw: bytes) -> None:
        again = self.hello_retry and self.server_hello is None
        self.client_hello = hello
        if not again:
            self._transcript = bytearray(raw)
            self._until_exchange, self.keys12, self.epochs, self.encrypted_premaster = b"", None, None, None
            self._full = self._unheard = False
            self._unlocked = -1

    def _server_hello(self, hello: ServerHello, before: int, raw: bytes) -> str:
        if hello.is_hello_retry:
            self.hello_retry = True
            chosen = suite(hello.suite, codes.name(codes.SUITES, hello.suite))
            if chosen is not None:
                self._transcript = bytearray(retried(chosen, bytes(self._transcript[:before])) + raw)
            return "HelloRetryRequest"
        self.server_hello, self.version, self.suite_code = hello, hello.selected_version, hello.suite
        self.suite = suite(hello.suite, codes.name(codes.SUITES, hello.suite))
        self.alpn = next(iter(hello.alpn), None)
        if hello.selected_version == TLS13:
            self.group = hello.key_share.group if hello.key_share else None
            self.resumed = hello.selected_psk is not None
            for role in ("client", "server"):
                way = self.directions.get(role)
                if way is not None:
                    way.protect()
        return "ServerHello"

    def _finished(self, way: Direction, finished: messages.Finished, before: int) -> None:
        if way.finished and self.version == TLS13:
            return  # an authentication after the handshake (RFC 8446 section 4.6.2): the keys stay; it is not checked
        way.finished, way.last_finished = True, finished
        wrong: Reason | None = None
        heard = bytes(self._transcript[:before])
        if self.version == TLS13:
            if way.keys is not None and not self._unheard:
                wrong = way.keys.check_finished(heard, finished.verify_data)
                way.verified = wrong is None
            if self.epochs is not None:
                self._use(way, self.epochs.of(way.role, True))
        elif self.keys12 is not None and not self._unheard:
            wrong = self.keys12.check_finished(way.role, heard, finished.verify_data)
            way.verified = wrong is None
        self.locked = self.locked or wrong

    def _alert(self, way: Direction, record: Record, content: bytes, opened: bool) -> Said:
        alert = messages.alert(content)
        if len(self.alerts) < _MOST_ALERTS and not alert.damaged:
            self.alerts.append(AlertSaid(way.role, alert.level, alert.description))
        closing = alert.description == _CLOSE_NOTIFY
        # RFC 8446 section 6: in TLS 1.3 the level means nothing, every alert but two ends the connection.
        fatal = alert.level == _FATAL or (self.version == TLS13 and alert.description != 90)
        event = "close_notify" if closing else "fatal alert" if fatal else ""
        return self._said(way, record, "close_notify" if closing else "alert", event, content, alert, opened)

    def _said(
        self, way: Direction, record: Record, name: str, event: str, raw: bytes, parsed: object,
        encrypted: bool = False, closed: bool = False,
    ) -> Said:  # fmt: skip
        spans = way.stream.spans(record.start, record.end)
        return Said(name, event, way.base + record.end, spans, raw, parsed, encrypted, closed)

    def _places(self, way: Direction, pieces: tuple[Piece, ...]) -> tuple[Span, ...]:
        """Returns where a handshake message lies: in frames, and where it was encrypted, in the plaintext too."""
        spans: list[Span] = []
        for piece in pieces:
            if piece.buffer == "stream":
                spans += way.stream.spans(piece.start, piece.end)
            elif piece.buffer in way.carriers:
                start, end, number = way.carriers[piece.buffer]
                spans += way.stream.spans(start, end)
                spans.append(Span("plain", number, piece.start, piece.end))
        return tuple(spans)

    @property
    def finished_verified(self) -> bool | None:
        """Whether both Finished were right; None where one was not sent or nobody could tell."""
        told = [way.verified for way in self.directions.values()]
        if False in told:
            return False
        return True if len(told) == 2 and all(told) else None
