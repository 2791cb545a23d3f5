"""One packet twice: every field as the lab reads it, and beside it as Wireshark does, by the bytes they lie in."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple, TextIO

from rich.text import Text as Styled

from lab.dissect.fields import fields
from lab.model import Packet
from lab.protocols.registry import TRANSPORT
from lab.protocols.transport import FIELDS
from lab.render.explain import entry
from lab.render.trace import dump
from lab.render.words import TITLES, clip, columns, console, pad
from lab.text import Lang, Text, safe

SCHEMA = "handshake-lab/verify-packet/v1"
_NARROWEST, _WIDEST, _PLACE = 80, 160, 10
_MOST = 1000  # rows
_PLAIN = {"eth", "ip", "ipv6", TRANSPORT.name}


class Theirs(NamedTuple):
    """A field as Wireshark shows it; its values are those of lab/witnesses/dissection.py."""

    layer: str
    name: str
    start: int
    end: int
    value: str
    line: str


def as_json(packet: Packet, theirs: Sequence[Theirs], out: TextIO) -> None:
    """Writes both as one document: the lab's as `lab annotate --explain N --json` has it."""
    told: dict[str, Any] = {
        "schema": SCHEMA, "lab": entry(packet), "wireshark": [each._asdict() for each in theirs],
    }  # fmt: skip
    out.write(dump(told) + "\n")


def draw(packet: Packet, theirs: Sequence[Theirs], out: TextIO, lang: Lang) -> None:
    """Draws both beside each other: headers by their bytes, what they carry in order."""
    on = console(out)
    half = (columns(on, _NARROWEST, _WIDEST) - _PLACE - 2) // 2
    headers = [each for each in theirs if each.layer in _PLAIN]
    above = sorted(
        (each for each in theirs if each.layer not in _PLAIN and each.end > each.start),
        key=lambda each: (
            each.start < packet.payload_at,
            each.start,
            -each.end,
        ),  # of what is opened: its own
    )

    def row(place: str, ours: str, other: str, style: str = "") -> None:
        line = pad(place, _PLACE) + pad(clip(safe(ours), half), half + 2) + clip(safe(other), half)
        on.print(Styled(line.rstrip(), style), soft_wrap=True)

    row(Text("bytes", "字节").pick(lang), Text("the lab", "实验室").pick(lang), "Wireshark", "bold")
    left = {id(each): each for each in headers}
    for (start, end), ours in _ours(packet).items():
        beside = [each for each in left.values() if start <= each.start < each.end <= end]
        for each in beside:
            del left[id(each)]
        lines = itertools.zip_longest(ours, [each.line for each in beside], fillvalue="")
        for at, (mine, other) in enumerate(lines):
            row("" if at else _place(start, end), mine, other)
    rest = [each for each in left.values() if each.line]
    if rest:
        row("", "", "")
        row("", "", Text("worked out, or of several fields", "推算所得，或跨多个字段").pick(lang), "dim")
        for each in rest[:_MOST]:
            row(_place(each.start, each.end), "", each.line)
    told = [line for message in packet.messages for line in _message(message)]
    if told or above:
        row("", "", "")
        row("", Text("the messages that it completes", "它所完成的消息").pick(lang), "", "dim")
        lines = itertools.zip_longest(told, [each.line for each in above], fillvalue="")
        for mine, other in itertools.islice(lines, _MOST):
            row("", mine, other)
    out.flush()


def _place(start: int, end: int) -> str:
    return "" if end <= start else str(start) if end == start + 1 else f"{start}–{end - 1}"


def _ours(packet: Packet) -> dict[tuple[int, int], list[str]]:
    """Returns the lab's fields of a packet's headers, by the bytes they lie in."""
    found: dict[tuple[int, int], list[str]] = {}
    for each in fields(packet.frame, FIELDS) if packet.frame else ():
        found.setdefault((each.span.start, each.span.end), []).append(f"{each.name} {each.value}".strip())
    return found


def _message(message: Any) -> list[str]:
    title = f"{TITLES.get(message.protocol, message.protocol)} {message.name}"
    return [title, *("  " * (each.depth + 1) + f"{each.name} {each.value}".rstrip() for each in message.fields)]
