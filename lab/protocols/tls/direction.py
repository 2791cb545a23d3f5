"""One end's side of a TLS connection: its bytes, its records, and what has been said with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lab.engine.protocol import Awaited
from lab.model import Role, Span
from lab.protocols.tcp.stream import Stream
from lab.protocols.tls.reasons import Reason
from lab.protocols.tls.records import MAX_PIECES, Handshakes, Piece, Record, Records

if TYPE_CHECKING:  # what opens records is imported when something is known to open them with
    from lab.protocols.tls.keys13 import Keys13
    from lab.protocols.tls.protection import Opened, Protection

Placed = tuple[Record, tuple[Span, ...], "Opened | None"]  # a record, its places, what it was opened to

_MOST_TRIES = 256
_new = tuple.__new__  # what a NamedTuple's own constructor comes down to, without the call in between
_SPAN = 120  # bytes that a place takes in memory
_MOST_UNTOLD = 2 << 20  # bytes of records of which no message has been told


class Said(NamedTuple):
    """One message, told when its last byte is there. `stop` is the relative sequence number behind it.

    `event` is what the table calls it, empty where it moves nobody. `raw` is the message as it was before encryption,
    empty where that is not known; `parsed` what it means, None where nothing more is to be said. `records` are those
    that nothing was told of before, with their places: the last completes the message, `stop` is its end.
    """

    name: str
    event: str
    stop: int
    spans: tuple[Span, ...]
    raw: bytes
    parsed: object
    encrypted: bool
    closed: bool = False  # and could not be opened
    cut: bool = False  # some of it was not captured
    why: Reason | None = None  # told once, not of each message that is closed for the same reason
    records: tuple[Placed, ...] = ()
    awaits: Awaited | None = None  # what only a later packet tells

    def in_records(self, records: tuple[Placed, ...]) -> Said:
        """Returns the same with its records: what `_replace` does, in a third of the time."""
        return _new(Said, (*self[:-2], records, self.awaits))

    @property
    def held(self) -> int:
        """The bytes of memory that it takes beside its own, roughly."""
        carried = sum(len(record.fragment) + _SPAN * len(spans) for record, spans, _ in self.records)
        return 2 * len(self.raw) + _SPAN * len(self.spans) + carried

    def bare(self) -> Said:
        """Returns what moves both ends, and nothing more."""
        return self._replace(spans=(), raw=b"", parsed=None, records=())


class AlertSaid(NamedTuple):
    """An alert in the clear or opened."""

    sender: Role
    level: int
    description: int


class Direction:
    """One end's side of the connection: its bytes, records, messages, and how they are protected now."""

    def __init__(self, role: Role, first: int, base: int) -> None:
        self.role: Role = role
        self.base = base  # the relative sequence number of the stream's first byte
        self.stream = Stream(first)
        self.records = Records(role)
        self.handshakes = Handshakes()
        self.encrypted = False  # what comes now is
        self.protection: Protection | None = None
        self.keys: Keys13 | None = None
        self.untold: list[Placed] = []  # of which no message has been told
        self.last_opened: Opened | None = None  # what the record that is being read was opened to
        self.record_places: tuple[Span, ...] = ()  # and where it lies
        self.closed = False  # has sent close_notify
        self.unsure = False  # whether it has changed its keys was not captured
        self.gone = 0  # bytes of which nobody knows what records they were
        self.holed = False  # some of it was not captured
        self.changed = False  # has sent ChangeCipherSpec
        self.sealed = 0  # records of TLS 1.3 that could not be opened, since its keys changed
        self.sealed_behind = 0  # which of them was the first behind the server's flight
        self.sealed_last = 0  # how long the last of them was
        self.passed = 0  # encrypted records that came before their keys were known, or may have, in a hole
        self.least = 0  # how many of them there were at least
        self.tries = _MOST_TRIES  # how often a record is looked for behind a hole
        self.tried = -1  # how much was known when its keys were looked for
        self.finished = False  # has sent its Finished
        self.last_finished: object = None
        self.verified: bool | None = None  # whether that was right; None where nobody could tell
        self.hidden = False  # it does not fit what was heard, which need not be what was said (ECH)
        self.problem = ""
        self.carriers: dict[str, tuple[int, int, int]] = {}  # a plaintext's name -> its record in the stream, its frame

    def keep_untold(self, placed: Placed) -> None:
        """Keeps a record until a message is told of it; the oldest are given up for more."""
        self.untold.append(placed)
        if len(self.untold) > MAX_PIECES:
            del self.untold[: MAX_PIECES // 2]
        elif placed[0].end - self.untold[0][0].start > _MOST_UNTOLD:
            del self.untold[: len(self.untold) // 2 + 1]

    def protect(self) -> None:
        """What comes from now on is encrypted, with keys to be looked for."""
        self.encrypted, self.protection, self.tried, self.passed = True, None, -1, 0
        self.least = 0
        self.sealed = self.sealed_behind = self.sealed_last = 0

    def use(self, keys: Keys13 | None, learnt: int) -> None:
        """Takes the keys of TLS 1.3 for what comes from now on; None where they are still to be looked for."""
        self.keys = keys
        self.protection = keys.protection() if keys is not None else None
        self.tried = learnt if keys is not None else -1

    def places(self, pieces: tuple[Piece, ...]) -> tuple[Span, ...]:
        """Returns where a handshake message lies: in frames, and where it was encrypted, in the plaintext too."""
        if len(pieces) == 1 and pieces[0].buffer == "stream":  # the usual case
            return self.stream.spans(pieces[0].start, pieces[0].end)
        spans: list[Span] = []
        for piece in pieces:
            if piece.buffer == "stream":
                spans += self.stream.spans(piece.start, piece.end)
            elif piece.buffer in self.carriers:
                start, end, number = self.carriers[piece.buffer]
                spans += self.stream.spans(start, end)
                spans.append(Span("plain", number, piece.start, piece.end))
        return tuple(spans)
