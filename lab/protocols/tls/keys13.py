"""TLS 1.3: the key schedule, and what each traffic secret becomes: key, IV, Finished (RFC 9846 section 7).

A `Keys13` is one direction in one epoch, made from one traffic secret: that of a key log, or of a `Schedule13`, which
follows the whole schedule from the shared secret where that is known.
"""

from __future__ import annotations

import hmac

from lab.model import DerivationLine, Role
from lab.protocols.tls import prf, reasons
from lab.protocols.tls.ciphers import TLS13, Suite
from lab.protocols.tls.derivation import FINISHED_HASH, Derivation, Named
from lab.protocols.tls.prf import LENGTHS, SPOKEN
from lab.protocols.tls.protection import Keys, Protection, protection
from lab.protocols.tls.reasons import Reason
from lab.protocols.tls.sections import cited
from lab.text import ROLES, Text

# A key log's labels: who sends with this secret, and what RFC 9846 section 7.1 calls it.
TRAFFIC: dict[str, tuple[Role, str]] = {
    "CLIENT_EARLY_TRAFFIC_SECRET": ("client", "client_early_traffic_secret"),
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET": ("client", "client_handshake_traffic_secret"),
    "SERVER_HANDSHAKE_TRAFFIC_SECRET": ("server", "server_handshake_traffic_secret"),
    "CLIENT_TRAFFIC_SECRET_0": ("client", "client_application_traffic_secret_0"),
    "SERVER_TRAFFIC_SECRET_0": ("server", "server_application_traffic_secret_0"),
}
_KEYS, _FINISHED, _SCHEDULE, _TRANSCRIPT = cited("7.3"), cited("4.5.3"), cited("7.1"), cited("4.1")
_EMPTY = Text("The hash of no message at all.", "空消息的散列值。")
_KEY = {role: Text(f"The key that the {who.en} encrypts with.", f"{who.zh}的加密密钥。") for role, who in ROLES.items()}
_IV = {
    role: Text(
        f"The IV: the {who.en}'s record number, XORed into it, makes each record's nonce.",
        f"IV：与{who.zh}的记录序号异或，得到每条记录的随机数（nonce）。",
    )
    for role, who in ROLES.items()
}
_VERIFY_DATA = {
    role: Text(f"What the {who.en}'s Finished must say.", f"{who.zh}的 Finished 必须包含的内容。")
    for role, who in ROLES.items()
}


class Keys13:
    """What `role` sends with one traffic secret. `name` is the secret's, as in RFC 9846."""

    def __init__(
        self, suite: Suite, role: Role, name: str, secret: bytes, derivation: Derivation | None = None
    ) -> None:
        self.suite, self.role, self.name, self.secret = suite, role, name, secret
        self.derivation = derivation or Derivation()
        mixed = Named(name, secret)
        self.keys = Keys(
            self.derivation.expand_label(
                _KEY[role], suite.prf, mixed, "key", None, suite.key_length, self._called("write_key"), _KEYS,
            ).value,
            self.derivation.expand_label(
                _IV[role], suite.prf, mixed, "iv", None, suite.fixed_iv, self._called("write_iv"), _KEYS,
            ).value,
        )  # fmt: skip

    @property
    def lines(self) -> tuple[DerivationLine, ...]:
        """The worked example so far: asking for `verify_data` or `update` adds to it."""
        return self.derivation.lines

    @property
    def finished_key(self) -> bytes:
        return self._finished_key().value

    def protection(self) -> Protection:
        """Returns a new protection, at record number 0."""
        return protection(self.suite, TLS13, self.keys)

    def verify_data(self, messages: bytes) -> bytes:
        """Returns what Finished must say, for a handshake traffic secret.

        `messages` are all handshake messages before it, with their headers of four bytes; after a HelloRetryRequest
        the first ClientHello is replaced (`retried`).
        """
        covered = Named(f"messages before the {self.role}'s Finished", messages)
        hashed = self.derivation.digest(
            FINISHED_HASH[self.role], self.suite.prf, covered, f"{self.role} transcript hash", _TRANSCRIPT
        )
        return self.derivation.mac(
            _VERIFY_DATA[self.role],
            self.suite.prf, self._finished_key(), hashed, f"{self.role} verify_data", _FINISHED,
        ).value  # fmt: skip

    def check_finished(self, messages: bytes, received: bytes) -> Reason | None:
        """Returns None where `received` is the verify_data that had to be sent, else why not."""
        same = hmac.compare_digest(self.verify_data(messages), received)
        return None if same else reasons.FINISHED_DIFFERS[self.role]

    def update(self) -> Keys13:
        """Returns the keys after this sender's KeyUpdate."""
        who = ROLES[self.role]
        stem, _, number = self.name.rpartition("_")
        following = f"{stem}_{int(number) + 1}" if number.isdecimal() else f"{self.name}_1"
        secret = self.derivation.expand_label(
            Text(
                f"KeyUpdate: the {who.en}'s next traffic secret, from which the one before can't be found.",
                f"KeyUpdate：{who.zh}的下一个流量密钥，从它无法反推前一个。",
            ),
            self.suite.prf, Named(self.name, self.secret), "traffic upd", None, LENGTHS[self.suite.prf], following,
            cited("7.2"),
        )  # fmt: skip
        return Keys13(self.suite, self.role, following, secret.value, self.derivation)

    def _called(self, what: str) -> str:
        """Returns RFC 9846's name for something of this epoch: both epochs stand on one paper."""
        return self.name.replace("traffic_secret", what)

    def _finished_key(self) -> Named:
        return self.derivation.expand_label(
            Text(
                f"The key for the {ROLES[self.role].en}'s Finished.", f"用于{ROLES[self.role].zh} Finished 的密钥。"
            ),
            self.suite.prf, Named(self.name, self.secret), "finished", None, LENGTHS[self.suite.prf],
            self._called("finished_key"), _FINISHED,
        )  # fmt: skip


def retried(suite: Suite, first_hello: bytes) -> bytes:
    """Returns what stands for the first ClientHello after a HelloRetryRequest: message_hash (section 4.1)."""
    hashed = prf.digest(suite.prf, first_hello)
    return bytes([254, 0, 0, len(hashed)]) + hashed


class Schedule13:
    """The key schedule, for who knows the shared secret: an end, or a test vector (RFC 9846 section 7.1)."""

    def __init__(self, suite: Suite, psk: bytes | None = None, derivation: Derivation | None = None) -> None:
        self.suite = suite
        self.derivation = derivation or Derivation()
        self._length = LENGTHS[suite.prf]
        zeros = Named("0", bytes(self._length))
        self._early = self.derivation.extract(
            Text(
                f"The schedule begins with the pre-shared key, or with zeros where there is none. Its hash is "
                f"{SPOKEN[suite.prf]}.",
                f"密钥编排从预共享密钥开始，没有时用零代替。散列函数是 {SPOKEN[suite.prf]}。",
            ),
            suite.prf, zeros, zeros if psk is None else Named("PSK", psk), "early_secret", _SCHEDULE,
        )  # fmt: skip
        self._handshake = self._master = Named("", b"")

    @property
    def early_secret(self) -> bytes:
        return self._early.value

    @property
    def handshake_secret(self) -> bytes:
        return self._handshake.value

    @property
    def master_secret(self) -> bytes:
        return self._master.value

    def early(self, messages: bytes) -> Keys13:
        """Returns the keys of early data; `messages` is the ClientHello alone."""
        return self._traffic(self._early, "c e traffic", "CLIENT_EARLY_TRAFFIC_SECRET", messages, "ClientHello")

    def handshake(self, shared: bytes, messages: bytes) -> tuple[Keys13, Keys13]:
        """Returns the client's and the server's handshake keys; `messages` go up to ServerHello."""
        what = Text("The shared secret of (EC)DHE comes in.", "加入 (EC)DHE 的共享密钥。")
        self._handshake = self._next(what, self._early, Named("(EC)DHE shared secret", shared), "handshake_secret")
        return (
            self._traffic(self._handshake, "c hs traffic", "CLIENT_HANDSHAKE_TRAFFIC_SECRET", messages, "ServerHello"),
            self._traffic(self._handshake, "s hs traffic", "SERVER_HANDSHAKE_TRAFFIC_SECRET", messages, "ServerHello"),
        )

    def application(self, messages: bytes) -> tuple[Keys13, Keys13]:
        """Returns the client's and the server's application keys; `messages` go up to the server's Finished."""
        what = Text("Nothing new comes in: zeros, for the last step.", "最后一步不加入新内容：用零。")
        self._master = self._next(what, self._handshake, Named("0", bytes(self._length)), "main_secret")
        upto = "the server's Finished"
        return (
            self._traffic(self._master, "c ap traffic", "CLIENT_TRAFFIC_SECRET_0", messages, upto),
            self._traffic(self._master, "s ap traffic", "SERVER_TRAFFIC_SECRET_0", messages, upto),
        )

    def exporter(self, messages: bytes) -> bytes:
        """Returns the exporter secret; `messages` go up to the server's Finished."""
        what = Text("A secret for protocols above TLS.", "供 TLS 之上的协议使用的密钥。")
        upto = "the server's Finished"
        return self._derive(what, self._master, "exp master", messages, upto, "exporter_secret").value

    def resumption(self, messages: bytes, ticket_nonce: bytes) -> bytes:
        """Returns the PSK of a ticket (section 4.7.1); `messages` go up to the client's Finished."""
        what = Text("A secret from which tickets get their keys.", "会话票据的密钥由它导出。")
        upto = "the client's Finished"
        secret = self._derive(what, self._master, "res master", messages, upto, "resumption_secret")
        return self.derivation.expand_label(
            Text("The key that this ticket stands for.", "这张票据代表的密钥。"),
            self.suite.prf, secret, "resumption", Named("ticket_nonce", ticket_nonce), self._length, "PSK",
            cited("4.7.1"),
        ).value  # fmt: skip

    def _next(self, what: Text, secret: Named, material: Named, name: str) -> Named:
        carried = Text("What the step before hands on.", "上一步传下来的值。")
        salt = self._derive(carried, secret, "derived", b"", "", f"salt of {name}")
        return self.derivation.extract(what, self.suite.prf, salt, material, name, _SCHEDULE)

    def _derive(self, what: Text, secret: Named, label: str, messages: bytes, upto: str, name: str) -> Named:
        """Derive-Secret(secret, label, messages), its hash on a line of its own."""
        covered = Named(f"messages to {upto}" if upto else '""', messages)
        hashed = self.derivation.digest(
            Text("The hash of the messages so far.", "到此为止全部消息的散列值。") if upto else _EMPTY,
            self.suite.prf, covered, f"hash to {upto}" if upto else "hash of nothing", _TRANSCRIPT,
        )  # fmt: skip
        return self.derivation.expand_label(what, self.suite.prf, secret, label, hashed, self._length, name, _SCHEDULE)

    def _traffic(self, secret: Named, label: str, keylog_label: str, messages: bytes, upto: str) -> Keys13:
        role, name = TRAFFIC[keylog_label]
        what = Text(
            f"What the {ROLES[role].en}'s keys of this epoch come from.", f"{ROLES[role].zh}这一阶段的密钥由它导出。"
        )
        traffic = self._derive(what, secret, label, messages, upto, name)
        return Keys13(self.suite, role, name, traffic.value, self.derivation)
