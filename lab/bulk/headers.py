"""Headers of many packets at once: the usual TCP segments among them, which are nearly all, whatever carries them.

Usual is a whole TCP segment right behind an IPv4 header without options or an IPv6 header without extensions, behind
Ethernet (with VLAN tags or without), Linux's cooked headers, or nothing. What is not usual is only named: it is looked
at by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import numpy as np

from lab.bulk.scan import Array, Window, words
from lab.engine.layers import LOOK
from lab.engine.protocol import Preamble, Upper
from lab.protocols.registry import TRANSPORT, UPPERS
from lab.protocols.transport import LANES, NUMBER

_IPV4, _IPV6, _VLAN = 0x0800, 0x86DD, (0x8100, 0x88A8, 0x9100)
_MOST_TAGS = 2
# Link types whose header has a fixed size with an EtherType in it: the size, and where the type stands.
_TYPED = {1: (14, 12), 113: (16, 14), 276: (20, 0)}
_BARE = (12, 14, 101, 228, 229)  # an IP header comes first
_STAMPED = 0x0101080A  # options that begin with a timestamp, as nearly all hosts write them
RIGHT, UNFINISHED, WRONG = range(3)  # checksums
_BELOW = np.array([0, 0xFF, 0xFFFF, 0xFFFFFF], np.uint32)  # the bytes of a word below a place
# Numbers that nobody outside knows, so that nobody can make two addresses look alike.
_SECRET = np.frombuffer(os.urandom(64), np.uint64) | np.uint64(1)
_HALF, _WORD = np.uint64(32), (1 << 64) - 1


class Packets:
    """What is known of packets, in the order of the file. Those that are no usual segment have only the first five."""

    number: Array
    time: Array  # nanoseconds since 1970
    offset: Array  # of its data in the file
    captured: Array
    length: Array  # bytes on the wire
    linktype: Array
    usual: Array
    source: Array  # stand for address and port
    destination: Array
    source_host: Array  # stand for the address alone
    destination_host: Array
    lane: Array
    seq: Array  # raw, as are the next
    ack: Array
    flags: Array
    window: Array
    payload: Array  # bytes
    start: Array  # of the payload, in the packet
    options: Array  # bytes
    stamp: Array  # of the timestamp option that stands first, -1 where none does
    doubled: Array  # it may report that something has come twice (D-SACK)
    ttl: Array
    ident: Array  # of an IPv4 header, -1 of IPv6
    checksum: Array
    problem: Array  # RIGHT, UNFINISHED or WRONG
    begins: Array  # its payload begins with bytes that what has a protocol of its own may begin with

    def __init__(self, *columns: Array) -> None:
        vars(self).update(zip(_COLUMNS, columns, strict=True))

    def __len__(self) -> int:
        return len(self.number)

    def part(self, which: slice | Array) -> Packets:
        """Returns some of them."""
        return Packets(*(column[which] for column in vars(self).values()))


_COLUMNS = tuple(Packets.__annotations__)


def joined(parts: list[Packets]) -> Packets:
    """Returns all packets of several parts."""
    if len(parts) == 1:
        return parts[0]
    columns = zip(*(vars(each).values() for each in parts), strict=True)
    return Packets(*(np.concatenate(column) for column in columns))


def read(window: Window, number: int, mine: Array) -> Packets:
    """Returns the packets of a window, the first of which is packet `number`; `mine` says for each lane if it is read.

    The segments of other lanes are named as usual, without checksums.
    """
    buffer, begin, size = window.buffer, window.starts, len(window.starts)
    read, captured = words(buffer), window.captured
    kind, ip = _opened(read, window)
    first = read[np.minimum(ip, len(read) - 1)]
    v4 = (kind == _IPV4) & (first >> 24 == 0x45)
    v6 = (kind == _IPV6) & (first >> 28 == 6)
    left = begin + captured - ip  # bytes behind the link header
    v4 &= left >= 40
    v6 &= left >= 60
    where = np.where(v4 | v6, ip, 0)
    second, third = read[where + 4], read[where + 8]
    total = np.where(v4, first & 0xFFFF, (second >> 16) + 40).astype(np.int64)
    protocol = np.where(v4, third >> 16 & 0xFF, second >> 8 & 0xFF)
    usual = (v4 | v6) & (protocol == NUMBER) & ~(v4 & ((second & 0x3FFF) != 0)) & (total <= left)
    usual &= ~(v6 & (second >> 16 == 0))
    head = where + np.where(v6, 40, 20)
    head[~usual] = 0
    bits = read[head + 12]
    header = (bits >> 28).astype(np.int64) * 4
    behind = total - np.where(v6, 40, 20)  # bytes of the segment
    usual &= (header >= 20) & (header <= behind)
    ports = read[head]
    lane = ((ports ^ ports >> 16) & 0xFFFF) % LANES
    hosts = _hosts(read, where, v6)
    ends = [_mixed(host, port) for host, port in zip(hosts, (ports >> 16, ports & 0xFFFF), strict=True)]
    options = header - 20
    stamped = (options >= 12) & (read[head + 20] == _STAMPED)
    payload = behind - header
    columns: tuple[Array, ...] = (
        np.arange(number, number + size), window.time, begin + window.offset, captured, window.length, window.linktype,
        usual, *ends, *hosts, lane, read[head + 4].astype(np.int64), read[head + 8].astype(np.int64),
        (bits >> 16 & 0x1FF).astype(np.int64), (bits & 0xFFFF).astype(np.int64), payload, head + header - begin,
        options,
        np.where(stamped, read[head + 24].astype(np.int64), -1), _doubled(read, head, options, stamped),
        np.where(v6, second & 0xFF, third >> 24).astype(np.int64), np.where(v6, -1, (second >> 16).astype(np.int64)),
        (read[head + 16] >> 16).astype(np.int64), np.zeros(size, np.int8), np.zeros(size, bool),
    )  # fmt: skip
    found = Packets(*columns)
    here = np.flatnonzero(usual & mine[lane])
    _check(found, buffer, here, head[here], behind[here], v6[here])
    first_at, carried = (begin + found.start)[here], payload[here]
    first_ = buffer[first_at]
    found.begins[here] = (carried > 0) & FIRST[first_] & ((carried < 3) | _THIRD[first_, buffer[first_at + 2]])
    return found


def _doubled(read: Array, head: Array, options: Array, stamped: Array) -> Array:
    """Whether options may report that something has come twice (RFC 2883 section 4): unless it is seen that they don't.

    Seen are selective acknowledgements as nearly all hosts write them, alone or behind timestamps.
    """
    at = head + np.where(stamped, 32, 20)
    ack, kind = read[head + 8], read[at]
    usual = (kind >> 8 == 0x010105) & (options == np.where(stamped, 16, 4) + (kind & 0xFF).astype(np.int64) - 2)
    left, right, below, above = (read[at + skip] for skip in (4, 8, 12, 16))
    second = (kind & 0xFF) >= 18
    old = (right - ack).astype(np.int32) <= 0
    within = second & ((left - below).astype(np.int32) >= 0) & ((above - right).astype(np.int32) >= 0)
    none = np.where(stamped, options == 12, options == 0)
    found: Array = ~none & (~usual | old | within)
    return found


def _opened(read: Array, window: Window) -> tuple[Array, Array]:
    """Returns what comes behind each link header, as an EtherType, and where that begins; 0 where nobody knows."""
    begin, captured = window.starts, window.captured
    kind, at = np.zeros(len(begin), np.int64), begin.copy()
    for linktype in set(window.linktype.tolist()):
        these = window.linktype == linktype
        if linktype in _TYPED:
            size, where = _TYPED[linktype]
            these &= captured >= size + 20
            kind[these] = read[begin[these] + where] >> 16
            at[these] += size
            for _ in range(_MOST_TAGS):
                tagged = np.flatnonzero(these & np.isin(kind, _VLAN) & (captured - (at - begin) >= 24))
                if not len(tagged):
                    break
                kind[tagged] = read[at[tagged]] & 0xFFFF
                at[tagged] += 4
        elif linktype in _BARE:
            these &= captured >= 20
            kind[these] = np.where(read[begin[these]] >> 28 == 6, _IPV6, _IPV4)
    return kind, at


def _hosts(read: Array, ip: Array, v6: Array) -> tuple[Array, Array]:
    """Returns numbers that stand for the source's and the destination's address."""
    found = []
    for at4, at6 in ((12, 8), (16, 24)):
        host = read[ip + at4].astype(np.uint64) * _SECRET[0]
        if v6.any():
            where = ip[v6] + at6
            host[v6] = sum(read[where + 4 * word].astype(np.uint64) * _SECRET[1 + word] for word in range(4))
        found.append(host)
    return found[0], found[1]


def _mixed(host: Array, port: Array) -> Array:
    """Returns numbers that stand for an address and a port."""
    mixed: Array = host + port.astype(np.uint64) * _SECRET[5]
    mixed ^= mixed >> _HALF
    mixed *= _SECRET[6]
    mixed ^= mixed >> _HALF
    return mixed


def ends_of(pair: bytes) -> tuple[int, int]:
    """Returns the numbers that stand for source and destination of a segment."""
    source, destination = hosts_of(pair[:-4])
    found = []
    for host, port in ((source, pair[-4:-2]), (destination, pair[-2:])):
        mixed = host + int.from_bytes(port, "big") * int(_SECRET[5]) & _WORD
        mixed = (mixed ^ mixed >> 32) * int(_SECRET[6]) & _WORD
        found.append(mixed ^ mixed >> 32)
    return found[0], found[1]


def hosts_of(addresses: bytes) -> tuple[int, int]:
    """Returns the numbers that stand for the source's and the destination's address."""
    half = len(addresses) // 2
    found = []
    for address in (addresses[:half], addresses[half:]):
        numbers = [int.from_bytes(address[at : at + 4], "big") for at in range(0, half, 4)]
        begin = 0 if half == 4 else 1
        found.append(sum(number * int(_SECRET[begin + at]) for at, number in enumerate(numbers)) & _WORD)
    return found[0], found[1]


def _check(found: Packets, buffer: Array, here: Array, head: Array, sizes: Array, v6: Array) -> None:
    """Compares checksums (RFC 9293 section 3.1, RFC 1071). Addresses and segment stand side by side."""
    starts = head - np.where(v6, 32, 8)
    wrong = np.flatnonzero((_sums(buffer, starts, head + sizes) + NUMBER + sizes) % 0xFFFF != 0)
    if len(wrong):
        here, sizes = here[wrong], sizes[wrong]
        pseudo = _sums(buffer, starts[wrong], head[wrong]) + NUMBER + sizes
        unfinished = pseudo % 0xFFFF == found.checksum[here] % 0xFFFF
        found.problem[here] = np.where(unfinished, UNFINISHED, WRONG)


def _sums(buffer: Array, starts: Array, stops: Array) -> Array:
    """Returns the sums of 16-bit words (RFC 1071), modulo 65,535, of parts of a buffer, one behind the other.

    A part has eight bytes or more. Four are added at a time, in the machine's order: the sum is turned (section 2 B).
    """
    if not len(starts):
        return np.zeros(0, np.int64)
    quads = buffer[: len(buffer) // 4 * 4].view("<u4")
    first, last = starts >> 2, stops >> 2
    edges = np.stack([first, last], axis=1).ravel()
    sums = np.add.reduceat(quads, edges, dtype=np.uint64)[::2].astype(np.int64)
    sums += (quads[last] & _BELOW[stops & 3]).astype(np.int64)
    sums -= quads[first] & _BELOW[starts & 3]
    return (sums % 0xFFFF << 8 * (~starts & 1)) % 0xFFFF


def begins(data: bytes) -> bool:
    """Whether a segment, by whichever end, may begin what has a protocol of its own, or stands before that."""
    return any(may(data) for may in _MAY[data[0]])


def _asked(byte: int) -> tuple[Callable[[bytes], bool], ...]:
    """Returns what is to be asked of a segment that begins with a byte."""
    found: list[Callable[[bytes], bool]] = []
    for upper in UPPERS:
        if byte in upper.first:
            found.append(partial(_recognised, upper))
        if byte in upper.later:
            found.append(upper.goes_on)
    for preamble in TRANSPORT.preambles:
        if byte in preamble.first:
            found.append(partial(_measured, preamble))
    return tuple(found)


def _recognised(upper: Upper, data: bytes) -> bool:
    head = data[:LOOK]
    return upper.recognise(head, "client") is not False or upper.recognise(head, "server") is not False


def _measured(preamble: Preamble, data: bytes) -> bool:
    return preamble.measure(data, "client", True) != 0 or preamble.measure(data, "server", True) != 0


def _thirds() -> Array:
    """Returns of each byte, and each that may stand two behind it, whether something may begin so."""
    found = np.zeros((256, 256), bool)
    for byte in range(256):
        first = [upper for upper in UPPERS if byte in upper.first]
        later = any(byte in each.later for each in UPPERS) or any(byte in each.first for each in TRANSPORT.preambles)
        if later or any(byte not in upper.third for upper in first):
            found[byte] = True
        for upper in UPPERS:
            if byte in upper.third:
                found[byte, upper.third[byte]] = True
    return found


_MAY = tuple(_asked(byte) for byte in range(256))
FIRST = np.array([bool(each) for each in _MAY])
_THIRD = _thirds()
