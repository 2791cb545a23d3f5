"""IP fragments wait for each other: the frame with which the last missing one comes carries the whole packet.

Put together as Wireshark does: in the order of their offsets, of bytes that came twice those that lie first, up to the
end that the first last fragment named. Which frame a byte came in is kept. What waits is bounded in number, bytes and
time; the oldest goes first.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from operator import itemgetter

from lab.dissect.encapsulation import TUNNELS
from lab.dissect.segment import IPV6_EXTENSIONS, TCP, Fragment, opened
from lab.model import Frame, Part, Reassembled

MOST_PACKETS = 4096  # that wait
MOST_BYTES = 16 << 20  # of all of them
MOST_PIECES = 8192  # of one of them: as many as there are offsets
PATIENCE = 60_000_000_000  # nanoseconds (RFC 8200 section 4.5)
_OVERHEAD = 200  # bytes that a fragment costs beside its data
_MOST_NESTED = 2  # a whole packet may be a fragment of another
_MOST_SAID = 0xFFFF  # bytes, by the length field of an IP header
_WANTED = {TCP, *TUNNELS, *IPV6_EXTENSIONS}

_Piece = tuple[int, bytes, tuple[Part, ...]]
_OFFSET = itemgetter(0)


class _Packet:
    """What has come of one packet: pieces by offset, and which bytes they cover."""

    __slots__ = ("bytes", "covered", "head", "pieces", "since", "total")

    def __init__(self, since: int | None) -> None:
        self.since = since
        self.head = b""
        self.total: int | None = None
        self.pieces: list[_Piece] = []
        self.covered: list[tuple[int, int]] = []  # sorted, apart from each other
        self.bytes = 0

    def add(self, found: Fragment, data: bytes, parts: tuple[Part, ...]) -> None:
        start, stop = found.offset, found.offset + len(data)
        if not start or not self.head:
            self.head = found.head
        if not found.more and self.total is None:
            self.total = stop
        insort(self.pieces, (start, data, parts), key=_OFFSET)
        self.bytes += len(data) + _OVERHEAD
        low = bisect_right(self.covered, (start, -1))
        if low and self.covered[low - 1][1] >= start:
            low -= 1
        high = low
        while high < len(self.covered) and self.covered[high][0] <= stop:
            start, stop = min(start, self.covered[high][0]), max(stop, self.covered[high][1])
            high += 1
        self.covered[low:high] = [(start, stop)]

    @property
    def complete(self) -> bool:
        return self.total is not None and self.covered[0][0] == 0 and self.covered[0][1] >= self.total

    def whole(self) -> tuple[bytes, tuple[Part, ...]]:
        """Returns the packet with an IP header of its own, and where its bytes have come from."""
        total, reached = self.total or 0, 0
        carried, parts = bytearray(), []
        for offset, data, places in self.pieces:
            low, high = max(reached - offset, 0), min(total - offset, len(data))
            if low < high:
                parts += cut(places, low, high, len(self.head) + reached)
                carried += data[low:high]
                reached = offset + high
        head = bytearray(self.head)
        at = 2 if head[0] >> 4 == 4 else 4
        said = total + (len(head) if at == 2 else 0)
        head[at : at + 2] = (said if said <= _MOST_SAID else 0).to_bytes(2, "big")
        return bytes(head + carried), tuple(parts)


def cut(parts: tuple[Part, ...], start: int, stop: int, at: int = 0) -> list[Part]:
    """Returns the parts of `start` to `stop`, moved so that they begin at `at`."""
    found = []
    for part in parts:
        low, high = max(start, part.start), min(stop, part.stop)
        if low < high:
            found.append(Part(low - start + at, high - start + at, part.number, part.at + low - part.start))
    return found


class Fragments:
    """The packets of a capture of which fragments have come, and not all yet."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[bytes, int, int], _Packet] = {}
        self._bytes = 0

    def take(self, frame: Frame) -> Reassembled | None:
        """Takes a fragment in and returns the packet that it completes, if it does."""
        whole: Frame = frame
        for _ in range(_MOST_NESTED):
            found = opened(whole)
            if not isinstance(found, Fragment):
                break
            data, parts = self._take(whole, found)
            if not data:
                return None
            whole = Reassembled.of(frame, data, parts)
        return whole if isinstance(whole, Reassembled) else None

    def _take(self, frame: Frame, found: Fragment) -> tuple[bytes, tuple[Part, ...]]:
        if found.key[1] not in _WANTED:
            return b"", ()
        packet = self._waiting.get(found.key)
        if packet is not None and not _in_time(packet, frame):
            self._drop(found.key)
            packet = None
        if packet is None:
            packet = self._waiting[found.key] = _Packet(frame.time)
        parts = frame.parts if isinstance(frame, Reassembled) else (Part(0, len(frame.data), frame.number, 0),)
        before = packet.bytes
        packet.add(found, frame.data[found.start : found.stop], tuple(cut(parts, found.start, found.stop)))
        self._bytes += packet.bytes - before
        if packet.complete:
            self._drop(found.key)
            return packet.whole()
        if len(packet.pieces) >= MOST_PIECES:
            self._drop(found.key)
        while self._waiting and (self._bytes > MOST_BYTES or len(self._waiting) > MOST_PACKETS):
            self._drop(next(iter(self._waiting)))
        return b"", ()

    def _drop(self, key: tuple[bytes, int, int]) -> None:
        self._bytes -= self._waiting.pop(key).bytes


def _in_time(packet: _Packet, frame: Frame) -> bool:
    return packet.since is None or frame.time is None or abs(frame.time - packet.since) <= PATIENCE
