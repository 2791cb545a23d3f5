"""Real TLS without a socket: Python's ssl on both sides, two buffers between them, certificates made on the spot."""

from __future__ import annotations

import datetime
import ssl
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from scapy.layers.tls.crypto.groups import ffdhe2048

from lab.model import Role

NAME = "server.example"
HANDSHAKE = 22
PLAIN_CERTIFICATES = 1 << 32  # or the client's is compressed (RFC 8879), where OpenSSL 3.2 and later can


class Contexts(NamedTuple):
    """Both sides' settings, to be changed before they talk."""

    client: ssl.SSLContext
    server: ssl.SSLContext
    certificate: bytes  # the server's, in DER


class Talk(NamedTuple):
    """What went over the wire, in order, and what both programs say of it."""

    flights: tuple[tuple[Role, bytes], ...]
    messages: tuple[tuple[Role, bytes], ...]  # handshake messages in the clear, as their sender made them
    client: ssl.SSLObject
    server: ssl.SSLObject
    certificate: bytes
    error: ssl.SSLError | None

    def stream(self, role: Role) -> bytes:
        return b"".join(data for sender, data in self.flights if sender == role)

    def sent(self, role: Role) -> list[bytes]:
        return [raw for sender, raw in self.messages if sender == role]

    def message(self, kind: int) -> bytes:
        """The one message of this type."""
        (found,) = [raw for _, raw in self.messages if raw[0] == kind]
        return found


@cache
def identity(kind: str) -> tuple[bytes, bytes]:
    """Returns a self-signed certificate with its key, in PEM, and the certificate in DER."""
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
    return pem, made.public_bytes(Encoding.DER)


def load(context: ssl.SSLContext, kind: str) -> bytes:
    """Gives one side a certificate, and returns it in DER."""
    pem, der = identity(kind)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "identity.pem")
        path.write_bytes(pem)
        context.load_cert_chain(path)
    return der


def contexts(kind: str = "rsa") -> Contexts:
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    der = load(server, kind)
    client.load_verify_locations(cadata=der)
    for context in (client, server):
        context.options |= PLAIN_CERTIFICATES
    return Contexts(client, server, der)


def both(version: ssl.TLSVersion, ciphers: str | None = None, kind: str = "rsa") -> Contexts:
    """Contexts that can do nothing but this version, and for TLS 1.2 these cipher suites."""
    made = contexts(kind)
    for context in made[:2]:
        context.minimum_version = context.maximum_version = version
        if ciphers:
            context.set_ciphers(ciphers)
    return made


def static_rsa() -> Contexts:
    return both(ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256")


def ecdhe() -> Contexts:
    return both(ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM")


def dhe() -> Contexts:
    made = both(ssl.TLSVersion.TLSv1_2, "DHE-RSA-AES256-SHA256")
    group = ffdhe2048()  # RFC 7919; made anew it would take a minute
    p, g = group.m.to_bytes(257, "big"), group.g.to_bytes(1, "big")
    der = b"\x30\x82\x01\x08\x02\x82\x01\x01" + p + b"\x02\x01" + g  # PKCS #3: a sequence of two numbers
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "dh.pem")
        path.write_text(ssl.DER_cert_to_PEM_cert(der).replace("CERTIFICATE", "DH PARAMETERS"))
        made.server.load_dh_params(str(path))
    return made


def tls13() -> Contexts:
    """TLS 1.3 with a hello that fits a segment: OpenSSL 3.5 and later would add a post-quantum key share."""
    made = both(ssl.TLSVersion.TLSv1_3)
    if ssl.OPENSSL_VERSION_INFO >= (3, 5):
        made.client.set_ecdh_curve("X25519")
    return made


def alpn() -> Contexts:
    made = tls13()
    made.client.set_alpn_protocols(["h2", "http/1.1"])
    made.server.set_alpn_protocols(["http/1.1"])
    return made


def hello_retry() -> Contexts:
    """The client guesses a group the server won't have."""
    made = both(ssl.TLSVersion.TLSv1_3)
    made.server.set_ecdh_curve("secp384r1")
    return made


def client_certificate(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> Contexts:
    made = both(version)
    der = load(made.client, "ec")
    made.server.load_verify_locations(cadata=der)
    made.server.verify_mode = ssl.CERT_REQUIRED
    return made


def client_certificate_12() -> Contexts:
    return client_certificate(ssl.TLSVersion.TLSv1_2)


def no_agreement() -> Contexts:
    made = contexts()
    made.client.maximum_version = ssl.TLSVersion.TLSv1_2
    made.server.minimum_version = ssl.TLSVersion.TLSv1_3
    return made


MADE: dict[str, Callable[[], Contexts]] = {
    "TLS 1.2 static RSA": static_rsa,
    "TLS 1.2 ECDHE": ecdhe,
    "TLS 1.2 DHE": dhe,
    "TLS 1.2 client certificate": client_certificate_12,
    "TLS 1.3": tls13,
    "TLS 1.3 ALPN": alpn,
    "TLS 1.3 hello retry": hello_retry,
    "TLS 1.3 client certificate": client_certificate,
    "no version in common": no_agreement,
}


def converse(made: Contexts, session: ssl.SSLSession | None = None, said: bytes = b"hello") -> Talk:
    """Shakes hands, says `said` both ways and closes. A failure is on the wire, and in `error`."""
    inward: dict[Role, ssl.MemoryBIO] = {"client": ssl.MemoryBIO(), "server": ssl.MemoryBIO()}
    outward: dict[Role, ssl.MemoryBIO] = {"client": ssl.MemoryBIO(), "server": ssl.MemoryBIO()}
    messages: list[tuple[Role, bytes]] = []
    flights: list[tuple[Role, bytes]] = []
    error: ssl.SSLError | None = None

    def listen(role: Role) -> Callable[..., None]:
        def heard(_: object, direction: str, version: object, kind: int, what: object, data: bytes) -> None:
            if direction == "write" and kind == HANDSHAKE:
                messages.append((role, data))

        return heard

    # ssl's own debugging hook, undocumented: it tells each message before it is encrypted.
    client_context: Any = made.client
    server_context: Any = made.server
    client_context._msg_callback, server_context._msg_callback = listen("client"), listen("server")
    sides: dict[Role, ssl.SSLObject] = {
        "client": made.client.wrap_bio(inward["client"], outward["client"], False, NAME, session),
        "server": made.server.wrap_bio(inward["server"], outward["server"], True),
    }
    peers: dict[Role, Role] = {"client": "server", "server": "client"}

    def act(role: Role, what: Callable[[], object]) -> bool:
        """Lets one side do something, and carries what it sends; False where it waits or fails."""
        nonlocal error
        done = True
        try:
            what()
        except ssl.SSLWantReadError:
            done = False
        except ssl.SSLError as failed:
            error = error or failed
            done = False
        if data := outward[role].read():
            flights.append((role, data))
            inward[peers[role]].write(data)
        return done

    done = {"client": False, "server": False}
    for _ in range(6):
        for role in peers:
            done[role] = done[role] or act(role, sides[role].do_handshake)
    if all(done.values()) and not error:
        for role in peers:
            act(role, partial(sides[role].write, said))
            act(peers[role], partial(sides[peers[role]].read, len(said)))
        for role in ("client", "server", "client"):
            act(role, sides[role].unwrap)
    client_context._msg_callback = server_context._msg_callback = None
    return Talk(tuple(flights), tuple(messages), sides["client"], sides["server"], made.certificate, error)


@cache
def recorded(name: str) -> Talk:
    """One talk of each kind for all tests that only look."""
    return converse(MADE[name]())
