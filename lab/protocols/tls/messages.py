"""What the other handshake messages mean: numbers and bytes by name, for the states, the key schedule and JSON.

Functions take a whole message, its header of four bytes included (an alert: the record's fragment). None raises: of a
damaged message there is what could be read, missing numbers are 0, and `damaged` is True. `version` and `suite` are the
negotiated ones: what a message looks like depends on them.
"""

from __future__ import annotations

from collections.abc import Callable

from lab.protocols.tls import codes
from lab.protocols.tls.hello import (
    ClientHello,
    EncryptedExtensions,
    Extensions,
    ServerHello,
    body_of,
    client_hello,
    data_of,
    encrypted_extensions,
    ends,
    read_extensions,
    reader_of,
    server_hello,
)
from lab.protocols.tls.reader import Reader
from lab.protocols.tls.suites import KeyExchange, key_exchange
from lab.tuples import NamedTuple


class Certificate(NamedTuple):
    """RFC 9846 section 4.5.1, RFC 5246 section 7.4.2. `chain` are certificates in DER, the owner's first."""

    context: bytes
    chain: tuple[bytes, ...]
    damaged: bool


class CompressedCertificate(NamedTuple):
    """RFC 8879 section 4. `length` is that of the Certificate message, without its header, before it was compressed."""

    algorithm: int
    length: int
    compressed: bytes
    damaged: bool


class CertificateRequest(NamedTuple):
    """RFC 9846 section 4.4.2, RFC 5246 section 7.4.4. `authorities` are distinguished names in DER."""

    context: bytes
    types: tuple[int, ...]
    schemes: tuple[int, ...]
    authorities: tuple[bytes, ...]
    damaged: bool


class CertificateVerify(NamedTuple):
    """RFC 9846 section 4.5.2, RFC 5246 section 7.4.8. `scheme` is None before TLS 1.2."""

    scheme: int | None
    signature: bytes
    damaged: bool


class ServerKeyExchange(NamedTuple):
    """RFC 5246 section 7.4.3, RFC 8422 section 5.4, RFC 4279. What the key exchange does not have is None or empty.

    `params` are the bytes that the signature covers, behind both randoms.
    """

    exchange: KeyExchange
    group: int | None
    public: bytes
    p: bytes
    g: bytes
    hint: bytes | None
    params: bytes
    scheme: int | None
    signature: bytes
    damaged: bool


class ClientKeyExchange(NamedTuple):
    """RFC 5246 section 7.4.7, RFC 8422 section 5.7, RFC 4279. What the key exchange does not have is None."""

    exchange: KeyExchange
    encrypted: bytes | None  # RSA: the pre-master secret, encrypted for the server
    public: bytes | None  # the client's half of Diffie-Hellman
    identity: bytes | None
    damaged: bool


class NewSessionTicket(NamedTuple):
    """RFC 9846 section 4.7.1, RFC 5077 section 3.3. `lifetime` in seconds; `age_add` and `nonce` only in TLS 1.3."""

    lifetime: int
    age_add: int | None
    nonce: bytes | None
    ticket: bytes
    extensions: Extensions
    damaged: bool

    @property
    def max_early_data(self) -> int | None:
        """Bytes of early data the ticket allows, None for none."""
        size = data_of(self.extensions, codes.EARLY_DATA)
        return int.from_bytes(size, "big") if size and len(size) == 4 else None


class Finished(NamedTuple):
    """RFC 9846 section 4.5.3, RFC 5246 section 7.4.9."""

    verify_data: bytes
    damaged: bool


class KeyUpdate(NamedTuple):
    """RFC 9846 section 4.7.3."""

    requested: bool
    damaged: bool


class Alert(NamedTuple):
    """RFC 9846 section 6, RFC 5246 section 7.2."""

    level: int
    description: int
    damaged: bool


_SIGNED = ("DHE", "ECDHE", "ECC", "ECDHE_SM2")
_CURVE = 3  # bytes that name one


# Readers.


Parsed = (
    ClientHello
    | ServerHello
    | EncryptedExtensions
    | Certificate
    | CompressedCertificate
    | CertificateRequest
    | CertificateVerify
    | ServerKeyExchange
    | ClientKeyExchange
    | NewSessionTicket
    | Finished
    | KeyUpdate
)


def read(raw: bytes, version: int | None = None, suite: int | None = None) -> Parsed | None:
    """Returns what a handshake message means; None for one that says nothing, or is not known.

    `version` and `suite` are the negotiated ones; without a version a message is read as TLS 1.2's.
    """
    version, suite = version or codes.TLS_1_2, suite or 0
    kind = raw[0] if raw else -1
    if (alone := _ALONE.get(kind)) is not None:
        return alone(raw)
    if (by_version := _BY_VERSION.get(kind)) is not None:
        return by_version(raw, version)
    by_suite = _BY_SUITE.get(kind)
    return by_suite(raw, version, suite) if by_suite is not None else None


def certificate(raw: bytes, version: int) -> Certificate:
    body = body_of(raw)
    if version < codes.TLS_1_3:
        return Certificate(b"", body.vectors(3, 3), ends(body))
    context, entries = body.vector(1), body.inside(3)
    chain = []
    while not entries.over:
        chain.append(entries.vector(3))
        entries.vector(2)
    body.also(entries)
    return Certificate(context, tuple(chain), ends(body))


def compressed_certificate(raw: bytes) -> CompressedCertificate:
    body = body_of(raw)
    return CompressedCertificate(body.number(2), body.number(3), body.vector(3), ends(body))


def certificate_request(raw: bytes, version: int) -> CertificateRequest:
    body = body_of(raw)
    if version < codes.TLS_1_3:
        types = body.numbers(1, 1)
        schemes = body.numbers(2, 2) if version >= codes.TLS_1_2 else ()
        return CertificateRequest(b"", types, schemes, body.vectors(2, 2), ends(body))
    context, extensions = body.vector(1), read_extensions(body, optional=False)
    schemes = reader_of(extensions, codes.SIGNATURE_ALGORITHMS).numbers(2, 2)
    authorities = reader_of(extensions, codes.CERTIFICATE_AUTHORITIES).vectors(2, 2)
    return CertificateRequest(context, (), schemes, authorities, ends(body))


def certificate_verify(raw: bytes, version: int) -> CertificateVerify:
    body = body_of(raw)
    return CertificateVerify(*_signature(body, version), ends(body))


def server_key_exchange(raw: bytes, version: int, suite: int, exchange: KeyExchange | None = None) -> ServerKeyExchange:
    """`exchange` is what is known where no suite is."""
    body, exchange = body_of(raw), exchange or key_exchange(suite)
    group, hint, public, p, g = None, None, b"", b"", b""
    if exchange in ("PSK", "RSA_PSK", "DHE_PSK", "ECDHE_PSK"):
        hint = body.vector(2)
    if exchange in ("DHE", "DH_anon", "DHE_PSK"):
        p, g, public = body.vector(2), body.vector(2), body.vector(2)
    elif exchange in ("ECDHE", "ECDH_anon", "ECDHE_PSK") and body.number(1) == codes.NAMED_CURVE:
        group, public = body.number(2), body.vector(1)
    elif exchange == "other":
        body.rest()
    elif exchange == "ECDHE_SM2" and body.number(1) == codes.NAMED_CURVE:
        group, public = body.number(2), body.vector(1)
    params = body.data[: body.at]
    scheme, signature = _signature(body, version) if exchange in _SIGNED else (None, b"")
    return ServerKeyExchange(exchange, group, public, p, g, hint, params, scheme, signature, ends(body))


def client_key_exchange(raw: bytes, version: int, suite: int, exchange: KeyExchange | None = None) -> ClientKeyExchange:
    """`exchange` is what is known where no suite is."""
    body, exchange = body_of(raw), exchange or key_exchange(suite)
    identity = body.vector(2) if exchange in ("PSK", "RSA_PSK", "DHE_PSK", "ECDHE_PSK") else None
    encrypted = public = None
    if exchange == "other":
        body.rest()
    elif exchange in ("DH", "ECDH") and body.over:
        pass  # the client's certificate has its half (RFC 5246 section 7.4.7.2)
    elif exchange in ("RSA", "RSA_PSK", "ECC"):
        encrypted = body.rest() if version == codes.SSL_3 else body.vector(2)  # RFC 5246 section 7.4.7.1 on SSL 3.0
    elif exchange in ("DH", "DHE", "DH_anon", "DHE_PSK"):
        public = body.vector(2)
    elif exchange in ("ECDH", "ECDHE", "ECDH_anon", "ECDHE_PSK"):
        public = body.vector(1)
    elif exchange == "ECDHE_SM2":  # here the curve is said once more
        body.take(_CURVE)
        public = body.vector(1)
    return ClientKeyExchange(exchange, encrypted, public, identity, ends(body))


def new_session_ticket(raw: bytes, version: int) -> NewSessionTicket:
    body = body_of(raw)
    lifetime = body.number(4)
    if version < codes.TLS_1_3:
        return NewSessionTicket(lifetime, None, None, body.vector(2), (), ends(body))
    age_add, nonce, ticket = body.number(4), body.vector(1), body.vector(2)
    return NewSessionTicket(lifetime, age_add, nonce, ticket, read_extensions(body, optional=False), ends(body))


def finished(raw: bytes) -> Finished:
    body = body_of(raw)
    return Finished(body.rest(), ends(body))


def key_update(raw: bytes) -> KeyUpdate:
    body = body_of(raw)
    return KeyUpdate(body.number(1) == 1, ends(body))


def alert(fragment: bytes) -> Alert:
    body = Reader(fragment)
    return Alert(body.number(1), body.number(1), ends(body))


def _signature(body: Reader, version: int) -> tuple[int | None, bytes]:
    return body.number(2) if version >= codes.TLS_1_2 else None, body.vector(2)


# Readers by type: of what a message is alike in all versions and suites, and of what depends on them.
_ALONE: dict[int, Callable[[bytes], Parsed]] = {
    codes.CLIENT_HELLO: client_hello,
    codes.SERVER_HELLO: server_hello,
    codes.ENCRYPTED_EXTENSIONS: encrypted_extensions,
    codes.COMPRESSED_CERTIFICATE: compressed_certificate,
    codes.FINISHED: finished,
    codes.KEY_UPDATE: key_update,
}
_BY_VERSION: dict[int, Callable[[bytes, int], Parsed]] = {
    codes.CERTIFICATE: certificate,
    codes.CERTIFICATE_REQUEST: certificate_request,
    codes.CERTIFICATE_VERIFY: certificate_verify,
    codes.NEW_SESSION_TICKET: new_session_ticket,
}
_BY_SUITE: dict[int, Callable[[bytes, int, int], Parsed]] = {
    codes.SERVER_KEY_EXCHANGE: server_key_exchange,
    codes.CLIENT_KEY_EXCHANGE: client_key_exchange,
}
