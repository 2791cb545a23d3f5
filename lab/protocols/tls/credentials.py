"""Certificates and keys, made when a scenario is played: a small authority, a server, a client, and some bad ones.

The hosts' keys are RSA: the notes' key exchange encrypts to the server's, and OpenSSL takes a P-256 key from a client
only where that curve is among the groups too. The authority's is P-256, which is quickly made.
The profile is RFC 5280's, strictly (OpenSSL's X509_V_FLAG_X509_STRICT).
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import NameOID

from lab.protocols.tls.terms import SERVER, Credentials, Identity

OTHER, CLIENT = "other.example", "client.example"
_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_DAY = datetime.timedelta(days=1)


class _Authority(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make(
    addresses: Sequence[str],
    name: str = SERVER,
    /,
    *,
    expired: bool = False,
    stranger: bool = False,
    other_name: bool = False,
    client: bool = False,
) -> Credentials:
    """Returns fresh credentials for a server of this name and with these addresses.

    The server's certificate may have expired yesterday, be signed by a stranger, or be for another host. Only where
    asked for has the client one too.
    """
    known = _authority("Handshake Lab CA")
    names: list[x509.GeneralName] = [x509.DNSName(OTHER if other_name else name)]
    if not other_name:
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    signer = _authority("Somebody Else's CA") if stranger else known
    server = _issue(signer, names, Usage.SERVER_AUTH, _DAY if expired else -30 * _DAY)
    theirs = None
    if client:
        theirs = _issue(known, [x509.DNSName(CLIENT)], Usage.CLIENT_AUTH, -30 * _DAY)
    return Credentials(_pem(known.certificate), server, theirs)


def _authority(name: str) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        _builder(subject, key, -30 * _DAY)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_may(key_cert_sign=True, crl_sign=True), critical=True)
    )
    return _Authority(builder.sign(key, hashes.SHA256()), key)


def _issue(
    signer: _Authority,
    names: Sequence[x509.GeneralName],
    usage: x509.ObjectIdentifier,
    ended: datetime.timedelta,
) -> Identity:
    """Returns a certificate for `names`, and its key. `ended` is how long ago it expired."""
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(names[0].value))])
    static_rsa = usage == Usage.SERVER_AUTH  # the pre-master secret is encrypted to it
    certificate = (
        _builder(subject, key, ended)
        .issuer_name(signer.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_may(digital_signature=True, key_encipherment=static_rsa), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
        .sign(signer.key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Identity(_pem(certificate), private)


def _builder(subject: x509.Name, key: _Key, ended: datetime.timedelta) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 60 * _DAY)
        .not_valid_after(now - ended)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _may(
    digital_signature: bool = False, key_encipherment: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature, key_encipherment=key_encipherment, key_cert_sign=key_cert_sign,
        crl_sign=crl_sign, content_commitment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
