"""The exchange hash and what is made of it, as a worked example (RFC 4253 sections 7.2 and 8, RFC 8731 section 3).

What is hashed crosses the wire in the clear, but for the shared secret K: that one end has to tell. Its line in the key
log is ours: SSH_SHARED_SECRET, the cookie of the client's KEXINIT, K as 32 bytes, both in hex.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

from lab.model import DerivationLine
from lab.text import Text

if TYPE_CHECKING:
    from lab.protocols.ssh.session import Session

LABEL = "SSH_SHARED_SECRET"
METHODS = ("curve25519-sha256", "curve25519-sha256@libssh.org")
ED25519 = "ssh-ed25519"
_LINE = re.compile(rb"^SSH_SHARED_SECRET ([0-9a-fA-F]{32}) ([0-9a-fA-F]{64})\s*$", re.MULTILINE)
_MOST = 100_000  # secrets that are kept


class Secrets:
    """The shared secrets of any number of connections, by the cookie of the client's KEXINIT."""

    def __init__(self) -> None:
        self._known: dict[bytes, bytes] = {}

    def learn(self, keylog: bytes, _server_key: bytes) -> None:
        for cookie, secret in _LINE.findall(keylog):
            if len(self._known) < _MOST:
                self._known[bytes.fromhex(cookie.decode())] = bytes.fromhex(secret.decode())

    def of(self, cookie: bytes) -> bytes | None:
        return self._known.get(cookie)


class Exchanged(NamedTuple):
    """What is hashed, by the names of RFC 4253 section 8 and RFC 5656 section 4: all but K as sent, without lengths."""

    v_c: bytes
    v_s: bytes
    i_c: bytes
    i_s: bytes
    k_s: bytes
    q_c: bytes
    q_s: bytes
    k: bytes


def string(data: bytes) -> bytes:
    """Returns bytes behind their length (RFC 4251 section 5)."""
    return len(data).to_bytes(4, "big") + data


def mpint(number: bytes) -> bytes:
    """Returns an unsigned number as RFC 4251 section 5 writes it: no zeros before it but one where its sign bit is set.

    Of X25519's result the bytes are taken as they come, the first as the most significant (RFC 8731 section 3.1).
    """
    short = number.lstrip(b"\0")
    return string(b"\0" + short if short and short[0] & 0x80 else short)


def hashed(of: Exchanged) -> bytes:
    """Returns what the exchange hash is taken over."""
    return b"".join(map(string, of[:-1])) + mpint(of.k)


def exchange_hash(of: Exchanged) -> bytes:
    """Returns H, which is the session's id too."""
    return hashlib.sha256(hashed(of)).digest()


def derived(of: Exchanged, letter: str, size: int) -> bytes:
    """Returns key or IV `letter` (A to F) of the first key exchange (RFC 4253 section 7.2); at most 32 bytes."""
    h = exchange_hash(of)
    return hashlib.sha256(mpint(of.k) + h + letter.encode() + h).digest()[:size]


def fingerprint(key: bytes) -> str:
    """Returns a host key's fingerprint as OpenSSH shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def exchanged(session: Session) -> Exchanged | None:
    """Returns what went into a connection's exchange hash, None where not all of it is known."""
    ours, theirs = session.version("client"), session.version("server")
    client, server = session.proposal("client"), session.proposal("server")
    asked = session.said.get(("client", "KEX_ECDH_INIT"))
    answered = session.said.get(("server", "KEX_ECDH_REPLY"))
    if ours is None or theirs is None or client is None or server is None or asked is None or answered is None:
        return None
    k = session.secrets.of(client.values.get("cookie", b""))
    if k is None or session.agreed is None or session.agreed.kex not in METHODS:
        return None
    reply = answered.values
    return Exchanged(
        ours.values["line"], theirs.values["line"], client.values["payload"], server.values["payload"],
        reply.get("K_S", b""), asked.values.get("Q_C", b""), reply.get("Q_S", b""), k,
    )  # fmt: skip


def signature_valid(session: Session) -> bool | None:
    """Returns whether the server has signed the exchange hash with its host key; None where that can't be told."""
    of = exchanged(session)
    answered = session.said.get(("server", "KEX_ECDH_REPLY"))
    if of is None or answered is None or answered.values.get("key type") != ED25519.encode():
        return None
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(answered.values.get("key", b""))
        key.verify(answered.values.get("signature value", b""), exchange_hash(of))
    except (ValueError, InvalidSignature):
        return False
    return True


def lines(session: Session) -> tuple[DerivationLine, ...]:
    """Returns the worked example, as far as it is known: the fingerprint always, the rest where K is."""
    answered = session.said.get(("server", "KEX_ECDH_REPLY"))
    key = answered.values.get("K_S", b"") if answered is not None else b""
    found = []
    if key:
        printed = hashlib.sha256(key).digest()
        found.append(
            DerivationLine(
                Text(
                    f"The host key's fingerprint; in base64: {fingerprint(key)}",
                    f"主机密钥的指纹；base64 写法：{fingerprint(key)}",
                ),
                (("K_S", key),), "SHA-256(K_S)", "fingerprint", printed, "RFC 4255 section 3.1.3",
            )
        )  # fmt: skip
    of = exchanged(session)
    if of is None:
        return tuple(found)
    names = ("V_C", "V_S", "I_C", "I_S", "K_S", "Q_C", "Q_S")
    h, over = exchange_hash(of), hashed(of)
    found += [
        DerivationLine(
            Text("The shared secret, as one end has told it", "共享秘密，由其中一端告知"),
            (), f"key log: {LABEL}", "K", of.k, "RFC 8731 section 3",
        ),
        DerivationLine(
            Text("What is hashed: everything both ends have said, and K", "参与散列的内容：双方说过的一切，再加上 K"),
            (*zip(names, of[:-1], strict=True), ("K", of.k)),
            " + ".join(f"string({name})" for name in names) + " + mpint(K)", "exchange", over, "RFC 5656 section 4",
        ),
        DerivationLine(
            Text("The exchange hash, which is the session's id too", "交换散列，同时也是会话标识"),
            (("exchange", over),), "SHA-256(exchange)", "H", h, "RFC 4253 section 8",
        ),
    ]  # fmt: skip
    if answered is not None and (valid := signature_valid(session)) is not None:
        says = Text("it is right", "结果正确") if valid else Text("it is WRONG", "结果不符")
        found.append(
            DerivationLine(
                Text(
                    f"The server's signature over H, checked with its host key: {says.en}",
                    f"服务器对 H 的签名，用其主机密钥验证：{says.zh}",
                ),
                (("H", h), ("host key", answered.values["key"])), "Ed25519-Verify(host key, H, signature)",
                "signature", answered.values.get("signature value", b""), "RFC 8709 section 7",
            )
        )  # fmt: skip
    for letter, what in _KEYS.items():
        found.append(
            DerivationLine(
                what, (("K", of.k), ("H", h)), f'SHA-256(mpint(K) + H + "{letter}" + H)', letter,
                derived(of, letter, 32), "RFC 4253 section 7.2",
            )
        )  # fmt: skip
    return tuple(found)


_KEYS = {
    "A": Text("The initial IV, client to server: its first bytes", "客户端到服务器的初始 IV：取开头若干字节"),
    "B": Text("The initial IV, server to client: its first bytes", "服务器到客户端的初始 IV：取开头若干字节"),
    "C": Text("The encryption key, client to server: its first bytes", "客户端到服务器的加密密钥：取开头若干字节"),
    "D": Text("The encryption key, server to client: its first bytes", "服务器到客户端的加密密钥：取开头若干字节"),
}
