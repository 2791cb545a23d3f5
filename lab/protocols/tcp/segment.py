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
_EXTENSIONS = {0: 8, 43: 8, 60: 8, 44: 0}  # hop-by-hop, routing, destination, fragment: bytes a length unit counts
_FRAGMENT = 44

_ipv4 = Struct("!BxHxxHxBxx4s4s").unpack_from  # version+IHL, total length, fragment, protocol, source, destination
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
                    total = int.from_bytes(data[26:end], "big")
                    if length & 1:
                        total <<= 8
                    if (total + TCP + length - 20) % 0xFFFF:
                        problems = _wrong_checksum(pair[:8], length - 20, checksum)
                return _new(Segment, (pair, seq, ack, bits & 0x1FF, window, _USUAL_TCP, start, end - start,
                                      problems))  # fmt: skip
    return _opened(frame)


class Fragment(NamedTuple):
    """A piece of an IP packet: `key` names the packet, `offset` says where in its payload the piece lies.

    Its `data` begin at `at` of the frame's.
    """

    key: bytes
    addresses: bytes
    protocol: int
    offset: int
    more: bool  # pieces follow
    at: int
    data: bytes


def fragment(frame: Frame) -> Fragment | None:
    """Returns the piece of an IP packet that a frame is, None where it is none or not all of it was captured."""
    found = _reached(frame)
    if not isinstance(found, _Inside) or not found.fragment or found.end > len(frame.data):
        return None
    offset, more = found.fragment & ~7, bool(found.fragment & 1)
    data = frame.data[found.at : found.end]
    return Fragment(found.key + found.addresses, found.addresses, found.protocol, offset, more, found.at, data)


def _opened(frame: Frame) -> Segment | tuple[str, ...]:
    found = _reached(frame)
    if not isinstance(found, _Inside):
        return found
    if found.fragment:
        return FRAGMENT
    return _segment(frame, found) if found.protocol == TCP else NOT_TCP


class _Inside(NamedTuple):
    """What an IP packet carries: from `at` to `end`, which a snap length may lie before."""

    protocol: int
    addresses: bytes
    at: int
    end: int
    fragment: int = 0  # its offset in bytes and, as the last bit, whether more follow; 0 where it is whole
    key: bytes = b""  # of a fragment: protocol and identification


def _reached(frame: Frame) -> _Inside | tuple[str, ...]:
    """Opens header after header, to the packet that carries TCP, or that nothing is opened behind."""
    data, at, tunnels = frame.data, 0, 0
    kind = LINKS.get(frame.linktype, NOTHING)
    while True:
        if kind == IPV4:
            found = _in_ipv4(data, at, frame.length)
        elif kind == IPV6:
            found = _in_ipv6(data, at, frame.length)
        elif kind in ENCAPSULATIONS:
            step = ENCAPSULATIONS[kind].step(data, at)
            if step is None:
                return TRUNCATED
            at, kind = step
            continue
        else:
            return NOT_TCP
        if not isinstance(found, _Inside) or found.protocol == TCP or found.fragment:
            return found
        if found.protocol not in TUNNELS or tunnels == MOST_TUNNELS:
            return NOT_TCP
        tunnels += 1
        at, kind = found.at, TUNNELS[found.protocol]


def _in_ipv4(data: bytes, at: int, length_on_wire: int) -> _Inside | tuple[str, ...]:
    if len(data) < at + 20:
        return TRUNCATED
    version, length, bits, protocol, source, destination = _ipv4(data, at)
    if version >> 4 != 4 or version & 15 < 5:
        return NOT_TCP
    # A length of 0 is what offloads leave in a segment larger than the field can say; none reaches beyond the frame.
    end = at + length if length else max(length_on_wire, len(data))
    inside = protocol, source + destination, at + (version & 15) * 4, min(end, max(length_on_wire, len(data)))
    if not bits & 0x3FFF:
        return _Inside(*inside)
    return _Inside(*inside, (bits & 0x1FFF) << 3 | bits >> 13 & 1, bytes([protocol]) + data[at + 4 : at + 6])


def _in_ipv6(data: bytes, at: int, length_on_wire: int) -> _Inside | tuple[str, ...]:
    size, piece, key = len(data), 0, b""
    if size < at + 40:
        return TRUNCATED
    length, protocol, source, destination = _ipv6(data, at)
    if data[at] >> 4 != 6:
        return NOT_TCP
    header = at + 40
    wire = max(length_on_wire, size)
    end = min(header + length, wire) if length else wire
    while protocol in _EXTENSIONS and not piece:
        if size < header + 8:
            return TRUNCATED
        step = 8 + data[header + 1] * _EXTENSIONS[protocol]
        if protocol == _FRAGMENT:
            piece = (data[header + 2] << 8 | data[header + 3]) & 0xFFF9  # 0 for an atomic fragment (RFC 6946)
            key = data[header + 4 : header + 8]
        protocol = data[header]
        header += step
    return _Inside(protocol, source + destination, header, end, piece, key)


def _segment(frame: Frame, inside: _Inside) -> Segment | tuple[str, ...]:
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
