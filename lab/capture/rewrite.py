"""A pcapng is written again block by block: each as it came, but for the comments of its packets.

So whatever other tools have put in stays where it was: sections in either byte order, interfaces, names, secrets,
statistics, blocks that only their makers know, but for what these do not want copied. Of a block that is damaged, what
is sound is written.
Source: draft-ietf-opsawg-pcapng; its numbers stand in `lab/capture/pcapng.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from struct import Struct
from typing import BinaryIO, NamedTuple

from lab.capture import pcapng
from lab.model import Frame

MOST_PASSED = 64 << 20  # bytes of blocks that wait for the packet before them to be written
_OVERHEAD = 200  # bytes that one costs beside its own
_LARGE = 1 << 20  # bytes of a block
_SIZES = {pcapng.ENHANCED_PACKET: 12, pcapng.OBSOLETE_PACKET: 12}  # bytes before the two lengths of a packet

Options = tuple[pcapng.Option, ...]


class Block(NamedTuple):
    """A block: the byte order of its section, its type, its body without options, and these."""

    order: str
    kind: int
    body: bytes
    options: Options = ()


class Kept(Frame):
    """A packet with the block it came in; `block.body` is the header before its data."""

    block: Block

    @property
    def size(self) -> int:
        return super().size + _size(self.block)


class Passed:
    """The blocks between the packets, each with how many packets came before it. There is a limit to what waits."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, Block]] = deque()
        self.lost = 0  # blocks for which there was no room
        self._bytes = 0

    def add(self, packets: int, block: Block) -> None:
        size = _size(block)
        if self._bytes + size > MOST_PASSED:
            self.lost += 1
            return
        self._bytes += size
        self.waiting.append((packets, block))

    def before(self, packet: int | None) -> list[Block]:
        """Returns, once, the blocks that stand before a packet; None: all that are left."""
        found = []
        while self.waiting and (packet is None or self.waiting[0][0] < packet):
            _, block = self.waiting.popleft()
            self._bytes -= _size(block)
            found.append(block)
        return found


def _size(block: Block) -> int:
    """Returns the bytes that a block takes in memory, roughly."""
    return len(block.body) + _OVERHEAD + sum(len(value) + _OVERHEAD for _, value in block.options)


class Rewriter:
    """Writes to `stream` what a capture has passed, and its packets with comments; the caller closes the stream.

    `about` makes the options of the first section, of those that it has.
    """

    def __init__(
        self, stream: BinaryIO, passed: Passed, about: Callable[[Options], Options] = lambda options: options
    ) -> None:
        self._stream = stream
        self._passed = passed
        self._about: Callable[[Options], Options] | None = about

    def packet(self, frame: Frame, comments: Sequence[str]) -> None:
        """Writes a frame with `comments` in the place of those it came with, and flushes it.

        A Simple Packet Block has no room for comments, nor for a packet cut short by the end of its file: it becomes
        an enhanced one, with 0 for the time that it does not have.
        """
        for block in self._passed.before(frame.number):
            self._write(block)
        if not isinstance(frame, Kept):
            return
        order, kind, header, options = frame.block
        lengths = Struct(order + "II").pack(len(frame.data), frame.length)
        if kind == pcapng.SIMPLE_PACKET and (comments or len(frame.data) < frame.length):
            kind, header = pcapng.ENHANCED_PACKET, bytes(12) + lengths
        elif kind in _SIZES:
            header = header[: _SIZES[kind]] + lengths
        said = (*pcapng.commented(comments), *(each for each in options if each[0] != pcapng.COMMENT))
        self._write(Block(order, kind, header + pcapng.padded(frame.data), said))

    def finish(self) -> None:
        """Writes the blocks behind the last packet."""
        for block in self._passed.before(None):
            self._write(block)

    def _write(self, block: Block) -> None:
        order, kind, body, options = block
        if kind == pcapng.SECTION_HEADER and self._about is not None:
            options, self._about = self._about(options), None
        options = tuple(each for each in options if each[0] not in pcapng.CUSTOM_OPTIONS_NOT_COPIED)
        body = pcapng.padded(body) + pcapng.options(options, order)
        total = len(body) + 12
        words = Struct(order + "II")
        parts = words.pack(kind, total), body, words.pack(total, 0)[:4]
        for part in (b"".join(parts),) if total < _LARGE else parts:  # of what is large there may be no room for a copy
            self._stream.write(part)
        self._stream.flush()
