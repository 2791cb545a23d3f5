"""Keys and certificates are what the scenarios say of them, and made anew for each run."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lab.protocols.tls import credentials


def test_a_key_is_never_kept() -> None:
    assert credentials.make(["192.0.2.3"]) != credentials.make(["192.0.2.3"])


def test_certificates_are_what_their_scenarios_say() -> None:
    now = datetime.datetime.now(datetime.UTC)
    for how in ({}, {"expired": True}, {"stranger": True}, {"other_name": True}, {"client": True}):
        made = credentials.make(["192.0.2.3", "2001:db8::3"], **how)
        known = x509.load_pem_x509_certificate(made.authority.encode())
        server = x509.load_pem_x509_certificate(made.server.certificate.encode())
        names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert (server.not_valid_after_utc < now) == ("expired" in how)
        assert server.not_valid_before_utc < now
        assert ("server.example" in names.get_values_for_type(x509.DNSName)) == ("other_name" not in how)
        if "other_name" not in how:
            assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.3", "2001:db8::3"]
        assert (server.issuer == known.subject) == ("stranger" not in how)
        if "stranger" not in how:
            server.verify_directly_issued_by(known)
        assert bool(made.client) == ("client" in how)
        for identity in filter(None, (made.server, made.client)):
            own = x509.load_pem_x509_certificate(identity.certificate.encode())
            key = load_pem_private_key(identity.key.encode(), None)
            assert key.public_key() == own.public_key()
