"""RFC 9846's presentation language (section 3) as tables: what a struct or a vector looks like, byte by byte.

A shape covers the bytes before it with fields and says whether there were enough of them. Leaves cover every byte once,
in wire order; containers enclose their leaves. The length that stands before a vector is a leaf, `<vector> length`.
Names are the RFCs'; two are ours, and mean what they mean in lab/dissect/fields.py:

    data        bytes that are not taken apart here, or that nothing describes
    truncated   a structure that what holds it ends in the middle of
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from lab.dissect.formats import Format, decimal, dump, number
from lab.protocols.tls import codes
from lab.protocols.tls.reader import text


class TlsField(NamedTuple):
    """One field: `start` and `end` are offsets in the bytes asked about. It holds all deeper ones that follow it."""

    depth: int
    name: str
    start: int
    end: int
    value: str  # empty for a structure; the number of entries for a list


class Sheet:
    """Bytes being written down: all before `at` is covered; nothing is read from `stop` on, where a structure ends."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.stop = len(data)
        self.fields: list[TlsField] = []
        self._depth = 0

    @property
    def left(self) -> int:
        return self.stop - self.at

    def put(self, name: str, size: int, show: Format) -> None:
        start, self.at = self.at, self.at + size
        self.fields.append(TlsField(self._depth, name, start, self.at, show(self.data[start : self.at])))

    def rest(self, name: str, show: Format = dump) -> None:
        """Covers what is left with one leaf, if anything is."""
        if self.left > 0:
            self.put(name, self.left, show)

    @contextmanager
    def container(self, name: str) -> Iterator[list[str]]:
        """Encloses what is put down meanwhile. Its value can be written into the list; it vanishes when empty."""
        place, start, value = len(self.fields), self.at, [""]
        self.fields.append(TlsField(self._depth, name, start, start, ""))
        self._depth += 1
        yield value
        self._depth -= 1
        if self.at > start:
            self.fields[place] = TlsField(self._depth, name, start, self.at, value[0])
        else:
            del self.fields[place:]

    @contextmanager
    def limited(self, size: int) -> Iterator[bool]:
        """Lets no more than `size` bytes be read meanwhile; tells whether so many are there."""
        outer, self.stop = self.stop, min(self.stop, self.at + size)
        yield outer >= self.at + size
        self.stop = outer

    def all(self, shapes: Shapes) -> bool:
        """Reads the shapes one after the other, as far as the bytes reach."""
        return all(shape(self) for shape in shapes)


Shape = Callable[[Sheet], bool]
Shapes = tuple[Shape, ...]


def fixed(name: str, size: int, show: Format = dump) -> Shape:
    """A leaf of so many bytes."""

    def read(sheet: Sheet) -> bool:
        if sheet.left < size:
            sheet.rest("truncated")
            return False
        sheet.put(name, size, show)
        return True

    return read


def coded(name: str, size: int, registry: codes.Registry) -> Shape:
    """A number that has a registered name."""
    return fixed(name, size, number(lambda value: codes.numbered(registry, value)))


def opaque(name: str, prefix: int, show: Format = dump) -> Shape:
    """Bytes behind their length: two leaves."""

    def read(sheet: Sheet) -> bool:
        size = _length(sheet, name, prefix)
        if size is None or size > sheet.left:
            sheet.rest("truncated")
            return False
        if size:
            sheet.put(name, size, show)
        return True

    return read


def rest(name: str, show: Format = dump) -> Shape:
    """All that is left."""

    def read(sheet: Sheet) -> bool:
        sheet.rest(name, show)
        return True

    return read


def struct(name: str, *shapes: Shape) -> Shape:
    def read(sheet: Sheet) -> bool:
        with sheet.container(name):
            return sheet.all(shapes)

    return read


def vector(name: str, prefix: int, item: Shape) -> Shape:
    """A list behind its length in bytes; an item takes at least one."""

    def read(sheet: Sheet) -> bool:
        with sheet.container(name) as value:
            size = _length(sheet, name, prefix)
            if size is None:
                return False
            entries = 0
            with sheet.limited(size) as whole:
                while sheet.left > 0 and item(sheet):
                    entries += 1
            value[0] = "1 entry" if entries == 1 else f"{entries} entries"
            return whole

    return read


def within(name: str, prefix: int, *shapes: Shape) -> Shape:
    """A structure behind its length in bytes; what the structure does not use up is data."""

    def read(sheet: Sheet) -> bool:
        size = _length(sheet, name, prefix)
        if size is None:
            return False
        with sheet.limited(size) as whole:
            sheet.all(shapes)
            sheet.rest("data")
        return whole

    return read


def texts(name: str, prefix: int) -> Shape:
    """Bytes behind their length that are meant to be read."""
    return opaque(name, prefix, text)


def _length(sheet: Sheet, name: str, prefix: int) -> int | None:
    """Puts down the length of a vector and returns it, None where it is cut short."""
    start = sheet.at
    if not fixed(f"{name} length", prefix, decimal)(sheet):
        return None
    return int.from_bytes(sheet.data[start : sheet.at], "big")
