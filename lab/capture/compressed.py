"""Compressed captures are read as they arrive, too: piece by piece, never more of them in memory than a window.

A stream that says it is small and is not (a decompression bomb) is given up, unless it is asked for without limit: see
MOST_TIMES.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable
from typing import Any, Protocol

from lab.text import Text

CHUNK, FIRST = 1 << 16, 1 << 10  # compressed bytes that an unfolder is fed at once, at most and at first
WINDOW = 1 << 27  # bytes a stream may refer back; more would be memory that it asks for
_BITE = 512  # bytes for zstd: they are at most 170 blocks of 128 KiB (RFC 8878 section 3.1.1.2.4)
# So many bytes come unasked. Beyond, what is so many times its compressed size is no capture: those come to some 10
# times, a flood of equal packets with other numbers to 30 with gzip and 100 with xz; gzip can't do more than 1032.
FREE, MOST_TIMES = 1 << 28, 400
MOST_EMPTY = 4096  # members without a byte in them, one behind another

# How they begin.
MAGIC = {
    b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz", b"BZh": "bzip2", b"\x04\x22\x4d\x18": "lz4",
}  # fmt: skip
# Frames of other data that readers skip: 8 bytes with their size, and so many more (RFC 8878 section 3.1.2).
_SKIPPED, _SKIPPED_HEADER, _SKIPPING = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18"), 8, ("zstd", "lz4")

CUT = Text("the compressed data ({}) end too early", "压缩数据（{}）提前结束")
DAMAGED = Text("the compressed data ({}) are damaged", "压缩数据（{}）已损坏")
BOMB = Text(
    "the compressed data ({}) unfold to more than {} times their size", "压缩数据（{}）展开后超过其大小的 {} 倍"
)
HOW_TO_GO_ON = Text(
    "if you know where it comes from, go on with --no-limit; it may take long",
    "如果清楚其来源，可加上 --no-limit 继续，可能需要很长时间",
)
BEHIND = Text("behind the compressed data ({}) stands something else", "压缩数据（{}）之后还有其他内容")
EMPTY = Text("the compressed data ({}) are empty members only, thousands of them", "压缩数据（{}）中是成千上万个空成员")
_NO_ZERO = re.compile(rb"[^\0]")


class DamagedError(OSError):
    """What is compressed can't be read any further."""

    def __init__(self, text: Text) -> None:
        super().__init__(text.en)
        self.text = text


class BombError(DamagedError):
    """It unfolds to more than it should."""


class _Unfolder(Protocol):
    """What the standard library's decompressors have in common."""

    eof: bool
    needs_input: bool
    unused_data: bytes | None  # lz4 has None for none

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's decompressor with the manners of the others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        out = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = not self._inner.unconsumed_tail and len(out) < max_length
        return out


class _Zstd:
    """zstandard's decompressor with the manners of the others; what it returns at once is bounded by what it is fed."""

    def __init__(self) -> None:
        import zstandard

        self._inner: Any = zstandard.ZstdDecompressor(max_window_size=WINDOW).decompressobj()
        self._fed = b""  # and not yet given to it

    @property
    def needs_input(self) -> bool:
        return not self._fed

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inner.unused_data) + self._fed

    def decompress(self, data: bytes, _max_length: int) -> bytes:
        fed = self._fed + data
        self._fed = fed[_BITE:]
        return bytes(self._inner.decompress(fed[:_BITE]))


def _lz4() -> Any:
    from lz4.frame import LZ4FrameDecompressor  # type: ignore[import-untyped]

    return LZ4FrameDecompressor()


_UNFOLDERS: dict[str, Callable[[], Any]] = {
    "gzip": _Gzip,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=2 * WINDOW),
    "lz4": _lz4,
    "zstd": _Zstd,
}


def kind_of(begin: bytes) -> str | None:
    """Returns how a file is compressed that begins with these bytes, None where it is not.

    Where what is skipped comes first it is one of those that have such frames: which of them shows behind these.
    """
    if _SKIPPED.match(begin):
        return _SKIPPING[0]
    return next((kind for magic, kind in MAGIC.items() if begin.startswith(magic)), None)


class Unfolded:
    """A file of compressed bytes, read as what was compressed. `more` returns its next bytes, none at the end."""

    def __init__(self, kind: str, begin: bytes, more: Callable[[], bytes], limited: bool = True) -> None:
        self._kind = kind
        self._limited = limited
        self._more = more
        self._window, self._at = begin, 0  # compressed bytes that have been read; those before _at have been fed
        self._feed = FIRST
        self._empty = 0
        self._unfolder: _Unfolder | None = None  # of the member that is being read
        _UNFOLDERS[kind]()  # raises ImportError where its library is missing
        self._took = len(begin)
        self._gave = 0

    def read(self, size: int) -> bytes:
        """Returns at most `size` bytes, none at the end. Raises DamagedError where there is no going on."""
        while True:
            data = b""
            unfolder = self._unfolder
            if unfolder is None or unfolder.eof:
                unfolder = self._unfolder = self._next_member(unfolder)
                if unfolder is None:
                    return b""
            if unfolder.needs_input:
                data = self._next_bytes()
                if not data:
                    raise DamagedError(CUT.format(self._kind))
            out = self._unfold(unfolder, data, size)
            self._gave += len(out)
            if self._limited and self._gave > FREE and self._gave > MOST_TIMES * self._took:
                raise BombError(BOMB.format(self._kind, MOST_TIMES))
            if out:
                self._empty = 0
                return out

    def _next_bytes(self) -> bytes:
        """Returns what is to be fed next, none at the end: of a new member little, for it may be small."""
        if self._at == len(self._window):
            self._read_more()
        data = self._window[self._at : self._at + self._feed]
        self._at += len(data)
        self._feed = min(2 * self._feed, CHUNK)
        return data

    def _read_more(self) -> bool:
        data = self._more()
        self._took += len(data)
        self._window, self._at = self._window[self._at :] + data, 0
        return bool(data)

    def _unfold(self, unfolder: _Unfolder, data: bytes, size: int) -> bytes:
        try:
            return unfolder.decompress(data, size)
        except (OSError, EOFError, ValueError, RuntimeError, MemoryError, zlib.error, lzma.LZMAError) as error:
            raise DamagedError(DAMAGED.format(self._kind)) from error
        except Exception as error:
            if type(error).__name__ == "ZstdError":
                raise DamagedError(DAMAGED.format(self._kind)) from error
            raise

    def _next_member(self, last: _Unfolder | None) -> _Unfolder | None:
        """Returns what unfolds the next of several streams in one file, None at its end; zeros may fill it up."""
        if last is not None:
            self._at -= len(last.unused_data or b"")  # the end of what was fed
        while True:
            begin = _NO_ZERO.search(self._window, self._at)
            self._at = begin.start() if begin else len(self._window)
            if len(self._window) - self._at < max(map(len, MAGIC)) and self._read_more():
                continue
            if self._at == len(self._window):
                return None
            if self._kind not in _SKIPPING or not _SKIPPED.match(self._window, self._at):
                break
            self._skip()
        kind = kind_of(self._window[self._at : self._at + max(map(len, MAGIC))])
        if last is None and kind in _SKIPPING:
            self._kind = kind
        if kind != self._kind:
            raise DamagedError(BEHIND.format(self._kind))
        if last is not None:
            self._count_empty()
        self._feed = FIRST
        member: _Unfolder = _UNFOLDERS[self._kind]()
        return member

    def _skip(self) -> None:
        """Goes by a frame of other data."""
        while len(self._window) - self._at < _SKIPPED_HEADER and self._read_more():
            pass
        left = _SKIPPED_HEADER + int.from_bytes(self._window[self._at + 4 : self._at + _SKIPPED_HEADER], "little")
        while left > len(self._window) - self._at:
            left -= len(self._window) - self._at
            self._at = len(self._window)
            if not self._read_more():
                raise DamagedError(CUT.format(self._kind))
        self._at += left
        self._count_empty()

    def _count_empty(self) -> None:
        self._empty += 1
        if self._empty > MOST_EMPTY:
            raise DamagedError(EMPTY.format(self._kind))
