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
    "tcp/syn-ack-lost":      Expected(untold={3: "whether"}),
    "tcp/no-answer":         Expected(kernels=(3,)),
    "tcp/final-ack-lost":    Expected(untold={3: "whether"}),
    "tcp/in-trouble":        Expected(
        wireshark=(10,), untold={4: "whether", 5: "whether", 9: "whether", 10: "whether"},
    ),
    "tcp/last-ack-lost":     Expected(wireshark=(10,), untold={11: "whether"}),
    "tcp/bad-checksum":      Expected(untold={4: "whether", 5: "whether"}),
    "tcp/challenge-ack":     Expected(wireshark=(20,), untold={8: "whether", 10: "whether"}),
    "tcp/blind-reset":       Expected(wireshark=(20,), untold={8: "whether", 9: "whether", 13: "whether"}),
    "tcp/old-timestamp":     Expected(wireshark=(20,), untold={8: "whether"}),
    "tcp/half-open":         Expected(kernels=(3,)),
    "tcp/half-open-found":   Expected(kernels=(7,), wireshark=(20,), untold={4: "whether", 5: "whether", 7: "whether"}),
    "tcp/accept-queue-full": Expected(
        wireshark=(10,), untold={1: "whether", 2: "whether", 4: "whether", 5: "whether"},
    ),
    "tcp/syn-cookies":       Expected(untold={1: "when"}),
    "tcp/listener-closes":   Expected(untold={3: "whether"}),
    "tcp/fast-retransmit":   Expected(untold={6: "when", 7: "when", 8: "when"}),
    "tcp/close-wait-leak":   Expected(kernels=(3,)),
}  # fmt: skip


def expected(scenario: str) -> Expected:
    return _EXPECTED.get(scenario, Expected())
