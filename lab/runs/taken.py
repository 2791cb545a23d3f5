"""What a live run has taken down, and the pcapng made of it: packet by packet while it goes on, or all at its end.

Both ways give the same bytes. Secrets stand before the first packet that was captured when they were known, so that
whoever reads the packets as they come can decrypt them. The hosts' programs tell theirs before the frames they open.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

from lab.capture.pcapng import Interface, Writer
from lab.engine import journal
from lab.engine.record import Record
from lab.model import Kernels, Packet
from lab.protocols.scenario import Scenario
from lab.render import about
from lab.render.comments import comments
from lab.report.packets import packet
from lab.system.signals import uninterrupted
from lab.testbed.messages import Begun


class Taken:
    """The records of a live run, in order, and the key log that both hosts have told, with when."""

    def __init__(self, scenario: Scenario, rules: list[str]) -> None:
        self.scenario = scenario
        self.rules = rules  # of the wire, as they are written
        self.begun: Begun | None = None
        self.records: list[Record] = []
        self.keylog = b""
        self.missed: int | None = None  # packets for which there was no room, when they have been counted
        self._known: list[int] = []  # bytes of the key log, when each record was made

    def captured(self, record: Record) -> None:
        self.records.append(record)
        self._known.append(len(self.keylog))

    def learn(self, keylog: str) -> bytes:
        """Takes in lines of a host's key log and returns those that the other has not told."""
        known = set(self.keylog.splitlines())  # both ends write down the same secrets
        fresh = [line for line in keylog.encode().splitlines(keepends=True) if line.rstrip() not in known]
        self.keylog += b"".join(fresh)
        return b"".join(fresh)

    def known(self, at: int) -> bytes:
        """Returns the key log as far as it was known when a record was made, by its place."""
        return self.keylog[: self._known[at]]


class Written:
    """A live run's capture on its way into `stream`, whose caller opens and closes it.

    A signal ends nothing in the middle of a packet: with `finish` the rest follows, whenever the run was stopped.
    `said` makes the comments of a packet.
    """

    def __init__(self, stream: BinaryIO, taken: Taken, said: Callable[[Packet], list[str]] = comments) -> None:
        self._stream = stream
        self._taken = taken
        self._said = said
        self._made = io.BytesIO()  # blocks, until they are handed on
        self._writer: Writer | None = None
        self._count = 0  # packets
        self._told = 0  # bytes of the key log

    def packet(self, packet: Packet) -> None:
        """Writes the next packet behind what opens it."""
        with uninterrupted():
            writer = self._begun()
            self._secrets(writer, self._taken.known(self._count))
            if packet.frame is not None:
                writer.packet(packet.frame, self._said(packet))
            self._count += 1
            self._hand_on()
        self._stream.flush()

    def leave_out(self) -> None:
        """Passes by the next packet."""
        self._count += 1

    def finish(self, final: Kernels | None) -> None:
        """Writes the packets that are under way, the secrets that nobody needed, and what the kernels said at the end.

        Writes nothing where the run had not begun.
        """
        if self._taken.begun is None:
            return
        for record in self._taken.records[self._count :]:
            self.packet(packet(record, words=True))
        with uninterrupted():
            writer = self._begun()
            self._secrets(writer, self._taken.keylog)
            told = [journal.closing_comment(final)] if self._taken.begun.journal else []
            made = sum(record.journal is not None and record.journal.forged for record in self._taken.records)
            writer.finish(told, self._taken.missed, made)
            self._hand_on()
        self._stream.flush()

    def _hand_on(self) -> None:
        self._stream.write(self._made.getvalue())
        self._made.seek(0)
        self._made.truncate()

    def _begun(self) -> Writer:
        if self._writer is None:
            taken, begun = self._taken, self._taken.begun
            assert begun is not None
            where = Interface(
                begun.interface,
                about.WIRE if begun.journal else about.SERVER,
                about.of_interface(begun.journal),
                bytes.fromhex(begun.mac.replace(":", "")),
            )
            self._writer = Writer(
                self._made,
                comments=about.of_scenario(taken.scenario.name, taken.rules),
                interface=where,
                hosts=begun.hosts,
            )
        return self._writer

    def _secrets(self, writer: Writer, known: bytes) -> None:
        if len(known) > self._told:
            writer.secrets(known[self._told :])
            self._told = len(known)


def write_bare(stream: BinaryIO, taken: Taken, sealed: bool, beside: Callable[[int], list[str]] = lambda _: []) -> None:
    """Writes a run's packets and, unless it is `sealed`, the secrets; of what was known of them besides only what is
    to stand `beside` a packet, by its number."""
    assert taken.begun is not None
    writer = Writer(stream, interface=Interface(taken.begun.interface), hosts=taken.begun.hosts)
    if taken.keylog and not sealed:
        writer.secrets(taken.keylog)
    for record in taken.records:
        if record.frame is not None:
            writer.packet(record.frame, beside(record.number))
    writer.finish()
