"""Files that appear when they are complete, or not at all; and lines put away for a while."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shlex
import stat
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from lab.errors import MachineError, UsageError
from lab.text import Text

OWN_FOLDER = Path("captures/out")  # where captures go that nobody has named a place for: made where it is missing


@contextlib.contextmanager
def to_file(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """Opens a file for writing that takes its name only when all is written; killed before, it leaves nothing behind.

    What is no regular file (a pipe, /dev/null) is written to directly. A file that is replaced keeps its owner and who
    may read it; under sudo it belongs to who called. What is `private` nobody else can read, from the first moment on.
    Raises MachineError where it can't be written: from the start where that can be known.
    """
    try:
        with opened(path, private=private) as file:
            yield file
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise _refused(path, error) from error


@contextlib.contextmanager
def opened(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """Opens a file as `to_file` does. Raises OSError."""
    real = _behind(path)
    _try(real)
    if real.exists() and not real.is_file():
        with real.open("wb") as file:
            yield file
        return
    _make_own_folder(real.parent)
    with _nameless(real.parent, 0o600 if private else 0o666) as (file, name):
        _hand_over(file.fileno(), real, private)
        yield file
        file.flush()
        if name is None:
            _give_name(file, real)
        else:
            name.replace(real)


def require_writable(path: Path) -> None:
    """Raises MachineError where `to_file` would: to be asked before the work is done that is to be written."""
    try:
        _try(_behind(path))
    except OSError as error:
        raise _refused(path, error) from error


def require_other(out: Path | None, *read: Path | str | None) -> None:
    """Raises UsageError where what is written (None: standard output) is a file that is read ("-": standard input).

    Whatever they are called: a link is the file behind it.
    """
    written = _identity(1 if out is None else out)
    for each in read:
        if each is not None and written is not None and written == _identity(0 if str(each) == "-" else each):
            raise UsageError(
                Text(f"{each} can't be read and written at once", f"{each} 不能既读取又写入"),
                Text("write to another file", "请写到另一个文件"),
            )


def _identity(file: Path | str | int) -> tuple[int, int] | None:
    """Returns what a file has under all its names; None where there is none yet, or its bytes are not kept."""
    with contextlib.suppress(OSError, ValueError):
        status = os.stat(file)  # noqa: PTH116 - a descriptor, too
        if stat.S_ISREG(status.st_mode) or (stat.S_ISFIFO(status.st_mode) and not isinstance(file, int)):
            return status.st_dev, status.st_ino
    return None


def _behind(path: Path) -> Path:
    """Returns the file behind a link: that is replaced, never the link; /dev/stdout is one."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _try(real: Path) -> None:
    """Raises OSError where a file can't be written, as far as that shows before it is."""
    if real.is_dir():
        raise _error(IsADirectoryError, errno.EISDIR)
    if real.exists():
        if not os.access(real, os.W_OK):
            raise _error(PermissionError, errno.EACCES)
        if not real.is_file():
            return
    folder = real.parent
    if folder == OWN_FOLDER:
        folder = next(each for each in (folder, *folder.parents) if each.exists())
    if folder.exists() and not folder.is_dir():
        raise _error(NotADirectoryError, errno.ENOTDIR)
    import tempfile

    tempfile.TemporaryFile(dir=folder).close()


def _error(kind: type[OSError], number: int) -> OSError:
    return kind(number, os.strerror(number))


def _refused(path: Path, error: OSError) -> MachineError:
    folder = path.parent
    if isinstance(error, FileNotFoundError) and not folder.exists():
        make = f"mkdir -p {shlex.quote(str(folder))}"
        return MachineError(
            Text(f"{path} can't be written: there is no folder {folder}", f"无法写入 {path}：没有目录 {folder}"),
            Text(f"make it first: {make}", f"请先创建：{make}"),
        )
    return MachineError(
        Text(f"{path} can't be written: {error.strerror}", f"无法写入 {path}：{error.strerror}"),
        Text("choose another place with -o FILE", "用 -o FILE 另选一个位置"),
    )


def _make_own_folder(folder: Path) -> None:
    if folder == OWN_FOLDER:
        for each in (*reversed(folder.parents), folder):
            with contextlib.suppress(FileExistsError):
                each.mkdir()
                if user := caller():
                    with contextlib.suppress(OSError):
                        os.chown(each, *user)


def _hand_over(descriptor: int, real: Path, private: bool) -> None:
    """Gives a new file the owner and the rights of the one that it replaces, or under sudo to who called."""
    with contextlib.suppress(OSError):
        old = real.stat()
        if not private:
            os.fchmod(descriptor, old.st_mode & 0o777)
        os.fchown(descriptor, old.st_uid, old.st_gid)
    if user := caller():
        with contextlib.suppress(OSError):  # in a user namespace there may be no such user
            os.fchown(descriptor, *user)


def caller() -> tuple[int, int] | None:
    """Returns the user and the group that have called sudo; None where nobody has."""
    said = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if hasattr(os, "geteuid") and os.geteuid() == 0 and all(each.isascii() and each.isdigit() for each in said):
        return int(said[0]), int(said[1])
    return None


class Spool:
    """Lines put away in a temporary file, each under a number, to be taken in the order of the numbers."""

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._places = array("Q")  # by number: where the line begins, from 1; 0 where there is none

    def put(self, number: int, line: str) -> None:
        """Puts a line away. Raises MachineError where there is no room for it."""
        try:
            if self._file is None:
                import tempfile  # not with every command: it takes long

                self._file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - as long as we are there
            while len(self._places) <= number:
                self._places.append(0)
            self._places[number] = self._file.tell() + 1
            self._file.write(line.encode() + b"\n")
        except OSError as error:
            raise MachineError(
                Text(f"a temporary file can't be written: {error.strerror}", f"无法写入临时文件：{error.strerror}"),
                Text("name a folder with room in TMPDIR", "请用 TMPDIR 指定一个有空间的目录"),
            ) from error

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yields all numbers and lines, in order; nothing can be put away any more."""
        for number, place in enumerate(self._places):
            if place and self._file:
                self._file.seek(place - 1)
                yield number, self._file.readline().decode().rstrip("\n")


@contextlib.contextmanager
def words(stream: BinaryIO) -> Iterator[TextIO]:
    """Lets text be written to a stream of bytes, which stays open."""
    wrapper = io.TextIOWrapper(stream, encoding="utf-8", newline="\n")
    yield wrapper
    wrapper.flush()
    wrapper.detach()


@contextlib.contextmanager
def rendered(path: Path | None) -> Iterator[TextIO]:
    """Opens what rendered text goes to: a file, as `to_file` does, or standard output where there is no path."""
    if path is None:
        yield sys.stdout
        return
    with to_file(path) as stream, words(stream) as text:
        yield text


@contextlib.contextmanager
def _nameless(folder: Path, mode: int) -> Iterator[tuple[BinaryIO, Path | None]]:
    """Opens a file that has no name yet, or where the system can't do that, a temporary one."""
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR, mode)
    except (AttributeError, OSError):
        import tempfile

        with tempfile.NamedTemporaryFile(dir=folder, prefix=".lab-", delete=False) as file:
            name = Path(file.name)
            try:
                name.chmod(mode & ~_umask())
                yield cast(BinaryIO, file), name
            finally:
                name.unlink(missing_ok=True)
        return
    with os.fdopen(descriptor, "w+b") as file:
        yield file, None


def _give_name(file: BinaryIO, path: Path) -> None:
    """Gives a nameless file its name; where that is taken, first another, for the moment before it takes its place."""
    own = f"/proc/self/fd/{file.fileno()}"
    there = os.open(path.parent, os.O_RDONLY)
    try:  # only with a folder's descriptor does os.link follow the link that stands for our file
        os.link(own, path.name, dst_dir_fd=there)
    except FileExistsError:
        passing = f".lab-{os.urandom(8).hex()}"  # not by process: labs in two containers can have the same number
        os.link(own, passing, dst_dir_fd=there)
        try:
            os.replace(passing, path.name, src_dir_fd=there, dst_dir_fd=there)
        except OSError:
            os.unlink(passing, dir_fd=there)
            raise
    finally:
        os.close(there)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
