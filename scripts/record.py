"""Records the reference captures: every scenario once, each with the ladder that it must render in both languages.

    python scripts/record.py [SCENARIO ...]

Run it when a scenario, the notes or the ladder has changed on purpose, and read the difference before committing it.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # the references are drawn by the code that tests them

from lab.protocols.catalogue import scenario, scenarios
from lab.runs.live import Live
from lab.runs.run import Run
from lab.testbed import netns
from lab.testbed.rules import parse
from lab.text import LANGUAGES
from tests.references import FOLDER, drawn, name_of


def record(name: str) -> None:
    """Plays a scenario and writes its capture and its two ladders."""
    played = scenario(name)
    capture = FOLDER / f"{name_of(name)}.pcapng"
    with Run(Live(played, parse(played.rules), ipv6=False, file=capture, play=netns.play)) as run:
        for _ in run.packets():
            pass
    capture.with_suffix(".key").unlink(missing_ok=True)  # a private key is nobody's reference
    for lang in LANGUAGES:
        capture.with_suffix(f".{lang}.txt").write_text(drawn(capture, lang), encoding="utf-8")
    print(capture)


def redraw() -> None:
    """Draws the ladders of the captures there are anew."""
    for capture in sorted(FOLDER.glob("*.pcapng")):
        for lang in LANGUAGES:
            Path(capture).with_suffix(f".{lang}.txt").write_text(drawn(capture, lang), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["--redraw"]:
        redraw()
    else:
        for each in sys.argv[1:] or [one.name for one in scenarios() if one.lacking() is None]:
            record(each)
