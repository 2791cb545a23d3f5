"""Debugging plans: scripts for `lab step` that lose, double, delay, swap, change and forge packets at different places.

After each the table must still say what both kernels say, or the difference must have a number in DEVIATIONS.md.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import lab
from lab.runs.run import Run
from lab.stepping.debugger import Debugger
from lab.stepping.lines import Lines, script

PLANS: dict[str, tuple[str, str]] = {  # the scenario, and the commands; behind them it goes on to its end
    "the SYN is lost": ("tcp/connection", "drop"),
    "the SYN-ACK is lost": ("tcp/connection", "until SYN-ACK; drop"),
    "the third ACK is lost": ("tcp/connection", "until open.3; drop"),
    "the SYN arrives twice": ("tcp/connection", "duplicate"),
    "data arrive twice": ("tcp/connection", "until client data; duplicate"),
    "data come late": ("tcp/connection", "until server data; delay 300ms"),
    "the FIN comes so late that it is sent again": ("tcp/connection", "until FIN; delay 1500ms"),
    "the third ACK comes behind the data": ("tcp/connection", "until open.3; swap"),
    "data leave a hole": ("tcp/connection", "until client data; edit seq=+100; step"),
    "data become a reset": ("tcp/connection", "until client data; edit flags=RST,ACK; step"),
    "a blind reset is right": ("tcp/connection", "until client data; inject client RST seq=snd.nxt; release; step"),
    "an old SYN comes up": ("tcp/half-close", "until client=FIN-WAIT-2; inject server SYN,ACK seq=isn; step 2"),
}


class Played(NamedTuple):
    """What a plan came to: the run, and what line mode said of it."""

    run: Run
    debugger: Debugger
    said: list[str]
    refused: int


def play(
    scenario: str,
    commands: str,
    file: Path | None = None,
    ipv6: bool = False,
    json: bool = True,
    rules: Sequence[str] = (),
) -> Played:
    """Plays a scenario on real hosts by commands, parted by semicolons."""
    run = lab.run(scenario, rules=rules, testbed="netns", control=True, ipv6=ipv6, file=file)
    debugger, out = Debugger(lambda: run.control), io.StringIO()
    lines = Lines(debugger, iter(script(commands.split(";"), "plan")), out, "en", json)
    with run:
        lines.run(run.events())
    return Played(run, debugger, out.getvalue().splitlines(), lines.refused)
