"""What somebody expects of a capture: the small language of --expect, on captures and on facts written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lab
from lab.errors import UsageError
from lab.report.expectations import Expectations, Outcome, names, parse
from tests.packets import OPEN, Pair, ladder, renumbered
from tests.places import REFERENCES
from tests.runs import saved


def judged(file: Path, *conditions: str) -> list[Outcome]:
    expectations = Expectations(parse(conditions))
    with lab.open(file, words=False) as run:
        for packet in run:
            expectations.packet(packet)
        for report in run.reports():
            expectations.conversation(report)
        return expectations.judge(len(run.reports()), run.source.packets, len(run.problems()))


@pytest.mark.parametrize(
    ("capture", "holding", "failing"),
    [
        (
            "tls-1.3",
            ("tls.version=1.3", "tls.version=TLS 1.3", "tls.version>=1.2", "close=fin", "retransmissions=0",
             "tls.alerts=2", "tls.alerts.description=close_notify", "protocols=tls", "protocols!=websocket",
             "opened=true", "tls.decrypted = yes", "RST=0", "ClientHello=1", "steps=tcp.close.4", "final.kernel!=null",
             "tls.certificates.subject!=nobody", "tcp.options.client.mss>=1000", "conversations=1", "0:state=SF"),
            ("tls.version=1.2", "tls.version<1.3", "tls.version=3", "tls.sni=null", "close=rst", "file.packets<10",
             "tls.alerts.description=unknown_ca", "1:close=fin", "websocket.accepted=true", "packets!=17"),
        ),
        (
            "tcp-syn-lost",
            ("retransmission=1", "differs=retransmitted", "tls=null", "any:state=SF"),
            ("retransmissions=0", "differs=merged", "tls.version!=1.2", "tls!=null"),
        ),
    ],
)  # fmt: skip
def test_a_condition_holds_or_does_not(capture: str, holding: tuple[str, ...], failing: tuple[str, ...]) -> None:
    found = judged(REFERENCES / f"{capture}.pcapng", *holding, *failing)
    assert [each.expected for each in found if each.holds] == list(holding)


def test_ssl_comes_before_tls(tmp_path: Path) -> None:
    hellos = (
        f'c> data 1 1 x"160300002d010000290300{"11" * 32}000002000501 00"',
        f's> data 1 51 x"160300002a020000260300{"22" * 32}00000500"',
    )
    file = saved(ladder(*OPEN, *hellos), tmp_path / "ssl.pcapng")
    conditions = (
        "tls.version=SSL 3.0", "tls.version<1.0", "tls.version<=TLS 1.0", "tls.version>=ssl 3.0", "tls.version>SSL 2.0",
        "tls.version>=1.2", "tls.version>TLS 1.3",
    )  # fmt: skip
    assert [each.holds for each in judged(file, *conditions)] == [True] * 5 + [False] * 2


def test_all_any_or_one_conversation(tmp_path: Path) -> None:
    closed = ("c> FIN 1 1", "s> FIN 1 2", "c> ACK 2 2")
    pairs = [Pair(client_port=40000 + at) for at in range(3)]
    parts = [ladder(*OPEN, *(closed if at else ("c> RST 1",)), pair=pair) for at, pair in enumerate(pairs)]
    file = saved(renumbered(*(frame for part in parts for frame in part)), tmp_path / "three.pcapng")
    found = judged(file, "close=fin", "all:close=fin", "any:close=rst", "0:close=rst", "2:close=rst", "any:opened=no")
    assert [each.holds for each in found] == [False, False, True, True, False, False]
    assert found[0].text().en == "close=fin: in conversation 0 close is rst"
    assert found[4].text().zh == "2:close=rst：连接 2 的 close 为 fin"
    assert found[5].text().en.endswith("in conversation 2 opened is true")


def test_what_is_not_there_does_not_hold() -> None:
    (only,) = judged(REFERENCES / "tcp-connection.pcapng", "7:close=fin")
    assert only.text().en == "7:close=fin: there is no such conversation"


@pytest.mark.parametrize(
    ("condition", "near"),
    [
        ("tls.versoin=1.3", "tls.version"),
        ("retransmision=0", "retransmission"),
        ("cipher_suite=x", "tls.cipher_suite"),
        ("rst=0", "the nearest: RST"),
        ("fin=2", "the nearest: FIN"),
        ("Syn-Ack>1", "the nearest: SYN-ACK"),
    ],
)
def test_a_name_that_is_none_brings_the_nearest(condition: str, near: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse([condition])
    assert near in refused.value.hint.en
    assert near.removeprefix("the nearest: ") in refused.value.hint.zh


def test_a_name_within_a_fact_that_nobody_has_is_refused_in_the_end() -> None:
    with pytest.raises(UsageError, match=r"tls\.alerts\.colour"):
        judged(REFERENCES / "tls-1.3.pcapng", "tls.alerts.colour=red")


@pytest.mark.parametrize("text", ["", "close", "=fin", "close~fin", "-1:close=fin", "a b=c"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse([text])
    assert refused.value.status == 2


@given(st.text(max_size=30), st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), st.sampled_from(names()))
def test_any_value_is_judged(value: str, operator: str, name: str) -> None:
    expectations = Expectations(parse([f"{name}{operator}{value}"]))
    (only,) = expectations.judge(0, 0, 0)
    assert only.text().en.startswith(only.expected)
