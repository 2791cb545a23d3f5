"""Numbers of a TCP segment, read from a frame as fast as plain Python goes: every packet of every file comes by here.

Only numbers, no texts and no spans: those are made by `lab.dissect.fields`, for the packets that are shown.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from lab.dissect.packet import ETHERNET, Inside, Unopened, opened
from lab.model import Frame
from lab.protocols.tcp.icmp import ICMP, ICMPV6, Quoted, quoted

FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE = (1 << bit for bit in range(9))

TCP = 6
_IPV4, _IPV6 = 0x0800, 0x86DD

# The usual frame at once: Ethernet, IPv4 without options, TCP; the fields are those of the three below.
_usual = Struct("!12xHBxHxxHxBxx12sIIHHH").unpack_from  # what is a pair for `Segment` stands side by side
_USUAL_IP, _USUAL_TCP, _USUAL_SIZE, _USUAL_VERSION = 14, 34, 54, 0x45
_usual6 = Struct("!18xHBx36sIIHHH").unpack_from  # and of IPv6 without extension headers
_USUAL_TCP6 = 54
_tcp = Struct("!4sIIHHH").unpack_from  # ports, seq, ack, offset+flags, window, checksum

_END_OF_OPTIONS, _NO_OPERATION, _MSS, _WINDOW_SCALE, _SACK_PERMITTED, _TIMESTAMPS = 0, 1, 2, 3, 4, 8

_number = int.from_bytes
_LONG, _LONGER = 256, 2048  # bytes
_MORE_FOLDS = [(8 * size, (1 << 8 * size) - 1) for size in (16384, 8192, 4096, 2048, 1024, 384, 192)]
_FOLDS = _MORE_FOLDS[-2:]  # of what is not longer than an Ethernet frame
_new = tuple.__new__  # what a NamedTuple's own constructor comes down to, without the call in between
_NONE: tuple[str, ...] = ()
NOT_TCP = ("not-tcp",)
TRUNCATED = ("not-tcp", "truncated")
FRAGMENT = ("not-tcp", "fragment")


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
    def pairs(self) -> frozenset[bytes]:
        """The pairs of both directions of its connection."""
        return frozenset((self.pair, self.reversed_pair))

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


@lru_cache(512)
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


def segment(frame: Frame) -> Segment | Quoted | tuple[str, ...]:
    """Returns the frame's TCP segment, the ICMP error that quotes one, or the labels that say why there is none.

    Never raises.
    """
    _, _, data, length_on_wire, linktype, _ = frame
    size = len(data)
    if linktype == ETHERNET and size >= _USUAL_SIZE:
        kind, version, length, pieces, protocol, pair, seq, ack, bits, window, checksum = _usual(data)
        if kind == _IPV4 and version == _USUAL_VERSION and protocol == TCP and length and not pieces & 0x3FFF:
            end = _USUAL_IP + length
            start = _USUAL_TCP + (bits >> 12) * 4
            if _USUAL_TCP + 20 <= start <= end:
                problems = _NONE
                if size < end:
                    problems = ("truncated",)
                    end = max(min(end, max(length_on_wire, size)), start)  # none reaches beyond the frame
                else:
                    # Addresses and segment stand side by side: their sum, but for two numbers, is the checksum's.
                    if (_sum(data, 26, end) + (TCP + length - 20 << 8)) % 0xFFFF:
                        problems = _wrong_checksum(pair[:8], length - 20, checksum)
                return _new(Segment, (pair, seq, ack, bits & 0x1FF, window, _USUAL_TCP, start, end - start,
                                      problems))  # fmt: skip
        elif kind == _IPV6 and version >> 4 == 6 and size >= _USUAL_TCP6 + 20:
            length, protocol, pair, seq, ack, bits, window, checksum = _usual6(data)
            end = _USUAL_TCP6 + length
            start = _USUAL_TCP6 + (bits >> 12) * 4
            if protocol == TCP and _USUAL_TCP6 + 20 <= start <= end <= size:
                problems = _NONE
                if (_sum(data, 22, end) + (TCP + length << 8)) % 0xFFFF:
                    problems = _wrong_checksum(pair[:32], length, checksum)
                return _new(Segment, (pair, seq, ack, bits & 0x1FF, window, _USUAL_TCP6, start, end - start,
                                      problems))  # fmt: skip
    return _opened(frame)


def _opened(frame: Frame) -> Segment | Quoted | tuple[str, ...]:
    found = opened(frame)
    if found is Unopened.TRUNCATED:
        return TRUNCATED
    if not isinstance(found, Inside):
        return NOT_TCP
    if found.fragment:
        return FRAGMENT
    if found.protocol == TCP:
        return _segment(frame, found)
    return (quoted(frame, found) if found.protocol in (ICMP, ICMPV6) else None) or NOT_TCP


def _segment(frame: Frame, inside: Inside) -> Segment | tuple[str, ...]:
    protocol, addresses, header, end, _, _ = inside
    data, size = frame.data, len(frame.data)
    assert protocol == TCP
    if size < header + 20:
        return TRUNCATED
    ports, seq, ack, bits, window, checksum = _tcp(data, header)
    start = header + (bits >> 12) * 4
    if bits >> 12 < 5 or start > end:
        return NOT_TCP
    problems = _NONE
    if size < end:
        problems = ("truncated",)
        end = max(min(end, max(frame.length, size)), start)  # none reaches beyond the frame
    else:
        if (_sum(data, header, end) + _pseudo_header(addresses, end - header)) % 0xFFFF:
            problems = _wrong_checksum(addresses, end - header, checksum)
    return _new(Segment, (addresses + ports, seq, ack, bits & 0x1FF, window, header, start, end - start, problems))


def _sum(data: bytes, start: int, end: int) -> int:
    """Returns a number that leaves the same remainder modulo 65535 as the sum of 16-bit words (RFC 1071) does.

    The words are taken with the first byte last, as that sum is the same in either order but for its own bytes, and a
    last byte without another needs no care. One division takes the place of a loop over words; and as dividing is what
    costs, a long number is folded first: any two pieces of it, of whole words, may be added.
    """
    size = end - start
    if size < _LONG:
        return _number(data[start:end], "little")
    half = start + (size >> 2 << 1)
    total = _number(data[start:half], "little") + _number(data[half:end], "little")
    for bits, mask in _FOLDS if size < _LONGER else _MORE_FOLDS:
        total = (total >> bits) + (total & mask)
    return total


def _pseudo_header(addresses: bytes, length: int) -> int:
    """Returns the sum over the pseudo-header (RFC 9293 section 3.1) in the same order, not yet reduced."""
    return _number(addresses, "little") + (TCP + length << 8)


def _wrong_checksum(addresses: bytes, length: int, checksum: int) -> tuple[str, ...]:
    """Returns what is wrong with it: damaged, or begun with the pseudo-header and left to a network card."""
    unfinished = _pseudo_header(addresses, length) % 0xFFFF == (checksum << 8) % 0xFFFF
    return ("unfinished-checksum",) if unfinished else ("bad-checksum",)


@lru_cache(512)
def flag_names(flags: int) -> tuple[str, ...]:
    """Returns flags by name, in the order of the header's bits from the right."""
    return tuple(name for bit, name in enumerate(FLAGS) if flags >> bit & 1)


def names(found: Segment) -> tuple[str, ...]:
    """Returns the flags that a segment has, by name."""
    return flag_names(found.flags)
