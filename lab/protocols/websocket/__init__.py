"""WebSocket: its opening in HTTP, its frames, the two tables of states, the notes and the scenarios."""

from __future__ import annotations

from typing import Any

from lab.engine.layers import Session, Upper
from lab.model import Role
from lab.protocols.websocket import report
from lab.protocols.websocket.states import CLIENT, SERVER

_GET = b"GET "


def _recognise(data: bytes, role: Role) -> bool | None:
    """A client's GET may be it: whether it asks for an upgrade only its whole head tells, which the session reads."""
    return None if role == "client" and _GET.startswith(data[: len(_GET)]) else False


def _begin(_secrets: Any) -> Session:
    from lab.protocols.websocket.session import Session as Reading  # what reads it is imported when there is some

    return Reading()


class _Secrets:
    """It has none."""

    def learn(self, keylog: bytes, server_key: bytes) -> None: ...


WEBSOCKET = Upper(
    "websocket",
    {"client": CLIENT, "server": SERVER},
    frozenset(_GET[:1]),
    _recognise,
    _begin,
    _Secrets,
    "",
    report.steps,
    report.summary,
    report.words,
    report.details,
)
