"""A run held against its witnesses: both kernels where they were asked, the packets alone where there is a journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from lab.engine.path import Path
from lab.model import Frame, Packet
from lab.protocols.registry import TRANSPORT, UPPERS
from lab.report.agreement import agreement
from lab.runs.run import Run
from lab.text import Text
from lab.witnesses.histories import faults


class Verification(NamedTuple):
    """What the witnesses say: how many states were compared, how often each deviation of DEVIATIONS.md was needed, and
    all that differs without one."""

    compared: int
    deviations: dict[int, int]
    faults: tuple[Text, ...]

    @property
    def agrees(self) -> bool:
        """Whether nothing differs without a reason that has a number."""
        return not self.faults


def verify(run: Run) -> Verification:
    """Goes through a run, closes it, and returns what its witnesses say of it. Keeps all of its packets meanwhile.

    Raises what `run.packets` raises. A scenario that stopped before its end is a fault.
    """
    with run:
        packets = _numbered(run.packets())
    asked = agreement(packets)
    for which in run.conversations:
        asked.add_final(which, run.source.packets)
    alone = Path(TRANSPORT, UPPERS)
    alone.learn(*run.secrets)
    found = faults(packets, alone.annotate(_frames(packets)), asked) if _told(packets) else []
    if run.source.early is not None:
        found.append(run.source.early)
    deviations = Counter(each.deviation for each in asked.disagreements if each.deviation is not None)
    return Verification(asked.compared, dict(sorted(deviations.items())), tuple(found))


def _numbered(packets: Iterable[Packet]) -> list[Packet]:
    """Returns packets whose conversations count from 0, as they do where these packets are all there is."""
    ids: dict[int, int] = {}
    return [
        packet if (old := packet.conversation) is None else packet._replace(conversation=ids.setdefault(old, len(ids)))
        for packet in packets
    ]


def _frames(packets: list[Packet]) -> list[Frame]:
    return [packet.frame for packet in packets if packet.frame is not None]


def _told(packets: list[Packet]) -> bool:
    return any(packet.journal is not None for packet in packets)
