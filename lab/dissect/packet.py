"""An IP packet opened as far as the protocol that it carries: where that begins and ends, between which addresses.

Every packet of every file comes by here, so there are only numbers; the texts and spans of the headers' fields are made
by `lab.dissect.fields`, for packets that are shown. What is behind the IP header is the business of whoever carries it.
"""

from __future__ import annotations

from enum import Enum
from struct import Struct
from typing import NamedTuple

from lab.dissect.encapsulation import ENCAPSULATIONS, IPV4, IPV6, LINKS, NOTHING, TUNNELS
from lab.model import Frame

ETHERNET, RAW_IP, RAW_IPV4, RAW_IPV6 = 1, 101, 228, 229
MOST_TUNNELS = 1  # one packet in another is opened, and no more
_EXTENSIONS = {0: 8, 43: 8, 60: 8, 44: 0}  # hop-by-hop, routing, destination, fragment: bytes a length unit counts
_FRAGMENT = 44

_ipv4 = Struct("!BxHxxHxBxx4s4s").unpack_from  # version+IHL, total length, fragment, protocol, source, destination
_ipv6 = Struct("!xxxxHBx16s16s").unpack_from  # payload length, next header, source, destination


class Unopened(Enum):
    """Why a frame has no IP packet that could be opened: it carries none that is known, or a header is cut short."""

    UNKNOWN = "unknown"
    TRUNCATED = "truncated"


class Inside(NamedTuple):
    """What an IP packet carries: bytes `at` to `end` of the frame, which may have been cut before `end`."""

    protocol: int  # IANA's number
    addresses: bytes  # source, destination
    at: int
    end: int
    fragment: int = 0  # its offset in bytes and, as the last bit, whether more follow; 0 where it is whole
    key: bytes = b""  # of a fragment: protocol and identification


def opened(frame: Frame) -> Inside | Unopened:
    """Opens header after header, up to the first protocol that is no tunnel. Never raises."""
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
                return Unopened.TRUNCATED
            at, kind = step
            continue
        else:
            return Unopened.UNKNOWN
        if not isinstance(found, Inside) or found.fragment or found.protocol not in TUNNELS or tunnels == MOST_TUNNELS:
            return found
        tunnels += 1
        at, kind = found.at, TUNNELS[found.protocol]


def within(data: bytes, at: int, version: int) -> Inside | None:
    """Opens an IP header that another message quotes, itself cut short as it may be; None where it is none."""
    found = _in_ipv4(data, at, 0) if version == 4 else _in_ipv6(data, at, 0)
    return found if isinstance(found, Inside) else None


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
    found = opened(frame)
    if not isinstance(found, Inside) or not found.fragment or found.end > len(frame.data):
        return None
    offset, more = found.fragment & ~7, bool(found.fragment & 1)
    data = frame.data[found.at : found.end]
    return Fragment(found.key + found.addresses, found.addresses, found.protocol, offset, more, found.at, data)


def _in_ipv4(data: bytes, at: int, length_on_wire: int) -> Inside | Unopened:
    if len(data) < at + 20:
        return Unopened.TRUNCATED
    version, length, bits, protocol, source, destination = _ipv4(data, at)
    if version >> 4 != 4 or version & 15 < 5:
        return Unopened.UNKNOWN
    # A length of 0 is what offloads leave in a segment larger than the field can say.
    end = at + length if length else max(length_on_wire, len(data))
    inside = protocol, source + destination, at + (version & 15) * 4, end
    if not bits & 0x3FFF:
        return Inside(*inside)
    return Inside(*inside, (bits & 0x1FFF) << 3 | bits >> 13 & 1, bytes([protocol]) + data[at + 4 : at + 6])


def _in_ipv6(data: bytes, at: int, length_on_wire: int) -> Inside | Unopened:
    size, piece, key = len(data), 0, b""
    if size < at + 40:
        return Unopened.TRUNCATED
    length, protocol, source, destination = _ipv6(data, at)
    if data[at] >> 4 != 6:
        return Unopened.UNKNOWN
    header = at + 40
    end = header + length if length else max(length_on_wire, size)
    while protocol in _EXTENSIONS and not piece:
        if size < header + 8:
            return Unopened.TRUNCATED
        step = 8 + data[header + 1] * _EXTENSIONS[protocol]
        if protocol == _FRAGMENT:
            piece = (data[header + 2] << 8 | data[header + 3]) & 0xFFF9  # 0 for an atomic fragment (RFC 6946)
            key = data[header + 4 : header + 8]
        protocol = data[header]
        header += step
    return Inside(protocol, source + destination, header, end, piece, key)
