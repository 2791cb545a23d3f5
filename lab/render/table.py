"""The trace as CSV: a packet a row, header first. Lists within a field are parted by spaces; no field needs quoting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lab.engine.record import Record
from lab.model import States
from lab.protocols import registry
from lab.render.rows import AT_ONCE, Write, as_lines
from lab.render.trace import time as written

CSV_HEADER = (
    "number,time,conversation,from,flags,seq,ack,payload,client_state,server_state,labels,steps,"
    "client_delivered,server_delivered\n"
)
_flags = registry.TRANSPORT.flags
_SECOND = 1_000_000_000  # nanoseconds
_MOST_SAID = 4096  # ways to say what stands around a packet's numbers: who makes them up never runs out


def csv_rows(records: Iterable[Record]) -> Iterator[str]:
    """Yields each packet's row, of the engine's record of it, as it is now."""
    said: dict[tuple[Any, ...], tuple[str, str]] = {}  # few packets say what none has said before
    begin, when = 0, str(written(0))[:-10]
    for record in records:
        time, moment = "", record.time
        if moment is not None:
            fraction = moment - begin
            if not 0 <= fraction < _SECOND:
                fraction = moment % _SECOND
                begin, when = moment - fraction, str(written(moment))[:-10]
            time = f"{when}{fraction:09}Z"
        which, end, held, segment = record.conversation, record.end, record.held, record.segment
        if which is None or end is None or held is None:
            yield f"{record.number},{time},,,,,,,,,{' '.join(record.labels)},,,"
            continue
        key = end.role, _flags(segment), held, record.delivered, record.labels, record.steps
        known = said.get(key)
        if known is None:
            if len(said) == _MOST_SAID:
                said.clear()
            known = said[key] = around(*key)
        head, tail = known
        ack = record.ack
        yield (
            f"{record.number},{time},{which.id}{head}{record.seq},{'' if ack is None else ack},{segment.payload}{tail}"
        )


def words(record: Record) -> tuple[str, str]:
    """Returns what stands in a packet's row before the numbers of the stream, and behind them."""
    assert record.end is not None
    assert record.held is not None
    held, delivered = record.held, record.delivered
    return around(record.end.role, _flags(record.segment), held, delivered, record.labels, record.steps)


def around(
    role: str, flags: tuple[str, ...], held: States, delivered: States | None, labels: tuple[str, ...],
    steps: tuple[str, ...],
) -> tuple[str, str]:  # fmt: skip
    before, after = (f"{states.client or ''},{states.server or ''}" if states else "," for states in (held, delivered))
    return f",{role},{' '.join(flags)},", f",{before},{' '.join(labels)},{' '.join(steps)},{after}"


def as_csv(lines: Iterable[str], write: Write, at_once: int = AT_ONCE) -> None:
    """Writes a packet a row, header first, `at_once` rows together."""
    write(CSV_HEADER)
    as_lines(lines, write, at_once)
