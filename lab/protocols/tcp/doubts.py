"""Segments that can't be understood alone: what comes behind them says what they were.

A RST ends a connection, unless its alleged sender goes on as if there had been none: then somebody else has sent it
(a blind reset, RFC 5961 section 3; a box in between). Of two SYN-ACKs with different numbers that one counts which is
acknowledged. Of two segments that give the same numbers other bytes, at most one has been read: not one that a receiver
must throw away (a wrong checksum, an acknowledgement of what was never sent) or that may not have come so far (a TTL
unlike its sender's). And where no SYN was captured, whoever asks is the client.

Nothing here moves anything: `conversations.py` asks, with the packets to come, and places the segment accordingly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from struct import Struct
from typing import NamedTuple

from lab.dissect.fragments import Reassembled
from lab.model import Frame, Role
from lab.protocols.tcp.conversation import Conversation, End, ident
from lab.protocols.tcp.icmp import Quoted
from lab.protocols.tcp.segment import ACK, FIN, RST, SYN, Segment

_WRAP, _HALF = 1 << 32, 1 << 31
_OVERTAKEN = 50_000_000  # nanoseconds: what is captured so much later may have been sent before
_MOST_OVERTAKEN = 3  # segments of a sender that may be captured before its SYN
_MOST_ASKED = 16  # segments with data in which somebody may show that he is the client or the server
_TIMESTAMPS = 8
_NEAR = 1 << 24  # numbers: as far from where a connection has come to as its segments may be
_MANY_OPTIONS = 40  # bytes of a header: more than timestamps need
_two_numbers = Struct("!II").unpack_from
_STAMPED = 0x0101080A  # options that begin with a timestamp, as nearly all hosts write them
_IPV4_PAIR = 12  # bytes of a pair of addresses and ports
Later = Iterable[tuple[Frame, object]]


class Refuted(NamedTuple):
    """A RST that its alleged sender has not sent; `obeyed` says that its receiver has closed all the same."""

    obeyed: bool


def ahead_of(number: int, other: int) -> int:
    """Returns by how much a raw number lies behind another, negative where before it (RFC 9293 section 3.4)."""
    away = (number - other) % _WRAP
    return away - _WRAP if away >= _HALF else away


def taken(segment: Segment) -> int:
    """Returns how many sequence numbers a segment takes; what a RST carries is no part of the stream."""
    flags = segment.flags
    return 0 if flags & RST else segment.payload + bool(flags & SYN) + bool(flags & FIN)


def _of_pair(later: Later, segment: Segment) -> Iterator[tuple[Frame, Segment, bool]]:
    """Yields the segments of the same connection, and whether each is of the same sender."""
    pair, answers = segment.pair, segment.reversed_pair
    for frame, each in later:
        if isinstance(each, Segment):
            if each.pair == pair:
                yield frame, each, True
            elif each.pair == answers:
                yield frame, each, False


def reset(frame: Frame, segment: Segment, later: Later, exact: bool) -> Refuted | None:
    """Returns what refutes a RST, None where nothing does; `exact` says that it has the next number in order."""
    said: list[tuple[Frame, Segment]] = []
    answered = False
    for other, each, same in _of_pair(later, segment):
        if each.flags & (SYN | ACK) == SYN:
            break  # another connection
        if each.flags & (RST | SYN):
            continue
        if same:
            said.append((other, each))
        elif said:
            answered = True
    if not said or _overtaken(frame, segment, said):
        return None
    return Refuted(exact and not answered)


def _overtaken(frame: Frame, rst: Segment, said: list[tuple[Frame, Segment]]) -> bool:
    """Whether all that its sender says behind a RST stands before it in the stream: sent earlier, captured later."""
    stops = [ahead_of(each.seq + taken(each), rst.seq) for _, each in said]
    last = said[-1][0]
    late = frame.time is None or last.time is None or last.time - frame.time > _OVERTAKEN
    return not late and max(stops) == 0


def still_asked(segment: Segment, isn: int | None, later: Later) -> bool:
    """Whether the sender of a RST in SYN-SENT asks again with the same SYN, or is answered and goes on behind it."""
    said = (each for _, each, same in _of_pair(later, segment) if same and not each.flags & RST)
    return any(isn is None or ahead_of(each.seq, isn) in (0, 1) for each in said)


def answered(segment: Segment, later: Later) -> bool:
    """Whether a SYN-ACK is the one that its receiver acknowledges."""
    for _, each, same in _of_pair(later, segment):
        if not same and each.flags & (SYN | ACK | RST) == ACK:
            return (segment.seq + 1) % _WRAP == each.ack
    return False


def opened_anew(syn: Segment, isn: int, later: Later) -> bool:
    """Whether a SYN is answered by a SYN-ACK with another number than `isn`, and that is acknowledged."""
    answer: Segment | None = None
    for _, each, same in _of_pair(later, syn):
        if answer is None:
            if same:
                if each.seq != syn.seq:
                    return False
            elif each.flags & (SYN | ACK | RST) != SYN | ACK or each.seq == isn or each.ack != (syn.seq + 1) % _WRAP:
                return False
            else:
                answer = each
        elif same and each.flags & ACK:
            return not each.flags & RST and each.ack == (answer.seq + 1) % _WRAP
    return False


def refused(segment: Segment, later: Later) -> bool:
    """Whether a segment is answered by a RST without ACK that has the number it acknowledges (RFC 9293, 3.5.2)."""
    for _, each, same in _of_pair(later, segment):
        if not same:
            return each.flags & (RST | ACK) == RST and each.seq == segment.ack
    return False


def stands_back(segment: Segment, next_: int, later: Later) -> bool:
    """Whether the sender of a bare ACK goes on before raw number `next_`: it has not sent what lies between."""
    for _, each, same in _of_pair(later, segment):
        if same and not each.flags & RST:
            return ahead_of(each.seq, next_) < 0
    return False


def taken_back(segment: Segment, later: Later) -> bool:
    """Whether the sender of a bare ACK acknowledges less from then on, and the other goes on before it.

    Else what it acknowledges was sent, and not captured, or not yet.
    """
    less = False
    for _, each, same in _of_pair(later, segment):
        if each.flags & RST:
            continue
        if same and each.flags & ACK:
            if ahead_of(each.ack, segment.ack) >= 0:
                return False
            less = True
        elif not same and taken(each) and ahead_of(each.seq + taken(each), segment.ack) >= 0:
            return False
    return less


def another_fin(segment: Segment, later: Later) -> bool:
    """Whether its sender ends its stream before a FIN that lies ahead of that."""
    end = (segment.seq + segment.payload) % _WRAP
    for _, each, same in _of_pair(later, segment):
        if same and each.flags & FIN and "bad-checksum" not in each.problems:
            return ahead_of((each.seq + each.payload) % _WRAP, end) < 0
    return False


def left_behind(segment: Segment, next_: int, later: Later) -> bool:
    """Whether its sender goes on from raw number `next_`, and not from this segment, far ahead of it."""
    for _, each, same in _of_pair(later, segment):
        if same and each.payload:
            return each.seq == next_
    return False


def replaced(frame: Frame, segment: Segment, later: Later) -> bool:
    """Whether the same numbers come once more, with other bytes and nothing odd, before they are acknowledged."""
    stop = (segment.seq + taken(segment)) % _WRAP
    mine = frame.data[segment.start : segment.start + segment.payload]
    for other, each, same in _of_pair(later, segment):
        if not same:
            if each.flags & ACK and not each.flags & RST and ahead_of(each.ack, segment.seq) > 0:
                return False
            continue
        begin = ahead_of(each.seq, segment.seq)
        fin = segment.payload if segment.flags & FIN else None  # where it ends the stream
        if "bad-checksum" in each.problems:
            continue
        if fin is not None and (
            begin <= fin < begin + each.payload or ("bad-checksum" in segment.problems and _is_fin_at(each, begin, fin))
        ):
            return True
        if begin >= ahead_of(stop, segment.seq) or begin + each.payload <= 0:
            continue
        theirs = other.data[each.start : each.start + each.payload]
        ours = mine[max(begin, 0) :]
        theirs = theirs[max(-begin, 0) :]
        size = min(len(ours), len(theirs))
        if "bad-checksum" in segment.problems or ours[:size] != theirs[:size]:
            return True
    return False


def _is_fin_at(segment: Segment, begin: int, at: int) -> bool:
    return bool(segment.flags & FIN) and begin + segment.payload == at


def answered_after_all(segment: Segment, later: Later) -> bool:
    """Whether the sender of a RST answers with a SYN-ACK."""
    return any(same and each.flags & (SYN | ACK | RST) == SYN | ACK for _, each, same in _of_pair(later, segment))


def goes_on(syn: Segment, next_: int, later: Later) -> bool:
    """Whether the sender of a SYN sends from raw number `next_` on, and nothing speaks for the new connection."""
    for _, each, same in _of_pair(later, syn):
        if not same:
            if each.flags & (SYN | ACK) == SYN | ACK and each.ack == (syn.seq + 1) % _WRAP:
                return False
        elif each.flags & (SYN | RST):
            return False
        else:
            return abs(ahead_of(each.seq, next_)) < abs(ahead_of(each.seq, syn.seq))
    return False


def answered_at_all(segment: Segment, later: Later) -> bool:
    """Whether anything of the other end comes behind a segment."""
    return any(not same for _, _, same in _of_pair(later, segment))


def acknowledges_more(segment: Segment, later: Later) -> bool:
    """Whether its sender acknowledges more behind a segment: the peer's FIN, which ends its stream, came later."""
    return any(
        same and each.flags & ACK and ahead_of(each.ack, segment.ack) > 0 for _, each, same in _of_pair(later, segment)
    )


def syn_of(segment: Segment, later: Later) -> tuple[Frame, Segment] | None:
    """Returns the SYN that a SYN-ACK answers, where that was captured a little behind it."""
    said = (each for each in _of_pair(later, segment) if not each[2])
    for frame, each, _ in islice(said, _MOST_OVERTAKEN):
        if each.flags & (SYN | ACK | RST | FIN) == SYN:
            return (frame, each) if (each.seq + 1) % _WRAP == segment.ack else None
    return None


def quoted_late(frame: Frame, error: Quoted, later: Later) -> tuple[Frame, Segment] | None:
    """Returns the segment that an ICMP error quotes, where that was captured only behind it, and hardly later."""
    if isinstance(frame, Reassembled):
        return None
    for other, each in later:
        if frame.time is None or other.time is None or other.time - frame.time > _OVERTAKEN:
            return None
        if not isinstance(each, Segment) or each.pair != error.pair or each.seq != error.seq:
            continue
        if error.flags in (None, each.flags) and ident(other, each) == error.ident:
            return other, each
    return None


def client(frame: Frame, segment: Segment, later: Later, spoken_by: Callable[[bytes], Role | None]) -> bool | None:
    """Returns whether the sender of a connection's first segment is its client, by what is said; None: nobody tells."""
    asked = 0
    for other, each, same in _with_first(frame, segment, later):
        if each.flags & SYN:
            return None
        if each.payload:
            asked += 1
            role = spoken_by(other.data[each.start : each.start + each.payload])
            if role is not None:
                return same == (role == "client")
            if asked == _MOST_ASKED:
                return None
    return None


def _with_first(frame: Frame, segment: Segment, later: Later) -> Iterator[tuple[Frame, Segment, bool]]:
    yield frame, segment, True
    yield from _of_pair(later, segment)


def end_at(which: Conversation, address: bytes, port: int) -> End:
    client = which.client
    return client if (client.address, client.port) == (address, port) else which.server


def booked(found: tuple[Conversation, End], segment: Segment) -> tuple[Conversation, End]:
    """Returns whose a segment is where its addresses and ports were used before: by the numbers it is nearer to."""
    conversation, end = found
    former = conversation.former
    if former is None:
        return found
    before = end_at(former, end.address, end.port)
    old, new = _distance(before, segment), _distance(end, segment)
    return (former, before) if old is not None and old < _NEAR and (new is None or old < new) else found


def _distance(end: End, segment: Segment) -> int | None:
    """Returns how far a segment's numbers lie from those that a connection has come to; None: nobody knows."""
    away = []
    if end.next_raw is not None:
        away.append(abs(ahead_of(segment.seq, end.next_raw)))
    if segment.flags & ACK and end.peer.next_raw is not None:
        away.append(abs(ahead_of(segment.ack, end.peer.next_raw)))
    return max(away, default=None)


def is_odd(end: End, data: bytes, segment: Segment) -> bool:
    """Whether there is something about a segment with data that may keep its receiver from reading it.

    That is a wrong checksum, no ACK, an option that only some segments have (a signature, RFC 2385), a TTL below its
    sender's, a timestamp older than one before (RFC 7323 section 5).
    """
    pair, _, _, flags, _, header, start, _, problems = segment
    if (
        not flags & ACK
        or start - header >= _MANY_OPTIONS
        or ttl(data, header, len(pair)) < end.ttl
        or "bad-checksum" in problems
    ):
        return True
    at = header + 20
    if len(data) >= at + 8:
        begin, stamp = _two_numbers(data, at)
    else:  # cut short
        begin, stamp = int.from_bytes(data[at : at + 4], "big"), int.from_bytes(data[at + 4 :], "big")
    if begin == _STAMPED:
        if end.stamp is not None and (stamp - end.stamp) % _WRAP >= _HALF:
            return True
        end.stamp = stamp
    return False


def stamp_of(listed: bytes | None) -> int | None:
    """Returns the timestamp among a SYN's options (RFC 7323 section 3)."""
    at, data = 0, listed or b""
    while at + 1 < len(data) and data[at]:
        size = 1 if data[at] == 1 else data[at + 1]
        if size < 1:
            return None
        if data[at] == _TIMESTAMPS and size == 10:
            return int.from_bytes(data[at + 2 : at + 6], "big")
        at += size
    return None


def ttl(data: bytes, header: int, addresses: int) -> int:
    """Returns the TTL, or hop limit, of a segment whose header begins there; 0 behind options or extension headers."""
    if addresses == _IPV4_PAIR:
        at = header - 20
        return data[at + 8] if at >= 0 and data[at] == 0x45 else 0
    at = header - 40
    return data[at + 7] if at >= 0 and data[at] >> 4 == 6 else 0
