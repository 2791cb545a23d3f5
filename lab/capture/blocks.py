"""A pcapng file is a row of blocks, each with its length at both ends: damage inside a block costs that block only.

Plain packets, nearly all of a file, take the short way in `frames`; everything else is read a block at a time.
Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from lab.capture import pcapng
from lab.capture.source import Findings, Source
from lab.model import Frame
from lab.text import Text

SMALLEST = 12  # bytes of a block without a body
LARGEST = 64 << 20  # bytes of a block: four times what Wireshark reads
BYTE_ORDERS = {pcapng.BYTE_ORDER.to_bytes(4, "little"): "<", pcapng.BYTE_ORDER.to_bytes(4, "big"): ">"}

MAX_TIME = (1 << 64) - 1  # nanoseconds, the year 2554: what the nanosecond clock of a capture can count to
MAX_KEPT = 65_536  # interfaces of a section, host names, closing comments
MAX_KEY_LOG = 64 << 20  # bytes
OVERRUN = -1  # stands for an option that runs over the end of its block

SECOND = 1_000_000_000


class Interface(NamedTuple):
    """How to read the packets of an interface: time is `ticks * multiply // divide + offset` nanoseconds."""

    linktype: int
    snaplen: int  # 0: no limit
    multiply: int
    divide: int
    offset: int


class Section:
    """What the packets of a section need to be read: its byte order and its interfaces by id."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.words = Struct(order + "II")
        self.plain = Struct(order + "IIIIIII")  # an enhanced packet block up to its data
        self.interfaces: dict[int, Interface] = {}
        self.described = 0  # interface description blocks so far, damaged ones too


class Record(NamedTuple):
    """The fields of a packet block of any kind; `start` is where its data begins in the block's body."""

    interface: int
    ticks: int | None
    captured: int
    length: int
    start: int


def frames(source: Source, found: Findings) -> Iterator[Frame]:
    section, need, new = Section("<"), SMALLEST, tuple.__new__
    while (have := source.fill(need)) >= need:
        buffer, at, end, need = source.buffer, source.at, len(source.buffer), SMALLEST
        unpack, trailer, interfaces = section.plain.unpack_from, Struct(section.order+"I").unpack_from, section.interfaces
        number = found.packets
        while at + 32 <= end:
            kind, total, interface, high, low, captured, length = unpack(buffer, at)
            stop = at + total
            if kind != 6 or captured + 35 & -4 != total or captured > length or stop > end or trailer(buffer, stop - 4)[0] != total:
                break
            if (known:= interfaces.get(interface)) is None or high > known[2]: break
            found.packets = number = number + 1
            start = at + 28
            source.at = at = stop
            yield new(Frame, (number, (high << 32 | low) * known[1], buffer[start:start + captured], length, known[0], ()))
        at = source.at
        kind, total, *_ = unpack(buffer, at) if at + 32 <= end else (0, 0)
        if kind == pcapng.INTERFACE_DESCRIPTION:
            interfaces[0]=(1,1,2**32-1)
        if kind == 6:
            need = total
        elif at + 32 > end:
            need = 32
        else:
            source.at = at + total
