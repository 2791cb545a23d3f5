"""The same lesson in containers: played for real by a Docker engine, seen whole, and gone whatever ends it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.model import Captured
from lab.protocols.tcp.scenarios import SCENARIOS
from lab.testbed import docker as testbed
from lab.testbed import engine, told
from lab.testbed.told import Ended
from tests.left_behind import AS_NOBODY, ROOT, TWO_LINES

LABEL = "handshake-lab.run"
GONE_WITHIN = 5.0  # seconds
STEPS = [f"tcp.{phase}.{number}" for phase in ("open", "close") for number in range(1, 5)]
WITHOUT_RULES = [each.name for each in SCENARIOS if not each.rules]  # TCP's; two of TLS: tests/test_tls_scenarios.py
WITH_RULES = [each.name for each in SCENARIOS if each.rules]


def lab(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lab", *words], cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def left() -> list[str]:
    """Returns the runs of which anything is left; what somebody's own `docker compose up` has is none of ours."""
    found = []
    for kind in (["ps", "-a"], ["network", "ls"], ["volume", "ls"]):
        for label in (LABEL, "com.docker.compose.project"):
            words = [*kind, "--filter", f"label={label}", "--format", f'{{{{.Label "{label}"}}}}']
            listed = subprocess.run(["docker", *words], capture_output=True, text=True, check=True, timeout=30)
            found += [run for run in listed.stdout.split() if run.startswith("lab-")]
    return found


@pytest.fixture
def nothing_left(docker: str) -> Iterator[None]:
    yield
    assert not left()


def trace(tmp_path: Path, *words: str) -> Any:
    done = lab(*words, "--testbed", "docker", "--json", "-o", str(tmp_path / "out.pcapng"))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def seen(found: Any) -> list[str]:
    return [step["id"] for step in found["conversations"][-1]["steps"] if step["seen"]]


# The lesson.


@pytest.mark.parametrize("options", [(), ("--ipv6",)], ids=["IPv4", "IPv6"])
def test_the_ladder_has_all_eight_steps(nothing_left: None, tmp_path: Path, options: tuple[str, ...]) -> None:
    found = trace(tmp_path, "tcp", *options)
    assert seen(found) == STEPS
    (which,) = found["conversations"]
    assert which["final"]["states"] == {"client": "TIME-WAIT", "server": "CLOSED"}
    assert ":" in which["client"]["address"] if options else "." in which["client"]["address"]
    flags = [packet["flags"] for packet in found["packets"] if packet["conversation"] == 0]
    assert flags[:3] == [["SYN"], ["SYN", "ACK"], ["ACK"]]
    assert all(packet["kernel"] is None for packet in found["packets"])


@pytest.mark.parametrize("name", WITHOUT_RULES)
def test_a_scenario_ends_in_the_states_it_ends_in_with_namespaces(
    nothing_left: None, namespaces: None, tmp_path: Path, name: str
) -> None:
    ours = trace(tmp_path, "run", name)
    theirs = json.loads(lab("run", name, "--json", "--testbed", "netns", "-o", str(tmp_path / "other.pcapng")).stdout)
    assert ours["conversations"][-1]["final"]["states"] == theirs["conversations"][-1]["final"]["states"]
    assert seen(ours) == seen(theirs)


@pytest.mark.parametrize("name", WITH_RULES)
def test_a_scenario_that_needs_the_wire_has_it_in_one_container(nothing_left: None, tmp_path: Path, name: str) -> None:
    found = trace(tmp_path, "run", name)
    kernels = [packet["kernel"] for packet in found["packets"] if packet["conversation"] == 0]
    assert kernels
    assert all(kernels), "both kernels were asked at every packet"


def test_wireshark_reads_the_capture_and_the_hosts_have_names(nothing_left: None, tshark: str, tmp_path: Path) -> None:
    trace(tmp_path, "tcp")
    words = ["-Y", "tcp", "-T", "fields", "-e", "ip.src_host", "-e", "tcp.len", "-N", "n"]
    read = subprocess.run(
        [tshark, "-r", str(tmp_path / "out.pcapng"), *words], capture_output=True, text=True, check=True, timeout=60
    )
    assert {line.split("\t")[0] for line in read.stdout.splitlines()} == {"client", "server"}


def test_what_a_bridge_leaves_unfinished_is_labelled_and_explained_once(nothing_left: None, tmp_path: Path) -> None:
    done = lab("tcp", "--testbed", "docker", "-o", str(tmp_path / "out.pcapng"), "--lang", "en")
    assert done.stdout.count("checksum left to the network card") == 1
    again = json.loads(lab("annotate", str(tmp_path / "out.pcapng"), "--json").stdout)
    labels = [packet["labels"] for packet in again["packets"] if packet["conversation"] == 0]
    assert sum("unfinished-checksum" in each for each in labels) > 5


def test_two_labs_at_once_have_networks_of_their_own(nothing_left: None, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lab", "tcp", "--testbed", "docker", "--json", "-o"]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = [subprocess.Popen([*command, str(tmp_path / f"{each}.pcapng")], cwd=ROOT, **pipes) for each in range(2)]
    found = []
    for each in running:
        said, complaint = each.communicate(timeout=120)
        assert each.returncode == 0, complaint
        found.append(json.loads(said))
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


def compose(folder: Path, *words: str, **environment: str) -> str:
    tool = engine.require().compose
    image = engine.image(engine.require()).partition(":")[2]
    done = subprocess.run(
        [*tool, *words], cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "LAB_IMAGE": image, "LANG": "C.UTF-8", "LAB_RUN": "lab-alone", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_compose_alone_prints_the_ladder_and_leaves_the_capture(project: Path, lang: str) -> None:
    said = compose(project, "up", LAB_LANG=lang)
    assert ("The client asks for a connection" if lang == "en" else "客户端请求建立连接") in said
    assert said.count("✓") == 8
    assert (project / "captures/out/tcp.pcapng").stat().st_size > 1000


def test_compose_alone_writes_where_only_the_user_may(project: Path) -> None:
    os.chown(project / "captures" / "out", 1234, 1234)
    compose(project, "up", LAB_USER="1234:1234")
    assert (project / "captures/out/tcp.pcapng").stat().st_uid == 1234


def test_a_scenario_that_needs_the_wire_says_so_where_there_is_none(project: Path) -> None:
    said = compose(project, "up", LAB_SCENARIO="tcp/syn-lost")
    assert "this scenario needs the wire" in said
    assert "lab run SCENARIO --testbed docker" in said


def test_a_transfer_of_500_kb_is_captured_whole(project: Path) -> None:
    test = Path(__file__).parent / "bulk.py"
    (project / "override.yml").write_text(
        f"services:\n  sniffer:\n    entrypoint: [python3, /test/bulk.py]\n    volumes: ['{test}:/test/bulk.py:ro']\n"
    )
    compose(project, "-f", "docker-compose.yml", "-f", "override.yml", "up", "-d")
    name = compose(project, "-f", "docker-compose.yml", "-f", "override.yml", "ps", "-q", "sniffer").split()[0]
    log = subprocess.run(["docker", "logs", "-f", name], capture_output=True, text=True, check=True, timeout=60)
    events = [told.read(line) for line in log.stdout.splitlines()]
    assert isinstance(events[-1], Ended)
    frames = [event.frame for event in events if isinstance(event, Captured)]
    from lab.path import Path as Way

    way = Way()
    rungs = list(way.annotate(frames))
    (which,) = way.conversations
    assert which.client.next == 1 + 500_000 + 1
    if not events[-1].missed:
        assert not which.client.holes
        assert not any("previous-segment-not-captured" in rung.labels for rung in rungs)
    assert any("larger-than-mss" in rung.labels for rung in rungs), "a bridge passes large segments on whole"


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
    process = subprocess.Popen(
        [sys.executable, "-m", "lab", "tcp", "--testbed", "docker", "-o", str(tmp_path / "out.pcapng")],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        process.wait(0.2 + moment * 0.3)  # a run takes about 3 seconds
    except subprocess.TimeoutExpired:
        process.send_signal(by)
    process.wait(30)
    assert gone(), left()


def test_the_next_run_sweeps_what_a_killed_sweeper_left(nothing_left: None, tmp_path: Path) -> None:
    image = engine.image(engine.require())
    ended = subprocess.Popen(["true"])
    ended.wait()
    subprocess.run(
        ["docker", "create", "--label=handshake-lab.run=lab-dead", f"--label=handshake-lab.owner={ended.pid}-1", image],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    assert left()
    assert seen(trace(tmp_path, "tcp")) == STEPS


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


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which only root can")
def test_without_permission_the_error_says_how_to_get_it(docker: str, nobodys_python: str) -> None:
    words = [*AS_NOBODY, nobodys_python, "-m", "lab"]
    paths = os.pathsep.join((str(ROOT), *(each for each in sys.path if each.endswith("site-packages"))))
    done = subprocess.run(
        [*words, "tcp", "--testbed", "docker", "--lang", "en"], cwd=ROOT, capture_output=True, text=True, timeout=60,
        env={**os.environ, "HOME": "/nowhere", "PYTHONPATH": paths}, check=False,
    )  # fmt: skip
    assert complains(done, "you may not use the Docker engine's socket", "usermod -aG docker"), done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which only root can")
def test_a_member_of_the_docker_group_needs_no_more(nothing_left: None, nobodys_python: str, tmp_path: Path) -> None:
    group = Path("/var/run/docker.sock").stat().st_gid
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents[:2]:
        folder.chmod(0o755)
    words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--groups", str(group), nobodys_python, "-m", "lab"]
    paths = os.pathsep.join((str(ROOT), *(each for each in sys.path if each.endswith("site-packages"))))
    done = subprocess.run(
        [*words, "tcp", "--testbed", "docker", "--lang", "en", "-o", str(tmp_path / "out.pcapng")],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": paths},
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
    assert all(not subnet.overlaps(used) for _, subnet in rest for used in testbed._used_here())
    client.ask("network", "create", "--subnet", str(first), "lab-test-taken")
    try:
        assert first not in [subnet for _, subnet in testbed._free_subnets(client)]
    finally:
        client.ask("network", "rm", "lab-test-taken")


def test_each_run_has_its_own_order_of_subnets(docker: str) -> None:
    client = engine.require()
    assert len({next(testbed._free_subnets(client))[1] for _ in range(20)}) > 1
