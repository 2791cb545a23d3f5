"""Bytes on screen: in hex and as characters, and whose they are above a packet's transport."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from lab.model import Field, Packet, Span
from lab.protocols.registry import PROTOCOLS
from lab.render.words import TITLES, cells
from lab.text import Lang, Text

if TYPE_CHECKING:
    from rich.text import Text as Styled

_ROW = 16  # bytes in a line; half as many where there is no room for them
_DUMPED, _NAMED = 72, 8  # columns that these take, and the names of layers beside them
_SHORT = {protocol.title: protocol.short or protocol.title for protocol in PROTOCOLS}
_PLAIN: Mapping[str, str] = {}  # colours: none


def dumped(
    data: bytes, width: int, indent: str = "", of: Sequence[str] = (), colours: Mapping[str, str] = _PLAIN
) -> Iterator[Styled]:
    """Yields lines of bytes, in `width` columns, with the names of the layers that they are `of`."""
    from rich.text import Text as Styled  # of a page, which asks only what is carried, there is no rich

    size = _ROW if width >= _DUMPED + _NAMED else _ROW // 2
    named = width - _DUMPED + (0 if size == _ROW else 4 * size + 1)
    for at in range(0, len(data), size):
        line = Styled(f"{indent}{at:04x} ", "dim")
        row, layers = data[at : at + size], of[at : at + size]
        styles = [colours.get(layer, "") for layer in layers] or [""] * size
        for place, byte in enumerate(row):
            line.append(f"{byte:02x}", styles[place])
            line.append("  " if place == _ROW // 2 - 1 else " ")
        line.append(" " * (3 * (size - len(row)) + (len(row) < _ROW // 2)))
        for place, byte in enumerate(row):
            line.append(chr(byte) if 0x20 <= byte < 0x7F else "·", styles[place])
        line.append(" " * (size - len(row)) + "  " + _fitting(dict.fromkeys(layers), named), "dim")
        line.rstrip()
        yield line


def carried(packet: Packet, speaks: str, lang: Lang) -> list[Field]:
    """Returns which bytes of a frame are whose above its transport: records where there are some, and messages.

    `speaks` is the protocol that its sender has spoken before; what stands before a protocol is told by its own name.
    """
    if packet.whole is not None or packet.frame is None or not packet.payload:
        return []
    told = [(each.name, each.name, each.spans) for each in packet.remarks]
    first = packet.messages[0].protocol if packet.messages else speaks
    for message in packet.messages:
        if message.protocol == first:  # what else there is lies in what is told, not in the frame
            told += [(TITLES[first], "record", carrier.spans) for carrier in message.carriers]
            told.append((TITLES[first], message.name, message.spans))
    found = {
        (span.start, -span.end): Field(layer, name, span, "")
        for layer, name, spans in told
        for span in spans
        if (span.buffer, span.number) == ("frame", packet.number)
    }
    covered, end = packet.payload_at, min(packet.payload_at + packet.payload, len(packet.frame.data))
    rest = Text("of no message that ends here", "不属于在此结束的消息").pick(lang)
    for start, behind in [*sorted((start, -behind) for start, behind in found), (end, end)]:
        if covered < start and first:
            found[covered, -start] = Field(TITLES[first], rest, Span("frame", packet.number, covered, start), "")
        covered = max(covered, behind)
    return [found[place] for place in sorted(found)]


def _fitting(names: Iterable[str], room: int) -> str:
    """Returns as many of the names as there is room for, each of them whole."""
    found = ""
    for name in filter(None, names):
        longer = f"{found} {_SHORT.get(name, name)}".strip()
        if cells(longer) <= room:
            found = longer
    return found
