"""Certificates as people read them, and where in the bytes each of it stands; what does not parse is damaged."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from lab.protocols.tls import x509

_GENERAL_NAMES = {
    0x81: "rfc822Name", 0x82: "dNSName", 0x86: "uniformResourceIdentifier", 0x87: "iPAddress", 0x88: "registeredID",
    0xA4: "directoryName",
}  # fmt: skip
_UNKNOWN: dict[str, Any] = {
    "subject": None, "issuer": None, "serial": None, "not_before": None, "not_after": None, "alternative_names": [],
}  # fmt: skip


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

    All None and no names where the certificate is damaged; no names, too, where only these are. What stands in it is
    somebody else's text.
    """
    return x509.described(der) or _UNKNOWN


def places(der: bytes) -> list[Place]:
    """Returns where serial number, issuer, validity, subject and alternative names stand; none where it is damaged."""
    known = described(der)
    if known["subject"] is None:
        return []
    serial, _, issuer, validity, subject, _, *more = x509.fields(der)
    begin, end = x509.inside(der, validity)
    found = [
        Place("serialNumber", *serial[1:], known["serial"]),
        Place("issuer", *issuer[1:], known["issuer"]),
        Place("notBefore", *begin[1:], known["not_before"]),
        Place("notAfter", *end[1:], known["not_after"]),
        Place("subject", *subject[1:], known["subject"]),
    ]
    listed = x509.alternative(der, more) if known["alternative_names"] else None
    if listed is not None:
        octets, names = listed
        found.append(Place("subjectAltName", *octets[1:], ""))
        for (kind, at, until), name in zip(names, known["alternative_names"], strict=False):
            found.append(Place(_GENERAL_NAMES.get(kind, "otherName"), at, until, name, True))
    return found
