"""What one side brings to a TLS handshake: what it offers or accepts, who it is and whom it trusts. Plain data."""

from __future__ import annotations

from typing import NamedTuple

SERVER = "server.example"  # RFC 2606


class Identity(NamedTuple):
    """A certificate and the private key that belongs to it, both PEM."""

    certificate: str
    key: str


class Credentials(NamedTuple):
    """One run's. `authority` is the certificate (PEM) of the authority that both hosts know."""

    authority: str
    server: Identity
    client: Identity | None

    @property
    def server_key(self) -> str:
        return self.server.key


class Terms(NamedTuple):
    """One side's terms. Equal terms on one host share a context: session tickets and session IDs stay good in it.

    `version` is the only one it speaks, `1.2` or `1.3`, or with an `oldest` the newest. `ciphers` are TLS 1.2 suites in
    OpenSSL's notation, TLS 1.3 has its own. `group` is the one for the key exchange, or several in order, in OpenSSL's
    notation (`X25519:P-256`: a client brings a key share of the first); empty means OpenSSL's own list. `trusted` are
    authorities (PEM); with them a server demands a certificate of the client. `name` is the server's as a client
    expects it: it is sent (SNI) and the certificate is held against it. `tickets` is how many a server hands out; a TLS
    1.2 client with 0 does not say that it would take one. `early` is how many bytes of early data a TLS 1.3 server
    takes with one of them.
    """

    version: str
    ciphers: str = ""
    group: str = "X25519"
    identity: Identity | None = None
    trusted: str = ""
    name: str = ""
    alpn: tuple[str, ...] = ()
    tickets: int = 0
    early: int = 0
    oldest: str = ""
