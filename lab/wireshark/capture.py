"""A scenario is played into Wireshark's pipe: each packet stands there while it is held on the wire.

    extcap ── plays the run, writes each packet to the pipe when it is held, decides what need not wait
      ├── a thread hears the toolbar, and whether Wireshark and its pipe are still there
      ├── a thread tells the toolbar
      └── the stage and both hosts (lab/testbed/netns.py)

Whoever is gone ends the run, and with it everything that it has made.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from lab.capture.pcapng import Writer
from lab.engine.record import Record
from lab.errors import LabError
from lab.events import (
    Begun,
    Ended,
    Event,
    PacketArrived,
    PacketHeld,
    PacketLost,
    PacketSent,
    SecretsLearnt,
)
from lab.protocols.catalogue import scenario, scenarios
from lab.render.comments import comments, comments_of_held
from lab.report.packets import packet
from lab.runs.live import Live
from lab.runs.run import Run
from lab.runs.until import END
from lab.testbed.play import played_on
from lab.testbed.rules import parse
from lab.text import Lang, Text
from lab.wireshark.options import Asked
from lab.wireshark.pipes import Ear, Gone, PacketPipe, Teller, ToolbarPipe
from lab.wireshark.stepping import Stepping
from lab.wireshark.toolbar import Panel


def capture(asked: Asked, pipe: PacketPipe, toolbar: ToolbarPipe | None, lang: Lang) -> None:
    """Plays what is asked for, with a toolbar or (None) without: then nothing is held, unless for a pace.

    Raises UsageError, MachineError, LabError where the scenario stopped before its end, and Gone.
    """
    given = asked.values.get
    played = scenario(given("--scenario") or scenarios()[0].name)
    rules = parse([given("--wire", "")] if given("--wire", "").strip() else [])
    file = Path(given("--save", "")) if given("--save") else None
    held = toolbar is not None or asked.pace > 0
    on = played_on("auto", control=held)
    source = _Shown(played, (*rules, *parse(played.rules)), "--ipv6" in asked.flags, file, on)
    run = Run(source, words=True)
    try:
        if held:
            _step(run, source, asked, pipe.open(), toolbar, lang)
        else:
            _watch(run, pipe.open())
    except BrokenPipeError as error:
        raise Gone from error
    if source.early is not None and not rules and toolbar is None:
        raise LabError(source.early, Text("the capture shows how far it came", "抓包里可以看到进行到了哪一步"))


def _step(run: Run, source: _Shown, asked: Asked, packets: BinaryIO, toolbar: ToolbarPipe | None, lang: Lang) -> None:
    """Writes each packet when it is held, and does with it what is asked."""
    teller = Teller(asked.values.get("--extcap-control-out"))
    shown = _Packets(packets, source, "--repetitions" in asked.flags)
    going = END if toolbar is None or "--play" in asked.flags else None
    stepping = Stepping(lambda: run.control, shown.numbers, Panel(teller.tell, lang), going, asked.pace)
    with run:
        for event in run.events():
            if isinstance(event, Begun):  # the hosts have been forked: from now on there may be threads
                teller.start()
                stepping.begin()
                Ear(toolbar, packets, stepping.ask, stepping.alone).start()
            shown.hear(event)
            stepping.hear(event)
    teller.finish()


def _watch(run: Run, packets: BinaryIO) -> None:
    """Writes each packet when its fate is known, and with all that is known then."""
    writer: Writer | None = None

    def hear(event: Event) -> None:
        nonlocal writer
        if isinstance(event, Begun):
            writer = Writer(packets, hosts=event.hosts)
            Ear(None, packets, lambda _: None, lambda: None).start()
        elif isinstance(event, SecretsLearnt) and writer is not None:
            writer.secrets(event.keylog.encode())  # before the frames that they open are told

    run.listen(hear)
    with run:
        for each in run.packets():
            assert writer is not None
            assert each.frame is not None
            writer.packet(each.frame, comments(each))
    if writer is not None:
        writer.finish()


class _Shown(Live):
    """A live run that remembers which packet was captured last."""

    last: Record | None = None

    def captured(self, record: Record) -> None:
        super().captured(record)
        self.last = record


class _Packets:
    """Writes each packet when it is held, with what is known of it then; `numbers` are those that they get there.

    A packet that only a hold has caused is left out, unless all are wanted: there may be one every two seconds.
    """

    def __init__(self, pipe: BinaryIO, source: _Shown, repetitions: bool) -> None:
        self.numbers: dict[int, int] = {}  # in Wireshark, by the lab's
        self._pipe = pipe
        self._source = source
        self._repetitions = repetitions
        self._writer: Writer | None = None
        self._captured: list[Record] = []  # and not written yet: what becomes of them is told next

    def hear(self, event: Event) -> None:
        """Takes an event of the run. Raises BrokenPipeError where nobody reads."""
        if isinstance(event, Begun):
            self._writer = Writer(self._pipe, hosts=event.hosts)
        elif isinstance(event, PacketLost) and event.absorbed and not self._repetitions:
            self._captured = [record for record in self._captured if record.number != event.packet]
        elif isinstance(event, PacketSent | PacketHeld | PacketArrived | PacketLost | SecretsLearnt | Ended):
            self._write()
        if isinstance(event, PacketSent):
            assert self._source.last is not None
            self._captured.append(self._source.last)
        elif isinstance(event, SecretsLearnt) and self._writer is not None:
            self._writer.secrets(event.keylog.encode())
        elif isinstance(event, Ended) and self._writer is not None:
            self._writer.finish()

    def _write(self) -> None:
        for record in self._captured:
            assert self._writer is not None
            assert record.frame is not None
            self.numbers[record.number] = len(self.numbers) + 1
            self._writer.packet(record.frame, comments_of_held(packet(record, words=True)))
        self._captured.clear()
