"""Certificates as people read them, through `cryptography`: what does not parse is said to be damaged."""

from __future__ import annotations

import warnings
from functools import lru_cache

from cryptography import x509


@lru_cache(256)
def described(der: bytes) -> dict[str, str | None]:
    """Returns a certificate's subject, issuer (RFC 4514), serial number (hex) and end of validity (ISO 8601, UTC).

    All None where the certificate is damaged. What stands in it is somebody else's text.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about certificates that break rules, which is what a lab is shown
            found = x509.load_der_x509_certificate(der)
            return {
                "subject": found.subject.rfc4514_string(),
                "issuer": found.issuer.rfc4514_string(),
                "serial": f"{found.serial_number:x}",
                "not_after": found.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
    except (ValueError, TypeError, OverflowError, x509.InvalidVersion):
        return {"subject": None, "issuer": None, "serial": None, "not_after": None}
