"""The same lesson in containers: played for real by a Docker engine, seen whole, and gone whatever ends it."""

from __future__ import annotations

import ipaddress
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.model import Captured
from lab.protocols.tcp.scenarios import SCENARIOS
from lab.testbed import containers, engine, messages
from lab.testbed import docker as testbed
from lab.testbed.messages import Ended
from tests.left_behind import AS_NOBODY, TWO_LINES, heed_signals
from tests.packets import path
from tests.places import PACKAGES, ROOT

LABEL = "handshake-lab.run"
MINE = f"lab-test-{os.getpid()}"  # others may play on the same engine
GONE_WITHIN = 5.0  # seconds
STEPS = [f"tcp.{phase}.{number}" for phase in ("open", "close") for number in range(1, 5)]
# TCP's; and of TLS, whose others tests/scenarios plays, the one in which two versions of OpenSSL differ.
WITHOUT_RULES = [*(each.name for each in SCENARIOS if not each.needs_wire), "tls/mutual"]
WITH_RULES = [each.name for each in SCENARIOS if each.needs_wire]


@pytest.fixture(scope="module", autouse=True)
def mine() -> Iterator[None]:
    """Gives all runs of this file names of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_RUN", MINE)
        yield


def start(*words: str, cwd: Path = ROOT, stdin: bool = False, **environment: str) -> subprocess.Popen[str]:
    """Starts a lab of the project in `cwd`; with `stdin` one that can be told more."""
    return subprocess.Popen(
        [sys.executable, "-m", "lab", *words], cwd=cwd, env={**os.environ, "PYTHONPATH": str(cwd), **environment},
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heed_signals,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def lab(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return ended(start(*words, cwd=cwd, stdin=False, **environment))


def left() -> list[str]:
    """Returns the runs of this file of which anything is left."""
    labels = " ".join(f'{{{{.Label "{label}"}}}}' for label in (LABEL, "com.docker.compose.project"))
    found = []
    for kind in (["ps", "-a"], ["network", "ls"], ["volume", "ls"]):
        listed = subprocess.run(
            ["docker", *kind, "--format", labels], capture_output=True, text=True, check=True, timeout=30
        )
        found += [f"{kind[0]} {run}" for run in listed.stdout.split() if run.startswith(MINE)]
    return found


@pytest.fixture
def nothing_left(docker: str) -> Iterator[None]:
    yield
    assert gone(), left()  # where a lab was killed, its sweeper may be at work


def trace(tmp_path: Path, *words: str) -> Any:
    done = lab(*words, "--testbed", "docker", "--json", "-o", str(tmp_path / "out.pcapng"))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def seen(found: Any) -> list[str]:
    return [step["id"] for step in found["conversations"][-1]["steps"] if step["seen"]]


# The lesson.


@pytest.fixture(scope="module", params=[(), ("--ipv6",)], ids=["IPv4", "IPv6"])
def played(
    docker: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Any, tuple[str, ...]]:
    """The lesson, played once: its capture, its trace, and the options."""
    folder = tmp_path_factory.mktemp("played")
    found = trace(folder, "tcp", *request.param)
    assert not left()
    return folder / "out.pcapng", found, request.param


def test_the_ladder_has_all_eight_steps(played: tuple[Path, Any, tuple[str, ...]]) -> None:
    _, found, options = played
    assert seen(found) == STEPS
    (which,) = found["conversations"]
    assert which["final"]["states"] == {"client": "TIME-WAIT", "server": "CLOSED"}
    assert which["client"]["port"] in range(49152, 57000), "as in namespaces: none that Wireshark gives to a protocol"
    assert ":" in which["client"]["address"] if options else "." in which["client"]["address"]
    flags = [packet["flags"] for packet in found["packets"] if packet["conversation"] == 0]
    assert flags[:3] == [["SYN"], ["SYN", "ACK"], ["ACK"]]
    assert all(packet["kernel"] is None for packet in found["packets"])


@pytest.mark.parametrize("name", WITHOUT_RULES)
def test_a_scenario_ends_in_the_states_it_ends_in_with_namespaces(
    nothing_left: None, namespaces: None, tmp_path: Path, name: str
) -> None:
    other = start("run", name, "--json", "--testbed", "netns", "-o", str(tmp_path / "other.pcapng"))
    ours, theirs = trace(tmp_path, "run", name), json.loads(ended(other).stdout)
    assert ours["conversations"][-1]["final"]["states"] == theirs["conversations"][-1]["final"]["states"]
    assert seen(ours) == seen(theirs)


@pytest.mark.parametrize(("name", "hellos"), [("tls/1.3-hybrid", 1), ("tls/1.3-hybrid-retry", 2)])
def test_the_image_has_what_it_takes_for_the_hybrid_key_exchange(
    nothing_left: None, tmp_path: Path, name: str, hellos: int
) -> None:
    found = trace(tmp_path, "run", name)
    (which,) = found["conversations"]
    assert which["tls"]["group"] == "X25519MLKEM768"
    assert which["tls"]["key_exchange"] == "ECDHE+ML-KEM"
    assert which["tls"]["hello_retry"] == (hellos == 2)
    assert which["tls"]["finished_verified"]
    assert which["final"]["states"] == {"client": "TIME-WAIT", "server": "CLOSED"}
    labels = [label for packet in found["packets"] for label in packet["labels"]]
    assert labels.count("ClientHello") == hellos


@pytest.mark.parametrize("name", WITH_RULES)
def test_a_scenario_that_needs_the_wire_has_it_in_one_container(nothing_left: None, tmp_path: Path, name: str) -> None:
    found = trace(tmp_path, "run", name)
    kernels = [packet["kernel"] for packet in found["packets"] if packet["conversation"] == 0]
    assert kernels
    assert all(kernels), "both kernels were asked at every packet"


def test_wireshark_reads_the_capture_and_the_hosts_have_names(
    played: tuple[Path, Any, tuple[str, ...]], tshark: str
) -> None:
    capture, _, options = played
    words = ["-Y", "tcp", "-T", "fields", "-e", f"ip{'v6' if options else ''}.src_host", "-e", "tcp.len", "-N", "n"]
    read = subprocess.run([tshark, "-r", str(capture), *words], capture_output=True, text=True, check=True, timeout=60)
    assert {line.split("\t")[0] for line in read.stdout.splitlines()} == {"client", "server"}


def test_what_a_bridge_leaves_unfinished_is_labelled_and_explained_once(nothing_left: None, tmp_path: Path) -> None:
    done = lab("tcp", "--testbed", "docker", "-o", str(tmp_path / "out.pcapng"), "--lang", "en")
    assert done.stdout.count("checksum left to the network card") == 1
    again = json.loads(lab("annotate", str(tmp_path / "out.pcapng"), "--json").stdout)
    labels = [packet["labels"] for packet in again["packets"] if packet["conversation"] == 0]
    assert sum("unfinished-checksum" in each for each in labels) > 5


def test_two_labs_at_once_have_networks_of_their_own(nothing_left: None, tmp_path: Path) -> None:
    options = ("tcp", "--testbed", "docker", "--json", "-o")
    both = [start(*options, str(tmp_path / f"{each}.pcapng")) for each in range(2)]
    found = [json.loads(ended(each).stdout) for each in both]
    assert seen(found[0]) == seen(found[1]) == STEPS
    assert found[0]["conversations"][0]["client"]["address"] != found[1]["conversations"][0]["client"]["address"]


# Compose alone.


@pytest.fixture
def project(docker: str, tmp_path: Path) -> Iterator[Path]:
    """A folder with the compose file, as a clone has it, whose containers are gone afterwards."""
    for name in ("docker-compose.yml", "docker-compose.ipv6.yml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "captures" / "out").mkdir(parents=True)
    yield tmp_path
    compose(tmp_path, "down", "--volumes", "--timeout", "0")
    assert not left()


def compose(folder: Path, *words: str, status: int = 0, **environment: str) -> str:
    tool = engine.require().compose
    image = engine.image(engine.require()).partition(":")[2]
    done = subprocess.run(
        [*tool, "-p", f"{MINE}-alone", *words], cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "LAB_IMAGE": image, "LANG": "C.UTF-8", "LAB_RUN": f"{MINE}-alone", **environment},
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_compose_alone_prints_the_ladder_and_leaves_the_capture(project: Path) -> None:
    said = compose(project, "up", LAB_LANG="en")
    assert "The client asks for a connection" in said
    assert said.count("✓") == 8
    assert (project / "captures/out/tcp.pcapng").stat().st_size > 1000


def test_compose_alone_speaks_chinese_and_writes_where_only_the_user_may(project: Path) -> None:
    os.chown(project / "captures" / "out", 1234, 1234)
    said = compose(project, "up", LAB_LANG="zh", LAB_USER="1234:1234")
    assert "客户端请求建立连接" in said
    assert said.count("✓") == 8
    assert (project / "captures/out/tcp.pcapng").stat().st_uid == 1234


def test_a_scenario_that_needs_the_wire_says_so_where_there_is_none(project: Path) -> None:
    said = compose(project, "up", LAB_SCENARIO="tcp/syn-lost")
    assert "this scenario needs the wire" in said
    assert "lab run SCENARIO --testbed docker" in said


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_scenario_that_is_not_there_is_said_in_two_lines_and_all_end(project: Path, lang: str) -> None:
    compose(project, "up", "-d", LAB_SCENARIO="tcp/nope", LAB_LANG=lang)
    names = compose(project, "ps", "-q").split()
    assert len(names) == 3
    ends = [
        engine.require().ask("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", each) for each in names
    ]
    deadline = time.monotonic() + 20
    while any("running" in each for each in ends) and time.monotonic() < deadline:
        ends = [
            engine.require().ask("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", each) for each in names
        ]
    assert sorted(each.strip() for each in ends) == ["exited 0", "exited 0", "exited 2"]
    said = [subprocess.run(["docker", "logs", each], capture_output=True, text=True, check=True) for each in names]
    (words,) = [each.stderr for each in said if each.stderr or each.stdout]
    assert TWO_LINES[lang].fullmatch(words), words
    assert "tcp/nope" in words


def test_its_status_is_that_of_compose(project: Path) -> None:
    compose(project, "up", "--exit-code-from", "sniffer", LAB_SCENARIO="tcp/nope", status=2)


def test_a_key_belongs_to_whoever_has_the_folder_and_to_nobody_else(project: Path) -> None:
    os.chown(project / "captures" / "out", 1234, 1234)
    compose(project, "up", LAB_SCENARIO="tls/1.2-rsa", LAB_USER="1234:1234")
    status = (project / "captures/out/tls-1.2-rsa.key").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (1234, 0o600)


def test_a_host_that_nobody_calls_ends_all_the_same(docker: str) -> None:
    script = (
        "from lab.testbed import container as c; c._CALLED_WITHIN = 1; c.CONTROL = c.Path('/tmp'); c.host('client')"
    )
    client = engine.require()
    options = ["--rm", "--init", f"--label={LABEL}={MINE}-0", "--env=LAB_ADDRESS=127.0.0.1", "--entrypoint=python3"]
    done = subprocess.run(
        [client.docker, "run", *options, docker, "-c", script], capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 128 + signal.SIGALRM, done.stderr


def test_a_transfer_of_500_kb_is_captured_whole(project: Path) -> None:
    test = Path(__file__).parent / "bulk.py"
    (project / "override.yml").write_text(
        f"services:\n  sniffer:\n    entrypoint: [python3, /test/bulk.py]\n    volumes: ['{test}:/test/bulk.py:ro']\n"
    )
    compose(project, "-f", "docker-compose.yml", "-f", "override.yml", "up", "-d")
    name = compose(project, "-f", "docker-compose.yml", "-f", "override.yml", "ps", "-q", "sniffer").split()[0]
    log = subprocess.run(["docker", "logs", "-f", name], capture_output=True, text=True, check=True, timeout=60)
    events = [messages.read(line) for line in log.stdout.splitlines()]
    assert isinstance(events[-1], Ended)
    frames = [event.frame for event in events if isinstance(event, Captured)]
    way = path()
    records = list(way.annotate(frames))
    (which,) = way.conversations
    assert which.client.next == 1 + 500_000 + 1
    if not events[-1].missed:
        assert not which.client.holes
        assert not any("previous-segment-not-captured" in record.labels for record in records)
    assert any("larger-than-mss" in record.labels for record in records), "a bridge passes large segments on whole"


# Whatever ends it.


def gone() -> bool:
    deadline = time.monotonic() + GONE_WITHIN
    while left():
        if time.monotonic() > deadline:
            return False
    return True


@pytest.mark.parametrize(
    ("by", "moment"), [*((signal.SIGKILL, at) for at in range(10)), *((signal.SIGINT, at) for at in (0, 3, 6, 8))]
)
def test_ended_at_any_moment_nothing_is_left_after_5_seconds(
    nothing_left: None, tmp_path: Path, moment: int, by: signal.Signals
) -> None:
    engine.image(engine.require())
    process = start("tcp", "--testbed", "docker", "-o", str(tmp_path / "out.pcapng"))
    try:
        process.wait(0.2 + moment * 0.3)  # a run takes about 3 seconds
    except subprocess.TimeoutExpired:
        process.send_signal(by)
    process.communicate(timeout=30)
    assert gone(), left()


def test_the_next_run_sweeps_what_a_killed_sweeper_left(nothing_left: None, tmp_path: Path) -> None:
    client = engine.require()
    image = engine.image(client)
    dead = subprocess.Popen(["true"])
    dead.wait()
    for number, words in enumerate((["create"], ["network", "create"], ["volume", "create"])):
        labels = [f"--label={LABEL}={MINE}-{number}", f"--label=handshake-lab.owner={dead.pid}-1"]
        client.ask(*words, *labels, *([image] if number == 0 else [f"{MINE}-{number}"]))
    assert seen(trace(tmp_path, "tcp")) == STEPS


def test_what_a_living_lab_has_is_not_swept(docker: str) -> None:
    client = engine.require()
    client.ask("volume", "create", f"--label={LABEL}={MINE}-0", f"--label=handshake-lab.owner={engine.owner()}", MINE)
    try:
        engine.sweep_leftovers(client)
        assert left() == [f"volume {MINE}-0"]
    finally:
        client.ask("volume", "rm", MINE)


def test_whose_process_is_alive_is_told_without_harming_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine._alive(engine.owner())
    assert engine._alive(f"{os.getpid()}-")
    assert not engine._alive(f"{os.getpid()}-1")
    with monkeypatch.context() as windows:
        windows.setattr(os, "name", "nt")
        windows.setattr(os, "kill", lambda *_: pytest.fail("signal 0 is Ctrl-C on Windows"))
        assert engine._alive(f"{os.getpid()}-")


@pytest.mark.parametrize("proc", [True, False], ids=["proc", "no proc"])
def test_only_a_compose_that_leads_its_group_is_ended(monkeypatch: pytest.MonkeyPatch, proc: bool) -> None:
    if not proc:
        if shutil.which("ps") is None:
            pytest.skip("ps is not installed (Debian: apt-get install procps)")
        monkeypatch.setattr(Path, "exists", lambda _: False)
    sleeper = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with (
        subprocess.Popen([*sleeper, "compose"], stdin=subprocess.PIPE, start_new_session=True) as compose,
        subprocess.Popen([*sleeper, "another"], stdin=subprocess.PIPE, start_new_session=True) as another,
    ):
        while proc and not Path(f"/proc/{compose.pid}/cmdline").read_bytes():  # the kernel is still at its exec
            pass
        assert engine._leads_still(compose.pid)
        assert not engine._leads_still(another.pid)
        compose.communicate()
        another.communicate()
    assert not engine._leads_still(compose.pid)


# Images.


@pytest.fixture
def sources(docker: str, tmp_path: Path) -> Iterator[Path]:
    """The project once more, in another state; what was made of it is removed afterwards."""
    for name in (*engine._IN_IMAGE, "docker-compose.yml", ".dockerignore"):
        each = ROOT / name
        if each.is_dir():
            shutil.copytree(each, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(each, tmp_path / name)
    change(tmp_path, "first")
    yield tmp_path
    client = engine.require()
    client.ask("tag", docker, "handshake-lab:latest")
    for name in made_of(tmp_path) - {"<none>:<none>"} | made_of(tmp_path, "{{.ID}}"):
        removing = ["docker", "image", "rm", name]  # of 300 MB: a busy engine takes its time
        subprocess.run(removing, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=100, check=False)


def change(folder: Path, what: str) -> None:
    with (folder / "lab" / "__init__.py").open("a") as file:
        file.write(f"# {what} {folder}\n")


def made_of(folder: Path, what: str = "{{.Repository}}:{{.Tag}}") -> set[str]:
    label = f"label=handshake-lab.sources={folder}"
    return set(engine.require().ask("image", "ls", "--filter", label, "--format", what).split())


def make_image(folder: Path) -> subprocess.Popen[str]:
    script = "from lab.testbed import engine; print(engine.image(engine.require()))"
    return subprocess.Popen(
        [sys.executable, "-c", script], cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def building(folder: Path) -> list[str]:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True, timeout=30)
    return [line for line in listed.stdout.splitlines() if "docker build" in line and str(folder) in line]


def test_a_build_that_is_interrupted_ends_and_two_at_once_both_have_their_image(
    nothing_left: None, sources: Path
) -> None:
    process = start("tcp", "--testbed", "docker", cwd=sources)
    assert process.stderr
    while not process.stderr.readline().startswith("  "):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130
    assert not building(sources)
    both = [ended(each) for each in [make_image(sources) for _ in range(2)]]
    names = {each.stdout.strip() for each in both}
    assert len(names) == 1, [each.stderr for each in both]
    assert names <= made_of(sources)


def test_a_build_leaves_no_image_without_a_name(nothing_left: None, sources: Path) -> None:
    def nameless() -> set[str]:
        return set(engine.require().ask("image", "ls", "--filter", "dangling=true", "--quiet", "--no-trunc").split())

    before = nameless()
    with (sources / "requirements.lock").open("a") as file:
        file.write(f"# {sources}\n")  # so that all of it is built
    assert ended(make_image(sources)).returncode == 0
    assert nameless() <= before


def test_a_newer_image_replaces_the_older_unless_a_container_uses_it(nothing_left: None, sources: Path) -> None:
    client = engine.require()
    first = ended(make_image(sources)).stdout.strip()
    client.ask("create", f"--label={LABEL}={MINE}-0", "--name", f"{MINE}-0", first)
    change(sources, "second")
    second = ended(make_image(sources)).stdout.strip()
    assert made_of(sources) >= {first, second}
    client.ask("rm", f"{MINE}-0")
    code = sources / "lab" / "app" / "container.py"
    code.write_text(
        code.read_text().replace("def main() -> None:\n", "def main() -> None:\n    raise ValueError('a fault')\n")
    )
    done = lab("tcp", "--testbed", "docker", "--lang", "en", cwd=sources)
    assert "error: the containers did not start: ValueError: a fault\n" in done.stderr
    assert not made_of(sources) & {first, second}
    assert len(made_of(sources) - {"handshake-lab:latest"}) == 1


APT = """Step 3/13 : RUN apt-get update -qq     && apt-get install -qq python3-venv >/dev/null
 ---> Running in 5fbd2c7a7c5e
\x1b[91mE: Unable to locate package python3-venv
\x1b[0mThe command '/bin/sh -c apt-get update -qq     && apt-get install' returned a non-zero code: 100
"""
BUILDKIT = """#7 [packages 2/4] RUN apt-get update -qq
#7 4.032 E: Unable to locate package python3-venv
#7 ERROR: process "/bin/sh -c apt-get update -qq" did not complete successfully: exit code: 100
------
ERROR: failed to solve: process "/bin/sh -c apt-get update -qq" did not complete successfully: exit code: 100
"""
SILENT = "Step 3/4 : RUN false\n ---> Running in 5f\nThe command '/bin/sh -c false' returned a non-zero code: 1\n"


@pytest.mark.parametrize(
    ("said", "last"),
    [
        (APT, "E: Unable to locate package python3-venv"),
        (BUILDKIT, "E: Unable to locate package python3-venv"),
        (SILENT, "The command '/bin/sh -c false' returned a non-zero code: 1"),
        ("one\n\x1b]0;title\x07two\x1b[2J\n\n", "]0;title·two"),
        ("", "?"),
    ],
)
def test_what_a_build_failed_of_is_quoted_and_steers_no_terminal(said: str, last: str) -> None:
    assert engine.last_words(said) == last


def test_the_network_of_a_build_is_advised_only_where_it_is_not_yet_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_BUILD_NETWORK", raising=False)
    assert "LAB_BUILD_NETWORK=host" in engine._no_image(APT).hint.en
    monkeypatch.setenv("LAB_BUILD_NETWORK", "host")
    assert "LAB_BUILD_NETWORK" not in engine._no_image(APT).hint.en + engine._no_image(APT).hint.zh


def test_a_traceback_reaches_the_user_as_its_last_line() -> None:
    said = 'x\nTraceback (most recent call last):\n  File "a", line 1\n    f()\nValueError: no\nexited with code 1\n'
    assert containers.traceback(said) == "ValueError: no"
    assert containers.traceback("nothing of the kind") == ""
    compose = "Creating lab_client_1 ... \nERROR: for lab_client_1  Cannot start service client: no such device\n"
    assert "Cannot start service client: no such device" in containers.no_start(compose).message.en


# What is missing is said in two lines, with the command that mends it.


def complains(done: subprocess.CompletedProcess[str], *words: str) -> bool:
    return (
        done.returncode == 4 and bool(TWO_LINES["en"].fullmatch(done.stderr)) and all(x in done.stderr for x in words)
    )


def without(tmp_path: Path, *tools: str) -> str:
    """Returns a PATH with only these tools on it."""
    for tool in tools:
        (tmp_path / tool).symlink_to(shutil.which(tool) or "/nowhere")
    return str(tmp_path)


def test_without_docker_the_error_says_how_to_install_it(docker: str, tmp_path: Path) -> None:
    done = lab("tcp", "--testbed", "docker", "--lang", "en", PATH=without(tmp_path, "apt-get"))
    assert complains(done, "Docker is not installed", "apt-get install docker.io"), done.stderr


def test_without_compose_the_error_says_how_to_install_it(docker: str, tmp_path: Path) -> None:
    path = without(tmp_path, "apt-get", "docker")
    done = lab("tcp", "--testbed", "docker", "--lang", "en", PATH=path, DOCKER_CONFIG=str(tmp_path))
    assert complains(done, "compose", "apt-get install docker-compose"), done.stderr


def test_without_an_engine_the_error_says_how_to_start_it(docker: str, tmp_path: Path) -> None:
    done = lab("tcp", "--testbed", "docker", "--lang", "en", DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert complains(done, "the Docker engine is not running", "docker"), done.stderr


def open_to_all(folder: Path) -> None:
    """Lets others write into a temporary folder."""
    folder.chmod(0o777)
    for each in itertools.takewhile(lambda each: each != Path(tempfile.gettempdir()), folder.parents):
        each.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which only root can")
def test_without_permission_the_error_says_how_to_get_it(docker: str, nobodys_python: str, tmp_path: Path) -> None:
    open_to_all(tmp_path)
    words = [*AS_NOBODY, nobodys_python, "-m", "lab"]
    done = subprocess.run(
        [*words, "tcp", "--testbed", "docker", "--lang", "en", "-o", str(tmp_path / "out.pcapng")], cwd=ROOT,
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "HOME": "/nowhere", "PYTHONPATH": PACKAGES},
    )  # fmt: skip
    assert complains(done, "you may not use the Docker engine's socket", "usermod -aG docker"), done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which only root can")
def test_a_member_of_the_docker_group_needs_no_more(nothing_left: None, nobodys_python: str, tmp_path: Path) -> None:
    group = Path("/var/run/docker.sock").stat().st_gid
    open_to_all(tmp_path)
    words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--groups", str(group), nobodys_python, "-m", "lab"]
    done = subprocess.run(
        [*words, "tcp", "--testbed", "docker", "--lang", "en", "-o", str(tmp_path / "out.pcapng")],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": PACKAGES},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("✓") == 8
    assert (tmp_path / "out.pcapng").stat().st_uid == 65534


def test_without_an_image_and_a_registry_the_error_says_how_to_make_the_base(docker: str) -> None:
    said = (
        f"Step 1/13 : FROM {engine.BASE}\nGet https://registry.example/: dial tcp: lookup: no such host {engine.BASE}"
    )
    error = engine._no_image(said)
    assert "scripts/base-image" in error.hint.en
    assert engine.BASE in error.message.zh


# Subnets.


def test_a_subnet_that_the_engine_or_this_machine_uses_is_not_taken(docker: str) -> None:
    client = engine.require()
    (_, first), *rest = list(testbed._free_subnets(client))
    assert all(not testbed._overlap(testbed._used_here(), subnet) for _, subnet in rest)
    client.ask("network", "create", f"--label={LABEL}={MINE}-0", "--subnet", str(first), MINE)
    try:
        assert first not in [subnet for _, subnet in testbed._free_subnets(client)]
    finally:
        client.ask("network", "rm", MINE)


def test_with_ipv6_its_subnet_is_free_too(docker: str) -> None:
    client = engine.require()
    (number, first), (_, second), *_ = testbed._free_subnets(client, True)
    subnets = [f"--subnet={second}", f"--subnet={testbed._subnet6(number)}"]
    client.ask("network", "create", "--ipv6", f"--label={LABEL}={MINE}-0", *subnets, MINE)
    try:
        assert first in [subnet for _, subnet in testbed._free_subnets(client)]
        assert {first, second}.isdisjoint(subnet for _, subnet in testbed._free_subnets(client, True))
    finally:
        client.ask("network", "rm", MINE)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_routes_of_ipv6_are_heeded(docker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    route = f"{'20010db8' + '0' * 24} 2d {'0' * 32} 00 {'0' * 32} 00000100 00000001 00000000 00000001 eth0\n"
    read = Path.read_text
    told = lambda path: route if str(path) == "/proc/net/ipv6_route" else read(path)  # noqa: E731  # for one call
    monkeypatch.setattr(Path, "read_text", told)
    assert ipaddress.ip_network("2001:db8::/45") in testbed._used_here()
    client = engine.require()
    assert list(testbed._free_subnets(client))
    assert not list(testbed._free_subnets(client, True))


def test_each_run_has_its_own_order_of_subnets(docker: str) -> None:
    client = engine.require()
    assert len({next(testbed._free_subnets(client))[1] for _ in range(20)}) > 1
