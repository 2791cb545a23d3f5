"""Segments that nobody sent, put on the wire of a real run in a host's name, and what became of each.

To the wire such a frame is one like any other: it is captured, both kernels are asked, it is delivered to a real
kernel, and they are asked again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from lab.model import Captured, Packet, Role, WireEvent
from lab.protocols.scenario import Scenario
from lab.protocols.tcp.scenarios import endpoint as plain
from lab.protocols.tcp.segment import FIN, SYN, Segment, segment
from lab.runs.live import Live
from lab.runs.run import Run
from lab.testbed import netns
from lab.testbed.pair import HOSTS
from lab.testbed.rules import parse
from lab.testbed.stage import Stage

MARK = 0x4C42  # the IP identification, or flow label, of what is forged
_WRAP = 1 << 32


class Forger:
    """Puts segments on a stage's wire. Numbers are offsets from what the alleged sender would write next."""

    def __init__(self, stage: Stage) -> None:
        wire: Any = stage._wire
        self._wire, self._tell = wire, wire._tell
        wire._tell = self._hear
        self._next: dict[Role, int] = {"client": 0, "server": 0}
        self.last: dict[Role, TCP] = {}  # what each really sent last
        self._addresses = {"client": stage.client.address, "server": stage.server.address}

    def _hear(self, event: WireEvent) -> None:
        if isinstance(event, Captured):
            sent, found = Ether(event.frame.data), segment(event.frame)
            if isinstance(found, Segment) and not forged(sent):
                role: Role = "client" if sent.src == HOSTS["client"].mac else "server"
                self.last[role] = sent[TCP]
                length = found.payload + bool(found.flags & SYN) + bool(found.flags & FIN)
                self._next[role] = (found.seq + length) % _WRAP
        self._tell(event)

    def send(
        self, sender: Role, flags: str, seq: int = 0, ack: int = 0, payload: bytes = b"", *,
        ports: tuple[int, int] | None = None, options: list[Any] | None = None, corrupt: bool = False,
    ) -> None:  # fmt: skip
        receiver: Role = "server" if sender == "client" else "client"
        source, destination = self._addresses[sender], self._addresses[receiver]
        ip = IPv6(src=source, dst=destination, fl=MARK) if ":" in source else IP(src=source, dst=destination, id=MARK)
        known = self.last.get(sender) or self.last.get(receiver)
        if ports is None:
            assert known is not None
            ports = (known.sport, known.dport) if sender in self.last else (known.dport, known.sport)
        tcp = TCP(
            sport=ports[0], dport=ports[1], flags=flags, window=1024, options=options or [],
            seq=(self._next[sender] + seq) % _WRAP, ack=(self._next[receiver] + ack) % _WRAP if "A" in flags else 0,
        )  # fmt: skip
        hosts = HOSTS
        data = bytearray(bytes(Ether(src=hosts[sender].mac, dst=hosts[receiver].mac) / ip / tcp / payload))
        if corrupt:
            data[-1] ^= 0x01
        self._wire._captured(time.time_ns(), sender, bytes(data))
        self._wire.settle()


def forged(packet: Ether) -> bool:
    return bool(packet[IP].id == MARK if IP in packet else IPv6 in packet and packet[IPv6].fl == MARK)


class Fate(NamedTuple):
    """What became of a forged segment: itself, and what its receiver sent while it was being delivered."""

    packet: Packet
    answers: list[Packet]

    @property
    def receiver(self) -> Role:
        assert self.packet.receiver is not None
        return self.packet.receiver


def played(
    script: Callable[[Stage], None], file: Path, *rules: str, ipv6: bool = False, endpoint: Any = plain
) -> tuple[Run, list[Packet]]:
    """Plays a script, and returns the run and its packets."""
    run = Run(Live(Scenario("test", script, endpoint), parse(rules), ipv6, file, netns.play))
    return run, list(run.packets())


def fates(packets: list[Packet], of: Callable[[Ether], bool] = forged) -> list[Fate]:
    """Returns those of all segments that were delivered and are `of` this kind."""
    found = []
    for packet in packets:
        if packet.frame is None or packet.sender is None or not of(Ether(packet.frame.data)):
            continue
        journal = packet.journal
        assert journal is not None
        assert journal.delivered
        answers = [
            each
            for each in packets
            if each.journal and journal.delivered[0] < each.journal.arrived < journal.settled
            if each.sender and each.sender != packet.sender
        ]
        found.append(Fate(packet, answers))
    return found
