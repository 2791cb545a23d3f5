"""The rungs of a page that is told more and more: as all is known of them, as they were while held, and what is new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from itertools import islice, zip_longest
from typing import Any

from lab.model import Packet
from lab.page.model import MOST, around, protocols, track
from lab.page.rungs import Fired, Rungs
from lab.render.picture import landed
from lab.stepping.view import View

UNDER_WAY = 300  # packets, at most, that are shown before their fate is known


class Ladder:
    """Rungs of packets as they become known, and which of them are new to the pages."""

    def __init__(self) -> None:
        self.fired = Fired()
        self._packets: list[Packet] = []  # whose fate is known, in order
        self._making = Rungs(self.fired)
        self._known: dict[int, dict[str, Any]] = {}  # rungs by number, as all is known of them
        self._before: dict[int, dict[str, Any]] = {}  # as they were before they had arrived
        self._told: dict[int, dict[str, Any]] = {}  # as pages know them
        self._tracks: dict[int, dict[str, Any]] = {}
        self._around: dict[str, Any] = {}  # what pages know of what goes with rungs
        self._gone: list[int] = []  # rungs that pages know, and that are none

    def settle(
        self, packets: Iterable[Packet], pending: Sequence[tuple[Packet, bool]],
        walk: Mapping[int, Sequence[str]] | None = None,
    ) -> None:  # fmt: skip
        """Takes packets whose fate is known now, and those that are under way behind them.

        In a `walk` each is wanted as it was before it had arrived, too: with the steps that it was then, by number.
        """
        packets = list(packets)
        self._forget(each.number for each in (*packets, *(each for each, _ in pending)) if _absorbed(each))
        new = [each for each in packets if not _absorbed(each)][: max(0, MOST - len(self._packets))]
        done = {each.number for each in self._packets[-UNDER_WAY:]} | {each.number for each in new}
        waiting = [each for each in pending if each[0].number not in done and not _absorbed(each[0])]
        behind = len(self._packets)
        self._packets += new
        for packet in new:
            if walk is not None:
                on_its_way = _on_its_way(packet, walk.get(packet.number, ()))
                self._before[packet.number] = copy(self._making).rung(on_its_way, True)
            self._known[packet.number] = self._making.rung(packet)
        sketch = copy(self._making)
        for packet, settled in waiting:
            rung = sketch.rung(packet, not settled)
            self._known[packet.number] = rung
            if not settled:
                self._before[packet.number] = rung
        shown = [*self._packets, *(each for each, _ in waiting)]
        if new or waiting:
            for packet, at in islice(zip(shown, landed(each.journal for each in shown), strict=True), behind, None):
                self._known[packet.number]["got"] = at
        for packet in shown[behind:]:
            track(self._tracks, packet)

    def all_told(self) -> None:
        """Every page is told all of it at once: what is new is what then changes."""
        self._told = dict(self._known)

    def _forget(self, numbers: Iterable[int]) -> None:
        """Takes out what turns out to be no rung: a copy that was folded into the one that it repeats."""
        for number in numbers:
            if self._known.pop(number, None) is not None and self._told.pop(number, None) is not None:
                self._gone.append(number)

    def rungs(self, view: View | None) -> list[dict[str, Any]]:
        """Returns the rungs as they are now; where one looks at another place, as they were there."""
        if view is None:
            return list(self._known.values())
        return [self._at(each.number, each.fate, each.again) for each in view.rungs if each.number in self._known]

    def _all(self, view: View | None) -> list[dict[str, Any]]:
        """Returns the rungs, and those behind the place at which one looks as well."""
        there = {each["number"]: each for each in self.rungs(view)}
        return [there.get(number, rung) for number, rung in sorted(self._known.items())]

    def whole(self, view: View | None) -> dict[str, Any]:
        """Returns all of it for a page that is new."""
        return {"rungs": self._all(view), "tracks": [*self._tracks.values()], **self._beside()}

    def _beside(self) -> dict[str, Any]:
        seen = {name for rung in self._known.values() for name in protocols(rung)}
        return around(seen, {rung["quiz"] for rung in self._known.values() if "quiz" in rung})

    def _at(self, number: int, fate: str, again: int) -> dict[str, Any]:
        rung = self._known[number]
        if fate == "held" or (fate == "under-way" and rung["fate"] != "unknown"):  # of which nobody will ever know more
            rung = self._before.get(number, rung) | {"fate": fate}
        return rung | {"again": again} if again else rung

    def new(self, view: View | None) -> dict[str, Any]:
        """Returns what of the rungs pages do not know yet; from now on they do."""
        found = [each for each in self.rungs(view) if self._told.get(each["number"]) != each]
        self._told |= {each["number"]: each for each in found}
        news: dict[str, Any] = {"rungs": found, "tracks": [*self._tracks.values()]} if found else {}
        if found and (now := self._beside()) != self._around:
            self._around = now
            news |= now
        if self._gone:
            news["gone"], self._gone = self._gone, []
        return news

    def titles(self) -> dict[tuple[int, str], dict[str, str]]:
        """Returns what the notes' steps are called that packets are, by conversation."""
        rungs = reversed(self._known.values())  # of several packets the first says who began
        return {(rung["track"], step["id"]): step["title"] for rung in rungs for step in rung["steps"]}


def _absorbed(packet: Packet) -> bool:
    """Whether it was only sent because another was held."""
    return packet.journal is not None and packet.journal.absorbed


def _on_its_way(packet: Packet, steps: Sequence[str]) -> Packet:
    """Returns a packet as it was before it had arrived; what its steps were then is given."""
    kept = [each for each in zip_longest(packet.steps, packet.departures) if each[0] in steps]
    return packet._replace(
        delivered=None, kernel_delivered=None, asked_delivered=None, fate="unknown", by=None, verdict=None,
        steps=tuple(step for step, _ in kept), departures=tuple(departure for _, departure in kept),
        above=tuple(each._replace(delivered=None) for each in packet.above),
    )  # fmt: skip
