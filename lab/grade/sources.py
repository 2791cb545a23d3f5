"""A source says where a value is in a capture: a fact of the trace, a field of a header or of a message, a count.

The keys are those of `source` in `assignment.schema.json`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lab.grade.facts import AbsentError, Facts, within
from lab.grade.places import Seen
from lab.model import Detail, Field, Message, Packet
from lab.text import Text

Value = int | str | bool | bytes
Source = Mapping[str, Any]
_FIRST_NUMBER = re.compile(r"0x[0-9a-fA-F]+|-?\d+")
_MOST_SHIFT = 14  # RFC 7323 section 2.3


def value(source: Source, seen: Seen) -> Value:
    """Returns the value at a source: texts, numbers, bytes. Raises AbsentError where the capture does not have it."""
    found = _plain(source, seen)
    if "minus" in source:
        found = _number(found) - _number(value(source["minus"], seen))
    if "plus" in source:
        found = _number(found) + source["plus"]
    if "is" in source:
        wanted = source["is"]
        return found == wanted if not isinstance(found, str) else found.casefold() == str(wanted).casefold()
    return found


def place_of(source: Source) -> str | None:
    """Returns the place that a source is at, None where it is at none or several."""
    found = source.get("place")
    return found if isinstance(found, str) else None


def _plain(source: Source, seen: Seen) -> Value:
    facts = seen.facts
    if "constant" in source:
        return source["constant"]  # type: ignore[no-any-return]  # by the schema
    if "fact" in source:
        return _simple(facts.fact(source.get("conversation", 0), source["fact"]))
    if "count" in source:
        return len(seen.all(source["count"]))
    if "sum" in source:
        return sum(each.payload or 0 for each in seen.all(source["sum"]))
    if "passes" in source:
        return _passes(source, seen)
    if "place" not in source:
        raise AbsentError(Text("a value: its source names no place", "该值：来源没有指明位置"))
    packet = seen.at(source["place"])
    if source.get("scaled"):
        return window(packet, facts)
    if "layer" in source:
        return _of_layer(packet, source["layer"], facts)
    if source.get("records"):
        return len({record.start for message in packet.messages for record in message.carriers})
    if "header" in source:
        return _of_header(packet, source["header"], facts)
    if "message" in source:
        return _of_message(packet, source, facts)
    return _of_packet(packet, source.get("field", "number"))


def _passes(source: Source, seen: Seen) -> bool:
    """Whether an end is ever in a state, at either instant of a packet of the conversation."""
    end, of = seen.end(source["end"]), source.get("conversation", 0)
    for packet in seen.facts.packets:
        for states in (packet.held, packet.delivered) if packet.conversation == of else ():
            if states is not None and getattr(states, end) == source["passes"]:
                return True
    return False


def window(packet: Packet, facts: Facts) -> int:
    """Returns the window that a packet offers in bytes: scaled where both SYNs agreed on it (RFC 7323 section 2.2)."""
    if packet.window is None or packet.conversation is None or packet.sender is None:
        raise AbsentError(Text(f"a window in packet {packet.number}", f"第 {packet.number} 号包的窗口"))
    shifts = {
        each.sender: each for each in facts.packets if each.conversation == packet.conversation and "SYN" in each.flags
    }
    if "SYN" in packet.flags or len(shifts) < 2:
        return packet.window
    scale = {role: _shift(facts.header(syn)) for role, syn in shifts.items() if role is not None}
    if None in scale.values():
        return packet.window
    return packet.window << min(scale[packet.sender] or 0, _MOST_SHIFT)


def _shift(header: Iterable[Field]) -> int | None:
    found = next((each for each in header if each.name == "shift.cnt"), None)
    return _number(found.value) if found is not None else None


def _of_packet(packet: Packet, name: str) -> Value:
    if name == "length":
        return packet.frame.length if packet.frame is not None else 0
    if name == "messages":
        return len(packet.messages)
    found = getattr(packet, name)
    if found is None:
        raise AbsentError(Text(f"{name} in packet {packet.number}", f"第 {packet.number} 号包的 {name}"))
    return found  # type: ignore[no-any-return]  # the names are the schema's


def _of_layer(packet: Packet, layers: str | Sequence[str], facts: Facts) -> int:
    """Returns how many bytes a layer's header takes: all its fields but what it carries."""
    layers = [layers] if isinstance(layers, str) else layers
    inside = {
        at
        for each in facts.header(packet)
        if each.layer in layers and each.name != "payload"
        for at in range(each.span.start, each.span.end)
    }
    if not inside:
        named = "/".join(layers)
        raise AbsentError(Text(f"{named} in packet {packet.number}", f"第 {packet.number} 号包的 {named}"))
    return len(inside)


def _of_header(packet: Packet, path: str, facts: Facts) -> Value:
    layer, _, name = path.partition("/")
    found = next((each for each in facts.header(packet) if (each.layer, each.name) == (layer, name)), None)
    if found is None:
        raise AbsentError(Text(f"{path} in packet {packet.number}", f"第 {packet.number} 号包的 {path}"))
    return _number(found.value) if _FIRST_NUMBER.match(found.value) else found.value


def _of_message(packet: Packet, source: Source, facts: Facts) -> Value:
    message = next((each for each in packet.messages if each.name == source["message"]), None)
    if message is None:
        raise AbsentError(
            Text(f"{source['message']} in packet {packet.number}", f"第 {packet.number} 号包的 {source['message']}")
        )
    of = source.get("of", "value")
    if "carrier" in source:
        found = [each for record in message.carriers for each in record.fields if each.name == source["carrier"]]
    elif "detail" in source:
        found = within(message, source["detail"])
    else:
        return facts.octets(message) if of == "bytes" else _length(message)
    if of == "count":
        return len(found)
    if not found:
        what = source.get("carrier") or source["detail"]
        raise AbsentError(Text(f"{what} of {message.name}", f"{message.name} 的 {what}"))
    return _of_detail(found[0], of, message, facts)


def _length(message: Message) -> int:
    """Returns how many bytes a message has: of one that was decrypted, those of its content."""
    plain = [span for span in message.spans if span.buffer == "plain"]
    return sum(span.end - span.start for span in plain or message.spans)


def _of_detail(detail: Detail, of: str, message: Message, facts: Facts) -> Value:
    if of == "length":
        return detail.end - detail.start
    if of == "bytes":
        return facts.octets(message)[detail.start : detail.end]
    return _number(detail.value) if of == "number" else detail.value


def _number(found: object) -> int:
    if isinstance(found, int):
        return int(found)
    match = _FIRST_NUMBER.search(str(found))
    if match is None:
        raise AbsentError(Text(f"a number in {found!r}", f"{found!r} 中的数字"))
    return int(match[0], 0)


def _simple(found: Any) -> Value:
    if isinstance(found, (bool, int, str, bytes)):
        return found
    if isinstance(found, (list, tuple)):
        return len(found)
    raise AbsentError(Text("a single value", "单个值"))
