"""Explicit congestion notification: offers, answers, and flags that mean something only once both have agreed."""

from __future__ import annotations

import pytest

from lab.protocols.tcp.words import EXPLAINED, LABELS
from tests.packets import ladder, walk

OURS = {name for name in LABELS if name.startswith(("ecn-", "accecn-"))} | {"cwr"}
PLAIN, CLASSIC, ACCURATE = "c> SYN 0", "c> [SEC] 0", "c> [SECN] 0"
AGREED = (CLASSIC, "s> [SAE] 0 1", "c> ACK 1 1")


def ecn(*lines: str) -> list[list[str]]:
    """Returns, of each packet, the labels that are about ECN."""
    return [[label for label in record.labels if label in OURS] for record in walk(ladder(*lines)).records]


def test_ece_and_cwr_in_a_syn_are_an_offer_and_not_congestion() -> None:
    """RFC 3168 section 6.1.1."""
    assert ecn(CLASSIC) == [["ecn-offered"]]
    assert ecn(ACCURATE) == [["accecn-offered"]]
    assert ecn(PLAIN) == [[]]
    assert ecn("c> [SE] 0") == ecn("c> [SC] 0") == ecn("c> [SN] 0") == ecn("c> [SEN] 0") == [[]]


@pytest.mark.parametrize(
    ("offer", "answer", "label"),
    [
        (CLASSIC, "[SAE]", "ecn-accepted"),
        (CLASSIC, "[SAEN]", "ecn-accepted"),  # RFC 3540's nonce, which is history
        (CLASSIC, "[SA]", "ecn-declined"),
        (CLASSIC, "[SAEC]", "ecn-declined"),  # an end that mirrors what it does not know
        (CLASSIC, "[SAC]", "ecn-declined"),
        # RFC 9768 sections 3.1.1 and 3.1.3
        (ACCURATE, "[SAC]", "accecn-accepted"),
        (ACCURATE, "[SAEC]", "accecn-accepted"),
        (ACCURATE, "[SAN]", "accecn-accepted"),
        (ACCURATE, "[SACN]", "accecn-accepted"),
        (ACCURATE, "[SAEN]", "accecn-accepted"),
        (ACCURATE, "[SAE]", "ecn-accepted"),
        (ACCURATE, "[SA]", "ecn-declined"),
        (ACCURATE, "[SAECN]", "ecn-declined"),
    ],
)
def test_the_answer_says_what_is_agreed_on(offer: str, answer: str, label: str) -> None:
    again = f"s> {answer} 0 1"
    assert ecn(offer, again, again)[1:] == [[label], [label]]


@pytest.mark.parametrize("answer", ["[SA]", "[SAE]", "[SAC]", "[SAECN]"])
def test_an_answer_to_no_offer_accepts_nothing(answer: str) -> None:
    assert ecn(PLAIN, f"s> {answer} 0 1", "c> [AE] 1 1", "s> [AC] 1 1") == [[], [], [], []]
    assert ecn(f"s> {answer} 0 1") == [[]]


def test_behind_an_agreement_the_flags_are_an_echo_and_its_answer() -> None:
    """RFC 3168 sections 6.1.2 and 6.1.3."""
    talk = (*AGREED, "c> data 1 1 9", "s> [AE] 1 10", "c> [PAC] 10 1 9", "s> ACK 1 19", "s> [AEC] 1 19")
    assert ecn(*talk)[3:] == [[], ["ecn-echo"], ["cwr"], [], ["ecn-echo", "cwr"]]


def test_where_accurate_ecn_was_agreed_on_the_flags_are_a_counter() -> None:
    talk = (ACCURATE, "s> [SAC] 0 1", "c> [AC] 1 1", "s> [AEC] 1 1", "c> [AECN] 1 1")
    assert ecn(*talk)[2:] == [[], [], []]


def test_where_nobody_knows_what_was_agreed_on_the_flags_are_not_told() -> None:
    assert ecn("c> [PAE] 1 1 9", "s> [AC] 1 10") == [[], []]
    assert ecn(CLASSIC, "s> [SA] 0 1", "c> [AE] 1 1", "s> [AEC] 1 1")[2:] == [[], []]


def test_a_syn_without_the_offer_that_an_earlier_one_had_has_given_it_up() -> None:
    """RFC 3168 section 6.1.1.1. As Linux does it after the first timeout."""
    assert ecn(CLASSIC, PLAIN, "s> SYN-ACK 0 1") == [["ecn-offered"], ["ecn-given-up"], []]
    assert ecn(ACCURATE, CLASSIC, PLAIN, PLAIN) == [["accecn-offered"], ["ecn-offered"], *[["ecn-given-up"]] * 2]
    assert ecn(CLASSIC, CLASSIC) == [["ecn-offered"], ["ecn-offered"]]


def test_an_answer_to_the_offer_accepts_it_though_a_syn_without_it_has_followed() -> None:
    answer, data = "s> [SAE] 0 1", ("c> ACK 1 1", "s> [PAE] 1 1 5")
    assert ecn(CLASSIC, PLAIN, answer, *data)[2:] == [["ecn-accepted"], [], ["ecn-echo"]]
    assert ecn(CLASSIC, answer, PLAIN, *data)[1:] == [["ecn-accepted"], ["ecn-given-up"], [], ["ecn-echo"]]
    assert ecn(CLASSIC, PLAIN, "s> SYN-ACK 0 1", *data)[2:] == [[], [], []]


def test_each_is_told_in_words() -> None:
    assert LABELS.keys() & EXPLAINED.keys() >= OURS
