"""Self-proof, second witness: the packets alone tell what the wire's journal tells."""

from __future__ import annotations

from lab.render import trace
from lab.witnesses import histories
from tests.runs import Run
from tests.scenarios.expected import expected
from tests.scenarios.plays import every


@every()
def test_the_packets_alone_tell_what_the_journal_tells(played: Run) -> None:
    wanted = expected(played.scenario.name).untold
    untold = histories.untold(played.rungs)
    assert untold == wanted, played.shows(wanted, str(untold))
    assert not played.faults, played.shows("no fault", "; ".join(played.faults))
    if not untold:
        alone = played.alone()
        assert len(alone.rungs) == len(played.rungs)
        ours, told = trace.steps(alone.conversations[-1]), trace.steps(played.conversations[-1])
        assert ours == told, played.shows(told, str(ours))
