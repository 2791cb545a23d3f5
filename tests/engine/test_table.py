"""Every protocol's table has the shape that the engine, the notes and the picture rely on."""

from __future__ import annotations

import re
from enum import StrEnum
from itertools import groupby

import pytest

from lab.engine.protocol import Descriptor
from lab.engine.table import Row, Table
from lab.model import Role
from lab.protocols.notes import notes
from lab.protocols.registry import PROTOCOLS
from lab.text import LANGUAGES, Text

# Section 3 of RFC 9293 as its table of contents has it: a section's number, and how many sections it has inside.
INSIDE = {
    "3": 10,
    "3.3": 2,
    "3.4": 3,
    "3.5": 3,
    "3.6": 1,
    "3.7": 5,
    "3.8": 6,
    "3.8.6": 3,
    "3.9": 2,
    "3.10": 8,
    "3.10.7": 4,
}
SECTIONS = {f"{outer}.{at}" for outer, count in INSIDE.items() for at in range(1, count + 1)}
RFC_STATES = {
    "LISTEN", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING",
    "LAST-ACK", "TIME-WAIT", "CLOSED",
}  # fmt: skip

every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
# TCP's ends share a table, TLS's have one each.
TABLES = {f"{protocol.name} {role}": (role, table) for protocol in PROTOCOLS for role, table in protocol.tables.items()}
every_table = pytest.mark.parametrize(("role", "table"), TABLES.values(), ids=TABLES)


def rows_of(protocol: Descriptor) -> list[Row]:
    """Returns the rows of both ends."""
    return [row for table in protocol.tables.values() for row in table.rows]


def states_of(protocol: Descriptor) -> set[str]:
    return {name for row in rows_of(protocol) for name in (row.state, row.to)}


def steps_of(row: Row) -> list[str]:
    """Returns the steps that a row may be: `tcp.close.1/3` is two."""
    if row.step is None:
        return []
    phase, _, numbers = row.step.rpartition(".")
    return [f"{phase}.{number}" for number in numbers.split("/")]


@every_table
def test_every_state_can_be_reached_from_where_the_ends_start(role: Role, table: Table) -> None:
    reached = set(table.starts.values())
    while more := {row.to for row in table.rows if row.state in reached} - reached:
        reached |= more
    assert reached == set(table.states)


@every_table
def test_an_end_starts_in_a_state_of_its_table(role: Role, table: Table) -> None:
    assert role in table.starts
    assert set(table.starts.values()) <= set(table.states)


@every_table
def test_no_two_rows_are_for_the_same_event_in_the_same_state(role: Role, table: Table) -> None:
    keys = [(row.state, row.on) for row in table.rows]
    assert len(keys) == len(set(keys))


@every_table
def test_the_holes_are_all_that_no_row_is_for(role: Role, table: Table) -> None:
    everything = {(state, on) for state in table.states for on in table.events}
    rows = {(row.state, row.on) for row in table.rows}
    assert set(table.holes) == everything - rows
    assert len(table.holes) == len(everything) - len(rows)
    assert all(table.row(*hole) is None for hole in table.holes)
    assert all(table.row(row.state, row.on) is row for row in table.rows)


@every_table
def test_every_event_is_something_sent_or_got_or_the_end_of_tcp(role: Role, table: Table) -> None:
    assert all(re.fullmatch(r"(sent|got) \S.*|TCP closed", event) for event in table.events)


@every_protocol
def test_steps_are_numbered_from_1_without_gaps_in_every_phase(protocol: Descriptor) -> None:
    ids = sorted({step for row in rows_of(protocol) for step in steps_of(row)})
    for phase, steps in groupby(ids, key=lambda step: step.rpartition(".")[0]):
        numbers = [int(step.rpartition(".")[2]) for step in steps]
        assert numbers == list(range(1, len(numbers) + 1)), phase
        assert phase.split(".")[0] == protocol.name


@every_protocol
def test_every_step_of_a_row_has_a_note_and_every_note_a_row(protocol: Descriptor) -> None:
    in_rows = {step for row in rows_of(protocol) for step in steps_of(row)}
    assert in_rows == set(notes(protocol.name).steps)


@every_protocol
def test_every_note_is_written_in_both_languages(protocol: Descriptor) -> None:
    lesson = notes(protocol.name)
    texts: dict[str, Text] = dict(lesson.differs)
    texts |= {state.name: state.text for state in lesson.states.values()}
    texts |= {"about": lesson.about} if lesson.about else {}
    texts |= {f"{step.id} {part}": getattr(step, part) for step in lesson.steps.values() for part in step._fields[2:6]}
    texts |= {f"{at} {part}": getattr(each, part) for at, each in lesson.instead.items() for part in each._fields[3:5]}
    texts |= {
        f"{each.name} {part}": getattr(each, part) for each in lesson.scenarios.values() for part in each._fields[1:]
    }
    assert texts
    for where, text in texts.items():
        assert isinstance(text, Text), where
        assert all(text.pick(lang).strip() for lang in LANGUAGES), where
        assert re.search(r"[\u4e00-\u9fff]", text.zh) or text.en == text.zh == text.en.upper(), where  # TLS 1
        assert not re.search(r"[\u4e00-\u9fff]", text.en), where


@every_protocol
def test_what_is_said_instead_is_said_of_a_step_that_departs_in_a_way_there_is(protocol: Descriptor) -> None:
    lesson = notes(protocol.name)
    assert all(step in lesson.steps and code in lesson.differs for step, code in lesson.instead)


@every_protocol
def test_both_languages_name_the_same_roles_and_packets(protocol: Descriptor) -> None:
    lesson = notes(protocol.name)
    texts = [part for step in (*lesson.steps.values(), *lesson.instead.values()) for part in step[2:6]]
    for text in [*texts, *lesson.differs.values(), *lesson.known.values()]:
        assert isinstance(text, Text)
        fields = [set(re.findall(r"\{\w*\}", text.pick(lang))) for lang in LANGUAGES]
        assert fields[0] == fields[1], text
        assert fields[0] <= {"{actor}", "{peer}", "{packets}", "{gone}"}, text


@every_protocol
def test_every_state_of_the_table_is_explained_and_no_other(protocol: Descriptor) -> None:
    assert set(notes(protocol.name).states) == states_of(protocol)
    for step in notes(protocol.name).steps.values():
        assert set(step.leads_to.values()) <= states_of(protocol), step.id


def test_the_states_of_tls_1_3_are_those_of_the_rfcs_pictures() -> None:
    """RFC 9846, appendices A.1 and A.2. Not drawn here: what only a computer's inside shows."""
    (tls,) = (protocol for protocol in PROTOCOLS if protocol.name == "tls")
    pictured: dict[Role, set[str]] = {
        "client": {
            "START", "WAIT_SH", "WAIT_EE", "WAIT_CERT_CR", "WAIT_CERT", "WAIT_CV", "WAIT_FINISHED", "CONNECTED",
        },
        "server": {
            "START", "RECVD_CH", "NEGOTIATED", "WAIT_EOED", "WAIT_FLIGHT2", "WAIT_CV", "WAIT_FINISHED", "CONNECTED",
        },
    }  # fmt: skip
    for role, names in pictured.items():
        ours = {name for name in tls.tables[role].states if not name.endswith("_12")}
        assert names <= ours
        assert ours - names <= {"SEND_FINISHED", "CLOSE_SENT", "CLOSE_GOT", "CLOSED", "FAILED"}


def test_in_tls_every_one_of_the_six_steps_is_in_the_rows() -> None:
    (tls,) = (protocol for protocol in PROTOCOLS if protocol.name == "tls")
    assert {step for row in rows_of(tls) for step in steps_of(row)} == {f"tls.{number}" for number in range(1, 7)}


@every_table
def test_nothing_leads_out_of_an_end_that_has_failed(role: Role, table: Table) -> None:
    assert not [row for row in table.rows if row.state == "FAILED" and row.to != "FAILED"]


def test_the_states_of_tcp_are_the_eleven_of_the_rfc() -> None:
    (tcp,) = (protocol for protocol in PROTOCOLS if protocol.name == "tcp")
    assert set(tcp.tables["client"].states) == RFC_STATES


def test_every_row_of_tcp_names_a_section_that_rfc_9293_has() -> None:
    (tcp,) = (protocol for protocol in PROTOCOLS if protocol.name == "tcp")
    cited = {row.source for row in tcp.tables["client"].rows}
    assert {each for each in cited if each.startswith("RFC ")} == {"RFC 4987 3.6"}, "SYN cookies, which it has not"
    assert {each for each in cited if not each.startswith("RFC ")} <= SECTIONS
    for step in notes("tcp").steps.values():
        assert set(re.findall(r"\d+(?:\.\d+)+", step.rfc)) <= SECTIONS, step.id


# RFC 9293, figure 5: every arrow that a segment is sent or got at. Whole segments: what follows from one is one arrow.
FIGURE_5 = [
    ("CLOSED", ["sent SYN"], "SYN-SENT"),
    ("LISTEN", ["got SYN"], "SYN-RECEIVED"),
    ("LISTEN", ["sent SYN"], "SYN-SENT"),
    ("SYN-SENT", ["got SYN"], "SYN-RECEIVED"),
    ("SYN-SENT", ["got SYN-ACK"], "ESTABLISHED"),
    ("SYN-RECEIVED", ["got ACK of SYN"], "ESTABLISHED"),
    ("SYN-RECEIVED", ["sent FIN"], "FIN-WAIT-1"),
    ("SYN-RECEIVED", ["got RST"], "LISTEN"),
    ("ESTABLISHED", ["sent FIN"], "FIN-WAIT-1"),
    ("ESTABLISHED", ["got FIN"], "CLOSE-WAIT"),
    ("FIN-WAIT-1", ["got ACK of FIN"], "FIN-WAIT-2"),
    ("FIN-WAIT-1", ["got FIN"], "CLOSING"),
    ("FIN-WAIT-1", ["got ACK of FIN", "got FIN"], "TIME-WAIT"),
    ("FIN-WAIT-2", ["got FIN"], "TIME-WAIT"),
    ("CLOSING", ["got ACK of FIN"], "TIME-WAIT"),
    ("CLOSE-WAIT", ["sent FIN"], "LAST-ACK"),
    ("LAST-ACK", ["got ACK of FIN"], "CLOSED"),
]


@pytest.mark.parametrize(("state", "events", "to"), FIGURE_5)
def test_the_table_of_tcp_has_the_arrows_of_the_rfcs_picture(state: str, events: list[str], to: str) -> None:
    (tcp,) = (protocol for protocol in PROTOCOLS if protocol.name == "tcp")
    for event in events:
        row = tcp.tables["client"].row(state, event)
        assert row, (state, event)
        state = row.to
    assert state == to


def test_the_table_of_tcp_has_no_other_arrows_but_those_of_a_reset_and_of_both_ends_at_once() -> None:
    (tcp,) = (protocol for protocol in PROTOCOLS if protocol.name == "tcp")
    pictured = {(state, events[0]) for state, events, _ in FIGURE_5 if len(events) == 1}
    others = {
        (row.state, row.on) for row in tcp.tables["client"].rows if row.to != row.state and "RST" not in row.on
    } - pictured
    assert others == {
        ("SYN-RECEIVED", "got SYN-ACK"),  # RFC 9293 figure 7, line 6: the answer is an ACK of the SYN too
        ("LISTEN", "got ACK of SYN"),  # RFC 4987 section 3.6: a SYN cookie comes back
    }
    resets = {
        row.state: row.to for row in tcp.tables["client"].rows if row.on in ("sent RST", "got RST", "got RST (active)")
    }
    # A listener, and RFC 9293 section 3.10.7.3: an end in SYN-SENT refuses a wrong acknowledgement and goes on waiting.
    assert {state for state, to in resets.items() if to != "CLOSED"} == {"LISTEN", "SYN-SENT"}
    assert set(resets) == RFC_STATES


# The table itself.


class States(StrEnum):
    A, B, C = "A", "B", "C"


class Events(StrEnum):
    X = "got X"


@pytest.mark.parametrize("names", [("D", "got X", "A"), ("A", "got Z", "A"), ("A", "got X", "D")])
def test_a_name_that_is_no_state_or_event_is_refused(names: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        Table("toy", States, Events, [Row(*names, None, "1")], {"client": "A", "server": "A"})


def test_two_rows_for_the_same_event_in_the_same_state_are_refused() -> None:
    row = Row("A", "got X", "B", None, "1")
    with pytest.raises(ValueError, match="two rows for A on got X"):
        Table("toy", States, Events, [row, row._replace(to="C")], {"client": "A", "server": "A"})


def test_of_an_end_whose_state_nobody_knows_the_first_row_with_the_event_is_assumed() -> None:
    first, second = Row("B", "got X", "C", None, "1"), Row("A", "got X", "B", None, "1")
    table = Table("toy", States, Events, [first, second], {"client": "A", "server": "A"})
    assert table.assume("got X") == first
    assert table.assume("got Y") is None
    assert table.row("nowhere", "got X") is None
