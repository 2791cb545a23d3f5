"""Runs of the scenarios: each is played once for all that look at it, and Wireshark asked once about all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path as File

import pytest

from lab.protocols.scenario import Scenario
from lab.protocols.tcp.scenarios import endpoint
from lab.testbed.stage import Stage
from lab.witnesses import question, wireshark
from tests.runs import Run, play
from tests.scenarios.plays import Play, Played, Witness


@pytest.fixture(scope="session")
def runs(namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The runs of all scenarios, each played when it is first asked for."""
    return Played(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def played(request: pytest.FixtureRequest, runs: Played) -> Run:
    """One run of one scenario: tests name those they want with `every(...)`."""
    run: Run = runs[request.param]
    return run


@pytest.fixture(scope="session")
def witness(request: pytest.FixtureRequest, runs: Played, tshark: str) -> Witness:
    """What Wireshark says of every run that any test of this session looks at."""
    wanted = (item.callspec.params.get("played") for item in request.session.items if hasattr(item, "callspec"))
    return Witness([runs[each] for each in dict.fromkeys(wanted) if isinstance(each, Play)])


@pytest.fixture
def cable(namespaces: None, tshark: str, tmp_path: File) -> Callable[..., Run]:
    """Plays a script under rules; whatever the rules do, all witnesses must still agree."""

    def run(script: Callable[[Stage], None], *rules: str) -> Run:
        played = play(Scenario("test", script, endpoint, rules), tmp_path / "run.pcapng")
        assert not played.faults, played.shows("no fault", "; ".join(played.faults))
        opinions = question.ask(played.file)
        unexplained = [each for each in wireshark.compare(played.packets, opinions) if each.deviation is None]
        assert not unexplained, played.shows("Wireshark says the same", str(unexplained))
        assert not opinions.complaints
        return played

    return run
