"""Other people's captures: for every file of a folder, the lab and Wireshark are held against each other.

python scripts/samples.py FOLDER ...         counts, flags, relative numbers, payloads, streams, and the analysis

Good folders are the test captures that come with the sources of tcpdump, Wireshark, nDPI, tcpflow, libpcap and dpkt.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # run as a file, a script sees only its own folder

from lab.errors import LabError
from lab.model import Packet
from lab.runs.recorded import open_run
from lab.witnesses import question, wireshark
from lab.witnesses.wireshark import Disagreement

ENDINGS = (".pcap", ".pcapng", ".cap", ".pcap.gz", ".ntar")
LARGEST = 50 << 20  # bytes
SHOWN = 3  # differences of a file


def captures(folders: list[str]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and path.name.lower().endswith(ENDINGS) and path.stat().st_size <= LARGEST:
                yield path


def read(path: Path) -> list[Packet]:
    with open_run(str(path), frames=False) as run:
        return list(run.packets())


def differences(path: Path) -> tuple[int, int, list[Disagreement]] | str:
    """Returns packets, TCP packets and what differs, or why there is nothing to compare."""
    try:
        opinions = question.ask(path)
    except LabError as error:
        return f"tshark: {error.message.en}"
    try:
        found = read(path)
    except LabError as error:
        return f"lab: {error.message.en}" if opinions else "neither reads a packet"
    return len(found), sum(packet.sender is not None for packet in found), wireshark.compare(found, opinions)


def main() -> int:
    files = packets = segments = 0
    unread: list[str] = []
    numbered: Counter[int] = Counter()
    unexplained: Counter[str] = Counter()
    for path in captures(sys.argv[1:]):
        found = differences(path)
        if isinstance(found, str):
            unread.append(f"{path.name}: {found}")
            continue
        files += 1
        packets += found[0]
        segments += found[1]
        numbered.update(each.deviation for each in found[2] if each.deviation is not None)
        open_ = [each for each in found[2] if each.deviation is None]
        unexplained.update(each.field for each in open_)
        for each in open_[:SHOWN]:
            print(f"{path}: packet {each.number}: {each.field}: ours {each.ours}, Wireshark's {each.theirs}")
        if len(open_) > SHOWN:
            print(f"{path}: {len(open_) - SHOWN} more")
    print(f"{files} files, {packets} packets, {segments} of them TCP")
    print("numbered in DEVIATIONS.md: ", dict(sorted(numbered.items())))
    print("unexplained: ", dict(unexplained))
    print(f"{len(unread)} files that one of the two does not read:")
    for line in unread:
        print("  " + line)
    return min(sum(unexplained.values()), 1)


if __name__ == "__main__":
    sys.exit(main())
