"""Certificates as people read them, each with the bytes that say so."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from lab.protocols.tls import credentials
from lab.protocols.tls.certificates import described, places
from lab.protocols.tls.x509 import MOST_NAMES

KEY = ec.generate_private_key(ec.SECP256R1())
BEGAN, ENDED = datetime.datetime(2024, 2, 29, 1, 2, 3), datetime.datetime(2051, 1, 1)  # one of each of DER's two forms


def certificate(*names: x509.GeneralName, other: x509.ExtensionType | None = None) -> bytes:
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Größe"), x509.NameAttribute(NameOID.COMMON_NAME, "a.example")]
    )
    builder = x509.CertificateBuilder(subject, subject, KEY.public_key(), 1234567, BEGAN, ENDED)
    if other is not None:
        builder = builder.add_extension(other, critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


NAMES = (
    x509.DNSName("a.example"), x509.DNSName("*.b.example"), x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
    x509.IPAddress(ipaddress.ip_address("2001:db8::7")), x509.RFC822Name("who@a.example"),
    x509.UniformResourceIdentifier("https://a.example/"), x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
    x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])),
)  # fmt: skip
CONSTRAINED = x509.BasicConstraints(ca=True, path_length=0)


def test_what_is_said_stands_in_the_bytes_that_are_named() -> None:
    der = certificate(*NAMES, other=CONSTRAINED)
    found = {place.name: place for place in places(der)}
    assert int.from_bytes(der[found["serialNumber"].start : found["serialNumber"].end], "big") == 1234567
    assert der[found["notBefore"].start : found["notBefore"].end] == b"240229010203Z"
    assert der[found["notAfter"].start : found["notAfter"].end] == b"20510101000000Z"
    assert (found["notBefore"].value, found["notAfter"].value) == ("2024-02-29T01:02:03Z", "2051-01-01T00:00:00Z")
    subject, issuer = found["subject"], found["issuer"]
    assert subject.value == issuer.value == "CN=a.example,O=Größe"
    for place in (subject, issuer):
        assert "Größe".encode() in der[place.start : place.end]
        assert b"a.example" in der[place.start : place.end]
    assert found["subjectAltName"].value == ""


def test_every_alternative_name_has_its_bytes() -> None:
    der = certificate(*NAMES, other=CONSTRAINED)
    inside = [place for place in places(der) if place.inside]
    assert [(place.name, place.value) for place in inside] == [
        ("dNSName", "a.example"), ("dNSName", "*.b.example"), ("iPAddress", "192.0.2.7"), ("iPAddress", "2001:db8::7"),
        ("rfc822Name", "who@a.example"), ("uniformResourceIdentifier", "https://a.example/"), ("registeredID", "1.2.3"),
        ("directoryName", "CN=x"),
    ]  # fmt: skip
    for place in inside:
        written = der[place.start : place.end]
        if place.name == "iPAddress":
            assert str(ipaddress.ip_address(written)) == place.value
        elif place.name not in ("registeredID", "directoryName"):
            assert written.decode() == place.value
    assert described(der)["alternative_names"] == [place.value for place in inside]


def test_without_alternative_names_there_are_none() -> None:
    for der in (certificate(), certificate(other=CONSTRAINED)):
        assert [place.name for place in places(der)] == ["serialNumber", "issuer", "notBefore", "notAfter", "subject"]
        assert described(der)["alternative_names"] == []


def test_of_very_many_names_the_first_are_told() -> None:
    der = certificate(*(x509.DNSName(f"n{at}.example") for at in range(500)))
    assert len(described(der)["alternative_names"]) == MOST_NAMES
    assert places(der)[-1].value == f"n{MOST_NAMES - 1}.example"


REAL = x509.load_pem_x509_certificate(credentials.make(["192.0.2.3"]).server.certificate.encode()).public_bytes(
    Encoding.DER
)


@pytest.mark.parametrize("size", [0, 1, 2, 4, 60, 300])
def test_a_damaged_certificate_is_said_to_be_so(size: int) -> None:
    assert described(REAL[:size])["subject"] is None
    assert described(REAL[:size])["alternative_names"] == []
    assert places(REAL[:size]) == []


@given(st.data())
def test_bytes_that_are_changed_raise_nothing_and_no_place_lies_outside(data: st.DataObject) -> None:
    der = bytearray(REAL)
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    assert all(0 <= place.start <= place.end <= len(der) for place in places(bytes(der)))


# What a library says of the same certificates.

ATTRIBUTES = (
    NameOID.COMMON_NAME, NameOID.LOCALITY_NAME, NameOID.STATE_OR_PROVINCE_NAME, NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.STREET_ADDRESS, NameOID.USER_ID, NameOID.GIVEN_NAME,
)  # fmt: skip
SAID = st.text(st.sampled_from('ab ,+"\\\\;<>#=\0ö中.'), min_size=1, max_size=9)
HOSTS = st.text(st.sampled_from("abc.-*"), min_size=1, max_size=9)


@st.composite
def distinguished(draw: st.DrawFn) -> x509.Name:
    return x509.Name(
        x509.RelativeDistinguishedName([x509.NameAttribute(kind, draw(SAID)) for kind in kinds])
        for kinds in draw(st.lists(st.sets(st.sampled_from(ATTRIBUTES), min_size=1, max_size=2), max_size=4))
    )


GENERAL = st.one_of(
    HOSTS.map(x509.DNSName), HOSTS.map(x509.RFC822Name), HOSTS.map(x509.UniformResourceIdentifier),
    st.ip_addresses().map(x509.IPAddress), distinguished().map(x509.DirectoryName),
    st.sampled_from(["1.2.3", "2.5.29.17", "2.999.1", "1.3.6.1.4.1.311.60"]).map(
        lambda dotted: x509.RegisteredID(x509.ObjectIdentifier(dotted))
    ),
    st.just(x509.OtherName(x509.ObjectIdentifier("1.2.3.4"), b"\x0c\x02hi")),
)  # fmt: skip
MOMENTS = st.datetimes(datetime.datetime(1951, 1, 1), datetime.datetime(2090, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0)
)


@given(
    distinguished(), distinguished(), st.integers(1, 1 << 158), st.lists(MOMENTS, min_size=2, max_size=2).map(sorted),
    st.lists(GENERAL, max_size=5),
)  # fmt: skip
def test_a_library_says_the_same(
    subject: x509.Name, issuer: x509.Name, serial: int, valid: list[datetime.datetime], names: list[x509.GeneralName]
) -> None:
    builder = x509.CertificateBuilder(issuer, subject, KEY.public_key(), serial, valid[0], valid[1])
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    found = builder.add_extension(CONSTRAINED, critical=True).sign(KEY, hashes.SHA256())
    kept: Iterable[x509.GeneralName] = (
        found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value if names else []
    )
    assert described(found.public_bytes(Encoding.DER)) == {
        "subject": found.subject.rfc4514_string(),
        "issuer": found.issuer.rfc4514_string(),
        "serial": f"{found.serial_number:x}",
        "not_before": found.not_valid_before_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "not_after": found.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "alternative_names": [told(each.value) for each in kept],
    }


def told(value: object) -> str:
    if isinstance(value, x509.Name):
        return value.rfc4514_string()
    return value.dotted_string if isinstance(value, x509.ObjectIdentifier) else str(value)
