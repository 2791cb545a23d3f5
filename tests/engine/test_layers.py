"""What TCP carries is recognised by its bytes, doubted while they are few, and never costs more than is bounded."""

from __future__ import annotations

import pytest

from lab.model import States
from tests.packets import OPEN, Pair, ladder, path, prompt, renumbered, replayed
from tests.protocols.tls.captures import captured, frames, lines, walk


def test_a_message_is_got_only_when_its_last_byte_has_arrived() -> None:
    said = lines(captured("TLS 1.3").flights[:1], 200)
    hello = [line for line in said if " data " in line]
    walked = walk(ladder(*OPEN, *hello, "s> ACK 1 201"))
    assert walked.above.states == States("WAIT_SH", "START"), "of three segments one is acknowledged"
    walked = walk(ladder(*said))
    assert walked.above.states == States("WAIT_SH", "RECVD_CH")


def test_the_wire_tells_the_same_as_is_inferred() -> None:
    capture = captured("TLS 1.3")
    way = path(capture.keylog)
    told = replayed(way, prompt(capture.frames))
    inferred = walk(capture.frames, capture.keylog).records
    assert [record.above for record in told] == [record.above for record in inferred]


def test_with_a_lost_segment_its_receiver_stays_where_it_was() -> None:
    capture = captured("TLS 1.3")
    way = path(capture.keylog)
    made = frames(capture.flights[:2], 9000, close=False)
    dropped = [record.number for record in walk(made).records if record.messages][1:]
    records = replayed(way, prompt(made, dropped))
    last = next(record for record in reversed(records) if record.above)
    ((_, held, delivered),) = last.above
    assert held == States("WAIT_SH", "WAIT_FLIGHT2")
    assert delivered is None


def test_what_turns_out_to_be_none_may_still_become_one_later_on_the_same_connection() -> None:
    capture = captured("TLS 1.3")
    alone = walk(capture.frames, capture.keylog)
    for false in (b"\x16", b"\x80", b"\x16\x03\x01 no TLS", b"\x16\x03\x01\x02\x00\x01"):
        walked = walk(frames([("client", false), ("server", b"what?"), *capture.flights], 9000), capture.keylog)
        if walked.only.above is not None:
            assert walked.messages in (alone.messages, [])


@pytest.mark.slow
def test_segments_ahead_of_order_are_kept_in_no_more_memory_than_is_bounded() -> None:
    """Thousands of connections whose beginning was not captured."""
    way = path()
    gap = ["c> data 2000 1 1400"] * 3
    made = [frame for port in range(3000) for frame in ladder(*OPEN, *gap, pair=Pair(client_port=1024 + port))]
    list(way.annotate(renumbered(*made)))
    kept = way._layers._ahead._pieces.values()
    assert sum(len(segment.data) for each in kept for segment in each) <= 1 << 22
