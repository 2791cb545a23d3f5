"""RFC 9293 section 3.10.7 branch by branch, and what RFC 5961, RFC 7323 and RFC 1337 add, written from their texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.protocols.tcp.arrives import (
    ADDITIONS,
    BRANCHES,
    RFC_1337,
    RFC_5961,
    Arriving,
    Outcome,
    Sent,
    Variables,
    acceptable,
    arrives,
)
from lab.protocols.tcp.segment import ACK, FIN, PSH, RST, SYN, URG
from lab.protocols.tcp.states import State

ISS, NEXT, WINDOW = 1000, 500, 100  # our SYN's number; the next that we expect, and how many we take
SYNCHRONIZED = (
    "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT",
)  # fmt: skip
RECEIVING = ("ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2")
OTHER = ("SYN-RECEIVED", *SYNCHRONIZED)
FIN_SENT = {"FIN-WAIT-1": False, "CLOSING": False, "LAST-ACK": False, "FIN-WAIT-2": True, "TIME-WAIT": True}
every_other = pytest.mark.parametrize("state", OTHER)
every_synchronized = pytest.mark.parametrize("state", SYNCHRONIZED)
every_receiving = pytest.mark.parametrize("state", RECEIVING)
PLAIN: frozenset[str] = frozenset()


def end(state: str, **more: object) -> Variables:
    """An end whose SYN has 1000 and whose peer's next number is 500; where it has sent a FIN, that has 1001."""
    fin = state in FIN_SENT
    una = {"SYN-SENT": ISS, "SYN-RECEIVED": ISS}.get(state, ISS + 1 + FIN_SENT.get(state, False))
    whole = Variables(state, ISS, una, ISS + 1 + fin, 200, NEXT, WINDOW, fin_sent=fin)
    return whole._replace(**more)  # type: ignore[arg-type]  # of each field its own


def ack_of(state: str) -> tuple[Sent, ...]:
    """<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, with which nothing is taken."""
    return (Sent(ACK, end(state).snd_nxt, NEXT),)


def told(outcome: Outcome) -> tuple[tuple[Sent, ...], str, tuple[str, ...]]:
    return outcome.sent, outcome.state, outcome.heard


def codes(outcome: Outcome) -> tuple[str, ...]:
    return tuple(branch.code for branch in outcome.branches)


# 3.10.7.1 CLOSED


def test_closed_discards_a_reset_and_answers_everything_else_by_one() -> None:
    assert told(arrives(end("CLOSED"), Arriving(RST, 7))) == ((), "CLOSED", ())
    assert arrives(end("CLOSED"), Arriving(ACK, 7, 9)).sent == (Sent(RST, 9, None),)
    assert arrives(end("CLOSED"), Arriving(SYN, 7)).sent == (Sent(RST | ACK, 0, 8),)
    assert arrives(end("CLOSED"), Arriving(PSH, 7, length=5)).sent == (Sent(RST | ACK, 0, 12),)
    assert arrives(end("CLOSED"), Arriving(SYN | FIN, 2**32 - 1)).sent == (Sent(RST | ACK, 0, 1),)


# 3.10.7.2 LISTEN


def test_listen_looks_at_rst_then_at_ack_then_at_syn() -> None:
    assert codes(arrives(end("LISTEN"), Arriving(RST | ACK | SYN, 7, 9))) == ("listen-rst",)
    assert told(arrives(end("LISTEN"), Arriving(SYN | ACK, 7, 9))) == ((Sent(RST, 9, None),), "LISTEN", ())
    assert told(arrives(end("LISTEN"), Arriving(SYN, 7))) == ((Sent(SYN | ACK, None, 8),), "SYN-RECEIVED", ())
    assert told(arrives(end("LISTEN"), Arriving(SYN | FIN, 7))) == ((Sent(SYN | ACK, None, 8),), "SYN-RECEIVED", ())
    assert told(arrives(end("LISTEN"), Arriving(FIN, 7))) == ((), "LISTEN", ())


# 3.10.7.3 SYN-SENT


@pytest.mark.parametrize("ack", [ISS, ISS - 1, ISS + 2])
def test_syn_sent_resets_an_ack_of_something_else(ack: int) -> None:
    for flags in (ACK, SYN | ACK, FIN | ACK):
        assert told(arrives(end("SYN-SENT"), Arriving(flags, 7, ack))) == ((Sent(RST, ack, None),), "SYN-SENT", ())
    assert told(arrives(end("SYN-SENT"), Arriving(RST | ACK, 7, ack))) == ((), "SYN-SENT", ())


def test_syn_sent_is_reset_only_by_a_rst_that_acknowledges_its_syn() -> None:
    assert told(arrives(end("SYN-SENT"), Arriving(RST | ACK, 7, ISS + 1))) == ((), "CLOSED", ("reset",))
    assert told(arrives(end("SYN-SENT"), Arriving(RST, 7))) == ((), "SYN-SENT", ())


def test_syn_sent_opens_with_a_syn_ack_and_both_at_once_with_a_syn() -> None:
    opened = arrives(end("SYN-SENT"), Arriving(SYN | ACK, 499, ISS + 1))
    assert told(opened) == ((Sent(ACK, ISS + 1, 500),), "ESTABLISHED", ("open",))
    both = arrives(end("SYN-SENT"), Arriving(SYN, 499))
    assert told(both) == ((Sent(SYN | ACK, ISS, 500),), "SYN-RECEIVED", ())


def test_syn_sent_goes_on_with_what_a_syn_ack_carries_and_acknowledges_once() -> None:
    opened = arrives(end("SYN-SENT"), Arriving(SYN | ACK | FIN, 499, ISS + 1, 10))
    assert told(opened) == ((Sent(ACK, ISS + 1, 511),), "CLOSE-WAIT", ("open", "data 10", "end"))


def test_syn_sent_drops_what_has_neither_syn_nor_rst() -> None:
    assert codes(arrives(end("SYN-SENT"), Arriving(ACK, 7, ISS + 1, 3))) == ("syn-sent-neither",)
    assert told(arrives(end("SYN-SENT"), Arriving(FIN, 7))) == ((), "SYN-SENT", ())


# 3.10.7.4, first: the sequence number


@pytest.mark.parametrize(
    ("window", "seq", "length", "taken"),
    [
        (0, NEXT, 0, True), (0, NEXT - 1, 0, False), (0, NEXT, 1, False),
        (100, NEXT, 0, True), (100, NEXT + 99, 0, True), (100, NEXT + 100, 0, False), (100, NEXT - 1, 0, False),
        (100, NEXT - 1, 1, False), (100, NEXT - 1, 2, True), (100, NEXT + 99, 50, True), (100, NEXT + 100, 1, False),
    ],
)  # fmt: skip
def test_table_6_says_what_is_acceptable(window: int, seq: int, length: int, taken: bool) -> None:
    for base in (0, 2**32 - 50 - NEXT):  # also where the numbers wrap around
        receiver = end("ESTABLISHED", rcv_wnd=window, rcv_nxt=(NEXT + base) % 2**32)
        assert acceptable(receiver, Arriving(ACK, (seq + base) % 2**32, length=length)) is taken


@every_other
def test_what_is_not_acceptable_is_answered_by_an_ack_but_a_rst_is_dropped(state: str) -> None:
    for flags in (ACK, SYN, FIN | ACK, 0):
        assert told(arrives(end(state), Arriving(flags, NEXT + 500, ISS + 1))) == (ack_of(state), state, ())
    assert told(arrives(end(state), Arriving(RST, NEXT + 500))) == ((), state, ())


# second: RST


@pytest.mark.parametrize(
    ("state", "passive", "to", "heard"),
    [
        ("SYN-RECEIVED", True, "LISTEN", ()),
        ("SYN-RECEIVED", False, "CLOSED", ("refused",)),
        *((state, True, "CLOSED", ("reset",)) for state in (*RECEIVING, "CLOSE-WAIT")),
        *((state, True, "CLOSED", ()) for state in ("CLOSING", "LAST-ACK", "TIME-WAIT")),
    ],
)
def test_an_exact_rst_ends_the_connection(state: str, passive: bool, to: str, heard: tuple[str, ...]) -> None:
    assert told(arrives(end(state, passive=passive), Arriving(RST, NEXT))) == ((), to, heard)
    assert told(arrives(end(state, passive=passive), Arriving(RST, NEXT + 1), PLAIN)) == ((), to, heard)


@every_other
def test_rfc_5961_answers_a_rst_that_is_not_exact_by_a_challenge(state: str) -> None:
    assert told(arrives(end(state), Arriving(RST, NEXT + 1))) == (ack_of(state), state, ())


def test_rfc_1337_has_time_wait_ignore_a_rst() -> None:
    for seq in (NEXT, NEXT + 1):
        assert told(arrives(end("TIME-WAIT"), Arriving(RST, seq), ADDITIONS | {RFC_1337})) == ((), "TIME-WAIT", ())
    assert arrives(end("CLOSING"), Arriving(RST, NEXT), ADDITIONS | {RFC_1337}).state == "CLOSED"


# fourth: SYN


def test_a_syn_in_the_window_takes_a_passive_open_back_to_listen() -> None:
    for additions in (ADDITIONS, PLAIN):
        assert told(arrives(end("SYN-RECEIVED"), Arriving(SYN, NEXT), additions)) == ((), "LISTEN", ())


@every_other
def test_rfc_5961_answers_any_other_syn_by_a_challenge(state: str) -> None:
    for flags in (SYN, SYN | ACK, SYN | FIN):
        outcome = arrives(end(state, passive=False), Arriving(flags, NEXT, ISS + 1))
        assert told(outcome) == (ack_of(state), state, ())


@every_synchronized
def test_without_rfc_5961_a_syn_in_the_window_resets(state: str) -> None:
    syn = arrives(end(state), Arriving(SYN, NEXT), PLAIN)
    assert told(syn) == ((Sent(RST | ACK, 0, NEXT + 1),), "CLOSED", ("reset",))
    assert arrives(end(state), Arriving(SYN | ACK, NEXT, 77), PLAIN).sent == (Sent(RST, 77, None),)


# fifth: ACK


@every_other
def test_without_an_ack_all_is_dropped(state: str) -> None:
    for flags in (0, FIN, PSH, URG):
        assert told(arrives(end(state), Arriving(flags, NEXT, length=3))) == ((), state, ())


def test_an_ack_of_the_syn_opens_and_goes_on() -> None:
    assert told(arrives(end("SYN-RECEIVED"), Arriving(ACK, NEXT, ISS + 1))) == ((), "ESTABLISHED", ("open",))
    more = arrives(end("SYN-RECEIVED"), Arriving(ACK | FIN, NEXT, ISS + 1, 10))
    assert told(more) == ((Sent(ACK, ISS + 1, NEXT + 11),), "CLOSE-WAIT", ("open", "data 10", "end"))


@pytest.mark.parametrize("ack", [ISS, ISS - 5000, ISS + 2])
def test_an_ack_that_does_not_acknowledge_the_syn_is_reset(ack: int) -> None:
    assert told(arrives(end("SYN-RECEIVED"), Arriving(ACK, NEXT, ack))) == ((Sent(RST, ack, None),), "SYN-RECEIVED", ())


@every_synchronized
def test_an_ack_of_what_was_never_sent_is_answered_and_dropped(state: str) -> None:
    for additions in (ADDITIONS, PLAIN):
        outcome = arrives(end(state), Arriving(ACK, NEXT, ISS + 10, 5), additions)
        assert told(outcome) == (ack_of(state), state, ())


@every_synchronized
def test_rfc_5961_refuses_an_ack_from_too_far_back(state: str) -> None:
    una = end(state).snd_una
    assert told(arrives(end(state), Arriving(ACK, NEXT, una - 201, 5))) == (ack_of(state), state, ())
    assert codes(arrives(end(state), Arriving(ACK, NEXT, una - 200)))[0] != "ack-range"
    assert codes(arrives(end(state), Arriving(ACK, NEXT, una - 201), frozenset()))[0] != "ack-range"


@pytest.mark.parametrize(
    ("state", "to"),
    [("FIN-WAIT-1", "FIN-WAIT-2"), ("CLOSING", "TIME-WAIT"), ("LAST-ACK", "CLOSED")],
)
def test_the_ack_of_our_fin_moves_on(state: str, to: str) -> None:
    assert told(arrives(end(state), Arriving(ACK, NEXT, ISS + 2))) == ((), to, ())
    assert told(arrives(end(state), Arriving(ACK, NEXT, ISS + 1))) == ((), state, ())


@every_synchronized
def test_an_ack_that_says_nothing_new_is_ignored(state: str) -> None:
    assert told(arrives(end(state), Arriving(ACK, NEXT, end(state).snd_una))) == ((), state, ())


# sixth: URG, seventh: text


@every_receiving
def test_data_is_delivered_and_acknowledged_and_urgent_is_told(state: str) -> None:
    heard = arrives(end(state), Arriving(ACK | URG, NEXT, ISS + 1, 10))
    assert told(heard) == ((Sent(ACK, end(state).snd_nxt, NEXT + 10),), state, ("urgent", "data 10"))


@every_receiving
def test_of_data_that_is_partly_old_the_new_is_delivered(state: str) -> None:
    heard = arrives(end(state), Arriving(ACK, NEXT - 4, ISS + 1, 10))
    assert told(heard) == ((Sent(ACK, end(state).snd_nxt, NEXT + 6),), state, ("data 6",))


@every_receiving
def test_data_ahead_is_kept_and_its_fin_waits_with_it(state: str) -> None:
    assert told(arrives(end(state), Arriving(ACK, NEXT + 10, ISS + 1, 10))) == (ack_of(state), state, ())
    assert told(arrives(end(state), Arriving(ACK | FIN, NEXT + 10, ISS + 1, 10))) == (ack_of(state), state, ())
    assert told(arrives(end(state), Arriving(ACK | FIN, NEXT + 10, ISS + 1))) == (ack_of(state), state, ())


@pytest.mark.parametrize("state", ["CLOSE-WAIT", "LAST-ACK", "TIME-WAIT"])
def test_behind_the_peers_fin_text_and_urg_are_ignored(state: str) -> None:
    assert told(arrives(end(state), Arriving(ACK | URG, NEXT, ISS + 1, 10))) == ((), state, ())


# eighth: FIN


@pytest.mark.parametrize(
    ("state", "ack", "to"),
    [
        ("SYN-RECEIVED", ISS + 1, "CLOSE-WAIT"), ("ESTABLISHED", ISS + 1, "CLOSE-WAIT"),
        ("FIN-WAIT-1", ISS + 1, "CLOSING"), ("FIN-WAIT-1", ISS + 2, "TIME-WAIT"), ("FIN-WAIT-2", ISS + 2, "TIME-WAIT"),
    ],
)  # fmt: skip
def test_the_peers_fin_is_told_acknowledged_and_moves_on(state: str, ack: int, to: str) -> None:
    outcome = arrives(end(state), Arriving(ACK | FIN, NEXT, ack))
    assert outcome.sent == (Sent(ACK, end(state).snd_nxt, NEXT + 1),)
    assert (outcome.state, outcome.heard[-1]) == (to, "end")


@pytest.mark.parametrize("state", ["CLOSE-WAIT", "LAST-ACK", "TIME-WAIT"])
def test_a_fin_sent_again_is_acknowledged_once_more(state: str) -> None:
    assert told(arrives(end(state), Arriving(ACK | FIN, NEXT - 1, ISS + 1))) == (ack_of(state), state, ())
    assert told(arrives(end(state), Arriving(ACK | FIN, NEXT, ISS + 1))) == (ack_of(state), state, ())


# RFC 7323, the checksum, and the program


@every_other
def test_an_old_timestamp_is_answered_and_dropped(state: str) -> None:
    stamped = end(state, ts_recent=50)
    assert told(arrives(stamped, Arriving(ACK, NEXT, ISS + 1, 5, tsval=49))) == (ack_of(state), state, ())
    assert codes(arrives(stamped, Arriving(ACK, NEXT, ISS + 1, 5, tsval=50)))[0] != "paws"
    assert codes(arrives(stamped, Arriving(RST, NEXT, tsval=49)))[0] != "paws"
    assert codes(arrives(stamped, Arriving(ACK, NEXT, ISS + 1, 5, tsval=49), frozenset({RFC_5961})))[0] != "paws"
    assert codes(arrives(end(state), Arriving(ACK, NEXT, ISS + 1, 5, tsval=49)))[0] != "paws"


@pytest.mark.parametrize("state", list(State))
def test_a_wrong_checksum_does_nothing_at_all(state: str) -> None:
    assert told(arrives(end(state), Arriving(SYN, NEXT, damaged=True))) == ((), state, ())


def test_a_program_that_has_gone_hears_nothing() -> None:
    assert arrives(end("FIN-WAIT-2", user=False), Arriving(ACK | FIN, NEXT, ISS + 2, 10)).heard == ()


def test_an_ack_of_data_is_taken() -> None:
    outcome = arrives(end("ESTABLISHED", snd_nxt=ISS + 11), Arriving(ACK, NEXT, ISS + 5))
    assert told(outcome) == ((), "ESTABLISHED", ())
    assert codes(outcome) == ("ack",)


def test_every_branch_is_reached_by_some_segment() -> None:
    reached = {
        code
        for state in State
        for passive in (True, False)
        for flags in (0, ACK, SYN, SYN | ACK, RST, RST | ACK, ACK | FIN, ACK | FIN | URG)
        for seq in (NEXT, NEXT + 1, NEXT + 500)
        for ack in (ISS, ISS + 1, ISS + 2, ISS + 10, ISS - 5000)
        for length in (0, 10)
        for additions in (ADDITIONS, PLAIN, ADDITIONS | {RFC_1337})
        for stamp in (None, 49)
        for code in codes(
            arrives(end(state, passive=passive, ts_recent=50), Arriving(flags, seq, ack, length, stamp), additions)
        )
    }
    assert reached | {"checksum", "ack"} == BRANCHES.keys()


NUMBERS = st.integers(0, 2**32 - 1)


@given(
    st.sampled_from(list(State)), NUMBERS, NUMBERS, st.integers(0, 511), NUMBERS, NUMBERS, st.integers(0, 70000),
    st.booleans(), st.sampled_from([ADDITIONS, PLAIN]),
)  # fmt: skip
def test_whatever_arrives_is_answered_by_one_segment_at_most_and_never_a_rst_by_a_rst(
    state: str, iss: int, next_: int, flags: int, seq: int, ack: int, length: int, passive: bool,
    additions: frozenset[str],
) -> None:  # fmt: skip
    variables = Variables(state, iss, iss, (iss + 1) % 2**32, 200, next_, WINDOW, passive)
    outcome = arrives(variables, Arriving(flags, seq, ack, length), additions)
    assert len(outcome.sent) <= 1
    assert outcome.branches
    if flags & RST:
        assert not any(each.flags & RST for each in outcome.sent)
