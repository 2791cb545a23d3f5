"""What the hellos say is what both programs say of themselves; of a damaged one there is what can be read."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.tls.handshake import TLSClientHello, TLSServerHello

from lab.protocols.tls import codes
from lab.protocols.tls.hello import (
    ClientHello,
    KeyShare,
    ServerHello,
    client_hello,
    encrypted_extensions,
    server_hello,
    ssl2_hello,
)
from tests.protocols.tls import hex as written
from tests.protocols.tls.handshakes import MADE, NAME, converse, ecdhe, recorded, tls13
from tests.protocols.tls.hex import extension, message, vector, x
from tests.protocols.tls.test_records import SSL2_HELLO

VERSIONS = {"TLSv1.2": codes.TLS_1_2, "TLSv1.3": codes.TLS_1_3}
AGREED = [name for name in MADE if name != "no version in common"]
PROPERTIES = [name for name in dir(ClientHello) if isinstance(getattr(ClientHello, name), property)]
ANSWERS = [name for name in dir(ServerHello) if isinstance(getattr(ServerHello, name), property)]


@pytest.mark.parametrize("name", AGREED)
def test_the_hellos_say_what_both_programs_say(name: str) -> None:
    talk = recorded(name)
    first, *_ = [client_hello(raw) for raw in talk.sent("client") if raw[0] == codes.CLIENT_HELLO]
    *_, last = [server_hello(raw) for raw in talk.sent("server") if raw[0] == codes.SERVER_HELLO]
    assert not first.damaged
    assert not last.damaged
    assert first.sni == NAME
    assert last.selected_version == VERSIONS[talk.client.version() or ""]
    suite, _, _ = talk.client.cipher() or ("", "", 0)
    numbers = {each["name"]: int(each["id"]) & 0xFFFF for each in talk.client.context.get_ciphers()}
    assert last.suite == numbers[suite]
    assert last.suite in first.suites
    assert last.downgrade is None
    if last.selected_version == codes.TLS_1_3:
        assert codes.TLS_1_3 in first.supported_versions
        assert last.session_id == first.session_id
        assert first.psk_modes == (1,)
        assert not last.extended_master_secret
    else:
        assert last.extended_master_secret
        assert first.ticket == b""
        assert last.ticket_expected
    assert first.extended_master_secret
    assert first.encrypt_then_mac
    assert not first.early_data


@pytest.mark.parametrize("name", MADE)
def test_scapy_reads_the_same(name: str) -> None:
    read_client: Any = TLSClientHello
    read_server: Any = TLSServerHello
    for _, raw in recorded(name).messages:
        if raw[0] == codes.CLIENT_HELLO:
            ours, theirs = client_hello(raw), read_client(raw)
            assert list(ours.suites) == theirs.ciphers
            assert ours.session_id == theirs.sid
            assert [kind for kind, _ in ours.extensions] == [each.type for each in theirs.ext]
        elif raw[0] == codes.SERVER_HELLO and not server_hello(raw).is_hello_retry:  # which Scapy reads elsewhere
            answer, theirs = server_hello(raw), read_server(raw)
            assert (answer.suite, answer.session_id) == (theirs.cipher, theirs.sid)


def test_the_protocol_above_is_agreed() -> None:
    talk = recorded("TLS 1.3 ALPN")
    assert client_hello(talk.message(codes.CLIENT_HELLO)).alpn == ("h2", "http/1.1")
    assert encrypted_extensions(talk.message(codes.ENCRYPTED_EXTENSIONS)).alpn == ("http/1.1",)
    assert talk.client.selected_alpn_protocol() == "http/1.1"


def test_a_hello_retry_request_names_a_group_and_the_second_hello_has_it() -> None:
    talk = recorded("TLS 1.3 hello retry")
    retry, answer = [server_hello(raw) for raw in talk.sent("server") if raw[0] == codes.SERVER_HELLO]
    first, second = [client_hello(raw) for raw in talk.sent("client") if raw[0] == codes.CLIENT_HELLO]
    secp384r1 = 0x0018
    assert (retry.is_hello_retry, answer.is_hello_retry) == (True, False)
    assert retry.key_share == KeyShare(secp384r1, b"")
    assert secp384r1 not in [share.group for share in first.key_shares]
    assert secp384r1 in first.groups
    assert [share.group for share in second.key_shares] == [secp384r1]
    assert answer.key_share is not None
    assert answer.key_share.group == secp384r1
    assert len(answer.key_share.public) == 97


def test_a_session_is_resumed_with_a_ticket() -> None:
    made = tls13()
    first = converse(made)
    second = converse(made, first.client.session)
    assert second.client.session_reused
    hello = client_hello(second.message(codes.CLIENT_HELLO))
    assert len(hello.psk_identities) == 1
    assert any(hello.psk_identities[0] in raw for raw in first.sent("server") if raw[0] == codes.NEW_SESSION_TICKET)
    assert server_hello(second.message(codes.SERVER_HELLO)).selected_psk == 0
    assert server_hello(first.message(codes.SERVER_HELLO)).selected_psk is None


def test_a_session_of_tls_1_2_is_resumed_with_a_ticket() -> None:
    made = ecdhe()
    first = converse(made)
    second = converse(made, first.client.session)
    assert second.client.session_reused
    hello = client_hello(second.message(codes.CLIENT_HELLO))
    assert hello.ticket
    assert first.message(codes.NEW_SESSION_TICKET).endswith(hello.ticket)
    assert hello.session_id == server_hello(second.message(codes.SERVER_HELLO)).session_id


def test_a_server_that_could_do_better_says_so() -> None:
    made = tls13()
    made.server.minimum_version = made.client.minimum_version = ssl.TLSVersion.TLSv1_2
    made.client.maximum_version = ssl.TLSVersion.TLSv1_2
    talk = converse(made)
    assert talk.client.version() == "TLSv1.2"
    assert server_hello(talk.message(codes.SERVER_HELLO)).downgrade == "TLS 1.2"
    old = message(2, x("0302"), bytes(24), b"DOWNGRD\0", x("00 002f 00"))
    assert server_hello(old).downgrade == "TLS 1.1 or below"
    assert not server_hello(old).damaged


def test_a_hello_of_a_browser() -> None:
    hello = client_hello(written.GREASE_HELLO)
    assert not hello.damaged
    assert hello.suites[:2] == (0x0A0A, 0x1301)
    assert hello.sni == "www.example"
    assert hello.alpn == ("\\x0a\\x0a", "h2", "http/1.1")
    assert hello.supported_versions == (0x3A3A, 0x0304, 0x0303)
    assert hello.groups == (0x2A2A, 4588, 29, 23, 24)
    assert [(share.group, len(share.public)) for share in hello.key_shares] == [(0x2A2A, 1), (4588, 1216), (29, 32)]
    assert hello.psk_modes == (0x2A, 1)
    assert hello.signature_schemes[:2] == (0x0403, 0x0804)
    assert hello.encrypted_client_hello
    assert hello.ticket == b""
    names = [codes.name(codes.EXTENSIONS, kind) for kind, _ in hello.extensions]
    assert names[:2] == ["GREASE (0x1a1a)", "server_name"]
    assert names[-3:] == ["application_settings", "encrypted_client_hello", "GREASE (0x4a4a)"]


def test_a_hello_with_everything() -> None:
    hello = client_hello(written.FULL_HELLO)
    assert not hello.damaged
    assert hello.early_data
    assert hello.psk_identities == (b"ticket",)
    assert hello.ticket == b"an old ticket"
    assert hello.key_shares == (KeyShare(29, written.SHARE),)


def test_a_hello_without_extensions_is_whole() -> None:
    hello = client_hello(message(1, x("0301"), bytes(32), x("00 0002 002f 01 00")))
    assert (hello.damaged, hello.extensions, hello.sni, hello.alpn, hello.ticket) == (False, (), None, (), None)


def test_a_hello_in_the_format_of_ssl_2() -> None:
    hello = ssl2_hello(SSL2_HELLO[2:])
    assert (hello.version, hello.damaged) == (codes.TLS_1_2, False)
    assert hello.specs == (0x010080, 0x00002F, 0x00C02F)
    assert hello.suites == (0x002F, 0xC02F)
    assert hello.random == bytes(16) + bytes(range(16))
    assert ssl2_hello(SSL2_HELLO[2:-1]).damaged
    assert ssl2_hello(b"").damaged


def test_names_can_not_play_tricks_on_a_terminal() -> None:
    hello = client_hello(written.client_hello(extension(0, vector(2, x("00"), vector(2, b"a\x1b[2J\\\xff")))))
    assert hello.sni == "a\\x1b[2J\\x5c\\xff"


@pytest.mark.parametrize("raw", [written.GREASE_HELLO, written.FULL_HELLO])
def test_a_hello_cut_anywhere_keeps_what_came_before(raw: bytes) -> None:
    whole = client_hello(raw)
    for size in range(len(raw)):
        hello = client_hello(raw[:size])
        assert hello.damaged
        assert whole.suites[: len(hello.suites)] == hello.suites
        assert whole.random.startswith(hello.random)
        if size >= 38:
            assert (hello.version, hello.random) == (whole.version, whole.random)
        for name in PROPERTIES:
            getattr(hello, name)


@pytest.mark.parametrize(
    "body",
    [
        "00 0003 130113 01 00",  # half a suite
        "00 0002 1301 01 00 0005 0017 0001 00 00",  # extensions go on behind their end
        "00 0002 1301 01 00 0006 0017 0005 0000",  # an extension ends behind the extensions
        "00 0002 1301 01 00 0003 0017 00",  # half a length
        "00 0002 1301 02 00",
        "21 0002 1301 01 00",
    ],
)
def test_lengths_that_do_not_fit_each_other_are_damage(body: str) -> None:
    assert client_hello(message(1, x("0303"), bytes(32), x(body))).damaged


def test_bytes_behind_the_end_are_damage() -> None:
    raw = written.FULL_HELLO
    assert client_hello(raw + b"\0").damaged
    assert client_hello(raw[:3] + bytes([raw[3] + 1]) + raw[4:] + b"\0").damaged


@given(
    st.sampled_from([written.GREASE_HELLO, written.FULL_HELLO]),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=8),
)
def test_changed_bytes_never_raise(raw: bytes, changes: list[tuple[int, int]]) -> None:
    data = bytearray(raw)
    for at, byte in changes:
        data[at % len(data)] = byte
    for name in PROPERTIES:
        getattr(client_hello(bytes(data)), name)
    for name in ANSWERS:
        getattr(server_hello(bytes(data)), name)
    ssl2_hello(bytes(data))
    encrypted_extensions(bytes(data))
