"""Wireshark's side of an extcap, played: it makes the pipes, starts the program, reads packets, has a toolbar."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from lab.capture.reader import open_capture
from lab.model import Frame
from lab.wireshark.toolbar import Control, Message, Order, Reader
from tests.left_behind import Ended, Watched, until

EXTCAP = "from lab.wireshark.extcap import main; main()"


class Window:
    """A window that captures from the lab's interface, with a toolbar or (as tshark) without."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        toolbar: bool = True,
        prefix: Sequence[str] = (),
        python: str = sys.executable,
        env: dict[str, str] | None = None,
    ) -> None:
        self.statuses: list[str] = []
        self.log = ""
        self.values: dict[int, str] = {}  # of buttons and of the line to type into
        self.lists: dict[int, list[tuple[str, str]]] = {Control.HELD: [], Control.KERNELS: []}
        self.enabled: dict[int, bool] = {}
        self._pipes = folder / "pipes"
        self._pipes.mkdir(exist_ok=True)
        for name in ("packets", "from", "to"):
            os.mkfifo(self._pipes / name)
        self._file = self._pipes / "captured"
        with self._file.open("wb") as file:  # another process captures, as dumpcap does
            self._dumpcap = subprocess.Popen(["cat", self._path("packets")], stdout=file)
        Watched.known |= {self._dumpcap.pid}
        given = ["--capture", "--extcap-interface", "handshake-lab", "--fifo", self._path("packets")]
        if toolbar:
            given += ["--extcap-control-in", self._path("from"), "--extcap-control-out", self._path("to")]
        self.extcap = Watched(folder, *given, *options, script=EXTCAP, prefix=prefix, python=python, env=env)
        self._reader = Reader()
        self._in = os.open(self._path("to"), os.O_RDONLY | os.O_NONBLOCK)
        if toolbar:
            self._out = os.open(self._path("from"), os.O_WRONLY)  # here Wireshark's window stands still
            self.send(Message(0, Order.INITIALIZED))

    # What a person does.

    def press(self, control: Control) -> None:
        assert self.enabled.get(control, True), f"{control.name} can't be pressed now"
        self.send(Message(control, Order.SET))

    def run_until(self, text: str) -> None:
        self.send(Message(Control.UNTIL, Order.SET, text.encode()))

    def choose(self, number: int) -> None:
        self.send(Message(Control.HELD, Order.SET, str(number).encode()))

    def send(self, message: Message) -> None:
        os.write(self._out, message.packed())

    # What a person sees.

    @property
    def frames(self) -> list[Frame]:
        """What has been captured so far."""
        if not self._file.stat().st_size:
            return []
        with open_capture(str(self._file)) as capture:
            return list(capture)

    @property
    def captured(self) -> bytes:
        return self._file.read_bytes()

    @property
    def over(self) -> bool:
        """Whether the pipe for packets has come to its end."""
        return self._dumpcap.poll() is not None

    @property
    def held(self) -> list[str]:
        return [shown for _, shown in self.lists[Control.HELD]]

    @property
    def kernels(self) -> str:
        return "".join(shown for _, shown in self.lists[Control.KERNELS])

    def sees(self, *held: str) -> None:
        """Waits until just these packets are held."""
        self.wait_for(lambda: self.held == [*held], lambda: f"held: {self.held}, log: {self.log}")

    def wait_for(self, condition: Callable[[], bool], told: Callable[[], str] = str) -> None:
        def seen() -> bool:
            over = self.extcap.process.poll() is not None and self.over
            self._look()
            return condition() or over

        assert until(seen), told()
        assert condition(), told()

    # What becomes of it.

    def stop_reading(self) -> None:
        """Reads the pipe for packets no more, as when Wireshark is stopped or closed."""
        self._dumpcap.kill()
        self._dumpcap.wait()

    def close_toolbar(self) -> None:
        os.close(self._out)

    def ended(self) -> Ended:
        """Waits for the end of the program and of all that it has sent."""
        found = self.extcap.ended()
        assert until(lambda: self.over), "the pipe for packets was never opened, or is open still"
        self._look()
        return found

    def left(self, *files: str, orphans: bool = False) -> None:
        for name in ("packets", "from", "to"):
            (self._pipes / name).unlink()
        self.extcap.left(*files, orphans=orphans)

    def _path(self, name: str) -> str:
        return str(self._pipes / name)

    def _look(self) -> None:
        """Takes in what has come for the toolbar."""
        with suppress(BlockingIOError):
            while data := os.read(self._in, 65_536):
                for message in self._reader.feed(data):
                    self._shown(message)

    def _shown(self, message: Message) -> None:
        """Does what Wireshark's toolbar does with a control packet."""
        number, order, said = message.control, message.order, message.payload.decode()
        if order == Order.STATUS:
            self.statuses.append(said)
        elif number == Control.LOG:
            self.log = (self.log if order == Order.ADD else "") + said
        elif order in (Order.ENABLE, Order.DISABLE):
            self.enabled[number] = order == Order.ENABLE
        elif order == Order.REMOVE:
            self.lists[number] = []
        elif order == Order.ADD:
            value, _, shown = said.partition("\0")
            self.lists[number] = [*self.lists[number], (value, shown or value)]
        elif order == Order.SET:
            self.values[number] = said
