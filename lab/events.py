"""What the engine tells while a run goes on (schema handshake-lab/events/v1): immutable values, or JSON objects.

A packet is told twice: `PacketSent` when it has left its sender and nobody has got it, `PacketArrived` or `PacketLost`
when its fate is known, neither where nobody will know it. What it changes is told between the two, or behind:
`StateChanged`, `StepSeen`, `MessageRead`, `Surprised`. The trace is what the events add up to. Sequence numbers are
relative where they are not called raw.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal

from lab.model import NO_FACTS, Above, Address, By, Frame, Kernels, Message, Remark, Role, States, Verdict
from lab.text import Text
from lab.tuples import NamedTuple

SCHEMA = "handshake-lab/events/v1"
Instant = Literal["held", "delivered", "final"]


class Begun(NamedTuple):
    """A run, or the reading of a capture, begins. `journal` says whether each packet's fate is told, not inferred."""

    name: str
    live: bool
    journal: bool
    scenario: str | None = None
    hosts: Mapping[str, str] = NO_FACTS


class ConversationOpened(NamedTuple):
    """The first packet of a conversation has been sent."""

    conversation: int
    packet: int
    client: Address
    server: Address


class PacketSent(NamedTuple):
    """A packet has left its sender and has not arrived: held, where there is a wire. `states` are both ends' now.

    What belongs to no conversation has neither sender nor numbers. `above` are the states of protocols that it carries.
    """

    packet: int
    time: int | None
    conversation: int | None
    sender: Role | None
    flags: tuple[str, ...]
    seq: int | None
    ack: int | None
    seq_raw: int | None
    ack_raw: int | None
    window: int | None
    payload: int | None
    labels: tuple[str, ...]
    states: States | None
    assumed: tuple[Role, ...]
    above: tuple[Above, ...]
    frame: Frame | None
    remarks: tuple[Remark, ...] = ()
    # Of an ICMP error the packet that it quotes, and its conversation; of a challenge ACK what it answers.
    answers: int | None = None
    quotes: int | None = None


class PacketArrived(NamedTuple):
    """A packet's receiver has got it, and both hosts are quiet; `states` are both ends' then.

    The wire did it (`journal`), the receiver's own packets prove it (`acknowledged`), or it is `inferred`. `refused`
    says why its receiver has thrown it away, where that one's kernel tells.
    """

    packet: int
    by: By
    states: States | None
    above: tuple[Above, ...]
    refused: Verdict | None = None


class PacketLost(NamedTuple):
    """A packet has not arrived: the wire dropped it (`journal`), or only a later copy was acknowledged or an error
    message answers it (`inferred`).

    It was `absorbed` where it repeats what its sender would not have had to repeat, had another not been held by hand.
    """

    packet: int
    by: By
    absorbed: bool = False


class StateChanged(NamedTuple):
    """An end goes from one state to another, in one protocol's table, by the row of this event.

    It goes back, `on` "taken back", where something had only been inferred to have reached it, and had not.
    """

    packet: int
    conversation: int
    protocol: str
    end: Role
    before: str
    after: str
    on: str


class StepSeen(NamedTuple):
    """A packet is a step of the notes; `steps` are all that it is so far, in the order of the notes."""

    packet: int
    conversation: int
    step: str
    steps: tuple[str, ...]


class MessageRead(NamedTuple):
    """A packet completes a message of a protocol above the transport; `labels` are the packet's, with the message's."""

    packet: int
    conversation: int
    sender: Role
    message: Message
    labels: tuple[str, ...]


class Surprised(NamedTuple):
    """Something happened to an end for which its table has no row."""

    packet: int
    conversation: int
    protocol: str
    end: Role
    state: str
    on: str


class KernelAsked(NamedTuple):
    """What both kernels said at an instant of a packet, or at the end: timers, queues, and the counters that moved."""

    packet: int | None
    conversation: int | None
    instant: Instant
    states: States
    kernels: Kernels


class ConversationClosed(NamedTuple):
    """A conversation is over, or was let go of before: `evicted`, with the `labels` of packets left undecided."""

    conversation: int
    packet: int
    evicted: bool
    labels: Mapping[int, tuple[str, ...]] = MappingProxyType({})


class PacketHeld(NamedTuple):
    """A packet waits on the wire until a command says what becomes of it.

    `more` says that the next event is another that waits: both came in one burst.
    """

    packet: int
    more: bool = False


class CommandAnswered(NamedTuple):
    """What became of a command to a controlled run: done, or refused, with what is wrong and what to do instead.

    `packet` is the number of the packet that it has made, where it has made one.
    """

    command: str
    done: bool
    message: Text | None
    hint: Text | None
    packet: int | None


class SecretsLearnt(NamedTuple):
    """Lines of an NSS key log have become known: before the frames that they open."""

    keylog: str


class Ended(NamedTuple):
    """Nothing more will come. `conversations` and `file` are the trace's; `early` says why a scenario stopped early."""

    conversations: tuple[Mapping[str, Any], ...]
    file: Mapping[str, Any]
    early: Text | None = None


Event = (
    Begun | ConversationOpened | PacketSent | PacketArrived | PacketLost | StateChanged | StepSeen | MessageRead
    | Surprised | KernelAsked | PacketHeld | CommandAnswered | ConversationClosed | SecretsLearnt | Ended
)  # fmt: skip

NAMES: dict[type, str] = {
    Begun: "begun",
    ConversationOpened: "conversation-opened",
    PacketSent: "packet-sent",
    PacketArrived: "packet-arrived",
    PacketLost: "packet-lost",
    PacketHeld: "packet-held",
    CommandAnswered: "command",
    StateChanged: "state-changed",
    StepSeen: "step-seen",
    MessageRead: "message-read",
    Surprised: "surprise",
    KernelAsked: "kernel",
    ConversationClosed: "conversation-closed",
    SecretsLearnt: "secrets",
    Ended: "ended",
}


def as_json(event: Event) -> dict[str, Any]:
    """Returns an event as plain values of JSON, as the schema has it."""
    told: dict[str, Any] = {"event": NAMES[type(event)]}
    if isinstance(event, Begun):
        told["schema"] = SCHEMA
    for name, value in event._asdict().items():
        told[_KEYS.get(name, name)] = plain(value)
    return told


_KEYS = {"sender": "from", "before": "from_state", "after": "to_state"}


def plain(value: Any) -> Any:
    """Returns a value as plain values of JSON."""
    if isinstance(value, Frame):
        return {
            "length": value.length,
            "linktype": value.linktype,
            "data": base64.b64encode(value.data).decode(),
        }
    if isinstance(value, Message):
        return {
            "protocol": value.protocol,
            "name": value.name,
            "spans": [span._asdict() for span in value.spans],
            **value.facts,
            "words": value.words._asdict(),
        }
    if isinstance(value, Remark):
        return {"name": value.name, "spans": plain(value.spans), **value.words._asdict()}
    if isinstance(value, Verdict):
        return value.facts()
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(each) for name, each in value._asdict().items()}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    return value.value if isinstance(value, Enum) else value


__all__ = [each.__name__ for each in NAMES] + ["Event", "as_json"]
