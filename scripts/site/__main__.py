"""Makes the site: python -m scripts.site [--to DIR] [--pyodide DIR | --no-drop]

What of it stands in the folder is written anew, nothing else is touched. Ends with status 1 where a link leads nowhere.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))  # run as a file, a script sees only its own folder

from lab.errors import LabError
from scripts.site.build import build
from scripts.site.links import dead

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
    asked = parser.parse_args()
    try:
        made = build(asked.to, asked.pyodide, not asked.no_drop)
    except LabError as error:
        print(f"error: {error.message.en}\nhint: {error.hint.en}", file=sys.stderr)
        return error.status
    found = dead(asked.to)
    for each in found:
        print(each, file=sys.stderr)
    print(
        f"{asked.to}: {made} pages, {'all links lead somewhere' if not found else f'{len(found)} links lead nowhere'}"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
