"""Whose files are whose in what a class has handed in, by their names alone: a pure function of paths.

The names are those of bulk downloads as they come:

    Moodle      NAME_123_assignsubmission_file/FILE, or NAME_123_assignsubmission_file_FILE without folders
    Canvas      nameofstudent_123_456_FILE, or nameofstudent_LATE_123_456_FILE
    Gradescope  assignment_1_export/submission_123/FILE, and submission_metadata.yml says who that is
    none        NAME/FILE, or NAME.zip
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple

Parts = tuple[str, ...]

_MOODLE = re.compile(r"(?P<who>.+?_\d+)_assignsubmission_(?:file|onlinetext)_?(?P<file>.*)", re.DOTALL)
_CANVAS = re.compile(r"(?P<who>[^_]+(?:_LATE)?_\d+)_\d+_(?P<file>.+)", re.DOTALL)
_AGAIN = r"(?: ?\(\d{1,4}\)|[-_]\d{1,4})?"  # what a browser or a course adds to a name that is taken
_SHEET = re.compile(rf"answers{_AGAIN}\.toml", re.IGNORECASE)
_CAPTURE = re.compile(rf"capture{_AGAIN}\.pcap(?:ng)?", re.IGNORECASE)
_ANY_CAPTURE = re.compile(r".+\.pcap(?:ng)?", re.IGNORECASE | re.DOTALL)
_ZIP = re.compile(r".+\.zip", re.IGNORECASE | re.DOTALL)
_LATE = re.compile(r"_LATE(?=_\d+$)")
_SUBMITTED = re.compile(r":?(submission_\d+):\s*")
_SUBMITTER = re.compile(r"[\s-]*:(sid|email|name):\s*(.+)")
_OF_SYSTEMS = ("__MACOSX", "Thumbs.db", "desktop.ini")
METADATA = "submission_metadata.yml"


class Chosen(NamedTuple):
    """The files of a submission that are read, by their paths in it; `archive` where these have to be in there.

    `several` are the names of which there was more than one to choose from: the last one counts. `beside` is a zip that
    is not opened, because what counts lies beside it.
    """

    sheet: Parts | None
    capture: Parts | None
    archive: Parts | None
    several: tuple[str, ...]
    beside: Parts | None = None


def groups(
    paths: Iterable[Parts], whole: str, refused: Container[Parts] = (), one: bool = False
) -> dict[str, dict[Parts, Parts]]:
    """Returns who has handed in what: for each the paths within what is theirs, and the paths as they were given.

    `whole` is the name of all of it: where it is no class but one submission, it is called that. Where `one` is
    asked for, it is that unless several folders have a sheet or a zip. Of the paths some were `refused`: where such a
    one has the place of a submission, it is one, for it may be the link to a folder.
    """
    all_of_it = {path: path for path in paths if _wanted(path)}
    inside, name = dict(all_of_it), whole
    while inside and not any(len(path) == 1 for path in inside) and len({path[0] for path in inside}) == 1:
        first = next(iter(inside))[0]
        if _MOODLE.fullmatch(first) is not None:
            break
        name = first
        inside = {path[1:]: given for path, given in inside.items() if path[1:] != ("",)}
    found: dict[str, dict[Parts, Parts]] = {}
    by_canvas = _of_canvas(inside)
    for path, given in inside.items():
        placed = by_canvas.get(path) or _whose(path)
        if placed is None and given in refused and not _counts(path):
            placed = path[0], path
        if placed is not None:
            who, rest = placed
            found.setdefault(who, {})[rest] = given
    one = one or any(len(path) == 1 and _counts(path) for path in inside)
    return {name: inside} if inside and one and not _is_class(found) else found


def passed_over(paths: Iterable[Parts], found: Mapping[str, Mapping[Parts, Parts]]) -> list[str]:
    """Returns the names of files that are of nobody, of those that were given to find whose they are."""
    taken = {given for files in found.values() for given in files.values()}
    left = dict.fromkeys(path for path in paths if _wanted(path) and path not in taken)
    return [path[-1] for path in left if path[-1] not in ("", METADATA)]


def chosen(paths: Iterable[Parts]) -> Chosen:
    """Returns which files of a submission count. The last of several does: numbers and dates are put behind a name.

    A capture that lies in the sheet's folder does before any other: it is the one that the answers are about.
    """
    listed = sorted(paths, key=lambda path: (-len(path), _number(path[-1]), path))
    several = []

    def last(of: list[Parts], *kinds: re.Pattern[str]) -> Parts | None:
        for kind in kinds:
            found = [path for path in of if kind.fullmatch(path[-1])]
            if len(found) > 1:
                several.append(found[-1][-1])
            if found:
                return found[-1]
        return None

    sheet = last(listed, _SHEET)
    near = [path for path in listed if sheet is not None and path[:-1] == sheet[:-1]]
    capture = last(near, _CAPTURE, _ANY_CAPTURE) or last(listed, _CAPTURE, _ANY_CAPTURE)
    if sheet is None and capture is None:
        return Chosen(None, None, last(listed, _ZIP), tuple(several))
    beside = next((path for path in listed if _ZIP.fullmatch(path[-1])), None)
    return Chosen(sheet, capture, None, tuple(several), beside)


def submitters(metadata: str) -> Mapping[str, str]:
    """Returns who a Gradescope export's folders belong to: by number, e-mail address or name, what comes first."""
    found: dict[str, str] = {}
    known: dict[str, str] = {}
    current = ""
    for line in metadata.splitlines():
        if (begins := _SUBMITTED.fullmatch(line)) is not None:
            current, known = begins[1], {}
        elif current and (said := _SUBMITTER.fullmatch(line)) is not None:
            known.setdefault(said[1], said[2].strip().strip("'\""))
            found[current] = next(known[key] for key in ("sid", "email", "name") if key in known)
    return found


def student_key(student: str) -> str:
    """Returns what of a student's id counts, however it is typed."""
    return "".join(unicodedata.normalize("NFKC", student).casefold().split())


def archived(name: str) -> bool:
    return _ZIP.fullmatch(name) is not None


def _counts(path: Parts) -> bool:
    return any(kind.fullmatch(path[-1]) is not None for kind in (_SHEET, _CAPTURE))


def _is_class(found: Mapping[str, Iterable[Parts]]) -> bool:
    """Whether these are submissions of several, though a sheet or a capture lies beside them: in one there may be a
    folder or a zip with an earlier sheet, too."""
    kinds = (_SHEET, _ZIP)
    return sum(any(kind.fullmatch(path[-1]) for path in files for kind in kinds) for files in found.values()) > 1


def _of_canvas(paths: Iterable[Parts]) -> dict[Parts, tuple[str, Parts]]:
    """Returns who files are of that are called as Canvas calls them, and their paths in what is theirs.

    Several zips and nothing else are of nobody: a class that calls them `hw1_2025_17_an.zip` has the same form.
    """
    of: dict[str, dict[Parts, Parts]] = {}
    for path in paths:
        if len(path) == 1 and _MOODLE.fullmatch(path[0]) is None and (match := _CANVAS.fullmatch(path[0])) is not None:
            of.setdefault(_LATE.sub("", match["who"]), {})[path] = (match["file"],)
    return {
        path: (who, rest)
        for who, files in of.items()
        if len(files) == 1 or not all(archived(path[0]) for path in files)
        for path, rest in files.items()
    }


def _whose(path: Parts) -> tuple[str, Parts] | None:
    """Returns who a file is of, and its path in what is theirs; None for what lies beside all submissions."""
    first, rest = path[0], path[1:]
    if (match := _MOODLE.fullmatch(first)) is not None:
        return match["who"], rest or (match["file"] or first,)
    if rest:
        return first, rest
    return (first[: -len(".zip")], path) if archived(first) else None


def _wanted(path: Parts) -> bool:
    return bool(path) and not any(part in _OF_SYSTEMS or part.startswith(".") for part in path)


def _number(name: str) -> int:
    """Returns the number that was put behind a name, 0 without one."""
    found = re.search(r"[(_-](\d{1,4})\)?\.[^.]*$", name)
    return int(found[1]) if found is not None else 0
