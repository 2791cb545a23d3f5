"""The programs on the two hosts: an ordinary TCP client and server, each call of the socket API a command of its own.

Nothing here waits: a call that would block says so (BlockingIOError) and is tried again when a packet has passed.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from pathlib import Path


class Endpoint:
    """One end of one connection. `address` is this host's own; texts travel as UTF-8. Raises OSError as sockets do."""

    def __init__(self, family: socket.AddressFamily, address: str) -> None:
        self._family = family
        self._address = address
        self._listener: socket.socket | None = None
        self._socket: socket.socket | None = None

    def listen(self, port: int) -> None:
        """Waits for connections: socket, bind, listen (the passive open)."""
        self._listener = self._new()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((self._address, port))
        self._listener.listen()

    def bind(self, port: int) -> None:
        """Takes a port before connecting from it, as both ends of a simultaneous open must."""
        self._socket = self._new()
        self._socket.bind((self._address, port))

    def connect(self, address: str, port: int) -> None:
        """Sends the SYN (the active open) and comes back at once."""
        if self._socket is None:
            self._socket = self._new()
        with_error = self._socket.connect_ex((address, port))
        if with_error not in (0, errno.EINPROGRESS):
            raise OSError(with_error, os.strerror(with_error))

    def connected(self) -> None:
        """Returns once connect has succeeded. Raises the error it failed with, ConnectionRefusedError for one."""
        failed = self._end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            raise OSError(failed, os.strerror(failed))
        try:
            self._end.getpeername()
        except OSError as error:
            raise BlockingIOError from error

    def accept(self) -> None:
        """Takes the connection from the listener's queue."""
        if self._listener is None:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._socket, _ = self._listener.accept()
        self._prepare(self._socket)

    def send(self, text: str) -> int:
        """Hands bytes to the kernel and returns how many it took."""
        return self._end.send(text.encode())

    def receive(self) -> str:
        """Returns what has arrived; an empty text means that the peer will send nothing more (its FIN)."""
        return self._end.recv(65536).decode(errors="replace")

    def shutdown(self) -> None:
        """Closes this direction only: FIN, and still willing to receive (the half-close)."""
        self._end.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Closes the socket: FIN."""
        self._end.close()
        self._socket = None

    def abort(self) -> None:
        """Closes with RST instead of FIN: SO_LINGER with a time of 0."""
        self._end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def set_kernel(self, name: str, value: str) -> None:
        """Sets a parameter of this host's kernel (net.ipv4.…). Raises OSError where that is not allowed."""
        Path("/proc/sys/net/ipv4", name).write_text(value)

    def secrets(self) -> str:
        """Returns what has been added to the key log (NSS) since it was last asked: TCP has no secrets."""
        return ""

    @property
    def _end(self) -> socket.socket:
        if self._socket is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return self._socket

    def _new(self) -> socket.socket:
        fresh = socket.socket(self._family, socket.SOCK_STREAM)
        self._prepare(fresh)
        return fresh

    @staticmethod
    def _prepare(fresh: socket.socket) -> None:
        fresh.setblocking(False)
        fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
