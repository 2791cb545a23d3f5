"""A page's rungs, kept small: of thousands one is looked at, or written, at a time."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

from lab.render.trace import dump


class Kept(Sequence[dict[str, Any]]):
    """Rungs as JSON, compressed each by itself. `got`, behind which rung each arrived, is known last of all."""

    def __init__(self) -> None:
        self.size = 0  # characters of JSON
        self.got: Sequence[int] = ()
        self._lines: list[bytes] = []

    def add(self, rung: Mapping[str, Any]) -> None:
        text = dump(rung)
        self.size += len(text)
        self._lines.append(zlib.compress(text.encode(), 1))

    def lines(self) -> Iterator[str]:
        """Yields each rung's JSON."""
        return map(self._line, range(len(self)))

    def _line(self, at: int) -> str:
        text = zlib.decompress(self._lines[at]).decode()
        return f'{text[:-1]},"got":{self.got[at]}}}' if self.got else text

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, at: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, at: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, at: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(at, slice):
            return [self[each] for each in range(*at.indices(len(self)))]
        found: dict[str, Any] = json.loads(self._line(range(len(self))[at]))
        return found
