"""A pcapng file is a row of blocks, each with its length at both ends: damage inside a block costs that block only.

Plain packets, nearly all of most files, go the short way through `_plain_packets`; any other block is read by itself. A
length that can't be true ends the reading, for nothing says where the next block begins.
Source: draft-ietf-opsawg-pcapng; its numbers stand in `lab/capture/pcapng.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lab.capture import pcapng
from lab.capture.pcap import MAX_CAPTURED
from lab.capture.rewrite import Block, Kept
from lab.capture.section import TOO_SMALL, Section, comments
from lab.capture.source import Findings, Source
from lab.model import Frame
from lab.text import Text

SMALLEST = 12  # bytes of a block without a body
LARGEST = 64 << 20  # bytes of a block; Wireshark reads a quarter of it

BYTE_ORDERS = {pcapng.BYTE_ORDER.to_bytes(4, "little"): "<", pcapng.BYTE_ORDER.to_bytes(4, "big"): ">"}
HEADERS = {pcapng.ENHANCED_PACKET: 20, pcapng.OBSOLETE_PACKET: 20, pcapng.SIMPLE_PACKET: 4}  # bytes before the data

BAD_ORDER = Text(
    "the section header after packet {} has no valid byte order: reading stops here",
    "第 {} 个数据包之后的节头部没有有效的字节序标记：读取到此为止",
)
BAD_LENGTH = Text(
    "the block after packet {} claims to be {} bytes long, which no block can be: reading stops here",
    "第 {} 个数据包之后的块声称长 {} 字节，任何块都不可能是这个长度：读取到此为止",
)
LENGTHS_DIFFER = Text(
    "the block after packet {} is {} bytes long by its beginning and {} by its end",
    "第 {} 个数据包之后的块，开头写的长度是 {} 字节，末尾写的却是 {} 字节",
)
UNKNOWN_INTERFACE = Text(
    "a packet after packet {} is of interface {}, which the file does not describe: it is skipped",
    "第 {} 个数据包之后有一个数据包来自接口 {}，文件却没有描述这个接口：已跳过",
)
TOO_LONG = Text(
    "a packet after packet {} claims {} captured bytes where its block has room for {}: it is skipped",
    "第 {} 个数据包之后有一个数据包声称捕获了 {} 字节，它的块却只容得下 {} 字节：已跳过",
)
TOO_LARGE = Text(
    "packet {} has {} captured bytes, more than the {} that are read of one: the rest is left out",
    "第 {} 个数据包捕获了 {} 字节，超过每个数据包读取的上限 {} 字节：其余已略去",
)
TOO_SHORT = Text(
    "packet {} has {} captured bytes but claims {} on the wire",
    "第 {} 个数据包捕获了 {} 字节，却声称线路上只有 {} 字节",
)
BAD_TIME = Text(
    "the time of packet {} is before 1970 or after 2554: it is left out",
    "第 {} 个数据包的时间早于 1970 年或晚于 2554 年：已略去",
)
CUT_PACKET = Text(
    "the file ends inside packet {}: {} of the {} bytes of its block are there",
    "文件在第 {} 个数据包中间中断：它的块只有 {} 字节，应有 {} 字节",
)
CUT_BLOCK = Text(
    "the file ends after packet {}, {} bytes into the next block",
    "文件在第 {} 个数据包之后中断，下一个块只有开头的 {} 字节",
)


class Record(NamedTuple):
    """The fields of a packet block of any kind."""

    interface: int
    ticks: int | None
    captured: int
    length: int


def frames(source: Source, found: Findings) -> Iterator[Frame]:
    """Yields each packet of a pcapng file as soon as it has arrived.

    What is there of a packet cut by the end of the file is yielded too, if it is a byte or more.
    """
    return _Reader(source, found).frames()


class _Reader:
    def __init__(self, source: Source, found: Findings) -> None:
        self._source = source
        self._found = found
        self._section = Section("<")  # until the first block says otherwise

    def frames(self) -> Iterator[Frame]:
        source, need = self._source, SMALLEST
        while source.fill(need) >= need:
            if self._found.passed is None:
                yield from self._plain_packets()
            have, need = len(source.buffer) - source.at, SMALLEST
            if have < SMALLEST:
                continue
            kind, need = self._head()
            if not need:
                return
            if have >= need:
                yield from self._block(kind, need)
                need = SMALLEST
        if len(source.buffer) > source.at:
            yield from self._cut(need)

    def _plain_packets(self) -> Iterator[Frame]:
        """Yields packets as long as they are enhanced packet blocks, sound, without options, and all there."""
        source, found, section = self._source, self._found, self._section
        buffer, at, end, number = source.buffer, source.at, len(source.buffer), found.packets
        unpack, unpack_total = section.plain_packet.unpack_from, section.word.unpack_from
        known, enhanced, new = section.plain.get, pcapng.ENHANCED_PACKET, tuple.__new__  # Frame() takes 0.1 us longer
        largest = MAX_CAPTURED + 32
        while at + 32 <= end:
            kind, total, interface, high, low, captured, length = unpack(buffer, at)
            stop = at + total  # plain: 32 bytes around the data padded to a multiple of 4
            if kind != enhanced or captured + 35 & -4 != total or captured > length or stop > end or total > largest:
                return
            plain = known(interface)
            if plain is None or high > plain.last or unpack_total(buffer, stop - 4)[0] != total:
                return
            linktype, tick, _ = plain
            time, start = (high << 32 | low) * tick, at + 28
            found.packets = number = number + 1
            source.at = at = stop
            yield new(Frame, (number, time, buffer[start : start + captured], length, linktype, ()))

    def _head(self) -> tuple[int, int]:
        """Returns the type and the length of the block at hand; the length is 0 where it can't be true."""
        buffer, at = self._source.buffer, self._source.at
        (kind,) = self._section.word.unpack_from(buffer, at)
        if kind == pcapng.SECTION_HEADER:  # reads the same in either byte order
            order = BYTE_ORDERS.get(buffer[at + 8 : at + 12])
            if order is None:
                self._problem(BAD_ORDER)
                return kind, 0
            self._section = Section(order)
        (total,) = self._section.word.unpack_from(buffer, at + 4)
        if not SMALLEST <= total <= LARGEST or (total % 4 and not self._agreed(total)):
            self._problem(BAD_LENGTH, total)
            return kind, 0
        return kind, total + -total % 4

    def _agreed(self, total: int) -> bool:
        """Whether a block's end has the same length, which leaves its padding out: so the first writers wrote it."""
        size = total + -total % 4
        if self._source.fill(size) < size:
            return False
        (trailing,) = self._section.word.unpack_from(self._source.buffer, self._source.at + size - 4)
        return bool(trailing == total)

    def _block(self, kind: int, total: int) -> Iterator[Frame]:
        """Consumes the block at hand, which is all there."""
        source, frame = self._source, None
        body = source.buffer[source.at + 8 : source.at + total - 4]
        (leading,) = self._section.word.unpack_from(source.buffer, source.at + 4)
        (trailing,) = self._section.word.unpack_from(source.buffer, source.at + total - 4)
        if trailing != leading:
            self._problem(LENGTHS_DIFFER, leading, trailing)
        if kind not in HEADERS:
            block = self._section.take(kind, body, self._found, source.position)
            if block is not None and self._found.passed is not None:
                self._found.passed.add(self._found.packets, block)
        elif len(body) < HEADERS[kind]:
            self._problem(TOO_SMALL)
        else:
            frame = self._packet(kind, body, len(body))
        source.at, body = source.at + total, b""  # which may be large, and a packet takes its time
        if frame is not None:
            yield frame

    def _cut(self, total: int) -> Iterator[Frame]:
        """Consumes the last block, of which less than `total` bytes are there."""
        source, frame = self._source, None
        rest = source.buffer[source.at :]
        body = rest[8 : total - 4]
        if len(rest) >= SMALLEST:
            (kind,) = self._section.word.unpack_from(rest)
            if len(body) > HEADERS.get(kind, LARGEST):
                frame = self._packet(kind, body, total - SMALLEST)
        if frame is None:
            self._problem(CUT_BLOCK, len(rest))
        else:
            self._problem(CUT_PACKET, len(rest), total, packet=frame.number)
        source.at = len(source.buffer)
        if frame is not None:
            yield frame

    def _packet(self, kind: int, body: bytes, room: int) -> Frame | None:
        """Returns the packet in `body`, which has its header and should have `room` bytes."""
        record, start = self._record(kind, body), HEADERS[kind]
        interface = self._section.interfaces.get(record.interface)
        if interface is None:
            self._problem(UNKNOWN_INTERFACE, record.interface)
            return None
        captured = record.captured
        if kind == pcapng.SIMPLE_PACKET and interface.snaplen:
            captured = min(captured, interface.snaplen)
        if captured > room - start:
            self._problem(TOO_LONG, captured, room - start)
            return None
        self._found.packets = number = self._found.packets + 1
        if captured > record.length:
            self._problem(TOO_SHORT, captured, record.length, packet=number)
        if captured > MAX_CAPTURED:
            self._problem(TOO_LARGE, captured, MAX_CAPTURED, packet=number)
        time = None if record.ticks is None else interface.time(record.ticks)
        if time is None and record.ticks is not None:
            self._problem(BAD_TIME, packet=number)
        told = len(body) == room and kind != pcapng.SIMPLE_PACKET
        options: Iterable[pcapng.Option] = ()
        if told:
            options = self._section.options(body, start + captured + -captured % 4)
        if self._found.passed is not None:
            options = tuple(options)  # there may be very many: they are gone through once
        said = comments(options, number, self._found, self._source.position) if told else ()
        data = body[start : start + min(captured, MAX_CAPTURED)]
        fields = number, time, data, max(captured, record.length), interface.linktype, said
        if self._found.passed is None:
            return Frame(*fields)
        kept = Kept(*fields)
        kept.block = Block(self._section.order, kind, body[:start], tuple(each for each in options if each[0] >= 0))
        return kept

    def _record(self, kind: int, body: bytes) -> Record:
        section = self._section
        if kind == pcapng.SIMPLE_PACKET:  # section 4.4: of the first interface, without a time
            (length,) = section.word.unpack_from(body)
            return Record(0, None, length, length)
        if kind == pcapng.ENHANCED_PACKET:
            interface, high, low, captured, length = section.enhanced_packet.unpack_from(body)
        else:
            interface, _, high, low, captured, length = section.obsolete_packet.unpack_from(body)
        return Record(interface, high << 32 | low, captured, length)

    def _problem(self, text: Text, *values: int, packet: int | None = None) -> None:
        """Notes a problem of the block at hand; the text's first value is the number of the last packet read."""
        self._found.problem(self._source.position, packet, text.format(self._found.packets, *values))
