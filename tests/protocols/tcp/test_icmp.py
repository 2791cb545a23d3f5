"""An ICMP error belongs to the segment that it quotes: it is its answer, and the segment has not arrived."""

from __future__ import annotations

import random
import struct
from ipaddress import ip_address
from pathlib import Path

import pytest

import lab
from lab.capture.pcapng import Writer
from lab.events import PacketSent
from lab.model import Frame
from lab.protocols.tcp.icmp import Kind
from lab.render import trace
from lab.render.comments import comments
from lab.text import Text
from tests.packets import BEGAN, IPV4, IPV6, OPEN, Pair, Walked, ladder, path, prompt, renumbered, replay, walk
from tests.protocols.tcp.test_report import codes
from tests.protocols.tls.captures import shown

ROUTER, ROUTER_6 = "192.0.2.254", "2001:db8::fe"
ERRORS: dict[str, tuple[Pair, int, int, str, str]] = {
    "net unreachable": (IPV4, 3, 0, Kind.UNREACHABLE, "network unreachable"),
    "host unreachable": (IPV4, 3, 1, Kind.UNREACHABLE, "host unreachable"),
    "port unreachable": (IPV4, 3, 3, Kind.UNREACHABLE, "port unreachable"),
    "net prohibited": (IPV4, 3, 9, Kind.PROHIBITED, "network administratively prohibited"),
    "host prohibited": (IPV4, 3, 10, Kind.PROHIBITED, "host administratively prohibited"),
    "prohibited": (IPV4, 3, 13, Kind.PROHIBITED, "communication administratively prohibited"),
    "a code to come": (IPV4, 3, 99, Kind.UNREACHABLE, "destination unreachable"),
    "too big": (IPV4, 3, 4, Kind.TOO_BIG, "at most 1400 bytes fit (MTU)"),
    "time exceeded": (IPV4, 11, 0, Kind.OTHER, "time to live exceeded"),
    "parameter problem": (IPV4, 12, 0, Kind.OTHER, "parameter problem"),
    "no route, IPv6": (IPV6, 1, 0, Kind.UNREACHABLE, "no route"),
    "prohibited, IPv6": (IPV6, 1, 1, Kind.PROHIBITED, "administratively prohibited"),
    "rejected, IPv6": (IPV6, 1, 6, Kind.PROHIBITED, "the route rejects it"),
    "too big, IPv6": (IPV6, 2, 0, Kind.TOO_BIG, "at most 1400 bytes fit (MTU)"),
    "hop limit, IPv6": (IPV6, 3, 0, Kind.OTHER, "hop limit exceeded"),
    "parameter problem, IPv6": (IPV6, 4, 1, Kind.OTHER, "parameter problem"),
}


def total(data: bytes) -> int:
    """Returns the checksum (RFC 1071)."""
    return 0xFFFF - (int.from_bytes(data + bytes(len(data) % 2), "big") % 0xFFFF)


def error(quoted: Frame, kind: int, code: int, size: int = 1000, mtu: int = 1400) -> Frame:
    """Returns the ICMP error that quotes a frame's IP packet, with so many bytes behind its IP header."""
    packet, six = quoted.data[14:], quoted.data[12:14] == b"\x86\xdd"
    header = 40 if six else 20
    limit = struct.pack("!I", mtu) if (kind, code) == ((2, 0) if six else (3, 4)) else bytes(4)
    body = limit + packet[: header + size]
    sender, target = (ip_address(ROUTER_6).packed, packet[8:24]) if six else (ip_address(ROUTER).packed, packet[12:16])
    pseudo = sender + target + struct.pack("!II", len(body) + 4, 58) if six else b""
    message = struct.pack("!BBH", kind, code, total(pseudo + struct.pack("!BBH", kind, code, 0) + body)) + body
    if six:
        outer = struct.pack("!IHBB", 6 << 28, len(message), 58, 64) + sender + target
    else:
        outer = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(message), 7, 0, 64, 1, 0) + sender + target
        outer = outer[:10] + struct.pack("!H", total(outer)) + outer[12:]
    data = quoted.data[6:12] + quoted.data[:6] + quoted.data[12:14] + outer + message
    return quoted._replace(data=data, length=len(data))


def answered(*lines: str, at: int, kind: int = 3, code: int = 13, size: int = 1000, pair: Pair = IPV4) -> Walked:
    """Takes a conversation through the path in which packet `at` is answered, behind the others up to `at`."""
    frames = ladder(*lines, pair=pair)
    return walk(renumbered(*frames[:at], error(frames[at - 1], kind, code, size), *frames[at:]))


@pytest.mark.parametrize("size", [8, 14, 1000])
@pytest.mark.parametrize("name", ERRORS)
def test_a_syn_that_is_refused_is_not_without_an_answer(name: str, size: int) -> None:
    pair, kind, code, comes_to, words = ERRORS[name]
    walked = answered("c> SYN 0", at=1, kind=kind, code=code, size=size, pair=pair)
    syn, told = walked.packets
    assert told.labels == ("not-tcp", "icmp-error")
    assert (told.answers, told.quotes, told.conversation, told.sender) == (1, 0, None, None)
    (remark,) = told.remarks
    assert words in remark.words.en
    assert "packet 1" in remark.words.en
    assert "第 1 号包" in remark.words.zh
    assert (syn.fate, syn.by) == ("lost", "inferred")
    assert syn.delivered is None
    assert walked.only.states.client == "SYN-SENT", "what the client's program does then is not in the capture"
    assert set(codes(walked).values()) == {comes_to}


def test_it_is_told_in_the_trace_and_on_the_ladder() -> None:
    (syn,) = ladder("c> SYN 0")
    frames = renumbered(syn, error(syn, 3, 13))
    told = shown(frames)
    assert "ICMP 3/13 from 192.0.2.254: communication administratively prohibited; it answers packet 1" in told.replace(
        "\n            ", " "
    )
    assert "192.0.2.254 发来 ICMP 3/13：管理上禁止通信" in told
    entry = trace.packet(walk(frames).packets[1])
    assert (entry["answers"], entry["quotes"], entry["conversation"]) == (1, 0, None)
    assert entry["remarks"][0]["spans"] == [{"buffer": "frame", "number": 2, "start": 34, "end": len(frames[1].data)}]


def test_of_several_copies_it_answers_the_last() -> None:
    walked = answered("c> SYN 0", "c> SYN 0", "c> SYN 0", at=2)
    assert walked.packets[2].answers == 2
    assert codes(walked)["open.1"] == Kind.PROHIBITED


def test_copies_are_told_apart_by_their_identification() -> None:
    """As of a traceroute, which has several on the way at a time."""
    frames = [
        frame._replace(data=frame.data[:18] + bytes([0, frame.number]) + frame.data[20:])
        for frame in ladder("c> SYN 0", "c> SYN 0", "c> SYN 0")
    ]
    told = [error(frame, 11, 0) for frame in frames]
    walked = walk(renumbered(*frames, *told))
    assert [packet.answers for packet in walked.packets] == [None, None, None, 1, 2, 3]
    assert {packet.fate for packet in walked.packets[:3]}.isdisjoint({"arrived"})


def test_it_may_quote_the_earlier_connection_of_the_same_addresses_and_ports() -> None:
    later = IPV4._replace(client_isn=IPV4.client_isn + 500_000, server_isn=IPV4.server_isn + 900_000)
    closed = (*OPEN, "c> FIN 1 1", "s> FIN 1 2", "c> ACK 2 2")
    old, new = ladder(*closed), ladder(*OPEN, "c> data 1 1 14", "s> ACK 1 15", pair=later, began=BEGAN + 10**9)
    walked = walk(renumbered(*old, *new[:3], error(old[-1], 3, 1), *new[3:]))
    told = walked.packets[9]
    assert (told.answers, told.quotes) == (6, 0)
    assert walked.packets[5].fate == "lost"
    assert {packet.fate for packet in walked.packets[6:9]} == {"arrived"}


def test_an_earlier_syn_is_the_one_that_is_quoted_when_another_has_followed() -> None:
    (old,), (new,) = ladder("c> SYN 0"), ladder("c> SYN 500000")
    walked = walk(renumbered(old, new, error(old, 3, 13)))
    assert (walked.packets[2].answers, walked.packets[2].quotes) == (1, 0)
    assert (walked.packets[0].fate, walked.packets[1].fate) == ("lost", "unknown")


@pytest.mark.parametrize("pair", [IPV4, IPV6])
@pytest.mark.parametrize("at", [1, 2, 4])
def test_what_it_quotes_may_be_captured_behind_it(pair: Pair, at: int) -> None:
    """As where two interfaces, or the two directions of a line, are captured by different threads."""
    frames = ladder(*OPEN, "c> data 1 1 14", pair=pair)[:at]
    kind = 1 if pair is IPV6 else 3
    walked = walk(renumbered(*frames[:-1], error(frames[-1], kind, 1), frames[-1]))
    assert [
        record.number for record in path().settled(renumbered(*frames[:-1], error(frames[-1], kind, 1), frames[-1]))
    ] == list(range(1, at + 2))
    told, quoted = sorted(walked.packets, key=lambda packet: packet.number)[-2:]
    assert (told.number, told.answers, told.quotes) == (at, at + 1, 0)
    assert (quoted.fate, quoted.by) == ("lost", "inferred")


def test_what_is_sent_again_much_later_is_not_what_it_quotes() -> None:
    frames = ladder("c> SYN 0", "c> SYN 0", apart=10**9)
    walked = walk(renumbered(error(frames[0], 3, 13), frames[1]))
    assert (walked.packets[0].answers, walked.packets[1].fate) == (None, "unknown")


def test_of_two_copies_behind_it_identification_tells_which_it_quotes() -> None:
    first, second = (
        frame._replace(data=frame.data[:18] + bytes([7, frame.number]) + frame.data[20:])
        for frame in ladder("c> SYN 0", "c> SYN 0")
    )
    walked = walk(renumbered(error(second, 3, 13), first, second))
    assert next(packet.answers for packet in walked.packets if packet.number == 1) == 3


@pytest.mark.parametrize("pair", [IPV4, IPV6])
def test_where_a_wire_tells_what_arrived_it_is_an_answer_too(pair: Pair) -> None:
    frames = ladder("c> SYN 0", *OPEN, "c> data 1 1 14", pair=pair)
    told = renumbered(frames[0], error(frames[0], 1 if pair is IPV6 else 3, 1), *frames[1:])
    walked = replay(prompt(told, [1]))
    assert (walked.packets[1].answers, walked.packets[1].quotes) == (1, 0)
    assert (walked.packets[0].fate, walked.packets[0].by) == ("lost", "journal")
    assert codes(walked)["open.1"] == "retransmitted"
    assert "the wire dropped packet 1" in departure(walked, "tcp.open.1").en


def test_it_is_written_beside_the_packet_too() -> None:
    (syn,) = ladder("c> SYN 0")
    english, chinese = comments(walk(renumbered(syn, error(syn, 3, 13))).packets[1])
    assert english.startswith("[lab] ICMP 3/13 from 192.0.2.254")
    assert chinese.startswith("[实验] 192.0.2.254 发来 ICMP 3/13")


def test_a_syn_ack_that_is_refused_is_told_so() -> None:
    walked = answered("c> SYN 0", "s> SYN-ACK 0 1", at=2, code=10)
    assert walked.packets[2].answers == 2
    assert [codes(walked)[f"open.{step}"] for step in (2, 3, 4)] == [Kind.PROHIBITED] * 3
    assert walked.packets[1].fate == "lost"
    for step in ("tcp.open.2", "tcp.open.3"):
        assert "connect()" not in departure(walked, step).en + departure(walked, step).zh, "it answers no SYN"
    refused = answered("c> SYN 0", at=1, code=10)
    assert "connect()" in departure(refused, "tcp.open.1").en


def test_where_a_later_copy_is_taken_the_connection_opens() -> None:
    walked = answered("c> SYN 0", *OPEN, at=1, code=1)
    assert walked.packets[1].answers == 1
    assert walked.packets[0].fate == "lost"
    assert codes(walked)["open.1"] == "retransmitted"
    assert walked.only.states.client == "ESTABLISHED"
    assert "an ICMP error says of packet 1 that it did not get through" in departure(walked, "tcp.open.1").en
    assert "ICMP 差错报文说明第 1 号包没有送达" in departure(walked, "tcp.open.1").zh


def departure(walked: Walked, step: str) -> Text:
    """Returns what is said of how a step departs from the notes."""
    found = next(each.differs for each in walked.reports[0].steps if each.id == step)
    assert found is not None
    return found.text


def test_what_is_too_big_never_arrives_and_its_pieces_do() -> None:
    walked = answered(
        *OPEN, "c> data 1 1 1400", "c> data 1 1 1000", "c> data 1001 1 400", "s> ACK 1 1401", at=4, code=4
    )
    assert [packet.fate for packet in walked.packets[3:]] == ["lost", "unknown", "arrived", "arrived", "arrived"]
    assert walked.packets[4].answers == 4


def test_it_may_answer_a_part_of_what_was_captured_as_one() -> None:
    """As where the network card cuts large segments up, behind the capture."""
    frames = ladder(*OPEN, "c> data 1 1 4380", "c> data 1461 1 1400", "s> ACK 1 4381")
    (part,) = ladder("c> data 1461 1 1460")
    walked = walk(renumbered(*frames[:4], error(part, 3, 4), *frames[4:]))
    assert walked.packets[4].answers == 4
    assert "answers a part of packet 4" in walked.packets[4].remarks[0].words.en
    assert "at most 1400 bytes" in walked.packets[4].remarks[0].words.en


@pytest.mark.parametrize("line", ["c> ACK 1 1", "c> RST 1"])
def test_what_takes_no_numbers_has_not_arrived_either(line: str) -> None:
    walked = answered(*OPEN[:2], line, "s> SYN-ACK 0 1", at=3, kind=11, code=0)
    assert walked.packets[3].answers == 3
    assert walked.packets[2].fate == "lost"
    assert walked.packets[2].delivered is None


def test_an_acknowledgement_refutes_it() -> None:
    """Anybody can send an ICMP message (RFC 5927): what is acknowledged has arrived."""
    walked = answered(*OPEN, "c> data 1 1 14", "s> ACK 1 15", at=4, kind=11, code=0)
    assert walked.packets[4].answers == 4
    assert walked.packets[3].fate == "arrived"


def test_a_source_quench_says_nothing_of_the_packet() -> None:
    walked = answered("c> SYN 0", at=1, kind=4, code=0)
    assert walked.packets[1].answers == 1
    assert "RFC 6633" in walked.packets[1].remarks[0].words.en
    assert codes(walked)["open.1"] == "unanswered"
    assert walked.packets[0].fate == "unknown"


def test_what_quotes_nothing_of_this_capture_is_only_named() -> None:
    """As behind address translation: what is quoted has other addresses than what was captured."""
    (syn,) = ladder("c> SYN 0")
    (translated,) = ladder("c> SYN 0", pair=IPV4._replace(client="203.0.113.9", client_port=1025))
    walked = walk(renumbered(syn, error(translated, 3, 13)))
    told = walked.packets[1]
    assert (told.labels, told.answers, told.quotes) == (("not-tcp", "icmp-error"), None, None)
    assert "no connection in this capture (203.0.113.9:1025 → 192.0.2.2:8080)" in told.remarks[0].words.en
    assert codes(walked)["open.1"] == "unanswered"


def test_a_number_that_nothing_outstanding_has_is_no_answer() -> None:
    frames = ladder(*OPEN, "c> data 1 1 14", "s> ACK 1 15")
    walked = walk(renumbered(*frames, error(frames[3], 3, 13)))
    assert (walked.packets[5].answers, walked.packets[5].quotes) == (None, 0)
    assert walked.packets[3].fate == "arrived"


def test_a_damaged_error_answers_nothing() -> None:
    (syn,) = ladder("c> SYN 0")
    told = error(syn, 3, 13)
    walked = walk(renumbered(syn, told._replace(data=told.data[:-1] + b"\xff")))
    assert walked.packets[1].labels == ("not-tcp", "icmp-error", "bad-checksum")
    assert walked.packets[1].answers is None


@pytest.mark.parametrize("pair", [IPV4, IPV6])
def test_of_other_protocols_it_is_no_answer(pair: Pair) -> None:
    (syn,) = ladder("c> SYN 0", pair=pair)
    at = 14 + (9 if pair is IPV4 else 6)
    datagram = syn._replace(data=syn.data[:at] + b"\x11" + syn.data[at + 1 :])
    kind = 3 if pair is IPV4 else 1
    walked = walk(renumbered(syn, error(datagram, kind, 4 if pair is IPV6 else 3), error(syn, 0, 0)))
    assert [packet.labels for packet in walked.packets[1:]] == [("not-tcp",)] * 2


def test_damage_and_cuts_raise_nothing() -> None:
    dice = random.Random(792)
    for pair, kind in ((IPV4, 3), (IPV6, 1)):
        (syn,) = ladder("c> SYN 0", pair=pair)
        told = error(syn, kind, 1)
        for size in range(14, len(told.data)):
            shown(renumbered(syn, told._replace(data=told.data[:size])))
        for _ in range(100):
            changed = bytearray(told.data)
            for _ in range(dice.choice((1, 2, 5))):
                changed[dice.randrange(12, len(changed))] = dice.randrange(256)
            walk(renumbered(syn, told._replace(data=bytes(changed))))


def test_it_stays_with_its_conversation(tmp_path: Path) -> None:
    (first,), (second,) = ladder("c> SYN 0"), ladder("c> SYN 0", pair=IPV4._replace(client_port=40001))
    file = saved(tmp_path / "two.pcapng", [first, second, error(second, 3, 13), error(first, 3, 1)])
    for number, packets in ((0, [1, 4]), (1, [2, 3])):
        assert [packet.number for packet in lab.open(str(file), conversation=number)] == packets
        assert lab.compare(str(file), str(file), conversations=(number, number)).ours.left_out == 0
        events = lab.open(str(file), conversation=number).events()
        assert [event.packet for event in events if isinstance(event, PacketSent)] == packets
    assert [packet.number for packet in lab.open(str(file), filter="port 40001")] == [2, 3]
    sent = [event for event in lab.open(str(file)).events() if isinstance(event, PacketSent)]
    assert [event.answers for event in sent] == [None, None, 2, 1]
    assert [event.quotes for event in sent] == [None, None, 1, 0]


def saved(file: Path, frames: list[Frame]) -> Path:
    with file.open("wb") as out:
        writer = Writer(out)
        for frame in renumbered(*frames):
            writer.packet(frame, ())
    return file
