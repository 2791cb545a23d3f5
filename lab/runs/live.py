"""A scenario, live: played on real hosts, told while packets pass, saved with its notes whatever happens."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path as File
from typing import Any

from lab.engine.path import Mine
from lab.engine.record import Record
from lab.events import Begun as RunBegun
from lab.events import CommandAnswered, PacketHeld
from lab.model import Captured, Frame, Kernels, Packet, Problem, WireEvent
from lab.protocols.scenario import Scenario
from lab.render.comments import comments
from lab.runs.place import key_place, require_place
from lab.runs.run import Inputs, Learn, Run
from lab.runs.taken import Taken, Written, write_bare
from lab.system.files import to_file
from lab.system.signals import uninterrupted
from lab.testbed.control import Control, Controlled, Held
from lab.testbed.control import write as written
from lab.testbed.messages import Begun, Ended, Event, KeyLogLines
from lab.testbed.play import Play
from lab.testbed.rules import Rule, parse
from lab.text import Lang, Text

Told = WireEvent | PacketHeld | CommandAnswered


Save = Callable[[File, bytes, bool], None]  # whether nobody else may read it


def _save(file: File, data: bytes, private: bool) -> None:
    with to_file(file, private=private) as stream:
        stream.write(data)


class Live:
    """A scenario as a source: played on the testbed whose `play` is given. The capture is saved, also if it is stopped.

    `missed` is how many packets the capture lacks, where a testbed can miss any. Without a `file` nothing is saved. A
    `bare` capture has the packets and, unless `sealed`, the secrets: no notes, no journal, no server's key beside it.
    """

    keeps = True
    refused = None

    def __init__(
        self,
        scenario: Scenario,
        rules: Sequence[Rule],
        ipv6: bool,
        file: File | None,
        play: Play,
        save: Save = _save,
        bare: bool = False,
        sealed: bool = False,
    ) -> None:
        self.name = file.name if file else scenario.name
        self.scenario = scenario
        self.file = file
        self.early: Text | None = None  # why the scenario stopped before its end, where it did
        self.server_key = b""
        self.key_file: File | None = None  # the server's private key, where the scenario has one
        self.missed = 0
        self.taken = Taken(scenario, [str(rule) for rule in rules])
        self.unused: tuple[Rule, ...] = ()  # of the rules that were asked for, those that no packet has met
        self.saved = False
        self.control: Control | None = None  # the way in, once it has begun, where it is controlled
        self._rules = rules
        self._ipv6 = ipv6
        self._play = play
        self._save_to = save
        self.bare = bare
        self.beside: Callable[[int], list[str]] = lambda _: []  # comments of a packet, by its number, beside ours
        self._sealed = sealed
        self._sha256 = ""

    def make(self, within: contextlib.ExitStack) -> None:
        """Makes the hosts at once, to be gone with `within`: whoever goes through the run then makes none."""
        events = within.enter_context(self._play(self.scenario, self._rules, self._ipv6))
        self._play = lambda *_: contextlib.nullcontext(events)

    @contextlib.contextmanager
    def begin(self, learn: Learn, _mine: Mine | None) -> Iterator[Inputs]:
        """Sets the hosts up. Raises MachineError where the machine can't play it, or the capture can't be saved."""
        if self.file is not None and self._save_to is _save:
            require_place(self.file, self.scenario)
        with self._play(self.scenario, self._rules, self._ipv6) as events:
            first = next(events)
            self.control = getattr(events, "control", None)  # which testbed it is is known with the first event
            assert isinstance(first, Begun)
            self.taken.begun = first
            self.server_key = first.server_key.encode()
            learn(b"", self.server_key)
            begun = RunBegun(self.name, True, first.journal, self.scenario.name, dict(first.hosts))
            wire = self._of_the_wire(events, learn)
            if first.journal:
                yield Inputs(begun, wire, None)
            else:
                yield Inputs(begun, None, _frames(wire))

    def captured(self, record: Record) -> None:
        """Keeps each packet, to be saved."""
        self.taken.captured(record)

    def over(self, run: Run) -> None:
        """Saves the capture: a run that is stopped also saves what was under way."""
        self.save_now(run)

    def save_now(self, run: Run, copy: File | None = None) -> None:
        """Saves what has been captured so far, where there is a file for it; or a copy, in another."""
        file = copy or self.file
        if self.taken.records and file is not None:
            with uninterrupted():
                self._write(file, run)

    @property
    def keylog(self) -> bytes:
        """What both hosts have told so far."""
        return self.taken.keylog

    @property
    def secrets(self) -> tuple[bytes, bytes]:
        return self.keylog, self.server_key

    @property
    def packets(self) -> int:
        return len(self.taken.records)

    @property
    def position(self) -> int:
        return 0

    def problems(self) -> list[Problem]:
        return []

    def about(self, _lang: Lang, _problems: list[Problem]) -> dict[str, Any]:
        return {
            "name": self.name,
            "sha256": self._sha256,
            "format": "pcapng",
            "packets": self.packets,
            "problems": [],
        }

    def close(self) -> None:
        """Its hosts are gone when what was begun is left."""

    def _of_the_wire(self, events: Iterator[Event], learn: Learn) -> Iterator[Told]:
        for event in events:
            if isinstance(event, Ended):
                self.early, self.missed = event.early, event.missed
                self.taken.missed = event.missed
                asked = len(self._rules) - len(parse(self.scenario.rules))  # the scenario's own come behind them
                self.unused = tuple(self._rules[at] for at in event.unused if at < asked)
            elif isinstance(event, KeyLogLines):
                learn(self.taken.learn(event.keylog), b"")
            elif isinstance(event, Held):
                yield PacketHeld(*event)
            elif isinstance(event, Controlled):
                yield CommandAnswered(written(event.command), event.done, event.message, event.hint, event.number)
            elif not isinstance(event, Begun):
                yield event

    def _comments(self, packet: Packet) -> list[str]:
        return [*comments(packet), *self.beside(packet.number)]

    def _write(self, file: File, run: Run) -> None:
        """Writes the capture: made in memory, so that a file of that name is the old one or the whole new one."""
        buffer = io.BytesIO()
        if self.bare:
            write_bare(buffer, self.taken, self._sealed, self.beside)
        else:
            Written(buffer, self.taken, self._comments).finish(said_last(run))
        self._sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
        self._save_to(file, buffer.getvalue(), False)
        if self.server_key and not self.bare:
            self.key_file = key_place(file)
            self._save_to(self.key_file, self.server_key, True)
        self.saved = True


def said_last(run: Run) -> Kernels | None:
    """Returns what the kernels said at the end of a run, None where nobody asked them."""
    asked = (each.asked_final for each in reversed(run.conversations))
    return next((each for each in asked if each is not None), None)


def _frames(events: Iterator[Told]) -> Iterator[Frame]:
    for event in events:
        if isinstance(event, Captured):
            yield event.frame


def ending(run: Run) -> list[Text]:
    """Returns what is to be said when a live run is over: where its capture is, what it lacks, why it stopped early."""
    source = run.source
    assert isinstance(source, Live)
    told = []
    if source.early is not None:
        told.append(Text("The scenario stopped there: " + source.early.en, "场景到此为止：" + source.early.zh))
    if source.missed and source.taken.begun is not None and source.taken.begun.journal:
        told.append(
            Text(
                f"{source.missed} packets were lost on the wire: its buffer was full.",
                f"有 {source.missed} 个包在线路上丢失：它的缓冲区已满。",
            )
        )
    elif source.missed:
        told.append(
            Text(
                f"{source.missed} packets passed uncaptured: the sniffer's buffer was full.",
                f"有 {source.missed} 个包没有抓到：嗅探器的缓冲区已满。",
            )
        )
    for rule in source.unused:
        told.append(
            Text(
                f"The rule '{rule}' was never applied: no packet met it, or an earlier rule came first.",
                f"规则“{rule}”从未生效：没有遇到它所指的包，或前面的规则已先处理。",
            )
        )
    if source.saved and source.bare:
        told.append(Text(f"Saved: {source.file}", f"已保存：{source.file}"))
    elif source.saved:
        told.append(Text(f"Saved with its notes: {source.file}", f"已连同讲解保存：{source.file}"))
    examples = [example for each in run.reports(examples=True) for example in each.examples]
    if source.key_file and any(each.lines for each in examples):
        opened = any(each.by_private_key for each in examples)
        key = f" --server-key {source.key_file}" if opened else ""  # else the secrets in the file open it
        shown = f"lab annotate {source.file}{key} --show keys"
        told.append(Text(f"How the keys come about: {shown}", f"密钥如何得来：{shown}"))
    return told
