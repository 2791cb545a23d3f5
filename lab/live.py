"""A scenario, live: played on real hosts, drawn while packets pass, saved with its notes whatever happens."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path as File
from typing import Any

from lab.annotate import journal
from lab.annotate.agreement import Agreement
from lab.capture.pcapng import Writer
from lab.model import Rung, WireEvent
from lab.output import to_file, uninterrupted
from lab.path import Path
from lab.protocols.scenario import Scenario
from lab.render.comments import comments
from lab.testbed.netns import HOSTS, Ended, play
from lab.testbed.rules import Rule
from lab.text import Text

INTERFACE = "wire"


class Session:
    """One run: `rungs()` plays it, and when it is over, or stopped, the capture is in `file`."""

    def __init__(self, scenario: Scenario, rules: Sequence[Rule], ipv6: bool, file: File) -> None:
        self.file = file
        self.agreement = Agreement()
        self.early: Text | None = None  # why the scenario stopped before its end, where it did
        self._scenario = scenario
        self._rules = rules
        self._ipv6 = ipv6
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
            with play(self._scenario, self._rules, self._ipv6) as events:
                for rung in self._path.replay(self._of_the_wire(events)):
                    self._captured.append(rung)
                    self.agreement.add(rung)
                    yield rung
            for which in self.conversations[-1:]:
                self.agreement.add_final(which, len(self._captured))
        finally:
            self._captured += self._path.waiting.values()  # a run that is stopped also saves what was under way
            if self._captured:
                with uninterrupted():
                    self._save()

    def _of_the_wire(self, events: Iterator[WireEvent | Ended]) -> Iterator[WireEvent]:
        for event in events:
            if isinstance(event, Ended):
                self.early = event.early
            else:
                yield event

    def _save(self) -> None:
        """Writes the capture: made in memory, so that a file of that name is the old one or the whole new one."""
        buffer = io.BytesIO()
        hosts = {address: role for role, names in HOSTS.items() for address in (names.ipv4, names.ipv6)}
        writer = Writer(buffer, interface=INTERFACE, hosts=hosts)
        for rung in self._captured:
            if rung.frame is not None:
                writer.packet(rung.frame, comments(rung))
        final = self.conversations[-1].kernel_final if self.conversations else None
        writer.finish([journal.closing_comment(final)])
        self._sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
        with to_file(self.file) as file:
            file.write(buffer.getvalue())
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
