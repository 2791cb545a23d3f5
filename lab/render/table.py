"""The trace for other programs: JSON as one document or a line each, CSV, and conversations. All of it streams."""

from __future__ import annotations

import heapq
import json
import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from lab.model import Rung, States
from lab.protocols.tcp.conversations import Conversation
from lab.render import trace

Write = Callable[[str], object]

CSV_HEADER = "number,time,conversation,from,flags,seq,ack,payload,client_state,server_state,labels,steps\n"
_SECOND = 1_000_000_000  # nanoseconds
AT_ONCE = 512  # lines written together where nobody watches them come


def packet_lines(rungs: Iterable[Rung]) -> Iterator[str]:
    """Yields a packet's JSON object in a line, without its end."""
    for rung in rungs:
        yield dump(trace.packet(rung))


def conversation_line(which: Conversation) -> str:
    """Returns a conversation's JSON object in a line, without its end."""
    return dump(trace.conversation(which))


def as_json(
    packets: Iterable[str], conversations: Iterable[tuple[int, str]], about: Callable[[], dict[str, Any]], write: Write,
    at_once: int = AT_ONCE,
) -> None:  # fmt: skip
    """Writes the whole trace as one document, packets first. `about` is asked for the file's entry at the end."""
    write(f'{{"schema": {dump(trace.SCHEMA)},\n"packets": [\n')
    write_rows(_parted(packets), write, at_once)
    write('\n],\n"conversations": [\n')
    write_rows(_parted(line for _, line in conversations), write)
    write('\n],\n"file": ' + dump(about()) + "}\n")


def _parted(lines: Iterable[str]) -> Iterator[str]:
    before = ""
    for line in lines:
        yield before + line
        before = ",\n"


def as_lines(lines: Iterable[str], write: Write, at_once: int = AT_ONCE) -> None:
    """Writes an object a line."""
    write_rows((line + "\n" for line in lines), write, at_once)


def csv_rows(rungs: Iterable[Rung]) -> Iterator[str]:
    """Yields a packet's row; lists within a field are parted by spaces. No field needs quoting."""
    said: dict[tuple[Any, ...], tuple[str, str]] = {}  # few packets say what none has said before
    begin, when = 0, str(trace.time(0))[:-10]
    for rung in rungs:
        time = ""
        if rung.time is not None:
            fraction = rung.time - begin
            if not 0 <= fraction < _SECOND:
                fraction = rung.time % _SECOND
                begin, when = rung.time - fraction, str(trace.time(rung.time))[:-10]
            time = f"{when}{fraction:09}Z"
        segment, end, held = rung.segment, rung.end, rung.held
        if segment is None or rung.conversation is None or end is None or held is None:
            yield f"{rung.number},{time},,,,,,,,,{' '.join(rung.labels)},"
            continue
        key = end.role, segment.flags, held, rung.labels, rung.steps
        around = said.get(key)
        if around is None:
            around = said[key] = _words(*key)
        head, tail = around
        ack = rung.ack
        yield (
            f"{rung.number},{time},{rung.conversation.id}{head}{rung.seq},{'' if ack is None else ack},"
            f"{segment.payload}{tail}"
        )


def words(rung: Rung) -> tuple[str, str]:
    """Returns what stands in a TCP packet's row before the numbers of the stream, and behind them."""
    assert rung.end
    assert rung.segment
    assert rung.held
    return _words(rung.end.role, rung.segment.flags, rung.held, rung.labels, rung.steps)


def _words(role: str, flags: int, held: States, labels: tuple[str, ...], steps: tuple[str, ...]) -> tuple[str, str]:
    """Returns what stands in a row before the numbers of the stream, and behind them."""
    states = f"{held.client or ''},{held.server or ''}"
    return f",{role},{' '.join(trace.flag_names(flags))},", f",{states},{' '.join(labels)},{' '.join(steps)}"


def as_csv(rows: Iterable[str], write: Write, at_once: int = AT_ONCE) -> None:
    """Writes a packet a row, header first, `at_once` rows together."""
    write(CSV_HEADER)
    as_lines(rows, write, at_once)


def write_rows(rows: Iterable[str], write: Write, at_once: int = AT_ONCE) -> None:
    """Writes rows, `at_once` together: writing costs more than making one."""
    lines: list[str] = []
    for row in rows:
        lines.append(row)
        if len(lines) >= at_once:
            write("".join(lines))
            lines.clear()
    write("".join(lines))


class Places(NamedTuple):
    """Where a row has its packet's number, which ends at a comma, and its conversation's, or `without` instead."""

    number: int  # the index of its first digit
    conversation: str  # what stands before the conversation's number; empty: two commas
    without: str


CSV_PLACES = Places(0, "", "")
JSON_PLACES = Places(len('{"number":'), '"conversation":', "null")


def as_one(ours: Iterable[str], theirs: Iterable[str], places: Places) -> Iterator[str]:
    """Yields the rows of two halves of a capture in the order of packets, conversations numbered anew in that order.

    In each half conversations are numbered from 0 in the order of their first rows.
    """
    names: tuple[array[int], array[int]] = array("I"), array("I")
    halves = iter(ours), iter(theirs)
    begin, before, without = places
    size = len(before)
    rows = [next(half, "") for half in halves]
    numbers = [_number(row, begin) for row in rows]
    count = 0
    while True:
        which = 0 if numbers[0] < numbers[1] else 1
        row = rows[which]
        if not row:
            return
        at = row.index(before, begin) + size if before else row.index(",", row.index(",") + 1) + 1
        end = row.index(",", at)
        name = row[at:end]
        if name != without:
            own, known = int(name), names[which]
            if own == len(known):
                known.append(count)
                count += 1
            if known[own] != own:
                row = f"{row[:at]}{known[own]}{row[end:]}"
        yield row
        row = rows[which] = next(halves[which], "")
        numbers[which] = _number(row, begin)


def conversations_as_one(
    ours: Iterable[tuple[int, str]], theirs: Iterable[tuple[int, str]]
) -> Iterator[tuple[int, str]]:
    """Yields the conversations of two halves in the order of their first packets, numbered anew in that order."""
    for count, (first, line) in enumerate(heapq.merge(ours, theirs, key=_first)):
        yield first, f'{{"id":{count}{line[line.index(",") :]}'


def _first(entry: tuple[int, str]) -> int:
    return entry[0]


_OVER = 1 << 63  # a number that no packet has


def _number(row: str, begin: int) -> int:
    return int(row[begin : row.index(",", begin)]) if row else _OVER


# Controls, bidirectional ones too, that JSON may hold as they are: whoever looks at it on a terminal should not obey.
_STEERING = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def dump(value: object) -> str:
    """Returns a value as JSON in a line, with nothing in it that steers a terminal."""
    try:
        text = orjson.dumps(value).decode()
    except TypeError:  # what JSON can say and orjson can't: half a surrogate pair
        return json.dumps(value, separators=(",", ":"))
    if text.isascii() and "\x7f" not in text:
        return text
    return _STEERING.sub(lambda found: json.dumps(found.group())[1:-1] if found.group() > "\x7f" else "\\u007f", text)
