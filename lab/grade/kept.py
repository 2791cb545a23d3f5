"""Touches files: what was marked already, by what it was marked from. Nothing of it is marked twice.

The key is a hash of all that marks follow from: the files, the assignments, the lab's own sources. So a mended
question, a changed submission, another release each mark anew, and what is kept can never be out of date.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from lab.errors import MachineError
from lab.grade import collected
from lab.grade.assignment import Assignment
from lab.grade.collected import HandedIn
from lab.grade.worker import MOST_RESULT
from lab.system import files
from lab.text import Text
from lab.version import __version__

_LAB = Path(__file__).parents[1]


def key(handed_in: HandedIn, assignments: Iterable[Assignment], course: bytes | None = None) -> str:
    """Returns what a submission's marks are kept under, as hexadecimal digits."""
    known = sorted(f"{each.id} {each.sha256}" for each in assignments)
    whose = hashlib.sha256(course).hexdigest() if course is not None else ""
    return hashlib.sha256("\n".join((release(), *known, whose, collected.digest(handed_in))).encode()).hexdigest()


@cache
def release() -> str:
    """Returns the lab's version with a hash of its sources: between two releases these change, too."""
    found = hashlib.sha256()
    for path in sorted(path for path in _LAB.rglob("*") if path.suffix in (".py", ".toml", ".json")):
        found.update(path.relative_to(_LAB).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{__version__}+{found.hexdigest()[:12]}"


class Kept:
    """Results in a folder, a file each. One that is damaged is none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, name: str) -> dict[str, Any] | None:
        """Returns a result, None where it is not there."""
        if self._folder is None:
            return None
        with suppress(OSError, ValueError), (self._folder / f"{name}.json").open("rb") as file:
            found = json.loads(file.read(MOST_RESULT + 1))
            return found if isinstance(found, dict) and "marks" in found else None
        return None

    def put(self, name: str, result: dict[str, Any]) -> None:
        """Keeps a result, whole or not at all. What did not come to an end is tried again. Raises MachineError."""
        if self._folder is None or result.get("unfinished"):
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with files.to_file(self._folder / f"{name}.json", private=True) as file:
                file.write(json.dumps(result, ensure_ascii=False).encode("utf-8", "replace"))
        except MachineError as error:
            raise MachineError(
                error.message,
                Text(
                    "make room, and run the same again: what was marked is kept, and it goes on from there",
                    "请腾出空间，再运行同一条命令：已评阅的都已保存，会接着进行",
                ),
            ) from error
