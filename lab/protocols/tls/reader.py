"""Reads RFC 9846's presentation language from left to right, and never raises: what is missing is told, not thrown."""

from __future__ import annotations

from struct import unpack

_FORMATS = {1: "B", 2: "H"}


class Reader:
    """Takes numbers, bytes and vectors from `data` in wire order. `damaged` says that something did not fit."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.damaged = False

    @property
    def over(self) -> bool:
        return self.at >= len(self.data)

    def take(self, size: int) -> bytes:
        """Returns the next `size` bytes, fewer where the data ends before."""
        at = self.at
        taken = self.data[at : at + size]
        if len(taken) == size:
            self.at = at + size
        else:
            self.at, self.damaged = at + len(taken), True
        return taken

    def number(self, size: int) -> int:
        """Returns the next number of `size` bytes; 0 where it is cut short."""
        at = self.at
        taken = self.data[at : at + size]
        if len(taken) == size:
            self.at = at + size
            return int.from_bytes(taken, "big")
        self.at, self.damaged = at + len(taken), True
        return 0

    def vector(self, prefix: int) -> bytes:
        """Returns the contents of the next vector, whose length stands before it in `prefix` bytes."""
        return self.take(self.number(prefix))

    def inside(self, prefix: int) -> Reader:
        """Returns a reader of the next vector's contents."""
        return Reader(self.vector(prefix))

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.at)

    def also(self, inner: Reader) -> None:
        """Takes over what an inner reader found: it is damaged, or has not come to its end."""
        self.damaged = self.damaged or inner.damaged or not inner.over

    def numbers(self, prefix: int, size: int) -> tuple[int, ...]:
        """Returns the numbers of one or two bytes, `size`, in the next vector."""
        inside = self.vector(prefix)
        whole = len(inside) - len(inside) % size
        self.damaged = self.damaged or whole < len(inside)
        return unpack(f">{whole // size}{_FORMATS[size]}", inside[:whole])

    def vectors(self, prefix: int, inner_prefix: int) -> tuple[bytes, ...]:
        """Returns the contents of the vectors in the next vector."""
        inner = self.inside(prefix)
        found = []
        while not inner.over:
            found.append(inner.vector(inner_prefix))
        self.also(inner)
        return tuple(found)


def text(raw: bytes) -> str:
    """Shows bytes that are meant to be ASCII text; all others, and the backslash, as `\\x0a`."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F and byte != 0x5C else f"\\x{byte:02x}" for byte in raw)
