"""What became of a conversation as a whole: the trace's entry, the steps, and how its secrets come about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

from lab.engine.layer import layers_of
from lab.engine.walk import MOST_NOTED
from lab.model import Address, ConversationReport, States, StepReport
from lab.protocols import registry
from lab.report.steps import steps


def report(which: Any, examples: bool = False) -> ConversationReport:
    """Returns the report on a live conversation, with worked examples where wanted."""
    found = steps(which)
    shown = []
    for layer in layers_of(which) if examples else ():
        example = layer.protocol.example(layer)
        if example is not None:
            shown.append(example)
    details = registry.TRANSPORT.details(which)
    return ConversationReport(
        which.id, which.first, which.identity, entry(which, found), details, tuple(found), which.kernel_final,
        which.asked_final, tuple(shown),
    )  # fmt: skip


def carried(which: Any) -> dict[str, Mapping[str, Any]]:
    """Returns what the trace says of each protocol that a live conversation carries."""
    return {layer.name: layer.protocol.facts(layer) for layer in layers_of(which)}


class Reports(Sequence[ConversationReport]):
    """The reports on conversations: those that are kept, and those on live ones, each made anew when it is asked for.

    A report takes more room than its conversation, and of many few are looked at at a time.
    """

    def __init__(self, kept: Sequence[ConversationReport], live: Sequence[Any], examples: bool = False) -> None:
        self._kept = kept
        self._live = live
        self._examples = examples

    def __len__(self) -> int:
        return len(self._kept) + len(self._live)

    @overload
    def __getitem__(self, at: int) -> ConversationReport: ...
    @overload
    def __getitem__(self, at: slice) -> list[ConversationReport]: ...
    def __getitem__(self, at: int | slice) -> ConversationReport | list[ConversationReport]:
        if isinstance(at, slice):
            return [self[each] for each in range(*at.indices(len(self)))]
        place = range(len(self))[at]
        kept = len(self._kept)
        return self._kept[place] if place < kept else report(self._live[place - kept], self._examples)


def entry(which: Any, found: list[StepReport] | None = None) -> dict[str, Any]:
    """Returns a live conversation's entry in the trace."""
    below, ends = registry.TRANSPORT, which.identity
    own = below.facts(which)
    told = {
        "id": which.id,
        "community_id": own["community_id"],
        "client": _end(ends.client),
        "server": _end(ends.server),
        "protocols": [below.name, *(layer.name for layer in layers_of(which))],
        "packets": which.packets,
        **own,
        "final": {
            "states": {"client": which.client.state, "server": which.server.state},
            "kernel": states(which.kernel_final),
        },
        "assumed": sorted(which.assumed),
        **{upper.name: None for upper in registry.UPPERS},
        **carried(which),
        "steps": [_step(step) for step in (steps(which) if found is None else found)],
    }
    if which.evicted:
        told["evicted"] = True
    if which.noted >= MOST_NOTED:
        told["steps_left_out"] = True
    return told


def states(found: States | None) -> dict[str, str | None] | None:
    """Returns both ends' states as the trace has them."""
    return found._asdict() if found else None


def _step(step: StepReport) -> dict[str, Any]:
    differs = {"code": step.differs.code, **step.differs.text._asdict()} if step.differs else None
    return {"id": step.id, "seen": step.seen, "packets": list(step.packets), "differs": differs}


def _end(end: Address) -> dict[str, Any]:
    return {"address": end.host, "port": end.port}
