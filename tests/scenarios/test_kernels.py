"""Self-proof, first witness: both kernels, asked at both instants of every packet, and at the end."""

from __future__ import annotations

from tests.runs import Run
from tests.scenarios.expected import expected
from tests.scenarios.plays import every


@every()
def test_the_tables_say_what_both_kernels_say(played: Run) -> None:
    wanted = expected(played.scenario.name).kernels
    assert played.early is None, played.shows("a scenario that runs to its end", str(played.early))
    found = played.agreement
    assert found.compared == 2 * (1 + sum(1 + (packet.fate == "arrived") for packet in played.packets))
    unexplained = "; ".join(map(str, found.unexplained))
    assert not unexplained, played.shows("no difference without a number", unexplained)
    assert tuple(found.deviations) == wanted, played.shows(wanted, str(found.disagreements))
    surprises = [each for packet in played.packets for each in packet.surprises]
    assert not surprises, played.shows("a row for every event", str(surprises))
