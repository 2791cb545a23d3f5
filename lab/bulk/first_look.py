"""What a quick look at a file tells, before anything of it is read in columns: NumPy is not needed for it."""

from __future__ import annotations

import struct
from pathlib import Path as File

from lab.capture import pcap
from lab.model import Frame
from lab.protocols.transport import SYN, Segment, segment

_FIRST_LOOK = 1 << 18  # bytes
_LEAST_OPENING = 0.05  # of a file's first packets have SYN: where fewer have, conversations are too long to be alike


def alike(file: str) -> bool:
    """Whether conversations may be worth to be compared: there are many, by the first packets of a pcap file."""
    with File(file).open("rb") as opened:
        head = opened.read(pcap.FILE_HEADER)
        variant = pcap.VARIANTS.get(head[:4])
        if variant is None or variant.header != 16:
            return False
        buffer, at, begun, count = opened.read(_FIRST_LOOK), 0, 0, 0
        captured_of = struct.Struct(variant.order + "I").unpack_from
        while at + 16 <= len(buffer):
            frame = Frame(0, None, buffer[at + 16 : at + 16 + captured_of(buffer, at + 8)[0]], 0)
            found = segment(frame)
            begun += isinstance(found, Segment) and bool(found.flags & SYN)
            count, at = count + 1, at + 16 + len(frame.data)
    return begun > count * _LEAST_OPENING
