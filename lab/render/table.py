"""The trace for other programs: JSON as one document or a line each, CSV, and conversations. All of it streams."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from lab.dissect.conversations import Conversation
from lab.model import Rung, States
from lab.render import trace

Write = Callable[[str], object]

CSV_HEADER = "number,time,conversation,from,flags,seq,ack,payload,client_state,server_state,labels,steps\n"
_AT_ONCE = 512  # lines written together where nobody watches them come


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


def as_csv(rungs: Iterable[Rung], write: Write, at_once: int = _AT_ONCE) -> None:
    """Writes a packet a row, header first; lists within a field are parted by spaces. No field needs quoting."""
    lines = [CSV_HEADER]
    add = lines.append
    words: dict[tuple[str, ...], str] = {}
    flags: dict[int, str] = {}
    both: dict[States, str] = {}
    second, when = None, ""
    for rung in rungs:
        time = ""
        if rung.time is not None:
            digits = str(rung.time)
            if digits[:-9] != second:
                second, when = digits[:-9], str(trace.time(rung.time))[:-10]
            time = f"{when}{digits[-9:]:0>9}Z"
        labels = words.get(rung.labels)
        if labels is None:
            labels = words[rung.labels] = " ".join(rung.labels)
        segment, end, held = rung.segment, rung.end, rung.held
        if segment is None or rung.conversation is None or end is None or held is None:
            add(f"{rung.number},{time},,,,,,,,,{labels},\n")
        else:
            bits = flags.get(segment.flags)
            if bits is None:
                bits = flags[segment.flags] = " ".join(trace.flag_names(segment.flags))
            states = both.get(held)
            if states is None:
                states = both[held] = f"{held.client or ''},{held.server or ''}"
            ack, steps = rung.ack, rung.steps
            add(
                f"{rung.number},{time},{rung.conversation.id},{end.role},{bits},{rung.seq},"
                f"{'' if ack is None else ack},{segment.payload},{states},{labels},{' '.join(steps) if steps else ''}\n"
            )
        if len(lines) >= at_once:
            write("".join(lines))
            lines.clear()
    write("".join(lines))


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
