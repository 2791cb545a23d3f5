"""The Docker testbed: client, server and sniffer in containers on a bridge network of their own, gone when `lab` is.

    lab ─┬─ docker compose up      three containers; the sniffer plays the scenario and writes events to its log
         ├─ docker logs --follow   the events, as they happen
         └─ the sweeper            another process; takes all of it down when `lab` ends, however it ends

A scenario that needs the wire, or whose packets are to be held, is played with network namespaces inside one container.
Its events come out by the container's output, commands go in by its input: whoever steps through it, and what is saved,
stays with `lab`.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock

from lab.errors import MachineError
from lab.protocols.scenario import Scenario
from lab.system import processes
from lab.testbed import engine
from lab.testbed.containers import Run, alone, begun, ended_early, ended_with_us, no_start, traceback
from lab.testbed.control import Command, Control
from lab.testbed.control import write as written
from lab.testbed.messages import Ended, Event, read
from lab.testbed.rules import Rule
from lab.text import Text

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_BLOCKS = ("198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24")  # RFC 5737
_TRIES = 8  # of subnets that another run takes in the same moment


class Playing:
    """The events of a run, as they happen, from `Begun` to `Ended`; and where it is controlled, the way in."""

    def __init__(self, logs: subprocess.Popen[str], controlled: bool) -> None:
        self.control = Control(self._send) if controlled else None
        self._events = _events(logs)
        self._orders = logs.stdin
        self._sending = Lock()
        self._over = False

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        try:
            event = next(self._events)
        except BaseException:
            self._over = True
            raise
        self._over = isinstance(event, Ended)
        return event

    def _send(self, command: Command) -> bool:
        """Sends a command as a line of JSON: what it holds can't end the line."""
        line = json.dumps(written(command))
        assert self._orders is not None
        with self._sending:
            try:
                self._orders.write(line + "\n")
                self._orders.flush()
            except (OSError, ValueError):  # the container is gone, or this run has been left
                return False
        return not self._over


@contextlib.contextmanager
def play(scenario: Scenario, rules: Sequence[Rule], ipv6: bool, *, control: bool = False) -> Iterator[Playing]:
    """Plays a scenario between containers and yields its events as they happen, from `Begun` to `Ended`.

    With `control` it is played in one container, and every frame is held from the first, until `control` of what is
    yielded says what becomes of it. Raises MachineError where Docker is not to be had, UsageError for a LAB_RUN that is
    no name. Leaving the context takes everything down.
    """
    with begun() as run:
        if control or rules or scenario.needs_wire:
            logs = _one_container(run, scenario, rules, ipv6, control)
        else:
            logs = _three_containers(run, scenario, ipv6)
        with ended_with_us(logs):
            yield Playing(logs, control)


def _three_containers(run: Run, scenario: Scenario, ipv6: bool) -> subprocess.Popen[str]:
    client = run.client
    free = _free_subnets(client, ipv6)
    for _ in range(_TRIES):
        at, subnet = next(free, (0, None))
        if subnet is None:
            break
        environment = _environment(run, scenario, at, subnet, ipv6)
        files = ["-f", str(engine.ROOT / "docker-compose.yml")]
        if ipv6:
            files += ["-f", str(engine.ROOT / "docker-compose.ipv6.yml")]
        command = [*client.compose, "-p", run.name, *files, "up", "-d", "--no-build"]
        status, said = _bring_up(command, environment, run.sweeper)
        if status == 0:
            return _follow(run)
        if "overlap" not in said.lower():
            raise no_start(traceback(client.logs(run.name)) or said)
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


def _follow(run: Run) -> subprocess.Popen[str]:
    wanted = ["--filter", f"label=handshake-lab.run={run.name}", "--filter", "label=com.docker.compose.service=sniffer"]
    found = run.client.ask("ps", "--all", "--quiet", *wanted).split()
    if not found:
        raise no_start("the sniffer's container is gone")
    return run.client.start("logs", "--follow", found[0])


def _one_container(
    run: Run, scenario: Scenario, rules: Sequence[Rule], ipv6: bool, control: bool
) -> subprocess.Popen[str]:
    """Plays the scenario with namespaces in one container; commands go in by its standard input."""
    variables = {
        "LAB_SCENARIO": scenario.name,
        "LAB_CHOICES": json.dumps(scenario.choices.made),
        "LAB_RULES": ",".join(map(str, rules)),
        "LAB_IPV6": "1" if ipv6 else "",
        "LAB_CONTROL": "1" if control else "",
    }
    return alone(run, "wire", variables)


def _environment(run: Run, scenario: Scenario, at: int, subnet: ipaddress.IPv4Network, ipv6: bool) -> dict[str, str]:
    four = [str(subnet[host]) for host in (2, 3)]
    subnet6 = _subnet6(at)
    client, server = [str(subnet6[host]) for host in (2, 3)] if ipv6 else four
    theirs = {name: value for name, value in processes.environment().items() if not name.startswith("LAB_")}
    return {
        **theirs,
        "LAB_IMAGE": run.image.partition(":")[2], "LAB_RUN": run.name, "LAB_OWNER": run.owner,
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
    raise ended_early(logs, others, "the sniffer ended early")
