"""Two captures on a page: the rows of their comparison, and the page of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from lab.model import Packet
from lab.page.model import MOST, Making
from lab.protocols.notes import note
from lab.protocols.registry import protocol
from lab.render.diff import FACTS, REMARKS, ends, valued
from lab.render.words import brief
from lab.report.comparison import Comparison, Match, Side, compare, side
from lab.report.summary import in_short
from lab.runs.compare import let_go
from lab.runs.recorded import open_run
from lab.text import Text


def of_captures(
    a: str, b: str, conversations: tuple[int, int], keylog: bytes = b"", server_key: bytes = b"", limited: bool = True
) -> tuple[dict[str, Any], Comparison]:
    """Returns the page of two captures, and the comparison.

    Raises InputError where one can't be read, UsageError where it has no such conversation, or too many packets.
    """
    options = {"keylog": keylog, "server_key": server_key, "limited": limited}
    ours, page, position = _read(a, only=conversations[0], **options)
    let_go(position)  # else both runs would be held
    theirs, other, _ = _read(b, only=conversations[1], **options)
    compared = compare(ours, theirs)
    whole = dict(page)
    whole["name"] = f"{page['name']} ↔ {other['name']}"
    whole["compare"] = _compared(compared, [_part(page), _part(other)])
    return whole, compared


def _read(file: str, **options: Any) -> tuple[Side, dict[str, Any], int]:
    """Returns one side, its page, and how many bytes of its file have been read."""
    with open_run(file, words=True, fields=range(1, MOST + 1), **options) as run:
        making = Making(run)
        rows, numbers, left_out, cut = side(_added(making))
        read = Side(run.name, run.conversations[0], rows, numbers, left_out, cut, run.complaint())
        return read, making.page(), run.source.position


_SHARED = ("schema", "live", "transport", "roles", "titles", "phases", "spelled", "socket", "words", "timers")


def _part(found: dict[str, Any]) -> dict[str, Any]:
    """Returns what a page has of its own capture."""
    part = {name: each for name, each in found.items() if name not in (*_SHARED, "name")}
    return part | {"rungs": list(found["rungs"])}


def _added(making: Making) -> Iterator[Packet]:
    for packet in making.packets():
        making.add(packet)
        yield packet


def _compared(found: Comparison, parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    sides = found.ours, found.theirs
    return {
        "sides": [
            {"name": PurePath(each.name).name, "ends": ends(each), "page": part}
            for each, part in zip(sides, parts, strict=True)
        ],
        "rows": [_row(found, match) for match in found.matches],
        "facts": [
            {"title": FACTS[fact.name]._asdict(), "a": _brief(valued(fact.ours)), "b": _brief(valued(fact.theirs))}
            for fact in found.facts
        ],
        "summary": [_brief(each) for each in in_short(found)] or [_SAME._asdict()],
        "same": found.same,
    }


_SAME = Text("Both say the same.", "两者所说相同。")


def _row(found: Comparison, match: Match) -> dict[str, Any]:
    change = "a" if match.theirs is None else "b" if match.ours is None else "changed" if match.fields else "same"
    return {
        "change": change, "fields": list(match.fields),
        "a": _entry(found.ours, match.ours), "b": _entry(found.theirs, match.theirs),
    }  # fmt: skip


def _entry(which: Side, at: int | None) -> dict[str, Any] | None:
    if at is None:
        return None
    row = which.rows[at]
    short = protocol(row.protocol).short
    badge = Text(
        " ".join(note(each).name.en for each in row.steps), " ".join(note(each).name.zh for each in row.steps)
    )  # fmt: skip
    return {
        "packet": which.packets[at], "from": row.sender, "name": brief(f"{short} {row.name}" if short else row.name),
        "states": list(row.rung), "words": _brief(row.words), "badge": badge._asdict() if row.steps else None,
        "remarks": [REMARKS[each]._asdict() for each in row.remarks if each in REMARKS],
    }  # fmt: skip


def _brief(text: Text) -> dict[str, str]:
    return {"en": brief(text.en), "zh": brief(text.zh)}
