"""Touches files: one file of what a class has handed in is opened, by its place in a folder's or a zip's listing.

No link is followed, and nothing that is no regular file is read.
"""

from __future__ import annotations

import contextlib
import io
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from lab.grade.naming import Parts

_SAYS_UTF_8 = 0x800  # of a member's flags: its name is in UTF-8
CHUNK = 1 << 16
DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, NotImplementedError, RuntimeError, ValueError, EOFError,
    OverflowError, MemoryError,
    getattr(getattr(zipfile, "zstd", None), "ZstdError", OSError),  # since Python 3.14
)  # fmt: skip


class Source(NamedTuple):
    """Where a submission's files are: in a folder, or in a zip. `files` are their paths in it, by those they go by."""

    place: Path | BinaryIO
    zipped: bool
    files: Mapping[Parts, Parts]


class Files:
    """The files of a source, opened by their paths."""

    def __init__(self, place: Path | BinaryIO, archive: zipfile.ZipFile | None) -> None:
        self._place = place
        self._archive = archive
        self._members = {parts(name_of(each)): each for each in archive.infolist()} if archive is not None else {}

    def open(self, path: Parts) -> BinaryIO:
        """Opens a file, if it is one, without following a link to it. Raises one of `DAMAGED`."""
        if self._archive is not None:
            return self._archive.open(self._members[path])  # type: ignore[return-value]  # it reads bytes
        assert isinstance(self._place, Path)
        descriptor = os.open(self._place.joinpath(*path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError
        return os.fdopen(descriptor, "rb")


@contextlib.contextmanager
def opening(source: Source) -> Iterator[Files]:
    if not source.zipped:
        yield Files(source.place, None)
    elif isinstance(source.place, Path):
        yield _of_class(source.place, source.place.stat().st_mtime_ns)
    else:
        with zipfile.ZipFile(source.place) as archive:
            yield Files(source.place, archive)


@lru_cache(maxsize=1)
def _of_class(path: Path, _changed: int) -> Files:
    """Returns the files of a class's zip, whose listing is long: it is read once, and by all processes forked since."""
    return Files(path, zipfile.ZipFile(_Positioned(os.open(path, os.O_RDONLY | os.O_CLOEXEC))))


class _Positioned(io.RawIOBase):
    """A file that is read from a position of its own: forked processes have that of a descriptor in common."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._at = descriptor, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        self._at = max(0, offset + (os.fstat(self._descriptor).st_size if base is None else base))
        return self._at

    def readinto(self, into: Any) -> int:
        data = os.pread(self._descriptor, len(into), self._at)
        into[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def chunks(file: BinaryIO, most: int) -> Iterator[bytes]:
    """Yields the first `most` bytes of a file, if it has so many."""
    while most > 0 and (data := file.read(min(CHUNK, most))):
        yield data
        most -= len(data)


def parts(name: str) -> Parts:
    """Returns the parts of a path in a zip; empty ones, and those that stay where they are, are left out."""
    return tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def name_of(member: zipfile.ZipInfo) -> str:
    """Returns a member's name as it was: many systems write UTF-8, or GBK, and don't say so."""
    if not member.flag_bits & _SAYS_UTF_8:
        raw = member.orig_filename.encode("cp437", "replace")
        for encoding in ("utf-8", "gb18030"):
            with contextlib.suppress(UnicodeDecodeError):
                return raw.decode(encoding).partition("\0")[0]
    return member.filename
