"""`lab annotate --summary`: a line a conversation, the worst first, and each of them true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import lab
from lab.app.summary import summarise
from lab.model import Frame
from lab.report.briefing import Brief, Briefing, words
from tests.packets import OPEN, Pair, ladder, renumbered
from tests.places import REFERENCES
from tests.runs import saved


def briefs(file: Path) -> list[Brief]:
    briefing = Briefing()
    with lab.open(file, words=False) as run:
        for packet in run:
            briefing.packet(packet)
        for report in run.reports():
            briefing.over(report)
    return list(briefing.lines())


@pytest.mark.parametrize(
    ("capture", "said", "packet", "closed_by"),
    [
        ("tcp-connection", None, None, "client"),
        ("tcp-refused", "the server refused the connection: RST", 2, "server"),
        ("tcp-reset", "the client reset it", 8, "client"),
        ("tcp-syn-lost", "1 retransmission", 2, "client"),
        ("tls-unknown-ca", "the client rejected the certificate, unknown_ca", 8, "client"),
        ("tls-no-shared-cipher", "the server refused what was offered, handshake_failure", 6, "server"),
        ("tls-client-certificate-missing", "the server sent the alert handshake_failure", 11, "server"),
        ("websocket-bad-version", "the server refused the upgrade, 426", 6, "server"),
        ("websocket-wrong-accept", "Sec-WebSocket-Accept is wrong", 6, "client"),
        ("websocket-too-big", "closed with code 1009", 9, "server"),
    ],
)
def test_a_reference_is_told_in_a_line(capture: str, said: str | None, packet: int | None, closed_by: str) -> None:
    (brief,) = briefs(REFERENCES / f"{capture}.pcapng")
    worst = brief.troubles[0] if brief.troubles else None
    assert (worst and worst.text.en, worst and worst.packet, brief.closed_by) == (said, packet, closed_by)


def test_the_worst_is_first(tmp_path: Path) -> None:
    closed = ("c> FIN 1 1", "s> FIN 1 2", "c> ACK 2 2")
    lines = [(*OPEN, *closed), ("c> SYN 0", "c> SYN 0"), (*OPEN, "c> RST 1"), ("c> SYN 0", "s> RST-ACK 0 1")]
    pairs = [Pair(client_port=40000 + at) for at in range(len(lines))]
    parts = [ladder(*each, pair=pair) for each, pair in zip(lines, pairs, strict=True)]
    found = briefs(saved(renumbered(*(frame for part in parts for frame in part)), tmp_path / "four.pcapng"))
    assert [each.id for each in found] == [1, 3, 2, 0]
    assert words(found[0]).en.startswith("nobody answered the SYN, sent 2 times, packet 7; ")
    assert words(found[3]).zh.startswith("未见异常")


def test_a_syn_that_came_last_has_not_been_left_without_an_answer(tmp_path: Path) -> None:
    """Its answer may have been on its way; that of one a second old would have come, or the SYN again."""
    lines = [("c> SYN 0",), (*OPEN, "c> data 1 1 5"), ("c> SYN 0",)]
    pairs = [Pair(client_port=40000 + at) for at in range(len(lines))]
    parts = [ladder(*each, pair=pair, apart=300_000_000) for each, pair in zip(lines, pairs, strict=True)]
    frames = renumbered(*(frame for part in parts for frame in part))
    frames = [frame._replace(time=at * 300_000_000) for at, frame in enumerate(frames)]
    first, second, last = sorted(briefs(saved(frames, tmp_path / "three.pcapng")), key=lambda each: each.id)
    assert words(first).en.startswith("nobody answered the SYN, packet 1 ")
    assert words(first).en.endswith("not closed · 1 packet")
    assert second.troubles == ()
    assert words(last).en.startswith("the capture ends before an answer to the SYN, packet 6 ")
    assert words(last).zh.startswith("抓包结束时 SYN 尚未得到应答，第 6 号包")
    assert [each.id for each in briefs(tmp_path / "three.pcapng")] == [0, 2, 1]


def test_round_trips_are_those_of_the_clock(tmp_path: Path) -> None:
    (brief,) = briefs(saved(ladder(*OPEN, "c> data 1 1 5", "s> ACK 1 6", apart=1_000_000), tmp_path / "one.pcapng"))
    assert brief.times == (1_000_000, 1_000_000, 1_000_000, 1_000_000, 1)
    again = ladder("c> SYN 0", *OPEN, "c> data 1 1 5", "c> data 1 1 5", "s> ACK 1 6", apart=1_000_000)
    (brief,) = briefs(saved(again, tmp_path / "again.pcapng"))
    assert (brief.times.server, brief.times.shortest) == (None, None)  # nobody knows which of the two was answered


def test_it_is_json_too(tmp_path: Path) -> None:
    out = tmp_path / "summary.json"
    summarise(str(REFERENCES / "tls-unknown-ca.pcapng"), b"", b"", None, True, out, True, "en")
    told = json.loads(out.read_text("utf-8"))
    assert (told["schema"], told["count"]) == ("handshake-lab/summary/v1", 1)
    assert told["conversations"][0]["troubles"][0]["packet"] == 8
    Draft202012Validator(lab.schema("summary")).validate(told)


def test_where_there_is_nothing_to_tell_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(saved([], tmp_path / "none.pcapng"))
    summarise(file, b"", b"", None, False, None, True, "en")
    assert capsys.readouterr() == ("", f"{file} has no packets\n")
    file = str(saved([Frame(1, 0, bytes(12) + b"\x08\x06" + bytes(28), 42)], tmp_path / "arp.pcapng"))
    summarise(file, b"", b"", None, False, None, True, "zh")
    assert capsys.readouterr() == ("", f"{file} 中没有可概括的连接\n")
