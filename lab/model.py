"""What travels along the path: a Frame is captured, a Segment is read from it, a Rung says what it meant.

Standard library only, and nothing here touches the machine. Times are nanoseconds since 1970 (UTC), spans are
half-open byte offsets, sequence numbers say whether they are raw or relative.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from lab.text import Text

Role = Literal["client", "server"]

FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE = (1 << bit for bit in range(9))

LINKTYPE_ETHERNET = 1


class Frame(NamedTuple):
    """A packet as captured. `data` may be shorter than `length`, the bytes it had on the wire (snap length)."""

    number: int  # position in the file, from 1
    time: int | None  # nanoseconds since 1970, None where the file has none
    data: bytes
    length: int
    linktype: int = LINKTYPE_ETHERNET
    comments: tuple[str, ...] = ()


class Span(NamedTuple):
    """A place in bytes: of frame `number`, or of the decrypted buffer that came from it. `end` is exclusive."""

    buffer: Literal["frame", "plain"]
    number: int
    start: int
    end: int


class Field(NamedTuple):
    """One field of a header: its layer, its name as the RFC spells it, where it lies, what it says."""

    layer: str
    name: str
    span: Span
    value: str


class Message(NamedTuple):
    """A message of a protocol above TCP, listed at the packet that completes it."""

    protocol: str
    name: str
    spans: tuple[Span, ...]


class Segment(NamedTuple):
    """The numbers of a TCP segment. All raw, as on the wire; offsets are into the frame's data.

    `payload` is the payload's length in bytes by the IP header; the captured part of it is
    `frame.data[start:start + payload]`, which a snap length may have cut short.
    """

    source: bytes  # 4 or 16 bytes
    destination: bytes
    source_port: int
    destination_port: int
    seq: int
    ack: int
    flags: int  # bits in the order of FLAGS
    window: int
    header: int  # where the TCP header begins
    start: int  # where the payload begins
    payload: int
    problems: tuple[str, ...]  # labels: truncated, bad-checksum, unfinished-checksum


class Options(NamedTuple):
    """What an end offered in its SYN (RFC 9293 section 3.2, RFC 7323, RFC 2018); None where it did not."""

    mss: int | None
    window_scale: int | None
    sack_permitted: bool
    timestamps: bool


class States(NamedTuple):
    """The states of both ends at one instant, by RFC 9293's names; None where it is not known."""

    client: str | None
    server: str | None


class Captured(NamedTuple):
    """The wire has a frame: its sender has sent it, its receiver has not got it. `kernel` is what both kernels said.

    `order` counts everything the wire did, in this and the following events: together they are its journal.
    """

    frame: Frame
    order: int
    kernel: States | None


class Delivered(NamedTuple):
    """The wire has handed a frame to its receiver (twice, where it duplicates)."""

    number: int
    order: int


class Settled(NamedTuple):
    """A frame's fate is settled and both hosts are quiet. `kernel` is None for a frame that was dropped."""

    number: int
    order: int
    kernel: States | None


WireEvent = Captured | Delivered | Settled


class Problem(NamedTuple):
    """Damage in a capture file: the byte offset it was found at and the packet it concerns, where there is one."""

    offset: int
    packet: int | None
    text: Text
