"""The Docker testbed: client, server and sniffer in containers on a bridge network of their own, gone when `lab` is.

    lab ─┬─ docker compose up      three containers; the sniffer plays the scenario and writes events to its log
         ├─ docker logs --follow   the events, as they happen
         └─ the sweeper            another process; takes all of it down when `lab` ends, however it ends

Containers are no children of `lab`, so it is the sweeper that ends them: it waits for its standard input to be closed.
A scenario that needs the wire is played with network namespaces inside one container.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lab.errors import MachineError, UsageError
from lab.protocols.scenario import Scenario
from lab.system import processes
from lab.system.signals import uninterrupted
from lab.testbed import engine
from lab.testbed.messages import Ended, Event, read
from lab.testbed.rules import Rule
from lab.text import Text

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_BLOCKS = ("198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24")  # RFC 5737
_TRIES = 8  # of subnets that another run takes in the same moment
_SWEPT_WITHIN = 15.0  # seconds
_WIRE_RIGHTS = (  # AppArmor and a read-only /proc/sys would forbid the parameters of its own namespaces
    "--cap-drop=ALL", "--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--cap-add=NET_RAW", "--network=none", "--init",
    "--security-opt=no-new-privileges", "--security-opt=apparmor=unconfined", "--security-opt=systempaths=unconfined",
    "--read-only", "--memory=256m", "--pids-limit=64",
)  # fmt: skip


class Run(NamedTuple):
    """One run's names: of the compose project and the label, and whose it is.

    LAB_RUN, as for compose alone, says what the name begins with: so somebody's runs can be told from others'.
    """

    name: str
    owner: str


@contextlib.contextmanager
def play(scenario: Scenario, rules: Sequence[Rule], ipv6: bool) -> Iterator[Iterator[Event]]:
    """Plays a scenario between containers and yields its events as they happen, from `Begun` to `Ended`.

    Raises MachineError where Docker is not to be had, UsageError for a LAB_RUN that is no name. Leaving the context
    takes everything down.
    """
    name = _name()
    client = engine.require()
    image = engine.image(client)
    engine.sweep_leftovers(client)
    run = Run(f"{name}-{secrets.token_hex(4)}", engine.owner())
    sweeper = subprocess.Popen(
        [*engine.SWEEPER, run.name], stdin=subprocess.PIPE, start_new_session=True, stdout=subprocess.DEVNULL,
        stderr=None if os.environ.get("LAB_DEBUG") else subprocess.DEVNULL,
    )  # fmt: skip
    logs = None
    try:
        if rules or scenario.needs_wire:
            logs = _one_container(client, run, image, scenario, rules, ipv6)
        else:
            logs = _three_containers(client, run, image, scenario, ipv6, sweeper)
        yield _events(logs)
    except MachineError:
        if os.environ.get("LAB_DEBUG"):
            with contextlib.suppress(MachineError, subprocess.TimeoutExpired):
                sys.stderr.write(client.logs(run.name) + "\n")
        raise
    finally:
        with uninterrupted():
            _end(logs, sweeper)


def _name() -> str:
    """Returns what a run's name begins with. Raises UsageError where that can't be one of a compose project."""
    name = os.environ.get("LAB_RUN") or "lab"
    if not re.fullmatch("[a-z0-9][a-z0-9_-]{0,99}", name):
        raise UsageError(
            Text(f"LAB_RUN can't be '{name}'", f"LAB_RUN 不能是“{name}”"),
            Text("take lower-case letters, digits, - and _", "请只用小写字母、数字、- 和 _"),
        )
    return name


def _end(logs: subprocess.Popen[str] | None, sweeper: subprocess.Popen[bytes]) -> None:
    if logs is not None:
        logs.kill()
        logs.wait()
        for stream in (logs.stdout, logs.stderr):
            if stream:
                stream.close()
    if sweeper.stdin:
        with contextlib.suppress(OSError):
            sweeper.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        sweeper.wait(_SWEPT_WITHIN)


def _three_containers(
    client: engine.Client, run: Run, image: str, scenario: Scenario, ipv6: bool, sweeper: subprocess.Popen[bytes]
) -> subprocess.Popen[str]:
    free = _free_subnets(client, ipv6)
    for _ in range(_TRIES):
        at, subnet = next(free, (0, None))
        if subnet is None:
            break
        environment = _environment(run, image, scenario, at, subnet, ipv6)
        files = ["-f", str(engine.ROOT / "docker-compose.yml")]
        if ipv6:
            files += ["-f", str(engine.ROOT / "docker-compose.ipv6.yml")]
        command = [*client.compose, "-p", run.name, *files, "up", "-d", "--no-build"]
        status, said = _bring_up(command, environment, sweeper)
        if status == 0:
            return _follow(client, run)
        if "overlap" not in said.lower():
            raise _no_start(_traceback(client.logs(run.name)) or said)
    raise MachineError(
        Text("no free subnet for the containers", "没有可供容器使用的空闲子网"),
        Text("docker network prune removes networks that nothing uses", "docker network prune 会删除无人使用的网络"),
    )


def _bring_up(
    command: Sequence[str], environment: Mapping[str, str], sweeper: subprocess.Popen[bytes]
) -> tuple[int, str]:
    """Runs compose; the sweeper knows its process group, so that nothing is made behind its back.

    In the project's folder: compose heeds a file .env of the one it is in.
    """
    with subprocess.Popen(
        command, cwd=engine.ROOT, env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
    ) as compose:  # fmt: skip
        if sweeper.stdin:
            with contextlib.suppress(OSError):
                sweeper.stdin.write(f"{compose.pid}\n".encode())
                sweeper.stdin.flush()
        try:
            said, _ = compose.communicate()
        except BaseException:
            engine.end_group(compose.pid)
            raise
    return compose.returncode, said


def _follow(client: engine.Client, run: Run) -> subprocess.Popen[str]:
    wanted = ["--filter", f"label=handshake-lab.run={run.name}", "--filter", "label=com.docker.compose.service=sniffer"]
    found = client.ask("ps", "--all", "--quiet", *wanted).split()
    if not found:
        raise _no_start("the sniffer's container is gone")
    return client.start("logs", "--follow", found[0])


def _one_container(
    client: engine.Client, run: Run, image: str, scenario: Scenario, rules: Sequence[Rule], ipv6: bool
) -> subprocess.Popen[str]:
    """Plays the scenario with namespaces in one container, which has the rights that takes, and no network."""
    labels = [f"--label=handshake-lab.run={run.name}", f"--label=handshake-lab.owner={run.owner}"]
    environment = {
        "LAB_SCENARIO": scenario.name,
        "LAB_CHOICES": json.dumps(scenario.choices.made),
        "LAB_RULES": ",".join(map(str, rules)),
        "LAB_IPV6": "1" if ipv6 else "",
    }
    variables = [f"--env={name}={value}" for name, value in environment.items()]
    return client.start("run", "--rm", *labels, *_WIRE_RIGHTS, *variables, image, "wire")


def _environment(
    run: Run, image: str, scenario: Scenario, at: int, subnet: ipaddress.IPv4Network, ipv6: bool
) -> dict[str, str]:
    four = [str(subnet[host]) for host in (2, 3)]
    subnet6 = _subnet6(at)
    client, server = [str(subnet6[host]) for host in (2, 3)] if ipv6 else four
    theirs = {name: value for name, value in processes.environment().items() if not name.startswith("LAB_")}
    return {
        **theirs,
        "LAB_IMAGE": image.partition(":")[2], "LAB_RUN": run.name, "LAB_OWNER": run.owner,
        "LAB_SCENARIO": scenario.name, "LAB_CHOICES": json.dumps(scenario.choices.made), "LAB_TELL": "events",
        "LAB_SUBNET": str(subnet), "LAB_SUBNET6": str(subnet6),
        "LAB_CLIENT": client, "LAB_SERVER": server, "LAB_CLIENT4": four[0], "LAB_SERVER4": four[1],
    }  # fmt: skip


def _free_subnets(client: engine.Client, ipv6: bool = False) -> Iterator[tuple[int, ipaddress.IPv4Network]]:
    """Yields the subnets that neither the engine nor this machine uses, and their numbers, in a run's own order.

    With `ipv6` the /64 of that number is free too. Some place may use documentation addresses after all: a block that
    leads anywhere from here is taken last.
    """
    names = client.ask("network", "ls", "--quiet").split()
    said = client.ask(
        "network", "inspect", "--format", "{{range .IPAM.Config}}{{.Subnet}} {{end}}", *names, missing=True
    )
    used = _used_here()
    taken = [*used, *_networks(said.split())]
    blocks = [ipaddress.IPv4Network(block) for block in _BLOCKS]
    for at, block in sorted(enumerate(blocks), key=lambda item: _overlap(used, item[1])):
        order = list(enumerate(block.subnets(new_prefix=28), at * 16))[1:]  # the first is compose's own
        for number, subnet in secrets.SystemRandom().sample(order, len(order)):
            if not _overlap(taken, subnet) and not (ipv6 and _overlap(taken, _subnet6(number))):
                yield number, subnet


def _subnet6(number: int) -> ipaddress.IPv6Network:
    return ipaddress.IPv6Network((int(ipaddress.IPv6Address("2001:db8::")) + (number << 64), 64))  # RFC 3849


def _overlap(used: Sequence[Network], subnet: Network) -> bool:
    return any(each.version == subnet.version and each.overlaps(subnet) for each in used)


def _networks(words: Sequence[str]) -> list[Network]:
    found: list[Network] = []
    for word in words:
        with contextlib.suppress(ValueError):
            found.append(ipaddress.ip_network(word))
    return found


def _used_here() -> list[Network]:
    """Returns the networks this machine has a route to, and the addresses it speaks with, as far as /proc tells."""
    found: list[Network] = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/route").read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[7], 16):  # not the default route
                network, mask = (int.from_bytes(bytes.fromhex(fields[at])[::-1], "big") for at in (1, 7))
                found.append(ipaddress.IPv4Network((network & mask, bin(mask).count("1"))))
            found.append(ipaddress.IPv4Network(int.from_bytes(bytes.fromhex(fields[2])[::-1], "big")))
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/ipv6_route").read_text().splitlines():
            fields = line.split()
            if length := int(fields[1], 16):  # not the default route
                found.append(ipaddress.IPv6Network((bytes.fromhex(fields[0]), length), strict=False))
            found.append(ipaddress.IPv6Network(bytes.fromhex(fields[4])))
    for path, pattern in (("/etc/resolv.conf", r"(?m)^nameserver\s+([\w.:]+)"), ("/etc/hosts", r"(?m)^([\w.:]+)\s")):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            found += _networks(re.findall(pattern, Path(path).read_text()))
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            found.append(ipaddress.IPv4Network(int.from_bytes(bytes.fromhex(line.split()[2][:8])[::-1], "big")))
    return found


def _events(logs: subprocess.Popen[str]) -> Iterator[Event]:
    """Yields the events of a log. Raises MachineError where it ends before the scenario does."""
    others: list[str] = []
    for line in logs.stdout or ():
        try:
            event = read(line)
        except ValueError:
            others.append(line)
            continue
        yield event
        if isinstance(event, Ended):
            return
    if logs.stderr:
        others += logs.stderr.readlines()
    if os.environ.get("LAB_DEBUG"):
        sys.stderr.writelines(others)
    said = "".join(others)
    raise _no_start(_traceback(said) or said or "the sniffer ended early")


def _traceback(said: str) -> str:
    """Returns the last line of the last traceback in what containers have said: the error; empty without one."""
    _, begun, rest = said.rpartition("Traceback (most recent call last):\n")
    return next((line for line in rest.splitlines() if line.strip() and not line.startswith(" ")), "") if begun else ""


def _no_start(said: str) -> MachineError:
    last = re.sub(r"^(ERROR|Error response from daemon): *(for \S+ +)?", "", engine.last_words(said))
    return MachineError(
        Text(f"the containers did not start: {last}", f"容器未能启动：{last}"),
        Text("lab doctor looks for the reason; LAB_DEBUG=1 shows more", "lab doctor 会查找原因；LAB_DEBUG=1 显示更多"),
    )  # fmt: skip
