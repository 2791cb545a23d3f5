"""What each host lived through: what packets alone can't tell of it, and where they tell it otherwise."""

from __future__ import annotations

import pytest

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
    assert histories.mismatches(found, annotated(frames), histories.untold(found)) == []
    answered = ladder(*OPEN, "c> data 1 1 5", "c> FIN 6 1", "s> ACK 1 6")  # the data, and not the FIN
    assert histories.untold(replay(wire(answered, "1 >1 .1 2 >2 .2 3 >3 .3 4 >4 .4 5 6 >5 .5 >6 .6")).packets) == {
        5: "whether"
    }


@pytest.mark.parametrize("in_turn", [False, True])
def test_what_is_too_entangled_to_go_through_is_given_up(monkeypatch: pytest.MonkeyPatch, in_turn: bool) -> None:
    """A journal of packets that are all under way at once: with each there are as many more to look at."""
    monkeypatch.setattr(histories, "_MOST_LOOKED_AT", 500)
    turns = "cs" if in_turn else "c"
    lines = [f"{turns[at % len(turns)]}> data {1 + 2 * (at // len(turns))} 1 2" for at in range(60)]
    count = len(OPEN) + len(lines)
    script = " ".join(f"{number} >{number} .{number}" for number in range(1, count + 1))
    assert histories.untold(replay(wire(ladder(*OPEN, *lines), script)).packets), "one at a time they are few"
    at_once = " ".join(str(number) for number in range(4, count + 1))
    script = f"1 >1 .1 2 >2 .2 3 >3 .3 {at_once} " + " ".join(f">{at} .{at}" for at in range(count, 3, -1))
    with pytest.raises(histories.EntangledError):
        histories.untold(replay(wire(ladder(*OPEN, *lines), script)).packets)
    with pytest.raises(histories.EntangledError):
        histories.watched(annotated(ladder(*OPEN, *lines)))


def test_the_inference_is_caught_where_it_departs_from_the_journal() -> None:
    frames = ladder(*OPEN, "c> data 1 1 5", "s> ACK 1 6")
    script = "1 >1 .1 2 >2 .2 3 >3 .3 4 .4 5 >5 .5"  # acknowledged, and yet not delivered: no wire does that
    packets = replay(wire(frames, script)).packets
    found = histories.mismatches(packets, annotated(frames), histories.untold(packets))
    assert [(each.packet, each.what) for each in found] == [
        (4, "got"), (4, "arrived in"), (None, "history of the server"),
    ]  # fmt: skip
    assert str(found[0]) == "packet 4, got: the journal says False, the packets alone True"
