"""Opens real connections, one after the other, and reads which number each begins with: within one namespace.

Every second one is from the same port to the same listener, so all that its number can differ by is the clock. Each is
opened for good, three segments, and reset by its client at once, so that no TIME-WAIT keeps its port.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

from lab.capture.packet_socket import read_waiting
from lab.model import Frame
from lab.protocols.exploration import Opened, Segment, segment
from lab.protocols.transport import ACK, SYN
from lab.testbed.cables import open_link
from lab.testbed.namespaces import sysctl

_AGAIN, _FIRST, _LISTENS = 40_000, 41_000, 8080  # ports
_EACH = 0.002  # seconds from one to the next: so the clock can be seen to go on
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER
_LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def opened(count: int, family: socket.AddressFamily) -> Iterator[Opened]:
    """Yields so many connections, in their order. The namespace's loopback interface is up."""
    sysctl("net/ipv4/ip_local_port_range", "50000 56999")
    host = _LOOPBACK[family]
    with open_link("lo") as wire, socket.create_server((host, _LISTENS), family=family, backlog=16) as listener:
        for at in range(count):
            begun = time.monotonic()
            _open(listener, family, host, _FIRST + at if at % 2 else _AGAIN)
            yield from _begun(wire)
            time.sleep(max(0.0, begun + _EACH - time.monotonic()))


def _open(listener: socket.socket, family: socket.AddressFamily, host: str, port: int) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        client.bind((host, port))
        client.connect((host, _LISTENS))
        accepted, _ = listener.accept()
    accepted.close()  # has been reset


def _begun(wire: socket.socket) -> Iterator[Opened]:
    """Yields which SYNs have passed."""
    for at, data in read_waiting(wire):
        found = segment(Frame(0, at, data, len(data)))
        if isinstance(found, Segment) and found.flags & (SYN | ACK) == SYN:
            yield Opened(at, found.source_port, found.seq)
