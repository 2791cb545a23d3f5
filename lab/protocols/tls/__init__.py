"""TLS: its bytes, its secrets, the two tables of states, the notes and the scenarios."""

from __future__ import annotations

from typing import Any

from lab.engine.layers import Session, Upper
from lab.model import Role
from lab.protocols.tls import report
from lab.protocols.tls.states import CLIENT, SERVER

_MAJOR, _SSL2_TYPE, _SSL2_HELLO = 3, 2, 1  # the first byte of all versions; where SSL 2.0 has its message type
_HANDSHAKE, _SSL2 = 0x16, range(0x80, 0x100)  # what a first record begins with; SSL 2.0's begins with a length


# What reads TLS is imported when there is some: most captures that are asked about have none.


def _recognise(data: bytes, role: Role) -> bool | None:
    if len(data) > _SSL2_TYPE and (data[1] != _MAJOR if data[0] == _HANDSHAKE else data[_SSL2_TYPE] != _SSL2_HELLO):
        return False  # told without more ado: any data may begin with such a byte
    from lab.protocols.tls.records import looks_like_tls

    return looks_like_tls(data, role)


def _begin(secrets: Any) -> Session:
    from lab.protocols.tls.session import Session as Reading

    return Reading(secrets)


class _Secrets:
    """Keeps what is learnt until somebody needs it."""

    def __init__(self) -> None:
        self._learnt: list[tuple[bytes, bytes]] = []
        self._known: Any = None

    def learn(self, keylog: bytes, server_key: bytes) -> None:
        if keylog or server_key:
            self._learnt.append((keylog, server_key))

    @property
    def known(self) -> Any:
        from lab.protocols.tls.session import Secrets

        if self._known is None:
            self._known = Secrets()
        for each in self._learnt:
            self._known.learn(*each)
        self._learnt.clear()
        return self._known


TLS = Upper(
    "tls",
    {"client": CLIENT, "server": SERVER},
    frozenset({_HANDSHAKE, *_SSL2}),
    _recognise,
    _begin,
    _Secrets,
    "data",
    report.steps,
    report.summary,
    report.words,
    report.details,
    report.records,
)
