"""Captures of others against Wireshark, every file of a folder: samples.py FOLDER|FILE ...

What tshark reads, the lab must read: as many packets, and of each TCP packet the same flags, relative numbers, length
and conversation. Ends with status 1 where anything differs without a number in DEVIATIONS.md. Files that neither reads,
or that tshark reads and that are no pcap or pcapng, are counted apart.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path as File

sys.path.insert(0, str(File(__file__).parent.parent))  # run as a file, a script sees only its own folder

from lab.capture import second_opinion
from lab.capture.reader import open_capture
from lab.capture.second_opinion import Disagreement, Opinions
from lab.cli import guarded
from lab.errors import InputError, UsageError
from lab.path import Path
from lab.text import Text, choose

MOST_SHOWN = 5  # differences of a file
LANG = choose(sys.argv[1:])


class Sum:
    """What all files came to."""

    def __init__(self) -> None:
        self.files: Counter[str] = Counter()
        self.packets = 0
        self.segments = 0
        self.conversations = 0
        self.numbered: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()

    def add(self, file: File) -> None:
        """Compares one file, and shows what nothing explains."""
        try:
            opinions = second_opinion.ask(file)
        except InputError as error:
            opinions, refused = Opinions(), error.message.pick(LANG)
        else:
            refused = ""
        try:
            with open_capture(str(file)) as capture:
                rungs = list(Path().annotate(capture, keep_frames=False))
                problems = capture.problems
        except InputError as error:
            self.files["read by neither" if refused or not opinions else "of another format"] += 1
            if opinions:
                print(f"{file}: {error.message.pick(LANG)}", flush=True)
            return
        if refused:
            self.files["read by the lab alone"] += 1
            print(f"{file}: {refused}", flush=True)
            return
        self.files["damaged, read in part" if problems else "read by both"] += 1
        self.packets += len(rungs)
        self.segments += sum(rung.segment is not None for rung in rungs)
        self.conversations += len({rung.conversation.id for rung in rungs if rung.conversation is not None})
        found = second_opinion.compare(rungs, opinions)
        self.numbered.update(each.deviation for each in found if each.deviation is not None)
        unexplained = [each for each in found if each.deviation is None]
        self.faults.update(each.field for each in unexplained)
        self._show(file, unexplained, opinions)

    def _show(self, file: File, unexplained: Sequence[Disagreement], opinions: Opinions) -> None:
        for each in unexplained[:MOST_SHOWN]:
            layers = opinions[each.number - 1].protocols if each.number <= len(opinions) else ""
            print(f"{file}: {each.number} {each.field}: {each.ours} / {each.theirs}  {layers}", flush=True)
        if len(unexplained) > MOST_SHOWN:
            print(f"{file}: {len(unexplained) - MOST_SHOWN} more", flush=True)

    def show(self) -> None:
        print(", ".join(f"{count} files {how}" for how, count in sorted(self.files.items())))
        print(f"{self.packets} packets, {self.segments} segments, {self.conversations} conversations")
        print("numbered: " + (", ".join(f"no. {which}: {n}" for which, n in sorted(self.numbered.items())) or "none"))
        print("unexplained: " + (", ".join(f"{field}: {n}" for field, n in sorted(self.faults.items())) or "none"))


def files(places: Sequence[str]) -> Iterator[File]:
    """Yields each regular file at or below the places, in order."""
    for place in map(File, places):
        if not place.exists():
            raise UsageError(
                Text(f"there is no {place}", f"{place} 不存在"),
                Text("samples.py FOLDER|FILE ...", "samples.py FOLDER|FILE ..."),
            )
        yield from (file for file in sorted(place.rglob("*")) if file.is_file()) if place.is_dir() else (place,)


def main() -> int:
    places = [word for at, word in enumerate(sys.argv) if at and word != "--lang" and sys.argv[at - 1] != "--lang"]
    if not places:
        raise UsageError(
            Text("which captures?", "哪些抓包？"), Text("samples.py FOLDER|FILE ...", "samples.py FOLDER|FILE ...")
        )
    total = Sum()
    try:
        for file in files(places):
            total.add(file)
    finally:
        total.show()
    return 1 if total.faults else 0


if __name__ == "__main__":
    sys.exit(guarded(main))
