"""Names are told by number, none is lost, and two independent tables, Scapy's and Wireshark's, have the same ones."""

from __future__ import annotations

import re
import subprocess

import pytest
from scapy.layers.tls.crypto.groups import _tls_named_groups
from scapy.layers.tls.crypto.suites import _tls_cipher_suites
from scapy.layers.tls.extensions import _tls_ext
from scapy.layers.tls.handshake import _tls_client_certificate_types, _tls_handshake_type
from scapy.layers.tls.record import _tls_alert_description, _tls_alert_level

from lab.protocols.tls import codes
from lab.protocols.tls.codes import Registry, is_grease, name, numbered
from lab.protocols.tls.suites import SUITES, key_exchange

REGISTRIES = {key: value for key, value in vars(codes).items() if isinstance(value, Registry)}
GREASE = [0x0A0A + 0x1010 * each for each in range(16)]  # RFC 8701 section 2
GREASE_BYTES = [0x0B, 0x2A, 0x49, 0x68, 0x87, 0xA6, 0xC5, 0xE4]

# Where others spell a name in their own way, or keep one for a draft's number; ours is IANA's. RFC 9846 section 11 has
# renamed extended_master_secret.
SCAPY_DIFFERS = {
    "extended_master_secret",
    "TLS_KRB5_EXPORT_WITH_DES40_CBC_SHA", "TLS_KRB5_EXPORT_WITH_DES40_CBC_MD5", "TLS_DHE_PSK_WITH_AES_128_CCM_8",
    "TLS_DHE_PSK_WITH_AES_256_CCM_8", "alpn", "early_data_indication", "session_ticket", "certificate_url",
    "encrypted_server_name", "rsa_ephemeral_dh_RESERVED", "dss_ephemeral_dh_RESERVED", "fortezza_dms_RESERVED",
    "no_certificate_RESERVED", "decryption_failed_RESERVED", "export_restriction_RESERVED",
}  # fmt: skip


def test_a_number_is_never_lost() -> None:
    for registry in REGISTRIES.values():
        for value in (*range(300), 0x1234, 0x0A0A, 0xFFFF):
            number = registry.form.format(value)
            known = value in registry.names
            assert known or number in name(registry, value) or f"{value:x}" in name(registry, value)
            assert number in numbered(registry, value) or f"{value:x}" in numbered(registry, value)


def test_names_of_known_unknown_and_grease_numbers() -> None:
    assert name(codes.SUITES, 0x1301) == "TLS_AES_128_GCM_SHA256"
    assert name(codes.SUITES, 0x0A0A) == "GREASE (0x0a0a)"
    assert name(codes.SUITES, 0x1234) == "unknown (0x1234)"
    assert name(codes.ALERTS, 99) == "unknown (99)"
    assert name(codes.PSK_MODES, 0x0B) == "GREASE (0x0b)"
    assert name(codes.EXTENSIONS, 11) == "ec_point_formats"
    assert numbered(codes.SUITES, 0xC02F) == "0xc02f (TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256)"
    assert numbered(codes.EXTENSIONS, 0xFAFA) == "0xfafa (GREASE)"
    assert numbered(codes.EXTENSIONS, 4242) == "4242 (unknown)"
    assert name(codes.VERSIONS, 0x7F1C) == "TLS 1.3 (draft 28)"
    assert name(codes.GROUPS, 4588) == "X25519MLKEM768"
    assert name(codes.SIGNATURE_SCHEMES, 0x0905) == "mldsa65"


def test_grease_is_what_rfc_8701_keeps() -> None:
    assert [value for value in range(1 << 16) if is_grease(value)] == GREASE
    assert [value for value in range(256) if is_grease(value, 1)] == GREASE_BYTES


def test_no_grease_value_has_another_name() -> None:
    for registry in REGISTRIES.values():
        assert not [value for value in registry.names if registry.grease and is_grease(value, registry.grease)]


def test_names_stand_for_one_number() -> None:
    """Except where an old number was kept beside the new one."""
    twice = {"application_settings", "SSL 2.0"}
    for registry in REGISTRIES.values():
        names = [each for each in registry.names.values() if each not in twice]
        assert len(names) == len(set(names))


def test_the_suite_tells_the_key_exchange() -> None:
    for number, exchange in {
        0x002F: "RSA", 0x0033: "DHE", 0x0034: "DH_anon", 0x0031: "DH", 0xC02F: "ECDHE", 0xC004: "ECDH",
        0xC018: "ECDH_anon", 0x008C: "PSK", 0x0090: "DHE_PSK", 0x0094: "RSA_PSK", 0xC035: "ECDHE_PSK",
        0xC0AA: "DHE_PSK", 0x0003: "RSA", 0xCCA8: "ECDHE", 0x1301: "other", 0x00FF: "other", 0x1234: "other",
        0xC01D: "other",
    }.items():  # fmt: skip
        assert key_exchange(number) == exchange
    assert key_exchange(None) == "other"


def test_the_table_of_suites_is_long() -> None:
    assert len(SUITES) > 330
    assert list(SUITES) == sorted(SUITES)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (codes.SUITES, _tls_cipher_suites),
        (codes.GROUPS, _tls_named_groups),
        (codes.EXTENSIONS, _tls_ext),
        (codes.HANDSHAKE_TYPES, _tls_handshake_type),
        (codes.ALERT_LEVELS, _tls_alert_level),
        (codes.ALERTS, _tls_alert_description),
        (codes.CLIENT_CERTIFICATE_TYPES, _tls_client_certificate_types),
    ],
)
def test_scapy_has_the_same_names(ours: Registry, theirs: dict[int, str]) -> None:
    both = [number for number in theirs if number in ours.names and theirs[number] not in SCAPY_DIFFERS]
    assert len(both) > len(theirs) * 0.6
    assert {number: theirs[number] for number in both} == {number: ours.names[number] for number in both}


@pytest.fixture(scope="module")
def wireshark(tshark: str) -> dict[str, dict[int, str]]:
    """Wireshark's own tables by field: the first name of each number."""
    run = subprocess.run([tshark, "-G", "values"], capture_output=True, check=True)
    found: dict[str, dict[int, str]] = {}
    for line in run.stdout.decode("utf-8", "replace").splitlines():
        if line.startswith("V\ttls."):
            _, field, number, text, *_ = line.split("\t")
            found.setdefault(field, {}).setdefault(int(number, 0), text)
    return found


def plain(text: str) -> str:
    """What is left of a name without punctuation, which Wireshark writes as words, and without its age, by 4.4."""
    return re.sub(r" \(OBSOLETE\)$|[\W_]|RESERVED$", "", text).lower()


# Experiments with numbers that IANA has given away since, and other spellings.
WIRESHARK_DIFFERS = {
    "frodo640aes", "frodo640shake", "frodo976aes", "delegated_credentials", "Connection ID", "extended_master_secret",
    "GMTLS", "TLCP",
}  # fmt: skip


@pytest.mark.parametrize(
    ("ours", "field", "least"),
    [
        (codes.SUITES, "tls.handshake.ciphersuite", 330),
        (codes.GROUPS, "tls.handshake.extensions_supported_group", 35),
        (codes.EXTENSIONS, "tls.handshake.extension.type", 50),
        (codes.ALERTS, "tls.alert_message.desc", 30),
        (codes.ALERT_LEVELS, "tls.alert_message.level", 2),
        (codes.SIGNATURE_SCHEMES, "tls.handshake.sig_hash_alg", 15),
        (codes.CONTENT_TYPES, "tls.record.content_type", 5),
        (codes.VERSIONS, "tls.record.version", 20),
        (codes.POINT_FORMATS, "tls.handshake.extensions_ec_point_format", 3),
        (codes.CURVE_TYPES, "tls.handshake.server_curve_type", 3),
        (codes.COMPRESSIONS, "tls.handshake.comp_method", 3),
        (codes.CERTIFICATE_COMPRESSIONS, "tls.compress_certificate.algorithm", 3),
        (codes.FRAGMENT_LENGTHS, "tls.handshake.max_fragment_length", 4),
    ],
)
def test_wireshark_has_the_same_names(
    wireshark: dict[str, dict[int, str]], ours: Registry, field: str, least: int
) -> None:
    theirs = wireshark[field]
    both = [number for number in theirs if number in ours.names and theirs[number] not in WIRESHARK_DIFFERS]
    different = {n: (ours.names[n], theirs[n]) for n in both if plain(ours.names[n]) != plain(theirs[n])}
    assert not different
    assert len(both) >= least
    assert all(is_grease(number) for number, text in theirs.items() if "GREASE" in text)
