"""What each host lived through: what packets alone can't tell of it, and where they tell it otherwise."""

from __future__ import annotations

from lab.witnesses import histories
from tests.packets import OPEN, annotated, ladder, replay, wire


def test_a_lost_ack_is_untold_and_so_is_what_comes_twice_overtakes_or_crosses() -> None:
    frames = ladder(*OPEN, "c> data 1 1 5", "s> data 1 6 5", "c> ACK 6 6", "s> data 6 6 5", "c> ACK 6 11")
    for script, expected in {
        "1 >1 .1 2 >2 .2 3 >3 .3 4 >4 .4 5 >5 .5 6 >6 .6 7 >7 .7 8 >8 .8": {},
        "1 >1 .1 2 >2 .2 3 .3 4 >4 .4 5 >5 .5 6 >6 .6 7 >7 .7 8 .8": {3: "whether", 8: "whether"},
        "1 >1 .1 2 >2 .2 3 >3 .3 4 >4 >4 .4 5 >5 .5 6 >6 .6 7 >7 .7 8 >8 .8": {4: "whether"},
        "1 >1 .1 2 >2 .2 3 4 >4 .4 >3 .3 5 >5 .5 6 >6 .6 7 >7 .7 8 >8 .8": {4: "when"},
        "1 >1 .1 2 >2 .2 3 >3 .3 4 >4 .4 5 >5 .5 6 7 >6 .6 >7 .7 8 >8 .8": {6: "when"},
    }.items():
        assert histories.untold(replay(wire(frames, script)).packets) == expected, script


def test_an_ack_under_way_while_its_data_is_sent_again_looks_lost() -> None:
    frames = ladder(*OPEN, "c> data 1 1 5", "s> ACK 1 6", "c> data 1 1 5", "s> ACK 1 6")
    script = "1 >1 .1 2 >2 .2 3 >3 .3 4 >4 .4 5 6 >5 .5 >6 .6 7 >7 .7"
    assert histories.untold(replay(wire(frames, script)).packets) == {5: "whether"}


def test_what_nobody_has_answered_where_the_capture_ends_may_have_arrived_or_not() -> None:
    frames = ladder(*OPEN, "c> data 1 1 5", "c> FIN 6 1")
    script = "1 >1 .1 2 >2 .2 3 >3 .3 4 >4 .4 5 >5 .5"
    found = replay(wire(frames, script)).packets
    assert found[-1].delivered is not None
    assert found[-1].delivered.server == "CLOSE-WAIT", "the journal knows"
    assert histories.untold(found) == {4: "whether", 5: "whether"}
    assert histories.mismatches(found, annotated(frames)) == []
    answered = ladder(*OPEN, "c> data 1 1 5", "c> FIN 6 1", "s> ACK 1 6")  # the data, and not the FIN
    assert histories.untold(replay(wire(answered, "1 >1 .1 2 >2 .2 3 >3 .3 4 >4 .4 5 6 >5 .5 >6 .6")).packets) == {
        5: "whether"
    }


def test_the_inference_is_caught_where_it_departs_from_the_journal() -> None:
    frames = ladder(*OPEN, "c> data 1 1 5", "s> ACK 1 6")
    script = "1 >1 .1 2 >2 .2 3 >3 .3 4 .4 5 >5 .5"  # acknowledged, and yet not delivered: no wire does that
    found = histories.mismatches(replay(wire(frames, script)).packets, annotated(frames))
    assert [(each.packet, each.what) for each in found] == [
        (4, "got"), (4, "arrived in"), (None, "history of the server"),
    ]  # fmt: skip
    assert str(found[0]) == "packet 4, got: the journal says False, the packets alone True"
