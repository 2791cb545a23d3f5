"""One kernel and its cable: the namespace of this process, and a packet socket at the cable's other end.

Both ends of the cable are in the one namespace; the end that the peer holds has no address, so the kernel itself never
takes anything from there.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from typing import NamedTuple

from lab.model import Frame, Role
from lab.protocols.exploration import NUMBER, Made, Options, Segment, segment
from lab.testbed import links
from lab.testbed.cables import Cables, Link, open_link, open_there
from lab.testbed.forge import checked
from lab.testbed.kernel import Witness
from lab.testbed.namespaces import offloads_off, sysctl
from lab.testbed.pair import HOSTS, address, mac, plug_in

_KERNEL: Role = "server"
_PEER: Role = "client"
_CABLE = "wire"
_HOP = 64
# What a kernel does by itself, with time, is put off: here only what arrives counts.
_PATIENT = {
    "net/ipv4/tcp_rto_min_us": "60000000",
    "net/ipv4/tcp_early_retrans": "0",
    "net/ipv4/tcp_challenge_ack_limit": "2147483647",  # without a limit
    "net/ipv4/tcp_rmem": "4096 131072 6291456",  # by which windows are offered; otherwise it goes by the memory
}


class Heard(NamedTuple):
    """A segment of the kernel's: to which port of the peer's, and the frame that it came in."""

    port: int
    segment: Segment
    data: bytes


class Machine:
    """The kernel of this process's network namespace, which must be an empty one. Raises MachineError and OSError."""

    def __init__(self, options: Options) -> None:
        self.family = socket.AF_INET6 if options.ipv6 else socket.AF_INET
        os.sched_setaffinity(
            0, {max(os.sched_getaffinity(0))}
        )  # one processor: then the order of things is that of calls
        links.lay_cable(_CABLE, "eth0", None, mac(_KERNEL))
        sysctl(f"net/ipv6/conf/{_CABLE}/disable_ipv6", "1")
        links.switch_on(_CABLE)
        offloads_off(_CABLE)
        plug_in(_KERNEL, self.family)
        for name, value in {
            **_PATIENT,
            "net/ipv4/tcp_timestamps": "1" if options.timestamps else "0",
            "net/ipv4/tcp_rfc1337": "1" if options.rfc1337 else "0",
        }.items():
            sysctl(name, value)
        self.address = address(_KERNEL, self.family)
        self.peer = address(_PEER, self.family)
        self.witness = Witness()
        link = Link(open_link(_CABLE), mac(_KERNEL), HOSTS[_KERNEL].ipv4, self.witness, open_there("eth0"))
        self._cables = Cables({_KERNEL: link})
        self.quiet()

    def pair(self, port: int, peer: int) -> bytes:
        """Returns the socket pair of a connection as the kernel sends it."""
        packed = (socket.inet_pton(self.family, each) for each in (self.address, self.peer))
        return b"".join((*packed, port.to_bytes(2, "big"), peer.to_bytes(2, "big")))

    def send(self, port: int, peer: int, made: Made) -> bytes:
        """Puts a segment of the peer's on the cable, and returns its frame."""
        data = self._frame(peer, port, made)
        self._cables.send(_KERNEL, data)
        return data

    def quiet(self) -> list[Heard]:
        """Returns when the kernel has dealt with what it got, and what it has said meanwhile."""
        return list(self._segments([data for _, _, data in self._cables.barrier()]))

    def listen(self, seconds: float) -> list[Heard]:
        """Waits so long, and returns what the kernel has said."""
        until = time.monotonic() + seconds
        heard: list[Heard] = []
        while (left := until - time.monotonic()) > 0:
            self._cables.listen(left)
            heard += self._segments([data for _, _, data in self._cables.arrived()])
        return heard + self.quiet()

    def _segments(self, frames: list[bytes]) -> Iterator[Heard]:
        for data in frames:
            found = segment(Frame(0, None, data, len(data)))
            if isinstance(found, Segment):
                yield Heard(found.destination_port, found, data)

    def _frame(self, source: int, destination: int, made: Made) -> bytes:
        """Writes a segment of the peer's between Ethernet and IP headers (RFC 791, RFC 8200), with right checksums."""
        options = made.options + bytes(-len(made.options) % 4)
        header = b"".join((
            source.to_bytes(2, "big"), destination.to_bytes(2, "big"), made.seq.to_bytes(4, "big"),
            made.ack.to_bytes(4, "big"), ((20 + len(options)) // 4 << 12 | made.flags).to_bytes(2, "big"),
            made.window.to_bytes(2, "big"), bytes(2), made.urgent.to_bytes(2, "big"), options,
        ))  # fmt: skip
        size = len(header) + len(made.payload)
        ends = socket.inet_pton(self.family, self.peer) + socket.inet_pton(self.family, self.address)
        if self.family == socket.AF_INET:
            kind = b"\x08\x00"
            ip = b"\x45\0" + (20 + size).to_bytes(2, "big") + bytes(4) + bytes([_HOP, NUMBER, 0, 0]) + ends
        else:
            kind = b"\x86\xdd"
            ip = b"\x60\0\0\0" + size.to_bytes(2, "big") + bytes([NUMBER, _HOP]) + ends
        data = checked(mac(_KERNEL) + mac(_PEER) + kind + ip + header + made.payload)
        return data[:-1] + bytes([data[-1] ^ 1]) if made.damaged else data
