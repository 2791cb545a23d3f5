"""Messages mean what OpenSSL meant by them, and those it does not send what their RFCs say."""

from __future__ import annotations

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from lab.protocols.tls import codes
from lab.protocols.tls.hello import client_hello, server_hello
from lab.protocols.tls.messages import (
    Alert,
    alert,
    certificate,
    certificate_request,
    certificate_verify,
    client_key_exchange,
    finished,
    key_update,
    new_session_ticket,
    read,
    server_key_exchange,
)
from tests.protocols.tls import hex as written
from tests.protocols.tls.handshakes import MADE, identity, recorded
from tests.protocols.tls.hex import SHARE, message, vector, x

TLS_1_2, TLS_1_3 = codes.TLS_1_2, codes.TLS_1_3
AGREED = [name for name in MADE if name != "no version in common"]


def of(name: str, kind: int) -> bytes:
    return recorded(name).message(kind)


@pytest.mark.parametrize("name", [name for name in AGREED if "client certificate" not in name])
def test_the_certificate_is_the_servers(name: str) -> None:
    found = certificate(of(name, codes.CERTIFICATE), TLS_1_3 if "1.3" in name else TLS_1_2)
    assert (found.chain, found.damaged) == ((recorded(name).certificate,), False)


@pytest.mark.parametrize(("name", "version"), [(name, TLS_1_3 if "1.3" in name else TLS_1_2) for name in AGREED])
def test_a_client_shows_its_certificate_when_it_is_asked(name: str, version: int) -> None:
    sent = [raw for raw in recorded(name).sent("client") if raw[0] == codes.CERTIFICATE]
    assert [certificate(raw, version).chain for raw in sent] == ([(identity("ec")[1],)] if "client" in name else [])
    if sent:
        asked = certificate_request(of(name, codes.CERTIFICATE_REQUEST), version)
        assert not asked.damaged
        assert 0x0403 in asked.schemes
        assert bool(asked.types) == (version == TLS_1_2)
        (proof,) = [raw for raw in recorded(name).sent("client") if raw[0] == codes.CERTIFICATE_VERIFY]
        assert certificate_verify(proof, version).scheme == 0x0403


@pytest.mark.parametrize("name", ["TLS 1.2 ECDHE", "TLS 1.2 DHE"])
def test_the_signature_covers_both_randoms_and_the_params(name: str) -> None:
    talk = recorded(name)
    hello, answer = client_hello(talk.message(1)), server_hello(talk.message(2))
    found = server_key_exchange(talk.message(codes.SERVER_KEY_EXCHANGE), TLS_1_2, answer.suite)
    key = x509.load_der_x509_certificate(talk.certificate).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert not found.damaged
    pss = padding.PSS(padding.MGF1(SHA256()), 32)
    how = {0x0804: pss, 0x0401: padding.PKCS1v15()}[found.scheme or 0]
    key.verify(found.signature, hello.random + answer.random + found.params, how, SHA256())


def test_both_halves_of_ecdhe() -> None:
    suite = server_hello(of("TLS 1.2 ECDHE", 2)).suite
    server = server_key_exchange(of("TLS 1.2 ECDHE", codes.SERVER_KEY_EXCHANGE), TLS_1_2, suite)
    client = client_key_exchange(of("TLS 1.2 ECDHE", codes.CLIENT_KEY_EXCHANGE), TLS_1_2, suite)
    assert server.exchange == client.exchange == "ECDHE"
    assert server.group in (29, 4588)
    assert client.public is not None
    assert (len(server.public), len(client.public)) == (32, 32)


def test_both_halves_of_dhe() -> None:
    suite = server_hello(of("TLS 1.2 DHE", 2)).suite
    server = server_key_exchange(of("TLS 1.2 DHE", codes.SERVER_KEY_EXCHANGE), TLS_1_2, suite)
    client = client_key_exchange(of("TLS 1.2 DHE", codes.CLIENT_KEY_EXCHANGE), TLS_1_2, suite)
    assert (len(server.p), server.g, server.group, server.hint) == (256, b"\2", None, None)
    assert client.public is not None
    assert 0 < int.from_bytes(client.public, "big") < int.from_bytes(server.p, "big")
    assert not client.damaged


def test_static_rsa_sends_the_secret_encrypted() -> None:
    found = client_key_exchange(of("TLS 1.2 static RSA", codes.CLIENT_KEY_EXCHANGE), TLS_1_2, 0x009C)
    assert found.encrypted is not None
    assert (found.exchange, len(found.encrypted), found.public, found.damaged) == ("RSA", 256, None, False)


def test_ssl_3_sent_it_without_a_length() -> None:
    assert client_key_exchange(message(16, bytes(128)), codes.SSL_3, 0x002F).encrypted == bytes(128)


@pytest.mark.parametrize("name", written.TLS_1_2)
def test_every_key_exchange(name: str) -> None:
    suite, of_server, of_client = written.TLS_1_2[name]
    server = server_key_exchange(of_server, TLS_1_2, suite)
    client = client_key_exchange(of_client, TLS_1_2, suite)
    assert server.exchange == client.exchange == name
    assert not server.damaged
    assert not client.damaged
    assert server.hint == (b"hint" if "PSK" in name else None)
    assert client.identity == (b"identity" if "PSK" in name else None)
    assert client.encrypted == (b"secret" if "RSA" in name else None)
    assert client.public == (SHARE if "EC" in name else b"Yc" if "DH" in name else None)
    assert server.public == (SHARE if "EC" in name else b"Y" if "DH" in name else b"")
    assert server.signature == (b"signature" if name in ("ECDHE", "DHE") else b"")


def test_before_tls_1_2_signatures_name_no_scheme() -> None:
    found = server_key_exchange(message(12, x("03 0017"), vector(1, SHARE), vector(2, b"sig")), codes.TLS_1_1, 0xC013)
    assert (found.scheme, found.signature, found.damaged) == (None, b"sig", False)
    assert certificate_verify(message(15, vector(2, b"sig")), codes.TLS_1_0) == (None, b"sig", False)
    asked = certificate_request(message(13, vector(1, x("01 40")), vector(2, vector(2, b"DN"))), codes.TLS_1_1)
    assert asked == (b"", (1, 64), (), (b"DN",), False)


@pytest.mark.parametrize("name", ["TLS 1.2 ECDHE", "TLS 1.3"])
def test_tickets(name: str) -> None:
    version = TLS_1_3 if "1.3" in name else TLS_1_2
    tickets = [new_session_ticket(raw, version) for raw in recorded(name).sent("server") if raw[0] == 4]
    assert len(tickets) == (2 if version == TLS_1_3 else 1)
    for found in tickets:
        assert (found.lifetime, found.damaged, found.max_early_data) == (7200, False, None)
        assert found.ticket
        assert (found.nonce is not None) == (found.age_add is not None) == (version == TLS_1_3)


def test_messages_written_by_hand() -> None:
    chain = certificate(written.TLS_1_3["Certificate"], TLS_1_3)
    assert chain == (b"ctx", (b"DER", b"root"), False)
    asked = certificate_request(written.TLS_1_3["CertificateRequest"], TLS_1_3)
    assert asked == (b"", (), (0x0403, 0x0804), (b"DN",), False)
    ticket = new_session_ticket(written.TLS_1_3["NewSessionTicket"], TLS_1_3)
    assert ticket[:4] == (7200, 0x01020304, b"nonce", b"ticket")
    assert ticket.max_early_data == 0x4000
    assert key_update(written.TLS_1_3["KeyUpdate"]) == (True, False)
    assert key_update(message(24, b"\0")) == (False, False)
    assert key_update(message(24)).damaged
    assert finished(message(20, hashlib.sha256().digest())) == (hashlib.sha256().digest(), False)
    assert alert(x("02 28")) == Alert(2, 40, False)
    assert alert(x("02")) == Alert(2, 0, True)
    assert alert(x("02 28 00")).damaged


@pytest.mark.parametrize("name", AGREED)
def test_finished_is_as_long_as_the_hash_says(name: str) -> None:
    sizes = {len(finished(raw).verify_data) for _, raw in recorded(name).messages if raw[0] == codes.FINISHED}
    assert sizes in ({12}, {32}, {48})


@pytest.mark.parametrize("name", MADE)
def test_everything_openssl_says_is_read(name: str) -> None:
    talk = recorded(name)
    answers = [server_hello(raw) for raw in talk.sent("server") if raw[0] == codes.SERVER_HELLO]
    version, suite = (answers[-1].selected_version, answers[-1].suite) if answers else (None, None)
    for _, raw in talk.messages:
        found = read(raw, version, suite)
        assert found is None or not found.damaged
        assert (found is None) == (raw[0] == codes.SERVER_HELLO_DONE)


@pytest.mark.parametrize(
    ("kind", "body", "version"),
    [
        (11, "000005 000003 41 42", TLS_1_2),
        (11, "000004 000003 41", TLS_1_2),
        (11, "00 000006 000001 41 0001", TLS_1_3),
        (11, "00 000002 0000", TLS_1_3),
        (13, "00 0003 000d00", TLS_1_3),
        (13, "01 01 0003 040304 0000", TLS_1_2),
        (4, "00001c20 0003 41", TLS_1_2),
        (4, "00001c20", TLS_1_3),
        (15, "0804 0002 41", TLS_1_2),
        (16, "0002 41", TLS_1_2),
        (24, "", TLS_1_3),
    ],
)
def test_lengths_that_do_not_fit_each_other_are_damage(kind: int, body: str, version: int) -> None:
    assert getattr(read(message(kind, x(body)), version, 0x002F), "damaged", False)


def test_what_is_not_known_is_not_read() -> None:
    assert read(b"") is None
    assert read(message(99, b"?")) is None
    for kind in (12, 16):
        assert not getattr(read(message(kind, b"?"), TLS_1_2, 0xC100), "damaged", True)
    implicit = client_key_exchange(message(16), TLS_1_2, 0x0031)
    assert (implicit.public, implicit.damaged) == (None, False)


RAWS = [raw for name in AGREED for _, raw in recorded(name).messages]


@given(
    st.sampled_from(RAWS + list(written.TLS_1_3.values())),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=6),
    st.integers(0, 3000),
    st.sampled_from([0x0300, 0x0301, TLS_1_2, TLS_1_3]),
    st.sampled_from([row[0] for row in written.TLS_1_2.values()] + [0x002F, 0x1301, 0x0A0A]),
)
def test_damaged_messages_never_raise(
    raw: bytes, changes: list[tuple[int, int]], size: int, version: int, suite: int
) -> None:
    data = bytearray(raw)
    for at, byte in changes:
        data[at % len(data)] = byte
    damaged = bytes(data[: size or len(data)])
    certificate(damaged, version)
    certificate_request(damaged, version)
    certificate_verify(damaged, version)
    assert len(server_key_exchange(damaged, version, suite).params) <= len(damaged)
    client_key_exchange(damaged, version, suite)
    assert (new_session_ticket(damaged, version).max_early_data or 0) >= 0
    finished(damaged)
    key_update(damaged)
    alert(damaged)
    if len(damaged) < len(raw) and changes == []:
        assert finished(damaged).damaged
