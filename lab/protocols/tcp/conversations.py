"""Which conversation a segment belongs to, who is the client, and where in the stream it stands.

Sequence numbers become relative here: a SYN is 0, and where the SYN was not captured the first byte seen is 1. They
never wrap: a stream longer than 4 GiB goes on counting.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from ipaddress import ip_address

from lab.engine import conversation as engine
from lab.engine.conversation import LANES
from lab.engine.record import Record
from lab.model import Address, Ends, Frame, Remark, Role, Span
from lab.protocols.tcp import icmp
from lab.protocols.tcp.ecn import BITS, of_ecn
from lab.protocols.tcp.icmp import DAMAGED, Kind, Quoted
from lab.protocols.tcp.labels import KINDS, letters_of, of_bare_ack, of_order, spelled
from lab.protocols.tcp.segment import ACK, FIN, RST, SYN, Options, Segment

_SYN_FIN, _SYN_ACK, _SPECIAL = SYN | FIN, SYN | ACK, SYN | FIN | RST
_ECN = SYN | BITS
_WRAP, _HALF = 1 << 32, 1 << 31
_END_OF_OPTIONS, _NO_OPERATION, _MSS, _WINDOW_SCALE, _SACK_PERMITTED, _TIMESTAMPS = 0, 1, 2, 3, 4, 8
_LEAST_LARGE = 1220  # bytes: no ordinary MSS is smaller, so smaller payloads need no second look
MOST_IN_A_LANE = 2048  # conversations that are kept open
_MOST_GIVEN_UP = 16  # packets of an end that were lost, and may still be quoted
_MOST_ERRORS = 64  # of ICMP, that are remembered for a conversation
_OLD = 257  # packets later nothing about a packet is open any more


class End(engine.TransportEnd):
    """One end of a conversation: who it is and how far its stream has come. Numbers are relative unless named raw.

    What it has sent, this file writes; what has arrived of it, delivery.py; what it has got, events.py.
    """

    __slots__ = (
        "acked", "address", "aside", "cookie", "disordered", "ecn", "fin", "fin_acked", "given_up", "got_fin", "heard",
        "history", "holes", "isn", "opened_passively", "options", "owes", "pending", "port", "syn_acked", "window",
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
        self.acked = -1  # by the segment before
        self.options: bytes | None = None  # of its SYN, as on the wire
        self.history = 0  # which letters of the history it has, as bits
        self.ecn: str | None = None  # what it has offered, or both have agreed on (ecn.py)
        # What is known to have arrived of it.
        self.heard = 0  # all before this has been acknowledged
        self.pending: list[SegmentRecord] = []
        self.given_up: list[tuple[int, int, bytes]] | None = None  # lost: number, raw number, identification
        self.disordered = 0  # up to here the new ones among them may not stand in order
        # What it has got.
        self.aside: list[tuple[int, int, bool]] | None = None  # got ahead of order: start, stop, whether with a FIN
        self.got_fin = False
        self.owes = 0  # acknowledgements, bits of SYN and FIN
        self.syn_acked = False
        self.fin_acked = False
        self.opened_passively = False
        self.cookie = False  # it answers with SYN cookies: it remembers nothing of what it has got

    @property
    def host(self) -> str:
        return str(ip_address(self.address))

    @property
    def unheard(self) -> bool:
        """Whether it must have said something, for its peer acknowledges that, and nothing of it has been captured."""
        return self.window < 0 and self.peer.acked > 0

    def quoted_by(self, error: Quoted) -> tuple[int, SegmentRecord | None] | None:
        """Returns the number of the packet that an error quotes, with its record where its fate is still open.

        Of copies that nothing tells apart it is the last.
        """
        told = [
            (each.number, each)
            for each in reversed(self.pending)
            if each.segment.seq == error.seq and error.flags in (None, each.segment.flags)
        ]
        for number, each in told:
            if each.frame is not None and _ident(each.frame, each.segment) == error.ident:
                return number, each
        for number, seq, ident in self.given_up or ():
            if error.ident and (seq, ident) == (error.seq, error.ident):
                return number, None
        return told[0] if told else None

    def give_up(self, record: SegmentRecord) -> None:
        """Remembers of a packet that was lost what an error may still quote."""
        ident = _ident(record.frame, record.segment) if record.frame is not None else b""
        self.given_up = [*(self.given_up or ())[1 - _MOST_GIVEN_UP :], (record.number, record.segment.seq, ident)]

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

    __slots__ = ("_identity", "errors", "from_syn", "history", "reset_by", "retransmissions")

    client: End
    server: End

    def __init__(self, number: int, first: int, client: End, server: End, from_syn: bool) -> None:
        super().__init__(number, first, client, server)
        self.from_syn = from_syn  # its first SYN, or the answer to it, was captured
        self.retransmissions = 0
        self.history = ""  # Zeek's letters
        self.reset_by: Role | None = None
        self.errors: dict[int, Kind] | None = None  # packets that an ICMP error has answered
        self._identity: Ends | None = None  # addresses as text take long, for every packet

    @property
    def identity(self) -> Ends:
        known, client, server = self._identity, self.client, self.server
        if known is None or known.isns[0] != client.isn or known.isns[1] != server.isn:
            ends = Address(client.host, client.port), Address(server.host, server.port)
            known = self._identity = Ends(*ends, client.isn is not None, (client.isn, server.isn))
        return known

    def refuse(self, number: int, record: SegmentRecord | None, kind: Kind) -> None:
        """Takes down that an ICMP error says of a packet that it did not get through; `record` while that is open."""
        if kind is Kind.QUENCH:
            return
        self.errors = self.errors or {}
        if len(self.errors) < _MOST_ERRORS:
            self.errors[number] = kind
        if (
            record is not None and not record.new and not record.settled
        ):  # nothing will show what became of it: this does
            record.end.pending.remove(record)
            self.lose(record)

    @property
    def lane(self) -> int:
        return (self.client.port ^ self.server.port) % LANES

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


class UnsureError(Exception):
    """Nobody can say which conversations there is no room for."""


class Elsewhere:
    """Conversations that somebody else has counted: in each lane first packet, last packet, and whether it ends.

    They take room like those that are followed. One that ends is over for certain when its last packet has become old.
    """

    def __init__(self, counted: list[list[tuple[int, int, bool]]]) -> None:
        self._begun = [sorted(first for first, _, _ in lane) for lane in counted]
        self._ended = [sorted(last for _, last, over in lane if over) for lane in counted]
        self._dropped = [0] * LANES

    def excess(self, followed: Iterable[Conversation], before: int) -> list[Conversation]:
        """Returns those of the followed that there is no room for, as `Conversations.excess` does."""
        lanes: list[list[Conversation]] = [[] for _ in range(LANES)]
        for which in followed:
            lanes[which.lane].append(which)
        found: list[Conversation] = []
        for lane, here in enumerate(lanes):
            begun, dropped = bisect_left(self._begun[lane], before), self._dropped[lane]
            need = len(here) + begun - dropped - MOST_IN_A_LANE
            if need <= 0:
                continue
            over = sorted((which for which in here if which.over), key=lambda which: which.last)
            old = bisect_left(self._ended[lane], before - _OLD)
            if len(over) + old - dropped < need:
                raise UnsureError
            for _ in range(need):
                if over and (dropped == old or over[0].last < self._ended[lane][dropped]):
                    found.append(over.pop(0))
                else:
                    dropped += 1
            self._dropped[lane] = dropped
        return sorted(found, key=lambda which: which.id)


class Conversations:
    """The conversations of a capture that are still followed, by id: their order is that of their first packets."""

    def __init__(self, elsewhere: Elsewhere | None = None) -> None:
        self._elsewhere = elsewhere
        self._senders: dict[bytes, tuple[Conversation, End]] = {}
        self._count = 0
        self.followed: dict[int, Conversation] = {}

    def excess(self, before: int = 0) -> list[Conversation]:
        """Returns those that there is no room for: first what is over, and what has been quiet for longest.

        `before` is the number of the packet that comes next. Raises UnsureError (see Elsewhere).
        """
        if self._elsewhere is not None:
            return self._elsewhere.excess(self.followed.values(), before)
        if len(self.followed) <= MOST_IN_A_LANE:
            return []
        lanes: list[list[Conversation]] = [[] for _ in range(LANES)]
        for which in self.followed.values():
            lanes[which.lane].append(which)
        found = []
        for each in lanes:
            if len(each) > MOST_IN_A_LANE:
                found += sorted(each, key=lambda which: (not which.over, which.last))[: len(each) - MOST_IN_A_LANE]
        return sorted(found, key=lambda which: which.id)

    def forget(self, which: Conversation) -> None:
        """Lets go of a conversation: a later packet of its pair begins another."""
        del self.followed[which.id]
        for end in which.ends:
            ports = end.port.to_bytes(2, "big") + end.peer.port.to_bytes(2, "big")
            pair = end.address + end.peer.address + ports
            if pair in self._senders and self._senders[pair][0] is which:
                del self._senders[pair]
        for end in which.ends:
            del end.peer  # the two hold each other, and nobody looks for such cycles

    def place(self, frame: Frame, segment: Segment | Quoted | tuple[str, ...]) -> Record:
        """Returns the packet's record: with conversation, sender, relative numbers and labels where it is TCP."""
        if not isinstance(segment, Segment):
            return self._other(frame, segment)
        pair, raw_seq, raw_ack, flags, window, _, _, payload, problems = segment
        found = self._senders.get(pair)
        if found is None or (flags & _SYN_ACK == SYN and _is_new(found[1], segment)):
            found = self._open(frame.number, segment)
        conversation, end = found
        conversation.packets += 1
        conversation.last = frame.number
        taken = payload
        if flags & _SPECIAL:
            if flags & RST:
                taken = 0  # what a RST carries is no part of the stream
            if flags & _SYN_FIN:
                taken += 1 if flags & _SYN_FIN != _SYN_FIN else 2
            if flags & SYN:
                _first(end, frame, segment)
        seq = end.next if raw_seq == end.next_raw else end.relative(raw_seq)
        stop = seq + taken
        usual, letters = KINDS[flags & 0x17 | 0x100 if payload else flags & 0x17]
        labels = usual
        record = SegmentRecord(frame, labels, segment, conversation, end, seq, stop)
        if flags & ACK:
            peer = end.peer
            ack = record.ack = peer.next if raw_ack == peer.next_raw else peer.relative(raw_ack)
            if taken:
                if seq != end.next:
                    labels = of_order(labels, record, conversation, end, payload, flags)
            elif (ack == end.acked or seq != end.next) and not flags & RST:
                labels = of_bare_ack(labels, record, conversation, end, window, ack)
            end.acked = ack
        elif taken and seq != end.next:
            labels = of_order(labels, record, conversation, end, payload, flags)
        if not window and not flags & _SPECIAL:
            labels += ("zero-window",)
        if flags & _ECN:
            labels = of_ecn(labels, end, flags)
        if problems:
            labels += problems
        if payload > _LEAST_LARGE and payload > _limit(end.peer):
            labels += ("larger-than-mss",)
        if labels is not usual:
            record.labels = labels
            letters = letters_of(labels)
        if stop > end.next:
            record.new = taken > 0
            end.next_raw = (raw_seq + taken) % _WRAP
            end.next = stop
        if flags & FIN:
            end.fin = stop - 1
        end.window = window
        fresh = letters & ~end.history
        if fresh:
            end.history |= fresh
            conversation.history += spelled(fresh, end.role)
        return record

    def place_told(self, frame: Frame, segment: Segment | Quoted | tuple[str, ...]) -> Record:
        """Returns the record of a packet whose arrival a wire will tell, as `place` does.

        A RST without ACK has its number from what it answers: nothing is counted by that.
        """
        if not isinstance(segment, Segment) or segment.flags & (RST | ACK) != RST:
            return self.place(frame, segment)
        found = self._senders.get(segment.pair)
        before = (found[1].next, found[1].next_raw) if found else None
        record = self.place(frame, segment)
        if found and before:
            found[1].next, found[1].next_raw = before
        return record

    def place_forged(self, frame: Frame, segment: Segment | Quoted | tuple[str, ...]) -> Record:
        """Returns the record of a packet that its sender has not sent: nothing that is counted of the sender moves.

        One that belongs to no conversation opens one; what it says there is taken for its sender's first number.
        """
        if not isinstance(segment, Segment):
            return Record(frame, (*(segment.labels if isinstance(segment, Quoted) else segment), "forged"))
        found = self._senders.get(segment.pair)
        if found is None:
            found = self._open(frame.number, segment)
            if segment.flags & SYN:
                found[1].isn = found[1].next_raw = segment.seq
            else:
                found[1].relative(segment.seq)
        conversation, end = found
        conversation.packets += 1
        conversation.last = frame.number
        flags, payload = segment.flags, segment.payload
        taken = 0 if flags & RST else payload + bool(flags & SYN) + bool(flags & FIN)
        seq = 1 if end.next_raw is None else end.relative(segment.seq)  # asked of an end it would settle the count
        usual, _ = KINDS[flags & 0x17 | 0x100 if payload else flags & 0x17]
        record = SegmentRecord(
            frame, (*usual, *segment.problems, "forged"), segment, conversation, end, seq, seq + taken
        )
        if flags & ACK:
            record.ack = end.peer.relative(segment.ack) if end.peer.next_raw is not None else 1
        return record

    def _other(self, frame: Frame, found: Quoted | tuple[str, ...]) -> Record:
        """Returns the record of what is no segment; an ICMP error belongs to the packet that it quotes."""
        if not isinstance(found, Quoted):
            return Record(frame, found)
        record = Record(frame, found.labels)
        known = self._senders.get(found.pair) if found.labels is not DAMAGED else None
        packet = None
        if known is not None and not known[1].may_have_sent(found.seq):
            known = None  # of an earlier connection of the same addresses, or made up
        if known is not None:
            packet = known[1].quoted_by(found)
            record.quotes = known[0].id
        if known is not None and packet is not None:
            record.answers = packet[0]
            known[0].refuse(*packet, found.kind)
        words = icmp.words(found, record.answers, known is not None)
        record.remarks = (Remark("icmp-error", words, (Span("frame", frame.number, found.at, found.end),)),)
        return record

    def _open(self, number: int, segment: Segment) -> tuple[Conversation, End]:
        """Client is the first SYN's sender; without a SYN, the SYN-ACK's receiver; else the higher port."""
        syn, ack = segment.flags & SYN, segment.flags & ACK
        forward = not ack if syn else segment.source_port >= segment.destination_port
        source = End("client" if forward else "server", segment.source, segment.source_port)
        target = End("server" if forward else "client", segment.destination, segment.destination_port)
        client, server = (source, target) if forward else (target, source)
        conversation = Conversation(self._count, number, client, server, bool(syn))
        self._count += 1
        self.followed[conversation.id] = conversation
        self._senders[segment.pair] = conversation, source
        self._senders[segment.reversed_pair] = conversation, target
        return conversation, source


def _ident(frame: Frame, segment: Segment) -> bytes:
    """Returns the identification in the IPv4 header before a segment, empty where that has options or is another."""
    at = segment.header - 20
    return frame.data[at + 4 : at + 6] if at >= 0 and frame.data[at] == 0x45 else b""


def _limit(end: End) -> int:
    """Returns the largest payload that an end accepts: its MSS, where it told one (RFC 9293 section 3.7.1)."""
    mss = options(end.options).mss if end.options is not None else None
    return mss if mss is not None else _HALF


def _is_new(end: End, segment: Segment) -> bool:
    """Whether a SYN on a used pair begins another conversation: not where it is a repetition or a simultaneous open."""
    if end.isn is not None:
        return end.isn != segment.seq
    return end.next_raw is not None or end.peer.acked >= 0


def _first(end: End, frame: Frame, segment: Segment) -> None:
    """Takes in what only a SYN tells: where the stream begins, and the options."""
    if end.options is None:
        end.options = frame.data[segment.header + 20 : segment.start]
    if end.isn is None:
        end.isn = segment.seq
        end.next_raw, end.next = segment.seq, 0  # a SYN is 0, whatever was counted before it


def options(data: bytes) -> Options:
    """Returns what a SYN's options offer; what is malformed counts as not offered (RFC 9293 section 3.2)."""
    mss = scale = None
    sack = stamps = False
    at, end = 0, len(data)
    while at + 1 < end and data[at] != _END_OF_OPTIONS:
        kind = data[at]
        size = 1 if kind == _NO_OPERATION else data[at + 1]
        if size < 1 or at + size > end:
            break
        if kind == _MSS and size == 4:
            mss = data[at + 2] << 8 | data[at + 3]
        elif kind == _WINDOW_SCALE and size == 3:
            scale = data[at + 2]
        sack = sack or (kind, size) == (_SACK_PERMITTED, 2)
        stamps = stamps or (kind, size) == (_TIMESTAMPS, 10)
        at += size
    return Options(mss, scale, sack, stamps)
