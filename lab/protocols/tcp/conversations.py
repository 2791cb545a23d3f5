"""Which conversation a segment belongs to, who is the client, and where in the stream it stands.

Sequence numbers become relative here: a SYN is 0, and where the SYN was not captured the first byte seen is 1. They
never wrap: a stream longer than 4 GiB goes on counting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lab.dissect.fragments import Reassembled
from lab.engine.conversation import LANES
from lab.engine.lookahead import Lookahead
from lab.engine.record import Record
from lab.model import Frame, Remark, Role, Span
from lab.protocols.tcp import doubts, icmp, room
from lab.protocols.tcp.conversation import LEAST_LARGE, NO_LIMIT, Conversation, End, SegmentRecord
from lab.protocols.tcp.copies import Sent
from lab.protocols.tcp.ecn import BITS, of_ecn
from lab.protocols.tcp.icmp import DAMAGED, Quoted
from lab.protocols.tcp.judge import Judge
from lab.protocols.tcp.labels import KINDS, letters_of, of_bare_ack, of_order, spell
from lab.protocols.tcp.room import Elsewhere
from lab.protocols.tcp.segment import ACK, FIN, PSH, RST, SYN, Segment, options
from lab.protocols.tcp.twice import Recent

_SYN_FIN, _SYN_ACK, _SPECIAL = SYN | FIN, SYN | ACK, SYN | FIN | RST
_ECN = SYN | BITS
_BUT_PSH = 0x1FF & ~PSH
_DATA, _ACK = KINDS[ACK | 0x100], KINDS[ACK]
_WRAP, _HALF = 1 << 32, 1 << 31
_ROLES_WITHIN = 64  # packets in which it must show who asks
_OPENING = frozenset((None, "CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED"))  # where a SYN may be sent again
_RESETS_FREELY = frozenset(("CLOSED", "LISTEN"))  # where whoever sends a RST goes on as before
SpokenBy = Callable[[bytes], Role | None]


def _nobody(_data: bytes) -> Role | None:
    return None


class Conversations:
    """The conversations of a capture that are still followed, by id: their order is that of their first packets."""

    def __init__(self, elsewhere: Elsewhere | None = None) -> None:
        self._elsewhere = elsewhere
        self._senders: dict[bytes, tuple[Conversation, End]] = {}
        self._recent = Recent()
        self._count = 0
        self._ahead: Lookahead | None = None  # where nobody tells what arrived, but later packets
        self._spoken_by: SpokenBy = _nobody
        self._judge = Judge()
        self._sent = Sent()
        self.followed: dict[int, Conversation] = {}

    def foresee(self, ahead: Lookahead, spoken_by: SpokenBy) -> None:
        """Says how to look at packets to come, and which end it is that says some bytes."""
        self._ahead, self._spoken_by = ahead, spoken_by
        self._judge.ahead = ahead

    def of(self, pair: bytes) -> tuple[Conversation, End] | None:
        """Returns the conversation that a pair's next segment belongs to, unless it begins one, and its sender."""
        return self._senders.get(pair)

    def crowded(self, more: Sequence[int]) -> bool:
        """Whether there may be no room for all where so many more begin in each lane."""
        lanes = [room.CARRYING * each for each in more]
        for which in self.followed.values():
            lanes[which.lane] += room.taken(which)
        return max(lanes) > room.MOST_IN_A_LANE

    def excess(self, before: int = 0) -> list[Conversation]:
        """Returns those that there is no room for: first what is over, and what has been quiet for longest.

        `before` is the number of the packet that comes next. Raises UnsureError (see Elsewhere).
        """
        if self._elsewhere is not None:
            return self._elsewhere.excess(self.followed.values(), before)
        if len(self.followed) * room.CARRYING <= room.MOST_IN_A_LANE:
            return []
        lanes: list[list[Conversation]] = [[] for _ in range(LANES)]
        for which in self.followed.values():
            lanes[which.lane].append(which)
        found = []
        for here in lanes:
            need = sum(map(room.taken, here)) - room.MOST_IN_A_LANE
            for which in sorted(here, key=lambda which: (not which.over, which.last)) if need > 0 else ():
                found.append(which)
                need -= room.taken(which)
                if need <= 0:
                    break
        return sorted(found, key=lambda which: which.id)

    def forget(self, which: Conversation) -> None:
        """Lets go of a conversation: a later packet of its pair begins another."""
        del self.followed[which.id]
        if which.former is not None:
            which.former.latter = None
        if which.latter is not None:
            which.latter.former = None
        which.former = which.latter = None
        for end in which.ends:
            ports = end.port.to_bytes(2, "big") + end.peer.port.to_bytes(2, "big")
            pair = end.address + end.peer.address + ports
            if pair in self._senders and self._senders[pair][0] is which:
                del self._senders[pair]
        for end in which.ends:
            del end.peer  # the two hold each other, and nobody looks for such cycles
            end.fin_inferred = None  # nor for this one: a record knows its conversation

    def place(self, frame: Frame, segment: Segment | Quoted | tuple[str, ...]) -> Record:
        """Returns the packet's record: with conversation, sender, relative numbers and labels where it is TCP."""
        if not isinstance(segment, Segment):
            return self._other(frame, segment)
        found = self._senders.get(segment.pair)
        if found is not None and segment.flags & _BUT_PSH == ACK and (record := self._usual(found, frame, segment)):
            return record
        if found is None or found[0].former is not None or segment.flags & SYN:
            frame, segment, found = self._whose(found, frame, segment)
        pair, raw_seq, raw_ack, flags, window, header, _, payload, problems = segment
        conversation, end = found
        conversation.packets += 1
        conversation.last = frame.number
        taken = payload
        odd = False  # does not count, or may not
        if flags & _SPECIAL:
            if flags & RST:
                taken = 0  # what a RST carries is no part of the stream
            if flags & _SYN_FIN:
                taken += 1 if flags & _SYN_FIN != _SYN_FIN else 2
            if flags & SYN:
                if flags & ACK and not self._judge.counts(end, frame, segment):
                    return self._stray(found, frame, segment, "disregarded")
                if end.isn is None and conversation.reset_by == end.role:
                    conversation.take_up(end)
                first_of(end, frame, segment)
            elif flags & RST and end.isn is None and self._judge.is_unheeded(end, frame, segment):
                return self._stray(found, frame, segment, "disregarded")
        if (payload or flags & FIN) and not flags & SYN:
            odd = doubts.is_odd(end, frame.data, segment)
        if end.ttl < 0:
            end.ttl = doubts.ttl(frame.data, header, len(pair))
        if end.window < 0 and conversation.alone is not None:
            conversation.alone = None  # here is the other one, after all
        seq = end.next if raw_seq == end.next_raw else _counted(end, raw_seq, flags)
        stop = seq + taken
        usual, letters = KINDS[flags & 0x17 | 0x100 if payload else flags & 0x17]
        labels = usual
        if (taken or flags & RST) and stop <= end.next and (twin := self._twin(found, frame, segment)):
            return twin
        record = SegmentRecord(frame, labels, segment, conversation, end, seq, stop)
        if flags & _SYN_ACK == SYN and raw_seq == end.isn and end.state not in _OPENING:
            record.disowned = True  # its own SYN, late or copied: it was sent before
        if flags & ACK:
            peer = end.peer
            if (
                end.isn is None
                and peer.isn is not None
                and raw_ack != peer.next_raw
                and self._judge.is_foreign(end, frame, segment)
            ):
                return self._stray(found, frame, segment, "disregarded")
            ack = record.ack = peer.next if raw_ack == peer.next_raw else _counted(peer, raw_ack, flags)
            doubtful = odd or ack > peer.next or ack < end.acked
            of_more = ack > peer.next and peer.isn is not None and not (taken or flags & RST)
            if of_more and self._judge.is_taken_back(frame, segment):
                return self._stray(found, frame, segment, "disregarded")
            if doubtful and (payload or flags & FIN) and self._judge.is_replaced(frame, segment):
                return self._stray(found, frame, segment, "discarded" if payload else "refuted")
            if taken:
                if seq != end.next:
                    if (payload > 1 or flags & FIN) and self._judge.is_outside(end, frame, segment, seq):
                        return self._stray(found, frame, segment, "refuted" if flags & FIN else "outside-window")
                    labels = self._of_order(labels, record, payload, flags)
                    if flags & FIN and stop <= end.next and ack < end.acked:
                        record.disowned = True  # it was sent before what has acknowledged more: a late copy
            elif (ack <= end.acked or seq != end.next) and not flags & RST:
                if twin := self._twin(found, frame, segment):
                    return twin
                labels = of_bare_ack(labels, record, conversation, end, window, ack)
                if (
                    seq < end.next
                    and ack == end.acked
                    and labels is usual
                    and self._judge.is_denial(end, frame, segment)
                ):
                    labels = (*usual, "challenge-ack")
            end.acked = ack
            if peer.window < 0 and ack > 0 and not conversation.alone_known and self._ahead is not None:
                conversation.alone_known = True
                heard = doubts.answered_at_all(segment, self._ahead.behind(frame.number, pairs=segment.pairs))
                conversation.alone = None if heard else end.role
        elif taken:
            if odd and self._judge.is_replaced(frame, segment):
                return self._stray(found, frame, segment, "discarded" if payload else "refuted")
            if seq != end.next:
                labels = self._of_order(labels, record, payload, flags)
        if payload and stop > end.next and "bad-checksum" not in problems:  # a damaged copy is not what was sent
            self._sent.keep(end, seq + bool(flags & SYN), frame, segment)
        if flags & RST and self._ahead is not None and not conversation.over:
            if end.state == "SYN-SENT" and raw_seq == end.refuses:
                conversation.still_asked = self._judge.is_asked_again(end, frame, segment)
            elif end.state not in _RESETS_FREELY and conversation.latter is None:
                labels += ("refuted",) if self._judge.is_refuted(record, frame, segment) else ()
        elif (
            flags & SYN and conversation.former is not None and self._judge.is_blind(conversation, end, frame, segment)
        ):
            record.disowned = True
            labels += ("refuted",)
        if not window and not flags & _SPECIAL:
            labels += ("zero-window",)
        if flags & _ECN:
            labels = of_ecn(labels, end, flags)
        if problems:
            labels += problems
        if payload > LEAST_LARGE and payload > end.peer.limit and not isinstance(frame, Reassembled):
            labels += ("larger-than-mss",)
        if labels is not usual:
            record.labels = labels
            letters = letters_of(labels)
        if stop > end.next and not flags & RST:
            record.new = taken > 0
            end.next_raw = (raw_seq + taken) % _WRAP
            end.next = stop
        if flags & FIN:
            end.fin = stop - 1
            conversation.closing = True
            if conversation.alone is not None and self._ahead is not None and (record.ack or 0) > conversation.from_syn:
                later = self._ahead.behind(frame.number, pairs=segment.pairs)
                conversation.order_unknown = not doubts.acknowledges_more(segment, later)
        end.window = window
        if self._ahead is not None:
            self._recent.add(frame, record)
        if letters & ~end.history:
            spell(conversation, end, letters)
        return record

    def _usual(self, found: tuple[Conversation, End], frame: Frame, segment: Segment) -> SegmentRecord | None:
        """Returns the record of what nearly all packets are, None of any other: the next data, or an ACK of more.

        Whatever else `place` looks at, these have nothing of it.
        """
        _, raw_seq, raw_ack, _, window, _, _, payload, problems = segment
        conversation, end = found
        peer = end.peer
        if (
            raw_seq != end.next_raw or problems or not window or conversation.former is not None
            or peer.next_raw is None or peer.window < 0 or end.window < 0 or end.ttl < 0 or payload > peer.limit
        ):  # fmt: skip
            return None
        ack = peer.next
        if raw_ack != peer.next_raw:
            behind = (peer.next_raw - raw_ack) % _WRAP
            if behind >= _HALF or (end.isn is None and peer.isn is not None):
                return None
            ack -= behind
        seq = end.next
        if payload:
            if ack < end.acked or doubts.is_odd(end, frame.data, segment):
                return None
            labels, letters = _DATA
            record = SegmentRecord(frame, labels, segment, conversation, end, seq, seq + payload)
            record.new = True
            self._sent.keep(end, seq, frame, segment)
            end.next_raw = (raw_seq + payload) % _WRAP
            end.next = seq + payload
        elif ack > end.acked:
            labels, letters = _ACK
            record = SegmentRecord(frame, labels, segment, conversation, end, seq, seq)
        else:
            return None
        record.ack = end.acked = ack
        conversation.packets += 1
        conversation.last = frame.number
        end.window = window
        if self._ahead is not None:
            self._recent.add(frame, record)
        if letters & ~end.history:
            spell(conversation, end, letters)
        return record

    def _whose(
        self, found: tuple[Conversation, End] | None, frame: Frame, segment: Segment
    ) -> tuple[Frame, Segment, tuple[Conversation, End]]:
        """Returns what is to be placed, this segment or a SYN that was sent before it, and whose it is."""
        if found is None:
            if self._ahead is not None and segment.flags & _SYN_ACK == _SYN_ACK:
                syn = doubts.syn_of(segment, self._ahead.behind(frame.number, pairs=segment.pairs))
                if syn is not None:
                    self._ahead.take(syn[0].number)
                    self._ahead.put_back(frame, segment)
                    frame, segment = syn
            return frame, segment, self._open(frame, segment)
        if segment.flags & _SYN_ACK == _SYN_ACK and found[1].isn not in (None, segment.seq) and self._ahead is not None:
            syn = doubts.syn_of(segment, self._ahead.behind(frame.number, _ROLES_WITHIN, segment.pairs))
            if syn is not None and _is_new(found[1].peer, syn[1]):
                self._ahead.take(syn[0].number)
                self._ahead.put_back(frame, segment)
                return *syn, self._again(found[0], *syn)
        if segment.flags & _SYN_ACK == SYN:
            if _is_new(found[1], segment):
                return frame, segment, self._again(found[0], frame, segment)
            if found[0].closing and self._judge.is_opened_anew(found[1], frame, segment):
                return frame, segment, self._follows(found[0], frame, segment)
        return frame, segment, doubts.booked(found, segment) if found[0].former is not None else found

    def _of_order(self, labels: tuple[str, ...], record: SegmentRecord, payload: int, flags: int) -> tuple[str, ...]:
        """Returns the labels of a segment that takes numbers, but not the next: with other bytes it repeats nothing."""
        conversation, end = record.conversation, record.end
        found = of_order(labels, record, conversation, end, payload, flags)
        if payload and found[-1] in ("retransmission", "out-of-order") and self._sent.differs(end, record):
            if found[-1] == "out-of-order":
                return (*found, "conflicting-data")
            conversation.retransmissions -= 1
            return (*labels, "conflicting-data")
        return found

    def _twin(self, found: tuple[Conversation, End], frame: Frame, segment: Segment) -> SegmentRecord | None:
        """Returns the record of a segment that was captured before; None where it is its own, or a wire tells."""
        first = self._recent.first_of(*found, frame, segment) if self._ahead is not None else None
        if first is None:
            return None
        conversation, end = found
        usual, _ = KINDS[segment.flags & 0x17 | 0x100 if segment.payload else segment.flags & 0x17]
        labels = (*usual, "captured-twice", *segment.problems)
        record = SegmentRecord(frame, labels, segment, conversation, end, first.seq, first.stop)
        record.ack, record.copy_of = first.ack, first
        first.copies += (record,)
        if first.stop > first.seq:
            conversation.times = max(conversation.times, len(first.copies) + 1)
        return record

    def _stray(self, found: tuple[Conversation, End], frame: Frame, segment: Segment, label: str) -> SegmentRecord:
        """Returns the record of a segment that counts for nothing: nothing that is counted of its sender moves."""
        conversation, end = found
        flags, payload = segment.flags, segment.payload
        usual, letters = KINDS[flags & 0x17 | 0x100 if payload else flags & 0x17]
        if label == "disregarded":  # else nobody has said it, as far as anybody can tell
            spell(conversation, end, letters)
        seq = _asked(end, segment.seq, 0 if flags & SYN else 1)
        record = SegmentRecord(
            frame, (*usual, label, *segment.problems), segment, conversation, end, seq, seq + doubts.taken(segment)
        )
        if flags & ACK:
            record.ack = _asked(end.peer, segment.ack, 1)
        record.disowned = record.discarded = True
        return record

    def place_told(self, frame: Frame, segment: Segment | Quoted | tuple[str, ...]) -> Record:
        """Returns the record of a packet whose arrival a wire will tell, as `place` does.

        A RST without ACK has its number from what it answers: nothing is counted by that.
        """
        if not isinstance(segment, Segment):
            return self.place(frame, segment)
        if len(self.followed) >= LANES * room.MOST_IN_A_LANE and segment.pair not in self._senders:
            usual, _ = KINDS[segment.flags & 0x17 | 0x100 if segment.payload else segment.flags & 0x17]
            return Record(frame, (*usual, *segment.problems, "evicted"))  # no lab's wire has so many
        found = self._senders.get(segment.pair) if segment.flags & (RST | ACK) == RST else None
        before = (found[1].next, found[1].next_raw) if found else None
        record = self.place(frame, segment)
        if found and before:
            found[1].next, found[1].next_raw = before
        if isinstance(record, SegmentRecord):
            record.end.give_up(record)  # an ICMP error may quote it
        return record

    def place_forged(self, frame: Frame, segment: Segment | Quoted | tuple[str, ...]) -> Record:
        """Returns the record of a packet that its sender has not sent: nothing that is counted of the sender moves.

        One that belongs to no conversation opens one; what it says there is taken for its sender's first number.
        """
        if not isinstance(segment, Segment):
            return Record(frame, (*(segment.labels if isinstance(segment, Quoted) else segment), "forged"))
        found = self._senders.get(segment.pair)
        if found is None:
            found = self._open(frame, segment)
            if segment.flags & SYN:
                found[1].isn = found[1].next_raw = segment.seq
            else:
                found[1].relative(segment.seq)
        conversation, end = found
        conversation.packets += 1
        conversation.last = frame.number
        flags, payload = segment.flags, segment.payload
        taken = 0 if flags & RST else payload + bool(flags & SYN) + bool(flags & FIN)
        seq = _asked(end, segment.seq, 1)
        usual, _ = KINDS[flags & 0x17 | 0x100 if payload else flags & 0x17]
        record = SegmentRecord(
            frame, (*usual, *segment.problems, "forged"), segment, conversation, end, seq, seq + taken
        )
        if flags & ACK:
            record.ack = _asked(end.peer, segment.ack, 1)
        return record

    def _other(self, frame: Frame, found: Quoted | tuple[str, ...]) -> Record:
        """Returns the record of what is no segment; an ICMP error belongs to the packet that it quotes."""
        if not isinstance(found, Quoted):
            return Record(frame, found)
        record = Record(frame, found.labels)
        known = self._quoted(found) if found.labels is not DAMAGED else None
        packet = known[1].quoted_by(found, self._ahead is None) if known is not None else None
        whole = known[1].holds(found.seq) if known is not None and packet is None else None
        if packet is None and whole is None and found.labels is not DAMAGED and self._ahead is not None:
            late = doubts.quoted_late(frame, found, self._ahead.behind(frame.number))
            if late is not None:  # sent before this, captured behind it
                self._ahead.take(late[0].number)
                self._ahead.put_back(frame, found)
                return self.place(*late)
        if known is not None:
            record.quotes = known[0].id
            if packet is not None:
                record.answers = packet[0]
                known[0].refuse(*packet, found.kind, frame.number)
            elif whole is not None:
                record.answers = whole.number
        words = icmp.words(found, record.answers, known is not None, packet is None)
        record.remarks = (Remark("icmp-error", words, (Span("frame", frame.number, found.at, found.end),)),)
        return record

    def _quoted(self, error: Quoted) -> tuple[Conversation, End] | None:
        """Returns whose segment an error quotes, also of the connection before on the same addresses and ports."""
        found = self._senders.get(error.pair)
        if found is None or found[1].may_have_sent(error.seq):
            return found
        former = found[0].former
        end = doubts.end_at(former, found[1].address, found[1].port) if former is not None else None
        return (former, end) if former is not None and end is not None and end.may_have_sent(error.seq) else None

    def _open(self, frame: Frame, segment: Segment) -> tuple[Conversation, End]:
        """Client is the first SYN's sender; without a SYN, the SYN-ACK's receiver; else who speaks as a client does.

        Where nobody does, it is the higher port.
        """
        syn, ack = segment.flags & SYN, segment.flags & ACK
        if syn:
            forward = not ack
        else:
            later = self._ahead.behind(frame.number, _ROLES_WITHIN, segment.pairs) if self._ahead is not None else ()
            shown = doubts.client(frame, segment, later, self._spoken_by)
            forward = segment.source_port >= segment.destination_port if shown is None else shown
        source = End("client" if forward else "server", segment.source, segment.source_port)
        target = End("server" if forward else "client", segment.destination, segment.destination_port)
        client, server = (source, target) if forward else (target, source)
        conversation = Conversation(self._count, frame.number, client, server, bool(syn))
        self._count += 1
        self.followed[conversation.id] = conversation
        self._senders[segment.pair] = conversation, source
        self._senders[segment.reversed_pair] = conversation, target
        return conversation, source

    def _again(self, former: Conversation, frame: Frame, segment: Segment) -> tuple[Conversation, End]:
        """A SYN with another number begins another conversation on the same addresses and ports."""
        before = former.former
        if before is not None:
            mine = doubts.end_at(before, segment.source, segment.source_port)
            if mine.isn == segment.seq:
                return before, mine  # the SYN of the one before, once more
        return self._follows(former, frame, segment)

    def _follows(self, former: Conversation, frame: Frame, segment: Segment) -> tuple[Conversation, End]:
        """Opens a conversation behind another of the same addresses and ports: that one alone is remembered."""
        before = former.former
        if before is not None:
            before.latter = former.former = None
        found = self._open(frame, segment)
        former.latter, found[0].former = found[0], former
        return found


def _asked(end: End, raw: int, unknown: int) -> int:
    """Returns a relative number without counting by it."""
    return unknown if end.next_raw is None else end.relative(raw)


def _counted(end: End, raw: int, flags: int) -> int:
    """Returns a relative number. The first settles how an end's are counted; not a RST's, which may be of no stream."""
    return _asked(end, raw, 1) if flags & RST else end.relative(raw)


def _is_new(end: End, segment: Segment) -> bool:
    """Whether a SYN on a used pair begins another conversation: not where it is a repetition or a simultaneous open."""
    if end.isn is not None:
        return end.isn != segment.seq
    if end.peer.isn is not None and end.peer.acked < 0:
        return False  # the first SYN of an end that has sent an ACK before: it answers in two segments
    return end.next_raw is not None or end.peer.acked >= 0


def first_of(end: End, frame: Frame, segment: Segment) -> None:
    """Takes in what only a SYN tells: where the stream begins, and the options."""
    if end.options is None:
        end.options = frame.data[segment.header + 20 : segment.start]
        mss = options(end.options).mss
        end.limit = mss if mss is not None else NO_LIMIT
    if end.isn is None:
        end.isn, end.stamp = segment.seq, doubts.stamp_of(end.options)
        end.next_raw, end.next = segment.seq, 0  # a SYN is 0, whatever was counted before it
