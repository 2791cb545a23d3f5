"""What became of a TLS connection: the notes' steps, where they depart from them, a summary, each message in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.engine.protocol import StepOutcome
from lab.model import Carrier, Detail, Example
from lab.text import Text

if TYPE_CHECKING:
    from lab.engine.layer import Layer
    from lab.protocols.tls.direction import Said
    from lab.protocols.tls.session import Session
    from lab.protocols.tls.shapes import TlsField

STEPS = tuple(f"tls.{number}" for number in range(1, 7))
_PREVIEW = 40  # bytes of opened data that are shown
_TLS13, _TLCP = 0x0304, 0x0101
_NO_CERTIFICATE = ("DH_anon", "ECDH_anon", "PSK", "DHE_PSK", "ECDHE_PSK")  # RFC 5246 section 7.4.2, RFC 4279 section 2
_UNKNOWN = Text("of which key exchange is not known", "不知道采用哪种密钥交换")
_EARLY = {True: "accepted", False: "rejected", None: "unknown"}


def steps(layer: Layer) -> list[StepOutcome]:
    """Returns each of the notes' steps with its packets and the code of how it departs from the notes."""
    session: Session = layer.session
    found = []
    for step in STEPS:
        packets = tuple(sorted({seen.number for seen in layer.steps.get(step, ())}))
        found.append(StepOutcome(step, packets, _differs(session, layer, step, packets)))
    return found


def _differs(session: Session, layer: Layer, step: str, packets: tuple[int, ...]) -> str | None:
    if not packets:
        return _why_unseen(session, layer, step)
    if step == "tls.1" and session.first.hello_retry:
        return "hello-retry" if len(packets) > 1 else "hello-retry-unanswered"
    if step == "tls.2" and session.first.resumed:
        return "resumed" if session.first.by_ticket else "shared-before"
    if step == "tls.2" and session.first.version == _TLS13:
        return "certificate-encrypted"
    if step == "tls.2" and session.first.exchange in _NO_CERTIFICATE:
        return "no-certificate"
    if step in ("tls.3", "tls.4") and session.first.exchange is None:
        return "key-exchange-unknown"
    if step in ("tls.3", "tls.4") and session.first.exchange == "PSK":
        return "pre-shared-key"
    if step in ("tls.3", "tls.4") and session.first.exchange not in ("RSA", "ECC", "RSA_PSK"):
        return "unsigned-key-agreement" if session.first.exchange in _NO_CERTIFICATE else "key-agreement"
    if step == "tls.4" and session.opening.known12 is None:
        return "does-not-open" if session.opening.given and session.locked is not None else "not-decrypted"
    if step == "tls.5":
        if session.finished_verified is False:
            return "finished-wrong"
        if session.first.by_length:
            return "by-length"
        if session.first.version == _TLS13 or session.first.resumed:
            return "server-finishes-first"
    return None


def _why_unseen(session: Session, layer: Layer, step: str) -> str:
    if step == "tls.1":
        return "not-captured"
    if session.later:
        return "encrypted" if step == "tls.6" else "not-captured"
    if step in ("tls.3", "tls.4"):
        if session.first.version == _TLS13:
            alone = session.first.resumed and session.first.group is None  # psk_ke: RFC 9846 section 4.3.9
            return "pre-shared-key-alone" if alone else "key-share"
        if session.first.resumed:
            return "resumed"
    if any(alert.description for alert in session.alerts) and "FAILED" in layer.states:
        return "failed"
    if session.damaged:
        return "unreadable"
    if session.incomplete:
        return "not-captured" if session.one_sided else "bytes-missing"
    passed = any(way.passed for way in session.directions.values())
    if session.first.version == _TLS13 and (session.locked is not None or passed):
        return "encrypted"
    return "not-finished"


def summary(layer: Layer) -> dict[str, Any]:
    """Returns the trace's `tls` object."""
    from lab.protocols.tls import codes
    from lab.protocols.tls.certificates import described

    session: Session = layer.session
    shake = session.first
    hello, version, code = shake.client_hello, shake.version, shake.suite_code
    return {
        "version": codes.name(codes.VERSIONS, version) if version is not None else None,
        "cipher_suite": codes.name(codes.SUITES, code) if code is not None else None,
        "key_exchange": _key_exchange(session),
        "group": codes.name(codes.GROUPS, shake.group) if shake.group is not None else None,
        "sni": getattr(hello, "sni", None),
        "alpn": shake.alpn,
        "resumed": shake.resumed,
        "hello_retry": shake.hello_retry,
        "early_data": _EARLY[session.early.accepted] if session.early is not None else None,
        "client_certificate": shake.client_certificate,
        "decrypted": session.opening.opened,
        "finished_verified": session.finished_verified,
        "alerts": [
            {
                "from": alert.sender,
                "level": codes.name(codes.ALERT_LEVELS, alert.level),
                "description": codes.name(codes.ALERTS, alert.description),
            }
            for alert in session.alerts
        ],
        "certificates": [described(certificate) for certificate in shake.certificates],
    }


def example(layer: Layer) -> Example:
    """Returns how the keys come about, as far as they are known."""
    session: Session = layer.session
    locked = session.locked.text if session.locked is not None else None
    title = Text("The keys of conversation {0}", "连接 {0} 的密钥")
    return Example(title, locked, session.lines, bool(session.first.encrypted_premaster))


def _key_exchange(session: Session) -> str | None:
    from lab.protocols.tls.suites import TLCP_SUITES

    shake = session.first
    if shake.suite is None:
        own = TLCP_SUITES.get(shake.suite_code or 0)
        return own.partition("_")[0] if own is not None else None
    if shake.suite.key_exchange == "TLS13":
        if shake.resumed:
            return f"PSK_{_of_group(shake.group)}" if shake.group is not None else "PSK"
        return _of_group(shake.group)
    return shake.suite.key_exchange


def _of_group(group: int | None) -> str:
    from lab.protocols.tls import codes

    name = codes.name(codes.GROUPS, group) if group is not None else ""
    for kem in ("MLKEM", "Kyber"):
        if kem in name:
            written = kem.replace("MLKEM", "ML-KEM")
            return written if name.startswith(kem) else f"ECDHE+{written}"
    return "ECDHE" if group is None or group not in range(256, 512) else "DHE"


def words(layer: Layer, said: Said) -> Text:
    """Returns what a message says, in a line; empty where its name says all."""
    session: Session = layer.session
    told = _WORDS.get(said.name)
    if said.cut:
        return Text("cut short in the capture", "在抓包中被截短")
    if said.encrypted and said.closed:
        return _locked(session, said)
    return told(session, said) if told else Text("", "")


def details(layer: Layer, said: Said) -> list[Detail]:
    """Returns the fields of a message that is in the clear or has been opened."""
    from lab.protocols.tls import codes
    from lab.protocols.tls.fields import content_fields, message_fields

    session: Session = layer.session
    if not said.raw or said.cut:
        return []
    if said.name in ("alert", "close_notify"):
        found = content_fields(codes.ALERT, said.raw)
    elif said.name == "ChangeCipherSpec":
        found = content_fields(codes.CHANGE_CIPHER_SPEC, said.raw)
    elif said.name in ("application-data", "heartbeat"):
        return []
    else:
        found = message_fields(said.raw, session.shake.version, session.shake.suite_code)
    return [detail for field in found for detail in (Detail(*field), *_inside(said.raw, field))]


def _inside(raw: bytes, field: TlsField) -> list[Detail]:
    """Returns what people read in a certificate, where a field is one."""
    from lab.protocols.tls.certificates import places

    if field.name not in ("cert_data", "ASN.1Cert"):
        return []
    found = places(raw[field.start : field.end])
    return [
        Detail(field.depth + 1 + inside, name, field.start + at, field.start + end, said)
        for name, at, end, said, inside in found
    ]


def records(layer: Layer, said: Said) -> list[Carrier]:
    """Returns the records that a message came in, but for one of which an earlier message has told: headers, and what
    stands around the content of one that was opened."""
    from lab.protocols.tls.fields import opened_fields, record_fields
    from lab.protocols.tls.records import HEADER

    session: Session = layer.session
    found = []
    for record, spans, opened in said.records:
        fields = record_fields(record, session.first.version, said.encrypted)
        head = [Detail(*field) for field in fields if field.depth == 0 or field.end <= HEADER]
        inside: list[Detail] = []
        if opened is not None and opened.sequence is not None:
            inside = [
                *(Detail(*each) for each in fields if each.start == HEADER),
                *(Detail(*each) for each in opened_fields(record, opened)),
            ]
        start, end = (said.stop - said.records[-1][0].end + at for at in (record.start, record.end))
        plain = opened.plaintext if inside and opened is not None else b""
        found.append(Carrier(start, end, spans, (*head, *inside), plain))
    return found


def _locked(session: Session, said: Said) -> Text:
    """Says that something is encrypted, and why it stays so where that has not been said before."""
    parts = [Text("encrypted", "已加密")] if said.name != "encrypted" else []
    if said.event == "early data":
        parts = [Text("early data", "早期数据")]
    if said.event == "Finished" and session.first.version == _TLS13:
        parts.append(Text("by its place and its length it is the Finished", "从位置和长度看是 Finished"))
    if said.why is not None:
        parts.append(said.why.text)
    return Text("; ".join(each.en for each in parts), "；".join(each.zh for each in parts))


def _client_hello(_session: Session, said: Said) -> Text:
    from lab.protocols.tls import codes
    from lab.protocols.tls.offers import ech, grease, large_share

    hello: Any = said.parsed
    offered = getattr(hello, "supported_versions", ()) or (hello.version,)
    names = [codes.name(codes.VERSIONS, each) for each in offered if not codes.is_grease(each)]
    listed = getattr(hello, "specs", hello.suites)  # in SSL 2.0's format some may be SSL 2.0's own
    suites = sum(not codes.is_grease(each) for each in listed)
    again = said.event.endswith("(again)")
    parts = [
        *([Text("another handshake (renegotiation)", "再次握手（重新协商）")] if again else []),
        Text(f"offers {' '.join(names)}", f"提供 {'、'.join(names)}"),
        Text(f"{suites} cipher suites", f"{suites} 个加密套件"),
    ]
    if getattr(hello, "sni", None):
        parts.append(Text(f"for {hello.sni}", f"访问 {hello.sni}"))
    parts += ech(hello)
    if getattr(hello, "alpn", ()):
        parts.append(Text(f"ALPN {' '.join(hello.alpn)}", f"ALPN {'、'.join(hello.alpn)}"))
    if getattr(hello, "early_data", False):
        parts.append(Text("announces early data (0-RTT)", "预告早期数据（0-RTT）"))
    return _joined([*parts, *large_share(hello, len(said.raw), said.spans), *grease(hello)])


def _server_hello(_session: Session, said: Said) -> Text:
    from lab.protocols.tls import codes

    hello: Any = said.parsed
    version, suite = codes.name(codes.VERSIONS, hello.selected_version), codes.name(codes.SUITES, hello.suite)
    return Text(f"chooses {version}, {suite}", f"选定 {version}，{suite}")


def _retry(_session: Session, said: Said) -> Text:
    from lab.protocols.tls import codes

    share = getattr(said.parsed, "key_share", None)
    if share is None:  # then it is there for its cookie (RFC 9846 section 4.2.4)
        return Text("asks for the ClientHello again, with its cookie", "要求带上它的 cookie 重发 ClientHello")
    group = codes.name(codes.GROUPS, share.group)
    return Text(f"asks for a key share of {group}", f"要求给出 {group} 的密钥份额")


def _certificate(session: Session, said: Said) -> Text:
    from lab.protocols.tls.certificates import described

    chain = getattr(said.parsed, "chain", ())
    if not chain:
        return Text("none", "没有证书")
    first = described(chain[0])
    several = len(chain) > 1
    if session.shake.version == _TLCP and several:
        en, zh = (f" of {first['subject']}", f"属于 {first['subject']}") if first["subject"] else ("", "是服务器的")
        return Text(
            f"{len(chain)} certificates, the first two{en}: one to sign with, one to encrypt with",
            f"共 {len(chain)} 张证书，前两张{zh}：签名证书和加密证书",
        )
    if first["subject"] is None:
        return Text(f"{len(chain)} certificates, the first is damaged", f"共 {len(chain)} 张证书，第一张已损坏")
    return Text(
        f"{f'{len(chain)} certificates, the first ' if several else ''}of {first['subject']}, by {first['issuer']}",
        f"{f'共 {len(chain)} 张证书，第一张：' if several else ''}{first['subject']}，由 {first['issuer']} 签发",
    )


def _compressed(session: Session, said: Said) -> Text:
    from lab.protocols.tls import codes
    from lab.protocols.tls.compressed import opened

    parsed: Any = said.parsed
    found: Any = opened(parsed)
    how = codes.name(codes.CERTIFICATE_COMPRESSIONS, parsed.algorithm)
    size = len(parsed.compressed)
    told = Text(
        f"{size} bytes of {how} instead of {parsed.length}", f"以 {how} 压缩：{size} 字节，原为 {parsed.length} 字节"
    )
    inside = _certificate(session, said._replace(parsed=found)) if hasattr(found, "chain") else found.text
    return Text(f"{told.en}; {inside.en}", f"{told.zh}；{inside.zh}")


def _server_key(_session: Session, said: Said) -> Text:
    from lab.protocols.tls import codes

    parsed: Any = said.parsed
    if parsed.exchange == "other":
        return _UNKNOWN
    if parsed.exchange in ("PSK", "RSA_PSK"):
        return Text("a hint which key to use", "提示使用哪个密钥")
    group = codes.name(codes.GROUPS, parsed.group) if parsed.group is not None else parsed.exchange
    if parsed.exchange in _NO_CERTIFICATE:
        return Text(f"its half of {group}, not signed", f"{group} 的公开值，没有签名")
    if parsed.exchange == "ECC":
        return Text(
            "a signature over both random numbers and the certificate to encrypt with",
            "对双方随机数和加密证书的签名",
        )
    if parsed.scheme is None:  # before TLS 1.2 the suite says what signs
        return Text(f"its half of {group}, signed", f"{group} 的公开值，附签名")
    scheme = codes.name(codes.SIGNATURE_SCHEMES, parsed.scheme)
    return Text(f"its half of {group}, signed with {scheme}", f"{group} 的公开值，以 {scheme} 签名")


def _client_key(session: Session, said: Said) -> Text:
    parsed: Any = said.parsed
    if parsed.exchange == "other":
        return _UNKNOWN
    if parsed.exchange == "PSK":
        return Text("names the key that both ends have", "指出双方已有的密钥")
    if parsed.encrypted is None and parsed.public is None:
        return Text("its half of the key agreement is in its certificate", "密钥协商的公开值在它的证书中")
    if parsed.encrypted is None:
        size = len(parsed.public or b"")
        return Text(f"its half of the key agreement, {size} bytes", f"密钥协商的公开值，{size} 字节")
    size = len(parsed.encrypted)
    sealed = Text(
        f"the pre-master secret, encrypted with the server's public key: {size} bytes",
        f"用服务器公钥加密的预主密钥：{size} 字节",
    )
    opened = next((line.output for line in session.lines if line.output_name == "pre-master secret"), None)
    if opened is None:
        return sealed
    return Text(
        f"{sealed.en}; decrypted with the server's private key: {opened[:8].hex(' ')} … ({len(opened)} bytes)",
        f"{sealed.zh}；用服务器私钥解密得到：{opened[:8].hex(' ')} …（{len(opened)} 字节）",
    )


def _finished(session: Session, said: Said) -> Text:
    for way in session.directions.values():
        if way.last_finished is said.parsed and way.verified is not None:
            if way.verified:
                return Text("verify_data is right", "verify_data 验证无误")
            return Text("verify_data is WRONG", "verify_data 验证不符")
        if way.last_finished is said.parsed and way.hidden:
            return Text(
                "verify_data fits no hello that can be read: it covers the one that ECH hides, or is wrong",
                "verify_data 与能读到的 hello 不符：它覆盖的是藏在 ECH 中的那一个，或者有误",
            )
    return Text("", "")


def _alert(_session: Session, said: Said) -> Text:
    from lab.protocols.tls import codes

    parsed: Any = said.parsed
    level, name = codes.name(codes.ALERT_LEVELS, parsed.level), codes.name(codes.ALERTS, parsed.description)
    return Text(f"{level}: {name}", f"{level}：{name}")


def _data(_session: Session, said: Said) -> Text:
    text = said.raw[:_PREVIEW].decode("utf-8", "replace")
    size = len(said.raw)
    odd = sum(char == "\ufffd" or not (char.isprintable() or char in "\r\n\t") for char in text)
    early = Text("early data, ", "早期数据，") if said.event == "early data" else Text("", "")
    if not text or odd > len(text) // 8:
        return Text(f"{early.en}{size} bytes, decrypted", f"{early.zh}{size} 字节，已解密")
    more = "…" if size > _PREVIEW else ""
    return Text(f'{early.en}decrypted: "{text}{more}"', f'{early.zh}解密后："{text}{more}"')


def _ticket(_session: Session, said: Said) -> Text:
    parsed: Any = said.parsed
    lifetime, old = parsed.lifetime, parsed.age_add is None
    if old and not parsed.ticket and not parsed.damaged:  # RFC 5077 section 3.3
        return Text("no ticket after all", "不提供票据")
    if not lifetime and old:
        return Text("for resuming, for how long it does not say", "可恢复会话，有效期未说明")
    if not lifetime:  # RFC 9846 section 4.7.1
        return Text("to be discarded at once", "应立即丢弃")
    return Text(f"for resuming within {lifetime} s", f"可在 {lifetime} 秒内恢复会话")


def _extensions(session: Session, said: Said) -> Text:
    chosen = next(iter(getattr(said.parsed, "alpn", ())), None)
    parts = [Text(f"ALPN {chosen}", f"ALPN {chosen}")] if chosen else []
    if session.early is not None and session.early.accepted is not None:
        taken = Text("takes the early data", "接受早期数据")
        parts.append(taken if session.early.accepted else Text("rejects the early data", "拒绝早期数据"))
    return _joined(parts)


def _joined(parts: list[Text]) -> Text:
    return Text(", ".join(each.en for each in parts), "，".join(each.zh for each in parts))


_WORDS = {
    "ClientHello": _client_hello, "ServerHello": _server_hello, "HelloRetryRequest": _retry,
    "Certificate": _certificate, "ServerKeyExchange": _server_key, "ClientKeyExchange": _client_key,
    "Finished": _finished, "alert": _alert, "application-data": _data,
    "CompressedCertificate": _compressed, "NewSessionTicket": _ticket, "EncryptedExtensions": _extensions,
}  # fmt: skip
