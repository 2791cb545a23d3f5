"""IP packets that travel in pieces are put together: the packet is there with the frame that completes it.

RFC 791 section 3.2 and RFC 8200 section 4.5, in bounded memory: what is never completed is forgotten after a while. Put
together as Wireshark does: in the order of the offsets, of bytes that came twice those of the earlier piece, up to the
end that the first last piece named. Which frame a byte came in is kept.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple

from lab.dissect.encapsulation import TUNNELS
from lab.dissect.packet import RAW_IP, Fragment, fragment
from lab.model import Frame

_MOST_PACKETS, _MOST_BYTES = 1024, 16 << 20  # that are waited for
_MOST_PIECES = 8192  # of one packet: as many as there are offsets
_PATIENCE = 65_536  # frames later a packet is no longer waited for
_OVERHEAD = 200  # bytes that a piece costs beside its data
_MOST_NESTED = 2  # a whole packet may be a piece of another
_LARGEST = 0xFFFF  # bytes, by the length field of an IP header
_BEFORE = {*TUNNELS, 0, 43, 60}  # what is wanted may stand in these
_OFFSET = itemgetter(0)


class Part(NamedTuple):
    """Where bytes `start` to `stop` of a whole packet have come from: offset `at` of frame `number`."""

    start: int
    stop: int
    number: int
    at: int


class Reassembled(Frame):
    """A packet that came in pieces, in the place of the frame that completes it."""

    parts: tuple[Part, ...]  # without the IP header, which was in no frame like this


class _Waiting:
    """A packet of which pieces are missing: those that are there by offset, and which bytes they cover."""

    __slots__ = ("covered", "held", "pieces", "since", "total")

    def __init__(self, since: int) -> None:
        self.since = since
        self.total: int | None = None  # bytes of the payload, once a last piece has come
        self.pieces: list[tuple[int, bytes, list[Part]]] = []
        self.covered: list[tuple[int, int]] = []  # sorted, and apart from each other
        self.held = 0  # bytes

    def add(self, piece: Fragment, parts: list[Part]) -> None:
        start, stop = piece.offset, piece.offset + len(piece.data)
        if not piece.more and self.total is None:
            self.total = stop
        insort(self.pieces, (start, piece.data, parts), key=_OFFSET)
        self.held += len(piece.data) + _OVERHEAD
        low = high = bisect_right(self.covered, (start, -1))
        if low and self.covered[low - 1][1] >= start:
            low -= 1
            start = self.covered[low][0]
            stop = max(stop, self.covered[low][1])
        while high < len(self.covered) and self.covered[high][0] <= stop:
            stop = max(stop, self.covered[high][1])
            high += 1
        self.covered[low:high] = [(start, stop)]

    @property
    def complete(self) -> bool:
        return self.total is not None and self.covered[0][0] == 0 and self.covered[0][1] >= self.total

    def joined(self) -> tuple[bytes, list[Part]]:
        """Returns the payload, and where it has come from."""
        total, payload = self.total or 0, bytearray()
        parts: list[Part] = []
        for offset, data, places in self.pieces:
            low, high = len(payload) - offset, min(total - offset, len(data))
            if low < high:
                parts += cut(places, low, high, len(payload))
                payload += data[low:high]
        return bytes(payload), parts


class Fragments:
    """Feed it the frames that carry fragments. Packets of the `wanted` protocols (IANA's numbers) are put together."""

    def __init__(self, wanted: Iterable[int]) -> None:
        self._wanted = {*wanted, *_BEFORE}
        self._waiting: dict[bytes, _Waiting] = {}
        self._held = 0  # bytes

    def add(self, frame: Frame) -> Reassembled | None:
        """Returns the packet that the frame completes, as a frame of link type RAW_IP; None where it completes none."""
        whole: Reassembled | None = None
        for _ in range(_MOST_NESTED):
            within = whole or frame
            piece = fragment(within)
            if piece is None or piece.protocol not in self._wanted or not piece.data:
                break
            places = whole.parts if whole else (Part(0, len(frame.data), frame.number, 0),)
            whole = self._add(frame, piece, cut(places, piece.at, piece.at + len(piece.data)))
            if whole is None:
                break
        return whole

    def _add(self, frame: Frame, piece: Fragment, parts: list[Part]) -> Reassembled | None:
        while self._waiting and next(iter(self._waiting.values())).since < frame.number - _PATIENCE:
            self._forget(next(iter(self._waiting)))
        waiting = self._waiting.setdefault(piece.key, _Waiting(frame.number))
        before = waiting.held
        waiting.add(piece, parts)
        self._held += waiting.held - before
        if waiting.complete:
            self._forget(piece.key)
            return _whole(frame, piece, *waiting.joined())
        if len(waiting.pieces) >= _MOST_PIECES:
            self._forget(piece.key)
        while len(self._waiting) > _MOST_PACKETS or self._held > _MOST_BYTES:
            self._forget(next(iter(self._waiting)))
        return None

    def _forget(self, key: bytes) -> None:
        self._held -= self._waiting.pop(key).held


def cut(parts: tuple[Part, ...] | list[Part], start: int, stop: int, at: int = 0) -> list[Part]:
    """Returns the parts of `start` to `stop`, moved so that `start` is at `at`."""
    move = at - start
    return [
        Part(max(start, part.start) + move, min(stop, part.stop) + move, part.number,
             part.at + max(start - part.start, 0))
        for part in parts
        if part.start < stop and start < part.stop
    ]  # fmt: skip


def _whole(frame: Frame, last: Fragment, payload: bytes, parts: list[Part]) -> Reassembled:
    """Returns the packet with the plainest header that says as much."""
    four = len(last.addresses) == 8
    size = len(payload) + 20 * four
    length = (size if size <= _LARGEST else 0).to_bytes(2, "big")
    if four:
        head = b"\x45\0" + length + bytes(5) + bytes([last.protocol, 0, 0]) + last.addresses
    else:
        head = b"\x60\0\0\0" + length + bytes([last.protocol, 64]) + last.addresses
    whole = Reassembled(frame.number, frame.time, head + payload, 0, RAW_IP)
    whole.parts = tuple(cut(parts, 0, len(payload), len(head)))
    return whole
