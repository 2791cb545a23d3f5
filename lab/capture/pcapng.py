"""A pcapng file is written block by block, each flushed whole: what has been written can be read at any moment.

Order: section header, each interface before its first packet, behind the first one the host names, statistics last.
Secrets stand anywhere before the packets that they open, for Wireshark decrypts only what it already has the keys for.
The numbers of the format stand here once, for this writer and for the reader in `lab/capture/blocks.py`.
Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from struct import Struct
from typing import BinaryIO, NamedTuple

from lab.model import LINKTYPE_ETHERNET, Frame
from lab.version import __version__

# Block types (section 11.1)
SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
OBSOLETE_PACKET = 2
SIMPLE_PACKET = 3
NAME_RESOLUTION = 4
INTERFACE_STATISTICS = 5
ENHANCED_PACKET = 6
DECRYPTION_SECRETS = 10
CUSTOM_NOT_COPIED = 0x40000BAD  # what changes a file must leave it out (section 4.9), as it must such options

# Options: those of every block (section 3.5), then those of one kind of block (sections 4.1, 4.2, 4.3 and 4.6)
END_OF_OPTIONS, COMMENT = 0, 1
SECTION_HARDWARE, SECTION_OS, SECTION_APPLICATION = 2, 3, 4
INTERFACE_NAME, INTERFACE_DESCRIBED, INTERFACE_MAC, INTERFACE_RESOLUTION, INTERFACE_OFFSET = 2, 3, 6, 9, 14
CUSTOM_OPTIONS_NOT_COPIED = 19372, 19373
PACKET_FLAGS = 2
INBOUND, OUTBOUND = 1, 2  # as a packet's flags
STATISTICS_END, STATISTICS_RECEIVED, STATISTICS_DROPPED = 3, 4, 5
STATISTICS_DROPPED_BY_SYSTEM = 7

BYTE_ORDER = 0x1A2B3C4D
VERSIONS = ((1, 0), (1, 2))  # the one written first; section 4.1 wants 1.2 read as 1.0
NAME_END, NAME_IPV4, NAME_IPV6 = 0, 1, 2  # record types of the name resolution block (section 4.5)
ADDRESSES = {NAME_IPV4: 4, NAME_IPV6: 16}  # bytes
TLS_KEY_LOG = 0x544C534B  # secrets type "TLSK" (section 4.7)
MAX_OPTION = 0xFFFF  # bytes
_PADDING = (b"", bytes(1), bytes(2), bytes(3))

Option = tuple[int, bytes]

_PAIR = Struct("<HH")
_WORD = Struct("<I")
_WORDS = Struct("<II")
_COUNT = Struct("<Q")
_SECTION = Struct("<IHHq")
_INTERFACE = Struct("<HHI")


class Interface(NamedTuple):
    """Where a capture is made. `mac` is the address of an interface that is a host's own, else empty: what has it as
    its source goes out, all else comes in. Elsewhere, as on a wire between hosts, packets have no direction. `name` is
    empty where nobody knows it."""

    name: str = "wire"
    description: str = ""
    comments: Sequence[str] = ()
    mac: bytes = b""


_ANYWHERE = Interface()


class Writer:
    """Writes frames with their comments to `stream` as one little-endian pcapng section, times in nanoseconds.

    `comments` are those of the section. `hosts` maps an address as text to the name Wireshark shows for it; one that is
    no address raises OSError. `snaplen` is the limit that packets were cut to, in bytes, 0 without one.
    The caller opens and closes the stream.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        comments: Sequence[str] = (),
        interface: Interface = _ANYWHERE,
        hosts: Mapping[str, str] = {},
        snaplen: int = 0,
    ) -> None:
        self._stream = stream
        self._interface = interface
        self._snaplen = snaplen
        self._interfaces: dict[int, int] = {}  # linktype -> interface id
        self._received: list[int] = []  # packets written, by interface id
        self._end: int | None = None  # the latest packet time
        self._write(SECTION_HEADER, _section(f"handshake-lab {__version__}", comments))
        # Names and secrets wait for the first interface: where they stand before it, Wireshark's own tools read the
        # file but can't write it again.
        self._waiting: list[tuple[int, bytes]] = [(NAME_RESOLUTION, _names(hosts))] if hosts else []

    def secrets(self, data: bytes) -> None:
        """Writes a TLS key log (NSS key log format): it opens the packets that are written after it."""
        self._waiting.append((DECRYPTION_SECRETS, _WORDS.pack(TLS_KEY_LOG, len(data)) + padded(data)))
        if self._interfaces:
            self._write_waiting()

    def packet(self, frame: Frame, comments: Sequence[str]) -> None:
        """Writes `frame` with `comments`, and not the comments it came with, and flushes it.

        A frame without a time becomes a Simple Packet Block (section 4.4) where that can hold it: no comments, not cut
        short, on the first interface. Elsewhere its time is written as 0.
        """
        interface = self._interface_for(frame.linktype)
        self._received[interface] += 1
        data, said = padded(frame.data), commented(comments)
        if self._interface.mac and frame.linktype == LINKTYPE_ETHERNET:
            outbound = frame.data[6:12] == self._interface.mac
            said.append((PACKET_FLAGS, _WORD.pack(OUTBOUND if outbound else INBOUND)))
        if frame.time is None and not said and interface == 0 and len(frame.data) == frame.length:
            self._write(SIMPLE_PACKET, _WORD.pack(frame.length) + data)
            return
        time = frame.time or 0
        self._end = max(time, self._end or 0)
        header = _WORD.pack(interface) + _time(time) + _WORDS.pack(len(frame.data), frame.length)
        self._write(ENHANCED_PACKET, header + data + options(said))

    def finish(self, comments: Sequence[str] = (), missed: int | None = None, made: int = 0) -> None:
        """Writes the statistics of each interface, the first one's with `comments`; no packet may follow.

        `missed` is how many packets the first one had no room for, None where nobody has counted. Two options have it:
        by their definition the system's, and the interface's, which is the one that Wireshark writes and shows.
        `made` is how many of its packets came from no cable.
        """
        if not self._interfaces:
            self._interface_for(LINKTYPE_ETHERNET)  # statistics are of an interface
        end = _time(self._end or 0)
        for interface, received in enumerate(self._received):
            told = commented(comments) if interface == 0 else []
            if self._end is not None:
                told.append((STATISTICS_END, end))
            if interface == 0 and missed is not None:
                told.append((STATISTICS_RECEIVED, _COUNT.pack(received - made + missed)))
                told.append((STATISTICS_DROPPED, _COUNT.pack(missed)))
                told.append((STATISTICS_DROPPED_BY_SYSTEM, _COUNT.pack(missed)))
            else:
                told.append((STATISTICS_RECEIVED, _COUNT.pack(received)))
            self._write(INTERFACE_STATISTICS, _WORD.pack(interface) + end + options(told))

    def _interface_for(self, linktype: int) -> int:
        if linktype not in self._interfaces:
            self._interfaces[linktype] = len(self._received)
            self._received.append(0)
            where = self._interface
            told = commented(where.comments)
            if where.name:
                told.append((INTERFACE_NAME, _cut(where.name.encode())))
            if where.description:
                told.append((INTERFACE_DESCRIBED, _cut(where.description.encode())))
            if where.mac:
                told.append((INTERFACE_MAC, where.mac))
            told.append((INTERFACE_RESOLUTION, b"\x09"))
            self._write(INTERFACE_DESCRIPTION, _INTERFACE.pack(linktype, 0, self._snaplen) + options(told))
            self._write_waiting()
        return self._interfaces[linktype]

    def _write_waiting(self) -> None:
        for kind, body in self._waiting:
            self._write(kind, body)
        self._waiting.clear()

    def _write(self, kind: int, body: bytes) -> None:
        total = len(body) + 12
        self._stream.write(_WORDS.pack(kind, total) + body + _WORD.pack(total))
        self._stream.flush()


def _section(application: str, comments: Sequence[str]) -> bytes:
    unknown_length = -1
    told = [
        *commented(comments),
        (SECTION_HARDWARE, platform.machine().encode()),
        (SECTION_OS, f"{platform.system()} {platform.release()}".encode()),
        (SECTION_APPLICATION, application.encode()[:MAX_OPTION]),
    ]
    return _SECTION.pack(BYTE_ORDER, *VERSIONS[0], unknown_length) + options(told)


def _time(nanoseconds: int) -> bytes:
    return _WORDS.pack(nanoseconds >> 32, nanoseconds & 0xFFFFFFFF)  # the high word first, in either byte order


def _names(hosts: Mapping[str, str]) -> bytes:
    records = b""
    for address, name in hosts.items():
        kind = NAME_IPV6 if ":" in address else NAME_IPV4
        value = ip_address(address).packed + name.encode() + b"\0"
        records += _PAIR.pack(kind, len(value)) + padded(value)
    return records + _PAIR.pack(NAME_END, 0)


def commented(comments: Iterable[str]) -> list[Option]:
    """Returns comments as options, cut to what one can hold."""
    return [(COMMENT, _cut(comment.encode(errors="replace"))) for comment in comments]


def _cut(text: bytes) -> bytes:
    """Returns UTF-8 `text` cut at a character boundary to what an option can hold."""
    return text if len(text) <= MAX_OPTION else text[:MAX_OPTION].decode(errors="ignore").encode()


def options(given: Sequence[Option], order: str = "<") -> bytes:
    """Returns options as they are written, with their end; nothing where there are none."""
    if not given:
        return b""
    pack = Struct(order + "HH").pack
    written = [part for code, value in given for part in (pack(code, len(value)), value, _PADDING[-len(value) % 4])]
    return b"".join(written) + pack(END_OF_OPTIONS, 0)


def padded(data: bytes) -> bytes:
    """Returns data with as many zeros as make it end at a multiple of four."""
    return data + bytes(-len(data) % 4)
