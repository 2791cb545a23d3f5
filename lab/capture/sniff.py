"""A sniffer on an interface, opened with Scapy: it hears all from the moment it is made, and counts what it misses.

Scapy's AsyncSniffer opens its socket in a thread of its own, too late for the first SYN: here the socket is open when
the constructor returns, and what is in it when the last packet has passed is taken out before the count is read.
"""

from __future__ import annotations

import logging
import select
import socket

from lab.capture.packet_socket import missed, read_waiting

BUFFER = 4 << 20  # bytes asked of the kernel, which may grant less; at Scapy's usual 64 KiB half a transfer is lost


class Sniffer:
    """Every frame that enters or leaves `interface`. Needs CAP_NET_RAW; raises OSError as sockets do."""

    def __init__(self, interface: str) -> None:
        logging.getLogger("scapy").setLevel(logging.ERROR)  # it warns that it does not know Ethernet: we do
        from scapy.arch.linux import L2ListenSocket
        from scapy.config import conf

        conf.bufsize = BUFFER
        self._socket = L2ListenSocket(iface=interface, promisc=False)
        self._packets: socket.socket = self._socket.ins
        self._packets.setblocking(False)
        self._missed = 0

    def wait(self, seconds: float) -> bool:
        """Waits for a frame; returns whether one is there."""
        return bool(select.select([self._packets], [], [], seconds)[0])

    def read(self) -> list[tuple[int, bytes]]:
        """Returns all frames that have come, each with its time in nanoseconds since 1970."""
        return read_waiting(self._packets)

    @property
    def missed(self) -> int:
        """How many frames the kernel had no room for."""
        self._missed += missed(self._packets)
        return self._missed

    @property
    def mac(self) -> str:
        """The interface's address, in hex."""
        address: bytes = self._packets.getsockname()[4]
        return address.hex(":")

    def close(self) -> None:
        self._socket.close()
