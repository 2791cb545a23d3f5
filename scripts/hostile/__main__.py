"""Captures made to exhaust whoever reads them, and what the lab takes for each: memory and time are bounded.

python -m scripts.hostile                        every case in every format, at full size: takes hours
python -m scripts.hostile CASE ... [--format F]  these only; --scale 0.1 makes them a tenth as large
python -m scripts.hostile --make CASE FILE       writes one capture, to be looked at by hand

Each is measured at a quarter of the size and in full. Memory is the peak of the largest process beyond what the
interpreter alone takes: what is bounded takes as much for both. Time is the processor's: linear work takes four times
as long. Ends with status 1 where anything is beyond its bounds, marked !.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))  # run as a file, a script sees only its own folder

from scripts.hostile.cases import CASES, make
from scripts.hostile.measure import FORMATS, MOST_MEMORY, OTHERS, annotate, run

MOST_TIMES, ALWAYS = 6, 1.5  # a file four times as large may take so many times as long, and so many seconds


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.hostile", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", nargs="*", choices=[*CASES, []], metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--make", nargs=2, metavar=("CASE", "FILE"))
    parser.add_argument("--format", action="append", choices=[*FORMATS, *OTHERS])
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--pipe", action="store_true", help="through a pipe")
    parser.add_argument("--no-limit", action="store_true", help="of what unfolds to far more than it is")
    parser.add_argument("--limit", type=float, default=None, help="seconds that one may take")
    asked = parser.parse_args()
    if asked.make:
        make(asked.make[0], Path(asked.make[1]), asked.scale)
        return 0
    more = ("--no-limit",) if asked.no_limit else ()
    base, beyond = run(("-c", "pass")).peak, 0
    print(f"beyond an interpreter of {base / (1 << 20):.0f} MB, at a quarter and in full")
    with tempfile.TemporaryDirectory(prefix="lab-hostile-") as folder:
        for name in asked.case or CASES:
            files = [make(name, Path(folder, f"{size}{CASES[name].suffix}"), asked.scale * size) for size in (0.25, 1)]
            for form in asked.format or (*FORMATS, *OTHERS):
                try:
                    part, full = (annotate(each, form, asked.pipe, *more, limit=asked.limit) for each in files)
                except subprocess.TimeoutExpired:
                    print(f"{name:<22} {form:<14} more than {asked.limit} s !", flush=True)
                    beyond += 1
                    continue
                much = full.peak - base > MOST_MEMORY
                long = full.seconds > MOST_TIMES * part.seconds + ALWAYS
                beyond += much or long
                print(
                    f"{name:<22} {form:<14} {(part.peak - base) >> 20:6} MB {(full.peak - base) >> 20:6} MB "
                    f"{'!' if much else ' '} {part.seconds:8.2f} s {full.seconds:8.2f} s {'!' if long else ' '} "
                    f"status {full.status} {full.said.strip()[:100]}",
                    flush=True,
                )
            for file in files:
                file.unlink()
    print(f"{beyond} beyond their bounds")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
