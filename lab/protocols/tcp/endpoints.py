"""The programs on the two hosts: an ordinary TCP client and server, each call of the socket API a command of its own.

Nothing here waits: a call that would block says so (BlockingIOError) and is tried again when a packet has passed.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from lab.text import Text

_TCP_REPAIR = 19  # include/uapi/linux/tcp.h
_BACKOFF = 4  # the byte of tcp_info that counts the probes of a closed window, as long as none has opened it
_LISTEN = "0A"  # a state in /proc/net/tcp
_UNACKED = struct.Struct("=24xI")  # in tcp_info; of a listener the connections that wait for accept

ROOM = Text("room for what it sends", "发送所需的缓冲区空间")


class Endpoint:
    """One end of one connection. `address` is this host's own; texts travel as UTF-8. Raises OSError as sockets do."""

    WAITS: ClassVar[Mapping[str, Text]] = {
        "connected": Text("its connection to open", "连接建立"),
        "accept": Text("a connection to accept", "可以接受的连接"),
        "send": ROOM,
        "receive": Text("something to receive", "可以接收的数据"),
        "crowd": Text("its queue to fill", "队列填满"),
        "disperse": Text("the connections in its queue", "队列中的连接"),
        "forgotten": Text("its kernel to forget the connection", "内核忘记这个连接"),
        "probed": Text("its kernel to probe the closed window", "内核探测已关闭的窗口"),
    }

    def __init__(self, family: socket.AddressFamily, address: str) -> None:
        self._family = family
        self._address = address
        self._listener: socket.socket | None = None
        self._socket: socket.socket | None = None
        self._crowd: list[socket.socket] = []

    def listen(self, port: int, backlog: int = 128, buffer: int = 0, reuse: bool = True) -> None:
        """Waits for connections: socket, bind, listen (the passive open). `backlog` and 1 more may wait for accept.

        Connections get a receive buffer of so many bytes; 0 leaves it to the kernel, which makes it as large as needed.
        Without `reuse` (SO_REUSEADDR) a connection in TIME-WAIT has the port: OSError, EADDRINUSE.
        """
        self._listener = self._new()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        if buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._listener.bind((self._address, port))
        self._listener.listen(backlog)

    def bind(self, port: int) -> None:
        """Takes a port before connecting from it, as both ends of a simultaneous open must."""
        self._socket = self._new()
        self._socket.bind((self._address, port))

    def connect(self, address: str, port: int) -> None:
        """Sends the SYN (the active open) and comes back at once."""
        if self._socket is None:
            self._socket = self._new()
        _begin(self._socket, (address, port))

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

    def crash(self) -> None:
        """Loses all sockets as if the power had failed: nothing is sent (TCP_REPAIR, which takes CAP_NET_ADMIN)."""
        if self._socket is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
            self.close()
        self.deafen()

    def deafen(self) -> None:
        """Closes the listener: whoever asks from now on is refused."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def crowd(self, count: int) -> None:
        """Fills the listener's queue with so many connections from this host to itself: they do not cross the wire.

        Returns once they are in it: a busy kernel opens them a little later than it was asked to.
        """
        if self._listener is None:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        while len(self._crowd) < count:
            self._crowd.append(self._new())
            _begin(self._crowd[-1], self._listener.getsockname())
        told = self._listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKED.size)
        if _UNACKED.unpack(told)[0] < count:
            raise BlockingIOError

    def disperse(self) -> None:
        """Takes those connections from the queue again, and closes them."""
        while self._crowd and self._listener is not None:
            self._listener.accept()[0].close()
            self._crowd.pop().close()

    def forgotten(self) -> None:
        """Returns once the kernel has no connection any more, whatever state it was in."""
        for table in ("tcp", "tcp6"):
            for line in Path("/proc/self/net", table).read_text().splitlines()[1:]:
                if line.split()[3] != _LISTEN:
                    raise BlockingIOError

    def probed(self) -> None:
        """Returns once the kernel has asked its peer, whose window is closed, whether it is still."""
        if not self._end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BACKOFF + 1)[_BACKOFF]:
            raise BlockingIOError

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


def _begin(opening: socket.socket, address: tuple[object, ...]) -> None:
    """Sends the SYN of a socket that does not block."""
    failed = opening.connect_ex(address)
    if failed not in (0, errno.EINPROGRESS):
        raise OSError(failed, os.strerror(failed))
