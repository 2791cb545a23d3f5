"""What the tests ask of a real conversation: its records, its messages, what its hellos agreed on.

Certificates are made when the tests run. Records and messages are cut here in a few lines, so that these tests stand
on nothing but OpenSSL and the RFCs.
"""

from __future__ import annotations

import datetime
import json
import os
import ssl
import struct
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from lab.protocols.tls.agreed import Agreed
from lab.protocols.tls.ciphers import Suite, suite
from lab.protocols.tls.reasons import Reason
from lab.protocols.tls.rsa import load_server_key
from lab.protocols.tls.secrets import Flight
from tests.protocols.tls import conversation

NO_EXTENDED_MASTER_SECRET, NO_ENCRYPT_THEN_MAC = 1, 1 << 19  # OpenSSL's SSL_OP_…, which `ssl` does not name
CHANGE_CIPHER_SPEC, HANDSHAKE, APPLICATION_DATA = 20, 22, 23
CLIENT_HELLO, SERVER_HELLO, NEW_SESSION_TICKET, CERTIFICATE, CLIENT_KEY_EXCHANGE, FINISHED = 1, 2, 4, 11, 16, 20

SUITES = {
    each.code: each
    for code, name in {
        0x003B: "TLS_RSA_WITH_NULL_SHA256",
        0x002F: "TLS_RSA_WITH_AES_128_CBC_SHA",
        0x0035: "TLS_RSA_WITH_AES_256_CBC_SHA",
        0x003C: "TLS_RSA_WITH_AES_128_CBC_SHA256",
        0x0041: "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA",
        0x009C: "TLS_RSA_WITH_AES_128_GCM_SHA256",
        0x009D: "TLS_RSA_WITH_AES_256_GCM_SHA384",
        0xC02F: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        0xC028: "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
        0xC09C: "TLS_RSA_WITH_AES_128_CCM",
        0xC0A1: "TLS_RSA_WITH_AES_256_CCM_8",
        0xCCA8: "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        0xCCA9: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        0x1301: "TLS_AES_128_GCM_SHA256",
        0x1302: "TLS_AES_256_GCM_SHA384",
        0x1303: "TLS_CHACHA20_POLY1305_SHA256",
    }.items()
    if (each := suite(code, name))
}


class Record(NamedTuple):
    role: str
    type: int
    version: int
    fragment: bytes


class Identity(NamedTuple):
    """A server's private key in PEM and its certificate in DER; `file` has both."""

    key: bytes
    certificate: bytes
    file: str


_FOLDER = tempfile.TemporaryDirectory()


def identity(kind: str = "RSA", number: int = 0) -> Identity:
    """Makes an identity, once for each number."""
    return _identity(kind, number)


@cache  # counts f() and f("RSA") as two questions
def _identity(kind: str, number: int) -> Identity:
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    key = rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"server {number}")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = Path(_FOLDER.name, f"{kind}-{number}.pem")
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return Identity(private, certificate.public_bytes(Encoding.DER), str(file))


def key_of(kind: str = "RSA", number: int = 0) -> PrivateKeyTypes:
    """Returns an identity's private key, as the lab reads it."""
    key = load_server_key(identity(kind, number).key)
    assert not isinstance(key, Reason), key
    return key


class Talk:
    """A conversation that took place: its records in order, and the key log that the client wrote."""

    def __init__(self, sent: conversation.Sent, keylog: bytes, kind: str) -> None:
        self.records = [record for role, written in sent for record in cut_records(role, written)]
        self.keylog, self.identity = keylog, identity(kind)
        hellos = messages(b"".join(each.fragment for each in self.records if each.type == HANDSHAKE)[:20000])
        client, server = (
            next(m for m in hellos if m[0] == CLIENT_HELLO),
            next(m for m in hellos if m[0] == SERVER_HELLO),
        )
        self.client_random, self.server_random = client[6:38], server[6:38]
        at = 39 + server[38]
        self.suite: Suite = SUITES[int.from_bytes(server[at : at + 2], "big")]
        extensions = _extensions(server[at + 3 :])
        version = int.from_bytes(extensions.get(43, server[4:6]), "big")
        self.agreed = Agreed(
            self.suite, version, int.from_bytes(client[4:6], "big"), self.client_random, self.server_random,
            23 in extensions, 22 in extensions,
        )  # fmt: skip

    def flight(self) -> Flight:
        """Returns what is said in the clear up to ClientKeyExchange."""
        said, encrypted, certificate = b"", None, None
        for message in self.plain_messages():
            said += message
            if message[0] == CERTIFICATE:
                certificate = message[10 : 10 + int.from_bytes(message[7:10], "big")]
            if message[0] == CLIENT_KEY_EXCHANGE:
                encrypted = message[6:]
                break
        return Flight(said, encrypted if self.suite.key_exchange == "RSA" else None, certificate)

    def plain_messages(self) -> list[bytes]:
        """Returns the handshake messages in the clear: those before their sender's ChangeCipherSpec."""
        protected, found = set[str](), list[bytes]()
        for record in self.records:
            if record.type == CHANGE_CIPHER_SPEC:
                protected.add(record.role)
            elif record.type == HANDSHAKE and record.role not in protected:
                found += messages(record.fragment)
        return found


def talk(cipher: str, version: int = ssl.TLSVersion.TLSv1_2, options: int = 0, kind: str = "RSA") -> Talk:
    """Plays a conversation up to TLS 1.2, once for each choice. `cipher` is OpenSSL's name for the suite."""
    return _talk(cipher, version, options, kind)


@cache
def _talk(cipher: str, version: int, options: int, kind: str) -> Talk:
    return Talk(*conversation.play(identity(kind).file, cipher, version, options), kind)


def talk_with(cipher: str, version: int, resume: bool = False, curve: str = "") -> Talk:
    """Plays a conversation that resumes another, or one with a HelloRetryRequest."""
    return Talk(*conversation.play(identity().file, cipher, version, 0, resume, curve), "RSA")


@cache
def talk13(name: str) -> Talk:
    """Plays a TLS 1.3 conversation with the suite of this name."""
    configuration = Path(_FOLDER.name, f"{name}.cnf")
    configuration.write_text(
        "openssl_conf = conf\n[conf]\nssl_conf = ssl\n[ssl]\nsystem_default = all\n"
        f"[all]\nCiphersuites = {name}\n", "ascii",
    )  # fmt: skip
    child = subprocess.run(
        [sys.executable, "-m", conversation.__name__, identity().file],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "OPENSSL_CONF": str(configuration)},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    sent, keylog = json.loads(child.stdout)
    return Talk([(role, bytes.fromhex(written)) for role, written in sent], bytes.fromhex(keylog), "RSA")


def cut_records(role: str, data: bytes) -> list[Record]:
    found = []
    while data:
        content_type, version, length = struct.unpack_from(">BHH", data)
        found.append(Record(role, content_type, version, data[5 : 5 + length]))
        assert len(found[-1].fragment) == length
        data = data[5 + length :]
    return found


def messages(data: bytes) -> list[bytes]:
    """Cuts handshake messages; what is left over, encrypted or unfinished, is dropped."""
    found = []
    while len(data) >= 4 and len(data) >= (end := 4 + int.from_bytes(data[1:4], "big")):
        found.append(data[:end])
        data = data[end:]
    return found


def _extensions(data: bytes) -> dict[int, bytes]:
    found, at = dict[int, bytes](), 2
    while at + 4 <= len(data):
        kind, length = struct.unpack_from(">HH", data, at)
        found[kind] = data[at + 4 : at + 4 + length]
        at += 4 + length
    return found
