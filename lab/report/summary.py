"""What a comparison comes to, in a few sentences: each from one row of a table, from either side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lab.engine.protocol import Sentence
from lab.model import Role, StepReport
from lab.protocols.registry import PROTOCOLS, TRANSPORT
from lab.report.comparison import Comparison, Row
from lab.text import ROLES, Text

_MOST_NAMES = 8  # messages named in one sentence


SENTENCES = sorted((each for protocol in PROTOCOLS for each in protocol.sentences), key=lambda each: each.at)


def in_short(found: Comparison) -> list[Text]:
    """Returns the sentences on what differs, in the order of a connection's life; none where nothing does."""
    if found.alike:
        return []
    facts = {fact.name: (fact.ours, fact.theirs) for fact in found.facts}
    ways = [_ways(side) for side in zip(*found.steps, strict=True)]
    facts |= {way: (way in ways[0], way in ways[1]) for each in ways for way in each}
    said = [text for sentence in SENTENCES for text in _of_fact(sentence, facts)]
    said += [*_only(found), *_earlier(found)]
    return said or [Text("They differ only in what is marked above.", "二者只在上面标出之处不同。")]


def _ways(steps: Iterable[StepReport | None]) -> set[str]:
    return {f"{step.id.partition('.')[0]} {step.differs.code}" for step in steps if step and step.differs}


def _of_fact(sentence: Sentence, facts: dict[str, tuple[Any, Any]]) -> Iterator[Text]:
    if sentence.fact not in facts:
        return
    ours, theirs = facts[sentence.fact]
    for (x, one), (y, other) in ((("A", ours), ("B", theirs)), (("B", theirs), ("A", ours))):
        if sentence.one(one) and sentence.other(other):
            yield sentence.text.format(x=x, y=y, one=one, other=", ".join(other) if isinstance(other, list) else other)
            return


def _only(found: Comparison) -> Iterator[Text]:
    """Yields which messages only one has, of the protocols above TCP that both speak."""
    spoken = {row.protocol for row in found.ours.rows} & {row.protocol for row in found.theirs.rows} - {TRANSPORT.name}
    for letter, which, other in (("A", found.ours, found.theirs), ("B", found.theirs, found.ours)):
        known = {(row.sender, row.name) for row in other.rows}
        rows = [row for row in which.rows if row.protocol in spoken and (row.sender, row.name) not in known]
        if rows:
            named = _named(rows)
            yield Text(f"Only {letter} has, {named.en}.", f"仅 {letter} 有：{named.zh}。")


def _earlier(found: Comparison) -> Iterator[Text]:
    """Yields which messages of the protocols above TCP are said earlier in one than in the other."""
    lines = {match.theirs: at for at, match in enumerate(found.matches)}
    early: dict[str, list[Row]] = {"A": [], "B": []}
    for at, match in enumerate(found.matches):
        row = None if match.ours is None else found.ours.rows[match.ours]
        if row and match.elsewhere is not None and row.protocol != TRANSPORT.name:
            early["A" if at < lines[match.elsewhere] else "B"].append(row)
    for letter, rows in early.items():
        if rows:
            other, named = "B" if letter == "A" else "A", _named(rows)
            yield Text(
                f"Earlier in {letter} than in {other}, {named.en}.", f"{letter} 比 {other} 更早发送：{named.zh}。"
            )


def _named(rows: list[Row]) -> Text:
    """Returns messages by name, each once, by who sends them."""
    senders = dict.fromkeys(row.sender for row in rows)
    parts = [_of(sender, list(dict.fromkeys(row.name for row in rows if row.sender == sender))) for sender in senders]
    return Text("; ".join(part.en for part in parts), "；".join(part.zh for part in parts))


def _of(sender: Role, names: list[str]) -> Text:
    more = " …" if len(names) > _MOST_NAMES else ""
    shown = names[:_MOST_NAMES]
    role = ROLES[sender]
    return Text(f"from the {role.en}: {', '.join(shown)}{more}", f"{role.zh}的 {'、'.join(shown)}{more}")
