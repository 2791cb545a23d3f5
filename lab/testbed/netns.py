"""The network-namespace testbed: client, server and wire, three namespaces and three processes, gone when `lab` is.

    lab ── the stage's process (the wire's namespace: forwards frames, tells the hosts what to do)
             ├── client (a namespace of its own, one cable to the wire)
             └── server (the same)

Nothing has a name outside: a namespace lives as long as its process, a process dies with its parent, so there is
nothing to clean up, whatever ends the lab. As an ordinary user all of it happens inside a user namespace.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, Pipe
from queue import SimpleQueue
from threading import Lock, Thread
from typing import NamedTuple

from lab.errors import LabError, MachineError
from lab.model import Role
from lab.protocols.scenario import Scenario
from lab.system import processes
from lab.system.signals import uninterrupted
from lab.testbed.control import COMMANDS, Command, Control
from lab.testbed.messages import Begun, Ended, Event
from lab.testbed.namespaces import enter_namespaces, reason, require_linux, sysctl
from lab.testbed.pair import HOSTS, ROLES, address, fork_hosts, lay_cables
from lab.testbed.rules import Rule
from lab.text import Text

_PATIENCE = 2.0  # seconds; the stage's process ends within milliseconds


class Playing:
    """The events of a run, as they happen, from `Begun` to `Ended`; and where it is controlled, the way in."""

    def __init__(self, begun: Begun, connection: Connection, child: int, controlled: bool) -> None:
        self.control = Control(self._send) if controlled else None
        self._begun: Begun | None = begun
        self._connection = connection
        self._child = child
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
            how = Text("it was left", "运行已退出")
            with contextlib.suppress(ProcessLookupError, ChildProcessError):  # whoever has left it has waited for it
                processes.wait_for_any([self._child], _PATIENCE)
                how = processes.ended(self._child)
            raise _broken(how) from None
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
    try:
        try:
            with processes.signals_waiting():
                ours, theirs = Pipe()
                child = processes.fork(lambda: _stage(theirs, Run(scenario, rules, ipv6, control)), (ours,))
                theirs.close()
        except OSError as error:
            raise _refused(error) from error
        names = {address: role for role, host in HOSTS.items() for address in (host.ipv4, host.ipv6)}
        begun = Begun("wire", names, True, _make_credentials(scenario, ours))
        yield Playing(begun, ours, child, control)
    finally:
        if child:
            with uninterrupted():
                _end_stage(child, ours)


def _make_credentials(scenario: Scenario, connection: Connection) -> str:
    """Makes what the hosts prove with who they are, while they are made, and tells the stage; returns the server's key.

    To draw a key takes longer than to make a host.
    """
    server = HOSTS["server"]
    credentials = scenario.make_credentials((server.ipv4, server.ipv6))
    if credentials is None:
        return ""
    with contextlib.suppress(OSError):  # it has ended: what it has said of that comes next
        connection.send(credentials)
    return credentials.server_key


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
        _play_script(connection, hosts, run, teller)
    except LabError as error:
        teller.tell(error)
        teller.finish()
    except OSError as error:
        teller.tell(_refused(error))
        teller.finish()
    except Exception as error:
        teller.tell(_broken(processes.place(error)))
        teller.finish()
        raise
    finally:
        _end_hosts(hosts)


def _broken(how: Text) -> MachineError:
    return MachineError(
        Text(f"the testbed ended unexpectedly ({how.en})", f"测试床意外终止（{how.zh}）"),
        Text("try again; LAB_DEBUG=1 shows its last words", "请重试；LAB_DEBUG=1 会显示它最后的输出"),
    )


def _refused(error: OSError) -> MachineError:
    why = reason(error)
    return MachineError(
        Text(f"the testbed could not be set up: {why.en}", f"测试床无法建立：{why.zh}"),
        Text("lab doctor says what this machine lacks", "运行 lab doctor 查看这台机器缺少什么"),
    )


def _play_script(connection: Connection, pids: list[int], run: Run, teller: _Teller) -> None:
    """Makes the hosts, adding their processes to `pids`, plays the script and tells that it has ended."""
    from lab.testbed.rules import Policy
    from lab.testbed.stage import Host, SceneEnded, Stage
    from lab.testbed.wire import Wire

    cpu = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})  # one CPU for all: then the order of things is the order of calls
    sysctl("net/ipv6/conf/all/disable_ipv6", "1")  # the wire itself says nothing
    # The hosts get tables of connections of their own, small ones. The machine's, which all share, has 262,144 rows on
    # a large one: reading it through (ss, /proc/net/tcp) takes 20 ms, theirs 2.
    sysctl("net/ipv4/tcp_child_ehash_entries", "256")
    channels = fork_hosts(run.scenario.endpoint(), run.family, run.control, pids, connection)
    living = dict(zip(ROLES, pids, strict=True))
    cables = lay_cables(living, channels)
    policy = Policy(run.rules)
    wire = Wire(cables, policy, teller.tell, _Commands(connection, living) if run.control else None)
    told = wire, teller.tell, run.scenario.endpoint
    hosts = {role: Host(role, address(role, run.family), channels[role], *told) for role in ROLES}
    early = None
    try:
        credentials = connection.recv() if run.scenario.credentials else None
        wire.start()
        run.scenario.script(Stage(hosts["client"], hosts["server"], wire, credentials, run.scenario.choices))
    except SceneEnded as ended:
        early = ended.reason
    except OSError as error:
        early = Text(str(error), str(error))
    except MachineError:  # a host does not answer any more: where its process has ended, that tells more
        processes.wait_for_any(pids, _PATIENCE)
        _require(living)
        raise
    _require(living)  # else `early` is not the scenario's reason
    teller.tell(Ended(early, wire.close(), policy.unused))
    teller.finish()  # before the wire's sockets are closed: that takes 10 ms, and nobody needs to wait for it


def _require(hosts: Mapping[Role, int]) -> None:
    """Raises MachineError where a host's process has ended."""
    from lab.testbed.stage import gone

    for role, pid in hosts.items():
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            raise gone(role, processes.ended(pid))
