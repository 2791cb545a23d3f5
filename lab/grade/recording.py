"""Touches files: a capture as a student hands it in, read by the annotator, whatever the file says of itself.

Comments are left out before anything is read: a journal or kernel states in the file of whoever is to be marked are no
evidence. So what is right follows from the packets alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from lab.capture.reader import Capture, open_capture
from lab.grade.facts import EVERY, Facts, read
from lab.model import Frame
from lab.runs.recorded import Recorded
from lab.runs.run import Run

_COME_WITH = Path(__file__).parents[2] / "captures"  # where the lab is run from its sources


class _Uncommented:
    """A capture whose frames have no comments; all else is as it is."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._capture:
            yield frame._replace(comments=())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._capture, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "_capture":
            object.__setattr__(self, name, value)
        else:
            setattr(self._capture, name, value)


def facts_of(path: Path, *, keylog: bytes = b"", server_key: bytes = b"") -> Facts:
    """Returns the facts of the capture at `path`. Raises InputError where it can't be read."""
    bare = cast(Capture, _Uncommented(open_capture(str(path), digest=True)))
    return read(Run(Recorded(bare), keylog=keylog, server_key=server_key, words=True, fields=EVERY))


def facts_of_scenario(name: str, folder: Path) -> Facts:
    """Returns the facts of a scenario's capture: of the one that comes with the lab, or of one made now, in `folder`.

    Raises UsageError where there is no such scenario, MachineError where this machine can't play it.
    """
    from lab.runs.api import run

    recorded = _recorded(name)
    if not recorded.exists():
        recorded = folder / recorded.name
        run(name, file=recorded, words=False).play_on()
    return facts_of(recorded)


def come_with(names: Iterable[str]) -> list[Path]:
    """Returns the captures of scenarios that come with the lab, as far as they do."""
    return [path for path in map(_recorded, sorted(names)) if path.exists()]


def _recorded(name: str) -> Path:
    return _COME_WITH / f"{name.replace('/', '-')}.pcapng"
