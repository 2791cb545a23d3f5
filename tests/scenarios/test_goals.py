"""Rules that students write are judged by what they bring about on real hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

import lab
from lab.grade.assignment import load
from lab.grade.facts import Facts
from lab.grade.marking import Mark, mark
from lab.grade.recording import facts_of
from lab.grade.sheet import Sheet
from tests.grade.shared import facts

SOLVED = [
    "drop client FIN #1", "drop server FIN #1",  # both come again, at about the same time
    "delay client FIN #2 300ms", "delay server FIN #2 300ms",  # so that each is sent before the other arrives
    "delay server ACK #2 1s",  # behind the server's FIN, which it would else overtake
]  # fmt: skip


def marked(answer: object, of: Facts) -> Mark:
    return mark(load("break-it"), Sheet("break-it", "s", {"rules": answer}), of).marks[0]


@pytest.mark.usefixtures("namespaces")
def test_rules_are_judged_by_what_they_bring_about(tmp_path: Path) -> None:
    file = tmp_path / "capture.pcapng"
    with lab.run("tcp/three-segment-close", rules=SOLVED, testbed="netns", file=file, words=False) as run:
        run.play_on()
    solved = marked(SOLVED, facts_of(file))
    assert (solved.status, solved.points) == ("right", 6)
    assert marked("drop the FIN", facts_of(file)).status == "malformed"
    unlike = marked(SOLVED, facts("tcp/three-segment-close"))
    assert (unlike.status, unlike.points) == ("wrong", 0)
