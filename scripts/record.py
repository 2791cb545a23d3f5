"""Records the reference captures: every scenario once, each with the ladder that it must render in both languages,
and the page on all of them.

    python scripts/record.py [SCENARIO ...]

Run it when a scenario, the notes or the ladder has changed on purpose, and read the difference before committing it.
`--redraw` draws the ladders of the captures there are, and the page, `--renote` writes the notes in them; they play
nothing.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # the references are drawn by the code that tests them

from lab.protocols.catalogue import scenario, scenarios
from lab.runs.live import Live
from lab.runs.recorded import open_run, write_again
from lab.runs.run import Run
from lab.testbed import netns
from lab.testbed.rules import parse
from lab.text import LANGUAGES
from scripts.coverage import WALKED, text
from tests.references import FOLDER, drawn, index, name_of, page


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


def renote() -> None:
    """Writes the notes that the captures carry anew: what Wireshark shows of them is what the lab says today."""
    for name in [each.name for each in scenarios()]:
        capture, out = FOLDER / f"{name_of(name)}.pcapng", io.BytesIO()
        with open_run(str(capture), words=True) as run:
            write_again(run, out, name)
        if out.getvalue() != capture.read_bytes():
            capture.write_bytes(out.getvalue())
            print(capture)


def redraw() -> None:
    """Draws the ladders of the captures there are anew."""
    for capture in sorted(FOLDER.glob("*.pcapng")):
        for lang in LANGUAGES:
            Path(capture).with_suffix(f".{lang}.txt").write_text(drawn(capture, lang), encoding="utf-8")
    describe()


def describe() -> None:
    """Writes the page on all captures, and which arrows of the state diagram they show."""
    for lang in LANGUAGES:
        page(lang).write_text(index(lang), encoding="utf-8")
    WALKED.write_text(text(), encoding="utf-8")


def main() -> None:
    names = [each.name for each in scenarios()]
    parser = argparse.ArgumentParser(description="Records the reference captures, and what is said of them.")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="only these, as lab scenarios lists them")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--redraw", action="store_true", help="play nothing: draw the ladders, and the page")
    other.add_argument("--renote", action="store_true", help="play nothing: write the notes in the captures")
    asked = parser.parse_args()
    if unknown := [each for each in asked.scenarios if each not in names]:
        parser.error(f"there is no scenario {unknown[0]}")
    if asked.redraw or asked.renote:
        (redraw if asked.redraw else renote)()
        return
    for each in asked.scenarios or [one.name for one in scenarios() if one.lacking() is None]:
        record(each)
    describe()


if __name__ == "__main__":
    main()
