"""Captures of real computers, for measurements.

python -m scripts.traffic real 100000 FILE ...     kernels over a lossy cable
python -m scripts.traffic web 100000 FILE ...      TLS as a browser's; its key log is called FILE.keys

FILE is pcapng where it is called so, else pcap, in nanoseconds with --nanoseconds.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from lab.errors import LabError
from scripts.traffic import cable, files, kernels, web


def main(arguments: list[str]) -> None:
    nanoseconds = "--nanoseconds" in arguments
    kind, count, *names = (each for each in arguments if each != "--nanoseconds")
    paths = [Path(name) for name in names]
    made = kernels.record(int(count)) if kind == "real" else web.record(int(count), paths[0].with_suffix(".keys"))
    try:
        files.write(cable.in_order(made), paths, nanoseconds=nanoseconds)
    except LabError as error:
        sys.exit(f"error: {error.message.en}\nhint: {error.hint.en}")


if __name__ == "__main__":
    main(sys.argv[1:])
