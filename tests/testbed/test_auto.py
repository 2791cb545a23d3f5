"""Which testbed plays: namespaces where they work, else Docker; none any more for a run that is left."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from lab.errors import MachineError
from lab.protocols.catalogue import scenario
from lab.protocols.scenario import Stage
from lab.testbed import auto
from tests.app.test_doctor import program


def _waits(stage: Stage) -> None:
    threading.Event().wait()


def test_a_run_that_is_left_before_its_first_packet_is_not_played_in_docker(
    namespaces: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "docker", f"touch {tmp_path}/asked", "exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    raised: list[MachineError] = []
    with auto.play(scenario("tcp/connection")._replace(script=_waits), (), False) as events:

        def hear() -> None:
            try:
                list(events)
            except MachineError as error:
                raised.append(error)

        thread = threading.Thread(target=hear)
        thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert "ended unexpectedly" in raised[0].message.en
    assert not (tmp_path / "asked").exists()
