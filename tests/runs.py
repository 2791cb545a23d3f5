"""A scenario played on real hosts, and a capture read: the only place where tests meet what the lab makes packets with.

run = play(scenario("tcp/connection"), folder / "run.pcapng")   # plays it, and keeps all that was told
capture = read(file)                                            # what `lab annotate` makes of a file
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path as File
from typing import NamedTuple

from lab.capture.pcapng import Writer
from lab.engine.layer import Layer, layers_of
from lab.engine.record import Record
from lab.model import ConversationReport, Frame, Packet, Problem, Role
from lab.protocols.scenario import Scenario
from lab.report.agreement import Agreement
from lab.runs import run as runs
from lab.runs.live import Live
from lab.runs.recorded import open_run
from lab.testbed import netns
from lab.testbed.play import Play
from lab.testbed.rules import parse
from lab.text import Text
from lab.witnesses import histories
from tests.packets import Walked, annotated, walk


class Kept(Live):
    """A scenario whose records are kept: what a protocol's own session says of itself is asked of them."""

    def __init__(self, scenario: Scenario, rules: tuple[str, ...], ipv6: bool, file: File, play: Play) -> None:
        super().__init__(scenario, (*parse(rules), *parse(scenario.rules)), ipv6, file, play)
        self.records: list[Record] = []

    def captured(self, record: Record) -> None:
        super().captured(record)
        self.records.append(record)


class Run:
    """A scenario that has been played: its packets as they came from the wire, and the file it was saved in."""

    def __init__(self, scenario: Scenario, ipv6: bool, file: File, rules: tuple[str, ...], on: Play) -> None:
        self.scenario, self.ipv6, self.file = scenario, ipv6, file
        self.source = Kept(scenario, rules, ipv6, file, on)
        with runs.Run(self.source, words=True) as run:
            self.packets: list[Packet] = list(run.packets())
            self.agreement: Agreement = run.agreement
            self.conversations: list[ConversationReport] = run.conversations
        self.frames = [packet.frame for packet in self.packets if packet.frame is not None]

    @property
    def early(self) -> Text | None:
        """Why it stopped before its end, where it did."""
        return self.source.early

    @property
    def only(self) -> ConversationReport:
        (conversation,) = self.conversations
        return conversation

    def layer(self, protocol: str) -> Layer:
        """Returns the one layer of a protocol above TCP, as the engine has it."""
        (which,) = {record.conversation for record in self.source.records if record.conversation is not None}
        (layer,) = (each for each in layers_of(which) if each.name == protocol)
        return layer

    def alone(self) -> Walked:
        """Returns what the packets alone tell, with the secrets that the hosts told."""
        return walk(self.frames, self.source.keylog, self.source.server_key)

    @cached_property
    def faults(self) -> list[str]:
        """All that the kernels, and the packets alone, tell otherwise than we do."""
        inferred = annotated(self.frames, self.source.keylog, self.source.server_key)
        return [each.en for each in histories.faults(self.packets, inferred, self.agreement)]

    @property
    def disturbed(self) -> bool:
        """Whether something was sent again though neither it nor its acknowledgement was lost: a timer went off."""
        for copy in self.packets:
            if copy.sender and copy.receiver and "retransmission" in copy.labels:
                originals = [
                    each for each in self.of(copy.sender) if each.seq == copy.seq and (each.seq or 0) < each.stop
                ]
                answers = [each for each in self.of(copy.receiver) if (each.ack or 0) >= copy.stop]
                before = [each for each in originals + answers if each.number < copy.number]
                if all(each.fate == "arrived" and not each.refused for each in before):
                    return True
        return False

    def of(self, role: Role, *labels: str) -> list[Packet]:
        """Returns the packets that this end has sent, those with all these labels."""
        return [each for each in self.packets if each.sender == role and set(labels) <= set(each.labels)]

    def shows(self, expected: object, sentence: str) -> str:
        """Returns the message of a failure: first what did happen, then what was expected, then what is wrong."""
        return "\n".join(["", *map(row, self.packets), f"expected: {expected}", f"found: {sentence}"])


def play(scenario: Scenario, file: File, ipv6: bool = False, rules: tuple[str, ...] = (), on: Play = netns.play) -> Run:
    """Plays a scenario, under these rules beside its own."""
    return Run(scenario, ipv6, file, rules, on)


def row(packet: Packet) -> str:
    """Returns a packet in a line, states as client/server, and what the kernels said where that differs."""
    if packet.sender is None:
        return f"{packet.number:>3} {' '.join(packet.labels)}"
    way = "->" if packet.sender == "client" else "<-"
    said = f"{packet.number:>3} {way} {' '.join(packet.labels)} seq={packet.seq} ack={packet.ack} len={packet.payload}"
    for name, ours, kernel in (
        ("held", packet.held, packet.kernel_held),
        ("delivered", packet.delivered, packet.kernel_delivered),
    ):
        differs = f" (kernels {'/'.join(map(str, kernel))})" if kernel and kernel != ours else ""
        said += f" | {name} {'/'.join(map(str, ours)) if ours else '-'}{differs}"
    return f"{said} | {' '.join(packet.steps)} {tuple(packet.journal or ())}"


class Read(NamedTuple):
    """A capture that has been read to its end."""

    packets: list[Packet]
    conversations: list[ConversationReport]
    agreement: Agreement
    problems: list[Problem]


def read(
    file: File,
    frames: bool = True,
    keylog: bytes = b"",
    let_go: Callable[[ConversationReport], None] | None = None,
    server_key: bytes = b"",
) -> Read:
    """Reads a capture as `lab annotate` does."""
    with open_run(str(file), frames=frames, words=True, keylog=keylog, server_key=server_key, let_go=let_go) as run:
        packets = list(run.packets())
        return Read(packets, run.conversations, run.agreement, run.problems())


def saved(frames: Iterable[Frame], file: File) -> File:
    """Writes frames, with their comments, to a pcapng file."""
    with file.open("wb") as stream:
        writer = Writer(stream)
        for frame in frames:
            writer.packet(frame, frame.comments)
        writer.finish()
    return file
