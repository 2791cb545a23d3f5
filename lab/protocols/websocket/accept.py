"""Sec-WebSocket-Accept as a worked example, in the lines in which TLS writes its keys (RFC 6455 section 4.2.2)."""

from __future__ import annotations

import base64

from lab.model import DerivationLine
from lab.protocols.tls.derivation import Derivation, Named
from lab.protocols.websocket.http import GUID
from lab.text import Text


def accept_lines(key: str, sent: str | None) -> tuple[DerivationLine, ...]:
    """Returns how the accept value of a key comes about, and how it compares with what the server sent (None: with
    nothing). All strings are bytes as they stand in the header."""
    paper = Derivation()
    given = paper.given(
        Text("the client's random key, as its base64 text", "客户端的随机密钥，取其 base64 文本本身"),
        "Sec-WebSocket-Key of the request", Named("key", key.encode("latin-1", "replace")), "RFC 6455 section 4.1",
    )  # fmt: skip
    guid = paper.given(
        Text("a constant that every WebSocket server knows", "每个 WebSocket 服务器都知道的常量"),
        "written in the RFC", Named("GUID", GUID.encode()), "RFC 6455 section 1.3",
    )  # fmt: skip
    joined = paper.add(
        Text("one text behind the other", "两段文本首尾相接"),
        (given, guid), "key + GUID", Named("joined", given.value + guid.value), "RFC 6455 section 4.2.2, item 5.4",
    )  # fmt: skip
    digest = paper.digest(
        Text("hashed: 20 bytes", "求散列值：20 字节"), "SHA", joined, "digest", "RFC 6455 section 4.2.2, item 5.4"
    )
    right = paper.add(
        Text("written in base64: the accept value", "用 base64 写出：accept 值"),
        (digest,), "base64(digest)", Named("accept", base64.b64encode(digest.value)),
        "RFC 6455 section 4.2.2, item 5.4",
    )  # fmt: skip
    if sent is not None:
        header = Named("Sec-WebSocket-Accept", sent.encode("latin-1", "replace"))
        same = header.value == right.value
        what = Text("the server sent the same", "服务器发来的与之相同") if same else Text(
            "the server sent something else: the client must fail the connection",
            "服务器发来的与之不同：客户端必须使连接失败",
        )  # fmt: skip
        paper.add(
            what, (right, header), f"accept {'=' if same else '≠'} Sec-WebSocket-Accept",
            Named("equal", b"\x01" if same else b"\x00"), "RFC 6455 section 4.1",
        )  # fmt: skip
    return paper.lines
