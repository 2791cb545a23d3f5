"""Leaves cover every byte of a record or a message once, whatever the lengths in it claim, and say what was meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.protocols.tls import codes
from lab.protocols.tls.fields import content_fields, inner_fields, leaves, message_fields, record_fields
from lab.protocols.tls.hello import client_hello, server_hello
from lab.protocols.tls.records import Record, Records
from lab.protocols.tls.shapes import TlsField
from tests.protocols.tls import hex as written
from tests.protocols.tls.handshakes import MADE, recorded
from tests.protocols.tls.hex import extension, message, vector, x
from tests.protocols.tls.test_records import SSL2_HELLO, record

TLS_1_2, TLS_1_3 = codes.TLS_1_2, codes.TLS_1_3
VERSIONS = {"TLSv1.2": TLS_1_2, "TLSv1.3": TLS_1_3, None: None}


def assert_covered(fields: list[TlsField], size: int) -> list[TlsField]:
    """Leaves lie side by side from 0 to `size`, containers hold what is deeper; returns the leaves."""
    found = leaves(fields)
    at = 0
    for leaf in found:
        assert leaf.start == at, fields
        assert leaf.end > at, fields
        at = leaf.end
    assert at == size, fields
    around: list[TlsField] = []
    for field in fields:
        del around[field.depth :]
        assert len(around) == field.depth
        assert all(outer.start <= field.start and field.end <= outer.end for outer in around)
        around.append(field)
    for index, field in enumerate(fields):  # a container ends where the last it holds ends
        inside = [each for each in fields[index + 1 :] if each.start >= field.start and each.end <= field.end]
        if inside and field not in found:
            assert max(each.end for each in inside if each.depth > field.depth) == field.end
    return found


def by_name(fields: list[TlsField], name: str) -> list[str]:
    return [field.value for field in fields if field.name == name]


def suite_of(name: str) -> int | None:
    answers = [server_hello(raw).suite for raw in recorded(name).sent("server") if raw[0] == codes.SERVER_HELLO]
    return answers[-1] if answers else None


# Real handshakes.


@pytest.mark.parametrize("name", MADE)
def test_every_byte_of_real_messages_has_a_name(name: str) -> None:
    talk = recorded(name)
    for _, raw in talk.messages:
        found = assert_covered(message_fields(raw, VERSIONS[talk.client.version()], suite_of(name)), len(raw))
        assert not {"data", "truncated"} & {leaf.name for leaf in found}


@pytest.mark.parametrize("name", MADE)
def test_every_byte_of_real_records_has_a_name(name: str) -> None:
    talk = recorded(name)
    version = VERSIONS[talk.client.version()]
    for stream in (talk.stream("client"), talk.stream("server")):
        encrypted = False
        for each in Records("client").feed(stream):
            found = assert_covered(record_fields(each, version, encrypted), each.end - each.start)
            assert [leaf.value for leaf in found][2] == str(len(each.fragment))
            encrypted = encrypted or each.type == codes.CHANGE_CIPHER_SPEC


@pytest.mark.parametrize("name", MADE)
def test_fields_show_what_the_message_means(name: str) -> None:
    for _, raw in recorded(name).messages:
        if raw[0] == codes.CLIENT_HELLO:
            hello, fields = client_hello(raw), message_fields(raw)
            assert by_name(fields, "CipherSuite") == [codes.numbered(codes.SUITES, each) for each in hello.suites]
            assert by_name(fields, "HostName") == [hello.sni]
            assert by_name(fields, "ProtocolName") == list(hello.alpn)
            assert by_name(fields, "NamedGroup") == [codes.numbered(codes.GROUPS, each) for each in hello.groups]
            kinds = [codes.numbered(codes.EXTENSIONS, kind) for kind, _ in hello.extensions]
            assert by_name(fields, "extension_type") == kinds


def test_names_follow_the_version() -> None:
    hello = recorded("TLS 1.2 ECDHE").sent("client")[0]
    assert [leaf.name for leaf in leaves(message_fields(hello, TLS_1_2))][2:6] == [
        "client_version", "random", "session_id length", "cipher_suites length",
    ]  # fmt: skip
    assert [leaf.name for leaf in leaves(message_fields(hello))][2] == "legacy_version"
    answer = recorded("TLS 1.2 ECDHE").sent("server")[0]
    assert "compression_method" in [leaf.name for leaf in leaves(message_fields(answer, TLS_1_2))]


# Written by hand.


@pytest.mark.parametrize("name", written.TLS_1_3)
def test_every_message_of_tls_1_3_is_taken_apart(name: str) -> None:
    raw = written.TLS_1_3[name]
    fields = message_fields(raw, TLS_1_3)
    found = assert_covered(fields, len(raw))
    assert fields[0].name == name.partition(" ")[0]
    assert "truncated" not in [leaf.name for leaf in found]
    inside = {leaf.value for leaf in found if leaf.name == "data"}
    assert inside == {  # what nobody describes: GREASE, an unknown extension, settings of a protocol above
        "ClientHello": {b"nobody knows".hex(" ")}, "ClientHello with GREASE": {"00"},
        "EncryptedExtensions": {b"settings".hex(" ")},
    }.get(name, set())  # fmt: skip


@pytest.mark.parametrize("name", written.TLS_1_2)
def test_every_key_exchange_is_taken_apart(name: str) -> None:
    suite, *raws = written.TLS_1_2[name]
    for raw in raws:
        found = assert_covered(message_fields(raw, TLS_1_2, suite), len(raw))
        assert not {"data", "truncated"} & {leaf.name for leaf in found}
        assert [leaf.name for leaf in leaves(message_fields(raw, TLS_1_2))] == ["msg_type", "length", "data"]


def test_what_a_browser_says() -> None:
    fields = message_fields(written.GREASE_HELLO)
    assert by_name(fields, "CipherSuite")[0] == "0x0a0a (GREASE)"
    assert by_name(fields, "NamedGroup")[:2] == ["0x2a2a (GREASE)", "0x11ec (X25519MLKEM768)"]
    assert by_name(fields, "ProtocolVersion") == ["0x3a3a (GREASE)", "0x0304 (TLS 1.3)", "0x0303 (TLS 1.2)"]
    assert by_name(fields, "PskKeyExchangeMode") == ["0x2a (GREASE)", "1 (psk_dhe_ke)"]
    assert by_name(fields, "CertificateCompressionAlgorithm") == ["2 (brotli)"]
    assert by_name(fields, "aead_id") == ["0x0001 (AES-128-GCM)"]
    names = [field.name for field in fields if field.depth == 2 and field.name.startswith("GREASE")]
    assert names == ["GREASE (0x1a1a)", "GREASE (0x4a4a)"]
    assert by_name(fields, "extensions") == ["18 entries"]


def test_the_fields_of_a_small_message() -> None:
    raw = message(4, x("00000e10"), vector(2, b"ticket"))
    assert message_fields(raw, TLS_1_2) == [
        TlsField(0, "NewSessionTicket", 0, 16, ""),
        TlsField(1, "msg_type", 0, 1, "4 (new_session_ticket)"),
        TlsField(1, "length", 1, 4, "12"),
        TlsField(1, "ticket_lifetime_hint", 4, 8, "3600"),
        TlsField(1, "ticket length", 8, 10, "6"),
        TlsField(1, "ticket", 10, 16, "74 69 63 6b 65 74"),
    ]


def test_before_tls_1_2_nothing_names_a_scheme() -> None:
    for raw in (
        message(12, x("03 0017"), vector(1, b"point"), vector(2, b"signature")),
        message(13, vector(1, x("01 40")), vector(2, vector(2, b"DN"))),
        message(15, vector(2, b"signature")),
    ):
        found = assert_covered(message_fields(raw, codes.TLS_1_1, 0xC013), len(raw))
        assert not {"data", "truncated", "algorithm"} & {leaf.name for leaf in found}
    secret = message(16, bytes(16))
    assert leaves(message_fields(secret, codes.SSL_3, 0x002F))[-1].name == "EncryptedPreMasterSecret"


def test_records_carry_alerts_heartbeats_and_hellos_of_ssl_2() -> None:
    (alert,) = Records("server").feed(record(21, x("02 28")))
    assert by_name(record_fields(alert), "description") == ["40 (handshake_failure)"]
    assert [field.name for field in record_fields(alert, TLS_1_3, True)] == [
        "TLSCiphertext", "opaque_type", "legacy_record_version", "length", "encrypted_record",
    ]  # fmt: skip
    (heartbeat,) = Records("server").feed(record(24, b"\1" + vector(2, b"hi") + bytes(16)))
    assert [leaf.name for leaf in leaves(record_fields(heartbeat, TLS_1_2))] == [
        "type", "version", "length", "type", "payload length", "payload", "padding",
    ]  # fmt: skip
    (hello,) = Records("client").feed(SSL2_HELLO)
    found = assert_covered(record_fields(hello), len(SSL2_HELLO))
    assert by_name(found, "V2CipherSpec") == [
        "0x010080 (SSL_CK_RC4_128_WITH_MD5)", "0x00002f (TLS_RSA_WITH_AES_128_CBC_SHA)",
        "0x00c02f (TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256)",
    ]  # fmt: skip
    assert by_name(found, "msg_length") == ["34"]
    assert not {"data", "truncated"} & {leaf.name for leaf in found}


def test_what_is_inside_an_encrypted_record_of_tls_1_3() -> None:
    plaintext = x("01 00 15 000000")
    assert inner_fields(plaintext) == [
        TlsField(0, "TLSInnerPlaintext", 0, 6, ""),
        TlsField(1, "Alert", 0, 2, ""),
        TlsField(2, "level", 0, 1, "1 (warning)"),
        TlsField(2, "description", 1, 2, "0 (close_notify)"),
        TlsField(1, "type", 2, 3, "21 (alert)"),
        TlsField(1, "zeros", 3, 6, "00 00 00"),
    ]
    assert [leaf.name for leaf in leaves(inner_fields(b"hello\x17"))] == ["fragment", "type"]
    assert [leaf.name for leaf in leaves(inner_fields(bytes(3)))] == ["zeros"]
    assert content_fields(23, b"") == []


# Lengths that lie.


def last(raw: bytes) -> tuple[str, int, int]:
    leaf = assert_covered(message_fields(raw, TLS_1_3), len(raw))[-1]
    return leaf.name, leaf.start, leaf.end


def test_what_ends_too_early_is_truncated_and_what_follows_is_data() -> None:
    hello = written.client_hello(extension(43, vector(1, x("0304"))))
    assert last(hello)[0] == "ProtocolVersion"
    assert last(hello[:-1]) == ("truncated", len(hello) - 2, len(hello) - 1)
    assert last(hello + b"more") == ("data", len(hello), len(hello) + 4)
    longer = written.client_hello(extension(43, vector(1, x("0304")), b"more"))
    assert last(longer)[0] == "data"
    odd = written.client_hello(extension(43, vector(1, x("0304 03"))))
    assert last(odd)[0] == "truncated"
    assert last(b"\x01\0") == ("truncated", 1, 2)
    assert message_fields(b"") == []


@pytest.mark.parametrize("name", written.TLS_1_3)
def test_a_message_cut_anywhere_shows_the_same_leaves_up_to_the_cut(name: str) -> None:
    raw = written.TLS_1_3[name]
    whole = leaves(message_fields(raw, TLS_1_3))
    retry = name == "HelloRetryRequest"  # the random tells it, so it must be there
    for size in range(38 if retry else 0, len(raw), 1 if len(raw) < 800 else 7):
        found = assert_covered(message_fields(raw[:size], TLS_1_3), size)
        before = [leaf for leaf in whole if leaf.end <= size]
        assert [leaf[1:] for leaf in found[: len(before)]] == [leaf[1:] for leaf in before]
        assert len(found) - len(before) <= 1


RAWS = [*written.TLS_1_3.values(), *(raw for _, *both in written.TLS_1_2.values() for raw in both)]
RAWS += [raw for name in MADE for _, raw in recorded(name).messages]
SUITES = [row[0] for row in written.TLS_1_2.values()] + [0x002F, 0x1301, None]


@given(
    st.sampled_from(RAWS),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=8),
    st.integers(0, 3000),
    st.binary(max_size=4),
    st.sampled_from([None, 0x0300, 0x0302, TLS_1_2, TLS_1_3]),
    st.sampled_from(SUITES),
)
def test_damaged_messages_are_covered(
    raw: bytes, changes: list[tuple[int, int]], size: int, more: bytes, version: int | None, suite: int | None
) -> None:
    data = bytearray(raw)
    for at, byte in changes:
        data[at % len(data)] = byte
    damaged = bytes(data[: size or len(data)]) + more
    assert_covered(message_fields(damaged, version, suite), len(damaged))


@given(st.integers(0, 255), st.binary(max_size=80), st.sampled_from([None, TLS_1_2, TLS_1_3]), st.booleans())
def test_random_bytes_are_covered(kind: int, data: bytes, version: int | None, encrypted: bool) -> None:
    assert_covered(message_fields(data, version), len(data))
    assert_covered(content_fields(kind, data), len(data))
    assert_covered(inner_fields(data), len(data))
    head = 2 if kind == codes.SSL2 else 5
    assert_covered(
        record_fields(Record(kind, TLS_1_2, 0, head + len(data), data), version, encrypted), head + len(data)
    )


def test_a_message_full_of_the_smallest_things_is_read_in_one_pass() -> None:
    raw = message(1, x("0303"), bytes(32), x("00 0002 1301 01 00"), vector(2, *[extension(43)] * 16000))
    assert len(assert_only_leaves(raw)) > 32000
    raw = message(11, vector(3, bytes(300_000)))
    assert len(assert_only_leaves(raw)) == 100_003


def assert_only_leaves(raw: bytes) -> list[TlsField]:
    found = leaves(message_fields(raw, TLS_1_2))
    assert sum(leaf.end - leaf.start for leaf in found) == len(raw)
    return found
