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
from lab.render.comments import comments_of_held
from lab.report.packets import packet
from lab.runs.live import Live, said_last
from lab.runs.run import Run
from lab.runs.taken import Taken, Written
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
    source = Live(played, (*rules, *parse(played.rules)), "--ipv6" in asked.flags, file, on)
    run = Run(source, words=True)
    try:
        if held:
            _step(run, source, asked, pipe.open(), toolbar, lang)
        else:
            _watch(run, source, pipe.open())
    except BrokenPipeError as error:
        raise Gone from error
    if source.early is not None and not rules and toolbar is None:
        raise LabError(source.early, Text("the capture shows how far it came", "抓包里可以看到进行到了哪一步"))


def _step(run: Run, source: Live, asked: Asked, packets: BinaryIO, toolbar: ToolbarPipe | None, lang: Lang) -> None:
    """Writes each packet when it is held, and does with it what is asked."""
    teller = Teller(asked.values.get("--extcap-control-out"))
    shown = _Packets(packets, source.taken, "--repetitions" in asked.flags)
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
    shown.written.finish(said_last(run))
    teller.finish()


def _watch(run: Run, source: Live, packets: BinaryIO) -> None:
    """Writes each packet when its fate is known, and with all that is known then."""

    def hear(event: Event) -> None:
        if isinstance(event, Begun):
            Ear(None, packets, lambda _: None, lambda: None).start()

    written = Written(packets, source.taken)
    run.listen(hear)
    with run:
        for each in run.packets():
            written.packet(each)
    written.finish(said_last(run))


class _Packets:
    """Writes each packet when it is held, with what is known of it then; `numbers` are those that they get there.

    A packet that only a hold has caused is left out, unless all are wanted: there may be one every two seconds.
    """

    def __init__(self, pipe: BinaryIO, taken: Taken, repetitions: bool) -> None:
        self.numbers: dict[int, int] = {}  # in Wireshark, by the lab's
        self.written = Written(pipe, taken, comments_of_held)
        self._taken = taken
        self._repetitions = repetitions
        self._waiting: Record | None = None  # captured last: what becomes of it is told next

    def hear(self, event: Event) -> None:
        """Takes an event of the run. Raises BrokenPipeError where nobody reads."""
        if isinstance(event, PacketLost) and event.absorbed and not self._repetitions:
            self._leave_out(event.packet)
        elif isinstance(event, PacketSent | PacketHeld | PacketArrived | PacketLost | SecretsLearnt | Ended):
            self._write()
        if isinstance(event, PacketSent):
            self._waiting = self._taken.records[-1]

    def _leave_out(self, number: int) -> None:
        if self._waiting is not None and self._waiting.number == number:
            self._waiting = None
            self.written.leave_out()

    def _write(self) -> None:
        record, self._waiting = self._waiting, None
        if record is not None:
            self.numbers[record.number] = len(self.numbers) + 1
            self.written.packet(packet(record, words=True))
