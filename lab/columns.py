"""Of a large file most conversations go by the book, and many go alike: the engine judges one of each kind.

Packets are read in columns. A conversation goes by the book where each segment begins where its sender's last one
ended, and acknowledges all that the other end has sent, or what it did before; where checksums are right, and nothing
is reset, cut or carried that has a protocol of its own. What it is then depends on its kind alone: who sends, which
flags, whether data, which of the two acknowledgements, how the window goes, which options. Of each kind one is
annotated as any other, twice, with its packets close together and far apart; where both say the same, so do all of that
kind, but for numbers, addresses and ports. Everything else is annotated packet by packet. There is no second opinion
here on what a packet means: the tables stay the only one (tests/test_columns.py holds both against each other).
"""

from __future__ import annotations

import heapq
import os
import re
import struct
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache, reduce
from ipaddress import ip_address
from operator import itemgetter
from pathlib import Path as File
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lab.capture import pcap
from lab.dissect.conversations import LANES, Conversation, Elsewhere, UnsureError
from lab.dissect.fragments import Fragments
from lab.dissect.segment import FRAGMENT, TCP, segment
from lab.model import LINKTYPE_ETHERNET, Frame, Segment
from lab.path import Path, in_order
from lab.protocols import UPPER
from lab.render import trace
from lab.render.table import CSV_PLACES, as_one, conversation_line, csv_rows, dump, words

Array = npt.NDArray[Any]
Entries = Iterator[tuple[int, str]]

_VERSION = (2, 4)  # of pcap; older ones have rules of their own
_SHOWN = 65_536  # rows made at a time
_WINDOW = 4 << 20  # bytes read at a time
_AT_ONCE = 55 << 20  # bytes of a file whose columns are kept at a time: of more, lanes are taken in turn
_HEADERS = 54  # bytes of Ethernet, IPv4 without options and TCP
_LOOK = 64  # bytes of a payload by which a protocol is recognised
_LEAST_LARGE = 1220  # bytes: larger payloads are held against the MSS
_MOST_PLAIN = 0.3  # of them: where more do not go by the book, neither
_MOST_ODD = 0.1  # of the packets: where more are not read in columns, nothing is gained
_SYN, _RST, _ACK, _FIN = 0x02, 0x04, 0x10, 0x01
_FIRST = np.zeros(256, bool)
_FIRST[[byte for upper in UPPER for byte in upper.first]] = True


class _Columns(NamedTuple):
    """Usual TCP segments of some lanes, in the order of the file or conversation by conversation."""

    number: Array
    time: Array  # nanoseconds since 1970
    record: Array  # the file offset of its record
    addresses: Array  # source and destination
    ports: Array
    seq: Array
    ack: Array
    flags: Array
    window: Array
    payload: Array
    plain: Array  # its conversation is to be annotated packet by packet


class _Odd(NamedTuple):
    """A TCP segment, or a fragment, that is not read in columns. Without a pair it completes no packet."""

    number: int
    record: int
    pair: bytes


class _Kind(NamedTuple):
    """What the engine says of one conversation of a kind: the entry, with holes, and which values fill them."""

    format: str
    pick: Callable[[tuple[object, ...]], tuple[object, ...]]
    over: bool
    told: str  # all of it, to compare
    words: tuple[tuple[str, str], ...]  # of each packet: what stands in its row before and behind the numbers


class _Group(NamedTuple):
    """A conversation that goes by the book: its packets are `begin` to before `end` in the sorted columns."""

    begin: int
    end: int
    answer: int  # the first packet from its other end; -1 where there is none
    kind: _Kind


class Made(NamedTuple):
    """First packet and line of each conversation, in order of first packets, or the packets' rows; and how many
    conversations were let go of unfinished."""

    entries: Entries
    rows: Iterator[str]
    evicted: int


def made(file: str, lanes: frozenset[int], rows: bool, keylog: bytes = b"", server_key: bytes = b"") -> Made | None:
    """Returns the conversations in these lanes of a pcap file, not numbered, or the rows of its packets (CSV).

    Of what is no TCP, lane 0 has the rows. None where the file is none that columns help with: damaged, mostly
    something else, so large that the columns of a single lane were too many, or with too many conversations at a time
    to be sure which ones are let go of.
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
        whole = _Whole(opened.fileno(), variant, rows, keylog, server_key)
        together = _AT_ONCE * LANES // max(os.fstat(opened.fileno()).st_size, 1)
        if not together:
            return None
        each = sorted(lanes)
        parts = [frozenset(each[at : at + together]) for at in range(0, len(each), together)]
        found = [whole.part(part, spool=len(parts) > 1) for part in parts]
        if any(part is None for part in found):
            return None
        sound = [part for part in found if part is not None]
        if rows:
            lines = [(row for _, row in part) for part in sound]
            return Made(iter(()), reduce(lambda a, b: as_one(a, b, CSV_PLACES), lines), whole.evicted)
        return Made(heapq.merge(*sound, key=_first), iter(()), whole.evicted)


def _first(entry: tuple[int, str]) -> int:
    return entry[0]


class _Whole:
    """One file, gone through once for each part of its lanes."""

    def __init__(self, file: int, variant: pcap.Variant, rows: bool, keylog: bytes, server_key: bytes) -> None:
        self._file = file
        self._rows = rows
        self._variant = variant
        self._secrets = keylog, server_key
        self._kinds: dict[bytes, _Kind | None] = {}
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
        order, starts = _grouped(columns, odd)
        columns = _Columns(*(column[order] for column in columns))
        groups, plain = self._judged(columns, options, starts)
        if sum(end - begin for begin, end in plain) > len(order) * _MOST_PLAIN:
            return None
        ready = self._plainly(columns, plain, odd, groups, lanes)
        if ready is None:
            return None
        if self._rows:
            return _rows(columns, groups, [row for _, row in ready])
        return heapq.merge(ready, _filled(columns, groups), key=_first)

    # Reading.

    def _read(self, lanes: frozenset[int]) -> tuple[_Columns, dict[int, bytes], list[_Odd]] | None:
        """Returns the segments of some lanes, the options of SYNs by packet number, and what is no usual segment."""
        mine = np.array([lane in lanes for lane in range(LANES)])
        parts: list[tuple[Array, ...]] = []
        options: dict[int, bytes] = {}
        odd: list[_Odd] = []
        fragments = Fragments()
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
                taken = _usual(buffer, np.array([*starts, at]), number, offset, mine, self._variant, options)
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
                    if isinstance(what, Segment):
                        pair = what.pair
                    elif what is not FRAGMENT and not (self._rows and 0 in lanes):
                        continue
                    odd.append(_Odd(frame.number, offset + begin, pair))
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
                return (_Columns(*joined), options, odd) if joined else None

    def _frame(self, number: int, record: int) -> Frame:
        seconds, fraction, captured, length = struct.unpack(
            self._variant.order + "IIII", os.pread(self._file, 16, record)
        )
        time = seconds * 1_000_000_000 + fraction * self._variant.tick
        return Frame(number, time, os.pread(self._file, captured, record + 16), length)

    # Judging.

    def _judged(
        self, columns: _Columns, options: dict[int, bytes], starts: Array
    ) -> tuple[list[_Group], list[tuple[int, int]]]:
        """Returns the conversations that go by the book, with their kinds, and the places of all others."""
        tokens, by_the_book = _tokens(columns, starts)
        raw = tokens.tobytes()
        bounds = [*starts.tolist(), len(tokens)]
        groups: list[_Group] = []
        plain: list[tuple[int, int]] = []
        answers = _first_answers(tokens, starts)
        numbers = columns.number
        for at, (fits, answer) in enumerate(zip(by_the_book.tolist(), answers.tolist(), strict=True)):
            begin, end = bounds[at], bounds[at + 1]
            if not fits:
                plain.append((begin, end))
                continue
            key = raw[2 * begin : 2 * end] + options[int(numbers[begin])]
            if answer >= 0:
                key += b"/" + options[int(numbers[answer])]
            if key not in self._kinds:
                self._kinds[key] = self._kind(columns, begin, end)
            kind = self._kinds[key]
            if kind is None:
                plain.append((begin, end))
            else:
                groups.append(_Group(begin, end, answer, kind))
        return groups, plain

    def _kind(self, columns: _Columns, begin: int, end: int) -> _Kind | None:
        """Asks the engine, twice; None where it makes a difference how far apart the packets are."""
        frames = [self._frame(int(columns.number[at]), int(columns.record[at])) for at in range(begin, end)]
        near, far = (self._told(frames, apart) for apart in (1, _FAR))
        return near if near and far and near[2:] == far[2:] else None

    def _told(self, frames: list[Frame], apart: int) -> _Kind | None:
        path = Path()
        rungs = list(path.settled(frame._replace(number=at * apart + 1) for at, frame in enumerate(frames)))
        if len(path.conversations) != 1 or path.conversations[0].above is not None:
            return None
        return _kind(path.conversations[0], apart, tuple(words(rung) for rung in rungs))

    # Packet by packet.

    def _plainly(
        self,
        columns: _Columns,
        plain: list[tuple[int, int]],
        odd: list[_Odd],
        groups: list[_Group],
        lanes: frozenset[int],
    ) -> Entries | None:
        """Annotates what does not go by the book; None where nobody can be sure which conversations are let go of."""
        records = {
            (int(columns.number[at]), int(columns.record[at])) for begin, end in plain for at in range(begin, end)
        }
        records |= {(each.number, each.record) for each in odd}
        gone: list[tuple[int, str]] = []

        def let_go(which: Conversation) -> None:
            gone.append((which.first, conversation_line(which)))
            self.evicted += which.evicted

        def mine(frame: Frame) -> bool | None:
            found = segment(frame)
            if found is FRAGMENT:
                return None
            if not isinstance(found, Segment):
                return 0 in lanes
            return (found.source_port ^ found.destination_port) % LANES in lanes

        path = Path(let_go, _elsewhere(columns, groups))
        path.learn(*self._secrets)
        frames = (self._frame(number, record) for number, record in sorted(records))
        rungs = in_order(path.annotate(frames, keep_frames=False, mine=mine, last=self._last), path.undecided)
        try:
            rows = [(0, row) for row in csv_rows(rungs)] if self._rows else [(0, "") for _ in rungs]
        except UnsureError:
            return None
        if self._rows:
            return iter(rows)
        here = ((which.first, conversation_line(which)) for which in path.conversations)
        return heapq.merge(sorted(gone), here, key=_first)


_FAR = 200_000  # packets: farther than any patience with one whose fate is unknown


def _usual(
    buffer: bytes,
    bounds: Array,
    number: int,
    offset: int,
    mine: Array,
    variant: pcap.Variant,
    options: dict[int, bytes],
) -> tuple[tuple[Array, ...], list[int]] | None:
    """Returns the columns of the usual segments among records, and the places of all that are not.

    `bounds` are where the records begin, and where the last ends. None where a record is damaged.
    """
    order, tick = variant.order, variant.tick
    padded = buffer + bytes(_HEADERS + 16)
    bytes_ = np.frombuffer(padded, np.uint8)
    begins, captured = bounds[:-1], np.diff(bounds) - 16
    lengths = _words(padded, order)[begins + 12]
    if (captured > lengths).any() or (captured > pcap.MAX_CAPTURED).any():
        return None
    words, at = _words(padded, ">"), begins + 16
    size, options_at = words[at + 16] >> 16, words[at + 46]
    total, header = size.astype(np.int64), (options_at >> 28).astype(np.int64) * 4
    usual = ((words[at + 12] >> 8) == 0x080045) & ((words[at + 20] & 0x3FFF00FF) == TCP) & (captured >= _HEADERS)
    usual &= (header >= 20) & (header + 20 <= total) & (total + 14 <= captured)
    strange = np.flatnonzero(~usual).tolist()
    ports = words[at + 34]
    usual &= mine[(ports ^ ports >> 16) % LANES]
    at, ports, total, header, bits = at[usual], ports[usual], total[usual], header[usual], options_at[usual]
    payload = total - 20 - header
    flags = bits >> 16 & 0x1FF
    plain = ~_right_checksums(buffer, at + 26, total - 12)
    begun = bytes_[np.minimum(at + 34 + header, len(buffer))]
    for index in np.flatnonzero((payload > 0) & _FIRST[begun]).tolist():
        start = int(at[index]) + 34 + int(header[index])
        data = buffer[start : start + min(_LOOK, int(payload[index]))]
        plain[index] |= any(
            upper.recognise(data, role) is not False
            for upper in UPPER for role in ("client", "server") if data[0] in upper.first
        )  # fmt: skip
    numbers = (np.flatnonzero(usual) + number + 1).astype(np.uint32)
    for index in np.flatnonzero(flags & _SYN).tolist():
        start = int(at[index])
        options[int(numbers[index])] = buffer[start + _HEADERS : start + 34 + int(header[index])]
    addresses = words[at + 26].astype(np.uint64) << np.uint64(32) | words[at + 30]
    records = begins[usual]
    clock = _words(padded, order)
    time = clock[records].astype(np.int64) * 1_000_000_000 + clock[records + 4].astype(np.int64) * tick
    column = (
        numbers, time, (records + offset).astype(np.int64), addresses, ports.astype(np.uint32),
        words[at + 38].astype(np.uint32), words[at + 42].astype(np.uint32), flags.astype(np.uint16),
        (bits & 0xFFFF).astype(np.uint16), payload.astype(np.uint16), plain,
    )  # fmt: skip
    return column, strange


def _words(buffer: bytes, order: str) -> Array:
    """Returns the four bytes from every place on as numbers."""
    return np.ndarray((len(buffer) - 3,), order + "u4", buffer, strides=(1,))


def _right_checksums(buffer: bytes, starts: Array, sizes: Array) -> Array:
    """Returns whether one's complement sums of addresses and segments come out right (RFC 1071), as in segment.py."""
    number = int.from_bytes
    places = zip(starts.tolist(), (starts + sizes).tolist(), strict=True)
    sums = np.array([number(buffer[start:stop], "big") % 0xFFFF for start, stop in places], np.int64)
    right: Array = ((sums << 8 * (sizes & 1)) + TCP + sizes - 8) % 0xFFFF == 0
    return right


def _grouped(columns: _Columns, odd: list[_Odd]) -> tuple[Array, Array]:
    """Returns an order in which conversations stand together, and where in it each begins; marks those of odd pairs."""
    forward = _forward(columns.addresses, columns.ports)
    low = np.where(forward, columns.addresses, _turned(columns.addresses, 32))
    ports = np.where(forward, columns.ports, _turned(columns.ports, 16))
    order = np.lexsort((ports, low))
    low, ports = low[order], ports[order]
    new = np.ones(len(order), bool)
    new[1:] = (low[1:] != low[:-1]) | (ports[1:] != ports[:-1])
    strange = {each.pair for each in odd if len(each.pair) == 12}
    for pair in strange | {pair[4:8] + pair[:4] + pair[10:] + pair[8:10] for pair in strange}:
        addresses, both = struct.unpack("!QI", pair)
        columns.plain[(columns.addresses == addresses) & (columns.ports == both)] = True
    return order, np.flatnonzero(new)


def _forward(addresses: Array, ports: Array) -> Array:
    turned = _turned(addresses, 32)
    forward: Array = (addresses < turned) | ((addresses == turned) & (ports <= _turned(ports, 16)))
    return forward


def _turned(column: Array, half: int) -> Array:
    """Returns numbers with their halves exchanged: the destination first."""
    size = column.dtype.type(half)
    turned: Array = column << size | column >> size
    return turned


def _tokens(columns: _Columns, starts: Array) -> tuple[Array, Array]:
    """Returns what each packet is to the engine, as a number, and which conversations go by the book."""
    count = len(columns.number)
    places = np.arange(count)
    begins = np.repeat(starts, np.diff([*starts, count]))
    other = columns.addresses != columns.addresses[begins]
    other |= columns.ports != columns.ports[begins]  # the two ends of a connection to itself differ in their ports
    before = np.full((2, count), -1)
    for at, these in enumerate((~other, other)):
        latest = np.maximum.accumulate(np.where(these, places, -1))
        before[at, 1:] = latest[:-1]
    mine = np.where(other, before[1], before[0])  # its sender's packet before, and the other end's
    theirs = np.where(other, before[0], before[1])
    spoke, heard = mine >= begins, theirs >= begins
    flags, payload = columns.flags, columns.payload
    syn, ack = (flags & _SYN) > 0, (flags & _ACK) > 0
    taken = payload.astype(np.uint32) + syn + ((flags & _FIN) > 0)
    following = columns.seq + taken
    acks_all = ack & heard & (columns.ack == following[theirs])
    acks_again = ack & spoke & (((flags[mine] & _ACK) > 0) & (columns.ack == columns.ack[mine]))
    fits = np.where(spoke, ~syn & (columns.seq == following[mine]), syn & (payload == 0))
    fits &= np.where(other | spoke, ack & heard & (acks_all | acks_again), ~ack)
    fits &= ((flags & _RST) == 0) & (payload <= _LEAST_LARGE) & ~columns.plain
    same = spoke & (columns.window == columns.window[mine])
    bits = ((other, 0), (acks_all, 12), (acks_again, 13), (columns.window == 0, 14), (same, 15))
    tokens = flags << 1 | np.minimum(payload, 2) << 10
    for bit, at in bits:
        tokens |= bit.astype(np.uint16) << at
    return tokens.astype(np.uint16), np.logical_and.reduceat(fits, starts)


def _first_answers(tokens: Array, starts: Array) -> Array:
    """Returns the place of each conversation's first packet from its other end, -1 where there is none."""
    count = len(tokens)
    answers = np.where(tokens & 1, np.arange(count), count)
    found = np.minimum.reduceat(answers, starts)
    return np.where(found < np.append(starts[1:], count), found, -1)


# What a kind says, with places to be filled.

_HOLE = re.compile('"@([0-9]+)@"')
_VALUES = ("community", "client", "server", "client port", "server port", "client isn", "server isn")  # then packets


def _kind(which: Conversation, apart: int, rows: tuple[tuple[str, str], ...]) -> _Kind:
    """Returns a conversation's entry with holes for what is another in each of its kind."""

    def hole(name: str) -> str:
        return f"@{_VALUES.index(name)}@"

    entry = trace.conversation(which)
    entry["community_id"] = hole("community")
    for end in ("client", "server"):
        entry[end] = {"address": hole(end), "port": hole(f"{end} port")}
        if entry["tcp"][f"{end}_isn"] is not None:
            entry["tcp"][f"{end}_isn"] = hole(f"{end} isn")
    for step in entry["steps"]:
        step["packets"] = [f"@{len(_VALUES) + (number - 1) // apart}@" for number in step["packets"]]
    told = dump(entry)
    return _Kind(
        _HOLE.sub("%s", told.replace("%", "%%")),
        itemgetter(*map(int, _HOLE.findall(told))),
        which.over,
        told,
        rows,
    )


@lru_cache(65_536)
def _host(address: int) -> str:
    return f'"{ip_address(address)}"'


def _filled(columns: _Columns, groups: list[_Group]) -> Entries:
    """Yields the lines of conversations that go by the book, in the order of their first packets."""
    begins = np.array([group.begin for group in groups], np.int64)
    answers = np.array([group.answer for group in groups], np.int64)
    numbers = columns.number
    firsts = (column[begins].tolist() for column in (columns.addresses, columns.ports, columns.seq))
    known = list(zip(groups, *firsts, columns.seq[answers].tolist(), strict=True))
    for at in np.argsort(numbers[begins]).tolist():
        (begin, end, _, kind), addresses, ports, asked, answered = known[at]
        packets = numbers[begin:end].tolist()
        client, server = addresses >> 32, addresses & 0xFFFFFFFF
        values = (
            f'"{_community(addresses, ports)}"', _host(client), _host(server), ports >> 16, ports & 0xFFFF, asked,
            answered, *packets,
        )  # fmt: skip
        yield packets[0], kind.format % kind.pick(values)


def _rows(columns: _Columns, groups: list[_Group], others: list[str]) -> Entries:
    """Yields number and row of each packet: of conversations that go by the book, and of all others.

    Conversations are numbered in the order of their first packets.
    """
    begins, ends, answers = (np.array([group[at] for group in groups], np.int64) for at in range(3))
    sizes = ends - begins
    places = np.repeat(begins - np.append(0, np.cumsum(sizes)[:-1]), sizes) + np.arange(sizes.sum())
    firsts = np.sort(columns.number[begins])
    waiting, begun = _renumbered(others, firsts)
    names = np.searchsorted(firsts, columns.number[begins]) + np.searchsorted(begun, columns.number[begins])
    asked, answered = (np.repeat(columns.seq[at], sizes) for at in (begins, answers))
    back = columns.ports[places] != np.repeat(columns.ports[begins], sizes)
    back |= columns.addresses[places] != np.repeat(columns.addresses[begins], sizes)
    seq = columns.seq[places] - np.where(back, answered, asked)
    ack = columns.ack[places] - np.where(back, asked, answered)
    known: dict[int, int] = {}
    said: list[tuple[str, str]] = []
    for group in groups:
        if id(group.kind) not in known:
            known[id(group.kind)] = len(said)
            said += group.kind.words
    first = np.array([known[id(group.kind)] for group in groups], np.int64)
    word = np.repeat(first, sizes) + places - np.repeat(begins, sizes)
    order = np.argsort(columns.number[places])
    when, second = "", -1
    waiting.reverse()
    nearest = waiting[-1][0] if waiting else _NEVER
    for at in range(0, len(order), _SHOWN):
        these = order[at : at + _SHOWN]
        here = places[these]
        seconds, fractions = np.divmod(columns.time[here], 1_000_000_000)
        acks = (columns.flags[here] & _ACK) > 0
        for number, moment, fraction, name, each, place, has, until, payload in zip(
            columns.number[here].tolist(), seconds.tolist(), fractions.tolist(),
            np.repeat(names, sizes)[these].tolist(), word[these].tolist(), seq[these].tolist(), acks.tolist(),
            ack[these].tolist(), columns.payload[here].tolist(), strict=True,
        ):  # fmt: skip
            while number > nearest:
                yield waiting.pop()
                nearest = waiting[-1][0] if waiting else _NEVER
            if moment != second:
                second, when = moment, str(trace.time(moment * 1_000_000_000))[:-10]
            head, tail = said[each]
            yield number, f"{number},{when}{fraction:09}Z,{name}{head}{place},{until if has else ''},{payload}{tail}"
    while waiting:
        yield waiting.pop()


_NEVER = 1 << 62  # a number that no packet has


def _renumbered(rows: list[str], firsts: Array) -> tuple[list[tuple[int, str]], Array]:
    """Returns the engine's rows with their packets' numbers, and the first packets of its conversations.

    They are numbered anew, among others that have these first packets.
    """
    found: list[tuple[int, str]] = []
    begun: list[int] = []
    names: list[int] = []
    for row in rows:
        number, time, name, rest = row.split(",", 3)
        if name:
            own = int(name)
            if own == len(names):
                begun.append(int(number))
                names.append(own + int(np.searchsorted(firsts, int(number))))
            row = f"{number},{time},{names[own]},{rest}"
        found.append((int(number), row))
    return found, np.array(begun, np.int64)


def _community(addresses: int, ports: int) -> str:
    return trace.community(
        (addresses >> 32).to_bytes(4, "big"), ports >> 16, (addresses & 0xFFFFFFFF).to_bytes(4, "big"), ports & 0xFFFF
    )


def _elsewhere(columns: _Columns, groups: list[_Group]) -> Elsewhere:
    """Returns what must be known of conversations that are not followed, to let go of the same as if they were."""
    found: list[list[tuple[int, int, bool]]] = [[] for _ in range(LANES)]
    for begin, end, _, kind in groups:
        ports = int(columns.ports[begin])
        found[(ports >> 16 ^ ports) % LANES].append(
            (int(columns.number[begin]), int(columns.number[end - 1]), kind.over)
        )
    return Elsewhere(found)
