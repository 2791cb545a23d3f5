"""What OpenSSL said, decrypted: by hand with the server's key, or with the client's key log. Every record's bytes."""

from __future__ import annotations

import hashlib
import ssl

import pytest

from lab.model import Role
from lab.protocols.tls.keylog import parse_keylog
from lab.protocols.tls.keys12 import Keys12
from lab.protocols.tls.keys13 import retried
from lab.protocols.tls.protection import Opened, Protection
from lab.protocols.tls.reasons import Reason
from lab.protocols.tls.rsa import decrypt_premaster
from lab.protocols.tls.secrets import Epochs, unlock12, unlock13
from tests.protocols.tls.conversation import REQUEST, RESPONSE
from tests.protocols.tls.talks import (
    CHANGE_CIPHER_SPEC,
    FINISHED,
    HANDSHAKE,
    NO_ENCRYPT_THEN_MAC,
    NO_EXTENDED_MASTER_SECRET,
    Record,
    Talk,
    key_of,
    messages,
    talk,
    talk13,
    talk_with,
)

RETRY = hashlib.sha256(b"HelloRetryRequest").digest()  # its random, RFC 9846 section 4.2.3
TLS10, TLS11, TLS12 = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2

STATIC_RSA = [
    ("AES128-GCM-SHA256", TLS12, 0),
    ("AES128-GCM-SHA256", TLS12, NO_EXTENDED_MASTER_SECRET),
    ("AES256-GCM-SHA384", TLS12, 0),
    ("AES256-GCM-SHA384", TLS12, NO_EXTENDED_MASTER_SECRET),
    ("AES128-SHA", TLS12, 0),
    ("AES128-SHA", TLS12, NO_ENCRYPT_THEN_MAC),
    ("AES128-SHA", TLS12, NO_EXTENDED_MASTER_SECRET),
    ("AES128-SHA", TLS12, NO_EXTENDED_MASTER_SECRET | NO_ENCRYPT_THEN_MAC),
    ("AES128-SHA256", TLS12, 0),
    ("AES128-SHA256", TLS12, NO_ENCRYPT_THEN_MAC),
    ("AES128-CCM", TLS12, 0),
    ("AES256-CCM8", TLS12, 0),
    ("NULL-SHA256", TLS12, 0),
    ("AES128-SHA", TLS11, 0),
    ("AES128-SHA", TLS11, NO_EXTENDED_MASTER_SECRET | NO_ENCRYPT_THEN_MAC),
    ("AES256-SHA", TLS10, 0),
    ("AES256-SHA", TLS10, NO_EXTENDED_MASTER_SECRET | NO_ENCRYPT_THEN_MAC),
]
EPHEMERAL = [
    ("ECDHE-RSA-CHACHA20-POLY1305", "RSA"),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", "EC"),
    ("ECDHE-RSA-AES256-SHA384", "RSA"),
    ("ECDHE-RSA-AES128-GCM-SHA256", "RSA"),
]
SUITES13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]


def opened(protection: Protection, record: Record) -> Opened:
    """Opens a record. Its parts must cover it without gap or overlap."""
    found = protection.open(record.type, record.version, record.fragment)
    assert found is not None, protection.failed
    at = 0
    for part in found.parts:
        assert part.start == at < part.end
        at = part.end
    assert at == len(record.fragment)
    content = sum(part.end - part.start for part in found.parts if part.name == "content")
    assert content == len(found.plaintext)
    return found


def read12(talk: Talk, keys: Keys12) -> dict[str, bytes]:
    """Reads the whole conversation, checks both Finished where they come, returns what each end sent as data."""
    said, data, protections = b"", {"client": b"", "server": b""}, dict[str, Protection]()
    finished = 0
    for record in talk.records:
        role: Role = "client" if record.role == "client" else "server"
        if record.type == CHANGE_CIPHER_SPEC:
            protections[role] = keys.protection(role)
            continue
        plain = record.fragment
        if role in protections:
            plain = opened(protections[role], record).plaintext
        if record.type == HANDSHAKE:
            for message in messages(plain):
                if message[0] == FINISHED:
                    assert keys.check_finished(role, said, message[4:]) is None
                    finished += 1
                said += message
        elif record.type == 23:
            data[role] += plain
    assert finished == 2
    return data


@pytest.mark.parametrize(("cipher", "version", "options"), STATIC_RSA)
def test_static_rsa_is_read_by_hand_with_the_servers_key(cipher: str, version: ssl.TLSVersion, options: int) -> None:
    conversation = talk(cipher, version, options)
    agreed = conversation.agreed
    assert agreed.version == version
    assert agreed.extended_master_secret == (not options & NO_EXTENDED_MASTER_SECRET)
    if agreed.suite.kind == "cbc":
        assert agreed.encrypt_then_mac == (not options & NO_ENCRYPT_THEN_MAC)
    keys = unlock12(agreed, conversation.flight(), key_of())
    assert isinstance(keys, Keys12), keys
    assert read12(conversation, keys) == {"client": REQUEST, "server": RESPONSE}


@pytest.mark.parametrize(("cipher", "version", "options"), STATIC_RSA)
def test_the_key_log_says_the_same_as_the_servers_key(cipher: str, version: ssl.TLSVersion, options: int) -> None:
    conversation = talk(cipher, version, options)
    flight, log = conversation.flight(), parse_keylog(conversation.keylog)
    assert flight.encrypted
    premaster = decrypt_premaster(key_of(), flight.encrypted, conversation.agreed.client_version)
    assert premaster.secret is not None
    assert premaster.secret == log.get("RSA", flight.encrypted[:8])
    by_hand = unlock12(conversation.agreed, flight, key_of())
    assert isinstance(by_hand, Keys12)
    assert by_hand.master == log.get("CLIENT_RANDOM", conversation.client_random)


@pytest.mark.parametrize("label", ["CLIENT_RANDOM", "RSA"])
def test_either_line_of_the_key_log_is_enough(label: str) -> None:
    conversation = talk("AES128-SHA")
    lines = [line for line in conversation.keylog.splitlines() if line.startswith(label.encode())]
    keys = unlock12(conversation.agreed, conversation.flight(), None, parse_keylog(b"\n".join(lines)))
    assert isinstance(keys, Keys12), keys
    assert read12(conversation, keys) == {"client": REQUEST, "server": RESPONSE}


@pytest.mark.parametrize(("cipher", "kind"), EPHEMERAL)
def test_an_ephemeral_handshake_is_read_with_the_key_log(cipher: str, kind: str) -> None:
    conversation = talk(cipher, TLS12, 0, kind)
    keys = unlock12(conversation.agreed, conversation.flight(), None, parse_keylog(conversation.keylog))
    assert isinstance(keys, Keys12), keys
    assert read12(conversation, keys) == {"client": REQUEST, "server": RESPONSE}


@pytest.mark.parametrize("name", SUITES13)
def test_tls_13_is_read_with_the_key_log(name: str) -> None:
    conversation = talk13(name)
    assert conversation.suite.name == name
    epochs = unlock13(conversation.agreed, None, parse_keylog(conversation.keylog))
    assert isinstance(epochs, Epochs), epochs
    assert epochs.missing is None
    assert read13(conversation, epochs) == {"client": REQUEST, "server": RESPONSE}


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "AES128-SHA"])
def test_a_resumed_session_is_read_with_the_key_log_alone(cipher: str) -> None:
    conversation = talk_with(cipher, TLS12, resume=True)
    assert conversation.flight().encrypted is None
    answer = unlock12(conversation.agreed, conversation.flight(), key_of())
    assert isinstance(answer, Reason)
    assert answer.code == "no-premaster"
    keys = unlock12(conversation.agreed, conversation.flight(), key_of(), parse_keylog(conversation.keylog))
    assert isinstance(keys, Keys12), keys
    assert read12(conversation, keys) == {"client": REQUEST, "server": RESPONSE}


def test_a_handshake_with_a_second_client_hello_is_read() -> None:
    conversation = talk_with("", ssl.TLSVersion.TLSv1_3, curve="secp521r1")
    assert [each.fragment[0] for each in conversation.records if each.type == HANDSHAKE] == [1, 2, 1, 2]
    epochs = unlock13(conversation.agreed, None, parse_keylog(conversation.keylog))
    assert isinstance(epochs, Epochs), epochs
    assert read13(conversation, epochs) == {"client": REQUEST, "server": RESPONSE}


def read13(talk: Talk, epochs: Epochs) -> dict[str, bytes]:
    """Reads the whole conversation, checks both Finished, returns what each end sent as data."""
    handshake = {"client": epochs.client_handshake, "server": epochs.server_handshake}
    application = {"client": epochs.client_application, "server": epochs.server_application}
    said, data, protections, finished = b"", {"client": b"", "server": b""}, dict[str, Protection](), 0
    for record in talk.records:
        role, plain, kind = record.role, record.fragment, record.type
        if role in protections:
            found = opened(protections[role], record)
            plain, kind = found.plaintext, found.content_type
        if kind == 23:
            data[role] += plain
        if kind == HANDSHAKE:
            for message in messages(plain):
                keys = handshake[role]
                assert keys is not None
                if message[0] == FINISHED:
                    assert keys.check_finished(said, message[4:]) is None
                    finished += 1
                    following = application[role]
                    assert following is not None
                    protections[role] = following.protection()
                retry = message[0] == 2 and message[6:38] == RETRY
                said = (retried(talk.suite, said) if retry else said) + message
                if message[0] == 2 and not retry:
                    for each, first in handshake.items():
                        assert first is not None
                        protections[each] = first.protection()
    assert finished == 2
    return data
