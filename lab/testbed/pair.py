"""The two hosts of the namespace testbed: their processes, namespaces and addresses, and the cables to the wire."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from functools import partial
from multiprocessing.connection import Connection, Pipe
from typing import TYPE_CHECKING, Any, NamedTuple

from lab.model import Role
from lab.system import processes
from lab.system.processes import Closable
from lab.testbed import links
from lab.testbed.namespaces import CLONE_NEWNET, inside, offloads_off, sysctl, unshare

if TYPE_CHECKING:
    from lab.testbed.cables import Link

ROLES: tuple[Role, Role] = ("client", "server")


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


# Of a run that is controlled, where a frame may be held for ten minutes: no kernel gives up meanwhile, nor waits for
# long afterwards. Held time becomes round-trip time: without a limit the next timeout would be three times as long.
# What a kernel counts ends with the number of timeouts, each a limit long: of a SYN 127 of a second and as many of the
# limit (12 minutes), of all else 255 (21 minutes).
_PATIENT = {
    "net/ipv4/tcp_rto_max_ms": "5000",
    "net/ipv4/tcp_syn_linear_timeouts": "127",
    "net/ipv4/tcp_syn_retries": "127",
    "net/ipv4/tcp_synack_retries": "255",
    "net/ipv4/tcp_retries2": "255",
    "net/ipv4/tcp_orphan_retries": "255",
    "net/ipv4/tcp_fin_timeout": "3600",
}


def address(role: Role, family: socket.AddressFamily) -> str:
    return HOSTS[role].ipv6 if family == socket.AF_INET6 else HOSTS[role].ipv4


def fork_hosts(
    endpoint: type[Any], family: socket.AddressFamily, patient: bool, pids: list[int], foreign: Closable
) -> dict[Role, Connection]:
    """Starts both hosts, adding their processes to `pids`, and returns the connections by which they are told things.

    With `patient` their kernels give up on nothing. What is `foreign` they do not keep open.
    """
    from lab.testbed import host  # noqa: F401  # once, and not in each of the two

    channels: dict[Role, Connection] = {}
    for role in ROLES:
        ours, theirs = Pipe()
        work = partial(_host, role, theirs, endpoint, family, patient)
        with processes.signals_waiting():
            pids.append(processes.fork(work, (foreign, ours, *channels.values())))
        theirs.close()
        channels[role] = ours
    return channels


def lay_cables(hosts: Mapping[Role, int], channels: Mapping[Role, Connection]) -> dict[Role, Link]:
    """Makes the cables between the wire and its hosts, and asks for the hosts' kernels to be heard."""
    from lab.testbed.cables import Link, open_link, open_there
    from lab.testbed.kernel import Witness

    sockets = {}
    for role, pid in hosts.items():
        _expect(channels[role])
        links.lay_cable(role, "eth0", pid, mac(role))
        links.switch_on(role)
        offloads_off(role)
        sockets[role] = open_link(role)
        channels[role].send(None)
    cables = {}
    for role, pid in hosts.items():
        _expect(channels[role])
        with inside(pid):
            cables[role] = Link(sockets[role], mac(role), HOSTS[role].ipv4, Witness(), open_there("eth0"))
    return cables


def mac(role: Role) -> bytes:
    return bytes.fromhex(HOSTS[role].mac.replace(":", ""))


def _expect(connection: Connection) -> None:
    """Waits for a host to say that it is ready, or why it can't be."""
    try:
        answer = connection.recv()
    except EOFError:
        raise OSError(errno.ECHILD, os.strerror(errno.ECHILD)) from None
    if isinstance(answer, OSError):
        raise answer


def _host(role: Role, connection: Connection, endpoint: type[Any], family: socket.AddressFamily, patient: bool) -> None:
    """A host's process: a namespace, an address, a neighbour, and then whatever it is told."""
    from lab.testbed.host import serve

    try:
        unshare(CLONE_NEWNET)
        connection.send(None)  # the wire lays the cable now
        connection.recv()
        plug_in(role, family)
        for name, value in _PATIENT.items() if patient else ():
            sysctl(name, value)
        connection.send(None)
    except OSError as error:
        connection.send(error)
        return
    serve(connection, endpoint(family, address(role, family)))


def plug_in(role: Role, family: socket.AddressFamily) -> None:
    """Configures a host from inside: addresses, a permanent neighbour, and nothing that talks by itself."""
    for name, value in {
        "net/ipv6/conf/all/disable_ipv6": "0" if family == socket.AF_INET6 else "1",
        "net/ipv6/conf/eth0/disable_ipv6": "0" if family == socket.AF_INET6 else "1",
        "net/ipv6/conf/eth0/router_solicitations": "0",
        "net/ipv6/conf/eth0/addr_gen_mode": "1",  # no link-local address: nothing to announce
        "net/ipv4/tcp_rto_min_us": "1000000",  # RFC 6298 (2.4); at Linux's 0.2 s a busy machine sends again for nothing
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
        links.add_route("eth0", "2001:db8::", 64)
    for each in {socket.AF_INET, family}:
        links.add_neighbour("eth0", address(other, each), mac(other))
