"""The network-namespace testbed: client, server and wire, three namespaces and three processes, gone when `lab` is.

    lab ── the stage's process (the wire's namespace: forwards frames, tells the hosts what to do)
             ├── client (a namespace of its own, one cable to the wire)
             └── server (the same)

Nothing has a name outside: a namespace lives as long as its process, a process dies with its parent, so there is
nothing to clean up, whatever ends the lab. As an ordinary user all of it happens inside a user namespace.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lab.errors import LabError, MachineError
from lab.model import Role, WireEvent
from lab.protocols.scenario import Scenario
from lab.testbed.rules import Rule
from lab.text import Text

if TYPE_CHECKING:
    from lab.testbed.wire import Link

_CLONE_NEWUSER, _CLONE_NEWNET, _PR_SET_PDEATHSIG = 0x10000000, 0x40000000, 1
# include/uapi/linux/ethtool.h, sockios.h
_SIOCETHTOOL = 0x8946
_OFFLOADS = {"tx checksum": 0x17, "TSO": 0x1F, "GSO": 0x24, "GRO": 0x2C}
_IFA_F_NODAD = 0x02  # include/uapi/linux/if_addr.h: no 1.5 s of duplicate address detection
ROLES: tuple[Role, Role] = ("client", "server")
_PATIENCE = 2.0  # seconds; the stage's process ends within milliseconds
_STOPPING = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}


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


class Ended(NamedTuple):
    """The scenario is over: the reason it stopped early, where it did."""

    early: Text | None


@contextlib.contextmanager
def play(scenario: Scenario, rules: Sequence[Rule], ipv6: bool) -> Iterator[Iterator[WireEvent | Ended]]:
    """Plays a scenario between two fresh hosts and yields its events as they happen, `Ended` as the last.

    Raises MachineError where namespaces are not to be had. Leaving the context ends all processes.
    """
    require_linux()
    sys.stdout.flush()
    sys.stderr.flush()
    child = 0
    try:
        try:
            with _signals_waiting():
                ours, theirs = Pipe()
                child = _fork(lambda: _stage(theirs, scenario, rules, ipv6), (ours,))
        except OSError as error:
            raise _refused(error) from error
        theirs.close()
        yield _events(ours)
    finally:
        if child:
            _end_stage(child, ours)


def require_linux() -> None:
    if sys.platform != "linux":
        raise MachineError(
            Text("network namespaces exist on Linux only", "只有 Linux 才有网络命名空间"),
            Text("annotate a capture instead: lab annotate FILE", "可以改为解读已有的抓包：lab annotate FILE"),
        )


def enter_namespaces() -> None:
    """Moves this process into a network namespace of its own, inside a user namespace where it has no privileges.

    Raises MachineError where the kernel forbids it.
    """
    uid, gid = os.geteuid(), os.getegid()
    try:
        if uid == 0:
            with contextlib.suppress(PermissionError):
                _unshare(_CLONE_NEWNET)
                return
        _unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    except OSError as error:
        why = _reason(error)
        raise MachineError(
            Text(
                f"this machine does not let you make a network namespace ({why.en})",
                f"这台机器不允许创建网络命名空间（{why.zh}）",
            ),
            Text("lab doctor says why, and the command that mends it", "运行 lab doctor 查看原因和修复命令"),
        ) from error


def _events(connection: Connection) -> Iterator[WireEvent | Ended]:
    while True:
        try:
            event = connection.recv()
        except (EOFError, OSError):  # OSError where it ended in the middle of a word
            raise MachineError(
                Text("the testbed ended unexpectedly", "测试床意外终止"),
                Text("try again; LAB_DEBUG=1 shows its last words", "请重试；LAB_DEBUG=1 会显示它最后的输出"),
            ) from None
        if isinstance(event, LabError):
            raise event
        yield event
        if isinstance(event, Ended):
            return


def _fork(work: Callable[[], None], foreign: Sequence[Connection]) -> int:
    """Runs `work` in a child that dies with this process and never returns into our caller's code."""
    parent = os.getpid()
    status = 1
    try:
        child = os.fork()
        if child:
            return child
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us too; our parent answers it and ends us
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # so does the end of a terminal
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        if not os.environ.get("LAB_DEBUG"):
            sys.unraisablehook = lambda _what: None  # the parent says what is wrong, in two lines
        for connection in foreign:
            connection.close()
        _die_with(parent)
        work()
        status = 0
    except Exception:
        if os.getpid() == parent:
            raise
        if os.environ.get("LAB_DEBUG"):
            sys.excepthook(*sys.exc_info())
    finally:
        if os.getpid() != parent:
            os._exit(status)
    raise AssertionError("a child ends above")


@contextlib.contextmanager
def _signals_waiting() -> Iterator[None]:
    """Lets no signal come between a fork and the note of it: the child would be forgotten."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_stage(child: int, connection: Connection) -> None:
    """Asks the stage's process to end, which first ends the hosts; where it can't, the kernel ends all three."""
    os.kill(child, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    with contextlib.suppress(OSError):
        while (left := deadline - time.monotonic()) > 0 and connection.poll(left):
            if not os.read(connection.fileno(), 1 << 16):  # the other side is gone
                break
    connection.close()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _end_hosts(hosts: list[int]) -> None:
    """Ends the hosts' processes and waits for them: orphans stay behind where nobody takes them, as in a container."""
    for host in hosts:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):  # done before, and then asked to end
            os.kill(host, signal.SIGKILL)
            os.waitpid(host, 0)
    hosts.clear()


def _die_with(parent: int) -> None:
    """Asks the kernel to kill this process when `parent` dies; a change of credentials undoes it, so ask again then."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _stage(connection: Connection, scenario: Scenario, rules: Sequence[Rule], ipv6: bool) -> None:
    """The stage's process: makes the hosts, plays the script, tells `connection` everything."""
    parent = os.getppid()
    hosts: list[int] = []

    def leave(_number: int, _frame: object) -> None:
        _end_hosts(hosts)
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    try:
        enter_namespaces()
        _die_with(parent)
        connection.send(_played(connection, hosts, scenario, rules, ipv6))
    except LabError as error:
        connection.send(error)
    except OSError as error:
        connection.send(_refused(error))
    finally:
        _end_hosts(hosts)


def _refused(error: OSError) -> MachineError:
    why = _reason(error)
    return MachineError(
        Text(f"the testbed could not be set up: {why.en}", f"测试床无法建立：{why.zh}"),
        Text("lab doctor says what this machine lacks", "运行 lab doctor 查看这台机器缺少什么"),
    )


def _reason(error: OSError) -> Text:
    if error.errno == errno.ENOSPC:  # what the kernel says where a limit forbids one more; no disk is full
        return Text("the limit on namespaces is reached", "命名空间数量已达上限")
    words = os.strerror(error.errno) if error.errno else str(error)
    return Text(words, words)


def _played(connection: Connection, pids: list[int], scenario: Scenario, rules: Sequence[Rule], ipv6: bool) -> Ended:
    """Makes the hosts, adding their processes to `pids`, and plays the script."""
    from lab.testbed.rules import Policy
    from lab.testbed.stage import Host, SceneEnded, Stage, gone
    from lab.testbed.wire import Wire

    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    cpu = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})  # one CPU for all: then the order of things is the order of calls
    channels: dict[Role, Connection] = {}
    links = {}
    _sysctl("net/ipv6/conf/all/disable_ipv6", "1")  # the wire itself says nothing
    for role in ROLES:
        ours, theirs = Pipe()
        foreign = (connection, ours, *channels.values())
        with _signals_waiting():
            pid = _fork(lambda role=role, theirs=theirs: _host(role, theirs, family), foreign)  # type: ignore[misc]  # mypy does not infer defaults of lambdas
            pids.append(pid)
        theirs.close()
        _expect(ours)
        links[role] = _lay_cable(role, pid, ours, family)
        channels[role] = ours
    wire = Wire(links, Policy(rules), connection.send)
    hosts = {role: Host(role, _address(role, family), channels[role], wire) for role in ROLES}
    early = None
    try:
        wire.start()
        scenario.script(Stage(hosts["client"], hosts["server"], wire))
    except SceneEnded as ended:
        early = ended.reason
    except OSError as error:
        early = Text(str(error), str(error))
    for role, pid in zip(ROLES, pids, strict=True):
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):  # then `early` is not the scenario's reason
            raise gone(role)
    wire.close()
    return Ended(early)


def _address(role: Role, family: socket.AddressFamily) -> str:
    return HOSTS[role].ipv6 if family == socket.AF_INET6 else HOSTS[role].ipv4


def _expect(connection: Connection) -> None:
    """Waits for a host to say that it is ready, or why it can't be."""
    try:
        answer = connection.recv()
    except EOFError:
        raise OSError(errno.ECHILD, os.strerror(errno.ECHILD)) from None
    if isinstance(answer, OSError):
        raise answer


def _host(role: Role, connection: Connection, family: socket.AddressFamily) -> None:
    """A host's process: a namespace, an address, a neighbour, and then whatever it is told."""
    from lab.protocols.tcp.endpoints import Endpoint
    from lab.testbed.host import serve

    try:
        _unshare(_CLONE_NEWNET)
        connection.send(None)  # the wire lays the cable now
        connection.recv()
        _plug_in(role, family)
        connection.send(None)
    except OSError as error:
        connection.send(error)
        return
    serve(connection, Endpoint(family, _address(role, family)))


def _lay_cable(role: Role, pid: int, host: Connection, family: socket.AddressFamily) -> Link:
    """Makes the cable between the wire and a host, and asks for the host's kernel to be heard."""
    from lab.testbed.kernel import Witness
    from lab.testbed.wire import Link, open_link

    with _netlink() as ip:
        peer = {"ifname": "eth0", "net_ns_pid": pid, "address": HOSTS[role].mac}
        ip.link("add", ifname=role, kind="veth", peer=peer)
        ip.link("set", index=ip.link_lookup(ifname=role)[0], state="up")
    _offloads_off(role)
    link = open_link(role)
    host.send(None)
    _expect(host)
    with _inside(pid):
        witness = Witness(family)
    return Link(link, bytes.fromhex(HOSTS[role].mac.replace(":", "")), HOSTS[role].ipv4, witness)


@contextlib.contextmanager
def _inside(pid: int) -> Iterator[None]:
    """Visits the network namespace of another process."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        if libc.setns(there, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        yield
    finally:
        libc.setns(home, _CLONE_NEWNET)
        os.close(home)
        os.close(there)


def _plug_in(role: Role, family: socket.AddressFamily) -> None:
    """Configures a host from inside: addresses, a permanent neighbour, and nothing that talks by itself."""
    for name, value in {
        "net/ipv6/conf/all/disable_ipv6": "0" if family == socket.AF_INET6 else "1",
        "net/ipv6/conf/eth0/disable_ipv6": "0" if family == socket.AF_INET6 else "1",
        "net/ipv6/conf/eth0/router_solicitations": "0",
        "net/ipv6/conf/eth0/addr_gen_mode": "1",  # no link-local address: nothing to announce
        "net/ipv4/tcp_syn_linear_timeouts": "0",  # a lost SYN is sent again after 1, 3, 7 s, as the RFCs tell it
    }.items():
        _sysctl(name, value)
    _offloads_off("eth0")
    other: Role = "server" if role == "client" else "client"
    with _netlink() as ip:
        index = ip.link_lookup(ifname="eth0")[0]
        ip.addr("add", index=index, address=HOSTS[role].ipv4, prefixlen=28)
        ip.link("set", index=index, state="up")
        ip.link("set", index=1, state="up")
        if family == socket.AF_INET6:
            # The address lives on the loopback interface: on eth0 the kernel would announce its multicast group, at a
            # random moment of the first second, in the middle of the lesson.
            ip.addr("add", index=1, address=HOSTS[role].ipv6, prefixlen=128, flags=_IFA_F_NODAD)
            ip.route("add", dst="2001:db8::/64", oif=index, family=family)
        for each in {socket.AF_INET, family}:
            neighbour = {"dst": _address(other, each), "lladdr": HOSTS[other].mac, "family": each}
            ip.neigh("replace", ifindex=index, state=0x80, **neighbour)  # NUD_PERMANENT


@contextlib.contextmanager
def _netlink() -> Iterator[Any]:
    """Lets this namespace be configured. Raises OSError where the kernel refuses."""
    from pyroute2 import IPRoute, NetlinkError

    try:
        with IPRoute() as ip:
            yield ip
    except NetlinkError as error:
        raise OSError(error.code, os.strerror(error.code)) from error


def _sysctl(name: str, value: str) -> None:
    """Sets a kernel parameter of this namespace, where this kernel has it and lets us."""
    with contextlib.suppress(OSError):
        Path("/proc/sys", name).write_text(value)


def _offloads_off(interface: str) -> None:
    """Makes the kernel finish checksums and segment by itself, so that what is captured is what a wire would carry."""
    import fcntl  # not on Windows, where this file is imported to say that it can't be used

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for command in _OFFLOADS.values():
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP", interface.encode(), ctypes.addressof(value))
            with contextlib.suppress(OSError):
                fcntl.ioctl(any_socket, _SIOCETHTOOL, request)
