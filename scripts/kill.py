"""Kills the lab at random moments, and looks for what is left: kill.py [KILLS] [--seed N] [--docker]

Each command is run whole first, to know how long it takes; then it is started again and again, and ended by SIGKILL,
SIGTERM, SIGINT or SIGHUP somewhere on its way. Afterwards there must be no process of it, no namespace, mount,
interface or temporary file, and no container, network or volume; its output is the whole of it or not there. Ends with
status 1 where anything is left. `--docker` plays in containers, too, which takes an engine.

It looks from a network and a mount namespace of its own, where nobody else makes any: so what is left is its own, on
a machine where others make interfaces and namespaces at the same time, too.
"""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))  # run as a file, a script sees only its own folder

from lab.testbed.namespaces import CLONE_NEWNET, CLONE_NEWUSER, unshare
from scripts.generate import write
from tests.left_behind import Watched, packets, until, watching

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
NAME = "lab-kill"  # what the runs in containers begin with
SWEPT_WITHIN = 30.0  # seconds; what the engine was about to make is waited for, and busy machines are slow
LARGE = 100_000  # packets of the capture that is annotated
_CLONE_NEWNS, _MS_REC, _MS_PRIVATE = 0x20000, 0x4000, 1 << 18  # include/uapi/linux/sched.h, mount.h
_NAMED = Path("/run/netns")


class Command(NamedTuple):
    """What is run, and what it may leave: files that are whole."""

    words: tuple[str, ...]
    files: tuple[str, ...]
    containers: bool = False


HERE = (
    Command(("tcp", "--testbed", "netns"), ("captures/out/tcp.pcapng",)),
    Command(("tls", "--testbed", "netns"), ("captures/out/tls.pcapng", "captures/out/tls.key")),
    Command(("ws", "--tls", "--testbed", "netns", "-o", "ws.pcapng"), ("ws.pcapng", "ws.key")),
    Command(("annotate", "../large.pcap", "--format", "csv", "-o", "rows.csv"), ("rows.csv",)),
    Command(("annotate", "../large.pcap", "--format", "pcapng", "-o", "notes.pcapng"), ("notes.pcapng",)),
    Command(("annotate", "../large.pcap", "--format", "conversations"), ()),
    Command(("explore", "--json", "-o", "grid.json"), ("grid.json",)),
    Command(("doctor",), ()),
)
CONTAINED = (
    Command(("run", "tcp/connection", "--testbed", "docker", "-o", "a.pcapng"), ("a.pcapng",), True),
    Command(("run", "tcp/syn-lost", "--testbed", "docker", "-o", "b.pcapng"), ("b.pcapng",), True),
)


def apart() -> None:
    """Puts this process where nobody else makes an interface, a mount or a namespace with a name.

    Raises OSError where the kernel forbids it.
    """
    uid, gid = os.geteuid(), os.getegid()
    unshare(_CLONE_NEWNS | CLONE_NEWNET | (CLONE_NEWUSER if uid else 0))
    if uid:  # under its own number: a lab of this user's makes namespaces within these
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    _mount(b"none", Path("/"), b"", _MS_REC | _MS_PRIVATE)
    if _NAMED.is_dir():
        _mount(b"tmpfs", _NAMED, b"tmpfs", 0)


def _mount(source: bytes, target: Path, kind: bytes, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source, bytes(target), kind, ctypes.c_ulong(flags), None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def begin(folder: Path, command: Command) -> Watched:
    environment = {"DOCKER_HOST": "", "LAB_RUN": NAME} if command.containers else {}
    return Watched(folder, *command.words, env=environment)


def contained() -> list[str]:
    """Returns what there is of ours on the engine."""
    found = []
    for kind in (["ps", "-a"], ["network", "ls"], ["volume", "ls"]):
        for label in ("handshake-lab.run", "com.docker.compose.project"):
            listed = ["docker", *kind, "--filter", f"label={label}", "--format", f'{{{{.Label "{label}"}}}}']
            said = subprocess.run(listed, capture_output=True, text=True, check=True, timeout=60).stdout
            found += [f"{kind[0]} {run}" for run in said.split() if run.startswith(NAME)]
    return found


def whole(path: Path) -> bool:
    """Whether a file, where it is there, has all that it should."""
    if path.suffix == ".pcapng" and path.exists():
        return packets(path) > 0
    return not path.exists() or path.read_bytes().endswith(b"\n")


def kill(folder: Path, command: Command, number: signal.Signals, after: float) -> str:
    """Kills a command so many seconds after it has begun; returns what is wrong afterwards, nothing if all is well."""
    run = begin(folder, command)
    try:
        if not run.moment(after):
            run.process.send_signal(number)
        run.ended(60)
        run.left(*command.files, orphans=True, seconds=SWEPT_WITHIN if command.containers else 2.0)
        broken = [name for name in command.files if not whole(run.work / name)]
        assert not broken, f"{broken} are not whole"
        if command.containers:
            assert until(lambda: not contained(), SWEPT_WITHIN), contained()
    except (AssertionError, OSError) as error:
        return str(error) or str(traceback.extract_tb(error.__traceback__)[-1].line)
    finally:
        shutil.rmtree(run.work)
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kills", nargs="?", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--docker", action="store_true")
    asked = parser.parse_args()
    logging.getLogger("scapy").setLevel(logging.ERROR)  # it warns that it can't decrypt, and is not to
    chance = random.Random(asked.seed)
    commands = HERE + CONTAINED * asked.docker
    faults = 0
    print(f"seed {asked.seed}", flush=True)
    try:
        apart()
    except OSError as error:
        print(f"not apart ({error.strerror}): what others make meanwhile is taken for ours", flush=True)
    with watching(), tempfile.TemporaryDirectory(prefix="lab-kill-") as name:
        folder = Path(name)
        write(LARGE, folder / "large.pcap")
        lasts = {}
        for command in commands:
            begun = time.monotonic()
            ended = begin(folder, command).ended(300)
            lasts[command] = time.monotonic() - begun
            assert ended.status == 0, (command, ended)
        shutil.rmtree(folder / "work")
        for at in range(asked.kills):
            command, number = commands[at % len(commands)], chance.choice(SIGNALS)
            after = chance.uniform(0, lasts[command])
            wrong = kill(folder, command, number, after)
            faults += bool(wrong)
            print(
                f"{at + 1:>4} {' '.join(command.words)}: {number.name} after {after:.3f} s  {wrong or '✓'}", flush=True
            )
    print(f"{asked.kills} kills, {faults} left something")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
