"""Where output goes: the terminal, a pipe, a file. A file appears when it is complete, or not at all."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from lab.errors import LabError, MachineError
from lab.text import Lang, Text, safe


@contextlib.contextmanager
def to_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a file for writing that takes its name only when all is written; killed before, it leaves nothing behind.

    What is no regular file (a pipe, /dev/null) is written to directly. Raises MachineError where it can't be written.
    """
    try:
        # the file behind a link is replaced, never the link: /dev/stdout is one
        real = Path(os.path.realpath(path)) if path.is_symlink() else path
        if real.exists() and not real.is_file():
            with real.open("wb") as file:
                yield file
            return
        _make_folder(real.parent)
        with _nameless(real.parent) as (file, name):
            yield file
            file.flush()
            if name is None:
                _give_name(file, real)
            else:
                name.replace(real)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise MachineError(
            Text(f"{path} can't be written: {error.strerror}", f"无法写入 {path}：{error.strerror}"),
            Text("choose another place with -o FILE", "用 -o FILE 另选一个位置"),
        ) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error


class Spool:
    """Lines put away in a temporary file, each under a number, to be taken in the order of the numbers."""

    def __init__(self) -> None:
        self._file: BinaryIO | None = None
        self._places = array("Q")  # by number: where the line begins, from 1; 0 where there is none

    def put(self, number: int, line: str) -> None:
        """Puts a line away. Raises MachineError where there is no room for it."""
        try:
            if self._file is None:
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
def _nameless(folder: Path) -> Iterator[tuple[BinaryIO, Path | None]]:
    """Opens a file that has no name yet, or where the system can't do that, a temporary one."""
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666)
    except (AttributeError, OSError):
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".lab-", delete=False) as file:
            name = Path(file.name)
            try:
                name.chmod(0o666 & ~_umask())
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


def complain(error: LabError, lang: Lang) -> None:
    """Says what is wrong and what to do, in two lines on standard error."""
    for word, text in ((Text("error: ", "错误："), error.message), (Text("hint: ", "提示："), error.hint)):
        say(word.pick(lang) + text.pick(lang))


def say(line: str) -> None:
    """Writes a line to standard error, also where that can't show all of it or is gone; names in it steer nothing."""
    with contextlib.suppress(OSError, ValueError):
        encoding = sys.stderr.encoding or "utf-8"
        sys.stderr.write(safe(line).encode(encoding, "replace").decode(encoding) + "\n")
        sys.stderr.flush()


class Stopped(KeyboardInterrupt):
    """The lab was asked to stop, by Ctrl-C or a signal that means the same."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class _Asked:
    """What the signals' handler must remember: when it was asked first, and whether the answer has to wait."""

    first: float | None = None  # on the monotonic clock, in seconds
    signal: int | None = None
    busy = False
    waiting: Stopped | None = None


_STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_PATIENCE = 1.0  # seconds


def stop_cleanly_on_signals() -> None:
    """Makes Ctrl-C, a hang-up and a termination end the lab by an exception: what has been captured is saved first.

    While it ends, a second one changes nothing, so that impatience costs no capture; unless a second has passed, for
    then something hangs: the lab ends on the spot, and its children with it.
    """
    for each in _STOPPING:
        if signal.getsignal(each) is not signal.SIG_IGN:  # nohup, or a script's background job
            signal.signal(each, _stop)
    sys.unraisablehook = _not_lost


def _stop(number: int, _frame: object) -> None:
    now = time.monotonic()
    if _Asked.first is not None:
        if now - _Asked.first > _PATIENCE:
            os._exit(128 + number)
        return
    _Asked.first, _Asked.signal = now, number
    _answer(Stopped(number))


def _answer(stopped: Stopped) -> None:
    if not _Asked.busy:
        raise stopped
    _Asked.waiting = stopped


def _not_lost(lost: sys.UnraisableHookArgs) -> None:
    """Answers again, a moment later: callbacks and finalizers, as those of an import, let no exception out."""
    stopped = lost.exc_value
    if isinstance(stopped, Stopped) and hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda _number, _frame: _answer(stopped))
        signal.setitimer(signal.ITIMER_REAL, 0.001)
    else:
        sys.__unraisablehook__(lost)


def asked_by() -> int | None:
    """Returns the signal that has asked the lab to stop; whatever goes wrong after that comes of it."""
    return _Asked.signal


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Makes a signal's answer wait: for the moment in which what was captured is saved."""
    _Asked.busy = True
    try:
        yield
    finally:
        _Asked.busy = False
        if _Asked.waiting is not None:
            raise _Asked.waiting


@contextlib.contextmanager
def quiet_until_ready() -> Iterator[None]:
    """Lets Ctrl-C end the process without a word: while it is still being loaded there is nothing to stop cleanly."""
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with contextlib.suppress(ValueError):  # not in the main thread: nothing is interrupted there
        if ours:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            if ours:
                signal.signal(signal.SIGINT, signal.default_int_handler)


def nothing_stops_any_more() -> None:
    """Ignores signals from here on: the exit status is known, and only the interpreter has something left to do."""
    for each in (*_STOPPING, *([signal.SIGALRM] if hasattr(signal, "SIGALRM") else [])):
        signal.signal(each, signal.SIG_IGN)


def take_streams() -> None:
    """Makes the standard streams usable, whatever the lab was started with.

    One that is closed becomes the null device: its number would else be taken by the next file that is opened. What
    an encoding can't show is replaced. A width of 0 means that nobody knows it: rich would then show nothing.
    """
    if not os.environ.get("COLUMNS", "1").strip("0"):
        del os.environ["COLUMNS"]
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # open until the end
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def show_each_line() -> None:
    """Makes standard output pass on each line as soon as it is written, also to a pipe or a file."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


def leave_streams() -> None:
    """Writes out what is left; what can't be, nobody reads: it is thrown away, for the interpreter would try again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
