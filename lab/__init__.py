"""The handshake lab: watch real computers agree to talk, packet by packet. docs/api.md shows how to use it from Python.

    with lab.open("capture.pcapng") as run:       # or lab.run("tcp/connection")
        for packet in run:
            print(packet.number, packet.sender, *packet.labels, packet.held, packet.steps)

What is imported here is imported when it is asked for.
"""

import os
import sys

# `python -m lab` looks for every module in the current folder first: as of here only where that has the lab itself.
# Whoever unpacks foreign files there must not run one because it is called contextlib.py. (While Python looks for the
# module to run, the first argument is -m. A statement `from __future__` would be the first to look.)
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path and __path__[0] != f"{sys.path[0]}{os.sep}lab":
    sys.path[:] = [each for each in sys.path if each not in ("", sys.path[0])]

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lab.version import __version__

if TYPE_CHECKING:
    from lab import events
    from lab.errors import InputError, LabError, MachineError, UsageError
    from lab.model import ConversationReport, Message, Packet, States
    from lab.protocols.catalogue import scenarios
    from lab.report.comparison import Comparison
    from lab.report.schema import schema
    from lab.report.witnesses import Verification
    from lab.runs.api import compare, open, run  # noqa: A004 - it is called lab.open
    from lab.runs.run import Run
    from lab.witnesses.verify import verify

_PLACES = {
    "open": "runs.api", "run": "runs.api", "compare": "runs.api", "verify": "witnesses.verify", "Run": "runs.run",
    "Packet": "model", "Message": "model", "States": "model", "ConversationReport": "model",
    "Comparison": "report.comparison", "Verification": "report.witnesses", "scenarios": "protocols.catalogue",
    "schema": "report.schema",
    "LabError": "errors", "InputError": "errors", "MachineError": "errors", "UsageError": "errors",
}  # fmt: skip

__all__ = [
    "Comparison", "ConversationReport", "InputError", "LabError", "MachineError", "Message", "Packet", "Run", "States",
    "UsageError", "Verification", "__version__", "compare", "events", "open", "run", "scenarios", "schema", "verify",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "events":
        return import_module("lab.events")
    if name not in _PLACES:
        raise AttributeError(f"module 'lab' has no attribute '{name}'")
    return getattr(import_module(f"lab.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
