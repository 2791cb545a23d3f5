"""Garbage in, no exception out: whatever a capture, a key log or a certificate holds."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.protocols.tls.agreed import Agreed
from lab.protocols.tls.ciphers import CIPHERS, TLS10, TLS11, TLS12, TLS13, Suite, suite
from lab.protocols.tls.keylog import LABELS, parse_keylog
from lab.protocols.tls.keys12 import Keys12, master_secret
from lab.protocols.tls.keys13 import Keys13
from lab.protocols.tls.protection import MOST, Protection
from lab.protocols.tls.reasons import Reason
from lab.protocols.tls.rsa import decrypt_premaster, load_server_key, matches
from lab.protocols.tls.secrets import Flight, unlock12, unlock13
from tests.protocols.tls.talks import identity, key_of

HASHES = ("", "_MD5", "_SHA", "_SHA256", "_SHA384")
NAMES = [f"TLS_{start}{cipher}{end}" for start in ("", "RSA_WITH_") for cipher in CIPHERS for end in HASHES]
ALL: list[Suite] = [each for name in NAMES if (each := suite(0, name))]
KEY = key_of()

suites, versions = st.sampled_from(ALL), st.sampled_from([0, TLS10, TLS11, TLS12, TLS13, 0xFFFF])
fragments = st.one_of(
    st.binary(max_size=300),
    st.integers(0, 20).flatmap(lambda blocks: st.binary(min_size=16 * blocks, max_size=16 * blocks)),
)
records = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 0x1FFFF), fragments), max_size=4)


def opens_nothing_it_should_not(protection: Protection, sent: list[tuple[int, int, bytes]]) -> None:
    for content_type, version, fragment in sent:
        found = protection.open(content_type, version, fragment)
        assert (found is None) == (protection.failed is not None)
        if found:
            assert sum(part.end - part.start for part in found.parts) == len(fragment)


def test_there_are_suites_to_try() -> None:
    assert {each.kind for each in ALL} == {"null", "stream", "cbc", "gcm", "ccm", "chacha"}
    assert {each.key_exchange for each in ALL} == {"RSA", "TLS13"}


@given(suites, versions, st.booleans(), st.binary(max_size=60), records)
@settings(max_examples=300, deadline=None)
def test_records_of_tls_10_to_12(
    suite: Suite, version: int, etm: bool, secret: bytes, sent: list[tuple[int, int, bytes]]
) -> None:
    keys = Keys12(suite, version, secret, secret, secret, etm=etm)
    opens_nothing_it_should_not(keys.protection("client"), sent)
    assert len(keys.verify_data("server", secret)) == 12
    assert keys.check_finished("client", secret, secret) is not None
    assert len(master_secret(suite, version, secret, secret, secret, secret)) == 48


@given(suites, st.binary(max_size=60), records)
@settings(max_examples=150, deadline=None)
def test_records_of_tls_13(suite: Suite, secret: bytes, sent: list[tuple[int, int, bytes]]) -> None:
    keys = Keys13(suite, "client", "client_application_traffic_secret_0", secret)
    opens_nothing_it_should_not(keys.protection(), sent)
    opens_nothing_it_should_not(keys.update().protection(), sent)
    assert keys.check_finished(secret, secret) is not None


def test_a_record_longer_than_any_is_refused() -> None:
    for each in ALL:
        protection = Keys12(each, TLS12, b"", b"", b"").protection("client")
        assert protection.open(23, TLS12, bytes(MOST + 1)) is None
        assert protection.failed


@given(
    st.one_of(
        st.text(), st.binary(), st.lists(st.sampled_from([*LABELS, " ", "00" * 32, "aB" * 48, "\n", "#"])).map("".join)
    )
)
def test_key_logs(text: str | bytes) -> None:
    parse_keylog(text)


@given(st.binary(max_size=300), st.integers(0, 0xFFFF))
@settings(max_examples=30, deadline=None)
def test_encrypted_pre_master_secrets(encrypted: bytes, version: int) -> None:
    for sent in (encrypted, encrypted.ljust(256, b"\0"), encrypted.rjust(256, b"\xff")):
        assert decrypt_premaster(KEY, sent, version).reason


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_keys_and_certificates(data: bytes) -> None:
    assert isinstance(load_server_key(data), Reason)
    assert isinstance(load_server_key(b"-----BEGIN PRIVATE KEY-----\n" + data), Reason)
    assert not matches(KEY, data)
    certificate = identity().certificate
    matches(KEY, certificate[: len(data) % len(certificate)] + data)


@given(suites, versions, versions, st.binary(max_size=40), st.none() | st.binary(max_size=300), st.booleans())
@settings(max_examples=100, deadline=None)
def test_whole_connections(
    suite: Suite, version: int, client_version: int, some: bytes, more: bytes | None, yes: bool
) -> None:
    agreed = Agreed(suite, version, client_version, some, some, yes, yes)
    log = parse_keylog(f"CLIENT_RANDOM {some.hex()} {'00' * 48}\nCLIENT_TRAFFIC_SECRET_0 {some.hex()} {'00' * 32}")
    unlock12(agreed, Flight(some, more, more), KEY, log)
    unlock12(agreed, Flight(some, more, None), KEY)
    unlock13(agreed, KEY, log)
