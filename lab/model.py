"""What travels: a Frame is captured, a Packet says what it was and meant, a ConversationReport what became of it all.

All of it is immutable. Standard library only, and nothing here touches the machine. Times are nanoseconds since 1970
(UTC), spans are half-open byte offsets, sequence numbers say whether they are raw or relative.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from lab.text import Text
from lab.tuples import NamedTuple

Role = Literal["client", "server"]
Fate = Literal["arrived", "lost", "unknown"]
By = Literal["journal", "acknowledged", "inferred"]  # the wire did it; its receiver's own packets prove it; else

LINKTYPE_ETHERNET = 1


class Frame(NamedTuple):
    """A packet as captured. `data` may be shorter than `length`, the bytes it had on the wire (snap length)."""

    number: int  # position in the file, from 1
    time: int | None  # nanoseconds since 1970, None where the file has none
    data: bytes
    length: int
    linktype: int = LINKTYPE_ETHERNET
    comments: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of memory that it takes, roughly; a comment takes more than it has characters."""
        return len(self.data) + (sum(map(str.__sizeof__, self.comments)) if self.comments else 0)


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


class Reckoning(NamedTuple):
    """A number of a packet's header: what it is called (nothing where it goes on about the one before), and how it
    follows from what is on the wire."""

    name: Text
    text: Text


class Carrier(NamedTuple):
    """A record that a message came in: relative sequence numbers, places, its header's fields (offsets in the record).

    `end` is exclusive. Of one that was encrypted and has been opened `plain` is the content, and among the fields are
    what stands around that and what it took to open it: a field without a byte (`start` is `end`) is not sent.
    """

    start: int
    end: int
    spans: tuple[Span, ...]
    fields: tuple[Detail, ...]
    plain: bytes = b""


NO_FACTS: Mapping[str, Any] = MappingProxyType({})


class Message(NamedTuple):
    """A message of a protocol above the transport, listed at the packet that completes it.

    `event` is what the protocol's table calls it, empty where it moves nobody; `wraps` says that another protocol's
    message is all it carries; `facts` are the protocol's own keys of the trace. `words`, `fields` and `carriers` are
    there where they were asked for.
    """

    protocol: str
    name: str
    spans: tuple[Span, ...]
    event: str = ""
    wraps: bool = False
    facts: Mapping[str, Any] = NO_FACTS
    words: Text = Text("", "")
    fields: tuple[Detail, ...] = ()
    carriers: tuple[Carrier, ...] = ()


class Remark(NamedTuple):
    """What is told of bytes of a packet that are no message: its label, its words, where it lies."""

    name: str
    words: Text
    spans: tuple[Span, ...]


class States(NamedTuple):
    """The states of both ends at one instant, by RFC 9293's names; None where it is not known."""

    client: str | None
    server: str | None


Timer = Literal["retransmission", "keepalive", "time-wait", "persist"]


class Socket(NamedTuple):
    """What one host's kernel says of its socket at an instant; a field is None where this kind of socket has none.

    A connection has all of them. A SYN-RECEIVED that nobody can accept yet is a request; TIME-WAIT, and FIN-WAIT-2
    where the program has closed, are remainders: these have a timer and nothing else, but `drops` of a request are its
    listener's. A listener has its `drops`, and as queues the connections that wait to be accepted and how many may.
    CLOSED has nothing.
    """

    state: str | None  # by RFC 9293's name
    timer: Timer | None = None  # that runs: retransmission (a probe for losses too), keepalive (FIN-WAIT-2's too), ...
    expires: int | None = None  # milliseconds until it fires
    retransmits: int | None = None  # by the timer, since anything new was acknowledged
    rto: int | None = None  # microseconds, as are the next two
    rtt: int | None = None  # smoothed; None before the first measurement too
    rttvar: int | None = None
    cwnd: int | None = None  # segments, as is the next
    ssthresh: int | None = None  # None before the first loss too
    mss: int | None = None  # bytes of payload it may send in a segment
    unacked: int | None = None  # segments sent and not acknowledged
    receive_queue: int | None = None  # bytes that the program has not read; a FIN is one
    send_queue: int | None = None  # bytes that the peer has not acknowledged; SYN and FIN are one each
    send_window: int | None = None  # bytes, scaled: the peer's offer
    receive_window: int | None = None  # bytes, scaled: its own offer
    bytes_acked: int | None = None  # of its own since the beginning: its FIN is one and, after an active open, its SYN
    bytes_received: int | None = None  # of its peer's, in order: a FIN is one
    drops: int | None = None  # segments thrown away since the beginning (sk_drops)


class Moved(NamedTuple):
    """A counter of a host's kernel that has grown, `by` how much. It is spelled as in /proc/net: "TcpExt PAWSEstab"."""

    role: Role
    counter: str
    by: int


class Kernels(NamedTuple):
    """What both kernels say at one instant.

    `moved` has the counters that tell why a segment was taken or refused, as far as they have grown since the instant
    before. While a frame is being delivered they are left for the end of that: there they are its receiver's answer.
    """

    client: Socket
    server: Socket
    moved: tuple[Moved, ...] = ()

    @property
    def states(self) -> States:
        return States(self.client.state, self.server.state)


class Address(NamedTuple):
    """Where one end of a conversation is: the address as text, and the port."""

    host: str
    port: int


class Ends(NamedTuple):
    """The two ends of a conversation; `from_start` says that the client's first packet was captured.

    `isns` are the raw numbers that their streams begin with, None where that has not been seen (yet). `alone` is the
    end whose packets were captured where none of the other's were, though it has said something.
    """

    client: Address
    server: Address
    from_start: bool
    isns: tuple[int | None, int | None] = (None, None)
    alone: Role | None = None


class Above(NamedTuple):
    """The states of both ends in a protocol above TCP, at a packet's two instants."""

    protocol: str
    held: States
    delivered: States | None


class Captured(NamedTuple):
    """The wire has a frame: its sender has sent it, its receiver has not got it. `kernel` is what both kernels said.

    `order` counts everything the wire did, in this and the following events: together they are its journal. A forged
    frame is the wire's own: whoever it names as its sender has not sent it. `listening` are the ports that programs of
    the receiving host wait for connections at: the run has told them to; None where nobody knows.
    """

    frame: Frame
    order: int
    kernel: Kernels | None
    forged: bool = False
    listening: tuple[int, ...] | None = None


class Delivered(NamedTuple):
    """The wire has handed a frame to its receiver (twice, where it duplicates).

    `kernel` is what both kernels say once the receiver has dealt with it, before anybody has got an answer; None where
    nobody knows, and for what is delivered twice: counters tell of both copies then.
    """

    number: int
    order: int
    kernel: Kernels | None = None


class Settled(NamedTuple):
    """A frame's fate is settled and both hosts are quiet. `kernel` is None for a frame that was dropped.

    `absorbed` was dropped because another was held by hand: it repeats what its sender would not have had to repeat.
    """

    number: int
    order: int
    kernel: Kernels | None
    absorbed: bool = False


class Final(NamedTuple):
    """The wire is quiet for good: what both kernels say of the last conversation."""

    kernel: Kernels | None


WireEvent = Captured | Delivered | Settled | Final


class Verdict(NamedTuple):
    """What the receiver's own kernel did with a packet that it did not simply take, by its counters and drops.

    `refused` tells what was thrown away from what was put aside or obeyed. `counters` are the receiver's that have
    grown, and by how much; `dropped` by how much its drops (sk_drops) have; `answer` is what it sent meanwhile, None
    where it was silent. `agrees` says whether the lab's own check of numbers and flags refuses the packet too, None
    where that can't know (a clock, a queue).
    """

    code: str
    refused: bool
    text: Text
    counters: tuple[tuple[str, int], ...]
    dropped: int
    answer: str | None
    agrees: bool | None

    def facts(self) -> dict[str, Any]:
        """Returns what the trace has of it: plain values of JSON."""
        return {
            "code": self.code,
            "en": self.text.en,
            "zh": self.text.zh,
            "counters": dict(self.counters),
            "dropped": self.dropped,
            "answer": self.answer,
            "agrees": self.agrees,
        }


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
    listening: tuple[int, ...] | None = None  # as in Captured, where a conversation begins


class Packet(NamedTuple):
    """One packet, when its fate is known, or nobody can know it any more: what it is, who sent it, what it meant.

    Sequence numbers are relative but for the raw ones; it takes those from `seq` to before `stop`. `flags` are names.
    `by` says how its fate is known, None where that is unknown. `held` and `delivered` are both ends' states at the
    packet's two instants, `delivered` None where it is not known to have arrived; `steps` the notes' steps that it is,
    and `departures` the code of how its conversation departs from each, where words were asked for. `whole` is the
    packet that it completes where that came in IP fragments. What belongs to no conversation has neither sender nor
    numbers.
    """

    number: int
    time: int | None
    frame: Frame | None  # None where only the numbers were asked for
    whole: Frame | None
    labels: tuple[str, ...]
    conversation: int | None
    ends: Ends | None
    sender: Role | None
    flags: tuple[str, ...]
    seq: int | None
    ack: int | None
    stop: int
    seq_raw: int | None
    ack_raw: int | None
    window: int | None
    payload: int | None  # bytes, by the IP header
    payload_at: int  # the offset in the frame's (or the whole packet's) data where it begins
    held: States | None
    delivered: States | None
    fate: Fate
    by: By | None
    assumed: tuple[Role, ...]  # ends whose state when held rests on an assumption
    kernel_held: States | None
    kernel_delivered: States | None
    asked_held: Kernels | None  # all that these states were taken from
    asked_delivered: Kernels | None
    journal: Journal | None
    steps: tuple[str, ...]
    departures: tuple[str | None, ...]
    messages: tuple[Message, ...]
    above: tuple[Above, ...]
    surprises: tuple[Surprise, ...]
    remarks: tuple[Remark, ...] = ()
    reckoned: tuple[Reckoning, ...] = ()  # where fields were asked for
    verdict: Verdict | None = None  # of its receiver's kernel, where a wire's journal tells it
    points: tuple[Text, ...] = ()  # sentences on what is to be pointed out in it, where words were asked for
    answers: int | None = None  # the packet that an ICMP error quotes
    quotes: int | None = None  # and its conversation

    @property
    def refused(self) -> Verdict | None:
        """Why its receiver has thrown it away; None where it has not, or nobody knows."""
        return self.verdict if self.verdict is not None and self.verdict.refused else None

    @property
    def receiver(self) -> Role | None:
        """The end that it is for."""
        return None if self.sender is None else "server" if self.sender == "client" else "client"


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


class DerivationLine(NamedTuple):
    """One line of a worked example: `output` is all of what `operation` gives, `source` is where it is written."""

    what: Text
    inputs: tuple[tuple[str, bytes], ...]
    operation: str
    output_name: str
    output: bytes
    source: str


class Example(NamedTuple):
    """How a connection's keys, or another value, come about, line by line; `locked` says why they could not be told.

    `by_private_key` says that it takes the server's private key to get there.
    """

    title: Text
    locked: Text | None
    lines: tuple[DerivationLine, ...]
    by_private_key: bool = False


class ConversationReport(NamedTuple):
    """What became of a conversation. `facts` are the trace's entry, plain values of JSON; `details` others that a
    comparison or a summary asks for; `examples` are there where they were asked for."""

    id: int
    first: int  # the number of its first packet
    ends: Ends
    facts: Mapping[str, Any]
    details: Mapping[str, Any]
    steps: tuple[StepReport, ...]
    kernel_final: States | None
    asked_final: Kernels | None
    examples: tuple[Example, ...] = ()
