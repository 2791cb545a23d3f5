"""Large files: rows and rungs made faster than packet by packet, and the same to the byte. The one entrance."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lab.bulk.rows import RowFormat, Rows
from lab.engine.path import Mine

if TYPE_CHECKING:
    from lab.bulk.halved_ladder import Rungs
    from lab.capture.reader import Capture
    from lab.render.ladder import Ladder


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


def halved(path: str, server_key: bytes = b"") -> bool:
    """Whether a ladder is drawn faster by two processes: where `rows` has a faster way, and they have processors."""
    from lab.bulk import two_processes

    return not server_key and two_processes.two_processors() and two_processes.large(path)


@contextlib.contextmanager
def rungs(capture: Capture, path: str, ladder: Ladder, keylog: bytes = b"") -> Iterator[Rungs]:
    """Yields the rungs of a `capture`, which is open at this path, where two processes draw them faster (`halved`)."""
    from lab.bulk.halved_ladder import rungs as drawn

    with drawn(capture, path, ladder, keylog) as found:
        yield found


__all__ = ["RowFormat", "Rows", "halved", "rows", "rungs"]
