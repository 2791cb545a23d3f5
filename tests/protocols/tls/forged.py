"""What OpenSSL did not say, said in its place: messages of TLS 1.3 encrypted with the keys of a real connection."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lab.model import Role
from lab.protocols.tls.keylog import parse_keylog
from lab.protocols.tls.keys13 import Keys13
from lab.protocols.tls.session import Session


def handshake(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def handshake_keys(session: Session, keylog: bytes, role: Role) -> Keys13:
    """Returns the keys that an end sends its handshake messages with."""
    suite, hello = session.shake.suite, session.shake.client_hello
    assert suite
    assert hello
    secret = parse_keylog(keylog).get(f"{role.upper()}_HANDSHAKE_TRAFFIC_SECRET", hello.random)
    assert secret
    return Keys13(suite, role, f"{role}_handshake_traffic_secret", secret)


def messages_of(session: Session) -> list[bytes]:
    """Returns the handshake messages that both ends have said, in order."""
    heard, found = bytes(session.shake.transcript), list[bytes]()
    while heard:
        size = 4 + int.from_bytes(heard[1:4], "big")
        found.append(heard[:size])
        heard = heard[size:]
    return found


def seal(keys: Keys13, number: int, message: bytes, kind: int = 22) -> bytes:
    """Encrypts handshake messages, or what else, as the record of this number (RFC 9846 section 5.2)."""
    nonce = (int.from_bytes(keys.keys.iv, "big") ^ number).to_bytes(12, "big")
    inner = message + bytes([kind])
    header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
    return header + AESGCM(keys.keys.key).encrypt(nonce, inner, header)
