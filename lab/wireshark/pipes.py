"""The pipes between Wireshark and us: one for packets and, where there is a toolbar, one from it and one to it.

Wireshark makes them, and depends on us: until the one for packets has been opened and closed it waits, whatever has
become of us, and its window stands still until somebody has opened the one from the toolbar.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Full, Queue
from threading import Thread
from types import TracebackType
from typing import BinaryIO

from lab.errors import MachineError
from lab.system.streams import Blocks
from lab.text import Text
from lab.wireshark.toolbar import Message, Reader

_AGAIN = 20  # milliseconds until it is tried again to open a pipe that nobody reads yet
_AT_ONCE = 65_536  # bytes
_MOST_WAITING = 10_000  # control packets for a toolbar that does not read them
_LAST_WORDS = 0.5  # seconds
_TO_OPEN = 2000  # milliseconds for Wireshark to open its end of a pipe


class Gone(BaseException):  # not an error: whoever captured has had enough
    """Nobody reads any more."""


class PacketPipe:
    """The pipe for packets. Leaving it closes it; what nobody has opened is opened first, for Wireshark waits for that.

    What is to be read on standard error has to be there before it is left: then Wireshark reads no more.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._stream: BinaryIO | None = None

    def open(self) -> BinaryIO:
        """Opens it once somebody reads it. Raises Gone where Wireshark has ended, MachineError where it can't be."""
        poll = select.poll()
        with _parent() as parent:
            if parent is not None:
                poll.register(parent, select.POLLIN)
            while self._stream is None:
                try:
                    number = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                except OSError as error:
                    if error.errno != errno.ENXIO:  # nobody reads it yet
                        raise self._unusable(error) from error
                    if poll.poll(_AGAIN):
                        raise Gone from None
                else:
                    os.set_blocking(number, True)
                    self._stream = Blocks(io.FileIO(number, "w"))
        return self._stream

    def __enter__(self) -> PacketPipe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(Gone, MachineError):
            if self._stream is None and error is None:
                self.open()
        if self._stream is not None:
            with contextlib.suppress(OSError):
                self._stream.close()

    def _unusable(self, error: OSError) -> MachineError:
        return MachineError(
            Text(f"{self._path} can't be written: {error.strerror}", f"无法写入 {self._path}：{error.strerror}"),
            Text(
                "Wireshark makes this pipe itself; by hand: mkfifo",
                "此管道由 Wireshark 自己建立；手工运行时用 mkfifo",
            ),
        )


class ToolbarPipe:
    """The pipe from the toolbar. Leaving it closes it, but not before Wireshark has opened it, or had time to.

    It is opened at once: Wireshark's window stands still until it is, and for ever if that is too late.
    """

    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._heard = False

    def read(self) -> bytes:
        """Returns what has come; nothing where no more will. Raises OSError."""
        self._heard = True
        return os.read(self.number, _AT_ONCE)

    def __enter__(self) -> ToolbarPipe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._heard and error is None:
            poll = select.poll()
            poll.register(self.number, select.POLLIN)
            poll.poll(_TO_OPEN)
        os.close(self.number)


class Ear(Thread):
    """Hears the toolbar, and whether Wireshark and the pipe for packets are still there: without them all of it ends.

    `hear` gets each control packet, `alone` is called when none can come any more.
    """

    def __init__(
        self,
        toolbar: ToolbarPipe | None,
        packets: BinaryIO,
        hear: Callable[[Message], object],
        alone: Callable[[], object],
    ) -> None:
        super().__init__(daemon=True)
        self._toolbar = toolbar
        self._packets = packets.fileno()
        self._hear = hear
        self._alone = alone
        self._reader = Reader()

    def run(self) -> None:
        poll, toolbar = select.poll(), self._toolbar
        poll.register(self._packets, 0)  # an error is told nevertheless: nobody reads it any more
        if toolbar is not None:
            poll.register(toolbar.number, select.POLLIN)
        with contextlib.suppress(Gone), _parent() as parent:
            if parent is not None:
                poll.register(parent, select.POLLIN)
            while toolbar is not None and all(number == toolbar.number for number, _ in poll.poll()):
                if not self._heard(toolbar):
                    poll.unregister(toolbar.number)
                    toolbar = None
                    self._alone()
            poll.poll()  # until one of the others is gone
        os.kill(os.getpid(), signal.SIGTERM)  # the main thread may be waiting for the wire

    def _heard(self, toolbar: ToolbarPipe) -> bool:
        """Passes on what has come; returns whether more can."""
        try:
            data = toolbar.read()
            for message in self._reader.feed(data):
                self._hear(message)
        except (OSError, ValueError):
            return False
        return bool(data)


class Teller(Thread):
    """Sends control packets to the toolbar, once that listens; without a `path` there is none, and nothing is sent.

    Whoever does not listen stops nothing.
    """

    def __init__(self, path: str | None) -> None:
        super().__init__(daemon=True)
        self._path = path
        self._queue: Queue[Message | None] = Queue(_MOST_WAITING)

    def start(self) -> None:
        if self._path is not None:
            super().start()

    def tell(self, message: Message | None) -> None:
        if self._path is not None:
            with contextlib.suppress(Full):
                self._queue.put_nowait(message)

    def finish(self) -> None:
        """Waits a moment until all has been told."""
        if self.is_alive():
            self.tell(None)
            self.join(_LAST_WORDS)

    def run(self) -> None:
        assert self._path is not None
        with contextlib.suppress(OSError), Path(self._path).open("wb", buffering=0) as toolbar:
            while (message := self._queue.get()) is not None:
                toolbar.write(message.packed())


@contextlib.contextmanager
def _parent() -> Iterator[int | None]:
    """Yields what can be read once whoever has started us has ended, None where this system tells that to nobody.

    Raises Gone where that one has ended already.
    """
    if not hasattr(os, "pidfd_open"):
        yield None
        return
    try:
        number = os.pidfd_open(os.getppid())
    except ProcessLookupError:
        raise Gone from None
    try:
        yield number
    finally:
        os.close(number)
