"""The trace for other programs: JSON as one document or a line each, CSV, and conversations. All of it streams."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from lab.dissect.conversations import Conversation
from lab.model import Rung
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
    second, when = -1, ""
    for rung in rungs:
        time = ""
        if rung.time is not None:
            seconds, rest = divmod(rung.time, 1_000_000_000)
            if seconds != second:
                second, when = seconds, str(trace.time(rung.time))[:-10]
            time = f"{when}{rest:09d}Z"
        labels = words.get(rung.labels)
        if labels is None:
            labels = words[rung.labels] = " ".join(rung.labels)
        segment = rung.segment
        if segment is None or rung.conversation is None or rung.end is None or rung.held is None:
            add(f"{rung.number},{time},,,,,,,,,{labels},\n")
        else:
            bits = flags.get(segment.flags)
            if bits is None:
                bits = flags[segment.flags] = " ".join(trace.flag_names(segment.flags))
            client, server = rung.held
            add(
                f"{rung.number},{time},{rung.conversation.id},{rung.end.role},{bits},{rung.seq},"
                f"{'' if rung.ack is None else rung.ack},{segment.payload},{client or ''},{server or ''},{labels},"
                f"{' '.join(rung.steps)}\n"
            )
        if len(lines) >= at_once:
            write("".join(lines))
            lines.clear()
    write("".join(lines))


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
