"""A grid for other programs (schema handshake-lab/explore/v1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lab.protocols.exploration import Cell, Change, Options, Sent, Shown, explained, explained_by

SCHEMA = "handshake-lab/explore/v1"


def as_json(kernel: str, options: Options, cells: Iterable[Cell], changed: Sequence[Change]) -> dict[str, Any]:
    """Returns cells, and which of them are not as they were recorded."""
    return {
        "schema": SCHEMA,
        "kernel": kernel,
        "options": options._asdict(),
        "cells": [_cell(each) for each in cells],
        "changes": [each._asdict() for each in changed],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    why, reason = explained(cell), explained_by(cell)
    return {
        "way": cell.way,
        "segment": cell.segment,
        "arrived": _segment(cell.arrived),
        "before": cell.before,
        "kernel": {
            "sent": [_segment(each) for each in cell.sent],
            "state": cell.after,
            "heard": list(cell.heard),
            "counters": dict(cell.moved),
            "dropped": cell.dropped,
            "refused": None if reason is None else {"code": cell.reason, **reason._asdict()},
        },
        "rules": {
            "sent": [_segment(Shown(*each)) for each in cell.rules.sent],
            "state": cell.rules.state,
            "heard": list(cell.rules.heard),
            "branches": [
                {"code": each.code, "section": each.section, **each.text._asdict()} for each in cell.rules.branches
            ],
        },
        "differs": list(cell.differs),
        "difference": None if why is None else {"number": why.number, **why.text._asdict()},
    }


def _segment(shown: Shown | Sent) -> dict[str, Any]:
    each = shown if isinstance(shown, Shown) else Shown(*shown)
    return {"flags": list(each.flag_names), "seq": each.seq, "ack": each.ack, "payload": each.length}
