"""The TCP scenarios: in which packets each step of the notes is seen."""

from __future__ import annotations

import errno
import os
from pathlib import Path as File

import pytest

from lab.protocols.catalogue import scenario, scenarios
from lab.protocols.tcp.scenarios import SCENARIOS
from lab.testbed.stage import Host
from tests.runs import Run, play, read, saved
from tests.scenarios.plays import every, only

# Opening and closing: of each step the packets that it is seen in, `-` for none, and how it departs from the notes.
STEPS = {
    "tcp/connection":          "1 2 3 3  8 9 10 11",
    "tcp/three-segment-close": "1 2 3 3  8 9:merged 9:merged 10",
    "tcp/server-closes-first": "1 2 3 3  8:server-closes-first 9 10 11",
    "tcp/half-close":          "1 2 3 3  6 7 10:half-close 11",
    "tcp/simultaneous-close":  "1 2 3 3  8 10:simultaneous-close 9:simultaneous-close 11:simultaneous-close",
    "tcp/simultaneous-open":   "1,2:simultaneous-open 3:simultaneous-open 4:simultaneous-open 3,4:simultaneous-open"
                               "  11 12 13 14",
    "tcp/refused":             "1 -:refused -:refused -:refused  -:refused -:refused -:refused -:refused",
    "tcp/reset":               "1 2 3 3  -:reset -:reset -:reset -:reset",
    "tcp/syn-lost":            "1,2:retransmitted 3 4 4  9 10 11 12",
    "tcp/syn-ack-lost":        "1,3:retransmitted 2,4:retransmitted 5 5  10 11 12 13",
    "tcp/no-answer":           "1,2:unanswered -:unanswered -:unanswered -:unanswered"
                               "  -:unanswered -:unanswered -:unanswered -:unanswered",
    "tcp/final-ack-lost":      "1 2 3:lost 4  6 7 8 9",
    "tcp/in-trouble":          "1,2:retransmitted 3,5:retransmitted 4,6:retransmitted 6  12 13 14 15",
    "tcp/fin-lost":            "1 2 3 3  8,9:retransmitted 10 11 12",
    "tcp/last-ack-lost":       "1 2 3 3  8 9 10,12:retransmitted 11,13:retransmitted",
    "tcp/ecn":                 "1 2 3 3  10 11 12 13",
    "tcp/bad-checksum":        "1 2 3 3  9 10 11 12",
    "tcp/challenge-ack":       "1 2 3 3  12 13 14 15",
    "tcp/blind-reset":         "1 2 3 3  -:reset -:reset -:reset -:reset",
    "tcp/old-timestamp":       "1 2 3 3  10 11 12 13",
    "tcp/zero-window":         "1 2 3 3  last-3 last-2 last-1 last",  # how much a buffer takes, kernels decide
    "tcp/half-open":           "1 2 3 3  -:reset -:reset -:reset -:reset",
    "tcp/half-open-found":     "1 2 3 3  -:reset -:reset -:reset -:reset  4,7:retransmitted 8 9 9  14 15 16 17",
    "tcp/accept-queue-full":   "1,2:retransmitted 3,5:retransmitted 4,6:retransmitted 6  11 12 13 14",
    "tcp/syn-cookies":         "1 2:syn-cookie 3 3  8 9 10 11",
    "tcp/address-in-use":      "1 2 3 3  8:server-closes-first 9 10 11  12 13 14 14  19 20 21 22",
    "tcp/close-in-syn-sent":   "1 2 -:reset -:reset  -:reset -:reset -:reset -:reset",
    "tcp/listener-closes":     "1 2 3 -:reset  -:reset -:reset -:reset -:reset",
    "tcp/fast-retransmit":     "1 2 3 3  15 16 17 18",
    "tcp/window-scale":        "1 2 3 3  last-3 last-2 last-1 last",  # how many segments one ACK covers, kernels decide
    "tcp/close-with-data-unread": "1 2 3 3  -:reset -:reset -:reset -:reset",
    "tcp/write-after-close":   "1 2 3 3  8:server-closes-first 9 -:reset -:reset",
    "tcp/close-wait-leak":     "1 2 3 3  8 9 10 -:reset",
}  # fmt: skip


def test_every_scenario_is_expected() -> None:
    assert list(STEPS) == [each.name for each in SCENARIOS]
    assert set(STEPS) == {each.name for each in scenarios() if each.name.startswith("tcp/")}


@every("tcp")
def test_the_steps_are_those_of_the_scenario(played: Run) -> None:
    steps = [
        (",".join(map(str, step.packets)) or "-") + (f":{step.differs.code}" if step.differs else "")
        for which in played.conversations
        for step in which.steps
    ]
    wanted = STEPS[played.scenario.name].split()
    last = len(played.packets)
    wanted = [str(last - int(each[5:] or 0)) if each.startswith("last") else each for each in wanted]
    assert steps == wanted, played.shows(" ".join(wanted), " ".join(steps))


@only("tcp/ecn")
def test_the_kernels_agree_on_ecn_echo_a_mark_and_slow_down(played: Run) -> None:
    labels = [packet.labels for packet in played.packets]
    assert labels[:9] == [
        ("SYN", "ecn-offered"), ("SYN-ACK", "ecn-accepted"), ("ACK",), ("data",), ("ACK", "ecn-echo"),
        ("data", "ecn-echo"), ("ACK",), ("data", "cwr"), ("ACK",),
    ]  # fmt: skip
    marks = [packet.frame.data[15] & 3 for packet in played.packets if packet.frame]  # in the IP header: ECN
    assert [(number, mark) for number, mark in enumerate(marks, 1) if mark] == [(4, 3), (6, 2), (8, 2)]


# What a receiver's kernel refuses: the packet, whether it was forged, why, what has counted it, and the answer.
_ON_OPEN = {"TcpExt TCPChallengeACK": 1, "TcpExt TCPSYNChallenge": 1, "Tcp InErrs": 1}
_OVERFLOWS = {"TcpExt ListenOverflows": 1, "TcpExt ListenDrops": 1}
_Refused = list[tuple[int, bool, str, dict[str, int], str | None]]
REFUSED: dict[str, _Refused] = {
    "tcp/refused":           [(1, False, "no-listener", {"Tcp OutRsts": 1}, "RST")],
    "tcp/in-trouble":        [
        (5, False, "syn-ack-on-connection", _ON_OPEN, "ACK"),
        (9, False, "bad-checksum", {"Tcp InErrs": 1, "Tcp InCsumErrors": 1}, None),
    ],
    "tcp/bad-checksum":      [(4, False, "bad-checksum", {"Tcp InErrs": 1, "Tcp InCsumErrors": 1}, None)],
    "tcp/challenge-ack":     [
        (8, True, "syn-on-connection", _ON_OPEN, "ACK"),
        (10, True, "ack-of-unsent", {"TcpExt TCPChallengeACK": 1}, "ACK"),
    ],
    "tcp/blind-reset":       [
        (8, True, "reset-outside", {}, None),
        (9, True, "reset-not-exact", {"TcpExt TCPChallengeACK": 1}, "ACK"),
        (14, False, "no-connection", {"Tcp OutRsts": 1}, "RST"),
    ],
    "tcp/old-timestamp":     [(8, True, "old-timestamp", {"TcpExt PAWSEstab": 1}, "ACK")],
    "tcp/syn-ack-lost":      [(3, False, "syn-again", {"TcpExt TCPSynRetrans": 1}, "SYN-ACK")],
    "tcp/half-open":         [(8, False, "no-connection", {"Tcp OutRsts": 1}, "RST")],
    "tcp/half-open-found":   [
        (4, False, "syn-on-connection", _ON_OPEN, "ACK"),
        (5, False, "syn-not-acknowledged", {"Tcp OutRsts": 1}, "RST"),
    ],
    "tcp/accept-queue-full": [
        (1, False, "accept-queue-full", _OVERFLOWS, None),
        (4, False, "accept-queue-full", _OVERFLOWS, None),
        (5, False, "syn-ack-on-connection", _ON_OPEN, "ACK"),
    ],
    "tcp/close-in-syn-sent": [(2, False, "no-connection", {"Tcp OutRsts": 1}, "RST")],
    "tcp/listener-closes":   [(3, False, "no-connection", {"Tcp OutRsts": 1}, "RST")],
    "tcp/write-after-close": [(10, False, "data-after-close", {"Tcp OutRsts": 1}, "RST")],
    "tcp/close-wait-leak":   [(10, False, "no-connection", {"Tcp OutRsts": 1}, "RST")],
}  # fmt: skip


@every("tcp")
def test_what_a_kernel_refuses_moves_nobody_and_its_counters_say_why(played: Run) -> None:
    found = [
        (packet.number, "forged" in packet.labels, why.code, dict(why.counters), why.answer)
        for packet in played.packets
        if (why := packet.refused)
    ]
    wanted: _Refused = REFUSED.get(played.scenario.name, [])
    if played.scenario.name == "tcp/zero-window":
        (probe,) = played.of("client", "keep-alive")
        wanted = [(probe.number, False, "outside-window", {}, "ACK")]
        assert played.of("server", "zero-window")[0].number == probe.number - 1
    assert found == wanted, played.shows(wanted, str(found))
    for packet in played.packets:
        if packet.refused and packet.refused.answer != "RST":
            assert packet.delivered == packet.held
            assert packet.refused.agrees is not False


@only("tcp/syn-cookies")
def test_a_cookie_is_remembered_by_nobody_but_the_number_itself(played: Run) -> None:
    syn, cookie, ack = played.packets[:3]
    assert [each.kernel_delivered and each.kernel_delivered.server for each in (syn, cookie, ack)] == [
        "LISTEN", "LISTEN", "ESTABLISHED",
    ]  # fmt: skip
    assert syn.verdict is not None
    assert (syn.verdict.code, syn.refused) == ("syn-cookie", None)
    assert ack.asked_delivered is not None
    assert ("server", "TcpExt SyncookiesRecv", 1) in ack.asked_delivered.moved


@only("tcp/fast-retransmit")
def test_three_duplicate_acks_bring_what_is_missing_before_any_timer_does(played: Run) -> None:
    lost = played.packets[4]
    assert lost.fate == "lost"
    duplicates = played.of("server", "duplicate-ack")
    assert [each.number for each in duplicates] == [10, 11, 12]
    assert {each.ack for each in duplicates} == {lost.seq}
    assert all(b"\x05\x0a" in each.frame.data[54:] for each in duplicates if each.frame)  # SACK, one block
    again = played.packets[12]
    assert (again.seq, again.labels) == (lost.seq, ("data", "retransmission"))
    assert (played.packets[13].ack, played.packets[13].labels) == (played.packets[7].stop, ("ACK",))


@only("tcp/window-scale")
def test_without_the_syns_nobody_knows_how_much_the_window_is_scaled(played: Run, tmp_path: File) -> None:
    told = played.only.facts["tcp"]["options"]
    assert told["client"]["window_scale"]
    assert told["server"]["window_scale"]
    cut = read(saved((frame._replace(comments=()) for frame in played.frames[3:]), tmp_path / "cut.pcapng"))
    (which,) = cut.conversations
    assert which.facts["tcp"]["options"] == {"client": None, "server": None}
    labels = {label for packet in cut.packets for label in packet.labels}
    assert labels == {"data", "ACK", "FIN"}, "nothing is called wrong"


@pytest.mark.parametrize(
    ("name", "role", "method", "error"),
    [
        ("tcp/no-answer", "client", "connected", errno.ETIMEDOUT),
        ("tcp/address-in-use", "server", "listen", errno.EADDRINUSE),
        ("tcp/write-after-close", "client", "send", errno.EPIPE),
    ],
)
def test_a_program_hears_what_no_packet_shows(
    namespaces: None, monkeypatch: pytest.MonkeyPatch, tmp_path: File, name: str, role: str, method: str, error: int
) -> None:
    heard, once = tmp_path / "heard", Host._once  # a file: a script is played in a process of its own

    def noted(host: Host, method: str, arguments: tuple[object, ...]) -> tuple[bool, object]:
        try:
            return once(host, method, arguments)
        except OSError as failed:
            with heard.open("a") as stream:
                stream.write(f"{host.role} {method}: {failed}\n")
            raise

    monkeypatch.setattr(Host, "_once", noted)
    play(scenario(name), tmp_path / "run.pcapng")
    assert heard.read_text().splitlines() == [f"{role} {method}: {os.strerror(error)}"]
