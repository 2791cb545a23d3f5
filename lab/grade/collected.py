"""Touches files: what a class has handed in, folders and zips, listed and read without trusting any of it.

Nothing is unpacked by its name: a file is read by its place in the listing, with a bound, into memory or a file without
a name, of which nothing stays. Links, devices, paths that climb out, zips in zips, and what is larger than anything
that is asked for are refused: that is told with the submission, and stops nobody else's.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import stat
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lab.errors import InputError
from lab.grade import naming
from lab.grade import sheet as sheets
from lab.grade.naming import Parts
from lab.grade.opening import CHUNK, DAMAGED, Files, Source, chunks, name_of, opening, parts
from lab.grade.submissions import CAPTURE
from lab.text import Text, safe

MOST_CAPTURE = 32 << 20  # bytes of a capture: an assignment's has some tens of packets
MOST_ARCHIVE = 64 << 20  # bytes of a zip that a student hands in
MOST_FILES = 100_000  # of a class
MOST_MEMBERS = 1_000  # files in a student's zip
_DEEPEST = 12


Refused = dict[Parts, list[Text]]  # why, by path


class HandedIn(NamedTuple):
    """One submission of a class. `name` tells it apart from all others; `refused` is what was not even listed."""

    name: str
    source: Source
    refused: tuple[Text, ...]


class Read(NamedTuple):
    """What of a submission is marked, None for what is not there. `capture` is a file without a name."""

    sheet: bytes | None
    capture: BinaryIO | None
    refused: tuple[Text, ...]


def collect(
    path: Path, of_nobody: Callable[[Sequence[str]], object] = lambda _: None, one: bool = False
) -> list[HandedIn]:
    """Returns the submissions at `path`, in order of their names: one, or a class. Raises InputError.

    Where `one` is asked for, several folders with a single sheet among them are one. `of_nobody` is told the names of
    files that were passed over, if any were.
    """
    refused: Refused = {}
    zipped = path.is_file()
    listed = list(_in_zip(path, str(path), refused, MOST_FILES) if zipped else _in_folder(path, refused))
    if len(listed) > MOST_FILES:
        raise InputError(
            Text(f"{path} has more than {MOST_FILES} files", f"{path} 中的文件超过 {MOST_FILES} 个"),
            _most_are_in(listed),
        )
    whole = path.resolve().name
    whole = whole[: -len(".zip")] if zipped and naming.archived(whole) else whole
    all_of_it = [*listed, *refused]
    found = naming.groups(all_of_it, whole, refused, one)
    called = _submitters(path, zipped, listed)
    submissions = []
    used: set[str] = set()
    for who, files in sorted(found.items()):
        said = [text for given in files.values() for text in refused.get(given, ())]
        kept = {inside: given for inside, given in files.items() if given not in refused}
        name = _unlike(safe(f"{called[who]} ({who})" if who in called else who), used)
        submissions.append(HandedIn(name, Source(path, zipped, kept), tuple(said)))
    if not submissions:
        raise InputError(
            Text(f"{path} has no submissions in it", f"{path} 中没有提交物"),
            Text(
                f"a submission is a folder, or a zip, with {sheets.NAME} and {CAPTURE}; a class is a folder of these",
                f"提交物是含有 {sheets.NAME} 与 {CAPTURE} 的文件夹或 zip；整个班级则是这些的文件夹",
            ),
        )
    if beside := naming.passed_over(all_of_it, found):
        of_nobody(beside)
    return submissions


def _most_are_in(listed: list[Parts]) -> Text:
    folder, count = Counter(path[:-1][:2] for path in listed).most_common(1)[0]
    name = safe("/".join(folder))
    return Text(
        f"{count} of them are in {name}: move that away, and mark the others"
        if name
        else "name the submissions' folder",
        f"其中 {count} 个在 {name} 中：请将其移走，先评阅其余的" if name else "请指明存放提交物的文件夹",
    )


def _unlike(name: str, used: set[str]) -> str:
    """Returns a name that none of those used is: some differ only in what can't be shown. It is used then."""
    found, number = name, 1
    while found in used:
        number += 1
        found = f"{name} ({number})"
    used.add(found)
    return found


class Parcel(NamedTuple):
    """A submission that can be sent: `about` is JSON, `data` a zip with the files that count, cut where they are longer
    than anybody reads."""

    about: str
    data: bytes


def packed(handed_in: HandedIn) -> Parcel:
    """Returns a submission that can be read elsewhere. What can't be read here is missing in it, and can't there."""
    out = io.BytesIO()
    wanted = naming.chosen(handed_in.source.files)
    most = {
        wanted.sheet: sheets.MOST_BYTES,
        wanted.capture: MOST_CAPTURE,
        wanted.archive: MOST_ARCHIVE,
    }
    with (
        opening(handed_in.source) as files,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for at, path in enumerate(handed_in.source.files):
            if path in most:
                with contextlib.suppress(*DAMAGED), files.open(handed_in.source.files[path]) as file:
                    archive.writestr(str(at), b"".join(chunks(file, most[path] + 1)))
    about = {
        "name": handed_in.name,
        "refused": [[text.en, text.zh] for text in handed_in.refused],
        "files": [list(path) for path in handed_in.source.files],
    }
    return Parcel(json.dumps(about), out.getvalue())


def unpacked(parcel: Parcel) -> HandedIn:
    """Returns the submission that was packed."""
    about = json.loads(parcel.about)
    files = {tuple(path): (str(at),) for at, path in enumerate(about["files"])}
    return HandedIn(
        about["name"], Source(io.BytesIO(parcel.data), True, files), tuple(Text(*each) for each in about["refused"])
    )


def digest(handed_in: HandedIn) -> str:
    """Returns the SHA-256 of all that is read of a submission, as hexadecimal digits. Reads no more than the marker."""
    wanted = naming.chosen(handed_in.source.files)
    said = [text.en for text in handed_in.refused], wanted.several, wanted.beside
    found = hashlib.sha256(repr(said).encode("utf-8", "replace"))
    with opening(handed_in.source) as files:
        for path in (wanted.sheet, wanted.capture, wanted.archive):
            if path is None:
                found.update(b"\0none")
                continue
            try:
                with files.open(handed_in.source.files[path]) as file:
                    found.update(b"\0" + repr(path).encode("utf-8", "replace"))
                    for data in chunks(file, MOST_ARCHIVE + 1):
                        found.update(data)
            except DAMAGED:
                found.update(b"\0damaged")
    return found.hexdigest()


@contextlib.contextmanager
def reading(handed_in: HandedIn) -> Iterator[Read]:
    """Yields the files of a submission that count. Never raises for its sake."""
    with tempfile.TemporaryFile() as capture, tempfile.TemporaryFile() as archive:
        refused = list(handed_in.refused)
        yield _read(handed_in.source, capture, archive, refused)._replace(refused=tuple(refused))


def _read(source: Source, capture: BinaryIO, archive: BinaryIO | None, refused: list[Text]) -> Read:
    """Reads what counts; from a zip in the submission where that is all there is, but not from one in that."""
    wanted = naming.chosen(source.files)
    for name in map(safe, wanted.several):
        refused.append(Text(f"several files could be {name}: the last counts", f"有多个 {name}：以最后一个为准"))
    if wanted.beside is not None:
        name = safe(wanted.beside[-1])
        told = Text(f"{name} was not opened: what counts lies beside it", f"未打开 {name}：以旁边的文件为准")
        refused.append(told)
    with opening(source) as files:

        def take(path: Parts | None, out: BinaryIO, most: int) -> bool:
            return path is not None and _take(files, source.files[path], safe(path[-1]), out, most, refused)

        if wanted.archive is None:
            sheet = io.BytesIO()
            return Read(
                sheet.getvalue() if take(wanted.sheet, sheet, sheets.MOST_BYTES) else None,
                capture if take(wanted.capture, capture, MOST_CAPTURE) else None,
                (),
            )
        if archive is None:
            refused.append(Text("a zip in a zip was not opened", "未打开 zip 中的 zip"))
        elif take(wanted.archive, archive, MOST_ARCHIVE):
            listed: Refused = {}
            try:
                members = {path: path for path in _in_zip(archive, safe(wanted.archive[-1]), listed, MOST_MEMBERS)}
                if len(members) > MOST_MEMBERS:
                    listed[()] = [_too_many(safe(wanted.archive[-1]))]
            except InputError as error:
                refused.append(error.message)
                return Read(None, None, ())
            refused += [text for texts in listed.values() for text in texts]
            return _read(Source(archive, True, members), capture, None, refused)
        return Read(None, None, ())


def _take(files: Files, path: Parts, name: str, out: BinaryIO, most: int, refused: list[Text]) -> bool:
    """Copies a file of at most `most` bytes, whatever it says of its size; says why where it does not."""
    try:
        with files.open(path) as file:
            left = most
            while data := file.read(min(CHUNK, left + 1)):
                if len(data) > left:
                    refused.append(_too_large(name, most))
                    return False
                out.write(data)
                left -= len(data)
        out.flush()
        return True
    except DAMAGED:
        refused.append(Text(f"{name} can't be read", f"无法读取 {name}"))
        return False


def _too_many(name: str) -> Text:
    most = MOST_MEMBERS
    return Text(
        f"{name} has more than {most} files: the first were looked at", f"{name} 中的文件超过 {most} 个：只查看了前面的"
    )


def _too_large(name: str, most: int) -> Text:
    size = f"{most >> 20} MB" if most >= 1 << 20 else f"{most >> 10} kB"
    return Text(f"{name} is larger than {size}: it was not read", f"{name} 超过 {size}：未读取")


def _in_zip(place: Path | BinaryIO, name: str, refused: Refused, most: int) -> Iterator[Parts]:
    """Yields the paths of the files in a zip. Raises InputError where it is none."""
    try:
        with zipfile.ZipFile(place) as archive:
            members = archive.infolist()
    except DAMAGED as error:
        raise InputError(
            Text(f"{name} is no zip that can be read", f"{name} 不是可读取的 zip"),
            Text("name a folder or a zip of submissions", "请指明存放提交物的文件夹或 zip"),
        ) from error
    for member in members[: most + 1]:
        inside, mode = parts(name_of(member)), member.external_attr >> 16
        name = safe(inside[-1] if inside else member.filename)
        kind = stat.S_IFMT(mode)
        if ".." in inside or member.filename.startswith(("/", "\\")):
            told = Text(
                f"{name} has a path that leads out of the zip: it was not read", f"{name} 的路径指向 zip 之外：未读取"
            )
        elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            told = Text(f"{name} is a link or a device: it was not read", f"{name} 是链接或设备：未读取")
        elif member.flag_bits & 1:
            told = Text(f"{name} is encrypted: it was not read", f"{name} 已加密：未读取")
        elif len(inside) > _DEEPEST:
            told = Text(f"{name} lies too deep: it was not read", f"{name} 的目录层次过深：未读取")
        else:
            if inside and not member.is_dir():
                yield inside
            continue
        refused.setdefault(tuple(part for part in inside if part != "..") or (name,), []).append(told)


def _in_folder(path: Path, refused: Refused) -> Iterator[Parts]:
    """Yields the paths of the regular files below a folder. Raises InputError where it can't be read."""
    waiting: list[Parts] = [()]
    while waiting:
        here = waiting.pop()
        try:
            entries = sorted(os.scandir(path.joinpath(*here)), key=lambda entry: entry.name)
        except OSError as error:
            if here:
                refused.setdefault((*here, ""), []).append(
                    Text(
                        f"{safe(here[-1])} can't be read: {error.strerror}",
                        f"无法读取 {safe(here[-1])}：{error.strerror}",
                    )
                )
                continue
            raise InputError(
                Text(f"{path} can't be read: {error.strerror}", f"无法读取 {path}：{error.strerror}"),
                Text("name a folder or a zip of submissions", "请指明存放提交物的文件夹或 zip"),
            ) from error
        for entry in entries:
            inside = (*here, entry.name)
            if entry.is_file(follow_symlinks=False):
                yield inside
            elif entry.is_dir(follow_symlinks=False) and len(inside) < _DEEPEST:
                waiting.append(inside)
                yield (*inside, "")  # a folder with nothing in it is a submission, too
            else:
                name = safe(entry.name)
                refused.setdefault(inside, []).append(
                    Text(f"{name} is a link or a device: it was not read", f"{name} 是链接或设备：未读取")
                )


def _submitters(path: Path, zipped: bool, listed: list[Parts]) -> Mapping[str, str]:
    """Returns the names that a Gradescope export gives its folders; none where it is none."""
    at = next((each for each in listed if each[-1] == naming.METADATA and len(each) <= 2), None)
    if at is None:
        return {}
    with opening(Source(path, zipped, {})) as files, contextlib.suppress(*DAMAGED), files.open(at) as file:
        return naming.submitters(file.read(MOST_CAPTURE).decode("utf-8", "replace"))
    return {}
