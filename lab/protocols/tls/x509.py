"""What a certificate says (RFC 5280 section 4.1), read from its DER (X.690) by hand: that takes no library, anywhere.

What is not DER from end to end, or no certificate, is damaged. Of its extensions only the alternative names are looked
into; where these are damaged, there are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from ipaddress import ip_address
from typing import Any, NamedTuple

MOST_NAMES = 100  # alternative names of a certificate that are told
INTEGER, BITS, OCTETS, _OID, SEQUENCE, _SET, _UTC_TIME, _TIME = 0x02, 0x03, 0x04, 0x06, 0x30, 0x31, 0x17, 0x18
VERSION, EXTENSIONS = 0xA0, 0xA3
ALTERNATIVE_NAMES = bytes.fromhex("551d11")  # 2.5.29.17, RFC 5280 section 4.2.1.6
_V3 = b"\x02\x01\x02"
_CERTIFICATE, _FIELDS = [SEQUENCE, SEQUENCE, BITS], [INTEGER, *[SEQUENCE] * 5]
# RFC 4514 section 3: other attributes are told by their identifiers.
_ATTRIBUTES = {
    "2.5.4.3": "CN", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.6": "C",
    "2.5.4.9": "STREET", "0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
}  # fmt: skip
_TEXTS = dict.fromkeys((12, 18, 19, 20, 22, 26), "utf-8") | {28: "utf-32-be", 30: "utf-16-be"}  # kinds of strings
_MOST_IDENTIFIER = 128  # bytes
_SPECIAL = '\\"+,;<>'
_MAIL, _HOST, _ADDRESS, _URI, _REGISTERED, _OTHER, _DIRECTORY = 0x81, 0x82, 0x87, 0x86, 0x88, 0xA0, 0xA4


class Element(NamedTuple):
    """An element of DER: its tag, and where its content starts and ends."""

    tag: int
    start: int
    end: int


def described(der: bytes) -> dict[str, Any] | None:
    """Returns what `certificates.described` does, None where the certificate is damaged."""
    try:
        serial, _, issuer, validity, subject, _, *more = fields(der)
        begin, end = inside(der, validity)
        return {
            "subject": _name(der, subject),
            "issuer": _name(der, issuer),
            "serial": f"{_number(der, serial):x}",
            "not_before": _time(der, begin),
            "not_after": _time(der, end),
            "alternative_names": _names(der, more),
        }
    except (ValueError, IndexError, OverflowError):
        return None


def fields(der: bytes) -> list[Element]:
    """Returns a certificate's fields from its serial number on: algorithm, issuer, validity, subject, key and more.

    Raises ValueError, or IndexError, where it is damaged.
    """
    certificate = inside(der, _one(der, 0, len(der), SEQUENCE))
    found = inside(der, certificate[0])
    version = found.pop(0) if found[0].tag == VERSION else None
    sound = version is None or der[version.start : version.end] == _V3
    if not sound or [each.tag for each in certificate] != _CERTIFICATE or [each.tag for each in found[:6]] != _FIELDS:
        raise ValueError("no certificate")
    return found


def elements(der: bytes, start: int, end: int) -> Iterator[Element]:
    """Yields the elements between two places. Raises ValueError for what is none, when it comes to it."""
    while start < end:
        if start + 2 > end or der[start] & 0x1F == 0x1F:
            raise ValueError("no element")
        size, at = der[start + 1], start + 2
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(der[at : at + count], "big"), at + count
            if not 0 < count <= 4 or size < max(0x80, 1 << 8 * (count - 1)):
                raise ValueError("not the shortest length")
        if at + size > end:
            raise ValueError("it is longer than what it stands in")
        yield Element(der[start], at, at + size)
        start = at + size


def inside(der: bytes, within: Element) -> list[Element]:
    """Returns the elements that another is made of. Raises ValueError where it is not."""
    return list(elements(der, within.start, within.end))


def _one(der: bytes, start: int, end: int, tag: int) -> Element:
    found = list(elements(der, start, end))
    if len(found) != 1 or found[0].tag != tag:
        raise ValueError("not the one element")
    return found[0]


def _number(der: bytes, at: Element) -> int:
    data = der[at.start : at.end]
    if not data or (len(data) > 1 and data[0] in (0, 0xFF) and (data[0] ^ data[1]) < 0x80):
        raise ValueError("not the shortest number")
    return int.from_bytes(data, "big", signed=True)


def _time(der: bytes, at: Element) -> str:
    said = der[at.start : at.end].decode("ascii")
    if at.tag == _UTC_TIME and len(said) == 13:
        said = ("19" if said[:2] >= "50" else "20") + said  # RFC 5280 section 4.1.2.5.1
    elif at.tag != _TIME or len(said) != 15:
        raise ValueError("no time")
    if not (said[:14].isdigit() and said[14] == "Z"):
        raise ValueError("no time")
    written = f"{said[:4]}-{said[4:6]}-{said[6:8]}T{said[8:10]}:{said[10:12]}:{said[12:14]}"
    datetime.fromisoformat(written)  # raises ValueError where the calendar has no such time
    return f"{written}Z"


def _name(der: bytes, at: Element) -> str:
    """Returns a distinguished name as RFC 4514 writes it: the last of its parts first."""
    return ",".join("+".join(_relative(der, each)) for each in reversed(inside(der, at)))


def _relative(der: bytes, at: Element) -> list[str]:
    told = []
    for each in inside(der, at):
        kind, value = inside(der, each)
        if (at.tag, each.tag, kind.tag) != (_SET, SEQUENCE, _OID):
            raise ValueError("no attribute")
        name = _identifier(der[kind.start : kind.end])
        told.append(f"{_ATTRIBUTES.get(name, name)}={_value(value.tag, der[value.start : value.end])}")
    if not told:
        raise ValueError("no attribute")
    return told


def _value(tag: int, data: bytes) -> str:
    """Returns an attribute's value: RFC 4514 section 2.4."""
    if tag == BITS:
        return "#" + data.hex()
    if tag not in _TEXTS:
        raise ValueError("no text")
    said = data.decode(_TEXTS[tag])
    told = "".join("\\" + char if char in _SPECIAL else char for char in said).replace("\0", "\\00")
    if said.startswith("#") or (said.startswith(" ") and len(said) > 1):
        told = "\\" + told
    return told[:-1] + "\\ " if said.endswith(" ") else told


def _identifier(data: bytes) -> str:
    """Returns an object identifier with its dots: X.690 section 8.19."""
    if not data or data[-1] & 0x80 or len(data) > _MOST_IDENTIFIER:
        raise ValueError("no identifier")
    numbers, value = [], 0
    for at, byte in enumerate(data):
        if value == 0 and byte == 0x80 and (at == 0 or not data[at - 1] & 0x80):
            raise ValueError("not the shortest number")
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def alternative(der: bytes, more: list[Element]) -> tuple[Element, list[Element]] | None:
    """Returns where the alternative names stand and where each does, of what is behind a certificate's key.

    None where there are none, or they stand there twice. Raises ValueError, or IndexError, where that is damaged.
    """
    lists = [_one(der, part.start, part.end, SEQUENCE) for part in more if part.tag == EXTENSIONS]
    each_parts = [inside(der, each) for listed in lists for each in inside(der, listed)]
    found = [parts[-1] for parts in each_parts if der[parts[0].start : parts[0].end] == ALTERNATIVE_NAMES]
    if len(found) != 1 or found[0].tag != OCTETS:
        return None
    return found[0], inside(der, _one(der, found[0].start, found[0].end, SEQUENCE))


def _names(der: bytes, more: list[Element]) -> list[str]:
    try:
        found = alternative(der, more)
        return [_general(der, each) for each in found[1]][:MOST_NAMES] if found is not None else []
    except (ValueError, IndexError):
        return []


def _general(der: bytes, at: Element) -> str:
    data = der[at.start : at.end]
    if at.tag in (_MAIL, _HOST, _URI):
        return data.decode("ascii")
    if at.tag == _ADDRESS:
        return str(ip_address(data))
    if at.tag == _REGISTERED:
        return _identifier(data)
    if at.tag == _DIRECTORY:
        return _name(der, _one(der, at.start, at.end, SEQUENCE))
    if at.tag == _OTHER:
        _, value = inside(der, at)
        return str(der[value.start : value.end])
    raise ValueError("no name that is told")
