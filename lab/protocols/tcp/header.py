"""The fields of a TCP header, in wire order: RFC 9293's diagram as a table, a row a field."""

from __future__ import annotations

from lab.dissect.fields import Dialect, Known, Sheet, verdict
from lab.dissect.formats import Table, bits, decimal, dump, flags, hexadecimal, named, number, times
from lab.protocols.tcp.segment import FLAGS, TCP

TCP_HEADER: Table = (  # RFC 9293 section 3.1; the last bit before the eight control bits is AE (RFC 9768)
    ("Source Port",                             0,    2, decimal),
    ("Destination Port",                        2,    2, decimal),
    ("Sequence Number",                         4,    4, decimal),
    ("Acknowledgment Number",                   8,    4, decimal),
    ("Data Offset",                            12,    2, bits(0, 4, times(4))),
    ("Reserved",                               12,    2, bits(4, 3)),
    ("Control bits",                           12,    2, bits(7, 9, flags(*FLAGS))),
    ("Window",                                 14,    2, decimal),
    ("Checksum",                               16,    2, hexadecimal),
    ("Urgent Pointer",                         18,    2, decimal),
)  # fmt: skip

TCP_OPTIONS: Known = {  # RFC 9293 section 3.2, RFC 7323, RFC 2018, RFC 2385, RFC 5482, RFC 5925, RFC 7413
    0: ("End of Option List", ()),
    1: ("No-Operation", ()),
    2: ("Maximum Segment Size", (
        ("Maximum Segment Size (MSS)",          2,    2, decimal),
    )),
    3: ("Window Scale", (
        ("shift.cnt",                           2,    1, number(lambda shift: f"{shift} (× {1 << min(shift, 14)})")),
    )),
    4: ("SACK-Permitted", ()),
    5: ("SACK", (
        ("Left Edge of 1st Block",              2,    4, decimal),
        ("Right Edge of 1st Block",             6,    4, decimal),
        ("Left Edge of 2nd Block",             10,    4, decimal),
        ("Right Edge of 2nd Block",            14,    4, decimal),
        ("Left Edge of 3rd Block",             18,    4, decimal),
        ("Right Edge of 3rd Block",            22,    4, decimal),
        ("Left Edge of 4th Block",             26,    4, decimal),
        ("Right Edge of 4th Block",            30,    4, decimal),
    )),
    8: ("Timestamps", (
        ("TS Value (TSval)",                    2,    4, decimal),
        ("TS Echo Reply (TSecr)",               6,    4, decimal),
    )),
    19: ("MD5 Signature", (
        ("MD5 digest",                          2,   16, dump),
    )),
    28: ("User Timeout", (
        ("Granularity",                         2,    2, bits(0, 1, named({0: "seconds", 1: "minutes"}))),
        ("User Timeout",                        2,    2, bits(1, 15)),
    )),
    29: ("TCP-AO", (
        ("KeyID",                               2,    1, decimal),
        ("RNextKeyID",                          3,    1, decimal),
        ("MAC",                                 4, None, dump),
    )),
    30: ("Multipath TCP", ()),
    34: ("TCP Fast Open", (
        ("Cookie",                              2, None, dump),
    )),
    172: ("Accurate ECN Order 0", (
        ("EE0B",                                2,    3, decimal),
        ("ECEB",                                5,    3, decimal),
        ("EE1B",                                8,    3, decimal),
    )),
    174: ("Accurate ECN Order 1", (
        ("EE1B",                                2,    3, decimal),
        ("ECEB",                                5,    3, decimal),
        ("EE0B",                                8,    3, decimal),
    )),
}  # fmt: skip


_DIALECT = Dialect(TCP_OPTIONS, "Kind", "Length", 0, (0, 1), 0)


def read(sheet: Sheet, end: int, addresses: bytes | None) -> None:
    """Reads the segment that ends at `end`; `addresses` (source, destination) where its checksum can be verified."""
    start, words = sheet.at, sheet.peek(12, 1) >> 4
    notes = {}
    if addresses:
        pseudo = addresses + (end - start).to_bytes(4, "big") + TCP.to_bytes(4, "big")  # RFC 8200 section 8.1
        notes = {"Checksum": verdict(pseudo, sheet.data[start:end], 16)}
    if sheet.table("TCP", TCP_HEADER, sheet.stop, notes):
        sheet.options("TCP", _DIALECT, start + 4 * words)
        sheet.rest("TCP", "data" if words < 5 else "payload", end)
