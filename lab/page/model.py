"""What a page shows, as plain values of JSON (handshake-lab/page/v1), made of packets and of the rows that fired.

Whatever a script of the page says or draws is in here, in both languages: it works out no meaning. A rung is a packet;
`sent` and `got` are its places in the order of rungs: where its sender's end of the arrow is, and behind which rung it
arrived.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import copy
from functools import cache
from itertools import zip_longest
from pathlib import PurePath
from typing import Any, NamedTuple

from lab.events import Event, StateChanged
from lab.model import ConversationReport, Ends, Example, Journal, Kernels, Packet, Role, Socket, States
from lab.page.bytes import opened
from lab.page.kept import Kept
from lab.page.words import KERNEL, LIVE, WORDS
from lab.protocols.notes import cast, note, notes
from lab.protocols.registry import PROTOCOLS, TRANSPORT, of_step
from lab.render import parts, telling
from lab.render.comments import sentence
from lab.render.diagram import as_json, diagram
from lab.render.outcome import agreed
from lab.render.picture import at_most, landed
from lab.render.telling import Drawn, Telling
from lab.render.words import TITLES, address, brief, event, refusal, sections
from lab.report import fate, steps
from lab.report.agreement import Agreement
from lab.runs.run import Run
from lab.text import LANGUAGES, ROLES, Text

SCHEMA = "handshake-lab/page/v1"
MOST = 10_000  # packets of a page
_LABEL = 48  # columns on an arrow
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
def _diagram(protocol: str) -> dict[str, Any] | None:
    """Returns a protocol's diagram, None where it has none."""
    drawn = diagram(next(each for each in PROTOCOLS if each.name == protocol))
    return None if drawn is None else as_json(drawn)


@cache
def _edges(protocol: str) -> dict[tuple[str, str, str, str], str]:
    """Returns which of a diagram's arrows is which row's."""
    drawn = _diagram(protocol) or {"rows": ()}
    return {(row["end"], row["before"], row["on"], row["after"]): row["edge"] for row in drawn["rows"]}


def _row(changed: StateChanged) -> dict[str, Any]:
    table = _TABLES[changed.protocol][changed.end]
    row = table.row(changed.before, changed.on)
    source = row.source if row else None
    if source and table.rfc and source[:1].isdigit():
        source = f"{table.rfc} section {source}"
    edge = _edges(changed.protocol).get((changed.end, changed.before, changed.on, changed.after))
    return {
        "edge": edge, "protocol": changed.protocol, "end": changed.end,
        "before": changed.before, "after": changed.after,
        "on": changed.on, "words": event(changed.on)._asdict(), "source": _text(sections(source)) if source else None,
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
        said = [{"kind": "remark", **_text(_brief(each.words))} for each in packet.remarks]
        return {"name": named._asdict(), "style": "plain", "fate": "unknown", "said": said, "steps": []}

    def _of_conversation(self, packet: Packet, which: int, held: States, ends: Ends, under_way: bool) -> dict[str, Any]:
        name, style = parts.kind(packet.labels)
        entry: dict[str, Any] = {
            "name": _both(name), "style": _STYLES.get(style, "plain"),
            "label": parts.label(packet, _LABEL, _LABEL), "raw": self._raw(packet),
            "fate": "under-way" if under_way else packet.fate, "by": packet.by,
            "states": {"held": list(held), "delivered": packet.delivered and list(packet.delivered)},
            "quiz": self._kind(packet), "bare": packet.labels == (TRANSPORT.bare,) and not packet.steps,
            "space": self._space(packet, which),
        }  # fmt: skip
        entry["steps"] = [self._step(packet, each) for each in packet.steps]
        entry["badge"] = {lang: parts.steps(packet.steps, lang) for lang in LANGUAGES} if packet.steps else None
        entry["said"] = self._said(packet, which, ends, under_way)
        entry["sentence"] = _text(sentence(packet, held=under_way) or Text("", ""))
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
            entry["why"] = _text(why)
        if packet.refused:
            entry["refused"] = True
        if packet.journal is not None and packet.journal.forged:
            entry["forged"] = True
        if packet.journal is not None and len(packet.journal.delivered) > 1:
            entry["copies"] = len(packet.journal.delivered)
        if packet.reckoned:
            entry["reckoned"] = [{"name": _text(each.name), "text": _text(each.text)} for each in packet.reckoned]
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
            "id": step, "name": _text(found.name), "title": _text(found.title), "text": _text(found.text),
            "rfc": _text(sections(found.rfc)),
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
        spaces = self._spaces.setdefault(which, {role: _Space(0, 0) for role in ROLES})  # type: ignore[misc]
        told = {
            "seq": packet.seq, "stop": packet.stop, "ack": packet.ack, "window": packet.window,
            "syn": "SYN" in packet.flags, "fin": "FIN" in packet.flags,
            "sent": [spaces[role].sent for role in spaces], "acked": [spaces[role].acked for role in spaces],
        }  # fmt: skip
        if packet.sender is not None and packet.receiver is not None and packet.fate != "lost":
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
            "protocol": message.protocol, "name": brief(message.name), "words": _text(_brief(message.words)),
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


_PAGE = Text("a page", "网页中")


def of_run(run: Run, with_keys: bool = False) -> dict[str, Any]:
    """Returns the page of a run that tells its packets in words and field by field, and has not been gone through.

    Its keys and how they come about are in it only `with_keys`: a page gets passed on. Raises UsageError where there
    are more than MOST packets.
    """
    making = Making(run)
    for packet in making.packets():
        making.add(packet)
    found = making.page()
    if with_keys:
        found["keylog"] = run.secrets[0].decode("ascii", "replace")
        found["examples"] = [
            _example(each.id, example) for each in run.reports(examples=True) for example in each.examples
        ]
    return found


def _example(number: int, example: Example) -> dict[str, Any]:
    """Returns a worked example; `number` is its conversation's."""
    lines = [
        {
            "what": _text(each.what), "inputs": [[name, value.hex(" ")] for name, value in each.inputs],
            "operation": each.operation, "name": each.output_name, "output": each.output.hex(" "),
            "source": _text(sections(each.source)),
        }
        for each in example.lines
    ]  # fmt: skip
    locked = example.locked
    return {"title": _text(example.title.format(number)), "locked": locked and _text(locked), "lines": lines}


class Making:
    """Makes the page of a run packet by packet."""

    def __init__(self, run: Run) -> None:
        fired = Fired()
        run.listen(fired.hear)
        self._run = run
        self._rungs, self._kept = Rungs(fired), Kept()
        self._journals: list[Journal | None] = []
        self._seen: set[str] = set()
        self._kinds: set[str] = set()
        self._titles: dict[tuple[int, str], dict[str, str]] = {}
        self._tracks: dict[int, dict[str, Any]] = {}

    def packets(self) -> Iterator[Packet]:
        """Yields the run's packets, without what was only sent because another packet was held.

        Raises UsageError where there are more than MOST.
        """
        told = (each for each in self._run.packets() if each.journal is None or not each.journal.absorbed)
        return at_most(told, MOST, _PAGE)

    def add(self, packet: Packet) -> None:
        rung = self._rungs.rung(packet)
        self._kept.add(rung)
        self._journals.append(packet.journal)
        self._seen |= protocols(rung)
        self._kinds |= {rung["quiz"]} if "quiz" in rung else set()
        self._titles |= {(rung["track"], step["id"]): step["title"] for step in rung["steps"]}
        track(self._tracks, packet)

    def page(self) -> dict[str, Any]:
        """Returns the page; true when all packets have been added."""
        self._kept.got = landed(self._journals)
        agreement, problem = self._run.agreement, self._run.complaint()
        found = head(PurePath(self._run.name).name)
        found["tracks"] = list(self._tracks.values())
        found["rungs"] = self._kept
        found |= around(self._seen, self._kinds)
        found |= closing(self._run.reports(), self._titles, agreement)
        if problem is not None:
            found["problem"] = _text(problem)
        return found


def closing(
    reports: Iterable[ConversationReport], titles: dict[tuple[int, str], dict[str, str]], agreement: Agreement | None
) -> dict[str, Any]:
    """Returns what a page says when all packets are known; `titles` are those of the steps that packets are."""
    found: dict[str, Any] = {"outcome": [_outcome(each, titles) for each in reports]}
    if agreement is not None and agreement.compared:
        found["proof"] = {lang: agreed(agreement, lang) for lang in LANGUAGES}
    return found


def head(name: str, live: bool = False) -> dict[str, Any]:
    """Returns what a page needs before it has a packet."""
    transport = TRANSPORT.name
    return {
        "schema": SCHEMA, "name": name, "live": live, "transport": transport,
        "roles": {role: text._asdict() for role, text in ROLES.items()},
        "titles": TITLES,
        "phases": dict(TRANSPORT.phases),
        "spelled": {each.name: each.notes for each in notes(transport).states.values() if each.notes},
        "waits": {
            name_: {state.name: _text(state.text) for state in notes(name_).states.values()} for name_ in TITLES
        },
        "socket": [{"name": name_, **_text(text), "unit": unit} for name_, text, unit in KERNEL],
        "words": {key: _text(text) for key, text in (WORDS | LIVE if live else WORDS).items()},
    }  # fmt: skip


def around(seen: Collection[str], kinds: Collection[str]) -> dict[str, Any]:
    """Returns what goes with rungs: the diagrams of protocols that were `seen`, and what a packet can be (`kinds`)."""
    return {"diagrams": diagrams(seen), "quiz": [*TRANSPORT.kinds, *sorted({*kinds} - {*TRANSPORT.kinds})]}


def protocols(rung: Mapping[str, Any]) -> set[str]:
    """Returns the protocols above the transport that there is something of in a rung."""
    return {each["protocol"] for each in (*rung.get("above", ()), *rung.get("messages", ()))}


def diagrams(seen: Collection[str]) -> list[dict[str, Any]]:
    """Returns the transport's diagram, and those of the protocols that were `seen` above it."""
    names = [TRANSPORT.name, *(each.name for each in PROTOCOLS if each.name in seen)]
    return [drawn for name in names if (drawn := _diagram(name)) is not None]


def track(found: dict[int, dict[str, Any]], packet: Packet) -> None:
    """Notes a packet's conversation: both ends' addresses, the states that they began in, their ISNs."""
    which, ends = packet.conversation, packet.ends
    if which is None or ends is None:
        return
    if which not in found:
        start = telling.start(packet, ends, Drawn())
        found[which] = {
            "id": which, "client": address(*ends.client), "server": address(*ends.server),
            "start": start and list(start), "alone": ends.alone,
        }  # fmt: skip
    found[which]["isns"] = list(ends.isns)


def tracks(packets: Iterable[Packet]) -> list[dict[str, Any]]:
    """Returns the conversations of packets."""
    found: dict[int, dict[str, Any]] = {}
    for packet in packets:
        track(found, packet)
    return list(found.values())


def _outcome(report: ConversationReport, titles: dict[tuple[int, str], dict[str, str]]) -> dict[str, Any]:
    """Returns what became of the notes' steps in a conversation; `titles` are those of steps that packets are."""
    told = []
    for each in report.steps:
        step, actor = note(each.id), of_step(each.id).usual_actor(each.id)
        title = titles.get((report.id, each.id)) or _text(cast(step.title, actor))
        said = {"id": each.id, "name": _text(step.name), "title": title}
        differs = _text(each.differs.text) if each.differs else None
        told.append(said | {"packets": list(each.packets), "differs": differs})
    final = report.kernel_final
    return {"track": report.id, "steps": told, "final": list(final) if final else None}


def _text(text: Text) -> dict[str, str]:
    return {"en": text.en, "zh": text.zh}


def _both(text: str) -> dict[str, str]:
    return {"en": text, "zh": text}


def _brief(text: Text) -> Text:
    return Text(brief(text.en), brief(text.zh))
