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
    "tcp/ecn":                 "1 2 3 3  8 9 10 11",
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
def test_the_kernels_agree_on_ecn_and_let_their_data_be_marked(played: Run) -> None:
    told = {packet.number: set(packet.labels) for packet in played.packets}
    assert told[1] == {"SYN", "ecn-offered"}
    assert told[2] == {"SYN-ACK", "ecn-accepted"}
    assert not {label for labels in list(told.values())[2:] for label in labels} & {"ecn-echo", "cwr"}
    for packet in played.packets:
        assert packet.frame is not None
        ect = packet.frame.data[15] & 3  # the last two bits of the IP header's second byte
        assert (ect == 2) == ("data" in packet.labels), packet.number
