"""Netlink, as far as the lab needs it: a request to the kernel and its answer, and attributes read and written.

include/uapi/linux/netlink.h. The kernel answers before `send` returns, so nothing here ever waits for long.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
from collections.abc import Iterator

REQUEST, ACK, DUMP, CREATE, EXCLUSIVE, REPLACE = 0x001, 0x004, 0x300, 0x400, 0x200, 0x100  # flags of a request
_ERROR, _DONE = 2, 3  # kinds of an answer
_HEADER = struct.Struct("=IHHII")  # length, kind, flags, sequence number, port
_ATTRIBUTE = struct.Struct("=HH")  # length, kind
_KIND = 0x3FFF  # of an attribute: the two highest bits are flags
_LARGEST = 1 << 16  # bytes
_PATIENCE = 5.0  # seconds


class Netlink:
    """One netlink socket. It stays in the network namespace in which it was opened. Raises OSError as sockets do."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.settimeout(_PATIENCE)
        self._numbers = itertools.count(1)

    def ask(self, kind: int, body: bytes, flags: int = 0) -> bytes:
        """Returns the body of the first answer: empty for a mere acknowledgement, and for a dump without any entry.

        Raises OSError with the kernel's error number where it refuses.
        """
        number = next(self._numbers)
        header = _HEADER.pack(_HEADER.size + len(body), kind, REQUEST | flags, number, 0)
        self._socket.send(header + body)
        while True:
            answer = self._socket.recv(_LARGEST)
            length, said, _, answered, _ = _HEADER.unpack_from(answer)
            if answered != number:
                continue  # what is left of an answer to somebody who was interrupted
            if said not in (_ERROR, _DONE):
                return answer[_HEADER.size : length]
            code = struct.unpack_from("=i", answer, _HEADER.size)[0] if length >= _HEADER.size + 4 else 0
            if code:
                raise OSError(-code, os.strerror(-code))
            return b""

    def close(self) -> None:
        self._socket.close()


def attributes(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Yields the kind and value of each attribute from offset `at` on."""
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _KIND, body[at + _ATTRIBUTE.size : at + length]
        at += length + 3 & ~3


def attribute(kind: int, value: bytes) -> bytes:
    """Returns an attribute as it is written, padded to four bytes."""
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)
