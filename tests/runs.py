"""A scenario played on real hosts, and a capture read: the only place where tests meet what the lab makes rungs with.

run = play(scenario("tcp/connection"), folder / "run.pcapng")   # plays it, and keeps all that was told
capture = read(file)                                            # what `lab annotate` makes of a file
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path as File
from typing import Any, NamedTuple

from lab.live import Play, Session
from lab.recorded import Recording

from lab.capture.pcapng import Writer
from lab.capture.reader import open_capture
from lab.engine.layers import Layer, layers_of
from lab.model import Frame, Problem, Role
from lab.protocols.scenario import Scenario
from lab.report.agreement import Agreement
from lab.testbed import netns
from lab.testbed.rules import parse
from lab.text import Text
from lab.witnesses import histories
from tests.packets import Rung, Walked, annotated, walk


class Run:
    """A scenario that has been played: its rungs as they came from the wire, and the file it was saved in."""

    def __init__(self, scenario: Scenario, ipv6: bool, file: File, rules: tuple[str, ...], on: Play) -> None:
        self.scenario, self.ipv6, self.file = scenario, ipv6, file
        self._session = Session(scenario, (*parse(rules), *parse(scenario.rules)), ipv6, file, on)
        self.rungs: list[Rung] = list(self._session.rungs())
        self.frames = [rung.frame for rung in self.rungs if rung.frame is not None]

    @property
    def early(self) -> Text | None:
        """Why it stopped before its end, where it did."""
        return self._session.early

    @property
    def agreement(self) -> Agreement:
        return self._session.agreement

    @property
    def conversations(self) -> list[Any]:
        return self._session.conversations

    @property
    def only(self) -> Any:
        (conversation,) = self.conversations
        return conversation

    def layer(self, protocol: str) -> Layer:
        """Returns the one layer of a protocol above TCP."""
        (layer,) = (each for each in layers_of(self.only) if each.name == protocol)
        return layer

    def alone(self) -> Walked:
        """Returns what the packets alone tell, with the secrets that the hosts told."""
        return walk(self.frames, self._session.keylog, self._session.server_key)

    @cached_property
    def faults(self) -> list[str]:
        """All that the kernels, and the packets alone, tell otherwise than we do."""
        inferred = annotated(self.frames, self._session.keylog, self._session.server_key)
        return [each.en for each in histories.faults(self.rungs, inferred, self.agreement)]

    @property
    def disturbed(self) -> bool:
        """Whether something was sent again though neither it nor its acknowledgement was lost: a timer went off."""
        for copy in self.rungs:
            if copy.end is not None and "retransmission" in copy.labels:
                originals = [each for each in self.of(copy.end.role) if each.seq == copy.seq < each.stop]
                answers = [each for each in self.of(copy.end.peer.role) if (each.ack or 0) >= copy.stop]
                before = [each for each in originals + answers if each.number < copy.number]
                if all(each.got for each in before):
                    return True
        return False

    def of(self, role: Role, *labels: str) -> list[Rung]:
        """Returns the packets that this end has sent, those with all these labels."""
        return [rung for rung in self.rungs if rung.end and rung.end.role == role and set(labels) <= set(rung.labels)]

    def shows(self, expected: object, sentence: str) -> str:
        """Returns the message of a failure: first what did happen, then what was expected, then what is wrong."""
        return "\n".join(["", *map(row, self.rungs), f"expected: {expected}", f"found: {sentence}"])


def play(scenario: Scenario, file: File, ipv6: bool = False, rules: tuple[str, ...] = (), on: Play = netns.play) -> Run:
    """Plays a scenario, under these rules beside its own."""
    return Run(scenario, ipv6, file, rules, on)


def row(rung: Rung) -> str:
    """Returns a packet in a line, states as client/server, and what the kernels said where that differs."""
    if rung.segment is None or rung.end is None:
        return f"{rung.number:>3} {' '.join(rung.labels)}"
    way = "->" if rung.end.role == "client" else "<-"
    said = f"{rung.number:>3} {way} {' '.join(rung.labels)} seq={rung.seq} ack={rung.ack} len={rung.segment.payload}"
    for name, ours, kernel in (
        ("held", rung.held, rung.kernel_held),
        ("delivered", rung.delivered, rung.kernel_delivered),
    ):
        differs = f" (kernels {'/'.join(map(str, kernel))})" if kernel and kernel != ours else ""
        said += f" | {name} {'/'.join(map(str, ours)) if ours else '-'}{differs}"
    return f"{said} | {' '.join(rung.steps)} {tuple(rung.journal or ())}"


class Read(NamedTuple):
    """A capture that has been read to its end."""

    rungs: list[Rung]
    conversations: list[Any]
    agreement: Agreement
    problems: list[Problem]


def read(
    file: File, keep_frames: bool = True, keylog: bytes = b"", let_go: Callable[[Any], None] | None = None
) -> Read:
    """Reads a capture as `lab annotate` does."""
    with open_capture(str(file)) as capture:
        recording = Recording(capture, keep_frames=keep_frames, keylog=keylog, let_go=let_go)
        rungs = list(recording.rungs())
        return Read(rungs, recording.conversations, recording.agreement, recording.problems())


def saved(frames: Iterable[Frame], file: File) -> File:
    """Writes frames, with their comments, to a pcapng file."""
    with file.open("wb") as stream:
        writer = Writer(stream)
        for frame in frames:
            writer.packet(frame, frame.comments)
        writer.finish()
    return file
