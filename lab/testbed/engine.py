"""The Docker engine, asked through its command line: is it there, is the image, and what of ours is left behind.

The sweeper (`SWEEPER RUN`) is a process of its own: it waits until its standard input is closed, which happens whenever
`lab` ends, and then removes whatever bears the run's label.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lab.errors import MachineError
from lab.system.processes import environment
from lab.system.remedies import install, read_machine, sudo
from lab.system.streams import say
from lab.text import Text, choose, safe

ROOT = Path(__file__).parents[2]  # of the project, where the compose file is
# Isolated: with -m the current folder would come first, and a file there of a module's name would be run. It needs
# Python's own modules and these sources, of which another state may be installed.
SWEEPER = (
    sys.executable, "-I", "-S", "-c",
    "import sys; sys.path.append(sys.argv[1]); from lab.testbed.engine import sweep; sweep(sys.argv[2])", str(ROOT),
)  # fmt: skip
BASE = "debian:trixie-slim"
_LABEL, _OWNER = "handshake-lab.run", "handshake-lab.owner"
_SOURCES = "handshake-lab.sources"  # of an image: the folder it was made from
_PATIENCE = 10.0  # seconds for a question to the engine
_SWEEPING = 30.0  # seconds until the sweeper gives up on an engine that does not answer
_IN_IMAGE = ("lab", "Dockerfile", "requirements.lock")
_KINDS = (  # how to list what bears a label, how to remove it
    (("ps", "--all", "--quiet"), ("rm", "--force", "--volumes")),
    (("network", "ls", "--quiet"), ("network", "rm")),
    (("volume", "ls", "--quiet"), ("volume", "rm", "--force")),
)


class Client(NamedTuple):
    """The command line of the engine: `docker`, and whichever compose there is."""

    docker: str
    compose: tuple[str, ...] = ()

    def ask(self, *words: str, missing: bool = False) -> str:
        """Returns what a command prints. Raises MachineError if it fails, unless what it asks for may be `missing`."""
        try:
            done = subprocess.run(
                [self.docker, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                timeout=_PATIENCE, check=False, env=environment(),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise _unanswered() from None
        if done.returncode and not missing:
            raise _unusable(done.stderr)
        return done.stdout

    def logs(self, run: str) -> str:
        """Returns what the containers of a run have said on either stream, but for a log's lines of JSON."""
        said = []
        for name in self.ask("ps", "--all", "--quiet", "--filter", f"label={_LABEL}={run}", missing=True).split():
            try:
                done = subprocess.run(
                    [self.docker, "logs", "--tail", "200", name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT, text=True, errors="replace", timeout=_PATIENCE, check=False,
                    env=environment(),
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                continue
            said += [line for line in done.stdout.splitlines() if not line.startswith('["')]
        return "\n".join(said)

    def start(self, *words: str, told: bool = False) -> subprocess.Popen[str]:
        """Starts a command whose output is read while it runs, and which is `told` something meanwhile, or nothing."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [self.docker, *words], stdin=pipe if told else subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True,
            errors="replace", start_new_session=True, env=environment(),
        )  # fmt: skip


def require() -> Client:
    """Returns the client of an engine that answers. Raises MachineError that says what is missing and what mends it."""
    machine = read_machine()
    docker = shutil.which("docker")
    if docker is None:
        raise MachineError(
            Text("Docker is not installed", "没有安装 Docker"),
            _run(install("docker", shutil.which, machine) or "https://docs.docker.com/get-docker/"),
        )
    bare = Client(docker)
    bare.ask("version", "--format", "{{.Server.Version}}")
    tool = compose(docker)
    if not tool:
        raise MachineError(
            Text(
                "there is no `docker compose` that answers, nor docker-compose",
                "没有能应答的 `docker compose`，也没有 docker-compose",
            ),
            _run(install("compose", shutil.which, machine)),
        )
    if not (ROOT / "docker-compose.yml").exists():
        raise MachineError(
            Text("the project's docker-compose.yml is not here", "找不到项目的 docker-compose.yml"),
            Text(
                "clone the project, and there: make lab-tcp TESTBED=docker",
                "请克隆本项目，在其中运行：make lab-tcp TESTBED=docker",
            ),
        )
    return Client(docker, tool)


def compose(docker: str) -> tuple[str, ...]:
    """Returns the newer compose where there is one that answers, else the older."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        plugin = subprocess.run(
            [docker, "compose", "version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE,
            check=False, env=environment(),
        )  # fmt: skip
        if plugin.returncode == 0:
            return (docker, "compose")
    old = shutil.which("docker-compose")
    return (old,) if old else ()


def image(client: Client) -> str:
    """Returns the name of the image made of these sources; makes it first where it is missing, telling on stderr."""
    name = image_name()
    if _id_of(client, name):
        return name
    say(_BUILDING.pick(choose(sys.argv[1:], os.environ)))
    command = [client.docker, "build", "--target", "lab", "--tag", name, "--tag", "handshake-lab:latest"]
    command += ["--force-rm", "--label", f"{_SOURCES}={ROOT}"]
    if network := os.environ.get("LAB_BUILD_NETWORK"):
        command += ["--network", network]
    said = ""
    for _ in range(_TRIES):
        code, said = _build(command)
        if not code or _id_of(client, name):  # another that made it at the same time may have removed ours
            _remove_older_images(client, name)
            return name
        if not _TAKEN_AWAY.search(said):
            break
    raise _no_image(said)


def _build(command: Sequence[str]) -> tuple[int, str]:
    """Builds the image; returns the exit status, and what was said. Whatever ends this ends the build."""
    with subprocess.Popen(
        [*command, str(ROOT)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", start_new_session=True, env=environment(),
    ) as build:  # fmt: skip
        try:
            said = []
            for line in build.stdout or ():
                said.append(line)
                if line.startswith(("Step ", "#")) or os.environ.get("LAB_DEBUG"):
                    say("  " + _readable(line)[:100])
        except BaseException:
            end_group(build.pid)
            raise
    return build.returncode, "".join(said)


def _id_of(client: Client, name: str) -> str:
    """Returns the id of an image; empty where there is none of that name."""
    return client.ask("image", "inspect", "--format", "{{.Id}}", name, missing=True).strip()


_TRIES = 3
# What a build says where another, at the same time, has removed a layer that it was going to use.
_TAKEN_AWAY = re.compile(r"imagedb/content/\S+: no such file|No such image|unknown parent image|layer does not exist")
_BUILDING = Text("Building the image (once, about a minute) …", "正在构建镜像（仅一次，约一分钟）…")


def _remove_older_images(client: Client, newest: str) -> None:
    """Removes what earlier states of these very sources were made into; the engine keeps what a container uses."""
    with contextlib.suppress(MachineError):
        ours = ("--filter", f"label={_SOURCES}={ROOT}")
        for name in client.ask("image", "ls", *ours, "--format", "{{.Repository}}:{{.Tag}}", missing=True).splitlines():
            if name != newest and re.fullmatch("handshake-lab:[0-9a-f]{12}", name):
                client.ask("image", "rm", name, missing=True)
        # Of two that made the same at once one has lost its name. Not by its number: it may be about to get one.
        client.ask("image", "prune", "--force", *ours, missing=True)


def _no_image(said: str) -> MachineError:
    last = last_words(said)
    if re.search("pull|resolve|lookup|not found|dial", last) and re.search(f"{BASE}|registry|docker.io", last):
        return MachineError(
            Text(f"{BASE} is not here and no registry answers", f"本机没有 {BASE}，也没有可用的镜像仓库"),
            _run(sudo(f"{ROOT / 'scripts' / 'base-image'}", read_machine())),
        )
    network = "" if os.environ.get("LAB_BUILD_NETWORK") else "LAB_BUILD_NETWORK=host"
    return MachineError(
        Text(f"the image could not be built: {last}", f"镜像构建失败：{last}"),
        Text(
            "LAB_DEBUG=1 shows the build" + (f"; {network} builds with this machine's network" if network else ""),
            "LAB_DEBUG=1 显示构建过程" + (f"；{network} 使用本机网络构建" if network else ""),
        ),
    )


def last_words(said: str) -> str:
    """Returns the line of a command's output that says best why it failed: the last, or the last that says `error`.

    What only repeats the command that failed counts where there is nothing else.
    """
    lines = [line for line in map(_readable, said.splitlines()) if line and not _CHATTER.match(line)]
    telling = [line for line in lines if not _REPEATS.search(line)] or lines
    errors = [line for line in telling if _ERROR.match(line)]
    return (errors or telling or ["?"])[-1][:_LONGEST]


_LONGEST = 300  # characters of a line that is quoted
_ERROR = re.compile(r"(?i)(E|(fatal )?error|[\w.]+(Error|Exception)): ")
_REPEATS = re.compile(r"^The command '.*' returned a non-zero code|did not complete successfully: exit code")
_CHATTER = re.compile(
    r"(Step \d+/|--->|Removing intermediate container|Sending build context|-+$|>+ |"
    r"DEPRECATED: |Install the buildx|https://docs\.docker\.com/)"
)


def _readable(line: str) -> str:
    """Returns a line without colours, without BuildKit's prefix, and without anything that steers a terminal."""
    plain = re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]", "", line).strip()
    return safe(re.sub(r"^#\d+ (\d+\.\d+ )?", "", plain)).strip(" ·")


def image_name() -> str:
    """Returns what the image of these very sources is called."""
    found = hashlib.sha256()
    for name in _IN_IMAGE:
        path = ROOT / name
        for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if each.is_file() and "__pycache__" not in each.parts:
                found.update(f"{each.relative_to(ROOT)}\0".encode() + each.read_bytes() + b"\0")
    return f"handshake-lab:{found.hexdigest()[:12]}"


def owner() -> str:
    """Returns what tells this process from any later one of the same number."""
    return f"{os.getpid()}-{_started(os.getpid())}"


def _started(pid: int) -> str:
    """Returns when a process was started, in clock ticks since the system was; empty where nobody tells."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _alive(name: str) -> bool:
    number, _, started = name.partition("-")
    if not number.isdecimal():
        return True  # not one of ours: let it be
    if started:
        return _started(int(number)) == started
    if os.name == "nt":
        return True  # who can tell? Signal 0 is Ctrl-C there
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def sweep_leftovers(client: Client) -> None:
    """Removes what runs of this user left behind whose sweeper was killed too."""
    both = ("--filter", f"label={_OWNER}", "--format", f'{{{{.Label "{_LABEL}"}}}} {{{{.Label "{_OWNER}"}}}}')
    listed = [client.ask(*(word for word in listing if word != "--quiet"), *both) for listing, _ in _KINDS]
    for line in {line for each in listed for line in each.splitlines()}:
        run, _, name = line.partition(" ")
        if run and name and not _alive(name):
            _sweep(client, run)


def _sweep(client: Client, run: str) -> bool:
    """Removes everything with a run's label; returns whether there was anything."""
    found = False
    for listing, removing in _KINDS:
        for label in (_LABEL, "com.docker.compose.project"):
            with contextlib.suppress(MachineError):
                names = client.ask(*listing, "--filter", f"label={label}={run}", missing=True).split()
                if names:
                    found = True
                    client.ask(*removing, *names, missing=True)
    return found


def end_group(pid: int) -> None:
    """Ends a process that leads a group, and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGTERM)


def _unusable(complaint: str) -> MachineError:
    machine, said = read_machine(), complaint.lower()
    if "permission denied" in said:
        command = sudo('usermod -aG docker "$USER"', machine)
        return MachineError(
            Text("you may not use the Docker engine's socket", "无权使用 Docker 引擎的套接字"),
            Text(f"run: {command}, then log in again", f"运行：{command}，然后重新登录"),
        )
    if "cannot connect" in said or "daemon running" in said or "connection refused" in said:
        command = "open -a Docker" if sys.platform == "darwin" else _service("start")
        return MachineError(Text("the Docker engine is not running", "Docker 引擎没有运行"), _run(command))
    last = last_words(complaint)
    return MachineError(Text(f"Docker refused: {last}", f"Docker 拒绝了请求：{last}"), _run("docker info"))


def _unanswered() -> MachineError:
    return MachineError(
        Text(f"the Docker engine did not answer in {_PATIENCE:.0f} s", f"Docker 引擎在 {_PATIENCE:.0f} 秒内没有应答"),
        _run(_service("restart")),
    )  # fmt: skip


def _service(verb: str) -> str:
    system = Path("/run/systemd/system").exists()
    return sudo(f"systemctl {verb} docker" if system else f"service docker {verb}", read_machine())


def _run(command: str) -> Text:
    return Text(f"run: {command}", f"运行：{command}")


def sweep(run: str) -> None:
    """Waits until nobody holds the other end of standard input, then ends a compose at work and removes the run."""
    for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, signal.SIG_IGN)
    groups = [int(line) for line in sys.stdin.buffer if line.strip().isdigit()]
    client = Client(shutil.which("docker") or "docker")
    for group in groups:
        if _leads_still(group):
            end_group(group)
    deadline = time.monotonic() + _SWEEPING
    clean = 0
    while clean < 2 and time.monotonic() < deadline:  # twice: what the engine was about to make is there by then
        clean = 0 if _sweep(client, run) else clean + 1


def _leads_still(group: int) -> bool:
    """Whether a compose that we were told of is still at work: its number may be another's by now."""
    proc = Path("/proc/self/cmdline").exists()
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        if proc:
            return b"compose" in Path(f"/proc/{group}/cmdline").read_bytes()
        if os.getpgid(group) == group:  # macOS; Windows has neither that nor groups
            asked = ["ps", "-o", "command=", "-p", str(group)]
            return b"compose" in subprocess.run(asked, capture_output=True, timeout=_PATIENCE, check=False).stdout
    return False
