"""A pcap file is one header, then records: nothing marks where a record begins, so a wrong length ends the reading.

Source: draft-ietf-opsawg-pcap; the variant with longer record headers is that of Alexey Kuznetsov's patched libpcap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct
from typing import NamedTuple

from lab.capture.source import Findings, Source
from lab.model import Frame
from lab.text import Text

FILE_HEADER = 24  # bytes
MAX_CAPTURED = 262_144  # bytes of one packet: the largest snap length of libpcap and Wireshark


_EITHER_WAY, _DG_UX = (2, 3), (543, 0)  # versions
Unpack = Callable[[bytes, int], tuple[int, int, int, int]]


class Variant(NamedTuple):
    """What the magic number says: byte order, nanoseconds per tick, bytes of a record header."""

    order: str
    tick: int
    header: int


VARIANTS = {
    bytes.fromhex("d4c3b2a1"): Variant("<", 1000, 16),
    bytes.fromhex("a1b2c3d4"): Variant(">", 1000, 16),
    bytes.fromhex("4d3cb2a1"): Variant("<", 1, 16),
    bytes.fromhex("a1b23c4d"): Variant(">", 1, 16),
    bytes.fromhex("34cdb2a1"): Variant("<", 1000, 24),
    bytes.fromhex("a1b2cd34"): Variant(">", 1000, 24),
}

CUT_RECORD = Text(
    "the file ends after packet {0}, {1} bytes into the next record",
    "文件在第 {0} 个数据包之后中断，下一条记录只有开头的 {1} 字节",
)
CUT_PACKET = Text(
    "the file ends inside packet {0}: {1} of {2} captured bytes are there",
    "文件在第 {0} 个数据包中间中断：捕获的 {2} 字节只有 {1} 字节",
)
TOO_LONG = Text(
    "the record after packet {0} claims {1} captured bytes, more than the {2} a packet can have: reading stops here",
    "第 {0} 个数据包之后的记录声称捕获了 {1} 字节，超过一个数据包的上限 {2} 字节：读取到此为止",
)
LENGTH_TOO_SMALL = Text(
    "packet {0} has {1} captured bytes but claims {2} on the wire",
    "第 {0} 个数据包捕获了 {1} 字节，却声称线路上只有 {2} 字节",
)


def frames(source: Source, found: Findings) -> Iterator[Frame]:
    """Yields each packet of a pcap file as soon as it has arrived; `source` has read the file header, not consumed it.

    What is there of a packet cut by the end of the file is yielded too, if it is a byte or more.
    """
    variant = order, tick, header = VARIANTS[source.buffer[:4]]
    linktype = Struct(order + "I").unpack_from(source.buffer, 20)[0] & 0xFFFF  # above it: the length of the FCS
    (found.snaplen,) = Struct(order + "I").unpack_from(source.buffer, 16)
    source.at = FILE_HEADER
    unpack, new = _header_reader(source, order), tuple.__new__  # Frame() would cost 0.1 microseconds more
    number, need = 0, header
    while (have := source.fill(need)) >= need:
        buffer, at, end, need = source.buffer, source.at, len(source.buffer), header
        while at + header <= end:
            seconds, fraction, captured, length = unpack(buffer, at)
            start = at + header
            stop = start + captured
            if captured > MAX_CAPTURED:
                found.problem(source.position, None, TOO_LONG.format(number, captured, MAX_CAPTURED))
                return
            if stop > end:
                need = header + captured
                break
            number += 1
            if captured > length:
                found.problem(source.position, number, LENGTH_TOO_SMALL.format(number, captured, length))
                length = captured
            found.packets = number
            source.at = at = stop
            time = seconds * 1_000_000_000 + fraction * tick
            yield new(Frame, (number, time, buffer[start:stop], length, linktype, ()))
    if have:
        yield from _cut(source, found, variant, linktype, unpack)


def _header_reader(source: Source, order: str) -> Unpack:
    """Returns what reads seconds, fraction, captured bytes and bytes on the wire of a record header.

    Before version 2.3 the two lengths stood the other way round, in 2.3 either way, and so they do in DG/UX's 543.0.
    """
    unpack = Struct(order + "IIII").unpack_from
    version = Struct(order + "HH").unpack_from(source.buffer, 4)

    def swapped(buffer: bytes, at: int = 0) -> tuple[int, int, int, int]:
        seconds, fraction, length, captured = unpack(buffer, at)
        if version == _EITHER_WAY and captured > length:
            captured, length = length, captured
        return seconds, fraction, captured, length

    return swapped if version <= _EITHER_WAY or version == _DG_UX else unpack


def _cut(source: Source, found: Findings, variant: Variant, linktype: int, unpack: Unpack) -> Iterator[Frame]:
    """Yields what is there of the packet that the file's end cuts short; all of it is in the window."""
    record, offset = source.buffer[source.at :], source.position
    source.at = len(source.buffer)
    data = record[variant.header :]
    if not data:
        found.problem(offset, None, CUT_RECORD.format(found.packets, len(record)))
        return
    seconds, fraction, captured, length = unpack(record, 0)
    found.packets += 1
    found.problem(offset, found.packets, CUT_PACKET.format(found.packets, len(data), captured))
    time = seconds * 1_000_000_000 + fraction * variant.tick
    yield Frame(found.packets, time, data, max(length, captured), linktype)
