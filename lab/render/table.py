"""The trace as CSV: a packet a row, header first. Lists within a field are parted by spaces; no field needs quoting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lab.model import Packet, States
from lab.render.rows import AT_ONCE, Write, as_lines
from lab.render.trace import time as written

CSV_HEADER = (
    "number,time,conversation,from,flags,seq,ack,payload,client_state,server_state,labels,steps,"
    "client_delivered,server_delivered\n"
)
_SECOND = 1_000_000_000  # nanoseconds
_MOST_SAID = 4096  # ways to say what stands around a packet's numbers: who makes them up never runs out


def csv_rows(packets: Iterable[Packet]) -> Iterator[str]:
    """Yields a packet's row."""
    said: dict[tuple[Any, ...], tuple[str, str]] = {}  # few packets say what none has said before
    begin, when = 0, str(written(0))[:-10]
    for packet in packets:
        time, moment = "", packet.time
        if moment is not None:
            fraction = moment - begin
            if not 0 <= fraction < _SECOND:
                fraction = moment % _SECOND
                begin, when = moment - fraction, str(written(moment))[:-10]
            time = f"{when}{fraction:09}Z"
        sender, held = packet.sender, packet.held
        if sender is None or held is None:
            yield f"{packet.number},{time},,,,,,,,,{' '.join(packet.labels)},,,"
            continue
        key = sender, packet.flags, held, packet.delivered, packet.labels, packet.steps
        known = said.get(key)
        if known is None:
            if len(said) == _MOST_SAID:
                said.clear()
            known = said[key] = around(*key)
        head, tail = known
        ack = packet.ack
        yield (
            f"{packet.number},{time},{packet.conversation}{head}{packet.seq},{'' if ack is None else ack},"
            f"{packet.payload}{tail}"
        )


def words(packet: Packet) -> tuple[str, str]:
    """Returns what stands in a packet's row before the numbers of the stream, and behind them."""
    assert packet.sender
    assert packet.held
    return around(packet.sender, packet.flags, packet.held, packet.delivered, packet.labels, packet.steps)


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
