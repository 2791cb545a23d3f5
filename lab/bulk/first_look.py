"""What a quick look at a file tells, before anything of it is read in columns: NumPy is not needed for it."""

from __future__ import annotations

import os
import struct
from collections import deque
from pathlib import Path as File

from lab.capture import pcap
from lab.engine.layers import LOOK
from lab.model import Frame, Role
from lab.protocols.registry import UPPERS
from lab.protocols.transport import SYN, Segment, segment

_MOST = 8 << 20  # bytes
_LOOKED_AT = 2000  # packets: the last of these bytes
_EACH = 3  # one of so many is enough to tell how many begin
_LEAST_OPENING = 0.05  # of them have SYN: where fewer have, conversations are too long to be alike
_MOST_CARRYING = 0.3  # of them are of conversations that carry what has a protocol of its own
_ROLES: tuple[Role, Role] = ("client", "server")


def alike(file: str, whatever_carried: bool) -> bool:
    """Whether conversations may be worth to be compared: many begin, also well behind the beginning of a pcap file.

    Where many are under way at a time, a capture begins with many openings, however long they are. Where it matters
    what they carry, most are to carry nothing that has a protocol of its own.
    """
    frames = _last(file)
    looked_at = [segment(Frame(0, None, data, 0)) for data in frames[::_EACH]]
    begun = sum(isinstance(each, Segment) and bool(each.flags & SYN) for each in looked_at)
    if begun <= len(looked_at) * _LEAST_OPENING:
        return False
    if whatever_carried:
        return True
    found = [(segment(Frame(0, None, data, 0)), data) for data in frames]
    segments = [
        (each, data[each.start : each.start + each.payload]) for each, data in found if isinstance(each, Segment)
    ]
    pairs = {pair for each, data in segments if _begins(data) for pair in (each.pair, each.reversed_pair)}
    return sum(each.pair in pairs for each, _ in segments) <= len(frames) * _MOST_CARRYING


def _last(file: str) -> list[bytes]:
    """Returns the last packets of the first half of a pcap file, or of its first bytes."""
    with File(file).open("rb") as opened:
        head = opened.read(pcap.FILE_HEADER)
        variant = pcap.VARIANTS.get(head[:4])
        if variant is None or variant.header != 16:
            return []
        buffer = opened.read(min(_MOST, os.fstat(opened.fileno()).st_size // 2))
    places, at = deque[tuple[int, int]](maxlen=_LOOKED_AT), 0
    captured_of = struct.Struct(variant.order + "I").unpack_from
    while at + 16 <= len(buffer):
        begin, at = at + 16, at + 16 + captured_of(buffer, at + 8)[0]
        places.append((begin, at))
    return [buffer[begin:end] for begin, end in places]


def _begins(data: bytes) -> bool:
    """Whether a segment may begin what has a protocol of its own."""
    return data != b"" and any(
        data[0] in upper.first and upper.recognise(data[:LOOK], role) is not False
        for upper in UPPERS
        for role in _ROLES
    )
