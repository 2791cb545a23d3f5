"""The trace as plain data: what `--format json` writes, packet by packet (schema handshake-lab/trace/v1)."""

from __future__ import annotations

import hashlib
import struct
from binascii import b2a_base64
from functools import lru_cache
from time import gmtime, strftime
from typing import Any

from lab import protocols
from lab.engine.layers import layers_of
from lab.model import FLAGS, Differs, Message, Rung, States, StepReport
from lab.protocols.notes import NoteStep, cast, note, notes
from lab.protocols.tcp import report
from lab.protocols.tcp.conversations import Conversation, End, options
from lab.text import Text

SCHEMA = "handshake-lab/trace/v1"
_TCP = 6
_COMMUNITY = struct.Struct("!BxHH").pack


def packet(rung: Rung) -> dict[str, Any]:
    """Returns one packet's entry."""
    segment, end, conversation = rung.segment, rung.end, rung.conversation
    entry: dict[str, Any] = {
        "number": rung.number,
        "time": time(rung.time),
        "conversation": conversation.id if conversation else None,
        "from": end.role if end else None,
        "flags": list(flag_names(segment.flags)) if segment else [],
        "seq": rung.seq if segment else None,
        "ack": rung.ack,
        "seq_raw": segment.seq if segment else None,
        "ack_raw": segment.ack if segment and rung.ack is not None else None,
        "window": segment.window if segment else None,
        "payload": segment.payload if segment else None,
        "labels": list(rung.labels),
        "messages": [_message(each) for each in rung.messages],
        "states": {"held": _states(rung.held), "delivered": _states(rung.delivered)} if segment else None,
        "kernel": None,
        "steps": list(rung.steps),
    }
    if rung.kernel_held or rung.kernel_delivered:
        entry["kernel"] = {"held": _states(rung.kernel_held), "delivered": _states(rung.kernel_delivered)}
    if rung.above:
        entry["above"] = [
            {"protocol": name, "states": {"held": _states(held), "delivered": _states(delivered)}}
            for name, held, delivered in rung.above
        ]
    if rung.surprises:
        entry["surprises"] = [surprise._asdict() for surprise in rung.surprises]
    return entry


def conversation(which: Conversation) -> dict[str, Any]:
    """Returns one conversation's entry."""
    entry = {
        "id": which.id,
        "community_id": community_id(which),
        "client": _end(which.client),
        "server": _end(which.server),
        "protocols": ["tcp", *(layer.name for layer in layers_of(which))],
        "packets": which.packets,
        "opened": report.opened(which),
        "closed": report.closed(which),
        "conn_state": report.conn_state(which),
        "history": which.history,
        "tcp": {
            "client_isn": which.client.isn,
            "server_isn": which.server.isn,
            "retransmissions": which.retransmissions,
            "options": {end.role: _options(end) for end in which.ends},
        },
        "final": {
            "states": {"client": which.client.state, "server": which.server.state},
            "kernel": _states(which.kernel_final),
        },
        "assumed": sorted(which.assumed),
        "tls": None,
        "websocket": None,
        **{layer.name: protocols.upper(layer.name).summary(layer) for layer in layers_of(which)},
        "steps": [_step(step) for step in steps(which)],
    }
    if which.evicted:
        entry["evicted"] = True
    return entry


def steps(which: Conversation) -> list[StepReport]:
    """Returns what became of each of the notes' steps in a conversation."""
    reports = []
    for step in report.STEPS:
        seen = report.seen(which, step)
        packets = tuple(dict.fromkeys(each.number for each in seen))
        code = report.differs(which, step)
        reports.append(StepReport(step, bool(seen), packets, _differs(code, actor(which, step), packets)))
    opening = len([step for step in report.STEPS if step.startswith("tcp.open")])
    reports[opening:opening] = [
        StepReport(step, bool(packets), packets, _differs(code, "client", packets, layer.name))
        for layer in layers_of(which)
        for step, packets, code in protocols.upper(layer.name).steps(layer)
    ]
    return reports


def actor(which: Conversation, step: str) -> str:
    """Returns who acts in a step of a conversation: who did first, or where it was not seen, who would have."""
    seen = report.seen(which, step)
    if seen:
        return _acting(seen[0].sender, step)
    return report.usual_actor(step, which.began.get(step.rpartition(".")[0], "client"))


def acting(rung: Rung, step: str) -> str:
    """Returns who acts in a step that this packet is: its sender, or its receiver where the step is to have got it."""
    return _acting(rung.end.role if rung.end else "client", step)


def told(rung: Rung, step: str) -> NoteStep:
    """Returns what is said of a step that this packet is: as the notes have it, or as its connection departs from them.

    Texts name the ends that act in it.
    """
    protocol, which, found = step.partition(".")[0], rung.conversation, note(step)
    instead = notes(protocol).instead
    if which is not None and any(each == step for each, _ in instead):
        code = report.differs(which, step) if protocol == "tcp" else None
        for layer in layers_of(which):
            if layer.name == protocol:
                code = next((code for each, _, code in protocols.upper(protocol).steps(layer) if each == step), None)
        found = instead.get((step, code or ""), found)
    actor = acting(rung, step)
    return found._replace(title=cast(found.title, actor), text=cast(found.text, actor))


def _acting(sender: str, step: str) -> str:
    return report.OTHER[sender] if step in report.GOT else sender


def _differs(code: str | None, role: str, packets: tuple[int, ...], protocol: str = "tcp") -> Differs | None:
    if code is None:
        return None
    text = _departure(protocol, code, role)
    if "{packets}" in text.en:
        listed = Text(", ".join(map(str, packets)), "、".join(map(str, packets)))
        text = Text(text.en.replace("{packets}", listed.en), text.zh.replace("{packets}", listed.zh))
    return Differs(code, text)


@lru_cache(512)
def _departure(protocol: str, code: str, role: str) -> Text:
    return cast(notes(protocol).differs[code], role)


def _step(step: StepReport) -> dict[str, Any]:
    differs = {"code": step.differs.code, **step.differs.text._asdict()} if step.differs else None
    return {"id": step.id, "seen": step.seen, "packets": list(step.packets), "differs": differs}


def _message(message: Message) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "protocol": message.protocol,
        "name": message.name,
        "spans": [span._asdict() for span in message.spans],
    }
    opcode = getattr(message.said, "opcode", None)  # what has frames has opcodes
    if opcode is not None:
        entry["opcode"] = opcode
    return entry


@lru_cache(1024)
def _states(states: States | None) -> dict[str, str | None] | None:
    return states._asdict() if states else None


def _end(end: End) -> dict[str, Any]:
    return {"address": end.host, "port": end.port}


def _options(end: End) -> dict[str, Any] | None:
    return options(end.options)._asdict() if end.options is not None else None


@lru_cache(512)
def flag_names(flags: int) -> tuple[str, ...]:
    """Returns a segment's flags by name, in the order of the header's bits from the right."""
    return tuple(name for bit, name in enumerate(FLAGS) if flags >> bit & 1)


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


def community_id(which: Conversation) -> str:
    """Returns the Community ID, version 1, seed 0 (the specification's hash over the ordered tuple)."""
    return community(which.client.address, which.client.port, which.server.address, which.server.port)


def community(address: bytes, port: int, other: bytes, other_port: int) -> str:
    """Returns the Community ID of two ends, whichever comes first."""
    if (other, other_port) < (address, port):
        address, port, other, other_port = other, other_port, address, port
    hashed = b"\0\0" + address + other + _COMMUNITY(_TCP, port, other_port)
    return "1:" + b2a_base64(hashlib.sha1(hashed, usedforsecurity=False).digest(), newline=False).decode()
