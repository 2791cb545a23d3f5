"""The rows of segments that the engine has passed by, among those of what it has seen."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np

from lab.bulk.chunk import Chunk
from lab.bulk.headers import UNFINISHED
from lab.bulk.passing import Passed
from lab.bulk.prediction import labels as labels_of
from lab.bulk.scan import Array
from lab.model import Role, States
from lab.protocols.transport import ACK, LEAST_LARGE, PSH, flag_names
from lab.render.table import around
from lab.render.trace import time

_TOGETHER = 4096  # packets whose rows are made at a time
_MOST_TOGETHER = 4 << 20  # characters of rows that wait for these
_PUSHED, _CLIENT, _LARGE, _UNFINISHED = 1 << 2, 1 << 3, 1 << 4, 1 << 5
_SECOND = 1_000_000_000  # nanoseconds
_MEANT = 6  # from this bit on: the states of both ends, and which message it completes
ROLES: tuple[Role, Role] = ("client", "server")


class PassedRows:
    """Keeps what is passed by until the rows before it have been written."""

    number_at = 0  # where a row has its packet's number, which ends at a comma

    def __init__(self, columns: int = 7) -> None:
        self._fresh: list[Passed] = []
        self._waiting = np.zeros((columns, 0), np.int64)  # number, time, conversation, seq, ack, payload, what it is …
        self._said: dict[int, tuple[str, str]] = {}
        self._meant: list[tuple[States, str, str | None]] = []  # states; the name of a message, and the step that it is

    def take(self, passed: Passed) -> None:
        self._fresh.append(passed)

    def among(self, rows: Iterable[str]) -> Iterator[list[str]]:
        """Yields rows with those of what has been passed by in between, all in the order of the file, some together."""
        seen: list[str] = []
        numbers: list[int] = []
        begun, size, at = 0, 0, self.number_at
        for row in rows:
            number = int(row[at : row.index(",", at)])
            seen.append(row)
            numbers.append(number)
            size += len(row)
            if number - begun >= _TOGETHER or size > _MOST_TOGETHER:
                begun, size = number, 0
                yield from self._merged(seen, numbers, number)
                seen, numbers = [], []
        yield from self._merged(seen, numbers, None)

    def _merged(self, seen: list[str], numbers: list[int], before: int | None) -> Iterator[list[str]]:
        at = 0
        for passed in self._passed(before):
            stop = bisect_left(numbers, int(passed[0, -1]))
            places = np.searchsorted(passed[0], numbers[at:stop]).tolist()
            written, merged, begin = self._written(passed), list[str](), 0
            for place, row in zip(places, seen[at:stop], strict=True):
                merged += written[begin:place]
                merged.append(row)
                begin = place
            yield merged + written[begin:]
            at = stop
        if at < len(seen):
            yield seen[at:]

    def _passed(self, before: int | None) -> Iterator[Array]:
        """Yields the columns of what has been passed by before a packet, some at a time: there may be very many."""
        if self._fresh:
            self._waiting = np.concatenate([self._waiting, *self._columns(self._fresh)], axis=1)
            self._fresh = []
        ready = self._waiting[0] < before if before is not None else np.ones(len(self._waiting[0]), bool)
        columns, self._waiting = self._waiting[:, ready], self._waiting[:, ~ready]
        order = np.argsort(columns[0])
        for at in range(0, len(order), _TOGETHER):
            yield columns[:, order[at : at + _TOGETHER]]

    def _written(self, columns: Array) -> list[str]:
        """Returns the rows of what has been passed by."""
        codes = columns[6].tolist()
        known = self._said
        for code in set(codes) - known.keys():
            known[code] = self._words(code)
        whens, fractions = times(columns[1])
        return [
            f"{number},{when}{fraction:09}Z,{which}{head}{seq},{ack},{payload}{tail}"
            for number, when, fraction, which, seq, ack, payload, (head, tail) in zip(
                columns[0].tolist(), whens, fractions, *columns[2:6].tolist(), map(known.__getitem__, codes),
                strict=True,
            )
        ]  # fmt: skip

    def _columns(self, fresh: list[Passed]) -> Iterator[Array]:
        """Yields the columns of what has been passed by, chunk by chunk."""
        for chunk, group in groupby(fresh, key=lambda each: each.of):
            yield self._of_chunk(chunk, list(group))

    def _of_chunk(self, chunk: Chunk, all_: list[Passed]) -> Array:
        it, found, these = chunk.segments, chunk.found, places_of(all_)
        sizes = np.array([len(each.places) for each in all_])
        begins = np.cumsum(sizes) - sizes
        told = np.array([(each.conversation, each.client, *each.seq, *each.most, self._means(each)) for each in all_])
        which, sends, own, other, most, most_back, meant = np.repeat(told, sizes, axis=0).T
        back, payload = found.back[these], it.payload[these]
        client = back == sends
        code = found.kind[these] | _PUSHED * ((it.flags[these] & PSH) > 0) | _CLIENT * client
        code |= _LARGE * ((payload > LEAST_LARGE) & (payload > np.where(back, most_back, most)))
        code |= _UNFINISHED * (it.problem[these] == UNFINISHED)
        for passed, begin in zip(all_, begins.tolist(), strict=True):
            if passed.whole is not None:
                places, name, steps = passed.whole
                known = [self._means(passed, name, steps[role]) for role in ROLES]
                whole = np.searchsorted(passed.places, np.array([*places], np.int64)) + begin
                meant[whole] = np.where(client[whole], *known)
        return np.stack([
            it.number[these], it.time[these], which, found.seq[these] + np.where(back, other, own),
            found.ack[these] + np.where(back, own, other), payload, code | meant << _MEANT,
        ])  # fmt: skip

    def _means(self, passed: Passed, name: str = "", step: str | None = None) -> int:
        meant = passed.states, name, step
        if meant not in self._meant:
            self._meant.append(meant)
        return self._meant.index(meant)

    def _words(self, code: int) -> tuple[str, str]:
        role, flags, states, labels, steps = self._meaning(code)
        return around(role, flags, states, states, labels, steps)

    def _meaning(self, code: int) -> tuple[Role, tuple[str, ...], States, tuple[str, ...], tuple[str, ...]]:
        """Returns sender, flags, both ends' states, labels and steps."""
        role: Role = "client" if code & _CLIENT else "server"
        labels = labels_of(code & 3, bool(code & _UNFINISHED), bool(code & _LARGE))
        states, name, step = self._meant[code >> _MEANT]
        if name:
            labels += (name,)
        flags = flag_names(ACK | (PSH if code & _PUSHED else 0))
        return role, flags, states, labels, (step,) if step is not None else ()


def times(nanoseconds: Array) -> tuple[list[str], list[int]]:
    """Returns of each time what is written up to its second's end, and the nanoseconds behind that."""
    seconds, fractions = np.divmod(nanoseconds, _SECOND)
    moments = seconds.tolist()
    written = {moment: str(time(moment * _SECOND))[:-10] for moment in set(moments)}
    return [written[moment] for moment in moments], fractions.tolist()


def places_of(passed: list[Passed]) -> Array:
    """Returns the places, in their chunk, of the segments that have been passed by."""
    return np.concatenate([each.places for each in passed])
