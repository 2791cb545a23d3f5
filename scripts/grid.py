"""Records the grid of this machine's kernel: what it does with every segment in every state.

    python scripts/grid.py

Run it where the kernel is another, or the grid has changed on purpose, and read the difference before committing it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from lab.explore.run import explored
from lab.protocols.exploration import STIMULI, WAYS, Cell, Options, as_json
from lab.protocols.exploration import Path as Led

GRID = Path(__file__).parent.parent / "lab/protocols/tcp/grid.json"


def main() -> None:
    asked = [(way, stimulus) for way in WAYS for stimulus in STIMULI]
    played = {
        options: list(explored(asked, options))
        for options in (Options(), Options(timestamps=True), Options(rfc1337=True))
    }
    paths = [each for each in played[Options()] if isinstance(each, Led)]
    cells = {options: [each for each in found if isinstance(each, Cell)] for options, found in played.items()}
    kernel = ".".join(os.uname().release.split(".")[:2])
    GRID.write_text(json.dumps(as_json(kernel, paths, cells), indent=1) + "\n", encoding="utf-8")
    print(GRID)


if __name__ == "__main__":
    main()
