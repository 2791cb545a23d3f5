"""TLS whose beginning was not captured is known by its records, and by nothing less than that."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.model import Frame
from lab.protocols.tls import PROTOCOL
from lab.protocols.tls.records import goes_on
from tests.packets import IPV4, renumbered
from tests.protocols.tls.captures import MADE, Walked, captured, frames, shown, walk


def _behind(name: str) -> tuple[list[Frame], Walked]:
    """Returns a capture from its first data on, and the whole one."""
    made = frames(captured(name).flights, 9000)
    whole = walk(made)
    first = max(record.number for record in whole.records if "Finished" in record.labels or record.steps == ("tls.5",))
    rest = [frame for frame in made if frame.number > first + 1]
    return rest, whole


@pytest.mark.parametrize(
    "name",
    [name for name in MADE if name.startswith("TLS 1.2") and not name.endswith(("untrusted", "no client certificate"))],
)
def test_later_records_up_to_tls_1_2_are_told_with_the_version_that_their_alerts_show(name: str) -> None:
    rest, whole = _behind(name)
    walked = walk(renumbered(*rest))
    names = [each.split("> ")[1] for each in whole.messages][-4:]
    assert [each.split("> ")[1] for each in walked.messages] == names
    assert walked.tls["version"] == "TLS 1.2"
    assert walked.tls["cipher_suite"] is None
    assert walked.surprises == []
    assert {code for _, code in list(walked.steps.values())[:5]} == {"not-captured"}
    assert walked.session.locked
    assert walked.session.locked.code == "hellos-missing"
    assert set(walked.above.states) == {None}
    shown(renumbered(*rest), captured(name).keylog)


def test_of_later_records_alone_nobody_says_whether_it_is_tls_1_3() -> None:
    made = frames(captured("TLS 1.3").flights, 9000)
    walked = walk(renumbered(*[frame for frame in made if frame.number > 11]))
    assert {each.split("> ")[1] for each in walked.messages} == {"application-data"}
    assert walked.tls["version"] is None
    assert walked.steps[6] == ((), "encrypted")
    assert walked.surprises == []


@pytest.mark.parametrize("name", ["TLS 1.2 RSA", "TLS 1.2 ECDHE", "TLS 1.3"])
def test_wherever_it_is_joined_nothing_is_untrue(name: str) -> None:
    made = frames(captured(name).flights, 700)
    whole = {record.number: [each.said.name for each in record.messages] for record in walk(made).records}
    for first in range(5, len(made)):
        rest = [frame for frame in made if frame.number >= first]
        walked = walk(renumbered(*rest))
        if walked.only.above is None:
            continue
        for record in walked.records:
            theirs = whole[record.number + first - 1]
            for each in record.messages:
                hidden = each.said.name == "application-data" and "encrypted" in theirs
                assert each.said.name in theirs or hidden or each.said.name == "encrypted", (first, record.number)
        assert walked.surprises == []


def test_one_record_that_fills_a_segment_is_enough_and_a_header_is_not() -> None:
    record = struct.pack("!BHH", 23, 0x0303, 40) + bytes(40)
    assert goes_on(record)
    assert goes_on(record * 3)
    assert goes_on(record + record[:20])  # two headers
    assert not goes_on(record[:30])
    assert not goes_on(record + b"more")
    assert not goes_on(struct.pack("!BHH", 23, 0x0303, 3) + bytes(3))
    assert not goes_on(
        struct.pack("!BHH", 23, 0x0303, 40) + bytes(40) + struct.pack("!BHH", 23, 0x0302, 40) + bytes(40)
    )
    assert not goes_on(b"\x17\x03\x00\x01" + bytes(0x317))  # MySQL: a packet of 0x317 bytes


@given(st.binary(min_size=5, max_size=200), st.sampled_from([20, 21, 22, 23]), st.integers(0, 3))
def test_what_merely_begins_like_a_record_is_none(rest: bytes, kind: int, minor: int) -> None:
    data = bytes([kind, 3, minor]) + rest
    length = int.from_bytes(data[3:5], "big")
    if goes_on(data):
        assert len(data) == length + 5 or data[5 + length : 6 + length] in (b"\x14", b"\x15", b"\x16", b"\x17")


@pytest.mark.parametrize("name", ["TLS 1.2 RSA", "TLS 1.2 ECDHE", "TLS 1.2 client certificate", "TLS 1.2 resumed"])
def test_who_is_the_client_is_told_by_what_is_said_wherever_it_is_joined(name: str) -> None:
    """The server's port is the higher one: it proves nothing."""
    made = frames(captured(name).flights, 9000, pair=IPV4._replace(client_port=443, server_port=50000))
    whole = walk(made)
    for first in range(4, len(made)):
        rest = [frame for frame in made if frame.number >= first]
        clear = any(
            each.said.name not in ("ChangeCipherSpec", "Finished", "alert", "application-data", "close_notify")
            for record in whole.records[first - 1 :]
            for each in record.messages
        )
        if clear:
            walked = walk(renumbered(*rest))
            assert walked.only.client.port == 443, first
            assert walked.surprises == [], first


def test_a_client_key_exchange_alone_leaves_the_client_waiting_for_the_servers_finished() -> None:
    made = frames(captured("TLS 1.2 ECDHE").flights, 9000, pair=IPV4._replace(client_port=443, server_port=50000))
    walked = walk(renumbered(*[frame for frame in made if frame.number > 7]))
    assert walked.ladder[0].startswith("WAIT_FINISHED_12 > SEND_FINISHED_12: ClientKeyExchange")


def _record(*messages: tuple[int, int]) -> bytes:
    body = b"".join(bytes([kind]) + size.to_bytes(3, "big") + bytes(size) for kind, size in messages)
    return b"\x16\x03\x03" + len(body).to_bytes(2, "big") + body


def test_each_message_that_only_one_end_sends_shows_who_speaks() -> None:
    for kind in (1, 15, 16):
        assert PROTOCOL.spoken_by(_record((kind, 40))) == "client"
    for kind in (0, 2, 4, 8, 12, 13, 14, 22):
        assert PROTOCOL.spoken_by(_record((kind, 40))) == "server"
    assert PROTOCOL.spoken_by(_record((11, 40))) is None
    assert PROTOCOL.spoken_by(_record((11, 40), (16, 33))) == "client"
    assert PROTOCOL.spoken_by(_record((11, 40)) + _record((14, 0))) == "server"
    assert PROTOCOL.spoken_by(b"\x14\x03\x03\0\x01\x01" + _record((4, 40))) == "server"
    assert PROTOCOL.spoken_by(b"\x16\x03\x03\0\x28" + b"\x10\xaa" + bytes(38)) is None  # encrypted
    assert PROTOCOL.spoken_by(_record((20, 12), (16, 33))) is None


@given(st.binary(max_size=60))
def test_who_speaks_is_asked_of_any_bytes(rest: bytes) -> None:
    for data in (rest, b"\x16\x03" + rest, b"\x16\x03\x03\0\0" + rest):
        assert PROTOCOL.spoken_by(data) in (None, "client", "server")
