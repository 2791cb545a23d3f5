"""Large files: rows made faster than packet by packet, and the same to the byte. `rows` is the one entrance."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from lab.bulk.rows import RowFormat, Rows
from lab.engine.path import Mine


@contextlib.contextmanager
def rows(
    path: str, form: RowFormat, keylog: bytes = b"", server_key: bytes = b"", chosen: Mine | None = None
) -> Iterator[Rows | None]:
    """Yields the rows of a capture where there is a faster way to them, else None. Leaving it ends what was begun.

    `chosen` says which frames are asked for. Small files, pipes, and what has a wire's journal have no faster way.
    """
    from lab.bulk import two_processes

    # With the server's key one connection may be opened by what another has told: those that resume a session.
    if server_key or not two_processes.large(path):
        yield None
        return
    with two_processes.rows(path, form, keylog, server_key, chosen) as found:
        yield found


__all__ = ["RowFormat", "Rows", "rows"]
