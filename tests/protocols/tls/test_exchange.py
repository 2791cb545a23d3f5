"""Where no ServerHello was read, only what a ClientKeyExchange shows by itself is said of the key exchange."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.model import Frame
from lab.protocols.tls.exchange import of_client, of_server
from lab.protocols.tls.hello import client_hello
from tests.packets import renumbered
from tests.protocols.tls.captures import Walked, captured, frames, shown, walk
from tests.protocols.tls.test_holes import snapped

RSA, DHE, ECDHE, PSK = 0x009C, 0x009E, 0xC02F, 0x00A8


def _without_server_hello(name: str, made: list[Frame] | None = None) -> list[Frame]:
    """Returns a capture without the segment of the ServerHello; the flight is longer than that."""
    made = made or frames(captured(name).flights, 300)
    whole = walk(made)
    (gone,) = [each.number for each in whole.records if "ServerHello" in [one.said.name for one in each.messages]]
    return renumbered(*[frame for frame in made if frame.number != gone])


def _exchange(body: bytes) -> bytes:
    return b"\x10" + len(body).to_bytes(3, "big") + body


def _hello(*suites: int) -> object:
    listed = b"".join(struct.pack("!H", each) for each in suites)
    body = b"\x03\x03" + bytes(32) + b"\0" + struct.pack("!H", len(listed)) + listed + b"\x01\0"
    return client_hello(b"\x01" + len(body).to_bytes(3, "big") + body)


def _said_of_exchange(walked: Walked) -> list[str]:
    return [
        message.words.en for each in walked.packets for message in each.messages if message.name == "ClientKeyExchange"
    ]


def test_a_point_is_a_half_of_an_agreement_and_nothing_is_said_to_be_encrypted() -> None:
    walked = walk(_without_server_hello("TLS 1.2 ECDHE"))
    assert _said_of_exchange(walked) == ["its half of the key agreement, 32 bytes"]
    assert [walked.steps[number][1] for number in (3, 4)] == ["key-agreement"] * 2
    said = shown(_without_server_hello("TLS 1.2 ECDHE"))
    assert "encrypted with the server's public key" not in said
    assert "decrypts" not in said


def test_where_only_rsa_was_offered_it_is_rsa() -> None:
    walked = walk(_without_server_hello("TLS 1.2 RSA"))
    assert _said_of_exchange(walked) == ["the pre-master secret, encrypted with the server's public key: 256 bytes"]
    assert [walked.steps[number][1] for number in (3, 4)] == [None, "not-decrypted"]


def test_what_may_be_rsa_and_may_be_diffie_hellman_is_said_to_be_neither() -> None:
    """The same bytes, joined behind the hellos: 256 of them may be either."""
    capture = captured("TLS 1.2 RSA")
    joined = renumbered(*[frame for frame in frames(capture.flights, 9000) if frame.number > 7])
    walked = walk(joined)
    assert _said_of_exchange(walked) == ["of which key exchange is not known"]
    assert [walked.steps[number][1] for number in (3, 4)] == ["key-exchange-unknown"] * 2
    said = shown(joined)
    assert "encrypted with the server's public key" not in said
    assert "by a key exchange that is not known" in said


def test_a_server_key_exchange_behind_the_hole_is_told_by_its_shape() -> None:
    flights = captured("TLS 1.2 ECDHE").flights
    hello = 5 + int.from_bytes(flights[1][1][3:5], "big")
    parts = [flights[0], ("server", flights[1][1][:hello]), ("server", flights[1][1][hello:]), *flights[2:]]
    walked = walk(_without_server_hello("", frames(parts, 9000)))
    assert walked.tls["group"] == "x25519"
    assert "c> ClientKeyExchange" in walked.messages


@pytest.mark.parametrize("size", [100, 128])
def test_a_cut_exchange_is_told_by_its_beginning(size: int) -> None:
    walked = walk(snapped(frames(captured("TLS 1.2 ECDHE").flights, 9000), size))
    assert [walked.steps[number][1] for number in (3, 4)] == ["key-agreement"] * 2


def test_what_each_shape_shows() -> None:
    point, long = _exchange(b"\x20" + bytes(32)), _exchange(b"\x01\x00" + bytes(256))
    assert of_client(point, None, False) == of_client(point, _hello(RSA, ECDHE), False) == "ECDHE"
    assert of_client(point, _hello(RSA), False) is None
    assert of_client(long, None, False) is None
    assert of_client(long, _hello(RSA, ECDHE), False) == "RSA"
    assert of_client(long, _hello(RSA, DHE), False) is None
    assert of_client(long, _hello(RSA, PSK), False) is None
    assert of_client(long, _hello(RSA, DHE), True) == "DHE"
    assert of_client(_exchange(b"\x00\x03abc"), _hello(RSA), False) is None
    assert of_client(long[:20], _hello(RSA), False) == "RSA"  # the rest was not captured
    assert of_client(long[:5], _hello(RSA), False) is None
    assert of_server(b"\x0c\0\0\x28\x03\0\x1d\x20" + bytes(40)) == "ECDHE"
    assert of_server(b"\x0c\0\0\x28\x00\x20" + bytes(40)) is None


@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_raise(body: bytes, signed: bool) -> None:
    for raw in (body, _exchange(body), _exchange(body)[: len(body)]):
        assert of_client(raw, _hello(RSA, DHE, ECDHE), signed) in (None, "ECDHE", "RSA", "DHE")
        assert of_server(raw) in (None, "ECDHE")


def _said(kind: int, body: bytes) -> bytes:
    message = bytes([kind]) + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message


def _talk(suite: int, exchange: bytes) -> Walked:
    """Returns a handshake up to its ClientKeyExchange, as far as that is in the clear."""
    number = struct.pack("!H", suite)
    hello = b"\x03\x03" + bytes(32) + b"\0\0\x02" + number + b"\x01\0"
    answer = b"\x03\x03" + bytes(32) + b"\0" + number + b"\0"
    return walk(
        frames([("client", _said(1, hello)), ("server", _said(2, answer) + _said(14, b"")), ("client", exchange)])
    )


def test_a_pre_shared_key_is_neither_encrypted_nor_agreed_on() -> None:
    walked = _talk(PSK, _said(16, b"\0\x04name"))
    assert _said_of_exchange(walked) == ["names the key that both ends have"]
    assert [walked.steps[number][1] for number in (3, 4)] == ["pre-shared-key"] * 2
    assert walked.packets[7].steps == ("tls.3", "tls.4")


def test_a_suite_that_is_not_known_leaves_open_how_the_secret_comes_about() -> None:
    walked = _talk(0xFEED, _said(16, b"\0\x04name"))
    assert _said_of_exchange(walked) == ["of which key exchange is not known"]
    assert [walked.steps[number][1] for number in (3, 4)] == ["key-exchange-unknown"] * 2
