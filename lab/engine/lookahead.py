"""The packets of a capture one by one, with a look at those to come where one can't be understood without them.

Most packets say all that is needed. Some do not: a RST counts unless its sender goes on as if there had been none; a
SYN-ACK may stand before its SYN in the file. Then, and only then, the packets behind it are read before it is placed.

Where packets come while they happen, nobody waits long for the answer: `more` begins a question, and returns what says,
before each packet that is not there yet, whether it is worth waiting for. If not, the answer is as at the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
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
        self._of: dict[bytes, list[tuple[Frame, Any]]] = {}  # those that are coming, by their pair
        self._bytes = 0  # of frames that are coming
        self.last = 0  # the number of the capture's last packet, where not all are iterated over

    def __iter__(self) -> Iterator[tuple[Frame, Any]]:
        coming, read, mine = self._coming, self._read, self._mine
        while True:
            while coming:
                each = coming.popleft()
                self._leaves(each)
                yield each
            for frame in self._frames:
                yield frame, (None if mine and mine(frame) is False else read(frame))
                if coming:
                    break
            else:
                if not coming:
                    return

    def behind(self, number: int, within: int = WITHIN, pairs: Collection[bytes] = ()) -> Iterator[tuple[Frame, Any]]:
        """Yields the packets behind packet `number`, up to `within` further on, in order: they are still to come.

        Where `pairs` are given, only those whose `pair`, of what `read` says, is one of them.
        """
        coming, last = self._coming, number + within
        known = [each for pair in pairs for each in self._of.get(pair, ())] if pairs else coming
        for each in sorted(known, key=_number):
            if each[0].number > last:
                return
            if each[1] is not None:
                yield each
        comes: Callable[[], bool] | None = None
        while not coming or coming[-1][0].number <= last:
            if self._more is not None:
                comes = comes or self._more()
                if not comes():
                    return
            frame = next(self._frames, None) if self._bytes < _MOST_BYTES else None
            if frame is None:
                return
            found = None if self._mine and self._mine(frame) is False else self._read(frame)
            pair = getattr(found, "pair", None)
            each = frame, found
            coming.append(each)
            self._bytes += frame.size
            if pair is not None:
                self._of.setdefault(pair, []).append(each)
            if frame.number <= last and found is not None and (pair in pairs or not pairs):
                yield each

    def take(self, number: int) -> None:
        """Takes packet `number` out of those to come: it has had its turn."""
        for each in self._coming:
            if each[0].number == number:
                self._coming.remove(each)
                self._leaves(each)
                return

    def put_back(self, frame: Frame, found: Any) -> None:
        """Makes a packet the next one: something else came first."""
        self._coming.appendleft((frame, found))
        self._bytes += frame.size
        if (pair := getattr(found, "pair", None)) is not None:
            self._of.setdefault(pair, []).insert(0, self._coming[0])

    def _leaves(self, each: tuple[Frame, Any]) -> None:
        """A packet is no longer among those to come; as a rule it is the first."""
        self._bytes -= each[0].size
        if (pair := getattr(each[1], "pair", None)) is not None:
            its = self._of[pair]
            its.remove(each)
            if not its:
                del self._of[pair]


def _number(each: tuple[Frame, Any]) -> int:
    return each[0].number
