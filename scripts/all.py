"""The three labs one after the other, and what was seen of the notes in all of them: make lab-all.

python scripts/all.py [OPTION ...]     the options go to each lab
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # run as a file, a script sees only its own folder

from lab.app.cli import LANG, guarded
from lab.protocols.notes import note
from lab.runs.recorded import open_run
from lab.text import Text

LABS = {"tcp": (), "tls": (), "ws": ("--tls",)}
FOLDER = Path("captures/out")


def main() -> int:
    options = sys.argv[1:]
    for name, more in LABS.items():
        done = subprocess.run([sys.executable, "-P", "-m", "lab", name, *more, *options], check=False)
        if done.returncode:
            return done.returncode
        print(flush=True)
    print(
        Text("All of the notes' steps, and the packets that show them", "讲义的全部步骤，以及体现它们的包").pick(LANG)
    )
    seen: dict[str, list[str]] = {}
    for name in LABS:
        with open_run(str(FOLDER / f"{name}.pcapng"), frames=False) as run:
            for _ in run.packets():
                pass
            for which in run.conversations:
                for step in which.steps:
                    listed = " ".join(map(str, step.packets))
                    seen.setdefault(step.id, []).append(f"{name}: {listed}" if step.seen else "")
    for each, places in seen.items():
        found = [place for place in places if place]
        print(f"  {'✓' if found else '–'} {note(each).name.pick(LANG):<8} {'   '.join(found)}")
    missing = sum(not any(places) for places in seen.values())
    print(
        Text(
            f"{len(seen) - missing} of {len(seen)} steps were seen.",
            f"共 {len(seen)} 步，看到 {len(seen) - missing} 步。",
        ).pick(LANG)
    )
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
