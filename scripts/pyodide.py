"""Pyodide, Python for the browser: fetched by npm once, checked, and kept beside what else was installed for the lab.

python -m scripts.pyodide        prints the folder that it is in

It is never part of the repository, only of a site that is made (scripts/site). Its licence is MPL-2.0.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # run as a file, a script sees only its own folder

from lab.errors import LabError, MachineError, UsageError
from lab.text import Text
from tests.page.npm import packed

VERSION = "314.0.7"  # Python 3.14
INTEGRITY = "0YvXxEhfEdpLfb/XkM2BFAeMROq0iMUX2bzzH9pOttyMcWkwq+HbE5uyuGD82LN7y2q+SNvi/6V5JEsOlD2R1A=="  # SHA-512
CACHE = Path(__file__).parent.parent / ".venv" / f"pyodide-{VERSION}"
# What a page needs of it: 13 MB, of which a web server that compresses sends some 5.
FILES = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")


def folder(given: Path | None = None) -> Path:
    """Returns the folder with Pyodide's files: the one `given`, else the one kept, else it is fetched.

    Raises UsageError where the one given lacks any, MachineError where it can't be fetched.
    """
    if given is not None:
        lacking = [name for name in FILES if not (given / name).is_file()]
        if lacking:
            raise UsageError(
                Text(f"{given} lacks {lacking[0]}", f"{given} 中缺少 {lacking[0]}"),
                Text(
                    "give the folder of the npm package pyodide, or none: then it is fetched",
                    "请给出 npm 软件包 pyodide 的目录；不给则自动获取",
                ),
            )
        return given
    if not CACHE.is_dir():
        _fetch()
    return CACHE


def version(place: Path) -> str:
    """Returns the version of the Pyodide in a folder, as it says itself."""
    try:
        return str(json.loads((place / "package.json").read_text("utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return VERSION


def _fetch() -> None:
    CACHE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pyodide-", dir=CACHE.parent) as name:  # beside where it is going to be
        try:
            archive = packed("pyodide", VERSION, INTEGRITY, Path(name))
        except FileNotFoundError:
            raise _not_fetched("npm is not installed", "没有安装 npm") from None
        except subprocess.TimeoutExpired:
            raise _not_fetched("npm takes too long", "npm 耗时过长") from None
        except (OSError, AssertionError) as error:
            raise _not_fetched(str(error).splitlines()[0], str(error).splitlines()[0]) from None
        with tarfile.open(archive) as files:
            files.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11 has it from 3.11.4 on
            files.extractall(name)
        try:
            Path(name, "package").rename(CACHE)
        except OSError:  # somebody else has been as quick
            if not CACHE.is_dir():
                raise


def _not_fetched(en: str, zh: str) -> MachineError:
    return MachineError(
        Text(f"Pyodide could not be fetched: {en}", f"无法获取 Pyodide：{zh}"),
        Text(
            "install npm (Debian: apt-get install npm), name the folder of its package (--pyodide DIR), or go without "
            "it (--no-drop)",
            "请安装 npm（Debian：apt-get install npm），或指定该软件包的目录（--pyodide DIR），或不用它（--no-drop）",
        ),
    )


if __name__ == "__main__":
    try:
        print(folder())
    except LabError as error:
        sys.exit(f"error: {error.message.en}\nhint: {error.hint.en}")
