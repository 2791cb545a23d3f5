"""What the bytes of a header's field say, in words: a header is a table, a row a field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address

Format = Callable[[bytes], str]
Number = Callable[[int], str]
Row = tuple[str, int, int | None, Format]  # name, offset in the header, length (None: to its end), format
Table = tuple[Row, ...]

SHOWN = 16  # bytes of data given in a value; the span tells how many there are
FIRST_ETHERTYPE = 0x0600  # below, the field is a length (IEEE 802.3)
ETHERTYPES = {
    0x0800: "IPv4", 0x0806: "ARP", 0x6558: "Ethernet", 0x8100: "802.1Q", 0x86DD: "IPv6", 0x8847: "MPLS", 0x8848: "MPLS",
    0x8863: "PPPoE Discovery", 0x8864: "PPPoE", 0x88A8: "802.1ad", 0x9100: "802.1ad",
}  # fmt: skip


def number(show: Number = str) -> Format:
    return lambda raw: show(int.from_bytes(raw, "big"))


def little(show: Number = str) -> Format:
    """Reads a number whose least significant byte comes first."""
    return lambda raw: show(int.from_bytes(raw, "little"))


def bits(first: int, count: int, show: Number = str) -> Format:
    """Reads `count` bits, the first of which is bit `first`, counted from the left as RFC diagrams do."""
    return lambda raw: show(int.from_bytes(raw, "big") >> (len(raw) * 8 - first - count) & ((1 << count) - 1))


def named(names: Mapping[int, str], show: Number = str) -> Number:
    return lambda value: f"{show(value)} ({names[value]})" if value in names else show(value)


def flags(*names: str) -> Number:
    """Names the bits that are set, from the least significant."""
    return lambda value: " ".join(name for bit, name in enumerate(names) if value >> bit & 1) or "none"


def times(unit: int) -> Number:
    return lambda value: f"{value} ({value * unit} bytes)"


def ethertype(value: int) -> str:
    return named(ETHERTYPES, "0x{:04x}".format)(value) if value >= FIRST_ETHERTYPE else f"{value} (length)"


def hexadecimal(raw: bytes) -> str:
    return f"0x{raw.hex()}"


def dump(raw: bytes) -> str:
    return raw[:SHOWN].hex(" ") + (" …" if len(raw) > SHOWN else "")


def mac(raw: bytes) -> str:
    return raw.hex(":")


def address(raw: bytes) -> str:
    return str(ip_address(raw))


def route(raw: bytes) -> str:
    return " ".join(address(raw[at : at + 4]) for at in range(0, len(raw), 4)) if len(raw) % 4 == 0 else dump(raw)


decimal = number()
