"""What real kernels have walked, for other programs (schema handshake-lab/coverage/v1)."""

from __future__ import annotations

from typing import Any

from lab.protocols.exploration import Tried, Walk, grid, tried, walks

SCHEMA = "handshake-lab/coverage/v1"


def as_json() -> dict[str, Any]:
    """Returns each arrow of the diagram with what has walked it, and of every state each kind of segment."""
    return {
        "schema": SCHEMA,
        "kernel": grid().kernel,
        "arrows": [_arrow(each) for each in walks()],
        "segments": [_tried(each) for each in tried()],
    }


def _arrow(walk: Walk) -> dict[str, Any]:
    arrow = walk.arrow
    return {
        "from": arrow.state,
        "to": arrow.to,
        "label": arrow.label._asdict(),
        "walked": walk.done,
        "scenarios": list(walk.scenarios),
        "ways": list(walk.ways),
        "cells": list(walk.cells),
        "why": arrow.why._asdict() if arrow.why.en else None,
    }


def _tried(each: Tried) -> dict[str, Any]:
    return {**each._asdict(), "differences": list(each.differences)}
