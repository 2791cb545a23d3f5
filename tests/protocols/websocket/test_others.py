"""What is not quite RFC 6455: answers before the upgrade, extensions that nobody here knows, and drafts."""

from __future__ import annotations

import zlib

import pytest

from lab.engine.layer import Layer
from lab.model import Role
from lab.protocols.websocket import PROTOCOL as WEBSOCKET
from lab.protocols.websocket import report
from lab.protocols.websocket.http import draft_of, sum_of
from lab.protocols.websocket.session import Said, Session
from tests.packets import OPEN, ladder, path, walk
from tests.protocols.tls import handshakes
from tests.protocols.tls.captures import play
from tests.protocols.tls.captures import walk as walked_tls
from tests.protocols.websocket.talks import Written, frame, messages, read
from tests.protocols.websocket.test_http import ANSWER, ASKED
from tests.protocols.websocket.test_http import read as read_head

KEY = bytes.fromhex("37fa213d")
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n4\r\nno, \r\n3\r\nno!\r\n0\r\n\r\n"
REFUSALS = {
    "chunked": b"HTTP/1.1 401 Unauthorized\r\n" + CHUNKS,
    "of a length": b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 6\r\n\r\nmoved\n",
    "without a body": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n",
    "of no known length": b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n",
    "chunked, with a trailer": b"HTTP/1.1 503 Wait\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n0\r\nA: b\r\n\r\n",
}


def names(told: list[tuple[Role, Said]]) -> list[str]:
    return [f"{role[0]} {said.name}" for role, said in told]


def steps(session: Session) -> dict[str, str | None]:
    """The code of how each step differs, seen or not: of a layer that has walked no table, none was seen."""
    return {step.id[-1]: step.code for step in report.steps(Layer(WEBSOCKET, session))}


def said_of(session: Session, said: Said) -> str:
    return report.words(Layer(WEBSOCKET, session), said).en


@pytest.mark.parametrize("step", [0, 1, 5])
@pytest.mark.parametrize("refusal", REFUSALS)
def test_behind_any_body_the_upgrade_is_found(refusal: str, step: int) -> None:
    talk = [Written("client", ASKED), Written("server", REFUSALS[refusal]), Written("client", ASKED),
            Written("server", ANSWER), Written("client", frame(1, b"Hello", KEY)),
            Written("server", frame(1, b"World"))]  # fmt: skip
    session, told = read(talk, step=step)
    assert names(told) == ["c upgrade-request", "s refused", "c upgrade-request", "s 101", "c text", "s text"]
    assert session.accepted
    assert not session.incomplete


@pytest.mark.parametrize("step", [0, 1])
def test_an_ordinary_request_may_stand_between(step: int) -> None:
    other = b"POST /login HTTP/1.1\r\nContent-Length: 4\r\n\r\nuser"
    answer = b"HTTP/1.1 200 OK\r\n" + CHUNKS
    talk = [Written("client", ASKED), Written("server", REFUSALS["of a length"]), Written("client", other),
            Written("server", answer), Written("client", ASKED), Written("server", ANSWER)]  # fmt: skip
    session, told = read(talk, step=step)
    assert names(told) == ["c upgrade-request", "s refused", "c upgrade-request", "s 101"]
    assert session.accepted


# Extensions.


def agreed(extension: str, *frames: Written) -> tuple[Session, list[tuple[Role, Said]]]:
    line = f"Sec-WebSocket-Extensions: {extension}\r\n\r\n".encode()
    return read([Written("client", ASKED[:-2] + line), Written("server", ANSWER[:-2] + line), *frames])


def test_bits_of_an_extension_that_nobody_knows_are_no_errors() -> None:
    session, told = agreed(
        "x-snappy",
        Written("client", frame(1, b"\xff\xfe", KEY, reserved=4)),
        Written("server", frame(2, b"x", reserved=3)),
        Written("server", frame(3, b"y")),
        Written("client", frame(0xB, b"z", KEY)),
        Written("server", frame(1, b"\xff")),
        Written("client", frame(8, b"\x03\xe8", KEY)),
    )  # fmt: skip
    assert names(told)[2:] == ["c text", "s binary", "s extension-frame", "c extension-frame", "s text", "c close"]
    assert not session.bad
    assert [message.opaque for _, message in messages(told)] == [True, True, False, False]
    assert "not known here" in said_of(session, told[2][1])
    assert told[4][1].event == ""
    for _, said in told:
        assert report.words(Layer(WEBSOCKET, session), said).zh
    assert report.summary(Layer(WEBSOCKET, session))["messages"][0]["length"] == 2


def test_where_none_was_agreed_on_they_are() -> None:
    _, told = read([Written("client", ASKED), Written("server", ANSWER), Written("server", frame(1, b"x", reserved=4))])
    assert names(told)[2:] == ["s reserved-bit"]
    _, told = agreed("permessage-deflate", Written("server", frame(1, b"x", reserved=2)))
    assert names(told)[2:] == ["s reserved-bit"]


def test_an_older_extension_compresses_frame_by_frame() -> None:
    deflate = zlib.compressobj(wbits=-15)

    def deflated(data: bytes) -> bytes:
        return (deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]

    session, told = agreed(
        "x-webkit-deflate-frame",
        Written("client", frame(1, deflated(b"Hello Hello"), KEY, reserved=4)),
        Written("client", frame(1, deflated(b"Hello "), KEY, fin=False, reserved=4)),
        Written("client", frame(0, b"plain ", KEY, fin=False)),
        Written("client", frame(0, deflated(b"Hello"), KEY, reserved=4)),
        Written("client", frame(9, b"?", KEY, reserved=4)),
    )
    assert names(told)[2:] == ["c text", "c text", "c continuation", "c continuation", "c reserved-bit"]
    assert [message.payload for _, message in messages(told)][:2] == [b"Hello Hello", b"Hello plain Hello"]
    assert [message.compressed for _, message in messages(told)][:2] == [True, True]
    assert session.bad == [("client", "reserved-bit")]


# Drafts.

HIXIE_76 = (
    b"GET /demo HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n"
    b"Sec-WebSocket-Protocol: sample\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\n"
    b"Origin: http://example.com\r\n\r\n"
)  # the example of the draft's section 1.2, its keys, its answer
HIXIE_ANSWER = (
    b"HTTP/1.1 101 WebSocket Protocol Handshake\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Origin: http://example.com\r\nSec-WebSocket-Location: ws://example.com/demo\r\n"
    b"Sec-WebSocket-Protocol: sample\r\n\r\n"
)
HIXIE_75 = (
    b"GET /demo HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: example.com\r\n"
    b"Origin: http://example.com\r\nWebSocket-Protocol: sample\r\n\r\n"
)


def of_version(version: str) -> bytes:
    return ASKED.replace(b"Version: 13", f"Version: {version}".encode())


DRAFTS = {
    "hixie-75": HIXIE_75,
    "hixie-76": HIXIE_76 + b"^n:ds[4U",
    "hybi-02": HIXIE_76[:-2] + b"Sec-WebSocket-Draft: 2\r\n\r\n^n:ds[4U",
    "hybi-04": of_version("4"),
    "hybi-06": of_version("6"),
}


def test_the_drafts_own_example_of_its_sum() -> None:
    head, _, _ = read_head(HIXIE_76)
    assert head is not None
    assert sum_of(head, b"^n:ds[4U") == b"8jKS'y:G*Co,Wxa-"
    assert sum_of(head, b"^n:ds[4") is None


@pytest.mark.parametrize("draft", DRAFTS)
def test_an_old_draft_is_named_and_its_frames_are_not_read(draft: str) -> None:
    old = [Written("client", b"\x00Hello\xff"), Written("server", b"\x00World\xff"), Written("client", b"\xff\x00"),
           Written("server", b"\xff\x00")]  # fmt: skip
    session, told = read(
        [Written("client", DRAFTS[draft]), Written("server", HIXIE_ANSWER + b"8jKS'y:G*Co,Wxa-"), *old]
    )
    assert names(told) == ["c upgrade-request", "s 101"]
    assert draft in said_of(session, told[0][1])
    assert report.summary(Layer(WEBSOCKET, session))["draft"] == draft
    assert {steps(session)[each] for each in "34"} == {"old-draft"}
    assert not session.bad


@pytest.mark.parametrize(
    ("answer", "right"), [(b"8jKS'y:G*Co,Wxa-", True), (b"8jKS'y:G*Co,Wxa+", False), (b"8jKS", None)]
)
def test_the_sum_behind_the_answer_is_checked_where_it_is_there(answer: bytes, right: bool | None) -> None:
    session, told = read([Written("client", DRAFTS["hixie-76"]), Written("server", HIXIE_ANSWER + answer)])
    assert session.response is not None
    assert session.response.sum_valid is right
    assert told[1][1].event == ("wrong 101" if right is False else "101")
    assert ("MD5" in said_of(session, told[1][1])) is (right is not None)


@pytest.mark.parametrize(("version", "draft"), [("7", "hybi-07"), ("8", "hybi-08")])
def test_drafts_with_the_rfcs_frames_are_read_on(version: str, draft: str) -> None:
    session, told = read(
        [Written("client", of_version(version)), Written("server", ANSWER), Written("client", frame(1, b"Hello", KEY))]
    )
    assert names(told) == ["c upgrade-request", "s 101", "c text"]
    assert report.summary(Layer(WEBSOCKET, session))["draft"] == draft
    assert session.request is not None
    assert session.request.objections == ("bad-version",)


def test_a_request_that_only_forgot_its_key_is_no_draft() -> None:
    head, _, _ = read_head(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    assert head is not None
    assert draft_of(head) == ""
    session, told = read([Written("client", ASKED), Written("server", b"HTTP/1.1 403 No\r\n" + CHUNKS)])
    assert said_of(session, told[1][1]) == "403 No"


# What is none.


def test_a_get_that_never_asks_for_an_upgrade_is_no_websocket() -> None:
    asked = b"GET / HTTP/1.1\r\nHost: x\r\n"
    for said in (asked, asked + b"\r\n", b"GET /"):
        walked = walk(ladder(*OPEN, f'c> data 1 1 x"{said.hex()}"', f"s> ACK 1 {1 + len(said)}"))
        assert walked.reports[0].facts["protocols"] == ["tcp"]
        assert walked.reports[0].facts["websocket"] is None


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET "])
def test_nor_is_one_inside_tls(said: bytes) -> None:
    capture = play(handshakes.tls13, said=said)
    walked = walked_tls(capture.frames, capture.keylog)
    assert "c> application-data" in walked.messages
    assert walked.above.inner is None
    way = path(capture.keylog)
    list(way.settled(capture.frames))
    assert [way.conversations[0].above.name, way.conversations[0].above.inner] == ["tls", None]
