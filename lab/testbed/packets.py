"""What every testbed asks of the packets it sees: when they came, and whether what was sent has been acknowledged."""

from __future__ import annotations

import socket
import struct

from lab.model import ACK, FIN, SYN, Role, Segment

SO_TIMESTAMPNS = 35  # include/uapi/asm-generic/socket.h
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


class Progress:
    """How far both sides have come: the raw number behind what each has sent, and what it was told has arrived."""

    def __init__(self) -> None:
        self._sent: dict[Role, int] = {}
        self._acked: dict[Role, int] = {}

    def sent(self, sender: Role, tcp: Segment) -> None:
        end = tcp.seq + tcp.payload + bool(tcp.flags & SYN) + bool(tcp.flags & FIN) & 0xFFFFFFFF
        if tcp.flags & SYN or (end - self._sent.get(sender, end)) & 0xFFFFFFFF < 1 << 31:
            self._sent[sender] = end

    def got(self, receiver: Role, tcp: Segment) -> None:
        before = self._acked.get(receiver, tcp.ack)
        if tcp.flags & ACK and (tcp.ack - before) & 0xFFFFFFFF < 1 << 31:  # an older one may come late
            self._acked[receiver] = tcp.ack

    def acknowledged(self, sender: Role) -> bool:
        """Whether `sender` has got an acknowledgement for the last sequence number it put on the wire."""
        sent, acked = self._sent.get(sender), self._acked.get(sender)
        return sent is not None and acked is not None and (acked - sent) & 0xFFFFFFFF < 1 << 31


_TIME = (socket.SOL_SOCKET, SO_TIMESTAMPNS)
