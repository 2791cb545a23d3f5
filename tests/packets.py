"""Captures written by hand, as packetdrill writes its scripts: a line a packet, numbers relative, bytes real.

    ladder("c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1", "c> data 1 1 14", "s> FIN 1 15")

A line says who sends (`c`lient or `s`erver), what, the sequence number, the acknowledgement number where ACK is set,
and the bytes of payload where there are any. Where they matter there follow, in this order: the payload's text in
double quotes instead of its size, or its bytes in hex as `x"16 03 01"`, `win 0`, and options,
`<mss 1460, wscale 7, sack, ts 1 0, nop, hex 0204>`. What is sent is one of NAMES, or flags by their letters: `[SF]`,
`[]`.

Behind the packet may stand what the ladder must show of it, the sender's state when it was held, the receiver's when it
was delivered, and the steps of TCP that it is seen in:

    follow("c> SYN 0       ; SYN-SENT > SYN-RECEIVED open.1",
           "s> SYN-ACK 0 1 ; ESTABLISHED < SYN-RECEIVED open.2",
           "c>| ACK 1 1    ; ESTABLISHED > lost open.3")

`c>|` is a packet that the wire dropped; what is delivered, and when, is inferred where no line says so. What never
arrived is `lost`, of what nobody knows whether it has there is `?`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import NamedTuple

from lab.engine.path import Path
from lab.engine.record import Record
from lab.model import (
    Captured,
    ConversationReport,
    Delivered,
    Frame,
    Kernels,
    Packet,
    Settled,
    Socket,
    States,
    WireEvent,
)
from lab.protocols.registry import TRANSPORT, UPPERS
from lab.protocols.tcp.conversation import Conversation
from lab.protocols.tcp.segment import ACK, FIN, PSH, RST, SYN
from lab.report.conversations import report
from lab.report.packets import packet

NAMES = {
    "SYN": SYN, "SYN-ACK": SYN | ACK, "ACK": ACK, "data": PSH | ACK, "FIN": FIN | ACK, "RST": RST, "RST-ACK": RST | ACK,
}  # fmt: skip
LETTERS = "FSRPAUECN"  # of lab.protocols.tcp.header.FLAGS, as Scapy writes them
BEGAN = 1_767_225_600_000_000_000  # 2026-01-01, nanoseconds
_LINE = re.compile(
    r'([cs])> ([\w-]+|\[\w*\])((?: -?\d+)*)(?: (x?)"([^"]*)")?(?: win (\d+))?(?: <([^>]*)>)?', re.DOTALL
)  # fmt: skip
_WRAP = 1 << 32


class Pair(NamedTuple):
    """The two ends of a conversation, and what their kernels have chosen. Initial sequence numbers are raw."""

    client: str = "192.0.2.1"
    server: str = "192.0.2.2"
    client_port: int = 40000
    server_port: int = 8080
    client_isn: int = 1_000_000_000
    server_isn: int = 3_000_000_000
    window: int = 64240
    timestamps: bool = False  # RFC 7323, in every segment


IPV4, IPV6 = Pair(), Pair("2001:db8::1", "2001:db8::2")


class Walked(NamedTuple):
    """What the path made of a capture, when that was over: the engine's own records, and what others see of them."""

    records: list[Record]
    conversations: list[Conversation]

    @property
    def only(self) -> Conversation:
        (conversation,) = self.conversations
        return conversation

    @property
    def packets(self) -> list[Packet]:
        """The packets, told in words."""
        return [packet(record, words=True) for record in self.records]

    @property
    def reports(self) -> list[ConversationReport]:
        return [report(each, examples=True) for each in self.conversations]


def ladder(*lines: str, pair: Pair = IPV4, first: int = 1, began: int = BEGAN, apart: int = 1_000_000) -> list[Frame]:
    """Returns the packets of one conversation, numbered from `first`, `apart` nanoseconds apart from `began` on."""
    made = (_frame(line, pair) for line in lines)
    return [Frame(first + at, began + at * apart, data, len(data)) for at, data in enumerate(made)]


def renumbered(*frames: Frame) -> list[Frame]:
    """Returns the same packets as one file, in this order."""
    return [frame._replace(number=number) for number, frame in enumerate(frames, 1)]


def path(keylog: bytes = b"", server_key: bytes = b"") -> Path:
    """Returns the path of one capture, with all the protocols there are."""
    made = Path(TRANSPORT, UPPERS)
    made.learn(keylog, server_key)
    return made


def annotated(frames: Iterable[Frame], keylog: bytes = b"", server_key: bytes = b"") -> Iterator[Record]:
    """Yields each packet's record at once, to be filled in as later packets show its fate."""
    return path(keylog, server_key).annotate(frames)


def walk(frames: Iterable[Frame], keylog: bytes = b"", server_key: bytes = b"") -> Walked:
    """Takes a capture through the path, deliveries inferred."""
    way = path(keylog, server_key)
    return Walked(list(way.annotate(frames)), way.conversations)


def replay(events: Iterable[WireEvent]) -> Walked:
    """Takes what a wire did through the path."""
    way = path()
    return Walked(replayed(way, events), way.conversations)


def replayed(way: Path, events: Iterable[WireEvent]) -> list[Record]:
    """Returns the records of all that a wire has captured, when it is over."""
    return [record for record in way.replay(events) if record is not None]


def follow(*script: str, pair: Pair = IPV4) -> Walked:
    """Takes packets through the path, and asserts that it says of each what stands behind it, where something does."""
    lines = [re.sub(r" +; ", " ; ", line) for line in script]
    sent = [line.partition(" ; ")[0] for line in lines]
    dropped = [number for number, line in enumerate(sent, 1) if line[1:3] == ">|"]
    frames = ladder(*(line.replace(">|", ">", 1) for line in sent), pair=pair)
    walked = replay(prompt(frames, dropped)) if dropped else walk(frames)
    found = zip(sent, said(walked.records), strict=True)
    told = [f"{packet} ; {it}" if " ; " in line else packet for line, (packet, it) in zip(lines, found, strict=True)]
    assert told == lines, "\n".join(["what was said:", *told])
    return walked


def kernels(client: str | None, server: str | None) -> Kernels:
    """What kernels say of which nothing but the states is known."""
    return Kernels(Socket(client), Socket(server))


def wire(frames: Sequence[Frame], script: str) -> list[WireEvent]:
    """Returns what a wire did: `1` it had packet 1, `>1` it delivered it (twice: two times), `.1` both were quiet."""
    by_number = {frame.number: frame for frame in frames}
    events: list[WireEvent] = []
    for order, word in enumerate(script.split()):
        number = int(word.strip(">."))
        if word[0] == ">":
            events.append(Delivered(number, order))
        elif word[0] == ".":
            events.append(Settled(number, order, None))
        else:
            events.append(Captured(by_number[number], order, None))
    return events


def prompt(frames: Sequence[Frame], dropped: Sequence[int] = ()) -> list[WireEvent]:
    """Returns what a wire did that delivered each packet before the next was sent, but for those it `dropped`."""
    numbers = (frame.number for frame in frames)
    return wire(frames, " ".join(f"{n} .{n}" if n in dropped else f"{n} >{n} .{n}" for n in numbers))


def drawn(record: Record) -> str:
    """Returns a packet as the ladder shows it: the sender's state when held, the receiver's when delivered."""
    assert record.end is not None
    assert record.held is not None
    nowhere = record.fate if record.fate == "lost" else "?"  # unknown
    arrived = record.delivered or States(nowhere, nowhere)
    if record.end.role == "client":
        return f"{record.held.client} > {arrived.server}"
    return f"{arrived.client} < {record.held.server}"


def said(records: Iterable[Record]) -> Iterator[str]:
    """Returns each packet with its steps: `SYN-SENT > SYN-RECEIVED open.1`."""
    return (" ".join((drawn(each), *(step.removeprefix("tcp.") for step in each.steps))) for each in records)


OPEN = ("c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1")
TALK = ("c> data 1 1 14", "s> ACK 1 15", "s> data 1 15 14", "c> ACK 15 15")
CLOSE = ("c> FIN 15 15", "s> ACK 15 16", "s> FIN 15 16", "c> ACK 16 16")

# Connections in which nothing was lost, and each packet had arrived before the next was sent.
PROMPT: dict[str, tuple[str, ...]] = {
    "connection": (*OPEN, *TALK, *CLOSE),
    "three-segment close": (*OPEN, *TALK, "c> FIN 15 15", "s> FIN 15 16", "c> ACK 16 16"),
    "server closes first": (*OPEN, *TALK, "s> FIN 15 15", "c> ACK 15 16", "c> FIN 15 16", "s> ACK 16 16"),
    "half-close": (
        *OPEN, "c> FIN 1 1", "s> ACK 1 2", "s> data 1 2 14", "c> ACK 2 15", "s> FIN 15 2", "c> ACK 2 16",
    ),
    "reset": (*OPEN, *TALK, "c> RST-ACK 15 15"),
    "reset by the server": (*OPEN, *TALK, "s> RST 15"),
    "data with the opening's ACK": (*OPEN[:2], "c> data 1 1 14", "s> ACK 1 15"),
    "FIN with the opening's ACK": (*OPEN[:2], "c> FIN 1 1", "s> FIN 1 2", "c> ACK 2 2"),
    "data with both FINs": (*OPEN, "c> FIN 1 1 5", "s> FIN 1 7 5", "c> ACK 7 7"),
    "an answer that acknowledges": (*OPEN, "c> data 1 1 14", "s> data 1 15 14", "c> ACK 15 15"),
    "began midway": (*TALK, *CLOSE),
    "began with the SYN-ACK": (*OPEN[1:], *TALK, *CLOSE),
}  # fmt: skip

# Connections with losses, repetitions, crossings and oddities.
UNEVEN: dict[str, tuple[str, ...]] = {
    "unanswered": ("c> SYN 0", "c> SYN 0", "c> SYN 0"),
    "refused": ("c> SYN 0", "s> RST-ACK 0 1"),
    "reset of a half-open connection": (*OPEN[:2], "c> RST 1"),
    "first SYN lost": ("c> SYN 0", *OPEN, *TALK, *CLOSE),
    "SYN-ACK lost": (*OPEN[:2], *OPEN, *TALK, *CLOSE),
    "last ACK lost": (*OPEN, *TALK, *CLOSE, "s> FIN 15 16", "c> ACK 16 16"),
    "simultaneous open": (
        "c> SYN 0", "s> SYN 0", "s> SYN-ACK 0 1", "c> SYN-ACK 0 1", *TALK, *CLOSE,
    ),
    "simultaneous close": (*OPEN, *TALK, "c> FIN 15 15", "s> FIN 15 15", "s> ACK 16 16", "c> ACK 16 16"),
    "data lost": (*OPEN, "c> data 1 1 14", "c> data 1 1 14", "s> ACK 1 15"),
    "out of order": (*OPEN, "c> data 11 1 10", "s> ACK 1 1", "c> data 1 1 10", "s> ACK 1 21"),
    "a hole in the capture": (*OPEN, "c> data 101 1 10", "s> ACK 1 111"),
    "keep-alive": (*OPEN, "c> ACK 0 1", "s> ACK 1 1", "c> data 0 1 1", "s> ACK 1 1"),
    "windows": (*OPEN, "c> data 1 1 14", "s> ACK 1 15 win 0", "s> ACK 1 15 win 9000"),
    "every flag": (*OPEN, "c> [FSRPAUECN] 1 1 3", "s> [SF] 9", "c> [] 4", "s> [FR] 2", "c> [SR] 7"),
    "used again": (*OPEN, *TALK, *CLOSE, "c> SYN 1000000", "s> SYN-ACK 900000 1000001", "c> ACK 1000001 900001"),
}  # fmt: skip
CAPTURES = {**PROMPT, **UNEVEN}


def _frame(line: str, pair: Pair) -> bytes:
    read = _LINE.fullmatch(line)
    assert read, f"no packet: {line!r}"
    who, what, numbers, hexed, text, window, options = read.groups()
    flags = _flags(what)
    seq, *rest = [int(number) for number in numbers.split()]
    ack = rest.pop(0) if flags & ACK else None
    if text is not None:
        payload = bytes.fromhex(text) if hexed else text.encode()
    else:
        payload = bytes(
            ord("a") + (seq - 1 + at) % 26 for at in range(rest.pop(0) if rest else 0)
        )  # as the stream has it
    assert not rest, f"too many numbers: {line!r}"
    isns = (pair.client_isn, pair.server_isn) if who == "c" else (pair.server_isn, pair.client_isn)
    listed = _options(options or "") + (b"\x01\x01\x08\x0a" + struct.pack("!II", 7, 9) if pair.timestamps else b"")
    listed += bytes(-len(listed) % 4)
    ports = (pair.client_port, pair.server_port)[:: 1 if who == "c" else -1]
    header = struct.pack(
        "!HHIIHHHH", *ports, (isns[0] + seq) % _WRAP, 0 if ack is None else (isns[1] + ack) % _WRAP,
        (20 + len(listed)) // 4 << 12 | flags, pair.window if window is None else int(window), 0, 0,
    )  # fmt: skip
    hosts = [ip_address(host).packed for host in (pair.client, pair.server)][:: 1 if who == "c" else -1]
    return _ethernet(who) + _ip(hosts, header + listed + payload)


def _flags(what: str) -> int:
    if what in NAMES:
        return NAMES[what]
    flags = 0
    for letter in what[1:-1]:
        flags |= 1 << LETTERS.index(letter)
    return flags


def _options(listed: str) -> bytes:
    made = b""
    for option in filter(None, listed.split(", ")):
        kind, *values = option.split()
        if kind == "hex":
            made += bytes.fromhex(values[0])
        else:
            code, form = {"nop": (1, ""), "mss": (2, "H"), "wscale": (3, "B"), "sack": (4, ""), "ts": (8, "II")}[kind]
            packed = struct.pack("!" + form, *map(int, values))
            made += bytes([code]) + (b"" if code == 1 else bytes([len(packed) + 2])) + packed
    return made


def _ethernet(who: str) -> bytes:
    client, server = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2"
    return server + client if who == "c" else client + server


def _ip(hosts: list[bytes], segment: bytes) -> bytes:
    """Returns the EtherType, the IP header and the segment, with both checksums right (RFC 1071)."""
    pseudo = b"".join(hosts) + struct.pack("!HH", 6, len(segment))
    segment = segment[:16] + struct.pack("!H", _checksum(pseudo + segment)) + segment[18:]
    if len(hosts[0]) == 16:
        return struct.pack("!HIHBB", 0x86DD, 6 << 28, len(segment), 6, 64) + b"".join(hosts) + segment
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, 6, 0) + b"".join(hosts)
    return b"\x08\x00" + header[:10] + struct.pack("!H", _checksum(header)) + header[12:] + segment


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
