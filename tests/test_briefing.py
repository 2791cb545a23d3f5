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
from tests.packets import CLOSE, IPV6, OPEN, TALK, Pair, ladder, renumbered
from tests.places import REFERENCES
from tests.protocols.tcp.test_icmp import error
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


def test_an_ipv6_address_stands_in_brackets(tmp_path: Path) -> None:
    (brief,) = briefs(saved(ladder(*OPEN, pair=IPV6), tmp_path / "six.pcapng"))
    assert (brief.client, brief.server) == ("[2001:db8::1]:40000", "[2001:db8::2]:8080")
    assert "[2001:db8::1]:40000 > [2001:db8::2]:8080" in words(brief).zh


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


def worst(file: Path, conversation: int = 0) -> tuple[str, int | None] | None:
    """Returns what is worst of a conversation, and the packet that shows it."""
    (brief,) = (each for each in briefs(file) if each.id == conversation)
    return (brief.troubles[0].text.en, brief.troubles[0].packet) if brief.troubles else None


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("c> SYN 0", "s> RST-ACK 0 1"), ("the server refused the connection: RST", 2)),
        ((*OPEN, "c> RST-ACK 1 1", "s> RST-ACK 1 1"), ("the client reset it", 4)),  # a REJ of Zeek's, too
        ((*OPEN, "s> RST-ACK 1 1", "c> RST-ACK 1 1"), ("the server reset it", 4)),
        ((*OPEN[:2], "s> RST-ACK 1 1", "c> RST 1"), ("the server reset it", 3)),
        (("c> [SR] 0", "s> RST-ACK 0 1"), ("the client reset it", 1)),
    ],
)
def test_only_a_server_that_has_agreed_to_nothing_refuses(
    lines: tuple[str, ...], said: tuple[str, int], tmp_path: Path
) -> None:
    assert worst(saved(ladder(*lines), tmp_path / "reset.pcapng")) == said


@pytest.mark.parametrize(
    ("lines", "packet"),
    [
        (("c> data 1 1 10", "c> data 21 1 10", "c> data 11 1 10"), 0),  # in another order, and all there
        (("c> data 1 1 10", "c> data 21 1 10"), 5),
        (("c> data 11 1 5", "c> data 21 1 10", "c> data 1 1 10"), None),  # one of two is filled: which is not told
    ],
)
def test_nothing_is_said_to_be_missing_that_came_later(
    lines: tuple[str, ...], packet: int | None, tmp_path: Path
) -> None:
    found = worst(saved(ladder(*OPEN, *lines, "s> ACK 1 31"), tmp_path / "holes.pcapng"))
    assert found == (("something was not captured", packet) if packet != 0 else None)


def test_a_syn_that_something_else_answers_is_not_without_an_answer(tmp_path: Path) -> None:
    first, again = ladder("c> SYN 0", "c> SYN 0")
    found = worst(saved(renumbered(first, error(first, 3, 1), again), tmp_path / "icmp.pcapng"))
    assert found == ("the SYN was answered by an ICMP error alone", 2)
    challenged = ladder(*OPEN, "c> SYN 9000", "s> ACK 1 1", "c> data 1 1 5", "s> ACK 1 6")
    found = worst(saved(challenged, tmp_path / "challenged.pcapng"), 1)
    assert found == ("the SYN was refused: an ACK of the old connection on these ports answers it", 5)


def test_a_rst_that_acknowledges_nothing_refuses_no_syn(tmp_path: Path) -> None:
    """RFC 9293 section 3.10.7.3: it is dropped, and the client is still in SYN-SENT."""
    for rst in ("s> RST 1", "s> RST-ACK 0 500"):
        (brief,) = briefs(saved(ladder("c> SYN 0", rst), tmp_path / "rst.pcapng"))
        said = "the SYN brought only a RST that does not acknowledge it, which is not heeded, packet 2 "
        assert words(brief).en.startswith(said)
        assert words(brief).en.endswith(" · not closed · 2 packets")
    opened = ladder("c> SYN 0", "s> RST 0", "c> SYN 0", "s> SYN-ACK 0 1", "c> ACK 1 1", *TALK, *CLOSE)
    (brief,) = briefs(saved(opened, tmp_path / "opened.pcapng"))
    assert (brief.closed, brief.closed_by) == ("fin", "client")
