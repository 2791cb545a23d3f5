"""A packet's layers for the page: nested fields, each with the bytes that are its own, and the bytes.

The first of the buffers is the frame as captured; the others are what was decrypted, or put together of several
packets. A field without bytes of its own has none, or they lie in another packet. Where fields overlap, a byte is the
innermost one's: the last one's that has it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from lab.dissect.fields import fields
from lab.model import Detail, Field, Message, Packet, Span
from lab.protocols.transport import FIELDS
from lab.render.bytes import carried
from lab.render.meanings import with_meanings
from lab.render.words import MEANINGS, TITLES, brief
from lab.text import Text, safe

MOST_FIELDS, MOST_BYTES = 400, 4096  # that are shown of a packet, of a buffer
_SAID = 300  # characters of a value
_RECORD = Text("record", "记录")
_FRAME = Text("as captured", "抓到的字节")


class _Buffer(NamedTuple):
    name: Text
    data: bytes

    def entry(self) -> dict[str, Any]:
        shown = self.data[:MOST_BYTES]
        return {
            "name": self.name._asdict(),
            "bytes": base64.b64encode(shown).decode(),
            "more": len(self.data) - len(shown),
        }


class _Layer(NamedTuple):
    title: str
    name: Text | None
    fields: list[dict[str, Any]]

    def entry(self) -> dict[str, Any]:
        said = {"title": self.title, "fields": self.fields}
        return said if self.name is None else said | {"name": self.name._asdict()}


def opened(packet: Packet, speaks: str) -> dict[str, Any]:
    """Returns a packet's layers, each with its fields, and its buffers.

    `speaks` is the protocol that its sender has spoken before it, above the transport.
    """
    return _Opened(packet, speaks).entry()


class _Opened:
    def __init__(self, packet: Packet, speaks: str) -> None:
        self._packet = packet
        self._buffers: list[_Buffer] = []
        self._layers: list[_Layer] = []
        self._left = MOST_FIELDS
        if packet.frame is None:
            return
        self._buffers.append(_Buffer(_FRAME, packet.frame.data))
        self._headers(fields(packet.frame, FIELDS))
        self._headers(carried(packet, speaks, "en"), carried(packet, speaks, "zh"))
        self._seal()
        for message in packet.messages:
            self._message(message)

    def entry(self) -> dict[str, Any]:
        return {
            "layers": [each.entry() for each in self._layers],
            "buffers": [each.entry() for each in self._buffers],
        }

    def _headers(self, found: Sequence[Field], other: Sequence[Field] = ()) -> None:
        """Puts down the fields of a frame; `other` are the same in Chinese, where their names are words."""
        for at, each in enumerate(found):
            if self._left <= 0:
                return
            self._left -= 1
            if not self._layers or self._layers[-1].title != each.layer or self._layers[-1].name is not None:
                self._layers.append(_Layer(each.layer, None, []))
            entry = _field(each.name, each.value, (0, each.span.start, each.span.end))
            if at < len(other) and other[at].name != each.name:
                entry["called"] = Text(each.name, other[at].name)._asdict()
            self._layers[-1].fields.append(entry)

    def _seal(self) -> None:
        """Marks what only says what lies in a record that was decrypted: nobody else can know."""
        sealed = [
            range(span.start, span.end)
            for message in self._packet.messages
            for carrier in message.carriers
            if carrier.plain
            for span in carrier.spans
            if span.buffer == "frame" and span.number == self._packet.number
        ]
        for entry in self._layers[-1].fields if self._layers else ():
            if "at" in entry and any(entry["at"][1] in each for each in sealed):
                entry["sealed"] = True

    def _message(self, message: Message) -> None:
        title = TITLES[message.protocol]
        plain = -1
        for carrier in message.carriers:
            layer = _Layer(title, _RECORD, [])
            self._details(layer, carrier.fields, _in_frame(carrier.spans, self._packet.number))
            self._layers.append(layer)
            if carrier.plain:
                plain = self._put(Text(f"{title}, decrypted", f"{title}，解密后"), carrier.plain)
        layer = _Layer(title, Text(safe(message.name), safe(message.name)), [])
        self._details(layer, message.fields, self._places(message, plain), MEANINGS[message.protocol])
        self._layers.append(layer)

    def _put(self, name: Text, data: bytes) -> int:
        self._buffers.append(_Buffer(name, data))
        return len(self._buffers) - 1

    def _places(self, message: Message, plain: int) -> _Places:
        """Returns where a message's bytes lie: in what was decrypted, else in the frame."""
        opened_ = [span for span in message.spans if span.buffer == "plain" and span.number == self._packet.number]
        if plain < 0 or not opened_:
            if opened_:  # told by who has decrypted it: the buffer that is long enough
                end = max(span.end for span in opened_)
                plain = next((at for at in range(len(self._buffers) - 1, 0, -1) if self._long(at, end)), -1)
            if plain < 0:
                return _in_frame([span for span in message.spans if span.buffer == "frame"], self._packet.number)
        return _Places([(plain, span.start, span.end) for span in opened_])

    def _long(self, at: int, end: int) -> bool:
        return len(self._buffers[at].data) >= end

    def _details(
        self, layer: _Layer, found: Sequence[Detail], places: _Places, words: dict[str, Text] | Any = None
    ) -> None:
        for each, meaning in with_meanings(found[: self._left], words or {}):
            entry = _field(each.name, each.value, places.place(each.start, each.end))
            if each.depth:
                entry["depth"] = each.depth
            if meaning is not None:
                entry["meaning"] = meaning._asdict()
            layer.fields.append(entry)
        self._left = max(self._left - len(found), 0)


class _Places:
    """Where the bytes of something lie that is counted from its own beginning: pieces of buffers, one behind another.

    A piece of which nothing is shown has the buffer -1.
    """

    def __init__(self, pieces: Iterable[tuple[int, int, int]]) -> None:
        self._pieces = list(pieces)

    def place(self, start: int, end: int) -> tuple[int, int, int] | None:
        """Returns the buffer and the place in it of what begins in it; None where that is in none, or has no bytes."""
        before = 0
        for buffer, low, high in self._pieces:
            size = high - low
            if start < before + size and end > start:
                if buffer < 0 or start < before:
                    return None
                return buffer, low + start - before, min(low + end - before, high)
            before += size
        return None


def _in_frame(spans: Iterable[Span], number: int) -> _Places:
    return _Places(
        (0 if span.buffer == "frame" and span.number == number else -1, span.start, span.end)
        for span in spans
        if span.buffer == "frame"
    )


def _field(name: str, value: str, place: tuple[int, int, int] | None) -> dict[str, Any]:
    said = brief(value)
    entry: dict[str, Any] = {"name": safe(name), "value": said[:_SAID] + "…" * (len(said) > _SAID)}
    if place is not None:
        entry["at"] = list(place)
    return entry
