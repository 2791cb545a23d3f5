"""The TCP scenarios: in which packets each step of the notes is seen."""

from __future__ import annotations

from lab.protocols.catalogue import scenarios
from lab.protocols.tcp.scenarios import SCENARIOS
from tests.runs import Run
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
    "tcp/final-ack-lost":      "1 2 3:lost 4  6 7 8 9",
    "tcp/last-ack-lost":       "1 2 3 3  8 9 10,12:retransmitted 11,13:retransmitted",
    "tcp/ecn":                 "1 2 3 3  10 11 12 13",
}  # fmt: skip


def test_every_scenario_is_expected() -> None:
    assert list(STEPS) == [each.name for each in SCENARIOS]
    assert set(STEPS) == {each.name for each in scenarios() if each.name.startswith("tcp/")}


@every("tcp")
def test_the_steps_are_those_of_the_scenario(played: Run) -> None:
    steps = [
        (",".join(map(str, step.packets)) or "-") + (f":{step.differs.code}" if step.differs else "")
        for step in played.only.steps
    ]
    wanted = STEPS[played.scenario.name].split()
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
