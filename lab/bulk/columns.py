"""Records of a capture become columns: the usual TCP segments among them, which are nearly all.

Usual is Ethernet, IPv4 without options, TCP, whole. Anything else is named, to be looked at by itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lab.bulk import headers, scan
from lab.bulk.scan import Array
from lab.capture import pcap
from lab.protocols.transport import LANES, NUMBER, SYN

_HEADERS = 54  # bytes of Ethernet, IPv4 without options and TCP


class Columns(NamedTuple):
    """Usual TCP segments of some lanes, in the order of the file or conversation by conversation."""

    number: Array
    time: Array  # nanoseconds since 1970
    record: Array  # the file offset of its record
    addresses: Array  # source and destination
    ports: Array
    seq: Array
    ack: Array
    flags: Array
    window: Array
    payload: Array
    plain: Array  # its conversation is to be annotated packet by packet


def usual(
    buffer: bytes,
    bounds: Array,
    number: int,
    offset: int,
    mine: Array,
    variant: pcap.Variant,
    options: dict[int, bytes],
) -> tuple[tuple[Array, ...], list[int]] | None:
    """Returns the columns of the usual segments among records, and the places of all that are not.

    `bounds` are where the records begin, and where the last ends. None where a record is damaged.
    """
    order, tick = variant.order, variant.tick
    padded = buffer + bytes(_HEADERS + 16)
    bytes_ = np.frombuffer(padded, np.uint8)
    begins, captured = bounds[:-1], np.diff(bounds) - 16
    lengths = scan.words(padded, order)[begins + 12]
    if (captured > lengths).any() or (captured > pcap.MAX_CAPTURED).any():
        return None
    words, at = scan.words(padded, ">"), begins + 16
    size, options_at = words[at + 16] >> 16, words[at + 46]
    total, header = size.astype(np.int64), (options_at >> 28).astype(np.int64) * 4
    usual = ((words[at + 12] >> 8) == 0x080045) & ((words[at + 20] & 0x3FFF00FF) == NUMBER) & (captured >= _HEADERS)
    usual &= (header >= 20) & (header + 20 <= total) & (total + 14 <= captured)
    strange = np.flatnonzero(~usual).tolist()
    ports = words[at + 34]
    usual &= mine[(ports ^ ports >> 16) % LANES]
    at, ports, total, header, bits = at[usual], ports[usual], total[usual], header[usual], options_at[usual]
    payload = total - 20 - header
    flags = bits >> 16 & 0x1FF
    plain = ~_right_checksums(buffer, at + 26, total - 12)
    begun = bytes_[np.minimum(at + 34 + header, len(buffer))]
    for index in np.flatnonzero((payload > 0) & headers.FIRST[begun]).tolist():
        start = int(at[index]) + 34 + int(header[index])
        plain[index] |= headers.begins(buffer[start : start + int(payload[index])])
    numbers = (np.flatnonzero(usual) + number + 1).astype(np.uint32)
    for index in np.flatnonzero(flags & SYN).tolist():
        start = int(at[index])
        options[int(numbers[index])] = buffer[start + _HEADERS : start + 34 + int(header[index])]
    addresses = words[at + 26].astype(np.uint64) << np.uint64(32) | words[at + 30]
    records = begins[usual]
    clock = scan.words(padded, order)
    time = clock[records].astype(np.int64) * 1_000_000_000 + clock[records + 4].astype(np.int64) * tick
    column = (
        numbers, time, (records + offset).astype(np.int64), addresses, ports.astype(np.uint32),
        words[at + 38].astype(np.uint32), words[at + 42].astype(np.uint32), flags.astype(np.uint16),
        (bits & 0xFFFF).astype(np.uint16), payload.astype(np.uint16), plain,
    )  # fmt: skip
    return column, strange


def _right_checksums(buffer: bytes, starts: Array, sizes: Array) -> Array:
    """Returns whether one's complement sums of addresses and segments come out right (RFC 1071), as in segment.py."""
    number = int.from_bytes
    places = zip(starts.tolist(), (starts + sizes).tolist(), strict=True)
    sums = np.array([number(buffer[start:stop], "big") % 0xFFFF for start, stop in places], np.int64)
    right: Array = ((sums << 8 * (sizes & 1)) + NUMBER + sizes - 8) % 0xFFFF == 0
    return right
