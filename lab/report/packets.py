"""A record becomes a packet: what the engine knows of it, frozen, with as much in words as was asked for."""

from __future__ import annotations

from lab.engine.layer import layers_of
from lab.engine.record import Record
from lab.model import Fate, Message, Packet
from lab.protocols import registry
from lab.protocols.notes import notes
from lab.text import Text

_flags = registry.TRANSPORT.flags
_new = tuple.__new__  # what a NamedTuple's own constructor comes down to, without the call in between
_NONE: tuple[None, ...] = ()


def packet(record: Record, words: bool = False, fields: bool = False) -> Packet:
    """Returns the packet of a record whose fate is known, or will not be.

    With `words` its messages are told in words, and its steps as its conversation departs from the notes; with `fields`
    its messages field by field, and its numbers reckoned out.
    """
    which, end, segment = record.conversation, record.end, record.segment
    if which is None or end is None or segment is None:
        return _new(
            Packet,
            (
                record.number, record.time, record.frame, record.whole, record.labels, None, None, None, (), None, None,
                0, None, None, None, None, 0, None, None, "unknown", None, (), record.kernel_held,
                record.kernel_delivered, record.asked_held, record.asked_delivered, record.journal, (), _NONE, (), (),
                (), record.remarks, (), None, (), record.answers, record.quotes,
            ),
        )  # fmt: skip
    by = record.by
    fate: Fate = "unknown" if by is None or not record.settled else "arrived" if record.got else "lost"
    messages: tuple[Message, ...] = ()
    if record.messages:
        messages = tuple([
            said if layer is None else layer.message(said, words, fields)
            for layer, said in record.messages
        ])  # fmt: skip
    points = _points(record) if words else ()
    departures = _departures(record) if words and record.steps else _NONE
    return _new(
        Packet,
        (
            record.number, record.time, record.frame, record.whole, record.labels, which.id, which.identity, end.role,
            _flags(segment), record.seq, record.ack, record.stop, segment.seq,
            None if record.ack is None else segment.ack, segment.window, segment.payload, segment.start, record.held,
            record.delivered, fate, by if record.settled else None, record.assumed, record.kernel_held,
            record.kernel_delivered, record.asked_held, record.asked_delivered, record.journal, record.steps,
            departures, messages, record.above, record.surprises, record.remarks,
            registry.TRANSPORT.reckoned(record) if fields else (), record.verdict, points, None, None,
        ),
    )  # fmt: skip


def _points(record: Record) -> tuple[Text, ...]:
    """Returns what the protocols of a packet point out in it, from the transport upwards."""
    found = list(registry.TRANSPORT.points(record))
    for layer in layers_of(record.conversation) if record.conversation is not None else ():
        found += layer.protocol.points(layer, record)
    return tuple(found)


def _departures(record: Record) -> tuple[str | None, ...]:
    """Returns how the conversation departs from each step that this packet is, as far as the notes then say another."""
    return tuple(_departure(record, step) for step in record.steps)


def _departure(record: Record, step: str) -> str | None:
    protocol = registry.of_step(step)
    if not any(each == step for each, _ in notes(protocol.name).instead) or record.conversation is None:
        return None
    if protocol is registry.TRANSPORT:
        found = protocol.steps(record.conversation)
    else:
        layer = next((each for each in layers_of(record.conversation) if each.protocol is protocol), None)
        found = protocol.steps(layer) if layer is not None else ()
    return next((each.code for each in found if each.id == step), None)
