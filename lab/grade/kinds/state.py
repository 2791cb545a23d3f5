"""The state of an end at an instant: when a packet has been sent and has not arrived, or when it has arrived."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from lab.grade.assignment import Question
from lab.grade.facts import AbsentError, Facts, other
from lab.grade.kinds.kind import Answer, FormError, Kind, Right, Slip, key, plain
from lab.grade.places import Seen
from lab.model import Role
from lab.protocols.notes import notes
from lab.protocols.registry import TRANSPORT
from lab.text import Text

# How Linux spells some (ss, netstat): right too. The notes' own spellings are in the protocol's notes.
_LINUX = {"ESTAB": "ESTABLISHED", "SYN-RECV": "SYN-RECEIVED", "UNCONN": "CLOSED"}


class State(Kind):
    name = "state"

    def expects(self, question: Question) -> Text:
        names = ", ".join(notes(TRANSPORT.name).states)
        return Text(
            f"a state, as RFC 9293 or the notes spell it: {names}", f"一个状态，按 RFC 9293 或讲义的写法：{names}"
        )

    def read(self, question: Question, raw: object) -> str:
        found = names().get(key(plain(raw)))
        if found is None:
            raise FormError
        return found

    def right(self, question: Question, seen: Seen) -> Right:
        packet, end = seen.at(question.given["place"]), seen.end(question.given["end"])
        states = packet.held if question.given["instant"] == "held" else packet.delivered
        found = getattr(states, end) if states is not None else None
        if found is None:
            raise AbsentError(Text(f"a state at packet {packet.number}", f"第 {packet.number} 号包处的状态"))
        return Right(str(found), (packet.number,))

    def slips(self, question: Question, seen: Seen, right: Right) -> Iterator[Slip]:
        end = seen.end(question.given["end"])
        packet, held = seen.facts.packet(right.packets[0]), question.given["instant"] == "held"
        line = instants(seen.facts, packet.conversation, end)
        at = next(place for place, each in enumerate(line) if each[:2] == (packet.number, held))
        for code, near in (("one-instant-early", at - 1), ("one-instant-late", at + 1)):
            if 0 <= near < len(line) and line[near][2]:
                yield Slip(code, line[near][2])
        states = packet.held if held else packet.delivered
        state = getattr(states, other(end))
        if state:
            yield Slip("state-of-the-other-end", str(state))

    def spellings(self, question: Question, answer: Answer) -> list[object]:
        note = notes(TRANSPORT.name).states[answer].notes
        spelled = [answer, answer.lower(), answer.replace("-", "_"), *([note] if note else [])]
        return [*spelled, *(linux for linux, state in _LINUX.items() if state == answer)]


def instants(facts: Facts, conversation: int | None, end: Role) -> list[tuple[int, bool, str]]:
    """Returns the states of an end at both instants of every packet, in order: the packet, whether held, the state."""
    found = []
    for packet in facts.packets:
        if packet.conversation == conversation and packet.sender is not None:
            for held, states in ((True, packet.held), (False, packet.delivered)):
                if states is not None:
                    found.append((packet.number, held, str(getattr(states, end) or "")))
    return found


@cache
def names() -> dict[str, str]:
    """Returns RFC 9293's name of each state, by the ways in which it is spelled."""
    found = {}
    for state in notes(TRANSPORT.name).states.values():
        for spelled in (state.name, state.notes):
            if spelled:
                found[key(spelled)] = state.name
    return found | {key(linux): state for linux, state in _LINUX.items()}
