"""Early data (0-RTT): what a client sends before it has heard the server, and what becomes of it.

Its records come before the ServerHello that chooses how they are protected, and before the server says whether it takes
them at all, in EncryptedExtensions. So they wait, as long as that is open. Taken, they are opened with the client's
early traffic secret, up to EndOfEarlyData. Else the server skips them, as whatever its handshake keys do not open
(RFC 9846 section 4.3.10); so does the reader.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from lab.engine.protocol import Awaited
from lab.protocols.tls import codes, reasons
from lab.protocols.tls.direction import Direction, Said
from lab.protocols.tls.handshake import Handshake
from lab.protocols.tls.hello import ServerHello
from lab.protocols.tls.opening import Opening
from lab.protocols.tls.reasons import Reason
from lab.protocols.tls.records import Record

if TYPE_CHECKING:
    from lab.protocols.tls.protection import Opened, Protection

END = bytes([codes.END_OF_EARLY_DATA, 0, 0, 0])  # all that EndOfEarlyData is
_MOST_WAITING, _MOST_BYTES = 256, 1 << 20  # records that wait, and their bytes


class Early:
    """The early data that a ClientHello has announced."""

    def __init__(self) -> None:
        self.accepted: bool | None = None  # None: the server has not said, or nobody could read it
        self.decided = False
        self.going = True  # what the client sends now may be early data
        self.told: Reason | None = None  # why what waited stays closed: said once
        self._protection: Protection | None = None
        self._waiting: list[tuple[Record, Awaited]] = []
        self._let_go = 0  # records that there was no room for

    @property
    def held(self) -> int:
        """The bytes of the records that wait."""
        return sum(len(record.fragment) for record, _ in self._waiting)

    @property
    def read(self) -> bool:
        """Whether the server takes it, and it can be opened: its end will be seen."""
        return self.accepted is True and self._protection is not None

    def takes(self, record: Record) -> bool:
        """Whether a record of the client's may be early data."""
        return self.going and record.type == codes.APPLICATION_DATA

    def open(
        self, way: Direction, record: Record, shake: Handshake, opening: Opening
    ) -> Opened | Reason | Awaited | None:
        """Returns a record opened, why it stays closed, or what it waits for.

        None where it is no early data, or where nobody can tell.
        """
        if not self.decided:
            return self._wait(record)
        if self._protection is not None and (found := opening.with_(self._protection, record)) is not None:
            return found
        if shake.server_hello is None:  # another ClientHello was asked for: until that comes, all is skipped
            return reasons.EARLY_REJECTED
        found = opening.tried(way, record, shake)
        if found is not None and self.accepted:
            if self._protection is None:
                shake.transcript += END  # it has come, in a record that nobody could open
            else:
                shake.unheard = True  # something was lost of what came early
        if found is not None or way.protection is None:
            self.going = False
            return found
        return reasons.EARLY_REJECTED if self.accepted is False else self._lacking(opening)

    def _wait(self, record: Record) -> Reason | Awaited:
        if len(self._waiting) >= _MOST_WAITING or self.held + len(record.fragment) > _MOST_BYTES:
            self._let_go += 1
            return reasons.EARLY_TOO_MUCH
        self._waiting.append((record, Awaited()))
        return self._waiting[-1][1]

    def hears(self, hello: ServerHello, shake: Handshake, opening: Opening) -> None:
        """The server has chosen: early data needs the first of the client's pre-shared keys, and no second hello."""
        if hello.is_hello_retry or shake.version != codes.TLS_1_3 or hello.selected_psk != 0:
            self.decide(False, shake, opening)

    def decide(self, accepted: bool | None, shake: Handshake, opening: Opening) -> None:
        """The server has said whether it takes early data, or has said so and nobody can read it (None)."""
        if self.decided:
            return
        self.decided, self.accepted = True, accepted
        shake.early_rejected = accepted is False
        if accepted is not False:
            self._protection = opening.early(shake)
        for record, awaited in self._waiting:
            opened = opening.with_(self._protection, record) if self._protection is not None else None
            if opened is not None and opened.content_type == codes.APPLICATION_DATA:
                awaited.tell(partial(_opened, opened))
            else:
                why = reasons.EARLY_REJECTED if accepted is False else self._lacking(opening)
                awaited.tell(partial(_closed, None if self.told is not None else why))
                self.told = self.told or (why if accepted is not False else None)
        self._waiting.clear()
        if self._protection is not None:
            self._protection.sequence += self._let_go

    def over(self) -> None:
        """EndOfEarlyData, or another ClientHello: nothing more of it comes."""
        self.going = False

    def lost(self) -> None:
        """Some of what the client has sent was not captured: once the server has decided, its end may be in that."""
        self.going = self.going and not self.decided

    def _lacking(self, opening: Opening) -> Reason | None:
        if self._protection is not None:
            return self._protection.failed
        known = opening.epochs is not None
        if known:
            return reasons.KEY_LOG_INCOMPLETE.format("CLIENT_EARLY_TRAFFIC_SECRET")
        return opening.locked or reasons.EARLY_UNDECIDED


def _opened(opened: Opened, said: Said) -> Said:
    *most, (record, spans, _) = said.records
    records = (*most, (record, spans, opened))
    return said._replace(name="application-data", raw=opened.plaintext, closed=False, why=None, records=records)


def _closed(why: Reason | None, said: Said) -> Said:
    return said._replace(why=why)
