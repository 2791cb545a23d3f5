"""A packet as a rung of a page: what is said of it, in both languages, what it changes, what it is made of.

What needs saying once is said once, so packets are told in the order in which they were captured.
"""

from __future__ import annotations

from copy import copy
from functools import cache
from itertools import zip_longest
from typing import Any, NamedTuple

from lab.events import Event, StateChanged
from lab.model import Ends, Kernels, Packet, Role, Socket, States
from lab.page.bytes import opened
from lab.page.words import KERNEL
from lab.protocols.registry import PROTOCOLS, TRANSPORT
from lab.render import parts, telling
from lab.render.comments import sentence
from lab.render.diagram import as_json, diagram
from lab.render.telling import Drawn, Telling
from lab.render.words import brief, event, refusal, sections
from lab.report import fate, steps
from lab.text import LANGUAGES, ROLES, Text

_LABEL = 48  # columns on an arrow
_ENDS: tuple[Role, Role] = ("client", "server")
_STYLES = {"green": "open", "magenta": "close", "cyan": "data", "bold red": "reset", "": "plain"}
# What a kernel says of a socket, in the order of its numbers in a rung.
_SOCKET = tuple(name for name, _, _ in KERNEL)


class Fired:
    """Hears a run's events, and has the rows of tables that fired at each packet."""

    def __init__(self) -> None:
        self._rows: dict[int, list[dict[str, Any]]] = {}

    def hear(self, event_: Event) -> None:
        if isinstance(event_, StateChanged):
            self._rows.setdefault(event_.packet, []).append(_row(event_))

    def of(self, number: int) -> list[dict[str, Any]]:
        """Returns the rows that fired at a packet so far."""
        return list(self._rows.get(number, ()))


@cache
def _drawn(protocol: str) -> dict[str, Any] | None:
    drawn = diagram(next(each for each in PROTOCOLS if each.name == protocol))
    return None if drawn is None else as_json(drawn)


@cache
def diagram_of(protocol: str) -> dict[str, Any] | None:
    """Returns a protocol's diagram, as much of it as a page draws; None where it has none."""
    found = _drawn(protocol)
    if found is None:
        return None
    told = _without(found, "rows", "sizes")
    told["captions"] = [_without(each, "box", "points") for each in found["captions"]]
    told["edges"] = [
        {**_without(each, "points"), "lines": [_without(line, "box", "rows") for line in each["lines"]]}
        for each in found["edges"]
    ]
    return told


def _without(entry: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: each for name, each in entry.items() if name not in names}


@cache
def _edges(protocol: str) -> dict[tuple[str, str, str, str], str]:
    """Returns which of a diagram's arrows is which row's."""
    drawn = _drawn(protocol) or {"rows": ()}
    return {(row["end"], row["before"], row["on"], row["after"]): row["edge"] for row in drawn["rows"]}


def _row(changed: StateChanged) -> dict[str, Any]:
    table = _TABLES[changed.protocol][changed.end]
    row = table.row(changed.before, changed.on)
    source = table.source(row)
    edge = _edges(changed.protocol).get((changed.end, changed.before, changed.on, changed.after))
    return {
        "edge": edge, "protocol": changed.protocol, "end": changed.end,
        "before": changed.before, "after": changed.after,
        "on": changed.on, "words": event(changed.on)._asdict(), "source": both(sections(source)) if source else None,
    }  # fmt: skip


_TABLES = {each.name: each.tables for each in PROTOCOLS}


class _Space(NamedTuple):
    """How far an end's sequence space has come: up to where it has sent, and has been acknowledged."""

    sent: int
    acked: int


class Rungs:
    """Makes rungs of packets, in the order in which they were captured; what needs saying once is said once."""

    def __init__(self, fired: Fired) -> None:
        self._fired = fired
        self._telling = {lang: Telling(lang, named=True) for lang in LANGUAGES}
        self._drawn: dict[int, tuple[Drawn, Drawn]] = {}
        self._spaces: dict[int, dict[Role, _Space]] = {}
        self._speaking: dict[tuple[int | None, Role | None], str] = {}
        self._began: int | None = None

    def __copy__(self) -> Rungs:
        other = Rungs(self._fired)
        other._telling = {lang: copy(each) for lang, each in self._telling.items()}
        other._drawn = {which: (copy(one), copy(two)) for which, (one, two) in self._drawn.items()}
        other._spaces = {which: dict(each) for which, each in self._spaces.items()}
        other._speaking, other._began = dict(self._speaking), self._began
        return other

    def rung(self, packet: Packet, under_way: bool = False) -> dict[str, Any]:
        """Returns the rung of the next packet; of one that is `under_way` the fate is left open."""
        if packet.time is not None and self._began is None:
            self._began = packet.time
        spoken = self._speaking.get((packet.conversation, packet.sender), "")
        if packet.messages:
            self._speaking[packet.conversation, packet.sender] = packet.messages[0].protocol
        entry = self._first(packet) | {"detail": opened(packet, spoken)}
        if packet.held is None or packet.ends is None or packet.conversation is None:
            return entry | self._other(packet)
        return entry | self._of_conversation(packet, packet.conversation, packet.held, packet.ends, under_way)

    def _first(self, packet: Packet) -> dict[str, Any]:
        seconds = None
        if packet.time is not None and self._began is not None:
            seconds = (packet.time - self._began) / 1e9
        which = packet.conversation if packet.held is not None else packet.quotes
        return {
            "number": packet.number, "seconds": seconds, "track": which, "from": packet.sender,
            "size": packet.frame.length if packet.frame else None, "labels": list(packet.labels),
        }  # fmt: skip

    def _other(self, packet: Packet) -> dict[str, Any]:
        """Returns what is said of a packet that is of no conversation."""
        named = Text(*(self._telling[lang].other(packet) for lang in LANGUAGES))
        said = [{"kind": "remark", **both(_brief(each.words))} for each in packet.remarks]
        return {"name": named._asdict(), "style": "plain", "fate": "unknown", "said": said, "steps": []}

    def _of_conversation(self, packet: Packet, which: int, held: States, ends: Ends, under_way: bool) -> dict[str, Any]:
        name, style = parts.kind(packet.labels)
        entry: dict[str, Any] = {
            "name": same(name), "style": _STYLES.get(style, "plain"),
            "label": parts.label(packet, _LABEL, _LABEL), "raw": self._raw(packet),
            "fate": "under-way" if under_way else packet.fate, "by": packet.by,
            "states": {"held": list(held), "delivered": packet.delivered and list(packet.delivered)},
            "quiz": self._kind(packet), "bare": packet.labels == (TRANSPORT.bare,) and not packet.steps,
            "space": self._space(packet, which),
        }  # fmt: skip
        entry["steps"] = [self._step(packet, each) for each in packet.steps]
        entry["badge"] = {lang: parts.steps(packet.steps, lang) for lang in LANGUAGES} if packet.steps else None
        entry["said"] = self._said(packet, which, ends, under_way)
        entry["sentence"] = both(sentence(packet, held=under_way) or Text("", ""))
        entry["fired"] = self._fired.of(packet.number)
        if packet.kernel_held or packet.kernel_delivered:
            entry |= self._kernels(packet, held)
        if packet.messages:
            entry["messages"] = [self._message(packet, at) for at in range(len(packet.messages))]
        if packet.above:
            entry["above"] = [
                {"protocol": name, "held": list(held), "delivered": delivered and list(delivered)}
                for name, held, delivered in packet.above
            ]
        if (why := self._why(packet, under_way)) is not None:
            entry["why"] = both(why)
        if packet.refused:
            entry["refused"] = True
        if packet.journal is not None and packet.journal.forged:
            entry["forged"] = True
        if packet.journal is not None and len(packet.journal.delivered) > 1:
            entry["copies"] = len(packet.journal.delivered)
        if packet.reckoned:
            entry["reckoned"] = [{"name": both(each.name), "text": both(each.text)} for each in packet.reckoned]
        return entry

    def _kind(self, packet: Packet) -> str:
        """Returns what somebody who is to say what comes next has to say of it."""
        if packet.messages:
            return brief(packet.messages[-1].name)
        return next((label for label in packet.labels if label in TRANSPORT.kinds), packet.labels[0])

    def _raw(self, packet: Packet) -> str:
        """Returns the numbers on the arrow as they are on the wire."""
        ack = "" if packet.ack_raw is None else f" ack={packet.ack_raw}"
        return f"seq={packet.seq_raw}{ack}"

    def _step(self, packet: Packet, step: str) -> dict[str, Any]:
        found = steps.told(packet, step)
        return {
            "id": step, "name": both(found.name), "title": both(found.title), "text": both(found.text),
            "rfc": both(sections(found.rfc)),
        }  # fmt: skip

    def _said(self, packet: Packet, which: int, ends: Ends, under_way: bool) -> list[dict[str, Any]]:
        lines = []
        for at, lang in enumerate(LANGUAGES):
            drawn = self._drawn_of(which)[at]
            telling.start(packet, ends, drawn)
            drawn.begun = True
            shown = telling.states(packet, drawn)
            lines.append(self._telling[lang].below(packet, drawn, shown.changed, 0, under_way))
        return [
            {"kind": (en or zh).kind, "en": en.text.strip() if en else "", "zh": zh.text.strip() if zh else ""}
            for en, zh in zip_longest(*lines)
        ]

    def _drawn_of(self, which: int) -> tuple[Drawn, Drawn]:
        return self._drawn.setdefault(which, (Drawn(), Drawn()))

    def _space(self, packet: Packet, which: int) -> dict[str, Any]:
        """Returns which sequence numbers it takes, and how far both ends' had come before it."""
        spaces = self._spaces.setdefault(which, {role: _Space(0, 0) for role in _ENDS})
        told = {
            "seq": packet.seq, "stop": packet.stop, "ack": packet.ack, "window": packet.window,
            "syn": "SYN" in packet.flags, "fin": "FIN" in packet.flags,
            "sent": [spaces[role].sent for role in spaces], "acked": [spaces[role].acked for role in spaces],
        }  # fmt: skip
        forged = packet.journal is not None and packet.journal.forged  # its alleged sender has not sent it
        if packet.sender is not None and packet.receiver is not None and packet.fate != "lost" and not forged:
            mine, theirs = spaces[packet.sender], spaces[packet.receiver]
            spaces[packet.sender] = mine._replace(sent=max(mine.sent, packet.stop))
            if packet.ack is not None:
                spaces[packet.receiver] = theirs._replace(acked=max(theirs.acked, packet.ack))
        return told

    def _kernels(self, packet: Packet, held: States) -> dict[str, Any]:
        said = {"held": packet.kernel_held, "delivered": packet.kernel_delivered}
        told: dict[str, Any] = {"kernel": {name: each and list(each) for name, each in said.items()}}
        ours = {"held": held, "delivered": packet.delivered}
        told["agrees"] = all(each is None or ours[name] is None or each == ours[name] for name, each in said.items())
        asked = {"held": packet.asked_held, "delivered": packet.asked_delivered}
        sockets = {name: socket(each) for name, each in asked.items() if each is not None and _has_more(each)}
        if sockets:
            told["sockets"] = sockets
        return told

    def _message(self, packet: Packet, at: int) -> dict[str, Any]:
        message = packet.messages[at]
        inside = any(carrier.plain for carrier in message.carriers)
        wrapped = message.wraps and packet.messages[-1].protocol != message.protocol
        return {
            "protocol": message.protocol, "name": brief(message.name), "words": both(_brief(message.words)),
            "decrypted": inside or any(span.buffer == "plain" for span in message.spans), "wraps": wrapped,
        }  # fmt: skip

    def _why(self, packet: Packet, under_way: bool) -> Text | None:
        if packet.refused:
            return refusal(packet.refused, True)
        return None if under_way else fate.words(packet)


def socket(asked: Kernels) -> dict[str, Any]:
    """Returns what both kernels say, in the order of a page's `socket`, and the counters that have moved."""
    told: dict[str, Any] = {role: numbers(getattr(asked, role)) for role in ROLES}
    if asked.moved:
        told["moved"] = [[each.role, each.counter, each.by] for each in asked.moved]
    return told


def numbers(found: Socket) -> list[Any]:
    """Returns what a kernel says of a socket, in the order of a page's `socket`."""
    told = [getattr(found, name) for name in _SOCKET]
    told[_SOCKET.index("timer")] = None if found.timer is None else [found.timer, found.expires]
    return told


def _has_more(asked: Kernels) -> bool:
    """Whether the kernels were asked for more than their states."""
    return any(value is not None for end in (asked.client, asked.server) for value in end[1:])


def both(text: Text) -> dict[str, str]:
    return {"en": text.en, "zh": text.zh}


def same(text: str) -> dict[str, str]:
    return {"en": text, "zh": text}


def _brief(text: Text) -> Text:
    return Text(brief(text.en), brief(text.zh))
