"""Touches files: a capture as a student hands it in, read by the annotator, whatever the file says of itself.

Comments are left out before anything is read: a journal or kernel states in the file of whoever is to be marked are no
evidence. So what is right follows from the packets alone. What a student has predicted stays in the copy that is given
back.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from lab.capture.pcapng import Writer
from lab.capture.reader import Capture, open_capture
from lab.grade.facts import EVERY, Facts, read
from lab.model import Frame
from lab.render import about
from lab.render.comments import comments
from lab.report.predictions import PREFIX
from lab.runs.recorded import Recorded
from lab.runs.run import Run

_COME_WITH = Path(__file__).parents[2] / "captures"  # where the lab is run from its sources


class _Uncommented:
    """A capture whose frames have no comments, or none but predictions; all else is as it is."""

    _own = ("_capture", "_predictions")

    def __init__(self, capture: Capture, predictions: bool = False) -> None:
        self._capture = capture
        self._predictions = predictions

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._capture:
            kept = tuple(each for each in frame.comments if self._predictions and each.startswith(PREFIX))
            yield frame._replace(comments=kept)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._capture, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name in self._own:
            object.__setattr__(self, name, value)
        else:
            setattr(self._capture, name, value)


def facts_of(path: Path, *, keylog: bytes = b"", server_key: bytes = b"") -> Facts:
    """Returns the facts of the capture at `path`. Raises InputError where it can't be read."""
    bare = cast(Capture, _Uncommented(open_capture(str(path), digest=True)))
    return read(Run(Recorded(bare), keylog=keylog, server_key=server_key, words=True, fields=EVERY))


def explained(path: Path) -> bytes:
    """Returns the capture at `path` with notes and both ends' states at each packet, as a pcapng. Raises InputError."""
    out = io.BytesIO()
    capture = cast(Capture, _Uncommented(open_capture(str(path)), predictions=True))
    with Run(Recorded(capture), words=True) as run:
        packets = list(run.packets())
        writer = Writer(out, comments=about.of_any())
        for each in capture.secrets:
            writer.secrets(each)
    for packet in packets:
        if packet.frame is not None:
            writer.packet(packet.frame, comments(packet))
    writer.finish()
    return out.getvalue()


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
