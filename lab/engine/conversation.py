"""Two ends and what the engine writes down between them. A transport adds what it counts by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

from lab.model import By, Ends, Kernels, Role, States

if TYPE_CHECKING:
    from lab.events import Event

LANES = 16  # conversations are counted in lanes, so that whoever sees only some lanes lets go of the same ones


class Seen(NamedTuple):
    """A packet in which a step was seen: its number, its sender and its place in the sender's stream."""

    step: str
    number: int
    sender: Role
    start: int
    stop: int
    payload: int


class End:
    """One end of a conversation, in one protocol's table. The walk alone moves its state."""

    __slots__ = ("peer", "role", "state")

    peer: Any  # another of the same class

    def __init__(self, role: Role, state: str | None) -> None:
        self.role: Role = role
        self.state: str | None = state  # by the table; None while nobody knows


class TransportEnd(End):
    """One end in a transport's table, with its stream: numbers are relative unless named raw."""

    __slots__ = ("got_next", "next", "next_raw")

    def __init__(self, role: Role) -> None:
        super().__init__(role, None)
        self.next = 0  # the number behind the last it has sent
        self.next_raw: int | None = None  # the same as on the wire; None before anything is known
        self.got_next: int | None = None  # it has got all before this


class Walked:
    """Two ends that walk a table, and what is written down on the way."""

    __slots__ = ("assumed", "began", "client", "server", "states", "steps")

    client: Any
    server: Any

    def __init__(self, client: End, server: End) -> None:
        client.peer, server.peer = server, client
        self.client = client
        self.server = server
        self.states = States(client.state, server.state)  # both ends', now
        self.assumed: tuple[Role, ...] = ()  # ends whose state rests on an assumption
        self.began: dict[str, Role] = {}  # who began opening, who began closing
        self.steps: dict[str, list[Seen]] = {}  # each in the order in which it was seen

    @property
    def ends(self) -> tuple[Any, Any]:
        return self.client, self.server


class Conversation(Walked, ABC):
    """What a transport carries between two addresses, from its first packet to its last."""

    __slots__ = (
        "above", "asked", "asked_final", "carries", "closing", "evicted", "first", "holed", "id", "kernel_final",
        "lane", "last", "noted", "packets", "told", "undelivered",
    )  # fmt: skip

    lane: int  # one of LANES, which its transport chooses

    def __init__(self, number: int, first: int, client: End, server: End) -> None:
        super().__init__(client, server)
        self.id = number
        self.first = first  # the number of its first packet
        self.last = first  # and of its last
        self.packets = 0
        self.noted = 0  # packets in which some step was seen once more
        self.undelivered: dict[int, By | None] = {}  # packets with a step that was not got: how that is known
        self.kernel_final: States | None = None
        self.asked_final: Kernels | None = None  # what those states were taken from
        self.asked: Kernels | None = None  # what the kernels said when they were last asked, in a replay
        self.above: Any = None  # the Layer that it carries, once that has been recognised
        self.carries = False  # something reads what it carries, also where that may yet prove to be another's
        self.closing = False  # has begun to end, as its transport says
        self.holed = False  # some of it was jumped over, so that bytes may be missing
        self.evicted = False  # was let go of before it had ended
        self.told: list[Event] | None = None  # where what happens is put, where somebody listens

    def not_got(self, record: Any) -> None:
        """Takes down that a packet was not got, or that nobody will know; it is remembered of those that are a step."""
        record.settled = True
        if record.steps:
            self.undelivered[record.number] = record.by
        if self.told is not None and record.by is not None:
            from lab.events import PacketLost  # here: with every command a conversation is imported, and few listen

            journal = record.journal
            self.told.append(PacketLost(record.number, record.by, bool(journal and journal.absorbed)))
        for copy in record.copies:
            copy.by = record.by
            self.not_got(copy)

    @property
    @abstractmethod
    def identity(self) -> Ends:
        """Who talks with whom."""

    @property
    @abstractmethod
    def over(self) -> bool:
        """Whether it has ended."""
