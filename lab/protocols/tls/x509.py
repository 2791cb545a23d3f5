"""What a certificate says, as `cryptography` reads it: the one file that needs it for that."""

from __future__ import annotations

import warnings
from typing import Any

from cryptography import x509

MOST_NAMES = 100  # alternative names of a certificate that are told


def described(der: bytes) -> dict[str, Any] | None:
    """Returns what `certificates.described` does, None where the certificate is damaged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about certificates that break rules, which is what a lab is shown
            found = x509.load_der_x509_certificate(der)
            return {
                "subject": found.subject.rfc4514_string(),
                "issuer": found.issuer.rfc4514_string(),
                "serial": f"{found.serial_number:x}",
                "not_before": found.not_valid_before_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "not_after": found.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "alternative_names": _names(found),
            }
    except (ValueError, TypeError, OverflowError, x509.InvalidVersion):
        return None


def _names(found: x509.Certificate) -> list[str]:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return []
    return [_name(each) for each, _ in zip(names, range(MOST_NAMES), strict=False)]


def _name(each: x509.GeneralName) -> str:
    value = each.value
    if isinstance(value, x509.Name):
        return value.rfc4514_string()
    return value.dotted_string if isinstance(value, x509.ObjectIdentifier) else str(value)
