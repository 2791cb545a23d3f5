"""The parts of a rung: what stands on its arrow, over its columns, and of what it carries."""

from __future__ import annotations

from functools import lru_cache

from lab.model import Above, Address, Packet, Role
from lab.protocols.notes import note, notes
from lab.protocols.registry import TRANSPORT
from lab.render.columns import STEP, WIDEST, Layout
from lab.render.words import LABELS, TITLES, cells, clip
from lab.text import ROLES, Lang, Text, address, safe

_ROOMY = 30  # columns of an arrow
_STYLES = {"SYN": "green", "SYN-ACK": "green", "FIN": "magenta", "RST": "bold red", "data": "cyan"}
_MARKS = {"lost": "✗", "unknown": "?"}
PREVIEW = 48  # bytes of payload shown
_LINE = "─" * WIDEST


@lru_cache(1024)
def addresses(layout: Layout, client: Address, server: Address) -> str:
    """Returns the line with both ends' addresses, or where they are too long to stand side by side, two lines."""
    left, right = address(*client), address(*server)
    if layout.lead + cells(left) >= min(layout.right, layout.width - cells(right)):
        return f"{layout.spread(left, '').rstrip()}\n{layout.spread('', right).rstrip()}\n"
    return layout.spread(left, right).rstrip() + "\n"


@lru_cache(1024)
def kind(labels: tuple[str, ...]) -> tuple[str, str]:
    """Returns what a packet of these labels is called, and the style of its arrow."""
    kind = "+".join(label for label in labels if label in TRANSPORT.kinds) or labels[0]
    return kind, next((_STYLES[label] for label in labels if label in _STYLES), "")


@lru_cache(1024)
def worded(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Returns those of a packet's labels that need a word."""
    return tuple(label for label in labels if label in LABELS)


@lru_cache(256)
def steps(ids: tuple[str, ...], lang: Lang) -> str:
    """Returns the names of steps, as far as there is room for them."""
    names = [note(step).name.pick(lang) for step in ids]
    if len(names) > 1 and len({name.rsplit(" ", 1)[0] for name in names}) == 1:
        numbers = [name.rsplit(" ", 1)[1] for name in names]
        joined = "+".join(numbers) if len(names) == 2 else f"{numbers[0]}–{numbers[-1]}"
        return f"{names[0].rsplit(' ', 1)[0]} {joined}"
    if cells(" ".join(names)) > STEP:  # what is carried says more
        top = ids[-1].rpartition(".")[0]
        names = [name for name, step in zip(names, ids, strict=True) if step.rpartition(".")[0] == top]
    return clip(" ".join(names), STEP)


@lru_cache(256)
def spelled(states: tuple[str, ...]) -> str:
    """Returns how the notes spell states, as far as they do so in their own way."""
    known = notes(TRANSPORT.name).states
    return " → ".join(spelling for state in states if state in known and (spelling := known[state].notes))


def arrow(packet: Packet, forward: bool, width: int, under_way: bool = False) -> str:
    """Returns the arrow with as much text on it as there is room for; one that was lost ends in a cross.

    One of which nobody knows ends in a question mark, and one that is still under way in an ellipsis.
    """
    mark = "…" if under_way else _MARKS.get(packet.fate, "")
    short_of = 0 if not mark else 4 if width >= _ROOMY else 1  # columns that it does not reach
    room = width - 4 - short_of
    text = label(packet, room, width - 10)
    line = _LINE[: room - cells(text)]
    if forward:
        return f"─ {text} {line}{mark + ' ' * short_of if mark else '▶'}"
    return f"{' ' * short_of + mark if mark else '◀'}{line} {text} ─"


def label(packet: Packet, room: int, names_room: int) -> str:
    """Returns what a packet is, and its numbers, as far as there is room; the names of its messages have their own."""
    name = short = kind(packet.labels)[0]
    if packet.messages:
        top = packet.messages[-1].protocol  # what is carried says more than what carries it
        names = [message.name for message in packet.messages if message.protocol == top]
        several, short = f"{TITLES[top]} ×{len(names)}", TITLES[top]
        name = "+".join(names) if cells("+".join(names)) <= names_room else names[0] if len(names) == 1 else several
    size = f" {packet.payload}B" if packet.payload else ""
    text = f"{name}{size} seq={packet.seq}" + (f" ack={packet.ack}" if packet.ack is not None else "")
    if cells(text) <= room:
        return text
    return _shorter(f"{name}{size} seq={packet.seq}", f"{name}{size}", name, f"{short}{size}", short, room=room)


def _shorter(*texts: str, room: int) -> str:
    """Returns the first of the texts that there is room for; of the last, what there is."""
    return next((text for text in texts if cells(text) <= room), clip(texts[-1], room))


def above(states: Above, packet: Packet) -> Text:
    """Returns the states above the transport, as its own: the sender's when held, the receiver's when delivered."""
    forward = packet.sender == "client"
    sender, receiver = (0, 1) if forward else (1, 0)
    left = states.held[sender] or "?"
    arrived = (states.delivered[receiver] or "?") if states.delivered else "…"
    shown = f"{left} ▶ {arrived}" if forward else f"{arrived} ◀ {left}"
    name = TITLES[states.protocol]
    return Text(f"{name} states: {shown}", f"{name} 状态：{shown}")


def preview(packet: Packet) -> str:
    """Returns the beginning of the payload where it is text, and nothing else says what it is."""
    frame = packet.whole or packet.frame
    if frame is None or not packet.payload or packet.messages:
        return ""
    data = frame.data[packet.payload_at : packet.payload_at + min(packet.payload, PREVIEW)]
    text = data.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    if damaged > len(text) // 8:
        return ""
    if not damaged and text.isprintable():
        return f'"{text}{"…" if packet.payload > PREVIEW else ""}"'
    if damaged + sum(not (char.isprintable() or char in "\r\n\t") for char in text) > len(text) // 8:
        return ""
    return f'"{safe(text)}{"…" if packet.payload > PREVIEW else ""}"'


def alone(role: Role) -> Text:
    """Says that nothing of the other end is in the capture."""
    mine, other = ROLES[role], ROLES["server" if role == "client" else "client"]
    return Text(
        f"Only the {mine.en}'s packets are in this capture: of the {other.en} there is what these acknowledge, and its "
        "states are inferred from that or not known.",
        f"抓包中只有{mine.zh}一方的包：关于{other.zh}，只能看到这些包确认了什么，其状态据此推断，或者不得而知。",
    )
