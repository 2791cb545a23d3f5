"""What can't be decrypted says why: a code for programs, a sentence in both languages for people."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from lab.protocols.tls import reasons
from lab.protocols.tls import rsa as by_hand
from lab.protocols.tls.ciphers import suite
from lab.protocols.tls.derivation import Derivation
from lab.protocols.tls.keylog import KeyLog, parse_keylog
from lab.protocols.tls.keys12 import Keys12
from lab.protocols.tls.protection import Protection, Unsupported
from lab.protocols.tls.reasons import Reason
from lab.protocols.tls.rsa import decrypt_premaster, load_server_key, matches
from lab.protocols.tls.secrets import Epochs, Flight, unlock12, unlock13
from lab.text import Text
from tests.protocols.tls.talks import CHANGE_CIPHER_SPEC, Talk, identity, key_of, talk, talk13


def code(answer: object) -> str:
    """Returns why there is no answer; whatever is filled in must be there in both languages."""
    assert isinstance(answer, Reason), answer
    assert "{" not in answer.text.en + answer.text.zh
    return answer.code


def finished(talk: Talk, keys: Keys12) -> Protection:
    """Tries the keys on the first record that they should open: the client's Finished."""
    protection = keys.protection("client")
    after = False
    for record in talk.records:
        if record.role == "client" and after:
            protection.open(record.type, record.version, record.fragment)
            return protection
        after = after or (record.role == "client" and record.type == CHANGE_CIPHER_SPEC)
    raise AssertionError("no Finished")


def test_every_reason_has_one_code_and_both_languages() -> None:
    found = [each for each in vars(reasons).values() if isinstance(each, Reason)]
    assert len(found) > 15
    assert len({each.code for each in found}) == len(found)
    assert all(isinstance(each.text, Text) and each.text.zh for each in found)


# Up to TLS 1.2.


def test_another_servers_key_is_told_by_the_certificate() -> None:
    conversation = talk("AES128-GCM-SHA256")
    assert code(unlock12(conversation.agreed, conversation.flight(), key_of(number=1))) == "wrong-server-key"
    assert matches(key_of(), conversation.identity.certificate)
    assert not matches(key_of(number=1), conversation.identity.certificate)


def test_another_servers_key_is_told_by_the_padding_where_no_certificate_was_seen() -> None:
    conversation = talk("AES128-GCM-SHA256")
    flight = conversation.flight()._replace(certificate=None)
    assert code(unlock12(conversation.agreed, flight, key_of(number=1))) == "premaster-padding"


def test_an_elliptic_curve_key_decrypts_nothing() -> None:
    conversation = talk("AES128-GCM-SHA256")
    flight = conversation.flight()._replace(certificate=None)
    assert code(unlock12(conversation.agreed, flight, key_of("EC"))) == "key-not-rsa"
    assert matches(key_of("EC"), identity("EC").certificate)


def test_the_servers_key_brings_back_nothing_of_an_ephemeral_handshake() -> None:
    conversation = talk("ECDHE-RSA-CHACHA20-POLY1305")
    answer = unlock12(conversation.agreed, conversation.flight(), key_of())
    assert code(answer) == "forward-secrecy"
    assert isinstance(answer, Reason)
    assert "ECDHE_RSA" in answer.text.en
    assert "ECDHE_RSA" in answer.text.zh
    # with the key log beside it everything is there
    log = parse_keylog(conversation.keylog)
    assert isinstance(unlock12(conversation.agreed, conversation.flight(), key_of(), log), Keys12)


def test_a_key_log_of_another_connection_does_not_know_this_one() -> None:
    conversation, other = talk("ECDHE-RSA-CHACHA20-POLY1305"), talk("ECDHE-RSA-AES128-GCM-SHA256")
    log = parse_keylog(other.keylog)
    assert code(unlock12(conversation.agreed, conversation.flight(), None, log)) == "not-in-key-log"
    assert code(unlock12(conversation.agreed, conversation.flight(), key_of(), log)) == "not-in-key-log"


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "AES128-SHA", "AES128-CCM", "NULL-SHA256"])
def test_a_key_log_with_a_wrong_secret_is_told_by_the_first_record(cipher: str) -> None:
    conversation = talk(cipher)
    log = KeyLog()
    log.add("CLIENT_RANDOM", conversation.client_random, b"?" * 48)
    keys = unlock12(conversation.agreed, conversation.flight(), None, log)
    assert isinstance(keys, Keys12)
    assert code(finished(conversation, keys).failed) in ("bad-tag", "bad-mac")


def test_a_wrong_finished_is_told() -> None:
    conversation = talk("AES128-GCM-SHA256")
    keys = unlock12(conversation.agreed, conversation.flight(), key_of())
    assert isinstance(keys, Keys12)
    expected = keys.verify_data("server", b"all")
    assert keys.check_finished("server", b"all", expected) is None
    answer = keys.check_finished("server", b"al", expected)
    assert code(answer) == "finished-differs"
    assert answer is not None
    assert "server" in answer.text.en
    assert "服务器" in answer.text.zh


def test_nothing_given_and_nothing_seen() -> None:
    conversation = talk("AES128-GCM-SHA256")
    assert code(unlock12(conversation.agreed, conversation.flight())) == "no-secrets"
    assert code(unlock12(conversation.agreed, Flight(), key_of())) == "no-premaster"
    assert code(unlock12(conversation.agreed, Flight(), None, KeyLog())) == "not-in-key-log"
    assert code(unlock12(conversation.agreed._replace(version=0x0300), conversation.flight(), key_of())) == (
        "unsupported-version"
    )


def test_a_static_diffie_hellman_handshake_is_not_worked_out() -> None:
    conversation = talk("AES128-GCM-SHA256")
    static = suite(0x0031, "TLS_DH_RSA_WITH_AES_128_CBC_SHA")
    assert static
    assert code(unlock12(conversation.agreed._replace(suite=static), Flight(), key_of())) == "other-key-exchange"


def test_a_cipher_of_which_only_the_name_is_known_says_so_for_every_record() -> None:
    conversation = talk("AES128-SHA")
    camellia = suite(0x0041, "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA")
    assert camellia
    keys = unlock12(conversation.agreed._replace(suite=camellia), conversation.flight(), key_of())
    assert isinstance(keys, Keys12)
    protection = finished(conversation, keys)
    assert isinstance(protection, Unsupported)
    assert code(protection.failed) == "unsupported-suite"
    assert protection.open(23, 0x0303, b"x" * 100) is None


# TLS 1.3.


def test_tls_13_needs_the_key_log_of_this_connection() -> None:
    conversation = talk13("TLS_AES_128_GCM_SHA256")
    other = talk13("TLS_CHACHA20_POLY1305_SHA256")
    assert code(unlock13(conversation.agreed)) == "no-key-log"
    assert code(unlock13(conversation.agreed, key_of())) == "forward-secrecy"
    assert code(unlock13(conversation.agreed, None, parse_keylog(other.keylog))) == "not-in-key-log"
    assert code(unlock13(talk("AES128-SHA").agreed, None, KeyLog())) == "unsupported-version"
    assert code(unlock12(conversation.agreed, Flight(), None, KeyLog())) == "unsupported-version"


def test_a_key_log_that_lacks_a_label_says_which() -> None:
    conversation = talk13("TLS_AES_128_GCM_SHA256")
    kept = [line for line in conversation.keylog.splitlines() if not line.startswith(b"SERVER_TRAFFIC")]
    epochs = unlock13(conversation.agreed, None, parse_keylog(b"\n".join(kept)))
    assert isinstance(epochs, Epochs)
    assert epochs.server_application is None
    assert epochs.client_application is not None
    assert code(epochs.missing) == "key-log-incomplete"
    assert epochs.missing is not None
    assert "SERVER_TRAFFIC_SECRET_0" in epochs.missing.text.zh


def test_a_wrong_traffic_secret_is_told_by_the_first_record() -> None:
    conversation = talk13("TLS_AES_128_GCM_SHA256")
    log = KeyLog()
    log.add("SERVER_HANDSHAKE_TRAFFIC_SECRET", conversation.client_random, b"?" * 32)
    epochs = unlock13(conversation.agreed, None, log)
    assert isinstance(epochs, Epochs)
    assert epochs.server_handshake
    protection = epochs.server_handshake.protection()
    for record in conversation.records:
        if record.role == "server" and record.type == 23:
            assert protection.open(record.type, record.version, record.fragment) is None
    assert code(protection.failed) == "bad-tag"
    assert protection.sequence == 0


# The server's key.


def test_a_key_is_read_in_every_form() -> None:
    key = key_of()
    assert isinstance(key, rsa.RSAPrivateKey)
    for encoding in (Encoding.PEM, Encoding.DER):
        for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
            assert not isinstance(load_server_key(key.private_bytes(encoding, form, NoEncryption())), Reason)
    assert not isinstance(load_server_key(Path(identity().file).read_bytes()), Reason)  # a certificate beside it


def pkcs1(numbers: dict[str, int]) -> bytes:
    """Returns RSAPrivateKey (RFC 8017 appendix A.1.2) in DER, whatever its numbers are."""

    def entry(tag: int, body: bytes) -> bytes:
        length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
        return bytes([tag, *([0x80 | len(length)] if len(body) > 127 else []), *length]) + body

    values = (0, *(numbers[each] for each in ("n", "e", "d", "p", "q", "dmp1", "dmq1", "iqmp")))
    return entry(0x30, b"".join(entry(2, each.to_bytes(each.bit_length() // 8 + 1, "big")) for each in values))


def test_a_key_whose_numbers_do_not_belong_together_is_none() -> None:
    key = key_of()
    assert isinstance(key, rsa.RSAPrivateKey)
    whole = key.private_numbers()
    numbers = {name: getattr(whole, name) for name in ("p", "q", "d", "dmp1", "dmq1", "iqmp")}
    numbers |= {"n": whole.public_numbers.n, "e": whole.public_numbers.e}
    assert not isinstance(load_server_key(pkcs1(numbers)), Reason)
    for name, value in numbers.items():
        for wrong in (value + 2, value ^ 1 << 300, 3, 1, 0):
            assert code(load_server_key(pkcs1({**numbers, name: wrong}))) == "key-unreadable", (name, wrong)


def test_a_key_that_can_t_be_used_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    key = key_of()
    assert isinstance(key, rsa.RSAPrivateKey)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    assert code(load_server_key(locked)) == "key-encrypted"
    assert code(load_server_key(b"")) == "key-unreadable"
    assert code(load_server_key(identity().key[:300])) == "key-unreadable"
    assert code(load_server_key(identity().key * 100)) == "key-unreadable"
    monkeypatch.setattr(by_hand, "MOST_BITS", 1024)
    assert code(load_server_key(identity().key)) == "key-too-large"
    assert code(decrypt_premaster(key, bytes(256), 0x0303).reason) == "key-too-large"


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        (b"\x03\x03" + bytes(46), None),
        (b"\x03\x01" + bytes(46), "premaster-version"),
        (b"\x03\x03" + bytes(45), "premaster-length"),
        (b"", "premaster-length"),
    ],
)
def test_a_pre_master_secret_is_looked_at_as_a_server_does(secret: bytes, why: str | None) -> None:
    key = key_of()
    assert isinstance(key, rsa.RSAPrivateKey)
    encrypted = key.public_key().encrypt(secret, padding.PKCS1v15())
    derivation = Derivation()
    answer = decrypt_premaster(key, encrypted, 0x0303, derivation)
    assert (answer.reason.code if answer.reason else None) == why
    assert answer.secret == (None if why else secret)
    assert answer.block[:2] == b"\x00\x02"
    assert answer.block.endswith(secret)
    assert len(derivation.lines) == (0 if why else 3)
    assert code(decrypt_premaster(key, encrypted[1:], 0x0303).reason) == "premaster-size"
    assert code(decrypt_premaster(ec.generate_private_key(ec.SECP256R1()), encrypted, 0x0303).reason) == "key-not-rsa"


@pytest.mark.parametrize(
    "block",
    [
        b"\x00\x02" + b"\x11" * 7 + b"\x00" + b"\x03\x03" * 123,  # seven bytes of padding, RFC 8017 asks for eight
        b"\x00\x02" + b"\x11" * 254,  # no end to the padding
        b"\x00\x01" + b"\x11" * 205 + b"\x00" + b"\x03\x03" + bytes(46),
        bytes(256),
    ],
)
def test_padding_is_looked_at_byte_by_byte(block: bytes) -> None:
    key = key_of()
    assert isinstance(key, rsa.RSAPrivateKey)
    numbers = key.public_key().public_numbers()
    encrypted = pow(int.from_bytes(block, "big"), numbers.e, numbers.n).to_bytes(256, "big")
    answer = decrypt_premaster(key, encrypted, 0x0303)
    assert code(answer.reason) == "premaster-padding"
    assert answer.block == block
