"""After the handshake, without keys: records are passed by on their headers.

Nothing is left to be said of such a record but that it is one, and application data. `begin` says whether a connection
has come so far, and each direction with it; a record that may be anything else, by its header, is to be read as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.engine.protocol import Piece
from lab.model import Role, Span
from lab.protocols.tls import codes, inferred
from lab.protocols.tls.ciphers import TLS13
from lab.protocols.tls.direction import Direction
from lab.protocols.tls.records import HEADER, MAX_FRAGMENT

_ROLES: tuple[Role, Role] = ("client", "server")


class Skimming:
    """A connection whose records are passed by: where each direction stands, and what may be passed by there."""

    name: str  # what each record is called
    event: str  # and what it is to the table

    def __init__(self, session: Any) -> None:
        self._ways: dict[Role, Direction] = {role: session.directions[role] for role in _ROLES}
        shake = session.shake
        self.name, self.event = ("encrypted", "") if shake.version == TLS13 else ("application-data", "data")
        self._not = inferred.alert_length(shake)  # the length of what may be an alert
        self._version = shake.version

    def stands(self, role: Role, relative: int) -> bool:
        """Whether a direction has been read as far as a relative number, and what has begun there may be passed by."""
        way = self._ways[role]
        stream, held = way.stream, way.records.pending
        if way.base + stream.expected != relative or stream.held or stream.dropped or stream.lacking:
            return False
        return not held or (len(held) >= HEADER and self.size(held[:HEADER]) is not None)

    def begins(self, role: Role) -> int:
        """Returns the relative number at which the next record of a direction begins."""
        way = self._ways[role]
        held = way.records.pending
        size = (self.size(held[:HEADER]) or 0) if held else 0
        return way.base + way.records.offset + size

    def begun(self, role: Role) -> tuple[Span, ...]:
        """Returns where what is there of the record lies that a direction is in."""
        way = self._ways[role]
        return way.stream.spans(way.records.offset, way.stream.expected)

    def size(self, header: bytes) -> int | None:
        """Returns the size of a record that may be passed by, None of any other."""
        length = int.from_bytes(header[3:5], "big")
        if header[0] != codes.APPLICATION_DATA or header[1] != 3 or not 0 < length <= MAX_FRAGMENT:
            return None
        return None if length == self._not else HEADER + length

    def skip(self, role: Role, begin: int | None, count: int, rest: Sequence[Piece]) -> None:
        """Passes by `count` records, the last of which ends before relative number `begin`; what is there of the next
        is the `rest`. Without any, the rest goes on with what is there."""
        way = self._ways[role]
        if begin is not None:
            way.stream.skip(begin - way.base)
            way.records.skip(begin - way.base)
            way.untold = []
        way.sealed += count
        way.passed, way.least = way.passed + count, way.least + count
        for _, seq, _, data, number, at in rest:
            fresh = way.stream.add(seq, data, number, at)
            if len(fresh) < way.records.wanted:  # the middle of a record
                way.records.go_on(fresh)
            else:
                way.records.feed(fresh)


def begin(session: Any) -> Skimming | None:
    """Returns how a connection's records are passed by, None while they can't be."""
    shake = session.shake
    if session.early is not None or session.opening.given or shake.version is None or session.later:
        return None
    if not session.told_why or len(session.directions) != len(_ROLES):
        return None
    if shake.version == TLS13 and (shake.suite is None or not shake.suite.tag_length):
        return None
    for way in session.directions.values():
        if way.problem or way.holed or way.unsure or way.closed or way.handshakes.holds or way.records.lost:
            return None
        if not way.encrypted or not way.finished or way.protection is not None:
            return None
    return Skimming(session)
