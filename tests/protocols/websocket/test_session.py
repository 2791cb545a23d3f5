"""Whole conversations, written by the library, read from TCP and as TLS would hand them on: the same is said."""

from __future__ import annotations

import random

import pytest

from lab.engine.layer import Layer
from lab.model import Role, Span
from lab.protocols.websocket import PROTOCOL as WEBSOCKET
from lab.protocols.websocket import report
from lab.protocols.websocket.frames import FORBIDDEN, MOST_KEPT
from lab.protocols.websocket.session import Said, Session
from tests.protocols.websocket.talks import ISN, Talk, Written, frame, messages, read
from tests.protocols.websocket.test_http import ANSWER, ASKED

KEY = bytes.fromhex("37fa213d")
OPENING = [Written("client", ASKED), Written("server", ANSWER)]
LABELS = {
    "upgrade-request",
    "101",
    "refused",
    "bad-response",
    "text",
    "binary",
    "continuation",
    "ping",
    "pong",
    "close",
    "extension-frame",
}


def talk(deflate: bool = False, takeover: bool = True) -> Talk:
    """Returns a conversation with everything in it."""
    two = Talk(deflate, takeover, ("mqtt",)).open()
    two.client.send_text(b"Hello, server! " * 20)
    two.pass_on()
    two.server.send_text(b"Hello, client! " * 20)
    two.server.send_binary(bytes(70_000))
    two.pass_on()
    two.client.send_text(b"one, ", False)
    two.client.send_ping(b"?")
    two.client.send_continuation(b"two", True)
    two.pass_on()
    return two.close()


def names(told: list[tuple[Role, Said]]) -> list[str]:
    return [f"{role[0]} {said.name}" for role, said in told]


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("step", [0, 1, 3, 1000])
@pytest.mark.parametrize("deflate", [False, True])
def test_everything_is_read_as_it_was_meant(plain: bool, step: int, deflate: bool) -> None:
    two = talk(deflate)
    session, told = read(two.written, plain, step)
    assert names(told) == [
        "c upgrade-request", "s 101", "c text", "s text", "s binary", "c text", "c ping", "c continuation", "s pong",
        "c close", "s close",
    ]  # fmt: skip
    assert not [said for _, said in told if said.problems]
    found = [(role, message.payload) for role, message in messages(told) if message.opcode < 8]
    assert found == [
        ("client", b"Hello, server! " * 20), ("server", b"Hello, client! " * 20), ("server", bytes(4096)),
        ("client", b"one, two"),
    ]  # fmt: skip
    assert [listed.message.length for listed in session.messages] == [300, 300, 70_000, 1, 8, 1, 6, 6]
    assert [(close.sender, close.message.code) for close in session.closes] == [("client", 1000), ("server", 1000)]
    assert session.response is not None
    assert session.response.accept_valid is True
    assert session.response.subprotocol == "mqtt"
    assert not session.refuted


def test_spans_are_where_the_bytes_were() -> None:
    two = talk()
    for plain in (False, True):
        _, told = read(two.written, plain, 50)
        pieces = [data[at : at + 50] for _, data in two.written for at in range(0, len(data), 50)]
        streams = {role: b"".join(data for who, data in two.written if who == role) for role in ("client", "server")}
        reached = {"client": 0, "server": 0}
        base = 0 if plain else 54
        for role, said in told:
            assert {span.buffer for span in said.spans} == {"plain" if plain else "frame"}
            data = b"".join(pieces[span.number - 1][span.start - base : span.end - base] for span in said.spans)
            at = reached[role]
            assert data == streams[role][at : at + len(data)]
            reached[role] += len(data)
            if not plain:
                assert said.stop == reached[role] + 1
        assert reached == {role: len(data) for role, data in streams.items()}


def test_told_spans_count_in_the_bytes_of_one_call_and_stop_where_their_carrier_does() -> None:
    session = Session()
    assert session.told("client", ASKED[:50], 4, 100) == []
    (asked,) = session.told("client", ASKED[50:], 5, 300)
    assert asked.spans == (Span("plain", 4, 0, 50), Span("plain", 5, 0, len(ASKED) - 50))
    assert asked.stop == 300
    answer, text = session.told("server", ANSWER + frame(1, b"hi"), 6, 400)
    assert text.spans == (Span("plain", 6, len(ANSWER), len(ANSWER) + 4),)
    assert (answer.stop, text.stop) == (400, 400)


def test_segments_out_of_order_twice_and_overlapping() -> None:
    two = talk(True)
    _, plainly = read(two.written)
    chance = random.Random(7)
    session = Session()
    for role in ISN:
        session.begins(role, ISN[role], 1)
    told: list[tuple[Role, Said]] = []
    offsets = {"client": 0, "server": 0}
    for number, (role, data) in enumerate(two.written, 1):
        pieces = [(at, data[at : at + 60]) for at in range(0, len(data), 40)]
        chance.shuffle(pieces)
        for at, piece in pieces:
            offset = offsets[role] + at
            said = session.sent(role, (ISN[role] + offset) % (1 << 32), offset + 1, piece, number, 54)
            told += [(role, each) for each in said]
        offsets[role] += len(data)
    assert [each[:3] for _, each in told] == [each[:3] for _, each in plainly]


@pytest.mark.parametrize(
    ("role", "data", "label", "event"),
    [
        ("client", frame(1, b"x"), "unmasked-frame", "bad frame"),
        ("server", frame(1, b"x", KEY), "masked-frame", "bad frame"),
        ("server", frame(1, b"\xff"), "invalid-utf8", "bad frame"),
        ("server", frame(0, b"x"), "unexpected-continuation", "bad frame"),
        ("server", frame(8, b"\x03\xec"), "bad-close-code", "close"),
        ("server", frame(8, b"\x03"), "bad-close-body", "close"),
        ("server", frame(2, length=1 << 63), "length-too-large", "bad frame"),
        ("server", frame(7, b"x"), "reserved-opcode", "bad frame"),
    ],
)
def test_a_broken_rule_is_the_name_of_what_was_said(role: Role, data: bytes, label: str, event: str) -> None:
    session, told = read([*OPENING, Written(role, data)])
    (_, _, (_, said)) = told
    assert (said.name, said.event) == (label, event)
    assert session.bad == [(role, label)]


def test_a_close_whose_body_is_one_byte_has_sent_no_code_that_could_be_wrong() -> None:
    session, told = read([*OPENING, Written("server", frame(8, b"\x03"))])
    text = report.words(Layer(WEBSOCKET, session), told[-1][1])
    assert text.en == "close frame, malformed: its body is 1 byte, and a close code takes 2"
    assert text.zh == "close 帧，格式错误：帧体只有 1 字节，而关闭码占 2 字节"


# Who is meant


def test_what_does_not_upgrade_is_refuted_quietly() -> None:
    session, told = read(
        [Written("client", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Written("server", b"HTTP/1.1 200\r\n")]
    )
    assert not told
    assert session.refuted
    session, told = read([Written("client", b"GET / HTTP/1.1\r\nHost: x\r\n")])
    assert not session.refuted  # not yet
    session, told = read([Written("client", b"GET " + b"x" * (70 << 10))], step=1000)
    assert not told
    assert session.refuted


@pytest.mark.parametrize(
    ("data", "role", "answer"),
    [
        (b"GET / HTTP/1.1\r\n", "client", None),
        (b"G", "client", None),
        (b"GET / HTTP/1.1\r\n", "server", False),
        (b"GO ", "client", False),
        (b"Gibberish", "client", False),
    ],
)
def test_a_beginning_is_told_by_its_bytes(data: bytes, role: Role, answer: bool | None) -> None:
    assert WEBSOCKET.recognise(data, role) is answer


def test_refused_and_tried_again_on_the_same_connection() -> None:
    refusal = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nwrong"
    hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    for step in (0, 1):
        session, told = read(
            [*OPENING[:1], Written("server", refusal), *OPENING[:1], Written("server", hint + ANSWER),
             Written("client", frame(1, b"x", KEY))],
            step=step,
        )  # fmt: skip
        assert names(told) == ["c upgrade-request", "s refused", "c upgrade-request", "s 101", "c text"]
        assert session.accepted
    session, told = read([*OPENING[:1], Written("server", refusal), Written("client", b"GET / HTTP/1.1\r\n\r\n")])
    assert names(told) == ["c upgrade-request", "s refused"]
    assert not session.refuted


def test_an_answer_that_is_none() -> None:
    _, told = read([*OPENING[:1], Written("server", b"SSH-2.0-OpenSSH\r\n\r\n"), Written("server", b"more")])
    assert names(told) == ["c upgrade-request", "s bad-response"]


def test_a_wrong_accept_is_an_event_of_its_own() -> None:
    session, told = read([*OPENING[:1], Written("server", ANSWER.replace(b"s3pP", b"S3pP"))])
    assert [said.event for _, said in told] == ["upgrade-request", "wrong 101"]
    assert session.response is not None
    assert session.response.accept_valid is False


# Bounds


def test_a_large_payload_holds_no_memory_and_keeps_its_header() -> None:
    session, _ = read(OPENING)
    head = frame(2, length=3 * MOST_KEPT)
    size = len(ANSWER)
    session.sent("server", ISN["server"] + size, size + 1, head, 3, 54)
    size += len(head)
    said: list[Said] = []
    piece = bytes(1 << 16)
    for number in range(4, 4 + 3 * 16):
        said += session.sent("server", ISN["server"] + size, size + 1, piece, number, 54)
        size += len(piece)
        source = session.ways["server"].source
        assert len(source._pieces) <= 2
    (large,) = said
    assert (large.name, large.spans[0]) == ("binary", Span("frame", 3, 54, 54 + len(head)))
    assert session.messages[0].message.length == 3 * MOST_KEPT


def test_what_is_turned_over_is_never_too_much() -> None:
    chance = random.Random(6455)
    two = talk(True)
    for _ in range(300):
        written = []
        for role, data in two.written:
            changed = bytearray(data[:2000])
            for _ in range(chance.choice((0, 0, 1, 3))):
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            written.append(Written(role, bytes(changed)))
        for plain in (False, True):
            session, told = read(written, plain)
            _, again = read(written, plain, chance.randrange(1, 40))
            assert names(told) == names(again)
            assert {said.name for _, said in told} <= LABELS | set(FORBIDDEN)
            layer = Layer(WEBSOCKET, session)
            for _, said in told:
                words = report.words(layer, said)
                assert words.en
                assert words.zh
            report.summary(layer)
            report.steps(layer)


def test_every_label_can_be_said_in_words() -> None:
    assert set(FORBIDDEN) <= set(report._WRONG)
