"""The blocks between the packets of a pcapng file: what they say is kept, what they get wrong is noted, none raises.

A `Section` is what it takes to read the packets that follow: the byte order and the interfaces.
Source: draft-ietf-opsawg-pcapng sections 4.1, 4.2 and 4.5 to 4.7; its numbers stand in `lab/capture/pcapng.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from struct import Struct
from typing import NamedTuple

from lab.capture import pcapng
from lab.capture.rewrite import Block
from lab.capture.source import MAX_KEPT, MAX_SECRETS, Findings
from lab.text import Text

MAX_TIME = (1 << 64) - 1  # nanoseconds, in the year 2554: what a pcapng of nanoseconds can hold
SECOND = 1_000_000_000  # nanoseconds
OVERRUN, SURPLUS, SURPLUS_BYTES = -1, -2, -3  # stand for an option that runs over its block, and for those left out
MOST_OPTIONS, MOST_OF_OPTIONS = 4096, 2 << 20  # of a block, and their bytes

# The bytes a block has at least, without its type and its lengths
BODIES = {
    pcapng.SECTION_HEADER: 16,
    pcapng.INTERFACE_DESCRIPTION: 8,
    pcapng.INTERFACE_STATISTICS: 12,
    pcapng.DECRYPTION_SECRETS: 8,
}

WITH_OPTIONS = (pcapng.SECTION_HEADER, pcapng.INTERFACE_DESCRIPTION, pcapng.INTERFACE_STATISTICS)

TOO_SMALL = Text("the block is too small for what it should hold: it is skipped", "块太小，放不下应有的内容：已跳过")
TOO_MANY_OPTIONS = Text(
    "a block has more than {} options: the rest is left out", "有一个块的选项超过 {} 个：其余已略去"
).format(MOST_OPTIONS)
OPTIONS_TOO_LARGE = Text(
    f"a block has more than {MOST_OF_OPTIONS >> 20} MB of options: the rest is left out",
    f"有一个块的选项超过 {MOST_OF_OPTIONS >> 20} MB：其余已略去",
)
OPTION_OVERRUN = Text("an option runs over the end of its block", "有一个选项超出了所在块的末尾")
_WRONG = {OVERRUN: OPTION_OVERRUN, SURPLUS: TOO_MANY_OPTIONS, SURPLUS_BYTES: OPTIONS_TOO_LARGE}
NAME_OVERRUN = Text("a host name runs over the end of its block", "有一条主机名记录超出了所在块的末尾")
SECRETS_OVERRUN = Text("the secrets run over the end of their block", "密钥数据超出了所在块的末尾")
SECRETS_TOO_MANY = Text(
    f"there are more secrets than {MAX_SECRETS >> 20} MB: these are left out",
    f"密钥数据超过 {MAX_SECRETS >> 20} MB：这一块已略去",
)
UNKNOWN_VERSION = Text(
    "the section is of version {}.{}, which is unknown: it is read as 1.0", "节的版本 {}.{} 未知：按 1.0 读取"
)


class Interface(NamedTuple):
    """What an interface description says: a packet's time is `ticks * multiply // divide + offset` nanoseconds."""

    linktype: int
    snaplen: int  # bytes, 0: no limit
    multiply: int
    divide: int
    offset: int

    def time(self, ticks: int) -> int | None:
        """Returns nanoseconds since 1970, or None where that is before 1970 or after `MAX_TIME`."""
        time = ticks * self.multiply // self.divide + self.offset
        return time if 0 <= time <= MAX_TIME else None


class Plain(NamedTuple):
    """An interface whose ticks are `tick` nanoseconds since 1970; up to `last` as high word the time is possible."""

    linktype: int
    tick: int
    last: int


class Section:
    """The byte order of a section and its interfaces by id, as far as it has been read."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.word = Struct(order + "I")
        self.pair = Struct(order + "HH")
        self.plain_packet = Struct(order + "IIIIIII")  # from the block's type on
        self.enhanced_packet = Struct(order + "IIIII")  # without type and length
        self.obsolete_packet = Struct(order + "HHIIII")
        self.interfaces: dict[int, Interface] = {}
        self.plain: dict[int, Plain] = {}  # the same, for those that are plain
        self._described = 0  # interface descriptions, damaged ones too: the next id

    def take(self, kind: int, body: bytes, found: Findings, offset: int) -> Block | None:
        """Reads the block of type `kind`, found at byte `offset` of the file; an unknown one says nothing.

        Returns what of it can be written again, None where it would mislead who reads it.
        """
        if kind == pcapng.INTERFACE_DESCRIPTION:
            self._described += 1
        size = BODIES.get(kind, 0)
        if len(body) < size:
            found.problem(offset, None, TOO_SMALL)
            if kind == pcapng.INTERFACE_DESCRIPTION:  # those behind it keep their numbers
                return Block(self.order, kind, bytes(size))
            return self._begin() if kind == pcapng.SECTION_HEADER else None
        if kind == pcapng.SECTION_HEADER:
            self._version(body, found, offset)
        elif kind == pcapng.INTERFACE_DESCRIPTION:
            self._interface(body, found, offset)
        elif kind == pcapng.NAME_RESOLUTION and not self._names(body, found, offset):
            return None
        elif kind == pcapng.INTERFACE_STATISTICS:
            found.keep_closing(comments(self.options(body, 12), None, found, offset))
        elif kind == pcapng.DECRYPTION_SECRETS and not self._secrets(body, found, offset):
            return None
        if kind == pcapng.CUSTOM_NOT_COPIED:
            return None
        if kind not in WITH_OPTIONS:
            return Block(self.order, kind, body)
        told = tuple(each for each in self.options(body, size) if each[0] >= 0) if found.passed is not None else ()
        if kind == pcapng.SECTION_HEADER:
            return self._begin(told)
        return Block(self.order, kind, body[:size], told)

    def _begin(self, options: tuple[pcapng.Option, ...] = ()) -> Block:
        """Returns a section header that leaves open how long the section is: comments are going to be added."""
        body = Struct(self.order + "IHHq").pack(pcapng.BYTE_ORDER, *pcapng.VERSIONS[0], -1)
        return Block(self.order, pcapng.SECTION_HEADER, body, options)

    def options(self, body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
        """Yields code and value of each option from `at` on (section 3.5), at most `MOST_OPTIONS`.

        One that runs over `body` comes as `OVERRUN`, those that are left out as one `SURPLUS`, or as `SURPLUS_BYTES`.
        """
        size, last, pair = len(body), at + MOST_OF_OPTIONS, self.pair.unpack_from
        for _ in range(MOST_OPTIONS):
            if at + 4 > size:
                return
            code, length = pair(body, at)
            at += 4
            if code == pcapng.END_OF_OPTIONS:
                return
            if at + length > size:
                yield OVERRUN, b""
                return
            if at + length > last:
                yield SURPLUS_BYTES, b""
                return
            yield code, body[at : at + length]
            at += length + -length % 4
        if at + 4 <= size:
            yield SURPLUS, b""

    def _version(self, body: bytes, found: Findings, offset: int) -> None:
        version = self.pair.unpack_from(body, 4)
        if version not in pcapng.VERSIONS:
            found.problem(offset, None, UNKNOWN_VERSION.format(*version))

    def _interface(self, body: bytes, found: Findings, offset: int) -> None:
        linktype, _, snaplen = Struct(self.order + "HHI").unpack_from(body)
        resolution, shift = 6, 0  # microseconds since 1970, where nothing else is said
        for code, value in self.options(body, 8):
            if code == pcapng.INTERFACE_RESOLUTION and len(value) == 1:
                resolution = value[0]
            elif code == pcapng.INTERFACE_OFFSET and len(value) == 8:
                (shift,) = Struct(self.order + "q").unpack(value)
            elif code in _WRONG:
                found.problem(offset, None, _WRONG[code])
        number = self._described - 1
        if number < MAX_KEPT:
            multiply, divide = _nanoseconds(resolution)
            self.interfaces[number] = Interface(linktype, snaplen, multiply, divide, shift * SECOND)
            if divide == 1 and shift == 0:
                self.plain[number] = Plain(linktype, multiply, (MAX_TIME // multiply >> 32) - 1)

    def _names(self, body: bytes, found: Findings, offset: int) -> bool:
        """Returns whether the block is sound; so does `_secrets`."""
        at = 0
        while at + 4 <= len(body):
            kind, length = self.pair.unpack_from(body, at)
            at += 4
            if kind == pcapng.NAME_END:
                return True
            if at + length > len(body):
                found.problem(offset, None, NAME_OVERRUN)
                return False
            if kind in pcapng.ADDRESSES:
                size = pcapng.ADDRESSES[kind]
                name, _, _ = body[at + size : at + length].partition(b"\0")
                if name:
                    found.keep_host(str(ip_address(body[at : at + size])), name.decode(errors="replace"))
            at += length + -length % 4
        return True

    def _secrets(self, body: bytes, found: Findings, offset: int) -> bool:
        kind, length = Struct(self.order + "II").unpack_from(body)
        if length > len(body) - 8:
            found.problem(offset, None, SECRETS_OVERRUN)
        if kind == pcapng.TLS_KEY_LOG and (length > MAX_SECRETS or not found.keep_secrets(body[8 : 8 + length])):
            found.problem(offset, None, SECRETS_TOO_MANY)
        return bool(length <= len(body) - 8)


def _nanoseconds(resolution: int) -> tuple[int, int]:
    """Returns what to multiply and to divide ticks by, from `if_tsresol` (section 4.2): 10 or, with the top bit, 2."""
    if resolution & 0x80:
        return SECOND, 1 << (resolution & 0x7F)
    return 10 ** max(9 - resolution, 0), 10 ** max(resolution - 9, 0)


def comments(options: Iterable[pcapng.Option], packet: int | None, found: Findings, offset: int) -> tuple[str, ...]:
    """Returns the comments among options, with U+FFFD for what is no UTF-8."""
    said = []
    for code, value in options:
        if code == pcapng.COMMENT:
            said.append(value.decode(errors="replace"))
        elif code in _WRONG:
            found.problem(offset, packet, _WRONG[code])
    return tuple(said)
