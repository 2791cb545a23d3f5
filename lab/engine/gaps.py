"""Packets that came behind what was not captured: what they say is told of them, also where it is read later only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lab.engine.conversation import LANES, Conversation
from lab.engine.protocol import UNKNOWN
from lab.engine.record import Record

_MOST_BEHIND, _MOST_IN_A_LANE = 256, 2048  # packets of a conversation, and of all in a lane


class Behind:
    """The packets of each conversation that came ahead of order, as long as what is before them may still come."""

    def __init__(self) -> None:
        self._records: dict[Conversation, dict[int, Record]] = {}
        self._count = [0] * LANES

    def keep(self, which: Conversation, record: Record) -> None:
        """Keeps a packet; the oldest is given up for more."""
        kept, lane = self._records.setdefault(which, {}), which.lane
        self._count[lane] += record.number not in kept
        kept[record.number] = record
        if len(kept) > _MOST_BEHIND:
            del kept[next(iter(kept))]
            self._count[lane] -= 1
        if self._count[lane] > _MOST_IN_A_LANE:
            for other in [each for each in self._records if each.lane == lane and each is not which]:
                self.forget(other)

    def forget(self, which: Conversation) -> None:
        self._count[which.lane] -= len(self._records.pop(which, ()))

    def parted(self, which: Conversation, said: Sequence[Any], now: Record) -> Iterator[tuple[Record, list[Any]]]:
        """Yields what was said, each with the packet that completes it: one that was kept, else `now`.

        What says only that bytes are missing goes with what is said next.
        """
        kept = self._records.get(which, {})
        part: list[Any] = []
        place = now
        for each in said:
            frames = [span.number for span in each.spans if span.buffer == "frame"]
            record = kept.get(frames[-1]) if frames and frames[-1] != now.number else now
            if record is None or record.settled or record.shown:  # it has been told of, without this: too late for more
                part.append(each._replace(name="", event=UNKNOWN, spans=()))
                continue
            if each.spans and record is not place:
                if any(one.spans for one in part):
                    yield place, part
                    part = []
                place = record
            part.append(each)
        if part:
            yield place, part
