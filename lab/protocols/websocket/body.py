"""The body of an HTTP/1.1 message that is no frame: passed over, so that what stands behind it is found."""

from __future__ import annotations

import re

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")
_MOST_LINE = 4096  # bytes of a chunk's first line, or of a line of the trailer


class Body:
    """Takes a stream from a head's end on (RFC 9112 section 6). `size` is what its length says, None where none is
    told: then it ends with the connection, unless it is `chunked`."""

    def __init__(self, size: int | None, chunked: bool) -> None:
        self.problem = ""  # why nobody can tell where it ends
        self._left = size if size is not None and not chunked else 0  # bytes of it, or of a chunk, to be passed over
        self._endless = size is None and not chunked
        self._chunked = chunked
        self._line: bytes | None = b"" if chunked else None  # a line that is being read; None within data
        self._within = False  # a chunk, whose data end in a line end
        self._trailer = False

    @property
    def endless(self) -> bool:
        """Whether only the connection's end ends it."""
        return self._endless

    def feed(self, data: bytes) -> bytes | None:
        """Takes the next bytes; returns those behind its end, None while it goes on."""
        if self._endless or self.problem:
            return None
        if not self._chunked:
            passed = min(self._left, len(data))
            self._left -= passed
            return None if self._left else data[passed:]
        at = 0
        while at < len(data):
            if self._line is None:
                passed = min(self._left, len(data) - at)
                self._left -= passed
                at += passed
                if not self._left:
                    self._line = b""
                continue
            end = data.find(b"\n", at, at + _MOST_LINE)
            line = self._line + data[at : end + 1 or at + _MOST_LINE]
            at = end + 1 or len(data)
            if not line.endswith(b"\n") or len(line) > _MOST_LINE:
                if len(line) > _MOST_LINE:
                    self.problem = "a line too long"
                    return None
                self._line = line
                continue
            if self._ends(line.rstrip(b"\r\n")):
                return data[at:]
            if self.problem:
                return None
        return None

    def lose(self, size: int) -> bool:
        """Goes on behind bytes that were not captured; returns whether where it ends can be known still."""
        if self._endless:
            return True
        if size >= self._left:  # what stands behind may begin in what is missing
            return False
        self._left -= size
        return True

    def _ends(self, line: bytes) -> bool:
        """Takes a line between two chunks, or of the trailer; returns whether the body ends with it (section 7.1)."""
        self._line = b""
        if self._within:
            self._within = False
            self.problem = "a chunk longer than it says" if line else ""
        elif self._trailer:
            return not line
        elif (size := _SIZE.fullmatch(line)) is None:
            self.problem = "no chunk"
        elif int(size[1], 16):
            self._left, self._within, self._line = int(size[1], 16), True, None
        else:
            self._trailer = True
        return False
