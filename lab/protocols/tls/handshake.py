"""What one handshake has agreed, as far as its messages were read: what its keys come from and its report tells."""

from __future__ import annotations

from lab.model import Role
from lab.protocols.tls import codes, messages
from lab.protocols.tls.ciphers import Suite, suite
from lab.protocols.tls.compressed import opened
from lab.protocols.tls.exchange import of_client, of_server
from lab.protocols.tls.hello import RETRY_RANDOM, ClientHello, ServerHello, Ssl2Hello
from lab.protocols.tls.suites import KeyExchange, key_exchange

_MOST_TRANSCRIPT = 4 << 20  # bytes of a handshake that are kept to verify its Finished
_MOST_CERTIFICATES = 16
_MOST_CHECKED = 16  # Finished of one handshake
_APART = {codes.HELLO_REQUEST}  # messages of which no Finished tells
_APART_13 = {codes.NEW_SESSION_TICKET, codes.KEY_UPDATE}  # they may come before the client's Finished has
_HEADER, _RANDOM = 4, 32  # bytes
_SUITES_13 = 0x13


class Handshake:
    """The messages of one handshake, in the order in which they were said."""

    def __init__(self) -> None:
        self.client_hello: ClientHello | Ssl2Hello | None = None
        self.server_hello: ServerHello | None = None
        self.version: int | None = None  # with the next two, the ServerHello's
        self.suite_code: int | None = None
        self.suite: Suite | None = None
        self.shown: KeyExchange | None = None  # how the secret comes about, where no suite says it
        self.signed = False  # a ServerKeyExchange has come
        self.cut = set[Role]()  # whose hello was captured in part only
        self.hello_retry = False
        self.early_rejected = False
        self.resumed = False
        self.full = False  # up to TLS 1.2: a key exchange was asked for, or done
        self.server_first: bool | None = None  # up to TLS 1.2: whether the server changed its keys first
        self.by_length = False  # TLS 1.3: the client's Finished was told by its place and length
        self.alpn: str | None = None
        self.group: int | None = None
        self.certificates: list[bytes] = []  # the server's chain, DER
        self.client_certificate = False
        self.encrypted_premaster: bytes | None = None
        self.ticket: bytes | None = None  # up to TLS 1.2, which the server has given
        self.exchanged = 0  # bytes of the transcript up to ClientKeyExchange, 0 where there was none
        self.transcript = bytearray()
        self.checked = 0  # Finished that were held against it
        self.unheard = False  # some of it could not be opened: what its Finished must say is not known

    def add(self, raw: bytes) -> int:
        """Takes a message into the transcript, as long as there is room, and returns how long that was before."""
        before = len(self.transcript)
        apart = _APART_13 if self.version == codes.TLS_1_3 else _APART
        if raw[0] not in apart and before < _MOST_TRANSCRIPT:
            self.transcript += raw
        elif raw[0] not in apart:
            self.unheard = True
        return before

    def heard(self, before: int) -> bytes | None:
        """Returns the messages that a Finished must fit, as many bytes as there were `before` it.

        None where not all is known, or where that was asked too often: a handshake has two of them.
        """
        if self.unheard or self.checked == _MOST_CHECKED:
            return None
        self.checked += 1
        return bytes(memoryview(self.transcript)[:before])

    @property
    def until_exchange(self) -> bytes:
        """The messages up to ClientKeyExchange, empty where there was none."""
        return bytes(memoryview(self.transcript)[: self.exchanged])

    @property
    def exchange(self) -> KeyExchange | None:
        """How the secret comes about up to TLS 1.2, None where nobody knows."""
        found = self.shown if self.suite_code is None else key_exchange(self.suite_code)
        return None if found == "other" else found

    def read(self, raw: bytes) -> messages.Parsed | None:
        """Returns what a message means by what has been agreed, or by its own shape where that was not captured."""
        kind, version = raw[0], self.version or codes.TLS_1_2
        if kind in (codes.SERVER_KEY_EXCHANGE, codes.CLIENT_KEY_EXCHANGE):
            self._look(raw)
            if self.suite_code is None:
                by_shape = (
                    messages.client_key_exchange if kind == codes.CLIENT_KEY_EXCHANGE else messages.server_key_exchange
                )
                return by_shape(raw, version, 0, self.shown)
        return messages.read(raw, version, self.suite_code)

    def _look(self, raw: bytes) -> None:
        """Takes in what a message, or its beginning, shows of the key exchange by its shape."""
        if raw[0] == codes.SERVER_KEY_EXCHANGE:
            self.shown, self.signed = of_server(raw), True
        elif raw[0] == codes.CLIENT_KEY_EXCHANGE:
            self.shown = of_client(raw, self.client_hello, self.signed) or self.shown

    def take_client_hello(self, hello: ClientHello, raw: bytes) -> bool:
        """Takes in a ClientHello and returns whether a handshake begins with it: not with the answer to a retry."""
        again = self.hello_retry and self.server_hello is None
        self.client_hello = hello
        if not again:
            self.transcript = bytearray(raw)
            self.exchanged, self.encrypted_premaster = 0, None
            self.full = self.unheard = self.by_length = False
            self.server_first = self.shown = None
            self.signed, self.checked = False, 0
        return not again

    def take_server_hello(self, hello: ServerHello, before: int, raw: bytes) -> None:
        """Takes in a ServerHello, or the HelloRetryRequest that it is; `before` is what `add` has returned."""
        chosen = suite(hello.suite, codes.name(codes.SUITES, hello.suite))
        if hello.is_hello_retry:
            self.hello_retry = True
            self.unheard = self.unheard or self.client_hello is None  # the hello that it answers was not captured whole
            if chosen is not None:
                from lab.protocols.tls.keys13 import retried  # seldom asked for

                self.transcript = bytearray(retried(chosen, bytes(self.transcript[:before])) + raw)
            return
        self.server_hello, self.version, self.suite_code = hello, hello.selected_version, hello.suite
        self.suite = chosen
        self.alpn = next(iter(hello.alpn), None)
        if self.version == codes.TLS_1_3:
            self.group = hello.key_share.group if hello.key_share else None
            self.resumed = hello.selected_psk is not None

    @property
    def by_ticket(self) -> bool:
        """Whether a resumed session surely is one: of TLS 1.3 a key may be agreed elsewhere, and then has no age."""
        if self.version != codes.TLS_1_3:
            return self.resumed
        chosen = self.server_hello.selected_psk if isinstance(self.server_hello, ServerHello) else None
        ages = self.client_hello.psk_ages if isinstance(self.client_hello, ClientHello) else ()
        return chosen is not None and chosen < len(ages) and ages[chosen] > 0

    @property
    def may_be_hidden(self) -> bool:
        """Whether another ClientHello than the one that can be read may count: one inside it (RFC 9849)."""
        hello = self.client_hello
        return self.version == codes.TLS_1_3 and isinstance(hello, ClientHello) and hello.encrypted_client_hello

    def take_cut(self, raw: bytes) -> None:
        """Takes in the beginning of a message the rest of which was not captured: only what surely stands there."""
        self.full = self.full or raw[0] in (codes.SERVER_HELLO_DONE, codes.CLIENT_KEY_EXCHANGE)
        parsed = self.read(raw)
        if isinstance(parsed, ClientHello):
            self.cut.add("client")
        elif isinstance(parsed, ServerHello) and not self.retried(raw):
            self.cut.add("server")
        if isinstance(parsed, ClientHello) and len(parsed.random) == _RANDOM:
            self.take_client_hello(parsed, raw)
            self.unheard = True
        elif isinstance(parsed, ServerHello) and not parsed.is_hello_retry and len(raw) >= self._suite_ends(raw):
            self.suite_code, self.suite = parsed.suite, suite(parsed.suite, codes.name(codes.SUITES, parsed.suite))
            # Which version it is stands behind the suite; but a suite of TLS 1.3 is of no other.
            is13 = parsed.selected_version == codes.TLS_1_3 or parsed.suite >> 8 == _SUITES_13
            self.version = codes.TLS_1_3 if is13 else parsed.version
            if is13:
                self.server_hello = parsed

    @staticmethod
    def _suite_ends(raw: bytes) -> int:
        at = _HEADER + 2 + _RANDOM
        return at + 1 + raw[at] + 2 if len(raw) > at else at + 1 + 2

    @staticmethod
    def retried(raw: bytes) -> bool:
        """Whether a ServerHello, or the beginning of one, is a HelloRetryRequest."""
        return raw[_HEADER + 2 : _HEADER + 2 + _RANDOM] == RETRY_RANDOM

    @property
    def early_data(self) -> bool:
        """Whether the client has said that it sends data before the server has answered, and that has not refused."""
        said = isinstance(self.client_hello, ClientHello) and self.client_hello.early_data
        return said and not self.early_rejected

    def change(self, sure: bool) -> None:
        """Takes in a ChangeCipherSpec up to TLS 1.2. Where there was no key exchange before, a session is resumed.

        That is `sure` where nothing is missing of what the client has said.
        """
        if self.server_first is None and (self.full or sure):
            self.server_first = not self.full
            self.resumed = self.resumed or not self.full

    def take(self, role: Role, kind: int, parsed: object) -> None:
        """Takes in another message, which `role` has said."""
        if isinstance(parsed, messages.CompressedCertificate):
            parsed = opened(parsed)
        if isinstance(parsed, messages.Certificate):
            if role == "server":
                self.certificates = list(parsed.chain[:_MOST_CERTIFICATES])
            else:
                self.client_certificate = bool(parsed.chain)
        elif isinstance(parsed, messages.ServerKeyExchange):
            self.group = parsed.group
        elif kind == codes.SERVER_HELLO_DONE:
            self.full = True
        elif isinstance(parsed, messages.ClientKeyExchange):
            self.encrypted_premaster, self.full = parsed.encrypted, True
            self.exchanged = len(self.transcript)
        elif isinstance(parsed, messages.NewSessionTicket):
            self.ticket = parsed.ticket if self.version != codes.TLS_1_3 else None
        elif kind == codes.ENCRYPTED_EXTENSIONS and role == "server":  # the client's, where it has some, agree nothing
            self.alpn = next(iter(getattr(parsed, "alpn", ())), None)
