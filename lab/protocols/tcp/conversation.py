"""A TCP connection as it is counted: two ends, how far their streams have come, what is known to have arrived.

Numbers are relative unless named raw: a SYN is 0, and where the SYN was not captured the first byte seen is 1.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import NamedTuple

from lab.engine import conversation as engine
from lab.engine.conversation import LANES
from lab.engine.record import Record
from lab.model import Address, Ends, Frame, Role
from lab.protocols.tcp.icmp import Kind, Quoted
from lab.protocols.tcp.segment import Segment

_WRAP, _HALF = 1 << 32, 1 << 31
NO_LIMIT = _HALF  # bytes of a payload
_MOST_GIVEN_UP = 16  # packets of an end that are waited for no longer, and may still be quoted
LEAST_LARGE = 1220  # bytes: no ordinary MSS is smaller, so smaller payloads need no second look
_MOST_ERRORS = 64  # of ICMP, and SYNs refused, that are remembered for a conversation


class End(engine.TransportEnd):
    """One end of a conversation: who it is and how far its stream has come. Numbers are relative unless named raw.

    What it has sent, conversations.py writes; what has arrived of it, delivery.py; what it has got, events.py.
    """

    __slots__ = (
        "acked", "address", "aside", "cookie", "copies", "disordered", "ecn", "fin", "fin_acked", "fin_inferred",
        "floor", "given_up", "got_fin",
        "heard", "history", "holes", "isn", "limit", "opened_passively", "options", "owes", "pending", "port",
        "refuses", "shut_out", "stamp", "syn_acked", "ttl", "window",
    )  # fmt: skip

    peer: End

    def __init__(self, role: Role, address: bytes, port: int) -> None:
        super().__init__(role)
        self.address = address
        self.port = port
        # What it has sent.
        self.isn: int | None = None  # raw; None where the SYN was not captured
        self.holes: list[tuple[int, int]] | None = None  # jumped over, not captured
        self.fin: int | None = None  # the number of its FIN
        self.window = -1  # of the segment before
        self.ttl = -1  # of its first segment
        self.stamp: int | None = None  # the timestamp of its SYN, or of its last segment with data
        self.refuses: int | None = None  # the raw number that an answer acknowledged which was not to its SYN
        self.acked = -1  # by the segment before
        self.options: bytes | None = None  # of its SYN, as on the wire
        self.limit = NO_LIMIT  # the largest payload that it accepts: its MSS, where it told one (RFC 9293, 3.7.1)
        self.history = 0  # which letters of the history it has, as bits
        self.ecn: str | None = None  # what it has offered, or both have agreed on (ecn.py)
        # What is known to have arrived of it.
        self.heard = 0  # all before this has been acknowledged
        self.pending: list[SegmentRecord] = []
        self.given_up: list[GivenUp] | None = None
        self.copies: list[Copy] = []  # what was sent again before anything acknowledged it
        self.shut_out: list[int] | None = None  # numbers of packets sent into a window of 0
        self.disordered = 0  # up to here the new ones among them may not stand in order
        self.floor = 0  # while they do not: an acknowledgement of less is of none of them
        # What it has got.
        self.aside: list[tuple[int, int, bool]] | None = None  # got ahead of order: start, stop, whether with a FIN
        self.got_fin = False
        self.owes = 0  # acknowledgements, bits of SYN and FIN
        self.syn_acked = False
        self.fin_acked = False
        self.fin_inferred: SegmentRecord | None = None  # by what, where that is only inferred to have reached it
        self.opened_passively = False
        self.cookie = False  # it answers with SYN cookies: it remembers nothing of what it has got

    @property
    def host(self) -> str:
        return str(ip_address(self.address))

    @property
    def unheard(self) -> bool:
        """Whether it must have said something, for its peer acknowledges that, and nothing of it has been captured."""
        return self.window < 0 and self.peer.acked > 0

    def quoted_by(self, error: Quoted, told: bool = False) -> tuple[int, SegmentRecord | None] | None:
        """Returns the number of the packet that an error quotes, with its record where its fate is still open.

        Of copies that nothing tells apart it is the last. Where a wire has `told` what arrived, all are given up.
        """
        alike = [
            (each.number, each)
            for each in reversed(self.pending)
            if each.segment.seq == error.seq and error.flags in (None, each.segment.flags)
        ]
        for number, each in alike:
            if each.frame is not None and ident(each.frame, each.segment) == error.ident:
                return number, each
        for number, seq, flags, its in reversed(self.given_up or ()):
            same = seq == error.seq and its == error.ident
            if same and (error.ident or (told and error.flags in (None, flags))):
                return number, None
        return alike[0] if alike else None

    def holds(self, raw: int) -> SegmentRecord | None:
        """Returns the last packet that a number lies within: one that a network card has cut up behind the capture."""
        number = self.relative(raw)
        return next((each for each in reversed(self.pending) if each.seq < number < each.stop), None)

    def give_up(self, record: SegmentRecord) -> None:
        """Remembers of a packet that is waited for no longer what an error may still quote."""
        segment = record.segment
        its = ident(record.frame, segment) if record.frame is not None else b""
        self.given_up = [
            *(self.given_up or ())[1 - _MOST_GIVEN_UP :],
            GivenUp(record.number, segment.seq, segment.flags, its),
        ]

    def may_have_sent(self, raw: int) -> bool:
        """Whether a number is one of its stream, as far as that has come."""
        if self.next_raw is None:
            return False
        back = (self.next_raw - raw) % _WRAP
        return back <= self.next if self.isn is not None else back < _HALF

    def relative(self, raw: int) -> int:
        """Returns a number of this end's stream counted from its SYN; the first number ever seen settles the count."""
        if self.next_raw is None:
            self.next_raw, self.next = raw, 1
            return 1
        ahead = (raw - self.next_raw) % _WRAP
        return self.next + (ahead - _WRAP if ahead >= _HALF else ahead)


class Conversation(engine.Conversation):
    """Two ends and what has been counted between them."""

    __slots__ = (
        "_identity", "alone", "alone_known", "answered_by", "errors", "fins_before", "former", "from_syn", "history",
        "latter", "order_unknown", "refused", "refused_in", "refuses_in", "reset_by", "retransmissions", "still_asked",
        "times", "unheeded",
    )  # fmt: skip

    client: End
    server: End

    def __init__(self, number: int, first: int, client: End, server: End, from_syn: bool) -> None:
        super().__init__(number, first, client, server)
        self.lane = (client.port ^ server.port) % LANES
        self.from_syn = from_syn  # its first SYN, or the answer to it, was captured
        self.alone_known = False  # whether it has been looked for
        self.alone: Role | None = None  # nothing of the other end is captured, as far as can be seen
        self.order_unknown = False  # who closed first: a FIN may acknowledge one that was not captured
        self.retransmissions = 0
        self.times = 1  # how often something that it says was captured, at most
        self.history = ""  # Zeek's letters
        self.reset_by: Role | None = None
        self.still_asked = False  # a RST refused an answer to the SYN, which is sent again
        self.unheeded = False  # a RST came back for the SYN that does not acknowledge it: it is dropped
        self.fins_before = False  # both ends had sent their FIN before the reset
        self.former: Conversation | None = None  # the one before it, on the same addresses and ports
        self.latter: Conversation | None = None  # and the one after it
        self.refused: tuple[int, ...] = ()  # packets with a step that arrived, and were not taken
        self.refused_in: str | None = None  # the state of whoever refused the last of them
        self.refuses_in: dict[int, str | None] | None = None  # SYNs of the one after it that it has refused: the state
        self.errors: dict[int, Kind] | None = None  # packets that an ICMP error has answered
        self.answered_by: int | None = None  # the first packet outside it that answers one of its own
        self._identity: Ends | None = None  # addresses as text take long, for every packet

    @property
    def identity(self) -> Ends:
        known, client, server = self._identity, self.client, self.server
        if known is None or known.isns[0] != client.isn or known.isns[1] != server.isn or known.alone is not self.alone:
            ends = Address(client.host, client.port), Address(server.host, server.port)
            known = self._identity = Ends(*ends, client.isn is not None, (client.isn, server.isn), self.alone)
        return known

    def refuse(self, number: int, record: SegmentRecord | None, kind: Kind, by: int) -> None:
        """Takes down that an ICMP error, packet `by`, says that a packet did not get through.

        `record` is that packet's, while its fate is open.
        """
        if kind is Kind.QUENCH:
            return
        self.answered_by = self.answered_by or by
        self.errors = self.errors or {}
        if len(self.errors) < _MOST_ERRORS:
            self.errors[number] = kind
        if record is not None and not record.new and not record.settled:  # nothing else will show what became of it
            record.end.pending.remove(record)
            self.not_got(record)

    def has_refused(self, number: int, state: str | None) -> None:
        """Takes down that it has refused a SYN, packet `number`, in a state: the one that brought it may be let go."""
        self.refuses_in = self.refuses_in or {}
        if len(self.refuses_in) < _MOST_ERRORS:
            self.refuses_in[number] = state

    def take_up(self, end: End) -> None:
        """An end answers a SYN that it has refused before: it was asked once more, and a program listens now."""
        self.reset_by, self.closing, end.got_next = None, False, None

    def not_got(self, record: SegmentRecord) -> None:
        """Takes down that a packet was not got, or that nobody will know: what an ICMP error answers was not."""
        if record.by is None and self.errors and record.number in self.errors:
            record.by = "inferred"
        super().not_got(record)

    @property
    def over(self) -> bool:
        """Whether it has ended: both FINs were acknowledged, or there was a reset."""
        return bool(self.reset_by) or (self.client.fin_acked and self.server.fin_acked)


class SegmentRecord(Record):
    """The record of a segment."""

    __slots__ = ()

    segment: Segment
    conversation: Conversation
    end: End

    @property
    def receiver(self) -> End:
        """The end that it is for, also when its conversation has been let go of."""
        which = self.conversation
        return which.server if self.end is which.client else which.client


class GivenUp(NamedTuple):
    """A packet that is waited for no longer: raw number, flags, and the identification in its IPv4 header."""

    number: int
    seq: int
    flags: int
    ident: bytes


class Copy(NamedTuple):
    """A packet of which nothing was acknowledged when its sender sent that `again`.

    `stamp` is the timestamp of that one, None where it has none or where the echo of it would not tell them apart.
    """

    first: SegmentRecord
    again: SegmentRecord
    stamp: int | None


def ident(frame: Frame, segment: Segment) -> bytes:
    """Returns the identification in the IPv4 header before a segment, empty where that has options or is another."""
    at = segment.header - 20
    return frame.data[at + 4 : at + 6] if at >= 0 and frame.data[at] == 0x45 else b""
