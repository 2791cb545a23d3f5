"""A scenario, live: played on real hosts, drawn while packets pass, saved with its notes whatever happens."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path as File
from typing import Any

from lab.annotate import journal
from lab.annotate.agreement import Agreement
from lab.annotate.layers import layers_of
from lab.capture.pcapng import Writer
from lab.model import Captured, Rung, WireEvent
from lab.output import to_file, uninterrupted
from lab.path import Path, in_order
from lab.protocols.scenario import Scenario
from lab.render.comments import comments
from lab.testbed.control import Controlled, Held
from lab.testbed.rules import Rule
from lab.testbed.told import Begun, Ended, Event, Secrets
from lab.text import Text

Play = Callable[[Scenario, Sequence[Rule], bool], AbstractContextManager[Iterator[Event]]]


def _save(file: File, data: bytes) -> None:
    with to_file(file) as stream:
        stream.write(data)


def ending(session: Session) -> list[Text]:
    """Returns what is to be said when a run is over: where the capture is, what it lacks, why it stopped early."""
    told = []
    if session.early is not None:
        told.append(Text("The scenario stopped there: " + session.early.en, "场景到此为止：" + session.early.zh))
    if session.missed:
        told.append(
            Text(
                f"{session.missed} packets passed uncaptured: the sniffer's buffer was full.",
                f"有 {session.missed} 个包没有抓到：嗅探器的缓冲区已满。",
            )
        )
    if session.saved:
        told.append(Text(f"Saved with its notes: {session.file}", f"已连同讲解保存：{session.file}"))
    sessions = [layer.session for which in session.conversations for layer in layers_of(which)]
    if session.key_file and any(each.lines for each in sessions):
        opened = any(getattr(each, "encrypted_premaster", None) for each in sessions)
        key = f" --server-key {session.key_file}" if opened else ""  # else the secrets in the file open it
        shown = f"lab annotate {session.file}{key} --show keys"
        told.append(Text(f"How the keys come about: {shown}", f"密钥如何得来：{shown}"))
    return told


class Session:
    """One run: `rungs()` plays it on the testbed whose `play` is given, and saves the capture, also if it is stopped.

    `missed` is how many packets the capture lacks, where a testbed can miss any.
    """

    def __init__(
        self,
        scenario: Scenario,
        rules: Sequence[Rule],
        ipv6: bool,
        file: File,
        play: Play,
        save: Callable[[File, bytes], None] = _save,
    ) -> None:
        self.file = file
        self.agreement = Agreement()
        self.early: Text | None = None  # why the scenario stopped before its end, where it did
        self._scenario = scenario
        self._rules = rules
        self._ipv6 = ipv6
        self._play = play
        self._save_to = save
        self._begun = Begun("", {}, True)
        self.keylog = b""  # what both hosts have told so far
        self.server_key = b""
        self.key_file: File | None = None  # the server's private key, where the scenario has one
        self.missed = 0
        self._path = Path()
        self._captured: list[Rung] = []
        self._sha256 = ""
        self.saved = False

    @property
    def conversations(self) -> list[Any]:
        return self._path.conversations

    def rungs(self) -> Generator[Rung]:
        """Yields each packet's rung when its fate is known; raises MachineError where the machine can't play it."""
        try:
            with self._play(self._scenario, self._rules, self._ipv6) as events:
                for rung in self._replayed(events) if self._has_journal(events) else self._annotated(events):
                    self.agreement.add(rung)
                    yield rung
            for which in self.conversations:  # the kernels were asked about one of them
                self.agreement.add_final(which, len(self._captured))
        finally:
            self._captured += self._path.waiting.values()  # a run that is stopped also saves what was under way
            if self._captured:
                with uninterrupted():
                    self._save()

    def _has_journal(self, events: Iterator[Event]) -> bool:
        first = next(events)
        if isinstance(first, Begun):
            self._begun = first
            self.server_key = first.server_key.encode()
            self._path.learn(server_key=self.server_key)
        return self._begun.journal

    def _replayed(self, events: Iterator[Event]) -> Iterator[Rung]:
        for rung in self._path.replay(self._of_the_wire(events)):
            self._captured.append(rung)
            yield rung

    def _annotated(self, events: Iterator[Event]) -> Iterator[Rung]:
        def captured() -> Iterator[Rung]:
            frames = (event.frame for event in self._of_the_wire(events) if isinstance(event, Captured))
            for rung in self._path.annotate(frames):
                self._captured.append(rung)
                yield rung

        return in_order(captured())

    def _of_the_wire(self, events: Iterator[Event]) -> Iterator[WireEvent]:
        for event in events:
            if isinstance(event, Ended):
                self.early, self.missed = event
            elif isinstance(event, Secrets):
                known = set(self.keylog.splitlines())  # both ends write down the same secrets
                fresh = [line for line in event.keylog.encode().splitlines(keepends=True) if line.rstrip() not in known]
                self.keylog += b"".join(fresh)
                self._path.learn(keylog=b"".join(fresh))
            elif not isinstance(event, Begun | Held | Controlled):
                yield event

    def _save(self) -> None:
        """Writes the capture: made in memory, so that a file of that name is the old one or the whole new one."""
        buffer = io.BytesIO()
        writer = Writer(buffer, interface=self._begun.interface, hosts=self._begun.hosts)
        if self.keylog:
            writer.secrets(self.keylog)
        for rung in self._captured:
            if rung.frame is not None:
                writer.packet(rung.frame, comments(rung))
        final = next((which.kernel_final for which in reversed(self.conversations) if which.kernel_final), None)
        writer.finish([journal.closing_comment(final)] if self._begun.journal else [])
        self._sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
        self._save_to(self.file, buffer.getvalue())
        if self.server_key:
            self.key_file = self.file.with_suffix(".key")
            self._save_to(self.key_file, self.server_key)
        self.saved = True

    def about(self) -> dict[str, Any]:
        """Returns the trace's entry on the file."""
        return {
            "name": self.file.name,
            "sha256": self._sha256,
            "format": "pcapng",
            "packets": len(self._captured),
            "problems": [],
        }
