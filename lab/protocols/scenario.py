"""A scenario: a name, a script for the two hosts, and what the wire is told to do beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lab.testbed.stage import Stage


class Scenario(NamedTuple):
    """`rules` are the wire's, in the notation of lab.testbed.rules."""

    name: str
    script: Callable[[Stage], None]
    rules: tuple[str, ...] = ()
