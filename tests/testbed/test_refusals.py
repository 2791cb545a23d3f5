"""Why real kernels refuse a segment: one is made for each row that can be made here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import TCP

from lab.protocols.tcp import endpoints, refusals
from lab.protocols.tcp.refusals import Answer, Reason
from lab.protocols.tcp.scripts import PORT, connection
from lab.protocols.tcp.segment import ACK, FIN, RST, SYN
from lab.testbed.stage import Stage
from tests.runs import read

if sys.platform == "linux":
    from tests.testbed.forged import Fate, Forger, fates, forged, played

Script = Callable[[Stage], None]
OTHER = (50_000, PORT)  # ports of a client that does not exist


class Endpoint(endpoints.Endpoint):
    """Endpoints that can be put into a corner."""

    def shorten_the_queue(self) -> None:
        """Leaves room for one connection that nobody has accepted."""
        assert self._listener is not None
        self._listener.listen(0)

    def open_another(self, address: str, port: int) -> None:
        self._others = [self._new()]
        self._others[0].connect_ex((address, port))


def opened(stage: Stage) -> None:
    stage.server.listen(PORT)
    stage.client.connect(stage.server.address, PORT)
    stage.client.connected()
    stage.server.accept()
    stage.client.send("Hello")
    stage.server.receive()


def open_(*segment: Any, **more: Any) -> Script:
    """Forges a segment of the client on an open connection."""

    def script(stage: Stage) -> None:
        forger = Forger(stage)
        opened(stage)
        forger.send("client", *segment, **more)

    return script


def listening(*segment: Any) -> Script:
    """Forges a segment to a listener."""

    def script(stage: Stage) -> None:
        forger = Forger(stage)
        stage.server.listen(PORT)
        forger.send("client", *segment, ports=OTHER)

    return script


def half_open(*segment: Any) -> Script:
    """Forges a segment while the handshake's last ACK is held."""

    def script(stage: Stage) -> None:
        forger = Forger(stage)
        stage.server.listen(PORT)
        stage.client.connect(stage.server.address, PORT)
        forger.send("client", *segment)

    return script


def nobody_there(stage: Stage) -> None:
    Forger(stage).send("client", "S", ports=OTHER)


def stamped(*segment: Any, waits: bool, **more: Any) -> Script:
    """Forges a segment whose timestamp is 5 s old: on an open connection, or in TIME-WAIT."""

    def script(stage: Stage) -> None:
        forger = Forger(stage)
        opened(stage)
        now, echo = dict(forger.last["client"].options)["Timestamp"]
        if waits:
            stage.server.close()
            stage.acknowledged(stage.server)
            stage.client.close()
            stage.acknowledged(stage.client)
        options = [("NOP", None), ("NOP", None), ("Timestamp", (now - 5000, echo))]
        forger.send("client", *segment, options=options, **more)

    return script


def after_close(stage: Stage) -> None:
    """Data for a program that is gone, while its FIN is held."""
    forger = Forger(stage)
    opened(stage)
    stage.client.close()
    forger.send("server", "PA", payload=b"late")


CASES: dict[str, tuple[str, Script]] = {
    "a wrong checksum": ("bad-checksum", open_("PA", payload=b"x", corrupt=True)),
    "data beyond the window": ("beyond-window", open_("PA", 1 << 20, payload=b"x")),
    "old data again": ("old-data", open_("PA", -5, payload=b"Hello")),
    "a RST outside the window": ("reset-outside", open_("R", 1 << 20)),
    "a RST inside, not exact": ("reset-not-exact", open_("R", 10)),
    "an exact RST": ("reset", open_("R")),
    "a SYN on an open connection": ("syn-on-connection", open_("S", 1000)),
    "a SYN-ACK on an open connection": ("syn-ack-on-connection", open_("SA", 1000)),
    "an ACK of what was never sent": ("ack-of-unsent", open_("A", 0, 1000)),
    "an ACK from long ago": ("ack-too-old", open_("A", 0, -(1 << 30))),
    "an old timestamp": ("old-timestamp", stamped("PA", payload=b"x", waits=False)),
    "no ACK flag": ("no-ack-flag", open_("P", payload=b"x")),
    "no flags": ("no-ack-flag", open_("")),
    "data out of order": ("out-of-order", open_("PA", 10, payload=b"x")),
    "a RST to LISTEN": ("reset-ignored", listening("R")),
    "SYN and FIN to LISTEN": ("syn-with-fin", listening("SF")),
    "an ACK to LISTEN": ("no-connection", listening("A")),
    "a third ACK with a wrong number": ("syn-not-acknowledged", half_open("A", 0, 1000)),
    "the SYN again in SYN-RECEIVED": ("syn-again", half_open("S", -1)),
    "another SYN in SYN-RECEIVED": ("syn-in-handshake", half_open("S", 10)),
    "an old SYN to TIME-WAIT": ("old-timestamp", stamped("S", -5, waits=True)),
    "data after close": ("data-after-close", after_close),
    "a closed port": ("no-listener", nobody_there),
}
TAKEN = ("reset", "out-of-order")
RULES = {
    "a third ACK with a wrong number": "hold client ACK #1",
    "the SYN again in SYN-RECEIVED": "hold client ACK #1",
    "another SYN in SYN-RECEIVED": "hold client ACK #1",
    "data after close": "hold client FIN #1",
}


def answer(fate: Fate) -> Answer | None:
    for each in fate.answers:
        return "RST" if "RST" in each.flags else "SYN-ACK" if "SYN" in each.flags else "ACK"
    return None


@pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("name", CASES)
def test_the_kernel_says_why_it_refuses(namespaces: None, tmp_path: Path, name: str, ipv6: bool) -> None:
    code, script = CASES[name]
    rules = (RULES[name],) if name in RULES else ()
    run, packets = played(script, tmp_path / "run.pcapng", *rules, ipv6=ipv6)
    assert run.source.early is None
    (fate,) = fates(packets)
    found = fate.packet.verdict
    assert found is not None, (fate.packet.asked_held, fate.packet.asked_delivered, answer(fate))
    assert (found.code, found.answer) == (code, answer(fate))
    assert fate.packet.refused == (None if code in TAKEN else found)
    assert found.agrees is not False, "a rule of ours would have taken it"
    assert fate.packet.asked_delivered is not None
    assert dict(found.counters) == {
        each.counter: each.by for each in fate.packet.asked_delivered.moved if each.role == fate.receiver
    }
    again = read(tmp_path / "run.pcapng").packets
    assert [packet.verdict for packet in again] == [packet.verdict for packet in packets]


@pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])
def test_of_what_is_taken_nothing_is_said(namespaces: None, tmp_path: Path, ipv6: bool) -> None:
    _, packets = played(connection, tmp_path / "run.pcapng", ipv6=ipv6)
    taken = fates(packets, of=lambda _: True)
    assert len(taken) >= 11
    assert [fate.packet.verdict for fate in taken] == [None] * len(taken)


def test_two_ends_that_disagree_do_not_answer_each_other_for_ever(namespaces: None, tmp_path: Path) -> None:
    """The server takes forged data and acknowledges it, the client has not sent it: each ACK is answered by another."""
    _, packets = played(open_("PA", payload=b"more"), tmp_path / "run.pcapng")
    # Not by its mark alone: among so many answers one may have that number by chance.
    (fate,) = fates(packets, lambda packet: forged(packet) and bytes(packet[TCP].payload) == b"more")
    assert fate.packet.asked_delivered is not None
    assert fate.packet.asked_delivered.server.bytes_received == len("Hello") + len("more")
    challenged = [
        each for packet in packets if packet.asked_delivered for each in packet.asked_delivered.moved
        if each == ("client", "TcpExt TCPChallengeACK", 1)
    ]  # fmt: skip
    assert challenged
    assert len(packets) < 1000


def test_a_full_accept_queue_is_named(namespaces: None, tmp_path: Path) -> None:
    def script(stage: Stage) -> None:
        stage.server.listen(PORT)
        stage.server.shorten_the_queue()
        stage.client.connect(stage.server.address, PORT)
        stage.client.connected()
        stage.client.open_another(stage.server.address, PORT)

    _, packets = played(script, tmp_path / "run.pcapng", endpoint=lambda: Endpoint)
    found = packets[-1].refused
    assert found is not None
    assert (found.code, found.answer) == ("accept-queue-full", None)


def test_what_a_host_does_by_itself_is_told_with_the_frame_that_it_sends(namespaces: None, tmp_path: Path) -> None:
    """close() with data unread sends a RST: the counters are of that RST's capture, the client's of its delivery."""

    def script(stage: Stage) -> None:
        stage.server.listen(PORT)
        stage.client.connect(stage.server.address, PORT)
        stage.client.connected()
        stage.server.accept()
        stage.client.send("never read")
        stage.server.close()

    _, packets = played(script, tmp_path / "run.pcapng")
    held, delivered = packets[-1].asked_held, packets[-1].asked_delivered
    assert held is not None
    assert delivered is not None
    assert {each.counter for each in held.moved} == {"TcpExt TCPAbortOnClose", "Tcp EstabResets", "Tcp OutRsts"}
    assert {each.role for each in held.moved} == {"server"}
    assert [(each.role, each.counter) for each in delivered.moved] == [("client", "Tcp EstabResets")]
    found = refusals.why(RST | ACK, 0, {each.counter for each in held.moved}, None)
    assert found is not None
    assert found.code == "closed-unread"


# The table


def test_a_code_has_one_text_and_every_text_both_languages() -> None:
    texts: dict[str, Reason] = {}
    for row in refusals.TABLE:
        assert texts.setdefault(row.reason.code, row.reason) == row.reason
        assert row.reason.text.en
        assert row.reason.text.zh


def test_every_row_can_be_reached() -> None:
    """No row stands behind one that takes all it would."""
    for row in refusals.TABLE:
        flags = [row.flags | more for more in (0, ACK, RST, SYN, FIN) if not more & row.no_flags]
        answers: tuple[Answer | None, ...] = (None, "ACK", "SYN-ACK", "RST")
        found = [
            refusals.why(flag, dropped, row.moved[:1], answer, (row.states or (None,))[0])
            for flag in flags
            for dropped in (0, 1)
            for answer in answers
        ]
        assert row.reason in found, row


def test_where_nothing_moved_nothing_is_said() -> None:
    assert refusals.why(ACK, 0, (), None) is None
    assert refusals.why(ACK, 0, (), "ACK") is None
    assert refusals.why(ACK, 1, (), None) is None, "dropped, and nothing tells why"
