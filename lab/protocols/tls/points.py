"""What is to be pointed out in a packet of TLS, where the capture itself shows it.

A certificate that has expired or is for another host, at the Certificate; whose it is, where an alert is about it; what
was offered, where the server refuses that; resumption, at both hellos; a truncation, at the FIN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lab.protocols.tls import codes
from lab.protocols.tls.certificates import described
from lab.protocols.tls.hello import ClientHello, ServerHello
from lab.text import ROLES, Text

if TYPE_CHECKING:
    from lab.engine.layer import Layer
    from lab.engine.record import Record
    from lab.protocols.tls.direction import Said
    from lab.protocols.tls.session import Session

_ABOUT_A_CERTIFICATE = {"bad_certificate", "certificate_expired", "certificate_unknown", "unknown_ca"}
_ABOUT_THE_OFFER = {"handshake_failure", "protocol_version", "insufficient_security", "no_application_protocol"}
_MOST_LISTED = 6  # names, suites


def points(layer: Layer, record: Record) -> list[Text]:
    """Returns the sentences on a packet; none where nothing is to be pointed out, or nobody knows."""
    session: Session = layer.session
    found: list[Text] = []
    for told in record.messages:
        if told.layer is layer:
            found += _of_message(session, told.said, record)
    if "FIN" in record.labels and record.end is not None and "forged" not in record.labels:
        found += _truncation(session, record)
    return found


def _of_message(session: Session, said: Said, record: Record) -> Iterator[Text]:
    parsed: Any = said.parsed
    if isinstance(parsed, ClientHello):
        yield from _offers_resumption(parsed)
    elif isinstance(parsed, ServerHello) and parsed is session.shake.server_hello and session.shake.resumed:
        yield _RESUMES if session.shake.by_ticket else _TAKES_THE_KEY
    elif said.name == "Certificate" and getattr(parsed, "chain", None) and record.end is not None:
        hello = session.shake.client_hello if record.end.role == "server" else None
        yield from _certificate(described(parsed.chain[0]), record.time, getattr(hello, "sni", None))
    elif said.name == "alert" and said.raw and record.end is not None:
        name = codes.name(codes.ALERTS, parsed.description)
        mine = record.end.role == "client"
        if name in _ABOUT_A_CERTIFICATE and mine and session.shake.certificates:
            yield _rejected(described(session.shake.certificates[0]))
        elif name in _ABOUT_THE_OFFER and not mine and session.shake.server_hello is None:
            yield from _refused(session.shake.client_hello)


def _offers_resumption(hello: ClientHello) -> Iterator[Text]:
    """TLS 1.3 resumes with a pre-shared key, TLS 1.2 with a ticket (RFC 5077) or the server's session ID.

    A hello with a key share was written for TLS 1.3, whatever is left of its versions: its session ID says nothing.
    """
    if (ages := hello.psk_ages) and not any(ages):
        yield _OFFERS_A_KEY
        return
    if ages:
        how = Text("a pre-shared key, as a rule a ticket", "预共享密钥，通常是票据")
    elif hello.ticket:
        how = Text("a ticket, in session_ticket", "session_ticket 中的票据")
    elif hello.session_id and codes.TLS_1_3 not in hello.supported_versions and not hello.key_shares:
        how = Text("its session ID", "会话标识符")
    else:
        return
    yield Text(f"The client offers to resume an earlier session: {how.en}", f"客户端提议恢复先前的会话：{how.zh}")


_RESUMES = Text(
    "The server resumes that session: no certificate comes, for both ends have its secret",
    "服务器恢复该会话：双方都持有其密钥，因此不再发送证书",
)
_TAKES_THE_KEY = Text(
    "The server takes a pre-shared key: no certificate comes, for both ends have it, from an earlier session or from "
    "elsewhere",
    "服务器采用一个预共享密钥：双方都持有它（来自先前的会话，或另行约定），因此不再发送证书",
)
_OFFERS_A_KEY = Text(
    "The client offers a pre-shared key. Its obfuscated_ticket_age is 0: it looks like an external one, agreed "
    "elsewhere, and not like a ticket of an earlier session",
    "客户端提议使用预共享密钥。obfuscated_ticket_age 为 0：看来是另行约定的外部密钥，而不是先前会话的票据",
)


def _certificate(certificate: dict[str, Any], time: int | None, asked: str | None) -> Iterator[Text]:
    """Yields what is wrong with a certificate at its time, and for whom it was asked for."""
    begins, ends = certificate["not_before"], certificate["not_after"]
    if ends is not None and time is not None:
        now = datetime.fromtimestamp(time // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if ends < now:
            yield Text(
                f"The certificate has expired: valid from {_day(begins)} to {_day(ends)}, and this packet is of "
                f"{_day(now)}",
                f"证书已过期：有效期为 {_day(begins)} 至 {_day(ends)}，而此包的时间是 {_day(now)}",
            )
        elif now < begins:
            yield Text(
                f"The certificate is not valid yet: from {_day(begins)} on, and this packet is of {_day(now)}",
                f"证书尚未生效：有效期从 {_day(begins)} 开始，而此包的时间是 {_day(now)}",
            )
    names = certificate["alternative_names"]
    if names and asked and not any(_matches(name.lower(), asked.lower().rstrip(".")) for name in names):
        yield Text(
            f"The certificate is for {_listed(names).en}; the client has asked for {asked}",
            f"证书属于 {_listed(names).zh}，而客户端要访问的是 {asked}",
        )


def _matches(name: str, asked: str) -> bool:
    """Whether a certificate's name is the one that was asked for; `*` is one label (RFC 9525 section 6.3)."""
    if name.startswith("*."):
        return name[1:] == asked[asked.find(".") :] and asked.find(".") > 0
    return name == asked


def _rejected(certificate: dict[str, Any]) -> Text:
    """Returns whose certificate it is that an alert is about: names, dates, issuer."""
    if certificate["subject"] is None:
        return Text("The certificate is damaged", "证书已损坏")
    names = certificate["alternative_names"] or [certificate["subject"]]
    begins, ends, issuer = _day(certificate["not_before"]), _day(certificate["not_after"]), certificate["issuer"]
    return Text(
        f"What it rejects: a certificate for {_listed(names).en}, valid from {begins} to {ends}, issued by {issuer}",
        f"被拒绝的证书：属于 {_listed(names).zh}，有效期 {begins} 至 {ends}，由 {issuer} 签发",
    )


def _refused(hello: Any) -> Iterator[Text]:
    """Yields what was offered and refused; what the server would have taken, no alert says."""
    if not isinstance(hello, ClientHello):
        return
    versions = [codes.name(codes.VERSIONS, each) for each in hello.supported_versions or (hello.version,)]
    named = (codes.name(codes.SUITES, each) for each in hello.suites)
    suites = [name for name in named if not name.endswith("_SCSV")]  # signals, not suites
    yield Text(
        f"What it refuses: {_listed(versions).en} with {_listed(suites).en}. What it would have taken, "
        "the alert does not say",
        f"被拒绝的提议：{_listed(versions).zh}，套件 {_listed(suites).zh}。服务器本可接受什么，警报中没有说明",
    )


def _truncation(session: Session, record: Record) -> Iterator[Text]:
    """Whoever ends TCP without a close_notify leaves open whether that was all (RFC 9846 section 6.1)."""
    assert record.end is not None
    role = record.end.role
    way = session.directions.get(role)
    both = [each for each in session.directions.values() if each.finished]
    if way is None or len(both) < 2 or way.passed or way.problem or way.stream.held or way.stream.dropped:
        return
    if session.locked is not None or any(alert.sender == role for alert in session.alerts):
        return
    mine = ROLES[role]
    yield Text(
        f"No close_notify of the {mine.en} before its FIN: whether that was all, TLS can't tell (truncation)",
        f"{mine.zh}在 FIN 之前没有发送 close_notify：TLS 无法判断数据是否完整（截断）",
    )


def _day(moment: str) -> str:
    return moment.partition("T")[0]


def _listed(names: Sequence[str]) -> Text:
    shown, more = names[:_MOST_LISTED], len(names) - _MOST_LISTED
    if more <= 0:
        return Text(", ".join(shown), "、".join(shown))
    return Text(f"{', '.join(shown)} and {more} more", f"{'、'.join(shown)}等 {len(names)} 个")
