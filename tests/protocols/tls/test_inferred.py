"""Where nothing can be opened nobody is said to be where he is not; what the wire shows moves what it can.

The witness is the same capture with its keys: it knows where both ends were.
"""

from __future__ import annotations

import pytest

from lab.engine.record import Record
from lab.text import Text
from tests.protocols.tls.captures import MADE, captured, frames, walk

NO_KEY_LOG = "no key log was given; with {0} the server's private key would not help (forward secrecy)"
every_capture = pytest.mark.parametrize("name", [*MADE])
MSS = 9000


def _states(records: list[Record]) -> list[list[str | None]]:
    """Returns what is said of the ends in each packet in which TLS speaks: client and server, held, then delivered."""
    return [
        [state for above in record.above for pair in (above.held, above.delivered) if pair for state in pair]
        for record in records
    ]


@every_capture
@pytest.mark.parametrize("mss", [MSS, 700])
def test_no_state_is_told_without_keys_that_is_another_with_them(name: str, mss: int) -> None:
    capture = captured(name)
    made = frames(capture.flights, mss)
    known = _states(walk(made, capture.keylog, capture.server_key).records)
    told = _states(walk(made).records)
    for packet, (theirs, ours) in enumerate(zip(known, told, strict=True), 1):
        if len(theirs) == len(ours):  # where a message ends within a packet only the keys tell
            assert all(state in (None, other) for state, other in zip(ours, theirs, strict=True)), (
                packet,
                ours,
                theirs,
            )


@every_capture
def test_no_step_is_told_without_keys_that_is_not_told_with_them(name: str) -> None:
    capture = captured(name)
    known, told = (walk(capture.frames, *secrets).steps for secrets in ((capture.keylog, capture.server_key), ()))
    for step, (packets, _) in told.items():
        assert set(packets) <= set(known[step][0]), step


@every_capture
def test_nothing_surprises_without_keys_that_does_not_with_them(name: str) -> None:
    capture = captured(name)
    known = walk(capture.frames, capture.keylog, capture.server_key).surprises
    assert all(surprise in known for surprise in walk(capture.frames).surprises)


def test_in_tls_1_3_the_clients_finished_is_told_by_its_place_and_its_length() -> None:
    walked = walk(frames(captured("TLS 1.3").flights, MSS))
    assert walked.ladder[:3] == [
        "WAIT_SH > RECVD_CH: ClientHello",
        "None < None: ServerHello ChangeCipherSpec encrypted encrypted encrypted encrypted",
        "CONNECTED > CONNECTED: ChangeCipherSpec encrypted",
    ]
    assert walked.steps[2] == ((6,), "certificate-encrypted")
    assert walked.steps[5] == ((8,), "by-length")
    assert walked.steps[6] == ((8,), None)
    assert walked.tls["finished_verified"] is None


def test_behind_what_may_be_an_alert_nobody_says_that_an_end_is_connected() -> None:
    for name in ("TLS 1.3", "TLS 1.2 RSA"):
        walked = walk(captured(name).frames)
        assert walked.ladder[-1].split(":")[0] in ("None > None", "None < None")
        assert set(walked.above.states) == {None}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("TLS 1.3", NO_KEY_LOG.format("TLS 1.3")),
        ("TLS 1.2 ECDHE", NO_KEY_LOG.format("ECDHE_RSA")),
        ("TLS 1.2 RSA", "neither the server's private key nor a key log was given"),
    ],
)
def test_why_nothing_can_be_opened_is_told_once(name: str, why: str) -> None:
    said = [message.words for packet in walk(captured(name).frames).packets for message in packet.messages]
    assert len([words for words in said if why in words.en]) == 1
    closed = [words for words in said if words.en in ("", "encrypted") or why in words.en]
    assert len(closed) > 3
    assert Text("encrypted", "已加密") in said or name == "TLS 1.3"


def _fragmented(flight: bytes, size: int) -> bytes:
    """Returns a flight with its handshake messages in records of at most so many bytes (RFC 8446 section 5.1)."""
    found, at = b"", 0
    while at < len(flight):
        kind, stop = flight[at], at + 5 + int.from_bytes(flight[at + 3 : at + 5], "big")
        step = size if kind == 22 else stop
        for start in range(at + 5, stop, step):
            part = flight[start : min(start + step, stop)]
            found += flight[at : at + 3] + len(part).to_bytes(2, "big") + part
        at = stop
    return found


@pytest.mark.parametrize("with_keys", [True, False])
def test_a_hello_in_several_records_behind_a_hello_retry_request_is_in_the_clear(with_keys: bool) -> None:
    capture = captured("TLS 1.3 hello retry")
    keylog = capture.keylog if with_keys else b""
    walked = walk(frames([(role, _fragmented(data, 64)) for role, data in capture.flights]), keylog)
    assert walked.surprises == []
    assert walked.tls["version"] == "TLS 1.3"
    assert [code for _, code in walked.steps.values()] == [
        code for _, code in walk(capture.frames, keylog).steps.values()
    ]
