"""Cables, addresses and neighbours of the network namespace this process is in (rtnetlink).

include/uapi/linux/rtnetlink.h, if_link.h, veth.h. Five messages, written here because a library for all of rtnetlink
takes longer to import than a whole scenario to play. Every function raises OSError where the kernel refuses.
"""

from __future__ import annotations

import socket
import struct

from lab.testbed.netlink import ACK, CREATE, EXCLUSIVE, REPLACE, Netlink, attribute

_NETLINK_ROUTE = 0
_NEW_LINK, _NEW_ADDRESS, _NEW_ROUTE, _NEW_NEIGHBOUR = 16, 20, 24, 28
_LINK = struct.Struct("=BxHiII")  # family, hardware type, index, flags, which of them to change
_ADDRESS = struct.Struct("=BBBBI")  # family, length of the prefix, flags, scope, index
_ROUTE = struct.Struct("=8BI")  # family, lengths of both prefixes, TOS, table, protocol, scope, type, flags
_NEIGHBOUR = struct.Struct("=B3xiHBB")  # family, index, state, flags, type
_IFF_UP = 1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_LINKINFO, _IFLA_NET_NS_PID, _INFO_KIND, _INFO_DATA, _VETH_PEER = (
    1,
    3,
    18,
    19,
    1,
    2,
    1,
)
_IFA_ADDRESS, _IFA_LOCAL, _IFA_F_NODAD = 1, 2, 0x02  # NODAD: no 1.5 s of duplicate address detection
_RTA_DESTINATION, _RTA_OUT = 1, 4
_TABLE_MAIN, _TABLE_LOCAL, _STATIC, _UNIVERSE, _UNICAST, _LOCAL = 254, 255, 4, 0, 1, 2
_NDA_DESTINATION, _NDA_HARDWARE, _NUD_PERMANENT = 1, 2, 0x80


def lay_cable(name: str, peer: str, pid: int | None = None, peer_mac: bytes = b"") -> None:
    """Makes a cable (veth). Its other end is in the namespace of process `pid`, or here too."""
    other = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute(_IFLA_IFNAME, peer.encode() + b"\0")
    if peer_mac:
        other += attribute(_IFLA_ADDRESS, peer_mac)
    if pid is not None:
        other += attribute(_IFLA_NET_NS_PID, struct.pack("=I", pid))
    data = attribute(_INFO_DATA, attribute(_VETH_PEER, other))
    veth = attribute(_IFLA_LINKINFO, attribute(_INFO_KIND, b"veth") + data)
    link = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute(_IFLA_IFNAME, name.encode() + b"\0") + veth
    _tell(_NEW_LINK, link, CREATE | EXCLUSIVE)


def switch_on(name: str) -> None:
    """Sets an interface up."""
    _tell(_NEW_LINK, _LINK.pack(socket.AF_UNSPEC, 0, socket.if_nametoindex(name), _IFF_UP, _IFF_UP))


def add_address(name: str, address: str, prefix: int) -> None:
    """Gives an interface an address (IPv4 or IPv6), which is used at once."""
    family, packed = _packed(address)
    flags = _IFA_F_NODAD if family == socket.AF_INET6 else 0
    head = _ADDRESS.pack(family, prefix, flags, _UNIVERSE, socket.if_nametoindex(name))
    _tell(_NEW_ADDRESS, head + attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed), CREATE | EXCLUSIVE)
    if family == socket.AF_INET6:
        # The kernel leaves an IPv6 address's own route to a thread that runs when there is time (addrconf_dad_work).
        # Until then what comes to the address is answered with ICMP's "no route", and the address can't reach itself.
        _add_route(name, address, 128, _TABLE_LOCAL, _LOCAL)


def add_route(name: str, destination: str, prefix: int) -> None:
    """Sends what goes to a subnet out of an interface."""
    _add_route(name, destination, prefix, _TABLE_MAIN, _UNICAST)


def _add_route(name: str, destination: str, prefix: int, table: int, kind: int) -> None:
    family, packed = _packed(destination)
    head = _ROUTE.pack(family, prefix, 0, 0, table, _STATIC, _UNIVERSE, kind, 0)
    out = struct.pack("=I", socket.if_nametoindex(name))
    _tell(_NEW_ROUTE, head + attribute(_RTA_DESTINATION, packed) + attribute(_RTA_OUT, out), CREATE | EXCLUSIVE)


def add_neighbour(name: str, address: str, mac: bytes) -> None:
    """Makes an address on an interface's link known for good: nobody asks for it."""
    family, packed = _packed(address)
    head = _NEIGHBOUR.pack(family, socket.if_nametoindex(name), _NUD_PERMANENT, 0, 0)
    _tell(_NEW_NEIGHBOUR, head + attribute(_NDA_DESTINATION, packed) + attribute(_NDA_HARDWARE, mac), CREATE | REPLACE)


def _packed(address: str) -> tuple[socket.AddressFamily, bytes]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)


def _tell(kind: int, body: bytes, flags: int = 0) -> None:
    netlink = Netlink(_NETLINK_ROUTE)
    try:
        netlink.ask(kind, body, ACK | flags)
    finally:
        netlink.close()
