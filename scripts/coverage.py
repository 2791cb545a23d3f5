"""Computes which scenarios have walked which arrow of RFC 9293's figure 5, from the reference captures.

    python scripts/coverage.py

Run it when a scenario has been recorded anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from lab.protocols.catalogue import scenarios
from lab.protocols.tcp.coverage import Arrow, as_json, walked
from lab.runs.recorded import open_run

ROOT = Path(__file__).parent.parent
WALKED = ROOT / "lab/protocols/tcp/walked.json"


def runs() -> Iterator[tuple[str, set[Arrow]]]:
    for name in (each.name for each in scenarios()):
        capture = ROOT / "captures" / f"{name.replace('/', '-')}.pcapng"
        if capture.exists():
            with open_run(str(capture)) as run:
                yield name, walked(run.packets())


def text() -> str:
    """Returns what walked.json is to have."""
    return json.dumps(as_json(runs()), indent=1) + "\n"


if __name__ == "__main__":
    WALKED.write_text(text(), encoding="utf-8")
    print(WALKED)
