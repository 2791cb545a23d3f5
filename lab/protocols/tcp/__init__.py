"""TCP: the programs the hosts run, the table of states, the notes and the scenarios."""

from __future__ import annotations

from importlib import import_module

from lab.engine.protocol import Command, Transport, later
from lab.text import Text

_HERE = "lab.protocols.tcp"

PROTOCOL = Transport(
    name="tcp",
    title="TCP",
    tables=later(f"{_HERE}.states", "TABLES"),
    layouts=later(f"{_HERE}.diagram", "LAYOUTS"),
    ended=later(f"{_HERE}.states", "ENDED"),
    phases=later(f"{_HERE}.states", "PHASES"),
    # reading
    ip_protocol=later(f"{_HERE}.segment", "TCP"),
    read=later(f"{_HERE}.segment", "segment"),
    fragment=later(f"{_HERE}.segment", "FRAGMENT"),
    fields=later(f"{_HERE}.header", "read"),
    flags=later(f"{_HERE}.segment", "names"),
    conversations=later(f"{_HERE}.conversations", "Conversations"),
    # walking
    begin=later(f"{_HERE}.events", "begin"),
    sent=later(f"{_HERE}.events", "sent"),
    got=later(f"{_HERE}.events", "got"),
    sent_told=later(f"{_HERE}.acceptance", "sent"),
    got_told=later(f"{_HERE}.acceptance", "got"),
    verdict=later(f"{_HERE}.acceptance", "verdict"),
    challenges=later(f"{_HERE}.acceptance", "challenges"),
    carried=later(f"{_HERE}.events", "carried"),
    ahead=later(f"{_HERE}.events", "ahead"),
    cut=later(f"{_HERE}.missing", "cut"),
    missing=later(f"{_HERE}.missing", "missing"),
    delivery=later(f"{_HERE}.delivery"),
    preambles=later("lab.protocols.preambles", "PREAMBLES"),
    spoken_by=later("lab.protocols.speakers", "spoken_by"),
    # telling
    points=later(f"{_HERE}.points", "points"),
    alarming=frozenset({"RST", "retransmission", "zero-window", "previous-segment-not-captured", "SYN"}),
    troubles=later(f"{_HERE}.troubles", "troubles"),
    reckoned=later(f"{_HERE}.numbers", "reckoned"),
    steps=later(f"{_HERE}.report", "steps"),
    facts=later(f"{_HERE}.report", "facts"),
    details=later(f"{_HERE}.report", "details"),
    usual_actor=later(f"{_HERE}.report", "usual_actor"),
    got_steps=later(f"{_HERE}.report", "GOT"),
    label_words=later(f"{_HERE}.words", "LABELS"),
    explained=later(f"{_HERE}.words", "EXPLAINED"),
    event_words=later(f"{_HERE}.words", "EVENTS"),
    compared=later(f"{_HERE}.compare", "COMPARED"),
    sentences=later(f"{_HERE}.compare", "SENTENCES"),
    data=frozenset({"data"}),
    kinds=("SYN", "SYN-ACK", "ACK", "data", "FIN", "RST", "no-flags"),
    bare="ACK",
    by_chance=frozenset({"unfinished-checksum", "larger-than-mss", "duplicate-ack", "window-update"}),
    # playing
    scenarios=lambda: import_module(f"{_HERE}.scenarios").SCENARIOS,
    commands=(
        Command(
            "tcp",
            Text("Run the notes' TCP connection on real hosts.", "在真实主机上运行讲义中的 TCP 连接。"),
            lambda: "tcp/connection",
        ),
    ),
)
