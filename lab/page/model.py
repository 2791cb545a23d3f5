"""What a page shows, as plain values of JSON (handshake-lab/page/v1), made of packets and of the rows that fired.

Whatever a script of the page says or draws is in here, in both languages: it works out no meaning. A rung is a packet;
`got` is the place of the rung behind which it arrived.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from lab.model import ConversationReport, Example, Journal, Packet, Role
from lab.page.kept import Kept
from lab.page.rungs import Fired, Rungs, both, diagram_of
from lab.page.words import KERNEL, LIVE, TIMERS, WORDS
from lab.protocols.notes import cast, note, notes
from lab.protocols.registry import PROTOCOLS, TRANSPORT, of_step
from lab.render import telling
from lab.render.outcome import agreed
from lab.render.picture import at_most, landed
from lab.render.telling import Drawn
from lab.render.words import TITLES, sections
from lab.report.agreement import Agreement
from lab.runs.run import Run
from lab.text import LANGUAGES, ROLES, Text, address

SCHEMA = "handshake-lab/page/v1"
MOST = 10_000  # packets of a page
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
            "what": both(each.what), "inputs": [[name, value.hex(" ")] for name, value in each.inputs],
            "operation": each.operation, "name": each.output_name, "output": each.output.hex(" "),
            "source": both(sections(each.source)),
        }
        for each in example.lines
    ]  # fmt: skip
    locked = example.locked
    return {"title": both(example.title.format(number)), "locked": locked and both(locked), "lines": lines}


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
        for step in rung["steps"]:  # of several packets the first says who began
            self._titles.setdefault((rung["track"], step["id"]), step["title"])
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
            found["problem"] = both(problem)
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
        "socket": [{"name": name_, **both(text), "unit": unit} for name_, text, unit in KERNEL],
        "timers": {name_: both(text) for name_, text in TIMERS.items()},
        "words": {key: both(text) for key, text in (WORDS | LIVE if live else WORDS).items()},
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
    return [drawn for name in names if (drawn := diagram_of(name)) is not None]


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


def _phase(step: str) -> str:
    return step.rpartition(".")[0]


def _turned(report: ConversationReport, titles: dict[tuple[int, str], dict[str, str]]) -> set[str]:
    """Returns the phases of the transport in which both ends act in each other's place: the other one has begun."""
    found = set()
    for each in report.steps:
        if of_step(each.id) is TRANSPORT:
            other = cast(note(each.id).title, _OTHER[TRANSPORT.usual_actor(each.id)])
            if titles.get((report.id, each.id)) == both(other):
                found.add(_phase(each.id))
    return found


_OTHER: dict[Role, Role] = {"client": "server", "server": "client"}


def _outcome(report: ConversationReport, titles: dict[tuple[int, str], dict[str, str]]) -> dict[str, Any]:
    """Returns what became of the notes' steps in a conversation; `titles` are those of steps that packets are."""
    told, turned = [], _turned(report, titles)
    for each in report.steps:
        step, actor = note(each.id), of_step(each.id).usual_actor(each.id)
        actor = _OTHER[actor] if _phase(each.id) in turned else actor
        title = titles.get((report.id, each.id)) or both(cast(step.title, actor))
        said = {"id": each.id, "name": both(step.name), "title": title}
        differs = both(each.differs.text) if each.differs else None
        told.append(said | {"packets": list(each.packets), "differs": differs})
    final = report.kernel_final
    return {"track": report.id, "steps": told, "final": list(final) if final else None}
