"""What the hellos say, and how all messages are begun, ended and searched for extensions.

Functions take a whole message, its header of four bytes included (an SSL 2.0 hello: the record's fragment). None
raises: of a damaged message there is what could be read, missing numbers are 0, and `damaged` is True. What is inside
extensions is not judged; properties read it when asked and leave out what can't be read.
"""

from __future__ import annotations

from typing import Literal

from lab.protocols.tls import codes
from lab.protocols.tls.reader import Reader, text
from lab.tuples import NamedTuple

# SHA-256 of "HelloRetryRequest" (RFC 9846 section 4.2.3)
RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")

Downgrade = Literal["TLS 1.2", "TLS 1.1 or below"]
_DOWNGRADES: dict[bytes, Downgrade] = {b"DOWNGRD\x01": "TLS 1.2", b"DOWNGRD\x00": "TLS 1.1 or below"}

Extensions = tuple[tuple[int, bytes], ...]  # type and data, in wire order


class KeyShare(NamedTuple):
    """A group and the public key offered for it; empty in a HelloRetryRequest."""

    group: int
    public: bytes


class ClientHello(NamedTuple):
    """RFC 9846 section 4.2.2, RFC 5246 section 7.4.1.2."""

    version: int  # legacy_version
    random: bytes
    session_id: bytes
    suites: tuple[int, ...]
    compressions: tuple[int, ...]
    extensions: Extensions
    damaged: bool

    @property
    def sni(self) -> str | None:
        """The name of the server the client asks for (RFC 6066 section 3)."""
        names = reader_of(self.extensions, codes.SERVER_NAME).inside(2)
        while not names.over:
            kind, name = names.number(1), names.vector(2)
            if kind == 0:
                return text(name)
        return None

    @property
    def alpn(self) -> tuple[str, ...]:
        return _alpn(self.extensions)

    @property
    def supported_versions(self) -> tuple[int, ...]:
        return reader_of(self.extensions, codes.SUPPORTED_VERSIONS).numbers(1, 2)

    @property
    def groups(self) -> tuple[int, ...]:
        return reader_of(self.extensions, codes.SUPPORTED_GROUPS).numbers(2, 2)

    @property
    def signature_schemes(self) -> tuple[int, ...]:
        return reader_of(self.extensions, codes.SIGNATURE_ALGORITHMS).numbers(2, 2)

    @property
    def key_shares(self) -> tuple[KeyShare, ...]:
        shares = reader_of(self.extensions, codes.KEY_SHARE).inside(2)
        found = []
        while not shares.over:
            found.append(KeyShare(shares.number(2), shares.vector(2)))
        return tuple(found)

    @property
    def psk_identities(self) -> tuple[bytes, ...]:
        """What the client offers to resume: tickets, or names of keys both sides have."""
        return tuple(identity for identity, _ in self._psks())

    @property
    def psk_ages(self) -> tuple[int, ...]:
        """Of each the obfuscated_ticket_age: 0, as a rule, of what is no ticket (RFC 9846 section 4.3.11)."""
        return tuple(age for _, age in self._psks())

    def _psks(self) -> list[tuple[bytes, int]]:
        offered = reader_of(self.extensions, codes.PRE_SHARED_KEY).inside(2)
        found = []
        while not offered.over:
            found.append((offered.vector(2), offered.number(4)))
        return found

    @property
    def psk_modes(self) -> tuple[int, ...]:
        return reader_of(self.extensions, codes.PSK_KEY_EXCHANGE_MODES).numbers(1, 1)

    @property
    def early_data(self) -> bool:
        return has(self.extensions, codes.EARLY_DATA)

    @property
    def extended_master_secret(self) -> bool:
        return has(self.extensions, codes.EXTENDED_MASTER_SECRET)

    @property
    def encrypt_then_mac(self) -> bool:
        return has(self.extensions, codes.ENCRYPT_THEN_MAC)

    @property
    def encrypted_client_hello(self) -> bool:
        return has(self.extensions, codes.ENCRYPTED_CLIENT_HELLO)

    @property
    def ticket(self) -> bytes | None:
        """TLS 1.2's ticket: empty where the client has none but would like one, None where it does not ask."""
        return data_of(self.extensions, codes.SESSION_TICKET)


class ServerHello(NamedTuple):
    """RFC 9846 section 4.2.3, RFC 5246 section 7.4.1.3. A HelloRetryRequest has the same form."""

    version: int  # legacy_version
    random: bytes
    session_id: bytes
    suite: int
    compression: int
    extensions: Extensions
    damaged: bool

    @property
    def selected_version(self) -> int:
        """The version of the connection: supported_versions counts before the header (RFC 9846 section 4.3.1)."""
        chosen = data_of(self.extensions, codes.SUPPORTED_VERSIONS)
        return int.from_bytes(chosen, "big") if chosen and len(chosen) == 2 else self.version

    @property
    def is_hello_retry(self) -> bool:
        return self.random == RETRY_RANDOM

    @property
    def key_share(self) -> KeyShare | None:
        """The server's half; in a HelloRetryRequest the group the client shall send one for."""
        share = reader_of(self.extensions, codes.KEY_SHARE)
        return KeyShare(share.number(2), share.vector(2) if not share.over else b"") if share.data else None

    @property
    def selected_psk(self) -> int | None:
        """Which of the client's PSK identities is taken, from 0."""
        chosen = data_of(self.extensions, codes.PRE_SHARED_KEY)
        return int.from_bytes(chosen, "big") if chosen and len(chosen) == 2 else None

    @property
    def alpn(self) -> tuple[str, ...]:
        return _alpn(self.extensions)

    @property
    def extended_master_secret(self) -> bool:
        return has(self.extensions, codes.EXTENDED_MASTER_SECRET)

    @property
    def encrypt_then_mac(self) -> bool:
        return has(self.extensions, codes.ENCRYPT_THEN_MAC)

    @property
    def ticket_expected(self) -> bool:
        """Whether the server says that a NewSessionTicket will come (RFC 5077 section 3.2)."""
        return has(self.extensions, codes.SESSION_TICKET)

    @property
    def downgrade(self) -> Downgrade | None:
        """Which version a server that could have done TLS 1.3 says it was brought down to (RFC 9846 section 4.2.3)."""
        return _DOWNGRADES.get(self.random[-8:])


class EncryptedExtensions(NamedTuple):
    """RFC 9846 section 4.4.1."""

    extensions: Extensions
    damaged: bool

    @property
    def alpn(self) -> tuple[str, ...]:
        return _alpn(self.extensions)

    @property
    def early_data(self) -> bool:
        """Whether the server takes what came before the handshake was done."""
        return has(self.extensions, codes.EARLY_DATA)


class Ssl2Hello(NamedTuple):
    """A ClientHello in SSL 2.0's format (RFC 5246 appendix E.2). `specs` are of three bytes each."""

    version: int
    specs: tuple[int, ...]
    session_id: bytes
    challenge: bytes
    damaged: bool

    @property
    def suites(self) -> tuple[int, ...]:
        """Those of the specs that TLS knows too."""
        return tuple(spec for spec in self.specs if spec <= 0xFFFF)

    @property
    def random(self) -> bytes:
        """What TLS makes of the challenge: 32 bytes, zeros first."""
        return self.challenge[-32:].rjust(32, b"\0")


# Readers.


def client_hello(raw: bytes) -> ClientHello:
    body = body_of(raw)
    version, random, session_id = body.number(2), body.take(32), body.vector(1)
    suites, compressions, extensions = body.numbers(2, 2), body.numbers(1, 1), read_extensions(body)
    return ClientHello(version, random, session_id, suites, compressions, extensions, ends(body))


def server_hello(raw: bytes) -> ServerHello:
    body = body_of(raw)
    version, random, session_id = body.number(2), body.take(32), body.vector(1)
    suite, compression, extensions = body.number(2), body.number(1), read_extensions(body)
    return ServerHello(version, random, session_id, suite, compression, extensions, ends(body))


def encrypted_extensions(raw: bytes) -> EncryptedExtensions:
    body = body_of(raw)
    return EncryptedExtensions(read_extensions(body, optional=False), ends(body))


def ssl2_hello(fragment: bytes) -> Ssl2Hello:
    body = Reader(fragment)
    body.number(1)
    version, *lengths = (body.number(2) for _ in range(4))
    specs, session_id, challenge = (body.take(length) for length in lengths)
    whole = range(0, len(specs) - 2, 3)
    found = tuple(int.from_bytes(specs[at : at + 3], "big") for at in whole)
    return Ssl2Hello(version, found, session_id, challenge, ends(body) or len(specs) % 3 > 0)


# Helpers.


def body_of(raw: bytes) -> Reader:
    """Returns a reader of the body, damaged where the header's length is not its length."""
    body = Reader(raw[4:])
    body.damaged = int.from_bytes(raw[1:4], "big") != len(raw) - 4
    return body


def ends(body: Reader) -> bool:
    return body.damaged or not body.over


def read_extensions(body: Reader, optional: bool = True) -> Extensions:
    """Reads extensions; hellos may leave them out altogether (RFC 5246 section 7.4.1.2)."""
    if optional and body.over:
        return ()
    inner = body.inside(2)
    data, at, found = inner.data, 0, []
    while at + 4 <= len(data) >= (end := at + 4 + (data[at + 2] << 8 | data[at + 3])):
        found.append((data[at] << 8 | data[at + 1], data[at + 4 : end]))
        at = end
    inner.at = at
    while not inner.over:  # it is cut short
        found.append((inner.number(2), inner.vector(2)))
    body.also(inner)
    return tuple(found)


def data_of(extensions: Extensions, wanted: int) -> bytes | None:
    """Returns the data of the first extension of this type: there must not be a second (RFC 9846 section 4.3)."""
    for kind, data in extensions:
        if kind == wanted:
            return data
    return None


def has(extensions: Extensions, wanted: int) -> bool:
    return data_of(extensions, wanted) is not None


def reader_of(extensions: Extensions, wanted: int) -> Reader:
    return Reader(data_of(extensions, wanted) or b"")


def _alpn(extensions: Extensions) -> tuple[str, ...]:
    return tuple(text(name) for name in reader_of(extensions, codes.ALPN).vectors(2, 1))
