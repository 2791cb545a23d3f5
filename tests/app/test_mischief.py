"""In a folder of foreign files nothing of them is run: a teacher unpacks submissions, and works among them.

The folder has a module under each name that the lab, or Python, could look for, and a program under each name that the
lab starts. Whatever is imported or run leaves a mark.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import PACKAGES, REFERENCES, ROOT
from tests.testbed import test_docker as containers

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="hosts are played on Linux")]

# Ours; what imports them looks for, and mostly does not find; what Python itself looks for as it starts.
OTHERS = (
    "typer", "click", "rich", "pygments", "markdown_it", "mdurl", "shellingham", "scapy", "cryptography", "bcrypt",
    "_cffi_backend", "cffi", "websockets", "zstandard", "brotli", "lz4", "numpy", "orjson", "pyshark", "pyroute2",
    "textual", "attr", "attrs", "IPython", "ipywidgets", "matplotlib", "pyx", "libpcap", "colorama", "python_socks",
    "werkzeug", "sitecustomize", "usercustomize", "compose", "docker", "yaml", "dotenv", "requests",
    "typing_extensions",
)  # fmt: skip
PROGRAMS = (
    "docker", "docker-compose", "dockerd", "tshark", "wireshark", "dumpcap", "ip", "ps", "sh", "python", "python3",
    "lab", "sysctl", "apt-get",
)  # fmt: skip
MODULE = "import posix\nposix.close(posix.open({!r}, posix.O_CREAT | posix.O_WRONLY))\nraise ImportError('mischief')\n"
ENVIRONMENT = {
    **dict.fromkeys(("LAB_SCENARIO", "LAB_TELL", "LAB_LANG"), "../../etc/passwd; touch ran/$0 $(touch ran/LAB)"),
    **dict.fromkeys(("LAB_USER", "LAB_RULES", "LAB_IMAGE", "LAB_OWNER", "LAB_SUBNET"), "--privileged"),
    "LAB_WITHOUT_IPV6": "x", "LAB_ADDRESS": "::1", "LAB_CLIENT": "127.0.0.1", "LAB_SERVER": "127.0.0.1",
}  # fmt: skip
# As the console script is; this project comes before another that may be installed.
ENTRY = "import sys; sys.path[:0] = {!r}; sys.path += {!r}; sys.argv[0] = 'lab'; from lab.app.cli import main; main()"
FORMATS = ("ladder", "json", "ndjson", "csv", "conversations", "events", "svg", "mermaid", "pcapng")
HANDED_IN = "assign tcp-open --student s1 -o s1 && step --variant s1 --testbed netns"
COMMANDS = [
    "", "--help", "no-such", "scenarios", "notes", "notes websocket", "doctor", "diff tcp.pcapng tls.pcapng",
    "diff tcp.pcapng tls.pcapng --json", "annotate tls.pcapng --explain 4", "annotate tls.pcapng --show keys",
    "annotate tls.pcapng --filter host\\ 192.0.2.2", "annotate README.md",
    *(f"annotate tls.pcapng --format {form} -o out" for form in FORMATS),
    *(f"tcp --testbed netns --format {form}" for form in FORMATS),
    "tcp --ipv6 --wire drop\\ client\\ SYN\\ #1", "tls", "tls --version 1.3", "ws --tls", "run tls/mutual",
    "run tcp/no-such", "notes tcp --coverage", "annotate tls.pcapng --summary", "annotate tls.pcapng --summary --json",
    "step tcp.pcapng", "step tls.pcapng --json", "step tcp/connection --testbed netns -o out.pcapng",
    "step tcp/syn-lost --testbed netns --json --script steps", "explore ESTABLISHED rst-ahead",
    "explore LISTEN --format html -o out.html", "explore --json -o out",
    "assign", "assign --schema", "assign tcp-open --check",
    "assign --new-key key && assign tcp-open --roster class.csv --key key -o class",
    "assign tcp-open --bank moodle --capture tcp.pcapng -o bank", "assign tcp-open --gradescope autograder.zip",
    f"{HANDED_IN} && check s1", f"{HANDED_IN} && grade s1 --format html -o out.html",
    *(f"{HANDED_IN} && grade s1 --format {form}" for form in ("table", "gradescope", "prairielearn", "classroom50")),
    *(f"{HANDED_IN} && grade . --format {form} --to ../marks-{form}" for form in ("json", "csv", "moodle")),
    "wireshark --print-dir", "wireshark --zip lab.zip",
]  # fmt: skip
STATUSES = {"no-such": 2, "run tcp/no-such": 2, "annotate README.md": 3, "check s1": 1}  # there are no answers yet
ASKING = [
    "verify tls.pcapng", "verify tcp.pcapng --json --expect close=fin", "verify tls.pcapng --packet 4",
    "wireshark --install && wireshark --uninstall",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of mischief; afterwards nothing of it must have been run."""
    (tmp_path / "ran").mkdir()
    for name in {*sys.stdlib_module_names, *OTHERS}:
        (tmp_path / f"{name}.py").write_text(MODULE.format(str(tmp_path / "ran" / name)))
    for name in PROGRAMS:
        (tmp_path / name).write_text(f"#!/bin/sh\n: >{tmp_path}/ran/program-{name}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / ".env").write_text("LAB_USER=0:0\nDOCKER_HOST=unix:///nowhere\nLAB_WITHOUT_IPV6=mischief\n")
    (tmp_path / "config.ini").write_text(f"[tshark]\ntshark_path = {tmp_path}/tshark\n[")
    (tmp_path / "README.md").write_text("no capture")
    (tmp_path / "class.csv").write_text("student\ns1\ns2\n")
    (tmp_path / "steps").write_text("step\nshow kernel\ncontinue\n")
    for name, capture in (("tcp", "tcp-connection"), ("tls", "tls-1.3")):
        shutil.copy(REFERENCES / f"{capture}.pcapng", tmp_path / f"{name}.pcapng")
    yield tmp_path
    assert not [path.name for path in (tmp_path / "ran").iterdir()]
    assert not list(tmp_path.rglob("__pycache__"))


def isolated(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Runs the lab as `make` installs it, in the folder, with an environment that points there too."""
    command = [sys.executable, "-I", "-c", ENTRY.format([str(ROOT)], PACKAGES.split(os.pathsep)), *words]
    theirs = {
        "PYTHONPATH": f"{folder}{os.pathsep}.", "PYTHONHOME": str(folder), "PYTHONSTARTUP": str(folder / "os.py"),
        "PYTHONINSPECT": "1", "PYTHONBREAKPOINT": "os.abort",
    }  # fmt: skip
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **ENVIRONMENT, **theirs, **environment}, stdin=subprocess.DEVNULL,
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip


def words_of(command: str) -> list[str]:
    return [word.replace("\0", " ") for word in command.replace("\\ ", "\0").split()]


def test_the_mischief_works(tmp_path: Path, folder: Path) -> None:
    """Else nothing would be proved below: this is what Python does by itself."""
    done = subprocess.run([sys.executable, "-c", "import statistics"], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 1
    ran = list((folder / "ran").iterdir())  # what was asked for, or what Python looks for before, and to say so
    assert ran
    for path in ran:
        path.unlink()
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_runs_what_lies_in_the_folder(namespaces: None, folder: Path, command: str) -> None:
    for each in command.split(" && "):
        done = isolated(folder, *words_of(each))
        assert done.returncode == STATUSES.get(each, 0), done.stderr


@pytest.mark.parametrize("command", ASKING)
def test_nor_does_one_that_asks_wireshark(tshark: str, folder: Path, command: str) -> None:
    home = folder / "home"
    for each in command.split(" && "):
        done = isolated(folder, *words_of(each), HOME=str(home), XDG_CONFIG_HOME=str(home))
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["scenarios", "tls", "annotate tls.pcapng --format csv", "doctor"])
def test_as_a_module_it_runs_only_what_python_looks_for_before_it(
    namespaces: None, tmp_path_factory: pytest.TempPathFactory, folder: Path, command: str
) -> None:
    """`python -m` has the current folder first: what it imports to find the lab is out of our hands."""
    environment = {**os.environ, "PYTHONPATH": PACKAGES, "PYTHONDONTWRITEBYTECODE": "1"}
    elsewhere = tmp_path_factory.mktemp("probe")
    (elsewhere / "probe.py").write_text("import sys; print(*sys.modules)")
    probe = [sys.executable, "-m", "probe"]
    before = subprocess.run(probe, cwd=elsewhere, env=environment, capture_output=True, text=True, check=True)
    for name in before.stdout.split():
        (folder / f"{name}.py").unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "lab", *command.split()], cwd=folder, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_as_a_module_it_still_finds_itself_in_its_own_folder() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lab", "notes", "close", "1"], cwd=ROOT, capture_output=True, check=False,
        env={**os.environ, "PYTHONPATH": PACKAGES},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("blank", ["", " with blanks"])
def test_the_console_script_that_make_installs_is_isolated(tmp_path: Path, folder: Path, blank: str) -> None:
    """pip writes one of two first lines, the second where the path has blanks or is long."""
    place = tmp_path / f"bin{blank}"
    place.mkdir()
    python, script = place / "python3", place / "lab"
    python.symlink_to(sys.executable)
    first = f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''" if blank else f"#!{python}"
    script.write_text(f"{first}\nimport sys\nprint(sys.flags.isolated, sys.argv[1:])\n")
    script.chmod(0o755)
    change = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("\t@sed -i"))
    subprocess.run(change.strip("\t@").replace("$$", "$").replace("$(BIN)/", ""), shell=True, cwd=place, check=True)
    done = subprocess.run([script, "a", "b c"], cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True)
    assert done.stdout.decode() == "1 ['a', 'b c']\n", done.stderr
    assert sorted(path.name for path in place.iterdir()) == ["lab", "python3"]


@pytest.fixture
def containers_gone() -> Iterator[None]:
    yield
    deadline = time.monotonic() + containers.GONE_WITHIN
    while containers.left() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not containers.left()


@pytest.mark.parametrize("words", [("tcp",), ("run", "tcp/syn-lost"), ("run", "tls/mutual", "--ipv6")], ids=" ".join)
def test_nor_does_a_run_in_containers(docker: str, containers_gone: None, folder: Path, words: tuple[str, ...]) -> None:
    done = isolated(folder, *words, "--testbed", "docker", LAB_RUN=containers.MINE)
    assert done.returncode == 0, done.stderr


def test_a_name_for_runs_that_is_none_is_refused(docker: str, folder: Path) -> None:
    done = isolated(folder, "tcp", "--testbed", "docker", "--lang", "en", LAB_RUN="--x; touch ran/run")
    assert done.returncode == 2
    assert done.stderr.decode().splitlines() == [
        "error: LAB_RUN can't be '--x; touch ran/run'", "hint: take lower-case letters, digits, - and _"
    ]  # fmt: skip
