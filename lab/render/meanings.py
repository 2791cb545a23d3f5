"""What a field is for, in words below it: once in a message, where its protocol has words for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lab.model import Detail
from lab.text import Text


def with_meanings(fields: Sequence[Detail], words: Mapping[str, Text]) -> Iterator[tuple[Detail, Text | None]]:
    """Yields each field with the words for it: for its name, for `outer.inner`, or for `(…)`, what its value names."""
    told: set[str] = set()
    names: list[str] = []
    for field in fields:
        del names[field.depth :]
        outer = names[-1] if names else ""
        names += [""] * (field.depth - len(names)) + [field.name]
        said = next((key for key in _keys(field, outer) if key in words and key not in told), None)
        if said is not None:
            told.add(said)
        yield field, words[said] if said is not None else None


def _keys(field: Detail, outer: str) -> Iterator[str]:
    yield f"{outer}.{field.name}"
    yield field.name
    for said in (field.name, field.value):
        word, _, rest = said.partition(" ")
        if rest.startswith("("):
            yield from (f"({word})", rest)
