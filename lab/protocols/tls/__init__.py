"""TLS: its bytes, its secrets, the two tables of states, the notes and the scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lab.engine.protocol import Choice, Command, Upper, later
from lab.errors import UsageError
from lab.text import Text

if TYPE_CHECKING:
    from lab.model import Role

_HERE = "lab.protocols.tls"
_MAJORS, _SSL2_TYPE, _SSL2_HELLO = (3, 1), 2, 1  # first bytes of versions, TLCP's the other; SSL 2.0's message type
_RECORD, _MESSAGE = 5, 4  # bytes of headers
_CERTIFICATE = 11
_HELLOS: dict[int, Role] = {1: "client", 2: "server"}
# Those that only one end sends in the clear: HelloRequest, NewSessionTicket, EncryptedExtensions, ServerKeyExchange,
# CertificateRequest, ServerHelloDone, CertificateStatus; CertificateVerify, ClientKeyExchange.
_SPEAKERS: dict[int, Role] = {
    **dict.fromkeys((0, 4, 8, 12, 13, 14, 22), "server"), **dict.fromkeys((15, 16), "client"), **_HELLOS,
}  # fmt: skip
_HANDSHAKE, _SSL2 = 0x16, range(0x80, 0x100)  # what a first record begins with; SSL 2.0's begins with a length


_LATER = frozenset(range(0x14, 0x18))  # what any record begins with

# What reads TLS is imported when there is some: most captures that are asked about have none.


def _recognise(data: bytes, role: Role) -> bool | None:
    record = data[0] == _HANDSHAKE
    if len(data) > _SSL2_TYPE and (data[1] not in _MAJORS if record else data[_SSL2_TYPE] != _SSL2_HELLO):
        return False  # told without more ado: any data may begin with such a byte
    from lab.protocols.tls.records import looks_like_tls

    return looks_like_tls(data, role)


def _goes_on(data: bytes) -> bool:
    if data[1:2] not in (b"\x03", b"\x01"):
        return False
    from lab.protocols.tls.records import goes_on

    return goes_on(data)


def _spoken_by(data: bytes) -> Role | None:
    """A ClientHello is the client's, a ServerHello the server's (RFC 9846), and so are others; a Certificate may be
    either's. What is encrypted has a length that no message has."""
    at = 0
    while at + _RECORD + _MESSAGE <= len(data) and data[at] in _LATER and data[at + 1] in _MAJORS:
        end = at + _RECORD + int.from_bytes(data[at + 3 : at + _RECORD], "big")
        if data[at] == _HANDSHAKE:
            at += _RECORD
            while at + _MESSAGE <= min(end, len(data)):
                kind, behind = data[at], at + _MESSAGE + int.from_bytes(data[at + 1 : at + _MESSAGE], "big")
                if kind in _HELLOS or (kind in _SPEAKERS and behind <= end):
                    return _SPEAKERS[kind]
                if kind != _CERTIFICATE or behind > end:
                    return None
                at = behind
        at = end
    return None


class _Secrets:
    """Keeps what is learnt until somebody needs it."""

    def __init__(self) -> None:
        self._learnt: list[tuple[bytes, bytes]] = []
        self._known: Any = None

    def learn(self, keylog: bytes, server_key: bytes) -> None:
        if keylog or server_key:
            self._learnt.append((keylog, server_key))

    @property
    def known(self) -> Any:
        if self._known is not None and not self._learnt:
            return self._known
        from lab.protocols.tls.opening import Secrets

        if self._known is None:
            self._known = Secrets()
        for each in self._learnt:
            self._known.learn(*each)
        self._learnt.clear()
        return self._known


def _scenarios() -> Sequence[Any]:
    from lab.protocols.tls.scenarios import SCENARIOS

    return SCENARIOS


def _scenario(version: str, key_exchange: str | None) -> str:
    """Returns the scenario of these choices. Raises UsageError where there is no such handshake."""
    if version == "1.2":
        return f"tls/1.2-{key_exchange or 'rsa'}"
    if key_exchange == "rsa":
        raise UsageError(
            Text("TLS 1.3 has no RSA key exchange: only ephemeral ones", "TLS 1.3 没有 RSA 密钥交换，只有临时密钥交换"),
            Text(
                "lab tls --version 1.2 --key-exchange rsa shows it",
                "用 lab tls --version 1.2 --key-exchange rsa 可以看到它",
            ),
        )
    return "tls/1.3"


PROTOCOL = Upper(
    name="tls",
    title="TLS",
    tables=later(f"{_HERE}.states", "TABLES"),
    layouts=later(f"{_HERE}.diagram", "LAYOUTS"),
    # reading
    first=frozenset({_HANDSHAKE, *_SSL2}),
    third=dict.fromkeys(_SSL2, _SSL2_HELLO),
    recognise=_recognise,
    later=_LATER,
    goes_on=_goes_on,
    spoken_by=_spoken_by,
    begin=later(f"{_HERE}.session", "Session"),
    secrets=_Secrets,
    refuses=later(f"{_HERE}.given", "refuses"),
    carries="data",
    # telling
    steps=later(f"{_HERE}.report", "steps"),
    facts=later(f"{_HERE}.report", "summary"),
    words=later(f"{_HERE}.report", "words"),
    fields=later(f"{_HERE}.report", "details"),
    carriers=later(f"{_HERE}.report", "records"),
    event_words={
        "ClientHello (again)": Text("ClientHello (again)", "ClientHello（再次）"),
        "early data": Text("early data", "早期数据"),
        "fatal alert": Text("fatal alert", "致命警报"),
    },
    meanings=later(f"{_HERE}.meanings", "MEANINGS"),
    assume=later(f"{_HERE}.inferred", "assume"),
    example=later(f"{_HERE}.report", "example"),
    points=later(f"{_HERE}.points", "points"),
    alarming=frozenset({"alert", "close_notify"}),
    troubles=later(f"{_HERE}.troubles", "troubles"),
    dissector=later(f"{_HERE}.witnessed", "DISSECTOR"),
    compared=later(f"{_HERE}.compare", "COMPARED"),
    sentences=later(f"{_HERE}.compare", "SENTENCES"),
    data=frozenset({"application-data"}),
    unawaited=frozenset({"NewSessionTicket"}),  # in TLS 1.2 the server's Finished comes with it
    # playing
    scenarios=_scenarios,
    commands=(
        Command(
            "tls",
            Text("Run the notes' TLS handshake on real hosts.", "在真实主机上运行讲义中的 TLS 握手。"),
            _scenario,
            (
                Choice("--version", Text("Of TLS.", "TLS 版本。"), ("1.2", "1.3"), "1.2"),
                Choice(
                    "--key-exchange",
                    Text(
                        "rsa, the notes' and history, or ecdhe; default: rsa in TLS 1.2.",
                        "rsa（讲义所述，已成历史）或 ecdhe；TLS 1.2 默认为 rsa。",
                    ),
                    ("rsa", "ecdhe"),
                ),
            ),
        ),
    ),
)
