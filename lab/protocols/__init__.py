"""The protocols the lab knows, in the order in which they stand on each other. Adding one is a folder and a line."""

from __future__ import annotations

import difflib

from lab.engine.layers import Upper
from lab.engine.walk import Protocol
from lab.errors import UsageError
from lab.protocols.scenario import Scenario
from lab.protocols.tcp import TCP
from lab.protocols.tcp.scenarios import SCENARIOS as TCP_SCENARIOS
from lab.protocols.tls import TLS
from lab.protocols.tls.scenarios import SCENARIOS as TLS_SCENARIOS
from lab.protocols.websocket import WEBSOCKET
from lab.protocols.websocket.scenarios import SCENARIOS as WEBSOCKET_SCENARIOS
from lab.text import Text

UPPER: tuple[Upper, ...] = (TLS, WEBSOCKET)  # what TCP carries
PROTOCOLS: tuple[Protocol | Upper, ...] = (TCP, *UPPER)
SCENARIOS: tuple[Scenario, ...] = TCP_SCENARIOS + TLS_SCENARIOS + WEBSOCKET_SCENARIOS


def scenario(name: str) -> Scenario:
    """Returns a scenario by its name. Raises UsageError, with the nearest name there is."""
    for each in SCENARIOS:
        if each.name == name:
            return each
    near = difflib.get_close_matches(name, [each.name for each in SCENARIOS], 1, 0.4)
    raise UsageError(
        Text(f"there is no scenario '{name}'", f"没有名为“{name}”的场景"),
        Text(
            (f"did you mean {near[0]}? " if near else "") + "lab scenarios lists them all",
            (f"是不是 {near[0]}？" if near else "") + "lab scenarios 会列出全部场景",
        ),
    )


def upper(name: str) -> Upper:
    """Returns a protocol above TCP by its name; the engine has recognised it, so there is one."""
    return next(each for each in UPPER if each.name == name)


def protocol(name: str) -> Protocol | Upper:
    """Returns a protocol by its name. Raises UsageError."""
    for each in PROTOCOLS:
        if each.name == name:
            return each
    known = ", ".join(each.name for each in PROTOCOLS)
    raise UsageError(
        Text(f"the lab has no notes on '{name}'", f"实验室没有关于“{name}”的讲义"),
        Text(f"it has: {known}", f"现有：{known}"),
    )
