"""The other end of a connection that is explored: no kernel, only its numbers, which make the segments it sends."""

from __future__ import annotations

from typing import NamedTuple

from lab.protocols.tcp.arrives import Arriving, Variables
from lab.protocols.tcp.segment import ACK, FIN, SYN, URG, Segment
from lab.protocols.tcp.stimuli import TEXT, Place, Stimulus
from lab.protocols.tcp.ways import Way

_WRAP, _HALF = 1 << 32, 1 << 31
ISN, THEIRS = 0x20000000, 0x40000000  # its initial number, and what it takes for the other's where that has none
WINDOW, MSS = 5000, 1460  # bytes; no window scale is offered, so windows are as they are written
_STAMP, _TICK, _OLD = 1_000_000, 10, 1000  # its clock, by how much it goes on a segment, and a time long before
_MSS, _NOPS, _TIMESTAMPS = b"\x02\x04" + MSS.to_bytes(2, "big"), b"\x01\x01", b"\x08\x0a"
_FLAGS = {"SYN": SYN, "SYN-ACK": SYN | ACK, "ACK": ACK, "FIN": FIN | ACK, "old-FIN": FIN | ACK}


class Made(NamedTuple):
    """A segment, to be written between addresses and ports. Numbers are raw."""

    flags: int
    seq: int
    ack: int
    payload: bytes
    options: bytes
    window: int
    urgent: int
    tsval: int | None
    damaged: bool


class Peer:
    """What the peer knows: its own numbers, and from what the kernel has sent, the kernel's."""

    def __init__(self, stamps: bool) -> None:
        self.next = ISN  # what it sends next
        self.theirs: int | None = None  # the kernel's initial number
        self.end = THEIRS + 1  # behind the last that the kernel has sent
        self.acked = THEIRS + 1  # what it has acknowledged of that
        self.edge = 0  # behind the window that the kernel has offered
        self._stamps = stamps
        self._clock = _STAMP
        self._recent: int | None = None  # of what it has sent on its way, the last timestamp
        self._echo = 0

    @property
    def isn(self) -> int:
        """The number that the kernel's are counted from."""
        return THEIRS if self.theirs is None else self.theirs

    @property
    def expected(self) -> int:
        """RCV.NXT: what the kernel expects; of one that has heard nothing, what it would after the peer's SYN."""
        return self.next if self.next != ISN else ISN + 1

    def hears(self, segment: Segment, data: bytes) -> None:
        """Takes in a segment of the kernel, whose frame is `data`."""
        takes = segment.payload + bool(segment.flags & SYN) + bool(segment.flags & FIN)
        stop = (segment.seq + takes) % _WRAP
        if segment.flags & SYN and self.theirs is None:
            self.theirs, self.acked, self.end = segment.seq, segment.seq, stop
        elif (stop - self.end) % _WRAP < _HALF:
            self.end = stop
        if segment.flags & ACK:
            self.edge = (segment.ack + segment.window) % _WRAP
        self._echo = _stamp(data[segment.header + 20 : segment.start]) or self._echo

    def step(self, word: str) -> Made:
        """Returns the segment that a word of a way stands for."""
        flags = _FLAGS[word]
        if flags & ACK and not word.startswith("old"):
            self.acked = self.end
        seq = ISN if flags & SYN else self.next
        made = self._made(flags, seq, self.acked if flags & ACK else 0)
        self._recent = made.tsval
        self.next = (seq + bool(flags & SYN) + bool(flags & FIN)) % _WRAP
        return made

    def make(self, stimulus: Stimulus) -> Made:
        """Returns the segment to be tried, with the numbers as they are now."""
        ack = self._number(stimulus.ack) if stimulus.ack else 0
        return self._made(stimulus.flags, self._number(stimulus.seq), ack, stimulus)

    def offered(self, window: int) -> None:
        """Takes it from the kernel itself how many bytes it offers."""
        self.edge = (self.expected + window) % _WRAP

    def variables(self, way: Way) -> Variables:
        """Returns what the kernel's end remembers where a way has led, as far as its peer can tell."""
        window = (self.edge - self.expected) % _WRAP if self.edge else 0
        return Variables(
            way.state, self.isn, self.acked, self.end, WINDOW, self.expected, window, way.passive, way.fin_sent,
            way.user, self._recent,
        )  # fmt: skip

    def _number(self, place: Place) -> int:
        base = {
            "RCV.NXT": self.expected, "IRS": ISN, "EDGE": self.edge or (self.expected + 65535) % _WRAP,
            "SND.NXT": self.end, "SND.UNA": self.acked,
        }[place.base]  # fmt: skip
        return (base + place.by) % _WRAP

    def _made(self, flags: int, seq: int, ack: int, stimulus: Stimulus | None = None) -> Made:
        self._clock += _TICK
        old = stimulus is not None and stimulus.old_stamp
        tsval = (_OLD if old else self._clock) if self._stamps or old else None
        options = _MSS if flags & SYN else b""
        if tsval is not None:
            echo = self._echo if flags & ACK else 0
            options += _NOPS + _TIMESTAMPS + tsval.to_bytes(4, "big") + echo.to_bytes(4, "big")
        payload = TEXT[: stimulus.length] if stimulus else b""
        urgent = len(payload) if flags & URG else 0
        return Made(flags, seq, ack, payload, options, WINDOW, urgent, tsval, bool(stimulus and stimulus.damaged))


def arriving(made: Made) -> Arriving:
    """Returns a segment as the rules look at it."""
    return Arriving(made.flags, made.seq, made.ack, len(made.payload), made.tsval, made.damaged)


def _stamp(options: bytes) -> int | None:
    """Returns the TSval among some options."""
    at = 0
    while at < len(options) and options[at]:
        if options[at] == 1:
            at += 1
            continue
        size = options[at + 1] if at + 1 < len(options) else 0
        if options[at] == _TIMESTAMPS[0] and size == _TIMESTAMPS[1]:
            return int.from_bytes(options[at + 2 : at + 6], "big")
        if size < 2:
            return None
        at += size
    return None
