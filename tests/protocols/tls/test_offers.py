"""What a ClientHello offers beside the usual: ECH, GREASE, and key shares that no longer fit into one segment."""

from __future__ import annotations

import ssl

import pytest

from lab.engine.protocol import Descriptor
from lab.model import Detail, Span
from lab.protocols.registry import PROTOCOLS
from lab.protocols.tls import codes, openssl
from lab.protocols.tls.fields import leaves, message_fields
from lab.protocols.tls.hello import client_hello
from lab.protocols.tls.offers import ech, grease, large_share
from lab.protocols.tls.report import steps, summary
from lab.protocols.tls.shapes import TlsField
from lab.protocols.tls.shares import kem, parts
from lab.render.meanings import with_meanings
from lab.text import Text
from tests.packets import Walked, ladder, walk
from tests.protocols.tls.captures import captured, frames
from tests.protocols.tls.captures import walk as walk_tls
from tests.protocols.tls.hex import ECH_CONFIG, GREASE_HELLO, SHARE, extension, message, vector, x
from tests.protocols.tls.hex import client_hello as hello_of

BROWSERS = client_hello(GREASE_HELLO)
(TLS,) = (protocol for protocol in PROTOCOLS if protocol.name == "tls")
OUTER = x("00 0001 0001 2f") + vector(2, SHARE) + vector(2, bytes(208))


def said(texts: list[Text]) -> list[str]:
    return [text.en for text in texts]


def spans(*sizes: int) -> tuple[Span, ...]:
    """Where a message lies that comes in packets from 4 on, so many bytes in each."""
    return tuple(Span("frame", number, 66, 66 + size) for number, size in enumerate(sizes, 4))


def told(fields: list[TlsField], protocol: Descriptor = TLS) -> dict[str, str]:
    """Returns the meanings that are told, by the fields they are told of."""
    details = [Detail(*field) for field in fields]
    return {field.name: meaning.en for field, meaning in with_meanings(details, protocol.meanings) if meaning}


def walked(*payloads: bytes) -> Walked:
    at, lines = 1, ["c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1"]
    for payload in payloads:
        lines.append(f'c> data {at} 1 x"{payload.hex(" ")}"')
        at += len(payload)
    return walk(ladder(*lines))


def test_a_name_beside_ech_is_said_to_be_the_outer_one() -> None:
    assert said(ech(BROWSERS)) == ["which is the outer name: ECH hides another, or is GREASE and hides none"]
    assert said(ech(client_hello(hello_of(extension(0xFE0D, OUTER))))) == ["ECH, or GREASE that looks the same"]
    assert said(ech(client_hello(hello_of(extension(0xFE0D, x("01")))))) == ["the inner hello of ECH"]
    assert said(ech(client_hello(hello_of(extension(0xFE0D, x("07")))))) == ["ECH in a form that nobody knows"]
    assert said(ech(client_hello(hello_of(extension(0xFE0D))))) == ["ECH in a form that nobody knows"]
    assert said(ech(client_hello(hello_of(extension(0))))) == []


def test_grease_is_named_and_not_counted() -> None:
    """RFC 8701."""
    assert said(grease(BROWSERS)) == ["GREASE between"]
    assert said(grease(client_hello(hello_of(extension(10, vector(2, x("001d"))))))) == []
    for with_one in (extension(0x5A5A), extension(10, vector(2, x("6a6a"))), extension(43, x("04 7a7a 0304"))):
        assert said(grease(client_hello(hello_of(with_one)))) == ["GREASE between"]
    record = x("16 0301") + vector(2, GREASE_HELLO)
    (message,) = walked(record[:1448], record[1448:]).packets[-1].messages
    words = message.words
    for part in (
        "offers TLS 1.3 TLS 1.2, 6 cipher suites, for www.example, which is the outer name: ECH hides another, or",
        "1,184 of them ML-KEM-768's, without which it would fit into one segment, GREASE between",
    ):
        assert part in words.en
    assert "6 个加密套件" in words.zh


def test_a_large_key_share_is_told_and_that_it_takes_a_second_segment_only_where_it_does() -> None:
    size = len(GREASE_HELLO)
    share = "a key share of X25519MLKEM768: 1,216 bytes, 1,184 of them ML-KEM-768's"
    assert said(large_share(BROWSERS, size, spans(1443, size - 1443))) == [
        f"{share}, without which it would fit into one segment"
    ]
    assert said(large_share(BROWSERS, size, spans(size))) == [share]
    assert said(large_share(BROWSERS, size, spans(10, size - 10))) == [share], "cut up on purpose, not for its size"
    small = client_hello(hello_of(extension(51, vector(2, x("001d"), vector(2, SHARE)))))
    assert said(large_share(small, 200, spans(100, 100))) == []
    odd = client_hello(hello_of(extension(51, vector(2, x("11ec"), vector(2, bytes(1215))))))
    assert said(large_share(odd, 1500, spans(1443, 57))) == [], "not what the group takes"


@pytest.mark.parametrize("group", [512, 513, 514, 4587, 4588, 4589, 25497, 25498])
def test_the_sizes_of_shares_are_those_of_the_rfcs(group: int) -> None:
    """RFC 10024, FIPS 203, RFC 8422: a point of P-256 has 65 bytes, one of P-384 has 97."""
    sizes = {
        512: (800, 768), 513: (1184, 1088), 514: (1568, 1568), 4587: (1249, 1153), 4588: (1216, 1120),
        4589: (1665, 1665), 25497: (1216, 1120), 25498: (1249, 1153),
    }[group]  # fmt: skip
    assert parts(group, "client", sizes[0])
    assert parts(group, "server", sizes[1])
    assert kem(group, sizes[0])
    assert not parts(group, "client", sizes[0] - 1)
    assert kem(29, 32) is None


def test_a_hybrid_share_is_taken_apart_in_the_order_of_its_group() -> None:
    fields = message_fields(GREASE_HELLO)
    at = next(
        index for index, field in enumerate(fields) if field.value == "0x11ec (X25519MLKEM768)" and field.depth > 4
    )
    assert [(each.name, each.end - each.start) for each in fields[at + 1 : at + 5]] == [
        ("key_exchange length", 2), ("key_exchange", 1216), ("mlkem768_encapsulation_key", 1184), ("x25519", 32),
    ]  # fmt: skip
    answer = message(
        2, x("0303"), bytes(32), vector(1), x("1301 00"),
        vector(2, extension(43, x("0304")), extension(51, x("11ed"), vector(2, bytes(97 + 1568)))),
    )  # fmt: skip
    found = [(field.name, field.end - field.start) for field in leaves(message_fields(answer))]
    assert found[-2:] == [("secp384r1", 97), ("mlkem1024_ciphertext", 1568)]


def test_ech_and_grease_are_explained_where_they_stand() -> None:
    meanings = told(message_fields(GREASE_HELLO))
    assert {"encrypted_client_hello", "type", "cipher_suite", "config_id", "enc", "payload"} <= meanings.keys()
    assert "GREASE ECH" in meanings["encrypted_client_hello"]
    assert [name for name, text in meanings.items() if text.startswith("GREASE (RFC 8701)")] == ["CipherSuite"], "once"
    assert {"mlkem768_encapsulation_key", "x25519"} <= meanings.keys()
    assert told(message_fields(hello_of(extension(10, vector(2, x("001d")))))) == {}


def test_the_keys_a_server_offers_for_the_next_try_are_taken_apart() -> None:
    """RFC 9849 section 4; a version that nobody knows is data."""
    known = x("fe0d") + vector(2, ECH_CONFIG)
    extensions = message(8, vector(2, extension(0xFE0D, vector(2, known, x("fe0c"), vector(2, b"old")))))
    fields = message_fields(extensions, codes.TLS_1_3)
    values = {field.name: field.value for field in fields}
    assert values["retry_configs"] == "2 entries"
    assert values["kem_id"] == "0x0020 (DHKEM(X25519, HKDF-SHA256))"
    assert values["public_name"] == "front.example"
    assert values["maximum_name_length"] == "64"
    assert [field.value for field in fields if field.name == "aead_id"][-1] == "0x0003 (ChaCha20Poly1305)"
    assert leaves(fields)[-1].name == "data"
    assert "could not open" in told(fields)["retry_configs"]


def test_every_meaning_is_told_in_both_languages() -> None:
    for key, text in TLS.meanings.items():
        assert text.en.strip(), key
        assert text.zh != text.en, key


def test_openssl_has_the_hybrid_group_from_3_5_on_and_it_is_said_where_it_has_not() -> None:
    lacking = openssl.lacking("X25519MLKEM768")
    assert (lacking is None) == (ssl.OPENSSL_VERSION_INFO >= (3, 5))
    assert lacking is None or ssl.OPENSSL_VERSION in lacking.en
    assert openssl.lacking("X25519") is None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    openssl.choose_groups(context, "P-256:X25519")
    with pytest.raises(ssl.SSLError, match="nonsense"):
        openssl.choose_groups(context, "X25519:nonsense")
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    context.check_hostname = False
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ours, theirs).do_handshake()
    hello = client_hello(theirs.read()[5:])
    assert hello.groups == (23, 29)
    assert [share.group for share in hello.key_shares] == [23]


def test_a_finished_that_covers_a_hidden_hello_is_not_called_wrong() -> None:
    """Here the hello that both ends have heard is another than the captured one, as it is where ECH is accepted."""
    capture = captured("TLS 1.3")
    (role, hello), *others = capture.flights
    assert role == "client"
    for added, words, wrong in (
        (extension(0xFE0D, OUTER), "verify_data fits no hello that can be read", False),
        (extension(0x0A0A), "verify_data is WRONG", True),
    ):
        body = hello[9:]
        at = 2 + 32 + 1 + body[34] + 2
        at += int.from_bytes(body[at - 2 : at], "big")
        at += 1 + body[at]
        longer = body[:at] + vector(2, body[at + 2 :], added)
        flights = [("client", hello[:3] + vector(2, message(1, longer))), *others]
        assert client_hello(message(1, longer)).damaged is False
        walked = walk_tls(frames(flights), capture.keylog)
        said = [each.words.en for packet in walked.packets for each in packet.messages if each.name == "Finished"]
        assert len(said) == 2
        assert all(each.startswith(words) for each in said), said
        facts = summary(walked.above)
        assert facts["decrypted"]
        assert facts["finished_verified"] is (False if wrong else None)
        assert ("finished-wrong" in [code for _, _, code, *_ in steps(walked.above)]) is wrong
