"""A place in a capture by meaning becomes packet numbers: "the SYN-ACK", "the segment that two steps share"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from lab.grade.assignment import Assignment, Place
from lab.grade.facts import AbsentError, Facts, other
from lab.model import Packet, Role


class Seen(NamedTuple):
    """A capture with an assignment's places in it. `moved` are places that an answer has put elsewhere, by packet."""

    facts: Facts
    places: Mapping[str, Place]
    moved: Mapping[str, int] = {}

    def all(self, id_: str) -> tuple[Packet, ...]:
        """Returns all packets at a place, in order; perhaps none."""
        if id_ in self.moved:
            return (self.facts.packet(self.moved[id_]),)
        return self.matching(self.places[id_].wanted)

    def at(self, id_: str) -> Packet:
        """Returns the packet at a place. Raises AbsentError where there is none."""
        if id_ in self.moved:
            return self.facts.packet(self.moved[id_])
        found = self.chosen(self.places[id_].wanted)
        if found is None:
            raise AbsentError(self.places[id_].name)
        return found

    def chosen(self, wanted: Mapping[str, Any]) -> Packet | None:
        """Returns the one of the packets for which all that is wanted holds that `which` chooses."""
        found = self.matching(wanted)
        which = wanted.get("which", "first")
        at = 0 if which == "first" else len(found) - 1 if which == "last" else which - 1
        return found[at] if 0 <= at < len(found) else None

    def matching(self, wanted: Mapping[str, Any]) -> tuple[Packet, ...]:
        """Returns the packets for which all that is wanted holds."""
        after = self.at(wanted["after"]).number if "after" in wanted else 0
        before = self.at(wanted["before"]).number if "before" in wanted else len(self.facts.packets) + 1
        sender = self.end(wanted["sender"]) if "sender" in wanted else None
        candidates = self.facts.packets[after : before - 1]
        return tuple(each for each in candidates if (not sender or each.sender == sender) and _holds(each, wanted))

    def end(self, name: str) -> Role:
        """Returns an end: `client`, `server`, `sender of PLACE`, `receiver of PLACE`. Raises AbsentError."""
        if " of " not in name:
            return cast(Role, name)
        of, _, place = name.partition(" of ")
        packet = self.at(place)
        if packet.sender is None:
            raise AbsentError(self.places[place].name)
        return packet.sender if of == "sender" else other(packet.sender)

    def moving(self, id_: str, number: int) -> Seen:
        """Returns the same with a place where an answer says that it is."""
        return self._replace(moved={**self.moved, id_: number})


def seen(assignment: Assignment, facts: Facts) -> Seen:
    return Seen(facts, assignment.places)


def _holds(packet: Packet, wanted: Mapping[str, Any]) -> bool:
    """Whether a packet is as wanted, as far as it alone tells."""
    messages = packet.messages
    carriers = [record.fields[0].name for each in messages for record in each.carriers if record.fields]
    return (
        packet.conversation == wanted.get("conversation", 0)
        and set(_several(wanted, "label")) <= set(packet.labels)
        and not set(_several(wanted, "without")) & set(packet.labels)
        and set(_several(wanted, "step")) <= set(packet.steps)
        and set(_several(wanted, "flags")) <= set(packet.flags)
        and wanted.get("fate", packet.fate) == packet.fate
        and ("payload" not in wanted or wanted["payload"] == bool(packet.payload))
        and ("message" not in wanted or any(each.name == wanted["message"] for each in messages))
        and wanted.get("carrier", "") in ("", *carriers)
    )


def _several(wanted: Mapping[str, Any], key: str) -> list[str]:
    value = wanted.get(key, [])
    return [value] if isinstance(value, str) else list(value)
