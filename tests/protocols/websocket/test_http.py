"""Heads are read wherever they are cut, and the accept value is the RFC's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.protocols.websocket.accept import accept_lines
from lab.protocols.websocket.http import (
    MOST_HEAD,
    MOST_HEADERS,
    Head,
    HeadReader,
    Request,
    Response,
    accept_of,
    parameters,
    request,
    response,
)  # fmt: skip

# RFC 6455 section 1.3
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
ASKED = (
    "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    f"sec-websocket-KEY: {KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, superchat\r\n\r\n"
).encode()
ANSWER = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
).encode()


def read(data: bytes, step: int = 0) -> tuple[Head | None, HeadReader, bytes]:
    """Returns the head, its reader, and what was not taken as part of it."""
    reader = HeadReader()
    step = step or len(data) or 1
    for at in range(0, len(data), step):
        head = reader.feed(data[at : at + step])
        if head is not None:
            return head, reader, reader.rest + data[at + step :]
    return None, reader, b""


def asked(data: bytes = ASKED) -> Request:
    head, _, _ = read(data)
    assert head is not None
    found = request(head)
    assert found is not None
    return found


def answered(data: bytes = ANSWER) -> Response:
    head, _, _ = read(data)
    assert head is not None
    found = response(head, asked())
    assert found is not None
    return found


@pytest.mark.parametrize("step", [0, 1, 2, 7])
def test_a_head_is_the_same_however_it_is_cut(step: int) -> None:
    head, _, rest = read(ANSWER + b"\x81\x02hi", step)
    assert head is not None
    assert rest == b"\x81\x02hi"
    assert head.line == "HTTP/1.1 101 Switching Protocols"
    assert head.end == len(ANSWER)
    for each in head.headers:
        assert ANSWER[each.start : each.end].decode() == f"{each.name}: {each.value}"
        assert ANSWER[each.value_at : each.end].decode() == each.value


def test_the_request_of_the_rfc() -> None:
    found = asked()
    assert found[:5] == ("/chat", KEY, "13", ("chat", "superchat"), ())
    assert found.objections == ()


def test_the_accept_value_is_the_rfcs() -> None:
    assert accept_of(KEY) == ACCEPT
    found = answered()
    assert (found.status, found.accept, found.accept_valid, found.subprotocol) == (101, ACCEPT, True, "chat")
    assert found.objections == ()


def test_the_accept_value_line_by_line() -> None:
    lines = accept_lines(KEY, ACCEPT)
    assert [line.output_name for line in lines] == ["key", "GUID", "joined", "digest", "accept", "equal"]
    assert lines[2].output.decode() == "dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    assert lines[3].output.hex() == "b37a4f2cc0624f1690f64606cf385945b2bec4ea"
    assert lines[4].output.decode() == ACCEPT
    assert lines[5].output == b"\x01"
    assert accept_lines(KEY, "something else")[-1].output == b"\x00"
    assert len(accept_lines(KEY, None)) == 5


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        (("Version: 13", "Version: 8"), "bad-version"),
        (("Sec-WebSocket-Version: 13\r\n", ""), "bad-version"),
        ((KEY, "dG9vIHNob3J0"), "bad-key"),
        ((KEY, "!"), "bad-key"),
        ((KEY, "é"), "bad-key"),
        (("Host: server.example.com\r\n", ""), "no-host"),
        (("keep-alive, Upgrade", "keep-alive"), "no-connection"),
        (("HTTP/1.1", "HTTP/1.0"), "old-http"),
    ],
)
def test_what_a_server_objects_to(change: tuple[str, str], objection: str) -> None:
    data = ASKED.replace(change[0].encode(), change[1].encode("latin-1"))
    assert data != ASKED
    assert asked(data).objections == (objection,)


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ((ACCEPT, accept_of("another")), "wrong-accept"),
        (("Sec-WebSocket-Accept", "X"), "wrong-accept"),
        (("Upgrade: websocket\r\n", ""), "no-upgrade"),
        (("Connection: Upgrade\r\n", ""), "no-connection"),
        (("Protocol: chat", "Protocol: mqtt"), "subprotocol-not-offered"),
        (("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"), "extension-not-offered"),
    ],
)
def test_what_a_client_objects_to(change: tuple[str, str], objection: str) -> None:
    assert answered(ANSWER.replace(change[0].encode(), change[1].encode())).objections == (objection,)


@pytest.mark.parametrize("change", [("GET", "POST"), ("Upgrade: websocket", "Upgrade: h2c"), ("Upgrade: web", "X: ")])
def test_another_request_is_none_for_this_protocol(change: tuple[str, str]) -> None:
    head, _, _ = read(ASKED.replace(change[0].encode(), change[1].encode()))
    assert head is not None
    assert request(head) is None


def test_a_tolerant_reader_notes_what_it_tolerates() -> None:
    head, _, rest = read(b"\r\nGET / HTTP/1.1\nA: one\n two\r\n\tthree\r\nno colon\r\nB : x\r\n\nrest")
    assert head is not None
    assert rest == b"rest"
    assert [(each.name, each.value) for each in head.headers] == [("A", "one two three"), ("B", "x")]
    assert head.notes == ("bare-lf", "obs-fold", "bad-header")


def test_a_head_is_bounded() -> None:
    for data in (b"GET / HTTP/1.1\r\n" + b"A: " + b"x" * MOST_HEAD, b"\r\n" * MOST_HEAD, b"x" * (2 * MOST_HEAD)):
        head, reader, _ = read(data, 1000)
        assert head is None
        assert reader.problem
        assert reader.feed(b"\r\n\r\n") is None
    lines = b"".join(b"A%d: x\r\n" % at for at in range(MOST_HEADERS + 1))
    assert read(b"GET / HTTP/1.1\r\n" + lines + b"\r\n")[1].problem
    assert read(b"GET / HTTP/1.1\r\n" + lines[8:] + b"\r\n")[0] is not None


def test_what_a_body_is_told_by() -> None:
    for field, body in {"Content-Length: 5": 5, "Content-Length: -1": None, "Transfer-Encoding: chunked": None}.items():
        found = answered(f"HTTP/1.1 400 Bad Request\r\n{field}\r\n\r\n".encode())
        assert (found.status, found.reason, found.body, found.objections) == (400, "Bad Request", body, ())


@pytest.mark.parametrize("line", ["", "HTTP/1.1", "HTTP/1.1 x", "HTTP/1.1 1000", "HTTP/1.1 ²00 no", "SSH-2.0-x"])
def test_no_response(line: str) -> None:
    head, _, _ = read(f"{line}\r\nA: b\r\n\r\n".encode("latin-1"))
    assert head is not None
    assert response(head, None) is None


def test_parameters_of_an_extension() -> None:
    assert parameters('permessage-deflate; Server_max_window_bits="12" ; client_no_context_takeover') == (
        "permessage-deflate",
        {"server_max_window_bits": "12", "client_no_context_takeover": ""},
    )


@given(st.binary(max_size=300), st.integers(1, 40))
def test_no_bytes_are_too_much(data: bytes, step: int) -> None:
    for before in (b"", b"GET / HTTP/1.1\r\n", b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n", ASKED[:-2]):
        whole = before + data + b"\r\n\r\n"
        head, _, rest = read(whole, step)
        again, _, rest_again = read(whole)
        assert (head, rest) == (again, rest_again)
        if head is not None:
            request(head)
            response(head, asked())
