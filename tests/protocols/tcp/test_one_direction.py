"""A capture of one direction only is said to be one, once and at the top, and what it lacks surprises nobody."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lab.model import Frame, Role
from lab.protocols.tcp import report
from lab.render.ladder import Ladder
from lab.report.conversations import entry
from lab.report.packets import packet
from lab.report.steps import steps
from lab.text import Lang
from tests.packets import OPEN, follow, ladder, path, renumbered
from tests.protocols.tls.captures import captured, frames, shown, walk

ROLES: tuple[Role, Role] = ("client", "server")
SAID: dict[Lang, str] = {"en": "Only the {0}'s packets are in this capture", "zh": "抓包中只有{0}一方的包"}
NAMES: dict[Lang, dict[Role, str]] = {
    "en": {"client": "client", "server": "server"},
    "zh": {"client": "客户端", "server": "服务器"},
}


def one_side(name: str, role: Role) -> list[Frame]:
    made = frames(captured(name).flights, 1460)
    ours = [
        frame for frame, record in zip(made, walk(made).records, strict=True) if record.end and record.end.role == role
    ]
    return renumbered(*ours)


def drawn(made: list[Frame], lang: Lang) -> str:
    way, out = path(), io.StringIO()
    rungs = Ladder(Console(file=out, highlight=False), lang)
    for record in way.settled(made):
        rungs.rung(packet(record, words=True))
    return out.getvalue()


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("role", ROLES)
def test_it_is_said_in_one_sentence_at_the_top(role: Role, lang: Lang) -> None:
    text = drawn(one_side("TLS 1.2 ECDHE", role), lang)
    sentence = SAID[lang].format(NAMES[lang][role])
    assert text.count(sentence) == 1
    assert text.index(sentence) < text.index("SYN")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", ["TLS 1.2 RSA", "TLS 1.2 ECDHE", "TLS 1.2 resumed", "TLS 1.3", "TLS 1.3 hello retry"])
def test_nothing_in_it_surprises_and_the_trace_tells_of_it(name: str, role: Role) -> None:
    made = one_side(name, role)
    walked = walk(made)
    assert walked.surprises == []
    assert entry(walked.only)["tcp"]["one_direction"] == role
    shown(made)


def test_of_a_resumed_session_the_clients_side_alone_shows_that_it_was() -> None:
    walked = walk(one_side("TLS 1.2 resumed", "client"))
    assert walked.tls["version"] == "TLS 1.2"
    assert [str(record.above[0].held.client) for record in walked.records if record.messages][:3] == [
        "WAIT_SH", "CONNECTED", "CONNECTED",
    ]  # fmt: skip
    full = walk(one_side("TLS 1.2 ECDHE", "client"))
    assert [str(record.above[0].held.client) for record in full.records if record.messages][:3] == [
        "WAIT_SH", "WAIT_FINISHED_12", "CONNECTED",
    ]  # fmt: skip


def test_a_capture_that_begins_with_two_packets_of_one_end_is_not_one_of_it_alone() -> None:
    made = ladder(*OPEN, "c> ACK 1 1", 'c> data 1 1 "one"', "s> ACK 1 4", 's> data 1 4 "two"', "c> ACK 4 4")
    for first in (1, 3, 4):
        rest = renumbered(*[frame for frame in made if frame.number >= first])
        assert "Only the" not in drawn(rest, "en")
        assert "one_direction" not in entry(walk(rest).only)["tcp"]
    assert "Only the" not in drawn(ladder("c> SYN 0", "c> SYN 0"), "en")  # nobody has said anything


SERVER_ALONE = ("s> SYN-ACK 0 1 ; ESTABLISHED < SYN-RECEIVED open.2",)


def _closing(*lines: str) -> list[str | None]:
    """Returns the codes of the closing steps, of one end's packets."""
    only = follow(*lines).only
    return [each.differs and each.differs.code for each in steps(only) if each.id.startswith("tcp.close")]


def test_a_server_that_acknowledges_data_has_got_the_openings_ack() -> None:
    walked = follow(
        *SERVER_ALONE,
        "s> ACK 1 1 ; ESTABLISHED < SYN-RECEIVED",
        "s> ACK 1 518 ; ESTABLISHED < ESTABLISHED open.4",
        "s> ACK 1 600 ; ESTABLISHED < ESTABLISHED",
    )
    made = ladder("s> SYN-ACK 0 1", "s> ACK 1 518", "s> ACK 1 600")
    assert "The server has the ACK" in drawn(made, "en")
    assert report.actor(walked.only, "tcp.open.4") == "server"
    follow("s> SYN-ACK 0 1", "s> data 1 518 4 ; ? < ESTABLISHED open.4", "s> ACK 5 518")


def test_who_closed_first_is_not_said_where_a_fin_may_acknowledge_the_others() -> None:
    jump = (*SERVER_ALONE, "s> ACK 1 518", "s> FIN 1 519 ; ? < None")
    assert _closing(*jump) == ["order-unknown"] * 4
    before = (*SERVER_ALONE, "s> ACK 1 519", "s> FIN 1 519 ; ? < None")  # its last byte may be a FIN
    assert _closing(*before) == ["order-unknown"] * 4
    assert _closing("c> SYN 0", "c> ACK 1 1", "c> ACK 1 3", "c> FIN 1 4 ; None > ?") == ["order-unknown"] * 4
    assert "closes first" not in "".join(shown(ladder("s> SYN-ACK 0 1", "s> ACK 1 518", "s> FIN 1 519")))


def test_what_is_acknowledged_behind_a_fin_shows_that_it_was_the_first() -> None:
    first = ("s> ACK 1 518", "s> FIN 1 518 ; ? < FIN-WAIT-1 close.1", "s> ACK 2 519 ; None < None")
    assert _closing(*SERVER_ALONE, *first)[0] == "server-closes-first"
    opened = ("c> SYN 0", "c> ACK 1 1", "c> FIN 1 1 ; FIN-WAIT-1 > ? close.1")  # the server has said nothing
    assert _closing(*opened)[0] is None


def test_a_fin_that_is_answered_by_anything_but_a_fin_was_the_first() -> None:
    assert _closing("c> FIN 15 15 ; FIN-WAIT-1 > CLOSE-WAIT close.1", "s> ACK 15 16")[0] is None
    assert _closing("c> FIN 15 15 ; None > ?") == ["order-unknown"] * 4
