"""SSH: its transport layer up to the keys, the two tables of states, the notes and the scenarios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.engine.protocol import Command, Session, Upper
from lab.model import NO_FACTS, Role
from lab.protocols.ssh import report
from lab.protocols.ssh.compare import COMPARED, SENTENCES
from lab.protocols.ssh.states import CLIENT, SERVER
from lab.text import Text

_SSH = b"SSH-"
_TEXT = frozenset({*range(0x20, 0x7F), *range(0xC2, 0xF5)})  # what a line of UTF-8 may begin with
_CONTROLS = frozenset({*range(0x20)} - set(b"\t\r\n"))


def _recognise(data: bytes, role: Role) -> bool | None:
    """A version is it. A server may say lines before (RFC 4253 section 4.2): any text may be one, the session tells."""
    if _SSH.startswith(data[: len(_SSH)]):
        return True if len(data) >= len(_SSH) else None
    return False if role == "client" or not _CONTROLS.isdisjoint(data) else None


def _begin(secrets: Any) -> Session:
    from lab.protocols.ssh.session import Session as Reading  # what reads it is imported when there is some

    return Reading(secrets)


class _Secrets:
    """Keeps what is learnt until somebody needs it."""

    def __init__(self) -> None:
        self._learnt: list[bytes] = []
        self._known: Any = None

    def learn(self, keylog: bytes, _server_key: bytes) -> None:
        if keylog:
            self._learnt.append(keylog)

    def of(self, cookie: bytes) -> bytes | None:
        from lab.protocols.ssh.exchange import Secrets

        self._known = self._known or Secrets()
        while self._learnt:
            self._known.learn(self._learnt.pop(0), b"")
        found: bytes | None = self._known.of(cookie)
        return found


def _number(said: Any) -> Mapping[str, Any]:
    return NO_FACTS if said.read.number is None else {"message_number": said.read.number}


def _scenarios() -> Sequence[Any]:
    from lab.protocols.ssh.scenarios import SCENARIOS

    return SCENARIOS


PROTOCOL = Upper(
    name="ssh",
    title="SSH",
    tables={"client": CLIENT, "server": SERVER},
    # reading
    first=_TEXT,
    recognise=_recognise,
    begin=_begin,
    secrets=_Secrets,
    closed_below="TCP closed",
    server_may_begin=True,
    # telling
    steps=report.steps,
    facts=report.summary,
    words=report.words,
    fields=report.details,
    message_facts=_number,
    example=report.example,
    label_words={
        "bad-packet": Text("not a packet of SSH", "不是 SSH 数据包"),
        "unknown-message": Text("a message that has no name here", "无法得知名称的消息"),
    },
    compared=COMPARED,
    sentences=SENTENCES,
    data=frozenset({"encrypted-packet"}),
    # playing
    scenarios=_scenarios,
    commands=(
        Command(
            "ssh",
            Text("Run the opening of an SSH connection on real hosts.", "在真实主机上运行 SSH 连接的建立过程。"),
            lambda: "ssh/connection",
        ),
    ),
)
