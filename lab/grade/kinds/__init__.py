"""The kinds of questions: a class and a line each."""

from __future__ import annotations

from lab.grade.kinds.choice import Choice, Choices
from lab.grade.kinds.computed import Computed
from lab.grade.kinds.duration import Duration
from lab.grade.kinds.flags import Flags
from lab.grade.kinds.goal import Goal
from lab.grade.kinds.kind import Kind
from lab.grade.kinds.number import Number
from lab.grade.kinds.octets import Hex
from lab.grade.kinds.order import Order
from lab.grade.kinds.packet import PacketNumber, Packets
from lab.grade.kinds.person import Words
from lab.grade.kinds.prediction import Prediction
from lab.grade.kinds.state import State

_PLAIN: tuple[Kind, ...] = (
    PacketNumber(), Packets(), Number(), Flags(), State(), Order(), Choice(), Choices(), Hex(), Duration(), Computed(),
    Words(), Goal(),
)  # fmt: skip


def _kind(name: str) -> Kind:
    return KINDS[name]


KINDS: dict[str, Kind] = {**{each.name: each for each in _PLAIN}, Prediction.name: Prediction(_kind)}
