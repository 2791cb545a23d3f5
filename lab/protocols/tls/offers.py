"""What else a ClientHello offers, in words: encrypted hellos, key shares too large for a segment, and GREASE."""

from __future__ import annotations

from typing import Any

from lab.model import Span
from lab.protocols.tls import codes, shares
from lab.protocols.tls.hello import data_of
from lab.text import Text

_INNER = b"\x01"  # RFC 9849 section 5


def ech(hello: Any) -> list[Text]:
    """Says that the name which can be read is not, or need not be, the one that is meant."""
    found = data_of(getattr(hello, "extensions", ()), codes.ENCRYPTED_CLIENT_HELLO)
    if found is None:
        return []
    if found == _INNER:
        return [Text("the inner hello of ECH", "ECH 的内层 hello")]
    if found[:1] != b"\0":
        return [Text("ECH in a form that nobody knows", "形式未知的 ECH")]
    if getattr(hello, "sni", None):
        return [
            Text(
                "which is the outer name: ECH hides another, or is GREASE and hides none",
                "这是外层的名字：ECH 中藏着另一个名字，或者只是 GREASE，什么也没有藏",
            )
        ]
    return [Text("ECH, or GREASE that looks the same", "ECH，或者看起来一样的 GREASE")]


def large_share(hello: Any, size: int, spans: tuple[Span, ...]) -> list[Text]:
    """Names a key share that a KEM makes large, and says where for that the hello needs more than one packet."""
    for share in getattr(hello, "key_shares", ()):
        found = shares.kem(share.group, len(share.public))
        if found is None:
            continue
        name, key = found
        group, all_of_it = codes.name(codes.GROUPS, share.group), len(share.public)
        packets = [span.number for span in spans]
        first = sum(span.end - span.start for span in spans if span.number == packets[0]) if packets else 0
        said = Text(
            f"a key share of {group}: {all_of_it:,} bytes, {key:,} of them {name}'s",
            f"{group} 的密钥份额 {all_of_it} 字节，其中 {name} 占 {key} 字节",
        )
        if len(set(packets)) > 1 and size - key <= first:
            said = Text(
                f"{said.en}, without which it would fit into one segment", f"{said.zh}，没有它一个报文段就装得下"
            )
        return [said]
    return []


def grease(hello: Any) -> list[Text]:
    """Says that there are GREASE values in it (RFC 8701): they are not counted as offers."""
    extensions = getattr(hello, "extensions", ())
    numbers = [
        *hello.suites, *(kind for kind, _ in extensions), *getattr(hello, "groups", ()),
        *getattr(hello, "supported_versions", ()), *getattr(hello, "signature_schemes", ()),
        *(share.group for share in getattr(hello, "key_shares", ())),
    ]  # fmt: skip
    if any(codes.is_grease(each) for each in numbers):
        return [Text("GREASE between", "其间掺有 GREASE")]
    return []
