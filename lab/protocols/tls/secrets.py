"""From what is at hand, the server's private key or a key log, to the keys of a connection; or why not.

`unlock12` and `unlock13` are the two ways in. They try what can be shown by hand first: a static RSA handshake is
opened with the server's key, step by step, even where a key log would know the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.model import DerivationLine, Role
from lab.protocols.tls import reasons
from lab.protocols.tls.agreed import Agreed, nothing_given, unsupported
from lab.protocols.tls.ciphers import TLS10, TLS12, TLS13
from lab.protocols.tls.derivation import Derivation, Named
from lab.protocols.tls.keylog import KeyLog
from lab.protocols.tls.keys12 import MASTER, Keys12, master_secret
from lab.protocols.tls.keys13 import TRAFFIC, Keys13
from lab.protocols.tls.reasons import Reason
from lab.protocols.tls.rsa import PREMASTER, decrypt_premaster, matches
from lab.text import Text
from lab.tuples import NamedTuple

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_KEY_LOG = "RFC 9850"


class Flight(NamedTuple):
    """What the rest of a handshake up to TLS 1.2 shows.

    `messages` are those from ClientHello to ClientKeyExchange, with their headers of four bytes;
    `encrypted` is ClientKeyExchange's EncryptedPreMasterSecret without its length, None where it has none;
    `certificate` is the server's, in DER.
    """

    messages: bytes = b""
    encrypted: bytes | None = None
    certificate: bytes | None = None


def unlock12(
    agreed: Agreed, flight: Flight, server_key: PrivateKeyTypes | None = None, keylog: KeyLog | None = None
) -> Keys12 | Reason:
    """Returns the keys of a connection of TLS 1.0 to 1.2, or why they can't be had.

    That the keys are right is proved by both Finished, not here: a key log may be wrong about a secret.
    """
    if (unknown := unsupported(agreed, TLS10, TLS12)) is not None:
        return unknown
    derivation = Derivation()
    premaster = _by_hand(agreed, flight, server_key, derivation) if server_key else nothing_given(agreed.suite)
    if isinstance(premaster, Reason) and keylog is not None:
        logged = keylog.get("CLIENT_RANDOM", agreed.client_random)
        if logged is not None:
            what = Text(
                "The key log has the main secret, as RFC 9846 calls the master secret: an end wrote it down by the "
                "client's random.",
                "密钥日志中有主密钥：端点按客户端随机数把它写了下来。",
            )
            derivation.given(what, "key log: CLIENT_RANDOM", Named(MASTER, logged), _KEY_LOG)
            return _keys(agreed, logged, derivation)
        found = keylog.get("RSA", (flight.encrypted or b"")[:8])
        if found is None:
            # A wrong key is worth telling before a log that knows nothing; that the key can't help is not.
            hopeless = premaster.code in (
                reasons.NO_SECRETS.code,
                reasons.NO_KEY_LOG.code,
                reasons.FORWARD_SECRECY.code,
            )
            return reasons.NOT_IN_KEY_LOG.format(keylog.connections) if hopeless else premaster
        what = Text(
            "The key log has the pre-master secret: an end wrote it down by the first bytes it was encrypted to.",
            "密钥日志中有预主密钥：端点按密文的前几个字节把它写了下来。",
        )
        derivation.given(what, "key log: RSA", Named(PREMASTER, found), "NSS key log format")
        premaster = found
    if isinstance(premaster, Reason):
        return premaster
    session = flight.messages if agreed.extended_master_secret else None
    randoms = agreed.client_random, agreed.server_random
    return _keys(
        agreed, master_secret(agreed.suite, agreed.version, premaster, *randoms, session, derivation), derivation
    )


def resumed12(agreed: Agreed, master: bytes, client_random: bytes) -> Keys12 | Reason:
    """Returns the keys of a connection that resumes a session: `master` is of that with the other client random."""
    if not TLS10 <= agreed.version <= TLS12:
        return reasons.UNSUPPORTED_VERSION.format(agreed.version)
    derivation = Derivation()
    what = Text(
        "A session is resumed: its main secret, as RFC 9846 calls the master secret, is that of an earlier connection "
        f"of this capture, whose client random begins {client_random[:4].hex(' ')}.",
        f"恢复会话：主密钥取自此抓包中先前的连接，其客户端随机数以 {client_random[:4].hex(' ')} 开头。",
    )
    derivation.given(what, "the session's first connection", Named(MASTER, master), "RFC 5246 section 7.3")
    return _keys(agreed, master, derivation)


def _by_hand(agreed: Agreed, flight: Flight, key: PrivateKeyTypes, derivation: Derivation) -> bytes | Reason:
    """Returns the pre-master secret of a static RSA handshake."""
    if agreed.suite.forward_secret:
        return reasons.FORWARD_SECRECY.format(agreed.suite.key_exchange)
    if agreed.suite.key_exchange != "RSA":
        return reasons.OTHER_KEY_EXCHANGE.format(agreed.suite.key_exchange)
    if flight.certificate is not None and not matches(key, flight.certificate):
        return reasons.WRONG_SERVER_KEY
    if flight.encrypted is None:
        return reasons.NO_PREMASTER
    decrypted = decrypt_premaster(key, flight.encrypted, agreed.client_version, derivation)
    return decrypted.secret if decrypted.secret is not None else decrypted.reason or reasons.NO_PREMASTER


def _keys(agreed: Agreed, master: bytes, derivation: Derivation) -> Keys12:
    return Keys12(
        agreed.suite, agreed.version, agreed.client_random, agreed.server_random, master,
        agreed.extended_master_secret, agreed.encrypt_then_mac, derivation,
    )  # fmt: skip


class Epochs(NamedTuple):
    """The keys of a TLS 1.3 connection, one for each direction and epoch; None where the key log has none."""

    client_early: Keys13 | None
    client_handshake: Keys13 | None
    server_handshake: Keys13 | None
    client_application: Keys13 | None
    server_application: Keys13 | None
    missing: Reason | None  # labels of the handshake and of the application data that the log lacks

    def of(self, role: Role, finished: bool) -> Keys13 | None:
        """Returns the keys that an end sends with, before and after its Finished."""
        if role == "client":
            return self.client_application if finished else self.client_handshake
        return self.server_application if finished else self.server_handshake

    def grown(self, later: Epochs) -> Epochs:
        """Returns these keys with those that the log has later: it grows, and has the later secrets later."""
        return Epochs(
            self.client_early or later.client_early,
            self.client_handshake or later.client_handshake,
            self.server_handshake or later.server_handshake,
            self.client_application or later.client_application,
            self.server_application or later.server_application,
            later.missing,
        )

    @property
    def lines(self) -> tuple[DerivationLine, ...]:
        """The worked example. All keys share one derivation, but for those of a key log that grew."""
        return tuple(dict.fromkeys(line for keys in self[:5] if keys is not None for line in keys.lines))


def unlock13(
    agreed: Agreed, server_key: PrivateKeyTypes | None = None, keylog: KeyLog | None = None
) -> Epochs | Reason:
    """Returns the keys that a key log gives for a TLS 1.3 connection, or why there are none."""
    if (unknown := unsupported(agreed, TLS13, TLS13)) is not None:
        return unknown
    if keylog is None:
        return reasons.FORWARD_SECRECY.format("TLS 1.3") if server_key else nothing_given(agreed.suite)
    derivation, epochs = Derivation(), dict[str, Keys13 | None]()
    for label, (role, name) in TRAFFIC.items():
        secret = keylog.get(label, agreed.client_random)
        epochs[label] = None
        if secret is not None:
            what = Text("The key log has this traffic secret.", "密钥日志中有这个流量密钥。")
            derivation.given(what, f"key log: {label}", Named(name, secret), _KEY_LOG)
            epochs[label] = Keys13(agreed.suite, role, name, secret, derivation)
    if not any(epochs.values()):
        return reasons.NOT_IN_KEY_LOG.format(keylog.connections)
    missing = [label for label in TRAFFIC if epochs[label] is None and "EARLY" not in label]
    lacks = reasons.KEY_LOG_INCOMPLETE.format(", ".join(missing)) if missing else None
    early, client_handshake, server_handshake, client_application, server_application = (
        epochs[each] for each in TRAFFIC
    )
    return Epochs(early, client_handshake, server_handshake, client_application, server_application, lacks)
