"""Of a large file most conversations go by the book, and many go alike: the engine judges one of each kind.

Packets are read in columns. A conversation goes by the book where each segment begins where its sender's last one
ended, and acknowledges all that the other end has sent, or what it did before; where checksums are right, and nothing
is reset, cut or carried that has a protocol of its own. What it is then depends on its kind alone: who sends, which
flags, whether data, which of the two acknowledgements, how the window goes, which options. Of each kind one is
annotated as any other, twice, with its packets close together and far apart; where both say the same, so do all of that
kind, but for numbers, addresses and ports. Everything else is annotated packet by packet. There is no second opinion
here on what a packet means: the tables stay the only one (tests/bulk/test_columns.py holds both against each other).
"""

from __future__ import annotations

import heapq
import os
import struct
import tempfile
from collections.abc import Iterator
from functools import reduce
from itertools import chain
from pathlib import Path as File
from typing import Any, NamedTuple

import numpy as np

from lab.bulk.columns import Columns, usual
from lab.bulk.regular import Odd, first_answers, grouped, tokens
from lab.bulk.scan import Array
from lab.bulk.templates import Entries, Group, Kind, elsewhere, filled, kind, rows
from lab.capture import pcap
from lab.dissect.fragments import Fragments
from lab.engine.path import Path, in_order
from lab.model import LINKTYPE_ETHERNET, Frame
from lab.protocols.registry import TRANSPORT, UPPERS
from lab.protocols.transport import FRAGMENT, LANES, NUMBER, Quoted, Segment, UnsureError, segment
from lab.render.rows import CSV_PLACES, as_one, together
from lab.render.table import csv_rows, words
from lab.render.trace import dump
from lab.report.conversations import entry

_VERSION = (2, 4)  # of pcap; older ones have rules of their own
_WINDOW = 4 << 20  # bytes read at a time
_AT_ONCE = 55 << 20  # bytes of a file whose columns are kept at a time: of more, lanes are taken in turn
_MOST_PLAIN = 0.3  # of the packets: where more do not go by the book, nothing is gained
_MOST_ODD = 0.1  # of them: where more are not read in columns, neither

# A row also shows what became of its packet, if that is known in time: for rows, conversations are not to last longer.
_LONGEST, _APART = 60_000, 4_000


class Made(NamedTuple):
    """First packet and line of each conversation, in order of first packets, or the packets' rows, some together; and
    how many conversations were let go of unfinished."""

    entries: Entries
    rows: Iterator[list[str]]
    whole: LaneReader

    def packets(self) -> Iterator[str]:
        return chain.from_iterable(self.rows)

    def blocks(self) -> Iterator[list[str]]:
        return self.rows

    def conversations(self) -> Entries:
        return self.entries

    @property
    def evicted(self) -> int:
        return self.whole.evicted


def made(file: str, lanes: frozenset[int], rows: bool, keylog: bytes = b"", server_key: bytes = b"") -> Made | None:
    """Returns the conversations in these lanes of a pcap file, not numbered, or the rows of its packets (CSV).

    Packets that are not TCP are in lane 0. Returns None where columns do not help: the file is damaged, is mostly not
    TCP, has too many packets for the columns of one lane, or so many conversations at a time that which ones are let go
    of is not certain.
    """
    with File(file).open("rb") as opened:
        head = opened.read(pcap.FILE_HEADER)
        variant = pcap.VARIANTS.get(head[:4])
        if len(head) < pcap.FILE_HEADER or variant is None or variant.header != 16:
            return None
        version = struct.unpack_from(variant.order + "HH", head, 4)
        linktype = struct.unpack_from(variant.order + "I", head, 20)[0] & 0xFFFF
        if version != _VERSION or linktype != LINKTYPE_ETHERNET:
            return None
        whole = LaneReader(opened.fileno(), variant, rows, keylog, server_key)
        most = _AT_ONCE * LANES // max(os.fstat(opened.fileno()).st_size, 1)
        if not most:
            return None
        each = sorted(lanes)
        parts = [frozenset(each[at : at + most]) for at in range(0, len(each), most)]
        found = [whole.part(part, spool=len(parts) > 1) for part in parts]
        if any(part is None for part in found):
            return None
        sound = [part for part in found if part is not None]
        if rows:
            lines = [(row for _, row in part) for part in sound]
            return Made(iter(()), reduce(lambda a, b: as_one(a, b, CSV_PLACES), map(together, lines)), whole)
        return Made(heapq.merge(*sound, key=_first), iter(()), whole)


def _first(entry: tuple[int, str]) -> int:
    return entry[0]


class LaneReader:
    """One file, gone through once for each part of its lanes."""

    def __init__(self, file: int, variant: pcap.Variant, rows: bool, keylog: bytes, server_key: bytes) -> None:
        self._file = file
        self._rows = rows
        self._variant = variant
        self._secrets = keylog, server_key
        self._kinds: dict[bytes, Kind | None] = {}
        self._last = 0  # the number of the file's last packet
        self.evicted = 0  # conversations

    def part(self, lanes: frozenset[int], spool: bool) -> Entries | None:
        """Returns the conversations, or the rows, of some lanes; put away, if so wished, so that others find room."""
        found = self._lines(lanes)
        if found is None or not spool:
            return found
        away = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n")  # noqa: SIM115 - as long as it is read
        away.writelines(f"{first} {line}\n" for first, line in found)
        away.seek(0)
        return ((int(line[: line.index(" ")]), line[line.index(" ") + 1 : -1]) for line in away)

    def _lines(self, lanes: frozenset[int]) -> Entries | None:
        read = self._read(lanes)
        if read is None:
            return None
        columns, options, odd = read
        order, starts = grouped(columns, odd)
        columns = Columns(*(column[order] for column in columns))
        groups, plain = self._judged(columns, options, starts)
        if sum(end - begin for begin, end in plain) > len(order) * _MOST_PLAIN:
            return None
        ready = self._plainly(columns, plain, odd, groups, lanes)
        if ready is None:
            return None
        if self._rows:
            return rows(columns, groups, [row for _, row in ready])
        return heapq.merge(ready, filled(columns, groups), key=_first)

    # Reading.

    def _read(self, lanes: frozenset[int]) -> tuple[Columns, dict[int, bytes], list[Odd]] | None:
        """Returns the segments of some lanes, the options of SYNs by packet number, and what is no usual segment."""
        mine = np.array([lane in lanes for lane in range(LANES)])
        parts: list[tuple[Array, ...]] = []
        options: dict[int, bytes] = {}
        odd: list[Odd] = []
        fragments = Fragments((NUMBER,))
        offset, number, rest, others = pcap.FILE_HEADER, 0, b"", 0
        captured_of = struct.Struct(self._variant.order + "I").unpack_from
        while True:
            fresh = os.pread(self._file, _WINDOW, offset + len(rest))
            buffer = rest + fresh
            end, at, starts = len(buffer), 0, list[int]()
            append = starts.append
            while at + 16 <= end:
                stop = at + 16 + captured_of(buffer, at + 8)[0]
                if stop > end:
                    break
                append(at)
                at = stop
            if starts:
                taken = usual(buffer, np.array([*starts, at]), number, offset, mine, self._variant, options)
                if taken is None:
                    return None
                parts.append(taken[0])
                for index in taken[1]:
                    begin, after = starts[index], starts[index + 1] if index + 1 < len(starts) else at
                    frame = Frame(number + index + 1, None, buffer[begin + 16 : after], after - begin - 16)
                    what, pair = segment(frame), b""
                    others += isinstance(what, Segment) or what is FRAGMENT
                    if what is FRAGMENT:  # whose it is only its whole packet tells
                        whole = fragments.add(frame)
                        what = segment(whole) if whole else what
                    if isinstance(what, Segment | Quoted):
                        pair = what.pair
                        if not mine[(what.source_port ^ what.destination_port) % LANES]:
                            continue
                    elif what is not FRAGMENT and not (self._rows and 0 in lanes):
                        continue
                    odd.append(Odd(frame.number, offset + begin, pair))
                number += len(starts)
                if others > number * _MOST_ODD:
                    return None
            elif len(buffer) > pcap.MAX_CAPTURED + 16:
                return None  # a length that can't be true
            offset, rest = offset + at, buffer[at:]
            if not fresh:
                if rest:
                    return None  # cut short
                self._last = number
                joined = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else []
                return (Columns(*joined), options, odd) if joined else None

    def _frame(self, number: int, record: int) -> Frame:
        seconds, fraction, captured, length = struct.unpack(
            self._variant.order + "IIII", os.pread(self._file, 16, record)
        )
        time = seconds * 1_000_000_000 + fraction * self._variant.tick
        return Frame(number, time, os.pread(self._file, captured, record + 16), length)

    # Judging.

    def _judged(
        self, columns: Columns, options: dict[int, bytes], starts: Array
    ) -> tuple[list[Group], list[tuple[int, int]]]:
        """Returns the conversations that go by the book, with their kinds, and the places of all others."""
        told, by_the_book = tokens(columns, starts)
        raw = told.tobytes()
        bounds = [*starts.tolist(), len(told)]
        groups: list[Group] = []
        plain: list[tuple[int, int]] = []
        answers = first_answers(told, starts)
        numbers = columns.number
        for at, (fits, answer) in enumerate(zip(by_the_book.tolist(), answers.tolist(), strict=True)):
            begin, end = bounds[at], bounds[at + 1]
            if not fits or int(numbers[end - 1]) - int(numbers[begin]) > _LONGEST:
                plain.append((begin, end))
                continue
            key = raw[2 * begin : 2 * end] + options[int(numbers[begin])]
            if answer >= 0:
                key += b"/" + options[int(numbers[answer])]
            if key not in self._kinds:
                self._kinds[key] = self._kind(columns, begin, end)
            found = self._kinds[key]
            if found is None:
                plain.append((begin, end))
            else:
                groups.append(Group(begin, end, answer, found))
        return groups, plain

    def _kind(self, columns: Columns, begin: int, end: int) -> Kind | None:
        """Asks the engine, twice; None where it makes a difference how far apart the packets are."""
        frames = [self._frame(int(columns.number[at]), int(columns.record[at])) for at in range(begin, end)]
        near, far = (self._told(frames, apart) for apart in (1, _APART))
        return near if near and far and near[2:] == far[2:] else None

    def _told(self, frames: list[Frame], apart: int) -> Kind | None:
        path = Path(TRANSPORT, UPPERS)
        records = list(path.settled(frame._replace(number=at * apart + 1) for at, frame in enumerate(frames)))
        if len(path.conversations) != 1 or path.conversations[0].carries:
            return None
        return kind(path.conversations[0], apart, tuple(words(record) for record in records))

    # Packet by packet.

    def _plainly(
        self,
        columns: Columns,
        plain: list[tuple[int, int]],
        odd: list[Odd],
        groups: list[Group],
        lanes: frozenset[int],
    ) -> Entries | None:
        """Annotates what does not go by the book; None where nobody can be sure which conversations are let go of."""
        records = {
            (int(columns.number[at]), int(columns.record[at])) for begin, end in plain for at in range(begin, end)
        }
        records |= {(each.number, each.record) for each in odd}
        gone: list[tuple[int, str]] = []

        def let_go(which: Any) -> None:
            gone.append((which.first, dump(entry(which))))
            self.evicted += which.evicted

        def mine(frame: Frame) -> bool | None:
            found = segment(frame)
            if found is FRAGMENT:
                return None
            if not isinstance(found, Segment | Quoted):
                return 0 in lanes
            return (found.source_port ^ found.destination_port) % LANES in lanes

        path = Path(TRANSPORT, UPPERS, let_go, elsewhere(columns, groups))
        path.learn(*self._secrets)
        frames = (self._frame(number, record) for number, record in sorted(records))
        found = in_order(
            path.annotate(frames, keep_frames=False, mine=mine, last=self._last), path.undecided, forget=True
        )
        try:
            rows = [(0, row) for row in csv_rows(found)] if self._rows else [(0, "") for _ in found]
        except UnsureError:
            return None
        if self._rows:
            return iter(rows)
        here = ((which.first, dump(entry(which))) for which in path.conversations)
        return heapq.merge(sorted(gone), here, key=_first)
