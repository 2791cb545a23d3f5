"""The packets of a capture one by one, with a look at those to come where one can't be understood without them.

Most packets say all that is needed. Some do not: a RST counts unless its sender goes on as if there had been none; a
SYN-ACK may stand before its SYN in the file. Then, and only then, the packets behind it are read before it is placed.

Where packets come while they happen, nobody waits long for the answer: `more` begins a question, and returns what says,
before each packet that is not there yet, whether it is worth waiting for. If not, the answer is as at the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from lab.model import Frame

WITHIN = 256  # packets of the capture that are looked at, at most
More = Callable[[], Callable[[], bool]]
_MOST_BYTES = 16 << 20  # of frames that are kept for it


class Lookahead:
    """Iterates over (frame, what `read` says of it); None instead of that for a frame that is not `mine`."""

    def __init__(
        self,
        frames: Iterable[Frame],
        read: Callable[[Frame], Any],
        mine: Callable[[Frame], bool | None] | None = None,
        more: More | None = None,
    ) -> None:
        self._frames = iter(frames)
        self._read = read
        self._mine = mine
        self._more = more
        self._coming: deque[tuple[Frame, Any]] = deque()
        self._bytes = 0  # of frames that are coming
        self.last = 0  # the number of the capture's last packet, where not all are iterated over

    def __iter__(self) -> Iterator[tuple[Frame, Any]]:
        coming, read, mine = self._coming, self._read, self._mine
        while True:
            while coming:
                frame, found = coming.popleft()
                self._bytes -= frame.size
                yield frame, found
            for frame in self._frames:
                yield frame, (None if mine and mine(frame) is False else read(frame))
                if coming:
                    break
            else:
                if not coming:
                    return

    def behind(
        self,
        number: int,
        within: int = WITHIN,
        pair: bytes = b"",  # noqa: ARG002 - of use to who has packets by conversation (lab/bulk/passing.py)
    ) -> Iterator[tuple[Frame, Any]]:
        """Yields the packets behind packet `number`, up to `within` further on, in order: they are still to come.

        Where a `pair` is given, nobody asks for those of other conversations: they may be left out.
        """
        at, coming = 0, self._coming
        comes: Callable[[], bool] | None = None
        while True:
            if at == len(coming):
                if self._more is not None:
                    comes = comes or self._more()
                    if not comes():
                        return
                frame = next(self._frames, None) if self._bytes < _MOST_BYTES else None
                if frame is None:
                    return
                skipped = self._mine is not None and self._mine(frame) is False
                coming.append((frame, None if skipped else self._read(frame)))
                self._bytes += frame.size
            if coming[at][0].number > number + within:
                return
            if coming[at][1] is not None:
                yield coming[at]
            at += 1

    def take(self, number: int) -> None:
        """Takes packet `number` out of those to come: it has had its turn."""
        for at, (frame, _) in enumerate(self._coming):
            if frame.number == number:
                del self._coming[at]
                self._bytes -= frame.size
                return

    def put_back(self, frame: Frame, found: Any) -> None:
        """Makes a packet the next one: something else came first."""
        self._coming.appendleft((frame, found))
        self._bytes += frame.size
