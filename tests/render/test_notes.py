"""The notes by name: a protocol, a state, a step; and what was meant, where nothing is called so."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len

from lab.errors import UsageError
from lab.protocols.notes import notes
from lab.protocols.registry import PROTOCOLS
from lab.protocols.subject import Subject, subjects
from lab.render.notes import told
from lab.text import LANGUAGES, Lang


def page(said: str, lang: Lang = "en") -> str:
    out = io.StringIO()
    told(subjects(said.split()), out, lang)
    return out.getvalue()


@pytest.mark.parametrize(
    ("said", "kind", "names"),
    [
        ("", "protocol", {"tcp"}), ("TLS", "protocol", {"tls"}), ("ws", "protocol", {"websocket"}),
        ("FIN-WAIT-2", "state", {"FIN-WAIT-2"}), ("fin_wait2", "state", {"FIN-WAIT-2"}),
        ("SYN_RCVD", "state", {"SYN-RECEIVED"}), ("tcp time-wait", "state", {"TIME-WAIT"}),
        ("close 3", "step", {"tcp.close.3"}), ("tcp.close.3", "step", {"tcp.close.3"}),
        ("tcp close 3", "step", {"tcp.close.3"}), ("open 2", "step", {"tcp.open.2"}), ("tls 4", "step", {"tls.4"}),
        ("挥手 3", "step", {"tcp.close.3"}), ("握手2", "step", {"tcp.open.2"}), ("WS 1", "step", {"websocket.1"}),
    ],
)  # fmt: skip
def test_a_name_is_understood_however_it_is_spelled(said: str, kind: str, names: set[str]) -> None:
    found = subjects(said.split())
    assert {subject.kind for subject in found} == {kind}
    assert {subject.name for subject in found} == names


def test_every_state_and_step_is_found_by_its_name() -> None:
    for about in PROTOCOLS:
        lesson = notes(about.name)
        for state in lesson.states:
            assert Subject(about.name, "state", state) in subjects([state])
            assert subjects([about.name, state]) == [Subject(about.name, "state", state)]
        for step in lesson.steps.values():
            for lang in LANGUAGES:
                assert Subject(about.name, "step", step.id) in subjects(step.name.pick(lang).split())


def test_a_state_that_several_protocols_have_is_told_of_each() -> None:
    assert {subject.protocol for subject in subjects(["closed"])} == {"tcp", "tls", "websocket"}


@pytest.mark.parametrize(
    ("said", "hint"),
    [("FIN-WAIT-3", "FIN-WAIT-2, FIN-WAIT-1"), ("close 5", "close 4"), ("tpc", "tcp"), ("quic", "name a protocol")],
)
def test_of_an_unknown_name_it_is_said_what_was_meant(said: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        subjects(said.split())
    assert hint in raised.value.hint.en
    assert raised.value.hint.zh


def test_a_state_is_told_with_what_leads_to_it_and_on() -> None:
    found = page("FIN-WAIT-2")
    assert found.splitlines()[0] == "TCP  FIN-WAIT-2 (notes: FIN_WAIT2)"
    into, onward = found.split("What leads here\n")[1].split("What leads on\n")
    assert [line.split() for line in into.splitlines() if line] == [
        ["in", "on", "step", "RFC", "9293"],
        ["FIN-WAIT-1", "got", "ACK", "of", "FIN", "3.10.7.4"],
    ]
    assert ["got", "FIN", "TIME-WAIT", "3.10.7.4"] in [line.split() for line in onward.splitlines()]
    assert "FIN-WAIT-2" not in onward


def test_a_step_is_told_with_its_rows() -> None:
    found = page("close 3")
    assert found.lstrip().startswith("close 3  The server sends its own FIN")
    rows = found.split("In the table\n")[1].splitlines()[1:]
    assert any(row.split()[:4] == ["CLOSE-WAIT", "sent", "FIN", "LAST-ACK"] for row in rows)
    assert all("close." in row for row in rows)
    assert "In the table, server" in page("tls 4")
    assert "In the table, client" not in page("tls 4")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_page_fits(lang: Lang) -> None:
    for about in PROTOCOLS:
        for name in (*notes(about.name).states, *notes(about.name).steps):
            assert max(map(cell_len, page(name, lang).splitlines())) <= 80, name
