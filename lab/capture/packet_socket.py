"""Packet sockets: frames as the kernel hands them over, each with the time at which it came."""

from __future__ import annotations

import socket
import struct

SO_TIMESTAMPNS = 35  # include/uapi/asm-generic/socket.h
_TIME = (socket.SOL_SOCKET, SO_TIMESTAMPNS)
_LARGEST = 1 << 18  # bytes; offloads make segments of 64 KiB and more


def read_waiting(link: socket.socket) -> list[tuple[int, bytes]]:
    """Returns all frames waiting in a packet socket, each with its time in nanoseconds since 1970.

    The socket does not block and has SO_TIMESTAMPNS switched on.
    """
    frames: list[tuple[int, bytes]] = []
    while True:
        try:
            data, ancillary, _, _ = link.recvmsg(_LARGEST, 256)
        except BlockingIOError:
            return frames
        seconds, nanoseconds = next(
            struct.unpack("ll", value) for level, kind, value in ancillary if (level, kind) == _TIME
        )
        frames.append((seconds * 1_000_000_000 + nanoseconds, data))
