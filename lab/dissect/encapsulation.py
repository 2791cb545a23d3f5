"""What stands before an IP header: one table of link layers and tunnels, from which both readers take it.

`segment.py` asks each entry where its header ends and what follows; `fields.py` also shows its rows. An entry that says
nothing follows is not opened any further: it is encrypted, is no data, or carries something that is no IP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lab.dissect.formats import Table, bits, decimal, ethertype, flags, hexadecimal, little, mac, named, number

Step = Callable[[bytes, int], "tuple[int, str] | None"]

IPV4, IPV6, NOTHING = "IPv4", "IPv6", ""


class Encapsulation(NamedTuple):
    """A header that goes before. `rows` are its fixed part; what it has beyond them is shown as data.

    `step` takes the bytes and where the header begins; it returns where the next begins and what that is, NOTHING where
    it is not opened, or None where the header is cut short.
    """

    rows: Table
    step: Step
    source: str


# What the numbers for the next header mean.

_ETHERTYPES = {
    0x0800: IPV4, 0x86DD: IPV6, 0x8100: "802.1Q", 0x88A8: "802.1Q", 0x9100: "802.1Q", 0x8847: "MPLS", 0x8848: "MPLS",
    0x8864: "PPPoE",
}  # fmt: skip
_FIRST_ETHERTYPE = 0x0600  # below, it is a length, and LLC follows (IEEE 802.3)
_BRIDGED = 0x6558  # Transparent Ethernet Bridging
_PPP = {0x0021: IPV4, 0x0057: IPV6, 0x0281: "MPLS"}
_FAMILIES = {2: IPV4, 10: IPV6, 24: IPV6, 28: IPV6, 30: IPV6}  # AF_INET, and AF_INET6 of Linux and the BSDs
_UDP_PORTS = {4789: "VXLAN", 6081: "Geneve"}

# IP protocols that lead to another packet.
TUNNELS = {4: IPV4, 41: IPV6, 47: "GRE", 17: "UDP"}


def _of_type(value: int) -> str:
    return _ETHERTYPES.get(value, NOTHING) if value >= _FIRST_ETHERTYPE else "LLC"


def _number(data: bytes, at: int, size: int = 2) -> int:
    return int.from_bytes(data[at : at + size], "big")


def _by_version(data: bytes, at: int) -> str:
    return {4: IPV4, 6: IPV6}.get(data[at] >> 4, NOTHING) if at < len(data) else NOTHING


def _typed(size: int, where: int) -> Step:
    """A header of `size` bytes with an EtherType at `where`."""

    def step(data: bytes, at: int) -> tuple[int, str] | None:
        if len(data) < at + size:
            return None
        return at + size, _of_type(_number(data, at + where))

    return step


def _sll(data: bytes, at: int) -> tuple[int, str] | None:
    if len(data) < at + 16:
        return None
    kind = _number(data, at + 14)
    return at + 16, "LLC" if kind == 4 else _ETHERTYPES.get(kind, NOTHING)


def _sll2(data: bytes, at: int) -> tuple[int, str] | None:
    if len(data) < at + 20:
        return None
    kind = _number(data, at)
    return at + 20, "LLC" if kind == 4 else _ETHERTYPES.get(kind, NOTHING)


def _family(data: bytes, at: int) -> tuple[int, str] | None:
    """The address family, in the byte order of whoever captured it."""
    if len(data) < at + 4:
        return None
    value = _number(data, at, 4)
    if value > 0xFFFF:
        value = int.from_bytes(data[at : at + 4], "little")
    return at + 4, _FAMILIES.get(value, NOTHING)


def _bare(data: bytes, at: int) -> tuple[int, str] | None:
    return (at, _by_version(data, at)) if at < len(data) else None


def _mpls(data: bytes, at: int) -> tuple[int, str] | None:
    if len(data) < at + 4:
        return None
    bottom = data[at + 2] & 1  # nothing says what is carried: its first four bits do (RFC 4928)
    return at + 4, _by_version(data, at + 4) if bottom else "MPLS"


def _pppoe(data: bytes, at: int) -> tuple[int, str] | None:
    if len(data) < at + 6:
        return None
    return at + 6, NOTHING if data[at + 1] else "PPP"


def _ppp(data: bytes, at: int) -> tuple[int, str] | None:
    if data[at : at + 2] == b"\xff\x03":  # address and control, which may be left out (RFC 1661 section 6.6)
        at += 2
    if len(data) < at + 2:
        return None
    size = 1 if data[at] & 1 else 2  # section 6.5
    return at + size, _PPP.get(_number(data, at, size), NOTHING)


def _llc(data: bytes, at: int) -> tuple[int, str] | None:
    if len(data) < at + 3:
        return None
    if data[at : at + 3] != b"\xaa\xaa\x03":
        return at + 3, IPV4 if data[at : at + 3] == b"\x06\x06\x03" else NOTHING
    if len(data) < at + 8:
        return None
    kind = _number(data, at + 6)
    return at + 8, _ETHERTYPES.get(kind, NOTHING) if data[at + 3 : at + 6] in (bytes(3), b"\0\0\xf8") else NOTHING


def _radiotap(data: bytes, at: int) -> tuple[int, str] | None:
    length = int.from_bytes(data[at + 2 : at + 4], "little")
    if len(data) < at + 8 or length < 8 or len(data) < at + length:
        return None
    present, first, words = int.from_bytes(data[at + 4 : at + 8], "little"), at + 8, 1
    while data[first - 1] & 0x80 and first + 4 <= at + length:  # more words of what is present
        first, words = first + 4, words + 1
    if present & 1:
        first += (at - first) % 8 + 8  # the timestamp stands aligned
    padded = present & 2 and first < at + length and data[first] & 0x20
    return at + length, "802.11, padded" if padded else "802.11"


def _wireless(padding: int) -> Step:
    def step(data: bytes, at: int) -> tuple[int, str] | None:
        if len(data) < at + 24:
            return None
        control, more = data[at], data[at + 1]
        quality = control & 0x80
        size = 24 + 6 * (more & 3 == 3) + 2 * bool(quality) + 4 * bool(quality and more & 0x80)
        if len(data) < at + size:
            return None
        # Only data (type 2) that are there (not a Null), in the clear, and one packet a frame.
        several = quality and data[at + size - 2 - 4 * bool(more & 0x80)] & 0x80
        opened = control & 0x0C == 0x08 and not control & 0x40 and not more & 0x40 and not several
        return at + size + -size % padding, "LLC" if opened else NOTHING

    return step


def _gre(data: bytes, at: int) -> tuple[int, str] | None:
    if len(data) < at + 4:
        return None
    first, kind = _number(data, at), _number(data, at + 2)
    end = at + 4 + 4 * (bool(first & 0x8000) + bool(first & 0x2000) + bool(first & 0x1000))
    if first & 0x4007:  # routing, or another version
        return end, NOTHING
    return (end, "Ethernet" if kind == _BRIDGED else _ETHERTYPES.get(kind, NOTHING)) if len(data) >= end else None


def _udp(data: bytes, at: int) -> tuple[int, str] | None:
    if len(data) < at + 8:
        return None
    ports = _number(data, at + 2), _number(data, at)
    return at + 8, next((_UDP_PORTS[port] for port in ports if port in _UDP_PORTS), NOTHING)


def _vxlan(data: bytes, at: int) -> tuple[int, str] | None:
    if len(data) < at + 8:
        return None
    return at + 8, "Ethernet" if data[at] & 0x08 else NOTHING


def _geneve(data: bytes, at: int) -> tuple[int, str] | None:
    if len(data) < at + 8:
        return None
    end, kind = at + 8 + 4 * (data[at] & 0x3F), _number(data, at + 2)
    if data[at] >> 6:  # another version
        return end, NOTHING
    return (end, "Ethernet" if kind == _BRIDGED else _ETHERTYPES.get(kind, NOTHING)) if len(data) >= end else None


_TYPE = number(ethertype)

ENCAPSULATIONS: dict[str, Encapsulation] = {
    "Ethernet": Encapsulation((
        ("Destination Address",                     0,    6, mac),
        ("Source Address",                          6,    6, mac),
        ("Type",                                   12,    2, _TYPE),
    ), _typed(14, 12), "RFC 894, IEEE 802.3"),
    "802.1Q": Encapsulation((
        ("PCP",                                     0,    2, bits(0, 3)),
        ("DEI",                                     0,    2, bits(3, 1)),
        ("VID",                                     0,    2, bits(4, 12)),
        ("Type",                                    2,    2, _TYPE),
    ), _typed(4, 2), "IEEE 802.1Q"),
    "LLC": Encapsulation((
        ("DSAP",                                    0,    1, hexadecimal),
        ("SSAP",                                    1,    1, hexadecimal),
        ("Control",                                 2,    1, hexadecimal),
    ), _llc, "IEEE 802.2, RFC 1042"),
    "MPLS": Encapsulation((
        ("Label",                                   0,    4, bits(0, 20)),
        ("TC",                                      0,    4, bits(20, 3)),
        ("S",                                       0,    4, bits(23, 1)),
        ("TTL",                                     0,    4, bits(24, 8)),
    ), _mpls, "RFC 3032"),
    "PPPoE": Encapsulation((
        ("VER",                                     0,    1, bits(0, 4)),
        ("TYPE",                                    0,    1, bits(4, 4)),
        ("CODE",                                    1,    1, hexadecimal),
        ("SESSION_ID",                              2,    2, hexadecimal),
        ("LENGTH",                                  4,    2, decimal),
    ), _pppoe, "RFC 2516"),
    "PPP": Encapsulation((), _ppp, "RFC 1661"),
    "Linux cooked": Encapsulation((
        ("Packet Type",                             0,    2, decimal),
        ("ARPHRD Type",                             2,    2, decimal),
        ("Address Length",                          4,    2, decimal),
        ("Link-Layer Address",                      6,    8, mac),
        ("Type",                                   14,    2, _TYPE),
    ), _sll, "LINKTYPE_LINUX_SLL"),
    "Linux cooked 2": Encapsulation((
        ("Type",                                    0,    2, _TYPE),
        ("Reserved",                                2,    2, decimal),
        ("Interface Index",                         4,    4, decimal),
        ("ARPHRD Type",                             8,    2, decimal),
        ("Packet Type",                            10,    1, decimal),
        ("Address Length",                         11,    1, decimal),
        ("Link-Layer Address",                     12,    8, mac),
    ), _sll2, "LINKTYPE_LINUX_SLL2"),
    "Loopback": Encapsulation((
        ("Family",                                  0,    4, hexadecimal),
    ), _family, "LINKTYPE_NULL, LINKTYPE_LOOP"),
    "Raw IP": Encapsulation((), _bare, "LINKTYPE_RAW"),
    "Radiotap": Encapsulation((
        ("it_version",                              0,    1, decimal),
        ("it_pad",                                  1,    1, decimal),
        ("it_len",                                  2,    2, little()),
        ("it_present",                              4,    4, little("0x{:08x}".format)),
    ), _radiotap, "radiotap.org"),
    "802.11": Encapsulation((
        ("Frame Control",                           0,    2, hexadecimal),
        ("Duration",                                2,    2, little()),
        ("Address 1",                               4,    6, mac),
        ("Address 2",                              10,    6, mac),
        ("Address 3",                              16,    6, mac),
        ("Sequence Control",                       22,    2, hexadecimal),
    ), _wireless(1), "IEEE 802.11"),
    "GRE": Encapsulation((
        ("Flags and Version",                       0,    2, hexadecimal),
        ("Protocol Type",                           2,    2, _TYPE),
    ), _gre, "RFC 2784, RFC 2890"),
    "UDP": Encapsulation((
        ("Source Port",                             0,    2, decimal),
        ("Destination Port",                        2,    2, number(named(_UDP_PORTS))),
        ("Length",                                  4,    2, decimal),
        ("Checksum",                                6,    2, hexadecimal),
    ), _udp, "RFC 768"),
    "VXLAN": Encapsulation((
        ("Flags",                                   0,    1, number(flags("R", "R", "R", "I"))),
        ("Reserved",                                1,    3, decimal),
        ("VNI",                                     4,    3, decimal),
        ("Reserved",                                7,    1, decimal),
    ), _vxlan, "RFC 7348"),
    "Geneve": Encapsulation((
        ("Ver",                                     0,    1, bits(0, 2)),
        ("Opt Len",                                 0,    1, bits(2, 6)),
        ("Flags",                                   1,    1, hexadecimal),
        ("Protocol Type",                           2,    2, _TYPE),
        ("VNI",                                     4,    3, decimal),
        ("Reserved",                                7,    1, decimal),
    ), _geneve, "RFC 8926"),
}  # fmt: skip
ENCAPSULATIONS["802.11, padded"] = ENCAPSULATIONS["802.11"]._replace(step=_wireless(4))

# Link types by their number (the LINKTYPE_ values of libpcap).
LINKS = {
    0: "Loopback", 1: "Ethernet", 9: "PPP", 12: "Raw IP", 14: "Raw IP", 50: "PPP", 51: "PPPoE", 101: "Raw IP",
    105: "802.11", 108: "Loopback", 113: "Linux cooked", 127: "Radiotap", 228: "Raw IP", 229: "Raw IP",
    276: "Linux cooked 2",
}  # fmt: skip
