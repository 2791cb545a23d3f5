"""Records sealed here by hand and opened by the lab: what no OpenSSL of today speaks, and what must be refused."""

from __future__ import annotations

import hmac

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM

from lab.protocols.tls.ciphers import TLS10, TLS11, TLS12, TLS13, Suite, suite
from lab.protocols.tls.protection import Keys, Protection, protection


def named(name: str) -> Suite:
    found = suite(0, name)
    assert found
    return found


TRIPLE_DES = named("TLS_RSA_WITH_3DES_EDE_CBC_SHA")
KEYS = Keys(bytes(range(24)), b"initial.", b"m" * 20)
BYTES = b"application data"


def mac(sequence: int, version: int, content: bytes) -> bytes:
    header = sequence.to_bytes(8, "big") + bytes([23]) + version.to_bytes(2, "big") + len(content).to_bytes(2, "big")
    return hmac.digest(KEYS.mac_key, header + content, "sha1")


def des(iv: bytes, plain: bytes) -> bytes:
    return Cipher(TripleDES(KEYS.key), modes.CBC(iv)).encryptor().update(plain)


def padded(data: bytes, blocks: int = 0) -> bytes:
    padding = 7 - len(data) % 8 + 8 * blocks
    return data + bytes([padding]) * (padding + 1)


def test_3des_in_tls_10_chains_its_iv_from_record_to_record() -> None:
    opener, iv = protection(TRIPLE_DES, TLS10, KEYS), KEYS.iv
    for number in range(3):
        fragment = des(iv, padded(BYTES + mac(number, TLS10, BYTES), number))
        found = opener.open(23, TLS10, fragment)
        assert found is not None, opener.failed
        assert (found.plaintext, found.sequence, found.nonce) == (BYTES, number, iv)
        assert [each.name for each in found.parts] == ["content", "MAC", "padding", "padding_length"]
        iv = fragment[-8:]


def test_3des_in_tls_12_sends_an_iv_with_every_record() -> None:
    opener = protection(TRIPLE_DES, TLS12, KEYS)
    fragment = b"explicit" + des(b"explicit", padded(BYTES + mac(0, TLS12, BYTES)))
    found = opener.open(23, TLS12, fragment)
    assert found is not None
    assert [tuple(each) for each in found.parts] == [
        ("IV", 0, 8),
        ("content", 8, 24),
        ("MAC", 24, 44),
        ("padding", 44, 47),
        ("padding_length", 47, 48),
    ]


@pytest.mark.parametrize("change", range(0, 48, 5))
def test_a_changed_byte_is_seen_and_nothing_is_opened_after_it(change: int) -> None:
    opener = protection(TRIPLE_DES, TLS11, KEYS)
    good = b"explicit" + des(b"explicit", padded(BYTES + mac(0, TLS11, BYTES)))
    bad = good[:change] + bytes([good[change] ^ 1]) + good[change + 1 :]
    assert opener.open(23, TLS11, bad) is None
    assert opener.failed
    assert opener.failed.code == "bad-mac"
    assert opener.open(23, TLS11, good) is None
    assert opener.sequence == 0


def test_padding_that_does_not_repeat_its_length_is_refused() -> None:
    opener = protection(TRIPLE_DES, TLS12, KEYS)
    wrong = padded(BYTES + mac(0, TLS12, BYTES))
    wrong = wrong[:-3] + b"\0" + wrong[-2:]
    assert opener.open(23, TLS12, b"explicit" + des(b"explicit", wrong)) is None
    assert opener.failed


def test_encrypt_then_mac_names_the_mac_behind_the_padding() -> None:
    opener = protection(TRIPLE_DES, TLS12, KEYS, encrypt_then_mac=True)
    secret = b"explicit" + des(b"explicit", padded(BYTES))
    found = opener.open(23, TLS12, secret + mac(0, TLS12, secret))
    assert found is not None
    assert found.plaintext == BYTES
    assert [each.name for each in found.parts] == ["IV", "content", "padding", "padding_length", "MAC"]


def test_rc4_goes_on_where_the_record_before_ended() -> None:
    opener = protection(named("TLS_RSA_WITH_RC4_128_SHA"), TLS10, KEYS._replace(key=b"k" * 16))
    stream = Cipher(ARC4(b"k" * 16), None).encryptor()
    for number in range(3):
        found = opener.open(23, TLS10, stream.update(BYTES + mac(number, TLS10, BYTES)))
        assert found is not None, opener.failed
        assert (found.plaintext, [each.name for each in found.parts]) == (BYTES, ["content", "MAC"])


def test_the_suite_that_protects_nothing() -> None:
    found = protection(named("TLS_NULL_WITH_NULL_NULL"), TLS12, Keys(b"", b"")).open(22, TLS12, BYTES)
    assert found is not None
    assert (found.plaintext, found.parts) == (BYTES, (("content", 0, len(BYTES)),))


def test_an_aead_of_tls_12_has_eight_bytes_of_nonce_in_the_open() -> None:
    opener = protection(named("TLS_RSA_WITH_AES_128_CCM_8"), TLS12, Keys(b"k" * 16, b"salt"))
    header = bytes(8) + b"\x17\x03\x03\x00\x10"
    found = opener.open(23, TLS12, b"explicit" + AESCCM(b"k" * 16, 8).encrypt(b"saltexplicit", BYTES, header))
    assert found is not None
    assert (found.nonce, found.authenticated) == (b"saltexplicit", header)
    assert [tuple(each) for each in found.parts] == [("nonce_explicit", 0, 8), ("content", 8, 24), ("tag", 24, 32)]


class Tls13:
    """Seals records of TLS 1.3, to be opened by `opener`."""

    def __init__(self) -> None:
        self.opener: Protection = protection(named("TLS_AES_128_GCM_SHA256"), TLS13, Keys(b"k" * 16, b"i" * 12))
        self.number = 0

    def seal(self, inner: bytes) -> bytes:
        nonce = (int.from_bytes(b"i" * 12, "big") ^ self.number).to_bytes(12, "big")
        self.number += 1
        return AESGCM(b"k" * 16).encrypt(nonce, inner, b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big"))


def test_tls_13_hides_its_content_type_behind_the_content_and_before_the_zeros() -> None:
    tls = Tls13()
    for zeros in range(3):
        found = tls.opener.open(23, TLS12, tls.seal(BYTES + b"\x16" + bytes(zeros)))
        assert found is not None
        assert (found.content_type, found.plaintext) == (22, BYTES)
        assert [each.name for each in found.parts] == ["content", "type", *(["zeros"] if zeros else []), "tag"]
    empty = tls.opener.open(23, TLS12, tls.seal(b"\x17"))
    assert empty is not None
    assert empty.plaintext == b""


def test_tls_13_refuses_a_record_of_zeros() -> None:
    tls = Tls13()
    assert tls.opener.open(23, TLS12, tls.seal(bytes(9))) is None
    assert tls.opener.failed
    assert tls.opener.failed.code == "no-content-type"


def test_tls_13_passes_on_what_is_never_encrypted_without_counting_it() -> None:
    tls = Tls13()
    for kind, fragment in ((20, b"\x01"), (21, b"\x02\x28")):
        found = tls.opener.open(kind, TLS12, fragment)
        assert found is not None
        assert (found.content_type, found.plaintext, found.sequence) == (kind, fragment, None)
    assert tls.opener.open(23, TLS12, tls.seal(BYTES + b"\x17")) is not None
    assert tls.opener.sequence == 1
