"""Packet sockets: frames as the kernel hands them over, each with the time at which it came."""

from __future__ import annotations

import socket
import struct

SO_TIMESTAMPNS = 35  # include/uapi/asm-generic/socket.h
_TIME = (socket.SOL_SOCKET, SO_TIMESTAMPNS)
_SOL_PACKET, _PACKET_STATISTICS = 263, 6  # include/uapi/linux/if_packet.h
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


def missed(link: socket.socket) -> int:
    """Returns how many frames the kernel had no room for since it was last asked: it forgets its count then."""
    _, dropped = struct.unpack("II", link.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
    return int(dropped)
