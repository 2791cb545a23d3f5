"""What a quick look at a file tells, before anything of it is read in columns: NumPy is not needed for it."""

from __future__ import annotations

import os
import struct
from collections import deque
from pathlib import Path as File

from lab.capture import pcap
from lab.model import Frame
from lab.protocols.transport import SYN, Segment, segment

_MOST = 8 << 20  # bytes
_LOOKED_AT = 2000  # packets: the last of these bytes
_EACH = 3  # one of so many is enough
_LEAST_OPENING = 0.05  # of them have SYN: where fewer have, conversations are too long to be alike


def alike(file: str) -> bool:
    """Whether conversations may be worth to be compared: many begin, also well behind the beginning of a pcap file.

    Where many are under way at a time, a capture begins with many openings, however long they are.
    """
    with File(file).open("rb") as opened:
        head = opened.read(pcap.FILE_HEADER)
        variant = pcap.VARIANTS.get(head[:4])
        if variant is None or variant.header != 16:
            return False
        buffer = opened.read(min(_MOST, os.fstat(opened.fileno()).st_size // 2))
    places, at = deque[tuple[int, int]](maxlen=_LOOKED_AT), 0
    captured_of = struct.Struct(variant.order + "I").unpack_from
    while at + 16 <= len(buffer):
        begin, at = at + 16, at + 16 + captured_of(buffer, at + 8)[0]
        places.append((begin, at))
    looked_at, begun = list(places)[::_EACH], 0
    for begin, end in looked_at:
        found = segment(Frame(0, None, buffer[begin:end], 0))
        begun += isinstance(found, Segment) and bool(found.flags & SYN)
    return begun > len(looked_at) * _LEAST_OPENING
