"""The trace for other programs: JSON as one document or a line each, CSV, and conversations. All of it streams."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from lab.dissect.conversations import Conversation
from lab.model import Rung, States
from lab.render import trace

Write = Callable[[str], object]

CSV_HEADER = "number,time,conversation,from,flags,seq,ack,payload,client_state,server_state,labels,steps\n"
_SECOND = 1_000_000_000  # nanoseconds
AT_ONCE = 512  # lines written together where nobody watches them come


def as_json(
    rungs: Iterable[Rung], conversations: list[Conversation], about: Callable[[], dict[str, Any]], write: Write
) -> None:
    """Writes the whole trace as one document, packets first. `about` is asked for the file's entry at the end."""
    write(f'{{"schema": {_dump(trace.SCHEMA)},\n"packets": [')
    before = "\n"
    for rung in rungs:
        write(before + _dump(trace.packet(rung)))
        before = ",\n"
    write('\n],\n"conversations": [')
    before = "\n"
    for which in conversations:
        write(before + _dump(trace.conversation(which)))
        before = ",\n"
    write('\n],\n"file": ' + _dump(about()) + "}\n")


def as_ndjson(rungs: Iterable[Rung], write: Write) -> None:
    """Writes a packet a line."""
    for rung in rungs:
        write(_dump(trace.packet(rung)) + "\n")


def as_conversations(rungs: Iterable[Rung], conversations: list[Conversation], write: Write) -> None:
    """Writes a conversation a line, when the file is over."""
    for _ in rungs:
        pass
    for which in conversations:
        write(_dump(trace.conversation(which)) + "\n")


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
            yield f"{rung.number},{time},,,,,,,,,{' '.join(rung.labels)},\n"
            continue
        key = end.role, segment.flags, held, rung.labels, rung.steps
        words = said.get(key)
        if words is None:
            words = said[key] = _words(*key)
        head, tail = words
        ack = rung.ack
        yield (
            f"{rung.number},{time},{rung.conversation.id}{head}{rung.seq},{'' if ack is None else ack},"
            f"{segment.payload}{tail}"
        )


def _words(role: str, flags: int, held: States, labels: tuple[str, ...], steps: tuple[str, ...]) -> tuple[str, str]:
    """Returns what stands in a row before the numbers of the stream, and behind them."""
    states = f"{held.client or ''},{held.server or ''}"
    return f",{role},{' '.join(trace.flag_names(flags))},", f",{states},{' '.join(labels)},{' '.join(steps)}\n"


def as_csv(rows: Iterable[str], write: Write, at_once: int = AT_ONCE) -> None:
    """Writes a packet a row, header first, `at_once` rows together."""
    write(CSV_HEADER)
    write_rows(rows, write, at_once)


def write_rows(rows: Iterable[str], write: Write, at_once: int = AT_ONCE) -> None:
    """Writes rows, `at_once` together: writing costs more than making one."""
    lines: list[str] = []
    for row in rows:
        lines.append(row)
        if len(lines) >= at_once:
            write("".join(lines))
            lines.clear()
    write("".join(lines))


def as_one(ours: Iterable[str], theirs: Iterable[str]) -> Iterator[str]:
    """Yields the rows of two halves of a capture in the order of packets, conversations numbered anew in that order."""
    names: tuple[dict[str, int], dict[str, int]] = {}, {}
    halves = _taken_apart(ours), _taken_apart(theirs)
    heads = [next(half) for half in halves]
    count = 0
    while True:
        which = 0 if heads[0][0] < heads[1][0] else 1
        number, time, name, rest = heads[which]
        if not rest:
            return
        if name:
            if name not in names[which]:
                names[which][name] = count
                count += 1
            yield f"{number},{time},{names[which][name]},{rest}"
        else:
            yield f"{number},{time},,{rest}"
        heads[which] = next(halves[which])


def _taken_apart(rows: Iterable[str]) -> Iterator[tuple[float, str, str, str]]:
    """Yields each row's number, time, conversation and the rest; behind the last row infinity and nothing."""
    for row in rows:
        number, time, name, rest = row.split(",", 3)
        yield int(number), time, name, rest
    yield float("inf"), "", "", ""


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
