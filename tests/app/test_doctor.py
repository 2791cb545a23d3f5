"""The doctor tells what is so: each failure here is a real one, made in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.app.doctor import examine
from lab.errors import MachineError
from lab.render.checks import Check
from lab.system.remedies import read_machine
from lab.testbed import engine
from lab.text import Text
from tests.left_behind import DOCKERS
from tests.places import PACKAGES, ROOT

pytestmark = pytest.mark.slow  # a process for each

NAMESPACES, CABLE, CAPTURE = "network namespaces", "virtual cable (veth)", "packet capture"
STATES, PARAMETERS = "socket states", "namespace parameters"
TESTBED = (NAMESPACES, CABLE, CAPTURE, STATES, PARAMETERS)
SCRIPT = "import json; from lab.app.doctor import examine; print(json.dumps(examine()))"
linux = pytest.mark.skipif(sys.platform != "linux", reason="network namespaces exist on Linux only")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes rights away, which only root has")
with_rights = pytest.mark.skipif(
    bool(os.geteuid() or read_machine().lacking),
    reason=f"needs rights that this process has not: {', '.join(read_machine().lacking) or 'root'}",
)
AS_NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
WITHOUT_RIGHTS = ("setpriv", "--securebits", "+noroot", "--inh-caps=-all")


def named(checks: list[Check]) -> dict[str, Check]:
    return {check.name.en: check for check in checks}


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": PACKAGES, "PYTHONDONTWRITEBYTECODE": "1", **more}


def examined(*prefix: str, python: str = sys.executable, script: str = SCRIPT, **environ: str) -> dict[str, Check]:
    """What a doctor finds in a process of its own that `prefix` has put in its place."""
    command = [*prefix, python, "-c", script]
    done = subprocess.run(command, env=environment(**environ), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return named([Check(Text(*name), ok, Text(*found), remedy, Text(*why)) for name, ok, found, remedy, why in told])


@contextlib.contextmanager
def user_namespace() -> Iterator[tuple[str, ...]]:
    """A user namespace with all users in it, root and ordinary; yields how to enter it as its root."""
    command = ["unshare", "--user", "sh", "-c", "echo made; read gone"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == "made\n"
        for map_ in ("uid_map", "gid_map"):
            Path(f"/proc/{keeper.pid}/{map_}").write_text("0 0 65536")
        yield ("nsenter", "--user", "--target", str(keeper.pid))
        keeper.communicate("now\n")


def after(change: str, *then: str) -> tuple[str, ...]:
    """A prefix that makes a change first."""
    return ("sh", "-c", f'{change} && exec "$@"', "sh", *then)


def columns(words: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in words)


@linux
@with_rights
def test_as_root_everything_the_testbed_needs_works() -> None:
    found = named(examine())
    assert found[NAMESPACES].found.en == "work, as root"
    assert {name: (found[name].ok, found[name].remedy) for name in TESTBED} == dict.fromkeys(TESTBED, (True, ""))


@linux
@as_root
def test_an_ordinary_user_gets_it_through_a_user_namespace(user_namespaces: None, nobodys_python: str) -> None:
    found = examined(*AS_NOBODY, python=nobodys_python)
    assert found[NAMESPACES].found.en == "work, through a user namespace"
    assert {name: (found[name].ok, found[name].remedy) for name in TESTBED} == dict.fromkeys(TESTBED, (True, ""))


@linux
def test_where_no_user_namespaces_are_left_the_limit_is_named(user_namespaces: None) -> None:
    none_left = after("echo 0 > /proc/sys/user/max_user_namespaces", *WITHOUT_RIGHTS)
    check = examined("unshare", "-Ur", *none_left)[NAMESPACES]
    assert (check.ok, check.found.en) == (False, "none left: user.max_user_namespaces=0")
    assert check.remedy == "sysctl -w user.max_user_namespaces=10000"


@linux
def test_where_no_network_namespaces_are_left_that_limit_is_named(user_namespaces: None) -> None:
    found = examined("unshare", "-Ur", *after("echo 0 > /proc/sys/user/max_net_namespaces"))
    assert found[NAMESPACES].remedy == "sysctl -w user.max_net_namespaces=10000"
    untried = {name: (found[name].ok, found[name].remedy) for name in TESTBED[1:]}
    assert untried == {CABLE: (False, ""), CAPTURE: (False, ""), STATES: (False, ""), PARAMETERS: (None, "")}


@linux
@as_root
def test_an_ordinary_user_is_told_to_use_sudo(user_namespaces: None, nobodys_python: str) -> None:
    with user_namespace() as inside:
        none_left = after("echo 0 > /proc/sys/user/max_user_namespaces", *AS_NOBODY)
        check = examined(*inside, *none_left, python=nobodys_python)[NAMESPACES]
    assert (check.ok, check.remedy) == (False, "sudo sysctl -w user.max_user_namespaces=10000")


@linux
@as_root
def test_a_container_with_the_engines_default_rights_is_refused_and_told_which_it_lacks() -> None:
    number = {"x86_64": 272, "aarch64": 97}.get(platform.machine())
    if number is None:
        pytest.skip(f"the number of unshare(2) on {platform.machine()} is not known here")
    refuse = f"""
import ctypes, struct
# load the call's number; equal to unshare's: EPERM; anything else: allowed (linux/filter.h, linux/seccomp.h)
code = [(0x20, 0, 0, 0), (0x15, 0, 1, {number}), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000)]
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in code))
filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(program)))
assert ctypes.CDLL(None).prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert ctypes.CDLL(None).prctl(22, 2, filter_, 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
"""
    engines_rights = ("setpriv", "--bounding-set=-sys_admin,-net_admin", "--inh-caps=-sys_admin,-net_admin")
    check = examined(*engines_rights, script=refuse + SCRIPT, container="lxc")[NAMESPACES]
    assert check.ok is False
    assert check.found.en.endswith(" NET_ADMIN, SYS_ADMIN")
    engine = read_machine().container or "other"
    assert check.remedy == ("" if engine == "other" else f"{engine} run --cap-add NET_ADMIN --cap-add SYS_ADMIN IMAGE")


@linux
@with_rights
@pytest.mark.parametrize(("right", "failing"), [("net_admin", CABLE), ("net_raw", CAPTURE)])
def test_a_missing_right_fails_the_step_that_needs_it_and_no_other(right: str, failing: str) -> None:
    found = examined("setpriv", f"--bounding-set=-{right}", f"--inh-caps=-{right}")
    assert [name for name in TESTBED if not found[name].ok] == [failing]
    assert found[failing].found.en.endswith(right.upper())


@linux
def test_a_read_only_proc_is_found_and_is_no_obstacle(user_namespaces: None) -> None:
    read_only = "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys"
    found = examined("unshare", "-Urm", *after(read_only))
    assert [name for name in TESTBED if found[name].ok is not True] == [PARAMETERS]
    assert (found[PARAMETERS].ok, found[PARAMETERS].found.en) == (None, "/proc/sys is read-only")


@linux
def test_nothing_is_left_behind() -> None:
    def held() -> list[object]:
        names = [line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()]
        interfaces = [each for each in names if not each.startswith(DOCKERS)]  # another process may play in containers
        files = sum(1 for _ in Path("/proc/self/fd").iterdir())
        return [files, interfaces, Path("/proc/self/ns/net").readlink(), Path("/proc/self/ns/user").readlink()]

    examine()  # what Python itself keeps open, it has opened by now
    before = held()
    for _ in range(3):
        examine()
    assert held() == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def program(folder: Path, name: str, *lines: str) -> None:
    path = folder / name
    path.write_text("\n".join(("#!/bin/sh", *lines)))
    path.chmod(0o755)


def running(pid: str) -> bool:
    try:  # whoever adopts it may leave it a zombie
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@linux
def test_an_engine_that_does_not_answer_is_given_up_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "docker", f"sleep 600 & echo $! > {tmp_path}/child", "wait")
    program(tmp_path, "dockerd")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    began = time.monotonic()
    check = named(examine())["Docker engine"]
    assert time.monotonic() - began < 20
    assert (check.ok, check.found.en) == (None, "no answer within 3 s")
    assert " restart" in check.remedy
    started = (tmp_path / "child").read_text().strip()
    deadline = time.monotonic() + 10
    while running(started):
        assert time.monotonic() < deadline, "what the client started is still running"


@pytest.mark.parametrize(
    ("answer", "found", "remedy"),
    [
        (("echo 28.2.2",), "28.2.2", ""),
        (("echo 'Cannot connect to the Docker daemon' >&2", "exit 1"), "not running", "start"),
        (("echo 'dial unix /var/run/docker.sock: connect: permission denied' >&2", "exit 1"), "you may not", "usermod"),
    ],
)
@linux
def test_the_engines_answer_decides(
    answer: tuple[str, ...], found: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "docker", *answer)
    program(tmp_path, "dockerd")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    check = named(examine())["Docker engine"]
    assert check.ok is (None if remedy else True)
    assert check.found.en.startswith(found)
    assert remedy in check.remedy
    assert bool(remedy) == bool(check.remedy)


@linux
def test_a_compose_that_does_not_answer_is_as_good_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "docker", "case $1 in compose) exec /bin/sleep 600;; *) echo 28.2.2;; esac")
    monkeypatch.setattr(engine, "_PATIENCE", 0.5)
    monkeypatch.setenv("PATH", str(tmp_path))
    checks = named(examine())
    assert (checks["Docker engine"].ok, checks["compose"].ok) == (True, None)
    with pytest.raises(MachineError, match="no `docker compose` that answers"):
        engine.require()
    program(tmp_path, "docker-compose", "echo 1.29.2")
    assert named(examine())["compose"].found.en == "1.29.2"
    assert engine.require().compose == (f"{tmp_path}/docker-compose",)


def test_a_tool_that_is_missing_or_broken_comes_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "tshark", "exit 127")
    program(tmp_path, "dnf")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = named(examine())
    assert (found["tshark"].ok, found["tshark"].found.en) == (None, "installed, but does not run")
    assert (found["wireshark"].ok, found["wireshark"].found.en) == (None, "not installed")
    assert found["tshark"].remedy.endswith("dnf install wireshark-cli")
    assert found["Docker engine"].remedy.endswith("dnf install moby-engine")


def test_an_encoding_without_chinese_is_a_fault() -> None:
    check = examined(PYTHONIOENCODING="latin-1")["text encoding"]
    assert (check.ok, check.remedy) == (False, "unset PYTHONIOENCODING")


@pytest.mark.skipif(shutil.which("script") is None, reason="script(1) makes the terminal")
@pytest.mark.parametrize(("width", "ok"), [(79, None), (80, True)])
def test_a_narrow_terminal_is_told(width: int, ok: bool | None) -> None:
    command = f'stty cols {width} rows 24; {sys.executable} -c "{SCRIPT}"'
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"],
        env=environment(COLUMNS=""), stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    told = {check[0][0]: check for check in json.loads(done.stdout)}
    assert (told["terminal width"][1], told["terminal width"][2][0]) == (ok, f"{width} columns")


@linux
@as_root
def test_captures_left_by_root_are_given_back(nobodys_python: str) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as mine:
        os.chown(mine, 65534, 65534)
        roots = Path(mine, "captures", "out")
        roots.mkdir(parents=True)
        script = f"import os; os.chdir({mine!r}); {SCRIPT}"
        check = examined(*AS_NOBODY, python=nobodys_python, script=script)["captures/out"]
        assert (check.ok, check.remedy) == (False, 'sudo chown -R "$(id -u)" captures')
        assert list(roots.iterdir()) == []


def test_captures_may_still_have_to_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert named(examine())["captures/out"].ok is True
    assert list(tmp_path.iterdir()) == []


def test_a_doctor_who_stumbles_tells_that_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: 1 // 0)
    check = named(examine())["terminal"]
    assert (check.ok, check.found.en) == (False, "ZeroDivisionError('integer division or modulo by zero')")


def test_every_check_is_said_in_both_languages_and_fits_its_column() -> None:
    for check in examine():
        for text, room in ((check.name, 24), (check.found, 60), (check.why, 72)):
            for words in text:
                assert 0 < columns(words) <= room, words
        assert check.remedy.isascii()
        assert check.remedy == "" or check.ok is not True
