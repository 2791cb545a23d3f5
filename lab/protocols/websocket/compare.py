"""What two WebSocket connections are compared by, and the sentences on what differs."""

from __future__ import annotations

from lab.engine.protocol import BROKEN, Compared, Sentence, fact, same
from lab.text import Text

COMPARED = (
    Compared("accepted", Text("upgrade accepted", "升级成功"), fact("websocket", "accepted")),
    Compared("status", Text("HTTP status", "HTTP 状态码"), fact("websocket", "status")),
    Compared("subprotocol", Text("subprotocol", "子协议"), fact("websocket", "subprotocol")),
    Compared("extensions", Text("extensions", "扩展"), fact("websocket", "extensions")),
    Compared("close_code", Text("close code", "关闭码"), fact("websocket", "close_code")),
)

SENTENCES = (
    Sentence("accepted", same(True), same(False), Text(
        "In {y} the server refuses the upgrade, so it never becomes a WebSocket.",
        "{y} 的服务器拒绝升级，连接没有成为 WebSocket。"), BROKEN),
)  # fmt: skip
