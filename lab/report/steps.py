"""The notes' steps as they went in a conversation, and as they are told of one packet."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from lab.engine.layer import layers_of
from lab.engine.protocol import StepOutcome
from lab.model import ConversationReport, Differs, Packet, Role, StepReport
from lab.protocols import registry
from lab.protocols.notes import NoteStep, cast, note, notes
from lab.text import Text, packets

_OTHER: dict[Role, Role] = {"client": "server", "server": "client"}


def steps(which: Any) -> list[StepReport]:
    """Returns what became of each of the notes' steps in a live conversation: what it carries stands in the middle."""
    below = registry.TRANSPORT
    own = [(_report(below.name, each), each.id) for each in below.steps(which)]
    opening = own[0][1].rpartition(".")[0]
    above = [_report(layer.name, each) for layer in layers_of(which) for each in layer.protocol.steps(layer)]
    first = [report for report, step in own if step.startswith(opening)]
    return [*first, *above, *(report for report, step in own if not step.startswith(opening))]


def acting(packet: Packet, step: str) -> Role:
    """Returns who acts in a step that this packet is: its sender, or its receiver where the step is to have got it."""
    sender = packet.sender or "client"
    about = registry.of_step(step)
    if packet.ends is not None and packet.ends.alone == sender == about.usual_actor(step):
        return sender  # nothing of its peer was captured: its own packets show what it has got
    return _OTHER[sender] if step in about.got_steps else sender


def told(packet: Packet, step: str) -> NoteStep:
    """Returns what is said of a step that this packet is: as the notes have it, or as its connection departs from them.

    Texts name the ends that act in it.
    """
    instead = notes(registry.of_step(step).name).instead
    code = dict(zip(packet.steps, packet.departures, strict=False)).get(step)
    found = instead.get((step, code or ""), note(step))
    actor = acting(packet, step)
    return found._replace(title=cast(found.title, actor), text=cast(found.text, actor))


def telling(reports: Iterable[ConversationReport]) -> int:
    """Returns the packet that has most to tell: of the first step that departs from the notes, else of the last
    protocol's first step; 1 where no step was seen."""
    seen = [step for which in reports for step in which.steps if step.packets]
    departing = [step for step in seen if step.differs is not None]
    own = [step for step in seen if not step.id.startswith(registry.TRANSPORT.name + ".")]
    found = next(iter(departing or own or seen), None)
    return found.packets[0] if found is not None else 1


def _report(protocol: str, step: StepOutcome) -> StepReport:
    return StepReport(step.id, bool(step.packets), step.packets, _differs(protocol, step))


def _differs(protocol: str, step: StepOutcome) -> Differs | None:
    if step.code is None:
        return None
    text = _departure(protocol, step.code, step.when, step.actor)
    for place, listed in (("{packets}", step.packets), ("{gone}", step.gone)):
        if place in text.en:
            english = text.en.replace(f"packet {place}", packets(listed).en)
            numbers = [str(number) for number in listed]
            text = Text(english.replace(place, ", ".join(numbers)), text.zh.replace(place, "、".join(numbers)))
    return Differs(step.code, text)


@lru_cache(512)
def _departure(protocol: str, code: str, when: str, role: Role) -> Text:
    said = notes(protocol)
    return cast(said.known.get((code, when), said.differs[code]), role)
