"""Behind a hole and behind a cut TLS is read on where it can be; nothing is told that the whole capture does not say.

The witness is the same capture with nothing missing, and Wireshark.
"""

from __future__ import annotations

import random
import struct
import subprocess
from pathlib import Path

import pytest

from lab.model import Frame
from tests.packets import renumbered
from tests.protocols.tls.captures import MADE, Walked, captured, frames, shown, walk

every_capture = pytest.mark.parametrize("name", [*MADE])
SNAPPED = (68, 100, 139, 200, 300, 600)  # bytes of a frame


def snapped(made: list[Frame], size: int) -> list[Frame]:
    """Returns frames as a capture with a snap length has them: their beginnings, and how long they were."""
    return [frame._replace(data=frame.data[:size]) for frame in made]


def _without(made: list[Frame], number: int) -> list[Frame]:
    return [frame for frame in made if frame.number != number]


def _named(walked: Walked) -> list[list[str]]:
    """Returns what each packet completes."""
    return [[each.said.name for each in record.messages] for record in walked.records]


def _agrees(told: Walked, whole: Walked, gone: int | None = None) -> None:
    """Asserts that nobody is said to be where he is not, and no packet to be what it is not."""
    records = [record for record in whole.records if record.number != gone]
    for ours, theirs in zip(told.records, records, strict=True):
        last = [each.said.name for each in theirs.messages]
        for name in (each.said.name for each in ours.messages):
            if name == "ServerHello" and ours.messages[0].said.cut:
                continue  # whether it is a HelloRetryRequest stands further behind
            if name == "alert" and "close_notify" in last and not told.tls["decrypted"]:
                continue
            hidden = name == "application-data" and told.tls["version"] is None
            assert name in last or "encrypted" in (name, *last) or hidden, (theirs.number, name, last)
        # Not when delivered: one acknowledgement for a whole flight tells of the flight's end, or of a part's.
        known = [state for above in theirs.above for state in above.held]
        said = [state for above in ours.above for state in above.held]
        if known and len(known) == len(said) and [each.said.name for each in ours.messages] == last:
            assert all(state in (None, other) for state, other in zip(said, known, strict=True)), (
                theirs.number, said, known,
            )  # fmt: skip
    for step, (packets, _) in told.steps.items():
        numbers = {record.number for record in records if record.number in whole.steps[step][0]}
        assert {records[number - 1].number for number in packets} <= numbers, step
    assert len(told.surprises) <= len(whole.surprises)


@every_capture
@pytest.mark.parametrize("given", [False, True])
def test_a_hole_anywhere_makes_nothing_untrue(name: str, given: bool) -> None:
    capture = captured(name)
    made = frames(capture.flights, 700)
    secrets = (capture.keylog, capture.server_key) if given else ()
    whole = walk(made, *secrets)
    for frame in made:
        if len(frame.data) > 54:
            _agrees(walk(renumbered(*_without(made, frame.number)), *secrets), whole, frame.number)


@every_capture
@pytest.mark.parametrize("size", SNAPPED)
def test_a_cut_anywhere_makes_nothing_untrue(name: str, size: int) -> None:
    capture = captured(name)
    for mss in (700, 9000):
        made = frames(capture.flights, mss)
        _agrees(walk(snapped(made, size)), walk(made))
    shown(snapped(made, size), capture.keylog)


def test_behind_a_hole_the_next_segment_that_begins_a_record_is_read_and_opened() -> None:
    for name in ("TLS 1.2 RSA", "TLS 1.2 ECDHE", "TLS 1.3"):
        capture = captured(name)
        made = frames(capture.flights, 9000)
        whole = walk(made, capture.keylog)
        said = [record.number for record in whole.records if record.messages]
        gone = said[-4]  # the first data
        told = walk(renumbered(*_without(made, gone)), capture.keylog)
        assert [each for each in _named(told) if each][-3:] == [each for each in _named(whole) if each][-3:]
        assert told.above.states == whole.above.states
        assert told.surprises == []


def test_a_cut_server_hello_is_a_server_hello_and_the_steps_of_the_client_are_its_own() -> None:
    made = frames(captured("TLS 1.2 ECDHE").flights, 9000)
    told = walk(snapped(made, 200))
    said = _named(told)
    assert said[5] == ["ServerHello", "Certificate"]
    assert told.records[5].labels == ("data", "truncated", "ServerHello", "Certificate")
    assert told.surprises == []
    assert [packets for packets, _ in told.steps.values()] == [(4,), (6,), (8,), (8,), (8,), (12, 14)]
    assert told.tls["version"] == "TLS 1.2"
    assert not told.tls["resumed"]
    assert told.tls["certificates"] == []


def test_a_server_hello_cut_before_its_extensions_tells_the_version_by_its_suite() -> None:
    made = frames(captured("TLS 1.3").flights, 9000)
    told = walk(snapped(made, 54 + 5 + 4 + 2 + 32 + 1 + 32 + 2))
    assert told.tls["version"] == "TLS 1.3"
    assert told.steps[2][0] == (6,)
    cut = walk(snapped(made, 54 + 5 + 4 + 2 + 32 + 1 + 32))
    assert cut.tls["version"] is None
    assert cut.tls["cipher_suite"] is None


@pytest.mark.parametrize("name", ["TLS 1.2 RSA", "TLS 1.2 ECDHE", "TLS 1.2 resumed", "TLS 1.3"])
def test_wireshark_finds_the_same_records_behind_holes_and_cuts(name: str, tshark: str, tmp_path: Path) -> None:
    made = frames(captured(name).flights, 9000)
    data = [frame.number for frame in made if len(frame.data) > 54]
    for at, missing in enumerate([*(renumbered(*_without(made, number)) for number in data[1:]), snapped(made, 139)]):
        file = tmp_path / f"{at}.pcap"
        file.write_bytes(pcap(missing))
        asked = [
            tshark,
            "-d",
            "tcp.port==8080,tls",
            "-r",
            str(file),
            "-T",
            "fields",
            "-e",
            "frame.number",
            "-e",
            "tls.record.content_type",
        ]
        found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        theirs = {int(number): kinds.split(",") for number, kinds in map(str.split, _full(found))}
        ours = {record.number: record.messages for record in walk(missing).records if record.messages}
        assert theirs
        for number, kinds in theirs.items():
            assert number in ours, (at, number, kinds)


def pcap(made: list[Frame]) -> bytes:
    """Returns frames as a pcap file, with how long each was."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for frame in made:
        out += struct.pack("<IIII", frame.number, 0, len(frame.data), frame.length) + frame.data
    return out


def _full(lines: str) -> list[str]:
    return [line for line in lines.splitlines() if len(line.split()) == 2]


@every_capture
def test_several_holes_surprise_nobody_and_refute_nothing(name: str) -> None:
    """Acknowledgements are missing as well: what was got is then told late."""
    capture, dice = captured(name), random.Random(name)
    made = frames(capture.flights, 700)
    whole = walk(made, capture.keylog, capture.server_key)
    for _ in range(12):
        gone = dice.sample(range(4, len(made) + 1), dice.randint(2, 4))
        told = walk(renumbered(*[frame for frame in made if frame.number not in gone]), capture.keylog)
        assert len(told.surprises) <= len(whole.surprises), gone
        if told.only.above is not None:
            assert told.tls["finished_verified"] is not False, gone
            assert told.tls["version"] in (None, whole.tls["version"]), gone
            assert whole.tls["resumed"] or not told.tls["resumed"], gone


def test_behind_many_missing_bytes_a_record_opens_that_has_a_low_number() -> None:
    """Two tickets and a flight are cut: few records, of many bytes."""
    capture = captured("TLS 1.3")
    cut = snapped(frames(capture.flights, 9000), 200)
    walked = walk(cut, capture.keylog)
    whole = walk(frames(capture.flights, 9000), capture.keylog)
    assert walked.messages[-3:] == whole.messages[-3:]
    assert walked.session.locked is None
    assert all(way.protection is not None for way in walked.session.directions.values())


def test_what_opens_with_no_number_says_that_records_are_missing() -> None:
    capture = captured("TLS 1.3")
    lines = capture.keylog.splitlines(keepends=True)
    secret = next(line for line in lines if line.startswith(b"SERVER_TRAFFIC_SECRET_0"))
    other = b" ".join([*secret.split()[:2], b"00" * 48]) + b"\n"
    given = b"".join(other if line is secret else line for line in lines)
    walked = walk(snapped(frames(capture.flights, 9000), 200), given)
    assert walked.session.locked
    assert walked.session.locked.code == "records-missing"
    assert "of record 0" not in shown(snapped(frames(capture.flights, 9000), 200), given)


@pytest.mark.parametrize("size", [120, 150, 300])
def test_without_the_first_hello_nobody_knows_what_finished_must_say(size: int) -> None:
    """A HelloRetryRequest answers a hello that was not captured whole: the transcript begins with its hash."""
    capture = captured("TLS 1.3 hello retry")
    made = frames(capture.flights, size)
    told = walk(renumbered(*_without(made, 4)), capture.keylog)
    assert told.tls["finished_verified"] is None
