"""What a command takes: memory of the largest of its processes, time of all of them, and what of it is too much."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
FORMATS = ("ladder", "json", "ndjson", "csv", "conversations", "events", "pcapng")
OTHERS = ("explain", "explain-all", "diff", "summary")  # what else reads a capture
MOST_MEMORY = 256 << 20  # bytes beyond what the interpreter takes that runs nothing


class Taken(NamedTuple):
    """What a command took: its exit status, the peak of the largest process in bytes, processor seconds, its errors."""

    status: int
    peak: int
    seconds: float
    said: str


# The command is a grandchild: what is forked begins with its parent's peak, and this one is small. What comes through a
# pipe is written by it: a file as standard input would be read as any other file.
_MEASURE = """
import contextlib, resource, subprocess, sys
piped = sys.argv[1]
process = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE if piped else None, stdout=subprocess.DEVNULL)
if piped:
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe, open(piped, "rb") as file:
        while piece := file.read(1 << 16):
            pipe.write(piece)
status, used = process.wait(), resource.getrusage(resource.RUSAGE_CHILDREN)
print(status, used.ru_maxrss * 1024, used.ru_utime + used.ru_stime)
"""


def run(arguments: Iterable[str], stdin: str = "", limit: float | None = None) -> Taken:
    """Runs `python` with arguments to its end, its output thrown away; raises TimeoutExpired after `limit` seconds."""
    command = (sys.executable, "-c", _MEASURE, stdin, sys.executable, *arguments)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True
    ) as process:
        try:
            out, said = process.communicate(timeout=limit)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    status, peak, seconds = out.split()
    return Taken(int(status), int(peak), float(seconds), said)


def annotate(file: Path, form: str, piped: bool = False, *more: str, limit: float | None = None) -> Taken:
    """Annotates a capture in one of FORMATS, or reads it in one of OTHERS."""
    name = "-" if piped else str(file)
    how = {
        "explain": ("annotate", name, "--explain", "2"),
        "explain-all": ("annotate", name, "--explain", "999999999"),  # which there is not: all are looked at
        "summary": ("annotate", name, "--summary"),
        "diff": ("diff", str(file), str(file)),
    }
    arguments = how.get(form, ("annotate", name, "--format", form))
    return run(("-m", "lab", *arguments, *more), str(file) if piped else "", limit)
