"""The network-namespace testbed: client, server and wire, three namespaces and three processes, gone when `lab` is.

    lab ── the stage's process (the wire's namespace: forwards frames, tells the hosts what to do)
             ├── client (a namespace of its own, one cable to the wire)
             └── server (the same)

Nothing has a name outside: a namespace lives as long as its process, a process dies with its parent, so there is
nothing to clean up, whatever ends the lab. As an ordinary user all of it happens inside a user namespace.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, Pipe
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, NamedTuple

from lab.errors import LabError, MachineError
from lab.model import Role
from lab.protocols.scenario import Credentials, Scenario
from lab.system import processes
from lab.system.signals import uninterrupted
from lab.testbed import links
from lab.testbed.control import COMMANDS, Command, Control
from lab.testbed.messages import Begun, Ended, Event
from lab.testbed.namespaces import (
    CLONE_NEWNET,
    enter_namespaces,
    inside,
    offloads_off,
    reason,
    require_linux,
    sysctl,
    unshare,
)  # fmt: skip
from lab.testbed.rules import Rule
from lab.text import Text

if TYPE_CHECKING:
    from lab.testbed.cables import Link

ROLES: tuple[Role, Role] = ("client", "server")
_PATIENCE = 2.0  # seconds; the stage's process ends within milliseconds


class Addresses(NamedTuple):
    """What a host is called on the wire. Documentation addresses (RFC 5737, RFC 3849, RFC 9542)."""

    ipv4: str
    ipv6: str
    mac: str


# A namespace is empty when it is made: its first subnet is always free.
HOSTS: dict[Role, Addresses] = {
    "client": Addresses("192.0.2.2", "2001:db8::2", "00:00:5e:00:53:02"),
    "server": Addresses("192.0.2.3", "2001:db8::3", "00:00:5e:00:53:03"),
}


# Of a run that is controlled, where a frame may be held for minutes: no kernel gives up meanwhile, nor waits for long
# afterwards. Held time becomes round-trip time: without a limit the next timeout would be three times as long.
_PATIENT = {
    "net/ipv4/tcp_rto_max_ms": "2000",
    "net/ipv4/tcp_syn_retries": "127",
    "net/ipv4/tcp_synack_retries": "255",
    "net/ipv4/tcp_retries2": "255",
    "net/ipv4/tcp_orphan_retries": "255",
    "net/ipv4/tcp_fin_timeout": "3600",
}


class Playing:
    """The events of a run, as they happen, from `Begun` to `Ended`; and where it is controlled, the way in."""

    def __init__(self, begun: Begun, connection: Connection, controlled: bool) -> None:
        self.control = Control(self._send) if controlled else None
        self._begun: Begun | None = begun
        self._connection = connection
        self._sending = Lock()
        self._over = False

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        if self._begun is not None:
            begun, self._begun = self._begun, None
            return begun
        if self._over:
            raise StopIteration
        try:
            event = self._connection.recv()
        except (EOFError, OSError):  # OSError where it ended in the middle of a word
            self._over = True
            raise MachineError(
                Text("the testbed ended unexpectedly", "测试床意外终止"),
                Text("try again; LAB_DEBUG=1 shows its last words", "请重试；LAB_DEBUG=1 会显示它最后的输出"),
            ) from None
        if isinstance(event, LabError):
            self._over = True
            raise event
        self._over = isinstance(event, Ended)
        told: Event = event
        return told

    def _send(self, command: Command) -> bool:
        with self._sending:
            try:
                self._connection.send(command)
            except OSError:  # its process has ended, or this run has been left
                return False
        return not self._over


@contextlib.contextmanager
def play(scenario: Scenario, rules: Sequence[Rule], ipv6: bool, *, control: bool = False) -> Iterator[Playing]:
    """Plays a scenario between two fresh hosts and yields its events as they happen, from `Begun` to `Ended`.

    With `control` every frame is held from the first, until `control` of what is yielded says what becomes of it.
    Raises MachineError where namespaces are not to be had. Leaving the context ends all processes.
    """
    require_linux()
    if (lacking := scenario.lacking()) is not None:
        raise MachineError(
            Text(f"{scenario.name} can't be played here: {lacking.en}", f"{scenario.name} 无法在此运行：{lacking.zh}"),
            Text(
                f"lab run {scenario.name} --testbed docker: the lab's image has what it takes",
                f"lab run {scenario.name} --testbed docker：实验室的镜像具备所需条件",
            ),
        )
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads it any more: that is for whoever writes next to hear
            stream.flush()
    child = 0
    addresses = HOSTS["server"]
    credentials = scenario.make_credentials((addresses.ipv4, addresses.ipv6))  # before the fork: the stage has them too
    try:
        try:
            with processes.signals_waiting():
                ours, theirs = Pipe()
                child = processes.fork(
                    lambda: _stage(theirs, Run(scenario, rules, ipv6, credentials, control)), (ours,)
                )
                theirs.close()
        except OSError as error:
            raise _refused(error) from error
        names = {address: role for role, host in HOSTS.items() for address in (host.ipv4, host.ipv6)}
        begun = Begun("wire", names, True, credentials.server_key if credentials else "")
        yield Playing(begun, ours, control)
    finally:
        if child:
            with uninterrupted():
                _end_stage(child, ours)


def _end_stage(child: int, connection: Connection) -> None:
    """Asks the stage's process to end, which first ends the hosts; where it can't, the kernel ends all three."""
    os.kill(child, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    with contextlib.suppress(OSError):
        while (left := deadline - time.monotonic()) > 0 and connection.poll(left):
            if not os.read(connection.fileno(), 1 << 16):  # the other side is gone
                break
    connection.close()
    processes.end(child)


def _end_hosts(hosts: list[int]) -> None:
    for host in hosts:
        processes.end(host)
    hosts.clear()


class Run(NamedTuple):
    """What is to be played, and how."""

    scenario: Scenario
    rules: Sequence[Rule]
    ipv6: bool
    credentials: Credentials | None
    control: bool

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if self.ipv6 else socket.AF_INET


class _Teller:
    """Tells events in a thread of its own, so that nobody who does not listen can stop the wire."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._queue: SimpleQueue[Event | LabError | None] = SimpleQueue()
        self._thread: Thread | None = None

    def tell(self, event: Event | LabError) -> None:
        if self._thread is None:  # not before the hosts have been forked: they would inherit half of it
            self._thread = Thread(target=self._work, daemon=True)
            self._thread.start()
        self._queue.put(event)

    def finish(self) -> None:
        """Returns when everything has been told."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        try:
            while (event := self._queue.get()) is not None:
                self._connection.send(event)
        except OSError:  # nobody will ever listen: end as when asked to
            os.kill(os.getpid(), signal.SIGTERM)


class _Commands:
    """The commands that come in on the stage's connection, while both hosts live."""

    def __init__(self, connection: Connection, hosts: Mapping[Role, int]) -> None:
        self._connection = connection
        self._hosts = hosts
        self._ends = [os.pidfd_open(pid) for pid in hosts.values()]

    def filenos(self) -> list[int]:
        return [self._connection.fileno(), *self._ends]

    def waiting(self) -> list[Command]:
        _require(self._hosts)
        found = []
        try:
            while self._connection.poll():
                command = self._connection.recv()
                if isinstance(command, COMMANDS):
                    found.append(command)
        except OSError as error:
            raise EOFError from error
        return found


def _stage(connection: Connection, run: Run) -> None:
    """The stage's process: makes the hosts, plays the script, tells `connection` everything."""
    parent = os.getppid()
    hosts: list[int] = []
    teller = _Teller(connection)

    def leave(_number: int, _frame: object) -> None:
        _end_hosts(hosts)
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    try:
        enter_namespaces()
        processes.die_with(parent)
        teller.tell(_played(connection, hosts, run, teller))
        teller.finish()
    except LabError as error:
        teller.tell(error)
        teller.finish()
    except OSError as error:
        teller.tell(_refused(error))
        teller.finish()
    finally:
        _end_hosts(hosts)


def _refused(error: OSError) -> MachineError:
    why = reason(error)
    return MachineError(
        Text(f"the testbed could not be set up: {why.en}", f"测试床无法建立：{why.zh}"),
        Text("lab doctor says what this machine lacks", "运行 lab doctor 查看这台机器缺少什么"),
    )


def _played(connection: Connection, pids: list[int], run: Run, teller: _Teller) -> Ended:
    """Makes the hosts, adding their processes to `pids`, and plays the script."""
    from lab.testbed.rules import Policy
    from lab.testbed.stage import Host, SceneEnded, Stage
    from lab.testbed.wire import Wire

    family = run.family
    cpu = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})  # one CPU for all: then the order of things is the order of calls
    channels: dict[Role, Connection] = {}
    cables = {}
    sysctl("net/ipv6/conf/all/disable_ipv6", "1")  # the wire itself says nothing
    # The hosts get tables of connections of their own, small ones. The machine's, which all share, has 262,144 rows on
    # a large one: reading it through (ss, /proc/net/tcp) takes 20 ms, theirs 2.
    sysctl("net/ipv4/tcp_child_ehash_entries", "256")
    for role in ROLES:
        ours, theirs = Pipe()
        foreign = (connection, ours, *channels.values())
        with processes.signals_waiting():
            pid = processes.fork(lambda role=role, theirs=theirs: _host(role, theirs, run), foreign)  # type: ignore[misc]  # mypy does not infer defaults of lambdas
            pids.append(pid)
        theirs.close()
        _expect(ours)
        cables[role] = _lay_cable(role, pid, ours)
        channels[role] = ours
    living = dict(zip(ROLES, pids, strict=True))
    wire = Wire(cables, Policy(run.rules), teller.tell, _Commands(connection, living) if run.control else None)
    hosts = {role: Host(role, _address(role, family), channels[role], wire, teller.tell) for role in ROLES}
    early = None
    try:
        wire.start()
        run.scenario.script(Stage(hosts["client"], hosts["server"], wire, run.credentials))
    except SceneEnded as ended:
        early = ended.reason
    except OSError as error:
        early = Text(str(error), str(error))
    _require(living)  # else `early` is not the scenario's reason
    wire.close()
    return Ended(early)


def _require(hosts: Mapping[Role, int]) -> None:
    """Raises MachineError where a host's process has ended."""
    from lab.testbed.stage import gone

    for role, pid in hosts.items():
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            raise gone(role)


def _address(role: Role, family: socket.AddressFamily) -> str:
    return HOSTS[role].ipv6 if family == socket.AF_INET6 else HOSTS[role].ipv4


def _mac(role: Role) -> bytes:
    return bytes.fromhex(HOSTS[role].mac.replace(":", ""))


def _expect(connection: Connection) -> None:
    """Waits for a host to say that it is ready, or why it can't be."""
    try:
        answer = connection.recv()
    except EOFError:
        raise OSError(errno.ECHILD, os.strerror(errno.ECHILD)) from None
    if isinstance(answer, OSError):
        raise answer


def _host(role: Role, connection: Connection, run: Run) -> None:
    """A host's process: a namespace, an address, a neighbour, and then whatever it is told."""
    from lab.testbed.host import serve

    endpoint, family = run.scenario.endpoint(), run.family
    try:
        unshare(CLONE_NEWNET)
        connection.send(None)  # the wire lays the cable now
        connection.recv()
        _plug_in(role, family)
        for name, value in _PATIENT.items() if run.control else ():
            sysctl(name, value)
        connection.send(None)
    except OSError as error:
        connection.send(error)
        return
    serve(connection, endpoint(family, _address(role, family)))


def _lay_cable(role: Role, pid: int, host: Connection) -> Link:
    """Makes the cable between the wire and a host, and asks for the host's kernel to be heard."""
    from lab.testbed.cables import Link, open_link
    from lab.testbed.kernel import Witness

    mac = _mac(role)
    links.lay_cable(role, "eth0", pid, mac)
    links.switch_on(role)
    offloads_off(role)
    link = open_link(role)
    host.send(None)
    _expect(host)
    with inside(pid):
        witness = Witness()
    return Link(link, mac, HOSTS[role].ipv4, witness)


def _plug_in(role: Role, family: socket.AddressFamily) -> None:
    """Configures a host from inside: addresses, a permanent neighbour, and nothing that talks by itself."""
    for name, value in {
        "net/ipv6/conf/all/disable_ipv6": "0" if family == socket.AF_INET6 else "1",
        "net/ipv6/conf/eth0/disable_ipv6": "0" if family == socket.AF_INET6 else "1",
        "net/ipv6/conf/eth0/router_solicitations": "0",
        "net/ipv6/conf/eth0/addr_gen_mode": "1",  # no link-local address: nothing to announce
        "net/ipv4/tcp_rto_min_us": "1000000",  # RFC 6298 (2.4); at Linux' 0.2 s a busy machine sends again for nothing
        "net/ipv4/tcp_early_retrans": "0",  # nor is the tail of the data sent again to probe for losses
        "net/ipv4/tcp_syn_linear_timeouts": "0",  # a lost SYN is sent again after 1, 3, 7 s, as the RFCs tell it
        "net/ipv4/tcp_invalid_ratelimit": "0",  # else, within 500 ms, a second refused segment is not answered
        "net/ipv4/tcp_challenge_ack_limit": "100",  # a second: two ends that disagree would answer each other for ever
        "net/ipv4/tcp_ecn": "0",  # what a kernel asks for by itself changes from version to version
        "net/ipv4/ip_local_port_range": "49152 56999",  # at other ports Wireshark may take TLS for something else
    }.items():
        sysctl(name, value)
    offloads_off("eth0")
    other: Role = "server" if role == "client" else "client"
    links.add_address("eth0", HOSTS[role].ipv4, 28)
    links.switch_on("eth0")
    links.switch_on("lo")
    if family == socket.AF_INET6:
        # The address lives on the loopback interface: on eth0 the kernel would announce its multicast group, at a
        # random moment of the first second, in the middle of the lesson.
        links.add_address("lo", HOSTS[role].ipv6, 128)
        links.wait_for_address(HOSTS[role].ipv6)
        links.add_route("eth0", "2001:db8::", 64)
    for each in {socket.AF_INET, family}:
        links.add_neighbour("eth0", _address(other, each), _mac(other))
