"""The program whose connection is explored: real sockets, each call given by name, and what it has heard of since."""

from __future__ import annotations

import contextlib
import errno
import select
import socket

_MOST = 1 << 16  # bytes
_TEXT = b"abcdefghij"


class Program:
    """One program at a port of its own, whose peer is at an address. Calls raise OSError as sockets do."""

    def __init__(self, family: socket.AddressFamily, address: str, port: int, peer: tuple[str, int]) -> None:
        self._family, self._here, self._peer = family, (address, port), peer
        self._listener: socket.socket | None = None
        self._connection: socket.socket | None = None
        self._open = self._ended = False

    def listen(self) -> None:
        self._listener = self._socket()
        self._listener.listen(8)

    def connect(self) -> None:
        self._connection = self._socket()
        with contextlib.suppress(BlockingIOError):
            self._connection.connect(self._peer)

    def accept(self) -> None:
        assert self._listener is not None
        self._connection, _ = self._listener.accept()
        self._prepare(self._connection)
        self._open = True

    def write(self) -> None:
        assert self._connection is not None
        self._connection.send(_TEXT)

    def shutdown(self) -> None:
        assert self._connection is not None
        self._connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Closes the connection; where there is none, the listener."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            return
        assert self._listener is not None
        self._listener.close()
        self._listener = None

    def hear(self) -> tuple[str, ...]:
        """Returns what the program hears of that it has not heard yet: open, urgent, data, end, or an error's name."""
        if self._connection is None and self._listener is not None:
            try:
                self.accept()
            except BlockingIOError:
                return ()
            return ("open", *self._read())
        return self._read() if self._connection is not None else ()

    def leave(self) -> None:
        """Closes whatever is open."""
        for each in (self._connection, self._listener):
            if each is not None:
                each.close()

    def _read(self) -> tuple[str, ...]:
        heard: list[str] = []
        told = self._ready()
        if not self._open and told & select.POLLOUT and not told & select.POLLERR:
            self._open = True
            heard.append("open")
        if told & select.POLLPRI:
            heard.append("urgent")
        length, last = self._received()
        if length:
            heard.append(f"data {length}")
        return (*heard, *last)

    def _received(self) -> tuple[int, tuple[str, ...]]:
        """Reads all there is: how much it was, and what came behind it."""
        assert self._connection is not None
        length = 0
        try:
            while data := self._connection.recv(_MOST):
                length += len(data)
        except BlockingIOError:
            return length, ()
        except OSError as error:
            return length, (_name(error.errno),)
        number = self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        told = () if self._ended or not self._open else ("end",)
        self._ended = True
        return length, (*told, *((_name(number),) if number else ()))

    def _ready(self) -> int:
        poll = select.poll()
        assert self._connection is not None
        poll.register(self._connection, select.POLLIN | select.POLLOUT | select.POLLPRI)
        return next((told for _, told in poll.poll(0)), 0)

    def _socket(self) -> socket.socket:
        made = socket.socket(self._family, socket.SOCK_STREAM)
        self._prepare(made)
        made.bind(self._here)
        return made

    @staticmethod
    def _prepare(made: socket.socket) -> None:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)  # RFC 9293 section 3.8.5: no byte is left out


def _name(number: int | None) -> str:
    return errno.errorcode.get(number or 0, str(number))
