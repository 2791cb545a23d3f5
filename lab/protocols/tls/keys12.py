"""TLS 1.0 to 1.2: from the pre-master secret to the main secret, the key block, both Finished and the records.

RFC 5246's sections are 8.1 (main secret), 6.3 (key block) and 7.4.9 (Finished). The names on paper are its own, but for
the main secret: RFC 9846 appendix D renames what all texts before it call the master secret, and leaves the PRF's label
as it was. Before TLS 1.2 the same sections of RFC 2246 and RFC 4346 hold, with another PRF.
"""

from __future__ import annotations

import hmac

from lab.model import DerivationLine, Role
from lab.protocols.tls import reasons
from lab.protocols.tls.ciphers import TLS10, TLS11, TLS12, Suite
from lab.protocols.tls.derivation import FINISHED_HASH, Derivation, Named
from lab.protocols.tls.prf import SPOKEN, prf_hash
from lab.protocols.tls.protection import Keys, Protection, Unsupported, protection
from lab.protocols.tls.reasons import Reason
from lab.protocols.tls.rsa import PREMASTER
from lab.text import ROLES, Text

MASTER = "main secret"
_ROLES: tuple[Role, ...] = ("client", "server")
_VERIFY_DATA = {
    role: Text(
        f"What the {who.en}'s Finished must say. Only an end that has the main secret and saw the same messages can "
        "say it.",
        f"{who.zh}的 Finished 必须包含的内容。只有掌握主密钥并看到相同消息的一方才能算出它。",
    )
    for role, who in ROLES.items()
}
_CUTS = {  # of the key block, in its order
    f"{role}_{name}": Text(f"Cut for the {who.en}: {en}.", f"切给{who.zh}：{zh}。")
    for name, en, zh in (
        ("write_MAC_key", "the key of its MAC", "它的 MAC 密钥"),
        ("write_key", "the key it encrypts with", "它的加密密钥"),
        ("write_IV", "its IV, or its part of the nonce", "它的 IV 或随机数的固定部分"),
    )
    for role, who in ROLES.items()
}
_RFCS = {TLS10: "RFC 2246", TLS11: "RFC 4346", TLS12: "RFC 5246"}


def _source(version: int, section: str) -> str:
    return f"{_RFCS.get(version, _RFCS[TLS12])} section {section}"


def master_secret(
    suite: Suite,
    version: int,
    premaster: bytes,
    client_random: bytes,
    server_random: bytes,
    session: bytes | None = None,
    derivation: Derivation | None = None,
) -> bytes:
    """Returns the main secret.

    With the extended main secret `session` has the handshake messages from ClientHello to ClientKeyExchange, with
    their headers of four bytes (RFC 7627 section 3); without it, None.
    """
    derivation = derivation or Derivation()
    hash_name = prf_hash(suite, version)
    secret = Named(PREMASTER, premaster)
    if session is None:
        randoms = Named("client random", client_random), Named("server random", server_random)
        what = Text(
            "The main secret, as RFC 9846 calls the master secret: the pre-master secret mixed with the random numbers "
            "of both ends.",
            "主密钥：预主密钥与双方的随机数混合而成。",
        )
        source = _source(version, "8.1")
        return derivation.prf(what, hash_name, secret, "master secret", randoms, 48, MASTER, source).value
    session_hash = derivation.digest(
        Text(
            "The session hash: all handshake messages up to ClientKeyExchange, so that the secret belongs to this "
            "handshake and no other.",
            "会话散列值：到 ClientKeyExchange 为止的全部握手消息，使密钥只属于这一次握手。",
        ),
        hash_name, Named("messages to ClientKeyExchange", session), "session hash", "RFC 7627 section 3",
    )  # fmt: skip
    what = Text(
        "The extended main secret, as RFC 9846 calls the extended master secret: the pre-master secret mixed with the "
        "session hash instead of the two randoms.",
        "扩展主密钥：预主密钥与会话散列值混合，而不是与两个随机数混合。",
    )
    return derivation.prf(
        what, hash_name, secret, "extended master secret", (session_hash,), 48, MASTER, "RFC 7627 section 4"
    ).value


class Keys12:
    """All keys of a connection. `etm` is encrypt-then-MAC; `ems` only says how the main secret was made."""

    def __init__(
        self,
        suite: Suite,
        version: int,
        client_random: bytes,
        server_random: bytes,
        master: bytes,
        ems: bool = False,
        etm: bool = False,
        derivation: Derivation | None = None,
    ) -> None:
        self.suite, self.version, self.master = suite, version, master
        self.extended_master_secret, self.encrypt_then_mac = ems, etm
        self.derivation = derivation or Derivation()
        self._hash = prf_hash(suite, version)
        self.keys = self._key_block(client_random, server_random)

    @property
    def lines(self) -> tuple[DerivationLine, ...]:
        """The worked example so far: asking for `verify_data` adds to it."""
        return self.derivation.lines

    def protection(self, role: Role) -> Protection:
        """Returns a new protection for what `role` sends, with record number 0 its Finished."""
        if self.version not in _RFCS:
            return Unsupported(reasons.UNSUPPORTED_VERSION.format(self.version))
        return protection(self.suite, self.version, self.keys[role], self.encrypt_then_mac)

    def verify_data(self, role: Role, messages: bytes) -> bytes:
        """Returns the 12 bytes of `role`'s Finished. `messages` are all handshake messages before it, with headers.

        For the server's that includes the client's Finished, and NewSessionTicket where there is one.
        """
        label = f"{role} finished"
        covered = Named(f"messages before the {role}'s Finished", messages)
        hashed = self.derivation.digest(
            FINISHED_HASH[role], self._hash, covered, f"{role} handshake hash", _source(self.version, "7.4.9")
        )
        return self.derivation.prf(
            _VERIFY_DATA[role], self._hash, Named(MASTER, self.master), label, (hashed,), 12, f"{role} verify_data",
            _source(self.version, "7.4.9"),
        ).value  # fmt: skip

    def check_finished(self, role: Role, messages: bytes, received: bytes) -> Reason | None:
        """Returns None where `received` is the verify_data that `role` had to send, else why not."""
        same = hmac.compare_digest(self.verify_data(role, messages), received)
        return None if same else reasons.FINISHED_DIFFERS[role]

    def _key_block(self, client_random: bytes, server_random: bytes) -> dict[Role, Keys]:
        suite, source = self.suite, _source(self.version, "6.3")
        block = self.derivation.prf(
            Text(
                f"The key block: as many bytes as the suite needs, {suite.key_block_length(self.version)} here. The "
                f"server's random comes first this time; the PRF's hash is {SPOKEN[self._hash]}.",
                f"密钥块：套件需要多少字节就生成多少，这里是 {suite.key_block_length(self.version)} 字节。"
                f"这一次服务器随机数在前；PRF 的散列函数是 {SPOKEN[self._hash]}。",
            ),
            self._hash, Named(MASTER, self.master), "key expansion",
            (Named("server random", server_random), Named("client random", client_random)),
            suite.key_block_length(self.version), "key block", source,
        )  # fmt: skip
        lengths = suite.mac_length, suite.key_length, suite.key_block_iv(self.version)
        at, cut = 0, dict[str, bytes]()
        for (name, what), length in zip(_CUTS.items(), (each for each in lengths for _ in _ROLES), strict=True):
            if length:
                cut[name] = self.derivation.cut(what, block, at, at + length, name, source).value
            at += length
        return {
            role: Keys(*(cut.get(f"{role}_{name}", b"") for name in ("write_key", "write_IV", "write_MAC_key")))
            for role in _ROLES
        }
