"""Wireshark as a witness: what it is asked, what its answers are compared with, and what is excused by a number."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Sequence
from pathlib import Path as File
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, TCPerror
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lab.errors import InputError, MachineError
from lab.model import Frame
from lab.witnesses import question, wireshark
from lab.witnesses.question import Opinions
from lab.witnesses.tshark import Asking
from tests.packets import CAPTURES, OPEN, Pair, ladder, renumbered, walk
from tests.runs import saved
from tests.tools import of_version


def compared(frames: Sequence[Frame], file: File) -> tuple[Opinions, list[wireshark.Disagreement]]:
    opinions = question.ask(saved(frames, file))
    packets = sorted(walk(frames).packets, key=lambda packet: packet.number)
    return opinions, wireshark.compare(packets, opinions)


def test_wireshark_agrees_on_conversations_written_by_hand(tshark: str, tmp_path: File) -> None:
    lines = [each for name, each in CAPTURES.items() if name != "every flag"]  # what no two TCPs ever said
    lines.append((*OPEN, "c> RST-ACK 1 1 7"))  # a RST may carry its reason
    isns = (0, 1, 1000, (1 << 31) - 8, (1 << 32) - 9, (1 << 32) - 1)
    pairs = [
        Pair(*hosts, client_port=40000 + at, client_isn=isns[at % 6], server_isn=isns[-1 - at % 5])
        for hosts in (("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2"))
        for at in range(len(lines))
    ]
    frames = renumbered(*(f for each, pair in zip(lines * 2, pairs, strict=True) for f in ladder(*each, pair=pair)))
    opinions, found = compared(frames, tmp_path / "hand.pcapng")
    assert not opinions.complaints
    assert [each for each in found if each.deviation is None] == []


def at_random(chance: random.Random, pair: Pair) -> list[Frame]:
    """Returns a conversation in which anything may be repeated, skipped or answered at any time."""
    lines = list(OPEN) if chance.random() < 0.7 else []
    following = {"c": 1, "s": 1}
    acked = {"c": 1, "s": 1}
    spoken: list[tuple[str, int, int]] = []
    for _ in range(chance.randrange(30)):
        who, other = chance.choice(("cs", "sc"))
        seq, ack, window = following[who], acked[who], chance.choice((1000, 1000, 1000, 600, 0))
        what = chance.random()
        if what < 0.4:
            size = chance.choice((1, 2, 5, 100))
            seq += chance.choice((0,) * 8 + (1, 100))
            lines.append(f"{who}> data {seq} {ack} {size} win {window}")
            spoken.append((who, seq, size))
            following[who] = seq + size
        elif what < 0.55 and spoken:
            who, seq, size = chance.choice(spoken)
            lines.append(f"{who}> data {seq} {acked[who]} {size} win {window}")
        elif what < 0.6:
            lines.append(f"{who}> ACK {seq - 1} {ack} win {window}")
        elif what < 0.62:
            lines.append(chance.choice((f"{who}> RST {seq}", f"{who}> RST-ACK {seq} {ack}")))
        elif what < 0.64:
            lines.append(f"{who}> FIN {seq} {ack}")
            following[who] += 1
        else:
            acked[who] = chance.choice((ack, following[other]))
            lines.append(f"{who}> ACK {seq} {acked[who]} win {window}")
    return ladder(*lines, pair=pair, apart=chance.choice((10_000, 2_000_000, 300_000_000)))


def test_wireshark_agrees_on_conversations_made_at_random(tshark: str, tmp_path: File) -> None:
    chance = random.Random(9293)
    pairs = (Pair(client_port=port, client_isn=chance.randrange(1, 1 << 32)) for port in range(10_000, 10_400))
    frames = renumbered(*(frame for pair in pairs for frame in at_random(chance, pair)))
    opinions, found = compared(frames, tmp_path / "random.pcapng")
    assert not opinions.complaints
    assert [each for each in found if each.deviation is None] == []
    told = {wireshark.NOTHING_OUTSTANDING, wireshark.WINDOWS_AND_PROBES, wireshark.COUNTS_FOR_NOTHING}
    more = of_version(tshark, {(4, 0): {wireshark.OTHER_NAME}, (4, 4): set()})
    assert {each.deviation for each in found} == told | more


def test_a_difference_is_found_in_every_field(tshark: str, tmp_path: File) -> None:
    frames = ladder(*CAPTURES["connection"])
    opinions, found = compared(frames, tmp_path / "same.pcapng")
    assert not found
    fourth = opinions[3]
    changes: dict[str, Any] = {"flags": 0x02, "seq": 7, "ack": 8, "payload": 9, "stream": 1}
    for field, value in changes.items():
        opinions[3] = fourth._replace(**{field: value})
        (only,) = wireshark.compare(walk(frames).packets, opinions)
        assert (only.number, only.field.replace("conversation", "stream"), only.theirs) == (4, field, value)
        assert only.deviation is None
    opinions[3] = fourth._replace(labels=("keep-alive", "retransmission"))
    assert len(wireshark.compare(walk(frames).packets, opinions)) == 2
    (missing,) = wireshark.compare(walk(frames).packets, opinions[:3])
    assert missing == (4, "packets", len(frames), 3, None)


def test_what_the_lab_does_not_open_has_a_number_and_a_quoted_header_is_no_packet(tshark: str, tmp_path: File) -> None:
    tcp, quoted = TCP(sport=40000, dport=8080, flags="S"), TCPerror(sport=40000, dport=8080, flags="S", seq=1)
    outer = IP(src="192.0.2.2", dst="192.0.2.3")
    packets = [
        outer / outer / outer / tcp,
        outer / ICMP(type=3, code=3) / IPerror(bytes(outer)) / quoted,
        outer / UDP(),
        outer / TCP(sport=40001, dport=8080, flags="S"),
        outer / UDP(sport=40000, dport=4790) / Raw(b"\x0c\0\0\x01\0\0\x07\0") / outer / tcp,  # VXLAN-GPE
    ]
    data = [bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet) for packet in packets]
    opinions, found = compared(
        [Frame(at, at, each, len(each)) for at, each in enumerate(data, 1)], tmp_path / "in.pcapng"
    )
    assert [opinion.stream is None for opinion in opinions] == [False, True, True, False, False]
    assert found == [(number, "tcp", False, True, wireshark.NOT_OPENED) for number in (1, 5)]


def test_number_17_a_second_syn_ack_begins_another_stream(tshark: str, tmp_path: File) -> None:
    other = ladder("c> SYN 0", "s> SYN-ACK 0 1", pair=Pair(server_isn=Pair().server_isn + 5000))[1]
    first, second, *rest = ladder(*OPEN, "s> data 1 1 5", "c> ACK 1 6", "s> SYN-ACK 0 1")
    _, found = compared(renumbered(first, second, other, *rest), tmp_path / "two.pcapng")
    assert (3, "seq", 5000, 0) in [each[:4] for each in found]
    assert (4, "ack", 1, (1 << 32) - 4999) in [each[:4] for each in found]
    assert None not in {each.deviation for each in found}
    _, found = compared(renumbered(first, *rest[:2], second, rest[2]), tmp_path / "late.pcapng")
    assert None not in {each.deviation for each in found}
    again = [Pair(server_isn=isn) for isn in (1, 500_000, 900_000)]
    closed = (*OPEN, "c> data 1 1 10", "s> ACK 1 11", "c> FIN 11 1", "s> FIN 1 12", "c> ACK 12 2")
    _, found = compared(
        renumbered(*(frame for pair in again for frame in ladder(*closed, pair=pair))), tmp_path / "again.pcapng"
    )
    assert {each.deviation for each in found} <= {wireshark.SYN_ACK_AGAIN}  # newer versions agree


@pytest.mark.parametrize(
    "lines",
    [
        (*OPEN, "c> data 1 1 10", "s> ACK 1 11", "c> RST 1011", "s> ACK 1 11", "c> data 11 1 5", "s> ACK 1 16"),
        (*OPEN, "c> data 1 1 10", "s> ACK 1 11", "c> SYN 9000", "s> ACK 1 11", "c> RST 11", "c> SYN 9000"),
        (*OPEN, 'c> data 1 1 "secret"', "s> ACK 1 7", 'c> data 1 1 "public"', "s> ACK 1 7", "c> data 7 1 5"),
        (*OPEN, "c> RST 1011", "c> data 1011 1 5"),
        ("s> SYN-ACK 0 1", "c> SYN 0", "c> ACK 1 1", "c> data 1 1 5", "s> ACK 1 6"),
    ],
)
def test_number_20_what_counts_for_nothing_here_counts_there(
    tshark: str, tmp_path: File, lines: tuple[str, ...]
) -> None:
    _, found = compared(ladder(*lines), tmp_path / "odd.pcapng")
    assert {each.deviation for each in found} <= {wireshark.COUNTS_FOR_NOTHING, wireshark.NOTHING_OUTSTANDING}
    assert found or lines[0].startswith("s>")


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (("c> data 1 1 5", "s> ACK 1 6"), 4 | 8),
        (("c> data 1 1 5", "s> ACK 1 6", "s> FIN 1 6"), 4 | 8 | 16),
        (("c> FIN 1 1",), {(4, 0): 0, (4, 4): 4 | 16}),
        (("c> FIN 1 1", "s> RST 1"), 4 | 16 | 32),
        (("c> SYN 0", 's> SYN-ACK 0 1 "hello"', "c> ACK 1 6"), 1 | 2 | 4),
        (("s> SYN-ACK 0 1", "c> SYN 0", "c> ACK 1 1"), 2 | 4),
        (("c> SYN 0 10", "s> SYN-ACK 0 11", "c> ACK 11 1"), 1 | 2 | 4 | 8),
        (("c> SYN 0", "s> SYN 0", "c> SYN-ACK 0 1", "s> SYN-ACK 0 1"), 1 | 2),
        ((*OPEN, "c> [F] 1", "s> ACK 1 2"), 1 | 2 | 4),
    ],
)
def test_what_a_capture_has_of_a_connection_is_known_as_wireshark_counts_it(
    tshark: str, tmp_path: File, lines: tuple[str, ...], shown: int | dict[tuple[int, int], int]
) -> None:
    frames, comparison = ladder(*lines), wireshark.Comparison()
    file = saved(frames, tmp_path / "in.pcapng")
    with Asking(file, question.ALL, (*question.PREFERENCES, *question.TWICE)) as asking:
        opinions = list(question.read(asking, question.ALL))
    for packet, opinion in zip(walk(frames).packets, opinions, strict=True):
        list(comparison.of(packet, opinion))
    assert opinions[-1].completeness == (shown if isinstance(shown, int) else of_version(tshark, shown))
    assert (list(comparison.completeness()), comparison.compared["completeness"]) == ([], 1)


def test_number_18_a_segment_that_is_not_all_there(tshark: str, tmp_path: File) -> None:
    head: Any = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="192.0.2.1", dst="192.0.2.2")
    tcp: dict[str, Any] = {"sport": 40000, "dport": 8080}
    packets = [
        head / TCP(**tcp, flags="S", seq=1),
        head / TCP(**tcp, flags="A", seq=2, ack=1) / b"hello",
        head / TCP(**tcp, flags="S", seq=99, dataofs=15),
        head / TCP(**tcp, flags="A", seq=7, ack=1) / b"again",
    ]
    frames = [Frame(at, at * 1000, bytes(each), len(each)) for at, each in enumerate(packets, 1)]
    _, found = compared(frames, tmp_path / "in.pcapng")
    assert (4, "conversation", 0, 1, wireshark.NOT_ALL_THERE) in found
    assert {each.deviation for each in found} == {wireshark.NOT_ALL_THERE}


def test_number_19_records_that_are_no_packets_are_not_compared(tshark: str, tmp_path: File) -> None:
    frames = ladder(*CAPTURES["connection"])
    file = saved(frames, tmp_path / "more.pcapng")
    data = file.read_bytes()
    line = b"__REALTIME_TIMESTAMP=1767225600000000\nMESSAGE=a line of a log\n\n\n"
    record = struct.pack("<II", 9, len(line) + 12) + line + struct.pack("<I", len(line) + 12)
    at = data.index(frames[3].data) - 28
    file.write_bytes(data[:at] + record + data[at:])
    opinions = question.ask(file)
    assert [opinion.number for opinion in opinions] == [frame.number for frame in frames]
    assert wireshark.compare(walk(frames).packets, opinions) == []


def test_comments_come_back_whole_and_in_order(tshark: str, tmp_path: File) -> None:
    told = ('"quoted", comma; | and more', "第二条：中文", "tab\tbreak\nend", "")
    lines = of_version(tshark, {(4, 0): (), (4, 4): (r"tab\tbreak", r"tab\tbreak", "end")})  # beside the whole
    (frame,) = ladder("c> SYN 0")
    opinions = question.ask(saved([frame._replace(comments=told)], tmp_path / "comments.pcapng"))
    assert opinions[0].comments == (*told[:2], *lines, r"tab\tbreak\nend", "")


def test_a_file_cut_short_is_read_and_complained_of(tshark: str, tmp_path: File) -> None:
    file = saved(ladder(*CAPTURES["connection"]), tmp_path / "cut.pcapng")
    file.write_bytes(file.read_bytes()[:-300])
    opinions = question.ask(file)
    assert len(opinions) > 5
    assert any("cut short" in each for each in opinions.complaints)


def test_what_is_no_capture_is_refused_in_both_languages(tshark: str, tmp_path: File) -> None:
    file = tmp_path / "words"
    file.write_text("no capture")
    with pytest.raises(InputError) as refused:
        question.ask(file)
    assert re.search("[\u4e00-\u9fff]", refused.value.message.zh)


def test_without_tshark_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: File) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="not installed") as missing:
        question.ask(tmp_path / "any.pcapng")
    for text in (missing.value.message, missing.value.hint):
        assert re.search("[\u4e00-\u9fff]", text.zh)
        assert "tshark" in text.en or "Wireshark" in text.en
