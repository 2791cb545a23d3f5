"""What a lab leaves behind when it is over, however it ended. There must be nothing, and this looks for it.

A watched lab runs in an empty folder and carries a mark in its environment, which its children inherit: so they are
found wherever they have come to in the tree of processes. Its output goes to files, so that nothing read is lost and
nobody waits for a reader.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from scapy.utils import RawPcapNgReader

from lab.capture.reader import open_capture
from tests.places import PACKAGES

PATIENCE = 20.0  # seconds; what is waited for takes a second at most on a machine that is not overloaded
NOBODY = 65534
AS_NOBODY = ("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
AS_USER = AS_NOBODY if os.geteuid() == 0 else ()  # an ordinary one, whoever runs the tests
_MARK = "LAB_WATCHED"
_PR_SET_CHILD_SUBREAPER = 36
_NAMELESS = {"LAB_DEBUG", "NO_COLOR", "LANG", "LC_ALL", "LC_MESSAGES", "COLUMNS", "PYTHONUNBUFFERED"}
_ROW = re.compile(r"^ *(\d+)  +\d+\.\d{3}  ", re.MULTILINE)
DOCKERS = ("docker", "br-", "veth")  # comes and goes by itself
TWO_LINES = {"en": re.compile(r"error: .+\nhint: .+\n"), "zh": re.compile(r"错误：.+\n提示：.+\n")}


class Ended(NamedTuple):
    """How a lab ended: its exit status (negative: by which signal), and all it said."""

    status: int
    out: str
    err: str


class Watched:
    """A lab with these arguments, or where `script` is given a Python program, started now.

    `prefix` is what puts it in its place (setpriv, unshare); what becomes of `folder` is the caller's.
    """

    known: frozenset[int] = frozenset()  # the processes of all of them, for which their tests wait

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        prefix: Sequence[str] = (),
        python: str = sys.executable,
        script: str = "",
        env: dict[str, str] | None = None,
        session: bool = True,
        **streams: IO[Any] | int | None,
    ) -> None:
        self.mark = uuid.uuid4().hex
        aside = folder / f"aside-{self.mark}"
        self.work, self._temporary = folder / "work", aside / "temporary"
        self.work.mkdir(exist_ok=True)
        self._temporary.mkdir(parents=True)
        self._out, self._err = aside / "out", aside / "err"
        self._before, self._children = machine(), _children()
        clean = {name: value for name, value in os.environ.items() if name not in _NAMELESS}
        marked = {
            _MARK: self.mark,
            "DOCKER_HOST": "unix:///nowhere/docker.sock",
            "TMPDIR": str(self._temporary),
            "PYTHONPATH": PACKAGES,
            "LANG": "C.UTF-8",
        }
        given = ["-c", script] if script else ["-m", "lab"]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                [*prefix, python, *given, *arguments],
                cwd=self.work,
                env={**clean, "PYTHONDONTWRITEBYTECODE": "1", **marked, **(env or {})},
                start_new_session=session,
                preexec_fn=heed_signals,
                **{"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err, **streams},  # type: ignore[call-overload]  # a mapping can hold any of them
            )
        Watched.known |= {self.process.pid}

    @property
    def out(self) -> str:
        """What it has written until now."""
        return self._out.read_text(errors="replace")

    @property
    def rows(self) -> int:
        """How many packets it has shown."""
        return len(_ROW.findall(self.out))

    def lines(self, number: int) -> None:
        """Waits for so many lines of output, or for the end."""
        self.wait_for(lambda: self.out.count("\n") >= number)

    def listening(self) -> None:
        """Waits until it has handlers for signals: until Python itself has started, nobody can have any."""
        self.wait_for(lambda: self.catches(signal.SIGTERM))

    def catches(self, number: int) -> bool:
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            if caught := re.search(r"SigCgt:\s*(\w+)", status):
                return bool(int(caught[1], 16) >> (number - 1) & 1)
        return False

    def wait_for(self, condition: Callable[[], bool]) -> None:
        assert until(lambda: condition() or self.process.poll() is not None), "it hangs"

    def moment(self, seconds: float) -> bool:
        """Lets it run for so long, or to its end; returns whether that has come."""
        if self.process.poll() is None:
            handle = os.pidfd_open(self.process.pid)
            select.select([handle], [], [], seconds)
            os.close(handle)
        return self.process.poll() is not None

    def family(self) -> dict[str, int]:
        """Returns the processes it is made of, when all have been started: lab, stage, client and server."""
        self.wait_for(lambda: len(self.living()) == 4)
        stage = next(pid for pid, (parent, _) in processes().items() if parent == self.process.pid)
        # In the order in which they were started, also where the kernel has come to its highest number meanwhile.
        pids = int(Path("/proc/sys/kernel/pid_max").read_text())
        client, server = sorted(self.living() - {self.process.pid, stage}, key=lambda pid: (pid - stage) % pids)
        return {"lab": self.process.pid, "stage": stage, "client": client, "server": server}

    def living(self) -> set[int]:
        """Returns the processes that bear its mark: itself and all that come of it."""
        mark = f"{_MARK}={self.mark}".encode()
        found = set()
        for pid in processes():
            with contextlib.suppress(OSError):
                if mark in Path(f"/proc/{pid}/environ").read_bytes():
                    found.add(pid)
        return found

    def ended(self, seconds: float = PATIENCE) -> Ended:
        """Waits for its end; one that does not come is a failure."""
        if not self.moment(seconds):
            for pid in self.living():
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"still running after {seconds:.0f} s: {self.out}")
        return Ended(self.process.wait(), self.out, self._err.read_text(errors="replace"))

    def left(self, *files: str, orphans: bool = False, seconds: float = 1.0) -> None:
        """Asserts that nothing is left of it but these files, of which each may be missing.

        Where the lab could not wait for its children (`orphans`), they end by themselves within `seconds`.
        """
        until(lambda: not self.living(), seconds)
        assert not self.living(), "processes are left"
        if orphans:
            until(lambda: not self._reap(), seconds)
        assert not self._orphans(), "ended processes are left, which nobody has waited for"
        until(lambda: machine() == self._before, seconds)  # the engine takes down what it has made a moment later
        assert machine() == self._before, f"{machine()}, before it {self._before}"
        here = {str(path.relative_to(self.work)) for path in self.work.rglob("*") if not path.is_dir()}
        assert here <= set(files)
        assert not list(self._temporary.iterdir())

    def _orphans(self) -> set[int]:
        """Returns the processes that have come to this one since the lab was started."""
        return _children() - self._children - Watched.known

    def _reap(self) -> set[int]:
        """Clears away those of them that have ended, as init would; returns who is still there."""
        left = self._orphans()
        for pid in left:
            os.waitpid(pid, os.WNOHANG)
        return left


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Asks again and again; returns whether the condition came to hold in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def packets(file: Path) -> int:
    """Returns how many packets a capture holds, as two readers agree; a damaged one fails."""
    with open_capture(str(file)) as capture:
        ours = sum(1 for _ in capture)
        assert not capture.problems
    with RawPcapNgReader(str(file)) as theirs:
        assert ours == sum(1 for _ in theirs)
    return ours


def machine() -> tuple[list[str], list[str], int]:
    """What outlives processes: named network namespaces, interfaces, and mounts that keep a namespace."""
    named = sorted(path.name for path in Path("/run/netns").glob("*"))
    told = Path("/proc/net/dev").read_text().splitlines()[2:]
    interfaces = sorted(line.partition(":")[0].strip() for line in told)
    mounted = Path("/proc/self/mountinfo").read_text().splitlines()
    mounts = sum(" - nsfs " in line and "/docker/netns/" not in line for line in mounted)
    return named, [name for name in interfaces if not name.startswith(DOCKERS)], mounts


def processes() -> dict[int, tuple[int, str]]:
    """Returns the parent and the state of every process there is."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            found[int(path.name)] = int(parent), state
    return found


def heed_signals() -> None:
    """Has a new process heed what it would ignore as the child of a background job, or of nohup: for `preexec_fn`."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@contextlib.contextmanager
def watching() -> Iterator[None]:
    """Makes this process the one that orphans come to, in place of init, which would clear them away unseen.

    Signals that it ignores itself (in the background, under nohup) its labs would ignore too: it heeds them meanwhile.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    ignored = [each for each in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(each) is signal.SIG_IGN]
    for each in ignored:
        signal.signal(each, signal.default_int_handler)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        for each in ignored:
            signal.signal(each, signal.SIG_IGN)


def _children() -> set[int]:
    me = os.getpid()
    return {pid for pid, (parent, _) in processes().items() if parent == me}
