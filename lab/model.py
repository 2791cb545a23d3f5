"""What travels along the path: a Frame is captured, a Segment is read from it, a Rung says what it meant.

Standard library only, and nothing here touches the machine. Times are nanoseconds since 1970 (UTC), spans are
half-open byte offsets, sequence numbers say whether they are raw or relative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from lab.text import Text

if TYPE_CHECKING:
    from lab.dissect.conversations import Conversation, End

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


class Detail(NamedTuple):
    """One field of a message: `start` and `end` are offsets in the message. It holds all deeper ones behind it."""

    depth: int
    name: str
    start: int
    end: int
    value: str  # empty for a structure


class Message(NamedTuple):
    """A message of a protocol above TCP, listed at the packet that completes it. `said` is that protocol's account."""

    protocol: str
    name: str
    spans: tuple[Span, ...]
    said: Any = None


class Segment(NamedTuple):
    """The numbers of a TCP segment. All raw, as on the wire; offsets are into the frame's data.

    `payload` is the payload's length in bytes by the IP header; the captured part of it is
    `frame.data[start:start + payload]`, which a snap length may have cut short.
    """

    pair: bytes  # the socket pair: source and destination address (4 or 16 bytes each), source and destination port
    seq: int
    ack: int
    flags: int  # bits in the order of FLAGS
    window: int
    header: int  # where the TCP header begins
    start: int  # where the payload begins
    payload: int
    problems: tuple[str, ...]  # labels: truncated, bad-checksum, unfinished-checksum

    @property
    def reversed_pair(self) -> bytes:
        """The pair of an answer."""
        pair = self.pair
        return self.destination + self.source + pair[-2:] + pair[-4:-2]

    @property
    def source(self) -> bytes:
        return self.pair[: len(self.pair) // 2 - 2]

    @property
    def destination(self) -> bytes:
        return self.pair[len(self.pair) // 2 - 2 : -4]

    @property
    def source_port(self) -> int:
        return int.from_bytes(self.pair[-4:-2], "big")

    @property
    def destination_port(self) -> int:
        return int.from_bytes(self.pair[-2:], "big")


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


class Above(NamedTuple):
    """The states of both ends in a protocol above TCP, at a packet's two instants."""

    protocol: str
    held: States
    delivered: States | None


class Captured(NamedTuple):
    """The wire has a frame: its sender has sent it, its receiver has not got it. `kernel` is what both kernels said.

    `order` counts everything the wire did, in this and the following events: together they are its journal. A forged
    frame is the wire's own: whoever it names as its sender has not sent it.
    """

    frame: Frame
    order: int
    kernel: States | None
    forged: bool = False


class Delivered(NamedTuple):
    """The wire has handed a frame to its receiver (twice, where it duplicates)."""

    number: int
    order: int


class Settled(NamedTuple):
    """A frame's fate is settled and both hosts are quiet. `kernel` is None for a frame that was dropped.

    `absorbed` was dropped because another was held by hand: it repeats what its sender would not have had to repeat.
    """

    number: int
    order: int
    kernel: States | None
    absorbed: bool = False


class Final(NamedTuple):
    """The wire is quiet for good: what both kernels say of the last conversation."""

    kernel: States | None


WireEvent = Captured | Delivered | Settled | Final


class Surprise(NamedTuple):
    """An event for which the table has no row: recorded, never raised."""

    role: Role
    state: str
    on: str


class Journal(NamedTuple):
    """What the wire did with a packet: places in the order of all that it did. Nothing delivered means dropped."""

    arrived: int
    delivered: tuple[int, ...]
    settled: int
    forged: bool = False  # as in Captured
    absorbed: bool = False  # as in Settled


class Rung:
    """One packet on the ladder: what it is, who sent it, and the states at its two instants.

    It is made when the packet is captured and filled in as its fate becomes known; `settled` says that nothing will
    change any more. Sequence numbers are relative; a packet takes those from `seq` to before `stop` (SYN and FIN take
    one each). A packet that is no TCP has no `end`.
    """

    __slots__ = (
        "above", "ack", "assumed", "conversation", "delivered", "end", "frame", "got", "held", "journal",
        "kernel_delivered", "kernel_held", "labels", "messages", "new", "number", "segment", "seq", "settled", "steps",
        "stop", "surprises", "time", "whole",
    )  # fmt: skip

    def __init__(
        self,
        frame: Frame,
        labels: tuple[str, ...],
        segment: Segment | None = None,
        conversation: Conversation | None = None,
        end: End | None = None,
        seq: int = 0,
        stop: int = 0,
    ) -> None:
        self.number = frame.number
        self.time = frame.time
        self.frame: Frame | None = frame  # let go of where only the numbers are asked for
        self.whole: Frame | None = None  # the packet that it completes, where that came in IP fragments
        self.labels = labels
        self.segment = segment
        self.conversation = conversation
        self.end = end  # the sender
        self.seq = seq
        self.ack: int | None = None
        self.stop = stop  # the number behind the last it takes
        self.new = False  # takes sequence space that nobody has acknowledged yet
        self.got = False
        self.settled = False
        self.held: States | None = None
        self.assumed: tuple[Role, ...] = ()  # ends whose state when held rests on an assumption
        self.delivered: States | None = None
        self.kernel_held: States | None = None
        self.kernel_delivered: States | None = None
        self.journal: Journal | None = None
        self.steps: tuple[str, ...] = ()
        self.messages: tuple[Message, ...] = ()
        self.above: tuple[Above, ...] = ()  # of protocols of which it completes a message, or which hear TCP close
        self.surprises: tuple[Surprise, ...] = ()


class Seen(NamedTuple):
    """A packet in which a step was seen: its number, its sender and its place in the sender's stream."""

    step: str
    number: int
    sender: Role
    start: int
    stop: int
    payload: int


class Differs(NamedTuple):
    """How a step departs from the notes."""

    code: str
    text: Text


class StepReport(NamedTuple):
    """What became of one step of the notes in one conversation."""

    id: str
    seen: bool
    packets: tuple[int, ...]
    differs: Differs | None


class Problem(NamedTuple):
    """Damage in a capture file: the byte offset it was found at and the packet it concerns, where there is one."""

    offset: int
    packet: int | None
    text: Text
