"""TLS as between browsers and servers: real OpenSSL over real sockets, on many connections at once, with its key log.

TLS 1.2 and 1.3, chains of two certificates (RSA or ECDSA), a part resumed, several requests on a connection, sizes of
answers as on the web: most are small, some are large.
"""

from __future__ import annotations

import contextlib
import datetime
import random
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.model import Role
from scripts.traffic import cable
from scripts.traffic.cable import IPV4, IPV6, Frames, Line, Work

_SEED = 8446
LINE = Line(
    lost_unseen=0.0002, lost=0.0006, late_unseen=0.0002, late=0.0005, twice=0.0001, delay=0.008, rate=200e6, queue=0.3
)
_AT_ONCE = 80
_MEDIAN, _SIGMA, _LARGEST = 14_000, 1.5, 2_000_000  # bytes of an answer: log-normal
_RESUMED, _IPV6, _TLS_12 = 0.35, 0.4, 0.35  # parts of the connections
_RUDE = 0.1  # of the clients close without an alert
_PATIENCE = 20.0  # seconds
_NOISE = random.Random(_SEED).randbytes(_LARGEST)
_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"


def record(count: int, keylog: Path, seconds: float = 60) -> Iterator[Frames]:
    """Yields `count` frames, some at a time as they come, and writes their secrets (NSS key log format).

    Raises LabError where this machine makes no namespaces.
    """
    keylog.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="lab-traffic-") as name:
        servers = [_context_of_server(Path(name), number) for number in range(len(IPV4["server"]))]
        hosts: dict[Role, Work] = {"server": lambda: _server(servers), "client": lambda: _client(count, keylog)}
        yield from cable.record(hosts, count, LINE, _SEED, seconds)


def answer_size(dice: random.Random) -> int:
    """Returns how many bytes a server answers with."""
    return min(_LARGEST, 200 + int(dice.lognormvariate(0, _SIGMA) * _MEDIAN))


# The server.


def _server(contexts: list[ssl.SSLContext]) -> None:
    for addresses in (IPV4, IPV6):
        for address, context in zip(addresses["server"], contexts, strict=True):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            listener = socket.create_server((address, 443), family=family, backlog=256)
            threading.Thread(target=_accept, args=(listener, context), daemon=True).start()
    cable.ready()


def _accept(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        link = listener.accept()[0]
        threading.Thread(target=_serve, args=(link, context), daemon=True).start()


def _serve(link: socket.socket, context: ssl.SSLContext) -> None:
    with link, contextlib.suppress(OSError):
        link.settimeout(_PATIENCE)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(link, server_side=True, suppress_ragged_eofs=True) as secure:
            waiting = b""
            while data := secure.recv(65_536):
                waiting += data
                while b"\r\n\r\n" in waiting:
                    head, _, waiting = waiting.partition(b"\r\n\r\n")
                    secure.sendall(_answer(int(head.split(b" ", 2)[1].rpartition(b"/")[2])))
            secure.unwrap()


def _answer(size: int) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/html; charset=utf-8\r\n"
        f'Content-Length: {size}\r\nCache-Control: private, max-age=0, must-revalidate\r\nETag: "{size:032x}"\r\n'
        f"Strict-Transport-Security: max-age=31536000; includeSubDomains\r\nX-Content-Type-Options: nosniff\r\n\r\n"
    )
    return head.encode() + _NOISE[:size]


def _context_of_server(folder: Path, number: int) -> ssl.SSLContext:
    """Returns what a server shows: every other has an RSA key, the others ECDSA; so do their authorities."""
    authority_key, key = _key(number % 2 == 0), _key(number % 2 == 0)
    authority = _certificate("Example Intermediate", authority_key, "Example Root", _key(number % 3 == 0), [])
    names = ["www.example.com", *(f"host-{each}.site-{number}.example.net" for each in range(5 + number * 4))]
    leaf = _certificate(names[0], key, "Example Intermediate", authority_key, names)
    chain = folder / f"{number}.pem"
    chain.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + leaf.public_bytes(Encoding.PEM)
        + authority.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _key(is_rsa: bool) -> _Key:
    return rsa.generate_private_key(65_537, 2_048) if is_rsa else ec.generate_private_key(ec.SECP256R1())


def _certificate(subject: str, key: _Key, issuer: str, signer: _Key, names: list[str]) -> x509.Certificate:
    def name(common: str) -> x509.Name:
        parts = (
            (NameOID.COUNTRY_NAME, "US"),
            (NameOID.ORGANIZATION_NAME, "Example Trust"),
            (NameOID.COMMON_NAME, common),
        )
        return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])

    now = datetime.datetime(2026, 1, 1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=3_650))
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), False)
    return builder.sign(signer, hashes.SHA256())


# The clients.


class _Browsers:
    """What the clients share: a context for each version, and the sessions they have had."""

    def __init__(self, keylog: Path) -> None:
        self.contexts = []
        for version, ciphers in (
            (ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM:ECDHE+CHACHA20"),
            (ssl.TLSVersion.TLSv1_2, "ECDHE+CHACHA20"),
            (ssl.TLSVersion.TLSv1_3, "DEFAULT"),
        ):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.minimum_version = context.maximum_version = version
            context.set_ciphers(ciphers)
            context.set_alpn_protocols(["http/1.1"])
            context.keylog_filename = str(keylog)
            self.contexts.append(context)
        self.sessions: dict[tuple[int, str], ssl.SSLSession | None] = {}


def _client(count: int, keylog: Path) -> None:
    browsers = _Browsers(keylog)
    for number in range(max(4, min(_AT_ONCE, count // 400))):
        dice = random.Random(_SEED + number)
        threading.Thread(target=_browse, args=(browsers, dice), daemon=True).start()


def _browse(browsers: _Browsers, dice: random.Random) -> None:
    while True:
        with contextlib.suppress(OSError):
            _visit(browsers, dice)


def _visit(browsers: _Browsers, dice: random.Random) -> None:
    which = dice.choice((0, 0, 1)) if dice.random() < _TLS_12 else 2
    addresses = IPV6 if dice.random() < _IPV6 else IPV4
    target = dice.choice(addresses["server"])
    session = browsers.sessions.get((which, target)) if dice.random() < _RESUMED else None
    with socket.socket(socket.AF_INET6 if addresses is IPV6 else socket.AF_INET) as link:
        link.settimeout(_PATIENCE)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.bind((dice.choice(addresses["client"]), 0))
        link.connect((target, 443))
        context = browsers.contexts[which]
        with context.wrap_socket(link, server_hostname="www.example.com", session=session) as secure:
            for _ in range(1 + min(11, int(dice.expovariate(1 / 3)))):
                _ask(secure, dice)
            browsers.sessions[which, target] = secure.session
            if dice.random() > _RUDE:
                secure.unwrap().close()


def _ask(secure: ssl.SSLSocket, dice: random.Random) -> None:
    """Asks for one answer, and reads all of it."""
    size = answer_size(dice)
    cookie = dice.randbytes(dice.randrange(40, 300)).hex()
    secure.sendall(
        f"GET /assets/{dice.randrange(10**9)}/{size} HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: {_AGENT}\r\n"
        f"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
        f"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en\r\nCookie: id={cookie}\r\n\r\n".encode()
    )
    waiting = b""
    while b"\r\n\r\n" not in waiting:
        waiting += _some(secure, 65_536)
    left = size - len(waiting.partition(b"\r\n\r\n")[2])
    while left > 0:
        left -= len(_some(secure, left))


def _some(secure: ssl.SSLSocket, most: int) -> bytes:
    data = secure.recv(min(most, 65_536))
    if not data:
        raise ConnectionResetError
    return data
