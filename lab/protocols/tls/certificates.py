"""Certificates as people read them: what does not parse is said to be damaged.

Where in the bytes each of it stands, a few lines of DER tell (X.690, RFC 5280 section 4.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

_VERSION, _EXTENSIONS, _OCTETS = 0xA0, 0xA3, 0x04  # tags
_ALTERNATIVE_NAMES = bytes.fromhex("0603551d11")  # the object identifier 2.5.29.17, RFC 5280 section 4.2.1.6
_GENERAL_NAMES = {
    0x81: "rfc822Name", 0x82: "dNSName", 0x86: "uniformResourceIdentifier", 0x87: "iPAddress", 0x88: "registeredID",
    0xA4: "directoryName",
}  # fmt: skip
_UNKNOWN: dict[str, Any] = {
    "subject": None, "issuer": None, "serial": None, "not_before": None, "not_after": None, "alternative_names": [],
}  # fmt: skip
UNREAD = {**_UNKNOWN}  # the same, where nobody can say whether it is damaged


class Place(NamedTuple):
    """Something in a certificate: its name as RFC 5280 has it, its bytes, and what it says."""

    name: str
    start: int
    end: int
    value: str
    inside: bool = False  # the one before it


@lru_cache(256)
def described(der: bytes) -> dict[str, Any]:
    """Returns a certificate's subject, issuer (RFC 4514), serial number (hex), validity (ISO 8601, UTC) and names.

    All None and no names where the certificate is damaged, or there is no library to read it (`UNREAD`); no names, too,
    where only these are damaged. What stands in it is somebody else's text.
    """
    try:
        from lab.protocols.tls import x509
    except ImportError:
        return UNREAD
    return x509.described(der) or _UNKNOWN


def places(der: bytes) -> list[Place]:
    """Returns where serial number, issuer, validity, subject and alternative names stand; none where it is damaged."""
    known = described(der)
    if known["subject"] is None:
        return []
    certificate = next(_parts(der, 0, len(der)), None)
    inside = next(_parts(der, *certificate[1:]), None) if certificate else None
    if inside is None:
        return []
    parts = [part for part in _parts(der, *inside[1:]) if part[0] != _VERSION]
    dates = [(begin, end) for _, begin, end in _parts(der, *parts[3][1:])] if len(parts) > 4 else []
    if len(dates) != 2:
        return []
    found = [
        Place("serialNumber", *parts[0][1:], known["serial"]),
        Place("issuer", *parts[2][1:], known["issuer"]),
        Place("notBefore", *dates[0], known["not_before"]),
        Place("notAfter", *dates[1], known["not_after"]),
        Place("subject", *parts[4][1:], known["subject"]),
    ]
    for kind, begin, end in parts[5:]:
        for extensions in _parts(der, begin, end) if kind == _EXTENSIONS else ():
            found += _alternative(der, *extensions[1:], known["alternative_names"])
    return found


def _alternative(der: bytes, start: int, end: int, names: list[str]) -> list[Place]:
    for _, begin, behind in _parts(der, start, end):
        octets = [part for part in _parts(der, begin, behind) if part[0] == _OCTETS]
        if der[begin:behind].startswith(_ALTERNATIVE_NAMES) and octets and names:
            _, first, last = octets[0]
            inner = [part for sequence in _parts(der, first, last) for part in _parts(der, *sequence[1:])]
            told = [
                Place(_GENERAL_NAMES.get(kind, "otherName"), at, until, name, True)
                for (kind, at, until), name in zip(inner, names, strict=False)
            ]
            return [Place("subjectAltName", first, last, ""), *told]
    return []


def _parts(der: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yields the elements between two places: tag, and where the content starts and ends. Stops at what is none."""
    while start + 2 <= end:
        tag, size, at = der[start], der[start + 1], start + 2
        if size & 0x80:
            count = size & 0x7F
            if not 0 < count <= 4 or at + count > end:
                return
            size, at = int.from_bytes(der[at : at + count], "big"), at + count
        if at + size > end:
            return
        yield tag, at, at + size
        start = at + size
