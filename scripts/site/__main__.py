"""Makes the site: python -m scripts.site [--to DIR] [--pyodide DIR | --no-drop]

What of it stands in the folder is written anew, nothing else is touched. Ends with status 1 where a link leads nowhere.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))  # run as a file, a script sees only its own folder

from lab.errors import LabError, MachineError
from lab.system import streams
from lab.text import Text, choose
from scripts.site.build import build
from scripts.site.links import dead

_MADE = Text("{}: {} pages.", "{}：共 {} 页。")
_ALIVE = Text("All links lead somewhere.", "全部链接有效。")
_DEAD = Text("{} links lead nowhere.", "有 {} 个链接指向不存在之处。")
OUT = Path(__file__).parent.parent.parent / "captures" / "out" / "site"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.site", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=Path, default=OUT, metavar="DIR")
    parser.add_argument("--pyodide", type=Path, metavar="DIR", help="the npm package pyodide; else npm fetches it")
    parser.add_argument(
        "--no-drop", action="store_true", help="without the page that annotates dropped captures: 14 MB less"
    )
    asked, lang = parser.parse_args(), choose([], os.environ)
    try:
        made = build(asked.to, asked.pyodide, not asked.no_drop)
    except (LabError, OSError) as error:
        refused = error if isinstance(error, LabError) else _unwritable(asked.to, error)
        streams.complain(refused, lang)
        return refused.status
    found = dead(asked.to)
    for each in found:
        print(each, file=sys.stderr)
    print(_MADE.pick(lang).format(asked.to, made), (_DEAD.format(len(found)) if found else _ALIVE).pick(lang))
    return 1 if found else 0


def _unwritable(folder: Path, error: OSError) -> MachineError:
    said = error.strerror or str(error)
    return MachineError(
        Text(f"the site can't be written to {folder}: {said}", f"网站无法写入 {folder}：{said}"),
        Text("name another folder: --to DIR", "请指定另一个目录：--to DIR"),
    )


if __name__ == "__main__":
    sys.exit(main())
