"""What the lab puts into Wireshark's own folders, and takes out again: a profile, a script, a way to its scenarios.

A manifest beside Wireshark's settings tells what was written. What its owner has changed since, or had before, is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from lab.errors import MachineError
from lab.system.files import opened
from lab.text import Lang, Text
from lab.wireshark import profile

_MANIFEST = "handshake-lab.json"
_EXECUTABLE = 0o755
_REWRITTEN = "recent"  # by Wireshark itself, whenever it is left: no change of its owner's
YOURS = Text("it is your own", "这是你自己的")
CHANGED = Text("you have changed it", "你改过它")
NOT_OURS = Text("there is something else in it", "其中还有别的东西")


class Places(NamedTuple):
    """Wireshark's folders of one user, as `tshark -G folders` tells them; None where it has no such thing."""

    settings: Path
    scripts: Path | None
    extcap: Path


class Kept(NamedTuple):
    """Something that was left as it is, and why."""

    path: Path
    why: Text


class Report(NamedTuple):
    """What was written, or taken out, and what was kept."""

    done: list[Path]
    kept: list[Kept]


class File(NamedTuple):
    """A file to be installed."""

    content: bytes
    executable: bool = False


def places(told: str, translate: Callable[[str], str] = str) -> Places | None:
    """Returns the folders that `tshark -G folders` has told, None where they are not among what it said.

    Before 4.2 the extcap programs of a user are in a folder of the settings.
    """
    folders = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    found = {name: Path(translate(path.strip())) for name, path in folders.items() if path.strip()}
    settings = found.get("Personal configuration")
    if settings is None:
        return None
    return Places(settings, found.get("Personal Lua Plugins"), found.get("Personal Extcap path", settings / "extcap"))


def launcher(windows: bool, python: str) -> tuple[str, File]:
    """Returns the name and the content of the program that Wireshark calls for the lab's scenarios."""
    if windows:
        return "handshake-lab.bat", File(f'@echo off\r\n"{python}" -I -m lab.wireshark.extcap %*\r\n'.encode())
    line = f'exec {shlex.quote(python)} -I -m lab.wireshark.extcap "$@"'
    return "handshake-lab", File(f"#!/bin/sh\n{line}\n".encode(), executable=True)


def wanted(where: Places, lang: Lang, program: tuple[str, File] | None) -> dict[Path, File]:
    """Returns the files to be installed, by their places."""
    folder = where.settings / "profiles" / profile.NAME
    found = {folder / name: File(content) for name, content in profile.files(lang).items()}
    if where.scripts is not None:
        found[where.scripts / profile.SCRIPT.name] = File(profile.SCRIPT.read_bytes())
    if program is not None:
        found[where.extcap / program[0]] = program[1]
    return found


def install(where: Places, files: Mapping[Path, File]) -> Report:
    """Writes the files. Raises MachineError where a folder can't be written."""
    before, report = _Manifest.read(where.settings), Report([], [])
    folder = where.settings / "profiles" / profile.NAME
    with _refusing(where.settings):
        if os.path.lexists(folder) and not any(folder in path.parents for path in before.files):
            report.kept.append(Kept(folder, YOURS))
            files = {path: file for path, file in files.items() if folder not in path.parents}
        ours = {}
        for path, file in files.items():
            if path.name == _REWRITTEN and path in before.files and path.exists():
                continue
            why = _whose(path, before.files.get(path), _digest(file.content))
            if why is None:
                ours[path] = file
            else:
                report.kept.append(Kept(path, why))
        folders = [*before.folders, *(each for each in _missing(ours) if each not in before.folders)]
        digests = before.files | {path: _digest(file.content) for path, file in ours.items()}
        # Told before it is done: what is interrupted can be taken out too.
        for each in _missing([where.settings / _MANIFEST]):
            each.mkdir(exist_ok=True)
        _Manifest(digests, folders).write(where.settings)
        for path, file in ours.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with opened(path) as stream:
                stream.write(file.content)
            if file.executable:
                path.chmod(_EXECUTABLE)
            report.done.append(path)
    return report


def uninstall(where: Places) -> Report:
    """Takes out what was written, but for what has been changed since. Raises MachineError where it can't."""
    before, report = _Manifest.read(where.settings), Report([], [])
    with _refusing(where.settings):
        for path, digest in before.files.items():
            if not os.path.lexists(path):
                continue
            if _is(path, digest) or path.name == _REWRITTEN:
                path.unlink()
                report.done.append(path)
            else:
                report.kept.append(Kept(path, CHANGED))
        (where.settings / _MANIFEST).unlink(missing_ok=True)
        for folder in reversed(before.folders):
            with suppress(FileNotFoundError):
                if any(folder.iterdir()):
                    if not any(folder in each.path.parents for each in report.kept):
                        report.kept.append(Kept(folder, NOT_OURS))
                else:
                    folder.rmdir()
    return report


def is_installed(where: Places) -> bool:
    """Whether there is a manifest that can be seen."""
    return os.path.exists(where.settings / _MANIFEST)  # noqa: PTH110  # raises nothing


class _Manifest(NamedTuple):
    """What was written, with a digest of each file, and the folders that were made for it, outer ones first."""

    files: dict[Path, str]
    folders: list[Path]

    @classmethod
    def read(cls, settings: Path) -> _Manifest:
        """Reads what there is; what does not fit is taken as not said."""
        with suppress(OSError, ValueError, RecursionError, AttributeError, LookupError, TypeError):
            told = json.loads((settings / _MANIFEST).read_text("utf-8"))
            files = {Path(path): str(digest) for path, digest in told["files"].items()}
            return cls(files, [Path(each) for each in told["folders"]])
        return cls({}, [])

    def write(self, settings: Path) -> None:
        told = {"files": {str(path): digest for path, digest in self.files.items()}}
        with opened(settings / _MANIFEST) as stream:
            stream.write(json.dumps(told | {"folders": [str(each) for each in self.folders]}, indent=1).encode())


def _whose(path: Path, before: str | None, now: str) -> Text | None:
    """Returns why a file is not to be written: None where there is none, or it is as the lab has written it."""
    if not os.path.lexists(path) or _is(path, now) or (before is not None and _is(path, before)):
        return None
    return YOURS if before is None else CHANGED


def _is(path: Path, digest: str) -> bool:
    return not path.is_symlink() and path.is_file() and _digest(path.read_bytes()) == digest


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _missing(paths: Mapping[Path, File] | list[Path]) -> list[Path]:
    """Returns the folders that have to be made for files, outer ones first."""
    found: dict[Path, None] = {}
    for path in paths:
        found |= dict.fromkeys(each for each in reversed(path.parents) if not each.exists())
    return list(found)


@contextmanager
def _refusing(settings: Path) -> Iterator[None]:
    """Makes a MachineError of what the system refuses."""
    try:
        yield
    except OSError as error:
        place = error.filename or settings
        raise MachineError(
            Text(f"{place} can't be written: {error.strerror}", f"无法写入 {place}：{error.strerror}"),
            Text("lab wireshark FILE opens a capture without it", "lab wireshark FILE 无需安装即可打开抓包"),
        ) from error
