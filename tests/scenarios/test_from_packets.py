"""Self-proof, second witness: the packets alone tell what the wire's journal tells."""

from __future__ import annotations

from lab.witnesses import histories
from tests.runs import Run
from tests.scenarios.expected import expected
from tests.scenarios.plays import every


@every()
def test_the_packets_alone_tell_what_the_journal_tells(played: Run) -> None:
    wanted = expected(played.scenario.name).untold
    untold = histories.untold(played.packets)
    assert untold == wanted, played.shows(wanted, str(untold))
    assert not played.faults, played.shows("no fault", "; ".join(played.faults))
    if not untold:
        alone = played.alone()
        assert len(alone.records) == len(played.packets)
        ours, told = (
            [
                (each.id, each.packets, each.differs and each.differs.code) for each in which.steps
            ]  # its words say by what
            for which in (alone.reports[-1], played.conversations[-1])
        )
        assert ours == told, played.shows(told, str(ours))
