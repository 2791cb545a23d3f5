"""What stands between the hosts where no wire does: an ear on the network, which can wait and listen but hold nothing.

It is to a script what the wire is (lab.testbed.wire), as far as an ear can be: quiet is when nothing has been heard for
a moment, not when both kernels have said that they are done.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping

from lab.capture.sniff import Sniffer
from lab.model import Captured, Frame, Role, WireEvent
from lab.protocols.transport import Segment, segment
from lab.testbed.control import Inject
from lab.testbed.progress import Progress
from lab.testbed.stage import SceneEnded
from lab.text import Text

_QUIET = 0.01  # seconds; kernels answer within microseconds, but for delayed acknowledgements, which nobody waits for


class Tap:
    """Tells every frame that `sniffer` hears. `addresses` says whose an address is."""

    def __init__(self, sniffer: Sniffer, addresses: Mapping[str, Role], tell: Callable[[WireEvent], None]) -> None:
        self._sniffer = sniffer
        self._roles = {_packed(address): role for address, role in addresses.items()}
        self._tell = tell
        self._number = 0
        self._progress = Progress()

    def now(self) -> float:
        """Returns seconds on a clock that never stands still: a tap holds nothing."""
        return time.monotonic()

    def settle(self) -> None:
        """Returns when nothing has been heard for a moment."""
        while self._sniffer.wait(_QUIET):
            self._collect()

    def wait(self, until: Callable[[], bool], patience: float) -> bool:
        """Listens until the condition holds; returns False where it did not within `patience` seconds."""
        deadline = time.monotonic() + patience
        self.settle()
        while not until():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if self._sniffer.wait(min(left, 0.05)):
                self.settle()
        return True

    def acknowledged(self, sender: Role) -> bool:
        """Whether an acknowledgement of the last that `sender` sent has been heard."""
        return self._progress.acknowledged(sender)

    def release(self) -> None:
        raise SceneEnded(Text("a tap holds nothing that could be released", "旁听者没有扣留任何可放行的帧"))

    def listens(self, role: Role, port: int) -> None:
        """Hears that a program waits for connections. A tap has no journal to write it into."""

    def inject(self, _command: Inject) -> None:
        raise SceneEnded(Text("a tap sends nothing", "旁听者不发送任何帧"))

    def close(self) -> int:
        """Takes what is still to be heard, and returns how many frames were missed."""
        self.settle()
        self._collect()
        return self._sniffer.missed

    def _collect(self) -> None:
        for time_ns, data in self._sniffer.read():
            self._number += 1
            frame = Frame(self._number, time_ns, data, len(data))
            found = segment(frame)
            if isinstance(found, Segment) and (sender := self._roles.get(found.source)):
                other: Role = "server" if sender == "client" else "client"
                self._progress.sent(sender, found)
                self._progress.got(other, found)
            self._tell(Captured(frame, -1, None))


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
