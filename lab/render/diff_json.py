"""The comparison for programs, as one document (schema handshake-lab/diff/v1)."""

from __future__ import annotations

from typing import Any, TextIO

from lab.model import StepReport
from lab.render.trace import dump
from lab.report.comparison import Comparison, Match, Side
from lab.report.summary import in_short

SCHEMA = "handshake-lab/diff/v1"


def write(found: Comparison, out: TextIO) -> None:
    """Writes the document, an entry a line."""
    lists: dict[str, list[Any]] = {
        "rows": [_row(found, match) for match in found.matches],
        "facts": [{"name": fact.name, "a": fact.ours, "b": fact.theirs} for fact in found.facts],
        "steps": [
            {"id": (ours or theirs or _NOBODY).id, "a": _step(ours), "b": _step(theirs)} for ours, theirs in found.steps
        ],
        "summary": [said._asdict() for said in in_short(found)],
    }
    head = dump({"schema": SCHEMA, "same": found.same, "a": _side(found.ours), "b": _side(found.theirs)})
    out.write(head[:-1])
    for name, entries in lists.items():
        out.write(f',\n"{name}": [\n' + ",\n".join(map(dump, entries)) + "\n]")
    out.write("}\n")


_NOBODY = StepReport("", False, (), None)


def _row(found: Comparison, match: Match) -> dict[str, Any]:
    other = found.theirs if match.theirs is None else found.ours
    return {
        "change": _change(match), "a": _entry(found.ours, match.ours), "b": _entry(found.theirs, match.theirs),
        "fields": list(match.fields), "elsewhere": None if match.elsewhere is None else other.packets[match.elsewhere],
    }  # fmt: skip


def _change(match: Match) -> str:
    if match.theirs is None:
        return "a"
    return "b" if match.ours is None else "changed" if match.fields else "same"


def _side(which: Side) -> dict[str, Any]:
    return {"name": which.name, "conversation": which.which.id, "bare_acks": which.left_out, "not_compared": which.cut}


def _entry(which: Side, at: int | None) -> dict[str, Any] | None:
    if at is None:
        return None
    row = which.rows[at]
    return {
        "packet": which.packets[at], "from": row.sender, "protocol": row.protocol, "name": row.name,
        "steps": list(row.steps), "states": row.states._asdict(), "delivered": row.arrived._asdict(),
        "remarks": list(row.remarks), "words": row.words._asdict(),
    }  # fmt: skip


def _step(step: StepReport | None) -> dict[str, Any] | None:
    return None if step is None else {"seen": step.seen, "differs": step.differs.code if step.differs else None}
