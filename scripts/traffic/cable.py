"""Two hosts and a cable that loses, delays and reorders, all in network namespaces of their own, and what passed on it.

The point of capture is in the middle: of what is lost, a part was never seen. The dice are seeded, the kernels' timing
is not: two captures are alike, never equal. Nothing stays behind, however it ends: namespaces live as long as their
processes, and these die with their parent.
"""

from __future__ import annotations

import contextlib
import heapq
import random
import select
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from multiprocessing.connection import Connection, Pipe
from typing import NamedTuple

from lab.capture.packet_socket import read_waiting
from lab.model import Role
from lab.system import processes
from lab.testbed import links
from lab.testbed.cables import open_link
from lab.testbed.namespaces import CLONE_NEWNET, enter_namespaces, offloads_off, require_linux, sysctl, unshare

Frames = list[tuple[int, bytes]]  # nanoseconds since 1970, the frame
Work = Callable[[], object]  # what a host does; it is ended once enough was captured

_READ_WITHIN = 500_000_000  # nanoseconds
_SO_RCVBUFFORCE, _BUFFER = 33, 64 << 20  # beyond the machine's limit, where we may: else bursts are lost, too
_MACS: dict[Role, bytes] = {"client": bytes.fromhex("00005e005302"), "server": bytes.fromhex("00005e005303")}
# Documentation addresses (RFC 5737, RFC 3849): some for each host.
IPV4: dict[Role, list[str]] = {
    "client": [f"198.51.100.{number}" for number in range(10, 22)],
    "server": [f"203.0.113.{number}" for number in range(20, 28)],
}
IPV6: dict[Role, list[str]] = {
    "client": [f"2001:db8:1::{number:x}" for number in range(10, 22)],
    "server": [f"2001:db8:2::{number:x}" for number in range(20, 28)],
}


class Line(NamedTuple):
    """What a cable does to frames: probabilities for each, then seconds one way, bits a second, seconds of queue."""

    lost_unseen: float  # before the point of capture
    lost: float
    late_unseen: float  # overtaken before the point of capture, so captured out of order
    late: float
    twice: float
    delay: float
    rate: float
    queue: float  # what would wait longer is lost


def record(hosts: Mapping[Role, Work], count: int, line: Line, seed: int, seconds: float = 60) -> Iterator[Frames]:
    """Yields the first `count` frames that two hosts exchange, or those of `seconds`, some at a time as they come.

    The server's work begins first, the client's once the server has called `ready`. Raises LabError where this machine
    makes no namespaces, OSError where a host can't be set up.
    """
    require_linux()
    ours, theirs = Pipe(duplex=False)
    with processes.signals_waiting():
        stage = processes.fork(lambda: _stage(theirs, hosts, count, line, seed, seconds), (ours,))
    theirs.close()
    try:
        while (said := ours.recv()) is not None:
            if isinstance(said, Exception):
                raise said
            yield said
    except EOFError:
        raise OSError("the cable's process has ended") from None
    finally:
        ours.close()
        processes.end(stage)


def in_order(batches: Iterable[Frames]) -> Iterator[tuple[int, bytes]]:
    """Yields frames in order of time: a packet socket may be read a little later than the other."""
    waiting: Frames = []
    for batch in batches:
        for each in batch:
            heapq.heappush(waiting, each)
        until = max(at for at, _ in batch) - _READ_WITHIN
        while waiting[0][0] < until:
            yield heapq.heappop(waiting)
    yield from sorted(waiting)


def ready() -> None:
    """Called by the server's work when it listens."""
    assert _telling is not None
    _telling.send(None)


_telling: Connection | None = None  # a host's way to its stage


def _stage(
    connection: Connection, hosts: Mapping[Role, Work], count: int, line: Line, seed: int, seconds: float
) -> None:
    children: list[int] = []
    try:
        enter_namespaces()
        sysctl("net/ipv6/conf/all/disable_ipv6", "1")  # the cable itself says nothing
        sysctl("net/ipv4/tcp_child_ehash_entries", "4096")
        cables: dict[Role, socket.socket] = {}
        channels: dict[Role, Connection] = {}
        for role, work in hosts.items():
            ours, theirs = Pipe()
            foreign = (connection, ours, *channels.values())
            children.append(processes.fork(lambda role=role, work=work, at=theirs: _host(role, work, at), foreign))  # type: ignore[misc]  # mypy does not infer defaults of lambdas
            theirs.close()
            _expect(ours)
            links.lay_cable(role, "eth0", children[-1], _MACS[role])
            links.switch_on(role)
            offloads_off(role)
            cables[role] = open_link(role)
            with contextlib.suppress(OSError):
                cables[role].setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
            channels[role] = ours
        for role in ("server", "client"):  # type: Role
            channels[role].send(None)
            _expect(channels[role])  # both have an address before either begins
        channels["server"].send(None)
        _expect(channels["server"])
        channels["client"].send(None)
        for batch in _Forwarding(cables, line, random.Random(seed)).run(count, seconds):
            connection.send(batch)
        connection.send(None)
    except Exception as error:
        connection.send(error)
    finally:
        for child in children:
            processes.end(child)


def _expect(channel: Connection) -> None:
    answer = channel.recv()
    if isinstance(answer, Exception):
        raise answer


def _host(role: Role, work: Work, channel: Connection) -> None:
    global _telling
    try:
        unshare(CLONE_NEWNET)
        channel.send(None)  # the stage lays the cable now
        channel.recv()
        _plug_in(role)
        channel.send(None)
        channel.recv()
    except OSError as error:
        channel.send(error)
        return
    _telling = channel
    try:
        work()
    except Exception as error:
        channel.send(error)
        raise
    signal.pause()  # what its kernel has left to send, it sends


def _plug_in(role: Role) -> None:
    """Configures a host from inside: addresses, permanent neighbours, and nothing that talks by itself."""
    for name, value in {
        "net/ipv6/conf/eth0/router_solicitations": "0",
        "net/ipv6/conf/eth0/addr_gen_mode": "1",  # no link-local address: nothing to announce
        "net/ipv4/ip_nonlocal_bind": "1",
        "net/ipv4/tcp_tw_reuse": "1",
    }.items():
        sysctl(name, value)
    offloads_off("eth0")
    links.switch_on("eth0")
    links.switch_on("lo")
    other: Role = "server" if role == "client" else "client"
    for address in (*IPV4[role], *IPV6[role]):
        links.add_address("lo", address, 128 if ":" in address else 32)
    for address in (*IPV4[other], *IPV6[other]):
        links.add_route("eth0", address, 128 if ":" in address else 32)
        links.add_neighbour("eth0", address, _MACS[other])


class _Forwarding:
    """Passes frames on from one cable to the other, with noise, and notes what it has seen."""

    def __init__(self, cables: Mapping[Role, socket.socket], line: Line, dice: random.Random) -> None:
        self._cables = cables
        self._line = line
        self._dice = dice
        self._seen: Frames = []
        self._waiting: list[tuple[float, int, bool, Role, bytes]] = []  # due, number, seen before, receiver, frame
        self._number = 0
        self._free = dict.fromkeys(cables, 0.0)  # when the line to a host can take the next frame

    def run(self, count: int, seconds: float) -> Iterator[Frames]:
        deadline = time.monotonic() + seconds
        while count and (now := time.monotonic()) < deadline:
            patience = min(0.1, max(0.0, self._waiting[0][0] - now)) if self._waiting else 0.1
            select.select(list(self._cables.values()), [], [], patience)
            for time_ns, receiver, data in sorted(self._arrived()):
                self._take_in(time_ns, receiver, data)
            self._pass_on()
            if self._seen:
                yield self._seen[:count]
                count -= len(self._seen[:count])
                self._seen.clear()

    def _arrived(self) -> list[tuple[int, Role, bytes]]:
        return [
            (time_ns, "server" if sender == "client" else "client", data)
            for sender, cable in self._cables.items()
            for time_ns, data in read_waiting(cable)
        ]

    def _take_in(self, time_ns: int, receiver: Role, data: bytes) -> None:
        if self._happens(self._line.lost_unseen):
            return
        if self._happens(self._line.late_unseen):
            self._wait(self._some_time(), False, receiver, data)
            return
        self._seen.append((time_ns, data))
        self._pass_noisily(receiver, data)

    def _pass_noisily(self, receiver: Role, data: bytes) -> None:
        if self._happens(self._line.lost):
            return
        now = time.monotonic()
        begins = max(now, self._free[receiver])
        if begins - now > self._line.queue:
            return
        self._free[receiver] = ends = begins + len(data) * 8 / self._line.rate
        delay = ends - now + self._line.delay
        self._wait(delay + (self._some_time() if self._happens(self._line.late) else 0.0), True, receiver, data)
        if self._happens(self._line.twice):
            self._wait(delay + self._some_time(), True, receiver, data)

    def _happens(self, probability: float) -> bool:
        return self._dice.random() < probability

    def _some_time(self) -> float:
        return self._dice.uniform(0.0003, 0.004)

    def _wait(self, seconds: float, seen: bool, receiver: Role, data: bytes) -> None:
        self._number += 1
        heapq.heappush(self._waiting, (time.monotonic() + seconds, self._number, seen, receiver, data))

    def _pass_on(self) -> None:
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, seen, receiver, data = heapq.heappop(self._waiting)
            if not seen:
                self._seen.append((time.time_ns(), data))
                self._pass_noisily(receiver, data)
                continue
            with contextlib.suppress(OSError):  # the receiver's queue is full: cables lose frames
                self._cables[receiver].send(data)
