"""All that questions may ask of a capture, read once: packets with their messages field by field, conversations.

What is asked for by name (a label, a message, a field, a fact of the trace) is asked for as the assignment spells it:
which names there are, the protocols say, and nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from lab.dissect.fields import fields
from lab.errors import InputError
from lab.model import ConversationReport, Detail, Field, Message, Packet, Role, Span
from lab.protocols.transport import FIELDS
from lab.runs.run import Run
from lab.text import Text

MOST_PACKETS = 20_000  # of a capture that is marked: an assignment's has some tens
_MOST_HEADERS = 500  # packets whose headers are kept as fields: some 10 kB each
EVERY = range(1, MOST_PACKETS + 2)  # the packets whose messages are told field by field: all


class AbsentError(Exception):
    """The capture does not have what a question is about; `what` says it."""

    def __init__(self, what: Text) -> None:
        super().__init__(what.en)
        self.what = what


class Facts(NamedTuple):
    """A capture as the annotator reads it. `sha256` is of the file, empty where that was not asked for."""

    packets: tuple[Packet, ...]
    conversations: tuple[ConversationReport, ...]
    sha256: str
    problems: tuple[Text, ...]
    headers: dict[int, list[Field]]  # of the first packets, taken apart when somebody asks for them

    def header(self, packet: Packet) -> list[Field]:
        """Returns the fields of a packet's headers, in wire order."""
        found = self.headers.get(packet.number)
        if found is None:
            found = fields(packet.frame, FIELDS) if packet.frame is not None else []
            if packet.number <= _MOST_HEADERS:
                self.headers[packet.number] = found
        return found

    def packet(self, number: int) -> Packet:
        """Returns a packet by its number. Raises AbsentError."""
        if not 1 <= number <= len(self.packets):
            raise AbsentError(Text(f"packet {number}", f"第 {number} 号包"))
        return self.packets[number - 1]

    def conversation(self, id_: int) -> ConversationReport:
        """Returns a conversation by its id. Raises AbsentError."""
        found = next((each for each in self.conversations if each.id == id_), None)
        if found is None:
            raise AbsentError(Text(f"a conversation {id_}", f"连接 {id_}"))
        return found

    def fact(self, id_: int, path: str) -> Any:
        """Returns what the trace has of a conversation at a path (`a.b.c`). Raises AbsentError where it is nothing."""
        conversation = self.conversation(id_)
        for known in (conversation.facts, conversation.details):
            value: Any = known
            for name in path.split("."):
                value = value.get(name) if isinstance(value, Mapping) else None
            if value is not None:
                return value
        raise AbsentError(Text(f"the fact {path}", f"事实 {path}"))

    def octets(self, message: Message) -> bytes:
        """Returns the bytes of a message: as captured, or as decrypted. Raises AbsentError where they are not there."""
        plain = [span for span in message.spans if span.buffer == "plain"]
        if not plain:
            return b"".join(self._bytes(span) for span in message.spans)
        if len(plain) == 1 and message.carriers:
            return message.carriers[-1].plain[plain[0].start : plain[0].end]
        raise AbsentError(Text(f"the decrypted bytes of {message.name}", f"{message.name} 解密后的字节"))

    def _bytes(self, span: Span) -> bytes:
        packet = self.packet(span.number)
        frame = packet.whole or packet.frame
        return frame.data[span.start : span.end] if frame is not None else b""


def read(run: Run) -> Facts:
    """Returns the facts of a capture; its run has to be made with `fields=EVERY`, and is closed.

    Raises InputError where it can't be read, or is not what is marked here.
    """
    with run:
        found = []
        for packet in run.packets():
            found.append(packet)
            if len(found) > MOST_PACKETS:
                raise InputError(
                    Text(f"{run.name} has more than {MOST_PACKETS} packets", f"{run.name} 的包超过 {MOST_PACKETS} 个"),
                    Text("hand in the capture of the one run that was asked for", "请只提交作业要求的那一次运行的抓包"),
                )
        about = run.about()
        problems = tuple(each.text for each in run.problems())
        return Facts(tuple(found), tuple(run.reports(examples=False)), about.get("sha256") or "", problems, {})


def within(message: Message, path: str) -> list[Detail]:
    """Returns the fields of a message that a path names: NAME, or NAME/NAME for one inside another."""
    found: list[Detail] = []
    outer = list(message.fields)
    for at, name in enumerate(path.split("/")):
        if at:
            outer = [
                each
                for each in message.fields
                if any(of.start <= each.start and each.end <= of.end and each.depth > of.depth for of in found)
            ]
        found = [each for each in outer if each.name == name]
    return found


def other(role: Role) -> Role:
    """Returns the other end."""
    return "server" if role == "client" else "client"
