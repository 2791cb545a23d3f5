"""How far a run goes on by itself: what is written is read, near misses are told what is near, and it stops there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import UsageError
from lab.events import Event, PacketArrived, PacketHeld, PacketLost, PacketSent, StateChanged, StepSeen
from lab.model import Above, Role, States
from lab.protocols.registry import PROTOCOLS
from lab.report.schema import trace
from lab.runs.until import END, Seen, Watch, until

SEEN = Seen(
    8, "client", ("FIN",), ("tcp.close.1",), frozenset({("client", "FIN-WAIT-1"), ("server", "ESTABLISHED")})
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("FIN", "FIN"), ("fin", "FIN"), (" client  fin ", "client FIN"), ("8", "8"), ("007", "7"),
        ("client=FIN-WAIT-1", "client=FIN-WAIT-1"), ("fin_wait1", "FIN-WAIT-1"), ("Client=fin wait 1", None),
        ("tcp.close.1", "tcp.close.1"), ("close.1", "tcp.close.1"), ("Close1", "tcp.close.1"),
        ("SYN, FIN OR 99", "SYN or FIN or 99"), ("server FIN, client=FIN-WAIT-1", "server FIN or client=FIN-WAIT-1"),
    ],
)  # fmt: skip
def test_it_is_read_as_it_is_written_and_holds_of_the_packet(text: str, same: str | None) -> None:
    if same is None:
        with pytest.raises(UsageError):
            until(text)
        return
    assert str(until(text)) == same
    assert until(same) == until(text)
    assert until(text).holds(SEEN)


@pytest.mark.parametrize(
    "text",
    ["SYN", "server", "9", "client=CLOSED", "ESTABLISHED SYN", "tcp.close.2", "FIN server, data", "end", "SYN or 9"],
)  # fmt: skip
def test_it_does_not_hold_of_another(text: str) -> None:
    assert not until(text).holds(SEEN)


def test_a_number_that_is_never_held_does_not_stop_too_late() -> None:
    assert until("7").holds(SEEN)


def test_a_state_without_an_end_is_that_of_either() -> None:
    assert until("ESTABLISHED").holds(SEEN)
    assert not until("client=ESTABLISHED").holds(SEEN)


def test_nothing_stops_what_goes_to_the_end() -> None:
    assert until(" End ") == END
    assert str(END) == "end"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("FNI", "'FNI'", "FIN"),
        ("SYNACK ClintHello", "'ClintHello'", "ClientHello"),
        ("sever=CLOSE-WAIT", "'sever=CLOSE-WAIT'", "server=CLOSE-WAIT"),
        ("server=CLOSEWAI", "'server=CLOSEWAI'", "server=CLOSE-WAIT"),
        ("tcp.clos.2", "'tcp.clos.2'", "tcp.close.2"),
        ("server=", "'server='", "server="),
        ("0", "'0'", ""),
        ("²", "'²'", "write a number"),
        ("", "''", "write a number"),
        ("FIN or", "'FIN or'", "write a number"),
        (",", "','", "write a number"),
        ("FIN end", "'end'", "leave out"),
        ("x" * 201, "…'", "write a number"),
    ],
)
def test_what_is_nothing_of_that_is_told_what_is_near(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        until(text)
    assert message in error.value.message.en
    assert hint in error.value.hint.en
    assert error.value.hint.zh


@given(st.text(max_size=250))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    try:
        found = until(text)
    except UsageError:
        return
    assert until(str(found)) == found


def test_every_label_state_and_step_can_be_said() -> None:
    """By its own name: what two of them are called is told apart by what stands before it."""
    states = {str(state) for each in PROTOCOLS for table in each.tables.values() for state in table.states}
    for label in trace()["$defs"]["label"]["enum"]:
        if not label.isdigit():
            assert until(label).holds(SEEN._replace(labels=(label,))), label
    for state in states:
        assert until(f"client={state}").holds(SEEN._replace(states=frozenset({("client", state)}))), state
    for step in trace()["$defs"]["step"]["enum"]:
        assert until(step).holds(SEEN._replace(steps=(step,))), step


# What is known of a packet when it is held.


def sent(number: int, sender: Role | None, states: States | None, *labels: str, above: tuple[Above, ...] = ()) -> Event:
    return PacketSent(
        number, None, 0, sender, (), 0, None, 0, None, 0, 0, labels, states, (), above, None
    )  # fmt: skip


def changed(number: int, end: Role, before: str, after: str, protocol: str = "tcp") -> Event:
    return StateChanged(number, 0, protocol, end, before, after, "")


def seen(*events: Event) -> list[Seen]:
    watch = Watch()
    return [found for event in events if (found := watch.hear(event)) is not None]


def test_a_packet_is_seen_with_its_labels_steps_and_both_ends_states() -> None:
    (found,) = seen(
        sent(1, "client", States("SYN-SENT", "LISTEN"), "SYN"),
        changed(1, "client", "CLOSED", "SYN-SENT"),
        StepSeen(1, 0, "tcp.open.1", ("tcp.open.1",)),
        PacketHeld(1),
    )
    assert found == Seen(
        1, "client", ("SYN",), ("tcp.open.1",), frozenset({("client", "SYN-SENT"), ("server", "LISTEN")})
    )


def test_a_state_that_has_come_and_gone_since_the_packet_before_counts_once() -> None:
    """The server closes at once: CLOSE-WAIT is over when its own FIN is held."""
    first, second, third = seen(
        sent(8, "client", States("FIN-WAIT-1", "ESTABLISHED"), "FIN"),
        PacketHeld(8),
        changed(8, "server", "ESTABLISHED", "CLOSE-WAIT"),
        sent(9, "server", States("FIN-WAIT-1", "LAST-ACK"), "FIN"),
        changed(9, "server", "CLOSE-WAIT", "LAST-ACK"),
        PacketHeld(9),
        PacketArrived(8, "journal", None, ()),
        sent(10, "client", States("TIME-WAIT", "LAST-ACK"), "ACK"),
        PacketHeld(10),
    )
    wanted = until("server=CLOSE-WAIT")
    assert [wanted.holds(each) for each in (first, second, third)] == [False, True, False]
    assert until("server=LAST-ACK").holds(second)


def test_states_of_what_is_carried_count_too() -> None:
    above = Above("tls", States("WAIT_SH", "START"), None)
    (found,) = seen(sent(4, "client", States("ESTABLISHED", "ESTABLISHED"), "data", above=(above,)), PacketHeld(4))
    assert until("client=WAIT_SH server=ESTABLISHED").holds(found)


def test_what_has_no_conversation_has_no_states_of_its_own() -> None:
    first, second = seen(
        sent(1, "client", States("SYN-SENT", "LISTEN"), "SYN"), PacketHeld(1),
        sent(2, None, None, "not-tcp"), PacketHeld(2),
    )  # fmt: skip
    assert second == Seen(2, None, ("not-tcp",), (), first.states)


def test_what_is_over_is_forgotten() -> None:
    watch = Watch()
    for number in range(1, 100):
        watch.hear(sent(number, "client", None, "SYN", "retransmission"))
        watch.hear(PacketLost(number, "journal", True))
    assert not watch._sent
