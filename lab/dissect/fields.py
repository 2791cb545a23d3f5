"""Every byte of a frame is spoken for: the fields of its headers, in wire order, cover it without a hole.

The tables are the RFCs' header diagrams, a row a field. A field smaller than a byte shares its span with its
neighbours; no other spans overlap. Names are the RFCs'; four are ours, for what no header describes:

    payload     what TCP carries
    data        bytes of a protocol, or of an option, that is not taken apart here
    padding     what fills a header or a frame up
    truncated   a header that the capture, or the packet around it, ends in the middle of
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from lab.dissect.encapsulation import ENCAPSULATIONS, IPV4, IPV6, LINKS, NOTHING, TUNNELS
from lab.dissect.formats import (
    FIRST_ETHERTYPE,
    Table,
    address,
    bits,
    decimal,
    dump,
    ethertype,
    flags,
    hexadecimal,
    mac,
    named,
    number,
    route,
    times,
)
from lab.dissect.packet import MOST_TUNNELS
from lab.model import Field, Frame, Span

Known = Mapping[int, tuple[str, Table]]  # kind of option: its name and its fields
# What reads a protocol above IP, by IANA's number: the sheet, where the packet ends, and source and destination address
# where a checksum over these can be verified.
Readers = Mapping[int, Callable[["Sheet", int, bytes | None], None]]


def fields(frame: Frame, readers: Readers) -> list[Field]:
    """Returns the fields of a frame in wire order; `readers` take apart what IP carries. Never raises.

    Spans are offsets into `frame.data` and cover it exactly; fields with equal spans share their bytes. Sequence
    numbers are raw. A checksum says `correct`, `incorrect, should be …` or `unfinished` (it holds the sum of the
    pseudo-header, as checksum offload leaves it) where the whole packet is there, and neither where it is not.
    """
    sheet = Sheet(frame, readers)
    link = LINKS.get(frame.linktype, "Frame")
    _read(sheet, link)
    sheet.stop = len(sheet.data)
    sheet.rest(link, "padding", sheet.stop)
    return sheet.fields


def innermost(frame: Frame, readers: Readers) -> str:
    """Returns the name of the innermost protocol that a frame's headers tell of; empty where they tell none.

    Of those that `readers` take apart none is told: such a frame is damaged, or a piece.
    """
    named = ""
    for field in fields(frame, readers):
        if field.layer.startswith(_QUOTED):  # what another message is about
            break
        if field.name in ("Type", "Protocol", "Next Header") and field.value.endswith(")"):
            named = field.value.partition("(")[2].rstrip(")")
    return "" if named in ("length", "IPv4", "IPv6", *(_PROTOCOLS[each] for each in readers)) else named


# Numbers that have names.

_ARP = 0x0806
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _NO_NEXT_HEADER, _DESTINATION = 0, 43, 44, 59, 60
_PROTOCOLS_V4 = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 41: "IPv6", 50: "ESP", 51: "AH", 132: "SCTP"}
_PROTOCOLS = _PROTOCOLS_V4 | {
    _HOP_BY_HOP: "Hop-by-Hop Options", _ROUTING: "Routing", _FRAGMENT: "Fragment", 58: "ICMPv6",
    _NO_NEXT_HEADER: "No Next Header", _DESTINATION: "Destination Options",
}  # fmt: skip
_ECN = {0: "Not-ECT", 1: "ECT(1)", 2: "ECT(0)", 3: "CE"}  # RFC 3168 section 5
_OPERATIONS = {1: "REQUEST", 2: "REPLY"}


def _traffic_class(value: int) -> str:
    return f"0x{value:02x} (DSCP {value >> 2}, {_ECN[value & 3]})"


# Headers.   name                              at  length  format

ARP: Table = (  # RFC 826
    ("Hardware Type",                           0,    2, decimal),
    ("Protocol Type",                           2,    2, number(ethertype)),
    ("Hardware Address Length",                 4,    1, decimal),
    ("Protocol Address Length",                 5,    1, decimal),
    ("Operation",                               6,    2, number(named(_OPERATIONS))),
)  # fmt: skip
ARP_ADDRESSES: Table = (  # of IPv4 over Ethernet
    ("Sender Hardware Address",                 0,    6, mac),
    ("Sender Protocol Address",                 6,    4, address),
    ("Target Hardware Address",                10,    6, mac),
    ("Target Protocol Address",                16,    4, address),
)  # fmt: skip
IPV4_HEADER: Table = (  # RFC 791 section 3.1; DSCP: RFC 2474; ECN: RFC 3168
    ("Version",                                 0,    1, bits(0, 4)),
    ("IHL",                                     0,    1, bits(4, 4, times(4))),
    ("DSCP",                                    1,    1, bits(0, 6)),
    ("ECN",                                     1,    1, bits(6, 2, named(_ECN))),
    ("Total Length",                            2,    2, decimal),
    ("Identification",                          4,    2, hexadecimal),
    ("Flags",                                   6,    2, bits(0, 3, flags("MF", "DF", "reserved"))),
    ("Fragment Offset",                         6,    2, bits(3, 13, times(8))),
    ("Time to Live",                            8,    1, decimal),
    ("Protocol",                                9,    1, number(named(_PROTOCOLS_V4))),
    ("Header Checksum",                        10,    2, hexadecimal),
    ("Source Address",                         12,    4, address),
    ("Destination Address",                    16,    4, address),
)  # fmt: skip
IPV6_HEADER: Table = (  # RFC 8200 section 3
    ("Version",                                 0,    4, bits(0, 4)),
    ("Traffic Class",                           0,    4, bits(4, 8, _traffic_class)),
    ("Flow Label",                              0,    4, bits(12, 20, "0x{:05x}".format)),
    ("Payload Length",                          4,    2, decimal),
    ("Next Header",                             6,    1, number(named(_PROTOCOLS))),
    ("Hop Limit",                               7,    1, decimal),
    ("Source Address",                          8,   16, address),
    ("Destination Address",                    24,   16, address),
)  # fmt: skip
IPV6_OPTIONS_HEADER: Table = (  # RFC 8200 sections 4.3 and 4.6; its options follow
    ("Next Header",                             0,    1, number(named(_PROTOCOLS))),
    ("Hdr Ext Len",                             1,    1, decimal),
)  # fmt: skip
ROUTING: Table = (  # RFC 8200 section 4.4
    *IPV6_OPTIONS_HEADER,
    ("Routing Type",                            2,    1, decimal),
    ("Segments Left",                           3,    1, decimal),
    ("type-specific data",                      4, None, dump),
)  # fmt: skip
FRAGMENT: Table = (  # RFC 8200 section 4.5
    ("Next Header",                             0,    1, number(named(_PROTOCOLS))),
    ("Reserved",                                1,    1, decimal),
    ("Fragment Offset",                         2,    2, bits(0, 13, times(8))),
    ("Res",                                     2,    2, bits(13, 2)),
    ("M flag",                                  2,    2, bits(15, 1)),
    ("Identification",                          4,    4, hexadecimal),
)  # fmt: skip

_ICMP, _ICMPV6 = 1, 58
_QUOTED = "quoted "  # before the layers of a packet that an ICMP error quotes
ICMP_HEADER: Table = (  # RFC 792, RFC 4443 section 2.1; what follows depends on the type
    ("Type",                                    0,    1, decimal),
    ("Code",                                    1,    1, decimal),
    ("Checksum",                                2,    2, hexadecimal),
)  # fmt: skip
_REST: Table = (("unused", 0, 4, dump),)
_POINTER: Table = (
    ("Pointer",                                 0,    1, decimal),
    ("unused",                                  1,    3, dump),
)  # fmt: skip
# What an error has before the packet that it quotes, by protocol, type and perhaps code.
_ERRORS: dict[tuple[int, ...], Table] = {
    (_ICMP, 3): _REST,
    (_ICMP, 3, 4): (  # RFC 1191 section 4
        ("unused",                              0,    2, dump),
        ("Next-Hop MTU",                        2,    2, decimal),
    ),
    (_ICMP, 4): _REST,
    (_ICMP, 11): _REST,
    (_ICMP, 12): _POINTER,
    (_ICMPV6, 1): _REST,
    (_ICMPV6, 2): (("MTU",                      0,    4, decimal),),
    (_ICMPV6, 3): _REST,
    (_ICMPV6, 4): (("Pointer",                  0,    4, decimal),),
}  # fmt: skip
QUOTED: Table = (  # of what IP carries, the eight bytes that are always there (RFC 792)
    ("Source Port",                             0,    2, decimal),
    ("Destination Port",                        2,    2, decimal),
    ("Sequence Number",                         4,    4, decimal),
)  # fmt: skip

# Options: kind, name, and the fields that follow the kind and the length.

_ROUTE: Table = (("pointer", 2, 1, decimal), ("route data", 3, None, route))
_SOURCE_ROUTES, _HOME_ADDRESS = {131, 137}, 201  # these hold an address that checksums take for one of the header's
IPV4_OPTIONS: Known = {  # RFC 791 section 3.1, RFC 2113
    0: ("End of Option List", ()),
    1: ("No Operation", ()),
    7: ("Record Route", _ROUTE),
    68: ("Internet Timestamp", (
        ("pointer",                             2,    1, decimal),
        ("overflow",                            3,    1, bits(0, 4)),
        ("flag",                                3,    1, bits(4, 4)),
        ("timestamps",                          4, None, dump),
    )),
    130: ("Security", ()),
    131: ("Loose Source and Record Route", _ROUTE),
    136: ("Stream Identifier", (("Stream ID",   2,    2, decimal),)),
    137: ("Strict Source and Record Route", _ROUTE),
    148: ("Router Alert", (("value",            2,    2, decimal),)),
}  # fmt: skip
IPV6_OPTIONS: Known = {  # RFC 8200 section 4.2, RFC 2675, RFC 2711, RFC 6275
    0: ("Pad1", ()),
    1: ("PadN", (("Option Data",                2, None, dump),)),
    5: ("Router Alert", (("Value",              2,    2, decimal),)),
    194: ("Jumbo Payload", (("Jumbo Payload Length", 2, 4, decimal),)),
    _HOME_ADDRESS: ("Home Address", (("Home Address",     2,   16, address),)),
}  # fmt: skip


class Dialect(NamedTuple):
    """How a protocol writes its options: all have a kind and a length, but not quite the same ones."""

    known: Known
    kind: str
    length: str
    uncounted: int  # bytes of an option that its length leaves out
    alone: tuple[int, ...]  # kinds of a single byte
    last: int | None  # the kind that ends the list


_IPV4_DIALECT = Dialect(IPV4_OPTIONS, "option-type", "option-length", 0, (0, 1), 0)
_IPV6_DIALECT = Dialect(IPV6_OPTIONS, "Option Type", "Opt Data Len", 2, (0,), None)


class Sheet:
    """A frame being written down: all before `at` is covered; nothing is read from `stop` on, where its packet ends."""

    def __init__(self, frame: Frame, readers: Readers) -> None:
        self.data = frame.data
        self.readers = readers
        self.wire = max(frame.length, len(frame.data))  # bytes the frame had before a snap length cut it
        self.at = 0
        self.stop = len(frame.data)
        self.fields: list[Field] = []
        self.tunnels = 0
        self._number = frame.number

    def peek(self, offset: int, size: int) -> int:
        """Reads a number ahead of `at`; meaningless where the frame ends before, which the next table will find."""
        return int.from_bytes(self.data[self.at + offset : self.at + offset + size], "big")

    def put(self, layer: str, name: str, start: int, end: int, value: str) -> None:
        self.fields.append(Field(layer, name, Span("frame", self._number, start, end), value))
        self.at = end

    def rest(self, layer: str, name: str, end: int) -> None:
        """Covers what is left up to `end` with one field, if anything is."""
        end = min(end, self.stop)
        if self.at < end:
            self.put(layer, name, self.at, end, dump(self.data[self.at : end]))

    def table(self, layer: str, rows: Table, end: int, notes: Mapping[str, str] | None = None) -> bool:
        """Covers a header, or the structure up to `end`, row by row; False where it is cut short. `notes` are added."""
        start, limit = self.at, min(end, self.stop)
        for name, offset, size, show in rows:
            first = start + offset
            last = end if size is None else first + size
            if last > limit:
                self.rest(layer, "truncated", limit)
                return False
            if first < last:
                self.put(layer, name, first, last, show(self.data[first:last]) + (notes or {}).get(name, ""))
        return True

    def options(self, layer: str, dialect: Dialect, end: int) -> set[int]:
        """Covers the options up to `end` and returns their kinds."""
        limit = min(end, self.stop)
        kinds = set()
        while self.at < limit:
            start, kind = self.at, self.data[self.at]
            kinds.add(kind)
            name, rows = dialect.known.get(kind, ("unknown", ()))
            head: Table = ((dialect.kind, 0, 1, number(named({kind: name}))), (dialect.length, 1, 1, decimal))
            length = self.peek(1, 1) + dialect.uncounted
            if kind in dialect.alone:
                self.table(layer, head[:1], end)
            elif 2 <= length <= end - start:
                self.table(layer, head + _filling(rows, length), start + length)
            else:
                self.table(layer, head, end)
                self.rest(layer, "truncated", end)
            if kind == dialect.last:
                self.rest(layer, "padding", end)
        return kinds


def _filling(rows: Table, length: int) -> Table:
    """Returns the rows that fill an option of this length, or one for all: a wrong length leaves nothing to rely on."""
    fitting = tuple(row for row in rows if row[1] + (row[2] or 0) <= length)
    _, offset, size, _ = fitting[-1] if fitting else ("", 2, 0, dump)
    return fitting if size is None or offset + size == length else (("data", 2, None, dump),)


# Readers, from the link up. Each begins at `sheet.at` and sees no further than `sheet.stop`.


def _read(sheet: Sheet, kind: str) -> None:
    """Reads headers until one is not opened."""
    while True:
        if kind in (IPV4, IPV6):
            (_ipv4 if kind == IPV4 else _ipv6)(sheet)
            return
        if kind not in ENCAPSULATIONS:
            sheet.rest(kind, "data", sheet.stop)
            return
        start, entry = sheet.at, ENCAPSULATIONS[kind]
        step = entry.step(sheet.data, start)
        if not sheet.table(kind, entry.rows, sheet.stop):
            return
        typed = kind in ("Ethernet", "802.1Q")
        value = int.from_bytes(sheet.data[sheet.at - 2 : sheet.at], "big") if typed else 0
        if step is None:
            sheet.rest(kind, "truncated", sheet.stop)
            return
        end, following = step
        sheet.rest(kind, "data", end)
        if typed and value < FIRST_ETHERTYPE:
            sheet.stop = min(sheet.stop, sheet.at + value)
        if typed and value == _ARP:
            _arp(sheet)
            return
        if following == NOTHING:
            sheet.rest(kind, "data", sheet.stop)
            return
        kind = following


def _arp(sheet: Sheet) -> None:
    kind = sheet.peek(0, 6)
    if sheet.table("ARP", ARP, sheet.stop):
        if kind == 0x0001_0800_06_04:  # IPv4 over Ethernet
            sheet.table("ARP", ARP_ADDRESSES, sheet.stop)
        else:
            sheet.rest("ARP", "data", sheet.stop)


def _ipv4(sheet: Sheet) -> None:
    start, data = sheet.at, sheet.data
    version, words = divmod(sheet.peek(0, 1), 16)
    total, fragment, protocol = sheet.peek(2, 2), sheet.peek(6, 2) & 0x3FFF, sheet.peek(9, 1)
    header = start + 4 * words
    end = start + total if total else sheet.wire  # 0 is what offloads leave in a segment larger than the field can say
    sound = version == 4 and start + 20 <= header <= end
    notes = {"Header Checksum": verdict(b"", data[start:header], 10)} if sound and header <= sheet.stop else {}
    if not sheet.table("IPv4", IPV4_HEADER, sheet.stop, notes):
        return
    if not sound:
        sheet.rest("IPv4", "data", sheet.stop)
        return
    sheet.stop = min(sheet.stop, end)
    kinds = sheet.options("IPv4", _IPV4_DIALECT, header)
    known = end <= len(data) and not fragment and not kinds & _SOURCE_ROUTES
    _transport(sheet, "IPv4", protocol, fragment & 0x1FFF, end, data[start + 12 : start + 20] if known else None)


def _ipv6(sheet: Sheet) -> None:
    start, data = sheet.at, sheet.data
    version, length, kind = sheet.peek(0, 1) >> 4, sheet.peek(4, 2), sheet.peek(6, 1)
    if not sheet.table("IPv6", IPV6_HEADER, sheet.stop):
        return
    if version != 6:
        sheet.rest("IPv6", "data", sheet.stop)
        return
    # 0 is what offloads leave in a segment larger than the field can say; a jumbogram's length is an option (RFC 2675).
    end = sheet.at + length if length or kind == _NO_NEXT_HEADER else sheet.wire
    sheet.stop = min(sheet.stop, end)
    known = end <= len(data)
    offset = 0
    while kind in _EXTENSIONS and not offset:
        layer, table = _EXTENSIONS[kind]
        header = sheet.at + (8 if kind == _FRAGMENT else 8 + 8 * sheet.peek(1, 1))
        if kind == _FRAGMENT:
            offset = sheet.peek(2, 2) >> 3
            known = known and not sheet.peek(2, 2) & 0xFFF9
        elif kind == _ROUTING:
            known = known and not sheet.peek(3, 1)  # with segments left, this is not yet the last destination
        kind = sheet.peek(0, 1)
        if not sheet.table(layer, table, header):
            return
        known = not sheet.options(layer, _IPV6_DIALECT, header) & {_HOME_ADDRESS} and known
    _transport(sheet, "IPv6", kind, offset, end, data[start + 8 : start + 40] if known else None)


def _transport(sheet: Sheet, layer: str, protocol: int, offset: int, end: int, addresses: bytes | None) -> None:
    if protocol in sheet.readers and not offset:
        sheet.readers[protocol](sheet, end, addresses)
    elif protocol in (_ICMP, _ICMPV6) and not offset:
        _icmp(sheet, protocol, end, addresses)
    elif protocol in TUNNELS and not offset and sheet.tunnels < MOST_TUNNELS:
        sheet.tunnels += 1
        _read(sheet, TUNNELS[protocol])
    else:
        sheet.rest(layer, "data", end)


def _icmp(sheet: Sheet, protocol: int, end: int, addresses: bytes | None) -> None:
    """An ICMP message; of an error also what it quotes, as far as that is an IP header and begins what has a reader."""
    layer = "ICMP" if protocol == _ICMP else "ICMPv6"
    kind, code, covered = sheet.peek(0, 1), sheet.peek(1, 1), sheet.data[sheet.at : end]
    pseudo = (addresses or b"") + len(covered).to_bytes(4, "big") + bytes([0, 0, 0, _ICMPV6])
    notes = {"Checksum": verdict(pseudo if protocol == _ICMPV6 else b"", covered, 2)} if addresses is not None else {}
    if not sheet.table(layer, ICMP_HEADER, end, notes if len(covered) >= 4 else {}):
        return
    rows = _ERRORS.get((protocol, kind, code)) or _ERRORS.get((protocol, kind))
    if rows and sheet.table(layer, rows, sheet.at + 4):
        _quoted(sheet, protocol, end)
    sheet.rest(layer, "data", end)


def _quoted(sheet: Sheet, protocol: int, end: int) -> None:
    """The packet that an ICMP error quotes."""
    name, table = ("IPv4", IPV4_HEADER) if protocol == _ICMP else ("IPv6", IPV6_HEADER)
    start, version = sheet.at, 4 if protocol == _ICMP else 6
    size = 4 * (sheet.peek(0, 1) & 15) if protocol == _ICMP else 40
    inner, piece = (sheet.peek(9, 1), sheet.peek(6, 2) & 0x1FFF) if protocol == _ICMP else (sheet.peek(6, 1), 0)
    if sheet.peek(0, 1) >> 4 != version or size < 20 or not sheet.table(_QUOTED + name, table, end):
        return
    sheet.rest(_QUOTED + name, "options", start + size)
    layer = _QUOTED + name
    if inner in sheet.readers and not piece:
        layer = _QUOTED + _PROTOCOLS[inner]
        sheet.table(layer, QUOTED, end)
    sheet.rest(layer, "data", end)


def verdict(pseudo: bytes, covered: bytes, at: int) -> str:
    """Says whether the checksum at offset `at` of the bytes it covers is right (RFC 1071)."""
    stored = int.from_bytes(covered[at : at + 2], "big")
    if _sum(pseudo + covered) == 0xFFFF:
        return " correct"
    if pseudo and stored % 0xFFFF == _sum(pseudo) % 0xFFFF:
        return " unfinished"
    return f" incorrect, should be 0x{0xFFFF - _sum(pseudo + covered[:at] + bytes(2) + covered[at + 2 :]):04x}"


def _sum(data: bytes) -> int:
    """Adds 16-bit words and folds the carries in; 0 only of zeros."""
    total = int.from_bytes(data + bytes(len(data) % 2), "big")
    return (total - 1) % 0xFFFF + 1 if total else 0  # folding takes the remainder, as a sum of digits does with nines


_EXTENSIONS = {
    _HOP_BY_HOP: ("Hop-by-Hop Options", IPV6_OPTIONS_HEADER),
    _ROUTING: ("Routing", ROUTING),
    _FRAGMENT: ("Fragment", FRAGMENT),
    _DESTINATION: ("Destination Options", IPV6_OPTIONS_HEADER),
}
