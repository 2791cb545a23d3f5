"""Records and messages are the same however the stream is cut, damage ends in a problem, and little is held."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.model import Role
from lab.protocols.tls import codes
from lab.protocols.tls.records import (
    MAX_FRAGMENT,
    MAX_MESSAGE,
    MAX_PIECES,
    HandshakeMessage,
    Handshakes,
    Piece,
    Record,
    Records,
    looks_like_tls,
)
from tests.protocols.tls.handshakes import MADE, recorded

ROLES: tuple[Role, Role] = ("client", "server")
every_talk = pytest.mark.parametrize("name", MADE)

# RFC 5246 appendix E.2: 0x80 | length, client_hello, TLS 1.2, 9 bytes of specs, no session, a challenge of 16.
SSL2_HELLO = bytes.fromhex(
    "80 22  01  03 03  00 09  00 00  00 10 01 00 80  00 00 2f  00 c0 2f 000102030405060708090a0b0c0d0e0f"
)


def record(kind: int, fragment: bytes, version: int = 0x0303) -> bytes:
    return bytes([kind]) + version.to_bytes(2, "big") + len(fragment).to_bytes(2, "big") + fragment


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def pieces_of(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


def read(role: Role, parts: Iterable[bytes]) -> tuple[list[Record], Records]:
    records = Records(role)
    return [found for part in parts for found in records.feed(part)], records


def messages_of(records: Iterable[Record]) -> list[HandshakeMessage]:
    """The messages in the clear: those before the first ChangeCipherSpec, and in TLS 1.3 none is hidden in type 22."""
    handshakes, found = Handshakes(), []
    for each in records:
        if each.type == codes.CHANGE_CIPHER_SPEC:
            break
        if each.type == codes.HANDSHAKE:
            found += handshakes.feed(each.fragment, Piece("stream", each.body, each.end))
    assert not handshakes.unfinished
    return found


# Real handshakes.


@every_talk
def test_records_lie_side_by_side_and_are_what_the_stream_holds(name: str) -> None:
    for role in ROLES:
        stream = recorded(name).stream(role)
        found, records = read(role, [stream])
        at = 0
        for each in found:
            assert each.start == at
            assert stream[each.start : each.end] == record(each.type, each.fragment, each.version)
            assert stream[each.body : each.end] == each.fragment
            at = each.end
        assert (at, records.offset, records.pending, records.problem) == (len(stream), len(stream), b"", None)


@every_talk
def test_messages_are_those_that_openssl_wrote(name: str) -> None:
    for role in ROLES:
        stream, written = recorded(name).stream(role), recorded(name).sent(role)
        found = messages_of(read(role, [stream])[0])
        assert [each.raw for each in found] == written[: len(found)]
        assert len(found) >= bool(written)
        for each in found:
            assert each.type == each.raw[0]
            assert b"".join(stream[piece.start : piece.end] for piece in each.pieces) == each.raw


@every_talk
def test_one_byte_at_a_time_is_the_same(name: str) -> None:
    for role in ROLES:
        stream = recorded(name).stream(role)
        assert read(role, (stream[at : at + 1] for at in range(len(stream))))[0] == read(role, [stream])[0]


@given(st.sampled_from(list(MADE)), st.sampled_from(ROLES), st.lists(st.integers(0, 1 << 16), max_size=8))
def test_any_cut_is_the_same(name: str, role: Role, cuts: list[int]) -> None:
    stream = recorded(name).stream(role)
    assert read(role, pieces_of(stream, cuts))[0] == read(role, [stream])[0]


@given(
    st.sampled_from(list(MADE)), st.sampled_from(ROLES), st.integers(0, 1 << 16), st.integers(0, 255), st.integers(1, 9)
)
def test_damage_is_told_the_same_however_the_stream_is_cut(
    name: str, role: Role, at: int, byte: int, size: int
) -> None:
    stream = bytearray(recorded(name).stream(role))
    stream[at % len(stream)] = byte
    whole, first = read(role, [bytes(stream)])
    cut, second = read(role, (bytes(stream[at : at + size]) for at in range(0, len(stream), size)))
    assert whole == cut
    assert (first.offset, first.problem, first.pending) == (second.offset, second.problem, second.pending)
    assert sum(len(each.fragment) for each in whole) <= len(stream)


@given(st.binary(max_size=200), st.sampled_from(ROLES))
def test_random_bytes_are_read_without_an_exception(data: bytes, role: Role) -> None:
    found, records = read(role, [data])
    assert records.problem or records.offset + len(records.pending) == len(data)
    handshakes = Handshakes()
    for each in found:
        handshakes.feed(each.fragment, Piece("stream", each.body, each.end))
    handshakes.feed(data, Piece("plain", 0, len(data)))


# Records.


def test_what_is_not_yet_whole_is_pending() -> None:
    records = Records("server", 100)
    assert records.feed(bytes.fromhex("16 03 03 00 04 0e 00")) == []
    assert (records.offset, records.pending) == (100, bytes.fromhex("16 03 03 00 04 0e 00"))
    assert records.feed(b"\0\0\x15") == [Record(22, 0x0303, 100, 109, bytes.fromhex("0e 00 00 00"))]
    assert (records.offset, records.pending) == (109, b"\x15")


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("47 45 54 20", "bad-type"),  # GET
        ("13", "bad-type"),
        ("19 03 03 00 00", "bad-type"),
        ("17 02", "bad-version"),
        ("17 7f 1c", "bad-version"),
        ("17 03 03 48 01", "bad-length"),
        ("80 22 01", "bad-type"),  # SSL 2.0's format is the client's first record only
    ],
)
def test_what_is_no_tls_is_told_and_nothing_behind_it_is_read(bad: str, problem: str) -> None:
    good = record(codes.ALERT, b"\1\0")
    for role in ROLES:
        found, records = read(role, [good + bytes.fromhex(bad) + good])
        assert [each.end for each in found] == [7]
        assert (records.problem, records.offset, records.pending) == (problem, 7, b"")
        assert records.feed(good) == []
        assert records.pending == b""


def test_a_record_may_be_as_long_as_tls_1_2_allows_and_is_all_that_is_held() -> None:
    largest = record(codes.APPLICATION_DATA, bytes(MAX_FRAGMENT))
    records = Records("client")
    held = 0
    for at in range(0, len(largest), 100):
        found = records.feed(largest[at : at + 100])
        held = max(held, len(records.pending))
    assert [len(each.fragment) for each in found] == [MAX_FRAGMENT]
    assert held < len(largest)


def test_empty_records_are_records() -> None:
    assert [each.fragment for each in read("client", [record(23, b"") * 3])[0]] == [b"", b"", b""]


def test_a_client_may_begin_in_the_format_of_ssl_2() -> None:
    follows = record(codes.CHANGE_CIPHER_SPEC, b"\1")
    for size in (1, 2, 7, 100):
        stream = SSL2_HELLO + follows
        found, records = read("client", (stream[at : at + size] for at in range(0, len(stream), size)))
        assert found == [
            Record(codes.SSL2, 0x0200, 0, 36, SSL2_HELLO[2:]),
            Record(codes.CHANGE_CIPHER_SPEC, 0x0303, 36, 42, b"\1"),
        ]
        assert found[0].body == 2
    assert read("server", [SSL2_HELLO])[1].problem == "bad-type"
    twice, records = read("client", [SSL2_HELLO * 2])
    assert (len(twice), records.problem, records.offset) == (1, "bad-type", 36)


def test_lengths_that_do_not_fit_are_no_ssl_2() -> None:
    for at in (1, 2, 3, 5, 6, 7, 8, 9, 10):
        damaged = bytearray(SSL2_HELLO)
        damaged[at] ^= 0x05
        assert read("client", [bytes(damaged)])[1].problem == "bad-type"
    session = SSL2_HELLO[:7] + b"\0\1\0\x10" + SSL2_HELLO[11:] + b"\0"  # a session of one byte, and 16 of challenge
    assert read("client", [b"\x80\x23" + session[2:]])[1].problem == "bad-type"


# Where TLS begins.


@every_talk
def test_every_direction_looks_like_tls_as_soon_as_it_can_be_told(name: str) -> None:
    for role in ROLES:
        stream = recorded(name).stream(role)
        told = [looks_like_tls(stream[:size], role) for size in range(12)]
        assert False not in told
        assert told[-1] is True
        assert told[0] is None


def test_the_wrong_direction_and_other_protocols_do_not_look_like_tls() -> None:
    talk = recorded("TLS 1.3")
    assert looks_like_tls(talk.stream("client"), "server") is False
    assert looks_like_tls(talk.stream("server"), "client") is False
    for data in (
        b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", b"220 mail.example ESMTP\r\n", b"EHLO me\r\n", b"SSH-2.0-x\r\n",
        b"\0\0\0\x08\x04\xd2\x16\x2f", bytes(20), b"\x16\x03\x01\x00\x00" + bytes(9), record(22, b"\2\1\0\0\3\3"),
        record(23, b"x" * 40), record(21, b"\3\0"), record(21, b"\1\0\0"),
    ):  # fmt: skip
        for role in ROLES:
            assert looks_like_tls(data, role) is False


def test_a_hello_in_tiny_records_looks_like_tls() -> None:
    assert looks_like_tls(record(22, b"\1") + record(22, b"\0"), "client") is True
    assert looks_like_tls(SSL2_HELLO[:11], "client") is True
    assert looks_like_tls(SSL2_HELLO[:10], "client") is None
    assert looks_like_tls(SSL2_HELLO, "server") is False
    assert looks_like_tls(record(21, b"\2\x28"), "server") is True
    assert looks_like_tls(record(21, b"\2\x28"), "client") is False


# Handshake messages.


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.lists(st.integers(0, 300), max_size=12))
def test_messages_may_share_records_and_records_may_share_a_message(bodies: list[bytes], cuts: list[int]) -> None:
    raws = [message(kind, body) for kind, body in enumerate(bodies)]
    stream = b"".join(record(22, part) for part in pieces_of(b"".join(raws), cuts))
    found = messages_of(read("client", [stream])[0])
    assert [each.raw for each in found] == raws
    for each in found:
        assert b"".join(stream[piece.start : piece.end] for piece in each.pieces) == each.raw
        assert all(piece.end > piece.start for piece in each.pieces)


def test_a_message_in_records_of_one_byte() -> None:
    raw = recorded("TLS 1.3").sent("client")[0]
    stream = b"".join(record(22, bytes([byte])) for byte in raw)
    (found,) = messages_of(read("client", [stream])[0])
    assert found.raw == raw
    assert found.pieces == tuple(Piece("stream", at * 6 + 5, at * 6 + 6) for at in range(len(raw)))


def test_pieces_name_their_buffer_and_join_where_nothing_lies_between() -> None:
    handshakes = Handshakes()
    assert handshakes.feed(b"\x14\0", Piece("one", 10, 12)) == []
    assert (handshakes.pending, handshakes.unfinished) == (b"\x14\0", True)
    assert handshakes.feed(b"\0\4a", Piece("one", 12, 15)) == []
    assert handshakes.feed(b"bcd\x18", Piece("two", 0, 4)) == [
        HandshakeMessage(20, b"\x14\0\0\4abcd", (Piece("one", 10, 15), Piece("two", 0, 3)))
    ]
    assert handshakes.feed(b"\0\0\1\0", Piece("two", 4, 8)) == [
        HandshakeMessage(24, b"\x18\0\0\1\0", (Piece("two", 3, 8),))
    ]
    assert (handshakes.pending, handshakes.unfinished, handshakes.problem) == (b"", False, None)


def test_a_message_that_claims_to_be_huge_is_passed_over_without_being_held() -> None:
    handshakes = Handshakes()
    (told,) = handshakes.feed(b"\x0b\xff\xff\xff" + bytes(996), Piece("stream", 5, 1005))
    assert told == HandshakeMessage(11, b"\x0b\xff\xff\xff", (Piece("stream", 5, 9),))
    assert handshakes.problem == "too-long"
    left = 0xFFFFFF - 996
    while left:
        size = min(left, MAX_FRAGMENT)
        assert handshakes.unfinished
        assert handshakes.feed(bytes(size), Piece("stream", 0, size)) == []
        assert handshakes.pending == b""
        left -= size
    assert not handshakes.unfinished
    assert [each.type for each in handshakes.feed(message(14, b""), Piece("stream", 0, 4))] == [14]


def test_the_longest_message_that_is_read() -> None:
    raw = message(11, bytes(MAX_MESSAGE - 4))
    assert [each.raw for each in Handshakes().feed(raw, Piece("plain", 0, len(raw)))] == [raw]
    handshakes = Handshakes()
    handshakes.feed(message(11, bytes(MAX_MESSAGE - 3)), Piece("plain", 0, MAX_MESSAGE + 1))
    assert (handshakes.problem, handshakes.unfinished) == ("too-long", False)


def test_a_message_in_too_many_pieces_is_passed_over() -> None:
    raw = message(11, bytes(MAX_PIECES * 2))
    handshakes, found = Handshakes(), []
    for at, byte in enumerate(raw):
        found += handshakes.feed(bytes([byte]), Piece("stream", at * 6 + 5, at * 6 + 6))
    assert [each.raw for each in found] == [raw[:4]]
    assert [len(each.pieces) for each in found] == [4]
    handshakes.feed(raw[:6], Piece("plain", 0, 6))
    for at, byte in enumerate(raw[6:]):
        found += handshakes.feed(bytes([byte]), Piece("stream", at * 6 + 5, at * 6 + 6))
    assert found[1].pieces == (Piece("plain", 0, 4),)
    assert (handshakes.problem, handshakes.unfinished, handshakes.pending) == ("too-long", False, b"")
