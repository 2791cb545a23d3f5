"""Secrets may stand anywhere in a pcapng, behind the packets that they open too: of a file they are read ahead.

A file is searched for the mark of such a block, which goes as fast as it can be read; only where there is one are its
blocks gone through. What comes through a pipe is read once, and its secrets are known when they come.
"""

from __future__ import annotations

import os
from collections import deque

from lab.capture import blocks, compressed, pcapng
from lab.capture.source import Findings, Source

_MARKS = tuple(pcapng.TLS_KEY_LOG.to_bytes(4, order) for order in ("little", "big"))
_LONGEST_MAGIC = 8  # bytes


class _Again:
    """The bytes of an open file from `at` on; whoever else reads it does not notice."""

    def __init__(self, file: int, at: int) -> None:
        self._file = file
        self._at = at

    def fileno(self) -> int:
        return self._file

    def read(self, size: int) -> bytes:
        piece = os.pread(self._file, size, self._at)
        self._at += len(piece)
        return piece


def secrets(file: int, start: int, limited: bool = True) -> list[bytes]:
    """Returns the TLS key logs of a pcapng that begins at byte `start` of a regular file, in order, within the limits.

    What is damaged ends the reading, and is not told: it is when the file is read for its packets.
    """
    if not _marked(_source(file, start, limited)):
        return []
    found = Findings()
    deque(blocks.frames(_source(file, start, limited), found), maxlen=0)
    return found.secrets


def _source(file: int, start: int, limited: bool) -> Source:
    source = Source(_Again(file, start), digest=False, limited=limited)
    source.fill(_LONGEST_MAGIC)
    if kind := compressed.kind_of(source.buffer):
        source.unfold(kind)
    return source


def _marked(source: Source) -> bool:
    """Says whether the type of a block of TLS secrets stands somewhere, in whatever: payloads may have it too."""
    size = len(_MARKS[0])
    while source.fill(size) >= size:
        if any(source.buffer.find(mark, source.at) >= 0 for mark in _MARKS):
            return True
        source.at = len(source.buffer) - size + 1  # the next piece may bring the rest of one
    return False
