"""Numbers of a TCP segment, read from a frame as fast as plain Python goes: every packet of every file comes by here.

Only numbers, no texts and no spans: those are made by `lab.dissect.fields`, for the packets that are shown.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from lab.dissect.encapsulation import ENCAPSULATIONS, IPV4, IPV6, LINKS, NOTHING, TUNNELS
from lab.model import Frame, Segment

ETHERNET, RAW_IP, RAW_IPV4, RAW_IPV6 = 1, 101, 228, 229
TCP = 6
MOST_TUNNELS = 1  # one packet in another is opened, and no more
_IPV4 = 0x0800
IPV6_EXTENSIONS = {0: 8, 43: 8, 60: 8, 44: 0}  # hop-by-hop, routing, destination, fragment: bytes a length unit counts
_FRAGMENT = 44

_ipv4 = Struct("!BxHHHxBxx4s4s").unpack_from  # version+IHL, total length, identification, fragment, protocol, addresses
_ipv6 = Struct("!xxxxHBx16s16s").unpack_from  # payload length, next header, source, destination
# The usual frame at once: Ethernet, IPv4 without options, TCP; the fields are those of the three below.
_usual = Struct("!12xHBxHxxHxBxx12sIIHHH").unpack_from  # what is a pair for `Segment` stands side by side
_USUAL_IP, _USUAL_TCP, _USUAL_SIZE, _USUAL_VERSION = 14, 34, 54, 0x45
_tcp = Struct("!4sIIHHH").unpack_from  # ports, seq, ack, offset+flags, window, checksum

_new = tuple.__new__  # what a NamedTuple's own constructor comes down to, without the call in between
_NONE: tuple[str, ...] = ()
NOT_TCP = ("not-tcp",)
TRUNCATED = ("not-tcp", "truncated")
FRAGMENT = ("not-tcp", "fragment")


def segment(frame: Frame) -> Segment | tuple[str, ...]:
    """Returns the frame's TCP segment, or the labels that say why there is none. Never raises."""
    _, _, data, _length_on_wire, linktype, _ = frame
    size = len(data)
    if linktype == ETHERNET and size >= _USUAL_SIZE:
        kind, version, length, fragment, protocol, pair, seq, ack, bits, window, checksum = _usual(data)
        if kind == _IPV4 and version == _USUAL_VERSION and protocol == TCP and length and not fragment & 0x3FFF:
            end = _USUAL_IP + length
            start = _USUAL_TCP + (bits >> 12) * 4
            if _USUAL_TCP + 20 <= start <= end:
                problems = _NONE
                if size < end:
                    problems = ("truncated",)
                else:
                    # Addresses and segment stand side by side: their sum, but for two numbers, is the checksum's.
                    total = int.from_bytes(data[26:end], "big")
                    if length & 1:
                        total <<= 8
                    if (total + TCP + length - 20) % 0xFFFF:
                        problems = _wrong_checksum(pair[:8], length - 20, checksum)
                return _new(Segment, (pair, seq, ack, bits & 0x1FF, window, _USUAL_TCP, start, end - start,
                                      problems))  # fmt: skip
    found = opened(frame)
    return FRAGMENT if isinstance(found, Fragment) else found


class Fragment(NamedTuple):
    """A part of an IP packet, from `start` to `stop` of the frame's data; `head` is an IP header for the whole packet.

    Fragments of one packet have the same `key`; this one belongs at `offset` of what the packet carries.
    """

    key: tuple[bytes, int, int]  # addresses, protocol, identification
    head: bytes
    offset: int
    more: bool  # it is not the last
    start: int
    stop: int


def opened(frame: Frame) -> Segment | Fragment | tuple[str, ...]:
    """Opens what stands before the TCP segment, header by header, up to a fragment that is all there."""
    _, _, data, length_on_wire, linktype, _ = frame
    size, at, tunnels = len(data), 0, 0
    kind = LINKS.get(linktype, NOTHING)
    while True:
        if kind == IPV4:
            found = _in_ipv4(data, at, length_on_wire)
        elif kind == IPV6:
            found = _in_ipv6(data, at, length_on_wire)
        elif kind in ENCAPSULATIONS:
            step = ENCAPSULATIONS[kind].step(data, at)
            if step is None:
                return TRUNCATED
            at, kind = step
            continue
        else:
            return NOT_TCP
        if not isinstance(found, _Inside):
            return found
        if found.protocol == TCP:
            return _segment(data, size, found)
        if found.protocol not in TUNNELS or tunnels == MOST_TUNNELS or found.fragment:
            return NOT_TCP
        tunnels += 1
        at, kind = found.at, TUNNELS[found.protocol]


class _Inside(NamedTuple):
    """What an IP packet carries: from `at` to `end`, which a snap length may lie before."""

    protocol: int
    addresses: bytes
    at: int
    end: int
    fragment: int  # not the whole packet, and cut short besides


def _in_ipv4(data: bytes, at: int, length_on_wire: int) -> _Inside | Fragment | tuple[str, ...]:
    if len(data) < at + 20:
        return TRUNCATED
    version, length, identification, fragment, protocol, source, destination = _ipv4(data, at)
    if version >> 4 != 4 or version & 15 < 5:
        return NOT_TCP
    # A length of 0 is what offloads leave in a segment larger than the field can say.
    end = at + length if length else at + max(length_on_wire - at, 0)
    fragment &= 0x3FFF
    start = at + (version & 15) * 4
    if fragment and start < end <= len(data):
        head = data[at : at + 6] + bytes(2) + data[at + 8 : start]
        key = source + destination, protocol, identification
        return Fragment(key, head, (fragment & 0x1FFF) * 8, bool(fragment & 0x2000), start, end)
    if fragment & 0x1FFF:
        return FRAGMENT
    return _Inside(protocol, source + destination, start, end, fragment)


def _in_ipv6(data: bytes, at: int, length_on_wire: int) -> _Inside | Fragment | tuple[str, ...]:
    size, fragment = len(data), 0
    if size < at + 40:
        return TRUNCATED
    length, protocol, source, destination = _ipv6(data, at)
    if data[at] >> 4 != 6:
        return NOT_TCP
    header = at + 40
    end = header + length if length else at + max(length_on_wire - at, 0)
    while protocol in IPV6_EXTENSIONS:
        if size < header + 8:
            return TRUNCATED
        if protocol == _FRAGMENT:
            fragment = (data[header + 2] << 8 | data[header + 3]) & 0xFFF9
            if fragment and header + 8 < end <= size:
                following, identification = data[header], int.from_bytes(data[header + 4 : header + 8], "big")
                head = data[at : at + 6] + bytes([following]) + data[at + 7 : at + 40]
                key = source + destination, following, identification
                return Fragment(key, head, fragment & 0xFFF8, bool(fragment & 1), header + 8, end)
            if fragment & 0xFFF8:
                return FRAGMENT
        step = 8 + data[header + 1] * IPV6_EXTENSIONS[protocol]
        protocol = data[header]
        header += step
    return _Inside(protocol, source + destination, header, end, fragment)


def _segment(data: bytes, size: int, inside: _Inside) -> Segment | tuple[str, ...]:
    _, addresses, header, end, _ = inside
    if size < header + 20:
        return TRUNCATED
    ports, seq, ack, bits, window, checksum = _tcp(data, header)
    start = header + (bits >> 12) * 4
    if bits >> 12 < 5 or start > end:
        return NOT_TCP
    problems = _NONE
    if size < end:
        problems = ("truncated",)
    else:
        # One's complement sums are remainders modulo 65535 (RFC 1071): one division instead of a loop over words.
        total = int.from_bytes(data[header:end], "big")
        if (end - header) & 1:
            total <<= 8
        if (total + _pseudo_header(addresses, end - header)) % 0xFFFF:
            problems = _wrong_checksum(addresses, end - header, checksum)
    return Segment(addresses + ports, seq, ack, bits & 0x1FF, window, header, start, end - start, problems)


def _pseudo_header(addresses: bytes, length: int) -> int:
    """Returns the sum over the pseudo-header (RFC 9293 section 3.1), not yet reduced."""
    return int.from_bytes(addresses, "big") + TCP + length


def _wrong_checksum(addresses: bytes, length: int, checksum: int) -> tuple[str, ...]:
    """Returns what is wrong with it: damaged, or begun with the pseudo-header and left to a network card."""
    unfinished = _pseudo_header(addresses, length) % 0xFFFF == checksum % 0xFFFF
    return ("unfinished-checksum",) if unfinished else ("bad-checksum",)
