"""What follows where not all can be read: of a record that can't be opened, and of an end that was lost sight of.

Up to TLS 1.2 a sealed record still shows its content type. In TLS 1.3 it shows its length only, and that tells one
message: behind the server's flight a client's record as long as a Finished is one. What is as long as an alert may be
an alert. All else leaves open where the ends stand: nobody is said to be where he may not be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.engine.protocol import UNKNOWN
from lab.model import Role
from lab.protocols.tls import codes
from lab.protocols.tls.ciphers import TLS13, Suite

if TYPE_CHECKING:
    from lab.protocols.tls.direction import Direction
    from lab.protocols.tls.handshake import Handshake
    from lab.protocols.tls.records import Record

_HEADER, _INNER_TYPE, _ALERT, _END_OF_EARLY_DATA = 4, 1, 2, 4  # bytes of plaintext
_FINISHED = range(32, 129)  # bytes of a record with a Finished up to TLS 1.2: 12 or 36 of plaintext, IV, MAC, padding
_MOST_PLAIN = 1 << 18  # bytes of a handshake message: what is longer is none
_HASHES = {"SHA384": 48}
_MOST_IN_FLIGHT = 4  # records of a client's second flight: EndOfEarlyData, Certificate, CertificateVerify, Finished


def sealed(way: Direction, record: Record, shake: Handshake, other: Direction | None) -> tuple[str, str]:
    """Returns the name and the event of a record that can't be opened. `other` is the peer's direction."""
    if shake.version == TLS13:
        return "encrypted", _sealed13(way, record, shake, other)
    if shake.version is None and record.type == codes.APPLICATION_DATA:  # in TLS 1.3 it may be anything
        name = "encrypted" if TLS13 in getattr(shake.client_hello, "supported_versions", ()) else "application-data"
        return name, "" if way.role == "client" and shake.early_data and not way.unsure else UNKNOWN
    if record.type == codes.HANDSHAKE:
        if way.finished or (way.holed and len(record.fragment) not in _FINISHED):
            return "encrypted", UNKNOWN  # another handshake begins
        way.finished = True
        return "Finished", "Finished"
    if record.type == codes.ALERT:
        return "alert", UNKNOWN  # that it closes, that it has failed, or a mere warning
    return ("application-data", "data") if record.type == codes.APPLICATION_DATA else ("heartbeat", "")


def changed(record: Record, announced: bool) -> bool:
    """Whether a record shows that its sender has changed its keys, or has `announced` it, where that is not certain."""
    size = len(record.fragment)
    if record.type != codes.HANDSHAKE:
        return record.type == codes.APPLICATION_DATA or (record.type == codes.ALERT and size != _ALERT)
    if announced:  # only TLS 1.3 has a hello in the clear behind that
        length = int.from_bytes(record.fragment[1:4], "big")
        return record.fragment[:1] not in (b"\x01", b"\x02") or length >= _MOST_PLAIN
    return size in _FINISHED and not record.gaps and not _in_the_clear(record.fragment)


def _in_the_clear(fragment: bytes) -> bool:
    """Whether bytes are handshake messages from the first to the last."""
    at = 0
    while at < len(fragment) and fragment[at] in codes.HANDSHAKE_TYPES.names:
        at += _HEADER + int.from_bytes(fragment[at + 1 : at + _HEADER], "big")
    return at == len(fragment)


def _sealed13(way: Direction, record: Record, shake: Handshake, other: Direction | None) -> str:
    way.sealed += 1
    before, way.sealed_last = way.sealed_last, len(record.fragment)
    suite = shake.suite
    if suite is None or not suite.tag_length:
        return UNKNOWN
    if way.finished:
        return UNKNOWN if len(record.fragment) == _length(_ALERT, suite) else ""
    if way.role == "server" or other is None or not other.sealed:
        return UNKNOWN  # all that it still had to say may be in it
    if not way.sealed_behind:
        way.sealed_behind = way.sealed
    early = shake.early_data and before != _length(_END_OF_EARLY_DATA, suite)
    in_flight = way.sealed - way.sealed_behind < _MOST_IN_FLIGHT
    if in_flight and not early and len(record.fragment) == _length(_HEADER + _HASHES.get(suite.prf, 32), suite):
        way.finished = other.finished = shake.by_length = True  # the server has sent its own before
        return "Finished"
    return UNKNOWN


def alert_length(shake: Handshake) -> int:
    """Returns the length of a record of TLS 1.3 that may be an alert; 0 where the content type tells."""
    return _length(_ALERT, shake.suite) if shake.version == TLS13 and shake.suite is not None else 0


def _length(plaintext: int, suite: Suite) -> int:
    """Returns the length of a record of TLS 1.3 without padding (RFC 9846 section 5.2)."""
    return plaintext + _INNER_TYPE + suite.tag_length


# States that belong to one family of versions; the others both have.
_ONLY_13 = frozenset(
    (
        "WAIT_EE",
        "WAIT_CERT_CR",
        "WAIT_CERT",
        "WAIT_CV",
        "SEND_FINISHED",
        "WAIT_FINISHED",
        "NEGOTIATED",
        "WAIT_EOED",
        "WAIT_FLIGHT2",
    )
)
# Up to TLS 1.2 who finishes first depends on whether a session is resumed: the state before, in a full handshake and in
# a resumed one (RFC 5246 section 7.3).
_FULL_OR_RESUMED = {
    ("client", "sent"): ("SEND_FLIGHT_12", "SEND_FINISHED_12"),
    ("client", "got"): ("WAIT_FINISHED_12", "WAIT_FLIGHT_12"),
    ("server", "sent"): ("SEND_FINISHED_12", "SEND_FLIGHT_12"),
    ("server", "got"): ("WAIT_FINISHED_12", "WAIT_LAST_12"),
}
_AT_THE_END = frozenset(("ChangeCipherSpec", "Finished", "NewSessionTicket"))
_OF_THE_CONNECTED = frozenset(("data", "NewSessionTicket", "KeyUpdate"))


def assume(layer: Any, role: Role, on: str) -> str | None:
    """Returns the state in which an end is taken to have been when this happened to it; None where nobody can say."""
    session, table = layer.session, layer.protocol.tables[role]
    version = session.shake.version
    way, _, what = on.partition(" ")
    if what == "close_notify":
        return _closing(session, role, way)
    if version is not None and version != TLS13 and what in _AT_THE_END:
        if session.shake.server_first is None:
            return None
        state = _FULL_OR_RESUMED[role, way][session.shake.server_first]
        return state if table.row(state, on) else None
    if what in _OF_THE_CONNECTED and (version == TLS13 or what == "data") and table.row("CONNECTED", on):
        return "CONNECTED"
    rows = table.rows_on(on)
    if version is None:
        new = {row.state in _ONLY_13 or row.to in _ONLY_13 for row in rows}
        old = {row.state.endswith("_12") or row.to.endswith("_12") for row in rows}
        if True in new and True in old:
            return None
    elif version == TLS13:
        rows = [row for row in rows if not (row.state.endswith("_12") or row.to.endswith("_12"))]
    else:
        rows = [row for row in rows if row.state not in _ONLY_13 and row.to not in _ONLY_13]
    return rows[0].state if rows else None


def _closing(session: Any, role: Role, way: str) -> str | None:
    """Says where an end stood before a close_notify: whether there was one in the other direction, if that is known."""
    other = session.directions.get(role if way == "got" else ("server" if role == "client" else "client"))
    if other is not None and other.closed:
        return "CLOSE_SENT" if way == "got" else "CLOSE_GOT"
    return None if other is None or other.holed else "CONNECTED"
