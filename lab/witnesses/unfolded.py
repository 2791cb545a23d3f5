"""A compressed capture as a file that anybody can read: tshark unfolds gzip everywhere, the rest here and there."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO

from lab.capture import compressed
from lab.capture.source import Source
from lab.witnesses.tshark import no_room

_MAGIC = 8  # bytes
_BY_ITSELF = "gzip"


def unfolded(path: Path, limited: bool) -> IO[bytes] | None:
    """Returns what is compressed in a file, in one that has no name; None where tshark reads it as it is.

    What is `limited` ends where it becomes far too large. Raises MachineError where there is no room for it.
    """
    with path.open("rb", buffering=0) as file:
        source = Source(file, digest=False, limited=limited)
        source.fill(_MAGIC)
        kind = compressed.kind_of(source.buffer)
        if kind is None or kind == _BY_ITSELF:
            return None
        source.unfold(kind)
        try:
            out = tempfile.TemporaryFile()  # noqa: SIM115 - whoever asks for it closes it
            while source.fill(1):
                out.write(source.buffer[source.at :])
                source.at = len(source.buffer)
            out.flush()
        except OSError as error:
            raise no_room(error) from error
        return out
