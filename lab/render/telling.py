"""What is said of each packet in a ladder, whatever draws that: its ends' states, its steps, its messages, its fate.

What needs saying once is said once, so packets are told in the order in which they are drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from lab.dissect.fields import innermost
from lab.model import Above, Ends, Packet, States
from lab.protocols.notes import note
from lab.protocols.registry import TRANSPORT, UNREAD
from lab.protocols.transport import FIELDS
from lab.render import parts
from lab.render.words import EXPLAINED, LABELS, TITLES, brief, cells, event, refusal
from lab.report import fate
from lab.report import steps as steps_
from lab.text import ROLES, Lang, Text

_OWN_STEPS = TRANSPORT.name + "."


class Drawn:
    """What has been drawn of a conversation: it is shown, or said, once."""

    __slots__ = ("above", "begun", "client", "isns", "server", "titles")

    def __init__(self) -> None:
        self.begun = False
        self.client: str | None = None  # the states as shown last
        self.server: str | None = None
        self.isns: tuple[int | None, int | None] = (None, None)
        self.titles: tuple[str, ...] = ()  # of the steps
        self.above: dict[str, States] | None = None  # the states as told last, by protocol

    def __copy__(self) -> Drawn:
        other = Drawn()
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        other.above = None if self.above is None else dict(self.above)
        return other


class Spoken(NamedTuple):
    """What is said of a packet, in a line: of a step, of what it carries, of how it fares; or its payload as text."""

    text: str
    kind: Literal["step", "message", "remark", "payload"]


class Shown(NamedTuple):
    """Both ends' states as a rung shows them, whether each is new, and those that are, in the order they came about."""

    client: str | None
    server: str | None
    client_new: bool
    server_new: bool
    changed: list[str]


def start(packet: Packet, ends: Ends, drawn: Drawn) -> States | None:
    """Returns the states from before a conversation's first packet, None where that was not captured."""
    if drawn.begun or not ends.from_start or not packet.held:
        return None
    other = packet.held.server if packet.sender == "client" else TRANSPORT.tables["server"].starts["server"]
    drawn.client, drawn.server = TRANSPORT.tables["client"].starts["client"], other
    return States(drawn.client, other)


def states(packet: Packet, drawn: Drawn) -> Shown:
    """Returns the sender's state when the packet left, the receiver's when it had arrived."""
    held, arrived = packet.held, packet.delivered
    assert held
    forward = packet.sender == "client"
    if forward:
        client, server = held.client, arrived and arrived.server
    else:
        client, server = arrived and arrived.client, held.server
    changed = []
    client_new, server_new = client != drawn.client, server != drawn.server
    if client_new and client:
        drawn.client = client
        changed.append(client)
    if server_new and server:
        drawn.server = server
        changed.insert(len(changed) if forward else 0, server)
    return Shown(client, server, client_new, server_new, changed)


def isns(drawn: Drawn, ends: Ends, of: tuple[int, ...]) -> list[str]:
    """Returns the raw numbers that are relative 0, of the ends in question, each once in a conversation."""
    told, fresh = list(drawn.isns), ["", ""]
    for at in of:
        if ends.isns[at] not in (None, told[at]):
            told[at], fresh[at] = ends.isns[at], f"ISN {ends.isns[at]}"
    drawn.isns = told[0], told[1]
    return fresh


class Telling:
    """Tells packets in one language. `named` says that a step's name stands elsewhere."""

    def __init__(self, lang: Lang, named: bool = True) -> None:
        self.named = named
        self._lang: Lang = lang
        self._told: frozenset[str] = frozenset()  # labels that have been explained

    def below(
        self, packet: Packet, drawn: Drawn, changed: list[str], room: int, under_way: bool = False
    ) -> list[Spoken]:
        """Returns what is to be said of a packet beside the arrow.

        Where there is room for it in so many columns, the notes' spelling of states stands behind a step. Of one that
        is `under_way` the fate is left open.
        """
        lang = self._lang
        below = self._said_of_steps(packet, drawn, changed, room) if packet.steps else []
        said = [brief(remark.words.pick(lang)) for remark in packet.remarks]
        if packet.messages:
            said += self._messages(packet)
        said += [brief(point.pick(lang)) for point in packet.points]
        for above in packet.above:
            if _worth_telling(above, packet, drawn):
                said.append(parts.above(above, packet).pick(lang))
        below += [Spoken(line, "message") for line in said]
        if words := self._words(packet, under_way):
            words[:-1] = [word.rstrip(".。") for word in words[:-1]]  # each but the last goes on
            below.append(Spoken(Text("; ", "；").pick(lang).join(words), "remark"))
        if packet.payload and not packet.messages and (preview := parts.preview(packet)):
            below.append(Spoken(preview, "payload"))
        return below

    def unexplained(self, packet: Packet) -> list[str]:
        """Returns those of its labels that would be explained with it: they need explaining, and have not been yet."""
        return [label for label in parts.worded(packet.labels) if label in EXPLAINED and label not in self._told]

    def explained(self, labels: Iterable[str]) -> None:
        """Takes labels as explained."""
        self._told = self._told.union(labels)

    def other(self, packet: Packet) -> str:
        """Returns what a packet is that is of no conversation."""
        labels = [label for label in packet.labels if label != UNREAD]
        named = innermost(packet.frame, FIELDS) if packet.frame and not labels else ""
        words = [named] * bool(named) + [LABELS[label].pick(self._lang) for label in labels]
        if not words and not packet.remarks:  # these say what it is
            words = [Text("not read", "未能解读").pick(self._lang)]
        said = [Text(", ", "，").pick(self._lang).join(words)] * bool(words)
        if packet.frame:
            said.append(Text(f"{packet.frame.length} bytes", f"{packet.frame.length} 字节").pick(self._lang))
        return Text("({})", "（{}）").pick(self._lang).format(Text("; ", "；").pick(self._lang).join(said))

    def _said_of_steps(self, packet: Packet, drawn: Drawn, changed: list[str], room: int) -> list[Spoken]:
        lang = self._lang
        said = []
        for step in packet.steps:
            title = steps_.told(packet, step).title.pick(lang)
            name = "" if self.named else note(step).name.pick(lang)
            if step.startswith(_OWN_STEPS) or title not in drawn.titles:
                said.append(Spoken(f"{name}  {title}".lstrip(), "step"))
                if title not in drawn.titles:
                    drawn.titles += (title,)
            elif name:
                said.append(Spoken(name, "step"))
        if said and changed and (spelled := parts.spelled(tuple(changed))):
            spelling = Text(f"  [notes: {spelled}]", f"　[讲义：{spelled}]").pick(lang)
            if cells(said[-1].text + spelling) <= room:
                said[-1] = Spoken(said[-1].text + spelling, "step")
            else:
                said.append(Spoken(spelling.strip(), "message"))
        return said

    def _words(self, packet: Packet, under_way: bool) -> list[str]:
        """Returns what is said of its labels and of its fate."""
        labels = parts.worded(packet.labels)
        if not labels and packet.fate == "arrived" and not (packet.journal or packet.verdict or packet.surprises):
            return []
        lang = self._lang
        words = [self._once(label).pick(lang) for label in labels]
        if packet.journal and len(packet.journal.delivered) > 1:
            words.append(Text("delivered twice", "送达了两次").pick(lang))
        if packet.fate != "arrived" and not under_way and (became := fate.words(packet)) is not None:
            words.append(became.pick(lang))
        if packet.verdict is not None and packet.refused:
            words.append(refusal(packet.refused).pick(lang))
        for surprise in packet.surprises:
            words.append(
                Text(
                    f"surprise: the {surprise.role} {surprise.on} in {surprise.state}",
                    f"意外：{ROLES[surprise.role].zh}处于 {surprise.state} 状态，却{event(surprise.on).zh}",
                ).pick(lang)
            )
        return [word for word in words if word]

    def _messages(self, packet: Packet) -> list[str]:
        """Returns what a protocol above TCP says in a packet, a line a message."""
        lines = []
        for message in packet.messages:
            if message.wraps and packet.messages[-1].protocol != message.protocol:
                continue  # what it carries is told below
            words = message.words.pick(self._lang)
            line = f"{TITLES[message.protocol]} {message.name}"
            lines.append(line + Text(": ", "：").pick(self._lang) + brief(words) if words else line)
        return lines

    def _once(self, label: str) -> Text:
        """Returns what is said of a label: what needs explaining is explained once, and then named.

        What comes of where was captured, and is on every other packet, is not even named again.
        """
        if label not in EXPLAINED:
            return LABELS[label]
        told, self._told = label in self._told, self._told | {label}
        if not told:
            return EXPLAINED[label]
        return Text("", "") if label in TRANSPORT.by_chance else LABELS[label]


def _worth_telling(above: Above, packet: Packet, drawn: Drawn) -> bool:
    """Whether a protocol above TCP says something in this packet, or its states are others than were last told."""
    if drawn.above is None:
        drawn.above = {}
    before = drawn.above.get(above.protocol)
    drawn.above[above.protocol] = above.delivered or above.held
    spoke = any(message.protocol == above.protocol for message in packet.messages)
    return spoke or before != above.held or above.delivered not in (None, above.held)
