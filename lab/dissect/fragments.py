"""IP packets that travel in pieces are put together: the packet is there with the frame that completes it.

RFC 791 section 3.2 and RFC 8200 section 4.5, in bounded memory: what is never completed is forgotten after a while. Of
pieces that overlap, the first in the packet counts; one whose pieces contradict each other's end never completes.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from lab.dissect.segment import RAW_IP, Fragment, fragment
from lab.model import Frame

_MOST_PACKETS, _MOST_BYTES = 1024, 16 << 20  # that are waited for
_MOST_PIECES = 8192 // 8  # of one packet
_LARGEST = 0xFFFF  # bytes of a packet's payload
_PATIENCE = 65_536  # frames later a packet is no longer waited for


class _Waiting(NamedTuple):
    """A packet of which pieces are missing. `total` is its payload's length, empty before the last piece has come."""

    since: int
    pieces: dict[int, bytes]
    total: list[int]


class Fragments:
    """Feed it the frames that `segment` calls fragments."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[bytes, _Waiting] = OrderedDict()
        self._held = 0  # bytes

    def add(self, frame: Frame) -> Frame | None:
        """Returns the packet that the frame completes, as a frame of link type RAW_IP; None where it completes none."""
        found = fragment(frame)
        if found is None or found.offset + len(found.data) > _LARGEST or (found.more and len(found.data) % 8):
            return None
        while self._waiting and next(iter(self._waiting.values())).since < frame.number - _PATIENCE:
            self._forget(next(iter(self._waiting)))
        waiting = self._waiting.setdefault(found.key, _Waiting(frame.number, {}, []))
        if found.offset not in waiting.pieces and len(waiting.pieces) < _MOST_PIECES:
            waiting.pieces[found.offset] = found.data
            self._held += len(found.data)
        if not found.more:
            waiting.total[:] = [found.offset + len(found.data)]
        payload = _joined(waiting)
        if payload is not None:
            self._forget(found.key)
            return frame._replace(data=_packet(found, payload), length=0, linktype=RAW_IP, comments=())
        while len(self._waiting) > _MOST_PACKETS or self._held > _MOST_BYTES:
            self._forget(next(iter(self._waiting)))
        return None

    def _forget(self, key: bytes) -> None:
        self._held -= sum(map(len, self._waiting.pop(key).pieces.values()))


def _joined(waiting: _Waiting) -> bytes | None:
    """Returns the payload, None as long as bytes of it are missing."""
    if not waiting.total or sum(map(len, waiting.pieces.values())) < waiting.total[0]:
        return None
    payload = bytearray()
    for offset, data in sorted(waiting.pieces.items()):
        if offset > len(payload):
            return None
        payload += data[len(payload) - offset :]
    return bytes(payload) if len(payload) == waiting.total[0] else None


def _packet(last: Fragment, payload: bytes) -> bytes:
    """Returns the packet with the plainest header that says as much."""
    size = len(last.addresses)
    if size == 8:
        total = len(payload) + 20
        head = (
            b"\x45\0" + (total if total <= _LARGEST else 0).to_bytes(2, "big") + bytes(5) + bytes([last.protocol, 0, 0])
        )
        return head + last.addresses + payload
    return b"\x60\0\0\0" + len(payload).to_bytes(2, "big") + bytes([last.protocol, 64]) + last.addresses + payload
