"""WebSocket: its opening in HTTP, its frames, the two tables of states, the notes and the scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lab.engine.protocol import Choice, Command, Session, Upper, later
from lab.text import Text

if TYPE_CHECKING:
    from lab.model import Role

_HERE = "lab.protocols.websocket"
_GET, _STATUS, _SWITCHING = b"GET ", b"HTTP/1.", b"HTTP/1.1 101"
_REQUESTS = (_GET, b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"CONNECT ", b"PATCH ")


def _recognise(data: bytes, role: Role) -> bool | None:
    """A client's GET may be it, and a server's 101: for what only the whole head tells, which the session reads."""
    if role == "server":
        return None if data.startswith(_SWITCHING) else False
    return None if _GET.startswith(data[: len(_GET)]) else False


def _spoken_by(data: bytes) -> Role | None:
    """HTTP/1.1: a request is the client's, a status line the server's (RFC 9112 sections 3 and 4)."""
    if data.startswith(_REQUESTS):
        return "client"
    return "server" if data.startswith(_STATUS) else None


def _begin(_secrets: Any) -> Session:
    from lab.protocols.websocket.session import Session as Reading  # what reads it is imported when there is some

    return Reading()


def _scenarios() -> Sequence[Any]:
    from lab.protocols.websocket.scenarios import SCENARIOS

    return SCENARIOS


PROTOCOL = Upper(
    name="websocket",
    title="WebSocket",
    short="WS",
    tables=later(f"{_HERE}.states", "TABLES"),
    layouts=later(f"{_HERE}.diagram", "LAYOUTS"),
    # reading
    first=frozenset((_GET[0], _STATUS[0])),
    recognise=_recognise,
    spoken_by=_spoken_by,
    begin=_begin,
    closed_below="TCP closed",
    # telling
    steps=later(f"{_HERE}.report", "steps"),
    facts=later(f"{_HERE}.report", "summary"),
    words=later(f"{_HERE}.report", "words"),
    fields=later(f"{_HERE}.report", "details"),
    event_words={
        "upgrade-request": Text("upgrade-request", "升级请求"),
        "refusal": Text("refusal", "拒绝"),
        "wrong 101": Text("wrong 101", "不符的 101"),
        "bad frame": Text("bad frame", "违规的帧"),
        "TCP closed": Text("TCP closed", "TCP 已关闭"),
    },
    message_facts=later(f"{_HERE}.report", "opcode"),
    example=later(f"{_HERE}.report", "example"),
    points=later(f"{_HERE}.report", "points"),
    alarming=frozenset({"refused", "101", "close"}),
    troubles=later(f"{_HERE}.troubles", "troubles"),
    dissector=later(f"{_HERE}.witnessed", "DISSECTOR"),
    compared=later(f"{_HERE}.compare", "COMPARED"),
    sentences=later(f"{_HERE}.compare", "SENTENCES"),
    data=frozenset({"text", "binary"}),
    # playing
    scenarios=_scenarios,
    commands=(
        Command(
            "ws",
            Text("Run a WebSocket connection on real hosts.", "在真实主机上运行 WebSocket 连接。"),
            lambda tls: "websocket/tls" if tls else "websocket/connection",
            (Choice("--tls", Text("Over TLS 1.3: wss.", "在 TLS 1.3 之上：wss。")),),
        ),
    ),
)
