"""A connection that ends without a Close frame says so where it ends, and no other does."""

from __future__ import annotations

import pytest

from lab.runs.recorded import open_run
from tests.places import ROOT

CAPTURES = sorted((ROOT / "captures").glob("websocket-*.pcapng"))
SAID = "No Close frame before it: abnormal closure, which programs report as 1006 (RFC 6455 section 7.1.5)"


@pytest.mark.parametrize("name", [path.stem for path in CAPTURES])
def test_an_abnormal_closure_is_told_where_it_begins(name: str) -> None:
    with open_run(str(ROOT / f"captures/{name}.pcapng"), words=True) as run:
        packets = list(run.packets())
        closing = next(step for which in run.conversations for step in which.steps if step.id == "websocket.4")
    said = {packet.number for packet in packets if SAID in [text.en for text in packet.points]}
    abnormal = closing.differs is not None and closing.differs.code == "abnormal"
    assert abnormal == (name == "websocket-abnormal")
    first = next((packet.number for packet in packets if "tcp.close.1" in packet.steps), None)
    assert said == ({first} if abnormal else set())
