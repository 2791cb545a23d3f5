"""Some hundred thousand packets of a file in columns, with the stretches that the engine may pass by."""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from lab.bulk.headers import RIGHT, UNFINISHED, WRONG, Packets, begins, ends_of, hosts_of, joined, read
from lab.bulk.prediction import MANY_OPTIONS, Wanted, predicted
from lab.bulk.scan import MOST, Array, Layout, Reading, UnsoundError, Window
from lab.bulk.shared import Shared
from lab.bulk.single import Some, rows, single
from lab.dissect.packet import Inside, opened
from lab.engine import path
from lab.engine.lookahead import WITHIN
from lab.errors import InputError
from lab.model import Frame
from lab.protocols.transport import FIN, FRAGMENT, LANES, RST, SYN, Quoted, Segment, Side, Stretch, segment
from lab.text import Text

_MOST = 100_000  # packets whose columns are kept at a time
_TAIL = 20_000  # of them the next chunk has again: what is under way at its end is acknowledged there
_PROBLEMS = {RIGHT: (), UNFINISHED: ("unfinished-checksum",), WRONG: ("bad-checksum",)}
_WORD = (1 << 64) - 1
_new = tuple.__new__  # what a NamedTuple's own constructor comes down to, without the call in between


_RECORD = ("number", "time", "offset", "captured", "length", "linktype")
_SEGMENT = ("seq", "ack", "flags", "window", "payload", "start", "options", "ident", "problem")
_record, _segment = struct.Struct(f"{len(_RECORD)}q"), struct.Struct(f"{len(_SEGMENT)}q")

# A packet that the engine sees, or may have to: where it stands in the chunk, the stretch that begins there, -1 where
# none does, and where it stands among the segments, conversation by conversation.
Turn = tuple[int, int, int]


class Chunk:
    """Packets of a file, the usual segments of some lanes among them, and what is predicted of these.

    `size` are its own; behind them are some that the next chunk has again, to be looked at.
    """

    def __init__(
        self, file: int, packets: Packets, size: int, mine: Array, wanted: Wanted, crowded: Callable[[list[int]], bool]
    ) -> None:
        self._file = file
        self.packets = packets
        self.size = size
        self.offset = packets.offset.data
        self._records = rows(packets, _RECORD)
        chosen = packets.usual & mine[packets.lane]
        places = np.flatnonzero(chosen)  # of the usual segments, in the order of the file
        self.strange = np.flatnonzero(~packets.usual)
        self.first = int(packets.number[0])
        whole = self.first + WITHIN if self.first > 1 else 0
        full = wanted.fates and crowded(self._begun(places))
        self.found = predicted(packets, places, path.ROUND, self._plain(places), wanted, whole, full)
        self.segments = it = self.found.segments  # conversation by conversation
        self.places = self.found.order
        starts, ends = self.found.starts, self.found.ends
        for cut in np.flatnonzero(self.places[ends - 1] >= size).tolist():  # the rest is the next chunk's
            ends[cut] = starts[cut] + np.searchsorted(self.places[starts[cut] : ends[cut]], size)
        found, count = self.found, np.arange(len(it))
        data = it.payload > 0
        stamped = data & (it.stamp >= 0) & (it.options < MANY_OPTIONS)
        self.data, self._bare, self._doubled, self._stamped = (  # of each side
            (Some(which & ~found.back), Some(which & found.back)) for which in (data, ~data, it.doubled, stamped)
        )
        self._numbers = rows(it, _SEGMENT)
        self.one = single(self.places, found)
        self._pairs: dict[int, bytes] = {}  # by conversation and side
        self._unclear = _next(it.begins, count)
        self._next_unclear = self._unclear.data
        self._at = np.full(len(packets), -1)
        self._at[self.places] = count
        self._where = self._at.data

    def _plain(self, usual: Array) -> Array:
        """Returns which segments are of conversations with something strange in them: fragments, ICMP errors ..."""
        pairs, hosts = set[int](), set[int]()
        for place in self.strange.tolist():
            frame = self.frame(place)
            found = segment(frame)
            if isinstance(found, Segment | Quoted):
                pairs.add(sum(ends_of(found.pair)) & _WORD)
            elif found is FRAGMENT and isinstance(inside := opened(frame), Inside):
                source, destination = hosts_of(inside.addresses)
                hosts |= {source * 3 + destination & _WORD, destination * 3 + source & _WORD}
        it = self.packets
        plain: Array = np.isin((it.source + it.destination)[usual], np.array([*pairs], np.uint64))
        toward = it.source_host * np.uint64(3) + it.destination_host
        plain |= np.isin(toward[usual], np.array([*hosts], np.uint64))
        return plain

    def _begun(self, usual: Array) -> list[int]:
        """Returns how many conversations begin in each lane, at most."""
        it = self.packets
        _, one = np.unique((it.source + it.destination)[usual], return_index=True)
        known = np.bincount(it.lane[usual][one], minlength=LANES)
        asked = np.bincount(it.lane[usual][(it.flags[usual] & SYN) > 0], minlength=LANES)
        counts: list[int] = (known + asked + len(self.strange)).tolist()
        return counts

    def frame(self, place: int) -> Frame:
        """Reads a packet again."""
        number, time, offset, captured, length, linktype = _record.unpack_from(self._records, place * _record.size)
        return _new(Frame, (number, time, self._read(captured, offset), length, linktype, ()))

    def read(self, place: int) -> tuple[Frame, Any]:
        """Returns a packet, and what the transport says of it."""
        frame, at = self.frame(place), self._where[place]
        return frame, segment(frame) if at < 0 else self._segment(at, frame.data)

    def without_bytes(self, at: int) -> tuple[Frame, Segment]:
        """Returns a packet of which only the numbers are asked for, by its place conversation by conversation."""
        number, time, _, _, length, linktype = _record.unpack_from(self._records, self.one.place[at] * _record.size)
        return _new(Frame, (number, time, b"", length, linktype, ())), self._segment(at, b"")

    def _segment(self, at: int, data: bytes) -> Segment:
        seq, ack, flags, window, payload, start, options, ident, problem = _segment.unpack_from(
            self._numbers, at * _segment.size
        )
        header = start - 20 - options
        pair = data[header - (8 if ident >= 0 else 32) : header + 4] if data else self.pair(at)
        return _new(Segment, (pair, seq, ack, flags, window, header, start, payload, _PROBLEMS[problem]))

    def pair(self, at: int) -> bytes:
        """Returns the pair of a segment, by its place conversation by conversation."""
        key = self.one.conversation[at] * 2 + self.one.back[at]
        known = self._pairs.get(key)
        if known is None:
            _, _, _, _, _, start, options, ident, _ = _segment.unpack_from(self._numbers, at * _segment.size)
            addresses = 8 if ident >= 0 else 32
            begin = self.one.offset[at] + start - 20 - options - addresses
            known = self._pairs[key] = self._read(addresses + 4, begin)
        return known

    def payload(self, at: int, begin: int, size: int) -> bytes:
        """Reads bytes of the payload of a segment, by its place conversation by conversation."""
        one = self.one
        return self._read(min(size, one.payload[at] - begin), one.offset[at] + one.start[at] + begin)

    def _read(self, size: int, offset: int) -> bytes:
        found = os.pread(self._file, size, offset)
        if len(found) < size:
            raise _changed()
        return found

    def unclear(self, at: int, end: int) -> int:
        """Returns the place of the next segment from `at` to before `end` that may begin a protocol, else `end`."""
        place = first = self._next_unclear[at]
        while place < end and not begins(self.payload(place, 0, 1 << 18)):
            place = self._next_unclear[place + 1] if place + 1 < len(self._unclear) else len(self._unclear)
        if place > first:  # nobody has to look again
            self._unclear[at:place] = place
        return min(place, end)

    def turns(self) -> list[Turn]:
        """Returns what comes before the engine: packets, and the beginnings of stretches."""
        found = self.found
        edges = np.zeros(len(self.segments) + 1, np.int64)
        edges[found.starts] += 1
        np.subtract.at(edges, found.ends, 1)
        begins = self.places[found.starts]
        stretch = np.full(len(self.packets), -1)
        stretch[begins] = np.arange(len(begins))
        seen = np.zeros(len(self.packets), bool)
        seen[self.places[np.cumsum(edges[:-1]) == 0]] = True
        seen[begins] = True
        seen[self.strange] = True
        here = np.flatnonzero(seen[: self.size])
        return list(zip(here.tolist(), stretch[here].tolist(), self._at[here].tolist(), strict=True))

    def behind(self, place: int, within: int, alone: bool) -> Iterator[int]:
        """Yields the places of the packets behind one, up to some numbers further on, without those of other lanes.

        With `alone`, of its own conversation only, where there is nothing strange among them.
        """
        stop = min(place + within + 1, len(self.packets))
        at = int(self._at[place])
        if alone and at >= 0 and self.packets.usual[place:stop].all():
            which = self.found.conversation
            for each in range(at + 1, min(at + within + 1, len(self.places))):
                if which[each] != which[at] or self.places[each] >= stop:
                    return
                yield int(self.places[each])
            return
        for each in range(place + 1, stop):
            if self._at[each] >= 0 or not self.packets.usual[each]:
                yield each

    def stretch(self, at: int, end: int) -> Stretch:
        """Returns how far both ends come in the segments from `at` to before `end`, of one conversation."""
        one, last = self.one, end - 1
        first, latest = one.back[at], (last, one.theirs[last])
        if one.back[last] != first:
            latest = latest[::-1]
        return Stretch(
            self._side(first, one.before[at], latest[0], at, end),
            self._side(not first, one.theirs[at], latest[1], at, end),
            end - at,
            one.number[last],
        )

    def steps(self, at: int, end: int, off: tuple[int, int]) -> Iterator[tuple[int, int, int, int, bool]]:
        """Yields of each segment in a stretch who sends it, 0 for the first, its number, where it stops and what it
        acknowledges, and whether it has data. `off` is to be added to the numbers of each side.
        """
        it, found = self.segments, self.found
        back, payload = found.back[at:end], it.payload[at:end]
        own, other = np.where(back, off[1], off[0]), np.where(back, off[0], off[1])
        yield from zip(
            (back != back[0]).astype(np.int64).tolist(), it.number[at:end].tolist(),
            (found.seq[at:end] + payload + own).tolist(), (found.ack[at:end] + other).tolist(),
            (payload > 0).tolist(), strict=True,
        )  # fmt: skip

    def _side(self, back: int, before: int, latest: int, begin: int, end: int) -> Side:
        one, last = self.one, max(latest, before)
        stamped = self._stamped[back].last(begin, end)
        return Side(
            one.seq_raw[before] + one.reach[before] - one.seq[before] & 0xFFFFFFFF,
            one.seq_raw[last] + one.reach[last] - one.seq[last] & 0xFFFFFFFF,
            one.ack_raw[before],
            one.ack_raw[last],
            one.window[before],
            one.window[last],
            one.stamp[stamped] if stamped >= 0 else None,
            self.data[back].first(begin, end),
            self._bare[back].first(begin, end),
            self._doubled[back].first(begin, end) >= 0,
        )


def _next(which: Array, count: Array) -> Array:
    """Returns for each place the next, from there on, of those that are meant."""
    found: Array = np.minimum.accumulate(np.where(which, count, len(count))[::-1])[::-1]
    return found


def _changed() -> InputError:
    return InputError(
        Text("the file changed while it was read", "文件在读取过程中被改动"),
        Text("wait until nothing writes to it, then try again", "请等到没有程序再写入该文件后重试"),
    )


def _as_before(found: Iterator[Window]) -> Iterator[Window]:
    """Yields windows of a file that has been found sound. Raises InputError where it is no longer."""
    try:
        yield from found
    except UnsoundError:
        raise _changed() from None


class First(NamedTuple):
    """The first packets of a file, of all lanes, for whoever makes a chunk of theirs and goes on from it."""

    packets: Packets
    size: int  # the chunk's own
    windows: int  # that have been read for it
    whole: bool  # it is all of the file

    def weights(self) -> list[float]:
        """Returns about how much the engine has to do in each lane: it sees what opens and closes, and many a gap."""
        it = self.packets
        opens, closes = (it.flags & SYN) > 0, (it.flags & (FIN | RST)) > 0
        tells = (it.payload == 0) & (it.options >= MANY_OPTIONS) & ~opens  # of a gap
        weight = (1 + 10 * opens + 25 * closes + 0.2 * tells) * it.usual  # of 8 us, as measured
        found: list[float] = np.bincount(it.lane, weight, minlength=LANES).tolist()
        return found


def room() -> Shared:
    """Returns room for the first packets of a file, which two processes are to read."""
    return Shared(_MOST + MOST)


def first(file: int, of: Layout, secrets: list[bytes], shared: Shared | None) -> First | None:
    """Goes through all of a file; returns its first packets, None where it is not sound. Adds to the secrets.

    With `shared`, another process does the same at the same time, and gets the same. Raises LabError where that has
    ended early.
    """
    parts: list[Packets] = []
    count, read_, all_, everyone = 0, 0, 0, np.ones(LANES, bool)
    reading = Reading(file, of, secrets)
    try:
        for window in reading.windows() if shared is None else shared.windows(reading):
            all_ += 1
            if count >= _MOST:
                continue
            if isinstance(window, int):
                count += window
            else:
                found = read(window, count + 1, everyone)
                if shared is None:
                    parts.append(found)
                else:
                    shared.put(count, found)
                count += len(found)
            read_ = all_
    except UnsoundError:
        return None
    if not count:
        return None
    packets = shared.packets(count) if shared is not None else joined(parts)
    whole = read_ == all_
    return First(packets, count if whole else count - _tail(), read_, whole)


def _tail() -> int:
    return min(_TAIL, _MOST // 2)


def chunks(
    file: int, of: Layout, mine: Array, wanted: Wanted, crowded: Callable[[list[int]], bool], begun: list[First]
) -> Iterator[Chunk]:
    """Yields all packets of a file, many at a time. `mine` says of each lane whether its segments are asked for.

    `crowded` says whether there may be no room where so many more begin in each lane. The first packets are taken out
    of `begun`.
    """
    packets, size, read_, whole = begun.pop()
    chunk = Chunk(file, packets, size, mine, wanted, crowded)
    parts = [packets.part(np.arange(size, len(packets)))]
    number, count = int(packets.number[-1]) + 1, len(parts[0])
    del packets
    yield chunk
    del chunk
    if whole:
        return
    for window in itertools.islice(_as_before(Reading(file, of, []).windows()), read_, None):
        parts.append(read(window, number, mine))
        number, count = number + len(parts[-1]), count + len(parts[-1])
        if count >= _MOST:
            packets, size = joined(parts), count - _tail()
            parts, count = [packets.part(np.arange(size, count))], count - size
            chunk = Chunk(file, packets, size, mine, wanted, crowded)
            del packets
            yield chunk
            del chunk
    if parts:
        yield Chunk(file, joined(parts), count, mine, wanted, crowded)


def lanes(chosen: frozenset[int]) -> Array:
    """Returns of each lane whether it is one of these."""
    return np.array([lane in chosen for lane in range(LANES)])
