"""What a suite's name says, compared with Scapy's table of suites, which was written by others."""

from __future__ import annotations

import pytest
from scapy.layers.tls.crypto.suites import _tls_cipher_suites_cls

from lab.protocols.tls.ciphers import TLS10, TLS11, TLS12, Suite, suite

SCAPYS = {each.name: each for each in _tls_cipher_suites_cls.values() if each.usable and not each.name.endswith("_OLD")}


def read(name: str) -> Suite:
    found = suite(0, name)
    assert found is not None
    assert found.name == name
    return found


def test_names_say_what_scapys_table_says() -> None:
    compared = 0
    for name, theirs in SCAPYS.items():
        if "EXPORT" in name or not name.startswith("TLS_"):
            continue
        ours = read(name)
        assert ours.key_length == theirs.cipher_alg.key_len, name
        assert ours.mac_length == (theirs.hmac_alg.hmac_len if theirs.hmac_alg else 0), name
        assert ours.tag_length == getattr(theirs.cipher_alg, "tag_len", 0), name
        assert (ours.prf == "SHA384") == (theirs.hash_alg.name == "sha384"), name
        if ours.key_exchange != "TLS13":
            assert ours.key_block_length(TLS10) == theirs._key_block_len_v1_0, name
            assert ours.key_block_length(TLS11) == ours.key_block_length(TLS12) == theirs.key_block_len, name
        compared += 1
    assert compared > 80


@pytest.mark.parametrize(
    ("name", "exchange", "cipher", "mac", "prf"),
    [
        ("TLS_RSA_WITH_AES_128_GCM_SHA256", "RSA", "AES_128_GCM", None, "SHA256"),
        ("TLS_RSA_WITH_AES_256_GCM_SHA384", "RSA", "AES_256_GCM", None, "SHA384"),
        ("TLS_RSA_WITH_AES_128_CBC_SHA", "RSA", "AES_128_CBC", "SHA", "SHA256"),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", "ECDHE_ECDSA", "AES_256_CBC", "SHA384", "SHA384"),
        ("TLS_RSA_WITH_AES_128_CCM", "RSA", "AES_128_CCM", None, "SHA256"),
        ("TLS_PSK_DHE_WITH_AES_256_CCM_8", "PSK_DHE", "AES_256_CCM_8", None, "SHA256"),
        ("TLS_AES_128_CCM_8_SHA256", "TLS13", "AES_128_CCM_8", None, "SHA256"),
        ("TLS_DH_anon_WITH_RC4_128_MD5", "DH_anon", "RC4_128", "MD5", "SHA256"),
        ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", "RSA", "3DES_EDE_CBC", "SHA", "SHA256"),
        ("TLS_NULL_WITH_NULL_NULL", "NULL", "NULL", "NULL", "SHA256"),
    ],
)
def test_a_name_is_read(name: str, exchange: str, cipher: str, mac: str | None, prf: str) -> None:
    found = read(name)
    assert (found.key_exchange, found.cipher, found.mac, found.prf) == (exchange, cipher, mac, prf)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "TLS_EMPTY_RENEGOTIATION_INFO_SCSV",
        "TLS_FALLBACK_SCSV",
        "TLS_RSA_WITH_AES_128_GCM",
        "TLS_RSA_WITH_AES_128_CBC",
        "TLS_RSA_WITH_AES_128_GCM_SHA",
        "TLS_RSA_WITH_AES_128_CCM_MD5",
        "TLS_AES_128_CCM",
        "TLS_AES_128_GCM",
        "TLS_AES_128_CBC_SHA",
        "TLS_SM4_GCM_SM3",
        "TLS_GOSTR341112_256_WITH_KUZNYECHIK_CTR_OMAC",
        "TLS_RSA_EXPORT_WITH_RC4_40_MD5",
        "TLS_RSA_WITH_AES_128_GCM_SHA256 ",
    ],
)
def test_a_name_that_is_not_understood_gives_nothing(name: str) -> None:
    assert suite(0, name) is None


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", True),
        ("TLS_DHE_DSS_WITH_AES_128_CBC_SHA", True),
        ("TLS_DHE_PSK_WITH_AES_128_CBC_SHA", True),
        ("TLS_DH_anon_WITH_AES_128_CBC_SHA", True),
        ("TLS_AES_128_GCM_SHA256", True),
        ("TLS_RSA_WITH_AES_128_CBC_SHA", False),
        ("TLS_DH_RSA_WITH_AES_128_CBC_SHA", False),
        ("TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA", False),
        ("TLS_PSK_WITH_AES_128_CBC_SHA", False),
        ("TLS_RSA_PSK_WITH_AES_128_CBC_SHA", False),
    ],
)
def test_forward_secrecy_comes_with_the_key_exchange(name: str, secret: bool) -> None:
    assert read(name).forward_secret == secret
