"""What is expected of the scenarios beside what they are: numbered deviations, and what packets alone can't tell."""

from __future__ import annotations

from typing import NamedTuple

from lab.witnesses.histories import Untold


class Expected(NamedTuple):
    """`kernels` and `wireshark` are numbers of DEVIATIONS.md that are needed; for `untold` see `histories.untold`."""

    kernels: tuple[int, ...] = ()
    wireshark: tuple[int, ...] = ()
    untold: dict[int, Untold] = {}  # noqa: RUF012  # nobody writes to it


_EXPECTED = {
    "tcp/simultaneous-open": Expected(wireshark=(11,), untold={5: "when"}),
    "tcp/final-ack-lost":    Expected(untold={3: "whether"}),
    "tcp/last-ack-lost":     Expected(wireshark=(10,), untold={11: "whether"}),
}  # fmt: skip


def expected(scenario: str) -> Expected:
    return _EXPECTED.get(scenario, Expected())
