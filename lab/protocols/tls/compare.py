"""What two TLS connections are compared by, and the sentences on what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lab.engine.protocol import AGREED, BROKEN, Compared, Sentence, fact, same
from lab.model import Role
from lab.text import Text


def _decrypted(facts: Mapping[str, Any], rows: Sequence[Any]) -> bool | None:
    """Returns whether everything in TLS could be decrypted; None where there is none."""
    return all(row.name != "encrypted" for row in rows) if facts["tls"] else None


def _alerts(role: Role) -> Callable[[Mapping[str, Any], Sequence[Any]], list[str]]:
    """Returns what finds the fatal alerts of one end."""

    def found(facts: Mapping[str, Any], _rows: Sequence[Any]) -> list[str]:
        alerts = (facts["tls"] or {"alerts": []})["alerts"]
        return [each["description"] for each in alerts if each["level"] == "fatal" and each["from"] == role]

    return found


def _no_secret_sent(found: Any) -> bool:
    return isinstance(found, str) and "DHE" in found


COMPARED = (
    Compared("tls_version", Text("TLS version", "TLS 版本"), fact("tls", "version")),
    Compared("cipher_suite", Text("cipher suite", "加密套件"), fact("tls", "cipher_suite")),
    Compared("key_exchange", Text("key exchange", "密钥交换"), fact("tls", "key_exchange")),
    Compared("group", Text("group", "密钥交换组"), fact("tls", "group")),
    Compared("sni", Text("server name (SNI)", "服务器名（SNI）"), fact("tls", "sni")),
    Compared("alpn", Text("ALPN", "ALPN"), fact("tls", "alpn")),
    Compared("resumed", Text("resumed", "会话恢复"), fact("tls", "resumed")),
    Compared("hello_retry", Text("hello retry", "重发 ClientHello"), fact("tls", "hello_retry")),
    Compared("client_certificate", Text("client certificate", "客户端证书"), fact("tls", "client_certificate")),
    Compared("finished_verified", Text("Finished verified", "Finished 已验证"), fact("tls", "finished_verified")),
    Compared("decrypted", Text("all of TLS decrypted", "TLS 全部解密"), _decrypted, last=True),
    Compared("client_alerts", Text("client's fatal alert", "客户端的致命警报"), _alerts("client"), last=True),
    Compared("server_alerts", Text("server's fatal alert", "服务器的致命警报"), _alerts("server"), last=True),
)

SENTENCES = (
    Sentence("decrypted", same(True), same(False), Text(
        "In {y} not all of TLS could be decrypted, so its messages stay unnamed: give the keys with --keylog.",
        "{y} 的 TLS 未能全部解密，其中的消息无从得知名称：请用 --keylog 提供密钥。"), AGREED),
    Sentence("tls_version", same(None), same("TLS 1.2"), Text(
        "{y} puts TLS 1.2 on top of TCP; in {x} anyone on the way can read along.",
        "{y} 在 TCP 之上使用 TLS 1.2；{x} 的内容途中任何人都能看到。"), AGREED),
    Sentence("tls_version", same(None), same("TLS 1.3"), Text(
        "{y} puts TLS 1.3 on top of TCP; in {x} anyone on the way can read along.",
        "{y} 在 TCP 之上使用 TLS 1.3；{x} 的内容途中任何人都能看到。"), AGREED),
    Sentence("hello_retry", same(False), same(True), Text(
        "In {y} the server first asks for another ClientHello (HelloRetryRequest).",
        "{y} 的服务器先要求客户端重发 ClientHello（HelloRetryRequest）。"), AGREED),
    Sentence("key_exchange", same("RSA"), _no_secret_sent, Text(
        "In {x} the secret itself is sent, encrypted with the server's public key (RSA): whoever gets the private key "
        "later can read it all. In {y} no secret is ever sent ({other}).",
        "{x} 把密钥材料用服务器公钥加密后发送（RSA）：日后谁拿到私钥，谁就能读出全部内容。"
        "{y} 从不发送任何秘密（{other}）。"), AGREED),
    Sentence("resumed", same(False), same(True), Text(
        "In {y} both ends already share a key, as a rule from an earlier session, so the server sends no certificate.",
        "{y} 的双方事先已有密钥，通常来自先前的会话，服务器因此不再发送证书。"), AGREED),
    Sentence("client_certificate", same(False), same(True), Text(
        "In {y} the client shows a certificate too.",
        "{y} 的客户端也出示证书。"), AGREED),
    Sentence("client_alerts", same([]), bool, Text(
        "In {y} the client breaks off with an alert: {other}.",
        "{y} 的客户端以警报中断：{other}。"), BROKEN),
    Sentence("server_alerts", same([]), bool, Text(
        "In {y} the server breaks off with an alert: {other}.",
        "{y} 的服务器以警报中断：{other}。"), BROKEN),
)  # fmt: skip
