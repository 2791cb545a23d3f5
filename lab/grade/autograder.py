"""Touches files: the zip that Gradescope makes an autograder of. It marks files and runs nothing that was handed in.

In it are the lab's own sources, the assignment, and two scripts: setup.sh installs what the lab needs, from `wheels/`
where these are in it (so nothing is downloaded), and run_autograder marks one submission. No key of a course is in it:
what belongs to whom is told from the bulk download, on the teacher's own machine.
"""

from __future__ import annotations

import re
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from lab.errors import InputError, MachineError
from lab.grade.assignment import parse, source
from lab.grade.feedback import Degree
from lab.system import files
from lab.text import Lang, Text

_LAB = Path(__file__).parents[1]
_WHEN = (2026, 1, 1, 0, 0, 0)  # of every file in it: the same lab makes the same zip
_NAME = "assignment.toml"
_KINDS = (".py", ".toml", ".json", ".lua", ".typed")
_EXTRA = re.compile(r";.*\bextra\s*==")
_SETUP = """\
#!/usr/bin/env bash
# Installs what marking needs, into a place of its own. Wheels in this zip are taken as they are: no network is needed.
set -euo pipefail
root="${AUTOGRADER_ROOT:-/autograder}"
usable() {
    command -v "$1" >/dev/null && "$1" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}
find_python() {
    for each in python3 python3.14 python3.13 python3.12 python3.11; do
        if usable "$each"; then echo "$each"; return; fi
    done
    return 1
}
python="$(find_python || true)"
if [ -z "$python" ]; then
    apt-get update
    apt-get install -y python3 python3-venv
    find_python >/dev/null || apt-get install -y python3.11 python3.11-venv || true
    python="$(find_python)" || { echo "Python 3.11 or later is needed" >&2; exit 1; }
fi
"$python" -m venv "$root/venv"
source="$root/source"
if [ -d "$source/wheels" ]; then
    "$root/venv/bin/pip" install --no-index --find-links "$source/wheels" -r "$source/requirements.txt"
else
    "$root/venv/bin/pip" install -r "$source/requirements.txt"
fi
"""
_RUN = """\
#!/usr/bin/env bash
# Marks one submission: files are read, nothing of it is run. What is printed only the instructors see.
set -u
root="${{AUTOGRADER_ROOT:-/autograder}}"
results="$root/results/results.json"
mkdir -p "$root/results"
rm -f "$results"
cd "$root/source" || exit 1
export PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8
mark() {{ "$root/venv/bin/python" -m lab grade "$root/submission" --assignment {name} --lang {lang} "$@"; }}
whose=()
[ -f "$root/submission_metadata.json" ] && whose=(--metadata "$root/submission_metadata.json")
mark --feedback full
mark --feedback {degree} --format gradescope "${{whose[@]}}" -o "$results"
[ -s "$results" ] || echo '{{"score": 0, "output": "{failed}", "tests": []}}' >"$results"
"""
_FAILED = Text("It could not be marked. Ask your teacher.", "未能评阅，请联系教师。")


def pack(out: Path, name: str, degree: Degree, wheels: Path | None, lang: Lang) -> None:
    """Writes the autograder of an assignment, by its name or path, whole or not at all.

    Raises UsageError and InputError where there is no such assignment, or there are no wheels; MachineError where the
    lab is not installed, or nothing can be written.
    """
    said = source(name)
    about = parse(said, name)
    run = _RUN.format(name=_NAME, lang=lang, degree=degree, failed=_FAILED.pick(lang))
    found = [
        ("setup.sh", _SETUP.encode(), True),
        ("run_autograder", run.encode(), True),
        ("requirements.txt", "".join(f"{each}\n" for each in _requirements()).encode(), False),
        (_NAME, said, False),
        *((f"lab/{path.relative_to(_LAB).as_posix()}", path.read_bytes(), False) for path in _sources()),
        *((f"wheels/{path.name}", path.read_bytes(), False) for path in _wheels(wheels)),
    ]
    with files.to_file(out) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = f"handshake-lab {about.id}".encode()
        for name, data, runs in found:
            entry = zipfile.ZipInfo(name, _WHEN)
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3
            entry.external_attr = (0o100755 if runs else 0o100644) << 16
            archive.writestr(entry, data)


def _sources() -> Iterator[Path]:
    """Yields the lab's own files, in order; nothing that it has made, and nothing of anybody's."""
    for path in sorted(_LAB.rglob("*")):
        if path.is_file() and path.suffix in _KINDS and "__pycache__" not in path.parts:
            yield path


def _requirements() -> list[str]:
    """Returns what the lab needs: as its sources say, else as it is installed. Raises MachineError where neither is."""
    sources = _LAB.parent / "pyproject.toml"
    if sources.is_file():
        listed: list[str] = tomllib.loads(sources.read_text("utf-8"))["project"]["dependencies"]
        return listed
    try:
        found = requires("handshake-lab") or []
    except PackageNotFoundError:
        raise MachineError(
            Text("the lab is not installed: what it needs is not known", "实验室没有安装，无法得知它需要哪些软件包"),
            Text("make venv, then .venv/bin/lab assign ...", "先运行 make venv，再用 .venv/bin/lab assign ..."),
        ) from None
    return [each for each in found if _EXTRA.search(each) is None]


def _wheels(folder: Path | None) -> Iterable[Path]:
    if folder is None:
        return ()
    found = sorted(folder.glob("*.whl"))
    if not found:
        raise InputError(
            Text(f"{folder} has no wheels", f"{folder} 中没有 wheel 文件"),
            Text(
                f"fetch them: pip download --only-binary :all: -r requirements.lock -d {folder}",
                f"请先下载：pip download --only-binary :all: -r requirements.lock -d {folder}",
            ),
        )
    return found
