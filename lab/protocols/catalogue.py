"""All scenarios, protocol by protocol: each is played by its name."""

from __future__ import annotations

import difflib
from functools import cache

from lab.errors import UsageError
from lab.protocols.registry import PROTOCOLS
from lab.protocols.scenario import Scenario
from lab.text import Text


@cache
def scenarios() -> tuple[Scenario, ...]:
    """Returns all scenarios, in the order of their protocols."""
    return tuple(each for protocol in PROTOCOLS for each in protocol.scenarios())


def after(name: str) -> str:
    """Returns the name of the scenario that comes after this one; after the last, the first."""
    names = [each.name for each in scenarios()]
    return names[(names.index(name) + 1) % len(names)]


def _lesson(name: str) -> list[str]:
    """Returns the first scenario of a protocol that is called so, or has a command that is."""
    for each in PROTOCOLS:
        called = (each.name, each.title.casefold(), *(command.name for command in each.commands))
        if name.casefold().rstrip("/") in called:
            return [played.name for played in each.scenarios()[:1]]
    return []


def scenario(name: str) -> Scenario:
    """Returns a scenario by its name. Raises UsageError, with the nearest name there is."""
    for protocol in PROTOCOLS:
        if protocol.name == name.partition("/")[0]:  # the others' need not be read
            own: dict[str, Scenario] = {each.name: each for each in protocol.scenarios()}
            if name in own:
                return own[name]
    near = _lesson(name) or difflib.get_close_matches(name.casefold(), [each.name for each in scenarios()], 1, 0.4)
    raise UsageError(
        Text(f"there is no scenario '{name}'", f"没有名为“{name}”的场景"),
        Text(
            (f"did you mean {near[0]}? " if near else "") + "lab scenarios lists them all",
            (f"是不是 {near[0]}？" if near else "") + "lab scenarios 会列出全部场景",
        ),
    )
