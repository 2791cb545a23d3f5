"""What the kernels were asked survives the capture it travels in; what does not fit is taken as not said."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.engine import asked, journal
from lab.engine.record import Record
from lab.model import Captured, Final, Frame, Kernels, Moved, Role, Settled, Socket, States, Timer
from tests.packets import kernels, ladder, replay

CONNECTION = Socket(
    "ESTABLISHED", "retransmission", 994, 0, 1_004_000, 3195, 1711, 10, None, 1448, 1, 0, 14, 65536, 64512, 1, 0, 0
)
LISTENER = Socket("LISTEN", receive_queue=0, send_queue=128, drops=0)
REQUEST = Socket("SYN-RECEIVED", "retransmission", 996, 0, drops=0)
WAITING = Socket("TIME-WAIT", "time-wait", 59_990, 0)
NUMBERS = st.none() | st.just(0) | st.integers(0, (1 << 63) - 1)
ENDS = st.builds(
    Socket,
    st.sampled_from(["ESTABLISHED", "LISTEN", "SYN-RECEIVED", "TIME-WAIT", "CLOSED", None]),
    st.none() | st.sampled_from(get_args(Timer)),
    *[NUMBERS] * 16,
) | st.sampled_from([CONNECTION, LISTENER, REQUEST, WAITING, Socket("CLOSED")])
COUNTERS = st.sampled_from(["TcpExt BeyondWindow", "TcpExt PAWSEstab", "Tcp InErrs", "Ip InHdrErrors"])
ROLES: st.SearchStrategy[Role] = st.sampled_from(["client", "server"])
MOVED = st.dictionaries(st.tuples(ROLES, COUNTERS), st.integers(1, 9))


def grown(moved: dict[tuple[Role, str], int]) -> tuple[Moved, ...]:
    return tuple(Moved(role, counter, by) for (role, counter), by in sorted(moved.items()))


KERNELS = st.builds(Kernels, ENDS, ENDS, MOVED.map(grown))


def through_json(said: Any) -> Any:
    return json.loads(json.dumps(said))


@given(KERNELS)
def test_what_is_written_is_what_is_read(said: Kernels) -> None:
    assert asked.read(said.states, through_json(asked.written(said))) == said


@given(KERNELS, KERNELS | st.none(), KERNELS)
def test_it_is_the_same_through_a_capture(held: Kernels, delivered: Kernels | None, final: Kernels) -> None:
    (frame,) = ladder("c> SYN 0")
    captured, settled = Captured(frame, 1, held), Settled(1, 2, delivered)
    (packet,) = replay([captured, settled]).packets
    line = journal.comment(packet)
    assert line is not None
    saved = frame._replace(comments=(line,))
    assert list(journal.events([saved], [journal.closing_comment(final)])) == [
        captured._replace(frame=saved), settled, Final(final)
    ]  # fmt: skip
    (again,) = replay(journal.events([saved])).packets
    assert (again.asked_held, again.kernel_held) == (held, held.states)
    assert (again.asked_delivered, again.kernel_delivered) == (delivered, delivered and delivered.states)
    assert journal.comment(again) == line


def test_of_a_connection_zeros_go_without_saying() -> None:
    assert asked.written(Kernels(CONNECTION, Socket("CLOSED"))) == {
        "client": {
            "timer": "retransmission", "expires": 994, "rto": 1_004_000, "rtt": 3195, "rttvar": 1711, "cwnd": 10,
            "mss": 1448, "unacked": 1, "sq": 14, "swnd": 65536, "rwnd": 64512, "acked": 1,
        }
    }  # fmt: skip
    assert asked.written(Kernels(LISTENER, REQUEST, (Moved("server", "TcpExt PAWSEstab", 2),))) == {
        "client": {"sq": 128},
        "server": {"timer": "retransmission", "expires": 996, "drops": 0},
        "moved": {"server": {"TcpExt PAWSEstab": 2}},
    }


def test_where_the_states_are_all_that_is_known_the_line_is_as_it_always_was() -> None:
    (frame,) = ladder("c> SYN 0")
    held, delivered = kernels("SYN-SENT", "LISTEN"), kernels("SYN-SENT", "CLOSED")
    (packet,) = replay([Captured(frame, 1, held), Settled(1, 2, delivered)]).packets
    assert journal.comment(packet) == (
        'lab1 {"arrived":1,"settled":2,"delivered":[],"kernel":{"held":{"client":"SYN-SENT","server":"LISTEN"},'
        '"delivered":{"client":"SYN-SENT","server":"CLOSED"}}}'
    )
    assert journal.closing_comment(kernels("TIME-WAIT", "CLOSED")) == (
        'lab1 {"final":{"client":"TIME-WAIT","server":"CLOSED"}}'
    )
    assert journal.closing_comment(None) == 'lab1 {"final":null}'


# Whoever hands us a capture may have written anything there.

STATES = States("ESTABLISHED", "LISTEN")


@pytest.mark.parametrize("said", [None, [], "client", 1, {"client": 1}, {"client": None, "moved": []}, {"moved": 3}])
def test_what_is_no_account_is_taken_as_not_said(said: object) -> None:
    assert asked.read(STATES, said) == kernels(*STATES)


@pytest.mark.parametrize("value", [-1, 1 << 63, 10**400, 1.5, True, "1", [], {}, float("inf")])
def test_a_field_that_does_not_fit_is_taken_as_not_said(value: object) -> None:
    found = asked.read(STATES, {"client": {"rto": 5, "cwnd": value, "drops": value, "sq": 9}}).client
    assert (found.rto, found.cwnd, found.drops, found.send_queue) == (5, None, None, 9)


@pytest.mark.parametrize("timer", ["\x1b[2J", "", 1, ["time-wait"], "Time-Wait", {}])
def test_a_timer_that_no_kernel_has_is_taken_as_not_said(timer: object) -> None:
    """It would be printed as the kernel's word."""
    found = asked.read(STATES, {"client": {"timer": timer, "expires": 7}}).client
    assert found == Socket("ESTABLISHED", expires=7)


@pytest.mark.parametrize("name", ["\x1b[2J", "TcpExt", "Tcp \u202eA", "TcpExt a b", "Udp InErrors", "Tcp " + "A" * 99])
def test_a_counter_that_no_kernel_spells_so_is_left_out(name: str) -> None:
    found = asked.read(STATES, {"moved": {"server": {name: 1, "Tcp InErrs": 1}, "nobody": {"Tcp InErrs": 1}}})
    assert found.moved == (("server", "Tcp InErrs", 1),)


@pytest.mark.parametrize("by", [0, -1, None, True, "1", 1 << 63])
def test_a_counter_that_has_not_grown_is_left_out(by: object) -> None:
    assert asked.read(STATES, {"moved": {"server": {"Tcp InErrs": by}}}).moved == ()


def test_of_very_many_counters_only_the_first_count() -> None:
    counters = {f"TcpExt A{number}": 1 for number in range(10_000)}
    assert len(asked.read(STATES, {"moved": {"client": counters, "server": counters}}).moved) == 64


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(get_args(Timer)),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(st.sampled_from([*asked.NAMES.values(), "client", "server", "moved"]), inside, max_size=5)
    ),
    max_leaves=20,
)


@given(ANYTHING)
def test_whatever_is_written_it_is_read_and_written_again_the_same(said: object) -> None:
    found = asked.read(STATES, said)
    assert found.states == STATES
    assert asked.read(STATES, through_json(asked.written(found))) == found
    held = Record(Frame(1, None, b"", 0), ())
    held.asked_held = found
    assert asked.read(STATES, asked.written(held.asked_held)) == found
