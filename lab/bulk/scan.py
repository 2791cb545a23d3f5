"""Where the packets of a file lie: a regular pcap or pcapng file, sound from its first byte to its last.

Only what nearly all files are is read here, in columns. Whatever is damaged, cut, old or rare is left to
`lab/capture/`, which says what is wrong with it: `layout` then returns None.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lab.capture import blocks, pcap, pcapng
from lab.capture.section import Section
from lab.capture.source import Findings

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
else:
    Array = np.ndarray

_WINDOW = 4 << 20  # bytes read at a time
MOST = 16_384  # packets in a window: of small ones there are many in so many bytes
PADDING = 256  # bytes behind a window, so that a header may be looked for near its end
_LEAST = 12  # bytes of a record or block
_LATEST = (1 << 63) - 1
_LASTING = (pcapng.SECTION_HEADER, pcapng.INTERFACE_DESCRIPTION, pcapng.DECRYPTION_SECRETS)
_VERSION = (2, 4)  # of pcap; older ones have rules of their own


class Layout(NamedTuple):
    """What the beginning of a file says of the rest of it."""

    begin: int  # the file offset of the first record or block behind what has been read
    end: int  # the size of the file: what comes while it is read is left out
    order: str  # byte order, as struct has it
    tick: int  # nanoseconds; of pcap
    linktype: int  # of pcap
    blocks: bool  # it is a pcapng


class Window(NamedTuple):
    """Some packets that stand side by side in a file: bytes, and where in them each packet's data lie."""

    buffer: Array  # with PADDING zeros behind
    offset: int  # of its first byte in the file
    starts: Array  # of each packet's data, in the buffer
    captured: Array
    length: Array  # bytes on the wire
    time: Array  # nanoseconds since 1970
    linktype: Array

    def parts(self) -> Iterator[Window]:
        """Yields it in windows with no more packets than are wished for."""
        columns = self.starts, self.captured, self.length, self.time, self.linktype
        for at in range(0, len(self.starts), MOST):
            yield Window(self.buffer, self.offset, *(column[at : at + MOST] for column in columns))


def words(buffer: bytes | Array, order: str = ">") -> Array:
    """Returns the four bytes from every place on as numbers."""
    return np.ndarray((len(buffer) - 3,), order + "u4", buffer, strides=(1,))


def layout(file: int) -> Layout | None:
    """Returns how an open file is laid out, None where it is none of those that are read here."""
    head, end = os.pread(file, pcap.FILE_HEADER, 0), os.fstat(file).st_size
    if len(head) < pcap.FILE_HEADER:
        return None
    if head[:4] == pcapng.SECTION_HEADER.to_bytes(4, "big"):
        order = blocks.BYTE_ORDERS.get(head[8:12])
        return Layout(0, end, order, 0, 0, True) if order is not None else None
    variant = pcap.VARIANTS.get(head[:4])
    if variant is None or variant.header != 16 or struct.unpack_from(variant.order + "HH", head, 4) != _VERSION:
        return None
    linktype = struct.unpack_from(variant.order + "I", head, 20)[0] & 0xFFFF
    return Layout(pcap.FILE_HEADER, end, variant.order, variant.tick, linktype, False)


class UnsoundError(Exception):
    """Something in a file is not as it is in nearly all."""


class Place(NamedTuple):
    """Where in a file the next window begins."""

    offset: int
    rest: int  # bytes from there on that have been looked at for the one before
    over: bool  # there is none


class Reading:
    """Reads a file window by window, from its beginning; another process may read some of them instead."""

    def __init__(self, file: int, of: Layout, secrets: list[bytes]) -> None:
        """Takes an open file. Adds to the secrets."""
        self._file, self._end = file, of.end
        self._reader = _Blocks(of, secrets) if of.blocks else _Records(of)
        self.at = Place(of.begin, 0, False)
        self._room = np.zeros(_WINDOW + PADDING, np.uint8)

    def windows(self) -> Iterator[Window]:
        """Yields all packets, a window at a time, each good until the next is asked for. Raises UnsoundError."""
        while not self.at.over:
            window = self.next()
            if window is not None:
                yield from window.parts()

    def next(self) -> Window | None:
        """Returns the packets of the next window, None where it has none. Raises UnsoundError.

        They are good until the next is asked for: all have the same memory.
        """
        offset, rest, _ = self.at
        wanted = rest + max(min(_WINDOW, self._end - offset - rest), 0)
        if wanted + PADDING > len(self._room):
            self._room = np.zeros(2 * _WINDOW + rest + PADDING, np.uint8)
        size = os.preadv(self._file, [self._room[:wanted].data], offset) if wanted else 0
        self._room[size : size + PADDING] = 0
        at, window = self._reader.read(self._room[: size + PADDING], offset)
        over = size <= rest
        if (not at and size > self._reader.largest) or (over and rest):
            raise UnsoundError
        self.at = Place(offset + at, size - at, over)
        return window

    def taken(self) -> list[tuple[int, bytes]]:
        """Returns the types and bytes of the blocks that matter behind the window that was read last."""
        return self._reader.others

    def go(self, place: Place, others: Iterable[tuple[int, bytes]]) -> None:
        """Goes to a place behind a window that another process has read, and takes in what was in it. As `next`."""
        self.at = place
        for kind, block in others:
            self._reader.other(kind, block)


class _Records:
    """Reads the records of a pcap file."""

    largest = pcap.MAX_CAPTURED + 16

    def __init__(self, of: Layout) -> None:
        self._of = of
        self.others: list[tuple[int, bytes]] = []

    def other(self, kind: int, block: bytes) -> None:
        """Has nothing to take in: there are only packets."""

    def read(self, buffer: Array, offset: int) -> tuple[int, Window | None]:
        """Returns how many bytes have been read, and the packets in them."""
        bounds = _begins(buffer, self._of.order, 8, 16, self.largest)
        at, begins = int(bounds[-1]), bounds[:-1]
        if not at:
            return 0, None
        clock = words(buffer, self._of.order)
        captured, length = clock[begins + 8].astype(np.int64), clock[begins + 12].astype(np.int64)
        if (captured > length).any() or (captured > pcap.MAX_CAPTURED).any():
            raise UnsoundError
        time = clock[begins].astype(np.int64) * 1_000_000_000 + clock[begins + 4].astype(np.int64) * self._of.tick
        linktype = np.full(len(begins), self._of.linktype, np.int64)
        return at, Window(buffer, offset, begins + 16, captured, length, time, linktype)


def _begins(buffer: Array, order: str, where: int, beside: int, largest: int) -> Array:
    """Returns where records begin, and behind them where the last that is whole ends.

    `where` in each its size stands, which is `beside` bytes less than all of it. Raises UnsoundError.
    """
    size_of, data, end = struct.Struct(order + "I").unpack_from, buffer.data, len(buffer) - PADDING
    at, last, found = 0, end - _LEAST, list[int]()
    append = found.append
    while at <= last:
        append(at)
        step = size_of(data, at + where)[0] + beside
        if not _LEAST <= step <= largest:
            raise UnsoundError
        at += step
    if at > end:
        at = found.pop()
    return np.array([*found, at], np.int64)


class _Blocks:
    """Reads the packets of a pcapng file of one section; other blocks must have nothing wrong with them."""

    largest = 4 * _WINDOW  # for those that are larger there may be no room beside the columns

    def __init__(self, of: Layout, secrets: list[bytes]) -> None:
        self._secrets = secrets
        self._kept = Findings()  # the secrets, within the limits that there are for them
        self._section = Section(of.order)
        self._order = of.order
        self._begun = False
        self._interfaces: list[tuple[int, int, int]] = []  # link type, tick, last high word of a time
        self.others: list[tuple[int, bytes]] = []  # of the window that was read last: see `Reading.taken`

    def read(self, buffer: Array, offset: int) -> tuple[int, Window | None]:
        """Returns how many bytes have been read, and the packets in them."""
        bounds = _begins(buffer, self._order, 4, 0, self.largest)
        at, begins, parts, done = int(bounds[-1]), bounds[:-1], list[Window](), 0
        if (bounds & 3).any():
            raise UnsoundError
        kinds = words(buffer, self._order)[begins]
        self.others = []
        for index in np.flatnonzero(kinds != pcapng.ENHANCED_PACKET).tolist():
            if index > done:  # an interface that is described here is not theirs
                parts.append(self._window(buffer, offset, begins[done:index]))
            kind, block = int(kinds[index]), buffer[bounds[index] : bounds[index + 1]].tobytes()
            self.other(kind, block)
            if kind in _LASTING:
                self.others.append((kind, block))
            done = index + 1
        if done < len(begins):
            parts.append(self._window(buffer, offset, begins[done:]))
        return at, _joined(parts)

    def other(self, kind: int, block: bytes) -> None:
        """Takes in a block that is no packet."""
        if (kind == pcapng.SECTION_HEADER) == self._begun or block[4:8] != block[-4:]:
            raise UnsoundError
        if kind in (pcapng.SIMPLE_PACKET, pcapng.OBSOLETE_PACKET):
            raise UnsoundError
        self._begun = True
        found = Findings()
        self._section.take(kind, block[8:-4], found, 0)
        if found.problems:
            raise UnsoundError
        if not all(map(self._kept.keep_secrets, found.secrets)):
            raise UnsoundError
        self._secrets += found.secrets
        if kind == pcapng.INTERFACE_DESCRIPTION:
            plain = self._section.plain.get(len(self._interfaces))
            if plain is None:
                self._interfaces.append((0, 0, -1))
            else:  # nanoseconds are kept in 63 bits
                last = min(plain.last, (_LATEST // plain.tick >> 32) - 1)
                self._interfaces.append((plain.linktype, plain.tick, last))

    def _window(self, buffer: Array, offset: int, at: Array) -> Window:
        read = words(buffer, self._order)
        total, which, high, low, captured, length = (read[at + skip].astype(np.int64) for skip in range(4, 28, 4))
        known = np.array([*self._interfaces, (0, 0, -1)], np.int64)
        if (which >= len(self._interfaces)).any():
            raise UnsoundError
        linktype, tick, last = known[which].T
        plain = (captured + 35 & -4 == total) & (captured <= length) & (high <= last) & (captured <= pcap.MAX_CAPTURED)
        if not plain.all() or (read[at + total - 4] != total).any():
            raise UnsoundError
        return Window(buffer, offset, at + 28, captured, length, (high << 32 | low) * tick, linktype)


def _joined(parts: list[Window]) -> Window | None:
    if len(parts) < 2:
        return parts[0] if parts else None
    columns = zip(*((each.starts, each.captured, each.length, each.time, each.linktype) for each in parts), strict=True)
    return Window(parts[0].buffer, parts[0].offset, *(np.concatenate(column) for column in columns))
