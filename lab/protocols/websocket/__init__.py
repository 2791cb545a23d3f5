"""WebSocket: its opening in HTTP, its frames, the two tables of states, the notes and the scenarios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.engine.protocol import Choice, Command, Session, Upper
from lab.model import NO_FACTS, Role
from lab.protocols.websocket import report
from lab.protocols.websocket.compare import COMPARED, SENTENCES
from lab.protocols.websocket.states import CLIENT, SERVER
from lab.text import Text

_GET = b"GET "


def _recognise(data: bytes, role: Role) -> bool | None:
    """A client's GET may be it: whether it asks for an upgrade only its whole head tells, which the session reads."""
    return None if role == "client" and _GET.startswith(data[: len(_GET)]) else False


def _begin(_secrets: Any) -> Session:
    from lab.protocols.websocket.session import Session as Reading  # what reads it is imported when there is some

    return Reading()


def _opcode(said: Any) -> Mapping[str, Any]:
    return NO_FACTS if said.opcode is None else {"opcode": said.opcode}


def _scenarios() -> Sequence[Any]:
    from lab.protocols.websocket.scenarios import SCENARIOS

    return SCENARIOS


PROTOCOL = Upper(
    name="websocket",
    title="WebSocket",
    short="WS",
    tables={"client": CLIENT, "server": SERVER},
    # reading
    first=frozenset(_GET[:1]),
    recognise=_recognise,
    begin=_begin,
    closed_below="TCP closed",
    # telling
    steps=report.steps,
    facts=report.summary,
    words=report.words,
    fields=report.details,
    message_facts=_opcode,
    example=report.example,
    compared=COMPARED,
    sentences=SENTENCES,
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
