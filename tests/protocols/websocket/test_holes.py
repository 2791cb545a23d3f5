"""Behind a hole and behind a cut frames are read on where they can be; nothing is told that the whole does not say."""

from __future__ import annotations

import pytest

from lab.model import Role
from lab.protocols.websocket.session import Session
from lab.report.conversations import entry
from lab.report.steps import steps
from tests.packets import renumbered
from tests.protocols.tls.captures import Walked, frames, shown, walk
from tests.protocols.tls.test_holes import snapped
from tests.protocols.websocket.talks import Talk, frame, messages, read
from tests.protocols.websocket.test_http import ANSWER, ASKED

SAID: list[tuple[Role, bytes]] = [
    ("client", ASKED),
    ("server", ANSWER),
    ("client", frame(1, b"hello", b"mask")),
    ("server", frame(2, bytes(600)) + frame(9, b"there?")),
    ("client", frame(10, b"there?", b"mask")),
    ("server", frame(1, b"fragmen", fin=False)),
    ("server", frame(0, b"ted")),
    ("client", frame(1, b"x" * 300, b"mask")),
    ("client", frame(8, b"\x03\xe8over", b"mask")),
    ("server", frame(8, b"\x03\xe8over")),
]


def steps_of(walked: Walked) -> list[tuple[tuple[int, ...], str | None]]:
    return [(each.packets, each.differs and each.differs.code) for each in steps(walked.only) if "websocket" in each.id]


def _agrees(told: Walked, whole: Walked, gone: int | None = None) -> None:
    records = [record for record in whole.records if record.number != gone]
    for ours, theirs in zip(told.records, records, strict=True):
        names = [each.said.name for each in theirs.messages]
        assert all(each.said.name in names for each in ours.messages), theirs.number
        if ours.above and theirs.above and [each.said.name for each in ours.messages] == names:
            for said, known in zip(ours.above, theirs.above, strict=True):
                pairs = zip(
                    (*said.held, *(said.delivered or ())), (*known.held, *(known.delivered or ())), strict=False
                )
                assert all(state in (None, other) for state, other in pairs), (theirs.number, said, known)
    assert not told.surprises
    assert told.only.above is None or not told.above.session.bad


@pytest.mark.parametrize("mss", [9000, 200])
def test_a_hole_anywhere_makes_nothing_untrue(mss: int) -> None:
    made = frames(SAID, mss)
    whole = walk(made)
    for each in made[4:]:
        if len(each.data) > 54:
            rest = renumbered(*[frame for frame in made if frame.number != each.number])
            _agrees(walk(rest), whole, each.number)


@pytest.mark.parametrize("size", [55, 60, 64, 70, 100, 180, 300])
def test_a_cut_anywhere_makes_nothing_untrue(size: int) -> None:
    made = frames(SAID, 9000)
    cut = snapped(made, size)
    told = walk([*made[:6], *cut[6:]])  # both heads whole
    _agrees(told, walk(made))
    if size > 59:  # each frame's header
        named = [[each.said.name for each in record.messages] for record in told.records]
        assert named[7] == ["text"]
        assert named[9][:1] == ["binary"]
        assert [each.message.code for each in told.above.session.closes] == ([1000, 1000] if size > 61 else [1000])


def test_of_a_message_that_is_cut_nobody_says_what_it_was() -> None:
    made = frames(SAID, 9000)
    told = walk([*made[:6], *snapped(made, 70)[6:]])
    (message,) = [each.said.parsed.message for each in told.records[9].messages if each.said.name == "binary"]
    assert message.payload is None
    assert message.wire == 600


def test_a_request_cut_short_is_a_request_and_lacks_nothing() -> None:
    made = frames(SAID, 9000)
    told = walk(snapped(made, 54 + len(ASKED) - 30))
    assert [each.said.name for each in told.records[3].messages] == ["upgrade-request"]
    assert told.above.session.request.objections == ()
    assert [each.said.name for each in told.records[5].messages] == ["101"]
    assert not told.surprises


def test_behind_what_could_not_be_decrypted_the_next_whole_frames_are_read() -> None:
    session = Session()
    said = [*session.told("client", ASKED, 4, 215), *session.told("server", ANSWER, 6, 160)]
    said += session.told("server", frame(1, b"one")[:4], 8, 200)
    session.lost("server")
    assert session.told("server", b"\x07no frame", 9, 220) == []
    said += session.told("server", frame(1, b"two") + frame(9), 10, 240)
    assert [each.name for each in said] == ["upgrade-request", "101", "text", "ping"]
    assert [(span.number, span.start, span.end) for span in said[2].spans] == [(10, 0, 5)]
    assert session.incomplete
    assert not session.bad


def test_the_servers_side_alone_is_known_by_its_answer() -> None:
    made = frames(SAID, 9000)
    whole = walk(made)
    ours = [record.number for record in whole.records if record.end and record.end.role == "server"]
    told = walk(renumbered(*[each for each in made if each.number in ours]))
    _agrees(told, whole._replace(records=[record for record in whole.records if record.number in ours]))
    assert [each.said.name for record in told.records for each in record.messages] == [
        "101", "binary", "ping", "text", "continuation", "close",
    ]  # fmt: skip
    assert [code for _, code in steps_of(told)] == ["not-captured", None, None, "bytes-missing"]
    assert entry(told.only)["websocket"]["accept_valid"] is None
    shown([each for each in made if each.number in ours])


def test_joined_at_the_answer_both_sides_are_read() -> None:
    made = frames(SAID, 9000)
    told = walk(renumbered(*[each for each in made if each.number > 5]))
    named = [each.said.name for record in told.records for each in record.messages]
    whole = [each.said.name for record in walk(made).records for each in record.messages]
    assert named == whole[1:]
    assert not told.surprises


@pytest.mark.parametrize("takeover", [True, False])
def test_where_the_request_is_missing_what_the_answer_agrees_to_is_true_of_both_sides(takeover: bool) -> None:
    talk = Talk(deflate=True, takeover=takeover).open()
    for _ in range(2):
        talk.client.send_text(b"hello, hello, hello")
        talk.pass_on()
    (_, answer), (first, second) = talk.written[:2], talk.written[2:]
    for said, inflated in (([first, second], [19, 19]), ([second], [None if takeover else 19])):
        session, told = read([answer, *said], plain=True)
        assert [(role, message.compressed, message.length) for role, message in messages(told)] == [
            ("client", True, length) for length in inflated
        ]
        assert not session.bad


@pytest.mark.parametrize("head", [
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 no head",
])  # fmt: skip
def test_an_answer_alone_that_does_not_accept_is_none_of_it(head: bytes) -> None:
    made = frames([("client", ASKED), ("server", head), ("server", frame(1, b"hello"))], 9000)
    told = walk(renumbered(*[each for each in made if each.number > 5]))
    assert not any(record.messages for record in told.records)
    assert entry(told.only)["websocket"] is None


@pytest.mark.parametrize("line", [b"GET /chat HTTP/1.1\r\nHost: a\r\nConne", b"GET /" + b"long" * 20])
def test_what_a_request_that_is_cut_early_asks_for_its_answer_tells(line: bytes) -> None:
    made = frames([("client", line + ASKED[len(line) :]), *SAID[1:]], 9000)
    cut = snapped(made, 54 + len(line))
    told = walk([*made[:3], cut[3], *made[4:]])
    named = [[each.said.name for each in record.messages] for record in told.records]
    assert named[3] == []
    assert named[5] == ["101"]
    assert named[7] == ["text"]
    assert [str(each.sender) for each in told.above.session.closes] == ["client", "server"]
    assert not told.surprises
    assert not told.records[3].above


def test_a_get_that_is_cut_and_asks_for_something_else_is_no_websocket() -> None:
    talk: list[tuple[Role, bytes]] = [
        ("client", b"GET / HTTP/1.1\r\nHost: somewhere.example\r\nAccept: */*\r\n\r\n"),
        ("server", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        ("client", frame(1, b"hello", b"mask")),
    ]
    told = walk(snapped(frames(talk, 9000), 90))
    assert entry(told.only)["protocols"] == ["tcp"]
    assert not any(record.messages or record.above for record in told.records)
    alone = walk(snapped(frames(talk[:1], 9000), 90))
    assert entry(alone.only)["protocols"] == ["tcp"]
    assert not any(record.above for record in alone.records)
