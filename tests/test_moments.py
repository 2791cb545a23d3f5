"""Whatever happens to the lab, at whatever moment: a clean stop, or two lines that say what is wrong and what to do.

"Ctrl-C at any point, kill -9 of the lab, two labs at once, no Linux, no permission, user namespaces forbidden": nothing
stays behind, and what was captured is saved whole or not at all. All of it is real here: processes, signals, kernels,
full disks. The one exception is the system that is no Linux, which a test must pretend.
"""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.model import Frame
from tests.left_behind import AS_NOBODY, PATIENCE, TWO_LINES, Ended, Watched, packets, until, watching
from tests.packets import IPV4, PROMPT, ladder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces and /proc exist on Linux only")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes rights away, which only root has")

LATE = "tcp/last-ack-lost"  # a scenario that lasts: it ends with a retransmission
SAVED = "captures/out/tcp.pcapng"
SAVED_LATE = "captures/out/tcp-last-ack-lost.pcapng"
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
FIFTY = """
import os, pathlib
from lab.protocols.catalogue import scenario
from lab.runs.live import Live
from lab.runs.run import Run
from lab.testbed import netns
refused = scenario("tcp/refused")
def play():
    with Run(Live(refused, (), False, pathlib.Path("out.pcapng"), netns.play)) as run:
        return sum(1 for _ in run.packets())
def held():
    return len(os.listdir("/proc/self/fd"))
play()
before = held()
print(*{play() for _ in range(50)}, held() - before)
try:
    os.waitpid(-1, os.WNOHANG)
    print("children are left")
except ChildProcessError:
    print("no children")
"""
NO_LINUX = """
import os, shutil, sys, sysconfig, types, multiprocessing.connection, rich.console, lab.app.cli
sysconfig.get_config_vars()  # what asks for the system once, here before
sys.platform = os.environ["SYSTEM"]
if sys.platform == "win32":
    sys.modules["fcntl"] = None  # Windows has none
    shutil._winapi = types.SimpleNamespace(NeedCurrentDirectoryForExePath=lambda _: False)  # asked since Python 3.12
lab.app.cli.main()
"""

FINALIZED = """
import os, select, signal, sys
from lab.app.cli import guarded
class Interrupted:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
def command():
    Interrupted()
    select.select([], [], [], 60)
sys.exit(guarded(command))
"""

# The signal comes inside of fork(2): no Python code of ours has run since, and none knows the child's number yet.
FORKED = """
import ctypes, functools, os, signal, lab.app.cli
os.register_at_fork(after_in_parent=functools.partial(ctypes.CDLL(None).kill, os.getpid(), int(signal.SIGTERM)))
lab.app.cli.main()
"""


@pytest.fixture(scope="module", autouse=True)
def watched() -> Iterator[None]:
    with watching():
        yield


@pytest.fixture(scope="module")
def meanwhile(
    watched: None, namespaces: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Watched]]:
    """Two runs that take long, begun with the first test and looked at in the last."""
    runs = {
        "no SYN arrives": Watched(tmp_path_factory.mktemp("no-syn"), "tcp", "--wire", "drop client SYN"),
        "fifty": Watched(tmp_path_factory.mktemp("fifty"), script=FIFTY),
    }
    yield runs
    for run in runs.values():
        run.process.kill()
        run.process.wait()


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that an ordinary user reaches and may write to; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="lab-test-"))
    (folder / "work").mkdir()
    if os.geteuid() == 0:
        folder.chmod(0o777)
        (folder / "work").chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def user_namespace() -> Iterator[tuple[str, ...]]:
    """A user namespace with root and ordinary users in it, and limits of its own; yields how to enter it as root."""
    with subprocess.Popen(["unshare", "--user", "cat"], stdin=subprocess.PIPE) as keeper:
        own = Path("/proc/self/ns/user").readlink()
        assert until(lambda: Path(f"/proc/{keeper.pid}/ns/user").readlink() != own)
        for each in ("uid_map", "gid_map"):
            Path(f"/proc/{keeper.pid}/{each}").write_text("0 0 65536")
        yield ("nsenter", "--user", "--target", str(keeper.pid))


def after(change: str) -> tuple[str, ...]:
    """A prefix that makes a change first."""
    return ("sh", "-c", f'{change} && exec "$@"', "sh")


def whole(run: Watched, file: str, shown: int) -> None:
    """Asserts that a capture is there if anything was shown, can be read to its end, and has all that was shown."""
    path = run.work / file
    assert path.exists() or not shown
    if path.exists():
        assert packets(path) >= shown


def two_lines(ended: Ended, status: int, lang: str = "en") -> None:
    assert ended.status == status, ended
    assert TWO_LINES[lang].fullmatch(ended.err), ended.err


# Asked to stop


@pytest.mark.parametrize("seconds", [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.9, 1.2, 1.8])
def test_ctrl_c_at_any_moment_is_a_clean_stop(meanwhile: object, tmp_path: Path, seconds: float) -> None:
    stopped_after(tmp_path, signal.SIGINT, seconds)


@pytest.mark.parametrize("seconds", [0.2, 0.6])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_so_is_a_termination_or_a_hang_up(
    namespaces: None, tmp_path: Path, number: signal.Signals, seconds: float
) -> None:
    stopped_after(tmp_path, number, seconds)


def stopped_after(folder: Path, number: signal.Signals, seconds: float) -> None:
    run = Watched(folder, "run", LATE)
    run.listening()
    run.moment(seconds)
    run.process.send_signal(number)
    ended = run.ended()
    done = ended.status == 0 and "Saved with its notes" in ended.out
    assert ended.status == 128 + number or done, ended
    assert ended.err == ""
    whole(run, SAVED_LATE, run.rows)
    run.left(SAVED_LATE)


@pytest.mark.parametrize("line", [1, 4, 8, 10, 14, 30])
def test_ctrl_c_right_after_a_line_of_output_is_a_clean_stop(namespaces: None, tmp_path: Path, line: int) -> None:
    run = Watched(tmp_path, "run", LATE)
    run.lines(line)
    run.process.send_signal(signal.SIGINT)
    ended = run.ended()
    assert ended.status == 130, ended
    assert ended.err == ""
    whole(run, SAVED_LATE, run.rows)
    run.left(SAVED_LATE)


@pytest.mark.parametrize("times", [2, 20])
def test_a_second_ctrl_c_changes_nothing(namespaces: None, tmp_path: Path, times: int) -> None:
    run = Watched(tmp_path, "run", LATE)
    run.lines(10)
    for _ in range(times):
        with contextlib.suppress(ProcessLookupError):
            run.process.send_signal(signal.SIGINT)
        run.moment(0.003)
    ended = run.ended()
    assert ended.status == 130, ended
    assert ended.err == ""
    assert packets(run.work / SAVED_LATE) >= run.rows
    run.left(SAVED_LATE)


def test_ctrl_c_while_the_lab_is_being_loaded_says_nothing(tmp_path: Path) -> None:
    run = Watched(tmp_path, "scenarios")
    run.wait_for(lambda: run.catches(signal.SIGINT))  # Python has started
    run.wait_for(lambda: not run.catches(signal.SIGINT) or run.catches(signal.SIGTERM))  # the lab's first lines
    run.process.send_signal(signal.SIGINT)
    ended = run.ended()
    assert ended.status in (130, -signal.SIGINT, 0)  # in a shell the second is 130 too
    assert ended.err == ""
    run.left()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_to_lab_stage_and_hosts_at_once_is_answered_once(
    namespaces: None, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    run = Watched(tmp_path, "tcp", "--wire", "delay client data 2s")
    run.lines(12)
    os.killpg(run.process.pid, number)  # as a terminal does, and timeout(1)
    ended = run.ended()
    assert ended.status == status, ended
    assert ended.err == ""
    whole(run, SAVED, run.rows)
    run.left(SAVED)


@pytest.mark.parametrize("typed", [b"\x03", b"\x03\x03", b""])
def test_in_a_terminal_ctrl_c_and_closing_the_window_are_clean_stops(
    namespaces: None, tmp_path: Path, typed: bytes
) -> None:
    window, inside = pty.openpty()
    run = Watched(
        tmp_path, "run", LATE, prefix=("setsid", "--ctty"), session=False,
        stdin=inside, stdout=inside, stderr=inside, env={"TERM": "xterm", "NO_COLOR": "1"},
    )  # fmt: skip
    os.close(inside)
    seen = b""
    while b"SYN-ACK" not in seen:
        seen += os.read(window, 4096)
    if typed:
        os.write(window, typed)
        with contextlib.suppress(OSError):  # EIO: nobody holds the other side any more
            while piece := os.read(window, 4096):
                seen += piece
    os.close(window)
    assert run.ended().status == (130 if typed else 129)
    assert b"Traceback" not in seen
    assert packets(run.work / SAVED_LATE) >= 1
    run.left(SAVED_LATE)


def test_ctrl_c_is_heard_also_where_python_lets_no_exception_out(tmp_path: Path) -> None:
    ended = Watched(tmp_path, script=FINALIZED).ended(10)
    assert (ended.status, ended.err) == (130, "")


def test_nohup_lets_it_go_on_when_the_terminal_is_closed(namespaces: None, tmp_path: Path) -> None:
    run = Watched(tmp_path, "tcp", prefix=("nohup",))
    run.lines(10)
    os.killpg(run.process.pid, signal.SIGHUP)
    ended = run.ended()
    assert ended.status == 0, ended
    assert packets(run.work / SAVED) == 11
    run.left(SAVED)


def test_ctrl_c_does_not_wait_for_a_frame_that_a_rule_delays(namespaces: None, tmp_path: Path) -> None:
    run = Watched(tmp_path, "tcp", "--wire", "delay client any 10s", "--format", "events")
    run.lines(3)  # the run begins, a connection is seen, its SYN is sent
    run.process.send_signal(signal.SIGINT)
    ended = run.ended(2)
    assert ended.status == 130, ended
    assert packets(run.work / SAVED) >= 1  # captured, and on its way
    run.left(SAVED)


def test_a_stage_that_does_not_listen_is_ended_all_the_same(namespaces: None, tmp_path: Path) -> None:
    run = Watched(tmp_path, "run", LATE)
    run.lines(10)
    os.kill(run.family()["stage"], signal.SIGSTOP)
    run.process.send_signal(signal.SIGINT)
    assert run.ended(5).status == 130
    run.left(SAVED_LATE, orphans=True)


# Killed


@pytest.mark.parametrize("seconds", [0, 0.2, 0.4, 0.5, 0.6, 0.8])
def test_when_the_lab_is_killed_its_children_end_and_the_old_capture_is_whole(
    namespaces: None, tmp_path: Path, seconds: float
) -> None:
    old = tmp_path / "work" / SAVED
    old.parent.mkdir(parents=True)
    old.write_bytes(b"the old one")
    run = Watched(tmp_path, "tcp")
    run.listening()
    run.moment(seconds)
    run.process.kill()
    assert run.ended().status in (-signal.SIGKILL, 0)
    run.left(SAVED, orphans=True, seconds=5)
    assert old.read_bytes() == b"the old one" or packets(old) == 11


def test_when_the_doctor_is_killed_its_children_end(tmp_path: Path) -> None:
    run = Watched(tmp_path, "doctor")
    run.wait_for(lambda: len(run.living()) > 1)
    run.process.kill()
    run.ended()
    run.left(orphans=True, seconds=5)


@pytest.mark.parametrize("command", [("run", LATE), ("tcp", "--wire", "delay client FIN 1s")])
@pytest.mark.parametrize("victim", ["stage", "client", "server"])
def test_when_a_child_is_killed_the_lab_says_so(
    namespaces: None, tmp_path: Path, victim: str, command: tuple[str, ...]
) -> None:
    run = Watched(tmp_path, *command)
    family = run.family()
    run.lines(9)
    os.kill(family[victim], signal.SIGKILL)
    ended = run.ended()
    two_lines(ended, 4)
    assert "(by SIGKILL)" in ended.err
    saved = SAVED_LATE if LATE in command else SAVED
    whole(run, saved, run.rows)
    run.left(saved, orphans=True)


# Several at once


def test_labs_that_write_the_same_file_at_once_all_succeed(namespaces: None, tmp_path: Path) -> None:
    runs = [Watched(tmp_path, "tcp") for _ in range(4)]
    for run in runs:
        ended = run.ended()
        assert ended.status == 0, ended
    assert packets(tmp_path / "work" / SAVED) == 11
    runs[-1].left(SAVED)


# Where it is not permitted


@as_root
def test_an_ordinary_user_needs_no_rights(namespaces: None, public: Path, nobodys_python: str) -> None:
    run = Watched(public, "tcp", prefix=(*AS_NOBODY, "--no-new-privs"), python=nobodys_python)
    ended = run.ended()
    assert ended.status == 0, ended
    assert packets(run.work / SAVED) == 11
    run.left(SAVED)


@pytest.mark.parametrize(
    "prefix",
    [("unshare", "-Ur"), ("unshare", "-Urn"), ("setpriv", "--bounding-set=-sys_admin")],
    ids=("inside a user namespace", "inside a network namespace", "without SYS_ADMIN"),
)
@as_root
def test_it_runs_where_a_namespace_can_be_had_in_any_way(
    namespaces: None, tmp_path: Path, prefix: tuple[str, ...]
) -> None:
    run = Watched(tmp_path, "tcp", prefix=prefix)
    ended = run.ended()
    assert ended.status == 0, ended
    run.left(SAVED)


@pytest.mark.parametrize(
    ("prefix", "lang"),
    [
        (WITHOUT_RIGHTS, "en"),
        (WITHOUT_RIGHTS, "zh"),
        (("setpriv", "--bounding-set=-net_admin"), "en"),
        (("setpriv", "--bounding-set=-net_raw"), "zh"),
        (("prlimit", "--nofile=6"), "en"),
        (("prlimit", "--nofile=12"), "zh"),
    ],
)
@as_root
def test_what_is_not_permitted_is_said_in_two_lines(
    namespaces: None, tmp_path: Path, prefix: tuple[str, ...], lang: str
) -> None:
    run = Watched(tmp_path, "tcp", "--lang", lang, prefix=prefix)
    two_lines(run.ended(), 4, lang)
    run.left()


@pytest.mark.parametrize("user", [AS_NOBODY, WITHOUT_RIGHTS], ids=("an ordinary user", "root without rights"))
@as_root
def test_where_user_namespaces_are_forbidden_it_says_so(
    namespaces: None, public: Path, request: pytest.FixtureRequest, user: tuple[str, ...]
) -> None:
    python = request.getfixturevalue("nobodys_python") if user is AS_NOBODY else sys.executable
    with user_namespace() as inside:
        prefix = (*inside, *after("echo 0 > /proc/sys/user/max_user_namespaces"), *user)
        run = Watched(public, "tcp", prefix=prefix, python=python)
        ended = run.ended()
        two_lines(ended, 4)
        assert "the limit on namespaces is reached" in ended.err
        run.left()


@as_root
def test_namespaces_are_given_back_to_the_kernel(namespaces: None, tmp_path: Path, public: Path) -> None:
    """By the kernel's own count: three are allowed, one lab's; the next gets them as soon as they are given back."""
    with user_namespace() as inside:
        prefix = (*inside, *after("echo 3 > /proc/sys/user/max_net_namespaces"))
        for _ in range(3):
            assert until(lambda: Watched(public, "tcp", prefix=prefix).ended().status == 0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("tcp",), ("without Linux it takes Docker: Docker is not installed", "lab annotate FILE")),
        (("tcp", "--testbed", "docker"), ("Docker is not installed", "https://docs.docker.com/get-docker/")),
        (("tcp", "--testbed", "netns"), ("network namespaces exist on Linux only", "lab tcp --testbed docker")),
    ],
)
@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_without_linux_it_says_what_works_there(
    tmp_path: Path, system: str, arguments: tuple[str, ...], says: tuple[str, ...]
) -> None:
    run = Watched(tmp_path, *arguments, script=NO_LINUX, env={"SYSTEM": system, "PATH": "/nowhere"})
    ended = run.ended()
    two_lines(ended, 4)
    assert all(words in ended.err for words in says), ended.err
    run.left()


# Where output can't go


@pytest.mark.parametrize("arguments", [("tcp",), ("tcp", "--json"), ("scenarios",), ("notes",), ("--help",)])
def test_a_reader_that_goes_away_ends_it_quietly(namespaces: None, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    run = Watched(tmp_path, *arguments, stdout=writing)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    ended = run.ended()
    assert ended.status == 0
    assert "rror" not in ended.err
    run.left(SAVED)


@pytest.mark.parametrize("arguments", [("tcp",), ("scenarios",), ("notes", "--lang", "zh"), ("--help",)])
def test_a_full_disk_behind_the_output_is_said_in_two_lines(
    namespaces: None, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("wb") as full:
        run = Watched(tmp_path, *arguments, stdout=full)
    two_lines(run.ended(), 4, arguments[-1] if "zh" in arguments else "en")
    run.left(SAVED)


@pytest.mark.parametrize(
    ("change", "arguments", "status"),
    [
        (">&-", ("tcp",), 0),
        ("<&- >&- 2>&-", ("tcp",), 0),
        (">&-", ("scenarios",), 0),
        ("2>&-", ("no-such",), 2),
        ("2>/dev/full", ("no-such",), 2),
        (">/dev/full 2>/dev/full", ("scenarios",), 4),
        ("<&-", ("annotate", "-"), 3),
    ],
)
def test_a_closed_or_full_stream_does_not_change_the_status(
    namespaces: None, tmp_path: Path, change: str, arguments: tuple[str, ...], status: int
) -> None:
    run = Watched(tmp_path, *arguments, prefix=("sh", "-c", f'exec "$@" {change}', "sh"))
    ended = run.ended()
    assert ended.status == status
    assert ended.err == "" or TWO_LINES["en"].fullmatch(ended.err)
    run.left(SAVED)
    if arguments == ("tcp",):
        assert packets(run.work / SAVED) == 11


@pytest.mark.parametrize(
    ("lang", "env"),
    [
        ("en", {"PYTHONIOENCODING": "ascii"}),
        ("zh", {"PYTHONIOENCODING": "ascii"}),
        ("en", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
        ("zh", {"TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "20"}),
        ("en", {"TERM": "", "COLUMNS": "0"}),
    ],
)
def test_a_poor_terminal_gets_what_it_can_show(
    namespaces: None, tmp_path: Path, env: dict[str, str], lang: str
) -> None:
    ended = Watched(tmp_path, "tcp", "--lang", lang, env=env).ended()
    assert ended.status == 0, ended
    assert ended.err == ""
    assert "SYN-SENT" in ended.out
    assert "\x1b" not in ended.out


@pytest.mark.parametrize(
    ("command", "place"),
    [
        *((("tcp",), place) for place in (".", "file/new.pcapng", "missing/new.pcapng", "/proc/new.pcapng")),
        *((("annotate", "given.pcap"), place) for place in (".", "file/new", "missing/new", "/proc/new", "/dev/full")),
        *((("diff", "given.pcap", "given.pcap"), place) for place in ("", "missing/missing/new")),
        *((("notes",), place) for place in ("missing/new", "x" * 300)),
    ],
)
def test_a_place_that_can_not_be_written_is_said_in_two_lines(
    namespaces: None, tmp_path: Path, command: tuple[str, ...], place: str
) -> None:
    given(tmp_path)
    (tmp_path / "work" / "file").touch()
    run = Watched(tmp_path, *command, "-o", place)
    ended = run.ended()
    two_lines(ended, 4)
    assert place in ended.err
    assert ended.out == ""
    assert not (run.work / "missing").exists()
    run.left("file", "given.pcap")


@as_root
def test_an_ordinary_user_is_told_where_not_to_write(namespaces: None, public: Path, nobodys_python: str) -> None:
    closed = public / "closed"
    closed.mkdir(mode=0o755)
    run = Watched(public, "tcp", "-o", str(closed / "new.pcapng"), prefix=AS_NOBODY, python=nobodys_python)
    two_lines(run.ended(), 4)
    assert not list(closed.iterdir())
    run.left()


@as_root
@pytest.mark.parametrize("command", ["tcp", "notes"])
def test_a_file_that_may_not_be_written_is_not_replaced(
    namespaces: None, public: Path, nobodys_python: str, command: str
) -> None:
    old = public / "work" / "old.pcapng"
    old.write_text("old")
    old.chmod(0o444)
    os.chown(old, 65534, 65534)
    run = Watched(public, command, "-o", "old.pcapng", prefix=AS_NOBODY, python=nobodys_python)
    two_lines(run.ended(), 4)
    assert old.read_text() == "old"
    run.left("old.pcapng")


@as_root
@pytest.mark.parametrize(
    "command",
    ["tcp", "annotate given.pcap", "annotate given.pcap --format pcapng", "diff given.pcap given.pcap", "notes"],
)
def test_a_full_disk_leaves_the_old_file_as_it_was(namespaces: None, tmp_path: Path, command: str) -> None:
    script = (
        "mkdir small && mount -t tmpfs -o size=8k none small && printf old > small/a.pcapng && "
        'head -c 4096 /dev/zero > small/rest; "$@"; status=$?; cat small/a.pcapng; ls -A small; exit $status'
    )
    given(tmp_path)
    prefix = ("unshare", "--mount", "sh", "-c", script, "sh")
    run = Watched(tmp_path, *command.split(), "-o", "small/a.pcapng", prefix=prefix)
    ended = run.ended()
    two_lines(ended, 4)
    assert ended.out.endswith("olda.pcapng\nrest\n")
    run.left("given.pcap")


def test_what_is_no_file_is_written_to_and_stays_what_it_is(namespaces: None, tmp_path: Path) -> None:
    assert Watched(tmp_path, "tcp", "-o", "/dev/null").ended().status == 0
    assert Path("/dev/null").is_char_device()


def test_behind_a_link_the_file_is_replaced_and_the_link_stays(namespaces: None, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "file").write_bytes(b"old")
    link, stdout = tmp_path / "work" / "link.pcapng", tmp_path / "work" / "stdout.pcapng"
    link.symlink_to("file")
    stdout.symlink_to("/proc/self/fd/1")  # as /dev/stdout is
    assert Watched(tmp_path, "tcp", "-o", link.name).ended().status == 0
    assert packets(tmp_path / "work" / "file") == 11
    assert Watched(tmp_path, "tcp", "-o", stdout.name).ended().status == 0
    assert link.is_symlink()
    assert stdout.is_symlink()


# Captures that come, or don't, or are large


def pcap(frames: list[Frame]) -> Iterator[bytes]:
    """Returns a capture as tcpdump pipes it: its header, then a packet at a time."""
    yield struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)
    for frame in frames:
        seconds, nanoseconds = divmod(frame.time or 0, 1_000_000_000)
        yield struct.pack("<IIII", seconds, nanoseconds, len(frame.data), frame.length) + frame.data


def given(folder: Path) -> Path:
    """Makes a capture of one connection in the folder where a lab will run."""
    (folder / "work").mkdir(exist_ok=True)
    path = folder / "work" / "given.pcap"
    path.write_bytes(b"".join(pcap(ladder(*PROMPT["connection"]))))
    return path


@pytest.mark.parametrize("form", ["ladder", "ndjson"])
def test_rows_come_while_the_capture_is_still_being_written(tmp_path: Path, form: str) -> None:
    run = Watched(tmp_path, "annotate", "-", "--format", form, stdin=subprocess.PIPE)
    pipe = run.process.stdin
    assert pipe is not None
    for number, piece in enumerate(pcap(ladder(*PROMPT["connection"]))):
        pipe.write(piece)
        pipe.flush()
        # What came before the last packet is settled by it: here each packet shows that the one before has arrived.
        run.wait_for(lambda settled=number - 1: (run.rows or run.out.count('{"number"')) >= settled)  # type: ignore[misc]  # mypy does not infer defaults of lambdas
    assert run.process.poll() is None
    pipe.close()
    assert run.ended().status == 0
    run.left()


@pytest.mark.parametrize("pieces", [0, 1, 5])
def test_ctrl_c_while_a_capture_is_awaited_is_a_clean_stop(tmp_path: Path, pieces: int) -> None:
    run = Watched(tmp_path, "annotate", "-", stdin=subprocess.PIPE)
    assert run.process.stdin is not None
    run.process.stdin.write(b"".join([*pcap(ladder(*PROMPT["connection"]))][:pieces]))
    run.process.stdin.flush()
    run.listening()
    run.wait_for(lambda: run.rows >= pieces - 2)
    run.process.send_signal(signal.SIGINT)
    ended = run.ended(2)
    assert (ended.status, ended.err) == (130, "")
    run.left()


def test_ctrl_c_while_nobody_opens_the_pipe_is_a_clean_stop(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    os.mkfifo(tmp_path / "work" / "pipe")
    run = Watched(tmp_path, "annotate", "pipe")
    run.listening()
    run.moment(0.2)
    run.process.send_signal(signal.SIGINT)
    ended = run.ended(2)
    assert (ended.status, ended.err) == (130, "")


def test_a_capture_can_be_replaced_by_itself_with_notes(tmp_path: Path) -> None:
    file = given(tmp_path)
    run = Watched(tmp_path, "annotate", file.name, "--format", "pcapng", "-o", file.name)
    ended = run.ended()
    assert (ended.status, ended.err) == (0, "")
    assert packets(file) == 11
    run.left(file.name)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of many connections: enough for a second process to be worth its while."""
    header, *records = pcap(ladder(*PROMPT["connection"]))
    path = tmp_path_factory.mktemp("large") / "large.pcap"
    with path.open("wb") as file:
        file.write(header)
        for port in range(1024, 8192):
            own = struct.pack("!H", port)
            file.write(b"".join(records).replace(struct.pack("!H", IPV4.client_port), own))
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("seconds", [0.1, 0.5])
def test_a_large_file_is_let_go_of_at_any_moment(
    tmp_path: Path, large: Path, number: signal.Signals, seconds: float
) -> None:
    run = Watched(tmp_path, "annotate", str(large), "--format", "csv", "-o", "rows.csv")
    run.listening()
    run.moment(seconds)
    os.killpg(run.process.pid, number) if number == signal.SIGINT else run.process.send_signal(number)
    ended = run.ended()
    assert ended.status == (-number if number == signal.SIGKILL else 128 + number), ended
    assert ended.err == ""
    run.left(orphans=number == signal.SIGKILL)


@pytest.mark.parametrize("command", ["annotate {} --format csv", "tcp", "doctor"])
def test_a_signal_that_comes_with_a_child_forgets_none(
    namespaces: None, tmp_path: Path, large: Path, command: str
) -> None:
    run = Watched(tmp_path, *command.format(large).split(), script=FORKED)
    ended = run.ended()
    assert (ended.status, ended.err) == (128 + signal.SIGTERM, "")
    run.left()


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="with one processor there is no second process")
def test_when_the_second_process_is_killed_the_first_says_so(tmp_path: Path, large: Path) -> None:
    run = Watched(tmp_path, "annotate", str(large), "--format", "csv", "-o", "rows.csv")
    run.wait_for(lambda: len(run.living()) == 2)
    os.kill((run.living() - {run.process.pid}).pop(), signal.SIGKILL)
    two_lines(run.ended(), 1)
    run.left()


@as_root
def test_a_capture_of_someone_else_is_said_to_be_so(public: Path, nobodys_python: str) -> None:
    given(public).chmod(0o600)
    run = Watched(public, "annotate", "given.pcap", prefix=AS_NOBODY, python=nobodys_python)
    two_lines(run.ended(), 3)


# The exit status of design section 2


STATUSES = {
    0: (
        "", "--help", "-h", "tcp --help", "annotate -h", "--version", "--lang zh --version", "scenarios", "notes",
        "notes ws", "annotate given.pcap", "annotate given.pcap --json", "annotate given.pcap -o /dev/null",
        "annotate cut.pcap",
    ),
    2: (
        "no-such", "--no-such", "run", "run tcp/no-such", "run ../../etc/passwd", "run tcp", "tcp more", "annotate",
        "tcp --wire drop", "tcp --wire -", "tcp --wire=", "tcp --wire=,", "tcp --testbed moon", "tcp --format moon",
        "tcp --json -o a.json", "annotate given.pcap --explain 99", "annotate given.pcap --conversation 5",
        "diff given.pcap given.pcap --conversation 5",
        "annotate given.pcap -o given.pcap", "notes moon",
    ),
    3: (
        "annotate missing", "annotate .", "annotate empty", "annotate /dev/null", "annotate text", "annotate -",
        "annotate missing/missing", "annotate /proc/self/mem", "annotate given.pcap --keylog text",
        "annotate given.pcap --server-key text", "diff given.pcap given.pcap --keylog text",
    ),
    4: ("annotate given.pcap -o .", "notes -o ."),
}  # fmt: skip


@pytest.mark.parametrize(
    ("status", "arguments"), [(status, arguments) for status, lines in STATUSES.items() for arguments in lines]
)
def test_the_exit_status_tells_what_kind_of_end_it_was(tmp_path: Path, status: int, arguments: str) -> None:
    file = given(tmp_path)
    (file.parent / "cut.pcap").write_bytes(file.read_bytes()[:-3])
    (file.parent / "empty").touch()
    (file.parent / "text").write_text("no capture")
    locales = {"en": "C.UTF-8", "zh": "zh_CN.UTF-8"} if status else {"en": "C.UTF-8"}
    runs = {lang: Watched(tmp_path, *arguments.split(), env={"LANG": locale}) for lang, locale in locales.items()}
    for lang, run in runs.items():
        ended = run.ended()
        if status:
            two_lines(ended, status, lang)
            assert ended.out == ""
        else:
            assert ended.status == 0, ended
            assert ended.err.startswith(("problems: ", "问题：")) == ("cut" in arguments)
    runs["en"].left("given.pcap", "cut.pcap", "empty", "text")


# What was begun with the first test


def test_a_rule_that_stops_the_scenario_is_no_failure_of_the_lab(meanwhile: dict[str, Watched]) -> None:
    ended = meanwhile["no SYN arrives"].ended(30)
    assert (ended.status, ended.err) == (0, "")
    assert "The scenario stopped there: the client waited 15 s for its connection to open" in ended.out
    whole(meanwhile["no SYN arrives"], SAVED, meanwhile["no SYN arrives"].rows)


def test_fifty_runs_in_one_process_leave_no_descriptor_and_no_child(meanwhile: dict[str, Watched]) -> None:
    ended = meanwhile["fifty"].ended(PATIENCE + 40)
    assert ended.status == 0, ended
    assert ended.out == "2 0\nno children\n"
    meanwhile["fifty"].left("out.pcapng")
