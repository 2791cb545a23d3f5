"""Every rule of the wire does what it says, and what is said of it stays true."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.model import Packet, Role
from lab.protocols.tcp.scripts import CLIENT_PORT, HELLO, PORT, connection
from lab.testbed.stage import Stage
from lab.witnesses import histories
from tests.runs import Run
from tests.scenarios.scripts import bulk, chat, opened, say_thrice


def lost(run: Run) -> list[int]:
    return [packet.number for packet in run.packets if packet.fate == "lost"]


def deliveries(run: Run) -> dict[int, tuple[int, ...]]:
    """Returns when each packet was delivered, as places in the journal."""
    return {packet.number: packet.journal.delivered for packet in run.packets if packet.journal}


def waited(run: Run, packet: Packet) -> float:
    """Returns the seconds from a packet to the first that acknowledges it."""
    assert packet.receiver is not None
    first = next(each for each in run.of(packet.receiver) if each.ack is not None and each.ack >= packet.stop)
    return ((first.time or 0) - (packet.time or 0)) / 1e9


def test_without_rules_nothing_is_lost_or_delivered_twice(cable: Callable[..., Run]) -> None:
    run = cable(bulk("client", 50_000))
    assert run.early is None
    assert {len(each) for each in deliveries(run).values()} == {1}
    assert max(packet.stop for packet in run.of("client", "data")) == 50_001


def test_a_corrupted_acknowledgement_is_none(cable: Callable[..., Run]) -> None:
    """Its receiver throws it away: a timer repeats the FIN, and that is acknowledged once more."""
    run = cable(connection, "corrupt server ACK #2")
    (damaged,) = [packet for packet in run.packets if "bad-checksum" in packet.labels]
    assert damaged.refused is not None, run.shows("a refusal", "none")
    assert (damaged.refused.code, damaged.fate, damaged.delivered) == ("bad-checksum", "arrived", damaged.held)
    assert run.of("client", "FIN", "retransmission"), run.shows("the FIN again", "none")


@pytest.mark.parametrize("size", [5_000, 50_000])
def test_drop_with_a_number_loses_that_frame_and_it_is_sent_again(cable: Callable[..., Run], size: int) -> None:
    run = cable(bulk("client", size), "drop client data #3")
    third = run.of("client", "data")[2]
    assert lost(run) == [third.number]
    (again,) = (
        each for each in run.of("client", "data", "retransmission") if each.seq == third.seq and each.fate == "arrived"
    )
    assert again.number > third.number
    assert run.early is None


def test_what_follows_a_lost_frame_arrives_ahead_of_order(cable: Callable[..., Run]) -> None:
    run = cable(bulk("client", 5_000), "drop client data #3")
    gap, ahead = run.of("client", "data")[2:4]
    assert histories.untold(run.packets)[ahead.number] == "when"
    answers = [each.ack for each in run.of("server") if each.number > ahead.number]
    assert answers.count(gap.seq) >= 2, run.shows("that the server asks for the gap again", str(answers))


def test_drop_without_a_number_loses_each(cable: Callable[..., Run]) -> None:
    def both_connect(stage: Stage) -> None:
        stage.client.bind(CLIENT_PORT)
        stage.server.bind(PORT)
        stage.client.connect(stage.server.address, PORT)
        stage.server.connect(stage.client.address, CLIENT_PORT)

    run = cable(both_connect, "drop any SYN")
    assert len(run.packets) >= 2
    assert lost(run) == [packet.number for packet in run.packets]
    assert not any(deliveries(run).values())


def test_delay_with_a_number_keeps_that_frame_for_so_long(cable: Callable[..., Run]) -> None:
    run = cable(chat, "delay client data #2 100ms")
    first, second, third = (waited(run, packet) for packet in run.of("client", "data"))
    assert second >= 0.1
    assert first < 0.1
    assert third < 0.1


def test_delay_without_a_number_keeps_each(cable: Callable[..., Run]) -> None:
    run = cable(chat, "delay any any 30ms")
    assert all(waited(run, packet) >= 0.03 for packet in run.of("client", "data"))
    assert {len(each) for each in deliveries(run).values()} == {1}


@pytest.mark.parametrize("sender", ["client", "server"])
def test_duplicate_with_a_number_delivers_that_frame_twice(cable: Callable[..., Run], sender: Role) -> None:
    run = cable(bulk(sender, 50_000), f"duplicate {sender} data #1")
    first, *_ = run.of(sender, "data")
    assert [number for number, each in deliveries(run).items() if len(each) == 2] == [first.number]
    assert histories.untold(run.packets)[first.number] == "whether"


def test_duplicate_without_a_number_delivers_each_twice(cable: Callable[..., Run]) -> None:
    run = cable(connection, "duplicate any any")
    assert {len(each) for each in deliveries(run).values()} == {2}


def test_swap_with_a_number_delivers_that_frame_behind_its_successor(cable: Callable[..., Run]) -> None:
    run = cable(bulk("client", 50_000), "swap client data #2")
    first, second, third, fourth = (packet.number for packet in run.of("client", "data")[:4])
    when = deliveries(run)
    assert sorted((first, second, third, fourth), key=lambda number: when[number]) == [first, third, second, fourth]
    assert not lost(run)


def test_swap_without_a_number_means_each_and_gives_up_where_nothing_follows(cable: Callable[..., Run]) -> None:
    run = cable(connection, "swap any SYN-ACK")
    answer = run.of("server", "SYN-ACK")[0]
    assert answer.fate == "arrived"
    assert waited(run, answer) >= 0.9


def test_hold_with_a_number_keeps_that_frame_until_it_is_let_go(cable: Callable[..., Run]) -> None:
    run = cable(say_thrice, "hold client data #2")
    first, second, third = (packet.number for packet in run.of("client", "data")[:3])
    (answer,) = run.of("server", "data")
    when = deliveries(run)
    assert when[first] < when[third] < when[answer.number] < when[second]


def test_hold_without_a_number_keeps_each_and_their_order(cable: Callable[..., Run]) -> None:
    run = cable(say_thrice, "hold client data")
    (answer,) = run.of("server", "data")
    when = deliveries(run)
    said = [when[packet.number] for packet in run.of("client", "data")[:3]]
    assert said == sorted(said)
    assert min(said) > when[answer.number]


def test_what_is_held_and_never_let_go_never_arrives(cable: Callable[..., Run]) -> None:
    def say(stage: Stage) -> None:
        opened(stage)
        stage.client.send(HELLO)

    run = cable(say, "hold client data")
    assert lost(run) == [packet.number for packet in run.of("client", "data")]


def test_losses_and_disorder_together(cable: Callable[..., Run]) -> None:
    run = cable(
        bulk("server", 50_000), "drop server data #3", "swap server data #9, drop client ACK #9", "drop any FIN #1"
    )
    assert run.early is None
    assert len(lost(run)) == 3
