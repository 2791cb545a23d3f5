"""TCP: the programs the hosts run, the table of states, the notes and the scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.engine.protocol import Command, Transport
from lab.protocols.tcp import acceptance, delivery, events, header, report, words
from lab.protocols.tcp.compare import COMPARED, SENTENCES
from lab.protocols.tcp.conversations import Conversations
from lab.protocols.tcp.segment import FRAGMENT, flag_names, segment
from lab.protocols.tcp.segment import TCP as NUMBER
from lab.protocols.tcp.states import ENDED, TABLE
from lab.text import Text


def _scenarios() -> Sequence[Any]:
    from lab.protocols.tcp.scenarios import SCENARIOS

    return SCENARIOS


PROTOCOL = Transport(
    name="tcp",
    title="TCP",
    tables={"client": TABLE, "server": TABLE},
    ended=ENDED,
    # reading
    ip_protocol=NUMBER,
    read=segment,
    fragment=FRAGMENT,
    fields=header.read,
    flags=lambda found: flag_names(found.flags),
    conversations=Conversations,
    # walking
    begin=events.begin,
    sent=events.sent,
    got=events.got,
    sent_told=acceptance.sent,
    got_told=acceptance.got,
    closing=events.closing,
    carried=events.carried,
    ahead=events.ahead,
    delivery=delivery,
    # telling
    steps=report.steps,
    facts=report.facts,
    details=report.details,
    usual_actor=report.usual_actor,
    got_steps=report.GOT,
    label_words=words.LABELS,
    explained=words.EXPLAINED,
    compared=COMPARED,
    sentences=SENTENCES,
    data=frozenset({"data"}),
    kinds=("SYN", "SYN-ACK", "ACK", "data", "FIN", "RST", "no-flags"),
    bare="ACK",
    by_chance=frozenset({"unfinished-checksum", "larger-than-mss", "duplicate-ack", "window-update"}),
    # playing
    scenarios=_scenarios,
    commands=(
        Command(
            "tcp",
            Text("Run the notes' TCP connection on real hosts.", "在真实主机上运行讲义中的 TCP 连接。"),
            lambda: "tcp/connection",
        ),
    ),
)
