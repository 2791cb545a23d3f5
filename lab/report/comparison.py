"""Two conversations compared by what is said in them, not by numbers and times: what `lab diff` shows.

A conversation becomes rows: a message of a protocol above TCP is one, a packet that is SYN, FIN, RST, data or an
acknowledgement with a step is one. Bare acknowledgements that are no step are left out: how many there are is chance.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from lab import protocols
from lab.engine.layers import Layer, layers_of
from lab.model import Message, Role, Rung, States, StepReport
from lab.protocols.tcp.conversations import Conversation
from lab.render import trace
from lab.report.align import MOST, Pair, align
from lab.text import Text

_PLAIN = ("SYN", "SYN-ACK", "data", "FIN", "RST", "ACK", "no-flags")  # what a packet is; other labels say how it fares
_RANDOM = re.compile(
    r"(?:\b[0-9a-f]{2} ){3,}[0-9a-f]{2}\b|[A-Za-z0-9+/]{20,}={0,2}|[A-Za-z0-9+/]{4}(?=…)"
)  # another in every run
_NOT_WAITED_FOR = ("NewSessionTicket",)  # of the server's messages; in TLS 1.2 its Finished comes with it
_UNKNOWN = States(None, None)


class Row(NamedTuple):
    """What one end says at one place. `states` are both ends' when it is sent, in the protocol that says it."""

    sender: Role
    protocol: str
    name: str
    steps: tuple[str, ...]
    states: States
    remarks: tuple[str, ...]  # labels that say how it fares, and `lost`
    words: Text


class Side(NamedTuple):
    """One of the two: its conversation, its rows and the packets they are of."""

    name: str
    which: Conversation
    rows: tuple[Row, ...]
    packets: tuple[int, ...]
    left_out: int  # bare acknowledgements
    cut: int  # rows that there was no room for
    entry: dict[str, Any]  # the trace's
    steps: tuple[StepReport, ...]
    problems: Text | None = None  # what is wrong with its file


class Match(NamedTuple):
    """One line of the comparison: places in both sides' rows, and the fields in which these differ.

    `elsewhere` is the place in the other side's rows of the same message, where the other says it at another time.
    """

    ours: int | None
    theirs: int | None
    fields: tuple[str, ...]
    elsewhere: int | None = None


class Fact(NamedTuple):
    """Something about a whole conversation in which the two differ."""

    name: str
    ours: Any
    theirs: Any


class Comparison(NamedTuple):
    """All that `lab diff` shows."""

    ours: Side
    theirs: Side
    matches: tuple[Match, ...]
    facts: tuple[Fact, ...]
    steps: tuple[tuple[StepReport | None, StepReport | None], ...]  # those that go another way

    @property
    def alike(self) -> bool:
        """Whether nothing that was compared differs."""
        alone = any(each.ours is None or each.theirs is None or each.fields for each in self.matches)
        return not (alone or self.facts or self.steps)

    @property
    def same(self) -> bool:
        """Whether both say the same, in every row and as a whole, and all rows were compared."""
        return self.alike and not (self.ours.cut or self.theirs.cut)

    @property
    def with_data(self) -> bool:
        """Whether there is data that no protocol above TCP has told: its bytes are not compared."""
        rows = itertools.chain(self.ours.rows, self.theirs.rows)
        return any(row.protocol == "tcp" and "data" in row.name.split() for row in rows)


def side(name: str, rungs: Iterable[Rung]) -> Side | None:
    """Returns the conversation that the rungs are of, None where they are of none. Keeps no rung."""
    which: Conversation | None = None
    rows: list[Row] = []
    packets: list[int] = []
    left_out = cut = 0
    for rung in rungs:
        if rung.conversation is None:
            continue
        which = rung.conversation
        found = list(_rows(rung))
        left_out += not found
        cut += max(len(rows) + len(found) - MOST, 0)
        found = found[: MOST - len(rows)]
        rows += found
        packets += [rung.number] * len(found)
    if which is None:
        return None
    entry, steps = trace.conversation(which), tuple(trace.steps(which))
    return Side(name, which, tuple(rows), tuple(packets), left_out, cut, entry, steps)


def _rows(rung: Rung) -> Iterator[Row]:
    if rung.end is None or rung.segment is None or rung.conversation is None:
        return
    sender, remarks = rung.end.role, _remarks(rung)
    layers = {layer.name: layer for layer in layers_of(rung.conversation)}
    above = {name: held for name, held, _ in rung.above}
    last = rung.messages[-1].protocol if rung.messages else ""
    left = list(rung.steps)  # each is told once: at the message that it is
    for at, message in enumerate(rung.messages, 1):
        layer = layers.get(message.protocol)
        if layer is None or (message.said.event == layer.carries and last != layer.name):
            continue  # what it carries is told
        final = all(each.protocol != layer.name for each in rung.messages[at:])
        mine = [step for step in left if step.startswith(layer.name + ".") and (final or step in _of(layer, message))]
        left = [step for step in left if step not in mine]
        words = protocols.upper(layer.name).words(layer, message.said)
        states = above.get(layer.name, _UNKNOWN) if final else _UNKNOWN  # they are those behind the last
        yield Row(sender, layer.name, message.name, tuple(mine), states, remarks, words)
    steps = tuple(step for step in rung.steps if step.startswith("tcp."))
    names = [label for label in rung.labels if label in _PLAIN and not (rung.messages and label == "data")]
    if rung.messages and not steps and not set(names) - {"ACK"}:
        return
    if names == ["ACK"] and not steps and not remarks:
        return
    yield Row(sender, "tcp", " ".join(names), steps, rung.held or _UNKNOWN, remarks, Text("", ""))


def _of(layer: Layer, message: Message) -> set[str | None]:
    """Returns the steps that a message can be, by its protocol's tables."""
    events = {"sent " + message.said.event, "got " + message.said.event}
    return {row.step for table in protocols.upper(layer.name).tables.values() for row in table.rows if row.on in events}


def _remarks(rung: Rung) -> tuple[str, ...]:
    said = {message.name for message in rung.messages}
    chance = {*_PLAIN, "unfinished-checksum", "larger-than-mss", "duplicate-ack", "window-update", *said}
    found = tuple(label for label in rung.labels if label not in chance)
    return (*found, "lost") if rung.settled and not rung.got and rung.delivered is None else found


def compare(ours: Side, theirs: Side) -> Comparison:
    """Compares two conversations. The other way round gives the same with the sides exchanged."""
    turned = _order(theirs) < _order(ours)
    first, second = (theirs, ours) if turned else (ours, theirs)
    pairs = align([_meant(row) for row in first.rows], [_meant(row) for row in second.rows], _likeness)
    if turned:
        pairs = [(b, a) for a, b in pairs]
    matches = tuple(_matches(ours.rows, theirs.rows, pairs))
    return Comparison(ours, theirs, matches, tuple(_facts(ours, theirs)), tuple(_steps(ours, theirs)))


def _matches(ours: tuple[Row, ...], theirs: tuple[Row, ...], pairs: list[Pair]) -> Iterator[Match]:
    mine = _once(ours, [a for a, b in pairs if b is None])
    others = _once(theirs, [b for a, b in pairs if a is None])
    for a, b in pairs:
        if a is not None and b is not None:
            yield Match(a, b, _differing(ours[a], theirs[b]))
            continue
        said = _called(ours[a]) if a is not None else _called(theirs[b or 0])
        both = said in mine and said in others
        yield Match(a, b, (), (others if b is None else mine)[said] if both else None)


def _called(row: Row) -> tuple[Role, str, str]:
    return row.sender, row.protocol, row.name


def _once(rows: tuple[Row, ...], alone: Iterable[int | None]) -> dict[tuple[Role, str, str], int]:
    """Returns those that stand alone and are said once only, as is the Finished of the server."""
    times = Counter(map(_called, rows))
    return {_called(rows[at]): at for at in alone if at is not None and times[_called(rows[at])] == 1}


def _order(which: Side) -> list[str]:
    return [repr(row) for row in which.rows]


def _meant(row: Row) -> Row:
    """Returns a row without what is another in every run."""
    return row._replace(words=Text(_RANDOM.sub("…", row.words.en), _RANDOM.sub("…", row.words.zh)))


def _likeness(ours: Row, theirs: Row) -> int:
    """Returns how much two rows mean the same: 0 where they may not stand side by side."""
    if ours.sender != theirs.sender or ours.protocol != theirs.protocol:
        return 0
    shared = len(set(ours.steps) & set(theirs.steps))
    if ours.name != theirs.name and not shared:
        return 0
    return 8 * (ours.name == theirs.name) + 4 * shared + 2 * (ours.states == theirs.states) + (ours == theirs)


def _differing(ours: Row, theirs: Row) -> tuple[str, ...]:
    """Returns in which fields two rows differ. States that are not known differ from none."""
    ours, theirs = _meant(ours), _meant(theirs)
    if _UNKNOWN in (ours.states, theirs.states):
        theirs = theirs._replace(states=ours.states)
    names = ("name", "steps", "states", "remarks", "words")
    return tuple(name for name in names if getattr(ours, name) != getattr(theirs, name))


_FACTS = {
    "packets": ("packets",), "opened": ("opened",), "closed": ("closed",), "conn_state": ("conn_state",),
    "retransmissions": ("tcp", "retransmissions"), "protocols": ("protocols",),
    "tls_version": ("tls", "version"), "cipher_suite": ("tls", "cipher_suite"), "key_exchange": ("tls", "key_exchange"),
    "group": ("tls", "group"), "sni": ("tls", "sni"), "alpn": ("tls", "alpn"), "resumed": ("tls", "resumed"),
    "hello_retry": ("tls", "hello_retry"), "client_certificate": ("tls", "client_certificate"),
    "finished_verified": ("tls", "finished_verified"), "accepted": ("websocket", "accepted"),
    "status": ("websocket", "status"), "subprotocol": ("websocket", "subprotocol"),
    "extensions": ("websocket", "extensions"), "close_code": ("websocket", "close_code"),
}  # fmt: skip


def _facts(ours: Side, theirs: Side) -> Iterator[Fact]:
    for name, path in _FACTS.items():
        yield from _fact(name, _at(ours.entry, path), _at(theirs.entry, path))
    for name, told in _TOLD.items():
        yield from _fact(name, told(ours), told(theirs))


def _fact(name: str, ours: Any, theirs: Any) -> Iterator[Fact]:
    if ours != theirs:
        yield Fact(name, ours, theirs)


def _at(entry: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        entry = entry.get(name) if isinstance(entry, dict) else None
    return entry


def _final(which: Side) -> str:
    states = which.entry["final"]["states"]
    return f"{states['client'] or '?'} · {states['server'] or '?'}"


def _alerts(which: Side, role: Role) -> list[str]:
    """Returns the fatal alerts of one end."""
    tls = which.entry["tls"] or {"alerts": []}
    return [each["description"] for each in tls["alerts"] if each["level"] == "fatal" and each["from"] == role]


def _read(which: Side) -> bool | None:
    """Returns whether everything in TLS could be decrypted; None where there is none."""
    return all(row.name != "encrypted" for row in which.rows) if which.entry["tls"] else None


def _closes_first(which: Side) -> Role | None:
    return which.which.began.get("tcp.close")


def _close_segments(which: Side) -> int | None:
    """Returns how many segments the notes' four steps of closing are; None where they are not all there."""
    steps = [step for step in which.steps if step.id.startswith("tcp.close.")]
    return len({packet for step in steps for packet in step.packets}) if all(step.seen for step in steps) else None


def round_trips(which: Side) -> int | None:
    """Returns how often the client waits, from its SYN on, before the first data of its own that are no handshake.

    None where it never sends any, or its SYN was not captured.
    """
    if which.which.client.isn is None:
        return None
    trips, waited = 0, False
    for row in which.rows:
        if row.sender == "server":
            waited = waited or row.name not in _NOT_WAITED_FOR
            continue
        trips, waited = trips + waited, False
        if row.name in ("data", "application-data", "text", "binary"):
            return trips
    return None


_TOLD: dict[str, Callable[[Side], Any]] = {
    "final_states": _final, "close_segments": _close_segments, "closes_first": _closes_first,
    "round_trips": round_trips, "decrypted": _read,
    "client_alerts": lambda which: _alerts(which, "client"), "server_alerts": lambda which: _alerts(which, "server"),
}  # fmt: skip


def _steps(ours: Side, theirs: Side) -> Iterator[tuple[StepReport | None, StepReport | None]]:
    mine, other = ({step.id: step for step in each.steps} for each in (ours, theirs))
    for name in dict.fromkeys((*mine, *other)):
        a, b = mine.get(name), other.get(name)
        if _way(a) != _way(b):
            yield a, b


def _way(step: StepReport | None) -> tuple[bool, str | None] | None:
    """Returns how a step went; one that a protocol would have that is not there at all went no way."""
    return None if step is None else (step.seen, step.differs.code if step.differs else None)
