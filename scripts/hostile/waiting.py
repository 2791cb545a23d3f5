"""What waits for the fate of another packet, or is kept to understand one: by TCP, and by what is below it."""

from __future__ import annotations

import struct

from lab.protocols.tcp.segment import ACK, PSH, SYN
from scripts.generate import checksum
from scripts.hostile.segments import LARGEST, USUAL, Frames, Talk, ip, udp


def unanswered_syn(count: int) -> Frames:
    """A SYN that nobody answers, and behind it large segments of another connection."""
    yield Talk(50_000).segment(0, SYN)
    talk = Talk()
    yield from talk.opens()
    data = bytes(LARGEST)
    for _ in range(count):
        yield talk.segment(1, PSH | ACK, data)


def unanswered_syn_udp(count: int) -> Frames:
    """The same in front of packets that are no TCP."""
    yield Talk(50_000).segment(0, SYN)
    frame = udp(bytes(65_507))
    for _ in range(count):
        yield frame


def unacknowledged(count: int) -> Frames:
    """One connection whose data nobody acknowledges, in small segments."""
    talk = Talk()
    yield from talk.opens()
    for _ in range(count):
        yield talk.segment(0, PSH | ACK, b"x")


def swapped(count: int) -> Frames:
    """Segments in pairs, the second first; all that arrives is acknowledged, number by number."""
    talk = Talk()
    yield from talk.opens()
    size, pairs = 100, max(count // 200, 1)
    first = talk.next[0]
    for at in range(pairs):
        for each in (2 * at + 1, 2 * at):
            yield talk.segment(0, PSH | ACK, bytes(size), seq=first + each * size)
    for step in range(1, 2 * size * pairs + 1):
        yield talk.segment(1, ACK, ack=first + step)


def conflicting(count: int) -> Frames:
    """The same numbers again and again, each time with other bytes."""
    talk = Talk()
    yield from talk.opens()
    first = talk.next[0]
    for at in range(count):
        yield talk.segment(0, PSH | ACK, struct.pack("!I", at) * 250, seq=first + at % 7)


def gaps(count: int) -> Frames:
    """Many connections, each with data behind a gap that is never filled."""
    for at in range(count):
        talk = Talk(1024 + at % 60_000, 80 + at // 60_000)
        yield from talk.opens()
        yield talk.segment(0, PSH | ACK, b"GET / HTTP/1.1\r\n")
        talk.next[0] += 1
        for _ in range(8):
            yield talk.segment(0, PSH | ACK, bytes(USUAL))


def ip_fragments(count: int) -> Frames:
    """First fragments of as many packets."""
    for at in range(count):
        yield ip(bytes((198, 51, 100, 2)), bytes((203, 0, 113, at >> 16 & 255)), 6, bytes(1480), 0x2000, at & 0xFFFF)


def icmp_error(talk: Talk, sent: bytes) -> bytes:
    """An ICMP error that quotes a segment of the first end."""
    body = b"\x03\x03\0\0\0\0\0\0" + sent[14 : 14 + 48]
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    return ip(talk.addresses[1], talk.addresses[0], 1, body)


def icmp_errors(count: int) -> Frames:
    """ICMP errors that quote the same segment."""
    talk = Talk()
    yield from talk.opens()
    sent = talk.segment(0, PSH | ACK, b"x" * 100)
    yield sent
    frame = icmp_error(talk, sent)
    for _ in range(count):
        yield frame


def icmp_unsent(count: int) -> Frames:
    """ICMP errors that quote what was never sent."""
    talk = Talk()
    yield from talk.opens()
    for at in range(count):
        other = Talk(1024 + at % 60_000, at // 60_000)
        sent = other.segment(0, SYN)
        body = b"\x03\x03\0\0\0\0\0\0" + sent[14 : 14 + 48]
        yield ip(talk.addresses[1], talk.addresses[0], 1, body)


def resets(count: int) -> Frames:
    """RSTs in a connection that goes on: each has to be looked behind."""
    talk = Talk()
    yield from talk.opens()
    for at in range(count):
        yield talk.segment(1, 4, seq=talk.next[1])
        if at % 300 == 299:
            yield talk.segment(1, PSH | ACK, b"x")


def syns(count: int) -> Frames:
    """Connections that are never answered, all between two hosts."""
    for at in range(count):
        yield Talk(1024 + at % 60_000, 1 + at // 60_000).segment(0, SYN)


def syns_of_one(count: int) -> Frames:
    """SYNs with ever other numbers on the same addresses and ports."""
    talk = Talk()
    for at in range(count):
        yield talk.segment(0, SYN, seq=at * 100_000)


def sacked(count: int) -> Frames:
    """Duplicate ACKs with as many SACK blocks as fit."""
    talk = Talk()
    yield from talk.opens()
    yield from talk.says(0, bytes(100), answered=False)
    first = talk.next[0]
    for at in range(count):
        edges = [first + 10 * (at + each) for each in range(4)]
        blocks = b"".join(struct.pack("!II", edge, edge + 5) for edge in edges)
        yield talk.segment(1, ACK, ack=first - 100, options=b"\1\1\x05\x22" + blocks)


def nested(count: int) -> Frames:
    """VLAN tags as many as a frame has room for."""
    inner = Talk().segment(0, SYN)
    frame = inner[:12] + b"\x81\0\0\x01" * 16_000 + inner[12:]
    for _ in range(count):
        yield frame
