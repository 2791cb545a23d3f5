"""The trace for other programs, packet by packet: what `--format json` writes (schema handshake-lab/trace/v1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from time import gmtime, strftime
from typing import Any

from lab.engine.record import Record, Told
from lab.model import Above, Message, Packet, Remark, States
from lab.protocols import registry
from lab.render.encoding import encoded, escaped
from lab.render.rows import AT_ONCE, Write, together
from lab.report.packets import packet as packet_of

_flags = registry.TRANSPORT.flags
SCHEMA = "handshake-lab/trace/v1"
_SECOND = 1_000_000_000  # nanoseconds
_MOST_KNOWN = 4096  # beginnings and ends of lines


def packet(found: Packet) -> dict[str, Any]:
    """Returns one packet's entry."""
    entry: dict[str, Any] = {
        "number": found.number,
        "time": time(found.time),
        "conversation": found.conversation,
        "from": found.sender,
        "flags": list(found.flags),
        "seq": found.seq,
        "ack": found.ack,
        "seq_raw": found.seq_raw,
        "ack_raw": found.ack_raw,
        "window": found.window,
        "payload": found.payload,
        "labels": list(found.labels),
        "messages": [_message(each) for each in found.messages],
        "states": None
        if found.sender is None
        else {"held": _states(found.held), "delivered": _states(found.delivered)},
        "kernel": None,
        "fate": found.fate,
        "by": found.by,
        "steps": list(found.steps),
    }
    if found.kernel_held or found.kernel_delivered:
        entry["kernel"] = {"held": _states(found.kernel_held), "delivered": _states(found.kernel_delivered)}
    if found.above:
        entry["above"] = _above(found.above)
    if found.quotes is not None:
        entry |= {"answers": found.answers, "quotes": found.quotes}
    if found.remarks:
        entry["remarks"] = [remark(each) for each in found.remarks]
    if found.refused:
        entry["refused"] = found.refused.facts()
    if found.surprises:
        entry["surprises"] = [surprise._asdict() for surprise in found.surprises]
    return entry


def packet_lines(records: Iterable[Record]) -> Iterator[str]:
    """Yields each packet's JSON object in a line, without its end, of the engine's record of it, as it is now.

    It is to the byte what `dump` makes of `packet`. But for numbers, few packets say what none has said before: so
    their lines are pieced together.
    """
    known: dict[tuple[Any, ...], tuple[str, str, str]] = {}
    begin, second = 0, str(time(0))[:-10]
    for each in records:
        which, end, held, moment = each.conversation, each.end, each.held, each.time
        if which is None or end is None or held is None or moment is None or each.kernel_held or (
            each.kernel_delivered or each.verdict or each.remarks or each.surprises
        ):  # fmt: skip
            yield dump(packet(packet_of(each)))
            continue
        fraction = moment - begin
        if not 0 <= fraction < _SECOND:
            fraction = moment % _SECOND
            begin, second = moment - fraction, str(time(moment))[:-10]
        segment, ack, messages, above = each.segment, each.ack, each.messages, each.above
        key = end.role, _flags(segment), each.labels, held, each.delivered, each.settled, each.by, each.got, each.steps
        around = known.get(key)
        if around is None:
            if len(known) >= _MOST_KNOWN:
                known.clear()
            around = known[key] = around_numbers(packet_of(each))
        head, labels, tail = around
        acks = f'null,"seq_raw":{segment.seq},"ack_raw":null' if ack is None else (
            f'{ack},"seq_raw":{segment.seq},"ack_raw":{segment.ack}'
        )  # fmt: skip
        yield (
            f'{{"number":{each.number},"time":"{second}{fraction:09}Z","conversation":{which.id}{head}{each.seq},'
            f'"ack":{acks},"window":{segment.window},"payload":{segment.payload}{labels}'
            f"{','.join(map(_message_line, messages)) if messages else ''}{tail}"
            f"{above_line(above) if above else '}'}"
        )


def around_numbers(found: Packet) -> tuple[str, str, str]:
    """Returns what stands in a packet's line around its numbers: before those of the stream, behind them up to its
    messages, and behind these."""
    line = dump(packet(found._replace(messages=(), above=())))
    numbers, labels, messages = (line.index(key) for key in ('"seq":', ',"labels":', '"messages":['))
    return (
        line[line.index(',"from":') : numbers + len('"seq":')],
        line[labels : messages + len('"messages":[')],
        line[messages + len('"messages":[') : -1],
    )


def _message_line(told: Told) -> str:
    layer, said = told
    if layer is None:
        protocol, facts = said.protocol, said.facts
    else:
        protocol, facts = layer.protocol.name, layer.protocol.message_facts(said)
    line = message_line(protocol, said.name, said.spans)
    return f"{line[:-1]},{dump(dict(facts))[1:]}" if facts else line


def message_line(protocol: str, name: str, spans: Iterable[tuple[str, int, int, int]]) -> str:
    """Returns the entry of a message of which no more is to be said than where it lies."""
    said = [
        f'{{"buffer":"{buffer}","number":{number},"start":{start},"end":{end}}}' for buffer, number, start, end in spans
    ]
    return f'{_named(protocol, name)}"spans":[{",".join(said)}]}}'


@lru_cache(1024)
def _named(protocol: str, name: str) -> str:
    return dump({"protocol": protocol, "name": name})[:-1] + ","


@lru_cache(1024)
def above_line(above: tuple[Above, ...]) -> str:
    """Returns the end of a packet's line, with the states of protocols above the transport."""
    return "," + dump({"above": _above(above)})[1:]


def _above(above: tuple[Above, ...]) -> list[dict[str, Any]]:
    return [
        {"protocol": name, "states": {"held": _states(held), "delivered": _states(delivered)}}
        for name, held, delivered in above
    ]


def as_json(
    packets: Iterable[str], conversations: Iterable[tuple[int, str]], about: Callable[[], dict[str, Any]], write: Write,
    at_once: int = AT_ONCE,
) -> None:  # fmt: skip
    """Writes the whole trace as one document, packets first. `about` is asked for the file's entry at the end."""
    write(f'{{"schema": {dump(SCHEMA)},\n"packets": [\n')
    _write_entries(packets, write, at_once)
    write('\n],\n"conversations": [\n')
    _write_entries((line for _, line in conversations), write, AT_ONCE)
    write('\n],\n"file": ' + dump(about()) + "}\n")


def _write_entries(lines: Iterable[str], write: Write, at_once: int) -> None:
    before = ""
    for some in together(lines, at_once):
        write(before + ",\n".join(some))
        before = ",\n"


def parted(lines: Iterable[str]) -> Iterator[str]:
    """Yields lines with what stands between a list's entries."""
    before = ""
    for line in lines:
        yield before + line
        before = ",\n"


def _message(message: Message) -> dict[str, Any]:
    spans = [span._asdict() for span in message.spans]
    return {"protocol": message.protocol, "name": message.name, "spans": spans, **message.facts}


def remark(found: Remark) -> dict[str, Any]:
    """Returns the entry of bytes that are told and no message."""
    spans = [span._asdict() for span in found.spans]
    return {"name": found.name, "spans": spans, "en": found.words.en, "zh": found.words.zh}


@lru_cache(1024)
def _states(states: States | None) -> dict[str, str | None] | None:
    return states._asdict() if states else None


def time(nanoseconds: int | None) -> str | None:
    """Returns a time as ISO 8601 in UTC with nine digits; None where the file has none."""
    if nanoseconds is None:
        return None
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{_second(seconds)}.{rest:09d}Z"


@lru_cache(4)
def _second(seconds: int) -> str:
    """Consecutive packets share their second: formatting it once is most of the work saved."""
    try:
        return strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds))
    except (ValueError, OverflowError, OSError):  # a clock beyond the calendar
        return "9999-12-31T23:59:59"


# Controls, bidirectional ones too, that JSON may hold as they are: whoever looks at it on a terminal should not obey.
_STEERING = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def dump(value: object) -> str:
    """Returns a value as JSON in a line, with nothing in it that steers a terminal."""
    text = encoded(value)
    if (text.isascii() and "\x7f" not in text) or text.isprintable():  # nothing that steers is printable
        return text
    return _STEERING.sub(lambda found: escaped(found.group())[1:-1] if found.group() > "\x7f" else "\\u007f", text)
